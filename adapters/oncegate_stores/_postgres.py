"""`PostgresStore`: records in PostgreSQL, for any number of workers. Extra: ``oncegate[postgres]``."""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple, TypeVar
from weakref import finalize

from psycopg import (
    ClientCursor,
    Connection,
    Error,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    errors,
)
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool, PoolTimeout

from oncegate import Misconfigured, StoreUnavailable
from oncegate.adapters import Change, StoredRecord, check_count, check_flag, check_seconds
from oncegate_stores._in_time import connected_within

_T = TypeVar("_T")

_SCHEMA = """\
CREATE TABLE IF NOT EXISTS oncegate_flows (
    key text PRIMARY KEY, version integer NOT NULL, sealed bytea NOT NULL,
    expires_at double precision NOT NULL
);
ALTER TABLE oncegate_flows ADD COLUMN IF NOT EXISTS related text[] NOT NULL DEFAULT '{}';
CREATE INDEX IF NOT EXISTS oncegate_flows_expiry ON oncegate_flows (expires_at);
CREATE TABLE IF NOT EXISTS oncegate_epoch (
    is_row boolean PRIMARY KEY DEFAULT true CHECK (is_row),
    epoch text NOT NULL DEFAULT '', history text NOT NULL DEFAULT '',
    swept double precision NOT NULL DEFAULT 0
);
INSERT INTO oncegate_epoch DEFAULT VALUES ON CONFLICT DO NOTHING;
CREATE OR REPLACE FUNCTION oncegate_row_deleted() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    LOCK TABLE oncegate_epoch IN ACCESS EXCLUSIVE MODE;
    UPDATE oncegate_epoch SET epoch = left(gen_random_uuid()::text, 8);
    RETURN OLD;
END $$;
CREATE OR REPLACE TRIGGER oncegate_row_deleted BEFORE DELETE ON oncegate_flows FOR EACH ROW
WHEN (OLD.expires_at > extract(epoch FROM now())) EXECUTE FUNCTION oncegate_row_deleted();
ALTER TABLE oncegate_flows ENABLE ALWAYS TRIGGER oncegate_row_deleted;
"""

_RIGHTS = """\
GRANT SELECT, INSERT, UPDATE, DELETE ON oncegate_flows TO the_role;
GRANT SELECT, UPDATE ON oncegate_epoch TO the_role;
"""

# The history that the server's data belong to. TRUNCATE, and a table dropped and made again, change
# the file of the table. Data cannot be replaced while the server's process runs, nor does a standby
# have the process of its primary. As a number, because a timestamp's text depends on the time zone.
_HISTORY = """
concat_ws(' ', pg_relation_filenode('oncegate_flows'), extract(epoch FROM pg_postmaster_start_time()))
"""
_NOW = "extract(epoch FROM now())::float8"

# Each statement answers with what the server says about itself, in the same snapshot and transaction.
# epoch: NULL if the history is another than the one for which it was drawn, or if rows were deleted
# at a later time than now: the server's clock was ahead, and they may not have expired.
_HERE = f"""
here AS (
    SELECT pg_is_in_recovery() AS is_standby,
        CASE WHEN NOT pg_is_in_recovery() AND history = {_HISTORY} AND swept <= {_NOW} + 60
        THEN epoch END AS epoch
    FROM oncegate_epoch
)
"""  # noqa: S608 - of constants
_ANSWER = "is_standby, here.epoch, extract(epoch FROM clock_timestamp())::float8"
# Arrays are written as text, for which psycopg has least to do.
_WANTED = "%(keys)s::text[]"
_LOAD_ALL_OF = f"""
WITH {_HERE}
SELECT {_ANSWER}, key, version, sealed, expires_at, related FROM here LEFT JOIN oncegate_flows
ON key = ANY ({{keys}})
"""  # noqa: S608 - of constants
_LOAD = _LOAD_ALL_OF.format(keys=_WANTED)
_RELATED = f"SELECT unnest(related) FROM oncegate_flows WHERE key = ANY ({_WANTED})"  # noqa: S608
_LOAD_RELATED = _LOAD_ALL_OF.format(keys=f"{_WANTED} || ARRAY ({_RELATED})")

