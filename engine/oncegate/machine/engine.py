"""Runs a flat chart from a table, compiled once from its class.

python-statemachine declares, checks and draws the chart. Its own engine is made for nested states,
delayed events and callbacks that take anything, and costs accordingly. This one runs charts that need
none of that, alike in every state entered, guard asked and effect called, and in their order; what it
could not run alike it refuses when the table is made. An event is run as the library does:

1. Transitions without an event are tried first, until none is open. Where they lead to a final state,
   the event is dropped in silence.
2. The first open transition of the event, in the chart's order, is taken. Where none is open,
   `TransitionNotAllowed` is raised; what step 1 did to the model stays done.
3. Transitions without an event are tried again, until none is open.

To take one is to call its effects, which still see the state that is left, and then to write the
state. What a guard or an effect raises comes through, and the state is not written.

Two things are left to the chart: its callbacks use nothing of ``self`` but ``model`` and each other
(the rest of the machine is missing, and raises), and no instance attribute of the model has a
callback's name, for the library would ask or call that as well.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, get_args

from statemachine import Event, State, StateChart
from statemachine.callbacks import CallbackSpec
from statemachine.exceptions import TransitionNotAllowed
from statemachine.transition import Transition

C = TypeVar("C", bound="StateChart[Any]")
Callback = Callable[[Any], object]


class HasState(Protocol):
    """The model of a chart: the value of its state, to be read and written, and whatever else."""

    state: Any


class CompiledTransition(NamedTuple):
    """One transition, ready to run.

    Attributes:
        source: the value of the state that it leaves.
        target: the value of the state that it leads to.
        guards: their names in the order of asking. ``a and b`` is two; ``not a`` is a name like any.
        effects: their names in the order of calling.
        conditions: the guards themselves, one for each name, to be called with `CompiledChart.bind`.
        actions: the effects themselves, likewise.
    """

    source: Any
    target: Any
    guards: tuple[str, ...]
    effects: tuple[str, ...]
    conditions: tuple[Callback, ...]
    actions: tuple[Callback, ...]


_SETTINGS = {
    "allow_event_without_transition": False,
    "catch_errors_as_events": False,
    "atomic_configuration_update": True,
}
_Rows = Mapping[Any, Mapping[str | None, tuple[CompiledTransition, ...]]]


class CompiledChart(Generic[C]):
    """The table of one chart. It never changes, so any number of threads may run it at once.

    Args:
        chart: the class. It is not instantiated.

    Raises:
        TypeError: the chart has something that would not run alike; the message says where and what.
    """

    def __init__(self, chart: type[C]) -> None:
        self.chart = chart
        self._states: Mapping[Any, State] = chart.states_map
        self._rows: _Rows = _Compiler(chart).rows()

    def transitions(self, state: Any, event: str | None) -> tuple[CompiledTransition, ...]:
        """What may be taken, in the order of trying.

        Args:
            state: the value of a state.
            event: the name of an event; None for the transitions without one.

        Returns:
            The transitions; none where the state has none for the event.

        Raises:
            KeyError: the chart has no such state.
        """
        return self._rows[state].get(event, ())

    def bind(self, model: HasState) -> C:
        """What stands for the machine: an instance of the chart that has a model and nothing else.

        Args:
            model: what the chart's callbacks work on.

        Returns:
            An object whose guards and effects can be called. It takes no events.
        """
        host = self.chart.__new__(self.chart)
        vars(host)["model"] = model
        return host

    def run(self, model: HasState, event: str) -> None:
        """Run one event, and the transitions without an event before and after it.

        Args:
            model: in a state of the chart. It is the caller's alone while this runs.
            event: its name.

        Raises:
            TransitionNotAllowed: no transition is open.
            KeyError: the chart has no such state as the model's.
        """
        host = self.bind(model)
        if self._settle(host, model) and self._states[model.state].final:
            return
        if not self._take_first(self._rows[model.state].get(event, ()), host, model):
            raise TransitionNotAllowed(Event(event), {self._states[model.state]})
        while self._settle(host, model):
            pass  # Where it moved, the library asks all guards once more before it rests.

    def _settle(self, host: C, model: HasState) -> bool:
        moved = False
        while self._take_first(self._rows[model.state].get(None, ()), host, model):
            moved = True
        return moved

    def _take_first(
        self, transitions: tuple[CompiledTransition, ...], host: C, model: HasState
    ) -> bool:
        for transition in transitions:
            for is_open in transition.conditions:
                if not is_open(host):
                    break
            else:
                for act in transition.actions:
                    act(host)
                model.state = transition.target
                return True
        return False


class _Compiler:
    """Reads a chart by the library's public attributes, and refuses what would not run alike."""

    def __init__(self, chart: type[StateChart[Any]]) -> None:
        self.chart = chart
        models = [
            model for base in getattr(chart, "__orig_bases__", ()) for model in get_args(base)
        ]
        self.on_model = {name for model in models if isinstance(model, type) for name in dir(model)}
        self.methods: dict[str, tuple[FunctionType, bool]] = {}

    def rows(self) -> _Rows:
        self.check_chart()
        rows: dict[Any, dict[str | None, tuple[CompiledTransition, ...]]] = {}
        for state in self.chart.states:
            if state.states or state.parallel or state.history or state.is_history:
                raise self.unlike(
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
                raise self.unlike(name, f"{setting} has to be {value}")
        if any(vars(base).get("listeners") for base in chart.__mro__):
            raise self.unlike(name, "it has listeners; tell them from where the chart is run")
        if len([state for state in chart.states if state.initial]) != 1:
            raise self.unlike(name, "it has to have one initial state")
        self.check_absent(name, chart.prepare)

    def check_absent(self, where: object, *groups: Iterable[CallbackSpec]) -> None:
        for group in groups:
            for spec in group:
                # Names by convention are in every group; they count where something bears them.
                borne = hasattr(self.chart, spec.attr_name) or spec.attr_name in self.on_model
                if borne or not spec.is_convention:
                    when = spec.group.name.lower()
                    raise self.unlike(
                        where, f"{spec.attr_name} is called as {when}; use cond and on"
                    )

    def compile(self, transition: Transition) -> CompiledTransition:
        targets, on = transition.targets, list(transition.on)
        if transition.internal or transition.initial or len(targets) != 1:
            raise self.unlike(
                transition, "it is internal, initial or without one target; name a target"
            )
        for event in transition.events:
            declared = getattr(self.chart, event, event)
            if declared.delay or declared.internal or not event.isidentifier():
                raise self.unlike(
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
                raise self.unlike(
                    transition, f"{text!r} cannot be read; make it a guard"
                ) from error
            words = re.findall(r"\w+", text)
            if words in seen:
                # The library tells conditions apart by keys that have no parentheses.
                raise self.unlike(transition, f"it has two conditions of the words of {text!r}")
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
                raise self.unlike(
                    transition, f"{text!r} is more than names, and, or, not; make it a guard"
                )

    def name(self, transition: Transition, spec: CallbackSpec) -> str:
        if isinstance(spec.func, str):
            return spec.func
        raise self.unlike(
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
            raise self.unlike(transition, f"{name} is not a plain, synchronous method of the chart")
        if name in self.on_model:
            raise self.unlike(
                transition, f"the model has {name} too, and both are called; rename one"
            )
        parameters = inspect.signature(function).parameters
        plain = all(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters.values())
        if not parameters or not plain or list(parameters)[1:] not in ([], ["target"]):
            raise self.unlike(
                transition, f"{name} may take self, or self and target, and nothing else"
            )
        return function, len(parameters) > 1

    def unlike(self, where: object, what: str) -> TypeError:
        return TypeError(f"{self.chart.__name__}, {where}: {what}")
