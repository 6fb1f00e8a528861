"""The ports that adapters fill. Each is a Protocol: no base class to inherit, nothing to register."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

from oncegate.calls import Call
from oncegate.device import Device
from oncegate.outcomes import Outcome, Tokens


class Transport(Protocol):
    """Speaks to Cognito. Makes each call once and says what came of it."""

    @property
    def longest_call(self) -> float:
        """Seconds that one call can take at the very most, by the transport's own timeouts."""
        ...

    @property
    def is_passwordless(self) -> bool:
        """Whether a sign-in can begin with a username alone (`oncegate.calls.StartSignIn`)."""
        ...

    def make(self, call: Call) -> Outcome:
        """Make one call.

        It may repeat a request only where the first provably had no effect. It reports a lost
        response as `OutcomeUnknown`; an exception out of here is taken for the same.
        """
        ...


class StoredFlow(NamedTuple):
    """One row of a store.

    Attributes:
        version: what compare-and-swap goes by.
        sealed: the record, opaque; under 4 KB.
        expires_at: seconds since the epoch, after which the store may drop the row.
        lasting: whether the save has to be on disk when `FlowStore.swap` returns, as what is written
            ahead of a call has to. Of one that has not, a power cut may undo the save, but never
            without those after it. A store need not look at this, nor keep it with the row.
    """

    version: int
    sealed: bytes
    expires_at: float
    lasting: bool = True


class FlowStore(Protocol):
    """Keeps sealed flows. Safe to share between threads.

    All methods raise `oncegate.StoreUnavailable` when the store cannot answer.
    """

    def load(self, key: str) -> StoredFlow | None:
        """The row under this key, or None."""
        ...

    def swap(self, key: str, expected: int, row: StoredFlow) -> bool:
        """Save a row where the stored version is still the expected one, in one atomic act.

        Args:
            key: 32 hexadecimal digits.
            expected: the version that must be there; 0 where there must be no row.
            row: what to save.

        Returns:
            True if it was saved; False if another version is there, and then nothing changed.
        """
        ...

    def since(self) -> float:
        """Since when the store is known to have lost nothing, in seconds since the epoch.

        0.0 for one that keeps what has to last (`StoredFlow.lasting`). One that can lose its data says
        when it last came up empty: a flow from before, whose row is not there, may have been lost, and
        is over.
        """
        ...


class DeviceVault(Protocol):
    """Keeps the devices of one user agent, with their secrets. Safe to share between threads.

    What it raises is logged and taken for "no such device": a sign-in never fails for its vault.
    """

    def find(self, name: str) -> Device | None:
        """The device of the user who has, or typed, this name (`oncegate.Device.is_of`)."""
        ...

    def keep(self, device: Device) -> None:
        """Keep a device, in the place of any other of the same user."""
        ...

    def drop(self, device: Device) -> None:
        """Forget a device; nothing happens if it is not there."""
        ...


class SessionKeeper(Protocol):
    """Where the host keeps tokens, so that whoever holds the flow gets the same session."""

    def keep(self, tokens: Tokens) -> str:
        """Keep the tokens and return a name for the session. Called before the flow is final."""
        ...


class Transition(NamedTuple):
    """A change that has been saved, or an event that was held back and changed nothing.

    Attributes:
        flow: a name for the flow that is safe to write down; not the flow id.
        source: the state it was in.
        target: the state it is in.
        cause: the name of the event or outcome.
        version: of the flow after it.
        at: seconds since the epoch.
        message: the code of what the user is told, if anything.
        detail: what the transport had to add: never a secret, not for users.
        delivered: the medium of a code that Cognito sent with it, such as ``"SMS"``.
        held_back: why an event changed nothing; source and target are the same then.
        request: what the host calls the request that brought the event.
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
    held_back: str = ""
    request: str = ""


class Listener(Protocol):
    """Hears of every transition, after it has been saved, and of every event that was held back.

    What it raises is logged, not passed on.
    """

    def __call__(self, transition: Transition, /) -> None: ...


class Clock(Protocol):
    """Tells the time and passes it."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
