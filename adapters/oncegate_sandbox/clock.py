"""The sandbox's clock: the system clock, which tests can advance."""

from __future__ import annotations

import time

from oncegate import InvalidInput


class SandboxClock:
    """Unix time plus the seconds by which the clock was advanced."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return the Unix time in seconds."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Raises:
            InvalidInput: the time is negative: a clock never goes back.
        """
        if not seconds >= 0:
            raise InvalidInput("the clock moves forward only")
        self._ahead += seconds

    def reset(self) -> None:
        """Return to the system clock."""
        self._ahead = 0.0
