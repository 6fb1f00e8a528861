"""An application folder of its own for each test, and no settings of the developer's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from unittest import mock

import pytest
from botocore.loaders import JSONFileLoader

LOADER = JSONFileLoader()


@pytest.fixture(autouse=True)
def app_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the command keeps profiles and sessions."""
    for name in list(os.environ):
        if name.startswith("ONCEGATE_"):
            monkeypatch.delenv(name)
    config = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
    return config / "oncegate"


@pytest.fixture(autouse=True, scope="module")
def models_read_once() -> Iterator[None]:
    """Read botocore's files once: each command makes a client, which reads half a megabyte."""
    read = JSONFileLoader.load_file
    cached = cache(read)
    with mock.patch.object(JSONFileLoader, "load_file", lambda _, path: cached(LOADER, path)):
        yield


@pytest.fixture(autouse=True)
def without_coverage_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start commands without coverage, which doubles their time: other tests run them in this process."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
