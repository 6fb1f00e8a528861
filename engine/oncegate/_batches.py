"""Loads and saves of several rows with a store that takes one at a time."""

from __future__ import annotations

from collections.abc import Sequence

from oncegate.errors import Misconfigured, StoreUnavailable
from oncegate.ports import BatchStore, Change, RecordStore, StoredRecord


def batched(store: RecordStore) -> BatchStore:
    """Return a store that loads and saves several rows: this one if it can, or `RowByRow`."""
    return store if isinstance(store, BatchStore) else RowByRow(store)


class RowByRow:
    """Loads and saves several rows with one request for each.

    Args:
        store: the store. Only its `load` and `swap` are used for rows.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        return self._store.load(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        return self._store.swap(key, expected, row)

    def epoch(self, key: str) -> str:
        """See `oncegate.adapters.RecordStore.epoch`."""
        return self._store.epoch(key)

    def now(self) -> float:
        """See `oncegate.adapters.RecordStore.now`."""
        return self._store.now()

    def load_many(self, keys: Sequence[str]) -> dict[str, StoredRecord]:
        """See `oncegate.adapters.BatchStore.load_many`.

        Related rows are not looked up: a request for each would tell how many there are by its time.
        """
        rows = {key: self._store.load(key) for key in keys}
        return {key: row._replace(related=()) for key, row in rows.items() if row is not None}

    def swap_many(self, changes: Sequence[Change]) -> list[bool]:
        """See `oncegate.adapters.BatchStore.swap_many`."""
        first, *others = changes
        if not self._store.swap(*first):
            return [False] * len(changes)
        return [True, *(self._saved(change) for change in others)]

    def _saved(self, change: Change) -> bool:
        try:
            return self._store.swap(*change)
        except (StoreUnavailable, Misconfigured):  # Misconfigured: one server of a cluster
            return False
