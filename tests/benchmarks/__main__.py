"""The cost of a sign-in on top of Cognito's own time, compared with other ways to do the same.

    .venv/bin/python -m tests.benchmarks [--quick] [ROW …]

Without names, all rows run. A row is a function in this folder's modules. No timing passes or fails a
test: timings of a shared machine guarantee nothing. Exit code 1 if a row failed; one whose program is
missing is skipped.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from tests.benchmarks import at_once, crowds, events, machine, peers, pending, sign_ins, start_up
from tests.benchmarks.side_by_side import Row, table

ROWS: dict[str, Callable[[bool], Iterable[Row]]] = {
    **machine.ROWS,
    **sign_ins.ROWS,
    **peers.ROWS,
    **events.ROWS,
    **pending.ROWS,
    "web": crowds.web,
    **at_once.ROWS,
    **start_up.ROWS,
}
PROGRAMS: dict[str, tuple[str, ...]] = {
    "redis": ("redis-server",),
    "trips": ("redis-server",),
    "pending_redis": ("redis-server",),
    "web": ("redis-server",),
    "postgres": ("postgres",),
    "pending_postgres": ("postgres",),
    "javascript": ("node", "npm"),
}
"""Programs that some rows need; ``tests/parts`` has the Debian package of each."""


def main(arguments: list[str]) -> int:
    """Print the rows as a table; return the exit code."""
    quick = "--quick" in arguments
    names = [name for name in arguments if name != "--quick"] or list(ROWS)
    if unknown := sorted(set(names) - set(ROWS)):
        sys.exit(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    # As in an application that configures the standard library's logging and no level.
    logging.basicConfig(filename=os.devnull)
    # Debian keeps PostgreSQL's programs in a folder that is not on the path.
    os.environ["PATH"] = os.pathsep.join(
        [os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    )
    console, rows, notes, failed = Console(width=140), list[Row](), list[str](), False
    for name in names:
        console.print(f"[dim]{name} …[/]")
        if missing := _missing(name):
            notes.append(f"{name} skipped: {missing}")
            continue
        try:
            rows.extend(ROWS[name](quick))
        except Exception as error:  # noqa: BLE001 - the other rows are worth as much as before
            notes.append(f"{name} failed: {type(error).__name__}: {error}")
            failed = True
    console.print(table(rows))
    for note in notes:
        console.print(note, markup=False)
    console.print(
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"{os.cpu_count()} cores, {platform.machine()}"
    )
    return int(failed)


def _missing(name: str) -> str:
    """Return what a row lacks, and how to get it; empty if nothing."""
    parts = Path(__file__).parents[1] / "parts"
    packages = dict(line.split() for line in parts.read_text().splitlines())
    missing = [one for one in PROGRAMS.get(name, ()) if not shutil.which(one)]
    return "; ".join(f"{one} is missing (apt-get install {packages[one]})" for one in missing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
