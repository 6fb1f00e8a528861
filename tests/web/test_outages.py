"""Stores that fail and calls that hang: what a browser is answered, and what goes on meanwhile."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.doubles import a_text
from tests.web.example_apps import InLoop, client_of, django_app, flask_app, web_for
from tests.web.outages import EXPIRED, FaultyStore, TokenDouble, session_of, transport_with
from tests.web.pages import PageReader, Visit, flow_cookie
from tests.web.servers import serving

from oncegate import Misconfigured, StoreUnavailable, Unreachable
from oncegate.adapters import Call, Finding, Outcome, RequestContext, SystemClock
from oncegate.testing import ScriptedTransport
from oncegate_stores import SQLiteStore

ANA = {"username": "ana", "password": "Correct-horse-1"}
CODE = {"code": "123456"}
HTML = {"accept": "text/html", "accept-language": "en"}


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    with caplog.at_level(logging.INFO, "oncegate"):
        yield lambda: [json.loads(r.message) for r in caplog.records if r.name == "oncegate"]


class FastClock(SystemClock):
    """A clock that runs ten times as fast, so that no test waits for a whole lease."""

    began = time.time()

    def now(self) -> float:
        return self.began + (time.time() - self.began) * 10

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 10)


def _real(transport: ScriptedTransport, store: FaultyStore, **more: Any) -> Any:
    defaults = {"clock": SystemClock(), "budget": None, "guess_limit": None}
    return web_for(transport, store=store, **{**defaults, **more})


# ── a reload after an error ──


class DyingPrimary(ScriptedTransport):
    """The database goes away while Cognito is called."""

    store: FaultyStore

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        outcome = super().perform(call, context)
        self.store.goes_down()
        return outcome


def test_reload_after_the_store_died_during_the_call_posts_nothing(
    framework: str, store: FaultyStore
) -> None:
    transport = DyingPrimary(a_text(), a_text())
    transport.store = store
    with (
        serving(framework, _real(transport, store, clock=FastClock())) as url,
        httpx.Client(base_url=url, headers=HTML, timeout=90) as client,
    ):
        visit = Visit(client)
        visit.open()
        form = visit.page.forms["submit-password"]
        answer = visit.post(form.action, {**form.values, **ANA})
        assert answer.status_code == 303
        page = client.get(answer.headers["location"])
        assert page.status_code == 503
        assert page.request.method == "GET", "what a reload repeats"
        store.comes_back()
        page = client.get(answer.headers["location"])
        assert page.status_code == 200
        assert len(transport.calls) == 1


# ── calls that hang ──


@asynccontextmanager
async def _many(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client for any number of requests at once, which keeps no cookies."""
    unlimited = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=90, limits=unlimited) as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield client


async def _timed(client: httpx.AsyncClient, path: str, cookie: dict[str, str]) -> float:
    """Return the seconds until the answer to a request, which must be 200."""
    started = time.monotonic()
    answer = await client.get(path, headers=cookie)
    assert answer.status_code == 200, (path, answer.text)
    return time.monotonic() - started


async def test_sixty_hanging_renewals_do_not_block_other_routes(store: FaultyStore) -> None:
    service = TokenDouble()
    web = _real(transport_with(service), store)
    ill, well = [session_of(web, EXPIRED) for _ in range(60)], session_of(web)
    with serving("fastapi", web) as url:
        async with _many(url) as client:
            await _timed(client, "/orders", well)
            started = time.monotonic()
            ask = [client.get("/orders", headers=cookie) for cookie in ill]
            renewals = [asyncio.create_task(one) for one in ask]
            while service.hanging < 8:
                await asyncio.sleep(0.01)
            assert await _timed(client, "/", {}) < 3
            assert await _timed(client, "/orders", well) < 3
            assert not all(task.done() for task in renewals)
            answers = await asyncio.gather(*renewals)
            assert time.monotonic() - started < 20
            assert {answer.status_code for answer in answers} == {503}
            assert all("retry-after" in answer.headers for answer in answers)
            assert service.hanging == 8
            started = time.monotonic()
            answers = [await client.get("/orders", headers=cookie) for cookie in ill[:8]]
            assert {answer.status_code for answer in answers} == {503}
            assert time.monotonic() - started < 4, "no call is made for a while"
        service.go_on.set()


