"""Replacing a temporary password."""

from __future__ import annotations

import json

import pytest
from tests.challenges.helpers import SECRET, action, assert_hidden, call_of, messages, refusal, step
from tests.doubles import password
from tests.flows import INPUTS, KEY, asks, walk

from oncegate import FlowState, SubmitNewPassword
from oncegate.adapters import TEXTS, NewPasswordChallenge, SetPassword, parse_event

ASKED = asks(
    NewPasswordChallenge, required_attributes=["email", "phone_number", "name", "custom:team_name"]
)
FLOW = walk(password(), ASKED)
EVENT = SubmitNewPassword(new_password=SECRET, attributes={"email": "ana@example.com"})


def test_challenge_waits_in_awaiting_new_password() -> None:
    assert FLOW.state is FlowState.AWAITING_NEW_PASSWORD
    assert (step(FLOW).title, step(FLOW).attempts_left) == ("Choose a new password", None)


def test_attributes_are_optional_and_at_most_50() -> None:
    base: dict[str, object] = {"type": "submit_new_password", "new_password": "x"}
    assert parse_event(base).type == "submit_new_password"
    most = {f"custom:a{number}": "x" * 2048 for number in range(50)}
    assert parse_event({**base, "attributes": most}).type == "submit_new_password"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "new_password"),
        ({"new_password": ""}, "new_password"),
        ({"new_password": "hunter2!" * 33}, "new_password"),
        ({"new_password": SECRET, "attributes": {"a b": "x"}}, "attributes"),
        ({"new_password": SECRET, "attributes": {"": "x"}}, "attributes"),
        ({"new_password": SECRET, "attributes": {"email": "x" * 2049}}, "attributes"),
        ({"new_password": SECRET, "attributes": {"email": ["x"]}}, "attributes"),
        ({"new_password": SECRET, "attributes": {f"a{i}": "" for i in range(51)}}, "attributes"),
    ],
)
def test_invalid_field_is_named(fields: dict[str, object], field: str) -> None:
    assert f"submit_new_password.{field}" in refusal("submit_new_password", **fields)


def test_form_has_the_password_and_the_required_attributes() -> None:
    main = action(FLOW, "submit_new_password")
    new, email, phone, name, team = main.fields
    assert main.label == "Save password and sign in"
    assert (new.name, new.label, new.type) == ("new_password", "New password", "password")
    assert (new.autocomplete, new.secret) == ("new-password", True)
    assert (email.name, email.type, email.autocomplete) == ("attributes.email", "email", "email")
    assert (phone.type, phone.inputmode, phone.label) == ("tel", "tel", "Phone number")
    assert (phone.hint, phone.hint_code) == (TEXTS["hint.phone_number"], "hint.phone_number")
    assert (name.autocomplete, team.autocomplete) == ("name", "off")
    assert (name.type, name.label, name.label_code) == ("text", "Name", "attribute.name")
    assert (team.name, team.label) == ("attributes.custom:team_name", "Team name")
    assert team.label_code == "", "an attribute of the pool's own has no text to translate"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("name", ("text", "text", "name")),
        ("given_name", ("text", "text", "given-name")),
        ("family_name", ("text", "text", "family-name")),
        ("middle_name", ("text", "text", "additional-name")),
        ("nickname", ("text", "text", "nickname")),
        ("birthdate", ("date", "text", "bday")),
        ("email", ("email", "email", "email")),
        ("phone_number", ("tel", "tel", "tel")),
        ("address", ("text", "text", "street-address")),
        ("website", ("url", "url", "url")),
        ("gender", ("text", "text", "sex")),
        ("locale", ("text", "text", "off")),
        ("custom:team_name", ("text", "text", "off")),
    ],
)
def test_attribute_has_its_type_keyboard_and_autofill_token(
    name: str, shown: tuple[str, str, str]
) -> None:
    flow = walk(password(), asks(NewPasswordChallenge, required_attributes=[name]))
    _, field = action(flow, "submit_new_password").fields
    assert (field.type, field.inputmode, field.autocomplete) == shown


@pytest.mark.parametrize(
    "typed",
    ["+1 555 000 1234", "+1 (555) 000-1234", "+1.555.000.1234", "\u200e+１ ５５５‑000‑1234"],
)
def test_phone_number_is_sent_without_separators(typed: str) -> None:
    """AWS developer guide: Cognito takes the sign and digits alone."""
    event = SubmitNewPassword(
        new_password=SECRET, attributes={"phone_number": typed, "custom:team_name": "1 (2)"}
    )
    call = call_of(walk(password(), ASKED, event, inputs=INPUTS), event)
    assert isinstance(call, SetPassword)
    assert call.attributes == {"phone_number": "+15550001234", "custom:team_name": "1 (2)"}


def test_call_sets_the_password_and_can_send() -> None:
    flow = walk(password(), ASKED, EVENT, inputs=INPUTS)
    call = call_of(flow, EVENT)
    assert isinstance(call, SetPassword)
    assert (call.challenge, call.device_key) == (flow.challenge, KEY)
    assert call.new_password.get_secret_value() == SECRET
    assert call.attributes == {"email": "ana@example.com"}
    assert SetPassword.can_send
    assert_hidden(SECRET, EVENT, call)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"custom:role": "admin"}, {}),
        ({"userAttributes.custom:role": "admin"}, {}),
        ({"Email": "ana@example.com", "email_verified": "true"}, {}),
        (
            {"custom:role": "admin", "custom:team_name": "blue", "email": "ana@example.com"},
            {"custom:team_name": "blue", "email": "ana@example.com"},
        ),
    ],
    ids=str,
)
def test_attribute_that_cognito_did_not_ask_for_is_dropped_with_a_warning(
    given: dict[str, str], sent: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    event = SubmitNewPassword(new_password=SECRET, attributes=given)
    call = call_of(walk(password(), ASKED, event, inputs=INPUTS), event)
    assert isinstance(call, SetPassword)
    assert call.attributes == sent
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings
    for line in warnings:
        assert json.loads(line)["dropped"] == len(given) - len(sent)
        assert not any(text in line for text in ("admin", "true", "blue", "ana@", "role", SECRET))


def test_required_attributes_are_sent_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    call = call_of(walk(password(), ASKED, EVENT, inputs=INPUTS), EVENT)
    assert isinstance(call, SetPassword)
    assert call.attributes == EVENT.attributes
    assert not caplog.records


def test_new_password_is_an_answer_and_the_next_first_factor() -> None:
    assert EVENT.answered_with == (SECRET,)
    assert EVENT.first_factor.get_secret_value() == SECRET


def test_weak_password_can_be_corrected() -> None:
    assert messages(walk(EVENT, flow=FLOW)) == {
        "wrong_credentials": "answer_refused",
        "wrong_code": "not_accepted",
        "code_already_used": "not_accepted",
        "code_expired": "challenge_dead",
        "new_password_refused": "new_password_refused",
    }


def test_zero_in_parentheses_is_left_for_cognito_to_refuse() -> None:
    """Without them, it would be another number."""
    event = SubmitNewPassword(
        new_password=SECRET, attributes={"phone_number": "+49 (0)151 23456789"}
    )
    call = call_of(walk(password(), ASKED, event, inputs=INPUTS), event)
    assert isinstance(call, SetPassword)
    assert call.attributes == {"phone_number": "+49(0)15123456789"}
