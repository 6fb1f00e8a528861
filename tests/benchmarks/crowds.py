"""Many flows, many steps, many sign-ins at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import redis
from tests.benchmarks.least import Least
from tests.benchmarks.side_by_side import Row, in_turn, in_words, row
from tests.benchmarks.sign_ins import Elsewhere, _texted, sandbox_elsewhere
from tests.servers import RedisServer, free_port

from oncegate import StepRef
from oncegate import AsyncSignIn, SignIn, SubmitPassword
from oncegate.adapters import Call, FlowId, Outcome, RecordStore
from oncegate.testing import ScriptedTransport
from oncegate_stores import MemoryStore, SQLiteStore, store_from_url

PASSWORD = SubmitPassword.model_validate({"username": "ana", "password": "Correct-horse-1"})
TEXTED = _texted()


class AlwaysTexts(ScriptedTransport):
    """A Cognito that takes no time."""

    def perform(self, call: Call) -> Outcome:
        return TEXTED


# ── pending flows ──


def pending(quick: bool) -> list[Row]:
    """What flows cost that nobody has finished: in the worker, in Redis, and on each event after."""
    sizes, rounds = ((1, 100, 2_000), 20) if quick else ((1, 1_000, 100_000), 300)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, RedisServer() as server:
        # One for each size, so that they are measured in turn.
        kinds: dict[str, list[RecordStore]] = {
            "SQLite": [SQLiteStore(Path(folder) / f"{size}.db") for size in sizes],
            "Redis": [store_from_url(f"{server.url[:-1]}{number}") for number in range(len(sizes))],
        }
        client = redis.Redis.from_url(server.url)
        _event_among(1, MemoryStore())()  # the first one is for caches and imports
        for name, stores in kinds.items():
            before, memory = _resident(), client.info("memory")["used_memory"]
            events = [_event_among(size, store) for size, store in zip(sizes, stores, strict=True)]
            grown = _resident() - before
            each = (client.info("memory")["used_memory"] - memory) / sum(sizes)
            costs = in_turn(rounds, *events)
            ratio = costs[-1] / costs[0]
            words = ", ".join(in_words(cost) for cost in costs)
            what = f"an event with {', '.join(f'{size:,}' for size in sizes)} flows pending, {name}"
            rows.append(Row(what, words, "", ratio, "flat", ratio <= 1.2))
            what = f"memory of the worker for {sizes[-1]:,} pending flows, {name}"
            rows.append(Row(what, f"{grown / 1024:.1f} MB", "", None, "none", grown < 8 * 1024))
        client.close()
    what = "Redis's memory for each pending flow"
    rows.append(Row(what, f"{each:.0f} bytes", "", None, "≤ 4096 bytes", each <= 4096))
    return rows


def _event_among(size: int, store: RecordStore) -> Callable[[], object]:
    """A person's event in a store with so many flows that wait for a code."""
    driver = SignIn(transport=AlwaysTexts(), store=store, listeners=[], budget=None)
    flow_id = driver.start().flow_id
    driver.send(StepRef(flow_id, 0), PASSWORD)
    row = store.load(FlowId.parse(flow_id).key)
    assert row is not None
    for _ in range(size - 1):
        store.swap(uuid.uuid4().hex, 0, row._replace(durable=False))
    return lambda: driver.send(driver.start(), PASSWORD)


