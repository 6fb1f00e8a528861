"""`TokenVerifier`: whether a token is one that this pool issued to this app client, and still holds.

The claims and how to check them: AWS developer guide, "Verifying JSON web tokens".
"""

from __future__ import annotations

from typing import Any, Literal

import jwt

from oncegate import InvalidToken, Unreachable
from oncegate_cognito.app_client import AppClient


class TokenVerifier:
    """Checks access and id tokens. Thread-safe: make one and share it.

    Args:
        app: of a transport: ``transport.app``.
        leeway: seconds by which this machine's clock may differ from Cognito's.
        keys_for: seconds for which the pool's public keys are kept.
        timeout: seconds to wait for them.
    """

    def __init__(
        self, app: AppClient, *, leeway: float = 0.0, keys_for: float = 3600.0, timeout: float = 5.0
    ) -> None:
        self._app = app
        self._leeway = leeway
        self._keys = jwt.PyJWKClient(
            f"{app.issuer}/.well-known/jwks.json",
            cache_jwk_set=True,
            lifespan=keys_for,
            timeout=timeout,
        )

    def verify(self, token: str, use: Literal["access", "id"] = "access") -> dict[str, Any]:
        """Check a token and return its claims.

        Args:
            token: as a client sent it.
            use: what it is to be for (``token_use``).

        Raises:
            InvalidToken: it does not hold. The message says why, not what was in it.
            Unreachable: the pool's public keys could not be fetched.
        """
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=self._app.issuer,
                audience=self._app.client_id if use == "id" else None,
                leeway=self._leeway,
                options={
                    "require": ["exp", "iss", "token_use"],
                    # An access token has client_id in the place of aud; it is checked below.
                    "verify_aud": use == "id",
                },
            )
        except jwt.PyJWKClientConnectionError:
            raise Unreachable("the pool's public keys could not be fetched") from None
        except jwt.PyJWTError as error:
            raise InvalidToken(f"not a valid token: {type(error).__name__}") from None
        if claims["token_use"] != use:
            raise InvalidToken(f"not a token for {use}")
        if use == "access" and claims.get("client_id") != self._app.client_id:
            raise InvalidToken("not a token for this app client")
        return claims
