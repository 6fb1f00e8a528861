"""Limits over all flows: how many codes one user and one source may cause, and how many wrong ones.

SMS messages cost money, and fraud exploits that; a code of six digits can be guessed, given enough
tries. The counts are in the record store, so that all workers share them: under HMACs of the
application's key, and sealed with it.

**Codes.** A code is reserved before the call that can send it, and given back if none was sent, so
parallel flows do not exceed the limit. What counts is the pair of user and password: a caller who
does not know the password neither uses a user's budget up nor learns whether it is used up. Codes
that need no password count by name alone, whether the user exists or not.

**Guesses.** Consecutive wrong codes of one user. After a few, each further try has to wait longer
(NIST SP 800-63B-4, 3.2.2, allows 100 consecutive failures at most).

The windows are lists of times in a row of our stores. Libraries such as `limits` bring windows with
counters in stores of their own, which cannot be reserved, given back and sealed.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

from oncegate._rows import next_row, open_row
from oncegate._seal import SealingKeys
from oncegate._settings import check_count, check_flag, check_seconds
from oncegate.errors import Misconfigured
from oncegate.ports import StoredRecord

_PRIVATE: Final = tuple(
    ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
        *("100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10"),
    )
)
"""Addresses that many clients share (RFC 1918, 4193, 6598), or that are a proxy's on this machine."""

_MOST_SPELLINGS = 4
"""Users whose names differ in their spelling alone."""

ALIAS_SECONDS = 90 * 86400.0
"""How long it is stored which user a typed name stands for."""

LATEST_ADDRESS_SECONDS: Final = 2 * 86400.0
"""How long it is stored which address a user wants to have verified: longer than the code is valid."""

REMEMBERED: Final = 1024
"""Results of a computation on names that are kept: an event, and the user's next one, repeat it."""

_REMEMBERED_ROWS: Final = 256
"""Rows whose values are kept. A row of a busy source has hundreds of times."""


OFFER_EVERY: Final = 30 * 86400.0
"""Seconds between two offers of a second factor to one user."""


class UserName(NamedTuple):
    """A user's name, as limits count it.

    Attributes:
        kind: ``"typed"``, ``"own"``, or ``"address"`` of a new account.
        text: folded if it was typed, because all spellings of it count together. The pool's own names
            are exact: two users may differ in case alone.
    """

    kind: str
    text: str

    @classmethod
    def typed(cls, name: str) -> UserName:
        """Return a name that a user has typed."""
        return cls("typed", same_name(name))

    @classmethod
    def address(cls, address: str) -> UserName:
        """Return the email address or phone number of a new account, to which its code is sent."""
        return cls("address", same_name(address))

    @classmethod
    def own(cls, name: str) -> UserName:
        """Return the pool's own name for a user."""
        return cls("own", name)


class CodeBudget(NamedTuple):
    """Limits of codes over all flows.

    Attributes:
        per_user: codes within the window for one user.
        per_source: codes within the window for one source address, or one /64 network of IPv6. The
            default serves an office behind one address.
        window: seconds.
        counts_private_sources: whether a loopback or private address is the client's own. Otherwise it
            is taken to be that of a proxy, and is not limited.
    """

    per_user: int = 10
    per_source: int = 300
    window: float = 3600.0
    counts_private_sources: bool = False

    def of_user(self, name: UserName, tag: str, keys: SealingKeys) -> Account:
        """Return the budget of one user.

        Args:
            name: the user's name.
            tag: `password_tag` of the password; empty for codes that need none.
            keys: the application's.
        """
        return Account(
            _row_key(keys, "codes of user", tag, *name), self.per_user, self.window, keys
        )

    def of_source(
        self, address: str | None, keys: SealingKeys, *, with_password: bool = True
    ) -> Account | None:
        """Return the budget of one source address; None if it is not limited.

        Codes that need no password are counted apart: with made-up names they cost a caller nothing,
        and must not use up those of users who have a password.
        """
        source = _network(address, counts_private=self.counts_private_sources) if address else None
        if source is None:
            return None
        what = "codes of source" if with_password else "codes without a password of source"
        return Account(_row_key(keys, what, source), self.per_source, self.window, keys)


class GuessLimit(NamedTuple):
    """Limits of consecutive wrong codes for one user, over all flows.

    Attributes:
        free: wrong codes before the first pause.
        pause: seconds of the first pause. Each further one is twice as long.
        longest_pause: seconds.
        most: wrong codes after which no more are taken until `forgotten_after` has passed.
        forgotten_after: seconds after the last wrong code.
    """

    free: int = 10
    pause: float = 30.0
    longest_pause: float = 3600.0
    most: int = 50
    forgotten_after: float = 7 * 86400.0

    def of_user(self, name: UserName, kind: str, keys: SealingKeys) -> Guesses:
        """Return the count of one user.

        Args:
            name: the user's name.
            kind: what is guessed, so that guesses at a code that needs no password do not count
                against those who have entered the password.
            keys: the application's.
        """
        return Guesses(_row_key(keys, "guesses of user", kind, *name), self, keys)


