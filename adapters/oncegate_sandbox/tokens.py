"""Tokens: real RS256 JWTs with the claims of a user pool, and the JWKS to check them with.

Claims: AWS developer guide, "Understanding the identity (ID) token" and "… the access token".
"""

from __future__ import annotations

import json
import secrets
import uuid
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from oncegate_sandbox.errors import not_authorized

LIFETIME = 3600


class TokenIssuer:
    """Issues and checks the tokens of one pool.

    Args:
        issuer: the ``iss`` of the tokens; the JWKS is below it.
        client_id: whom the tokens are for.
    """

    def __init__(self, issuer: str, client_id: str) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._kid = secrets.token_urlsafe(32)

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> dict[str, Any]:
        """The public key, as ``/.well-known/jwks.json`` gives it."""
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**key, "alg": "RS256", "kid": self._kid, "use": "sig"}]}

    def issue(
        self, username: str, sub: str, attributes: dict[str, str], now: float
    ) -> dict[str, Any]:
        """Make an AuthenticationResult."""
        at = int(now)
        common = {
            "sub": sub,
            "iss": self.issuer,
            "origin_jti": str(uuid.uuid4()),
            "event_id": str(uuid.uuid4()),
            "auth_time": at,
            "iat": at,
            "exp": at + LIFETIME,
        }
        access = {
            **common,
            "client_id": self._client_id,
            "token_use": "access",
            "scope": "aws.cognito.signin.user.admin",
            "username": username,
        }
        identity = {
            **common,
            **attributes,
            "aud": self._client_id,
            "token_use": "id",
            "cognito:username": username,
        }
        return {
            "AccessToken": self._signed(access),
            "IdToken": self._signed(identity),
            "RefreshToken": secrets.token_urlsafe(1100),
            "ExpiresIn": LIFETIME,
            "TokenType": "Bearer",
        }

    def _signed(self, claims: dict[str, Any]) -> str:
        claims = {**claims, "jti": str(uuid.uuid4())}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._kid})

    def username_of(self, access_token: str, now: float) -> str:
        """Whom an access token was issued to.

        Raises:
            CognitoError: it is none of ours, or past its time.
        """
        try:
            claims = jwt.decode(
                access_token,
                self._key.public_key(),
                algorithms=["RS256"],
                issuer=self.issuer,
                # The sandbox's clock may be ahead of the machine's, which PyJWT goes by.
                options={"verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise not_authorized("Invalid Access Token") from None
        if claims.get("token_use") != "access":
            raise not_authorized("Invalid Access Token")
        if claims["exp"] <= now:
            raise not_authorized("Access Token has expired")
        return str(claims["username"])
