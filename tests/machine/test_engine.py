"""Our engine compared with the library's: every case of the chart, small charts, and refused charts."""

from __future__ import annotations

import inspect
import itertools
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from statemachine import Event, HistoryState, State, StateChart
from statemachine.exceptions import TransitionNotAllowed
from statemachine.factory import StateMachineMetaclass
from statemachine.transition import Transition

from oncegate.machine.account import AccountMachine
from oncegate.machine.chart import SignInMachine
from oncegate.machine.engine import CompiledChart, CompiledTransition

Question = tuple[Any, str, Any]
"""State in which a guard is evaluated, its name, and the target if the guard takes it."""
Chart = type[StateChart[Any]]


class Boom(Exception):
    """Raised by a callback of these tests."""


class Recorder:
    """A model that gives planned answers, and records guards, effects and states entered."""

    def __init__(self) -> None:
        self.recorder_plan(None, {})

    def recorder_plan(
        self, state: Any, answers: Mapping[Question, bool], raise_at: int | None = None
    ) -> None:
        self.recorder_state = state
        self.recorder_answers = answers
        self.recorder_raise_at = raise_at
        self.recorder_log: list[tuple[Any, ...]] = []

    def recorder_add(self, *entry: Any) -> None:
        self.recorder_log.append(entry)
        if len(self.recorder_log) - 1 == self.recorder_raise_at:
            raise Boom

    @property
    def state(self) -> Any:
        return self.recorder_state

    @state.setter
    def state(self, state: Any) -> None:
        self.recorder_log.append(("enters", state))
        self.recorder_state = state


def words(condition: str) -> list[str]:
    return [word for word in re.findall(r"\w+", condition) if word not in {"and", "or", "not"}]


def takes_target(chart: Chart, name: str) -> bool:
    return "target" in inspect.signature(getattr(chart, name)).parameters


def questions(chart: Chart, transition: Transition) -> list[Question]:
    target = transition.target
    assert target is not None
    return [
        (transition.source.value, name, target.value if takes_target(chart, name) else None)
        for spec in transition.cond
        for name in words(spec.attr_name)
    ]


def opening(chart: Chart, transition: Transition) -> dict[Question, bool]:
    """Return the answers that enable a transition whose conditions are names joined by ``and``."""
    return {
        question: spec.expected_value is not False
        for spec in transition.cond
        for question in questions(chart, transition)
        if question[1] in words(spec.attr_name)
    }


def stub(chart: Chart, name: str, kind: str) -> Callable[..., bool]:
    """Return a method that records its call and answers from the recorder (ignored for effects)."""

    def plain(self: Any) -> bool:
        self.model.recorder_add(kind, self.model.state, name)
        return bool(self.model.recorder_answers.get((self.model.state, name, None), True))

    def with_target(self: Any, target: State) -> bool:
        assert isinstance(target, State)
        self.model.recorder_add(kind, self.model.state, name, target.value)
        return bool(self.model.recorder_answers.get((self.model.state, name, target.value), True))

    return with_target if takes_target(chart, name) else plain


def stubbed(chart: Chart) -> Chart:
    """Return the chart with all guards answered by the recorder, and all effects only recorded."""
    specs = [spec for s in chart.states for t in s.transitions for spec in (*t.cond, *t.on)]
    stubs: dict[str, Any] = {}
    for spec in specs:
        if not spec.is_convention:
            kind = "calls" if spec.expected_value is None else "asks"
            stubs |= {name: stub(chart, name, kind) for name in words(spec.attr_name)}
    return new_chart(f"Stubbed{chart.__name__}", chart, stubs)


def new_chart(name: str, base: Any, members: dict[str, Any]) -> Chart:
    chart: Chart = StateMachineMetaclass(name, (base,), members)  # type: ignore[assignment]
    return chart


class Case(NamedTuple):
    state: Any
    event: str
    answers: Mapping[Question, bool]
    raise_at: int | None = None


