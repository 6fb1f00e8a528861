"""The fuzzer finds no untyped error in a few seconds per target, and does find one that exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

atheris = pytest.importorskip("atheris", reason="atheris has no wheel for this platform")

HERE = Path(__file__).parent
TARGETS = re.findall(r'^    "(\w+)":', HERE.joinpath("fuzz.py").read_text(), re.MULTILINE)
SECONDS = 1


def fuzz(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.fuzz", *arguments]
    options = [f"-max_total_time={SECONDS}", f"-artifact_prefix={folder}/", "-timeout=5"]
    return subprocess.run(
        [*command, *options, "-rss_limit_mb=2048"],
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
        timeout=240,
    )


def test_fuzzed_targets_raise_only_typed_errors(tmp_path: Path) -> None:
    done = fuzz("all", folder=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert re.findall(r"^target: (\w+)$", done.stderr, re.MULTILINE) == TARGETS
    runs = re.findall(r"Done (\d+) runs", done.stderr)
    assert len(runs) == len(TARGETS), done.stderr[-500:]
    assert min(map(int, runs)) > 20
    assert not list(tmp_path.iterdir())


def test_untyped_error_is_found(tmp_path: Path) -> None:
    """A target that raises UnicodeDecodeError ends the run."""
    program = (
        "import sys; from tests.faults import fuzz; "
        "fuzz.TARGETS['hole'] = lambda data: data.decode(); fuzz.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "hole", "-runs=100000", f"-artifact_prefix={tmp_path}/"],
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
        timeout=120,
    )
    assert done.returncode != 0
    assert "UnicodeDecodeError" in done.stdout + done.stderr
