"""`SQLiteStore`: records in a file, for the threads and processes of one machine. Needs no extra."""

from __future__ import annotations

import hashlib
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from weakref import WeakValueDictionary, finalize

from oncegate import Misconfigured, StoreUnavailable
from oncegate.adapters import Change, StoredRecord, check_seconds
from oncegate_stores._group_commit import GroupCommit, Write
from oncegate_stores._progress import Progress

_T = TypeVar("_T")

_DRAW = """
INSERT OR REPLACE INTO oncegate_epoch (id, drawn) SELECT 1, lower(hex(randomblob(4)))"""
# `unixepoch('subsec')`, which is seconds since the Unix epoch, needs SQLite 3.42.
_NOW = "(julianday('now') - 2440587.5) * 86400"
_STATEMENTS = (
    """CREATE TABLE IF NOT EXISTS oncegate_flows (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL, expires_at REAL NOT NULL
)""",
    "CREATE INDEX IF NOT EXISTS oncegate_flows_expiry ON oncegate_flows (expires_at)",
    """CREATE TABLE IF NOT EXISTS oncegate_epoch (
    id INTEGER PRIMARY KEY, drawn TEXT NOT NULL, swept REAL NOT NULL DEFAULT 0
)""",
    f"""CREATE TRIGGER IF NOT EXISTS oncegate_row_deleted AFTER DELETE ON oncegate_flows
WHEN OLD.expires_at > {_NOW} BEGIN {_DRAW}; END""",
    # A table of its own: workers of 0.1 insert rows of four columns.
    """CREATE TABLE IF NOT EXISTS oncegate_related (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, related TEXT NOT NULL
) WITHOUT ROWID""",
    """CREATE TRIGGER IF NOT EXISTS oncegate_related_deleted AFTER DELETE ON oncegate_flows
BEGIN DELETE FROM oncegate_related WHERE key = OLD.key; END""",
    _DRAW,
)
_MISSING = """
SELECT 5 - count(*) FROM sqlite_master WHERE name IN (
    'oncegate_flows', 'oncegate_epoch', 'oncegate_row_deleted', 'oncegate_related',
    'oncegate_related_deleted'
)
"""

# The epoch is what was drawn in the file, which file (`_epoch_of`), and SQLite's count of changes of the
# whole file (schemas, restores, VACUUM). NULL if rows were deleted at a later time than now: the clock
# was ahead, and they may not have expired.
_EPOCH = f"CASE WHEN swept <= {_NOW} + 60 THEN drawn END, schema_version"
_ASK = f"SELECT {_EPOCH} FROM oncegate_epoch, pragma_schema_version"  # noqa: S608 - of constants
# The related keys of the row's own version: those of an earlier one stay in the table.
_LOAD = f"""
SELECT {_EPOCH}, key, version, sealed, expires_at, related
FROM oncegate_epoch, pragma_schema_version LEFT JOIN oncegate_flows ON key IN (:keys)
LEFT JOIN oncegate_related USING (key, version)
"""  # noqa: S608 - of constants
_LOAD_RELATED = """
SELECT key, version, sealed, expires_at FROM oncegate_flows WHERE key IN (:keys)
"""
_RENEW = f"{_DRAW} FROM oncegate_epoch WHERE swept > {_NOW} + 60"

# A row that is stored already was saved by an earlier attempt, which failed after its commit.
_INSERT = """
INSERT INTO oncegate_flows (key, version, sealed, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at
WHERE version = excluded.version AND sealed = excluded.sealed
"""
_UPDATE = """
UPDATE oncegate_flows SET version = ?, sealed = ?, expires_at = ?
WHERE key = ? AND (version = ? OR version = ? AND sealed = ?)
"""
_RELATE = """
INSERT INTO oncegate_related (key, version, related) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET version = excluded.version, related = excluded.related
"""
# The driver must see a row expired before it is deleted: hence the minute.
_NOTE_SWEEP = f"""
UPDATE oncegate_epoch SET swept = {_NOW}
WHERE swept < {_NOW} AND EXISTS (SELECT 1 FROM oncegate_flows WHERE expires_at < {_NOW} - 60)
"""  # noqa: S608 - of constants
_SWEEP = f"""
DELETE FROM oncegate_flows WHERE rowid IN (
    SELECT rowid FROM oncegate_flows WHERE expires_at < {_NOW} - 60 LIMIT ?
)
"""  # noqa: S608 - of constants
_MOST_SWEPT = 1000

