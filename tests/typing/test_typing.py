"""Programs that use oncegate pass type checkers, and their mistakes are found.

The programs are checked as a user's: with the installed package, and without this project's settings.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
_PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)

Errors = dict[tuple[str, int], list[str]]
"""Messages by file name and line."""


def mypy(folder: Path) -> Errors:
    command = [sys.executable, "-m", "mypy", "--config-file", str(HERE / "mypy.ini")]
    command += ["--no-error-summary", "--cache-dir", str(Path(sys.prefix) / "mypy-typing"), "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    errors: Errors = defaultdict(list)
    for line in done.stdout.splitlines():
        if found := re.match(r"(.+?):(\d+): error: (.*)", line):
            errors[Path(found[1]).name, int(found[2])].append(found[3])
    return errors


def pyright(folder: Path) -> Errors:
    shutil.copy(HERE / "pyrightconfig.json", folder)
    command = [str(Path(sys.executable).with_name("basedpyright")), "--outputjson"]
    command += ["--pythonpath", sys.executable, "--project", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    errors: Errors = defaultdict(list)
    for found in json.loads(done.stdout)["generalDiagnostics"]:
        if found["severity"] == "error":
            line = found["range"]["start"]["line"] + 1
            errors[Path(found["file"]).name, line].append(found["message"])
    return errors


checker = pytest.mark.parametrize("check", [mypy, pyright])


def copy_of(kind: str, folder: Path) -> Path:
    """Return a copy of the programs, outside this project."""
    return Path(shutil.copytree(HERE / kind, folder / kind))


@checker
def test_program_with_plain_strings_passes(check: Callable[[Path], Errors], tmp_path: Path) -> None:
    assert check(copy_of("accepted", tmp_path)) == {}


@checker
def test_first_example_of_the_readme_passes(
    check: Callable[[Path], Errors], tmp_path: Path
) -> None:
    examples = _PYTHON_BLOCK.findall(README.read_text("utf-8"))
    example = next(text for text in examples if "sign_in.send(" in text)
    (tmp_path / "example.py").write_text(example, "utf-8")
    assert check(tmp_path) == {}


@checker
def test_marked_mistakes_are_found_and_nothing_else(
    check: Callable[[Path], Errors], tmp_path: Path
) -> None:
    folder = copy_of("rejected", tmp_path)
    marked = {
        (path.name, number)
        for path in folder.glob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if line.endswith("# wrong")
    }
    errors = check(folder)
    assert marked
    assert set(errors) == marked, errors
