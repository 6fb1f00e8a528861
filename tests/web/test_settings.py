"""Settings that cannot work are refused when the sign-in is made, and the error says what to do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.doubles import ScriptedTransport
from tests.web.example_apps import KEY, InLoop, client_of, web_for

from oncegate import Misconfigured, SealingKeys
from oncegate_web._web import _checked_keys
from oncegate_web.fastapi import CurrentUser

OTHER = "Zk4Wq9Tn2Yb7Rf1Lc6Xv3Hd8Jp5Mg0Ss-Ua_Ee4Ii2Oo"

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"keys": None}, "oncegate key"),
    ({"keys": ""}, "oncegate key"),
    ({"keys": SealingKeys(None)}, "oncegate key"),
    ({"keys": [KEY]}, "oncegate key"),
    ({"keys": b"x" * 40}, "oncegate key"),
    ({"sessions": "db"}, '"server" or "cookie"'),
    ({"home": "orders"}, '"/"'),
    ({"home": None}, '"/"'),
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
            5,
            ["https://app.example.com"],
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://app.example.com:",
            "https://app.example.com:99999",
            "https://app.example.com:080",
            "https://user@app.example.com",
            "https://app.example.com ",
            "https://app.example.com\n",
            "https://app example.com",
            "https://bücher.example",
            "https://[zz]",
            "https://[0:0:0:0:0:0:0:1]",
            "https://::1",
            ":",
        )
    ],
    *[
        ({name: value}, f"{name} is a list")
        for name in ("origins", "allowed_headers")
        for value in (None, 5)
    ],
    *[({"allowed_headers": [value]}, "header") for value in (None, 5, b"traceparent", "", "x\n")],
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
        {"origins": {"https://xn--bcher-kva.example", "http://app_1.example:443", "http://[::1]"}},
        {"origins": iter(["https://app.example.com:65535"]), "allowed_headers": ("X-Trace-2",)},
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


def test_origins_that_are_explained_are_bounded(caplog: Any) -> None:
    with client_of("flask", web_for(ScriptedTransport())) as client:
        for number in range(40):
            sent = {"origin": f"https://{number}.example", "sec-fetch-site": "cross-site"}
            assert client.post("/auth/flows", headers=sent).status_code == 403
    lines = [r.getMessage() for r in caplog.records if r.name == "oncegate"]
    assert len([line for line in lines if "refused" in line]) == 20


# ── development servers ──


@pytest.mark.parametrize(
    ("headers", "is_served"),
    [
        # Next's rewrites name the host that the browser asked for, and nothing else.
        ({"host": "127.0.0.1:8000", "x-forwarded-host": "localhost:3000"}, True),
        ({"host": "127.0.0.1:8000", "x-forwarded-host": "[::1]:3000"}, True),
        ({"host": "127.0.0.1:8000", "x-forwarded-host": "192.168.1.5:3000"}, False),
        ({"host": "127.0.0.1:8000", "x-forwarded-host": "shop.example"}, False),
        ({"host": "shop.example", "x-forwarded-host": "localhost:3000"}, False),
        ({"host": "127.0.0.1:8000", "x-forwarded-host": "localhost", "via": "1.1 x"}, False),
        (
            {
                "host": "127.0.0.1:8000",
                "x-forwarded-host": "localhost",
                "x-forwarded-ssl": "on",
            },
            False,
        ),
        ({"host": "127.0.0.1:8000", "x-forwarded-for": "10.0.0.1"}, False),
    ],
    ids=str,
)
def test_development_server_on_the_same_computer_is_served(
    framework: str, headers: dict[str, str], is_served: bool
) -> None:
    with client_of(framework, web_for(ScriptedTransport())) as client:
        answer = client.get("/auth/status", headers={"accept": "application/json", **headers})
        assert answer.status_code == (200 if is_served else 403)
        if is_served:
            name = headers["x-forwarded-host"]
            sent = {**headers, "origin": f"http://{name}", "sec-fetch-site": "same-origin"}
            assert client.post("/auth/flows", headers=sent).status_code in {200, 201}


@pytest.mark.parametrize(
    ("sent", "code", "advice"),
    [
        # `vite --host`, with its proxy's string form, which changes the Host header, and without.
        (
            {"origin": "http://192.168.1.5:5173", "host": "localhost:8000"},
            "cross_site",
            "changeOrigin",
        ),
        (
            {"origin": "http://192.168.1.5:5173", "host": "192.168.1.5:5173"},
            "insecure_connection",
            "allow_insecure=True",
        ),
        # Vite with a certificate, in front of plain HTTP.
        (
            {"origin": "https://localhost:5173", "host": "localhost:5173"},
            "cross_site",
            "secure=True",
        ),
        (
            {
                "origin": "https://localhost:5173",
                "host": "localhost:5173",
                "sec-fetch-site": "same-origin",
            },
            "insecure_connection",
            "secure=True",
        ),
    ],
    ids=str,
)
def test_development_server_that_is_refused_is_told_what_to_set(
    sent: dict[str, str], code: str, advice: str, caplog: Any
) -> None:
    with client_of("fastapi", web_for(ScriptedTransport())) as client:
        headers = {"accept": "application/json", **sent}
        answer = client.post("/auth/flows", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
        assert "log" in answer.json()["detail"]
    lines = [r.getMessage() for r in caplog.records if r.name == "oncegate"]
    told = [line for line in lines if "development server" in line]
    assert len(told) == 1
    assert advice in told[0]


def test_opener_policy_is_sent_only_where_browsers_accept_it(framework: str) -> None:
    """Chromium reports it as an error on a plain-HTTP page of another computer."""
    web = web_for(ScriptedTransport(), allow_insecure=True)
    with client_of(framework, web) as client:
        for host, policy in {"192.168.1.5:8000": None, "localhost:8000": "same-origin"}.items():
            headers = client.get("/auth/", headers={"host": host}).headers
            assert headers.get("cross-origin-opener-policy") == policy


@pytest.mark.parametrize("prefix", ["/auth/", "/", "", "auth", "/a//b", "/a?b", None])
def test_prefix_that_cannot_be_one_is_refused(prefix: Any) -> None:
    from fastapi import FastAPI
    from flask import Flask

    import oncegate_web.fastapi
    import oncegate_web.flask

    web = web_for(ScriptedTransport())
    with pytest.raises(Misconfigured, match="prefix"):
        oncegate_web.fastapi.mount(FastAPI(), web, prefix=prefix)
    with pytest.raises(Misconfigured, match="prefix"):
        oncegate_web.flask.mount(Flask(__name__), web, prefix=prefix)
    oncegate_web.flask.mount(Flask(__name__), web, prefix="/a/b")


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


def test_misspelt_argument_is_an_error_with_the_right_one() -> None:
    with pytest.raises(TypeError, match=r"WebSignIn\(\) .* 'lifetme' \(did you mean lifetime\?\)"):
        web_for(ScriptedTransport(), lifetme=60)


def test_key_with_a_comma_is_not_taken_for_a_strong_and_a_weak_key() -> None:
    """What is sealed with any of the keys is opened, and two characters can be guessed."""
    with pytest.raises(Misconfigured, match="comma") as raised:
        _checked_keys(f"{KEY},Zk")
    assert KEY not in str(raised.value)
    assert _checked_keys(SealingKeys(f"{KEY},Zk")).has_keys


@pytest.mark.parametrize("keys", [f"{KEY}\n", f" {KEY} ", f"{KEY},{OTHER}", f"{KEY}, {OTHER},"])
def test_keys_of_a_variable_are_read_as_the_settings_read_them(keys: str) -> None:
    """A list, or the line end of a mounted secret, must not become another key."""
    found = _checked_keys(keys).bound_to("x")
    for key in (KEY, *([OTHER] if OTHER in keys else [])):
        sealed = SealingKeys(key).bound_to("x").seal(b"plain", b"place")
        assert found.unseal(sealed, b"place") == b"plain"
    assert found.unseal(found.seal(b"plain", b"place"), b"place") == b"plain"
    assert SealingKeys(KEY).bound_to("x").unseal(found.seal(b"x", b"y"), b"y") == b"x"


@pytest.mark.parametrize("name", ["rate_limit", "renderer", "on_signed_in", "on_code_sent"])
def test_hook_that_is_no_function_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured, match=f"{name} has to be a function, not int"):
        web_for(ScriptedTransport(), **{name: 3})
