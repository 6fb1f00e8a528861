"""Flows in an SQLite file, shared by the threads and processes of one machine. Needs no extra."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oncegate.errors import StoreUnavailable
from oncegate.ports import StoredFlow

_SCHEMA = """
CREATE TABLE IF NOT EXISTS oncegate_flows (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID
"""
_INDEX = "CREATE INDEX IF NOT EXISTS oncegate_flows_expiry ON oncegate_flows (expires_at)"
_LOAD = "SELECT version, sealed, expires_at FROM oncegate_flows WHERE key = ?"
_CREATE = "INSERT INTO oncegate_flows VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"
_SWAP = """
UPDATE oncegate_flows SET version = ?, sealed = ?, expires_at = ? WHERE key = ? AND version = ?
"""
_SWEEP = "DELETE FROM oncegate_flows WHERE expires_at < ?"


class SQLiteStore:
    """One table in one file, in write-ahead-log mode.

    Each thread has a connection of its own, and a process that was forked makes new ones: SQLite
    connections must not cross a fork (sqlite.org, "How To Corrupt An SQLite Database File", 2.6).

    Args:
        path: of the file; made where there is none. Only its owner may read it.
        timeout: seconds to wait for another writer.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 5.0) -> None:
        self._path = Path(path)
        self._timeout = timeout
        self._own = threading.local()
        self._pid, self._writing = os.getpid(), threading.Lock()
        self._swept_at = 0.0
        with self._connection() as db:
            db.execute(_SCHEMA)
            db.execute(_INDEX)

    def load(self, key: str) -> StoredFlow | None:
        """See `oncegate.FlowStore.load`."""
        with self._connection() as db:
            row = db.execute(_LOAD, (key,)).fetchone()
        return StoredFlow(*row) if row else None

    def swap(self, key: str, expected: int, row: StoredFlow) -> bool:
        """See `oncegate.FlowStore.swap`."""
        # Threads of one process queue here; SQLite itself would have them sleep and try again.
        with self._turn(), self._connection() as db:
            if expected == 0:
                self._sweep(db)
                saved = db.execute(_CREATE, (key, *row)).rowcount
            else:
                saved = db.execute(_SWAP, (*row, key, expected)).rowcount
        return saved == 1

    def since(self) -> float:
        """See `oncegate.FlowStore.since`: SQLite keeps what it has acknowledged."""
        return 0.0

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._pid != os.getpid():
            # Forked: whoever held the lock is not in this process.
            self._pid, self._writing = os.getpid(), threading.Lock()
        turn = self._writing
        # As long as SQLite would wait: behind a file that is locked, nobody waits for all before.
        if not turn.acquire(timeout=self._timeout):
            raise StoreUnavailable(f"{self._path}: other threads have been writing for too long")
        try:
            yield
        finally:
            turn.release()

    def _sweep(self, db: sqlite3.Connection) -> None:
        now = time.time()
        if now - self._swept_at >= 60:
            self._swept_at = now
            db.execute(_SWEEP, (now,))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            if getattr(self._own, "pid", None) != os.getpid():
                self._own.db = self._connect()
                self._own.pid = os.getpid()
            yield self._own.db
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        # The file holds sealed records; that is no reason to let everyone copy them.
        self._path.touch(mode=0o600, exist_ok=True)
        # isolation_level=None: each statement is a transaction of its own, which is all a swap needs.
        db = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        # With WAL, NORMAL can lose the last commits in a power cut, never corrupt or reorder them. A
        # flow that loses its write-ahead that way is found at rest, though its call has left: so
        # FULL, which costs one fsync a save.
        db.execute("PRAGMA synchronous = FULL")
        return db
