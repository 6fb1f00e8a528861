"""`CookieSessions`: the tokens in sealed cookies, and in the store only what ends them."""

from __future__ import annotations

import base64
import binascii
import time
import zlib
from collections.abc import Callable

from oncegate import Misconfigured, RecordUnreadable, RequestContext, SealingKeys
from oncegate.adapters import FlowId, logger
from oncegate_web._sessions import (
    NO_REQUEST,
    PENDING_SECONDS,
    SessionRecord,
    StoreSessions,
    read_session,
    user_of,
    write_session,
)
from oncegate_web._user import User


class CookieSessions:
    """Sessions in sealed cookies. The store has a row without tokens, which ends them.

    They last as long as the access token. Tokens do not fit into one cookie, so they are split.

    Args:
        keys: the application's keys.
        stored: the rows.
        as_in_0_1: whether to accept the cookies of 0.1, which had no row.
        now: returns the seconds since the epoch.
    """

    PIECE = 3500
    """Characters. Browsers take 4,096 bytes for a cookie with its name (RFC 6265, 6.1)."""
    MOST = 6
    _LARGEST = 65536

    def __init__(
        self,
        keys: SealingKeys,
        stored: StoreSessions,
        *,
        as_in_0_1: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._stored = stored
        self._as_in_0_1 = as_in_0_1
        self._now = now
        self._log = logger()

    def pieces(self, session_id: str) -> list[str] | None:
        """Return the values of the cookies; None if the browser has had them, or has signed out.

        Raises:
            Misconfigured: the tokens are too large for cookies. The session has ended.
        """
        session = FlowId.parse(session_id)
        del session_id  # error reporters store the local variables of a traceback
        record = self._stored.get(session.text)
        if record is None or record.tokens is None:
            return None
        if self._now() >= record.issued_at + PENDING_SECONDS:
            return None
        pieces = self._sealed(record.but(session_id=session.text))
        if pieces is not None:
            return pieces
        self._stored.end(session.text)
        self._log.error("tokens too large for cookies", cure='sessions="server"')
        raise Misconfigured('tokens too large for cookies: use sessions="server"')

    def _sealed(self, record: SessionRecord) -> list[str] | None:
        plain = write_session(record)
        if len(plain) > self._LARGEST:
            return None
        text = base64.urlsafe_b64encode(self._keys.seal(zlib.compress(plain), b"session")).decode()
        pieces = [text[at : at + self.PIECE] for at in range(0, len(text), self.PIECE)]
        return pieces if len(pieces) <= self.MOST else None

    def read(self, pieces: list[str]) -> SessionRecord | None:
        """Return the session in these cookies, or None. It may have ended since."""
        try:
            sealed = base64.urlsafe_b64decode("".join(pieces[: self.MOST]))
            plain = self._keys.unseal(sealed, b"session")
            # It was sealed by us. The bound is for the case that a key was stolen.
            record = read_session(
                zlib.decompressobj().decompress(plain, self._LARGEST), *self._stored.accepts
            )
        except (RecordUnreadable, ValueError, binascii.Error, zlib.error):
            if pieces:
                self._stored.note_foreign()
            return None
        return record if record.tokens else None

    def find(
        self, record: SessionRecord | None, context: RequestContext = NO_REQUEST
    ) -> User | None:
        """Return the user of the session in the cookies, or None; raises what `StoreSessions.find` does.

        Args:
            record: what `read` returned.
            context: the request, for the list of the user's sessions.
        """
        if record is None or record.tokens is None or self._now() >= record.ends_at:
            return None
        if record.session_id is None:
            return user_of({}, record.tokens) if self._as_in_0_1 else None
        return self._stored.find(record.session_id, record.tokens, context)
