"""`OpenTelemetryListener`: the counters of `oncegate.CountingListener` as OpenTelemetry metrics."""

from __future__ import annotations

from opentelemetry.metrics import MeterProvider, get_meter

from oncegate.adapters import COUNTERS, Transition, counted

_WITH_ATTRIBUTES = frozenset({"codes_sent", "events_suppressed", "limits_reached"})


class OpenTelemetryListener:
    """Adds to OpenTelemetry counters: ``oncegate.codes_sent`` and so on, one per name.

    A counted code has the attribute ``medium``; a suppressed event and a limit that was reached have
    the attribute ``reason``. Users and flows are not attributes, because metrics are kept for long and
    read by many.

    Args:
        provider: OpenTelemetry meter provider. Default: the global one.
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        meter = get_meter("oncegate", meter_provider=provider)
        self._counters = {name: meter.create_counter(f"oncegate.{name}") for name in COUNTERS}
        # A series that begins at 1 shows no increase: Prometheus needs the zero before it.
        for name in COUNTERS:
            if name not in _WITH_ATTRIBUTES:
                self._counters[name].add(0)

    def __call__(self, transition: Transition, /) -> None:
        limit = transition.suppressed or transition.message or ""
        attributes = {
            "codes_sent": {"medium": transition.delivered},
            "events_suppressed": {"reason": transition.suppressed},
            "limits_reached": {"reason": limit},
        }
        for name in counted(transition):
            self._counters[name].add(1, attributes.get(name))
