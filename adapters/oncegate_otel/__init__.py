"""OpenTelemetry metrics: `OpenTelemetryListener`. Extra: ``oncegate[otel]``."""

from oncegate_otel._listener import OpenTelemetryListener

__all__ = ["OpenTelemetryListener"]
