"""The request context reaches transport and listeners from pages and API, in each framework."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr
from tests.doubles import DictStore, a_text
from tests.web.example_apps import client_of, fastapi_app, web_for
from tests.web.pages import Program, Visit

from oncegate import Misconfigured, SealingKeys, request_id
from oncegate.adapters import TEXTS, SystemClock
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed
from oncegate_web.http import Request

ANA = {"username": "ana", "password": "Correct-horse-1"}
INTERFACES = {"pages": Visit, "api": Program}


@pytest.mark.parametrize("interface", INTERFACES)
def test_event_carries_the_request(framework: str, interface: str) -> None:
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        client.headers.update(
            {
                "user-agent": "a browser",
                "accept-language": "fr;q=0.5, de-AT",
                "x-request-id": "r-1",
            }
        )
        user: Any = INTERFACES[interface](client)
        user.open()
        user.say("submit_password", **ANA)
    (context,) = transport.contexts
    assert context.source_address == "127.0.0.1"
    assert context.user_agent == "a browser"
    assert context.language == "de-at"
    assert context.request_id == "r-1"
    assert context.device_vault is not None
    assert context.server_name == client.base_url.netloc.decode()
    assert context.server_path.startswith("/auth/")


@pytest.mark.parametrize("value", ["", "x" * 129, "a\tb"])
def test_malformed_request_id_is_ignored(framework: str, value: str) -> None:
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        client.headers["x-request-id"] = value
        user = Program(client)
        user.open()
        user.say("submit_password", **ANA)
    assert transport.contexts[0].request_id == ""


class _WithRequestId:
    """A middleware of the application: ASGI if called with three arguments, else WSGI."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, *arguments: Any) -> Any:
        if len(arguments) == 3:
            return self._asgi(*arguments)
        with request_id("r1"):
            return self._app(*arguments)

    async def _asgi(self, *arguments: Any) -> None:
        with request_id("r1"):
            await self._app(*arguments)


@pytest.mark.parametrize("interface", INTERFACES)
def test_request_id_of_a_middleware_reaches_the_log(
    framework: str, interface: str, caplog: pytest.LogCaptureFixture
) -> None:
    web = web_for(ScriptedTransport(a_text()), listeners=None)
    with client_of(framework, web, middleware=_WithRequestId) as client:
        user: Any = INTERFACES[interface](client)
        user.open()
        with caplog.at_level(logging.INFO, "oncegate"):
            user.say("submit_password", **ANA)
    lines = [json.loads(record.message) for record in caplog.records if record.name == "oncegate"]
    assert [line["target"] for line in lines] == ["checking_password", "awaiting_mfa"]
    assert {line["request"] for line in lines} == {"r1"}


async def test_request_id_of_a_starlette_middleware_reaches_the_transport() -> None:
    import httpx
    from starlette.middleware.base import BaseHTTPMiddleware

    transport = ScriptedTransport(a_text())
    app = fastapi_app(web_for(transport))

    async def with_request_id(request: Any, call_next: Any) -> Any:
        with request_id("r2"):
            return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=with_request_id)
    asgi = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=asgi, base_url="http://shop.localhost") as client:
        flow = (await client.post("/auth/flows")).json()["flow_id"]
        event = {"type": "submit_password", "version": 0, **ANA}
        await client.post(f"/auth/flows/{flow}/events", json=event)
    assert transport.contexts[0].request_id == "r2"


def test_request_id_of_a_middleware_is_in_the_line_of_a_failure(
    framework: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Request) -> dict[str, str]:
        raise ValueError("a mistake of the application")

    web = web_for(ScriptedTransport(a_text()), client_metadata=fails)
    with client_of(framework, web, middleware=_WithRequestId) as client:
        user = Program(client)
        user.open()
        with caplog.at_level(logging.ERROR, "oncegate"):
            body = {"type": "submit_password", "version": 0, **ANA}
            answer = client.post(f"/auth/flows/{user.step['flow_id']}/events", json=body)
    assert answer.status_code == 500
    (line,) = [json.loads(one.message) for one in caplog.records if one.name == "oncegate"]
    assert (line["event"], line["request"]) == ("request failed", "r1")


