"""Who is signed in: tokens on the server by default, in a sealed cookie where the application wants it.

`StoreSessions` is the session keeper of the driver (`oncegate.SessionKeeper`): it has the tokens before
the flow is final, so whoever clicks twice on the last page gets the same session both times.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from oncegate import InvalidInput, OncegateError, RecordUnreadable, SealingKeys, SignedOut, Tokens
from oncegate._entry_points import load_entry_point
from oncegate.adapters import FlowId, RecordStore, StoredRecord, Transport

EARLY = 60.0
"""Seconds before its end at which an access token is renewed."""

_RENEWAL = 30.0
"""Seconds after which a worker that was renewing is taken for dead; longer than a renewal can take."""


@dataclass(frozen=True)
class User:
    """Who is signed in.

    Attributes:
        username: the pool's own name.
        claims: of the id token. They came from Cognito itself, so they need no signature here (OpenID
            Connect Core 3.1.3.7).
        tokens: for calls to other services; the repr hides them.
    """

    username: str
    claims: Mapping[str, Any]
    tokens: Tokens


class SessionRecord(BaseModel):
    """What is kept of a session, sealed: in the store, or in cookies.

    Attributes:
        renewing_until: while a worker renews the tokens, when it counts as dead.
    """

    tokens: Tokens
    issued_at: float
    renewing_until: float | None = None

    @property
    def ends_at(self) -> float:
        return self.issued_at + self.tokens.expires_in


def user_of(tokens: Tokens) -> User:
    """The user that tokens were issued to."""
    claims = _claims(tokens.id_token or tokens.access_token)
    name = claims.get("cognito:username") or claims.get("username") or claims.get("sub") or ""
    return User(username=str(name), claims=claims, tokens=tokens)


def _claims(token: str) -> dict[str, Any]:
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}


class StoreSessions:
    """Sessions in the store that the flows are in, sealed under a key that is only in the cookie.

    Args:
        store: shared by all workers.
        transport: whose tokens they are; renewed and revoked through it.
        keys: of the application, to seal with besides.
        lifetime: seconds; that of the app client's refresh tokens, 30 days unless it was changed.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        store: RecordStore,
        transport: Transport,
        keys: SealingKeys,
        *,
        lifetime: float = 30 * 86400.0,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._transport = transport
        self._keys = keys
        self._lifetime = lifetime
        self._now = now
        self._sleep = sleep

    def keep(self, tokens: Tokens) -> str:
        """See `oncegate.SessionKeeper`. The name is new with each sign-in."""
        name = FlowId.new(self._now())
        self._swap(name, 0, SessionRecord(tokens=tokens, issued_at=self._now()))
        return name.text

    def find(self, name: str | None) -> User | None:
        """Who is signed in under this name. Tokens that are about to end are renewed, once.

        Raises:
            StoreUnavailable: the store did not answer.
            Unreachable: the tokens are to be renewed, and Cognito did not answer.
        """
        while True:
            parsed, version, row = self._load(name)
            if row is None or parsed is None:
                return None
            now = self._now()
            holds = now < row.ends_at
            if now < row.ends_at - EARLY or not row.tokens.refresh_token:
                return user_of(row.tokens) if holds else None
            if not (row.renewing_until and now < row.renewing_until):
                self._renew(parsed, version, row, holds=holds)
            elif holds:
                return user_of(row.tokens)  # good enough while another worker renews them
            else:
                self._sleep(0.05)

    def _renew(self, name: FlowId, version: int, row: SessionRecord, *, holds: bool) -> None:
        """Renew the tokens if no other worker does. The store knows before Cognito is asked."""
        until = self._now() + _RENEWAL
        if not self._swap(name, version, row.model_copy(update={"renewing_until": until})):
            return
        try:
            tokens = self._session(row).tokens()
        except SignedOut:
            self._end(name, version + 1)
        except OncegateError:
            if holds:
                return  # what is there is good for a while; it is tried again when this try is over
            self._swap(name, version + 1, row)
            raise
        else:
            self._swap(name, version + 1, SessionRecord(tokens=tokens, issued_at=self._now()))

    def drop(self, name: str | None) -> None:
        """Sign out: the session is over here, and its tokens are revoked.

        Raises:
            StoreUnavailable: the store did not answer; the session goes on.
        """
        while True:
            parsed, version, row = self._load(name)
            if parsed is None or row is None:
                return None
            # A worker that was renewing them may have come between: then these are not the newest.
            if self._end(parsed, version):
                return revoke(self._transport, row.tokens)

    def kept(self, name: str | None) -> SessionRecord | None:
        """What is kept under a name, as it is."""
        return self._load(name)[2]

    def _session(self, row: SessionRecord) -> Any:
        kind = load_entry_point("sessions", "cognito", "cognito")
        app = getattr(self._transport, "app")  # noqa: B009 - a transport with sessions has it
        return kind(row.tokens, app, issued_at=row.issued_at, early=EARLY, now=self._now)

    def _load(self, name: str | None) -> tuple[FlowId | None, int, SessionRecord | None]:
        try:
            parsed = FlowId.parse(name or "")
            stored = self._store.load(parsed.key)
            if stored is None or stored.expires_at <= self._now():
                return parsed, 0, None
            plain = parsed.unseal_bytes(stored.sealed, stored.version, self._keys)
            return parsed, stored.version, SessionRecord.model_validate_json(plain)
        except (InvalidInput, RecordUnreadable, ValidationError):
            return None, 0, None

    def _swap(self, name: FlowId, expected: int, row: SessionRecord) -> bool:
        plain = row.model_dump_json(exclude_none=True).encode()
        ends = row.issued_at + self._lifetime
        return self._put(name, expected, plain, ends)

    def _end(self, name: FlowId, expected: int) -> bool:
        return self._put(name, expected, b"", self._now())

    def _put(self, name: FlowId, expected: int, plain: bytes, ends: float) -> bool:
        sealed = name.seal_bytes(plain, expected + 1, self._keys)
        return self._store.swap(name.key, expected, StoredRecord(expected + 1, sealed, ends))


