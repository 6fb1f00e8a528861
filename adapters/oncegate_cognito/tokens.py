"""The tokens of signed-in users: verified, renewed and revoked.

The claims and how to check them: AWS developer guide, "Verifying JSON web tokens".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeVar

import jwt
from botocore.exceptions import ClientError, ParamValidationError

from oncegate import (
    InvalidToken,
    Misconfigured,
    OncegateError,
    SignedOut,
    Tokens,
    Unreachable,
)
from oncegate.adapters import ListedDevice, Outcome, Rejected, RejectionReason
from oncegate_cognito._app_client import AppClient, issuer_of
from oncegate_cognito._boto import check_endpoint
from oncegate_cognito._responses import tokens_of
from oncegate_cognito.errors import outcome_of_exception

_Result = TypeVar("_Result")


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
        allow_insecure_endpoint: whether they may come over plain http from another host.

    Raises:
        Misconfigured: the pool ID is malformed, or the endpoint is not secure.
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
        allow_insecure_endpoint: bool = False,
    ) -> None:
        if endpoint_url is not None and not allow_insecure_endpoint:
            check_endpoint(endpoint_url)
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
        result = self.checked(token, use)
        del token  # error reporters store the local variables of a traceback
        return _returned(result)

    def checked(self, token: str, use: Literal["access", "id"]) -> dict[str, Any] | OncegateError:
        """Return the claims, or the error that `verify` raises: no frame of it has the token."""
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
                    # RFC 7519, 4.1.6 gives iat no part in this. A clock that is a second behind
                    # Cognito's must not refuse a token that was just issued.
                    "verify_iat": False,
                },
            )
        except jwt.PyJWKClientConnectionError:
            return Unreachable("the pool's public keys could not be fetched")
        except jwt.PyJWTError as error:
            return InvalidToken(f"not a valid token: {type(error).__name__}")
        if claims["token_use"] != use:
            return InvalidToken(f"not a token for {use}")
        if use == "access" and claims.get("client_id") != self._client_id:
            return InvalidToken("not a token for this app client")
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
            pool_id=app.pool_id,
            client_id=app.client_id,
            endpoint_url=app.endpoint_url,
            allow_insecure_endpoint=app.allow_insecure_endpoint,
        )

    def renew(self, tokens: Tokens) -> Tokens:
        """See `oncegate.adapters.TokenService.renew`."""
        if not tokens.refresh_token:
            raise SignedOut
        # Works with and without refresh token rotation. If the response of a rotation is lost, the
        # pool's grace period accepts the old token once more.
        fresh = _call(
            lambda: tokens_of(
                self._boto.get_tokens_from_refresh_token(
                    RefreshToken=tokens.refresh_token,
                    **({"DeviceKey": tokens.device_key} if tokens.device_key else {}),
                    **self._client_credentials(),
                )["AuthenticationResult"]
            )
        )
        return fresh.model_copy(
            update={
                "refresh_token": fresh.refresh_token or tokens.refresh_token,
                "device_key": tokens.device_key,
            }
        )

    def revoke(self, tokens: Tokens) -> None:
        """See `oncegate.adapters.TokenService.revoke`. Does nothing without a refresh token."""
        if tokens.refresh_token:
            _call(
                lambda: self._boto.revoke_token(
                    Token=tokens.refresh_token, **self._client_credentials()
                )
            )

    def check(self, tokens: Tokens) -> None:
        """See `oncegate.adapters.TokenService.check`. Calls GetUser."""
        _call(lambda: self._boto.get_user(AccessToken=tokens.access_token))

    def verify(self, token: str, use: Literal["access", "id"] = "access") -> dict[str, Any]:
        """See `oncegate.adapters.TokenService.verify`."""
        result = self._verifier.checked(token, use)
        del token
        return _returned(result)

    def sign_out_everywhere(self, tokens: Tokens) -> None:
        """End every session of this user (GlobalSignOut); raises what `renew` raises."""
        _call(lambda: self._boto.global_sign_out(AccessToken=tokens.access_token))

    def devices(self, tokens: Tokens) -> list[ListedDevice]:
        """See `oncegate.adapters.TokenService.devices`."""
        found: list[ListedDevice] = []
        more: dict[str, str] = {}
        while True:
            page = _call(partial(self._page_of_devices, tokens, more))
            for device in page.get("Devices", []):
                names = {item["Name"]: item["Value"] for item in device.get("DeviceAttributes", [])}
                name = names.get("device_name", "")
                last = device.get("DeviceLastAuthenticatedDate")
                found.append(ListedDevice(device["DeviceKey"], name, last))
            if not page.get("PaginationToken"):
                return found
            more = {"PaginationToken": page["PaginationToken"]}

    def _page_of_devices(self, tokens: Tokens, more: dict[str, str]) -> dict[str, Any]:
        page: dict[str, Any] = self._boto.list_devices(
            AccessToken=tokens.access_token, Limit=60, **more
        )
        return page

    def forget_device(self, tokens: Tokens, key: str) -> None:
        """See `oncegate.adapters.TokenService.forget_device`."""
        _call(lambda: self._boto.forget_device(AccessToken=tokens.access_token, DeviceKey=key))

    @property
    def _boto(self) -> Any:
        return self._app.boto

    def _client_credentials(self) -> dict[str, str]:
        if self._app.secret is None:
            return {"ClientId": self._app.client_id}
        return {
            "ClientId": self._app.client_id,
            "ClientSecret": self._app.secret.get_secret_value(),
        }


def _returned(result: dict[str, Any] | OncegateError) -> dict[str, Any]:
    if isinstance(result, OncegateError):
        raise result
    return result


def _call(operation: Callable[[], _Result]) -> _Result:
    """Return what a call to Cognito returns; raise what `TokenService` declares.

    The error is raised outside of ``except``, so that it leads to none of the frames that held the
    request: error reporters store the local variables of a traceback, and botocore's messages can
    quote the request.

    Args:
        operation: makes the call. Its own frame is none of those of the error.
    """
    try:
        return operation()
    except Exception as failure:  # noqa: BLE001 - whatever it is, the frames below hold tokens
        error = _error_of(failure)
    raise error


def _error_of(failure: Exception) -> OncegateError:
    if isinstance(failure, ParamValidationError):
        return Misconfigured("the request does not fit Cognito's API: is the client secret right?")
    if isinstance(failure, ClientError):
        if "required scopes" in failure.response.get("Error", {}).get("Message", ""):
            # The token is valid, and says nothing about whether the session goes on.
            return Misconfigured("the access token needs the scope aws.cognito.signin.user.admin")
        if failure.response.get("Error", {}).get("Code") == "RefreshTokenReuseException":
            return SignedOut("reused")
        if _is_final(outcome_of_exception(failure)):
            return SignedOut()
    return Unreachable(f"Cognito did not answer: {type(failure).__name__}")


def _is_final(outcome: Outcome) -> bool:
    """Return whether Cognito rejected the request. A firewall in front of it knows no session."""
    return isinstance(outcome, Rejected) and outcome.reason is not RejectionReason.FIREWALL
