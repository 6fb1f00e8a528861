"""Codes: parsed with their delivery, and checked."""

from __future__ import annotations

import pytest
from tests.cognito.conftest import Answer, Check, Parse

from oncegate import Factor
from oncegate.adapters import (
    SECOND_FACTORS,
    ChallengeIssued,
    CodeChallenge,
    Rejected,
    RejectionReason,
    TokensIssued,
)
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox


@pytest.mark.parametrize("factor", [*SECOND_FACTORS, Factor.SMS_OTP])
def test_code_challenge_has_the_pools_own_username(parse: Parse, factor: Factor) -> None:
    got = parse(
        factor,
        {
            "CODE_DELIVERY_DELIVERY_MEDIUM": "SMS",
            "CODE_DELIVERY_DESTINATION": "+***1",
            "USER_ID_FOR_SRP": "own-name",
        },
    )
    assert isinstance(got, CodeChallenge)
    assert (got.kind, got.username) == (factor, "own-name")
    assert got.session.get_secret_value() == "s" * 40
    assert got.delivery is not None
    assert (got.delivery.medium, got.delivery.destination) == ("SMS", "+***1")
    assert got.is_first_factor is (factor is Factor.SMS_OTP)


def test_code_challenge_without_a_medium_has_no_delivery(parse: Parse) -> None:
    assert parse(Factor.TOTP, {}).delivery is None


@pytest.mark.parametrize(("username", "number"), [("ana", 1), ("ben", 2)])
def test_code_is_sent_once_and_accepted_once(
    either: CognitoTransport,
    sandbox: Sandbox,
    check: Check,
    answered: Answer,
    username: str,
    number: int,
) -> None:
    outcome = check(either, username, number)
    assert isinstance(outcome, ChallengeIssued)
    assert isinstance(outcome.challenge, CodeChallenge)
    assert outcome.challenge.delivery is not None
    (message,) = sandbox.messages()
    assert len(message.code) == 6
    wrong = answered(either, outcome.challenge, "000000")
    assert isinstance(wrong, Rejected)
    assert wrong.reason is RejectionReason.WRONG_CODE
    assert isinstance(answered(either, outcome.challenge, message.code), TokensIssued)
    again = answered(either, outcome.challenge, message.code)
    assert isinstance(again, Rejected)
    assert again.reason is RejectionReason.CHALLENGE_DEAD
