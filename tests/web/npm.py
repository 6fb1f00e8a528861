"""npm packages that tests need, in the versions of a lock file."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path


def npm(folder: Path, *arguments: str) -> str:
    """Run npm in a folder, and return what it printed. A failure is an assertion with its output."""
    return run(folder, "npm", *arguments, "--no-audit", "--no-fund", "--no-update-notifier")


def run(folder: Path, *command: str) -> str:
    """Run a program in a folder, and return what it printed. A failure is an assertion with its output."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}: {done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    return done.stdout


def node_modules(folder: Path) -> Path:
    """Install the packages of a lock file, once for each of its versions, and return their folder.

    They are beside those of Python, so that a checkout stays clean. The scripts of packages are not run.

    Args:
        folder: has ``package.json`` and ``package-lock.json``.
    """
    files = [folder / "package.json", folder / "package-lock.json"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    target = Path(sys.prefix) / "npm" / f"{folder.name}-{digest}"
    target.mkdir(parents=True, exist_ok=True)
    with (target / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes run tests
        if not (target / "installed").exists():
            for file in files:
                shutil.copy(file, target)
            npm(target, "ci", "--ignore-scripts")
            (target / "installed").touch()
    return target / "node_modules"
