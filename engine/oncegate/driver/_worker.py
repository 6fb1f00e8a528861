"""Which process makes a call, and whether it is known to be gone.

Each process holds a lock on a file of its own, which the operating system releases when the process
ends, however it ends. A process on another machine, or in another container, finds no such file: it
knows nothing, and waits for the lease. Names are random, and the file says on which boot and as which
file it was made: a copy of it, as in an image of the disk, has no lock and says nothing.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import threading
from contextlib import suppress
from functools import cache
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
            self._place = _place(os.fstat(opened))
            os.write(opened, self._place)
            self._opened = opened
            self.name = name

    def holds_its_lock(self) -> bool:
        """Return whether the descriptor is still that of the file, and this still the process."""
        if self.pid != os.getpid():
            return False
        try:
            return not self.name or _place(os.fstat(self._opened)) == self._place
        except OSError:  # some programs close all descriptors, as when they become a daemon
            return False


_worker: _Worker | None = None
_making = threading.Lock()


def this_worker() -> str:
    """Return the name of this process; empty if it has none."""
    global _worker
    if _worker is None or not _worker.holds_its_lock():
        with _making:
            if _worker is None or not _worker.holds_its_lock():
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
        if opened.read() != _place(os.fstat(opened.fileno())):
            return False  # a copy, or not written yet
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


def _place(found: os.stat_result) -> bytes:
    """Return what tells a file from its copies: when the machine was started, device and inode."""
    return b"%s %d %d" % (_boot_id(), found.st_dev, found.st_ino)


@cache
def _boot_id() -> bytes:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    return b""  # not Linux


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"oncegate-{os.getuid()}"


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    return found.st_uid == os.getuid() and S_IMODE(found.st_mode) & 0o077 == 0
