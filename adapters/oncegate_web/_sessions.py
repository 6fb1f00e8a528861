"""Sessions: tokens on the server by default, in sealed cookies if the application wants it.

`StoreSessions` is the driver's session keeper (`oncegate.adapters.SessionKeeper`): it has the tokens
before the flow is final, so a double click on the last page returns the same session twice.
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

from oncegate import (
    InvalidInput,
    OncegateError,
    RecordUnreadable,
    SealingKeys,
    SignedOut,
    Tokens,
    Unreachable,
)
from oncegate.adapters import (
    FROM_STORE,
    FlowId,
    RecordStore,
    StoredModel,
    StoredRecord,
    Transport,
    logger,
)

EARLY_SECONDS = 60.0
"""How long before it expires an access token is renewed, if it lives for longer than twice that."""

_RENEWAL_SECONDS = 30.0
"""When another worker may take over a stalled renewal; longer than a renewal can take."""


@dataclass(frozen=True)
class User:
    """The user of a session.

    Attributes:
        username: the pool's own name.
        claims: claims of the ID token. They came from Cognito itself, so their signature need not be
            verified here (OpenID Connect Core 3.1.3.7).
        tokens: tokens for calls to other services; the repr hides them.
    """

    username: str
    claims: Mapping[str, Any]
    tokens: Tokens


class SessionRecord(StoredModel):
    """What is stored of a session, sealed: in the store, or in cookies.

    Unknown fields, which a later release has added, are preserved and written back.

    Attributes:
        issued_at: time of issue, in seconds since the epoch.
        renewing_until: time at which a renewal under way counts as stalled.
        app_id: user pool and app client that issued the tokens; empty in records of 0.1.
    """

    tokens: Tokens
    issued_at: float
    renewing_until: float | None = None
    app_id: str = ""

    @property
    def ends_at(self) -> float:
        """When the access token expires, in seconds since the epoch."""
        return self.issued_at + self.tokens.expires_in

    @property
    def renew_at(self) -> float:
        """When to renew the tokens, in seconds since the epoch."""
        return self.ends_at - min(EARLY_SECONDS, self.tokens.expires_in / 2)

    def renewed(self, tokens: Tokens, now: float) -> SessionRecord:
        """Return the record with new tokens. What Cognito left out stays as it was."""
        update = {name: value for name, value in tokens if value is not None}
        return self.model_copy(
            update={
                "tokens": self.tokens.model_copy(update=update),
                "issued_at": now,
                "renewing_until": None,
            }
        )


def write_session(record: SessionRecord) -> bytes:
    """Return a record as JSON, with its tokens. Only to be sealed."""
    return record.model_dump_json(exclude_none=True).encode()


def read_session(plain: bytes, app_id: str) -> SessionRecord:
    """Return the record that `write_session` wrote, of this or another release.

    Args:
        plain: the unsealed bytes.
        app_id: user pool and app client of this application.

    Raises:
        ValueError: it is no session, or one of another user pool or app client.
    """
    record = SessionRecord.model_validate_json(plain, context=FROM_STORE)
    if record.app_id not in {"", app_id}:
        raise ValueError("a session of another user pool or app client")
    return record


def user_of(tokens: Tokens) -> User:
    """Return the user that tokens were issued to."""
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
    """Sessions in the store of the flows, sealed under a key that only the cookie has.

    Args:
        store: the store, shared by all workers.
        transport: issued the tokens. Its token service renews and revokes them; without one, a session
            ends with its access token.
        keys: the application's keys, which seal the records too; None for the cookie's key alone.
        lifetime: seconds that a session is stored after its tokens were issued; at most that of the
            app client's refresh tokens. Default: 30 days.
        now: returns the seconds since the epoch.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        store: RecordStore,
        transport: Transport,
        keys: SealingKeys | None,
        *,
        lifetime: float = 30 * 86400.0,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._app_id = transport.app_id
        self._tokens = transport.token_service
        self._keys = keys
        self._lifetime = lifetime
        self._now = now
        self._sleep = sleep
        self._log = logger()

    def create(self, tokens: Tokens) -> str:
        """See `oncegate.adapters.SessionKeeper`. Each sign-in gets a new ID."""
        session = FlowId.new(self._now())
        record = SessionRecord(tokens=tokens, issued_at=self._now(), app_id=self._app_id)
        self._swap(session, 0, record)
        return session.text

    def get(self, session_id: str | None) -> SessionRecord | None:
        """Return what is stored of a session, or None; renews nothing."""
        return self._load(session_id)[2]

    def find(self, session_id: str | None) -> User | None:
        """Return the user of a session, or None. Tokens about to expire are renewed, once.

        Raises:
            StoreUnavailable: the store did not answer.
            Unreachable: the tokens have expired, and Cognito did not answer.
        """
        has_tried = False
        while True:
            session, version, record = self._load(session_id)
            if session is None or record is None:
                return None
            now = self._now()
            is_valid = now < record.ends_at
            can_renew = self._tokens is not None and bool(record.tokens.refresh_token)
            if now < record.renew_at or not can_renew or has_tried:
                return user_of(record.tokens) if is_valid else None
            if not (record.renewing_until and now < record.renewing_until):
                # Once: tokens that Cognito issues expired would be renewed for ever.
                has_tried = self._renew(session, version, record, is_valid=is_valid)
            elif is_valid:
                return user_of(record.tokens)  # another worker is renewing the tokens
            else:
                self._sleep(0.05)

    def _renew(
        self, session: FlowId, version: int, record: SessionRecord, *, is_valid: bool
    ) -> bool:
        """Renew the tokens, and return True; return False if another worker does.

        The beginning is saved before Cognito is called.
        """
        assert self._tokens is not None
        until = self._now() + _RENEWAL_SECONDS
        begun = record.model_copy(update={"renewing_until": until})
        if not self._swap(session, version, begun):
            return False
        try:
            renewed = record.renewed(self._tokens.renew(record.tokens), self._now())
        except SignedOut:
            self._end(session, version + 1)
        except Exception as error:
            if not isinstance(error, Unreachable):
                self._log.error("token renewal failed", error=type(error).__name__)
            if is_valid:
                return True  # tried again when `renewing_until` has passed
            self._swap(session, version + 1, record)
            if isinstance(error, OncegateError):
                raise
            raise Unreachable("the tokens could not be renewed") from error
        else:
            self._swap(session, version + 1, renewed)
        return True

    def end(self, session_id: str | None) -> None:
        """Sign out: end the session here, then revoke its tokens.

        Raises:
            StoreUnavailable: the store did not answer; the session goes on.
        """
        while True:
            session, version, record = self._load(session_id)
            if session is None or record is None:
                return None
            # Another worker may have renewed the tokens meanwhile: then these are not the newest.
            if self._end(session, version):
                return self.revoke(record.tokens)

    def revoke(self, tokens: Tokens) -> None:
        """Revoke tokens if possible: signing out never fails because Cognito does."""
        if self._tokens is None or not tokens.refresh_token:
            return
        try:
            self._tokens.revoke(tokens)
        except Exception as error:  # noqa: BLE001 - the session has ended here in any case
            self._log.error("token revocation failed", error=type(error).__name__)

    def _load(self, session_id: str | None) -> tuple[FlowId | None, int, SessionRecord | None]:
        try:
            session = FlowId.parse(session_id or "")
            row = self._store.load(session.key)
            if row is None or row.expires_at <= self._now():
                return session, 0, None
            plain = session.unseal_bytes(row.sealed, row.version, self._keys)
            return session, row.version, read_session(plain, self._app_id)
        except (InvalidInput, RecordUnreadable, ValueError):
            return None, 0, None

    def _swap(self, session: FlowId, expected: int, record: SessionRecord) -> bool:
        ends = record.issued_at + self._lifetime
        return self._save(session, expected, write_session(record), ends)

    def _end(self, session: FlowId, expected: int) -> bool:
        return self._save(session, expected, b"", self._now())

    def _save(self, session: FlowId, expected: int, plain: bytes, ends: float) -> bool:
        sealed = session.seal_bytes(plain, expected + 1, self._keys)
        return self._store.swap(session.key, expected, StoredRecord(expected + 1, sealed, ends))


