"""Structural invariants of the account chart: rules that hold for transitions not written yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
from pydantic import SecretStr
from statemachine import Event as ChartEvent
from statemachine.transition import Transition
from tests.flows import ACCOUNT_FLOWS, ACCOUNT_TRIGGERS, NOW, OWN_INPUTS, OWNER, POLICY

from oncegate.adapters import Outcome
from oncegate.challenges import ACCOUNT_EVENT_TYPES, InMemory, SignedIn, call_for
from oncegate.machine.account import AccountMachine
from oncegate.machine.advance import NotAllowed, advance
from oncegate.states import FINAL, IN_FLIGHT, AccountState

USER_EVENTS = {event.machine_event for event in ACCOUNT_EVENT_TYPES}
OUTCOMES = {"accepted", "rejected", "not_sent", "unknown"}
STEP_GUARDS = {"step_is_current", "code_not_sent"}
SENDING_GUARDS = {"code_not_sent", "cooldown_is_over", "new_codes_remain", "budget_remains"}
CREDENTIAL_EVENTS = {
    *("add_authenticator", "add_passkey", "remove_passkey", "use_factor"),
    *("submit_address", "change_password", "delete_account"),
}
"""What adds, changes or removes something that signs the user in, or the account itself."""

OTHER_EVENTS = {
    *("submit_code", "submit_passkey", "request_new_code", "cancel"),
    *("forget_device", "sign_out_everywhere", "offer_factor"),
}
"""What goes on with a change that was begun, gives it up, asks, or only takes rights away."""

SIGNED_IN = SignedIn(
    access_token=SecretStr("token"), username="u", sub=OWNER, signed_in_at=NOW, is_recent=True
)


def transitions() -> list[Transition]:
    return [one for state in AccountMachine.states for one in state.transitions]


def guards(transition: Transition) -> set[str]:
    return {name for spec in transition.cond for name in str(spec).split(" and ")}


def events(transition: Transition) -> set[str]:
    return {str(event) for event in transition.events}


def target(transition: Transition) -> AccountState:
    assert transition.target is not None
    return AccountState(transition.target.value)


def starts_a_call(transition: Transition) -> bool:
    return bool(events(transition) & USER_EVENTS) and target(transition) in IN_FLIGHT


def calls_of(transition: Transition) -> set[Any]:
    """The calls that a user's event leads to by this transition, found by making it happen."""
    found = set()
    for flow in ACCOUNT_FLOWS.values():
        for trigger in ACCOUNT_TRIGGERS.values():
            is_taken = flow.state is transition.source.value and trigger.machine_event in events(
                transition
            )
            if not is_taken:
                continue
            try:
                after = advance(
                    flow, trigger, now=NOW, digest="d", policy=POLICY, inputs=OWN_INPUTS
                )
            except NotAllowed:
                continue
            if after.state is target(transition):
                found.add(type(call_for(after, InMemory(event=trigger, signed_in=SIGNED_IN))))
    return found


# ── the rules: each returns what breaks it ──


def events_of_any_user() -> list[Transition]:
    return [
        t for t in transitions() if events(t) & USER_EVENTS and "user_is_the_same" not in guards(t)
    ]


def events_of_any_step() -> list[Transition]:
    return [t for t in transitions() if events(t) & USER_EVENTS and not guards(t) & STEP_GUARDS]


def credentials_after_an_old_sign_in() -> list[Transition]:
    return [
        t
        for t in transitions()
        if events(t) & CREDENTIAL_EVENTS and "sign_in_is_recent" not in guards(t)
    ]


def sending_calls_without_their_guards() -> list[Transition]:
    return [
        t
        for t in transitions()
        if starts_a_call(t)
        and any(call.can_send for call in calls_of(t))
        and not guards(t) >= SENDING_GUARDS
    ]


def unknown_calls() -> list[Transition]:
    """Transitions that no flow of the tests takes, so that the rule above could not see their call."""
    return [t for t in transitions() if starts_a_call(t) and not calls_of(t)]


def outcomes_that_start_a_call() -> list[Transition]:
    ends = OUTCOMES | {"time_passed"}
    return [t for t in transitions() if events(t) & ends and target(t) in IN_FLIGHT]


