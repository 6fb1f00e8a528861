"""The tokens of signed-in users: verified, renewed and revoked.

The claims and how to check them: AWS developer guide, "Verifying JSON web tokens".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NoReturn

import jwt
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from oncegate import InvalidToken, Misconfigured, SignedOut, Tokens, Unreachable
from oncegate.adapters import ListedDevice, Outcome, Rejected, RejectionReason
from oncegate_cognito._app_client import AppClient, issuer_of
from oncegate_cognito._responses import tokens_of
from oncegate_cognito.errors import outcome_of_exception


class TokenVerifier:
    """Verifies access and ID tokens. Thread-safe: make one and share it.

    `CognitoTokenService.verify` is one with the default settings. Use this class directly in a
    service that only accepts tokens.

    Args:
        pool_id: user pool ID, such as ``eu-west-1_aBcDeFgHi``.
        client_id: app client ID.
        endpoint_url: URL of a local Cognito. Default: Cognito itself.
        leeway: allowed difference between this machine's clock and Cognito's, in seconds.
        keys_for: seconds for which the pool's public keys are cached.
        timeout: limit for fetching them, in seconds.

    Raises:
        Misconfigured: the pool ID is malformed.
    """

    def __init__(
        self,
        *,
        pool_id: str,
        client_id: str,
        endpoint_url: str | None = None,
        leeway: float = 0.0,
        keys_for: float = 3600.0,
        timeout: float = 5.0,
    ) -> None:
        self._client_id = client_id
        self._issuer = issuer_of(pool_id, endpoint_url)
        self._leeway = leeway
        self._keys = jwt.PyJWKClient(
            f"{self._issuer}/.well-known/jwks.json",
            cache_jwk_set=True,
            lifespan=keys_for,
            timeout=timeout,
        )

    def verify(self, token: str, use: Literal["access", "id"] = "access") -> dict[str, Any]:
        """Verify a token and return its claims.

        Args:
            token: the token that a client sent.
            use: expected ``token_use``.

        Raises:
            InvalidToken: it is forged, expired, or for another client or use. The message says why,
                and does not quote the token.
            Unreachable: the pool's public keys could not be fetched.
        """
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=self._issuer,
                audience=self._client_id if use == "id" else None,
                leeway=self._leeway,
                options={
                    "require": ["exp", "iss", "token_use"],
                    # An access token has client_id instead of aud; it is checked below.
                    "verify_aud": use == "id",
                },
            )
        except jwt.PyJWKClientConnectionError:
            raise Unreachable("the pool's public keys could not be fetched") from None
        except jwt.PyJWTError as error:
            raise InvalidToken(f"not a valid token: {type(error).__name__}") from None
        if claims["token_use"] != use:
            raise InvalidToken(f"not a token for {use}")
        if use == "access" and claims.get("client_id") != self._client_id:
            raise InvalidToken("not a token for this app client")
        return claims


class CognitoTokenService:
    """Renews, revokes and verifies the tokens of one app client. Thread-safe.

    An application gets it as ``CognitoTransport(…).token_service``.

    Args:
        app: app client that issued the tokens.
    """

    def __init__(self, app: AppClient) -> None:
        self._app = app
        self._verifier = TokenVerifier(
            pool_id=app.pool_id, client_id=app.client_id, endpoint_url=app.endpoint_url
        )

    def renew(self, tokens: Tokens) -> Tokens:
        """See `oncegate.adapters.TokenService.renew`."""
        if not tokens.refresh_token:
            raise SignedOut
        request = {"RefreshToken": tokens.refresh_token, **self._client_credentials()}
        if tokens.device_key:
            request["DeviceKey"] = tokens.device_key
        # Works with and without refresh token rotation. If the response of a rotation is lost, the
        # pool's grace period accepts the old token once more.
        response = _call(self._app.boto.get_tokens_from_refresh_token, request)
        fresh = tokens_of(response["AuthenticationResult"])
        return fresh.model_copy(
            update={
                "refresh_token": fresh.refresh_token or tokens.refresh_token,
                "device_key": tokens.device_key,
            }
        )

    def revoke(self, tokens: Tokens) -> None:
        """See `oncegate.adapters.TokenService.revoke`. Does nothing without a refresh token."""
        if tokens.refresh_token:
            request = {"Token": tokens.refresh_token, **self._client_credentials()}
            _call(self._app.boto.revoke_token, request)

    def verify(self, token: str, use: Literal["access", "id"] = "access") -> dict[str, Any]:
        """See `oncegate.adapters.TokenService.verify`."""
        return self._verifier.verify(token, use)

    def sign_out_everywhere(self, tokens: Tokens) -> None:
        """End every session of this user (GlobalSignOut); raises what `renew` raises."""
        _call(self._app.boto.global_sign_out, {"AccessToken": tokens.access_token})

    def devices(self, tokens: Tokens) -> list[ListedDevice]:
        """See `oncegate.adapters.TokenService.devices`."""
        found: list[ListedDevice] = []
        request: dict[str, Any] = {"AccessToken": tokens.access_token, "Limit": 60}
        while True:
            page = _call(self._app.boto.list_devices, request)
            for device in page.get("Devices", []):
                names = {item["Name"]: item["Value"] for item in device.get("DeviceAttributes", [])}
                name = names.get("device_name", "")
                last = device.get("DeviceLastAuthenticatedDate")
                found.append(ListedDevice(device["DeviceKey"], name, last))
            if not page.get("PaginationToken"):
                return found
            request["PaginationToken"] = page["PaginationToken"]

    def forget_device(self, tokens: Tokens, key: str) -> None:
        """See `oncegate.adapters.TokenService.forget_device`."""
        request = {"AccessToken": tokens.access_token, "DeviceKey": key}
        _call(self._app.boto.forget_device, request)

    def _client_credentials(self) -> dict[str, str]:
        if self._app.secret is None:
            return {"ClientId": self._app.client_id}
        secret = self._app.secret.get_secret_value()
        return {"ClientId": self._app.client_id, "ClientSecret": secret}


def _call(operation: Callable[..., Any], request: dict[str, Any]) -> Any:
    try:
        return operation(**request)
    except (ClientError, BotoCoreError) as failure:
        _raise_for(failure)


def _raise_for(failure: ClientError | BotoCoreError) -> NoReturn:
    # `from None`: botocore's messages can quote the request.
    if isinstance(failure, ParamValidationError):
        raise Misconfigured(
            "the request does not fit Cognito's API: is the client secret right?"
        ) from None
    if isinstance(failure, ClientError):
        if failure.response.get("Error", {}).get("Code") == "RefreshTokenReuseException":
            raise SignedOut("reused") from None
        if _is_final(outcome_of_exception(failure)):
            raise SignedOut from None
    raise Unreachable(f"Cognito did not answer: {type(failure).__name__}") from None


def _is_final(outcome: Outcome) -> bool:
    """Return whether Cognito rejected the request. A firewall in front of it knows no session."""
    return isinstance(outcome, Rejected) and outcome.reason is not RejectionReason.FIREWALL
