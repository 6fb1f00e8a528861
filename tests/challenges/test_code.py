"""Codes: by SMS, by email, or from an authenticator app."""

from __future__ import annotations

import re

import pytest
from tests.challenges.helpers import action, assert_hidden, call_of, messages, refusal, step
from tests.doubles import a_text, code, password
from tests.flows import INPUTS, KEY, walk

from oncegate import FlowState, InvalidInput, SubmitCode
from oncegate.adapters import CheckCode, parse_event

KINDS = ("SMS_MFA", "SMS_OTP", "EMAIL_OTP", "SOFTWARE_TOKEN_MFA")


@pytest.mark.parametrize("kind", KINDS)
def test_challenge_waits_in_awaiting_mfa(kind: str) -> None:
    flow = walk(password(), a_text(kind=kind))
    assert flow.state is FlowState.AWAITING_MFA
    assert (step(flow).challenge, step(flow).challenge_id, step(flow).attempts_left) == (kind, 2, 5)


@pytest.mark.parametrize(
    "typed",
    ["123456", " 123 456 ", "123-456", "1 2 3 4 5 6", "123\u00a0456", "\t123456\n"],
)
def test_spaces_and_hyphens_are_removed(typed: str) -> None:
    event = parse_event({"type": "submit_code", "code": typed})
    assert isinstance(event, SubmitCode)
    assert event.answered_with == ("123456",)


@pytest.mark.parametrize("typed", ["1234", "1" * 12])
def test_4_to_12_digits_are_accepted(typed: str) -> None:
    assert SubmitCode(code=typed).code.get_secret_value() == typed


@pytest.mark.parametrize(("typed", "remember"), [({}, None), ({"remember_device": True}, True)])
def test_device_can_be_remembered_in_advance(
    typed: dict[str, object], remember: bool | None
) -> None:
    event = parse_event({"type": "submit_code", "code": "123456", **typed})
    assert event == SubmitCode(code="123456", remember_device=remember)
    assert "submit_code.remember_device: " in refusal(
        "submit_code", code="123456", remember_device="perhaps"
    )


@pytest.mark.parametrize(
    "typed", ["", "123", "abcdef", "1" * 13, None, 123456, ["12345"], "12345x"]
)
def test_invalid_code_is_named(typed: object) -> None:
    assert "submit_code.code: " in refusal("submit_code", code=typed)


def test_error_of_the_constructor_does_not_repeat_the_code() -> None:
    with pytest.raises(InvalidInput, match="code: value_error") as error:
        SubmitCode(code="hunter2")
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("SMS_MFA", "Check your phone"),
        ("SMS_OTP", "Check your phone"),
        ("EMAIL_OTP", "Check your email"),
        ("SOFTWARE_TOKEN_MFA", "Enter the code from your app"),
    ],
)
def test_title_says_where_the_code_is(kind: str, title: str) -> None:
    flow = walk(password(), a_text(kind=kind))
    main = action(flow, "submit_code")
    (field,) = main.fields
    assert (step(flow).title, main.label) == (title, "Verify and sign in")
    assert (field.name, field.label) == ("code", "Code")
    assert (field.autocomplete, field.inputmode) == ("one-time-code", "numeric")
    assert field.pattern is not None
    # No length is certain: a first-factor code has 8 digits by SMS too (amplify-js#14428).
    lengths = [n for n in range(20) if re.fullmatch(field.pattern, "1" * n)]
    assert lengths == [*range(4, 13)]


@pytest.mark.parametrize(
    "typed",
    [
        "١٢٣٤٥٦",  # Arabic-Indic
        "۱۲۳۴۵۶",  # extended Arabic-Indic
        "१२३४५६",  # Devanagari
        "１２３４５６",  # fullwidth
        "\u200e123456\u200e",  # left-to-right marks, of a right-to-left keyboard
        "\ufeff123\u200b456",  # byte order mark, zero-width space
        "123–456",
        "123\u2011456",  # non-breaking hyphen
        "123−456",
        " 123\u00a0456\u3000\n",
    ],
    ids=ascii,
)
def test_digits_of_any_script_are_taken_without_separators(typed: str) -> None:
    assert SubmitCode(code=typed).code.get_secret_value() == "123456"


@pytest.mark.parametrize(
    "typed", ["123", "1" * 13, "12a456", "½⅓¼¾", "12.3456", " " * 300], ids=ascii
)
def test_code_that_is_no_number_of_four_to_twelve_digits_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput):
        SubmitCode(code=typed)


def test_call_answers_the_challenge_and_cannot_send() -> None:
    flow = walk(password(), a_text(), code(), inputs=INPUTS)
    call = call_of(flow, code("987654"))
    assert isinstance(call, CheckCode)
    assert (call.challenge, call.device_key) == (flow.challenge, KEY)
    assert call.code.get_secret_value() == "987654"
    assert not CheckCode.can_send
    assert_hidden("987654", code("987654"), call)
    assert_hidden("s" * 40, call, flow)


@pytest.mark.parametrize("kind", KINDS)
def test_used_code_has_a_message_of_its_own_for_apps(kind: str) -> None:
    used = "code_already_used" if kind == "SOFTWARE_TOKEN_MFA" else "code_used"
    assert messages(walk(password(), a_text(kind=kind), code())) == {
        "wrong_credentials": "answer_refused",
        "wrong_code": "wrong_code",
        "code_already_used": used,
        "code_expired": "code_expired",
    }


def test_repeated_code_is_called_a_code() -> None:
    reason = step(walk(password(), a_text()), "already_tried").reason
    assert reason is not None
    assert reason.text == "You already tried that code. Enter a different one."
