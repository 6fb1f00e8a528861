"""One event: on SQLite compared with bare writes, the part of Redis and PostgreSQL, and the round trips.

Each event is one of another user, with the default limits and listeners.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psycopg
import redis
from tests.benchmarks.observed import Observed, observed
from tests.benchmarks.side_by_side import Row, Times, in_turn, row
from tests.benchmarks.visitors import CODE, Answering, expect, visits
from tests.servers import PostgresServer, RedisServer

from oncegate import Cancel, RequestContext, SignIn
from oncegate.adapters import Call, Outcome, RecordStore
from oncegate_stores import SQLiteStore, store_from_url


class Sizes(NamedTuple):
    """Bytes of the sealed records that one event with a call saves, all rows of a save together.

    Attributes:
        ahead: before the call; it has to be on disk before the call leaves.
        afterwards: after the call.
    """

    ahead: int
    afterwards: int


class Counting(Answering):
    """Notes how many requests the store had got before the call."""

    def __init__(self, store: Observed) -> None:
        super().__init__()
        self._store = store
        self.before = 0

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        self.before = len(self._store.trips)
        return super().perform(call, context)


def sizes() -> Sizes:
    """Return what the password of a known user saves, by an event on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        store = observed(SQLiteStore(Path(folder) / "flows.db"))
        transport = Counting(store)
        send = _password(SignIn(transport=transport, store=store), 1)
        send()
        store.trips.clear()
        send()
        saved = [trip.size for trip in store.trips]
        return Sizes(sum(saved[: transport.before]), sum(saved[transport.before :]))


def _password(driver: SignIn, rounds: int) -> Callable[[], object]:
    """Return an action: a password that is right, of one user after the other, in a new flow."""
    who = visits(rounds)

    def run() -> None:
        password, request = next(who)
        step = driver.send(driver.start(), password, context=request)
        expect(step, "awaiting_mfa")

    return run


# ── on SQLite ──


class BareWrites:
    """What an event has to save, by itself: one fsync, and two rows of the same size.

    It is no floor: an event that saves fewer bytes, or saves them together, would take less.

    A connection of the standard library in WAL mode, and each statement its own transaction. First a new
    row, as large as all rows together that the event saves before the call, with ``synchronous=FULL``:
    the log is on disk when it returns. Then that row again, as large as what the event saves
    afterwards, with ``synchronous=NORMAL``: no wait. Nothing is read, compared, sealed or decided.
    """

    def __init__(self, path: Path, sizes: Sizes) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(
            "CREATE TABLE flows (key TEXT PRIMARY KEY, row BLOB) WITHOUT ROWID"
        )
        self._rows = (os.urandom(sizes.ahead), os.urandom(sizes.afterwards))

    def __call__(self) -> None:
        ahead, afterwards = self._rows
        key, run = uuid.uuid4().hex, self._connection.execute
        run("PRAGMA synchronous=FULL")
        run("INSERT INTO flows VALUES (?, ?)", (key, ahead))
        run("PRAGMA synchronous=NORMAL")
        run("UPDATE flows SET row = ? WHERE key = ?", (afterwards, key))

    def close(self) -> None:
        self._connection.close()


def event(quick: bool) -> Iterator[Row]:
    """Measure one event with a call: load, decide, save ahead, call at once, save the outcome."""
    rounds, written = 100 if quick else 1000, sizes()
    log = logging.getLogger("oncegate")
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        handler = logging.FileHandler(at / "log")
        bare = BareWrites(at / "bare.db", written)
        ours, loud = (
            _password(SignIn(transport=Answering(), store=SQLiteStore(at / name)), rounds)
            for name in ("flows.db", "loud.db")
        )

        def with_the_log_at_info() -> None:
            level = log.level
            log.addHandler(handler)
            log.setLevel(logging.INFO)
            loud()
            log.setLevel(level)
            log.removeHandler(handler)

        with closing(bare), closing(handler):
            took, logged, writes = in_turn(rounds, ours, with_the_log_at_info, bare)
    what = "one event on SQLite, compared with one fsync and two bare writes of the same size"
    note = f"{written.ahead} and {written.afterwards} bytes"
    yield row(what, 1.3, took, writes, note)
    yield row("the same, with the log at INFO in a file", None, logged, writes)


