"""Flows in an SQLite file, shared by the threads and processes of one machine. Needs no extra."""

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


# With WAL, NORMAL can lose the last commits in a power cut, never corrupt or reorder them. A flow that
# loses its write-ahead that way is found at rest, though its call has left: so FULL for what has to
# last, which waits for the disk, and takes along what others have left to it.
_SYNCHRONOUS = {"reading": "NORMAL", "writing": "NORMAL", "durable": "FULL"}


class _Connections:
    """Of one process: one that reads, and of those that write, one for each way to commit."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.open: dict[str, sqlite3.Connection] = {}
        # SQLite lets one write at a time. Threads queue here for that: it would have them sleep.
        reading, writing = threading.Lock(), threading.Lock()
        self.turns = {"reading": reading, "writing": writing, "durable": writing}

    def close(self) -> None:
        """Close them, in the process that opened them."""
        if self.pid != os.getpid():
            _INHERITED.append(self)
            return
        for use, turn in self.turns.items():
            # Not for ever: at the end of a program, a thread that it does not wait for may be at work.
            if turn.acquire(timeout=1):
                try:
                    if db := self.open.pop(use, None):
                        db.close()
                finally:
                    turn.release()


_INHERITED: list[_Connections] = []
"""Of the process that this one was forked from: they are not to be closed here, nor let go of."""


class SQLiteStore:
    """One table in one file, in write-ahead-log mode.

    The threads of a process share its connections, and a process that was forked makes new ones: SQLite
    connections must not cross a fork (sqlite.org, "How To Corrupt An SQLite Database File", 2.6).

    Args:
        path: of the file; made where there is none. Only its owner may read it.
        timeout: seconds to wait for another writer.
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
        """Close this process's connections. Whoever uses the store after that opens them again."""
        self._connections.close()

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.RecordStore.load`."""
        with self._connection("reading") as db:
            row = db.execute(_LOAD, (key,)).fetchone()
        return StoredRecord(*row) if row else None

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.RecordStore.swap`."""
        columns = (row.version, row.sealed, row.expires_at)
        with self._connection("durable" if row.durable else "writing") as db:
            if expected == 0:
                self._sweep(db)
                saved = db.execute(_CREATE, (key, *columns)).rowcount
            else:
                saved = db.execute(_SWAP, (*columns, key, expected)).rowcount
        return saved == 1

    def durable_since(self) -> float:
        """See `oncegate.RecordStore.since`: SQLite keeps what has to last."""
        return 0.0

    def _sweep(self, db: sqlite3.Connection) -> None:
        now = time.time()
        if now - self._swept_at >= 60:
            self._swept_at = now
            db.execute(_SWEEP, (now,))

    def _new_connections(self) -> _Connections:
        connections = _Connections()
        # For whoever lets go of the store: Python 3.13 warns of connections that are left open.
        finalize(self, connections.close)
        return connections

    @contextmanager
    def _connection(self, use: str) -> Iterator[sqlite3.Connection]:
        """The connection for this use, for as long as the block lasts."""
        connections = self._connections
        if connections.pid != os.getpid():
            # Forked. What was inherited is not used, as its locks may be held for ever; its finalizer
            # keeps it.
            self._connections = connections = self._new_connections()
        turn = connections.turns[use]
        # As long as SQLite would wait: behind a file that is locked, nobody waits for all before.
        if not turn.acquire(timeout=self._timeout):
            raise StoreUnavailable(f"{self._path}: other threads have been at it for too long")
        try:
            if use not in connections.open:
                connections.open[use] = self._connect(use)
            yield connections.open[use]
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error
        finally:
            turn.release()

    def _connect(self, use: str) -> sqlite3.Connection:
        # The file holds sealed records; that is no reason to let everyone copy them.
        self._path.touch(mode=0o600, exist_ok=True)
        # isolation_level=None: each statement is a transaction of its own, which is all a swap needs.
        db = sqlite3.connect(
            self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[use]}")
        except sqlite3.Error:
            db.close()  # the file is no database
            raise
        return db