# In WAL mode, NORMAL can lose the latest commits in a power cut, but neither corrupts nor reorders
# them. A flow without its write-ahead would be found at rest although its call has left. So durable
# writes use FULL, which waits for the disk and also flushes the commits before it.
_SYNCHRONOUS = {False: "PRAGMA synchronous = NORMAL", True: "PRAGMA synchronous = FULL"}

_MOST_LOGGED = 4 << 20
"""Bytes of the write-ahead log after a checkpoint; SQLite makes one at 1,000 pages of 4 KB."""

_FORK_WAITS = 1.0
"""Seconds that a fork waits for all threads that use connections."""

_MOST_SECONDS = 86_400.0
"""Longest timeout. SQLite counts its milliseconds in 32 bits, and takes more than that for none."""

_File = tuple[int, int]
"""Device and inode."""

_Loaded = tuple[tuple[str | None, int], dict[str, StoredRecord]]
"""What was drawn and the schema version, and rows by key."""


class _Forks:
    """Makes a fork wait until no thread uses a connection.

    In the forked process, SQLite would take a lock that is held at that moment for one of its own
    connections, and would never get it. `os.register_at_fork` calls these methods.

    A signal's handler can fork while its own thread holds what these wait for: hence locks that know
    their owner.

    Attributes:
        process: another object in each process. A process ID may be one that an ancestor had.
    """

    def __init__(self) -> None:
        self.process = object()
        self._lock = threading.RLock()
        self._connections = WeakValueDictionary[int, _Connections]()
        self._held: list[threading.RLock] = []

    def wait_for(self, connections: _Connections) -> None:
        """Let forks also wait for the threads that use these connections."""
        with self._lock:
            self._connections[id(connections)] = connections

    def before(self) -> None:
        """Acquire each connection's turn."""
        self._lock.acquire()
        # One for all connections: a thread may be waiting for another program with each of them.
        until = time.monotonic() + _FORK_WAITS
        for reference in self._connections.valuerefs():
            connections = reference()
            if connections and not connections.is_inherited():
                for turn in connections.turns.values():
                    if turn.acquire(timeout=max(0.0, until - time.monotonic())):
                        self._held.append(turn)

    def after_in_parent(self) -> None:
        """Let the threads go on."""
        try:
            self._release()
        finally:
            self._release()  # the rest, if a signal's handler raised
            self._lock.release()

    def _release(self) -> None:
        while self._held:
            with suppress(RuntimeError):  # released already, just before a handler raised
                self._held[-1].release()
            self._held.pop()

    def after_in_child(self) -> None:
        """Forget the parent's connections: this process opens its own.

        uWSGI forks by itself, and calls this method alone: another thread may hold the lock.
        """
        self.process = object()
        self._held.clear()
        self._lock = threading.RLock()


