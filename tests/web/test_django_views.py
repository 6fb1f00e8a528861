"""The project's own views: guards, outages, caches, async views, languages, templates, addresses."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from tests.doubles import ManualClock
from tests.web.django_project import (
    MIDDLEWARE,
    OPEN,
    SETTINGS,
    Pool,
    Project,
    mails_to_admins,
    project_of,
    sign_in,
    web_of,
)
from tests.web.example_apps import InLoop, django_app
from tests.web.outages import FaultyStore, session_of
from tests.web.test_django import shop_urls, who

from oncegate import StoreUnavailable
from oncegate.testing import ScriptedTransport
from oncegate_stores import MemoryStore
from oncegate_web import Request, WebSignIn

OWN_CSP = "default-src 'self'"


def urls() -> list[Any]:
    from django.contrib import admin
    from django.contrib.auth import alogout, logout
    from django.contrib.auth.decorators import login_required
    from django.http import HttpRequest, HttpResponse, JsonResponse
    from django.shortcuts import redirect
    from django.urls import include, path
    from django.views import View
    from django.views.decorators.cache import cache_page

    from oncegate_web.django import acurrent_user
    from oncegate_web.django.decorators import (
        group_required,
        reauthentication_required,
        secure_admin_login,
    )
    from oncegate_web.django.mixins import GroupRequiredMixin

    site = admin.AdminSite(name="staff")
    site.login = secure_admin_login(site.login)

    def plain(request: HttpRequest, **_: Any) -> JsonResponse:
        return JsonResponse({"user": request.user.get_username()})

    async def wrong(request: HttpRequest) -> JsonResponse:
        return JsonResponse({"user": request.user.get_username()})

    def leave_everywhere(request: HttpRequest) -> HttpResponse:
        logout(request)
        return redirect(request.oncegate.logout_url or "/")

    async def leave(request: HttpRequest) -> JsonResponse:
        await alogout(request)
        return JsonResponse({})

    async def with_tokens(request: HttpRequest) -> JsonResponse:
        user = await acurrent_user(request)
        return JsonResponse({"user": user.username if user else None})

    class Staff(GroupRequiredMixin, View):  # type: ignore[misc]
        group_required = "staff"

        def get(self, request: HttpRequest) -> HttpResponse:
            return plain(request)

    def shown(request: HttpRequest) -> HttpResponse:
        return HttpResponse(f"{request.cognito.username if request.cognito else 'nobody'}")

    return [
        *shop_urls(),
        path("site/", site.urls),
        path("group", group_required("staff", "boss")(plain)),
        path("group-async", group_required("staff")(with_tokens)),
        path("mixin", Staff.as_view()),
        path("again", reauthentication_required(300)(plain)),
        path("required", login_required(plain)),
        path("cognito", shown),
        path("leave-async", leave),
        path("leave-everywhere", leave_everywhere),
        path("wrong-async", wrong),
        path("cached", cache_page(60)(plain)),
        path("<slug:tenant>/auth/", include("oncegate_web.django.urls", namespace="eu")),
        path("<slug:tenant>/again/<int:number>", reauthentication_required(300)(plain)),
    ]


def web(**more: Any) -> WebSignIn:
    pool = Pool(**{"cognito:groups": ["staff"]})
    return web_of("ana", "ben", pool=pool, **more)


@pytest.fixture
def project() -> Iterator[Project]:
    with project_of(web(), urls=urls, MIDDLEWARE=OPEN) as running:
        yield running


@pytest.fixture
def client(project: Project) -> Iterator[httpx.Client]:
    with project.browser() as browser:
        yield browser


@pytest.mark.parametrize("path", ["/group", "/group-async", "/mixin"])
def test_group_is_required(client: httpx.Client, path: str) -> None:
    asked = client.get(path)
    assert (asked.status_code, asked.headers["location"]) == (302, f"/auth/?next={path}")
    client.get("/as-bob")
    assert client.get(path).status_code == 403
    client.get("/leave")
    sign_in(client)
    answer = client.get(path)
    assert answer.json() == {"user": "ana"}
    assert "private" in answer.headers["cache-control"]
    assert "Cookie" in answer.headers["vary"]


def test_user_in_no_such_group_gets_a_403() -> None:
    with project_of(web_of("ana"), urls=urls) as project, project.browser() as client:
        sign_in(client)
        assert [client.get(path).status_code for path in ("/group", "/group-async", "/mixin")] == [
            403
        ] * 3


def test_old_sign_in_is_asked_for_once_more() -> None:
    clock = ManualClock()
    pool = Pool(auth_time=int(clock.now()))
    with (
        project_of(web_of("ana", "ana", pool=pool, clock=clock), urls=urls) as project,
        project.browser() as client,
    ):
        sign_in(client)
        assert client.get("/again").status_code == 200
        clock.advance(301)
        asked = client.get("/again")
        assert asked.headers["location"] == "/auth/?again=1&next=/again"
        pool.claims["auth_time"] = int(clock.now())
        assert sign_in(client, asked.headers["location"]).headers["location"] == "/again"
        assert client.get("/again").json() == {"user": "ana"}


def test_admin_signs_in_by_our_page(client: httpx.Client) -> None:
    from django.contrib.auth.models import User

    asked = client.get("/site/")
    asked = client.get(asked.headers["location"])
    assert asked.headers["location"].startswith("/auth/?next=/site/login/")
    sign_in(client, asked.headers["location"])
    assert client.get("/site/login/?next=/site/").status_code == 403
    User.objects.update(is_staff=True)
    assert client.get("/site/login/?next=/site/").headers["location"] == "/site/"


@pytest.mark.parametrize("path", ["/orders", "/group", "/async", "/who"])
@pytest.mark.parametrize("guarded", [False, True])
def test_outage_of_the_store_is_a_503(path: str, guarded: bool) -> None:
    store = FaultyStore()
    middleware = MIDDLEWARE if guarded else OPEN
    with (
        project_of(web(store=store), urls=urls, MIDDLEWARE=middleware) as project,
        project.browser() as client,
    ):
        sign_in(client)
        store.goes_down()
        answer = client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert "Sign-in isn’t working right now" in answer.text
        store.comes_back()
        assert client.get(path).status_code == 200


def test_sign_out_while_the_store_takes_no_writes_is_a_503_and_can_be_repeated() -> None:
    store = FaultyStore()
    with (
        project_of(web(store=store), urls=urls, MIDDLEWARE=OPEN) as project,
        project.browser() as client,
    ):
        sign_in(client)
        store.fails_to_swap = StoreUnavailable("no writes")  # it can be read
        assert client.get("/leave").status_code == 503
        store.comes_back()
        assert who(client)["user"] == "ana"
        assert client.get("/leave").status_code == 200
        assert who(client)["user"] == ""


def test_outage_without_users_in_a_database_and_without_the_middleware_is_a_503() -> None:
    from django.test import Client, override_settings

    store = FaultyStore()
    made = web(store=store)
    django_app(made)
    cookie = session_of(made)
    store.goes_down()
    with override_settings(MIDDLEWARE=[]):
        answer = Client(headers={"host": "localhost", **cookie}).get("/orders")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


@pytest.mark.parametrize("place", ["site", "view"])
def test_cache_serves_no_page_to_another_user(place: str) -> None:
    first, last = (
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.cache.FetchFromCacheMiddleware",
    )
    middleware = [first, *OPEN, last] if place == "site" else OPEN
    path = "/orders" if place == "site" else "/cached"
    with project_of(web(), urls=urls, MIDDLEWARE=middleware) as project:
        seen = []
        for username in ("ana", "ben", None, None):
            with project.browser() as client:
                if username:
                    sign_in(client, username=username)
                seen.append(client.get(path).json()["user"])
        assert seen == ["ana", "ben", "", ""]


def test_cookies_of_ours_are_in_no_request_of_the_project(project: Project) -> None:
    from django.http import HttpRequest, JsonResponse
    from django.urls import clear_url_caches, path

    def shown(request: HttpRequest) -> JsonResponse:
        return JsonResponse({"cookies": list(request.COOKIES), "meta": repr(request.META)})

    sys.modules["example_project"].urlpatterns.append(path("shown", shown))
    clear_url_caches()
    with project.browser() as client:
        sign_in(client)
        found = client.get("/shown").json()
        assert "sessionid" in found["cookies"]
        assert not [name for name in found["cookies"] if name.startswith("oncegate")]
        assert client.cookies["oncegate_session"] not in found["meta"]


def test_csrf_tokens_in_the_session_stop_no_second_click() -> None:
    from tests.web.django_project import at_code, click

    with (
        project_of(web(), urls=urls, CSRF_USE_SESSIONS=True) as project,
        project.browser() as client,
    ):
        form = at_code(client)
        first = click(client, form)
        assert [first.status_code, click(client, form).status_code] == [303, 303]
        assert client.get("/orders").json()["user"] == "ana"
        assert project.names == ["code", "in"]


def test_strict_middleware_of_the_project_lets_pages_api_and_static_files_through() -> None:
    with (
        project_of(
            web(), urls=urls, MIDDLEWARE=["tests.web.test_django_views.with_csp", *MIDDLEWARE]
        ) as project,
        project.browser() as client,
    ):
        page = client.get("/auth/")
        assert page.status_code == 200
        assert page.headers["content-security-policy"] != OWN_CSP
        assert client.get("/orders").status_code == 302
        static = client.get("/auth/static/page.css")
        assert (static.status_code, "set-cookie" in static.headers) == (200, False)
        assert "Cookie" not in static.headers["vary"]
        flow = client.post("/auth/flows", json={}, headers={"origin": "http://shop.localhost"})
        assert flow.status_code in {200, 201}
        assert client.get("/auth/session").status_code == 401
        foreign = {"origin": "https://evil.example"}
        assert client.post("/auth/", data={}, headers=foreign).status_code == 403


def with_csp(get_response: Any) -> Any:
    """A middleware with a policy for all pages that have none."""

    def middleware(request: Any) -> Any:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", OWN_CSP)
        return response

    return middleware


def test_language_of_the_project_is_that_of_the_pages(project: Project) -> None:
    with project.browser() as client:
        client.cookies.set("django_language", "de")
        page = client.get("/auth/", headers={"accept-language": "en"})
        assert page.headers["content-language"] == "de"
        client.cookies.clear()
        assert client.get("/auth/").headers["content-language"] == "en"


def test_one_language_of_the_project_is_that_of_the_pages() -> None:
    middleware = [one for one in MIDDLEWARE if "Locale" not in one]
    with (
        project_of(web(), urls=urls, MIDDLEWARE=middleware, LANGUAGE_CODE="de") as project,
        project.browser() as client,
    ):
        assert client.get("/auth/").headers["content-language"] == "de"


def test_words_of_the_project_precede_ours(tmp_path: Path) -> None:
    from tests.web.test_django_checks import POOL

    catalogue = Catalog(locale="en", domain="oncegate")
    catalogue.add("title.idle", "Come in to the shop")
    folder = tmp_path / "en" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "oncegate.mo").open("wb") as file:
        write_mo(file, catalogue)
    with (
        project_of(
            web(), urls=urls, ONCEGATE={"default": POOL}, LOCALE_PATHS=[str(tmp_path)]
        ) as project,
        project.browser() as client,
    ):
        assert "Come in to the shop" in client.get("/auth/").text


def test_template_of_the_project_has_request_user_and_static(tmp_path: Any) -> None:
    folder = tmp_path / "oncegate"
    folder.mkdir()
    (folder / "page.html").write_text(
        '{% extends "oncegate/_page.html" %}{% load static %}'
        "{% block head %}<link href=\"{% static 'shop.css' %}\">{% endblock %}"
        "{% block below %}{{ request.path }} {{ user.is_authenticated }} {{ next }}{% endblock %}"
    )
    templates = [{**SETTINGS["TEMPLATES"][0], "DIRS": [tmp_path]}]
    with (
        project_of(web(), urls=urls, TEMPLATES=templates, STATIC_URL="/assets/") as project,
        project.browser() as client,
    ):
        page = client.get("/auth/?next=/orders").text
        assert 'href="/assets/shop.css"' in page
        assert "/auth/ False /orders" in page
        assert "evil" not in client.get("/auth/?next=https://evil.example").text


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (3, "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_address_of_the_browser_is_what_the_trusted_proxy_says(
    project: Project, trusted: int, forwarded: str, expected: str
) -> None:
    from django.test import RequestFactory, override_settings
    from tests.web.test_django_checks import POOL

    from oncegate_web.django._requests import translated

    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    request = RequestFactory().get("/", headers=headers, SERVER_NAME="localhost")
    with override_settings(ONCEGATE={"default": {**POOL, "TRUSTED_PROXIES": trusted}}):
        assert translated(request, "default").client == expected


def test_mount_below_an_argument_of_the_url(project: Project) -> None:
    from django.test import override_settings

    webs = {"default": "example_project.web", "eu": "example_project.web2"}
    sys.modules["example_project"].web2 = web_of("ana", name="eu")  # type: ignore[attr-defined]
    with override_settings(ONCEGATE=webs), project.browser() as client:
        answer = sign_in(client, "/acme/auth/?next=/acme/again/1")
        assert answer.headers["location"] == "/acme/again/1"
        asked = client.get("/acme/again/1")
        assert asked.headers["location"] == "/acme/auth/?again=1&next=/acme/again/1"
        page = client.get("/acme/auth/").text
        assert 'action="/acme/auth/sign-out"' in page


def test_cognito_user_is_on_the_request(client: httpx.Client) -> None:
    assert client.get("/cognito").text == "nobody"
    sign_in(client)
    assert client.get("/cognito").text == "ana"


def test_hook_has_the_request_of_django() -> None:
    asked: list[Request] = []
    made = web(on_signed_in=lambda _, request: asked.append(request))
    with project_of(made, urls=urls) as project, project.browser() as client:
        sign_in(client)
        assert type(asked[0].native).__name__ == "WSGIRequest"


def test_no_transaction_is_open_during_a_call_to_cognito(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be held open for seconds, and a store in it would not have saved before the call."""
    from django.db import connection

    open_during: list[bool] = []
    perform = ScriptedTransport.perform

    def noting(*given: Any, **more: Any) -> Any:
        open_during.append(connection.in_atomic_block)
        return perform(*given, **more)

    monkeypatch.setattr(ScriptedTransport, "perform", noting)
    with project_of(web(), urls=urls) as project, project.browser() as client:
        monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
        sign_in(client)
        assert open_during == [False, False]
        assert client.get("/orders").json()["user"] == "ana"


