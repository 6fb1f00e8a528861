"""The ports that adapters implement. Each is a Protocol: no base class, and nothing to register."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from oncegate.challenges import Call
from oncegate.context import RequestContext
from oncegate.devices import Device
from oncegate.outcomes import Outcome
from oncegate.overview import AccountOverview, ListedDevice
from oncegate.tokens import Tokens
from oncegate.ways_in import WaysIn


class Finding(NamedTuple):
    """The result of one check of a set-up.

    Attributes:
        check: what was checked, such as ``"store saves"``.
        status: ``"ok"``; ``"warning"`` if it works but should be changed; ``"failed"``.
        text: what was found. It names no password, no key and no store's URL.
        cure: what to do; empty if nothing is to be done.
    """

    check: str
    status: Literal["ok", "warning", "failed"]
    text: str
    cure: str = ""


class Transport(Protocol):
    """Speaks to Cognito. Performs each call at most once and returns its outcome."""

    @property
    def app_id(self) -> str:
        """Identifies user pool and app client. Sessions and device cookies are bound to it."""
        ...

    @property
    def max_call_seconds(self) -> float:
        """Upper bound for the duration of one call, from the transport's own timeouts."""
        ...

    @property
    def is_passwordless(self) -> bool:
        """Whether a sign-in can begin with a username alone (`oncegate.adapters.StartSignIn`)."""
        ...

    @property
    def ways_in(self) -> WaysIn:
        """What the first step offers beside the sign-in; `WaysIn()` for nothing but a reset."""
        ...

    @property
    def token_service(self) -> TokenService | None:
        """What renews, revokes and verifies this transport's tokens.

        None: sessions end with the access token, and signing out revokes nothing.
        """
        ...

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        """Perform one call.

        It may repeat a request only if the first provably had no effect. It reports a lost response
        as `OutcomeUnknown`; the driver treats an exception as the same.

        Args:
            call: the call to Cognito.
            context: the user's request, for ClientMetadata and threat protection. If the transport
                learns the user's own name before a request that can send a code, it asks
                `RequestContext.may_send`, and returns `NotSent` (``too_many_codes``) if it may not.
        """
        ...

    def check(self) -> list[Finding]:
        """Return what can be seen of the set-up without a user, for the start of an application.

        It makes no request that can send a code, raises nothing, and ends within seconds. Each finding
        that is not ``"ok"`` has the cure. A transport without anything to check returns an empty list.
        """
        ...


class TokenService(Protocol):
    """What an application needs of Cognito once a user is signed in. Safe to share between threads."""

    def renew(self, tokens: Tokens) -> Tokens:
        """Return new tokens for those of a session, by its refresh token.

        Raises:
            SignedOut: the session has ended; its refresh token is revoked, expired or was reused.
            Unreachable: Cognito did not answer, or refused for a reason that is not about the tokens,
                such as a firewall: the session goes on.
            Misconfigured: Cognito refused because of the set-up: the session goes on.
        """
        ...

    def revoke(self, tokens: Tokens) -> None:
        """Revoke a session's refresh token, and the access tokens issued with it.

        Raises:
            SignedOut: Cognito rejected it: there is nothing to revoke.
            Unreachable: Cognito did not answer, or refused for another reason.
            Misconfigured: the app client cannot revoke tokens, or its secret is wrong.
        """
        ...

    def check(self, tokens: Tokens) -> None:
        """Ask Cognito whether the session of these tokens goes on.

        Raises:
            SignedOut: the tokens were revoked, the user was signed out everywhere, disabled or
                deleted.
            Unreachable: Cognito did not answer, or refused for another reason: the session goes on.
            Misconfigured: Cognito refused because of the set-up: the session goes on.
        """
        ...

    def sign_out_everywhere(self, tokens: Tokens) -> None:
        """End every session of this user (GlobalSignOut); raises what `renew` raises."""
        ...

    def verify(self, token: str, use: Literal["access", "id"] = "access") -> Mapping[str, Any]:
        """Verify a token and return its claims.

        Raises:
            InvalidToken: it is forged, expired, or for another client or use.
            Unreachable: the pool's public keys could not be fetched.
        """
        ...

    def logout_url(self, tokens: Tokens, return_to: str) -> str | None:
        """Return where the browser goes to end managed login's own session; None if there is none.

        Args:
            tokens: those of the session that ends.
            return_to: URL that the browser comes back to; the app client has to allow it.
        """
        ...

    def devices(self, tokens: Tokens) -> list[ListedDevice]:
        """Return the devices that Cognito knows of this user; raises what `renew` raises."""
        ...

    def forget_device(self, tokens: Tokens, key: str) -> None:
        """Make Cognito forget a device; raises what `renew` raises. Remove it from the vault too."""
        ...


@runtime_checkable
class AccountService(Protocol):
    """Reads the accounts of signed-in users. Safe to share between threads."""

    def overview(self, access_token: str) -> AccountOverview:
        """Return what the account of a token's user has.

        Raises:
            SignedOut: the token was revoked, or the user was disabled or deleted.
            Unreachable: Cognito did not answer.
            Misconfigured: Cognito refused because of the set-up.
        """
        ...


class StoredRecord(NamedTuple):
    """One row of a store.

    Attributes:
        version: number that compare-and-swap compares.
        sealed: the record, opaque; under 4 KB.
        expires_at: seconds since the epoch, after which the store may delete the row.
        durable: whether the save has to be on disk when `RecordStore.swap` returns, as every save
            before a call has to. A power cut may undo a save that is not, but never without those
            after it. A store may ignore this, and need not store it.
        epoch: the epoch under which alone `RecordStore.swap` may save the row; None for any. It is not
            stored: a row that was loaded has None.
        related: keys of rows that are needed whenever this one is; `BatchStore.load_many` returns them
            with it. A store may ignore it. A row that was loaded has it only if the rows that it names
            were looked up, too.
    """

    version: int
    sealed: bytes
    expires_at: float
    durable: bool = True
    epoch: str | None = None
    related: tuple[str, ...] = ()


