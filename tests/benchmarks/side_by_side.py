"""How rows are measured: two things in turn, in the same run; medians, and their ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from rich.table import Table

Act = Callable[[], object]


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        what: was measured.
        ours: what is ours, in words with its unit.
        other: what it is held against.
        ratio: ours by the other's; None where there is none.
        reach: what it is to reach.
        reached: whether it does.
        floor: of the ratio, or of ours where there is none: what the libraries take by themselves
            (`tests.benchmarks.least`).
    """

    what: str
    ours: str
    other: str
    ratio: float | None
    reach: str
    reached: bool
    floor: str = ""


def in_turn(rounds: int, *acts: Act, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Medians in seconds of a few acts, done in turn so that all meet the same noise.

    Args:
        rounds: how often.
        acts: what is measured.
        clock: ``time.process_time`` counts what this process does, and not what it waits for.
    """
    for act in acts:
        act()  # the first time is for caches and imports
    took: list[list[float]] = [[] for _ in acts]
    for _ in range(rounds):
        for act, times in zip(acts, took, strict=True):
            began = clock()
            act()
            times.append(clock() - began)
    return [statistics.median(times) for times in took]


def row(what: str, most: float, ours: float, other: float, floor: float | None = None) -> Row:
    """A row of medians in seconds, whose ratio is to be at most so much.

    Args:
        what: was measured.
        most: that the ratio is to be.
        ours: what is ours.
        other: what it is held against.
        floor: what the libraries take by themselves.
    """
    ratio = ours / other
    lowest = "" if floor is None else f"{floor / other:.2f}"
    return Row(what, in_words(ours), in_words(other), ratio, f"≤ {most:g}", ratio <= most, lowest)


def in_words(seconds: float) -> str:
    """Seconds, in a unit that reads well."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def table(rows: list[Row]) -> Table:
    """The rows for a person."""
    drawn = Table("what", "oncegate", "held against", "ratio", "floor", "reach", "")
    for one in rows:
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        drawn.add_row(*one[:3], ratio, one.floor, one.reach, "" if one.reached else "missed")
    return drawn