def revoke(transport: Transport, tokens: Tokens) -> None:
    """Have Cognito revoke tokens, as far as it can be reached: signing out never fails for that."""
    app = getattr(transport, "app", None)
    if app is None:
        return
    try:
        load_entry_point("sessions", "cognito", "cognito")(tokens, app).sign_out()
    except OncegateError:
        return


class CookieSessions:
    """Sessions in sealed cookies: nothing on the server, and nothing that can be ended there.

    They last as long as the access token. Tokens do not fit one cookie, so they are cut in pieces.

    Args:
        keys: of the application.
        now: seconds since the epoch.
    """

    PIECE = 3500
    """Characters. Browsers take 4,096 bytes for a cookie with its name (RFC 6265, 6.1)."""
    MOST = 6

    def __init__(self, keys: SealingKeys, *, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._now = now

    def pieces(self, row: SessionRecord) -> list[str]:
        """The values for the cookies."""
        plain = zlib.compress(row.model_dump_json(exclude_none=True).encode())
        text = base64.urlsafe_b64encode(self._keys.seal(plain, b"session")).decode()
        return [text[at : at + self.PIECE] for at in range(0, len(text), self.PIECE)]

    def find(self, pieces: list[str]) -> User | None:
        """Who is signed in by these cookies."""
        try:
            sealed = base64.urlsafe_b64decode("".join(pieces[: self.MOST]))
            plain = self._keys.unseal(sealed, b"session")
            # Ours, or it would not have opened; the bound is for a key that somebody has lost.
            text = zlib.decompressobj().decompress(plain, 65536)
            row = SessionRecord.model_validate_json(text)
        except (RecordUnreadable, ValueError, binascii.Error, zlib.error):
            return None
        return user_of(row.tokens) if self._now() < row.ends_at else None
