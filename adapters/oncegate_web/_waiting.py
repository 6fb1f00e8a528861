"""`Waiting`: bounds how many requests of one flow wait at once, so that threads stay free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

PLACES = 4
"""Requests of one flow in a process: one that calls Cognito, and three that wait for its step."""


class Waiting:
    """Counts the requests of each flow that are being processed in this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._requests: Counter[str] = Counter()

    @contextmanager
    def place(self, flow: str) -> Iterator[bool]:
        """Count one request while the block runs.

        Args:
            flow: ID of its flow.

        Returns:
            Whether it may wait.
        """
        with self._lock:
            self._requests[flow] += 1
            has_place = self._requests[flow] <= PLACES
        try:
            yield has_place
        finally:
            with self._lock:
                self._requests[flow] -= 1
                if not self._requests[flow]:
                    del self._requests[flow]
