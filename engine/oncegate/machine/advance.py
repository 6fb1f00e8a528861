"""`advance`: applies one trigger to one flow. Also what a user may do next, and why something may not.

The chart runs from a table (`oncegate.machine.engine`). With ``ONCEGATE_CHART_ENGINE=library`` in the
environment, python-statemachine's own engine runs it: slower by an order of magnitude, and the oracle
that the tests compare the table with.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any, Final

from statemachine import StateChart
from statemachine.exceptions import TransitionNotAllowed

from oncegate.challenges import ACCOUNT_EVENT_TYPES, EVENT_TYPES
from oncegate.machine.account import AccountMachine
from oncegate.machine.chart import SignInMachine
from oncegate.machine.context import (
    TIME_PASSED,
    GuardInputs,
    Policy,
    TransitionContext,
    Trigger,
)
from oncegate.machine.engine import CompiledChart
from oncegate.record import Flow
from oncegate.states import AccountState, AnyState, FlowState
from oncegate.ways_in import WaysIn

CHART: Final = CompiledChart(SignInMachine)
"""The table of the sign-in. It is immutable, and any number of threads may use it."""

ACCOUNT_CHART: Final = CompiledChart(AccountMachine)
"""The table of the account."""

USES_LIBRARY_ENGINE: Final = os.environ.get("ONCEGATE_CHART_ENGINE") == "library"

EVENTS: Final = tuple(
    dict.fromkeys(event.machine_event for event in (*EVENT_TYPES, *ACCOUNT_EVENT_TYPES))
)
"""The charts' events that come from users."""

_NO_POLICY = Policy()
_NO_INPUTS = GuardInputs()

_STANDING = frozenset(
    {
        "sign_in_was_rejected",
        "password_reset_is_offered",
        "sign_up_is_offered",
        "provider_is_offered",
        "second_factor_is_asked",
        "username_is_enough",
        "factor_is_offered",
        "code_was_delivered",
        "password_is_retained",
        "code_is_first_factor",
        "new_codes_remain",
        "authenticator_is_offered",
        "passkey_is_offered",
        "offer_is_due",
    }
)
"""Guards that depend on the flow and the settings: while one is closed, the event is not offered.

`offer_is_due` is closed here: the application sends that event, and not the user."""

_REASONS: Final = {
    "code_not_sent": "stale",
    "step_is_current": "stale",
    "answer_is_new": "already_tried",
    "factor_is_offered": "not_offered",
    "username_is_known": "username_missing",
    "sign_in_was_rejected": "not_allowed",
    "password_reset_is_offered": "not_allowed",
    "sign_up_is_offered": "not_allowed",
    "attributes_are_given": "attributes_missing",
    "password_is_given": "password_missing",
    "provider_is_offered": "not_offered",
    "state_matches": "not_this_sign_in",
    "username_is_enough": "not_allowed",
    "code_was_delivered": "not_allowed",
    "code_of_factor_is_due": "too_soon",
    "cooldown_is_over": "too_soon",
    "new_codes_remain": "no_more_codes",
    "budget_remains": "too_many_codes",
    "guesses_remain": "too_many_guesses",
    "user_is_the_same": "not_this_user",
    "sign_in_is_recent": "sign_in_again",
    "offer_is_due": "offered_before",
    "authenticator_is_offered": "not_offered",
    "passkey_is_offered": "not_offered",
}
"""What the user is told if a guard is closed."""

_OFFERED: Final[Mapping[AnyState, Any]] = {
    state: tuple(
        (
            event,
            tuple(
                (tuple(_STANDING.intersection(transition.guards)), transition.target)
                for transition in chart.transitions(state, event)
            ),
        )
        for event in dict.fromkeys(kind.machine_event for kind in kinds)
        if chart.transitions(state, event)
    )
    for chart, states, kinds in (
        (CHART, FlowState, EVENT_TYPES),
        (ACCOUNT_CHART, AccountState, ACCOUNT_EVENT_TYPES),
    )
    for state in states
}
"""For each state, its events in order, each with standing guards and target of its transitions."""