async def test_hanging_sign_ins_do_not_delay_who_is_signed_in(store: FaultyStore) -> None:
    waiting, go_on = threading.Semaphore(0), threading.Event()

    class Slow(ScriptedTransport):
        token_service = TokenDouble()

        def perform(self, call: Call, context: RequestContext) -> Outcome:
            waiting.release()
            go_on.wait(60)
            return a_text()

    web = _real(Slow(), store)
    cookie = session_of(web)

    def sign_in(client: httpx.AsyncClient) -> Any:
        flow = {"cookie": f"oncegate_flow={web._site.new_step().flow_id}"}
        event = {"type": "submit_password", "version": 0, **ANA}
        return client.post("/auth/flows/current/events", json=event, headers=flow)

    with serving("fastapi", web) as url:
        async with _many(url) as client:
            sign_ins = [asyncio.create_task(sign_in(client)) for _ in range(300)]
            for _ in range(256):
                assert await asyncio.to_thread(waiting.acquire, timeout=60)
            for path in ("/orders", "/auth/session", "/auth/status", "/auth/", "/"):
                assert await _timed(client, path, cookie) < 3, path
            assert not any(task.done() for task in sign_ins)
            go_on.set()
            answers = await asyncio.gather(*sign_ins)
            assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize("accepts", ["text/html", "application/json"])
def test_user_that_cannot_be_told_is_answered_503(
    framework: str, store: FaultyStore, accepts: str
) -> None:
    def unreachable(_: Any) -> Any:
        raise Unreachable("no")

    web = _real(transport_with(TokenDouble(unreachable)), store)
    cookies = [session_of(web), session_of(web, EXPIRED)]
    with serving(framework, web) as url:
        for cookie in cookies:
            if cookie is cookies[0]:
                store.goes_down()
            answer = httpx.get(f"{url}/orders", headers={**cookie, "accept": accepts})
            store.comes_back()
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("framework", ["flask", "django"])
def test_failed_look_up_is_the_same_when_it_is_repeated(framework: str, store: FaultyStore) -> None:
    """A view that catches the error and asks again must not be told that no user is there."""
    web = _real(transport_with(TokenDouble()), store)
    cookie, seen = session_of(web), []

    def ask(current_user: Any, *request: Any) -> None:
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                current_user(*request)
            seen.append(1)

    if framework == "flask":
        from oncegate_web.flask import current_user as in_flask

        app = flask_app(web)
        with app.test_request_context("/", base_url="http://localhost", headers=cookie):
            store.goes_down()
            ask(in_flask)
    else:
        from django.http import HttpRequest, HttpResponse

        from oncegate_web.django import OncegateMiddleware
        from oncegate_web.django import current_user as in_django

        django_app(web)
        request = HttpRequest()
        request.META = {"HTTP_HOST": "localhost", "HTTP_COOKIE": cookie["cookie"]}
        store.goes_down()

        def view(request: HttpRequest) -> HttpResponse:
            ask(in_django, request)
            return HttpResponse()

        OncegateMiddleware(view)(request)
    assert len(seen) == 2


def test_django_view_without_a_decorator_is_answered_503(store: FaultyStore) -> None:
    from django.http import HttpRequest, HttpResponse
    from django.urls import clear_url_caches, path

    from oncegate_web.django import current_user

    def bare(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(current_user(request)))

    web = _real(transport_with(TokenDouble()), store)
    cookie = session_of(web)
    with client_of("django", web, "http://localhost") as client:
        project: Any = sys.modules["example_project"]
        project.urlpatterns.append(path("bare", bare))
        clear_url_caches()
        store.goes_down()
        answer = client.get("/bare", headers=cookie)
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert "Sign-in isn’t working right now" in answer.text
        assert 'href="/bare"' in answer.text
        assert "private" in answer.headers["cache-control"]


