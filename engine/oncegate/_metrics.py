"""Counters: what an operator wants to see of all flows, by names that do not change."""

from __future__ import annotations

import threading
from collections import Counter

from oncegate.ports import Transition

NAMES = (
    "codes_sent",
    "events_suppressed",
    "outcomes_unknown",
    "lockouts",
    "sign_ins",
    "failures",
)


def counted(transition: Transition) -> tuple[str, ...]:
    """The names of the counters that a transition counts for.

    ``events_suppressed`` are double clicks, reloads that posted, and whatever else came at the wrong
    time; ``lockouts`` are Cognito's own, and flows that used up their attempts.
    """
    if transition.suppressed:
        return ("events_suppressed",)
    facts = {
        "codes_sent": bool(transition.delivered),
        "outcomes_unknown": transition.message == "outcome_unknown",
        "lockouts": transition.message in {"locked", "too_many_wrong_codes"},
        "sign_ins": transition.target == "authenticated",
        "failures": transition.target == "failed",
    }
    return tuple(name for name, is_so in facts.items() if is_so)


class CountingListener:
    """Counts in memory. Thread-safe; `oncegate_otel` counts the same for OpenTelemetry.

    Example:
        >>> counters = CountingListener()
        >>> sign_in = SignIn(..., listeners=[LogListener(), counters])
        >>> counters.counts()["codes_sent"]
        0
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, transition: Transition, /) -> None:
        with self._lock:
            self._counts.update(counted(transition))

    def counts(self) -> dict[str, int]:
        """Every counter, with the zeros."""
        with self._lock:
            return {name: self._counts[name] for name in NAMES}