# How change number {n} is saved, {if_allowed}. A row that is stored already was saved by an earlier
# attempt, whose answer was lost. The condition is part of the write, because only there PostgreSQL sees
# what another transaction has just committed.
_CREATE = """
INSERT INTO oncegate_flows AS stored (key, version, sealed, expires_at, related)
SELECT %(key{n})s, %(version{n})s, %(sealed{n})s, %(expires_at{n})s, %(related{n})s::text[]
FROM {here} WHERE {if_allowed}
ON CONFLICT (key) DO UPDATE SET version = excluded.version
WHERE stored.version = excluded.version AND stored.sealed = excluded.sealed
"""
_UPDATE = """
UPDATE oncegate_flows
SET version = %(version{n})s, sealed = %(sealed{n})s, expires_at = %(expires_at{n})s,
related = %(related{n})s::text[] FROM {here} WHERE key = %(key{n})s AND {if_allowed}
AND (version = %(expected{n})s OR version = %(version{n})s AND sealed = %(sealed{n})s)
"""
# The first change decides. A setting of the transaction tells the others that it was saved, and under
# which epoch.
_OF_FIRST = {
    "n": "0",
    "here": "here",
    "if_allowed": "(%(epoch0)s::text IS NULL OR here.epoch = %(epoch0)s)",
}
_OF_OTHER = {
    "here": "(SELECT) AS here",
    "if_allowed": "current_setting('oncegate.saved') LIKE %(epoch{n})s",
}
_SAVE = """
WITH {here}, saved AS ({write} RETURNING 1)
SELECT {answer}, EXISTS (SELECT FROM saved),
set_config('synchronous_commit', {commit}, true), set_config('oncegate.saved',
CASE WHEN EXISTS (SELECT FROM saved) THEN concat('under ', here.epoch) ELSE 'no' END, true) FROM here
"""
# A save that is not durable does not wait for the disk. A crash can undo it, but only with all that was
# saved after it: the log is written in order, and a durable save waits for all of it.
_COMMIT = {
    False: "'off'",
    True: """CASE current_setting('synchronous_commit')
WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END""",
}


@cache
def _save_statement(creates: tuple[bool, ...], durable: bool) -> str:
    """Return the statements of a transaction that saves several rows.

    Args:
        creates: of each change, whether there must be no row.
        durable: whether to wait for the disk.
    """
    first, *others = (_CREATE if is_new else _UPDATE for is_new in creates)
    statements = [
        _SAVE.format(
            here=_HERE, answer=_ANSWER, write=first.format_map(_OF_FIRST), commit=_COMMIT[durable]
        )
    ]
    for n, write in enumerate(others, 1):
        of_other = {name: part.format(n=n) for name, part in _OF_OTHER.items()}
        statements.append(write.format(n=n, **of_other))
    return ";".join(statements)


_RENEW = f"""
UPDATE oncegate_epoch
SET epoch = left(gen_random_uuid()::text, 8), history = {_HISTORY}, swept = 0
WHERE history <> {_HISTORY} OR swept > {_NOW} + 60
"""  # noqa: S608 - of constants
# The minute allows for the driver's idea of the time: it must see a row expired before it is deleted.
# now() and not clock_timestamp(): only a stable function can use the index.
_SWEEP = f"""
WITH deleted AS (
    DELETE FROM oncegate_flows WHERE key IN (
        SELECT key FROM oncegate_flows WHERE expires_at < {_NOW} - 60
        LIMIT %(most)s FOR UPDATE SKIP LOCKED
    ) RETURNING 1
), noted AS (
    UPDATE oncegate_epoch SET swept = {_NOW} WHERE swept < {_NOW} AND EXISTS (SELECT FROM deleted)
)
SELECT false, count(*) FROM deleted
"""  # noqa: S608 - of constants
_MOST_SWEPT = 1000
_LOCK = 0x6F6E6365
"""Key of the advisory lock for creating the tables: concurrent CREATE TABLE IF NOT EXISTS can fail."""

