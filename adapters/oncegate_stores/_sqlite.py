"""`SQLiteStore`: records in a file, for the threads and processes of one machine. Needs no extra."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import finalize

from oncegate import StoreUnavailable
from oncegate.adapters import StoredRecord

_SCHEMA = """
CREATE TABLE IF NOT EXISTS oncegate_flows (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL, expires_at REAL NOT NULL
)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS oncegate_flows_expiry ON oncegate_flows (expires_at)"
_LOAD = "SELECT version, sealed, expires_at FROM oncegate_flows WHERE key = ?"
_CREATE = "INSERT INTO oncegate_flows VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"
_SWAP = """
UPDATE oncegate_flows SET version = ?, sealed = ?, expires_at = ? WHERE key = ? AND version = ?
"""
_SWEEP = "DELETE FROM oncegate_flows WHERE expires_at < ?"

# In WAL mode, NORMAL can lose the latest commits in a power cut, but neither corrupts nor reorders
# them. A flow without its write-ahead would be found at rest although its call has left. So durable
# writes use FULL, which waits for the disk and also flushes the commits before it.
_SYNCHRONOUS = {"reading": "NORMAL", "writing": "NORMAL", "durable": "FULL"}


class _Connections:
    """The connections of one process: one for reading, and one for each way to commit a write."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.open: dict[str, sqlite3.Connection] = {}
        # SQLite allows one writer at a time. Threads queue on a lock, as SQLite would make them sleep.
        reading, writing = threading.Lock(), threading.Lock()
        self.turns = {"reading": reading, "writing": writing, "durable": writing}

    def close(self) -> None:
        """Close the connections, unless another process opened them."""
        if self.pid != os.getpid():
            _INHERITED.append(self)
            return
        for use, turn in self.turns.items():
            # With a timeout: at interpreter exit, a daemon thread may be using the connection.
            if turn.acquire(timeout=1):
                try:
                    if db := self.open.pop(use, None):
                        db.close()
                finally:
                    turn.release()


_INHERITED: list[_Connections] = []
"""Connections of the parent process: a fork must neither close nor garbage-collect them."""


class SQLiteStore:
    """Stores records in one table of one file, in write-ahead-log mode.

    The threads of a process share its connections, and a forked process opens new ones: SQLite
    connections must not cross a fork (sqlite.org, "How To Corrupt An SQLite Database File", 2.6).

    Args:
        path: database file; created with mode 0600 if it is missing.
        timeout: seconds to wait for another writer.

    Raises:
        StoreUnavailable: the file cannot be opened, or is not a database.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 5.0) -> None:
        self._path = Path(path)
        self._timeout = timeout
        self._connections = self._new_connections()
        self._swept_at = 0.0
        with self._connection("durable") as db:
            db.execute(_SCHEMA)
            db.execute(_INDEX)

    def close(self) -> None:
        """Close this process's connections. The next use of the store opens them again."""
        self._connections.close()

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        with self._connection("reading") as db:
            row = db.execute(_LOAD, (key,)).fetchone()
        return StoredRecord(*row) if row else None

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        columns = (row.version, row.sealed, row.expires_at)
        with self._connection("durable" if row.durable else "writing") as db:
            if expected == 0:
                self._sweep(db)
                saved = db.execute(_CREATE, (key, *columns)).rowcount
            else:
                saved = db.execute(_SWAP, (*columns, key, expected)).rowcount
        return saved == 1

    def durable_since(self) -> float:
        """Return 0.0: SQLite loses no durable write."""
        return 0.0

    def _sweep(self, db: sqlite3.Connection) -> None:
        now = time.time()
        if now - self._swept_at >= 60:
            self._swept_at = now
            db.execute(_SWEEP, (now,))

    def _new_connections(self) -> _Connections:
        connections = _Connections()
        # Closes them with the store: Python 3.13 warns about connections that are left open.
        finalize(self, connections.close)
        return connections

    @contextmanager
    def _connection(self, use: str) -> Iterator[sqlite3.Connection]:
        """Lend the connection for this use to one thread at a time."""
        connections = self._connections
        if connections.pid != os.getpid():
            # A forked process. The inherited locks may never be released, so they are not used; the
            # finalizer keeps the inherited connections alive.
            self._connections = connections = self._new_connections()
        turn = connections.turns[use]
        # The same timeout as SQLite's: behind a locked file, threads do not wait one after another.
        if not turn.acquire(timeout=self._timeout):
            raise StoreUnavailable(
                f"{self._path}: timed out after {self._timeout} s waiting for other threads"
            )
        try:
            if use not in connections.open:
                connections.open[use] = self._connect(use)
            yield connections.open[use]
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error
        finally:
            turn.release()

    def _connect(self, use: str) -> sqlite3.Connection:
        # Only the owner may read the file, although its records are sealed.
        self._path.touch(mode=0o600, exist_ok=True)
        # isolation_level=None: each statement is its own transaction; a swap needs no more.
        db = sqlite3.connect(
            self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[use]}")
        except sqlite3.Error:
            db.close()  # the file is not a database
            raise
        return db
