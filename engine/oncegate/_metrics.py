"""Counters over all flows, by stable names."""

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
    "limits_reached",
    "epoch_changes",
)

_UNKNOWN = {
    "outcome_unknown",
    "answer_outcome_unknown",
    "recovery_outcome_unknown",
    "sign_up_outcome_unknown",
    "change_outcome_unknown",
    "address_outcome_unknown",
}
_FAILURES = {"unreachable", "throttled", "firewall", "provider_failed"}
_LOCKOUTS = {"locked", "too_many_wrong_codes", "too_many_wrong_answers"}
_LIMITS = {"too_many_codes", "too_many_guesses"}

EPOCH_CHANGED = "epoch_changed"
"""The cause of a `Transition` that reports that the store's epoch changed."""


def reached_limit(transition: Transition) -> bool:
    """Return whether a `CodeBudget` or `GuessLimit` of `oncegate.budget` refused a code or a guess."""
    return not _LIMITS.isdisjoint({transition.suppressed, transition.message})


def call_failed(transition: Transition) -> bool:
    """Return whether Cognito or an identity provider failed, or did not answer."""
    return transition.message in _UNKNOWN | _FAILURES


def counted(transition: Transition) -> tuple[str, ...]:
    """Return the names of the counters that a transition counts for.

    ``events_suppressed`` counts double clicks, repeated posts and other late events; ``lockouts``
    counts Cognito's own, and flows without attempts left; ``limits_reached`` counts codes and guesses
    that a `CodeBudget` or `GuessLimit` of `oncegate.budget` refused; ``epoch_changes`` counts how often
    this process noticed that its store may have lost writes.
    """
    if transition.cause == EPOCH_CHANGED:
        return ("epoch_changes",)
    limit = ("limits_reached",) if reached_limit(transition) else ()
    if transition.suppressed:
        return ("events_suppressed", *limit)
    facts = {
        "codes_sent": bool(transition.delivered),
        "outcomes_unknown": transition.message in _UNKNOWN,
        "lockouts": transition.message in _LOCKOUTS,
        "sign_ins": transition.target == "authenticated",
        "failures": transition.target == "failed",
    }
    return (*(name for name, is_so in facts.items() if is_so), *limit)


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
        """Return all counters, including those that are zero."""
        with self._lock:
            return {name: self._counts[name] for name in NAMES}
