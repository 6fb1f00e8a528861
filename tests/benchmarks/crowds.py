"""Many pending flows, many web steps, many sign-ins at once."""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
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
from tests.benchmarks.sign_ins import RemoteSandbox, code_sent, remote_sandbox
from tests.deployments.cold_start import cold_start
from tests.deployments.lambda_gateway import event as lambda_event
from tests.deployments.servers import ServerProcess, served
from tests.servers import RedisServer, free_port

from oncegate import AsyncSignIn, RequestContext, SignIn, SubmitPassword
from oncegate.adapters import Call, FlowId, Outcome, RecordStore
from oncegate.testing import ScriptedTransport
from oncegate_stores import DynamoDBStore, MemoryStore, SQLiteStore, store_from_url

PASSWORD = SubmitPassword.model_validate({"username": "ana", "password": "Correct-horse-1"})
CODE_SENT = code_sent()


class Immediate(ScriptedTransport):
    """A transport that answers every call with a sent code, at once."""

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        return CODE_SENT


# ── pending flows ──


def pending(quick: bool) -> list[Row]:
    """Measure what unfinished flows cost: the worker, Redis, and each later event."""
    sizes, rounds = ((1, 100, 2_000), 20) if quick else ((1, 1_000, 100_000), 300)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, RedisServer() as server:
        # One store for each size, so that the sizes are measured in turn.
        kinds: dict[str, list[RecordStore]] = {
            "SQLite": [SQLiteStore(Path(folder) / f"{size}.db") for size in sizes],
            "Redis": [store_from_url(f"{server.url[:-1]}{number}") for number in range(len(sizes))],
        }
        client = redis.Redis.from_url(server.url)
        _event_among(1, MemoryStore())()  # the first run fills caches and imports modules
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
    """Return an action: an event in a store with so many flows that wait for a code."""
    driver = SignIn(transport=Immediate(), store=store, listeners=[], budget=None)
    step = driver.send(driver.start(), PASSWORD)
    row = store.load(FlowId.parse(step.flow_id).key)
    assert row is not None
    for _ in range(size - 1):
        store.swap(uuid.uuid4().hex, 0, row._replace(durable=False))
    return lambda: driver.send(driver.start(), PASSWORD)


def _resident() -> int:
    """Return the resident memory of this process, in kilobytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


# ── web steps ──

CREDENTIALS = {"username": "ana", "password": "Correct-horse-1"}


class Served(ServerProcess):
    """An application in its own process, whose CPU time is read from outside."""

    def __init__(self, kind: str, cognito: RemoteSandbox, store: str) -> None:
        port = free_port()
        command = (sys.executable, "-m", "tests.benchmarks.served", kind, str(port))
        super().__init__((*command, *cognito, store), f"http://127.0.0.1:{port}")
        self.wait_until_it_answers()
        self.client = httpx.Client(base_url=self.url)

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.client.close()
        self.kill()


def web(quick: bool) -> list[Row]:
    """Measure web steps by the application's CPU time; Cognito and Redis run in other processes."""
    rounds, block = (3, 20) if quick else (12, 100)
    with remote_sandbox() as cognito, RedisServer() as server:
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
    what = "web steps per CPU second, FastAPI and Redis, compared with a bare route"
    words = (f"{1 / step:.0f} a second", f"{1 / call:.0f} a second")
    return [Row(what, *words, call / step, "≥ 0.8", call / step >= 0.8, f"{call / floor:.2f}")]


def _steps(served: Served, block: int) -> float:
    """Return the CPU time of one posted password, in seconds; the flows exist beforehand."""
    ready = []
    for _ in range(block):
        made = served.client.post("/auth/flows")
        ready.append((made.json()["flow_id"], made.headers["set-cookie"].partition(";")[0]))
        served.client.cookies.clear()
    began = served.cpu_seconds()
    for flow, cookie in ready:
        event = {"type": "submit_password", **CREDENTIALS, "version": 0}
        path, headers = f"/auth/flows/{flow}/events", {"cookie": cookie}
        answer = served.client.post(path, json=event, headers=headers)
        assert answer.json()["state"] == "awaiting_mfa", answer.text
    return (served.cpu_seconds() - began) / block


