"""The list of a user's sessions: one sealed row per user, found by the user's ``sub``.

A session's own row opens only with its cookie, so what one browser may know of another's session, and
what ending it needs, is in this row. It has no token and nothing that opens a session.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field, ValidationError

from oncegate import RequestContext, SealingKeys, StoreUnavailable
from oncegate.adapters import (
    FROM_STORE,
    RecordStore,
    StoredModel,
    StoredRecord,
    browser_of,
    next_row,
    open_row,
    platform_of,
)

MOST_SESSIONS = 32
"""Sessions of one user at a time. One more ends the one that was not seen for the longest time."""

_TRIES = 50
_ENDED = b"\x00ended"
"""Precedes the record of a session that was ended from another browser."""


class ListedSession(StoredModel):
    """One session of a user, as any of the user's browsers may see it.

    Attributes:
        name: identifies it; opens nothing.
        username: the pool's own name for the user.
        begun_at: time of the sign-in, in seconds since the epoch.
        seen_at: time of a recent request, exact to five minutes, in seconds since the epoch.
        ends_at: latest end, in seconds since the epoch. Its own row may end before.
        address: source address of that request.
        browser: family of its browser, such as ``"Firefox"``; may be made up.
        platform: platform of its browser, such as ``"Windows"``; may be made up.
        place: what the application calls the place of the address. It is not stored.
    """

    name: str
    username: str = ""
    begun_at: float
    seen_at: float
    ends_at: float
    address: str = ""
    browser: str = ""
    platform: str = ""
    place: str = Field(default="", exclude=True)

    def from_request(self, context: RequestContext) -> ListedSession:
        """Return it with the address and the browser of a request."""
        return self.model_copy(
            update={
                "address": (context.source_address or "")[:64],
                "browser": browser_of(context.user_agent),
                "platform": platform_of(context.user_agent),
            }
        )


class SessionList:
    """The lists of all users of one sign-in.

    Args:
        store: the store of the sessions.
        keys: the application's keys, bound to the sign-in. Without one that seals, there are no lists:
            they would show who signs in from where.
        now: returns the seconds since the epoch.
    """

    def __init__(
        self, store: RecordStore, keys: SealingKeys | None, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._keys = keys
        self._now = now

    @property
    def is_kept(self) -> bool:
        """Whether there are lists."""
        return self._keys is not None and self._keys.can_seal

    def of(self, user: str) -> list[ListedSession]:
        """Return the sessions of a user that have not ended, the one seen last first.

        Args:
            user: the claim ``sub``.
        """
        listed = [one for key in self._row_keys(user) for one in self._read(key)[1]]
        listed.sort(key=lambda one: one.seen_at)
        found = {one.name: one for one in listed}  # what was seen last counts
        living = [one for one in found.values() if self._is_alive(one)]
        return sorted(living, key=lambda one: one.seen_at, reverse=True)

    def note(self, user: str, session: ListedSession) -> None:
        """Enter a session, or what is new of it.

        Raises:
            StoreUnavailable: the store did not answer, or was too busy with this row.
        """
        if not self.is_kept:
            return
        surplus: list[ListedSession] = []

        def with_it(listed: list[ListedSession]) -> list[ListedSession]:
            nonlocal surplus
            now = self._now()
            others = [one for one in listed if one.name != session.name and one.ends_at > now]
            if len(others) >= MOST_SESSIONS:
                others = [one for one in others if self._is_alive(one)]
            others.sort(key=lambda one: one.seen_at, reverse=True)
            surplus = others[MOST_SESSIONS - 1 :]
            return [session, *others[: MOST_SESSIONS - 1]]

        if not self._change(self._row_keys(user)[0], with_it):
            raise StoreUnavailable("the list of a user's sessions is too busy")
        for one in surplus:
            self.end(one.name)

    def remove(self, user: str, name: str) -> None:
        """Remove a session that has ended. If the row is too busy, it shows as ended all the same."""
        for key in self._row_keys(user):
            if any(one.name == name for one in self._read(key)[1]):
                self._change(key, lambda listed: [one for one in listed if one.name != name])

    def end(self, name: str) -> None:
        """End a session without its cookie.

        Its record, which only the cookie opens, stays until the cookie is used again or it would have
        ended: then its tokens are revoked (`ended_elsewhere`).
        """
        for _ in range(_TRIES):
            row = self._store.load(name)
            if row is None or not self._is_open(row):
                return
            ended = StoredRecord(row.version + 1, _ENDED + row.sealed, row.expires_at)
            if self._store.swap(name, row.version, ended):
                return
        raise StoreUnavailable("the session is too busy to be ended")

    def _is_alive(self, session: ListedSession) -> bool:
        row = self._store.load(session.name)
        return session.ends_at > self._now() and row is not None and self._is_open(row)

    def _is_open(self, row: StoredRecord) -> bool:
        return row.expires_at > self._now() and ended_elsewhere(row) is None

    def _row_keys(self, user: str) -> list[str]:
        if self._keys is None or not self.is_kept or not user:
            return []
        return self._keys.row_keys("sessions of", user)

    def _read(self, key: str) -> tuple[StoredRecord | None, list[ListedSession]]:
        assert self._keys is not None
        row = self._store.load(key)
        try:
            return row, [
                ListedSession.model_validate(one, context=FROM_STORE)
                for one in open_row(key, row, self._keys) or []
            ]
        except (ValidationError, TypeError):
            return row, []

    def _change(
        self, key: str, change: Callable[[list[ListedSession]], list[ListedSession]]
    ) -> bool:
        assert self._keys is not None
        for _ in range(_TRIES):
            row, listed = self._read(key)
            changed = change(listed)
            ends = max((one.ends_at for one in changed), default=self._now())
            value = [one.model_dump() for one in changed]
            made = next_row(key, row, value, ends, self._keys, durable=True)
            if self._store.swap(key, row.version if row else 0, made):
                return True
        return False


def ended_elsewhere(row: StoredRecord) -> StoredRecord | None:
    """Return the row as it was before another browser ended the session; None if none did."""
    if not row.sealed.startswith(_ENDED):
        return None
    return row._replace(version=row.version - 1, sealed=row.sealed.removeprefix(_ENDED))
