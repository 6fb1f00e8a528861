"""Other people's programs, each fetched once for each virtual environment."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import moto
import pytest

HERE = Path(__file__).parent


def kept(name: str, fill: Callable[[Path], None]) -> Path:
    """Return a folder of the virtual environment, after filling it if it is missing.

    Processes of pytest-xdist wait for the one that fills it.

    Args:
        name: name of the folder: what is in it, a hyphen, and its version. Other versions are deleted.
        fill: fills a folder that is empty.
    """
    folder = Path(sys.prefix) / "peers" / name
    folder.parent.mkdir(exist_ok=True)
    what = name.partition("-")[0]
    with (folder.parent / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            for older in folder.parent.glob(f"{what}-*"):
                shutil.rmtree(older)
            partial = folder.with_name(f"{what}-partial")
            partial.mkdir()
            fill(partial)
            partial.rename(folder)
    return folder


@pytest.fixture(scope="session")
def javascript() -> Path:
    """A folder with the packages of ``javascript/package.json``, for ``NODE_PATH``."""

    def install(folder: Path) -> None:
        shutil.copy(HERE / "javascript/package.json", folder)
        quietly = ["--silent", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(["npm", "install", *quietly], cwd=folder, check=True, timeout=300)

    packages = (HERE / "javascript/package.json").read_bytes()
    return kept(f"javascript-{hashlib.sha256(packages).hexdigest()[:8]}", install)


@pytest.fixture(scope="session")
def moto_tests() -> Path:
    """A folder with moto's tests of Cognito, from the source distribution of the locked version."""

    def extract(folder: Path) -> None:
        archive = _source_of("moto", folder)
        with tarfile.open(archive) as tar:
            for member in tar:
                member.name = member.name.partition("/")[2]
                if _WANTED.fullmatch(member.name):
                    tar.extract(member, folder, filter="data")
        archive.unlink()

    return kept(f"moto-{moto.__version__}", extract)


_WANTED = re.compile(r"pyproject\.toml|tests/\w+\.py|tests/test_cognitoidp/\w+\.py")


def _source_of(package: str, folder: Path) -> Path:
    """Download the source distribution of a locked version, which pip compares with its hash."""
    lock = (HERE.parents[1] / "requirements.lock").read_text()
    entry = re.search(rf"^{package}==.*\n(?:    .*\n)+", lock, re.MULTILINE)
    assert entry, f"{package} is not locked"
    wanted = folder / "requirements.txt"
    wanted.write_text(entry[0])
    quietly = ["--quiet", "--no-deps", "--require-hashes", f"--no-binary={package}"]
    pip = ["python3", "-m", "pip", "--python", sys.executable]  # as tests/run: the venv has no pip
    subprocess.run(
        [*pip, "download", *quietly, "-r", wanted, "-d", folder], check=True, timeout=300
    )
    return next(folder.glob("*.tar.gz"))
