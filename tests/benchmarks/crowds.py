"""Many flows, many steps, many sign-ins at once."""

from __future__ import annotations

import asyncio
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import redis
import uvicorn
from fastapi import FastAPI
from tests.benchmarks.side_by_side import Row, in_words
from tests.benchmarks.sign_ins import Elsewhere, _texted, sandbox_elsewhere
from tests.servers import RedisServer, free_port

from oncegate import AsyncSignIn, FlowStore, Outcome, SignIn, SubmitPassword
from oncegate.calls import Call
from oncegate.testing import ScriptedTransport
from oncegate_stores import SQLiteStore, store_from_url
from oncegate_web import WebSignIn
from oncegate_web.fastapi import mount

PASSWORD = SubmitPassword.model_validate({"username": "ana", "password": "Correct-horse-1"})
TEXTED = _texted()


class AlwaysTexts(ScriptedTransport):
    """A Cognito that takes no time."""

    def make(self, call: Call) -> Outcome:
        return TEXTED


# ── pending flows ──


def pending(quick: bool) -> list[Row]:
    """What flows cost that nobody has finished: in the worker, in Redis, and on each event after."""
    sizes = (1, 100, 2_000) if quick else (1, 1_000, 100_000)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, RedisServer() as server:
        stores: dict[str, FlowStore] = {
            "SQLite": SQLiteStore(Path(folder) / "flows.db"),
            "Redis": store_from_url(server.url),
        }
        client = redis.Redis.from_url(server.url)
        for name, store in stores.items():
            driver = SignIn(transport=AlwaysTexts(), store=store, listeners=[], budget=None)
            made, costs = 0, []
            before, memory = _resident(), client.info("memory")["used_memory"]
            for size in sizes:
                while made < size:
                    driver.send(driver.start().flow_id, PASSWORD, version=0)
                    made += 1
                costs.append(_cost(driver))
            grown = _resident() - before
            ratio = costs[-1] / costs[0]
            words = ", ".join(in_words(cost) for cost in costs)
            what = f"an event with {', '.join(f'{size:,}' for size in sizes)} flows pending, {name}"
            rows.append(Row(what, words, "", ratio, "flat", ratio <= 1.2))
            what = f"memory of the worker for {sizes[-1]:,} pending flows, {name}"
            rows.append(Row(what, f"{grown / 1024:.1f} MB", "", None, "none", grown < 8 * 1024))
            if name == "Redis":
                each = (client.info("memory")["used_memory"] - memory) / (made + 200 * len(sizes))
                what = "Redis's memory for each pending flow"
                rows.append(Row(what, f"{each:.0f} bytes", "", None, "≤ 4096 bytes", each <= 4096))
    return rows


def _cost(driver: SignIn) -> float:
    times = []
    for _ in range(200):
        flow_id = driver.start().flow_id
        began = time.perf_counter()
        driver.send(flow_id, PASSWORD, version=0)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _resident() -> int:
    """Kilobytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


# ── web steps ──


@contextmanager
def _served(app: FastAPI) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def web(quick: bool) -> list[Row]:
    """Steps on the web, by the processor's time in this process; Cognito is in another."""
    rounds = 40 if quick else 600
    with sandbox_elsewhere() as cognito, RedisServer() as server:
        ours, bare = FastAPI(), FastAPI()
        transport = cognito.transport(auth_flow="USER_PASSWORD_AUTH")
        store = store_from_url(server.url)
        keys = "of the benchmark and nobody else"
        mount(
            ours,
            WebSignIn(transport=transport, store=store, keys=keys, listeners=[], budget=None),
        )
        _bare_route(bare, cognito)
        with _served(ours) as here, _served(bare) as there:
            took, other = _in_turn_by_processor(_steps(here), _calls(there), rounds)
    ratio = other / took
    what = "web steps for each second of the processor, FastAPI and Redis, against a bare route"
    words = (f"{1 / took:.0f} a second", f"{1 / other:.0f} a second")
    return [Row(what, *words, ratio, "≥ 0.8", ratio >= 0.8)]


