"""Settings that cannot work are refused when the sign-in is made, and the error says what to do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.doubles import ScriptedTransport
from tests.web.example_apps import KEY, InLoop, client_of, web_for

from oncegate import Misconfigured, SealingKeys
from oncegate_web.fastapi import CurrentUser

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"keys": None}, "oncegate key"),
    ({"keys": ""}, "oncegate key"),
    ({"keys": SealingKeys(None)}, "oncegate key"),
    ({"keys": [KEY]}, "oncegate key"),
    ({"keys": b"x" * 40}, "oncegate key"),
    ({"sessions": "db"}, '"server" or "cookie"'),
    ({"home": "orders"}, '"/"'),
    *[
        ({name: value}, name)
        for name in ("session_lifetime", "session_idle_lifetime", "session_recheck")
        for value in ("86400", -1, True, float("nan"))
    ],
    ({"session_lifetime": 0}, "session_lifetime"),
    ({"session_idle_lifetime": 0}, "session_idle_lifetime"),
    ({"origins": "https://app.example.com"}, "list"),
    ({"allowed_headers": "traceparent"}, "list"),
    ({"allowed_headers": ["x y"]}, "x y"),
    ({"allowed_headers": ["*"]}, "header"),
    *[
        ({"origins": [origin]}, "https://app.example.com")
        for origin in (
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/login",
            "https://*.example.com",
            "*",
            "HTTPS://app.example.com",
            "https://App.example.com",
            "ftp://app.example.com",
            "https://",
            "null",
            None,
        )
    ],
]


@pytest.mark.parametrize(("setting", "advice"), WRONG)
def test_setting_that_cannot_work_is_refused(setting: dict[str, Any], advice: str) -> None:
    with pytest.raises(Misconfigured) as error:
        web_for(ScriptedTransport(), **setting)
    assert advice in str(error.value)


@pytest.mark.parametrize(
    "setting",
    [
        {"keys": SealingKeys(None, KEY)},
        {"session_lifetime": 86400, "session_idle_lifetime": None, "session_recheck": None},
        {"session_recheck": 0},
        {"home": "https://www.example.com/"},
        {"origins": ["https://app.example.com", "http://localhost:5173", "https://[::1]:8443"]},
    ],
)
def test_setting_that_works_is_accepted(setting: dict[str, Any]) -> None:
    web_for(ScriptedTransport(), **setting)


@pytest.mark.parametrize("others", [[["key"]], [b"key"]], ids=str)
def test_key_that_is_no_text_is_refused(others: Any) -> None:
    with pytest.raises(Misconfigured, match="oncegate key"):
        SealingKeys(KEY, *others)


# ── scripts of other origins ──

APP = "http://app.shop.localhost"


def test_script_of_another_origin_may_read_and_set_what_the_settings_say(framework: str) -> None:
    web = web_for(ScriptedTransport(), origins=[APP], allowed_headers=["Traceparent"])
    with client_of(framework, web) as client:
        asks = {"origin": APP, "access-control-request-method": "POST"}
        answer = client.options("/auth/flows", headers=asks)
        assert answer.headers["access-control-allow-headers"] == "content-type, traceparent"
        sent = {"origin": APP, "sec-fetch-site": "same-site"}
        answer = client.post("/auth/flows", headers=sent)
        assert answer.status_code == 201
        assert answer.headers["access-control-allow-origin"] == APP
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert exposed == ["Location", "Retry-After"]
        for path in ("/auth/static/oncegate.js", "/auth/status"):
            varies = client.get(path, headers=sent).headers["vary"]
            assert "Origin" in varies.split(", ")


@pytest.mark.parametrize(
    ("origins", "origin", "site", "advice"),
    [
        ([APP], APP, "cross-site", "another site"),
        ([], "http://192.168.1.5:5173", "same-site", "development server"),
        ([], "https://app.example.com", "cross-site", "origins="),
    ],
)
def test_refused_origin_is_explained_in_the_log_once(
    framework: str, origins: Any, origin: str, site: str, advice: str, caplog: Any
) -> None:
    with client_of(framework, web_for(ScriptedTransport(), origins=origins)) as client:
        for _ in range(3):
            sent = {"origin": origin, "sec-fetch-site": site, "host": "localhost"}
            answer = client.post("/auth/flows", headers=sent)
            assert answer.status_code == 403
            assert answer.json()["code"] == "cross_site"
    lines = [r.getMessage() for r in caplog.records if r.name == "oncegate"]
    told = [line for line in lines if "refused" in line]
    assert len(told) == 1
    assert advice in told[0]


# ── applications that are not set up ──


def test_fastapi_without_mount_says_what_to_do() -> None:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/orders")
    def orders(user: CurrentUser) -> None: ...

    with pytest.raises(Misconfigured, match="mount"):
        httpx.Client(transport=InLoop(app), base_url="http://localhost").get("/orders")


def test_flask_without_mount_says_what_to_do() -> None:
    from flask import Flask

    from oncegate_web.flask import login_required

    app = Flask(__name__)
    app.testing = True
    app.get("/orders")(login_required(lambda: "orders"))
    with pytest.raises(Misconfigured, match="mount"):
        app.test_client().get("/orders")


def test_django_without_its_setting_says_what_to_do() -> None:
    from django.conf import settings
    from django.test import RequestFactory, override_settings

    from oncegate_web.django import login_required

    with client_of("django", web_for(ScriptedTransport())), override_settings():
        del settings.ONCEGATE
        view = login_required(lambda _: None)
        with pytest.raises(Misconfigured, match="ONCEGATE"):
            view(RequestFactory().get("/orders"))
