"""What surrounds the sign-in in each framework: cookies, transport security, redirects, caches, bodies."""

from __future__ import annotations

import json
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.doubles import a_text, the_tokens
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Visit
from tests.web.servers import serving
from werkzeug.serving import ThreadedWSGIServer

from oncegate import Misconfigured, RequestContext, Tokens
from oncegate.adapters import Call, Outcome, SystemClock, TokensIssued
from oncegate.testing import ScriptedTransport
from oncegate_web.http import (
    FORM,
    cookies_of,
    local_path,
    private_headers,
    redirect,
    without_cookies,
)

ANA = {"username": "ana", "password": "Correct-horse-1"}
CODE = {"code": "123456"}


# ── cookies ──


@pytest.mark.parametrize(
    "header",
    [
        "\u2000{name}={value}".encode(),
        b"\xc2\xa0{name}={value}",
        b"a=b;\t{name}={value}",
        b'"{name}"={value}',
        b"{name} ={value}",
        b"{name}=x; {name}={value}",
        b"{name}={value}; {name}={value}",
        b'{name}="{value}"',
    ],
)
@pytest.mark.parametrize("secure", [True, None])
def test_cookie_by_another_name_or_twice_is_ignored(
    framework: str, header: bytes, secure: bool | None
) -> None:
    web = web_for(ScriptedTransport(), secure=secure)
    with serving(framework, web) as url:
        sent = httpx.post(f"{url}/auth/flows").headers.get_list("set-cookie")
        (ours,) = (one.strip() for one in sent if "oncegate_flow" in one)
        name, _, value = ours.partition(";")[0].partition("=")
        assert name.startswith("__Host-") is (secure is True)
        planted = header.replace(b"{name}", name.encode()).replace(b"{value}", value.encode())
        exact = f"a=b; {name}={value}".encode()
        path = f"{url}/auth/flows/current"
        assert httpx.get(path, headers=[(b"cookie", exact)]).status_code == 200
        assert httpx.get(path, headers=[(b"cookie", planted)]).status_code == 404


def test_cookies_are_split_and_not_unquoted() -> None:
    found = cookies_of('a="b c"; d=e=f;g=h; ; i;  j=k; l=1; l=2')
    assert dict(found.items()) == {"a": '"b c"', "d": "e=f", "g": "h"}
    assert without_cookies("a=b; __Host-x_flow=1; x_session.0=2; xy=3", "x") == "a=b; xy=3"


@pytest.mark.parametrize("name", ["", "a b", "ü", "a;b", "x" * 33, "a=b"])
def test_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured):
        web_for(ScriptedTransport(), name=name)


# ── plain HTTP ──


@pytest.mark.parametrize(
    ("framework", "advice"),
    [
        ("fastapi", "--proxy-headers"),
        ("flask", "ProxyFix"),
        ("django", "SECURE_PROXY_SSL_HEADER"),
    ],
)
def test_plain_http_is_refused_and_logs_how_to_declare_the_proxy(
    framework: str, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    web = web_for(ScriptedTransport())
    with client_of(framework, web, "http://example.test") as client:
        for answer in (
            client.get("/auth/"),
            client.post("/auth/flows"),
            client.get("/auth/session", headers={"accept": "application/json"}),
        ):
            assert answer.status_code == 403
            assert "oncegate" not in answer.headers.get("set-cookie", "")
            assert "https" in answer.text
        assert client.get("/auth/static/page.css").status_code == 200
        assert client.get("/orders").status_code == 303
    lines = [json.loads(record.message) for record in caplog.records if record.name == "oncegate"]
    assert [line["event"] for line in lines] == ["plain HTTP refused"]
    assert advice in lines[0]["advice"]


@pytest.mark.parametrize("host", ["localhost:8000", "a.localhost", "127.0.0.9:1", "[::1]:8000"])
def test_loopback_host_may_use_plain_http(framework: str, host: str) -> None:
    with client_of(framework, web_for(ScriptedTransport()), f"http://{host}") as client:
        assert client.get("/auth/").status_code == 200
        # An undeclared proxy that passes its own address on as the host.
        for sent in (
            {"x-forwarded-proto": "https"},
            {"x-forwarded-proto": "HTTPS"},
            {"x-forwarded-ssl": "on"},
            {"x-forwarded-for": "198.51.100.7"},
            {"x-real-ip": "198.51.100.7"},
            {"via": "1.1 proxy"},
            {"forwarded": "for=198.51.100.7"},
        ):
            assert client.get("/auth/", headers=sent).status_code == 403, sent
        # A development server that forwards, and says so.
        sent = {"x-forwarded-proto": "http", "x-forwarded-for": "127.0.0.1"}
        assert client.get("/auth/", headers=sent).status_code == 200
        # nginx without further settings: the page has another host.
        sent = {"origin": "https://shop.example", "sec-fetch-site": "same-origin"}
        assert client.post("/auth/flows", headers=sent).status_code == 403
        sent = {"origin": "https://localhost:5173", "sec-fetch-site": "same-origin"}
        assert client.post("/auth/flows", headers=sent).status_code == 200


@pytest.mark.parametrize("more", [{"allow_insecure": True}, {"secure": True}])
def test_declared_plain_http_is_answered(framework: str, more: dict[str, Any]) -> None:
    with client_of(
        framework, web_for(ScriptedTransport(), **more), "http://example.test"
    ) as client:
        origin = "https" if more.get("secure") else "http"
        answer = client.post("/auth/flows", headers={"origin": f"{origin}://example.test"})
        assert answer.status_code == 201
        cookies = answer.headers.get_list("set-cookie")
        (cookie,) = (one.strip() for one in cookies if "oncegate_flow" in one)
        assert cookie.startswith("__Host-") is ("secure" in more)
    with pytest.raises(Misconfigured):
        web_for(ScriptedTransport(), secure=False)


# ── redirects ──


@pytest.mark.parametrize("path", ["/orders?q=\u65e5\u672c", "/\u00fc b?x=\u20ac"])
def test_next_outside_latin_1_is_percent_encoded(framework: str, path: str) -> None:
    web = web_for(ScriptedTransport(a_text(), the_tokens()))
    with client_of(framework, web, "http://localhost") as client:
        visit = Visit(client, str(httpx.URL("/auth/", params={"next": path})))
        visit.open()
        visit.say("submit_password", **ANA)
        form = visit.page.forms["submit-code"]
        answer = visit.post(form.action, {**form.values, **CODE})
        assert answer.status_code == 303
        assert answer.headers["location"] == redirect(path).headers["Location"]
        assert answer.headers["location"].isascii()


def test_protected_path_outside_latin_1_is_returned_to(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport()), "http://localhost") as client:
        answer = client.get("/orders?q=%E6%97%A5&r=a%26b")
        there = httpx.URL(answer.headers["location"]).params["next"]
        assert local_path(there) == "/orders?q=%E6%97%A5&r=a%26b"


