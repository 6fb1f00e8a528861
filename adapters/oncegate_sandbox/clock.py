"""The sandbox's clock: the machine's own, moved on by whoever tests what time does."""

from __future__ import annotations

import time


class SandboxClock:
    """Seconds since the epoch, plus what it has been advanced by."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
