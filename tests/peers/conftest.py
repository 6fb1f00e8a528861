"""JavaScript packages from npm, installed once for the tests that need them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of ``javascript/package.json`` installed."""
    folder = tmp_path_factory.mktemp("javascript")
    for source in Path(__file__).with_name("javascript").iterdir():
        shutil.copy(source, folder)
    quietly = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(["npm", "install", *quietly], cwd=folder, check=True, timeout=300)
    return folder