# ── the part of a store ──


def redis_part(quick: bool) -> Iterator[Row]:
    """Measure the time of one event that is spent in requests to Redis."""
    written, key = sizes(), "benchmark"
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:

        def bare() -> None:
            client.get(key)
            client.set(key, os.urandom(written.ahead))
            client.set(key, os.urandom(written.afterwards))

        what = "Redis's part of an event, compared with a bare GET and two SETs of the same size"
        yield _part(what, quick, store_from_url(server.url), bare)


def postgres_part(quick: bool) -> Iterator[Row]:
    """Measure the time of one event that is spent in requests to PostgreSQL."""
    written = sizes()
    with (
        PostgresServer() as server,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE bare (key text PRIMARY KEY, row bytea)")

        def bare() -> None:
            key, run = uuid.uuid4().hex, connection.execute
            run("SELECT row FROM bare WHERE key = %s", (key,))
            run("INSERT INTO bare VALUES (%s, %s)", (key, os.urandom(written.ahead)))
            run(
                "WITH off AS (SELECT set_config('synchronous_commit', 'off', true)) "
                "UPDATE bare SET row = %s FROM off WHERE key = %s",
                (os.urandom(written.afterwards), key),
            )

        what = "PostgreSQL's part of an event, compared with a bare SELECT, INSERT and UPDATE"
        note = "of the same size; the INSERT waits for the disk"
        yield _part(what, quick, store_from_url(server.url), bare, note)


def _part(
    what: str, quick: bool, store: RecordStore, bare: Callable[[], None], note: str = ""
) -> Row:
    rounds = 50 if quick else 1000
    watched = observed(store)
    ours = _password(SignIn(transport=Answering(), store=watched), rounds)
    spent: list[float] = []

    def one_event() -> None:
        ours()
        spent.append(watched.spent())

    _, by_hand = in_turn(rounds, one_event, bare)
    return row(what, None, Times.of(spent[1:]), by_hand, note)


# ── round trips ──


def trips(quick: bool) -> Iterator[Row]:
    """Count the requests to Redis for one event: no timing."""
    del quick  # there is nothing to repeat
    with RedisServer() as server:
        stores = [observed(store_from_url(server.url)) for _ in range(2)]
        worker, other = (SignIn(transport=Answering(), store=store) for store in stores)
        password, request = next(visits(1))

        def counted(text: str, most: int) -> Row:
            """Return the row of the requests since the last one."""
            count = sum(len(store.trips) for store in stores)
            for store in stores:
                store.trips.clear()
            what = f"requests to Redis: {text}"
            return Row(what, str(count), "", None, f"≤ {most}", count <= most)

        first = worker.start()
        step = worker.send(first, password, context=request)
        yield counted("a new user's password", 3)
        worker.send(first, password, context=request)
        yield counted("the same click again", 2)
        assert other.send(step, CODE, context=request).tokens
        yield counted("the code, on another worker", 3)
        step = worker.send(worker.start(), password, context=request)
        yield counted("a known user's password", 3)
        by_srp = SignIn(transport=Answering(asks=True), store=stores[0])
        by_srp.send(by_srp.start(), password, context=request)
        yield counted("the same by SRP, whose transport asks within the call", 3)
        assert worker.send(step, CODE, context=request).tokens
        yield counted("the code, on the same worker", 3)
        step = worker.send(worker.start(), password, context=request)
        counted("a password", 3)
        assert worker.send(step, Cancel(), context=request).state == "failed"
        yield counted("giving up", 2)


ROWS = {"event": event, "redis": redis_part, "postgres": postgres_part, "trips": trips}