def junctions(chart: Chart) -> Iterator[tuple[Transition | None, dict[Question, bool]]]:
    """Yield answers for the transitions without an event, each with the first one that is enabled.

    None is enabled in the first plan. Each of them is the first in two plans: the later ones are all
    disabled in one and all enabled in the other, which must make no difference.
    """
    eventless = [t for state in chart.states for t in state.transitions if t.is_eventless]
    enabled = [opening(chart, transition) for transition in eventless]
    disabled = [{question: not yes for question, yes in answers.items()} for answers in enabled]
    yield None, merged(disabled)
    for at, transition in enumerate(eventless):
        yield transition, merged([*disabled, enabled[at]])
        yield transition, merged([*enabled[at + 1 :], *disabled[:at], enabled[at]])


def merged(answers: list[dict[Question, bool]]) -> dict[Question, bool]:
    return {question: yes for some in answers for question, yes in some.items()}


def events_of(chart: Chart) -> list[str]:
    found = [str(e) for s in chart.states for t in s.transitions for e in t.events]
    return [*dict.fromkeys(found), "no_such_event"]


def cases(chart: Chart) -> Iterator[Case]:
    """Yield every state and event with every answer of the event's guards and every plan of junctions."""
    plans = list(junctions(chart))
    for state, event, (first, plan) in itertools.product(chart.states, events_of(chart), plans):
        # A junction at rest is left before the event is processed, in the next state.
        processed_in = first.target if first and first.source == state else state
        assert processed_in is not None
        own = [
            t
            for found in dict.fromkeys((state, processed_in))
            for t in found.transitions
            if event in map(str, t.events)
        ]
        asked = list(dict.fromkeys(question for t in own for question in questions(chart, t)))
        for answers in itertools.product((True, False), repeat=len(asked)):
            yield Case(state.value, event, plan | dict(zip(asked, answers, strict=True)))


class Outcome(NamedTuple):
    log: tuple[tuple[Any, ...], ...]
    state: Any
    raised: str | None


def outcome(case: Case, recorder: Recorder, send: Callable[[str], object]) -> Outcome:
    recorder.recorder_plan(case.state, case.answers, case.raise_at)
    try:
        send(case.event)
    except TransitionNotAllowed as error:
        return Outcome(tuple(recorder.recorder_log), recorder.state, f"not allowed: {error.event}")
    except Boom:
        return Outcome(tuple(recorder.recorder_log), recorder.state, "boom")
    return Outcome(tuple(recorder.recorder_log), recorder.state, None)


class Library:
    """One machine of the library, used for all cases."""

    def __init__(self, chart: Chart) -> None:
        self.recorder = Recorder()
        self.machine = stubbed(chart)(self.recorder)

    def outcome(self, case: Case) -> Outcome:
        # A final state stops the engine. A new machine takes 10 ms, and there is no public way to restart.
        self.machine._engine.running = True
        found = outcome(case, self.recorder, self.machine.send)
        if found.raised == "boom" and found.log[-1] == ("enters", found.state):
            # After an exception the library sets the current state again.
            return found._replace(log=found.log[:-1])
        return found


def differences(
    ours: CompiledChart[Any], library: Mapping[int, Outcome], cases: list[Case]
) -> list[tuple[Case, Outcome, Outcome]]:
    recorder = Recorder()
    return [
        (case, library[number], found)
        for number, case in enumerate(cases)
        if (found := outcome(case, recorder, partial(ours.run, recorder))) != library[number]
    ]


class Compared(NamedTuple):
    chart: Chart
    ours: CompiledChart[Any]
    cases: list[Case]
    library: dict[int, Outcome]


def compared(chart: Chart) -> Compared:
    every, library = list(cases(chart)), Library(chart)
    found = {number: library.outcome(case) for number, case in enumerate(every)}
    return Compared(chart, CompiledChart(stubbed(chart)), every, found)


