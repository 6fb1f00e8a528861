"""FastAPI: sub-applications, websockets, and the application's own routes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Response, WebSocket
from tests.doubles import ScriptedTransport, a_text, the_tokens
from tests.web.example_apps import InLoop, web_for
from tests.web.pages import Program
from tests.web.test_sessions import ScriptedTokens

from oncegate_web import WebSignIn
from oncegate_web.fastapi import CrossSite, CurrentUser, mount, same_origin

ANA = {"username": "ana", "password": "Correct-horse-1"}
ORIGIN = "http://shop.localhost"


def _app(web: WebSignIn) -> FastAPI:
    app, below = FastAPI(), FastAPI()
    mount(app, web, prefix="/auth")

    @below.get("/orders")
    def orders(user: CurrentUser) -> dict[str, str]:
        return {"user": user.username}

    @app.post("/orders", dependencies=[Depends(same_origin)])
    def order(user: CurrentUser) -> dict[str, str]:
        return {"ordered by": user.username}

    @app.websocket("/live")
    async def live(socket: WebSocket, user: CurrentUser) -> None:
        await socket.accept()
        await socket.send_text(user.username)

    app.mount("/below", below)
    return app


@contextmanager
def _opened() -> Iterator[tuple[FastAPI, httpx.Client]]:
    transport = ScriptedTransport(a_text(username="ana"), the_tokens())
    transport.token_service = ScriptedTokens()
    app = _app(web_for(transport))
    headers = {"accept": "text/html"}
    with httpx.Client(transport=InLoop(app), base_url=ORIGIN, headers=headers) as client:
        yield app, client


def _sign_in(client: httpx.Client) -> None:
    program = Program(client)
    program.open()
    program.say("submit_password", **ANA)
    assert program.say("submit_code", code="123456") == "authenticated"


def _live(app: FastAPI, client: httpx.Client, **headers: str) -> list[dict[str, Any]]:
    """Open the websocket, and return the messages of the application."""
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    sent = {"host": "shop.localhost", "cookie": cookie, **headers}
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "scheme": "ws",
        "path": "/live",
        "raw_path": b"/live",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 5000),
        "server": ("shop.localhost", 80),
        "subprotocols": [],
    }
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        messages.append(message)

    asyncio.run(app(scope, receive, send))
    return messages


def test_sub_application_knows_the_user() -> None:
    with _opened() as (_, client):
        answer = client.get("/below/orders")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/auth/?next=/below/orders"
        answer = client.get("/below/orders", headers={"accept": "application/json"})
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_signed_in"
        _sign_in(client)
        answer = client.get("/below/orders")
        assert answer.json() == {"user": "ana"}
        assert "private" in answer.headers["cache-control"]


def test_sub_application_answers_as_the_application_does_unless_it_has_a_handler() -> None:
    app, below, own = FastAPI(), FastAPI(), FastAPI()
    mount(app, web_for(ScriptedTransport()), prefix="/auth")
    for sub in (below, own):
        sub.post("/orders", dependencies=[Depends(same_origin)])(lambda: "ordered")
    own.add_exception_handler(CrossSite, lambda *_: Response("ours", 403))
    app.mount("/below", below)
    app.mount("/own", own)
    headers = {"origin": "https://other.example"}
    with httpx.Client(transport=InLoop(app), base_url=ORIGIN, headers=headers) as client:
        assert client.post("/below/orders").json()["code"] == "cross_site"
        assert client.post("/own/orders").text == "ours"


def test_refused_websocket_is_explained_in_the_log(caplog: Any) -> None:
    """Behind a development server that changes the Host header, a script sees 1006 and no reason."""
    with _opened() as (app, client):
        _sign_in(client)
        for _ in range(2):
            assert _live(app, client, origin="http://localhost:5173")[0]["code"] == 1008
    lines = [r.getMessage() for r in caplog.records if r.name == "oncegate"]
    (told,) = [line for line in lines if "refused" in line]
    assert "changeOrigin" in told


def test_websocket_knows_the_user_of_its_own_origin_only() -> None:
    with _opened() as (app, client):
        assert _live(app, client, origin=ORIGIN) == [
            {"type": "websocket.close", "code": 1008, "reason": "sign in first"}
        ]
        _sign_in(client)
        for own in ({"origin": ORIGIN}, {}, {"sec-fetch-site": "same-origin"}):
            assert _live(app, client, **own)[-1]["text"] == "ana"
        for other in (
            {"origin": "https://other.example"},
            {"origin": "null"},
            {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
        ):
            assert _live(app, client, **other)[0]["code"] == 1008


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_own_route_can_refuse_other_sites(framework: str, caplog: Any) -> None:
    with _own_route(framework) as client:
        for allowed in ({"origin": ORIGIN}, {"sec-fetch-site": "same-origin"}, {}):
            assert client.post("/orders", headers=allowed).status_code in {303, 401}
        for refused in (
            {"origin": "https://other.example"},
            {"origin": ORIGIN, "sec-fetch-site": "same-site"},
            {"sec-fetch-site": "cross-site"},
        ):
            answer = client.post("/orders", headers=refused)
            assert answer.status_code == 403
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "cross_site"
            assert answer.json()["message"].startswith("Something went wrong")
    lines = [r.getMessage() for r in caplog.records if r.name == "oncegate"]
    told = [line for line in lines if "refused" in line]
    assert len(told) == 3, "one for each origin"


@contextmanager
def _own_route(framework: str) -> Iterator[httpx.Client]:
    if framework == "fastapi":
        with _opened() as (_, client):
            yield client
        return
    from flask import Flask

    from oncegate_web.flask import login_required, mount, same_origin

    app = Flask(__name__)
    mount(app, web_for(ScriptedTransport()), prefix="/auth")
    app.post("/orders")(same_origin(login_required(lambda: "ordered")))
    with httpx.Client(transport=httpx.WSGITransport(app=app), base_url=ORIGIN) as client:
        yield client
