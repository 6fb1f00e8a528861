"""Cognito's challenges in, oncegate's out; and calls in, Cognito's ChallengeResponses out."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, assert_never

from oncegate import Factor, Tokens
from oncegate.adapters import (
    SECOND_FACTORS,
    Challenge,
    ChallengeIssued,
    CheckAnswer,
    CheckCode,
    CheckPasskey,
    CodeChallenge,
    CustomChallenge,
    DeviceChallenge,
    FactorChoice,
    NewDevice,
    NewPasswordChallenge,
    Outcome,
    OutcomeUnknown,
    PasskeyChallenge,
    PasswordChallenge,
    RequestCode,
    SetPassword,
    TokensIssued,
    UnknownChallenge,
)
from oncegate.challenges import Delivery

# What reading a response of another shape raises; pydantic's ValidationError is a ValueError.
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)

ATTRIBUTE_PREFIX = "userAttributes."

CODE_RESPONSES = {
    Factor.SMS: "SMS_MFA_CODE",
    Factor.EMAIL: "EMAIL_OTP_CODE",
    Factor.TOTP: "SOFTWARE_TOKEN_MFA_CODE",
    Factor.SMS_OTP: "SMS_OTP_CODE",
}
PASSWORD_SRP = "PASSWORD_SRP"


def outcome_of(
    response: Mapping[str, Any], *, username: str, valid_for: float, is_first: bool = False
) -> Outcome:
    """What a successful response of InitiateAuth or RespondToAuthChallenge brought.

    Args:
        response: as boto3 gives it.
        username: the user's name as far as it is known; the challenge's own goes before it.
        valid_for: seconds that the pool's sessions are good for.
        is_first: whether a code that went out stands in for the password.
    """
    try:
        if result := response.get("AuthenticationResult"):
            return _tokens_issued(result, username)
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
        challenge = _challenge(name, parameters, response.get("AvailableChallenges"), common)
    except _MALFORMED:
        challenge = not_understood
    if isinstance(challenge, CodeChallenge) and is_first:
        challenge = challenge.model_copy(update={"is_first_factor": True})
    return ChallengeIssued(challenge=challenge)


def user_id(parameters: Mapping[str, str], otherwise: str) -> str:
    """The pool's own name for the user, which every later answer and hash has to use."""
    return parameters.get("USER_ID_FOR_SRP") or parameters.get("USERNAME") or otherwise


def _tokens_issued(result: Mapping[str, Any], username: str) -> TokensIssued:
    metadata = result.get("NewDeviceMetadata") or {}
    key, group = metadata.get("DeviceKey"), metadata.get("DeviceGroupKey")
    return TokensIssued(
        tokens=tokens_of(result),
        username=_own_name(result["AccessToken"]) or username,
        new_device=NewDevice(key=key, group_key=group) if key and group else None,
    )


def tokens_of(result: Mapping[str, Any]) -> Tokens:
    """The tokens of an AuthenticationResult."""
    return Tokens(
        access_token=result["AccessToken"],
        id_token=result.get("IdToken"),
        refresh_token=result.get("RefreshToken"),
        expires_in=result.get("ExpiresIn", 3600),
        token_type=result.get("TokenType", "Bearer"),
    )


def _own_name(access_token: str) -> str | None:
    """The username in an access token that came from Cognito itself, so its signature is no matter."""
    try:
        body = access_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return str(claims["username"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def _challenge(
    name: str, parameters: Mapping[str, str], available: Any, common: dict[str, Any]
) -> Challenge:
    match name:
        case Factor.SMS | Factor.EMAIL | Factor.TOTP | Factor.SMS_OTP:
            return CodeChallenge(
                kind=Factor(name),
                delivery=_delivery(parameters),
                is_first_factor=name == Factor.SMS_OTP,
                **common,
            )
        case "SELECT_MFA_TYPE":
            return _choice(name, json.loads(parameters["MFAS_CAN_CHOOSE"]), SECOND_FACTORS, common)
        case "MFA_SETUP":
            # A phone number cannot be given during sign-in, so SMS is none to set up.
            can = (Factor.TOTP, Factor.EMAIL)
            return _choice(name, json.loads(parameters["MFAS_CAN_SETUP"]), can, common)
        case "SELECT_CHALLENGE":
            first = (
                Factor.PASSKEY,
                Factor.EMAIL,
                Factor.SMS_OTP,
                Factor.PASSWORD,
            )
            return _choice(name, list(available), first, common)
        case Factor.PASSWORD | "PASSWORD_SRP":
            return PasswordChallenge(srp=name == PASSWORD_SRP, **common)
        case Factor.PASSKEY:
            return PasskeyChallenge(options=parameters["CREDENTIAL_REQUEST_OPTIONS"], **common)
        case "CUSTOM_CHALLENGE":
            hidden = {"USERNAME", "USER_ID_FOR_SRP"}
            public = {key: value for key, value in parameters.items() if key not in hidden}
            return CustomChallenge(parameters=public, **common)
        case "NEW_PASSWORD_REQUIRED":
            names = json.loads(parameters.get("requiredAttributes") or "[]")
            required = tuple(name.removeprefix(ATTRIBUTE_PREFIX) for name in names)
            return NewPasswordChallenge(required_attributes=required, **common)
        case "DEVICE_SRP_AUTH":
            return DeviceChallenge(**common)
    return UnknownChallenge(name=name, **common)


def _choice(
    kind: Any, offered: list[str], known: tuple[Factor, ...], common: dict[str, Any]
) -> FactorChoice:
    srp = PASSWORD_SRP in offered
    names = {Factor.PASSWORD.value if name == PASSWORD_SRP else name for name in offered}
    return FactorChoice(
        kind=kind,
        factors=tuple(factor for factor in known if factor.value in names),
        password_by_srp=srp,
        **common,
    )


def _delivery(parameters: Mapping[str, str]) -> Delivery | None:
    medium = parameters.get("CODE_DELIVERY_DELIVERY_MEDIUM")
    if not medium:
        return None
    return Delivery(medium=medium, destination=parameters.get("CODE_DELIVERY_DESTINATION", ""))


Answer = RequestCode | CheckCode | CheckPasskey | CheckAnswer | SetPassword


def answer_of(call: Answer) -> dict[str, str]:
    """The ChallengeResponses of a call, but for USERNAME, SECRET_HASH and DEVICE_KEY."""
    match call:
        case RequestCode():
            # MFA_SETUP takes the address by its own name (amplify-js).
            return {"EMAIL": call.email} if call.email else {"ANSWER": call.factor.value}
        case CheckCode():
            kind = Factor(call.challenge.kind)
            return {CODE_RESPONSES[kind]: call.code.get_secret_value()}
        case CheckPasskey():
            return {"CREDENTIAL": call.credential.get_secret_value()}
        case CheckAnswer():
            return {"ANSWER": call.answer.get_secret_value()}
        case SetPassword():
            attributes = {ATTRIBUTE_PREFIX + name: v for name, v in call.attributes.items()}
            return {"NEW_PASSWORD": call.new_password.get_secret_value(), **attributes}
    assert_never(call)
