"""`Progress`: how long a thread waits for others that share a lock with it."""

from __future__ import annotations

import math
import time
from threading import Lock


class Progress:
    """When one of the threads that wait for each other has got something done last.

    A crowd of threads is slow, but not stuck: a thread that waits behind it gives up only once nothing
    was done for the whole timeout.
    """

    def __init__(self) -> None:
        self._at = -math.inf

    def note(self) -> None:
        """Note that something was done just now."""
        self._at = time.monotonic()

    def acquire(self, lock: Lock, timeout: float) -> bool:
        """Acquire a lock, and return whether it is acquired.

        Args:
            lock: the lock.
            timeout: seconds to wait at least, and after the last progress.
        """
        wait = timeout
        while wait > 0:
            if lock.acquire(timeout=wait):
                return True
            wait = self._at + timeout - time.monotonic()
        return False
