"""`MemoryStore`: records in the memory of one process. Needs no extra; for tests and single workers."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterable

from oncegate.adapters import Finding, StoredRecord


class MemoryStore:
    """Stores records in a dictionary. All are lost when the process exits.

    Each store has an epoch of its own, and so has each forked process: a flow that began in another
    worker ends here.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._rows: dict[str, StoredRecord] = {}
        self._lock = threading.Lock()
        self._swept_at = 0.0
        self._epoch = secrets.token_hex(4)

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        return self._rows.get(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        if row.epoch not in {None, self.epoch(key)}:
            return False
        row = row._replace(epoch=None, related=())
        with self._lock:
            stored = self._rows.get(key)
            if stored is not None and stored[:2] == row[:2]:
                return True
            if (stored.version if stored else 0) != expected:
                return False
            self._rows[key] = row
            self._sweep()
            return True

    def epoch(self, key: str) -> str:  # noqa: ARG002 - one epoch for all keys
        """See `oncegate.adapters.RecordStore.epoch`."""
        if self._pid != os.getpid():
            # A forked process has a copy: what it saves, no other worker sees.
            self._begin()
        return self._epoch

    def now(self) -> float:
        """Return the time of this machine."""
        return time.time()

    def findings(self) -> Iterable[Finding]:
        """See `oncegate.adapters.InspectedStore.findings`."""
        found, cure = (
            "rows are in the memory of this process",
            "use a shared store for more workers",
        )
        return [Finding("shared", "warning", found, cure)]

    def _sweep(self) -> None:
        # At most once a minute, so that a swap stays cheap with any number of records.
        now = time.time()
        if now - self._swept_at < 60:
            return
        self._swept_at = now
        self._rows = {key: row for key, row in self._rows.items() if row.expires_at > now}