def test_fastapi_sub_application_and_websocket_are_told_to_try_later(store: FaultyStore) -> None:
    from tests.web.test_fastapi import _app, _live

    web = _real(transport_with(TokenDouble()), store)
    app, headers = _app(web), session_of(web)
    with httpx.Client(transport=InLoop(app), base_url="http://shop.localhost") as client:
        assert client.get("/below/orders", headers=headers).json() == {"user": "ana"}
        store.goes_down()
        answer = client.get("/below/orders", headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        closed = {"type": "websocket.close", "code": 1013, "reason": "try again later"}
        assert _live(app, client, **headers, origin="http://shop.localhost") == [closed]


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_own_handlers_of_an_application_come_first(framework: str, store: FaultyStore) -> None:
    web = _real(transport_with(TokenDouble()), store)
    headers = {**session_of(web), "accept": "text/html"}

    def with_handler(app: Any) -> Any:
        if framework == "fastapi":
            from fastapi.responses import JSONResponse

            async def own(request: Any, error: Any) -> JSONResponse:
                return JSONResponse({"own": "handler"}, 503)

            app.add_exception_handler(StoreUnavailable, own)
        else:
            app.errorhandler(StoreUnavailable)(lambda error: ({"own": "handler"}, 503))
        return app

    with client_of(framework, web, "http://localhost", with_handler) as client:
        store.goes_down()
        assert client.get("/orders", headers=headers).json() == {"own": "handler"}


# ── what the page after an error says ──


def test_page_after_a_failed_form_says_so(framework: str, store: FaultyStore) -> None:
    with client_of(framework, _real(ScriptedTransport(a_text()), store)) as client:
        visit = Visit(client)
        visit.open()
        form = visit.page.forms["submit-password"]
        store.goes_down()
        answer = visit.post(form.action, {**form.values, **ANA})
        store.comes_back()
        assert answer.status_code == 303
        page = client.get(answer.headers["location"])
        assert "Something went wrong" in page.text
        assert PageReader(page.text).state == "idle"
        assert visit.say("submit_password", **ANA) == "awaiting_mfa"


def test_outage_page_leads_on_without_a_new_sign_in(framework: str, store: FaultyStore) -> None:
    with client_of(framework, _real(ScriptedTransport(a_text()), store)) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        store.goes_down()
        page = client.get("/auth/?next=/orders")
        assert page.status_code == 503
        link = re.search(r'<a [^>]*href="([^"]*)">Try again</a>', page.text)
        assert link
        store.comes_back()
        assert PageReader(client.get(link[1]).text).state == "awaiting_mfa"


def test_failed_sign_out_says_so(framework: str, store: FaultyStore) -> None:
    web = _real(transport_with(TokenDouble()), store)
    with client_of(framework, web) as client:
        client.cookies.set("oncegate_session", session_of(web)["cookie"].partition("=")[2])
        visit = Visit(client)
        visit.open()
        form = visit.page.forms["sign-out"]
        store.goes_down()
        answer = visit.post(form.action, form.values)
        store.comes_back()
        assert answer.status_code == 303
        page = client.get(answer.headers["location"])
        assert "Something went wrong" in page.text
        assert "sign-out" in PageReader(page.text).forms


def test_worker_with_other_keys_keeps_the_flow_and_logs_once(framework: str, log: Any) -> None:
    store, transport = FaultyStore(), ScriptedTransport(a_text(), a_text())
    with client_of(framework, _real(transport, store)) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        cookie = client.cookies[flow_cookie(client)]
        store.garbles = True
        form = visit.page.forms["submit-code"]
        posted = visit.post(form.action, {**form.values, **CODE})
        answers = [client.get("/auth/flows/current"), client.get(posted.headers["location"])]
        assert {answer.status_code for answer in answers} == {503}
        assert client.cookies[flow_cookie(client)] == cookie
        (line,) = [line for line in log() if line["event"] == "records of flows not readable"]
        assert line["level"] == "error"
        assert "keys" in line["cure"]
        assert "start" in PageReader(answers[1].text).forms, "the user can start over"
        assert client.post("/auth/flows").status_code == 201, "and so can a script"
        store.garbles = False
        assert len(transport.calls) == 1


# ── the log ──


def test_outage_is_logged_once_and_so_is_its_end(framework: str, log: Any) -> None:
    store = FaultyStore()
    web = _real(transport_with(TokenDouble()), store)
    with client_of(framework, web, "http://localhost") as client:
        headers = session_of(web)
        for error, cure in (
            (StoreUnavailable("TLS: certificate verify failed"), "check that the store runs"),
            (Misconfigured("no table: CREATE TABLE …"), "CREATE TABLE"),
        ):
            store.goes_down(error)
            for _ in range(10):
                assert client.get("/orders", headers=headers).status_code == 503
            (line,) = [line for line in log() if line["level"] != "info"][-1:]
            assert str(error) == line["reason"]
            assert cure in str(line)
            store.comes_back()
            assert client.get("/orders", headers=headers).status_code == 200
    levels = [line["level"] for line in log() if line["level"] != "info"]
    assert levels == ["error", "warning", "error", "warning"]


# ── readiness ──


def test_readiness_is_that_of_the_store(log: Any) -> None:
    store = FaultyStore()
    web = _real(ScriptedTransport(), store)
    assert web.check() == (True, "")
    assert web.check().status == 200
    for fails in ("fails_to_load", "fails_to_swap"):
        for error in (StoreUnavailable("connection refused"), Misconfigured("no table"), OSError()):
            setattr(store, fails, error)
            assert web.check() == (False, type(error).__name__)
            assert web.check() in {(False, "store answers"), (False, "store saves")}
            assert web.check().status == 503
            setattr(store, fails, None)
            assert web.check().is_ready
    (line,) = [line for line in log() if line["event"] == "not ready"]
    assert (line["level"], line["reason"]) == ("error", "connection refused")
    assert line["cure"]


def test_store_with_a_wrong_setting_is_not_ready() -> None:
    class Evicting(FaultyStore):
        def findings(self) -> list[Finding]:
            return [Finding("eviction", "failed", "it evicts", "set maxmemory-policy noeviction")]

    assert _real(ScriptedTransport(), Evicting()).check() == (False, "eviction")


def test_repeated_readiness_check_writes_nothing() -> None:
    store = FaultyStore()
    web = _real(ScriptedTransport(), store)
    assert web.check().is_ready
    saved = len(store.saved)
    assert web.check().is_ready
    assert len(store.saved) == saved


def test_readiness_of_a_real_database_is_that_of_its_file(tmp_path: Path) -> None:
    whole, broken = tmp_path / "flows.db", tmp_path / "broken.db"
    broken.write_bytes(b"no database " * 1000)
    assert web_for(ScriptedTransport(), store=SQLiteStore(whole)).check().is_ready
    assert not web_for(ScriptedTransport(), store=SQLiteStore(broken)).check().is_ready


# ── the clock ──


def test_times_of_sessions_are_those_of_the_store(framework: str) -> None:
    store = FaultyStore()
    store.ahead = 3 * 86400.0
    web = web_for(transport_with(TokenDouble()), store=store, clock=None, session_lifetime=86400.0)
    headers = session_of(web)
    with client_of(framework, web, "http://localhost") as client:
        assert client.get("/orders", headers=headers).status_code == 200
    assert abs(store.saved[0].expires_at - (time.time() + 4 * 86400)) < 60