# ── caches ──


@pytest.mark.parametrize(
    ("own", "vary", "cache_control", "varies"),
    [
        (None, None, "private", "Cookie"),
        ("public, max-age=60, s-maxage=9", "Accept", "max-age=60, private", "Accept, Cookie"),
        ("no-store", "cookie", "no-store, private", "cookie"),
        ('private="a, b"', "*", "private", "*"),
    ],
)
def test_response_for_one_user_is_private(
    own: str | None, vary: str | None, cache_control: str, varies: str
) -> None:
    assert private_headers(own, vary) == {"Cache-Control": cache_control, "Vary": varies}


def test_page_that_looked_at_the_user_is_private(framework: str) -> None:
    web = web_for(ScriptedTransport())
    with client_of(framework, web, "http://localhost") as client:
        for accept in ("text/html", "application/json"):
            headers = client.get("/orders", headers={"accept": accept}).headers
            assert "private" in headers["cache-control"]
            assert "Cookie" in headers["vary"]
        assert "cache-control" not in client.get("/").headers


# ── bodies ──


EVENTS = "/auth/flows/current/events"
REFUSED = {
    "fastapi": {"/auth/": 413, EVENTS: 413},
    "flask": {"/auth/": 413, EVENTS: 413},
    # Under WSGI, Django reads no body without a length: here are no fields, and no JSON.
    "django": {"/auth/": 303, EVENTS: 415},
}


def _answer(connection: socket.socket) -> tuple[int, str]:
    """Return the status and the rest of the next response's head."""
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(1)
        assert received, head
        head += received
    first, _, rest = head.decode("latin-1").lower().partition("\r\n")
    return int(first.split()[1]), rest


