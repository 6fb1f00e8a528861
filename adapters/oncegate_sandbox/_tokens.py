"""Tokens: RS256 JWTs with the claims of a user pool, their JWKS, and refresh tokens.

Claims: AWS developer guide, "Understanding the identity (ID) token" and "… the access token".
"""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from oncegate_sandbox._users import User
from oncegate_sandbox.errors import CognitoError, not_authorized

LIFETIME = 3600
# RefreshTokenValidity of the service model: 30 days by default.
_REFRESH_LIFETIME = 30 * 86400


@dataclass
class _Grant:
    """What one refresh token grants.

    Attributes:
        origin: ID of the sign-in that the token comes from. Revocation uses it.
        auth_time: Unix time of the sign-in.
        ends: Unix time at which the token expires.
        device_key: key of the device of the sign-in, if any.
        rotated_at: Unix time at which another token replaced this one; None if none has.
    """

    user: User
    origin: str
    auth_time: int
    ends: float
    device_key: str | None
    rotated_at: float | None = None


class TokenIssuer:
    """Issues, renews and checks the tokens of one pool.

    Args:
        issuer: ``iss`` of the tokens. The JWKS is served below this URL.
        client_id: app client ID.
        rotation: seconds for which a replaced refresh token stays valid; None if refresh tokens do
            not rotate. Default: None.
        signing_key: RSA key that signs the tokens. Default: a new one, made at first use.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        rotation: float | None = None,
        signing_key: rsa.RSAPrivateKey | None = None,
    ) -> None:
        self.issuer = issuer
        self.rotation = rotation
        self._client_id = client_id
        self._signing_key = signing_key
        self._kid = secrets.token_urlsafe(32)
        self._grants: dict[str, _Grant] = {}
        self._revoked: set[str] = set()

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return self._signing_key or rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> dict[str, Any]:
        """Return the public key in the format of ``/.well-known/jwks.json``."""
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**key, "alg": "RS256", "kid": self._kid, "use": "sig"}]}

    def issue(self, user: User, now: float, device_key: str | None = None) -> dict[str, Any]:
        """Return the AuthenticationResult of a new sign-in."""
        grant = _Grant(user, str(uuid.uuid4()), int(now), now + _REFRESH_LIFETIME, device_key)
        return {**self._tokens(grant, now), "RefreshToken": self._store(grant)}

    def refresh(self, token: str, device_key: str | None, now: float) -> dict[str, Any]:
        """Return the AuthenticationResult of a refresh.

        Args:
            token: the refresh token.
            device_key: key of the device that the client named, or None.
            now: Unix time.

        Raises:
            CognitoError: the token is unknown, expired, revoked or replaced.
        """
        grant = self._grants.get(token)
        # A token of a tracked device requires its key: AWS developer guide, on device tracking.
        if grant is None or (grant.device_key and grant.device_key != device_key):
            raise not_authorized("Invalid Refresh Token")
        if grant.origin in self._revoked:
            raise not_authorized("Refresh Token has been revoked")
        if now >= grant.ends:
            raise not_authorized("Refresh Token has expired")
        result = self._tokens(grant, now)
        if self.rotation is None:
            return result
        if grant.rotated_at is not None and now > grant.rotated_at + self.rotation:
            # That this revokes the whole sign-in is inferred.
            self._revoked.add(grant.origin)
            raise CognitoError("RefreshTokenReuseException", "Refresh token has been invalidated.")
        grant.rotated_at = now if grant.rotated_at is None else grant.rotated_at
        next_grant = _Grant(grant.user, grant.origin, grant.auth_time, grant.ends, grant.device_key)
        return {**result, "RefreshToken": self._store(next_grant)}

    def revoke(self, token: str) -> None:
        """Revoke the sign-in that a refresh token comes from. An unknown token is not an error."""
        if grant := self._grants.get(token):
            self._revoked.add(grant.origin)

    def revoke_all(self, user: User) -> None:
        """Revoke every sign-in of a user."""
        self._revoked |= {grant.origin for grant in self._grants.values() if grant.user is user}

    def _store(self, grant: _Grant) -> str:
        token = secrets.token_urlsafe(1100)
        self._grants[token] = grant
        return token

    def _tokens(self, grant: _Grant, now: float) -> dict[str, Any]:
        at, user = int(now), grant.user
        common = {
            "sub": user.sub,
            "iss": self.issuer,
            "origin_jti": grant.origin,
            "event_id": str(uuid.uuid4()),
            "auth_time": grant.auth_time,
            "iat": at,
            "exp": at + LIFETIME,
        }
        access = {
            **common,
            "client_id": self._client_id,
            "token_use": "access",
            "scope": "aws.cognito.signin.user.admin",
            "username": user.username,
            **({"device_key": grant.device_key} if grant.device_key else {}),
        }
        identity = {
            **common,
            **user.attributes,
            "aud": self._client_id,
            "token_use": "id",
            "cognito:username": user.username,
        }
        return {
            "AccessToken": self.sign(access),
            "IdToken": self.sign(identity),
            "ExpiresIn": LIFETIME,
            "TokenType": "Bearer",
        }

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JWT of any claims, with a new ``jti``."""
        claims = {**claims, "jti": str(uuid.uuid4())}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._kid})

    _signed = sign

    def username_of(self, access_token: str, now: float) -> str:
        """Return the username to whom an access token was issued.

        Raises:
            CognitoError: the token is invalid, expired or revoked.
        """
        try:
            claims = jwt.decode(
                access_token,
                self._key.public_key(),
                algorithms=["RS256"],
                issuer=self.issuer,
                # PyJWT compares with the system clock; the sandbox's clock can be ahead of it.
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise not_authorized("Invalid Access Token") from None
        if claims.get("token_use") != "access":
            raise not_authorized("Invalid Access Token")
        if claims["exp"] <= now:
            raise not_authorized("Access Token has expired")
        if claims["origin_jti"] in self._revoked:
            raise not_authorized("Access Token has been revoked")
        return str(claims["username"])
