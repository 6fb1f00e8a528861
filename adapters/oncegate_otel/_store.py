"""`MeteredStore`: a store whose latency is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from opentelemetry.metrics import MeterProvider

from oncegate.adapters import (
    Change,
    Finding,
    InspectedStore,
    RecordStore,
    StoredRecord,
    batched,
)
from oncegate_otel._durations import Durations

# A Redis next door answers within 0.2 ms, a throttled DynamoDB after seconds.
_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class MeteredStore:
    """Passes everything on to a store, and records ``oncegate.store.duration``.

    The attribute ``operation`` is ``load``, ``swap`` or ``epoch``; ``outcome`` is ``found``,
    ``missing``, ``saved``, ``refused``, ``ok``, ``store_unavailable``, ``misconfigured`` or ``error``.
    Several rows that are loaded or saved together are one operation, with the outcome of the first.

    Args:
        store: the store. Several rows are loaded and saved one by one if it is no `BatchStore`.
        provider: OpenTelemetry meter provider. Default: the global one.
    """

    def __init__(self, store: RecordStore, provider: MeterProvider | None = None) -> None:
        self._store = store
        self._batches = batched(store)
        self._durations = Durations(
            "oncegate.store.duration", "Seconds that a store takes", _SECONDS, provider
        )

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        return self._durations.measure("load", lambda: self._store.load(key), _of_load)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        return self._durations.measure(
            "swap", lambda: self._store.swap(key, expected, row), _of_swap
        )

    def load_many(self, keys: Sequence[str]) -> Mapping[str, StoredRecord]:
        """See `oncegate.adapters.BatchStore.load_many`."""
        return self._durations.measure(
            "load",
            lambda: self._batches.load_many(keys),
            lambda rows: _of_load(rows.get(keys[0])),
        )

    def swap_many(self, changes: Sequence[Change]) -> Sequence[bool]:
        """See `oncegate.adapters.BatchStore.swap_many`."""
        return self._durations.measure(
            "swap", lambda: self._batches.swap_many(changes), lambda saved: _of_swap(saved[0])
        )

    def epoch(self, key: str) -> str:
        """See `oncegate.adapters.RecordStore.epoch`."""
        return self._durations.measure("epoch", lambda: self._store.epoch(key))

    def now(self) -> float:
        """See `oncegate.adapters.RecordStore.now`. It is not measured: it seldom asks the store."""
        return self._store.now()

    def findings(self) -> Iterable[Finding]:
        """See `oncegate.adapters.InspectedStore.findings`."""
        return self._store.findings() if isinstance(self._store, InspectedStore) else ()


def _of_load(row: StoredRecord | None) -> dict[str, str]:
    return {"outcome": "missing" if row is None else "found"}


def _of_swap(saved: bool) -> dict[str, str]:
    return {"outcome": "saved" if saved else "refused"}