def _peak() -> int:
    """Return the most memory that this process used, in KiB, since it was last reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("path", ["/auth/", EVENTS])
def test_chunked_body_is_read_up_to_the_limit(framework: str, path: str) -> None:
    """A real server; without a length, the client could send for ever."""
    chunk = b"%x\r\n%s\r\n" % (65536, b"a" * 65536)
    with serving(framework, web_for(ScriptedTransport())) as url:
        host = url.removeprefix("http://")
        fields = f"Host: {host}\r\nTransfer-Encoding: chunked\r\nContent-Type: {FORM}\r\n\r\n"
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): forgets the peak
        before = _peak()
        with socket.create_connection(("localhost", int(url.rpartition(":")[2])), 10) as client:
            client.sendall(f"POST {path} HTTP/1.1\r\n{fields}".encode())
            answer: tuple[int, str] | None = None
            for _ in range(1600):  # 100 MB
                if answer is None and select.select([client], [], [], 0)[0]:
                    answer = _answer(client)
                    if "connection: close" in answer[1]:
                        break
                client.sendall(chunk)
            status, head = answer or _answer(client)
            assert _peak() - before < 40_000
            # The server, and the connection if it stays, go on: the body is not treated as a request.
            assert httpx.get(f"{url}/auth/").status_code == 200
            if "connection: close" not in head:
                client.sendall(f"0\r\n\r\nGET /orders HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                client.recv(
                    int(head.partition("content-length: ")[2].split()[0]), socket.MSG_WAITALL
                )
                assert _answer(client)[0] == 401
        assert status == REFUSED[framework][path]
        assert httpx.post(f"{url}/auth/flows").status_code == 201


# ── waiting requests ──


COPIES = 300


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Werkzeug's server starts a thread for each request; others, such as gunicorn, have a few."""
    with ThreadPoolExecutor(32) as pool:

        def process(server: ThreadedWSGIServer, *request: Any) -> None:
            pool.submit(server.process_request_thread, *request)

        monkeypatch.setattr(ThreadedWSGIServer, "process_request", process)
        yield


@pytest.mark.usefixtures("workers")
def test_copies_of_one_event_leave_threads_to_others(framework: str) -> None:
    called, go_on = threading.Event(), threading.Event()

    class SlowAtFirst(ScriptedTransport):
        def perform(self, call: Call, context: RequestContext) -> Outcome:
            if not called.is_set():
                called.set()
                go_on.wait(30)
            return a_text()

    def begin(client: httpx.Client) -> tuple[str, bytes]:
        """Open a flow, and return the path and the body of its first event."""
        flow = client.post("/auth/flows").json()["flow_id"]
        event = {"type": "submit_password", "version": 0, **ANA}
        return f"/auth/flows/{flow}/events", json.dumps(event).encode()

    with (
        serving(framework, web_for(SlowAtFirst(), clock=SystemClock())) as url,
        ExitStack() as sockets,
    ):
        with httpx.Client(base_url=url) as client:
            path, body = begin(client)
            cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        host = url.removeprefix("http://")
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"

        def send() -> socket.socket:
            address = ("localhost", int(url.rpartition(":")[2]))
            sent = sockets.enter_context(socket.create_connection(address, 20))
            sent.sendall(head.encode() + body)
            return sent

        try:
            first = send()
            assert called.wait(20)
            copies = [send() for _ in range(COPIES)]
            # Less than the 10 seconds for which a copy may wait.
            with httpx.Client(base_url=url, timeout=6) as other:
                assert other.get("/auth/").status_code == 200
                path, body = begin(other)
                answer = other.post(
                    path, content=body, headers={"content-type": "application/json"}
                )
                assert answer.json()["state"] == "awaiting_mfa"
            until = time.monotonic() + 8
            at_once: list[socket.socket] = []
            while len(at_once) < COPIES - 3 and time.monotonic() < until:
                at_once = select.select(copies, [], [], 0.05)[0]
        finally:
            go_on.set()
        # Three of them wait for the step of the first.
        assert len(at_once) == COPIES - 3
        assert {_state(copy) for copy in at_once} == {"checking_password"}
        assert _state(first) == "awaiting_mfa"


def _state(connection: socket.socket) -> str:
    """Return the state in the response on a connection that the server closes after it."""
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    state: str = json.loads(received.partition(b"\r\n\r\n")[2])["state"]
    return state


# ── the application's cookies, and its caches ──


@pytest.mark.parametrize("framework", ["fastapi"])
@pytest.mark.parametrize("before", [True, False])
def test_static_file_has_no_cookie_of_starlette(framework: str, before: bool) -> None:
    from fastapi import FastAPI, Request
    from starlette.middleware.sessions import SessionMiddleware
    from tests.web.example_apps import InLoop

    from oncegate_web.fastapi import mount

    app = FastAPI()

    async def touch(request: Request, call_next: Any) -> Any:
        request.session["a"] = 1
        return await call_next(request)

    def sessions() -> None:
        app.middleware("http")(touch)
        app.add_middleware(SessionMiddleware, secret_key="x")

    if before:
        sessions()
    mount(app, web_for(ScriptedTransport()))
    if not before:
        sessions()
    with httpx.Client(transport=InLoop(app), base_url="http://localhost") as client:
        assert "set-cookie" not in client.get("/auth/static/page.css").headers
        assert "session=" in client.get("/auth/").headers["set-cookie"]


def test_static_file_has_no_cookie_of_flask() -> None:
    from flask import session
    from tests.web.example_apps import flask_app

    app = flask_app(web_for(ScriptedTransport()))

    @app.before_request  # type: ignore[untyped-decorator]
    def touch() -> None:
        session["a"] = 1

    client = app.test_client()
    assert "Set-Cookie" not in client.get("/auth/static/page.css").headers
    cookies = client.get("/auth/").headers.getlist("Set-Cookie")
    assert any(cookie.startswith("session=") for cookie in cookies)