class _Connection(sqlite3.Connection):
    """A connection that knows which process opened it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.process = _FORKS.process


class _Connections:
    """The connections of one process to one file: one to read, and one to write."""

    def __init__(self, file: _File) -> None:
        self.pid = os.getpid()
        self.process = _FORKS.process
        self.file = file
        self.log: _File | None = None
        self.is_closed = False
        self.open: dict[str, _Connection] = {}
        # These know their owner: a signal's handler can raise just after a thread has got its turn.
        self.turns = {"reading": threading.RLock(), "writing": threading.RLock()}
        self.progress = {"reading": Progress(), "writing": Progress()}
        # SQLite allows one writer at a time, and would make the others sleep.
        self.commits = GroupCommit()
        self.waits_for_disk: bool | None = False
        _FORKS.wait_for(self)

    def is_inherited(self) -> bool:
        """Whether another process opened the connections."""
        # The process ID, too: a program in C may fork and not tell Python.
        return self.process is not _FORKS.process or self.pid != os.getpid()

    def close(self) -> None:
        """Close the connections, unless another process opened them."""
        if self.is_inherited():
            _INHERITED.append(self)
            return
        self.is_closed = True
        for use, turn in self.turns.items():
            # With a timeout: at interpreter exit, a daemon thread may be using the connection.
            if turn.acquire(timeout=1):
                try:
                    if db := self.open.pop(use, None):
                        db.close()
                finally:
                    turn.release()


_FORKS = _Forks()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_FORKS.before,
        after_in_parent=_FORKS.after_in_parent,
        after_in_child=_FORKS.after_in_child,
    )

_FORKED = "the process forked while it used the store"

_INHERITED: list[_Connections] = []
"""Connections of the parent process: a fork must neither close nor garbage-collect them."""


class SQLiteStore:
    """Stores records in one file, in write-ahead-log mode. Opens it at the first use.

    The threads of a process share its connections, and a forked process opens new ones: SQLite
    connections must not cross a fork (sqlite.org, "How To Corrupt An SQLite Database File", 2.6). A fork
    waits until no thread uses one, for a second at most. After one that does not wait, the file can stay
    locked for the child: in a signal's handler that interrupts a use of the store, or in uWSGI, which
    forks by itself, while another thread saves. Fork elsewhere; run uWSGI with ``--lazy-apps``.

    A file that was deleted, replaced or restored, and a row that was deleted before it expired, end the
    flows. A restart of the processes does not.

    Args:
        path: database file; created with mode 0600 if it is missing.
        timeout: seconds to wait for another program's writes, and for other threads of this process.
            Behind threads that get something done, a thread waits longer: six times that at most.

    Raises:
        Misconfigured: the path is SQLite's name for a database in memory, or the timeout is no number
            of seconds, of a day at most.

    Attributes:
        SCHEMA: what the store creates in the file if it is missing.
    """

    SCHEMA = ";\n".join(_STATEMENTS) + ";\n"

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 5.0) -> None:
        check_seconds("timeout", timeout, most=_MOST_SECONDS)
        self._path = Path(path)
        self._file_name = os.fspath(self._path)
        if self._file_name == ":memory:":
            # Each connection would have a database of its own, so no load would see what was saved.
            raise Misconfigured("an SQLite store needs a file; MemoryStore() stores rows in memory")
        self._log = f"{self._file_name}-wal"
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
        return self._load((key,), with_related=False).get(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        return self.swap_many((Change(key, expected, row),))[0]

    def load_many(self, keys: Sequence[str]) -> dict[str, StoredRecord]:
        """See `oncegate.adapters.BatchStore.load_many`."""
        return self._load(keys, with_related=True)

    def _load(self, keys: Sequence[str], *, with_related: bool) -> dict[str, StoredRecord]:
        load = partial(_load, keys=keys, with_related=with_related)
        connections, (answer, rows) = self._run("reading", load)
        if answer[0] is None:
            self._run("writing", lambda db: db.execute(_RENEW))
            connections, (answer, rows) = self._run("reading", load)
        drawn, schema_version = answer
        if drawn is None:
            raise StoreUnavailable(f"{self._path}: the clock changed just now")
        self._last = _epoch_of(drawn, schema_version, connections.file[1]), time.monotonic()
        return rows

    def swap_many(self, changes: Sequence[Change]) -> list[bool]:
        """See `oncegate.adapters.BatchStore.swap_many`. What threads save together is one commit."""
        write = Write(changes)
        try:
            connections = self._to_the_file()
            connections.commits.perform(write, partial(self._commit, connections), self._timeout)
            if write.error:
                raise write.error
        except (sqlite3.Error, OSError) as error:
            raise self._typed(error) from error
        return write.saved

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

    def _commit(self, connections: _Connections, writes: Sequence[Write]) -> None:
        """Save what several threads want saved, in one transaction."""
        changes = [change for write in writes for change in write.changes]
        waits_for_disk = any(change.row.durable for change in changes)
        sweeps = any(change.expected == 0 for change in changes)

        def save(db: _Connection) -> None:
            if sweeps:
                self._sweep(db)
            drawn, schema_version = _ask(db)
            epoch = drawn and _epoch_of(drawn, schema_version, connections.file[1])
            for write in writes:
                _save(db, write, epoch)

        def commit(db: _Connection) -> None:
            if connections.waits_for_disk is not waits_for_disk:
                connections.waits_for_disk = None  # in case a signal's handler raises
                db.execute(_SYNCHRONOUS[waits_for_disk])
                connections.waits_for_disk = waits_for_disk
            _with_tables(db, partial(_in_transaction, action=save))

        self._use(connections, "writing", commit)

    def _sweep(self, db: _Connection) -> None:
        """Delete expired rows, at most once a minute as long as one statement can delete them all."""
        now = time.monotonic()
        if now - self._swept_at >= 60:
            db.execute(_NOTE_SWEEP)
            deleted = db.execute(_SWEEP, (_MOST_SWEPT,)).rowcount
            self._swept_at = -math.inf if deleted == _MOST_SWEPT else now

    def _run(self, use: str, action: Callable[[_Connection], _T]) -> tuple[_Connections, _T]:
        """Return the connections that were used, and the result of an action."""
        try:
            connections = self._to_the_file()
            return connections, self._use(connections, use, partial(_with_tables, action=action))
        except (sqlite3.Error, OSError) as error:
            raise self._typed(error) from error

    def _use(self, connections: _Connections, use: str, action: Callable[[_Connection], _T]) -> _T:
        """Return the result of an action with the connection for this use: one thread's at a time.

        This and `_in_transaction` are no context managers: a signal's handler can raise within
        `contextlib`, and what they hold would be held for as long as that exception lives.
        """
        turn, progress = connections.turns[use], connections.progress[use]
        try:
            # The same timeout as SQLite's: behind a locked file, threads do not wait one after another.
            if not progress.acquire(turn, self._timeout):
                raise TimeoutError(f"{self._timeout} s passed while other threads were waited for")
            if connections.is_inherited():
                raise StoreUnavailable(f"{self._path}: {_FORKED}")
            if connections.is_closed:
                raise StoreUnavailable(f"{self._path}: the store was closed just now")
            if use not in connections.open:
                connections.open[use] = self._connect(connections.file)
            result = action(connections.open[use])
            progress.note()
            return result
        finally:
            try:  # noqa: SIM105 - with `suppress`, a signal could arrive before the release
                turn.release()
            except RuntimeError:
                pass  # it was not this thread's turn

    def _to_the_file(self) -> _Connections:
        """Return this process's connections to the file that has the path now.

        A file or log that was deleted or replaced can still be written to. Other workers would not see
        that.
        """
        file, current = self._file(), self._connections
        is_ours = current is not None and not current.is_inherited()
        has_lost_its_log = False
        if current and is_ours and not current.is_closed:
            if current.file == file and current.log == _file_at(self._log):
                return current
            has_lost_its_log = current.file == file
            # First, because the connections of a process share what SQLite knows of the log.
            current.close()
        # After a fork, the inherited locks may never be released, so they are not used; the finalizer
        # keeps the inherited connections alive.
        connections = _Connections(file)
        try:
            self._begin(connections, draw=has_lost_its_log)
        except BaseException:
            connections.close()
            raise
        self._connections = connections
        # Closes them with the store: Python 3.13 warns about connections that are left open.
        finalize(self, connections.close)
        self._last = None
        return connections

    def _begin(self, connections: _Connections, *, draw: bool) -> None:
        """Open the file.

        Args:
            connections: to the file, none of them open yet.
            draw: whether to draw a new epoch. SQLite deletes the log when the last process closes the
                file, so one that is deleted earlier was lost, and others may have begun a new one.
        """
        with connections.turns["writing"]:
            db = connections.open["writing"] = self._connect(connections.file)
            if draw:
                db.execute(_DRAW)
            connections.log = _file_at(self._log)

    def _file(self) -> _File:
        """Return device and inode of the file; create it if it is missing."""
        if found := _file_at(self._file_name):
            return found
        # Only the owner may read the file, although its records are sealed.
        self._path.touch(mode=0o600, exist_ok=True)
        made = self._path.stat()
        return made.st_dev, made.st_ino

    def _connect(self, file: _File) -> _Connection:
        # isolation_level=None: each statement is its own transaction; a swap needs no more.
        db = sqlite3.connect(
            self._path,
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        try:
            self._log_ahead(db)
            db.execute(_SYNCHRONOUS[False])
            # Another program's long transaction makes the log long. A checkpoint cuts it.
            db.execute(f"PRAGMA journal_size_limit = {_MOST_LOGGED}")
            if self._file() != file:
                raise StoreUnavailable(f"{self._path}: the file was replaced just now")
            if db.execute(_MISSING).fetchone() != (0,):
                _create(db)
        except BaseException:
            db.close()  # the file is not a database
            raise
        return db

    def _log_ahead(self, db: _Connection) -> None:
        """Set the journal mode, of which the file keeps a note; a new file has another one.

        SQLite refuses this change at once, whatever its timeout, while another process writes.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
                if not is_busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _typed(self, error: Exception) -> StoreUnavailable | Misconfigured:
        """Return the exception for a failure, with its reason."""
        name = getattr(error, "sqlite_errorname", "")
        if not self._path.parent.exists():
            return Misconfigured(
                f"{self._path}: there is no folder {self._path.parent}; create it, or mount its disk"
            )
        may_write = os.access(self._path.parent, os.W_OK | os.X_OK)
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


