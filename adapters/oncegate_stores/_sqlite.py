"""`SQLiteStore`: records in a file, for the threads and processes of one machine. Needs no extra."""

from __future__ import annotations

import hashlib
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from weakref import finalize

from oncegate import Misconfigured, StoreUnavailable
from oncegate.adapters import StoredRecord

_T = TypeVar("_T")

_DRAW = "INSERT OR REPLACE INTO oncegate_epoch VALUES (1, lower(hex(randomblob(4))))"
_STATEMENTS = (
    """CREATE TABLE IF NOT EXISTS oncegate_flows (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL, expires_at REAL NOT NULL
)""",
    "CREATE INDEX IF NOT EXISTS oncegate_flows_expiry ON oncegate_flows (expires_at)",
    "CREATE TABLE IF NOT EXISTS oncegate_epoch (id INTEGER PRIMARY KEY, drawn TEXT NOT NULL)",
    f"""CREATE TRIGGER IF NOT EXISTS oncegate_row_deleted AFTER DELETE ON oncegate_flows
WHEN OLD.expires_at > (julianday('now') - 2440587.5) * 86400 BEGIN {_DRAW}; END""",
    _DRAW,
)
_MISSING = """
SELECT 3 - count(*) FROM sqlite_master
WHERE name IN ('oncegate_flows', 'oncegate_epoch', 'oncegate_row_deleted')
"""

# of_file is a function of each connection: the epoch is what was drawn in the file, and which file.
_LOAD = """
SELECT of_file(drawn), version, sealed, expires_at
FROM oncegate_epoch LEFT JOIN oncegate_flows ON key = ?
"""

# A row that is stored already was saved by an earlier attempt, which failed after its commit.
_CREATE = """
INSERT INTO oncegate_flows SELECT :key, :version, :sealed, :expires_at
WHERE :epoch IS NULL OR (SELECT of_file(drawn) FROM oncegate_epoch) = :epoch
ON CONFLICT (key) DO UPDATE SET version = excluded.version
WHERE version = excluded.version AND sealed = excluded.sealed
"""
_SWAP = """
UPDATE oncegate_flows SET version = :version, sealed = :sealed, expires_at = :expires_at
WHERE key = :key AND (version = :expected OR version = :version AND sealed = :sealed)
AND (:epoch IS NULL OR (SELECT of_file(drawn) FROM oncegate_epoch) = :epoch)
"""
# The driver must see a row expired before it is deleted: hence the minute. `unixepoch('subsec')`,
# which is seconds since the Unix epoch, needs SQLite 3.42.
_SWEEP = """
DELETE FROM oncegate_flows WHERE rowid IN (
    SELECT rowid FROM oncegate_flows
    WHERE expires_at < (julianday('now') - 2440587.5) * 86400 - 60 LIMIT ?
)
"""
_MOST_SWEPT = 1000

# In WAL mode, NORMAL can lose the latest commits in a power cut, but neither corrupts nor reorders
# them. A flow without its write-ahead would be found at rest although its call has left. So durable
# writes use FULL, which waits for the disk and also flushes the commits before it.
_SYNCHRONOUS = {"reading": "NORMAL", "writing": "NORMAL", "durable": "FULL"}

_MOST_LOGGED = 4 << 20
"""Bytes of the write-ahead log after a checkpoint; SQLite makes one at 1,000 pages of 4 KB."""


