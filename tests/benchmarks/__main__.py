"""What a sign-in costs on top of Cognito's own time, side by side with other ways to do the same.

    .venv/bin/python -m tests.benchmarks [--quick] [ROW …]

Rows are functions of this folder's modules; without names, all of them run. Nothing here is a test that
passes or fails: a shared machine's timings are no promise.
"""

from __future__ import annotations

import os
import platform
import sys

from rich.console import Console
from tests.benchmarks import crowds, sign_ins, start_up
from tests.benchmarks.side_by_side import Row, table

ROWS = {**sign_ins.ROWS, **crowds.ROWS, **start_up.ROWS}


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
