"""Django REST framework: bearer tokens, sessions, groups, scopes, and the OpenAPI document."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.web.django_project import POOL, SETTINGS, Pool, Project, project_of, sign_in, web_of
from tests.web.outages import invalid

from oncegate import Unreachable

APPS = [*SETTINGS["INSTALLED_APPS"], "drf_spectacular", "rest_framework"]


class Tokens(Pool):
    """Verifies the tokens of `token`, which are not signed."""

    def _verify(self, token: str) -> Any:
        if token.count(".") != 2:
            return super()._verify(token)
        part = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def token(username: str = "ana", scope: str = "", groups: tuple[str, ...] = ()) -> str:
    claims = {
        "sub": f"sub-{username}",
        "iss": POOL,
        "token_use": "access",
        "username": username,
        "scope": scope,
        "cognito:groups": groups,
    }
    return f"a.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()}.c"


def urls() -> list[Any]:
    from django.urls import include, path
    from drf_spectacular.views import SpectacularAPIView
    from rest_framework.authentication import SessionAuthentication
    from rest_framework.permissions import IsAdminUser, IsAuthenticated
    from rest_framework.request import Request
    from rest_framework.response import Response
    from rest_framework.views import APIView

    from oncegate_web.django.rest_framework import CognitoAuthentication, HasGroup, HasScope

    class Orders(APIView):  # type: ignore[misc]
        authentication_classes = (CognitoAuthentication, SessionAuthentication)
        permission_classes = (IsAuthenticated,)

        def get(self, request: Request) -> Response:
            return Response({"user": request.user.get_username()})

    class Staff(Orders):
        permission_classes = (HasGroup("staff") | IsAdminUser,)

    class Writing(Orders):
        permission_classes = (HasScope("orders/read", "orders/write"),)

    return [
        path("auth/", include("oncegate_web.django.urls")),
        path("orders", Orders.as_view()),
        path("staff", Staff.as_view()),
        path("writing", Writing.as_view()),
        path("schema", SpectacularAPIView.as_view()),
    ]


@pytest.fixture
def pool() -> Pool:
    return Tokens()


@pytest.fixture
def project(pool: Pool) -> Iterator[Project]:
    middleware = [one for one in SETTINGS["MIDDLEWARE"] if "LoginRequired" not in one]
    schemas = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
    with project_of(
        web_of("ana", pool=pool),
        urls=urls,
        MIDDLEWARE=middleware,
        INSTALLED_APPS=APPS,
        REST_FRAMEWORK=schemas,
    ) as running:
        yield running


@pytest.fixture
def client(project: Project) -> Iterator[httpx.Client]:
    with project.browser() as browser:
        browser.headers["accept"] = "application/json"
        yield browser


def bearer(value: str) -> dict[str, str]:
    return {"authorization": f"Bearer {value}"}


def test_access_token_authenticates(client: httpx.Client) -> None:
    answer = client.get("/orders", headers=bearer(token()))
    assert (answer.status_code, answer.json()) == (200, {"user": "ana"})


def test_missing_or_invalid_token_is_a_401(client: httpx.Client, pool: Pool) -> None:
    for headers in ({}, {"authorization": "Basic YTpi"}):
        answer = client.get("/orders", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    pool.verifies = invalid
    planted = token("planted")
    answer = client.get("/orders", headers=bearer(planted))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert planted not in answer.text


def test_outage_of_the_keys_is_a_503(client: httpx.Client, pool: Pool) -> None:
    def fail(_: str) -> Any:
        raise Unreachable("timed out")

    pool.verifies = fail
    assert client.get("/orders", headers=bearer(token())).status_code == 503


def test_error_in_the_verification_shows_no_token(client: httpx.Client, pool: Pool) -> None:
    from django.test import override_settings

    def fail(_: str) -> Any:
        raise RuntimeError("a mistake")

    pool.verifies, planted = fail, token("planted")
    with override_settings(DEBUG=True):
        answer = client.get("/orders", headers={**bearer(planted), "accept": "text/html"})
    assert answer.status_code == 503
    assert planted not in answer.text


def test_inactive_user_with_a_token_is_a_401(client: httpx.Client) -> None:
    from django.contrib.auth.models import User

    client.get("/orders", headers=bearer(token()))
    User.objects.update(is_active=False)
    assert client.get("/orders", headers=bearer(token())).status_code == 401


def test_group_is_required(client: httpx.Client) -> None:
    from django.contrib.auth.models import User

    assert client.get("/staff", headers=bearer(token(groups=("staff",)))).status_code == 200
    assert client.get("/staff", headers=bearer(token(groups=("other",)))).status_code == 403
    assert client.get("/staff").status_code == 401
    User.objects.update(is_staff=True)
    assert client.get("/staff", headers=bearer(token())).status_code == 200


def test_scopes_are_required(client: httpx.Client) -> None:
    both = token(scope="openid orders/read orders/write")
    assert client.get("/writing", headers=bearer(both)).status_code == 200
    assert client.get("/writing", headers=bearer(token(scope="orders/read"))).status_code == 403
    assert client.get("/writing").status_code == 401


def test_browser_that_is_signed_in_uses_its_session(client: httpx.Client, pool: Pool) -> None:
    pool.claims = {"cognito:groups": ["staff"]}
    sign_in(client)
    assert client.get("/orders").json() == {"user": "ana"}
    assert client.get("/staff").status_code == 200
    assert client.get("/writing").status_code == 403


def test_openapi_document_has_the_scheme(client: httpx.Client) -> None:
    document = client.get("/schema", params={"format": "json"}).json()
    assert document["components"]["securitySchemes"]["cognito"] == {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    }
    assert {"cognito": []} in document["paths"]["/orders"]["get"]["security"]