class _Connections:
    """The connections of one process to one file: one to read, and one for each way to commit."""

    def __init__(self, file: tuple[int, int]) -> None:
        self.pid = os.getpid()
        self.file = file
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
    """Stores records in one table of one file, in write-ahead-log mode. Opens it at the first use.

    The threads of a process share its connections, and a forked process opens new ones: SQLite
    connections must not cross a fork (sqlite.org, "How To Corrupt An SQLite Database File", 2.6).

    A file that was deleted or replaced, and a row that was deleted before it expired, end the flows.

    Args:
        path: database file; created with mode 0600 if it is missing.
        timeout: seconds to wait for another writer.

    Attributes:
        SCHEMA: what the store creates in the file if it is missing.
    """

    SCHEMA = ";\n".join(_STATEMENTS) + ";\n"

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 5.0) -> None:
        self._path = Path(path)
        self._timeout = timeout
        self._connections: _Connections | None = None
        self._swept_at = -math.inf
        self._last: tuple[str, float] | None = None

    def close(self) -> None:
        """Close this process's connections. The next use of the store opens them again."""
        if self._connections:
            self._connections.close()

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        row = self._run("reading", lambda db: _first(db.execute(_LOAD, (key,))))
        epoch, version, sealed, expires_at = row
        self._last = epoch, time.monotonic()
        return None if version is None else StoredRecord(version, sealed, expires_at)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        values = {"key": key, "expected": expected, **row._asdict()}

        def save(db: sqlite3.Connection) -> bool:
            if expected == 0:
                self._sweep(db)
            return db.execute(_SWAP if expected else _CREATE, values).rowcount == 1

        return self._run("durable" if row.durable else "writing", save)

    def epoch(self, key: str) -> str:
        """See `oncegate.adapters.RecordStore.epoch`."""
        last = self._last
        if last is None or time.monotonic() - last[1] > 1:
            try:
                self.load(key)
            except StoreUnavailable:
                if last is None:
                    raise
        last = self._last or last
        assert last is not None
        return last[0]

    def now(self) -> float:
        """Return the time of this machine, which is SQLite's, too."""
        return time.time()

    def _sweep(self, db: sqlite3.Connection) -> None:
        """Delete expired rows, at most once a minute as long as one statement can delete them all."""
        now = time.monotonic()
        if now - self._swept_at >= 60:
            deleted = db.execute(_SWEEP, (_MOST_SWEPT,)).rowcount
            self._swept_at = -math.inf if deleted == _MOST_SWEPT else now

    def _run(self, use: str, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return the result of an action. If a table was dropped, create it and repeat the action."""
        with self._connection(use) as db:
            try:
                return action(db)
            except sqlite3.OperationalError as error:
                if not str(error).startswith("no such table"):
                    raise
                _create(db)
            return action(db)

    @contextmanager
    def _connection(self, use: str) -> Iterator[sqlite3.Connection]:
        """Lend the connection for this use to one thread at a time."""
        try:
            connections = self._to_the_file()
            turn = connections.turns[use]
            # The same timeout as SQLite's: behind a locked file, threads do not wait one after another.
            if not turn.acquire(timeout=self._timeout):
                raise StoreUnavailable(
                    f"{self._path}: timed out after {self._timeout} s waiting for other threads"
                )
            try:
                if use not in connections.open:
                    connections.open[use] = self._connect(use, connections.file)
                yield connections.open[use]
            finally:
                turn.release()
        except (sqlite3.Error, OSError) as error:
            raise self._typed(error) from error

    def _to_the_file(self) -> _Connections:
        """Return this process's connections to the file that has the path now.

        A file that was deleted or replaced can still be written to. Other workers would not see that.
        """
        file = self._file()
        current = self._connections
        if current and (current.pid, current.file) == (os.getpid(), file):
            return current
        # After a fork, the inherited locks may never be released, so they are not used; the finalizer
        # keeps the inherited connections alive.
        self._connections = connections = _Connections(file)
        # Closes them with the store: Python 3.13 warns about connections that are left open.
        finalize(self, connections.close)
        self._last = None
        if current and current.pid == os.getpid():
            current.close()
        return connections

    def _file(self) -> tuple[int, int]:
        """Return device and inode of the file; create it if it is missing."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            # Only the owner may read the file, although its records are sealed.
            self._path.touch(mode=0o600, exist_ok=True)
            found = self._path.stat()
        return found.st_dev, found.st_ino

    def _connect(self, use: str, file: tuple[int, int]) -> sqlite3.Connection:
        # isolation_level=None: each statement is its own transaction; a swap needs no more.
        db = sqlite3.connect(
            self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[use]}")
            # Another program's long transaction makes the log long. A checkpoint cuts it.
            db.execute(f"PRAGMA journal_size_limit = {_MOST_LOGGED}")
            if self._file() != file:
                raise StoreUnavailable(f"{self._path}: the file was replaced just now")
            db.create_function("of_file", 1, lambda drawn: _epoch_of(drawn, file[1]))
            if db.execute(_MISSING).fetchone() != (0,):
                _create(db)
        except BaseException:
            db.close()  # the file is not a database
            raise
        return db

    def _typed(self, error: Exception) -> StoreUnavailable | Misconfigured:
        """Return the exception for a failure, with its reason."""
        name = getattr(error, "sqlite_errorname", "")
        may_write = (
            os.access(self._path.parent, os.W_OK | os.X_OK) or not self._path.parent.exists()
        )
        if (
            isinstance(error, PermissionError)
            or name
            in {"SQLITE_READONLY", "SQLITE_READONLY_DIRECTORY", "SQLITE_PERM", "SQLITE_AUTH"}
            or (name.startswith("SQLITE_CANTOPEN") and not may_write)
        ):
            return Misconfigured(
                f"{self._path}: {error}. The worker's user must be allowed to read and write the file "
                "and its folder"
            )
        return StoreUnavailable(f"{self._path}: {error}")


def _epoch_of(drawn: str, inode: int) -> str:
    return hashlib.sha256(f"{drawn} {inode}".encode()).hexdigest()[:8]


def _first(cursor: sqlite3.Cursor) -> tuple[str, int | None, bytes, float]:
    row: tuple[str, int | None, bytes, float] | None = cursor.fetchone()
    if row is None:
        raise sqlite3.OperationalError("no such table row: oncegate_epoch")
    return row


def _create(db: sqlite3.Connection) -> None:
    """Create what is missing, with a new epoch; nothing if another process was faster."""
    db.execute("BEGIN IMMEDIATE")
    try:
        has_epoch = (
            db.execute(_MISSING).fetchone() == (0,)
            and db.execute("SELECT 1 FROM oncegate_epoch").fetchone()
        )
        for statement in () if has_epoch else _STATEMENTS:
            db.execute(statement)
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