_ISOLATION = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;"
"""A role's default can be another, in which a swap that waited for another fails."""
_NAMES = re.compile(
    r"""(["'])[^"']*\1|\(?\b\d{1,3}(?:\.\d{1,3}){3}\b\)?|\(?[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:]*\)?"""
)
"""Quoted names, and addresses."""

_MAX_IDLE = 60.0
"""Seconds after which an unused connection is not used again: firewalls and NAT drop idle ones, after
350 s in AWS (docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html)."""
_GRACE = 0.5
"""Seconds that an answer may take longer than the server has for it: the server's own error leaves the
connection usable."""
_MAX_LIFETIME = 1800.0
"""Seconds after which a connection is replaced, so that workers follow DNS and load balancers."""


class PostgresStore:
    """Stores records in one table. Rows loaded or saved together take one round trip, one transaction.

    The store keeps nothing in the server's session, so PgBouncer can be in transaction mode. Nothing
    connects before the first use, and each process has its own connections: the store can be made
    before a fork. A store with a pool of yours cannot.

    Args:
        pool: URL such as ``postgresql://user:password@host/database``, with any of libpq's parameters
            (``sslmode``, ``target_session_attrs``, several hosts), or a pool of yours.
        timeout: seconds that a load or a swap may take, including the wait for a connection.
        max_size: maximum number of connections of each process; used only with a URL.
        create: whether to create missing tables. If False, or if the role may not, a database
            administrator runs `SCHEMA` and `RIGHTS`.

    Raises:
        Misconfigured: the URL is malformed, or another argument is not what it has to be.

    Attributes:
        SCHEMA: the statement that creates what the store needs; running it again does no harm.
        RIGHTS: the statement that grants a role what it needs.
    """

    SCHEMA = _SCHEMA
    RIGHTS = _RIGHTS

    def __init__(
        self,
        pool: ConnectionPool[Connection[Any]] | str,
        *,
        timeout: float = 5.0,
        max_size: int = 10,
        create: bool = True,
    ) -> None:
        check_seconds("timeout", timeout)
        check_count("max_size", max_size, least=1)
        check_flag("create", create)
        self._own = _Pool(pool, timeout, max_size) if isinstance(pool, str) else None
        self._given = pool if not isinstance(pool, str) else None
        self._pid = os.getpid()
        self._timeout = timeout
        self._may_create = create
        self._begin = f"{_ISOLATION}SET LOCAL statement_timeout = {int(timeout * 1000)};"
        self._last: _Answer | None = None
        self._swept_at = -math.inf
        if self._own:
            finalize(self, self._own.close)

    def close(self) -> None:
        """Close this process's connections. With a URL, the next use of the store opens them again."""
        if self._own:
            self._own.close()
        elif self._given:
            self._given.close()

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        row = self._load(_LOAD, (key,)).get(key)
        return row and row._replace(related=())

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        return self.swap_many((Change(key, expected, row),))[0]

    def load_many(self, keys: Sequence[str]) -> dict[str, StoredRecord]:
        """See `oncegate.adapters.BatchStore.load_many`."""
        return self._load(_LOAD_RELATED, keys)

    def swap_many(self, changes: Sequence[Change]) -> list[bool]:
        """See `oncegate.adapters.BatchStore.swap_many`."""
        creates = tuple(change.expected == 0 for change in changes)
        if any(creates):
            self._sweep()
        # In the order of their keys, so that transactions with the same rows do not lock each other out.
        order = [0, *sorted(range(1, len(changes)), key=lambda index: changes[index].key)]
        values: dict[str, Any] = {}
        for n, index in enumerate(order):
            key, expected, row = changes[index]
            values[f"key{n}"] = key
            values[f"expected{n}"] = expected
            values[f"version{n}"] = row.version
            values[f"sealed{n}"] = row.sealed
            values[f"expires_at{n}"] = row.expires_at
            values[f"related{n}"] = _array(row.related)
            values[f"epoch{n}"] = row.epoch if n == 0 else f"under {row.epoch or '%'}"
        statement = _save_statement(
            tuple(creates[index] for index in order),
            any(change.row.durable for change in changes),
        )
        rows, counts = self._ask(statement, values)
        saved = [bool(rows[0][0]), *(count == 1 for count in counts)]
        return [is_saved for _, is_saved in sorted(zip(order, saved, strict=True))]

    def _load(self, statement: str, keys: Sequence[str]) -> dict[str, StoredRecord]:
        rows, _ = self._ask(statement, {"keys": _array(keys)})
        return {
            key: StoredRecord(
                version,
                bytes(sealed),
                expires_at,
                # What the related rows name in turn is not looked up.
                related=tuple(related) if key in keys else (),
            )
            for key, version, sealed, expires_at, related in rows
            if key is not None
        }

    def epoch(self, key: str) -> str:
        """See `oncegate.adapters.RecordStore.epoch`."""
        last = self._recent(1.0)
        if last is None:
            self.load(key)  # which raises StoreUnavailable
            last = self._recent(math.inf)
        assert last is not None
        return last.epoch

    def now(self) -> float:
        """Return the time by PostgreSQL's clock; by this machine's until PostgreSQL has answered."""
        last = self._recent(60.0)
        return time.time() + (last.skew if last else 0.0)

    def _recent(self, seconds: float) -> _Answer | None:
        """Return the last answer. If it is older, ask again; if that fails, it has to do."""
        if self._last is None or time.monotonic() - self._last.at > seconds:
            with suppress(StoreUnavailable):
                self.load("")
        return self._last

    def _ask(self, statement: str, values: dict[str, Any]) -> _Result:
        """Run a statement, learn from its answer, and return the other columns."""
        sent = time.time()
        for _ in range(3):
            rows, counts = self._run(statement, values)
            epoch, server_time = rows[0][1:3]
            if epoch is not None:
                # The server's clock was read after the request and before the answer. Of the
                # differences that this allows, the least is taken.
                low, high = server_time - time.time(), server_time - sent
                skew = max(low, min(high, 0.0))
                skew = skew if abs(skew) >= 1 else 0.0
                self._last = _Answer(epoch, skew, time.monotonic())
                return _Result([row[3:] for row in rows], counts)
            self._run(_RENEW)
        raise StoreUnavailable("PostgreSQL: its history changes from statement to statement")

    def _sweep(self) -> None:
        """Delete expired rows, at most once a minute as long as one statement can delete them all."""
        now = time.monotonic()
        if now - self._swept_at >= 60:
            self._swept_at = now
            if self._run(_SWEEP, {"most": _MOST_SWEPT}).rows[0][1] == _MOST_SWEPT:
                self._swept_at = -math.inf

    def _run(self, statement: str, values: dict[str, Any] | None = None) -> _Result:
        """Run a statement. Repeat it if its cause of failure is removed, each cause once.

        It is safe to repeat: a swap recognises its own row.
        """
        until = time.monotonic() + self._timeout
        removed: set[str] = set()
        while True:
            try:
                with self._connection(until) as db:
                    return self._execute(db, statement, values)
            except Error as error:
                if isinstance(error, _MISSING) and self._may_create:
                    cause = "missing table"
                elif _is_of_connection(error):
                    cause = "connection"
                else:
                    raise _typed(error) from error
                if cause in removed or time.monotonic() > until:
                    raise _typed(error) from error
                removed.add(cause)
            if cause == "missing table":
                self._create(until)
            elif self._own:
                self._own.distrust()

    def _execute(
        self, db: Connection[Any], statement: str, values: dict[str, Any] | None
    ) -> _Result:
        # One string, which is one request and one transaction. A limit of the session would need a
        # start-up option, which PgBouncer refuses.
        cursor = ClientCursor(db, row_factory=tuple_row)
        cursor.execute(f"{self._begin}{statement}".encode(), values)
        result = _Result([], [])
        while True:
            if cursor.description is not None:
                result = _Result(cursor.fetchall(), [])
                if not result.rows:
                    raise errors.UndefinedTable("oncegate_epoch has no row")
                if result.rows[0][0]:
                    raise errors.ReadOnlySqlTransaction(
                        "the server is a standby, which is read-only"
                    )
            else:
                result.counts.append(cursor.rowcount)
            if not cursor.nextset():
                return result

    def _create(self, until: float) -> None:
        statement = f"{_ISOLATION}SELECT pg_advisory_xact_lock({_LOCK}); {_SCHEMA}"
        try:
            with self._connection(until) as db:
                ClientCursor(db).execute(statement.encode())
        except Error as error:
            raise _typed(error) from error

    @contextmanager
    def _connection(self, until: float) -> Iterator[Connection[Any]]:
        left = max(0.0, until - time.monotonic())
        if self._own:
            with self._own.connection(left) as db:
                yield db
            return
        assert self._given is not None
        if self._pid != os.getpid():
            raise Misconfigured(
                "PostgreSQL: this pool was made before the process forked; give PostgresStore a URL, or "
                "make the pool and the store after the fork"
            )
        with self._given.connection(left) as db:
            yield db