class Account(NamedTuple):
    """The budget of one user or one source.

    Attributes:
        key: the row's key in the store.
    """

    key: str
    limit: int
    window: float
    keys: SealingKeys

    def remains(self, row: StoredRecord | None, now: float) -> bool:
        """Return whether another code may be sent."""
        return len(self._times(row, now)) < self.limit

    def charged(self, row: StoredRecord | None, now: float) -> StoredRecord:
        """Return the row with one more code."""
        times = [*self._times(row, now)[-self.limit :], _as_stored(now)]
        return next_row(self.key, row, times, now + self.window, self.keys)

    def refunded(self, row: StoredRecord | None, *, charged_at: float, now: float) -> StoredRecord:
        """Return the row without a code that was charged but not sent."""
        times = self._times(row, now)
        if (time := _as_stored(charged_at)) in times:
            times.remove(time)
        # Without a code, the store may delete the row at once.
        return next_row(self.key, row, times, now + self.window if times else now, self.keys)

    def _times(self, row: StoredRecord | None, now: float) -> list[float]:
        times = _stored_times(self.key, row, self.keys) if row else ()
        return [time for time in times if now - self.window < time <= now + self.window]


class Guesses(NamedTuple):
    """The wrong codes of one user since the last right one.

    Attributes:
        key: the row's key in the store.
    """

    key: str
    limit: GuessLimit
    keys: SealingKeys

    def allows(self, row: StoredRecord | None, now: float) -> bool:
        """Return whether another code is taken now."""
        failed, at = self._state(row, now)
        if failed < self.limit.free:
            return True
        if failed >= self.limit.most:
            return False
        pause = self.limit.pause * 2.0 ** (failed - self.limit.free)
        # A clock that was set back does not lengthen the pause beyond its own length.
        return not 0 <= now - at < min(pause, self.limit.longest_pause)

    def counted(self, row: StoredRecord | None, now: float, *, by: int) -> StoredRecord:
        """Return the row with one more wrong code, or one fewer; by 0 it is empty."""
        failed, at = self._state(row, now)
        failed = max(failed + by, 0) if by else 0
        state = [failed, now if by > 0 else at]
        # Without a wrong code, the store may delete the row at once.
        ends = now + self.limit.forgotten_after if failed else now
        return next_row(self.key, row, state, ends, self.keys)

    def _state(self, row: StoredRecord | None, now: float) -> tuple[int, float]:
        try:
            failed, at = open_row(self.key, row, self.keys) or (0, 0.0)
            return (int(failed), float(at)) if row and row.expires_at > now else (0, 0.0)
        except (TypeError, ValueError):
            return 0, 0.0


class Alias(NamedTuple):
    """Which user a typed name stands for: a row that is written once Cognito has said it.

    Attributes:
        key: the row's key in the store.
    """

    key: str
    keys: SealingKeys

    @classmethod
    def of(cls, typed: str, keys: SealingKeys) -> Alias:
        """Return the row of a typed name."""
        return cls(_row_key(keys, "alias", same_name(typed)), keys)

    def users(self, row: StoredRecord | None) -> tuple[str, ...]:
        """Return the users that codes were sent to under this name, or a spelling of it."""
        return _stored_users(self.key, row, self.keys) if row else ()

    def written(
        self, row: StoredRecord | None, *, user: str, now: float, related: tuple[str, ...] = ()
    ) -> StoredRecord:
        """Return the row with one more user, and the keys of rows that the next event needs."""
        users = [user, *(other for other in self.users(row) if other != user)][:_MOST_SPELLINGS]
        written = next_row(self.key, row, users, now + ALIAS_SECONDS, self.keys)
        return written._replace(related=related)


