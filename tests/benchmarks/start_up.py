"""The time to start: `import oncegate`, and the command's help."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.side_by_side import Row, in_turn, row

Run = Callable[[], None]

# pip compiles installed packages, but not an editable install: the first round does that, unless the
# environment forbids it.
_COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _python(program: str) -> Run:
    return lambda: _run(sys.executable, "-c", program)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_COMPILED)


def imports(quick: bool) -> list[Row]:
    """Measure the engine's import, compared with the libraries that it imports."""
    libraries = "import statemachine, pydantic, structlog"
    # pydantic itself is imported by its first use.
    programs = ("import oncegate", libraries, f"{libraries}; pydantic.BaseModel")
    took = in_turn(2 if quick else 40, *map(_python, programs))
    return [
        row(
            "import oncegate, compared with python-statemachine, pydantic and structlog", 1.3, *took
        )
    ]


def cli_help(quick: bool) -> list[Row]:
    """Measure ``oncegate --help``, compared with the libraries that print it."""
    command = str(Path(sys.executable).with_name("oncegate"))
    took = in_turn(
        2 if quick else 40, lambda: _run(command, "--help"), _python("import typer, rich")
    )
    return [row("oncegate --help, compared with importing typer and rich", 1.3, *took)]


ROWS = {"imports": imports, "help": cli_help}
