"""The cost of a sign-in on top of Cognito's own time, compared with other ways to do the same.

    .venv/bin/python -m tests.benchmarks [--quick] [ROW …]

Without names, all rows run. A row is a function in this folder's modules. No timing passes or fails a
test: timings of a shared machine guarantee nothing.
"""

from __future__ import annotations

import os
import platform
import sys

from rich.console import Console
from tests.benchmarks import crowds, machine, own_calls, sign_ins, start_up
from tests.benchmarks.side_by_side import Row, table

ROWS = {**machine.ROWS, **own_calls.ROWS, **sign_ins.ROWS, **crowds.ROWS, **start_up.ROWS}


def main(arguments: list[str]) -> None:
    quick = "--quick" in arguments
    names = [name for name in arguments if name != "--quick"] or list(ROWS)
    if unknown := sorted(set(names) - set(ROWS)):
        sys.exit(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    console, rows = Console(width=120), list[Row]()
    for name in names:
        console.print(f"[dim]{name} …[/]")
        rows += ROWS[name](quick)
    console.print(table(rows))
    console.print(
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"{os.cpu_count()} cores, {platform.machine()}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