class CookieSessions:
    """Sessions in sealed cookies: nothing is stored on the server, and nothing can be ended there.

    They last as long as the access token. Tokens do not fit into one cookie, so they are split.

    Args:
        keys: the application's keys.
        app_id: user pool and app client of the application.
        now: returns the seconds since the epoch.
    """

    PIECE = 3500
    """Characters. Browsers take 4,096 bytes for a cookie with its name (RFC 6265, 6.1)."""
    MOST = 6

    def __init__(
        self, keys: SealingKeys, app_id: str = "", *, now: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._app_id = app_id
        self._now = now

    def pieces(self, record: SessionRecord) -> list[str]:
        """Return the values of the cookies."""
        plain = zlib.compress(write_session(record))
        text = base64.urlsafe_b64encode(self._keys.seal(plain, b"session")).decode()
        return [text[at : at + self.PIECE] for at in range(0, len(text), self.PIECE)]

    def find(self, pieces: list[str]) -> User | None:
        """Return the user of the session in these cookies, or None."""
        try:
            sealed = base64.urlsafe_b64decode("".join(pieces[: self.MOST]))
            plain = self._keys.unseal(sealed, b"session")
            # It was sealed by us. The bound is for the case that a key was stolen.
            record = read_session(zlib.decompressobj().decompress(plain, 65536), self._app_id)
        except (RecordUnreadable, ValueError, binascii.Error, zlib.error):
            return None
        return user_of(record.tokens) if self._now() < record.ends_at else None
