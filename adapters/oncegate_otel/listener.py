"""`OpenTelemetryListener`: the counters of `oncegate.metrics` as metrics. Extra: ``oncegate[otel]``."""

from __future__ import annotations

from opentelemetry.metrics import MeterProvider, get_meter

from oncegate._metrics import NAMES, counted
from oncegate.adapters import Transition


class OpenTelemetryListener:
    """Counts with OpenTelemetry: ``oncegate.codes_sent`` and so on, one for each name.

    Codes carry the medium as an attribute, held-back events the reason. No user, no flow: metrics are
    no place for them.

    Args:
        provider: of meters; the global one where None.
    """

    def __init__(self, provider: MeterProvider | None = None) -> None:
        meter = get_meter("oncegate", meter_provider=provider)
        self._counters = {name: meter.create_counter(f"oncegate.{name}") for name in NAMES}

    def __call__(self, transition: Transition, /) -> None:
        facts = {"medium": transition.delivered, "reason": transition.suppressed}
        attributes = {name: fact for name, fact in facts.items() if fact}
        for name in counted(transition):
            self._counters[name].add(1, attributes)
