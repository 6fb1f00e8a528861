"""Steps: enough to draw a page from, and never a secret."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from tests.doubles import a_text, password, the_tokens
from tests.engine.test_machine import AT_REST

from oncegate import Event, FlowState, Step
from oncegate.adapters import (
    TEXTS,
    ChallengeIssued,
    FactorChoice,
    NewPasswordChallenge,
    RejectionReason,
)
from oncegate.driver.script import EXPIRED
from oncegate.machine.advance import EVENTS, advance
from oncegate.machine.chart import SignInMachine
from oncegate.record import Flow
from oncegate.step import step_of

FLOW_ID = "A" * 32


def at(*outcomes: ChallengeIssued) -> Step:
    flow = advance(Flow(), password(), now=0)
    for outcome in outcomes:
        flow = advance(flow, outcome, now=0)
    return step_of(FLOW_ID, flow)


def test_the_password_page() -> None:
    step = step_of(FLOW_ID, Flow())
    username, secret = step.fields
    assert (username.name, username.autocomplete, username.secret) == (
        "username",
        "username",
        False,
    )
    assert (secret.type, secret.autocomplete, secret.secret) == (
        "password",
        "current-password",
        True,
    )
    assert step.events == ("submit_password", "cancel")


@pytest.mark.parametrize(
    ("kind", "digits"), [("SMS_MFA", 6), ("EMAIL_OTP", 8), ("SOFTWARE_TOKEN_MFA", 6)]
)
def test_the_code_page(kind: str, digits: int) -> None:
    step = at(a_text(kind=kind))
    (field,) = step.fields
    assert (field.name, field.autocomplete, field.inputmode) == ("code", "one-time-code", "numeric")
    assert field.pattern is not None
    assert re.fullmatch(field.pattern, "1" * digits)
    assert not re.fullmatch(field.pattern, "1" * (digits + 1))
    assert (step.challenge, step.challenge_id, step.attempts_left) == (kind, 2, 5)


def test_the_choice_page() -> None:
    choice = FactorChoice.model_validate(
        {"session": "s" * 40, "username": "u", "factors": ["SMS_MFA", "SOFTWARE_TOKEN_MFA"]}
    )
    (field,) = at(ChallengeIssued(challenge=choice)).fields
    assert [(c.value, c.label) for c in field.choices] == [
        ("SMS_MFA", "Text message"),
        ("SOFTWARE_TOKEN_MFA", "Authenticator app"),
    ]


def test_the_new_password_page() -> None:
    challenge = NewPasswordChallenge.model_validate(
        {"session": "s" * 40, "username": "u", "required_attributes": ["email", "custom:team_name"]}
    )
    new, email, team = at(ChallengeIssued(challenge=challenge)).fields
    assert (new.type, new.autocomplete, new.secret) == ("password", "new-password", True)
    assert (email.name, email.type, email.inputmode) == ("attributes.email", "email", "email")
    assert (team.name, team.label) == ("attributes.custom:team_name", "Team name")


def test_an_expired_flow() -> None:
    step = step_of(FLOW_ID, EXPIRED)
    assert (step.state, step.events, step.fields) == (FlowState.FAILED, (), ())


def test_the_step_that_hands_tokens_over_hides_them() -> None:
    tokens = the_tokens().tokens
    step = step_of(FLOW_ID, Flow(state=FlowState.AUTHENTICATED), tokens=tokens)
    for text in (repr(step), str(step), step.model_dump_json(), str(step.model_dump())):
        assert tokens.access_token not in text
        assert "refresh" not in text
    assert FLOW_ID not in repr(step), "a flow id opens the record, so it is not in a repr"


def test_no_step_shows_a_session() -> None:
    step = at(a_text("a-secret-session-of-cognito"))
    assert "a-secret-session" not in f"{step!r} {step.model_dump_json()}"


def test_every_message_the_machine_can_leave_has_words() -> None:
    for refusal in RejectionReason:
        assert TEXTS[refusal.value]
    for code in ("outcome_unknown", "challenge_expired", "too_many_wrong_codes", "cancelled"):
        assert TEXTS[code]


def test_a_wrong_password_and_an_unknown_user_share_their_words() -> None:
    assert "exist" not in " ".join(TEXTS.values())
    assert TEXTS["wrong_credentials"] == "The username or the password is not right."


def test_what_a_step_allows_is_what_the_chart_allows() -> None:
    by_value = {state.value: state for state in SignInMachine.states}
    for flow in AT_REST.values():
        step = step_of(FLOW_ID, flow)
        leads_on = {name for t in by_value[flow.state].transitions for name in str(t.event).split()}
        hidden = leads_on & set(EVENTS) - set(step.events)
        # What stands in the way of these is known before anybody asks.
        assert hidden <= {"submit_username", "request_new_code"}
        assert set(step.events) <= leads_on


def test_the_fields_are_those_of_the_first_event() -> None:
    for flow in AT_REST.values():
        step = step_of(FLOW_ID, flow)
        names = {field.name.partition(".")[0] for field in step.fields}
        (model,) = [model for model in get_args(Event) if model.machine_event == step.events[0]]
        assert names <= set(model.model_fields), step.state