class Change(NamedTuple):
    """One of the swaps of `BatchStore.swap_many`; see `RecordStore.swap`."""

    key: str
    expected: int
    row: StoredRecord


class RecordStore(Protocol):
    """Stores sealed records: flows, budgets, sessions. Safe to share between threads.

    A store may lose what it has acknowledged: in a failover, a restart, an eviction. It then changes
    its epoch, and the flows from before end.

    All methods raise `oncegate.StoreUnavailable` if the store cannot answer, and
    `oncegate.Misconfigured`, with the cure, if it lacks a table, a right or a setting.
    """

    def load(self, key: str) -> StoredRecord | None:
        """Return the row under this key, or None."""
        ...

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """Save a row if the stored version is still the expected one, as one atomic operation.

        The same operation compares the row's epoch, if it has one, with the store's.

        Args:
            key: 32 hexadecimal digits.
            expected: version that must be stored; 0 if there must be no row.
            row: the new row.

        Returns:
            True if it was saved, or if exactly this row is stored: an earlier attempt was applied, and
            its answer was lost. False if another version is stored or the epoch is another, and then
            nothing changed.
        """
        ...

    def epoch(self, key: str) -> str:
        """Return the epoch of the data that this key belongs to: 8 lower-case hexadecimal digits.

        It changes whenever a write that was acknowledged may have been lost. It is what the last answer
        for this key said, at least as recent as the last `load` or `swap`. A store that loses nothing
        returns a constant.
        """
        ...

    def now(self) -> float:
        """Return the seconds since the Unix epoch by the store's clock, as far as its answers told.

        All workers of a store compare times by it. A store on the same machine returns the machine's.
        """
        ...


@runtime_checkable
class BatchStore(RecordStore, Protocol):
    """A store that loads and saves several rows in one round trip.

    The driver asks a store without these methods row by row.
    """

    def load_many(self, keys: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the rows that are stored under these keys, and as many of those related to them.

        Args:
            keys: each 32 hexadecimal digits; at most 16. The epoch and the time that the store tells
                afterwards are those of the first.

        Returns:
            Rows by key; a key without a row is missing. Also the rows that a wanted row names in
            `StoredRecord.related`, if the store keeps that.
        """
        ...

    def swap_many(self, changes: Sequence[Change]) -> Sequence[bool]:
        """Save several rows. The first decides: if it is not saved, none is.

        Each of the others is saved if its own condition holds, whether or not the rest are. They are
        saved after the first or with it, so a worker that dies in between saves the first alone.

        Args:
            changes: one to 8, for different keys. If the first row is durable, so may be the others.

        Returns:
            For each change what `RecordStore.swap` returns. Repeating a call is as safe as there. Once
            the first is saved, one of the others that the store cannot save now counts as not saved:
            the call raises only what concerns the first.
        """
        ...


class DeviceVault(Protocol):
    """Stores the devices of one user agent, with their secrets. Safe to share between threads.

    What it raises is logged and treated as "no such device": a sign-in never fails for its vault.
    """

    def find(self, name: str) -> Device | None:
        """Return the device of the user who has, or typed, this name (`oncegate.Device.is_of`)."""
        ...

    def store(self, device: Device) -> None:
        """Store a device, replacing any other of the same user."""
        ...

    def remove(self, device: Device) -> None:
        """Remove a device; does nothing if it is not there."""
        ...


class SessionKeeper(Protocol):
    """The application's session store: takes the tokens when Cognito issues them."""

    def create(self, tokens: Tokens) -> str:
        """Store the tokens and return the ID of the new session. Called before the flow is final."""
        ...


class Transition(NamedTuple):
    """A change that was saved, or an event that was suppressed and changed nothing.

    Attributes:
        flow: a name for the flow that is safe to log; not the flow ID.
        source: state before.
        target: state after; equal to the source if the event was suppressed.
        cause: name of the event or outcome.
        version: the flow's version afterwards.
        at: seconds since the epoch.
        message: code of what the user is told, if anything.
        detail: the transport's words, for the log: never a secret.
        delivered: medium of a code that Cognito sent with it, such as ``"SMS"``.
        suppressed: why the event changed nothing.
        context: the request that brought the event; None for time.
        user: the pool's own name for the user if it is known, otherwise the name that was typed. It is
            not in the repr, and not in oncegate's own log.
    """

    flow: str
    source: str
    target: str
    cause: str
    version: int
    at: float
    message: str | None
    detail: str
    delivered: str = ""
    suppressed: str = ""
    context: RequestContext | None = None
    user: str = ""

    def __repr__(self) -> str:
        shown = {name: value for name, value in self._asdict().items() if name != "user"}
        return f"Transition({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class Listener(Protocol):
    """Is called with every transition, after it was saved, and with every suppressed event.

    Also once for each new epoch of the store, with the cause ``"epoch_changed"``.

    What it raises is logged, not passed on.
    """

    def __call__(self, transition: Transition, /) -> None: ...


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """Return the seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        ...


class SystemClock:
    """The operating system's clock."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class StoreClock(SystemClock):
    """The clock of a store, which is the same for all workers.

    Args:
        store: the store.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def now(self) -> float:
        return self._store.now()
