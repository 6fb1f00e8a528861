"""`Session`: the tokens of one signed-in user, kept fresh. What a web app holds after a sign-in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from oncegate import Misconfigured, SignedOut, Tokens, Unreachable
from oncegate.adapters import NotSent, OutcomeUnknown
from oncegate_cognito.app_client import AppClient
from oncegate_cognito.challenges import tokens_of
from oncegate_cognito.client import outcome_of_failure


class ListedDevice(NamedTuple):
    """One device that Cognito knows of a user.

    Attributes:
        key: DeviceKey.
        name: as it was given when it was registered.
        last_signed_in_at: with a time zone, where Cognito says.
    """

    key: str
    name: str
    last_signed_in_at: datetime | None


class Session:
    """Keeps one user signed in. Thread-safe: ten requests that ask at once refresh once.

    Args:
        tokens: of the last step of a sign-in.
        app: of the transport they came from: ``transport.app``.
        issued_at: when, in seconds since the epoch; now where None.
        early: seconds before its end at which an access token is renewed.
        on_refresh: hears the new tokens, so that the host can store them; called under the lock.
    """

    def __init__(
        self,
        tokens: Tokens,
        app: AppClient,
        *,
        issued_at: float | None = None,
        early: float = 60.0,
        on_refresh: Callable[[Tokens], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._app = app
        self._early = early
        self._on_refresh = on_refresh
        self._now = now
        self._ends = (now() if issued_at is None else issued_at) + tokens.expires_in
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Session(ends={self._ends:.0f})"

    def tokens(self) -> Tokens:
        """The tokens, renewed first where the access token is about to end.

        Raises:
            SignedOut: the session is over.
            Unreachable: they are to be renewed, and Cognito did not answer.
        """
        with self._lock:
            if self._now() >= self._ends - self._early:
                self._refresh()
            return self._tokens

    def access_token(self) -> str:
        """The access token; see `tokens`."""
        return self.tokens().access_token

    def _refresh(self) -> None:
        if not self._tokens.refresh_token:
            raise SignedOut
        request: dict[str, Any] = {
            "RefreshToken": self._tokens.refresh_token,
            "ClientId": self._app.client_id,
        }
        if self._app.secret:
            request["ClientSecret"] = self._app.secret.get_secret_value()
        if self._tokens.device_key:
            request["DeviceKey"] = self._tokens.device_key
        # With or without rotation; where a rotation's answer is lost, the pool's grace period lets
        # the next try bring the old token once more.
        response = self._call(self._app.boto.get_tokens_from_refresh_token, request)
        fresh = tokens_of(response["AuthenticationResult"])
        self._tokens = fresh.model_copy(
            update={
                "refresh_token": fresh.refresh_token or self._tokens.refresh_token,
                "device_key": self._tokens.device_key,
            }
        )
        self._ends = self._now() + fresh.expires_in
        if self._on_refresh:
            self._on_refresh(self._tokens)

    def sign_out(self) -> None:
        """End this session: its refresh token, and the access tokens made of it, are revoked.

        Raises:
            Unreachable: Cognito did not answer.
        """
        with self._lock:
            if self._tokens.refresh_token:
                request = {"Token": self._tokens.refresh_token, "ClientId": self._app.client_id}
                if self._app.secret:
                    request["ClientSecret"] = self._app.secret.get_secret_value()
                self._call(self._app.boto.revoke_token, request)
            self._tokens = self._tokens.model_copy(update={"refresh_token": None})
            self._ends = 0.0

    def sign_out_everywhere(self) -> None:
        """End every session of this user.

        Raises:
            SignedOut: this one is over already.
            Unreachable: Cognito did not answer.
        """
        self._call(self._app.boto.global_sign_out, {"AccessToken": self.access_token()})
        with self._lock:
            self._tokens = self._tokens.model_copy(update={"refresh_token": None})
            self._ends = 0.0

    def devices(self) -> list[ListedDevice]:
        """The devices that Cognito knows of this user; raises what `tokens` raises."""
        found: list[ListedDevice] = []
        request: dict[str, Any] = {"AccessToken": self.access_token(), "Limit": 60}
        while True:
            page = self._call(self._app.boto.list_devices, request)
            for device in page.get("Devices", []):
                names = {item["Name"]: item["Value"] for item in device.get("DeviceAttributes", [])}
                name = names.get("device_name", "")
                last = device.get("DeviceLastAuthenticatedDate")
                found.append(ListedDevice(device["DeviceKey"], name, last))
            if not page.get("PaginationToken"):
                return found
            request["PaginationToken"] = page["PaginationToken"]

    def forget_device(self, key: str) -> None:
        """Have Cognito forget a device; raises what `tokens` raises. Drop it from the vault as well."""
        request = {"AccessToken": self.access_token(), "DeviceKey": key}
        self._call(self._app.boto.forget_device, request)

    def _call(self, operation: Callable[..., Any], request: dict[str, Any]) -> Any:
        try:
            return operation(**request)
        except (ClientError, BotoCoreError) as failure:
            _raise_for(failure)


def _raise_for(failure: ClientError | BotoCoreError) -> NoReturn:
    # `from None`: botocore's words can quote the request.
    if isinstance(failure, ParamValidationError):
        raise Misconfigured(
            "the request fits no shape of Cognito's: is the secret right?"
        ) from None
    if isinstance(failure, ClientError):
        if failure.response.get("Error", {}).get("Code") == "RefreshTokenReuseException":
            raise SignedOut("reused") from None
        if not isinstance(outcome_of_failure(failure), (NotSent, OutcomeUnknown)):
            raise SignedOut from None
    raise Unreachable(f"Cognito did not answer: {type(failure).__name__}") from None