class LatestAddress(NamedTuple):
    """Which address of a kind a user has asked to have verified last, in whatever flow.

    Cognito has one for each user, and sends a further code there. An earlier flow, with another address
    in another browser, must not cause a code that counts against the budget of its own address.

    Attributes:
        key: the row's key in the store.
    """

    key: str
    keys: SealingKeys

    @classmethod
    def of_user(cls, owner: str, attribute: str, keys: SealingKeys) -> LatestAddress:
        """Return the row of a user.

        Args:
            owner: the user's ID (sub).
            attribute: Cognito's name of the address.
            keys: the application's.
        """
        return cls(_row_key(keys, "latest address of user", owner, attribute), keys)

    def allows(self, row: StoredRecord | None, *, address: str, now: float) -> bool:
        """Return whether no other address was asked for since."""
        if row is None or row.expires_at <= now:
            return True
        try:
            latest = open_row(self.key, row, self.keys)
        except (TypeError, ValueError):
            return True
        return latest in {None, self._mark(address)}

    def written(self, row: StoredRecord | None, *, address: str, now: float) -> StoredRecord:
        """Return the row with an address."""
        ends = now + LATEST_ADDRESS_SECONDS
        return next_row(self.key, row, self._mark(address), ends, self.keys)

    def _mark(self, address: str) -> str:
        return _row_key(self.keys, "latest address", address)


def offers_to(owner: str, every: float, keys: SealingKeys) -> Account:
    """Return the account that counts the offers of a second factor to a user: one in each window.

    Args:
        owner: the user's ID (sub).
        every: the window, in seconds.
        keys: the application's.
    """
    return Account(_row_key(keys, "offers to user", owner), 1, every, keys)


@lru_cache(maxsize=REMEMBERED)
def _row_key(keys: SealingKeys, *names: str) -> str:
    """Return `SealingKeys.row_key`. Only for names that are no secrets: they stay in memory."""
    return keys.row_key(*names)


def _as_stored(time: float) -> float:
    """Return a time as rows have it: with tenths of a second, so that 300 of them take under 4 KB."""
    return round(time, 1)


@lru_cache(maxsize=_REMEMBERED_ROWS)
def _stored_times(key: str, row: StoredRecord, keys: SealingKeys) -> tuple[float, ...]:
    try:
        return tuple(float(time) for time in open_row(key, row, keys) or ())
    except (TypeError, ValueError):
        return ()


@lru_cache(maxsize=_REMEMBERED_ROWS)
def _stored_users(key: str, row: StoredRecord, keys: SealingKeys) -> tuple[str, ...]:
    known = open_row(key, row, keys)
    return tuple(map(str, known)) if isinstance(known, list) else ()


@lru_cache(maxsize=REMEMBERED)
def same_name(name: str) -> str:
    """Return what all spellings of a name have in common.

    Case, width and composition (NFKC), blanks at the ends, and characters without a glyph, such as
    zero-width spaces, make no other name.
    """
    if name.isascii() and name.isprintable():
        return name.lower().strip()  # what the rest would return
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(char for char in folded if unicodedata.category(char)[0] != "C").strip()


def password_tag(password: str, keys: SealingKeys) -> str:
    """Return 16 bits of an HMAC of a password, in hexadecimal.

    They distinguish the user from a caller who guesses, and are too few to find the password with.
    """
    # Not by `_row_key`, which would keep the password.
    return keys.row_key("password", password)[:4]


@lru_cache(maxsize=REMEMBERED)
def _network(address: str, *, counts_private: bool) -> str | None:
    try:
        ip: IPv4Address | IPv6Address = ip_address(_without_port(address).partition("%")[0])
    except ValueError:
        return address  # a name of the application's own for the source
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    if not counts_private and any(ip in network for network in _PRIVATE):
        return None
    return str(ip_network((ip, 64), strict=False)) if isinstance(ip, IPv6Address) else str(ip)


def _without_port(address: str) -> str:
    """Return an address without the port that some servers and proxies add."""
    address = address.strip()
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, colon, port = address.partition(":")
    return host if colon and port.isdigit() else address


def check_limits(budget: CodeBudget | None, guesses: GuessLimit | None) -> None:
    """Raise `Misconfigured` unless limits are what they have to be."""
    if not isinstance(budget, CodeBudget | None):
        raise Misconfigured("budget has to be a CodeBudget, or None for no limit")
    if not isinstance(guesses, GuessLimit | None):
        raise Misconfigured("guess_limit has to be a GuessLimit, or None for no limit")
    if budget is not None:
        check_count("CodeBudget.per_user", budget.per_user)
        check_count("CodeBudget.per_source", budget.per_source)
        check_seconds("CodeBudget.window", budget.window)
        check_flag("CodeBudget.counts_private_sources", budget.counts_private_sources)
    if guesses is not None:
        check_count("GuessLimit.free", guesses.free)
        check_seconds("GuessLimit.pause", guesses.pause, or_none_at_all=True)
        check_seconds("GuessLimit.longest_pause", guesses.longest_pause, or_none_at_all=True)
        check_count("GuessLimit.most", guesses.most, least=1)
        check_seconds("GuessLimit.forgotten_after", guesses.forgotten_after)


DEFAULT_BUDGET = CodeBudget()
DEFAULT_GUESS_LIMIT = GuessLimit()
