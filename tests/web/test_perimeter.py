"""What surrounds the sign-in in each framework: cookies, transport security, redirects, caches, bodies."""

from __future__ import annotations

import json
import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.doubles import a_text, the_tokens
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Visit
from tests.web.servers import serving

from oncegate import Misconfigured, RequestContext
from oncegate.adapters import Call, Outcome, SystemClock
from oncegate.testing import ScriptedTransport
from oncegate_web.http import cookies_of, local_path, private_headers, redirect, without_cookies

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
        answer = client.get("/auth/", headers={"x-forwarded-proto": "https"})
        assert answer.status_code == 403


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


@pytest.mark.parametrize("path", ["/auth/", "/auth/flows/current/events"])
def test_chunked_body_is_read_up_to_the_limit(framework: str, path: str) -> None:
    """A real server; without a length, the client could send for ever."""
    with serving(framework, web_for(ScriptedTransport())) as url:
        port = int(url.rpartition(":")[2])
        head = f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nTransfer-Encoding: chunked\r\n"
        head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        chunk = b"%x\r\n%s\r\n" % (65536, b"a" * 65536)
        answer, before = b"", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with socket.create_connection(("localhost", port), timeout=20) as client:
            client.sendall(head.encode())
            try:
                for _ in range(1600):  # 100 MB
                    client.sendall(chunk)
                answer = client.recv(100)
            except OSError:
                pass  # the server has answered and closed the connection
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # KiB
    assert b" 200 " not in answer


# ── waiting requests ──


def test_copies_of_one_event_leave_threads_to_others(framework: str) -> None:
    called, go_on = threading.Event(), threading.Event()

    class Slow(ScriptedTransport):
        def perform(self, call: Call, context: RequestContext) -> Outcome:
            called.set()
            go_on.wait(30)
            return a_text()

    with (
        serving(framework, web_for(Slow(), clock=SystemClock())) as url,
        ThreadPoolExecutor(40) as pool,
    ):
        with httpx.Client(base_url=url) as client:
            flow = client.post("/auth/flows").json()["flow_id"]
            event = {"type": "submit_password", "version": 0, **ANA}
            cookies = dict(client.cookies)

        def send(_: int) -> str:
            path = f"{url}/auth/flows/{flow}/events"
            state: str = httpx.post(path, json=event, cookies=cookies, timeout=40).json()["state"]
            return state

        first = pool.submit(send, 0)
        assert called.wait(20)
        copies = [pool.submit(send, number) for number in range(39)]
        until = time.monotonic() + 8
        while sum(copy.done() for copy in copies) < 36 and time.monotonic() < until:
            time.sleep(0.05)
        answered = [copy.result() for copy in copies if copy.done()]
        go_on.set()
        assert first.result() == "awaiting_mfa"
    assert len(answered) >= 36
    assert set(answered) == {"checking_password"}


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


@pytest.mark.parametrize("place", ["inside", "outside", "cache_page"])
def test_cache_of_django_serves_no_page_to_another_user(place: str) -> None:
    from django.http import HttpResponse
    from django.test import Client, override_settings
    from django.urls import clear_url_caches, path
    from django.views.decorators.cache import cache_page
    from tests.web.example_apps import django_app

    from oncegate_web.django import current_user, login_required

    calls: list[str] = []

    def who(request: Any) -> HttpResponse:
        user = current_user(request)
        calls.append(user.username if user else "")
        return HttpResponse(str(len(calls)), headers={"Cache-Control": "public, max-age=60"})

    django_app(web_for(ScriptedTransport()))
    import sys

    project: Any = sys.modules["example_project"]
    project.urlpatterns += [
        path("who", cache_page(60)(who) if place == "cache_page" else who),
        path("guarded", login_required(who)),
    ]
    clear_url_caches()
    ours = "oncegate_web.django.OncegateMiddleware"
    first, last = (
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    )
    middleware = {"inside": [first, ours, last], "outside": [ours, first, last]}.get(place, [ours])
    with override_settings(MIDDLEWARE=middleware):
        answers = [Client(headers={"host": "localhost"}).get("/who").content for _ in range(2)]
    assert answers == [b"1", b"2"]
    # Without the middleware, a page that the user decides on is refused rather than cached.
    with override_settings(MIDDLEWARE=[first, last]), pytest.raises(Misconfigured):
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
