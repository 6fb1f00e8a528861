"""The username alone: how a sign-in without a password begins."""

from __future__ import annotations

import pytest
from tests.challenges.helpers import SECRET, action, assert_hidden, call_of, messages, refusal
from tests.flows import INPUTS, KEY, walk

from oncegate import Factor, FlowState, SubmitUsername
from oncegate.adapters import StartSignIn, parse_event
from oncegate.record import Flow

START = Flow(is_passwordless=True, username="ana")
EVENT = SubmitUsername(username="ana", preferred=Factor.EMAIL, access_token=SECRET)


def test_username_is_stripped() -> None:
    event = parse_event({"type": "submit_username", "username": " ana\n", "preferred": "SMS_OTP"})
    assert event == SubmitUsername(username="ana", preferred=Factor.SMS_OTP)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "username"),
        ({"username": "  "}, "username"),
        ({"username": "a" * 129}, "username"),
        ({"username": "ana", "preferred": "CARRIER_PIGEON"}, "preferred"),
        ({"username": "ana", "access_token": "t" * 16385}, "access_token"),
        ({"username": "ana", "password": SECRET}, "password"),
    ],
)
def test_invalid_field_is_named(fields: dict[str, object], field: str) -> None:
    assert f"submit_username.{field}: " in refusal("submit_username", **fields)


def test_form_has_the_username_and_is_filled_in() -> None:
    main = action(START, "submit_username")
    (field,) = main.fields
    assert (main.label, main.is_main) == ("Continue", True)
    assert (field.name, field.label, field.value) == ("username", "Username", "ana")
    assert field.autocomplete == "username"


def test_action_is_absent_when_the_transport_needs_a_password() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        action(Flow(), "submit_username")


def test_call_takes_the_event_and_the_device_and_can_send() -> None:
    flow = walk(EVENT, flow=START, inputs=INPUTS)
    call = call_of(flow, EVENT)
    assert flow.state is FlowState.REQUESTING_CHALLENGE
    assert isinstance(call, StartSignIn)
    assert (call.username, call.preferred, call.device_key) == ("ana", Factor.EMAIL, KEY)
    assert call.access_token is not None
    assert call.access_token.get_secret_value() == SECRET
    assert StartSignIn.can_send
    assert_hidden(SECRET, EVENT, call, flow)


def test_event_answers_nothing_and_brings_no_first_factor() -> None:
    assert (EVENT.answered_with, EVENT.first_factor) == ((), None)


def test_rejection_is_about_the_username() -> None:
    assert messages(walk(EVENT, flow=START))["wrong_credentials"] == "username_refused"
