"""Responses of InitiateAuth and RespondToAuthChallenge, as outcomes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from oncegate import Tokens
from oncegate.adapters import (
    Challenge,
    ChallengeIssued,
    NewDevice,
    Outcome,
    OutcomeUnknown,
    Rejected,
    TokensIssued,
    UnknownChallenge,
)
from oncegate_cognito._registry import ReceivedChallenge, parser_of

# Raised by reading a response of another shape; pydantic's ValidationError is a ValueError.
MALFORMED = (AttributeError, KeyError, TypeError, ValueError)


def outcome_of_response(
    response: Mapping[str, Any],
    *,
    username: str,
    valid_for: float,
    replaces_password: bool = False,
) -> Outcome:
    """Return the outcome in a successful response.

    Args:
        response: boto3's response.
        username: the user's name as far as it is known; the response's own name takes precedence.
        valid_for: lifetime of the pool's sessions, in seconds.
        replaces_password: whether a code that was sent with the response replaces the password.
    """
    try:
        if result := response.get("AuthenticationResult"):
            return _tokens_issued(result, username)
        name = str(response["ChallengeName"])
        parameters = response.get("ChallengeParameters") or {}
        # Public reports show this challenge without a session: the device's key identifies it.
        session = response.get("Session") if name == "DEVICE_SRP_AUTH" else response["Session"]
        common = {
            "session": session or "",
            "username": user_id(parameters, username),
            "valid_for": valid_for,
        }
        not_understood = UnknownChallenge(name=f"{name}, not understood", **common)
    except MALFORMED:
        # The request succeeded, so a code may have been sent; but the flow cannot use the response.
        return OutcomeUnknown(detail="the response has neither tokens nor a challenge")
    parser = parser_of(name)
    if parser is None:
        return ChallengeIssued(challenge=UnknownChallenge(name=name, **common))
    parsed: Challenge | Rejected = not_understood
    try:
        available = response.get("AvailableChallenges") or []
        parsed = parser(ReceivedChallenge(name, parameters, available, common, replaces_password))
    except MALFORMED:
        pass
    return parsed if isinstance(parsed, Rejected) else ChallengeIssued(challenge=parsed)


def user_id(parameters: Mapping[str, str], otherwise: str) -> str:
    """Return the name that every later answer and hash has to use.

    The pool's own name for the user if the response has it. After USER_AUTH it has none, and the name
    that was typed stays (AWS API reference, InitiateAuth, examples 1 and 2).
    """
    return parameters.get("USER_ID_FOR_SRP") or parameters.get("USERNAME") or otherwise


def tokens_of(result: Mapping[str, Any]) -> Tokens:
    """Return the tokens of an AuthenticationResult."""
    return Tokens(
        access_token=result["AccessToken"],
        id_token=result.get("IdToken"),
        refresh_token=result.get("RefreshToken"),
        expires_in=result.get("ExpiresIn", 3600),
        token_type=result.get("TokenType", "Bearer"),
    )


def _tokens_issued(result: Mapping[str, Any], username: str) -> TokensIssued:
    metadata = result.get("NewDeviceMetadata") or {}
    key, group = metadata.get("DeviceKey"), metadata.get("DeviceGroupKey")
    return TokensIssued(
        tokens=tokens_of(result),
        username=_own_name(result["AccessToken"]) or username,
        new_device=NewDevice(key=key, group_key=group) if key and group else None,
    )


def _own_name(access_token: str) -> str | None:
    """Return the username in a token. Cognito itself sent it, so its signature is not checked."""
    try:
        body = access_token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return str(claims["username"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None