class _Result(NamedTuple):
    """What a transaction returned.

    Attributes:
        rows: those of its only statement with rows: standby, epoch, time, and the statement's own.
        counts: number of rows that each statement after that wrote.
    """

    rows: list[tuple[Any, ...]]
    counts: list[int]


_MISSING = (errors.UndefinedTable, errors.UndefinedColumn)
"""The tables are missing, or are those of an earlier release."""


class _Answer(NamedTuple):
    """What the server said about itself.

    Attributes:
        epoch: see `oncegate.adapters.RecordStore.epoch`.
        skew: seconds by which its clock is ahead; 0.0 if under a second.
        at: when it answered, by this process's monotonic clock.
    """

    epoch: str
    skew: float
    at: float


class _TimedOut(OperationalError):
    """The server did not answer in time, and did not end the statement either: it is frozen."""


class _Connection(Connection[Any]):
    """A connection whose waits end. psycopg's own wait for as long as the connection is open."""

    until = math.inf
    used_at = 0.0
    made_at = 0.0

    def wait(self, gen: PQGen[_T], *args: Any, **kwargs: Any) -> _T:
        return super().wait(_bounded(gen, self.until), *args, **kwargs)


def _bounded(gen: PQGen[_T], until: float) -> PQGen[_T]:
    """Run a generator of psycopg's, which is resumed at least every 0.1 s, until a time."""
    try:
        waits_for = next(gen)
        while True:
            ready = yield waits_for
            if time.monotonic() > until:  # also while an answer comes in bit by bit
                raise _TimedOut("the server did not answer in time")
            waits_for = gen.send(ready)
    except StopIteration as end:
        result: _T = end.value
        return result


