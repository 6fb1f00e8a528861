"""`MemoryStore`: records in the memory of one process. Needs no extra; for tests and single workers."""

from __future__ import annotations

import threading
import time

from oncegate.adapters import StoredRecord


class MemoryStore:
    """Stores records in a dictionary. All are lost when the process exits."""

    def __init__(self) -> None:
        self._rows: dict[str, StoredRecord] = {}
        self._lock = threading.Lock()
        self._swept_at = 0.0
        self._since = time.time()

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        return self._rows.get(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        with self._lock:
            stored = self._rows.get(key)
            if (stored.version if stored else 0) != expected:
                return False
            self._rows[key] = row
            self._sweep()
            return True

    def durable_since(self) -> float:
        """Return when this store was made: its records do not outlive the process."""
        return self._since

    def _sweep(self) -> None:
        # At most once a minute, so that a swap stays cheap with any number of records.
        now = time.time()
        if now - self._swept_at < 60:
            return
        self._swept_at = now
        self._rows = {key: row for key, row in self._rows.items() if row.expires_at > now}