def test_error_page_and_mail_have_no_secret_of_a_signed_in_user(project: Project) -> None:
    import logging

    from django.core import mail
    from django.http import HttpRequest, HttpResponse
    from django.test import override_settings
    from django.urls import clear_url_caches, path
    from django.utils.log import AdminEmailHandler

    def broken(request: HttpRequest) -> HttpResponse:
        cognito = request.cognito
        user = request.user
        raise RuntimeError(f"{cognito.username} {user.get_username()}")

    sys.modules["example_project"].urlpatterns.append(path("broken", broken))
    clear_url_caches()
    with (
        project.browser() as client,
        override_settings(DEBUG=True, **mails_to_admins()),
    ):
        sign_in(client)
        handler = AdminEmailHandler(include_html=True)
        logging.getLogger("django.request").addHandler(handler)
        text = client.get("/broken").text
        logging.getLogger("django.request").removeHandler(handler)
        text += repr([(one.body, one.alternatives) for one in mail.outbox])
        mail.outbox.clear()
        assert "RuntimeError" in text
        secrets = [value for name, value in client.cookies.items() if "oncegate" in name]
        assert [one for one in [*secrets, "access ana", "id ana", "refresh"] if one in text] == []


class BrokenStore(MemoryStore):
    is_broken = False

    def load(self, key: str) -> Any:
        if self.is_broken:
            raise RuntimeError("a mistake in the store")
        return super().load(key)


