"""Responses become challenges, whatever Cognito, or somebody in its place, puts into them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncegate import Factor
from oncegate.adapters import (
    SECOND_FACTORS,
    ChallengeIssued,
    CodeChallenge,
    FactorChoice,
    NewPasswordChallenge,
    OutcomeUnknown,
    TokensIssued,
    UnknownChallenge,
)
from oncegate_cognito.challenges import outcome_of

SESSION = "s" * 40


def challenge(name: str, parameters: dict[str, str] | None = None) -> Any:
    response = {"ChallengeName": name, "Session": SESSION, "ChallengeParameters": parameters}
    outcome = outcome_of(response, username="typed", valid_for=180)
    assert isinstance(outcome, ChallengeIssued)
    return outcome.challenge


@pytest.mark.parametrize("factor", [*SECOND_FACTORS, Factor.SMS_OTP])
def test_codes(factor: Factor) -> None:
    got = challenge(
        factor,
        {
            "CODE_DELIVERY_DELIVERY_MEDIUM": "SMS",
            "CODE_DELIVERY_DESTINATION": "+***1",
            "USER_ID_FOR_SRP": "own-name",
        },
    )
    assert isinstance(got, CodeChallenge)
    assert (got.kind, got.username) == (factor, "own-name")
    assert got.session.get_secret_value() == SESSION


def test_a_choice_leaves_out_what_nobody_here_knows() -> None:
    got = challenge("SELECT_MFA_TYPE", {"MFAS_CAN_CHOOSE": '["SMS_MFA", "CARRIER_PIGEON"]'})
    assert isinstance(got, FactorChoice)
    assert got.factors == (Factor.SMS,)


def test_a_new_password() -> None:
    got = challenge("NEW_PASSWORD_REQUIRED", {"requiredAttributes": '["userAttributes.email"]'})
    assert isinstance(got, NewPasswordChallenge)
    assert got.required_attributes == ("email",)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("SELECT_MFA_TYPE", {}),
        ("SELECT_MFA_TYPE", {"MFAS_CAN_CHOOSE": "not json"}),
        ("SELECT_MFA_TYPE", {"MFAS_CAN_CHOOSE": "[]"}),
        ("SELECT_MFA_TYPE", {"MFAS_CAN_CHOOSE": '["CARRIER_PIGEON"]'}),
        ("SELECT_MFA_TYPE", {"MFAS_CAN_CHOOSE": '[["SMS_MFA"]]'}),
        ("NEW_PASSWORD_REQUIRED", {"requiredAttributes": "{"}),
        ("NEW_PASSWORD_REQUIRED", {"requiredAttributes": "[1]"}),
        ("MAGIC_LINK", {}),
        ("MFA_SETUP", {"MFAS_CAN_SETUP": '["SMS_MFA"]'}),
        ("SELECT_CHALLENGE", {}),
        ("WEB_AUTHN", {}),
    ],
)
def test_what_is_not_understood_is_named(name: str, parameters: dict[str, str] | None) -> None:
    got = challenge(name, parameters)
    assert isinstance(got, UnknownChallenge)
    assert name in got.name


def test_tokens() -> None:
    outcome = outcome_of(
        {"AuthenticationResult": {"AccessToken": "a", "ExpiresIn": 60}}, username="u", valid_for=180
    )
    assert isinstance(outcome, TokensIssued)
    assert (outcome.tokens.access_token, outcome.tokens.expires_in) == ("a", 60)


@given(
    st.dictionaries(
        st.sampled_from(
            ["ChallengeName", "Session", "ChallengeParameters", "AuthenticationResult", "Other"]
        ),
        st.none()
        | st.text(max_size=10)
        | st.integers()
        | st.dictionaries(
            st.sampled_from(["AccessToken", "MFAS_CAN_CHOOSE", "USERNAME", "ExpiresIn"]),
            st.text(max_size=10) | st.none() | st.integers(),
        ),
    )
)
def test_no_response_raises(response: dict[str, Any]) -> None:
    outcome = outcome_of(response, username="u", valid_for=180)
    assert isinstance(outcome, ChallengeIssued | TokensIssued | OutcomeUnknown)
