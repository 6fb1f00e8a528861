"""`Session`: the tokens of one signed-in user, renewed in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from oncegate import Misconfigured, OncegateError, SignedOut, Tokens, Unreachable
from oncegate.adapters import ListedDevice, logger
from oncegate_cognito.tokens import CognitoTokenService

_RETRY_AFTER = 5.0
"""Seconds after a failed renewal for which no other is tried while the access token is valid."""


class Session:
    """Keeps one user signed in. Thread-safe: concurrent requests share one renewal.

    Args:
        tokens: tokens of the last step of a sign-in.
        service: ``transport.token_service`` of the transport that issued them.
        issued_at: time of issue, in seconds since the epoch. Default: now.
        early: seconds before an access token expires at which it is renewed.
        on_refresh: called with the new tokens, under the lock, so that the application can store
            them.
        now: clock, in seconds since the epoch.
    """

    def __init__(
        self,
        tokens: Tokens,
        service: CognitoTokenService,
        *,
        issued_at: float | None = None,
        early: float = 60.0,
        on_refresh: Callable[[Tokens], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._service = service
        self._early = early
        self._on_refresh = on_refresh
        self._now = now
        self._log = logger()
        self._expires_at = (now() if issued_at is None else issued_at) + tokens.expires_in
        self._retry_at = 0.0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Session(expires_at={self._expires_at:.0f})"

    def tokens(self) -> Tokens:
        """Return the tokens, renewed first if the access token is about to expire.

        A renewal that fails for another reason than the tokens, such as a firewall, ends nothing: the
        tokens are returned as long as they are valid, and renewed later.

        Raises:
            SignedOut: the session has ended.
            Unreachable: the access token has expired, and Cognito did not answer or refused for now.
            Misconfigured: the access token has expired, and Cognito refused because of the set-up.
        """
        with self._lock:
            now = self._now()
            if now >= max(self._expires_at - self._early, min(self._retry_at, self._expires_at)):
                self._renew(now)
            return self._tokens

    def access_token(self) -> str:
        """Return the access token; see `tokens`."""
        return self.tokens().access_token

    def _renew(self, now: float) -> None:
        try:
            self._tokens = self._service.renew(self._tokens)
        except SignedOut:
            self._end()  # no later call asks Cognito again
            raise
        except (Unreachable, Misconfigured):
            if now >= self._expires_at:
                raise
            self._retry_at = now + _RETRY_AFTER
            return
        self._expires_at = self._now() + self._tokens.expires_in
        if self._on_refresh:
            self._on_refresh(self._tokens)

    def sign_out(self) -> None:
        """End this session, and revoke its refresh token and the access tokens issued with it.

        The session has ended here whatever Cognito answers. If the tokens could not be revoked, such
        as because the app client does not allow it, a line at ERROR says why and what to do. They are
        then valid until they expire.
        """
        with self._lock:
            tokens = self._tokens
            self._end()
        try:
            self._service.revoke(tokens)
        except (SignedOut, Misconfigured):
            pass  # there is nothing to revoke; or the service has logged why, and the cure
        except OncegateError as error:
            self._log.error("token revocation failed", reason=str(error))

    def sign_out_everywhere(self) -> None:
        """End every session of this user.

        Raises:
            SignedOut: this session has already ended.
            Unreachable: Cognito did not answer, or refused for now. The session goes on, so that the
                application can try again.
            Misconfigured: Cognito refused because of the set-up.
        """
        try:
            self._service.sign_out_everywhere(self.tokens())
        except SignedOut:
            with self._lock:
                self._end()
            raise
        with self._lock:
            self._end()

    def _end(self) -> None:
        self._tokens = self._tokens.model_copy(update={"refresh_token": None})
        self._expires_at = 0.0

    def devices(self) -> list[ListedDevice]:
        """Return the devices that Cognito knows of this user; raises what `tokens` raises."""
        return self._service.devices(self.tokens())

    def forget_device(self, key: str) -> None:
        """Make Cognito forget a device; raises what `tokens` raises. Remove it from the vault too."""
        self._service.forget_device(self.tokens(), key)
