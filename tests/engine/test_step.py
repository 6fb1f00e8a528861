"""Steps: enough to draw a page from, and never a secret."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from tests.doubles import a_text, password, the_tokens
from tests.flows import AT_REST

from oncegate import Event, FlowState, Step
from oncegate.adapters import (
    TEXTS,
    ChallengeIssued,
    FactorChoice,
    NewPasswordChallenge,
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


def test_wrong_password_and_unknown_user_share_one_text() -> None:
    assert "exist" not in " ".join(TEXTS.values())
    assert TEXTS["message.wrong_credentials"] == "Incorrect username or password."


def test_what_a_step_allows_is_what_the_chart_allows() -> None:
    by_value = {state.value: state for state in SignInMachine.states}
    for flow in AT_REST.values():
        step = step_of(FLOW_ID, flow)
        leads_on = {name for t in by_value[flow.state].transitions for name in str(t.event).split()}
        hidden = leads_on & set(EVENTS) - set(step.events)
        # What stands in the way of these is known before anybody asks.
        assert hidden <= {"submit_username", "request_new_code"}
        assert set(step.events) <= leads_on


def test_the_fields_are_those_of_the_main_action() -> None:
    for flow in AT_REST.values():
        step = step_of(FLOW_ID, flow)
        names = {field.name.partition(".")[0] for field in step.fields}
        (model,) = [model for model in get_args(Event) if model.machine_event == step.events[0]]
        assert names <= set(model.model_fields), step.state


def test_every_action_has_its_event_label_and_fields() -> None:
    types = {model.machine_event: model for model in get_args(Event)}
    for flow in AT_REST.values():
        step = step_of(FLOW_ID, flow)
        assert [action.event for action in step.actions] == list(step.events)
        assert [action.is_main for action in step.actions] == [
            number == 0 for number in range(len(step.actions))
        ]
        for action in step.actions:
            assert action.label == TEXTS[action.label_code]
            names = {field.name.partition(".")[0] for field in action.fields}
            assert names <= set(types[action.event].model_fields)
            required = {n for n, f in types[action.event].model_fields.items() if f.is_required()}
            assert required <= names, f"{step.state}: {action.event} cannot be filled in"


def test_action_says_when_it_becomes_available() -> None:
    flow = AT_REST[FlowState.AWAITING_MFA].model_copy(update={"new_code_at": 1030.0})
    available = {a.event: a.available_at for a in step_of(FLOW_ID, flow).actions}
    assert available["submit_code"] is None
    assert available["request_new_code"] is not None
    assert available["request_new_code"].timestamp() == 1030.0


def test_every_state_has_a_title_of_its_own() -> None:
    titles = {step_of(FLOW_ID, flow).title for flow in AT_REST.values()}
    assert len(titles) == len(AT_REST)
    for kind, title in {
        "SMS_MFA": "Check your phone",
        "EMAIL_OTP": "Check your email",
        "SOFTWARE_TOKEN_MFA": "Enter the code from your app",
    }.items():
        assert at(a_text(kind=kind)).title == title


def test_translated_step_has_no_english_left() -> None:
    for flow in AT_REST.values():
        step = step_of(FLOW_ID, flow, reason="stale").translated(lambda code: f"<{code}>")
        texts = [step.title, *(action.label for action in step.actions)]
        texts += [field.label for action in step.actions for field in action.fields]
        texts += [c.label for a in step.actions for field in a.fields for c in field.choices]
        texts += [told.text for told in (step.message, step.reason) if told]
        assert all(text.startswith("<") for text in texts), texts


def test_step_of_json_has_the_actions_and_no_secret_of_ours() -> None:
    data = at(a_text()).model_dump(mode="json")
    assert data["events"] == [action["event"] for action in data["actions"]]
    assert data["fields"] == data["actions"][0]["fields"]
    assert "label_code" not in str(data)
