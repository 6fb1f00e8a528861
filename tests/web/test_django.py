"""Django's own users: `request.user` follows the session at Cognito, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.web.django_project import (
    Pool,
    Project,
    at_code,
    click,
    project_of,
    sign_in,
    web_of,
)
from tests.web.example_apps import web_for
from tests.web.outages import transport_with
from tests.web.pages import Visit

from oncegate.adapters import Rejected, RejectionReason


def shop_urls() -> list[Any]:
    from django.contrib import admin
    from django.contrib.auth import login, logout
    from django.contrib.auth.decorators import login_not_required, permission_required
    from django.contrib.auth.models import User
    from django.contrib.auth.views import LogoutView
    from django.http import HttpRequest, JsonResponse
    from django.urls import include, path

    from oncegate_web.django import current_user

    def who(request: HttpRequest) -> JsonResponse:
        cognito = current_user(request)
        return JsonResponse(
            {
                "user": request.user.get_username(),
                "cognito": cognito.username if cognito else None,
                "cart": request.session.get("cart"),
            }
        )

    def orders(request: HttpRequest) -> JsonResponse:
        return who(request)

    async def who_async(request: HttpRequest) -> JsonResponse:
        return JsonResponse({"user": (await request.auser()).get_username()})

    def twice(request: HttpRequest) -> JsonResponse:
        users = [current_user(request, "default") for _ in range(2)]
        return JsonResponse({"users": [user and user.username for user in users]})

    def cart(request: HttpRequest) -> JsonResponse:
        request.session["cart"] = request.GET["add"]
        return JsonResponse({})

    def leave(request: HttpRequest) -> JsonResponse:
        logout(request)
        return JsonResponse({})

    def by_password(request: HttpRequest, username: str) -> JsonResponse:
        user, _ = User.objects.get_or_create(username=username)
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return JsonResponse({})

    return [
        path("auth/", include("oncegate_web.django.urls")),
        path("admin/", admin.site.urls),
        path("who", login_not_required(who)),
        path("orders", orders, name="orders"),
        path("async", who_async),
        path("cart", login_not_required(cart)),
        path("twice", login_not_required(twice)),
        path("leave", leave),
        path("logout", LogoutView.as_view(next_page="/who")),
        path("as-<username>", login_not_required(by_password)),
        path("perm", permission_required("auth.add_user")(orders)),
        path("perm403", permission_required("auth.add_user", raise_exception=True)(orders)),
    ]


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest.fixture
def project(pool: Pool) -> Iterator[Project]:
    with project_of(web_of("ana", "ben", pool=pool), urls=shop_urls) as running:
        yield running


@pytest.fixture
def client(project: Project) -> Iterator[httpx.Client]:
    with project.browser() as browser:
        yield browser


def who(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/who").json()
    return found


def test_page_for_another_user_shows_who_is_signed_in_instead_of_redirecting_for_ever(
    client: httpx.Client,
) -> None:
    sign_in(client)
    for path in ("/orders", "/async"):
        assert client.get(path).status_code == 200
    asked = client.get("/perm")
    page = client.get(asked.headers["location"])
    assert (page.status_code, "ana" in page.text) == (200, True)
    assert client.get("/perm403").status_code == 403


def test_sign_in_is_of_the_user_of_django(project: Project, client: httpx.Client) -> None:
    asked = client.get("/orders")
    assert asked.headers["location"] == "/auth/?next=/orders"
    answer = sign_in(client, asked.headers["location"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/orders")
    assert client.get("/orders").json() == {"user": "ana", "cognito": "ana", "cart": None}
    assert client.get("/async").json() == {"user": "ana"}
    assert project.names == ["code", "in"]
    assert project.told[1][1].email == "ana@example.com"
    assert project.told[1][1].first_name == "Ana"


def test_more_clicks_on_the_last_page_sign_in_once_and_keep_the_cart(
    project: Project, client: httpx.Client
) -> None:
    client.get("/cart", params={"add": "tea"})
    form = at_code(client)
    with project.browser() as second, project.browser() as third:
        browsers = [client, second, third]
        for other in browsers[1:]:
            other.cookies = httpx.Cookies(client.cookies)  # all leave before an answer arrives
        answers = [click(browser, form) for browser in browsers]
        assert [answer.headers["location"] for answer in answers] == ["/", "/", "/"]
        assert len({browser.cookies["sessionid"] for browser in browsers}) == 3
        expected = {"user": "ana", "cognito": "ana", "cart": "tea"}
        assert [who(browser) for browser in browsers] == [expected] * 3
    assert project.names == ["code", "in"]


@pytest.mark.parametrize("path", ["/leave", "/logout", "/admin/logout/"])
def test_sign_out_of_the_project_ends_the_session_at_cognito(
    project: Project, client: httpx.Client, pool: Pool, path: str
) -> None:
    sign_in(client)
    kept = httpx.Cookies(client.cookies)
    from django.contrib.auth.models import User

    User.objects.update(is_staff=True)
    answer = client.get(path) if path == "/leave" else _posted(client, path)
    assert answer.status_code in {200, 302}
    assert "oncegate_session" not in client.cookies
    assert [one.access_token for one in pool.revoked] == ["access ana"]
    assert project.names == ["code", "in", "ended", "out"]
    with project.browser() as thief:
        thief.cookies = kept
        assert who(thief) == {"user": "", "cognito": None, "cart": None}


def _posted(client: httpx.Client, path: str) -> httpx.Response:
    """Post a form of the project, with Django's token against CSRF."""
    from django.middleware.csrf import _get_new_csrf_string

    token = _get_new_csrf_string()
    client.cookies.set("csrftoken", token, "shop.localhost")
    return client.post(path, data={"csrfmiddlewaretoken": token})


