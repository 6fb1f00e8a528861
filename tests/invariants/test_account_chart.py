"""Structural invariants of the account chart: rules that hold for transitions not written yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
OFFER_GUARDS = {"authenticator_is_offered", "passkey_is_offered"}
NOT_WAITING = {AccountState.MANAGING, AccountState.SETTLING}
"""States in which no challenge waits for the user."""

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


def offers_without_their_guards() -> list[Transition]:
    """An offer has to be due, and what is set up from one has to be in it."""
    offering = AccountState.OFFERING_FACTOR
    return [
        t
        for t in transitions()
        if (starts_a_call(t) and t.source.value is offering and not guards(t) & OFFER_GUARDS)
        or ("offer_factor" in events(t) and "offer_is_due" not in guards(t))
    ]


def setups_that_cannot_be_left() -> list[tuple[AccountState, str]]:
    """A challenge that waits for the user can be given up, and ends in time."""
    waiting = {one for one in AccountState if one not in {*FINAL, *IN_FLIGHT, *NOT_WAITING}}
    return [
        (state.value, event)
        for state in AccountMachine.states
        for event in ("cancel", "time_passed")
        if state.value in waiting and not any(event in events(t) for t in state.transitions)
    ]


def revoked_tokens_not_noticed() -> list[AccountState]:
    """Whatever call Cognito rejects because the token has ended, the flow is closed first of all."""
    return [
        state.value
        for state in AccountMachine.states
        if state.value in IN_FLIGHT
        and guards(next(t for t in state.transitions if "rejected" in events(t)))
        != {"access_has_ended"}
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
    offers_without_their_guards,
    setups_that_cannot_be_left,
    revoked_tokens_not_noticed,
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
        (offers_without_their_guards, "offering_factor", "requesting_setup", "add_passkey"),
        (offers_without_their_guards, "managing", "finding_factors", "offer_factor"),
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


@contextmanager
def _only(state_id: str, keep: Callable[[Transition], bool]) -> Iterator[None]:
    """Take transitions out of a state."""
    state = next(one for one in AccountMachine.states if one.id == state_id)
    before = [*state.transitions]
    state.transitions.transitions[:] = [t for t in before if keep(t)]
    try:
        yield
    finally:
        state.transitions.transitions[:] = before


def test_state_that_ignores_an_outcome_is_noticed() -> None:
    with _only("changing", lambda t: "unknown" not in events(t)):
        assert outcomes_not_handled() == [(AccountState.CHANGING, "unknown")]


@pytest.mark.parametrize("event", ["cancel", "time_passed"])
def test_offer_that_cannot_be_left_is_noticed(event: str) -> None:
    with _only("offering_factor", lambda t: event not in events(t)):
        assert setups_that_cannot_be_left() == [(AccountState.OFFERING_FACTOR, event)]


def test_state_that_does_not_notice_a_revoked_token_is_noticed() -> None:
    with _only("finding_factors", lambda t: "access_has_ended" not in guards(t)):
        assert revoked_tokens_not_noticed() == [AccountState.FINDING_FACTORS]


def test_junction_whose_last_transition_has_a_condition_is_noticed() -> None:
    with _only("settling", lambda t: bool(guards(t))):
        assert junctions_that_can_be_rested_in() == [AccountState.SETTLING]


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
