"""`Quiet`: whether an event is to be logged, or only repeats one that was logged shortly before."""

from __future__ import annotations

import time

_SECONDS = 60.0


class Quiet:
    """Time since an event occurred. As long as it repeats, it is logged once."""

    def __init__(self) -> None:
        self._last = -_SECONDS

    def was_quiet(self) -> bool:
        """Return whether the event has not occurred for a minute, and note that it does now."""
        before, self._last = self._last, time.monotonic()
        return self._last - before >= _SECONDS
