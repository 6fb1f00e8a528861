"""Operations on tokens: refresh, revocation, and sign-out everywhere."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._rules import rule
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._wire import (
    AccessTokenRequest,
    ClientRequest,
    InitiateAuth,
    Json,
    Operations,
    required,
)
from oncegate_sandbox.errors import CognitoError, not_authorized

rule(
    "refresh-flow-secret-hash",
    "REFRESH_TOKEN_AUTH of an app client with a secret needs SECRET_HASH over the pool's own username.",
    source="API reference, InitiateAuth, example 4; pycognito#18",
)
rule(
    "refresh-flow-rotation",
    "REFRESH_TOKEN_AUTH is refused if refresh tokens rotate. The message is inferred.",
    source="API reference, InitiateAuth",
    inferred=True,
)
rule(
    "revoke-client-secret",
    "RevokeToken with a wrong client secret is an UnauthorizedException.",
    source="botocore's service model, which has no NotAuthorizedException here",
    inferred=True,
)
rule(
    "revoke-associated-sessions",
    "RevokeToken takes RevokeAssociatedSessions. It changes nothing, because no sign-in through the API "
    "has an SSO session.",
    source="API reference, RevokeToken and SessionDescriptionType",
)


class GetTokensFromRefreshToken(ClientRequest):
    """GetTokensFromRefreshToken."""

    refresh_token: str = Field(alias="RefreshToken")
    client_secret: str | None = Field(default=None, alias="ClientSecret")
    device_key: str | None = Field(default=None, alias="DeviceKey")
    client_metadata: dict[str, str] = Field(default_factory=dict, alias="ClientMetadata")


class RevokeToken(ClientRequest):
    """RevokeToken."""

    token: str = Field(alias="Token")
    client_secret: str | None = Field(default=None, alias="ClientSecret")
    associated: Literal["NONE", "LINKED"] = Field(default="NONE", alias="RevokeAssociatedSessions")


class TokenOperations:
    """The operations.

    Args:
        pool: the pool that issued the tokens.
    """

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {
            "GetTokensFromRefreshToken": (GetTokensFromRefreshToken, self._refresh),
            "GlobalSignOut": (AccessTokenRequest, self._sign_out),
            "RevokeToken": (RevokeToken, self._revoke),
        }

    def _refresh(self, request: GetTokensFromRefreshToken) -> Json:
        pool = self._pool
        client = pool.client(request.client_id)
        pool.check_client_secret(client, request.client_secret)
        result = pool.tokens.refresh(
            client,
            request.refresh_token,
            request.device_key,
            pool.clock.now(),
            metadata=request.client_metadata,
        )
        return {"AuthenticationResult": result}

    def _revoke(self, request: RevokeToken) -> Json:
        client = self._pool.client(request.client_id)
        try:
            self._pool.check_client_secret(client, request.client_secret)
        except CognitoError as error:
            raise CognitoError("UnauthorizedException", error.message) from None
        self._pool.tokens.revoke(client, request.token)
        return {}

    def _sign_out(self, request: AccessTokenRequest) -> Json:
        self._pool.tokens.revoke_all(self._pool.bearer(request.access_token))
        return {}


def refresh_by_flow(pool: PoolState, client: AppClient, request: InitiateAuth) -> Json:
    """Answer InitiateAuth with REFRESH_TOKEN_AUTH.

    Raises:
        CognitoError: SECRET_HASH is wrong, refresh tokens rotate, or the token is refused.
    """
    given = request.parameters
    token = required(given, "REFRESH_TOKEN")
    grant, hashed = pool.tokens.grant_of(client, token), given.get("SECRET_HASH")
    if grant or not hashed:  # there is no username for the hash of an unknown token
        name = grant.user.username if grant else ""
        pool.check_secret_hash(client, hashed, name, "SecretHash does not match for the client:")
    if client.rotation is not None:
        raise not_authorized("Refresh token rotation requires GetTokensFromRefreshToken")
    now = pool.clock.now()
    metadata = request.client_metadata
    result = pool.tokens.refresh(client, token, given.get("DEVICE_KEY"), now, metadata=metadata)
    return {"AuthenticationResult": result, "ChallengeParameters": {}}
