"""Effects: what the driver's script asks for, one at a time, and how each is performed on the ports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, get_args

from oncegate._log import LogListener, logger
from oncegate._watched import WatchedStore
from oncegate.challenges import Call
from oncegate.context import RequestContext
from oncegate.devices import Device
from oncegate.outcomes import Outcome, OutcomeUnknown
from oncegate.ports import (
    Change,
    Clock,
    DeviceVault,
    Listener,
    RecordStore,
    SessionKeeper,
    Transition,
    Transport,
)
from oncegate.tokens import Tokens


class Load(NamedTuple):
    """Load rows, and those related to them; returns what `BatchStore.load_many` does."""

    keys: tuple[str, ...]


class GetEpoch(NamedTuple):
    """Ask for the store's epoch of a key; returns 8 hexadecimal digits."""

    key: str


class Swap(NamedTuple):
    """Save rows, the first of which decides; returns what `BatchStore.swap_many` does."""

    changes: tuple[Change, ...]


class CallTransport(NamedTuple):
    """Perform a call, once; returns its outcome."""

    call: Call
    context: RequestContext


class CreateSession(NamedTuple):
    """Give the tokens to the application's session keeper; returns the session's ID."""

    tokens: Tokens


class FindDevice(NamedTuple):
    """Find a user's device in the vault; returns it or None."""

    vault: DeviceVault
    name: str


class StoreDevice(NamedTuple):
    """Store a device in the vault, or remove it; returns nothing."""

    vault: DeviceVault
    device: Device
    keep: bool


class Notify(NamedTuple):
    """Call the listeners; returns nothing."""

    transition: Transition


class Sleep(NamedTuple):
    """Wait; returns nothing."""

    seconds: float


Effect = (
    Load
    | GetEpoch
    | Swap
    | CallTransport
    | CreateSession
    | FindDevice
    | StoreDevice
    | Notify
    | Sleep
)

_OUTCOME_TYPES: tuple[type, ...] = get_args(Outcome)


class Performer:
    """Performs effects on the ports.

    Args:
        transport: performs the calls.
        store: stores the records.
        keeper: takes the tokens; None if the last step hands them over.
        listeners: called with every transition; None for one that logs.
        clock: tells the time.
    """

    def __init__(
        self,
        transport: Transport,
        store: RecordStore,
        keeper: SessionKeeper | None,
        listeners: Iterable[Listener] | None,
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._store = WatchedStore(store)
        self._keeper = keeper
        self._listeners = (LogListener(),) if listeners is None else tuple(listeners)
        self._clock = clock
        self._log = logger()

    def perform(self, effect: Effect) -> Any:
        """Perform one effect and return its result."""
        match effect:
            case Load():
                return self._store.load_many(effect.keys)
            case GetEpoch():
                return self._store.epoch(effect.key)
            case Swap():
                return self._store.swap_many(effect.changes)
            case CallTransport():
                return self._call(effect)
            case CreateSession():
                assert self._keeper is not None
                # Cognito has issued the tokens: an ID of another type must not lose them.
                return str(self._keeper.create(effect.tokens))
            case FindDevice() | StoreDevice():
                return self._use_vault(effect)
            case Notify():
                return self._notify(effect.transition)
            case Sleep():
                return self._clock.sleep(effect.seconds)

    def _call(self, effect: CallTransport) -> Outcome:
        try:
            outcome = self._transport.perform(effect.call, effect.context)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request may have left
            # Only the type: the exception may quote the request.
            self._log.error("transport raised", error=type(error).__name__)
            return OutcomeUnknown(detail=f"transport raised {type(error).__name__}")
        if not isinstance(outcome, _OUTCOME_TYPES):
            self._log.error("transport returned no outcome", got=type(outcome).__name__)
            return OutcomeUnknown(detail="transport returned no outcome")
        return outcome

    def _use_vault(self, effect: FindDevice | StoreDevice) -> Device | None:
        try:
            if isinstance(effect, FindDevice):
                return (
                    Device.model_validate(found)
                    if (found := effect.vault.find(effect.name))
                    else None
                )
            (effect.vault.store if effect.keep else effect.vault.remove)(effect.device)
        except Exception as error:  # noqa: BLE001 - a sign-in never fails for its vault
            self._log.error("device vault failed", error=type(error).__name__)
        return None

    def _notify(self, transition: Transition) -> None:
        for listener in self._listeners:
            try:
                listener(transition)
            except Exception as error:  # noqa: BLE001 - a listener never stops a sign-in
                self._log.error("listener raised", error=type(error).__name__)