@pytest.fixture(scope="module")
def sign_in() -> Compared:
    return compared(SignInMachine)


# ── the sign-in chart ──


def test_every_case_of_the_sign_in_chart_runs_like_the_library(sign_in: Compared) -> None:
    assert len(sign_in.cases) > 20_000
    assert differences(sign_in.ours, sign_in.library, sign_in.cases) == []


def test_cases_take_every_transition(sign_in: Compared) -> None:
    entered = {
        (case.state, entry[1])
        for case, found in zip(sign_in.cases, sign_in.library.values(), strict=True)
        for entry in found.log
        if entry[0] == "enters"
    }
    for state in sign_in.chart.states:
        for transition in state.transitions:
            assert transition.target is not None
            assert (state.value, transition.target.value) in entered


def test_exception_in_any_guard_or_effect_propagates_like_the_library(sign_in: Compared) -> None:
    """For one case of each state, event and target, raise in each guard and effect in turn."""
    samples = {
        (case.state, case.event, found.state): (case, found)
        for case, found in zip(sign_in.cases, sign_in.library.values(), strict=True)
        if found.raised is None
    }
    raising = [
        case._replace(raise_at=at)
        for case, found in samples.values()
        for at, entry in enumerate(found.log)
        if entry[0] != "enters"
    ]
    library = Library(sign_in.chart)
    outcomes = {number: library.outcome(case) for number, case in enumerate(raising)}
    assert len(raising) > 1000
    assert {found.raised for found in outcomes.values()} == {"boom"}
    assert differences(sign_in.ours, outcomes, raising) == []


# ── the account chart ──


@pytest.fixture(scope="module")
def account() -> Compared:
    return compared(AccountMachine)


def test_every_case_of_the_account_chart_runs_like_the_library(account: Compared) -> None:
    assert len(account.cases) > 1000
    assert differences(account.ours, account.library, account.cases) == []


def test_cases_take_every_transition_of_the_account_chart(account: Compared) -> None:
    test_cases_take_every_transition(account)


def test_engine_without_the_first_pass_is_detected_with_the_account_chart(
    account: Compared,
) -> None:
    ours = WithoutTheFirstPass(stubbed(account.chart))
    assert differences(ours, account.library, account.cases) != []


# ── the comparison is sensitive ──


class WithoutTheFirstPass(CompiledChart[Any]):
    """A faulty engine: it tries no transitions without an event before the event."""

    def run(self, model: Any, event: str) -> None:
        host = self.bind(model)
        if not self._take_first(self.transitions(model.state, event), host, model):
            raise TransitionNotAllowed(Event(event), {self._states[model.state]})
        while self._settle(host, model):
            pass


def test_engine_without_the_first_pass_is_detected(sign_in: Compared) -> None:
    ours = WithoutTheFirstPass(stubbed(sign_in.chart))
    assert len(differences(ours, sign_in.library, sign_in.cases)) > 1000


Transitions = tuple[CompiledTransition, ...]


class MutatedChart(CompiledChart[Any]):
    """A compiled chart with other transitions for one state and event."""

    def __init__(
        self, right: CompiledChart[Any], state: Any, event: str | None, wrong: Transitions
    ) -> None:
        super().__init__(right.chart)
        self._rows = {**self._rows, state: {**self._rows[state], event: wrong}}


class Mutant(NamedTuple):
    """A compiled chart with one mistake, and where it is.

    Attributes:
        mistake: what was changed.
    """

    state: Any
    event: str | None
    mistake: str
    ours: CompiledChart[Any]


def mutants(ours: CompiledChart[Any]) -> Iterator[Mutant]:
    """Yield the chart with one mistake: two transitions swapped, or a guard or an effect dropped."""
    for state in ours.chart.states:
        for event in (None, *events_of(ours.chart)):
            for mistake, wrong in mistakes(ours.transitions(state.value, event)):
                mutated = MutatedChart(ours, state.value, event, wrong)
                yield Mutant(state.value, event, mistake, mutated)


