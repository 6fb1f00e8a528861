"""The shop's own tests, as the guide shows them, and what the guide promises of it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from tests.examples.flask.shop import create_app
from tests.web.pages import Visit

from oncegate_sandbox.testing import CognitoPool
from oncegate_web.flask.testing import OncegateClient

PASSWORD = "Correct-horse-1"


@pytest.fixture
def app(cognito: CognitoPool, tmp_path: Path) -> Flask:
    """The shop at a local Cognito; without `sign_in()`, the tests do not use it."""
    app = create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "5f1c9e0b7a2d48e6b3c07f94d1a86e25",
            "DATABASE": tmp_path / "shop.db",
            "ONCEGATE_POOL_ID": cognito.pool_id,
            "ONCEGATE_CLIENT_ID": cognito.client_id,
            "ONCEGATE_ENDPOINT_URL": cognito.endpoint_url,
            "ONCEGATE_STORE": "memory://",
            "RATELIMIT_STORAGE_URI": "memory://",
        }
    )
    app.test_client_class = OncegateClient
    return app


def test_customer_sees_orders(app: Flask) -> None:
    client = app.test_client(user="ana")
    assert "Shoes for ana" in client.get("/orders").text


def test_only_staff_sees_all_orders(app: Flask) -> None:
    assert app.test_client(user="ana").get("/staff").status_code == 403
    assert app.test_client(user="ben", groups=["staff"]).get("/staff").status_code == 200


def test_customer_signs_in_with_a_code(app: Flask, cognito: CognitoPool) -> None:
    cognito.add_user("ana", phone_number="+4915110000010", mfa=["SMS_MFA"])
    client = OncegateClient(app)
    client.sign_in("ana", "Correct-horse-1", code=lambda: cognito.inbox.code_for("ana"))
    assert client.get("/orders").status_code == 200


@pytest.fixture
def browser(app: Flask) -> Iterator[httpx.Client]:
    transport = httpx.WSGITransport(app=app)
    headers = {"accept": "text/html", "accept-language": "de"}
    with httpx.Client(
        transport=transport, base_url="http://shop.localhost", headers=headers
    ) as client:
        yield client


def test_customer_signs_in_by_the_pages_and_leaves_by_each_button(
    browser: httpx.Client,
    cognito: CognitoPool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cognito.add_user("ana", phone_number="+4915110000010", mfa=["SMS_MFA"])
    caplog.set_level(logging.INFO, "tests.examples.flask.shop")
    for leaves in ("layout", "shop"):
        away = browser.get("/orders")
        assert away.headers["location"] == "/auth/?next=/orders"
        visit = Visit(browser, away.headers["location"])
        visit.open()
        assert "Corner Shop" in visit.shown()
        assert 'lang="de"' in visit.shown()
        visit.say("submit_password", username="ana", password="wrong-horse-1")
        visit.say("submit_password", username="ana", password=PASSWORD)
        form = visit.page.forms["submit-code"]
        values = {**form.values, "code": cognito.inbox.code_for("ana")}
        assert visit.post(form.action, values).headers["location"] == "/orders"
        page = browser.get("/orders").text
        assert "Shoes for ana" in page
        if leaves == "layout":
            path, form_of_shop = "/auth/sign-out?next=/", {}
            assert f'action="{path}"' in page
        else:
            path = "/bye"
            form_of_shop = {
                "csrf_token": page.partition('name="csrf_token" value="')[2].split('"')[0]
            }
        done = browser.post(path, data=form_of_shop, headers={"origin": "http://shop.localhost"})
        assert done.headers["location"] == "/"
        assert "Sign in</a>" in browser.get("/").text
    calls = httpx.get(f"{cognito.endpoint_url}/_sandbox/calls").json()
    assert calls["RevokeToken"] == 2
    assert [record.getMessage() for record in caplog.records if record.name.endswith("shop")] == [
        "sign-in failed: wrong_credentials",
        "signed in: account 1",
    ] * 2


def test_customer_whom_the_shop_has_blocked_is_refused(app: Flask, tmp_path: Path) -> None:
    client = app.test_client(user="ana")
    assert client.get("/orders").status_code == 200
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("UPDATE accounts SET is_active = 0")
    database.close()
    assert client.get("/orders").status_code == 403


def test_card_needs_a_recent_sign_in_and_staff_a_group(app: Flask) -> None:
    old = app.test_client(user="ana", claims={"auth_time": 1})
    assert app.test_client(user="ana").get("/card").status_code == 200
    away = old.get("/card", headers={"accept": "text/html"})
    assert away.headers["Location"] == "/auth/?again=1&next=/card"


def test_api_takes_a_session_of_the_same_origin_or_a_token(
    app: Flask, cognito: CognitoPool
) -> None:
    cognito.add_user("ana", phone_number="+4915110000010", mfa=["SMS_MFA"])
    client: Any = app.test_client()
    client.sign_in("ana", PASSWORD, code=lambda: cognito.inbox.code_for("ana"))
    assert client.post("/api/orders").json == {"for": "ana", "did": "POST"}
    other = {"origin": "https://other.example"}
    assert client.post("/api/orders", headers=other).status_code == 403
    sign_in = app.extensions["oncegate"]["oncegate"]
    with client.session_transaction():
        pass
    cookies = "; ".join(f"{one.key}={one.value}" for one in client._cookies.values())
    with app.test_request_context(headers={"cookie": cookies}):
        token = sign_in.extension.current_user().tokens.access_token
    program = app.test_client()
    bearer = {"authorization": f"Bearer {token}"}
    assert program.get("/api/orders", headers=bearer).json == {
        "for": "ana",
        "did": "GET",
    }
    assert program.post("/api/orders", headers={**bearer, **other}).status_code == 200
    refused = program.post("/api/prices", headers=bearer)
    assert refused.status_code == 403
    assert "insufficient_scope" in refused.headers["WWW-Authenticate"]
    assert client.post("/api/prices").status_code == 401


def test_shop_is_ready(app: Flask) -> None:
    answer = app.test_client().get("/ready")
    assert (answer.text, answer.status_code) == ("", 200)
