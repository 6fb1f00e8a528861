"""An application folder of its own for each test, and no settings of the developer's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def app_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the command keeps profiles and sessions."""
    for name in list(os.environ):
        if name.startswith("ONCEGATE_"):
            monkeypatch.delenv(name)
    config = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    return config / "oncegate"


@pytest.fixture(autouse=True)
def without_coverage_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start commands without coverage, which doubles their time: other tests run them in this process."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
