"""The request context reaches transport and listeners from pages and API, in each framework."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from tests.doubles import a_text
from tests.web.example_apps import client_of, fastapi_app, web_for
from tests.web.pages import Program, Visit

from oncegate import request_id
from oncegate.testing import ScriptedTransport

ANA = {"username": "ana", "password": "Correct-horse-1"}
INTERFACES = {"pages": Visit, "api": Program}


@pytest.mark.parametrize("interface", INTERFACES)
def test_event_carries_the_request(framework: str, interface: str) -> None:
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        client.headers.update(
            {
                "user-agent": "a browser",
                "accept-language": "fr;q=0.5, de-AT",
                "x-request-id": "r-1",
            }
        )
        user: Any = INTERFACES[interface](client)
        user.open()
        user.say("submit_password", **ANA)
    (context,) = transport.contexts
    assert context.source_address == "127.0.0.1"
    assert context.user_agent == "a browser"
    assert context.language == "de-at"
    assert context.request_id == "r-1"
    assert context.device_vault is not None


@pytest.mark.parametrize("value", ["", "x" * 129, "a\tb"])
def test_malformed_request_id_is_ignored(framework: str, value: str) -> None:
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        client.headers["x-request-id"] = value
        user = Program(client)
        user.open()
        user.say("submit_password", **ANA)
    assert transport.contexts[0].request_id == ""


class _WithRequestId:
    """A middleware of the application: ASGI if called with three arguments, else WSGI."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, *arguments: Any) -> Any:
        if len(arguments) == 3:
            return self._asgi(*arguments)
        with request_id("r1"):
            return self._app(*arguments)

    async def _asgi(self, *arguments: Any) -> None:
        with request_id("r1"):
            await self._app(*arguments)


@pytest.mark.parametrize("interface", INTERFACES)
def test_request_id_of_a_middleware_reaches_the_log(
    framework: str, interface: str, caplog: pytest.LogCaptureFixture
) -> None:
    web = web_for(ScriptedTransport(a_text()), listeners=None)
    with client_of(framework, web, middleware=_WithRequestId) as client:
        user: Any = INTERFACES[interface](client)
        user.open()
        with caplog.at_level(logging.INFO, "oncegate"):
            user.say("submit_password", **ANA)
    lines = [json.loads(record.message) for record in caplog.records if record.name == "oncegate"]
    assert [line["target"] for line in lines] == ["checking_password", "awaiting_mfa"]
    assert {line["request"] for line in lines} == {"r1"}


async def test_request_id_of_a_starlette_middleware_reaches_the_transport() -> None:
    import httpx
    from starlette.middleware.base import BaseHTTPMiddleware

    transport = ScriptedTransport(a_text())
    app = fastapi_app(web_for(transport))

    async def with_request_id(request: Any, call_next: Any) -> Any:
        with request_id("r2"):
            return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=with_request_id)
    asgi = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=asgi, base_url="http://shop.localhost") as client:
        flow = (await client.post("/auth/flows")).json()["flow_id"]
        event = {"type": "submit_password", "version": 0, **ANA}
        await client.post(f"/auth/flows/{flow}/events", json=event)
    assert transport.contexts[0].request_id == "r2"
