"""The log's lines, the counters, the histograms, and the dashboard that shows them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import REGISTRY
from tests.doubles import ManualClock, ScriptedTransport, a_text, code, password, the_tokens
from tests.guides import block

from oncegate import (
    AsyncSignIn,
    CountingListener,
    InvalidToken,
    LogListener,
    Misconfigured,
    RequestContext,
    SignedOut,
    SignIn,
    StepRef,
    StoreUnavailable,
    Tokens,
    Unreachable,
    request_id,
)
from oncegate.adapters import (
    COUNTERS,
    NotSent,
    OutcomeUnknown,
    RecordStore,
    Rejected,
    RejectionReason,
    SendCode,
    StoredRecord,
    Transition,
)
from oncegate.testing import StoreConformance
from oncegate_cognito import CognitoTransport
from oncegate_otel import DASHBOARD, MeteredStore, MeteredTransport, OpenTelemetryListener
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
    "limits_reached": 0,
    "epoch_changes": 0,
}


def transition(**facts: Any) -> Transition:
    plain = Transition("f", "idle", "idle", "submit_password", 1, 0.0, None, "")
    return plain._replace(**facts)


def test_counting_listener_counts_in_memory(clock: ManualClock) -> None:
    counters = CountingListener()
    transport = ScriptedTransport(*OUTCOMES)
    store = MemoryStore()
    sign_in_with_accidents(
        SignIn(transport=transport, store=store, clock=clock, listeners=[counters])
    )
    assert counters.counts() == COUNTS


@pytest.mark.parametrize("limit", ["too_many_codes", "too_many_guesses"])
def test_limit_that_is_reached_is_counted(limit: str) -> None:
    counters = CountingListener()
    counters(transition(suppressed=limit))
    counters(transition(message=limit))
    counters(transition(message="too_many_wrong_codes"))
    assert counters.counts()["limits_reached"] == 2
    assert counters.counts()["events_suppressed"] == 1


def test_change_of_epoch_is_counted_and_is_no_failure() -> None:
    counters = CountingListener()
    counters(transition(cause="epoch_changed", target="failed", message="flow_expired"))
    assert {name for name, count in counters.counts().items() if count} == {"epoch_changes"}


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
    counted = {name.removeprefix("oncegate."): points[0][0] for name, points in found.items()}
    assert {name: count for name, count in counted.items() if count} == {
        name: count for name, count in COUNTS.items() if count
    }
    # A series that began at 1 would show no increase.
    assert counted["epoch_changes"] == 0


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


class Failing(MemoryStore):
    """A store that fails as it is told to."""

    error: Exception | None = None

    def load(self, key: str) -> StoredRecord | None:
        if self.error:
            raise self.error
        return super().load(key)


class TestMeteredStore(StoreConformance):
    is_shared = False

    def make(self) -> RecordStore:
        return MeteredStore(MemoryStore(), MeterProvider())

    def test_operations_are_measured_by_outcome(self) -> None:
        reader = InMemoryMetricReader()
        store = Failing()
        metered = MeteredStore(store, MeterProvider(metric_readers=[reader]))
        row = StoredRecord(1, b"x", 4e9)
        metered.load("a" * 32)
        metered.swap("a" * 32, 0, row)
        metered.swap("a" * 32, 3, row._replace(version=4))
        metered.load("a" * 32)
        metered.epoch("a" * 32)
        for error in (StoreUnavailable("x"), Misconfigured("x"), ValueError("x")):
            store.error = error
            with pytest.raises(type(error)):
                metered.load("a" * 32)
        assert points(reader, "oncegate.store.duration") == {
            ("load", "missing"): 1,
            ("swap", "saved"): 1,
            ("swap", "refused"): 1,
            ("load", "found"): 1,
            ("epoch", "ok"): 1,
            ("load", "store_unavailable"): 1,
            ("load", "misconfigured"): 1,
            ("load", "error"): 1,
        }

    def test_buckets_are_fine_enough_for_a_store(self) -> None:
        reader = InMemoryMetricReader()
        MeteredStore(MemoryStore(), MeterProvider(metric_readers=[reader])).load("a" * 32)
        (metric,) = metrics(reader)
        (point,) = metric.data.data_points
        assert metric.unit == "s"
        assert point.explicit_bounds[0] <= 0.001
        assert point.explicit_bounds[-1] >= 10


class TestMeteredTransport:
    def test_calls_are_measured_by_outcome_and_reason(self, clock: ManualClock) -> None:
        reader = InMemoryMetricReader()
        transport = MeteredTransport(
            ScriptedTransport(*OUTCOMES), MeterProvider(metric_readers=[reader])
        )
        sign_in_with_accidents(SignIn(transport=transport, store=MemoryStore(), clock=clock))
        assert points(reader, "oncegate.call.duration") == {
            ("check_password", "outcome_unknown"): 1,
            ("check_password", "rejected", "locked"): 1,
            ("check_password", "challenge_issued"): 1,
            ("check_code", "rejected", "wrong_code"): 1,
            ("check_code", "tokens_issued"): 1,
        }

    def test_what_the_transport_says_of_itself_is_passed_on(
        self, transport: CognitoTransport
    ) -> None:
        metered = MeteredTransport(transport, MeterProvider())
        assert metered.app_id == transport.app_id
        assert metered.max_call_seconds == transport.max_call_seconds
        assert metered.is_passwordless == transport.is_passwordless
        assert MeteredTransport(ScriptedTransport(), MeterProvider()).token_service is None

    def test_token_service_is_measured(
        self, transport: CognitoTransport, clock: ManualClock
    ) -> None:
        reader = InMemoryMetricReader()
        metered = MeteredTransport(transport, MeterProvider(metric_readers=[reader]))
        sign_in = SignIn(transport=metered, store=MemoryStore())
        step = sign_in.send(sign_in.start(), password("Correct-horse-6", "fay"))
        assert step.tokens is not None
        service = metered.token_service
        assert service is not None
        assert service.verify(step.tokens.access_token)["token_use"] == "access"
        tokens = service.renew(step.tokens)
        service.check(tokens)
        assert service.devices(tokens) == []
        with suppress(SignedOut, Unreachable):
            service.forget_device(tokens, "no-such-device")
        service.sign_out_everywhere(tokens)
        with suppress(SignedOut):
            service.revoke(tokens)
        with pytest.raises(SignedOut):
            service.renew(tokens)
        found = points(reader, "oncegate.call.duration")
        assert found["renew", "ok"] == 1
        assert found["renew", "signed_out"] == 1
        measured = {name for name, *_ in found} - {"check_password"}
        assert measured == {
            "renew", "check", "devices", "forget_device", "sign_out_everywhere", "revoke",
        }  # fmt: skip

    def test_no_frame_of_ours_holds_a_token_that_is_invalid(
        self, transport: CognitoTransport
    ) -> None:
        service = MeteredTransport(transport, MeterProvider()).token_service
        assert service is not None
        token = "eyJ-secret"
        with pytest.raises(InvalidToken) as refused:
            service.verify(token)
        frames = list(traceback.walk_tb(refused.value.__traceback__))[1:]
        assert not any(token in map(str, frame.f_locals.values()) for frame, _ in frames)


def metrics(reader: InMemoryMetricReader) -> list[Any]:
    data = reader.get_metrics_data()
    assert data is not None
    return list(data.resource_metrics[0].scope_metrics[0].metrics)


def points(reader: InMemoryMetricReader, name: str) -> dict[tuple[str, ...], int]:
    """Return how often each combination of operation, outcome and reason was measured."""
    (found,) = (metric for metric in metrics(reader) if metric.name == name)
    order = ("operation", "outcome", "reason")
    return {
        tuple(str(point.attributes[key]) for key in order if key in point.attributes): point.count
        for point in found.data.data_points
    }


@pytest.fixture(scope="module")
def emitted() -> Iterator[dict[str, dict[str, set[str]]]]:
    """Return the metrics as Prometheus has them, with the values of their labels."""
    reader = PrometheusMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    listener = OpenTelemetryListener(provider)
    for facts in (
        {"delivered": "SMS"},
        {"suppressed": "too_many_codes"},
        {"message": "outcome_unknown"},
        {"message": "locked"},
        {"target": "authenticated"},
        {"target": "failed"},
        {"cause": "epoch_changed"},
    ):
        listener(transition(**facts))
    store = Failing()
    metered = MeteredStore(store, provider)
    metered.swap("a" * 32, 0, StoredRecord(1, b"x", 4e9))
    metered.swap("a" * 32, 3, StoredRecord(4, b"x", 4e9))
    for error in (None, StoreUnavailable("x"), Misconfigured("x"), ValueError("x")):
        store.error = error
        with suppress(Exception):
            metered.load("a" * 32)
    outcomes = (OutcomeUnknown(), NotSent(cause="throttled"), a_text())
    scripted = ScriptedTransport(*outcomes)
    transport = MeteredTransport(with_service(scripted), provider)
    call: Any = SendCode.model_construct
    for _ in outcomes:
        transport.perform(call(), RequestContext())
    assert transport.token_service is not None
    with pytest.raises(Unreachable):
        transport.token_service.renew(the_tokens().tokens)
    yield {
        sample.name: {
            label: {s.labels.get(label, "") for s in family.samples} for label in sample.labels
        }
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name.startswith("oncegate_")
    }
    provider.shutdown()


class TestDashboard:
    """Every panel shows metrics, attributes and values that oncegate emits, and none is missing."""

    def test_panels_show_what_is_emitted(self, emitted: dict[str, dict[str, set[str]]]) -> None:
        for title, expression in expressions():
            for selector, labels in selectors(promql.parse(expression)):
                where = f"{title}: {expression}"
                assert selector.name in emitted, where
                known = emitted[selector.name]
                assert labels <= known.keys(), where
                for matcher in selector.matchers.matchers:
                    if matcher.name == "job":  # Prometheus adds it
                        continue
                    values = {value for value in matcher.value.split("|") if value}
                    assert values <= known[matcher.name], where

    def test_every_metric_is_on_the_dashboard(
        self, emitted: dict[str, dict[str, set[str]]]
    ) -> None:
        shown = {
            selector.name
            for _, expression in expressions()
            for selector, _ in selectors(promql.parse(expression))
        }
        counters = {f"oncegate_{name}_total" for name in COUNTERS}
        histograms = {
            f"oncegate_{name}_duration_seconds_{part}"
            for name in ("call", "store")
            for part in ("bucket", "count")
        }
        assert shown == counters | histograms
        assert shown <= emitted.keys()

    def test_panels_have_distinct_ids_and_places(self) -> None:
        panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in panels)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(set(cells)) == len(cells)
        assert all(x < 24 for x, _ in cells)

    def test_variables_name_a_metric_that_is_emitted(
        self, emitted: dict[str, dict[str, set[str]]]
    ) -> None:
        variables = json.loads(DASHBOARD.read_text("utf-8"))["templating"]["list"]
        (job,) = (variable for variable in variables if variable["name"] == "job")
        metric = job["query"]["query"].removeprefix("label_values(").partition(",")[0]
        assert metric in emitted


class _Silent:
    """A token service whose Cognito does not answer."""

    def __getattr__(self, name: str) -> Callable[..., Tokens]:
        def fail(*_: object) -> Tokens:
            raise Unreachable("no answer")

        return fail


def with_service(transport: ScriptedTransport) -> Any:
    transport.token_service = _Silent()  # type: ignore[assignment]
    return transport


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every query of the dashboard, with the title of its panel."""
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def selectors(expression: Any, labels: frozenset[str] = frozenset()) -> Iterator[tuple[Any, Any]]:
    """Yield every selector of a query, with the labels by which its series are grouped."""
    match expression:
        case promql.VectorSelector():
            yield expression, labels
        case promql.MatrixSelector():
            yield expression.vector_selector, labels
        case promql.AggregateExpr():
            grouped = set(expression.modifier.labels) if expression.modifier else set()
            yield from selectors(expression.expr, labels | grouped)
        case promql.Call():
            for argument in expression.args:
                yield from selectors(argument, labels)
        case promql.BinaryExpr():
            yield from selectors(expression.lhs, labels)
            yield from selectors(expression.rhs, labels)
        case promql.ParenExpr():
            yield from selectors(expression.expr, labels)


@pytest.mark.slow
def test_command_of_the_guide_prints_where_the_dashboard_is() -> None:
    test = "tests/engine/test_metrics.py::test_command_of_the_guide_prints_where_the_dashboard_is"
    command = block("adapters/oncegate_otel/README.md", test)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    printed = subprocess.check_output(["sh", "-ec", command], env=environment, text=True)
    assert Path(printed.strip()) == DASHBOARD
