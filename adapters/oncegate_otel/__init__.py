"""OpenTelemetry metrics of flows, calls and stores; a Grafana dashboard. Extra: ``oncegate[otel]``."""

from pathlib import Path

from oncegate_otel._listener import OpenTelemetryListener
from oncegate_otel._store import MeteredStore
from oncegate_otel._transport import MeteredTransport

__all__ = ["DASHBOARD", "MeteredStore", "MeteredTransport", "OpenTelemetryListener"]

DASHBOARD = Path(__file__).with_name("dashboard.json")
"""A Grafana dashboard for these metrics, as Prometheus has them: import it into Grafana."""
