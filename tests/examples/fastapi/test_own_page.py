"""The login page of one's own that the page on moving shows, against the sandbox."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from tests.web.example_apps import KEY
from tests.web.starlette_client import TestClient

from oncegate_sandbox import Sandbox


@pytest.fixture
def cognito() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def module(cognito: Sandbox, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("COGNITO_POOL_ID", cognito.pool_id)
    monkeypatch.setenv("COGNITO_CLIENT_ID", cognito.client_id)
    monkeypatch.setenv("COGNITO_ENDPOINT_URL", cognito.endpoint)
    monkeypatch.setenv("ONCEGATE_STORE", "memory://")
    monkeypatch.setenv("ONCEGATE_KEYS", KEY)
    return importlib.reload(importlib.import_module("tests.examples.fastapi.own_page"))


def form_of(page: str) -> dict[str, str]:
    """Return the hidden fields of the page's first form."""
    first = page.partition("</form>")[0]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', first))


ANA = {"username": "ana", "password": "Correct-horse-1"}


def test_user_signs_in_once_however_often_the_forms_are_posted(
    module: ModuleType, cognito: Sandbox
) -> None:
    with TestClient(module.app, base_url="http://localhost") as client:
        first = client.get("/login").text
        assert "Sign in" in first
        assert 'value="cancel"' not in first, "there is nothing to give up yet"
        for _ in range(2):
            page = client.post("/login", data=form_of(first) | ANA).text
            assert "Check your phone" in page
        (sent,) = cognito.messages()
        client.follow_redirects = False
        flow = {"flow": client.cookies["flow"]}
        got = set()
        for _ in range(2):
            client.cookies.update(flow)
            answer = client.post("/login", data=form_of(page) | {"code": sent.code})
            assert answer.headers["location"] == "/"
            got.add(client.cookies["session"])
        assert got == module.sessions.tokens.keys()
        assert len(got) == 1


def test_what_cannot_be_sent_comes_back_to_the_page(module: ModuleType) -> None:
    with TestClient(module.app, base_url="http://localhost") as client:
        for data in (b"type=nothing", b"type=\xff"):
            assert "Check what you entered." in client.post("/login", content=data).text
        forged = client.get("/login", headers={"cookie": "flow=forged"})
        assert "Sign in" in forged.text
        form = form_of(client.get("/login").text)
        page = client.post("/login", data=form | {**ANA, "password": "wrong"}).text
        assert "Incorrect username or password." in page


def test_sign_in_that_was_given_up_begins_again(module: ModuleType, cognito: Sandbox) -> None:
    with TestClient(module.app, base_url="http://localhost") as client:
        page = client.post("/login", data=form_of(client.get("/login").text) | ANA).text
        before = client.cookies["flow"]
        gone = {"type": "cancel", "version": form_of(page)["version"]}
        assert "Password" in client.post("/login", data=gone).text
        assert client.cookies["flow"] != before
        assert len(cognito.messages()) == 1
