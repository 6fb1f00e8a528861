"""Histograms of how long operations take, by operation and outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from opentelemetry.metrics import MeterProvider, get_meter

from oncegate import Misconfigured, OncegateError, SignedOut, StoreUnavailable, Unreachable

_T = TypeVar("_T")

_OUTCOMES: dict[type[OncegateError], str] = {
    Misconfigured: "misconfigured",
    SignedOut: "signed_out",
    StoreUnavailable: "store_unavailable",
    Unreachable: "unreachable",
}


class Durations:
    """A histogram of seconds, with the attributes ``operation`` and ``outcome``.

    Args:
        name: name of the histogram.
        about: what takes so long.
        limits: upper bounds of its buckets, in seconds.
        provider: OpenTelemetry meter provider; None for the global one.
    """

    def __init__(
        self, name: str, about: str, limits: Sequence[float], provider: MeterProvider | None
    ) -> None:
        self._histogram = get_meter("oncegate", meter_provider=provider).create_histogram(
            name, unit="s", description=about, explicit_bucket_boundaries_advisory=limits
        )

    def measure(
        self,
        operation: str,
        work: Callable[[], _T],
        outcome_of: Callable[[_T], dict[str, str]] = lambda _: {"outcome": "ok"},
    ) -> _T:
        """Do the work and record how long it took, also if it raises.

        Args:
            operation: name of the operation.
            work: does it.
            outcome_of: returns the attributes for a result.
        """
        attributes = {"outcome": "error"}
        began_at = time.perf_counter()
        try:
            result = work()
            attributes = outcome_of(result)
        except OncegateError as error:
            attributes = {"outcome": _outcome_of(error)}
            raise
        finally:
            seconds = time.perf_counter() - began_at
            self._histogram.record(seconds, {"operation": operation, **attributes})
        return result


def _outcome_of(error: OncegateError) -> str:
    return next((name for kind, name in _OUTCOMES.items() if isinstance(error, kind)), "error")