def test_error_in_the_store_shows_no_secret() -> None:
    from django.test import override_settings

    store = BrokenStore()
    with (
        project_of(web(store=store), urls=urls, MIDDLEWARE=OPEN) as project,
        project.browser() as client,
        override_settings(DEBUG=True),
    ):
        sign_in(client)
        store.is_broken = True
        for path in ("/orders", "/group", "/leave"):
            answer = client.get(path)
            assert (answer.status_code, "a mistake in the store" in answer.text) == (500, True)
            values = [value for name, value in client.cookies.items() if "oncegate" in name]
            assert [value for value in [*values, "access ana"] if value in answer.text] == []


@pytest.fixture
def read_in_loop(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that were read in the thread of an event loop, which waits meanwhile."""
    found: list[str] = []
    load = MemoryStore.load

    def noting(self: MemoryStore, key: str) -> Any:
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            found.append(key)
        return load(self, key)

    monkeypatch.setattr(MemoryStore, "load", noting)
    return found


def test_asynchronous_application_serves_pages_and_views(
    project: Project, read_in_loop: list[str]
) -> None:
    from django.core.asgi import get_asgi_application

    headers = {"accept": "text/html", "accept-language": "en"}
    with httpx.Client(
        transport=InLoop(get_asgi_application()), base_url="http://shop.localhost", headers=headers
    ) as client:
        assert client.get("/async").json() == {"user": ""}
        sign_in(client)
        for path in ("/async", "/group-async", "/orders", "/group"):
            assert client.get(path).json()["user"] == "ana"
        client.get("/leave-async")
        assert client.get("/async").json() == {"user": ""}
        assert "oncegate_session" not in client.cookies
        assert project.names == ["code", "in", "ended", "out"]
    assert read_in_loop == []


@pytest.mark.parametrize("is_active", [True, False])
def test_session_that_has_ended_leaves_no_user_to_outer_middleware(
    project: Project, *, is_active: bool
) -> None:
    from django.contrib.auth.models import User
    from django.http import HttpRequest

    from oncegate_web.django.signals import session_ended

    requests: list[Any] = []

    def note(request: HttpRequest, **_: Any) -> None:
        requests.append(request)

    session_ended.connect(note)
    try:
        with project.browser() as client:
            sign_in(client)
            User.objects.update(is_active=is_active)
            client.post("/auth/sign-out", headers={"origin": "http://shop.localhost"})
    finally:
        session_ended.disconnect(note)
    (request,) = requests
    assert not request.user.is_authenticated
    assert not request.cognito


def test_client_of_tests_is_signed_in_in_one_line(project: Project) -> None:
    from django.contrib.auth.models import User
    from django.test import Client

    from oncegate_web.django.test import force_sign_in
    from oncegate_web.django.test import sign_in as sign_in_at_pool

    client = Client(headers={"host": "shop.localhost"})
    client.force_login(User.objects.create_user("carl"))
    assert client.get("/orders").json()["user"] == "carl"
    client.logout()
    assert client.get("/orders").json()["user"] == ""
    client = Client(headers={"host": "shop.localhost"})
    force_sign_in(client, "dora", groups=["boss"], claims={"email": "dora@example.com"})
    assert client.get("/group").json() == {"user": "dora"}
    client = Client(headers={"host": "shop.localhost"})
    step = sign_in_at_pool(client, "ana", "Correct-horse-1", "123456")
    assert step["state"] == "authenticated"
    assert client.get("/orders").json()["cognito"] == "ana"


def test_store_is_not_read_in_the_event_loop(read_in_loop: list[str]) -> None:
    """An async view has to use `auser`; here Django itself would not notice."""
    from django.core.asgi import get_asgi_application

    engine = "django.contrib.sessions.backends.signed_cookies"
    with (
        project_of(web(), urls=urls, MIDDLEWARE=OPEN, SESSION_ENGINE=engine) as project,
        project.browser() as client,
    ):
        sign_in(client)
        client.cookies.delete("sessionid")
        loop = InLoop(get_asgi_application())
        with httpx.Client(transport=loop, base_url="http://shop.localhost") as asynchronous:
            asynchronous.cookies = client.cookies
            assert asynchronous.get("/wrong-async").status_code == 500
            assert read_in_loop == []
            assert asynchronous.get("/async").json() == {"user": "ana"}


@pytest.mark.parametrize("sessions", ["server", "cookie"])
def test_https_and_sessions_in_cookies(sessions: Any) -> None:
    with (
        project_of(web(sessions=sessions), urls=urls, MIDDLEWARE=OPEN) as project,
        project.browser("https://shop.example.com") as client,
    ):
        sign_in(client)
        assert [name for name in client.cookies if name.startswith("__Host-oncegate_session")]
        assert who(client) == {"user": "ana", "cognito": "ana", "cart": None}
        client.get("/leave")
        assert not [name for name in client.cookies if name.startswith("__Host-oncegate_session")]
        assert who(client)["user"] == ""


def test_sign_out_of_the_project_offers_that_of_managed_login() -> None:
    pool = Pool()
    pool.logout_url = lambda _, back: f"https://auth.example.com/logout?to={back}"  # type: ignore[method-assign, assignment]
    with (
        project_of(web_of("ana", pool=pool), urls=urls) as project,
        project.browser() as client,
    ):
        sign_in(client)
        answer = client.get("/leave-everywhere")
        there = "https://auth.example.com/logout?to=http://shop.localhost/auth/"
        assert answer.headers["location"] == there


def test_redirects_of_the_settings_are_used() -> None:
    from django.test import Client
    from tests.web.test_django_checks import POOL

    from oncegate_web.django.test import force_sign_in

    settings: dict[str, Any] = {"default": {**POOL, "LOGOUT_REDIRECT": "/bye"}}
    with project_of(web(), urls=urls, ONCEGATE=settings, LOGIN_REDIRECT_URL="orders"):
        client = Client(headers={"host": "shop.localhost", "accept": "text/html"})
        force_sign_in(client)
        assert 'href="/orders"' in client.get("/auth/").content.decode()
        out = client.post("/auth/sign-out", headers={"origin": "http://shop.localhost"})
        assert out.headers["location"] == "/bye"