def mistakes(right: Transitions) -> Iterator[tuple[str, Transitions]]:
    for at, one in enumerate(right):
        before, after = right[:at], right[at + 1 :]
        if after:
            yield f"{at} after the next", (*before, after[0], one, *after[1:])
        if one.actions:
            less = one._replace(actions=one.actions[1:])
            yield f"{at} without an effect", (*before, less, *after)
        if one.conditions:
            less = one._replace(conditions=one.conditions[1:])
            yield f"{at} without a guard", (*before, less, *after)


@pytest.mark.parametrize(("name", "at_least"), [("sign_in", 200), ("account", 50)])
def test_every_swapped_or_incomplete_transition_is_detected(
    name: str, at_least: int, request: pytest.FixtureRequest
) -> None:
    chart: Compared = request.getfixturevalue(name)
    numbers: dict[tuple[Any, str | None], list[int]] = {}
    for number, case in enumerate(chart.cases):
        numbers.setdefault((case.state, case.event), []).append(number)
        numbers.setdefault((case.state, None), []).append(number)
    recorder, every = Recorder(), list(mutants(chart.ours))
    for mutant in every:
        assert any(
            outcome(chart.cases[number], recorder, partial(mutant.ours.run, recorder))
            != chart.library[number]
            for number in numbers[mutant.state, mutant.event]
        ), mutant
    assert len(every) > at_least


# ── small charts ──


class Strict(StateChart[Any]):
    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True


class Chain(Strict):
    """Two junctions in a row, and every kind of condition. A flow can rest at the first junction."""

    start = State(initial=True)
    first = State()
    second = State()
    end = State(final=True)
    go = Event(
        start.to(first, cond=["a and !b", "not c or a"], unless="d", on=["one", "two"])
        | start.to(second, cond="(a or b) and not (c and d)", on="two")
        | start.to(start, unless="b", on="one")
    )
    stop = Event(start.from_(first, second, cond="a"))
    leave = Event(start.to(end, cond="c") | second.to(end))
    first.to(second, cond="waits_here", on="arrive")
    first.to(end, cond="waits_here")
    second.to(end, cond="waits_here", unless="b")

    def a(self) -> bool:
        return bool(self.model.answers["a"])

    def b(self) -> bool:
        return bool(self.model.answers["b"])

    def c(self) -> bool:
        return bool(self.model.answers["c"])

    def d(self) -> bool:
        return bool(self.model.answers["d"])

    def waits_here(self, target: State) -> bool:
        return target.id in self.model.answers["waits"]

    def one(self) -> None:
        self.model.log.append(("one", self.model.state))

    def two(self) -> None:
        self.model.log.append(("two", self.model.state))

    def arrive(self, target: State) -> None:
        self.model.log.append(("arrive", target.id))


def on_both(chart: Chart, state: str, event: str, **answers: Any) -> SimpleNamespace:
    """Run an event on both engines, check that the results are equal, and return the model."""
    ours, library = (
        SimpleNamespace(state=state, answers={"waits": (), **answers}, log=[], raised=None)
        for _ in range(2)
    )
    runs = ((ours, partial(CompiledChart(chart).run, ours)), (library, chart(library).send))
    for model, run in runs:
        try:
            run(event)
        except TransitionNotAllowed as error:
            model.raised = type(error)
    assert ours == library
    return ours


def test_every_case_of_a_chain_of_junctions_runs_like_the_library() -> None:
    chain = compared(Chain)
    assert len(chain.cases) > 100
    assert differences(chain.ours, chain.library, chain.cases) == []


def test_effect_sees_the_source_state() -> None:
    model = on_both(Chain, "start", "go", a=True, b=False, c=False, d=False)
    assert (model.state, model.log) == ("first", [("one", "start"), ("two", "start")])


