"""Counters for OpenTelemetry."""

from oncegate_otel.listener import OpenTelemetryListener

__all__ = ["OpenTelemetryListener"]