def _calls(served: Served, block: int) -> float:
    began = served.cpu_seconds()
    for _ in range(block):
        assert served.client.post("/sign-in", json=CREDENTIALS).json()["challenge"] == "SMS_MFA"
    return (served.cpu_seconds() - began) / block


# ── at once ──


class Slow(ScriptedTransport):
    """A transport whose calls take 300 ms, like those to a distant region."""

    seconds = 0.3

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        time.sleep(self.seconds)
        return CODE_SENT


def at_once(quick: bool) -> list[Row]:
    """Measure 200 simultaneous sign-ins: with threads, with asyncio, and the delay of its loop."""
    crowd = 40 if quick else 200
    with tempfile.TemporaryDirectory() as folder:
        more: Any = {"transport": Slow(), "listeners": [], "budget": None}
        store = SQLiteStore(Path(folder) / "flows.db")
        driver, asynchronous = SignIn(store=store, **more), AsyncSignIn(store=store, **more)
        late = list[float]()

        def alone(_: int) -> None:
            driver.send(driver.start(), PASSWORD)

        def with_the_floor(_: int) -> None:
            least.event(lambda: time.sleep(ideal))

        ideal, least = Slow.seconds, Least(store)
        with ThreadPoolExecutor(crowd) as threads:
            by_threads, by_loop, floor = in_turn(
                1 if quick else 5,
                lambda: list(threads.map(alone, range(crowd))),
                lambda: late.append(asyncio.run(_crowd(asynchronous, crowd))),
                lambda: list(threads.map(with_the_floor, range(crowd))),
            )
    what = f"{crowd} sign-ins at once by {{}}, compared with one call of 300 ms"
    lateness = statistics.median(late)
    return [
        row(what.format("threads"), 1.3, by_threads, ideal, floor),
        row(what.format("asyncio"), 1.3, by_loop, ideal, floor),
        Row(
            "delay of the loop meanwhile, median",
            in_words(lateness),
            "",
            None,
            "≤ 10 ms",
            lateness <= 0.01,
        ),
    ]


async def _crowd(driver: AsyncSignIn, crowd: int) -> float:
    """Sign in all users; return the median delay of the loop meanwhile, in seconds."""
    lateness: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            lateness.append(time.perf_counter() - began - 0.005)

    async def one() -> None:
        await driver.send(await driver.start(), PASSWORD)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(one() for _ in range(crowd)))
    watching.cancel()
    return statistics.median(lateness)


# ── AWS Lambda ──


def cold_starts(quick: bool) -> list[Row]:
    """Measure a cold start on AWS Lambda: the handler's import and its first page, FastAPI."""
    port, page = free_port(), lambda_event("GET", "/auth/", {"accept": "text/html"})
    # The libraries look for credentials and a region before they ask any server.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "unused")
    moto = (sys.executable, "-m", "moto.server", "-p", str(port))
    with (
        remote_sandbox() as cognito,
        tempfile.TemporaryDirectory() as folder,
        served(moto, f"http://127.0.0.1:{port}", log=Path(folder) / "log"),
    ):
        table = DynamoDBStore("flows", region="us-east-1", endpoint_url=f"http://127.0.0.1:{port}")
        table.create_table()
        variables = {
            "FRAMEWORK": "fastapi",
            "COGNITO_URL": cognito.endpoint,
            "POOL_ID": cognito.pool_id,
            "CLIENT_ID": cognito.client_id,
            "STORE_URL": f"dynamodb://flows?region=us-east-1&endpoint_url=http://127.0.0.1:{port}",
            "ONCEGATE_KEY": "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4",
        }

        def start(module: str) -> None:
            answer, _ = cold_start(variables, page, module)
            assert answer["statusCode"] == 200

        ours, bare = in_turn(
            2 if quick else 20, lambda: start("lambda_handler"), lambda: start("lambda_bare")
        )
    return [row("a cold start on Lambda, compared with FastAPI, Mangum and boto3", 1.5, ours, bare)]


ROWS = {"pending": pending, "web": web, "at_once": at_once, "cold_start": cold_starts}