def test_transitions_without_an_event_continue_until_none_is_enabled() -> None:
    answers = {"a": True, "b": False, "c": False, "d": False}
    model = on_both(Chain, "start", "go", waits=("second",), **answers)
    assert (model.state, model.log[2:]) == ("second", [("arrive", "second")])
    model = on_both(Chain, "start", "go", waits=("second", "end"), **answers)
    assert (model.state, model.log[2:]) == ("end", [("arrive", "second")])


def test_junction_at_rest_is_left_before_the_event() -> None:
    model = on_both(Chain, "first", "stop", a=True, b=True, waits=("second",))
    assert (model.state, model.raised) == ("start", None)
    assert model.log == [("arrive", "second")]


def test_junction_stays_left_if_the_event_is_not_allowed() -> None:
    model = on_both(Chain, "first", "go", b=True, waits=("second",))
    assert (model.state, model.raised) == ("second", TransitionNotAllowed)


def test_event_is_ignored_if_the_junction_enters_a_final_state() -> None:
    model = on_both(Chain, "first", "go", waits=("end",))
    assert (model.state, model.raised) == ("end", None)


@pytest.mark.parametrize("event", ["go", "stop", "no_such_event", ""])
def test_final_state_allows_no_event(event: str) -> None:
    model = on_both(Chain, "end", event)
    assert (model.state, model.raised) == ("end", TransitionNotAllowed)


def test_transition_to_the_same_state_runs() -> None:
    model = on_both(Chain, "start", "go", a=False, b=False, c=False, d=False)
    assert (model.state, model.log) == ("start", [("one", "start")])


def test_unknown_state_raises_key_error() -> None:
    with pytest.raises(KeyError):
        CompiledChart(Chain).run(SimpleNamespace(state="no_such_state"), "go")
    with pytest.raises(KeyError):
        CompiledChart(Chain).transitions("no_such_state", "go")


def test_event_with_a_dot_is_not_a_pattern() -> None:
    """The library would treat it as ``go``."""
    with pytest.raises(TransitionNotAllowed):
        CompiledChart(Chain).run(SimpleNamespace(state="start"), "go.anything")


def test_transitions_of_the_table_are_public() -> None:
    chart = CompiledChart(Chain)
    assert [
        (one.source, one.target, one.guards, one.effects)
        for one in chart.transitions("start", "go")
    ] == [
        ("start", "first", ("a", "not b", "not c or a", "not d"), ("one", "two")),
        ("start", "second", ("a or b", "not (c and d)"), ("two",)),
        ("start", "start", ("not b",), ("one",)),
    ]
    assert [one.target for one in chart.transitions("first", None)] == ["second", "end"]
    assert chart.transitions("end", None) == chart.transitions("start", "stop") == ()


def test_single_guard_can_be_evaluated() -> None:
    chart = CompiledChart(Chain)
    host = chart.bind(SimpleNamespace(answers={"a": True, "b": True, "waits": ("end",)}))
    first, second = chart.transitions("first", None)
    assert not first.conditions[0](host)
    assert second.conditions[0](host)
    assert host.a()


@pytest.mark.parametrize("machine", [SignInMachine, AccountMachine])
def test_machine_compiles_completely(machine: Chart) -> None:
    chart = CompiledChart(machine)
    found = [
        chart.transitions(state.value, event)
        for state in machine.states
        for event in (None, *events_of(machine))
    ]
    assert sum(map(len, found)) == sum(
        len(list(t.events)) or 1 for state in machine.states for t in state.transitions
    )


# ── exceptions and threads ──


def test_exception_in_a_guard_propagates_and_the_next_run_is_unaffected() -> None:
    chart, recorder = CompiledChart(stubbed(Chain)), Recorder()
    recorder.recorder_plan("start", {}, raise_at=0)
    with pytest.raises(Boom):
        chart.run(recorder, "go")
    assert (recorder.state, recorder.recorder_log) == ("start", [("asks", "start", "a")])
    recorder.recorder_plan("start", {("start", "a", None): False, ("start", "d", None): False})
    chart.run(recorder, "go")
    assert (recorder.state, recorder.recorder_log[-1][:2]) == ("second", ("asks", "second"))