class NotAllowed(Exception):
    """No transition is enabled for the trigger: an event came too late, or an outcome fits no call.

    Nothing has changed.

    Attributes:
        reason: a message's code, such as ``stale``, ``already_tried`` or ``too_soon``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def chart_of(state: AnyState) -> CompiledChart[Any]:
    """Return the table of the machine that has a state."""
    return ACCOUNT_CHART if isinstance(state, AccountState) else CHART


def advance(
    flow: Flow,
    trigger: Trigger,
    *,
    now: float,
    expected_version: int | None = None,
    digest: str = "",
    policy: Policy = _NO_POLICY,
    inputs: GuardInputs = _NO_INPUTS,
) -> Flow:
    """Apply an event, an outcome or time to a flow.

    Args:
        flow: stays as it is.
        trigger: the event, outcome or time.
        now: seconds since the epoch.
        expected_version: version of the step that a user's event answers. None for outcomes and time.
        digest: keyed digest of the answer in the event.
        policy: the application's settings.
        inputs: the worker's answers to guards.

    Returns:
        The flow afterwards, as the next version.

    Raises:
        NotAllowed: no transition is enabled; the reason says what prevented it.
    """
    if flow.is_final:
        raise NotAllowed("signed_in" if flow.state is FlowState.AUTHENTICATED else "finished")
    context = TransitionContext(
        flow,
        trigger,
        now=now,
        expected_version=flow.version if expected_version is None else expected_version,
        digest=digest,
        policy=policy,
        inputs=inputs,
    )
    try:
        _run(context, trigger.machine_event)
    except TransitionNotAllowed:
        raise NotAllowed(_why_not(context, trigger.machine_event)) from None
    return context.finished()


def allowed_events(flow: Flow, ways_in: WaysIn = _NO_POLICY.ways_in) -> Mapping[str, AnyState]:
    """Return the events that the user may send to this flow, the main one first.

    Each has the state that it leads to, as far as the flow and the settings decide it: not the time,
    not the event's own fields, and not the limits of codes and guesses.
    """
    guards = chart_of(flow.state).bind(
        TransitionContext(
            flow,
            TIME_PASSED,
            now=0.0,
            expected_version=flow.version,
            digest="",
            policy=Policy(ways_in=ways_in),
            inputs=_NO_INPUTS,
        )
    )
    allowed = dict[str, FlowState]()
    for event, transitions in _OFFERED[flow.state]:
        for standing, target in transitions:
            for name in standing:
                if not getattr(guards, name)():
                    break
            else:
                allowed[event] = target  # the first transition that is enabled is taken
                break
    main = flow.challenge.main_event(flow) if flow.challenge else ""
    return {main: allowed[main], **allowed} if main in allowed else allowed


def _why_not(context: TransitionContext, event: str) -> str:
    """The first closed guard of the event's last transition, which is the general one."""
    flow, chart = context.flow, chart_of(context.flow.state)
    guards = chart.bind(context)
    transitions = chart.transitions(flow.state, event) if event in EVENTS else ()
    for name in transitions[-1].guards if transitions else ():
        if not getattr(guards, name)():
            return _REASONS[name]
    if flow.is_in_flight:
        return "in_flight"
    return "stale" if context.expected_version < flow.version else "not_allowed"


def _run(context: TransitionContext, event: str) -> None:
    if USES_LIBRARY_ENGINE:
        _library_machine(context).send(event)
    else:
        chart_of(context.state).run(context, event)


_of_thread = threading.local()

# The library parses the guards' expressions for each machine. In CPython before 3.11.8 and 3.12.2,
# parsing in two threads at once can raise SystemError (https://github.com/python/cpython/issues/106905).
_making_a_machine = threading.Lock()


class _CurrentContext:
    """The model of a library's machine: whatever context it works on at the moment."""

    def __init__(self, context: TransitionContext) -> None:
        self.context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)

    @property
    def state(self) -> AnyState:
        return self.context.state

    @state.setter
    def state(self, state: AnyState) -> None:
        self.context.state = state


def _library_machine(context: TransitionContext) -> StateChart[Any]:
    # A machine takes 10 ms to make, so each thread keeps one of each chart until a final state stops it.
    chart = chart_of(context.state).chart
    machines: dict[type, StateChart[Any]] = vars(_of_thread).setdefault("machines", {})
    machine = machines.get(chart)
    if machine is None or machine.is_terminated:
        with _making_a_machine:
            machine = machines[chart] = chart(_CurrentContext(context))
    machine.model.context = context
    return machine
