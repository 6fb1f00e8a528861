"""The machine alone: the compiled table, compared with python-statemachine's own engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from statemachine import Event, State, StateChart
from tests.benchmarks.side_by_side import Row, Times, in_turn, row
from tests.benchmarks.visitors import code_sent

from oncegate import SubmitCode, SubmitPassword
from oncegate.machine.advance import CHART, advance
from oncegate.machine.chart import SignInMachine
from oncegate.machine.context import GuardInputs, Policy, TransitionContext, Trigger
from oncegate.record import Flow

_PASSWORD = SubmitPassword(username="ana", password="Correct-horse-1")
_CODE = SubmitCode(code="123456")
_POLICY, _INPUTS = Policy(lease=40.0), GuardInputs()
_BATCH = 10
"""Runs of a chain that are timed together, so that switching the engine does not count."""


def machine(quick: bool) -> Iterator[Row]:
    """Measure one event of the machine, and the chain of a sign-in with an SMS code, in CPU time."""
    rounds, cpu = 20 if quick else 200, time.process_time
    table, library = in_turn(rounds, _runs_on_the_table(), _runs_on_the_library(), clock=cpu)
    by_table, by_library = in_turn(rounds, _chains("table"), _chains("library"), clock=cpu)
    of_two, empty = in_turn(rounds, _two_steps_to_the_code, _empty_transitions(), clock=cpu)
    events = _BATCH * len(_chain())
    what = "one event of the machine: compiled table, compared with the library's engine"
    yield row(what, 0.1, _each(events, table), _each(events, library))
    what = "submit_password, accepted, submit_code: checked and validated flows, the same"
    yield row(what, 0.3, _each(_BATCH, by_table), _each(_BATCH, by_library))
    what = "submit_password, accepted: compared with three transitions of the library's, empty"
    yield row(what, 1, of_two, empty)


def _each(count: int, times: Times) -> Times:
    return Times(*(seconds / count for seconds in times))


def _chain() -> list[tuple[Flow, Trigger]]:
    """Return each flow of the chain with the trigger that it is given next."""
    flow, chain = Flow(), list[tuple[Flow, Trigger]]()
    triggers: tuple[Trigger, ...] = (_PASSWORD, code_sent(), _CODE)
    for trigger in triggers:
        chain.append((flow, trigger))
        flow = advance(flow, trigger, now=1.0, digest="d", policy=_POLICY)
    return chain


def _context(flow: Flow, trigger: Trigger) -> TransitionContext:
    return TransitionContext(
        flow,
        trigger,
        now=1.0,
        expected_version=flow.version,
        digest="d",
        policy=_POLICY,
        inputs=_INPUTS,
    )


def _runs_on_the_table() -> Callable[[], None]:
    chain = _chain()

    def run() -> None:
        for _ in range(_BATCH):
            for flow, trigger in chain:
                CHART.run(_context(flow, trigger), trigger.machine_event)

    return run


class _Model:
    """The model of a library's machine: a `TransitionContext`, another one for each event."""

    def __init__(self, context: TransitionContext) -> None:
        self.context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)

    @property
    def state(self) -> Any:
        return self.context.state

    @state.setter
    def state(self, state: Any) -> None:
        self.context.state = state


def _runs_on_the_library() -> Callable[[], None]:
    chain = _chain()
    model = _Model(_context(*chain[0]))
    machine = SignInMachine(model)  # type: ignore[arg-type]

    def run() -> None:
        for _ in range(_BATCH):
            for flow, trigger in chain:
                model.context = _context(flow, trigger)
                machine.send(trigger.machine_event)

    return run


def _chains(engine: str) -> Callable[[], None]:
    """Return an action: the chain by `advance`, as ``ONCEGATE_CHART_ENGINE`` would run it."""
    chain = _chain()

    def run() -> None:
        with patch("oncegate.machine.advance.USES_LIBRARY_ENGINE", engine == "library"):
            for _ in range(_BATCH):
                for flow, trigger in chain:
                    advance(flow, trigger, now=1.0, digest="d", policy=_POLICY)

    return run


def _two_steps_to_the_code() -> None:
    checking = advance(Flow(), _PASSWORD, now=1.0)
    assert advance(checking, code_sent(), now=2.0).state == "awaiting_mfa"


class _Empty(StateChart[Any]):
    """The smallest chart with these transitions, without guards and effects."""

    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True

    idle = State(initial=True)
    checking = State()
    verified = State()
    awaiting = State()
    step = Event(idle.to(checking) | checking.to(verified) | awaiting.to(idle))
    verified.to(awaiting)


def _empty_transitions() -> Callable[[], None]:
    """Return an action that takes three transitions of the library's own engine."""
    chart = _Empty()

    def run() -> None:
        chart.send("step")
        chart.send("step")
        chart.current_state_value = "idle"

    return run


ROWS = {"machine": machine}
