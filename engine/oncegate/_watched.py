"""`WatchedStore`: a store whose outages are in the log, once each and not for each request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final, TypeVar

from oncegate._batches import batched
from oncegate._log import logger
from oncegate.errors import Misconfigured, StoreUnavailable
from oncegate.ports import Change, RecordStore, StoredRecord

STORE_FAILURES: Final = (StoreUnavailable, Misconfigured)
"""What a store raises: it does not answer, or lacks a table, a right or a setting."""

_Result = TypeVar("_Result")


class WatchedStore:
    """Passes everything on to a store, and logs when an operation begins to fail and works again.

    Args:
        store: the store. Several rows are loaded and saved one by one if it is no `BatchStore`.
        name: what the log calls it.
        cure: what the log says to do, if the store does not say it itself (`Misconfigured`).
    """

    def __init__(self, store: RecordStore, name: str = "the store", cure: str = "") -> None:
        self._store = batched(store)
        self._name = name
        self._cure = cure
        # Of reads and writes, one may fail.
        self._failing: set[str] = set()
        self._lock = Lock()
        self._log = logger()

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        return self._watched("load", lambda: self._store.load(key))

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        return self._watched("swap", lambda: self._store.swap(key, expected, row))

    def load_many(self, keys: Sequence[str]) -> Mapping[str, StoredRecord]:
        """See `oncegate.adapters.BatchStore.load_many`."""
        return self._watched("load", lambda: self._store.load_many(keys))

    def swap_many(self, changes: Sequence[Change]) -> Sequence[bool]:
        """See `oncegate.adapters.BatchStore.swap_many`."""
        return self._watched("swap", lambda: self._store.swap_many(changes))

    def epoch(self, key: str) -> str:
        """See `oncegate.adapters.RecordStore.epoch`."""
        return self._watched("epoch", lambda: self._store.epoch(key))

    def now(self) -> float:
        """See `oncegate.adapters.RecordStore.now`."""
        return self._store.now()

    def _watched(self, operation: str, perform: Callable[[], _Result]) -> _Result:
        try:
            result = perform()
        except STORE_FAILURES as error:
            if self._changes(operation, fails=True):
                has_cure = self._cure and not isinstance(error, Misconfigured)
                self._log.error(
                    f"{self._name} failed",
                    operation=operation,
                    error=type(error).__name__,
                    reason=str(error),
                    **({"cure": self._cure} if has_cure else {}),
                )
            raise
        if operation in self._failing and self._changes(operation, fails=False):
            self._log.warning(f"{self._name} answers again", operation=operation)
        return result

    def _changes(self, operation: str, *, fails: bool) -> bool:
        """Note whether an operation fails, and return whether that is new."""
        with self._lock:
            if (operation in self._failing) is fails:
                return False
            (self._failing.add if fails else self._failing.discard)(operation)
            return True