def _file_at(path: str) -> _File | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - at each use of the store: a third of Path.stat's time
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@lru_cache(maxsize=8)
def _epoch_of(drawn: str, schema_version: int, inode: int) -> str:
    return hashlib.sha256(f"{drawn} {schema_version} {inode}".encode()).hexdigest()[:8]


@cache
def _for_keys(statement: str, count: int) -> str:
    return statement.replace(":keys", ", ".join("?" * count))


def _load(db: _Connection, keys: Sequence[str], *, with_related: bool) -> _Loaded:
    """Return what was drawn and the schema version, and the rows, perhaps with those that they name."""
    found = db.execute(_for_keys(_LOAD, len(keys)), keys).fetchall() or _no_epoch()
    rows = {
        key: StoredRecord(
            version,
            sealed,
            ends,
            related=tuple(related.split()) if related and with_related else (),
        )
        for _, _, key, version, sealed, ends, related in found
        if key is not None
    }
    if with_related:
        # Also if there are none: a known name has some, and the time must not tell it.
        others = tuple({key for row in rows.values() for key in row.related}) or keys[:1]
        for key, *row in db.execute(_for_keys(_LOAD_RELATED, len(others)), others):
            rows.setdefault(key, StoredRecord(*row))
    return found[0][:2], rows