# ── what the browser adds ──

ENCODED = "eyJwYXlsb2FkIjoi"
SENT = {"captcha": "a-token", "not-allowed": "x"}


def with_context(interface: str, client: Any, **context: Any) -> Any:
    """Sign in with metadata and encoded data, as a page or a program sends them."""
    user: Any = INTERFACES[interface](client)
    user.open()
    if interface == "api":
        body = {"type": "submit_password", "version": user.step["version"], **ANA}
        path = f"/auth/flows/{user.step['flow_id']}/events"
        return client.post(path, json={**body, "context": context})
    form = user.page.forms["submit-password"]
    metadata = context["client_metadata"]
    fields = {**form.values, **ANA, **metadata, "_encoded_data": context["encoded_data"]}
    return user.post(form.action, fields)


@pytest.mark.parametrize("interface", INTERFACES)
def test_context_of_the_browser_reaches_the_transport(framework: str, interface: str) -> None:
    transport = ScriptedTransport(a_text())
    web = web_for(transport, client_metadata_from_browser=["captcha", "unused"])
    with client_of(framework, web) as client:
        done = with_context(interface, client, client_metadata=SENT, encoded_data=ENCODED)
    assert done.status_code in {200, 303}
    (context,) = transport.contexts
    assert context.client_metadata == {"captcha": "a-token"}
    assert context.encoded_data == ENCODED


