"""The audit log and the counters."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.doubles import ManualClock, ScriptedTransport, a_text, code, password, the_tokens

from oncegate import AsyncSignIn, CountingListener, LogListener, SignIn, StepRef, request_id
from oncegate.adapters import OutcomeUnknown, Rejected, RejectionReason
from oncegate_otel import OpenTelemetryListener
from oncegate_stores import MemoryStore


def sign_in_with_accidents(sign_in: SignIn) -> None:
    """Sign in after a lost response, a lockout, a double click and a wrong code."""
    step = sign_in.start()
    for _ in range(2):
        step = sign_in.send(step, password())
    step = sign_in.send(step, password())
    sign_in.send(StepRef(step.flow_id, 0), password())
    step = sign_in.send(step, code("111111"))
    sign_in.send(step, code("222222"))


OUTCOMES = (
    OutcomeUnknown(),
    Rejected(reason=RejectionReason.LOCKED),
    a_text(),
    Rejected(reason=RejectionReason.WRONG_CODE),
    the_tokens(),
)
COUNTS = {
    "codes_sent": 1,
    "events_suppressed": 1,
    "outcomes_unknown": 1,
    "lockouts": 1,
    "sign_ins": 1,
    "failures": 0,
}


def test_counting_listener_counts_in_memory(clock: ManualClock) -> None:
    counters = CountingListener()
    transport = ScriptedTransport(*OUTCOMES)
    store = MemoryStore()
    sign_in_with_accidents(
        SignIn(transport=transport, store=store, clock=clock, listeners=[counters])
    )
    assert counters.counts() == COUNTS


def test_opentelemetry_listener_counts_the_same(clock: ManualClock) -> None:
    reader = InMemoryMetricReader()
    listener = OpenTelemetryListener(MeterProvider(metric_readers=[reader]))
    transport = ScriptedTransport(*OUTCOMES)
    store = MemoryStore()
    sign_in_with_accidents(
        SignIn(transport=transport, store=store, clock=clock, listeners=[listener])
    )
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        metric.name: [
            (point.value, dict(point.attributes or {}))  # type: ignore[union-attr]
            for point in metric.data.data_points
        ]
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    assert found["oncegate.codes_sent"] == [(1, {"medium": "SMS"})]
    assert found["oncegate.events_suppressed"] == [(1, {"reason": "stale"})]
    assert {name.removeprefix("oncegate."): points[0][0] for name, points in found.items()} == {
        name: count for name, count in COUNTS.items() if count
    }


def test_log_has_a_line_for_each_transition_and_suppressed_event(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "oncegate")
    transport = ScriptedTransport(*OUTCOMES)
    sign_in = SignIn(
        transport=transport, store=MemoryStore(), clock=clock, listeners=[LogListener()]
    )
    with request_id("request-7"):
        sign_in_with_accidents(sign_in)
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert len(lines) == 2 * len(OUTCOMES) + 1
    assert {line["request"] for line in lines} == {"request-7"}
    assert len({line["flow"] for line in lines}) == 1
    assert [line["suppressed"] for line in lines if line["suppressed"]] == ["stale"]


async def test_request_id_reaches_the_threads_of_an_async_application(clock: ManualClock) -> None:
    heard: list[str] = []
    sign_in = AsyncSignIn(
        transport=ScriptedTransport(a_text(), a_text()),
        store=MemoryStore(),
        clock=clock,
        listeners=[lambda transition: heard.append(transition.context.request_id)],
    )

    async def submit(name: str) -> None:
        with request_id(name):
            step = await sign_in.start()
            await sign_in.send(step, password())

    await asyncio.gather(submit("a"), submit("b"))
    assert sorted(heard) == ["a", "a", "b", "b"]