@pytest.mark.parametrize("by", ["page", "api"])
def test_sign_out_by_the_pages_ends_the_session_of_django(
    project: Project, client: httpx.Client, by: str
) -> None:
    client.get("/cart", params={"add": "tea"})
    sign_in(client)
    origin = {"origin": "http://shop.localhost"}
    if by == "page":
        answer = client.post("/auth/sign-out?next=/who", headers=origin)
        assert (answer.status_code, answer.headers["location"]) == (303, "/who")
    else:
        assert client.delete("/auth/session", headers=origin).status_code == 204
    assert project.names == ["code", "in", "ended", "out"]
    assert who(client) == {"user": "", "cognito": None, "cart": None}
    assert client.get("/orders").status_code == 302


def test_session_that_has_ended_elsewhere_ends_that_of_django(
    project: Project, client: httpx.Client
) -> None:
    sign_in(client)
    assert who(client)["user"] == "ana"
    _web().end_sessions_of("sub-ana")
    assert client.get("/orders").status_code == 302
    assert who(client)["user"] == ""
    assert project.names == ["code", "in", "out"]


def _web() -> Any:
    import sys

    return sys.modules["example_project"].web


def test_lost_session_of_django_is_connected_again_without_a_signal(
    project: Project, client: httpx.Client
) -> None:
    sign_in(client)
    client.cookies.delete("sessionid")
    client.cookies.set("csrftoken", "planted" * 4 + "abcd", "shop.localhost")
    assert who(client) == {"user": "ana", "cognito": "ana", "cart": None}
    assert "planted" not in client.cookies["csrftoken"]  # as after any sign-in in Django
    assert client.get("/async").json() == {"user": "ana"}
    assert project.names == ["code", "in"]


def test_sessions_of_two_users_in_one_browser_are_of_the_one_at_cognito(
    project: Project, client: httpx.Client
) -> None:
    """Such as after two answers of which the browser kept one cookie each."""
    sign_in(client)
    client.get("/cart", params={"add": "tea"})
    with project.browser() as other:
        sign_in(other, username="ben")
        session = other.cookies["oncegate_session"]
    client.cookies.set("oncegate_session", session, "shop.localhost")
    assert who(client) == {"user": "ben", "cognito": "ben", "cart": None}


def test_visitor_without_a_session_costs_no_read_of_the_store(client: httpx.Client) -> None:
    store = _web()._site._bare_store
    loaded: list[str] = []
    was = store.load

    def load(key: str) -> Any:
        loaded.append(key)
        return was(key)

    store.load = load
    assert who(client)["user"] == ""
    assert client.get("/orders").status_code == 302
    assert loaded == []
    sign_in(client)
    loaded.clear()
    assert client.get("/orders").json()["cognito"] == "ana"
    assert len(loaded) == 1
    assert client.get("/twice").json() == {"users": ["ana", "ana"]}
    assert len(loaded) == 2


def test_session_of_another_backend_is_left_alone(project: Project, client: httpx.Client) -> None:
    client.get("/as-bob")
    assert who(client) == {"user": "bob", "cognito": None, "cart": None}
    assert client.get("/auth/").status_code == 200
    assert who(client)["user"] == "bob"
    client.get("/leave")
    assert project.names == ["in", "out"]


def test_sign_in_of_another_backend_ends_the_session_at_cognito(
    project: Project, client: httpx.Client, pool: Pool
) -> None:
    sign_in(client)
    client.get("/as-bob")
    assert [one.access_token for one in pool.revoked] == ["access ana"]
    assert "oncegate_session" not in client.cookies
    assert who(client) == {"user": "bob", "cognito": None, "cart": None}
    assert project.names == ["code", "in", "ended", "in"]


def test_sign_in_of_the_same_user_by_another_backend_lasts(
    project: Project, client: httpx.Client
) -> None:
    sign_in(client)
    client.get("/cart", params={"add": "tea"})
    client.get("/as-ana")
    assert [who(client) for _ in range(2)] == [{"user": "ana", "cognito": None, "cart": "tea"}] * 2