def test_exception_in_an_effect_leaves_the_state_unchanged() -> None:
    answers = {("start", "b", None): False, ("start", "d", None): False}
    chart, library, recorder = CompiledChart(stubbed(Chain)), Library(Chain), Recorder()
    case = Case("start", "go", answers, raise_at=5)
    found = outcome(case, recorder, partial(chart.run, recorder))
    assert found == library.outcome(case)
    assert (found.state, found.raised, found.log[-1]) == (
        "start",
        "boom",
        ("calls", "start", "one"),
    )


def test_threads_share_one_table(sign_in: Compared) -> None:
    numbers = list(sign_in.library)[::40]
    wrong: list[Case] = []
    done: list[int] = []

    def work(offset: int) -> None:
        recorder = Recorder()
        for number in numbers[offset:] + numbers[:offset]:
            case = sign_in.cases[number]
            if (
                outcome(case, recorder, partial(sign_in.ours.run, recorder))
                != sign_in.library[number]
            ):
                wrong.append(case)
        done.append(offset)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(100 * each,)) for each in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(done) == 8
    assert wrong == []


# ── charts that the compiler refuses ──


def toy_chart(
    *,
    base: Any = Strict,
    state: dict[str, Any] | None = None,
    event: dict[str, Any] | None = None,
    transition: dict[str, Any] | None = None,
    **members: Any,
) -> Chart:
    start, end = State(initial=True, **(state or {})), State(final=True)
    go = Event(start.to(end, **(transition or {})), **(event or {}))
    known = {"ok": lambda self: True, "fine": lambda self: True, "act": lambda self: None}
    return new_chart("Toy", base, {"start": start, "end": end, "go": go, **known, **members})


def test_toy_chart_is_accepted() -> None:
    chart = CompiledChart(toy_chart(transition={"cond": ["ok and fine", "!fine"], "on": "act"}))
    assert chart.transitions("start", "go")[0].guards == ("ok", "fine", "not fine")


async def later(self: Any) -> bool:
    return True


class ModelWithGuard:
    state = "start"

    def ok(self) -> bool:
        return False


class ModelWithHook:
    state = "start"

    def on_go(self) -> None: ...


class OfModelWithGuard(Strict, StateChart[ModelWithGuard]): ...