def test_static_file_has_no_cookie_of_django() -> None:
    from django.test import Client, override_settings
    from tests.web.example_apps import django_app

    django_app(web_for(ScriptedTransport()))
    with override_settings(
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", f"{__name__}.touching"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        SESSION_SAVE_EVERY_REQUEST=True,
    ):
        client = Client(headers={"host": "localhost"})
        static, page = client.get("/auth/static/page.css"), client.get("/auth/")
    assert not static.cookies
    assert "sessionid" in page.cookies


def touching(get_response: Any) -> Any:
    """A middleware of Django that uses the session."""

    def middleware(request: Any) -> Any:
        request.session["a"] = 1
        return get_response(request)

    return middleware


@pytest.mark.parametrize("place", ["inside", "outside", "cache_page", "guarded"])
def test_cache_of_django_serves_no_page_to_another_user(place: str) -> None:
    from django.core.cache import cache
    from django.http import HttpResponse
    from django.test import override_settings
    from django.urls import clear_url_caches, path
    from django.views.decorators.cache import cache_page
    from tests.web.example_apps import django_app

    from oncegate_web.django import current_user, login_required

    def who(request: Any) -> HttpResponse:
        user = current_user(request)
        name = user.tokens.access_token if user else "nobody"
        return HttpResponse(name, headers={"Cache-Control": "public, max-age=60"})

    def everyone(_: Any) -> HttpResponse:
        views.append("everyone")
        return HttpResponse("", headers={"Cache-Control": "public, max-age=60"})

    django_app(web_for(ScriptedTransport()))  # for its settings
    views: list[str] = []
    ours = "oncegate_web.django.OncegateMiddleware"
    first, last = (
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    )
    own: Any = {"cache_page": cache_page(60)(who), "guarded": cache_page(60)(login_required(who))}
    order = {"inside": [first, ours, last], "outside": [ours, first, last]}
    outcomes = [(a_text(), _tokens(name)) for name in ("of-ana", "of-ben")]
    web = web_for(ScriptedTransport(*[one for pair in outcomes for one in pair]))
    cache.clear()
    # Before the application is made, which loads them.
    with override_settings(MIDDLEWARE=order.get(place, [ours])), ExitStack() as clients:
        app = django_app(web)
        project: Any = sys.modules["example_project"]
        project.urlpatterns += [path("who", own.get(place, who)), path("everyone", everyone)]
        clear_url_caches()
        headers = {"accept": "text/html"}
        ana, ben, nobody = (
            clients.enter_context(
                httpx.Client(
                    transport=httpx.WSGITransport(app=app),
                    base_url="http://localhost",
                    headers=headers,
                )
            )
            for _ in range(3)
        )
        for client in (ana, ben):
            visit = Visit(client)
            visit.open()
            visit.say("submit_password", **ANA)
            visit.say("submit_code", **CODE)
        shown = [client.get("/who").text for client in (ana, ben, nobody, ben, ana)]
        assert shown == [
            "of-ana",
            "of-ben",
            "" if place == "guarded" else "nobody",
            "of-ben",
            "of-ana",
        ]
        if place in order:  # the cache does cache
            assert [ana.get("/everyone").status_code, ben.get("/everyone").status_code] == [
                200,
                200,
            ]
            assert views == ["everyone"]


def _tokens(access_token: str) -> TokensIssued:
    return TokensIssued(
        tokens=Tokens(access_token=access_token, id_token="eyJpZA", refresh_token="refresh")
    )


def test_cache_of_django_without_the_middleware_is_refused() -> None:
    """A page that depends on the user could be cached for all."""
    from django.http import HttpResponse
    from django.test import Client, override_settings
    from django.urls import clear_url_caches, path
    from tests.web.example_apps import django_app

    from oncegate_web.django import current_user

    def who(request: Any) -> HttpResponse:
        current_user(request)
        return HttpResponse("")

    django_app(web_for(ScriptedTransport()))
    project: Any = sys.modules["example_project"]
    project.urlpatterns += [path("who", who)]
    clear_url_caches()
    with override_settings(MIDDLEWARE=[]), pytest.raises(Misconfigured):
        Client(headers={"host": "localhost"}).get("/who")


async def test_middleware_of_django_serves_asynchronous_views() -> None:
    from django.http import HttpResponse
    from django.test import AsyncRequestFactory

    from oncegate_web.django import OncegateMiddleware

    async def view(request: Any) -> HttpResponse:
        request.oncegate.depends_on_user = True
        return HttpResponse("")

    response = await OncegateMiddleware(view)(AsyncRequestFactory().get("/"))
    assert response.headers["Cache-Control"] == "private"
