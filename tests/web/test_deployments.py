"""Failing stores, rolling deployments and devices: what a browser is answered, and what is logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.doubles import a_text, the_tokens
from tests.web.example_apps import KEY, client_of, web_for
from tests.web.pages import Program, Visit, flow_cookie

from oncegate import SealingKeys, StoreUnavailable
from oncegate.adapters import (
    CheckPassword,
    Device,
    DeviceOffer,
    DeviceRegistered,
    FlowId,
    NewDevice,
    StoredRecord,
    TokensIssued,
)
from oncegate.testing import ScriptedTransport
from oncegate_stores import MemoryStore

ANA = {"username": "ana", "password": "Correct-horse-1"}
CODE = {"code": "123456"}
KEYS = SealingKeys(KEY).bound_to("scripted oncegate").bound_to("scripted")


class FailingStore(MemoryStore):
    """Fails on demand, as a database adapter does: with the driver's error as the cause."""

    is_down = False

    def load(self, key: str) -> StoredRecord | None:
        if self.is_down:
            try:
                raise ConnectionRefusedError("postgres://user:the-password@host")
            except ConnectionRefusedError as error:
                raise StoreUnavailable("connection refused") from error
        return super().load(key)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    with caplog.at_level(logging.INFO, "oncegate"):
        yield lambda: [json.loads(r.message) for r in caplog.records if r.name == "oncegate"]


def test_post_while_the_store_is_down_leads_to_a_503_and_logs_one_error(
    framework: str, log: Any
) -> None:
    store, transport = FailingStore(), ScriptedTransport(a_text())
    with client_of(framework, web_for(transport, store=store)) as client:
        visit = Visit(client)
        visit.open()
        form = visit.page.forms["submit-password"]
        store.is_down = True
        client.headers["x-request-id"] = "r1"
        answer = visit.post(form.action, {**form.values, **ANA})
        assert answer.status_code == 303
        answer = client.get(answer.headers["location"])
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert "Sign-in isn’t working right now" in answer.text
        (line,) = [line for line in log() if line["level"] != "info"]
        assert line["level"] == "error"
        assert line["error"] == "StoreUnavailable"
        assert line["reason"] == "connection refused"
        post, get = [line for line in log() if line["level"] == "info"]
        assert post["reason"] == get["reason"] == "ConnectionRefusedError"
        assert (post["status"], post["method"], post["request"]) == (503, "POST", "r1")
        assert "the-password" not in json.dumps(log()) + answer.text
        store.is_down = False
        assert visit.say("submit_password", **ANA) == "awaiting_mfa"


def _write_by_a_later_release(store: MemoryStore, flow_id: str) -> None:
    """Replace a flow's record by one of a later schema, in a state that is unknown here."""
    flow = FlowId.parse(flow_id)
    row = store.load(flow.key)
    assert row is not None
    plain = json.dumps(
        {"schema_number": 99, "version": row.version + 1, "state": "awaiting_retina"}
    ).encode()
    sealed = flow.seal_bytes(plain, row.version + 1, KEYS)
    assert store.swap(flow.key, row.version, StoredRecord(row.version + 1, sealed, row.expires_at))


def test_flow_of_a_later_release_answers_503_and_keeps_the_flow(framework: str, log: Any) -> None:
    store, transport = MemoryStore(), ScriptedTransport(a_text())
    with client_of(framework, web_for(transport, store=store)) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        form = visit.page.forms["submit-code"]
        flow_id = client.cookies[flow_cookie(client)]
        _write_by_a_later_release(store, flow_id)
        before = store.load(FlowId.parse(flow_id).key)
        event = {"type": "submit_code", "version": 2, **CODE}
        posted = visit.post(form.action, {**form.values, **CODE})
        assert posted.status_code == 303
        answers = [
            client.get("/auth/"),
            client.get(posted.headers["location"]),
            client.get("/auth/flows/current"),
            client.post("/auth/flows/current/events", json=event),
        ]
        for answer in answers:
            assert answer.status_code == 503
            assert "retry-after" in answer.headers
            assert "being updated" in answer.text
            assert "oncegate" not in answer.headers.get("set-cookie", "")
        assert answers[2].json()["code"] == "updating"
        assert client.cookies[flow_cookie(client)] == flow_id
        assert store.load(FlowId.parse(flow_id).key) == before
        assert len(transport.calls) == 1
        assert {line["level"] for line in log()} == {"warning"}


NEW_DEVICE = NewDevice(key="device-key", group_key="group")


def _device(ask_user: bool) -> list[Any]:
    device = Device.model_validate(
        {"username": "ana", "typed": "ana", "key": "device-key", "group_key": "g", "password": "p"}
    )
    tokens = the_tokens().tokens
    return [
        a_text(),
        TokensIssued(tokens=tokens, new_device=NEW_DEVICE, username="ana"),
        DeviceRegistered(device=device, ask_user=ask_user),
    ]


@contextmanager
def _signed_in_with_device(framework: str) -> Iterator[httpx.Client]:
    with client_of(framework, web_for(ScriptedTransport(*_device(ask_user=False)))) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        assert visit.say("submit_code", **CODE) == "authenticated"
        yield client


@pytest.mark.parametrize(
    ("app_id", "device_key"), [("scripted", "device-key"), ("pool/other", None)]
)
def test_device_cookie_is_used_for_its_own_app_client_only(
    framework: str, app_id: str, device_key: str | None
) -> None:
    with _signed_in_with_device(framework) as client:
        cookie = client.cookies["oncegate_device"]
    transport = ScriptedTransport(a_text())
    transport.app_id = app_id
    with client_of(framework, web_for(transport)) as client:
        client.cookies.set("oncegate_device", cookie)
        user = Program(client)
        user.open()
        user.say("submit_password", **ANA)
    (call,) = transport.calls
    assert isinstance(call, CheckPassword)
    assert call.device_key == device_key


def test_flow_that_offers_a_device_stores_no_refresh_token(framework: str) -> None:
    store = MemoryStore()
    transport = ScriptedTransport(*_device(ask_user=True))
    with client_of(framework, web_for(transport, store=store)) as client:
        user = Program(client)
        user.open()
        user.say("submit_password", **ANA)
        assert user.say("submit_code", **CODE) == "offering_device"
        flow_id = FlowId.parse(client.cookies[flow_cookie(client)])
    row = store.load(flow_id.key)
    assert row is not None
    plain = flow_id.unseal_bytes(row.sealed, row.version, KEYS)
    assert b'"refresh"' not in plain
    assert b"refresh_token" not in plain
    challenge = flow_id.unseal(row.sealed, row.version, KEYS).challenge
    assert isinstance(challenge, DeviceOffer)
    assert b"eyJhY2Nlc3M" in plain, "the access token registers the device"
