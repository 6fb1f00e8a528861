"""`PostgresStore`: records in PostgreSQL, for any number of workers. Extra: ``oncegate[postgres]``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection, Error
from psycopg_pool import ConnectionPool, PoolTimeout

from oncegate import StoreUnavailable
from oncegate.adapters import StoredRecord

_SCHEMA = """
CREATE TABLE IF NOT EXISTS oncegate_flows (
    key text PRIMARY KEY, version integer NOT NULL, sealed bytea NOT NULL,
    expires_at double precision NOT NULL
)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS oncegate_flows_expiry ON oncegate_flows (expires_at)"
_LOAD = "SELECT version, sealed, expires_at FROM oncegate_flows WHERE key = %s"
_CREATE = "INSERT INTO oncegate_flows VALUES (%s, %s, %s, %s) ON CONFLICT (key) DO NOTHING"
_SWAP = """
UPDATE oncegate_flows SET version = %s, sealed = %s, expires_at = %s WHERE key = %s AND version = %s
"""
_SWEEP = "DELETE FROM oncegate_flows WHERE expires_at < %s"
_LOCK = 0x6F6E6365
"""Key of the advisory lock for creating the table: concurrent CREATE TABLE IF NOT EXISTS can fail."""


class PostgresStore:
    """Stores records in one table. Each statement is its own transaction; a swap needs no more.

    Args:
        pool: connection pool with ``autocommit``, or a URL such as
            ``postgresql://user:password@host/database``, for which the store makes its own pool.
        timeout: seconds to wait for a connection, and for a statement; used only with a URL.
        max_size: maximum number of connections; used only with a URL.
        create: whether to create a missing table. If False, create it as in ``_SCHEMA``.

    Raises:
        StoreUnavailable: the table could not be created.
    """

    def __init__(
        self,
        pool: ConnectionPool[Connection[Any]] | str,
        *,
        timeout: float = 5.0,
        max_size: int = 10,
        create: bool = True,
    ) -> None:
        is_own = isinstance(pool, str)
        if isinstance(pool, str):
            pool = ConnectionPool(
                pool,
                kwargs={
                    "autocommit": True,
                    "connect_timeout": max(2, int(timeout)),
                    "options": f"-c statement_timeout={int(timeout * 1000)}",
                },
                min_size=1,
                max_size=max_size,
                timeout=timeout,
                check=ConnectionPool.check_connection,
                open=True,
            )
        self._pool = pool
        self._swept_at = 0.0
        if create:
            try:
                self._create()
            except StoreUnavailable:
                if is_own:
                    self.close()  # otherwise its threads keep trying to connect
                raise

    def _create(self) -> None:
        with self._connection() as db, db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            db.execute(_SCHEMA)
            db.execute(_INDEX)

    def close(self) -> None:
        """Close the connection pool."""
        self._pool.close()

    def load(self, key: str) -> StoredRecord | None:
        """See `oncegate.adapters.RecordStore.load`."""
        with self._connection() as db:
            row = db.execute(_LOAD, (key,)).fetchone()
        return StoredRecord(row[0], bytes(row[1]), row[2]) if row else None

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        """See `oncegate.adapters.RecordStore.swap`."""
        columns = (row.version, row.sealed, row.expires_at)
        with self._connection() as db:
            if expected == 0:
                self._sweep(db)
                saved = db.execute(_CREATE, (key, *columns)).rowcount
            else:
                saved = db.execute(_SWAP, (*columns, key, expected)).rowcount
        return saved == 1

    def durable_since(self) -> float:
        """Return 0.0: PostgreSQL loses no acknowledged write."""
        return 0.0

    def _sweep(self, db: Connection[Any]) -> None:
        now = time.time()
        if now - self._swept_at >= 60:
            self._swept_at = now
            db.execute(_SWEEP, (now,))

    @contextmanager
    def _connection(self) -> Iterator[Connection[Any]]:
        try:
            with self._pool.connection() as db:
                yield db
        except (Error, PoolTimeout) as error:
            # Only the type: the message of a connection error can contain the address.
            raise StoreUnavailable(f"PostgreSQL: {type(error).__name__}") from error
