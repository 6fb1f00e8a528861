"""Measuring rows: two actions in turn, in the same run; their medians and the ratio."""

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
        what: name of the measurement.
        ours: oncegate's result, with its unit.
        other: result that it is compared with, with its unit; may be empty.
        ratio: oncegate's result divided by the other; None if there is no other.
        target: target of the ratio, or of oncegate's result.
        is_reached: whether the target is reached.
        floor: the ratio, or the result, of the libraries alone (`tests.benchmarks.least`).
    """

    what: str
    ours: str
    other: str
    ratio: float | None
    target: str
    is_reached: bool
    floor: str = ""


def in_turn(rounds: int, *acts: Act, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Return the medians of a few actions, run in turn so that all meet the same noise.

    Args:
        rounds: number of runs of each action.
        acts: the actions.
        clock: returns seconds. ``time.process_time`` leaves out waiting. Default: wall-clock time.

    Returns:
        One median per action, in seconds.
    """
    for act in acts:
        act()  # the first run fills caches and imports modules
    took: list[list[float]] = [[] for _ in acts]
    for _ in range(rounds):
        for act, times in zip(acts, took, strict=True):
            began = clock()
            act()
            times.append(clock() - began)
    return [statistics.median(times) for times in took]


def row(what: str, most: float, ours: float, other: float, floor: float | None = None) -> Row:
    """Return a row of two medians whose ratio has an upper limit.

    Args:
        what: name of the measurement.
        most: upper limit of the ratio.
        ours: oncegate's median, in seconds.
        other: median that it is compared with, in seconds.
        floor: median of the libraries alone, in seconds. Default: not measured.
    """
    ratio = ours / other
    lowest = "" if floor is None else f"{floor / other:.2f}"
    return Row(what, in_words(ours), in_words(other), ratio, f"≤ {most:g}", ratio <= most, lowest)


def in_words(seconds: float) -> str:
    """Format seconds in µs, ms or s."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def table(rows: list[Row]) -> Table:
    """Return the rows as a table for the terminal."""
    drawn = Table("what", "oncegate", "compared with", "ratio", "floor", "target", "")
    for one in rows:
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        drawn.add_row(*one[:3], ratio, one.floor, one.target, "" if one.is_reached else "missed")
    return drawn