class OfModelWithHook(Strict, StateChart[ModelWithHook]): ...


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"base": StateChart}, "allow_event_without_transition must be False"),
        ({"catch_errors_as_events": True}, "catch_errors_as_events must be False"),
        ({"atomic_configuration_update": False}, "atomic_configuration_update must be True"),
        ({"listeners": [ModelWithHook]}, "listeners"),
        ({"event": {"delay": 10}}, "go is delayed"),
        ({"event": {"internal": True}}, "go is delayed, internal"),
        ({"event": {"id": "go.on"}}, "go.on is .* a pattern"),
        ({"event": {"id": "*"}}, "a pattern"),
        ({"transition": {"before": "act"}}, "act is called as before"),
        ({"transition": {"after": "act"}}, "act is called as after"),
        ({"transition": {"validators": "act"}}, "act is called as validator"),
        ({"state": {"enter": "act"}}, "Start: act is called as enter"),
        ({"state": {"exit": "act"}}, "Start: act is called as exit"),
        ({"state": {"invoke": later}}, "called as invoke"),
        *[
            ({name: lambda self: None}, f"{name} is called as")
            for name in (
                "prepare_event",
                "before_transition",
                "on_transition",
                "after_transition",
                "before_go",
                "on_go",
                "after_go",
                "on_enter_state",
                "on_exit_state",
                "on_enter_start",
                "on_exit_start",
                "on_invoke_start",
            )
        ],
        ({"base": OfModelWithHook}, "on_go is called as on"),
        ({"base": OfModelWithGuard, "transition": {"cond": "ok"}}, "the model has ok too"),
        ({"transition": {"cond": "ok"}, "ok": later}, "ok is not a plain, synchronous"),
        ({"transition": {"on": "act"}, "act": later}, "act is not a plain, synchronous"),
        ({"transition": {"cond": "missing"}}, "missing is not a plain"),
        ({"transition": {"on": "missing"}}, "missing is not a plain"),
        ({"transition": {"cond": "ok"}, "ok": True}, "ok is not a plain"),
        ({"transition": {"cond": "ok"}, "ok": property(lambda self: True)}, "ok is not a plain"),
        ({"transition": {"cond": "ok"}, "ok": staticmethod(lambda: True)}, "ok is not a plain"),
        ({"transition": {"on": "go"}}, "go is not a plain"),
        *[
            ({"transition": {"cond": "ok"}, "ok": guard}, "ok may take self")
            for guard in (
                lambda: True,
                lambda self, source: True,
                lambda self, target, event: True,
                lambda self, *args: True,
                lambda self, **given: True,
                lambda self, *, target: True,
                lambda self, target, /: True,
            )
        ],
        ({"transition": {"on": "act"}, "act": lambda self, given: None}, "act may take self"),
        ({"transition": {"cond": lambda: True}}, "is given as an object"),
        ({"transition": {"on": lambda: True}}, "is given as an object"),
        ({"transition": {"cond": "ok > 1"}}, "'ok > 1' is more than"),
        ({"transition": {"cond": "In('start')"}}, "is more than"),
        ({"transition": {"cond": "ok and True"}}, "'True' is more than"),
        ({"transition": {"cond": "ok ^ fine"}}, "is more than"),
        ({"transition": {"cond": "ok v fine"}}, "cannot be read"),
        ({"transition": {"cond": ["ok and fine", "(ok and fine)"]}}, "two conditions"),
        ({"transition": {"cond": "ok", "unless": "(ok)"}}, "two conditions"),
    ],
)
def test_unsupported_feature_is_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        CompiledChart(toy_chart(**parts))


class Nested(Strict):
    class outer(State.Compound):  # noqa: N801
        inner = State(initial=True)
        last = State(final=True)
        step = Event(inner.to(last))

    end = State(final=True)
    go = Event(outer.to(end))  # type: ignore[arg-type]


class Parallel(Strict):
    class outer(State.Parallel):  # noqa: N801
        one = State(initial=True)
        two = State(initial=True)


class WithHistory(Strict):
    start = State(initial=True)
    memory = HistoryState()
    go = Event(start.to(memory) | memory.to(start))


class Internal(Strict):
    start = State(initial=True)
    end = State(final=True)
    go = Event(start.to(end) | start.to(start, internal=True))


class WithoutTarget(Strict):
    start = State(initial=True)
    end = State(final=True)
    go = Event(start.to(end) | start.to(None))


class InitialTransition(Strict):
    start = State(initial=True)
    end = State(final=True)
    go = Event(start.to(end))
    start.to(end, initial=True)


@pytest.mark.parametrize(
    ("chart", "message"),
    [
        (Nested, "make the chart flat"),
        (Parallel, "make the chart flat"),
        (WithHistory, "make the chart flat"),
        (Internal, "from Start to Start: it is internal"),
        (WithoutTarget, "without one target"),
        (InitialTransition, "it is internal, initial"),
    ],
)
def test_chart_that_is_not_flat_is_refused(chart: Chart, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        CompiledChart(chart)


def test_two_initial_states_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library refuses them too, so the test bypasses its check."""
    chart = toy_chart()
    monkeypatch.setattr(chart.states.end, "_initial", True)
    with pytest.raises(TypeError, match="one initial state"):
        CompiledChart(chart)