def _resident() -> int:
    """Kilobytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


# ── web steps ──

WHO = {"username": "ana", "password": "Correct-horse-1"}


class Served:
    """An application in a process of its own, whose processor's time is read from outside."""

    def __init__(self, kind: str, cognito: Elsewhere, store: str) -> None:
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.served",
            kind,
            str(port),
            *cognito,
            store,
        ]
        self._process = subprocess.Popen(command)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}")
        while True:
            with contextlib.suppress(httpx.ConnectError):
                self.client.get("/")
                return
            time.sleep(0.05)

    def processor(self) -> float:
        """Seconds of the processor that it has taken so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.client.close()
        self._process.kill()
        self._process.wait()


def web(quick: bool) -> list[Row]:
    """Steps on the web, by the processor's time of the application; Cognito and Redis are elsewhere."""
    rounds, block = (3, 20) if quick else (12, 100)
    with sandbox_elsewhere() as cognito, RedisServer() as server:
        ours, bare, least = (
            Served(kind, cognito, server.url) for kind in ("oncegate", "bare", "least")
        )
        took: list[list[float]] = [[], [], []]
        for _ in range(rounds):
            took[0].append(_steps(ours, block))
            took[1].append(_calls(bare, block))
            took[2].append(_calls(least, block))
        for served in (ours, bare, least):
            served.close()
    step, call, floor = (statistics.median(times) for times in took)
    what = "web steps for a second of the processor, FastAPI and Redis, against a bare route"
    words = (f"{1 / step:.0f} a second", f"{1 / call:.0f} a second")
    return [Row(what, *words, call / step, "≥ 0.8", call / step >= 0.8, f"{call / floor:.2f}")]


def _steps(served: Served, block: int) -> float:
    """Seconds of the processor for one password that is posted; the flows are there beforehand."""
    ready = []
    for _ in range(block):
        made = served.client.post("/auth/flows")
        ready.append((made.json()["flow_id"], made.headers["set-cookie"].partition(";")[0]))
        served.client.cookies.clear()
    began = served.processor()
    for flow, cookie in ready:
        event = {"type": "submit_password", **WHO, "version": 0}
        path, headers = f"/auth/flows/{flow}/events", {"cookie": cookie}
        answer = served.client.post(path, json=event, headers=headers)
        assert answer.json()["state"] == "awaiting_mfa", answer.text
    return (served.processor() - began) / block


def _calls(served: Served, block: int) -> float:
    began = served.processor()
    for _ in range(block):
        assert served.client.post("/sign-in", json=WHO).json()["challenge"] == "SMS_MFA"
    return (served.processor() - began) / block


# ── at once ──


class TakesItsTime(ScriptedTransport):
    """A Cognito that takes 300 ms for each call, as a far one does."""

    seconds = 0.3

    def perform(self, call: Call) -> Outcome:
        time.sleep(self.seconds)
        return TEXTED


def at_once(quick: bool) -> list[Row]:
    """200 sign-ins at the same moment: with threads, with asyncio, and how late its loop is meanwhile."""
    crowd = 40 if quick else 200
    with tempfile.TemporaryDirectory() as folder:
        more: Any = {"transport": TakesItsTime(), "listeners": [], "budget": None}
        store = SQLiteStore(Path(folder) / "flows.db")
        driver, asynchronous = SignIn(store=store, **more), AsyncSignIn(store=store, **more)
        late = list[float]()

        def alone(_: int) -> None:
            driver.send(driver.start(), PASSWORD)

        def by_the_least(_: int) -> None:
            least.event(lambda: time.sleep(ideal))

        ideal, least = TakesItsTime.seconds, Least(store)
        with ThreadPoolExecutor(crowd) as threads:
            by_threads, by_loop, floor = in_turn(
                1 if quick else 5,
                lambda: list(threads.map(alone, range(crowd))),
                lambda: late.append(asyncio.run(_crowd(asynchronous, crowd))),
                lambda: list(threads.map(by_the_least, range(crowd))),
            )
    what = f"{crowd} sign-ins at once by {{}}, against one call of 300 ms"
    lateness = statistics.median(late)
    return [
        row(what.format("threads"), 1.3, by_threads, ideal, floor),
        row(what.format("asyncio"), 1.3, by_loop, ideal, floor),
        Row(
            "the loop is late meanwhile, median",
            in_words(lateness),
            "",
            None,
            "≤ 10 ms",
            lateness <= 0.01,
        ),
    ]


async def _crowd(driver: AsyncSignIn, crowd: int) -> float:
    """Everybody signs in; returns the seconds by which the loop was late meanwhile, as a median."""
    lateness: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            lateness.append(time.perf_counter() - began - 0.005)

    async def one() -> None:
        step = await driver.start()
        await driver.send(StepRef(step.flow_id, 0), PASSWORD)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(one() for _ in range(crowd)))
    watching.cancel()
    return statistics.median(lateness)


ROWS = {"pending": pending, "web": web, "at_once": at_once}
