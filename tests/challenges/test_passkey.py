"""Passkeys: the options go to the browser, and its signed answer comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.challenges.helpers import SECRET, action, assert_hidden, call_of, messages, refusal, step
from tests.doubles import password
from tests.flows import INPUTS, KEY, asks, walk

from oncegate import FlowState, SubmitPasskey
from oncegate.adapters import CheckPasskey, PasskeyChallenge, parse_event

OPTIONS = '{"challenge": "abc"}'
ASKED = asks(PasskeyChallenge, options=OPTIONS)
FLOW = walk(password(), ASKED)
CREDENTIAL = {"id": "x", "response": {"signature": SECRET}}
EVENT = SubmitPasskey(credential=CREDENTIAL)


def test_challenge_waits_in_awaiting_passkey_and_shows_its_options() -> None:
    assert FLOW.state is FlowState.AWAITING_PASSKEY
    assert (step(FLOW).title, step(FLOW).passkey_options) == ("Use your passkey", OPTIONS)
    assert step(FLOW).attempts_left is None


def test_options_longer_than_8192_characters_are_invalid() -> None:
    with pytest.raises(ValueError, match="options"):
        asks(PasskeyChallenge, options="x" * 8193)


@pytest.mark.parametrize("credential", [CREDENTIAL, json.dumps(CREDENTIAL)])
def test_credential_is_a_mapping_or_its_json(credential: Any) -> None:
    event = parse_event({"type": "submit_passkey", "credential": credential})
    assert isinstance(event, SubmitPasskey)
    assert json.loads(event.credential.get_secret_value()) == CREDENTIAL


@pytest.mark.parametrize(
    "credential",
    ["", "signature", "[]", "null", '"text"', "{", "[" * 10_000, json.dumps({"a": "b" * 16384})],
)
def test_credential_that_is_no_json_object_is_named(credential: str) -> None:
    assert "submit_passkey.credential: " in refusal("submit_passkey", credential=credential)


def test_form_has_a_secret_passkey_field() -> None:
    main = action(FLOW, "submit_passkey")
    (field,) = main.fields
    assert (main.label, main.is_main) == ("Use passkey", True)
    assert (field.name, field.label) == ("credential", "Passkey")
    assert (field.type, field.secret) == ("passkey", True)


def test_call_answers_the_challenge_and_cannot_send() -> None:
    flow = walk(password(), ASKED, EVENT, inputs=INPUTS)
    call = call_of(flow, EVENT)
    assert isinstance(call, CheckPasskey)
    assert (call.challenge, call.device_key) == (flow.challenge, KEY)
    assert EVENT.answered_with == (call.credential.get_secret_value(),)
    assert not CheckPasskey.can_send
    assert_hidden(SECRET, EVENT, call)


def test_no_message_speaks_of_a_code() -> None:
    found = messages(walk(EVENT, flow=FLOW))
    assert found == {
        "wrong_credentials": "answer_refused",
        "wrong_code": "not_accepted",
        "code_already_used": "not_accepted",
        "code_expired": "challenge_dead",
    }
    reason = step(FLOW, "already_tried").reason
    assert reason is not None
    assert reason.code == "stale"