class _Process:
    """The connections of one process."""

    def __init__(self, most: int) -> None:
        self.places = threading.BoundedSemaphore(most)
        self.idle: list[_Connection] = []
        self.is_closed = False


class _Pool:
    """Connections to one URL, a few for each process, the last used first.

    psycopg_pool's connects in threads of its own. They do not survive a fork; they hide why a server
    cannot be reached; and each caller waits for the whole timeout while it cannot.
    """

    def __init__(self, url: str, timeout: float, most: int) -> None:
        try:
            given = conninfo_to_dict(url)
        except ProgrammingError:
            raise Misconfigured("invalid PostgreSQL URL") from None
        defaults: dict[str, Any] = {
            "connect_timeout": max(2, int(timeout) // 2),  # of each host
            "fallback_application_name": "oncegate",
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": int(timeout * 1000),
        }
        self._url, self._timeout, self._most = url, timeout, most
        self._options = {name: value for name, value in defaults.items() if name not in given}
        # A forked process never closes the connections that it inherits: they are its parent's.
        self._processes: dict[int, _Process] = {}
        self._trusted_since = 0.0
        self._failed: tuple[float, Exception] | None = None

    def distrust(self) -> None:
        """Use no connection again that was used before now: the server went away, or is read-only."""
        self._trusted_since = time.monotonic()

    def close(self) -> None:
        """Close the connections of this process."""
        here = self._processes.pop(os.getpid(), None)
        if here:
            here.is_closed = True
            self._close_idle(here)

    @contextmanager
    def connection(self, timeout: float) -> Iterator[_Connection]:
        """Lend a connection.

        Args:
            timeout: seconds to wait for a place, and for each answer of the server.

        Raises:
            StoreUnavailable: all connections are in use, or the server cannot be reached.
        """
        until = time.monotonic() + timeout
        pid = os.getpid()
        here = self._processes.get(pid) or self._processes.setdefault(pid, _Process(self._most))
        if not here.places.acquire(timeout=timeout):
            raise StoreUnavailable(
                f"PostgreSQL: all {self._most} connections were in use for {self._timeout:g} s"
            )
        try:
            db = self._idle(here) or self._connect(until)
            db.until = until + _GRACE
            try:
                yield db
            except (ProgrammingError, errors.QueryCanceled):
                self._put_back(here, db)
                raise
            except BaseException:
                db.close()
                raise
            self._put_back(here, db)
        finally:
            here.places.release()

    def _idle(self, here: _Process) -> _Connection | None:
        now = time.monotonic()
        oldest = max(self._trusted_since, now - _MAX_IDLE)
        while here.idle:
            db = here.idle.pop()
            if not db.closed and db.used_at > oldest and db.made_at > now - _MAX_LIFETIME:
                return db
            db.close()
        return None

    def _put_back(self, here: _Process, db: _Connection) -> None:
        if db.info.transaction_status != TransactionStatus.IDLE:
            db.close()
            return
        db.used_at = time.monotonic()
        here.idle.append(db)
        if here.is_closed:
            self._close_idle(here)

    def _close_idle(self, here: _Process) -> None:
        while here.idle:
            here.idle.pop().close()

    def _connect(self, until: float) -> _Connection:
        began = time.monotonic()
        if self._failed and began - self._failed[0] < 1:
            raise StoreUnavailable(_message(self._failed[1]))
        try:
            # Two seconds more: the least that libpq gives a host.
            db = connected_within(max(0.0, until - began) + 2, self._connect_to_a_host)
        except (Error, TimeoutError) as error:
            ended = time.monotonic()
            # An event asks the store several times. It shall not wait so long each time.
            self._failed = (ended, error) if ended - began > 1 else None
            raise _typed(error) from error
        self._failed = None
        db.made_at = db.used_at = time.monotonic()
        return db

    def _connect_to_a_host(self) -> _Connection:
        return _Connection.connect(
            self._url, autocommit=True, prepare_threshold=None, **self._options
        )


def _array(texts: Iterable[str]) -> str:
    """Return an array of keys as PostgreSQL writes it. Hexadecimal digits need no quotes."""
    return f"{{{','.join(texts)}}}"


def _is_of_connection(error: Error) -> bool:
    """Whether another connection can do better: this one is lost, or leads to a standby."""
    if isinstance(error, (_TimedOut, PoolTimeout)):
        return False
    if error.sqlstate is None:
        return isinstance(error, (OperationalError, InterfaceError))
    # Lost connections, aborted transactions (deadlocks), shutdowns, and read-only servers.
    return error.sqlstate[:2] in {"08", "40"} or error.sqlstate in {
        "57P01",
        "57P02",
        "57P03",
        "25006",
    }


def _typed(error: Exception) -> StoreUnavailable | Misconfigured:
    """Return the exception for a failure, with its reason."""
    if isinstance(error, ProgrammingError):
        return Misconfigured(
            f"{_message(error)}. PostgresStore needs these tables and rights; run this as a role that "
            f"may create them, with the workers' role in place of the_role:\n{_SCHEMA}{_RIGHTS}"
        )
    return StoreUnavailable(_message(error))


def _message(error: Exception) -> str:
    return f"PostgreSQL: {type(error).__name__}: {_reason(error)}"


def _reason(error: Exception) -> str:
    """Return what the server said, without names and addresses."""
    if isinstance(error, Error) and error.diag.message_primary:
        return error.diag.message_primary
    first = (str(error).splitlines() or [""])[0]
    return _NAMES.sub("…", first.rpartition(" failed: ")[2]).strip()
