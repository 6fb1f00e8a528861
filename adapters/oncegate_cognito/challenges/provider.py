"""Signing in with an identity provider: managed login's authorization and token endpoints."""

from __future__ import annotations

import hmac
import secrets
from typing import Any, Final

from pydantic import SecretStr

from oncegate import OncegateError, Tokens, Unreachable
from oncegate.adapters import (
    AuthorizeWith,
    ChallengeIssued,
    ExchangeCode,
    Outcome,
    OutcomeUnknown,
    ProviderChallenge,
    Rejected,
    RejectionReason,
    TokensIssued,
)
from oncegate_cognito._context import language_of
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests
from oncegate_cognito.tokens import TokenUse

_ENTROPY: Final = 32
"""Random bytes of state, verifier and nonce: RFC 7636, 7.1, for the verifier."""

_VALID_FOR: Final = 900.0
"""Seconds that a user has at the provider. The code is valid for 5 minutes after that."""

_OTHER_POOL: Final = "check that the domain of ManagedLogin is that of pool_id= and client_id="


@performs(AuthorizeWith)
def authorize(call: AuthorizeWith, requests: Requests) -> Outcome:
    """Return where the browser goes. Nothing is sent."""
    login = requests.app.managed_login
    if login is None:
        return Rejected(reason=RejectionReason.MISCONFIGURED, detail="pass managed_login=")
    state, verifier, nonce = (secrets.token_urlsafe(_ENTROPY) for _ in range(3))
    url = login.authorize_url(
        provider=call.provider,
        state=state,
        verifier=verifier,
        nonce=nonce,
        language=language_of(requests.context),
    )
    return ChallengeIssued(
        challenge=ProviderChallenge(
            provider=call.provider,
            url=url,
            state=SecretStr(state),
            verifier=SecretStr(verifier),
            nonce=SecretStr(nonce),
            valid_for=_VALID_FOR,
        )
    )


@performs(ExchangeCode)
def exchange(call: ExchangeCode, requests: Requests) -> Outcome:
    """Exchange the code for tokens, and check that they were issued for this challenge."""
    login = requests.app.managed_login
    if login is None:
        return Rejected(reason=RejectionReason.MISCONFIGURED, detail="pass managed_login=")
    challenge = call.challenge
    answer = login.exchange(
        code=call.code.get_secret_value(), verifier=challenge.verifier.get_secret_value()
    )
    tokens = Tokens(
        access_token=answer["access_token"],
        id_token=answer["id_token"],
        refresh_token=answer.get("refresh_token"),
        expires_in=answer.get("expires_in", 3600),
        token_type=answer.get("token_type", "Bearer"),
        by_managed_login=True,
    )
    return _checked(tokens, challenge.nonce.get_secret_value(), requests)


def _checked(tokens: Tokens, nonce: str, requests: Requests) -> Outcome:
    """Return the tokens if both are valid, of one user, and of this challenge's request.

    OpenID Connect Core, 3.1.3.7. The access token's own signature says more than ``at_hash``.
    """
    given: dict[TokenUse, str] = {"id": tokens.id_token or "", "access": tokens.access_token}
    found: list[dict[str, Any]] = []
    for use, token in given.items():
        claims = requests.verifier.checked(token, use)
        if isinstance(claims, Unreachable):
            return OutcomeUnknown(detail=str(claims))
        if isinstance(claims, OncegateError):
            detail = f"{use} token: {claims} ({_OTHER_POOL})"
            return Rejected(reason=RejectionReason.MISCONFIGURED, detail=detail)
        found.append(claims)
    own, access = found
    if not hmac.compare_digest(str(own.get("nonce", "")).encode(), nonce.encode()):
        detail = "the ID token repeats another nonce: it was issued for another request"
        return Rejected(reason=RejectionReason.CHALLENGE_DEAD, detail=detail)
    if own.get("sub") != access.get("sub"):
        detail = "ID token and access token are of two users"
        return Rejected(reason=RejectionReason.CHALLENGE_DEAD, detail=detail)
    # Managed login remembers devices too, and renewing the tokens of one needs its key.
    tokens = tokens.model_copy(update={"device_key": access.get("device_key")})
    return TokensIssued(tokens=tokens, username=str(own["cognito:username"]))