def _ask(db: _Connection) -> tuple[str | None, int]:
    """Return what was drawn, and the schema version."""
    found: tuple[str | None, int] = db.execute(_ASK).fetchone() or _no_epoch()
    return found


def _no_epoch() -> NoReturn:
    raise sqlite3.OperationalError("no such table row: oncegate_epoch")


def _save(db: _Connection, write: Write, epoch: str | None) -> None:
    """Save the changes of one thread. What is wrong with them alone is an error of theirs alone."""
    write.error, write.saved = None, [False] * len(write.changes)
    try:
        for index, change in enumerate(write.changes):
            write.saved[index] = change.row.epoch in {None, epoch} and _is_saved(db, change)
            if not write.saved[0]:
                return
    except Exception as error:
        # After some errors SQLite rolls back: then nothing of the others is saved either.
        if _is_missing_table(error) or not db.in_transaction:
            raise
        write.error = error


def _is_saved(db: _Connection, change: Change) -> bool:
    """Save a row if its condition holds, and return whether it does."""
    key, expected, row = change
    written = (row.version, row.sealed, row.expires_at)
    if expected:
        same = (key, expected, row.version, row.sealed)
        is_saved = db.execute(_UPDATE, (*written, *same)).rowcount
    else:
        is_saved = db.execute(_INSERT, (key, *written)).rowcount
    if not is_saved:
        return False
    if row.related:
        db.execute(_RELATE, (key, row.version, " ".join(row.related)))
    return True


def _with_tables(db: _Connection, action: Callable[[_Connection], _T]) -> _T:
    """Return the result of an action. If a table was dropped, create it and repeat the action."""
    try:
        return action(db)
    except sqlite3.OperationalError as error:
        if not _is_missing_table(error):
            raise
        _create(db)
    return action(db)


def _is_missing_table(error: Exception) -> bool:
    return str(error).startswith("no such table")


def _create(db: _Connection) -> None:
    """Create what is missing, with a new epoch; nothing if another process was faster."""
    _in_transaction(db, _create_missing)


def _create_missing(db: _Connection) -> None:
    has_epoch = (
        db.execute(_MISSING).fetchone() == (0,)
        and db.execute("SELECT 1 FROM oncegate_epoch").fetchone()
    )
    for statement in () if has_epoch else _STATEMENTS:
        db.execute(statement)


def _in_transaction(db: _Connection, action: Callable[[_Connection], None]) -> None:
    """Do something in a transaction that is committed or rolled back, whatever is raised."""
    try:
        # Inside, because a signal's handler can raise while it waits for another writer. The transaction
        # has begun then, and would shut out every writer.
        db.execute("BEGIN IMMEDIATE")
        action(db)
        # A signal's handler may have forked: the transaction is the parent's, which also commits it. Two
        # commits at one place of the log make the file malformed.
        if db.process is not _FORKS.process:
            raise StoreUnavailable(_FORKED)
        db.execute("COMMIT")
    except BaseException:
        if db.process is _FORKS.process:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
        raise
