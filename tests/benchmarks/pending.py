"""What unfinished flows cost, and whether a worker's memory grows with its sign-ins."""

from __future__ import annotations

import gc
import resource
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import redis
from tests.benchmarks.side_by_side import Row, in_turn
from tests.benchmarks.visitors import CODE, Answering, expect, visits
from tests.servers import PostgresServer, RedisServer

from oncegate import SignIn
from oncegate.adapters import Change, FlowId, RecordStore, batched
from oncegate_stores import MemoryStore, SQLiteStore, store_from_url

_AT_A_TIME = 8
"""Rows that a store saves in one request (`oncegate.adapters.BatchStore.swap_many`)."""


def sizes(quick: bool) -> tuple[int, ...]:
    return (1, 100, 2_000) if quick else (1, 1_000, 100_000)


def pending_sqlite(quick: bool) -> Iterator[Row]:
    """Measure an event in stores with different numbers of flows that wait for a code."""
    with tempfile.TemporaryDirectory() as folder:
        stores = [SQLiteStore(Path(folder) / f"{size}.db") for size in sizes(quick)]
        yield from _rows("SQLite", quick, stores)


def pending_redis(quick: bool) -> Iterator[Row]:
    """The same, on Redis, and Redis's own memory."""
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        before = client.info("memory")["used_memory"]
        numbers = range(len(sizes(quick)))
        stores = [store_from_url(f"{server.url[:-1]}{number}") for number in numbers]
        yield from _rows("Redis", quick, stores)
        each = (client.info("memory")["used_memory"] - before) / sum(sizes(quick))
    what = "Redis's memory for each pending flow"
    yield Row(what, f"{each:.0f} bytes", "", None, "≤ 4096 bytes", each <= 4096)


def pending_postgres(quick: bool) -> Iterator[Row]:
    """The same, on PostgreSQL."""
    with PostgresServer() as server:
        names = [f"flows_{size}" for size in sizes(quick)]
        with psycopg.connect(server.url, autocommit=True) as connection:
            for name in names:
                connection.execute(f"CREATE DATABASE {name}")
        base = server.url.rpartition("/")[0]
        yield from _rows("PostgreSQL", quick, [store_from_url(f"{base}/{name}") for name in names])


def _rows(name: str, quick: bool, stores: Sequence[RecordStore]) -> Iterator[Row]:
    rounds = 20 if quick else 300
    _event_among(1, MemoryStore(), rounds)()  # the first run fills caches and imports modules
    before = _resident()
    # One store for each size, so that the sizes are measured in turn.
    events = [
        _event_among(size, store, rounds) for size, store in zip(sizes(quick), stores, strict=True)
    ]
    grown = _resident() - before
    costs = in_turn(rounds, *events)
    ratio = costs[-1].median / costs[0].median
    counts = ", ".join(f"{size:,}" for size in sizes(quick))
    what = f"an event with {counts} flows pending, {name}"
    yield Row(what, ", ".join(map(str, costs)), "", ratio, "flat: ≤ 1.2", ratio <= 1.2)
    what = f"memory of the worker for {sizes(quick)[-1]:,} pending flows, {name}"
    yield Row(what, _megabytes(grown), "", None, "≤ 8 MB", grown < 8 << 20)


def _event_among(size: int, store: RecordStore, rounds: int) -> Callable[[], object]:
    """Return an action: an event in a store with so many flows that wait for a code."""
    driver, who = SignIn(transport=Answering(), store=store), visits(rounds)

    def run() -> str:
        password, request = next(who)
        step = driver.send(driver.start(), password, context=request)
        expect(step, "awaiting_mfa")
        return step.flow_id

    batches, key = batched(store), FlowId.parse(run()).key
    # With its related keys and under its epoch, as the driver saves it: Redis keeps both.
    row = batches.load_many([key])[key]._replace(durable=False, epoch=store.epoch(key))
    others = [Change(uuid.uuid4().hex, 0, row) for _ in range(size - 1)]
    for start in range(0, len(others), _AT_A_TIME):
        assert all(batches.swap_many(others[start : start + _AT_A_TIME]))
    return run


# ── a worker's memory ──


def memory(quick: bool) -> Iterator[Row]:
    """Measure whether the worker's memory grows with the number of its sign-ins."""
    first, total = (50, 300) if quick else (2_000, 10_000)
    with tempfile.TemporaryDirectory() as folder:
        driver = SignIn(transport=Answering(), store=SQLiteStore(Path(folder) / "flows.db"))
        who = visits(total)
        resident = []
        for number in range(1, total + 1):
            password, request = next(who)
            step = driver.send(driver.start(), password, context=request)
            expect(driver.send(step, CODE, context=request), "authenticated")
            if number in (first, total):
                resident.append(_resident())
    grown = resident[1] - resident[0]
    what = f"memory of the worker, from {first:,} to {total:,} sign-ins with a code, SQLite"
    yield Row(what, _megabytes(grown), "", None, "flat: ≤ 1 MB", grown <= 1 << 20)


def _resident() -> int:
    """Return the resident memory of this process, in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MB"


ROWS = {
    "pending": pending_sqlite,
    "pending_redis": pending_redis,
    "pending_postgres": pending_postgres,
    "memory": memory,
}
