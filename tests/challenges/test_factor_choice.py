"""Choosing a factor: the first one, the second, or one to set up."""

from __future__ import annotations

import pytest
from tests.challenges.helpers import action, assert_hidden, call_of, messages, refusal, step
from tests.doubles import password
from tests.flows import AT_REST, CHOICE, FIRST, INPUTS, KEY, SETUP, asks, walk

from oncegate import ChooseFactor, Factor, FlowState
from oncegate.adapters import FactorChoice, RequestCode, parse_event

FLOW = AT_REST[FlowState.PASSWORD_VERIFIED]


def test_challenge_waits_according_to_its_kind() -> None:
    assert walk(password(), CHOICE).state is FlowState.PASSWORD_VERIFIED
    assert walk(password(), SETUP).state is FlowState.PASSWORD_VERIFIED
    assert walk(password(), FIRST).state is FlowState.CHOOSING_FIRST_FACTOR


def test_challenge_without_factors_is_invalid() -> None:
    with pytest.raises(ValueError, match="factors"):
        asks(FactorChoice, factors=[])


@pytest.mark.parametrize("factor", Factor)
def test_every_factor_is_parsed(factor: Factor) -> None:
    event = parse_event({"type": "choose_factor", "factor": factor.value})
    assert event == ChooseFactor(factor=factor)


@pytest.mark.parametrize("typed", ["", "sms_mfa", "CARRIER_PIGEON", None, 1, ["SMS_MFA"]])
def test_invalid_factor_is_named(typed: object) -> None:
    assert "choose_factor.factor: " in refusal("choose_factor", factor=typed)


def test_form_has_a_choice_for_each_factor() -> None:
    flow = walk(password(), asks(FactorChoice, kind="SELECT_CHALLENGE", factors=list(Factor)))
    main = action(flow, "choose_factor")
    (field,) = main.fields
    assert (main.label, field.name, field.type) == ("Continue", "factor", "choice")
    assert [(one.value, one.label, one.label_code) for one in field.choices] == [
        ("SMS_MFA", "Text message", "factor.SMS_MFA"),
        ("EMAIL_OTP", "Email", "factor.EMAIL_OTP"),
        ("SOFTWARE_TOKEN_MFA", "Authenticator app", "factor.SOFTWARE_TOKEN_MFA"),
        ("SMS_OTP", "Text message", "factor.SMS_OTP"),
        ("WEB_AUTHN", "Passkey", "factor.WEB_AUTHN"),
        ("PASSWORD", "Password", "factor.PASSWORD"),
    ]


def test_choice_says_what_follows() -> None:
    flow = walk(password(), asks(FactorChoice, kind="SELECT_CHALLENGE", factors=list(Factor)))
    (field,) = action(flow, "choose_factor").fields
    hints = {one.value: one.hint for one in field.choices}
    assert hints == {
        "SMS_MFA": "We’ll text you a code.",
        "EMAIL_OTP": "We’ll email you a code.",
        "SOFTWARE_TOKEN_MFA": "Use the code your app shows.",
        "SMS_OTP": "We’ll text you a code.",
        "WEB_AUTHN": "Use your fingerprint, face, or screen lock.",
        "PASSWORD": "",
    }
    codes = {one.value: one.hint_code for one in field.choices if one.hint}
    assert codes == {factor: f"factor.{factor}.hint" for factor in codes}


def test_choice_of_what_to_set_up_says_only_what_is_true_then() -> None:
    (field,) = action(walk(password(), SETUP), "choose_factor").fields
    hints = {one.value: one.hint for one in field.choices}
    assert hints == {"SOFTWARE_TOKEN_MFA": "", "EMAIL_OTP": "We’ll email you a code."}


def test_title_depends_on_the_kind() -> None:
    assert step(FLOW).title == "Verify it’s you"
    assert step(AT_REST[FlowState.CHOOSING_FIRST_FACTOR]).title == "Choose how to sign in"


def test_call_answers_the_choice_and_can_send() -> None:
    event = ChooseFactor(factor=Factor.SMS)
    flow = walk(password(), CHOICE, event, inputs=INPUTS)
    call = call_of(flow, event)
    assert isinstance(call, RequestCode)
    assert (call.challenge, call.factor) == (flow.challenge, Factor.SMS)
    assert (call.email, call.device_key) == (None, KEY)
    assert RequestCode.can_send
    assert_hidden("s" * 40, call)


def test_unusable_factor_has_a_message() -> None:
    assert messages(walk(ChooseFactor(factor=Factor.SMS), flow=FLOW)) == {
        "wrong_credentials": "answer_refused",
        "code_expired": "challenge_dead",
        "factor_unusable": "factor_unusable",
    }


def test_repeated_choice_is_not_called_a_code() -> None:
    reason = step(FLOW, "already_tried").reason
    assert reason is not None
    assert reason.code == "stale"
