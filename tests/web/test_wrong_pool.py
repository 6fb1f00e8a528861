"""A sign-in whose tokens are not those of the pool that is set: Cognito accepts it, and we do not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from tests.doubles import the_tokens
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Program, Visit
from tests.web.test_sessions import ScriptedTokens

from oncegate import Factor
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox, Seed, UserSeed

INTERFACES = {"pages": Visit, "api": Program}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    user = UserSeed(
        username="ana",
        password=SecretStr("Correct-horse-1"),
        phone_number="+15550001234",
        mfa=(Factor.SMS,),
    )
    with Sandbox(Seed(users=(user,))) as running:
        yield running


@pytest.mark.parametrize("sessions", ["server", "cookie"])
@pytest.mark.parametrize("interface", INTERFACES)
def test_wrong_pool_id_is_told_as_misconfigured_and_asks_for_no_other_code(
    sandbox: Sandbox, interface: str, sessions: str, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.reset()
    transport = CognitoTransport(
        pool_id="us-east-1_Other0001",
        client_id=sandbox.client_id,
        endpoint_url=sandbox.endpoint,
        auth_flow="USER_PASSWORD_AUTH",
    )
    with client_of("flask", web_for(transport, sessions=sessions)) as client:
        user: Any = INTERFACES[interface](client)
        user.open()
        user.say("submit_password", username="ana", password="Correct-horse-1")
        with caplog.at_level(logging.ERROR, "oncegate"):
            state = user.say("submit_code", code=sandbox.messages()[-1].code)
        assert state == "failed"
        assert "Sign-in isn’t working right now" in user.shown()
        assert "timed out" not in user.shown()
        assert "us-east-1" not in user.shown()
        if isinstance(user, Visit):
            assert list(user.page.forms) == ["start"]
        assert client.get("/orders").status_code != 200
        assert client.get("/auth/flows/current").status_code == 404  # a new one begins
    (line,) = caplog.messages
    assert f"its issuer '{sandbox.endpoint}/{sandbox.pool_id}' is none of" in line
    assert "check pool_id=, region= and issuer=" in line
    assert len(sandbox.messages()) == 1


def test_page_of_a_wrong_set_up_is_not_for_a_browser_that_is_signed_in(sandbox: Sandbox) -> None:
    transport = ScriptedTransport(the_tokens())
    transport.token_service = ScriptedTokens()
    with client_of("flask", web_for(transport)) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", username="ana", password="Correct-horse-1")
        page = client.get("/auth/?notice=misconfigured", follow_redirects=True)
    assert "signed in" in page.text


@pytest.mark.parametrize("interface", INTERFACES)
def test_tokens_that_are_invalid_for_another_reason_are_told_in_the_same_way(
    interface: str,
) -> None:
    tokens = ScriptedTokens()
    tokens.invalid.add(the_tokens().tokens.id_token or the_tokens().tokens.access_token)
    transport = ScriptedTransport(the_tokens())
    transport.token_service = tokens
    with client_of("flask", web_for(transport)) as client:
        user: Any = INTERFACES[interface](client)
        user.open()
        assert user.say("submit_password", username="ana", password="Correct-horse-1") == "failed"
