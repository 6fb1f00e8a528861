"""Remembered devices: proving one, registering one, and asking the user about it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from tests.challenges.helpers import SECRET, action, assert_hidden, call_of, refusal, step
from tests.doubles import password, the_tokens
from tests.flows import AT_REST, DEVICE, DEVICE_FLOWS, INPUTS, KEY, walk

from oncegate import Cancel, FlowState, RememberDevice
from oncegate.adapters import (
    CheckDevice,
    Device,
    DeviceOffer,
    MarkRemembered,
    NewDevice,
    RegisterDevice,
    parse_event,
)
from oncegate.record import write_record

OFFERED = AT_REST[FlowState.OFFERING_DEVICE]
TOKENS = the_tokens().tokens.model_copy(update={"access_token": SECRET})
NEW = NewDevice(key=KEY, group_key="g")


def test_device_challenge_is_answered_without_the_user() -> None:
    flow = walk(password(), DEVICE, inputs=INPUTS)
    assert flow.state is FlowState.CHECKING_DEVICE
    assert step(flow).actions == ()


def test_device_proves_itself_and_the_call_cannot_send() -> None:
    device = Device(username="u", key=KEY, group_key="g", password=SecretStr(SECRET))
    flow = DEVICE_FLOWS[FlowState.CHECKING_DEVICE]
    call = call_of(flow, password(), device=device)
    assert call == CheckDevice(challenge=flow.challenge, device=device)
    assert not CheckDevice.can_send
    assert_hidden(SECRET, call)


def test_registration_names_the_user_twice_and_cannot_send() -> None:
    flow = DEVICE_FLOWS[FlowState.REGISTERING_DEVICE]
    call = call_of(flow, password(), new_device=NEW, tokens=TOKENS, username="pool's own")
    assert isinstance(call, RegisterDevice)
    assert (call.new_device, call.username, call.typed) == (NEW, "pool's own", "ana")
    assert call.access_token.get_secret_value() == SECRET
    assert not RegisterDevice.can_send
    assert_hidden(SECRET, call)


def test_offer_waits_in_offering_device_and_seals_the_access_token() -> None:
    assert isinstance(OFFERED.challenge, DeviceOffer)
    assert OFFERED.challenge.waits_in is FlowState.OFFERING_DEVICE
    assert step(OFFERED).title == "Remember this device?"
    token = OFFERED.challenge.access_token.get_secret_value()
    assert (token, OFFERED.challenge.device_key) == (the_tokens().tokens.access_token, KEY)
    assert_hidden(token, OFFERED, OFFERED.challenge)
    assert token not in step(OFFERED).model_dump_json()
    stored = write_record(OFFERED).decode()
    assert (token in stored, "refresh" in stored, "id_token" in stored) == (True, False, False)


@pytest.mark.parametrize(("typed", "remember"), [({}, True), ({"remember": "false"}, False)])
def test_answer_is_yes_by_default(typed: dict[str, object], remember: bool) -> None:
    event = parse_event({"type": "remember_device", **typed})
    assert event == RememberDevice(remember=remember)


@pytest.mark.parametrize("typed", ["perhaps", None, 7, ["true"]])
def test_invalid_answer_is_named(typed: object) -> None:
    assert "remember_device.remember: " in refusal("remember_device", remember=typed)


def test_form_has_two_buttons_and_no_way_back() -> None:
    main = action(OFFERED, "remember_device")
    (field,) = main.fields
    assert (main.label, step(OFFERED).events) == ("Continue", ("remember_device",))
    assert (field.name, field.type, field.label) == ("remember", "choice", "Remember this device")
    assert field.style == "buttons"
    assert [(one.value, one.label) for one in field.choices] == [
        ("true", "Remember this device"),
        ("false", "Not now"),
    ]
    assert Cancel().type not in step(OFFERED).events


def test_mark_uses_the_tokens_of_the_offer_and_cannot_send() -> None:
    flow = DEVICE_FLOWS[FlowState.REMEMBERING_DEVICE]
    call = call_of(flow, RememberDevice())
    assert isinstance(call, MarkRemembered)
    assert isinstance(flow.challenge, DeviceOffer)
    assert (call.device_key, call.access_token) == (KEY, flow.challenge.access_token)
    assert not MarkRemembered.can_send


def test_mark_uses_the_tokens_in_memory_without_an_offer() -> None:
    flow = DEVICE_FLOWS[FlowState.REMEMBERING_DEVICE].model_copy(update={"challenge": None})
    call = call_of(flow, RememberDevice(), new_device=NEW, tokens=TOKENS)
    assert call == MarkRemembered(device_key=KEY, access_token=SecretStr(SECRET))
    assert_hidden(SECRET, call)
