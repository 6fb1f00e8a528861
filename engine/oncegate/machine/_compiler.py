"""Compiles a chart into the table that `oncegate.machine.engine` runs.

It reads the class by python-statemachine's public attributes, and refuses with a `TypeError` whatever
the table would not run as the library does.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any, NamedTuple, get_args

from statemachine import StateChart
from statemachine.callbacks import CallbackSpec
from statemachine.transition import Transition

Callback = Callable[[Any], object]


class CompiledTransition(NamedTuple):
    """One transition, ready to run.

    Attributes:
        source: value of the state that it leaves.
        target: value of the state that it enters.
        guards: names, in the order of asking. ``a and b`` is two; ``not a`` is one name.
        effects: names, in the order of calling.
        conditions: the guards' functions; they take what `CompiledChart.bind` returns.
        actions: the effects' functions; they take the same.
    """

    source: Any
    target: Any
    guards: tuple[str, ...]
    effects: tuple[str, ...]
    conditions: tuple[Callback, ...]
    actions: tuple[Callback, ...]


Rows = Mapping[Any, Mapping[str | None, tuple[CompiledTransition, ...]]]

_SETTINGS = {
    "allow_event_without_transition": False,
    "catch_errors_as_events": False,
    "atomic_configuration_update": True,
}


def compiled_rows(chart: type[StateChart[Any]]) -> Rows:
    """Return the transitions of a chart, by state and event; None is the event of those without one.

    Raises:
        TypeError: the chart has something that would run differently; the message says where and what.
    """
    return _Compiler(chart).rows()


class _Compiler:
    """Compiles one chart."""

    def __init__(self, chart: type[StateChart[Any]]) -> None:
        self.chart = chart
        models = [
            model for base in getattr(chart, "__orig_bases__", ()) for model in get_args(base)
        ]
        self.on_model = {name for model in models if isinstance(model, type) for name in dir(model)}
        self.methods: dict[str, tuple[FunctionType, bool]] = {}

    def rows(self) -> Rows:
        self.check_chart()
        rows: dict[Any, dict[str | None, tuple[CompiledTransition, ...]]] = {}
        for state in self.chart.states:
            if state.states or state.parallel or state.history or state.is_history:
                raise self.refusal(
                    state, "it is compound, parallel or a history; make the chart flat"
                )
            self.check_absent(state, state.enter, state.exit, state.invoke)
            row = rows[state.value] = {}
            for transition in state.transitions:
                compiled = self.compile(transition)
                events: list[str | None] = [str(event) for event in transition.events]
                for event in events or [None]:
                    row[event] = (*row.get(event, ()), compiled)
        return rows

    def check_chart(self) -> None:
        chart, name = self.chart, self.chart.__name__
        for setting, value in _SETTINGS.items():
            if getattr(chart, setting) is not value:
                raise self.refusal(name, f"{setting} must be {value}")
        if any(vars(base).get("listeners") for base in chart.__mro__):
            raise self.refusal(name, "it has listeners; call them where the chart is run")
        if len([state for state in chart.states if state.initial]) != 1:
            raise self.refusal(name, "it must have one initial state")
        self.check_absent(name, chart.prepare)

    def check_absent(self, where: object, *groups: Iterable[CallbackSpec]) -> None:
        for group in groups:
            for spec in group:
                # Names by convention are in every group; they count if the chart or its model has them.
                exists = hasattr(self.chart, spec.attr_name) or spec.attr_name in self.on_model
                if exists or not spec.is_convention:
                    when = spec.group.name.lower()
                    raise self.refusal(
                        where, f"{spec.attr_name} is called as {when}; use cond and on"
                    )

    def compile(self, transition: Transition) -> CompiledTransition:
        targets, on = transition.targets, list(transition.on)
        if transition.internal or transition.initial or len(targets) != 1:
            raise self.refusal(
                transition, "it is internal, initial or without one target; name a target"
            )
        for event in transition.events:
            declared = getattr(self.chart, event, event)
            if declared.delay or declared.internal or not event.isidentifier():
                raise self.refusal(
                    transition, f"{event!s} is delayed, internal or a pattern; name an event"
                )
        by_convention = [spec for spec in on if spec.is_convention]
        self.check_absent(
            transition, transition.validators, transition.before, transition.after, by_convention
        )
        effects = [self.name(transition, spec) for spec in on if not spec.is_convention]
        guards = list(self.guards(transition))
        return CompiledTransition(
            source=transition.source.value,
            target=targets[0].value,
            guards=tuple(ast.unparse(guard) for guard in guards),
            effects=tuple(effects),
            conditions=tuple(self.condition(transition, guard) for guard in guards),
            actions=tuple(self.callback(transition, effect) for effect in effects),
        )

    def guards(self, transition: Transition) -> Iterator[ast.expr]:
        seen = []
        for spec in transition.cond:
            text = self.name(transition, spec).replace("!", "not ")
            try:
                tree = ast.parse(text, mode="eval").body
            except SyntaxError as error:
                raise self.refusal(
                    transition, f"{text!r} cannot be read; make it a guard"
                ) from error
            words = re.findall(r"\w+", text)
            if words in seen:
                # The library tells conditions apart by keys that have no parentheses.
                raise self.refusal(transition, f"it has two conditions of the words of {text!r}")
            seen.append(words)
            if not spec.expected_value:
                tree = ast.UnaryOp(ast.Not(), tree)
            match tree:
                case ast.BoolOp(op=ast.And(), values=parts):
                    yield from parts
                case _:
                    yield tree

    def condition(self, transition: Transition, guard: ast.expr) -> Callback:
        match guard:
            case ast.Name(id=name):
                return self.callback(transition, name)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                part = self.condition(transition, operand)
                return lambda host: not part(host)
            case ast.BoolOp(op=operator, values=values):
                parts = [self.condition(transition, value) for value in values]
                fold = all if isinstance(operator, ast.And) else any
                return lambda host: fold(part(host) for part in parts)
            case _:
                text = ast.unparse(guard)
                raise self.refusal(
                    transition, f"{text!r} is more than names, and, or, not; make it a guard"
                )

    def name(self, transition: Transition, spec: CallbackSpec) -> str:
        if isinstance(spec.func, str):
            return spec.func
        raise self.refusal(
            transition, f"{spec.attr_name} is given as an object; give the method's name"
        )

    def callback(self, transition: Transition, name: str) -> Callback:
        if name not in self.methods:
            self.methods[name] = self.method(transition, name)
        function, takes_target = self.methods[name]
        target = transition.target
        return (lambda host: function(host, target)) if takes_target else function

    def method(self, transition: Transition, name: str) -> tuple[FunctionType, bool]:
        function = inspect.getattr_static(self.chart, name, None)
        if not isinstance(function, FunctionType) or inspect.iscoroutinefunction(function):
            raise self.refusal(
                transition, f"{name} is not a plain, synchronous method of the chart"
            )
        if name in self.on_model:
            raise self.refusal(
                transition, f"the model has {name} too, and both are called; rename one"
            )
        parameters = inspect.signature(function).parameters
        plain = all(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters.values())
        if not parameters or not plain or list(parameters)[1:] not in ([], ["target"]):
            raise self.refusal(
                transition, f"{name} may take self, or self and target, and nothing else"
            )
        return function, len(parameters) > 1

    def refusal(self, where: object, what: str) -> TypeError:
        return TypeError(f"{self.chart.__name__}, {where}: {what}")
