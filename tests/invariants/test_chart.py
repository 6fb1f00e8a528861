"""Structural invariants: rules over the chart itself, so that they hold for transitions not written yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

import pytest
from pydantic import SecretStr
from statemachine import Event as ChartEvent
from statemachine.transition import Transition
from tests.flows import FLOWS, INPUTS, KEY, NOW, POLICY, TRIGGERS

from oncegate import FlowState
from oncegate.adapters import EVENT_TYPES, Device, Outcome, SendCode
from oncegate.challenges import InMemory, call_for
from oncegate.machine.advance import NotAllowed, advance
from oncegate.machine.chart import SignInMachine
from oncegate.states import FINAL, IN_FLIGHT

USER_EVENTS = {event.machine_event for event in EVENT_TYPES}
STEP_GUARDS = {"step_is_current", "code_not_sent"}
OUTCOMES = {outcome.machine_event for outcome in get_args(Outcome)}
DEVICE_CALLS = {
    FlowState.REGISTERING_DEVICE: {"registered"},
    FlowState.REMEMBERING_DEVICE: {"remembered"},
}
"""The calls that are accepted by an outcome of their own."""


def transitions(chart: Any = SignInMachine) -> list[Transition]:
    return [transition for state in chart.states for transition in state.transitions]


def guards(transition: Transition) -> set[str]:
    return {name for spec in transition.cond for name in str(spec).split(" and ")}


def events(transition: Transition) -> set[str]:
    return {str(event) for event in transition.events}


def target(transition: Transition) -> FlowState:
    assert transition.target is not None
    return FlowState(transition.target.value)


def starts_a_call(transition: Transition) -> bool:
    return bool(events(transition) & USER_EVENTS) and target(transition) in IN_FLIGHT


def calls_of(transition: Transition) -> set[type]:
    """The calls that a user's event leads to by this transition, found by making it happen."""
    found = set()
    retained = {"retained_password": SecretStr("p"), "is_passwordless": True}
    device = Device(username="u", key=KEY, group_key="g", password=SecretStr("p"))
    for flow in (flow for flow in FLOWS.values() if flow.state is transition.source.value):
        for changed in (flow, flow.model_copy(update=retained)):
            for trigger in TRIGGERS.values():
                if trigger.machine_event not in events(transition):
                    continue
                try:
                    after = advance(
                        changed, trigger, now=NOW, digest="d", policy=POLICY, inputs=INPUTS
                    )
                except NotAllowed:
                    continue
                if after.state is target(transition):
                    memory = InMemory(event=trigger, password=trigger.first_factor, device=device)
                    found.add(type(call_for(after, memory)))
    return found


# ── the rules: each returns what breaks it ──


def calls_without_the_step_guard(chart: Any) -> list[Transition]:
    return [t for t in transitions(chart) if starts_a_call(t) and not guards(t) & STEP_GUARDS]


def user_events_without_the_step_guard(chart: Any) -> list[Transition]:
    return [
        t for t in transitions(chart) if events(t) & USER_EVENTS and not guards(t) & STEP_GUARDS
    ]


def sending_calls_without_their_guards(chart: Any) -> list[Transition]:
    return [
        t
        for t in transitions(chart)
        if starts_a_call(t)
        and any(call.can_send for call in calls_of(t))  # type: ignore[attr-defined]
        and not {"code_not_sent", "budget_remains"} <= guards(t)
    ]


def outcomes_not_handled(chart: Any) -> list[tuple[FlowState, str]]:
    missing = []
    for state in chart.states:
        if state.value in IN_FLIGHT:
            accepted = DEVICE_CALLS.get(state.value, {"accepted"})
            expected = {"rejected", "not_sent", "unknown", "time_passed"} | accepted
            handled = {event for t in state.transitions for event in events(t)}
            missing += [(state.value, event) for event in expected - handled]
    return missing


def repeated_calls(chart: Any) -> list[Transition]:
    """Transitions from one call to the same one, or back to the first factor.

    A call may follow another one's acceptance, which is a new challenge, but never a rejection or an
    unknown outcome.
    """
    ends = OUTCOMES - {"accepted", "registered", "remembered"} | {"time_passed"}
    return [
        t
        for t in transitions(chart)
        if events(t) & ends and target(t) in IN_FLIGHT and "device_is_forgotten" not in guards(t)
    ]


