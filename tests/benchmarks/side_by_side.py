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
    """

    what: str
    ours: str
    other: str
    ratio: float | None
    reach: str
    reached: bool


def in_turn(
    ours: Act, other: Act, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, float]:
    """Medians in seconds of two acts, done in turn so that both meet the same noise.

    Args:
        ours: the first.
        other: the second.
        rounds: how often.
        clock: ``time.process_time`` counts what this process does, and not what it waits for.
    """
    ours(), other()  # the first time is for caches and imports
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for act, times in zip((ours, other), took, strict=True):
            began = clock()
            act()
            times.append(clock() - began)
    return statistics.median(took[0]), statistics.median(took[1])


def row(what: str, ours: float, other: float, most: float, *, per: int = 1) -> Row:
    """A row of two medians in seconds, whose ratio is to be at most so much."""
    ratio = ours / other
    return Row(
        what, in_words(ours / per), in_words(other / per), ratio, f"≤ {most:g}", ratio <= most
    )


def in_words(seconds: float) -> str:
    """Seconds, in a unit that reads well."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def table(rows: list[Row]) -> Table:
    """The rows for a person."""
    drawn = Table("what", "oncegate", "held against", "ratio", "reach", "")
    for one in rows:
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        drawn.add_row(*one[:3], ratio, one.reach, "" if one.reached else "missed")
    return drawn
