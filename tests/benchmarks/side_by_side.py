"""Measuring rows: alternatives in turn, in the same run; their medians, quartiles and the ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
        target: target of the ratio, or of oncegate's result; empty if there is none.
        is_reached: whether the target is reached.
        note: limits that are in force, and what else a reader has to know; may be empty.
    """

    what: str
    ours: str
    other: str
    ratio: float | None
    target: str
    is_reached: bool
    note: str = ""


class Times(NamedTuple):
    """What one action took, in seconds.

    Attributes:
        median: half of the runs took less.
        low: first quartile.
        high: third quartile.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Times:
        """Return the median and the quartiles of some runs."""
        if len(seconds) == 1:
            return cls(seconds[0], seconds[0], seconds[0])
        low, median, high = statistics.quantiles(seconds, method="inclusive")
        return cls(median, low, high)

    def __str__(self) -> str:
        unit, factor = _unit(self.median)
        low, high = (f"{value * factor:.3g}" for value in (self.low, self.high))
        return f"{self.median * factor:.3g} {unit} ({low}–{high})"


class Clock:
    """A clock from which parts can be left out. For one thread.

    Args:
        read: returns seconds. Default: wall-clock time. ``time.process_time`` is the CPU time of all
            threads of this process, with those that have ended: nanoseconds on Linux.
    """

    def __init__(self, read: Callable[[], float] = time.perf_counter) -> None:
        self._read = read
        self._left_out = 0.0

    def __call__(self) -> float:
        """Return the seconds without what was left out."""
        return self._read() - self._left_out

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """Leave out what the block takes. A block may have others in it."""
        before, began = self._left_out, self._read()
        try:
            yield
        finally:
            self._left_out = before + self._read() - began


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU time of another process, of all its threads, in seconds.

    It is the scheduler's count in nanoseconds, as in the first field of ``/proc/PID/task/*/schedstat``.
    The sum over those files loses the threads that have ended; the process's clock does not. Linux only:
    this is what clock_getcpuclockid(3) computes, which Python does not have.
    """
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e9


def in_turn(rounds: int, *acts: Act, clock: Callable[[], float] = time.perf_counter) -> list[Times]:
    """Run a few actions in turn, so that all meet the same noise, and return what each took.

    Args:
        rounds: number of runs of each action. Each runs once before, which is not counted.
        acts: the actions.
        clock: returns seconds; see `Clock`. Default: wall-clock time.
    """
    for act in acts:
        act()  # the first run fills caches and imports modules
    took: list[list[float]] = [[] for _ in acts]
    for _ in range(rounds):
        for act, times in zip(acts, took, strict=True):
            began = clock()
            act()
            times.append(clock() - began)
    return [Times.of(times) for times in took]


def row(what: str, most: float | None, ours: Times, other: Times, note: str = "") -> Row:
    """Return a row of two medians.

    Args:
        what: name of the measurement.
        most: upper limit of the ratio; None if there is no target.
        ours: what oncegate took.
        other: what the alternative took.
        note: see `Row`.
    """
    ratio = ours.median / other.median
    target = "" if most is None else f"≤ {most:.3g}"
    return Row(what, str(ours), str(other), ratio, target, most is None or ratio <= most, note)


def in_words(seconds: float) -> str:
    """Format seconds in µs, ms or s."""
    unit, factor = _unit(seconds)
    return f"{seconds * factor:.3g} {unit}"


def _unit(seconds: float) -> tuple[str, float]:
    if seconds < 1e-3:
        return "µs", 1e6
    return ("ms", 1e3) if seconds < 1 else ("s", 1.0)


def table(rows: list[Row]) -> Table:
    """Return the rows as a table for the terminal."""
    drawn = Table("what", "oncegate", "compared with", "ratio", "target", "", show_lines=True)
    for one in rows:
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        what = f"{one.what} [dim]({one.note})[/]" if one.note else one.what
        drawn.add_row(
            what, one.ours, one.other, ratio, one.target, "" if one.is_reached else "missed"
        )
    return drawn
