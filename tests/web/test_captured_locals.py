"""What error reporters store of a request that fails: no password, code or cookie (P5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sentry_sdk
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.fastapi import FastApiIntegration
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from tests.doubles import a_text, the_tokens
from tests.web.django_project import mails_to_admins
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Program, Visit
from tests.web.servers import serving

from oncegate.testing import ScriptedTransport
from oncegate_stores import MemoryStore
from oncegate_web.http import Body, Cookie, Fields, Request, Response

ANA = {"username": "ana", "password": "Planted-password-1"}
CODE = {"code": "739154"}


class BrokenStore(MemoryStore):
    is_broken = False

    def load(self, key: str) -> Any:
        if self.is_broken:
            raise RuntimeError("a mistake in the store")
        return super().load(key)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What Sentry would send, as outspoken as it can be set.

    By default Sentry leaves cookies out, and shortens local variables to ten items and five levels. Then
    this test would pass without any protection of ours.
    """
    found: list[dict[str, Any]] = []

    def keep(event: Any, _: Any) -> None:
        found.append(event)

    monkeypatch.setattr("sentry_sdk.serializer.MAX_DATABAG_BREADTH", 200)
    monkeypatch.setattr("sentry_sdk.serializer.MAX_DATABAG_DEPTH", 12)
    sentry_sdk.init(
        dsn="http://key@localhost/1",
        before_send=keep,
        send_default_pii=True,
        max_request_body_size="always",
        attach_stacktrace=True,
        include_local_variables=True,
        default_integrations=True,
        auto_enabling_integrations=False,
        integrations=[
            DjangoIntegration(),
            FastApiIntegration(),
            FlaskIntegration(),
            StarletteIntegration(),
        ],
    )
    yield found
    sentry_sdk.init()


def _fails(store: BrokenStore, act: Any) -> int:
    store.is_broken = True
    status: int = act().status_code
    store.is_broken = False
    return status


def _values(client: httpx.Client) -> list[str]:
    ours = [value for name, value in client.cookies.items() if "oncegate" in name]
    return [*filter(None, ours), ANA["password"], CODE["code"], "eyJhY2Nlc3M"]


def _assert_none_in(values: list[str], text: str) -> None:
    assert [value for value in values if value in text] == []


@pytest.mark.filterwarnings("ignore:The send_default_pii option:DeprecationWarning")
@pytest.mark.parametrize("interface", [Visit, Program])
def test_failed_requests_leave_no_secret_in_sentry(
    framework: str, interface: Any, events: list[dict[str, Any]]
) -> None:
    store = BrokenStore()
    web = web_for(ScriptedTransport(a_text(), the_tokens()), store=store)
    # A real server, so that the frames of this test are not in the traceback.
    headers = {"accept": "text/html"}
    with (
        serving(framework, web) as url,
        httpx.Client(base_url=url, headers=headers, timeout=30) as client,
    ):
        user = interface(client)
        user.open()
        values = _values(client)
        for event, fields in (("submit_password", ANA), ("submit_code", CODE)):
            if isinstance(user, Visit):
                form = user.page.forms[event.replace("_", "-")]
                posted = {**form.values, **fields}
                status = _fails(store, lambda: user.post(form.action, posted))  # noqa: B023
            else:
                path = f"/auth/flows/{user.step['flow_id']}/events"
                body = {"type": event, "version": user.step["version"], **fields}
                status = _fails(store, lambda: client.post(path, json=body))  # noqa: B023
            assert status == (303 if isinstance(user, Visit) else 500)
            user.say(event, **fields)
        values += _values(client)
        assert _fails(store, lambda: client.get("/orders")) == 500
    assert len(events) >= 3
    _assert_none_in(values, json.dumps(events, default=repr))


@pytest.mark.filterwarnings("ignore:The send_default_pii option:DeprecationWarning")
def test_failed_answer_of_a_provider_leaves_no_code_in_variables(
    framework: str, events: list[dict[str, Any]]
) -> None:
    store = BrokenStore()
    secrets = ["planted-authorization-code", "planted-state"]
    with (
        serving(framework, web_for(ScriptedTransport(), store=store)) as url,
        httpx.Client(base_url=url, headers={"accept": "text/html"}, timeout=30) as client,
    ):
        client.get("/auth/")
        query = "code=planted-authorization-code&state=planted-state"
        assert _fails(store, lambda: client.get(f"/auth/callback?{query}")) == 500
        assert client.get(f"/auth/callback?{query}").status_code == 303
    assert len(events) >= 1
    for event in events:
        # Sentry itself reads the address before the application does. The code opens nothing without
        # the flow's verifier.
        event["request"].pop("query_string", None)
    _assert_none_in(secrets, json.dumps(events, default=repr))


@pytest.mark.parametrize("debug", [True, False])
def test_django_error_page_and_mail_have_no_secret(debug: bool) -> None:
    from django.core import mail
    from django.test import override_settings
    from django.utils.log import AdminEmailHandler

    store = BrokenStore()
    web = web_for(ScriptedTransport(a_text(), the_tokens()), store=store)
    with client_of("django", web, "http://localhost") as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        visit.say("submit_code", **CODE)
        values = _values(client)
        with override_settings(DEBUG=debug, **mails_to_admins()):
            import logging

            handler = AdminEmailHandler(include_html=True)
            logging.getLogger("django.request").addHandler(handler)
            store.is_broken = True
            shown = client.get("/orders").text
            logging.getLogger("django.request").removeHandler(handler)
            sent = [(one.body, one.alternatives) for one in mail.outbox]
            mail.outbox.clear()
    assert sent
    assert ("RuntimeError" in shown) is debug
    _assert_none_in(values, shown + repr(sent))


def test_error_in_a_page_is_logged_by_type_and_place(
    framework: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(template: str, page: Any) -> str:
        raise RuntimeError(ANA["password"])

    web = web_for(ScriptedTransport(), renderer=broken)
    with client_of(framework, web, "http://localhost") as client:
        answer = client.get("/auth/")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    lines = [json.loads(record.message) for record in caplog.records if record.name == "oncegate"]
    assert [line["event"] for line in lines] == ["request failed", "error page failed"]
    assert any(place.startswith("oncegate_web/html.py:") for place in lines[0]["at"])
    assert ANA["password"] not in caplog.text


def test_reprs_have_no_values() -> None:
    secret = "a secret value"
    fields = Fields({"password": secret, "cookie": secret})
    request = Request("POST", "/", headers=fields, form=fields, body=Body(secret.encode()))
    cookie = Cookie("name", secret, "/", secure=True)
    response = Response(body=secret.encode(), cookies=[cookie])
    assert secret not in repr([fields, request, request.cookies, request.body, cookie, response])
    assert not isinstance(cookie, tuple)
