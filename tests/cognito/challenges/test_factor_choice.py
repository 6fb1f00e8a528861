"""Choices of a factor: parsed without factors of another release, and answered."""

from __future__ import annotations

import pytest
from tests.cognito.conftest import Answer, Check, Parse, Perform

from oncegate import Factor
from oncegate.adapters import (
    ChallengeIssued,
    CodeChallenge,
    FactorChoice,
    RequestCode,
    TokensIssued,
)
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox


def test_unknown_factor_is_left_out(parse: Parse) -> None:
    got = parse("SELECT_MFA_TYPE", {"MFAS_CAN_CHOOSE": '["SMS_MFA", "CARRIER_PIGEON"]'})
    assert isinstance(got, FactorChoice)
    assert got.factors == (Factor.SMS,)


def test_sms_cannot_be_set_up(parse: Parse) -> None:
    got = parse("MFA_SETUP", {"MFAS_CAN_SETUP": '["SMS_MFA", "SOFTWARE_TOKEN_MFA"]'})
    assert isinstance(got, FactorChoice)
    assert got.factors == (Factor.TOTP,)


@pytest.mark.parametrize(
    ("available", "factors", "by_srp"),
    [
        (["PASSWORD", "WEB_AUTHN"], (Factor.PASSKEY, Factor.PASSWORD), False),
        (["PASSWORD_SRP", "PASSWORD"], (Factor.PASSWORD,), True),
        (["PASSWORD_SRP", "EMAIL_OTP"], (Factor.EMAIL, Factor.PASSWORD), True),
    ],
)
def test_first_factors_have_the_password_once(
    parse: Parse, available: list[str], factors: tuple[Factor, ...], by_srp: bool
) -> None:
    got = parse("SELECT_CHALLENGE", {}, AvailableChallenges=available)
    assert isinstance(got, FactorChoice)
    assert (got.factors, got.password_by_srp) == (factors, by_srp)


def test_chosen_factor_sends_the_code(
    either: CognitoTransport, sandbox: Sandbox, check: Check, answered: Answer, perform: Perform
) -> None:
    outcome = check(either, "dora", 4)
    assert isinstance(outcome, ChallengeIssued)
    assert isinstance(outcome.challenge, FactorChoice)
    assert sandbox.messages() == ()
    outcome = perform(either, RequestCode(challenge=outcome.challenge, factor=Factor.EMAIL))
    assert isinstance(outcome, ChallengeIssued)
    assert isinstance(outcome.challenge, CodeChallenge)
    assert not outcome.challenge.is_first_factor
    (message,) = sandbox.messages()
    assert isinstance(answered(either, outcome.challenge, message.code), TokensIssued)
