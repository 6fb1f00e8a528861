"""Which process makes a call, and whether it is known to be gone.

Each process holds a lock on a file of its own, which the operating system releases when the process
ends, however it ends. A process on another machine, or in another container, finds no such file: it
knows nothing, and waits for the lease. File names are random, so that copies of a virtual machine,
which share process IDs and boot ID, are never mistaken for each other.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE

try:
    import fcntl
except ImportError:  # Windows: every call waits for its lease
    fcntl = None  # type: ignore[assignment]

_NAME = re.compile(r"[0-9a-f]{16}")


class _Worker:
    """This process's name, and the lock that it holds."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.name = ""
        if fcntl is None:
            return
        # A read-only file system, or a folder that is not ours: then the name stays empty.
        with suppress(OSError):
            folder = _folder()
            folder.mkdir(mode=0o700, exist_ok=True)
            if not _is_private(folder):
                return
            _remove_files_of_the_gone(folder)
            name = secrets.token_hex(8)
            # Never closed. Programs that this process starts do not inherit it; a fork does, and then
            # the file stays locked until both are gone.
            opened = os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.name = name


_worker: _Worker | None = None
_making = threading.Lock()


def this_worker() -> str:
    """Return the name of this process; empty if it has none."""
    global _worker
    if _worker is None or _worker.pid != os.getpid():
        with _making:
            if _worker is None or _worker.pid != os.getpid():
                _worker = _Worker()
    return _worker.name


def is_gone(name: str) -> bool:
    """Return whether a process is known to have ended. False if nothing is known of it."""
    if fcntl is None or not _NAME.fullmatch(name) or name == this_worker():
        return False
    with suppress(OSError):
        return _is_unlocked(_folder() / name)
    return False


def _is_unlocked(file: Path) -> bool:
    with file.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _remove_files_of_the_gone(folder: Path) -> None:
    """Remove the files of processes that ended so long ago that no flow names them."""
    import time

    for file in folder.iterdir():
        with suppress(OSError):
            if file.stat().st_mtime < time.time() - 86400 and _is_unlocked(file):
                file.unlink()


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"oncegate-{os.getuid()}"


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    return found.st_uid == os.getuid() and S_IMODE(found.st_mode) & 0o077 == 0
