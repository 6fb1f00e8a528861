"""`SessionStore`: the store as the sessions use it. An outage is logged once, not for each request."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from oncegate import Misconfigured, StoreUnavailable
from oncegate.adapters import RecordStore, StoredRecord, logger

_Result = TypeVar("_Result")

_CURE = (
    "check that the store runs, can be reached, and takes writes; requests get 503 until it does"
)


class SessionStore:
    """A store that reports its outages to the log. The engine does the same for the flows.

    Args:
        store: the store.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._failing: set[str] = set()
        self._lock = Lock()
        self._log = logger()

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        return self._watched("load", lambda: self._store.load(key))

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        return self._watched("swap", lambda: self._store.swap(key, expected, row))

    def epoch(self, key: str) -> str:
        """See `oncegate.adapters.RecordStore.epoch`."""
        return self._store.epoch(key)

    def now(self) -> float:
        """See `oncegate.adapters.RecordStore.now`."""
        return self._store.now()

    def _watched(self, operation: str, perform: Callable[[], _Result]) -> _Result:
        try:
            result = perform()
        except (StoreUnavailable, Misconfigured) as error:
            if self._changes(operation, fails=True):
                is_setting = isinstance(error, Misconfigured)
                self._log.error(
                    "the store of the sessions failed",
                    operation=operation,
                    error=type(error).__name__,
                    reason=str(error),
                    # The message of `Misconfigured` says the cure.
                    **({} if is_setting else {"cure": _CURE}),
                )
            raise
        if operation in self._failing and self._changes(operation, fails=False):
            self._log.warning("the store of the sessions answers again", operation=operation)
        return result

    def _changes(self, operation: str, *, fails: bool) -> bool:
        """Note whether an operation fails, and return whether that is new."""
        with self._lock:
            if (operation in self._failing) is fails:
                return False
            (self._failing.add if fails else self._failing.discard)(operation)
            return True
