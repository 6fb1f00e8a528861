"""The tokens of signed-in users: verified, renewed and revoked.

The claims and how to check them: AWS developer guide, "Verifying JSON web tokens".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, TypeVar

import jwt
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

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
from oncegate_cognito._deadlines import (
    clocks,
    limited,
    run_in_time,
    seconds_since,
)
from oncegate_cognito._responses import tokens_of
from oncegate_cognito.errors import MalformedResponse, name_of, outcome_of_exception

_Result = TypeVar("_Result")

_RETRY_AFTER = 1.0
"""Seconds after a failed fetch of the public keys for which none is tried again."""


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
        timeout: limit for fetching them, in seconds, however slowly they arrive. If they cannot be
            fetched, every token is `Unreachable` for the next second, and then they are fetched anew.
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
        self._keys = _Keys(
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


class _Keys(jwt.PyJWKClient):
    """Fetches the pool's public keys in bounded time, and understands no other response.

    PyJWT fetches them under a lock. Its own timeout is for each packet, so that a slow server holds
    that lock, and with it all who verify a token.
    """

    _failed_at: tuple[float, float] | None = None

    def fetch_data(self) -> Any:
        if self._failed_at and seconds_since(self._failed_at) < _RETRY_AFTER:
            raise jwt.PyJWKClientConnectionError("they could not be fetched a moment ago")
        try:
            keys = run_in_time((id(self), self.uri), super().fetch_data, self.timeout)
            if not any(key.get("kid") for key in keys["keys"]):
                raise ValueError("no keys")
        except Exception as failure:  # noqa: BLE001 - a page instead of keys, or none at all
            self._failed_at = clocks()
            if self.jwk_set_cache:
                self.jwk_set_cache.put(None)  # empties it
            raise jwt.PyJWKClientConnectionError(type(failure).__name__) from None
        return keys


class CognitoTokenService:
    """Renews, revokes and verifies the tokens of one app client. Thread-safe.

    An application gets it as ``CognitoTransport(…).token_service``.

    Args:
        app: app client that issued the tokens.
        timeout: limit for a whole call, in seconds: all of its requests and waits together.
    """

    def __init__(self, app: AppClient, *, timeout: float = 10.0) -> None:
        self._app = app
        self._timeout = float(timeout)
        self._verifier = TokenVerifier(
            timeout=min(5.0, timeout),
            pool_id=app.pool_id,
            client_id=app.client_id,
            endpoint_url=app.endpoint_url,
            allow_insecure_endpoint=app.allow_insecure_endpoint,
        )

    @property
    def max_call_seconds(self) -> float:
        """Upper bound for the duration of one call, in seconds."""
        return self._timeout

    def renew(self, tokens: Tokens) -> Tokens:
        """See `oncegate.adapters.TokenService.renew`."""
        if not tokens.refresh_token:
            raise SignedOut
        # Works with and without refresh token rotation. If the response of a rotation is lost, the
        # pool's grace period accepts the old token once more.
        fresh = self._call(
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
            self._call(
                lambda: self._boto.revoke_token(
                    Token=tokens.refresh_token, **self._client_credentials()
                )
            )

    def check(self, tokens: Tokens) -> None:
        """See `oncegate.adapters.TokenService.check`. Calls GetUser."""
        self._call(lambda: self._boto.get_user(AccessToken=tokens.access_token)["Username"])

    def verify(self, token: str, use: Literal["access", "id"] = "access") -> dict[str, Any]:
        """See `oncegate.adapters.TokenService.verify`."""
        result = self._verifier.checked(token, use)
        del token
        return _returned(result)

    def sign_out_everywhere(self, tokens: Tokens) -> None:
        """End every session of this user (GlobalSignOut); raises what `renew` raises."""
        self._call(lambda: self._boto.global_sign_out(AccessToken=tokens.access_token))

    def devices(self, tokens: Tokens) -> list[ListedDevice]:
        """See `oncegate.adapters.TokenService.devices`."""
        return self._call(partial(self._all_devices, tokens))

    def _all_devices(self, tokens: Tokens) -> list[ListedDevice]:
        found: list[ListedDevice] = []
        more: dict[str, str] = {}
        while True:
            page = self._boto.list_devices(AccessToken=tokens.access_token, Limit=60, **more)
            for device in page.get("Devices", []):
                names = {item["Name"]: item["Value"] for item in device.get("DeviceAttributes", [])}
                name = names.get("device_name", "")
                last = device.get("DeviceLastAuthenticatedDate")
                found.append(ListedDevice(device["DeviceKey"], name, last))
            if not page.get("PaginationToken"):
                return found
            more = {"PaginationToken": page["PaginationToken"]}

    def forget_device(self, tokens: Tokens, key: str) -> None:
        """See `oncegate.adapters.TokenService.forget_device`."""
        self._call(lambda: self._boto.forget_device(AccessToken=tokens.access_token, DeviceKey=key))

    def _call(self, operation: Callable[[], _Result]) -> _Result:
        """Return what a call to Cognito returns; raise what `TokenService` declares.

        The error is raised outside of ``except``, so that it leads to none of the frames that held
        the request: error reporters store the local variables of a traceback, and botocore's messages
        can quote the request.

        Args:
            operation: makes the call, and reads its response. Its own frame is none of those of the
                error.
        """
        try:
            with limited(self._timeout):
                return operation()
        except Exception as failure:  # noqa: BLE001 - whatever it is, the frames below hold tokens
            error = _error_of(failure)
        raise error

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
    if isinstance(failure, BotoCoreError | ClientError) and not isinstance(
        failure, MalformedResponse
    ):
        return Unreachable(f"Cognito did not answer: {name_of(failure)}")
    return Unreachable(f"Cognito's response is malformed: {name_of(failure)}")


_NOT_OF_THE_SESSION: Final = frozenset(
    {RejectionReason.FIREWALL, RejectionReason.TRIGGER_REFUSED, RejectionReason.MISCONFIGURED}
)


def _is_final(outcome: Outcome) -> bool:
    """Return whether Cognito rejected the request for a reason that is about the session."""
    return isinstance(outcome, Rejected) and outcome.reason not in _NOT_OF_THE_SESSION