def states_without_a_way_on(chart: Any) -> list[FlowState]:
    return [
        FlowState(state.value)
        for state in chart.states
        if state.value not in FINAL
        and state.value is not FlowState.DECIDING
        and not any(events(t) & (USER_EVENTS | {"time_passed"}) for t in state.transitions)
    ]


def new_codes_without_their_guards(chart: Any) -> list[Transition]:
    needed = {"code_not_sent", "cooldown_is_over", "new_codes_remain", "budget_remains"}
    return [
        t for t in transitions(chart) if "request_new_code" in events(t) and not needed <= guards(t)
    ]


RULES: list[Callable[[Any], list[Any]]] = [
    calls_without_the_step_guard,
    user_events_without_the_step_guard,
    sending_calls_without_their_guards,
    outcomes_not_handled,
    repeated_calls,
    states_without_a_way_on,
    new_codes_without_their_guards,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_chart_keeps_the_rule(rule: Callable[[Any], list[Any]]) -> None:
    assert rule(SignInMachine) == []


def test_every_transition_into_a_call_is_taken_by_a_flow_that_tests_know() -> None:
    """So that a transition which is not written yet cannot escape the rule about sending calls."""
    unknown = [t for t in transitions() if starts_a_call(t) and not calls_of(t)]
    assert unknown == []


# ── a chart that breaks a rule is noticed ──


@contextmanager
def changed(
    state_id: str, change: Callable[[list[Transition]], list[Transition]]
) -> Iterator[None]:
    """Change the transitions out of a state, for as long as the block lasts."""
    state = next(state for state in SignInMachine.states if state.id == state_id)
    before = [*state.transitions]
    try:
        state.transitions.transitions[:] = change(before)
        yield
    finally:
        state.transitions.transitions[:] = before


@pytest.mark.parametrize(
    ("rule", "source", "to", "event", "more"),
    [
        (calls_without_the_step_guard, "awaiting_mfa", "checking_answer", "submit_code", {}),
        (user_events_without_the_step_guard, "awaiting_mfa", "idle", "cancel", {}),
        (
            sending_calls_without_their_guards,
            "awaiting_mfa",
            "requesting_challenge",
            "submit_username",
            {"cond": "code_not_sent"},
        ),
        (repeated_calls, "checking_password", "checking_password", "unknown", {}),
        (
            repeated_calls,
            "checking_device",
            "checking_password",
            "rejected",
            {"cond": "first_factor_is_at_hand"},
        ),
        (new_codes_without_their_guards, "setting_up_totp", "idle", "request_new_code", {}),
    ],
)
def test_transition_that_breaks_the_rule_is_noticed(
    rule: Callable[[Any], list[Any]],
    source: str,
    to: str,
    event: str,
    more: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_id = {state.id: state for state in SignInMachine.states}
    new = Transition(by_id[source], by_id[to], event=event, **more)
    known = calls_of
    # No flow of the tests takes the new transition, so its call is one that can send.
    monkeypatch.setitem(globals(), "calls_of", lambda t: {SendCode} if t is new else known(t))
    with changed(source, lambda before: [*before, new]):
        assert rule(SignInMachine) == [new]
    assert rule(SignInMachine) == []


def test_state_that_ignores_an_outcome_is_noticed() -> None:
    with changed("checking_password", lambda ts: [t for t in ts if "unknown" not in events(t)]):
        assert outcomes_not_handled(SignInMachine) == [(FlowState.CHECKING_PASSWORD, "unknown")]
    with changed("awaiting_mfa", lambda _: []):
        assert states_without_a_way_on(SignInMachine) == [FlowState.AWAITING_MFA]


def test_every_event_of_the_chart_is_one_of_the_three_kinds() -> None:
    named: set[str] = {
        str(event) for event in SignInMachine._events if isinstance(event, ChartEvent)
    }
    assert named == USER_EVENTS | OUTCOMES | {"time_passed"}


def test_cooldowns_only_grow() -> None:
    """Every way in which the flow's cooldown is written keeps the later of two times."""
    for flow in FLOWS.values():
        later = flow.model_copy(update={"new_code_at": NOW + 1e7})
        for trigger in TRIGGERS.values():
            try:
                after = advance(later, trigger, now=NOW, digest="d", policy=POLICY, inputs=INPUTS)
            except (NotAllowed, AssertionError):
                continue
            assert after.new_code_at == NOW + 1e7, f"{flow.state}, {trigger.machine_event}"
