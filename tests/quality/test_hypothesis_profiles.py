"""Property tests in CI try new examples in each run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from tests.hypothesis_profiles import register_profiles

_TEST = """
from hypothesis import given, strategies as st
from tests.hypothesis_profiles import load_profile

load_profile()

@given(st.integers())
def test_numbers(number):
    print("drawn", number)
"""
ROOT = Path(__file__).parents[2]


def drawn(folder: Path, *options: str) -> list[str]:
    """Return what one run in CI draws."""
    (folder / "test_numbers.py").write_text(_TEST, "utf-8")
    command = [sys.executable, "-m", "pytest", "-qs", "-p", "no:cacheprovider"]
    command += [
        "-p",
        "_hypothesis_pytestplugin",
        *options,
    ]  # the other plugins take seconds to load
    done = subprocess.run(
        [*command, "--rootdir", folder, folder / "test_numbers.py"],
        cwd=folder,
        env={
            **os.environ,
            "CI": "1",
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "drawn" in line]


@pytest.mark.slow
def test_two_runs_in_ci_draw_different_examples(tmp_path: Path) -> None:
    assert drawn(tmp_path) != drawn(tmp_path)


@pytest.mark.slow
def test_seed_repeats_a_run(tmp_path: Path) -> None:
    first = drawn(tmp_path, "--hypothesis-seed=7")
    assert first == drawn(tmp_path, "--hypothesis-seed=7")
    assert len(first) == 100


@pytest.mark.parametrize("name", ["ci", "dev", "fast"])
def test_deadline_of_a_profile_leaves_a_busy_machine_time(name: str) -> None:
    register_profiles()
    deadline = settings.get_profile(name).deadline
    assert deadline is not None
    assert deadline.total_seconds() >= 5