@pytest.mark.parametrize("interface", INTERFACES)
def test_name_that_the_application_does_not_allow_is_left_out_with_one_warning(
    interface: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Lambda triggers may trust metadata, and cannot tell who has sent it."""
    transport = ScriptedTransport(a_text(), a_text())
    web = web_for(transport)
    with caplog.at_level(logging.WARNING, "oncegate"):
        for _ in range(2):
            with client_of("fastapi", web) as client:
                sent = {"role": "admin"}
                done = with_context(interface, client, client_metadata=sent, encoded_data="")
                assert done.status_code in {200, 303}
                assert "notice=" not in done.headers.get("location", "")
    assert [context.client_metadata for context in transport.contexts] == [{}, {}]
    assert len(caplog.messages) == 1
    assert "client_metadata_from_browser" in caplog.messages[0]
    assert "admin" not in caplog.text
    assert "role" not in caplog.text


def test_application_adds_metadata_that_takes_precedence() -> None:
    transport = ScriptedTransport(a_text())

    def tenant(request: Request) -> dict[str, str]:
        return {"tenant": request.host, "captcha": "checked"}

    web = web_for(
        transport, client_metadata=tenant, client_metadata_from_browser=("captcha", "theme")
    )
    with client_of("fastapi", web) as client:
        sent = {"captcha": "a-token", "theme": "dark"}
        with_context("api", client, client_metadata=sent, encoded_data="")
        host = client.base_url.netloc.decode()
    assert transport.contexts[0].client_metadata == {
        "tenant": host,
        "captcha": "checked",
        "theme": "dark",
    }


@pytest.mark.parametrize(
    "context",
    [
        "text",
        [],
        {"clientMetadata": {}},
        {"client_metadata": []},
        {"client_metadata": {"captcha": 7}},
        {"client_metadata": None},
        {"encoded_data": 7},
        {"encoded_data": None},
    ],
    ids=str,
)
def test_malformed_context_is_refused_and_nothing_is_sent(context: Any) -> None:
    transport = ScriptedTransport(a_text())
    web = web_for(transport, client_metadata_from_browser=["captcha"])
    with client_of("fastapi", web) as client:
        user = Program(client)
        user.open()
        body = {"type": "submit_password", "version": 0, **ANA, "context": context}
        answer = client.post(f"/auth/flows/{user.step['flow_id']}/events", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_event"
    assert not transport.calls


@pytest.mark.parametrize("interface", INTERFACES)
def test_too_long_context_is_left_out_and_the_sign_in_goes_on(
    interface: str, caplog: pytest.LogCaptureFixture
) -> None:
    transport = ScriptedTransport(a_text())
    web = web_for(transport, client_metadata_from_browser=["captcha", "theme"])
    long = {"captcha": "x" * 8193, "theme": "y" * 8192}
    with client_of("fastapi", web) as client, caplog.at_level(logging.WARNING, "oncegate"):
        done = with_context(interface, client, client_metadata=long, encoded_data="z" * 16385)
    assert done.status_code in {200, 303}
    (context,) = transport.contexts
    assert context.client_metadata == {"theme": "y" * 8192}
    assert context.encoded_data == ""
    assert len(caplog.messages) == 2
    assert "xxx" not in caplog.text
    assert "zzz" not in caplog.text


@pytest.mark.parametrize("interface", INTERFACES)
def test_context_of_the_browser_is_neither_stored_nor_logged(
    interface: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[bytes] = []
    seal = SealingKeys.seal

    def record(keys: SealingKeys, plain: bytes, *more: Any, **others: Any) -> bytes:
        stored.append(plain)
        return seal(keys, plain, *more, **others)

    monkeypatch.setattr(SealingKeys, "seal", record)
    transport, store = ScriptedTransport(a_text()), DictStore()
    web = web_for(
        transport,
        store=store,
        listeners=None,
        audit=True,
        client_metadata_from_browser=["captcha"],
    )
    with client_of("fastapi", web) as client, caplog.at_level(logging.DEBUG):
        metadata = {"captcha": "secret-token"}
        with_context(interface, client, client_metadata=metadata, encoded_data="secret-data")
    assert transport.contexts[0].encoded_data == "secret-data"
    written = b"".join([*stored, *(row.sealed for row in store.rows.values())])
    assert stored
    for secret in ("secret-token", "secret-data"):
        assert secret.encode() not in written
        assert not [
            one for one in caplog.records if secret in str(vars(one)) and "httpx" not in one.name
        ]
        assert secret not in repr(transport.contexts[0])


@pytest.mark.parametrize(
    "names",
    [
        *("captcha", None, [7], [""], ["a b"], ["x" * 65], ["_token"], ["csrf_token"]),
        *(["password"], ["code"], ["type"], ["remember_device"], ["attributes.email"]),
    ],
    ids=str,
)
def test_names_that_are_none_or_of_the_forms_are_misconfigured(names: Any) -> None:
    with pytest.raises(Misconfigured, match="client_metadata_from_browser"):
        web_for(ScriptedTransport(), client_metadata_from_browser=names)


def test_metadata_of_the_application_is_a_function_that_returns_text() -> None:
    with pytest.raises(Misconfigured, match=r"CognitoTransport\(client_metadata"):
        web_for(ScriptedTransport(), client_metadata={"tenant": "shop"})
    transport = ScriptedTransport(a_text())
    web = web_for(transport, client_metadata=lambda _: {"tenant": 7})
    with client_of("fastapi", web) as client:
        done = with_context("api", client, client_metadata={}, encoded_data="")
    assert done.status_code == 503
    assert not transport.calls


# ── AWS's script for threat protection ──


@pytest.mark.parametrize("framework", ["fastapi", "django"])
def test_page_runs_the_script_of_the_application(framework: str) -> None:
    plain = web_for(ScriptedTransport())
    web = web_for(ScriptedTransport(), threat_protection_script="/assets/aws.min.js?v=1")
    with client_of(framework, plain) as client:
        without = client.get("/auth/")
    with client_of(framework, web) as client:
        page = client.get("/auth/")
        assert '<script defer src="/assets/aws.min.js?v=1">' in page.text
        assert f'data-app-id="{ScriptedTransport().app_id}"' in page.text
        assert 'name="_encoded_data" value=""' in page.text
    policy = page.headers["content-security-policy"]
    assert policy == without.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "_encoded_data" not in without.text
    assert "data-app-id" not in without.text


@pytest.mark.parametrize(
    "path", ["https://cdn.example/aws.js", "//cdn.example/aws.js", "aws.js", "", 7]
)
def test_script_of_another_site_is_misconfigured(path: Any) -> None:
    with pytest.raises(Misconfigured, match="threat_protection_script"):
        web_for(ScriptedTransport(), threat_protection_script=path)


# ── text that is no UTF-8 ──


@pytest.mark.parametrize("password", ["%FF", "%ED%A0%BD", "a%C3"])
def test_password_in_a_form_that_is_no_utf_8_is_not_sent(framework: str, password: str) -> None:
    """Case 16. Replaced by another character, it would be another password."""
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        visit = Visit(client)
        visit.open()
        form = visit.page.forms["submit-password"]
        fields = urlencode({**form.values, "username": "ana"})
        origin = str(client.base_url).rstrip("/")
        answer = client.post(
            form.action,
            content=f"{fields}&password={password}",
            headers={"origin": origin, "content-type": "application/x-www-form-urlencoded"},
        )
    assert answer.status_code == 422
    assert TEXTS["notice.field_invalid"] in answer.text
    assert not transport.calls


@pytest.mark.parametrize("field", ["_token", "_event", "_version", "_keep_signed_in", "other"])
def test_other_field_of_a_form_that_is_no_utf_8_fails_nothing(framework: str, field: str) -> None:
    with client_of(framework, web_for(ScriptedTransport(a_text()))) as client:
        visit = Visit(client)
        visit.open()
        form = visit.page.forms["submit-password"]
        fields = urlencode({**form.values, **ANA, field: "x"}).replace(f"{field}=x", f"{field}=%FF")
        origin = str(client.base_url).rstrip("/")
        answer = client.post(
            form.action,
            content=fields,
            headers={"origin": origin, "content-type": "application/x-www-form-urlencoded"},
        )
    assert answer.status_code == 303


def test_password_in_json_that_is_no_unicode_is_not_sent() -> None:
    transport = ScriptedTransport(a_text())
    with client_of("fastapi", web_for(transport)) as client:
        user = Program(client)
        user.open()
        path = f"/auth/flows/{user.step['flow_id']}/events"
        for password in (b"\\ud83d", b"\xff", b"\xed\xa0\xbd"):
            body = b'{"type": "submit_password", "version": 0, "username": "ana", "password": "%s"}'
            answer = client.post(
                path, content=body % password, headers={"content-type": "application/json"}
            )
            assert answer.status_code == 422
    assert not transport.calls


# ── as far as the pool's triggers ──


@pytest.mark.parametrize("interface", INTERFACES)
def test_trigger_gets_the_metadata_of_browser_application_and_settings(interface: str) -> None:
    seen: list[dict[str, Any]] = []

    def pre_authentication(event: dict[str, Any]) -> dict[str, Any]:
        seen.append(event["request"]["validationData"])
        return event

    ana = UserSeed(username="ana", password=SecretStr(ANA["password"]))
    pool = PoolSeed(triggers={"PreAuthentication": pre_authentication})
    with Sandbox(Seed(pool=pool, users=(ana,))) as sandbox:
        transport = CognitoTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            endpoint_url=sandbox.endpoint,
            auth_flow="USER_PASSWORD_AUTH",
            client_metadata={"app": "shop"},
        )
        web = web_for(
            transport,
            clock=SystemClock(),
            client_metadata=lambda _: {"tenant": "north"},
            client_metadata_from_browser=["captcha"],
        )
        with client_of("fastapi", web) as client:
            client.headers["accept-language"] = "de-AT"
            metadata = {"captcha": "a-token"}
            with_context(interface, client, client_metadata=metadata, encoded_data=ENCODED)
    expected = {"app": "shop", "tenant": "north", "captcha": "a-token", "language": "de-at"}
    assert seen == [expected]
