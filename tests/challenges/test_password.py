"""The password: first factor, and answer to PASSWORD and PASSWORD_SRP."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from tests.challenges.helpers import SECRET, action, assert_hidden, call_of, messages, refusal
from tests.doubles import password
from tests.flows import AT_REST, INPUTS, KEY, NOW, asks, walk

from oncegate import Event, Factor, FlowState, SubmitPassword, SubmitUsername
from oncegate.adapters import (
    CheckPassword,
    FactorChoice,
    PasswordChallenge,
    StartSignIn,
    parse_event,
)
from oncegate.machine.advance import advance
from oncegate.record import Flow

ALONE = SubmitPassword(password=SECRET)


def test_challenge_waits_in_awaiting_password() -> None:
    assert walk(password(), asks(PasswordChallenge)).state is FlowState.AWAITING_PASSWORD


def test_username_is_stripped_and_password_is_not() -> None:
    event = parse_event({"type": "submit_password", "username": " ana ", "password": " x "})
    assert isinstance(event, SubmitPassword)
    assert (event.username, event.password.get_secret_value()) == ("ana", " x ")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "password"),
        ({"password": ""}, "password"),
        ({"password": "hunter2!" * 33}, "password"),
        ({"password": SECRET, "username": ""}, "username"),
        ({"password": SECRET, "username": " \t "}, "username"),
        ({"password": SECRET, "username": "a" * 129}, "username"),
        ({"password": SECRET, "username": {"$ne": ""}}, "username"),
        ({"password": SECRET, "remember_me": "always"}, "remember_me"),
    ],
)
def test_invalid_field_is_named(fields: dict[str, object], field: str) -> None:
    assert f"submit_password.{field}: " in refusal("submit_password", **fields)


def test_longest_username_and_password_are_accepted() -> None:
    event = parse_event({"type": "submit_password", "username": "a" * 128, "password": "p" * 256})
    assert event.type == "submit_password"


def test_form_has_username_and_password_when_idle() -> None:
    main = action(Flow(username="ana"), "submit_password")
    assert main.label == "Sign in"
    name, secret = main.fields
    assert (name.name, name.label, name.autocomplete) == ("username", "Username", "username")
    assert (name.value, name.secret) == ("ana", False)
    assert (secret.name, secret.label, secret.type) == ("password", "Password", "password")
    assert (secret.value, secret.secret, secret.autocomplete) == ("", True, "current-password")


def test_form_has_the_password_alone_when_cognito_asks_for_it() -> None:
    (field,) = action(AT_REST[FlowState.AWAITING_PASSWORD], "submit_password").fields
    assert field.name == "password"


def test_call_names_user_challenge_and_device_and_can_send() -> None:
    flow = walk(password(SECRET), inputs=INPUTS)
    call = call_of(flow, password(SECRET), password=SecretStr(SECRET))
    assert isinstance(call, CheckPassword)
    assert (call.username, call.challenge, call.device_key) == ("ana", None, KEY)
    assert call.password.get_secret_value() == SECRET
    assert CheckPassword.can_send
    assert_hidden(SECRET, ALONE, call, flow)


def test_call_answers_the_challenge_that_asked() -> None:
    for asked in (
        walk(password(), asks(PasswordChallenge)),
        AT_REST[FlowState.AWAITING_PASSWORD],
    ):
        call = call_of(walk(ALONE, flow=asked), ALONE, password=ALONE.first_factor)
        assert isinstance(call, CheckPassword)
        assert isinstance(call.challenge, PasswordChallenge | FactorChoice)
        assert call.challenge == asked.challenge


def test_call_starts_with_the_session_of_a_confirmed_sign_up() -> None:
    session = SecretStr("session of the sign-up")
    flow = walk(password(), inputs=INPUTS).model_copy(update={"start_session": session})
    call = call_of(flow, password())
    assert call == StartSignIn(username="ana", session=session, device_key=KEY)
    assert_hidden("session of", call, flow)


def test_retained_password_is_used_when_the_event_brings_none() -> None:
    flow = walk(password()).model_copy(update={"retained_password": SecretStr(SECRET)})
    call = call_of(flow, password())
    assert isinstance(call, CheckPassword)
    assert call.password.get_secret_value() == SECRET


def test_rejection_is_about_username_or_password() -> None:
    for flow in (walk(password()), walk(ALONE, flow=AT_REST[FlowState.AWAITING_PASSWORD])):
        assert messages(flow) == {"wrong_credentials": "wrong_credentials"}


# ── another username in the same flow ──

CHOSEN = {
    "remember_device": True,
    "factor": Factor.SMS,
    "preselected_factor": Factor.EMAIL,
}


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("event", [password(username="bob"), SubmitUsername(username="bob")])
def test_choice_of_one_user_is_forgotten_with_the_username(name: str, event: Event) -> None:
    flow = Flow(username="ana", is_passwordless=True, **{name: CHOSEN[name]})
    assert getattr(advance(flow, event, now=NOW), name) is None


@pytest.mark.parametrize("name", ["remember_device", "preselected_factor"])
@pytest.mark.parametrize("spelling", ["ana", " ana"])
def test_choice_is_kept_for_the_same_user(name: str, spelling: str) -> None:
    flow = Flow(username="ana", **{name: CHOSEN[name]})
    assert getattr(advance(flow, password(username=spelling), now=NOW), name) == CHOSEN[name]


@pytest.mark.parametrize("name", ["remember_device", "preselected_factor"])
def test_choice_is_forgotten_for_a_user_spelled_alike(name: str) -> None:
    """In a pool whose names are case-sensitive, that is another user."""
    flow = Flow(username="ana", **{name: CHOSEN[name]})
    assert getattr(advance(flow, password(username="ANA"), now=NOW), name) is None
