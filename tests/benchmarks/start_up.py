"""What it takes to start: `import oncegate`, and the command's help."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.side_by_side import Row, in_turn, row

Run = Callable[[], None]


def _python(program: str) -> Run:
    return lambda: _run(sys.executable, "-c", program)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def imports(quick: bool) -> list[Row]:
    """The engine, against the libraries that it stands on."""
    ours, theirs = (
        _python(f"import {names}") for names in ("oncegate", "statemachine, pydantic, structlog")
    )
    took = in_turn(ours, theirs, 5 if quick else 40)
    return [row("import oncegate, against python-statemachine, pydantic and structlog", *took, 1.3)]


def cli_help(quick: bool) -> list[Row]:
    """``oncegate --help``, against what draws it."""
    command = str(Path(sys.executable).with_name("oncegate"))
    took = in_turn(
        lambda: _run(command, "--help"), _python("import typer, rich"), 5 if quick else 40
    )
    return [row("oncegate --help, against importing typer and rich", *took, 1.3)]


ROWS = {"imports": imports, "help": cli_help}