def _bare_route(app: FastAPI, cognito: Elsewhere) -> None:
    client = cognito.client()

    @app.post("/sign-in")
    def sign_in(asked: dict[str, str]) -> dict[str, Any]:
        answer = client.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=cognito.client_id,
            AuthParameters={"USERNAME": asked["username"], "PASSWORD": asked["password"]},
        )
        return {"session": answer["Session"], "challenge": answer["ChallengeName"]}


WHO = {"username": "ana", "password": "Correct-horse-1"}


def _steps(url: str) -> Callable[[], None]:
    client = httpx.Client(base_url=url)
    starts = iter(lambda: client.post("/auth/flows").json()["flow_id"], None)
    ready: list[tuple[str, str]] = []

    def prepare() -> None:
        ready.append((next(starts), client.cookies["oncegate_flow"]))

    def step() -> None:
        flow, cookie = ready.pop()
        client.cookies.set("oncegate_flow", cookie)
        event = {"type": "submit_password", **WHO, "version": 0}
        answer = client.post(f"/auth/flows/{flow}/events", json=event)
        assert answer.json()["state"] == "awaiting_mfa"

    step.prepare = prepare  # type: ignore[attr-defined]
    return step


def _calls(url: str) -> Callable[[], None]:
    client = httpx.Client(base_url=url)

    def call() -> None:
        assert client.post("/sign-in", json=WHO).json()["challenge"] == "SMS_MFA"

    return call


def _in_turn_by_processor(
    ours: Callable[[], None], other: Callable[[], None], rounds: int
) -> tuple[float, float]:
    """Medians of the processor's seconds; what httpx takes for the request is in both."""
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 5):
        for act, times in zip((ours, other), took, strict=True):
            if prepare := getattr(act, "prepare", None):
                prepare()
            began = time.process_time()
            act()
            if number >= 5:
                times.append(time.process_time() - began)
    return statistics.median(took[0]), statistics.median(took[1])


# ── at once ──


class TakesItsTime(ScriptedTransport):
    """A Cognito that takes 300 ms for each call, as a far one does."""

    seconds = 0.3

    def make(self, call: Call) -> Outcome:
        time.sleep(self.seconds)
        return TEXTED


def at_once(quick: bool) -> list[Row]:
    """200 sign-ins at the same moment: with threads, with asyncio, and how late its loop is meanwhile."""
    crowd = 40 if quick else 200
    with tempfile.TemporaryDirectory() as folder:
        more: Any = {"transport": TakesItsTime(), "listeners": [], "budget": None}
        store = SQLiteStore(Path(folder) / "flows.db")
        driver, asynchronous = SignIn(store=store, **more), AsyncSignIn(store=store, **more)
        with ThreadPoolExecutor(crowd) as threads:
            began = time.perf_counter()
            list(
                threads.map(
                    lambda _: driver.send(driver.start().flow_id, PASSWORD, version=0), range(crowd)
                )
            )
            by_threads = time.perf_counter() - began
        by_loop, late = asyncio.run(_crowd(asynchronous, crowd))
    ideal, rows = TakesItsTime.seconds, []
    for name, took in (("threads", by_threads), ("asyncio", by_loop)):
        ratio = took / ideal
        what = f"{crowd} sign-ins at once by {name}, against one call of 300 ms"
        rows.append(Row(what, in_words(took), in_words(ideal), ratio, "≤ 1.3", ratio <= 1.3))
    rows.append(
        Row("the loop is late meanwhile, median", in_words(late), "", None, "≤ 10 ms", late <= 0.01)
    )
    return rows


async def _crowd(driver: AsyncSignIn, crowd: int) -> tuple[float, float]:
    lateness: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            lateness.append(time.perf_counter() - began - 0.005)

    async def one() -> None:
        step = await driver.start()
        await driver.send(step.flow_id, PASSWORD, version=0)

    watching = asyncio.create_task(watch())
    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(crowd)))
    took = time.perf_counter() - began
    watching.cancel()
    return took, statistics.median(lateness)


ROWS = {"pending": pending, "web": web, "at_once": at_once}
