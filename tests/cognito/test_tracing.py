"""Tracing tools see Cognito's calls: they instrument boto3's own call, and so that is what runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.endpoint import Endpoint
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from oncegate import SignIn, SubmitCode, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import MemoryStore

CALLS = ["InitiateAuth", "RespondToAuthChallenge", "RespondToAuthChallenge"]
"""A sign-in by SRP with a code by SMS."""


@pytest.fixture
def as_before() -> Iterator[None]:
    call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]
    prepare = Endpoint.prepare_request
    yield
    BaseClient._make_api_call = call  # type: ignore[attr-defined]
    Endpoint.prepare_request = prepare  # type: ignore[method-assign]


def sign_in(sandbox: Sandbox) -> None:
    transport = CognitoTransport(
        pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
    )
    driver = SignIn(transport=transport, store=MemoryStore(), listeners=[])
    step = driver.send(driver.start(), SubmitPassword(username="ana", password="Correct-horse-1"))
    step = driver.send(step, SubmitCode(code=sandbox.messages()[-1].code))
    assert step.state == "authenticated"


def test_opentelemetry_has_a_span_for_each_call(sandbox: Sandbox, as_before: None) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    instrumentor = BotocoreInstrumentor()  # type: ignore[no-untyped-call]
    instrumentor.instrument(tracer_provider=provider)
    try:
        sign_in(sandbox)
    finally:
        instrumentor.uninstrument()
    attributes: list[Any] = [span.attributes for span in spans.get_finished_spans()]
    assert [one["rpc.method"] for one in attributes] == CALLS
    assert "Correct-horse-1" not in str(attributes)


def test_xray_has_a_subsegment_for_each_call(
    sandbox: Sandbox, as_before: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here, because the import opens a socket.
    from aws_xray_sdk.core import patch, xray_recorder

    xray_recorder.configure(sampling=False, context_missing="RUNTIME_ERROR")
    patch(["botocore"])
    sent: list[Any] = []
    monkeypatch.setattr(xray_recorder.emitter, "send_entity", sent.append)
    with xray_recorder.in_segment("a request") as segment:
        sign_in(sandbox)
        seen = [one.aws["operation"] for one in segment.subsegments]
    xray_recorder.emitter._socket.close()
    assert seen == CALLS
    assert "Correct-horse-1" not in str([one.serialize() for one in sent])
