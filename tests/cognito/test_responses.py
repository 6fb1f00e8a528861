"""Responses become outcomes, whatever a server puts into them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cognito.conftest import Parse

from oncegate.adapters import ChallengeIssued, OutcomeUnknown, TokensIssued, UnknownChallenge
from oncegate_cognito._responses import outcome_of_response


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
        ("MFA_SETUP", {"MFAS_CAN_SETUP": '["PIGEON"]'}),
        ("SELECT_CHALLENGE", {}),
        ("WEB_AUTHN", {}),
    ],
)
def test_challenge_that_is_not_understood_is_named(
    parse: Parse, name: str, parameters: dict[str, str] | None
) -> None:
    got = parse(name, parameters)
    assert isinstance(got, UnknownChallenge)
    assert name in got.name


def test_authentication_result_is_tokens() -> None:
    outcome = outcome_of_response(
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
def test_malformed_response_does_not_raise(response: dict[str, Any]) -> None:
    outcome = outcome_of_response(response, username="u", valid_for=180)
    assert isinstance(outcome, ChallengeIssued | TokensIssued | OutcomeUnknown)
