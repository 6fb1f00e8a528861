"""Many sign-ins at once: with threads, and with asyncio."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any

from tests.benchmarks.side_by_side import Row, Times, in_turn, in_words
from tests.benchmarks.visitors import Answering, Visit, visits

from oncegate import AsyncSignIn, SignIn, Step, StoreUnavailable
from oncegate.driver.asyncio import THREADS
from oncegate_stores import SQLiteStore

CALL = 0.3
"""Seconds of a call, like one to a distant region."""


def at_once(quick: bool) -> Iterator[Row]:
    """Measure simultaneous sign-ins, compared with the time that their calls alone need."""
    few, many = (40, THREADS + 44) if quick else (200, 2_000)
    yield from _rows(few, 1.25, rounds=1 if quick else 5)
    yield from _rows(many, 1.5, rounds=1 if quick else 3)


def _rows(crowd: int, most: float, rounds: int) -> Iterator[Row]:
    late, stopped = list[float](), list[str]()
    who = visits(crowd * 8 * (rounds + 1))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        store = stack.enter_context(closing(SQLiteStore(Path(folder) / "flows.db")))
        driver, asynchronous = (
            kind(transport=Answering(CALL), store=store) for kind in (SignIn, AsyncSignIn)
        )
        assert isinstance(driver, SignIn)
        assert isinstance(asynchronous, AsyncSignIn)
        threads = stack.enter_context(ThreadPoolExecutor(crowd))

        def alone(visit: Visit) -> None:
            try:
                step = driver.send(driver.start(), visit[0], context=visit[1])
            except StoreUnavailable as error:
                stopped.append(type(error).__name__)
            else:
                note(step)

        def note(step: Step) -> None:
            if step.state != "awaiting_mfa":
                stopped.append(step.message.code if step.message else step.state)

        async def one(visit: Visit) -> None:
            try:
                step = await asynchronous.send(
                    await asynchronous.start(), visit[0], context=visit[1]
                )
            except StoreUnavailable as error:
                stopped.append(type(error).__name__)
            else:
                note(step)

        by_threads, by_loop = in_turn(
            rounds,
            lambda: list(threads.map(alone, islice(who, crowd))),
            lambda: late.append(asyncio.run(_delay([one(visit) for visit in islice(who, crowd)]))),
        )
    yield _row(f"{crowd:,} sign-ins at once by threads", most, by_threads, crowd, crowd)
    yield _row(f"{crowd:,} sign-ins at once by asyncio", most, by_loop, crowd, THREADS)
    what = f"sign-ins that were stopped because they took too long, {crowd:,} at once"
    yield Row(what, str(len(stopped)), "", None, "0", not stopped, ", ".join(sorted(set(stopped))))
    lateness = statistics.median(late[1:])
    what = f"delay of the loop meanwhile, median, {crowd:,} sign-ins"
    yield Row(what, in_words(lateness), "", None, "≤ 10 ms", lateness <= 0.01)


def _row(what: str, most: float, took: Times, crowd: int, limit: int) -> Row:
    """Return a row whose comparison is the calls alone, as many at once as the limit allows."""
    turns = -(-crowd // limit)
    calls = turns * CALL
    ratio = took.median / calls
    note = f"{min(crowd, limit)} calls at once, so {turns} × {CALL * 1000:.0f} ms; SQLite"
    return Row(what, str(took), in_words(calls), ratio, f"≤ {most}", ratio <= most, note)


async def _delay(crowd: list[Coroutine[Any, Any, None]]) -> float:
    """Sign in all users; return the median delay of the loop meanwhile, in seconds."""
    lateness: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            lateness.append(time.perf_counter() - began - 0.005)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*crowd)
    watching.cancel()
    return statistics.median(lateness)


ROWS = {"at_once": at_once}