def test_sign_in_once_more_of_the_same_user_keeps_the_cart_and_of_another_user_does_not(
    project: Project, pool: Pool
) -> None:
    with (
        project_of(web_of("ana", "ana", "ben", pool=pool), urls=shop_urls) as project,
        project.browser() as client,
    ):
        sign_in(client)
        client.get("/cart", params={"add": "tea"})
        sign_in(client, "/auth/?again=1")
        assert who(client) == {"user": "ana", "cognito": "ana", "cart": "tea"}
        assert project.names == ["code", "in", "code", "ended", "in"]
        project.told.clear()
        sign_in(client, "/auth/?again=1", "ben")
        assert who(client) == {"user": "ben", "cognito": "ben", "cart": None}
        assert [(name, str(user)) for name, user in project.told if name != "ended"] == [
            ("code", "SMS"),
            ("out", "ana"),
            ("in", "ben"),
        ]


def test_user_who_is_no_longer_active_has_no_session(
    project: Project, client: httpx.Client
) -> None:
    from django.contrib.auth.models import User

    sign_in(client)
    User.objects.update(is_active=False)
    assert who(client) == {"user": "", "cognito": None, "cart": None}
    assert "oncegate_session" not in client.cookies
    assert client.get("/orders").status_code == 302
    answer = sign_in(client, username="ben")
    assert (answer.status_code, who(client)["user"]) == (303, "ben")


def test_user_whom_the_backend_refuses_gets_a_403_and_no_session(pool: Pool) -> None:
    backends = ["tests.web.django_backends.NobodyBackend"]
    web = web_of("ana", pool=pool)
    with (
        project_of(web, urls=shop_urls, AUTHENTICATION_BACKENDS=backends) as project,
        project.browser() as client,
    ):
        answer = sign_in(client)
        assert answer.status_code == 403
        assert "oncegate_session" not in client.cookies
        assert not [name for name in client.cookies if "flow" in name]
        assert len(pool.revoked) == 1
        assert project.names == ["code", "failed", "ended"]
        assert dict(project.told)["failed"]["username"] == "ana"  # for django-axes and its like
        assert client.get("/orders").status_code == 302
        assert client.get("/auth/").status_code == 200
        assert _accounts() == []


def _accounts() -> list[tuple[str, str, str]]:
    from oncegate_web.django.models import CognitoAccount

    return [(str(one.user), one.issuer, one.subject) for one in CognitoAccount.objects.all()]


def urls_of_two_mounts() -> list[Any]:
    from django.urls import include, path

    return [*shop_urls(), path("eu/", include("oncegate_web.django.urls", namespace="eu"))]


@pytest.fixture
def two_mounts() -> Iterator[Project]:
    both = {"default": "example_project.web", "eu": "example_project.web2"}
    webs = web_of("ana"), web_of("ben", name="eu")
    with project_of(*webs, urls=urls_of_two_mounts, ONCEGATE=both) as running:
        yield running


def test_two_mounts_do_not_sign_each_other_out(two_mounts: Project) -> None:
    with two_mounts.browser() as client:
        sign_in(client)
        assert sign_in(client, "/eu/", "ben").headers["location"] == "/"
        assert who(client)["user"] == "ben"
        assert {"oncegate_session", "eu_session"} <= set(client.cookies)
        client.post("/eu/sign-out", headers={"origin": "http://shop.localhost"})
        assert "oncegate_session" in client.cookies
        assert who(client)["user"] == "ana"
        client.get("/leave")
        assert who(client)["user"] == ""


def test_sign_out_of_one_mount_leaves_the_user_of_the_other_one(two_mounts: Project) -> None:
    with two_mounts.browser() as client:
        sign_in(client)
        sign_in(client, "/eu/", "ben")
        client.get("/cart", params={"add": "tea"})
        two_mounts.told.clear()
        client.post("/auth/sign-out", headers={"origin": "http://shop.localhost"})
        assert who(client) == {"user": "ben", "cognito": "ben", "cart": "tea"}
        assert two_mounts.names == ["ended"]
        client.get("/leave")
        assert not [name for name in client.cookies if name.endswith("_session")]


def test_async_view_finds_the_user_of_the_mount_that_is_left(two_mounts: Project) -> None:
    """`logout` of Django 6.1 replaces `auser` as well."""
    with two_mounts.browser() as client:
        sign_in(client)
        sign_in(client, "/eu/", "ben")
        client.cookies.delete("eu_session")
        assert client.get("/async").json() == {"user": "ana"}


def test_failed_sign_in_tells_the_username(project: Project) -> None:
    rejected = Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
    with (
        project_of(web_for(transport_with(Pool(), rejected)), urls=shop_urls) as project,
        project.browser() as client,
    ):
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", username="ana", password="wrong-horse-1")
        assert project.told == [("failed", {"username": "ana"})]
