"""A store that notes each request: how many rows and bytes, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from oncegate.adapters import BatchStore, Change, RecordStore, StoredRecord


class Trip(NamedTuple):
    """One request to a store: one round trip of Redis or PostgreSQL.

    Attributes:
        operation: ``"load"`` or ``"save"``.
        rows: number of rows that were asked for, or given.
        size: bytes of the sealed records that were given.
        seconds: what it took.
    """

    operation: str
    rows: int
    size: int
    seconds: float


class Observed:
    """Passes everything on to a store.

    Attributes:
        trips: the requests since it was last emptied.
    """

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.trips: list[Trip] = []

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        with self.noted("load", 1):
            return self.store.load(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        with self.noted("save", 1, len(row.sealed)):
            return self.store.swap(key, expected, row)

    def epoch(self, key: str) -> str:
        """See `oncegate.adapters.RecordStore.epoch`."""
        return self.store.epoch(key)

    def now(self) -> float:
        """See `oncegate.adapters.RecordStore.now`."""
        return self.store.now()

    def spent(self) -> float:
        """Return the seconds in all requests since the last call of this, and forget them."""
        seconds = sum(trip.seconds for trip in self.trips)
        self.trips.clear()
        return seconds

    @contextmanager
    def noted(self, operation: str, rows: int, size: int = 0) -> Iterator[None]:
        """Note the block as one request."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.trips.append(Trip(operation, rows, size, time.perf_counter() - began))


class ObservedBatches(Observed):
    """The same for a `BatchStore`."""

    store: BatchStore

    def load_many(self, keys: Sequence[str]) -> Mapping[str, StoredRecord]:
        """See `oncegate.adapters.BatchStore.load_many`."""
        with self.noted("load", len(keys)):
            return self.store.load_many(keys)

    def swap_many(self, changes: Sequence[Change]) -> Sequence[bool]:
        """See `oncegate.adapters.BatchStore.swap_many`."""
        with self.noted("save", len(changes), sum(len(row.sealed) for _, _, row in changes)):
            return self.store.swap_many(changes)


def observed(store: RecordStore) -> Observed:
    """Return a store that notes each request, and is a `BatchStore` if this one is."""
    return ObservedBatches(store) if isinstance(store, BatchStore) else Observed(store)
