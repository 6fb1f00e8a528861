"""What each request is read from, and how often: once, from the framework's own objects."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.doubles import ScriptedTransport, a_text
from tests.web.example_apps import client_of, web_for

from oncegate import _seal
from oncegate_web import Request
from oncegate_web import http as core
from oncegate_web.http import Fields, Headers

ANA = {"type": "submit_password", "username": "ana", "password": "Correct-horse-1", "version": 0}


def _flow(client: httpx.Client) -> str:
    """Begin a flow, and return the path for its events."""
    return f"/auth/flows/{client.post('/auth/flows').json()['flow_id']}/events"


def _counting(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """Note the arguments of each call of a function."""
    function: Callable[..., Any] = getattr(module, name)
    calls: list[Any] = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return function(*arguments)

    monkeypatch.setattr(module, name, counted)
    return calls


def test_cookies_and_flow_id_of_an_event_are_parsed_once(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client_of(framework, web_for(ScriptedTransport(a_text()))) as client:
        path = _flow(client)
        parsed = _counting(monkeypatch, core, "cookies_of")
        derived = _counting(monkeypatch, _seal, "_derive_with_epoch")
        answer = client.post(path, json=ANA)
    assert answer.json()["state"] == "awaiting_mfa", answer.text
    assert (len(parsed), len(derived)) == (1, 1)


def test_headers_of_an_event_are_looked_up_in_the_frameworks_own(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them is copied; the application's hook sees all, in lower case."""
    seen: list[Request] = []
    web = web_for(ScriptedTransport(a_text()), rate_limit=lambda asked: not seen.append(asked))  # type: ignore[func-returns-value]
    with client_of(framework, web) as client:
        path = _flow(client)
        copies = _counting(monkeypatch, Headers, "items")
        answer = client.post(path, json=ANA, headers={"X-Shop": "corner"})
    assert answer.json()["state"] == "awaiting_mfa", answer.text
    assert not copies
    headers = seen[-1].headers
    assert isinstance(headers, Headers)
    assert headers["x-shop"] == dict(headers.items())["x-shop"] == "corner"
    assert "x-other" not in headers
    assert headers.get("x-other", "none") == "none"
    assert "oncegate_flow" in headers["cookie"]
    assert "oncegate_flow" not in str(seen[-1].native.headers)


def test_headers_of_a_framework_are_not_read_before_they_are_asked_for() -> None:
    own = {"accept": "text/html", "cookie": "theirs=1"}
    headers = Headers(own, Fields({"cookie": "ours=1; theirs=1"}))
    own["origin"] = "https://shop.example.com"
    assert headers["origin"] == "https://shop.example.com"
    assert headers["cookie"] == "ours=1; theirs=1"
    assert dict(headers.items()) == {**own, "cookie": "ours=1; theirs=1"}
    assert len(headers) == 3
    assert repr(headers) == "<3 fields>"
    with pytest.raises(KeyError):
        headers["x-other"]


class _Stream(io.BytesIO):
    """The body of a request of WSGI, which notes how many bytes were read."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.read_bytes += len(found)
        return found

    def readinto(self, buffer: Any, /) -> int:
        number = super().readinto(buffer)
        self.read_bytes += number
        return number


@pytest.mark.parametrize("wsgi", ["flask", "django"])
def test_body_of_wsgi_is_read_once(wsgi: str) -> None:
    streams: list[_Stream] = []

    def noting(app: Any) -> Any:
        def noted(environ: dict[str, Any], start_response: Any) -> Any:
            streams.append(_Stream(environ["wsgi.input"].read()))
            return app({**environ, "wsgi.input": streams[-1]}, start_response)

        return noted

    with client_of(wsgi, web_for(ScriptedTransport(a_text())), middleware=noting) as client:
        answer = client.post(_flow(client), json=ANA)
    assert answer.json()["state"] == "awaiting_mfa", answer.text
    assert streams[-1].read_bytes == len(answer.request.content)


def test_body_of_asgi_is_read_once() -> None:
    messages: list[int] = []

    def noting(app: Any) -> Any:
        async def noted(scope: Any, receive: Any, send: Any) -> None:
            async def received() -> Any:
                message = await receive()
                messages.append(len(message.get("body", b"")))
                return message

            await app(scope, received, send)

        return noted

    with client_of("fastapi", web_for(ScriptedTransport(a_text())), middleware=noting) as client:
        path = _flow(client)
        messages.clear()
        answer = client.post(path, json=ANA)
    assert answer.json()["state"] == "awaiting_mfa", answer.text
    assert sum(messages) == len(answer.request.content)
    assert len(messages) <= 2  # the body, and its end


def test_request_with_other_headers_has_other_cookies() -> None:
    request = Request("GET", "/", headers=Fields({"cookie": "a=1"}))
    assert request.cookies["a"] == "1"
    assert replace(request, headers=Fields({"cookie": "b=2"})).cookies["b"] == "2"