def outcomes_not_handled() -> list[tuple[AccountState, str]]:
    """An in-flight state whose last transition for an outcome has a condition, or that has none."""
    missing = []
    for state in (one for one in AccountMachine.states if one.value in IN_FLIGHT):
        for event in OUTCOMES | {"time_passed"}:
            taken = [t for t in state.transitions if event in events(t)]
            is_handled = bool(taken) and (event == "time_passed" or not guards(taken[-1]))
            missing += [] if is_handled else [(state.value, event)]
    return missing


def states_without_a_way_on() -> list[AccountState]:
    return [
        state.value
        for state in AccountMachine.states
        if state.value not in {*FINAL, AccountState.SETTLING}
        and not any(events(t) & (USER_EVENTS | {"time_passed"}) for t in state.transitions)
    ]


def junctions_that_can_be_rested_in() -> list[AccountState]:
    """A junction is never stored, so its last transition has no condition."""
    junction = next(one for one in AccountMachine.states if one.value is AccountState.SETTLING)
    ways_out = [t for t in junction.transitions if not events(t)]
    return [] if ways_out and not guards(ways_out[-1]) else [AccountState.SETTLING]


RULES: list[Callable[[], list[Any]]] = [
    events_of_any_user,
    events_of_any_step,
    credentials_after_an_old_sign_in,
    sending_calls_without_their_guards,
    unknown_calls,
    outcomes_that_start_a_call,
    outcomes_not_handled,
    states_without_a_way_on,
    junctions_that_can_be_rested_in,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_account_chart_keeps_the_rule(rule: Callable[[], list[Any]]) -> None:
    assert rule() == []


@pytest.mark.parametrize(
    ("rule", "source", "to", "event"),
    [
        (events_of_any_user, "managing", "changing", "forget_device"),
        (events_of_any_step, "confirming_address", "managing", "cancel"),
        (credentials_after_an_old_sign_in, "managing", "changing", "change_password"),
        (sending_calls_without_their_guards, "managing", "requesting_setup", "submit_address"),
        (unknown_calls, "confirming_authenticator", "requesting_setup", "request_new_code"),
        (outcomes_that_start_a_call, "requesting_setup", "changing", "unknown"),
    ],
)
def test_transition_that_breaks_the_rule_is_noticed(
    rule: Callable[[], list[Any]], source: str, to: str, event: str
) -> None:
    by_id = {state.id: state for state in AccountMachine.states}
    kept = by_id[source].transitions.transitions
    new = Transition(by_id[source], by_id[to], event=event)
    kept.append(new)
    try:
        assert rule() == [new]
    finally:
        kept.remove(new)
    assert rule() == []


def test_state_that_ignores_an_outcome_is_noticed() -> None:
    state = next(one for one in AccountMachine.states if one.id == "changing")
    before = [*state.transitions]
    state.transitions.transitions[:] = [t for t in before if "unknown" not in events(t)]
    try:
        assert outcomes_not_handled() == [(AccountState.CHANGING, "unknown")]
    finally:
        state.transitions.transitions[:] = before


def test_junction_whose_last_transition_has_a_condition_is_noticed() -> None:
    junction = next(one for one in AccountMachine.states if one.value is AccountState.SETTLING)
    before = [*junction.transitions]
    junction.transitions.transitions[:] = before[:-1]
    try:
        assert junctions_that_can_be_rested_in() == [AccountState.SETTLING]
    finally:
        junction.transitions.transitions[:] = before


def test_every_event_is_of_one_kind() -> None:
    """An event that is added has to be sorted here, into those of a recent sign-in or the others."""
    assert CREDENTIAL_EVENTS | OTHER_EVENTS == USER_EVENTS
    assert not CREDENTIAL_EVENTS & OTHER_EVENTS
    named = {str(one) for one in AccountMachine._events if isinstance(one, ChartEvent)}
    assert named == USER_EVENTS | OUTCOMES | {"time_passed"}
    assert {outcome.machine_event for outcome in get_args(Outcome)} >= OUTCOMES


def test_cooldowns_of_the_account_only_grow() -> None:
    for flow in ACCOUNT_FLOWS.values():
        later = flow.model_copy(update={"new_code_at": NOW + 1e7})
        for trigger in ACCOUNT_TRIGGERS.values():
            try:
                after = advance(
                    later, trigger, now=NOW, digest="d", policy=POLICY, inputs=OWN_INPUTS
                )
            except (NotAllowed, AssertionError):
                continue
            assert after.new_code_at == NOW + 1e7, f"{flow.state}, {trigger.machine_event}"
