"""`Progress`: how long a thread waits for others that share a lock with it."""

from __future__ import annotations

import math
import time
from typing import Final, Protocol

_MOST_TIMEOUTS: Final = 6


class Lock(Protocol):
    """A lock of `threading`."""

    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool: ...


class Progress:
    """The time of the last operation that one of several threads finished.

    A thread that waits behind many others gives up only if none of them finishes anything during the
    whole timeout, or if it has waited for six timeouts.
    """

    def __init__(self) -> None:
        self._at = -math.inf

    def note(self) -> None:
        """Note that an operation is finished."""
        self._at = time.monotonic()

    def acquire(self, lock: Lock, timeout: float) -> bool:
        """Acquire a lock, and return whether it is acquired.

        Args:
            lock: the lock.
            timeout: seconds to wait at least, and after the last progress; six times that at most.
        """
        began = time.monotonic()
        wait = timeout
        while not lock.acquire(timeout=wait):
            now = time.monotonic()
            wait = min(self._at + timeout, began + _MOST_TIMEOUTS * timeout) - now
            if wait <= 0:
                return False
        return True
