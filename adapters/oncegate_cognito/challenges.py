"""Cognito's challenges in, oncegate's out; and calls in, Cognito's ChallengeResponses out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, assert_never

from oncegate import (
    ChallengeIssued,
    CodeChallenge,
    Delivery,
    Factor,
    FactorChoice,
    NewPasswordChallenge,
    Outcome,
    OutcomeUnknown,
    Tokens,
    TokensIssued,
    UnknownChallenge,
)
from oncegate.calls import CheckCode, RequestCode, SetPassword

# What reading a response of another shape raises; pydantic's ValidationError is a ValueError.
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)

ATTRIBUTE_PREFIX = "userAttributes."

_CODE_RESPONSES = {
    Factor.SMS: "SMS_MFA_CODE",
    Factor.EMAIL: "EMAIL_OTP_CODE",
    Factor.TOTP: "SOFTWARE_TOKEN_MFA_CODE",
}


def outcome_of(response: Mapping[str, Any], *, username: str, valid_for: float) -> Outcome:
    """What a successful response of InitiateAuth or RespondToAuthChallenge brought.

    Args:
        response: as boto3 gives it.
        username: the user's name as far as it is known; the challenge's own goes before it.
        valid_for: seconds that the pool's sessions are good for.
    """
    try:
        if result := response.get("AuthenticationResult"):
            return TokensIssued(tokens=_tokens(result))
        name = str(response["ChallengeName"])
        parameters = response.get("ChallengeParameters") or {}
        common = {
            "session": response["Session"],
            "username": user_id(parameters, username),
            "valid_for": valid_for,
        }
        not_understood = UnknownChallenge(name=f"{name}, not understood", **common)
    except _MALFORMED:
        # It was a success, so something may have been sent; but nothing can be made of it.
        return OutcomeUnknown(detail="the response has neither tokens nor a challenge")
    try:
        return ChallengeIssued(challenge=_challenge(name, parameters, common))
    except _MALFORMED:
        return ChallengeIssued(challenge=not_understood)


def user_id(parameters: Mapping[str, str], otherwise: str) -> str:
    """The pool's own name for the user, which every later answer and hash has to use."""
    return parameters.get("USER_ID_FOR_SRP") or parameters.get("USERNAME") or otherwise


def _tokens(result: Mapping[str, Any]) -> Tokens:
    return Tokens(
        access_token=result["AccessToken"],
        id_token=result.get("IdToken"),
        refresh_token=result.get("RefreshToken"),
        expires_in=result.get("ExpiresIn", 3600),
        token_type=result.get("TokenType", "Bearer"),
    )


def _challenge(
    name: str, parameters: Mapping[str, str], common: dict[str, Any]
) -> CodeChallenge | FactorChoice | NewPasswordChallenge | UnknownChallenge:
    match name:
        case Factor.SMS | Factor.EMAIL | Factor.TOTP:
            return CodeChallenge(kind=Factor(name), delivery=_delivery(parameters), **common)
        case "SELECT_MFA_TYPE":
            known = {factor.value for factor in Factor}
            offered = json.loads(parameters["MFAS_CAN_CHOOSE"])
            factors = tuple(Factor(factor) for factor in offered if factor in known)
            return FactorChoice(factors=factors, **common)
        case "NEW_PASSWORD_REQUIRED":
            names = json.loads(parameters.get("requiredAttributes") or "[]")
            required = tuple(name.removeprefix(ATTRIBUTE_PREFIX) for name in names)
            return NewPasswordChallenge(required_attributes=required, **common)
    return UnknownChallenge(name=name, **common)


def _delivery(parameters: Mapping[str, str]) -> Delivery | None:
    medium = parameters.get("CODE_DELIVERY_DELIVERY_MEDIUM")
    if not medium:
        return None
    return Delivery(medium=medium, destination=parameters.get("CODE_DELIVERY_DESTINATION", ""))


def answer_of(call: RequestCode | CheckCode | SetPassword) -> dict[str, str]:
    """The ChallengeResponses of a call, but for USERNAME and SECRET_HASH."""
    match call:
        case RequestCode():
            return {"ANSWER": call.factor.value}
        case CheckCode():
            return {_CODE_RESPONSES[call.challenge.kind]: call.code.get_secret_value()}
        case SetPassword():
            attributes = {ATTRIBUTE_PREFIX + name: v for name, v in call.attributes.items()}
            return {"NEW_PASSWORD": call.new_password.get_secret_value(), **attributes}
    assert_never(call)
