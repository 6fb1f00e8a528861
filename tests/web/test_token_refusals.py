"""Sessions when Cognito refuses a call for another reason than their tokens, and at the sign-out.

cases.md, 10 and 11: franken-srp#13, amplify-js#14130; API reference, RevokeToken.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.doubles import ManualClock

from oncegate import (
    Misconfigured,
    SealingKeys,
    SignedOut,
    SignIn,
    SubmitPassword,
    Unreachable,
)
from oncegate_cognito import CognitoTokenService, CognitoTransport
from oncegate_sandbox import DEMO_SEED, Fault, PoolSeed, Sandbox, Seed
from oncegate_stores import MemoryStore
from oncegate_web._sessions import StoreSessions

REFRESH = "GetTokensFromRefreshToken"
REFUSALS: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "firewall": ({"kind": "waf"}, Unreachable),
    "captcha": ({"kind": "waf", "status": 405}, Unreachable),
    "trigger": (
        {
            "kind": "error",
            "code": "UserLambdaValidationException",
            "message": "PreTokenGeneration failed with error Refresh Token has expired.",
        },
        Unreachable,
    ),
    "throttled": ({"kind": "throttle"}, Unreachable),
    "no client": (
        {
            "kind": "error",
            "code": "ResourceNotFoundException",
            "message": "User pool client c does not exist.",
        },
        Misconfigured,
    ),
    "no secret": (
        {
            "kind": "error",
            "code": "NotAuthorizedException",
            "message": "Client c is configured for secret but secret was not received",
        },
        Misconfigured,
    ),
}


class Browser:
    """A session of a user of a sandbox; its access token lives for an hour."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.clock = ManualClock()
        transport = CognitoTransport(
            pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
        )
        sign_in = SignIn(transport=transport, store=MemoryStore())
        event = SubmitPassword(username="fay", password="Correct-horse-6")
        tokens = sign_in.send(sign_in.start(), event).tokens
        assert tokens is not None
        self.tokens = tokens
        keys = SealingKeys("q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4")
        self.sessions = StoreSessions(MemoryStore(), transport, keys, now=self.clock.now)
        self.session_id = self.sessions.create(tokens)

    def access_token(self) -> str:
        user = self.sessions.find(self.session_id)
        assert user is not None, "signed out"
        return user.tokens.access_token

    def refuse(self, operation: str, **fault: Any) -> None:
        self.sandbox.order(Fault(operation=operation, times=1, **fault))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Seed(pool=PoolSeed(), users=DEMO_SEED.users)) as sandbox:
        yield sandbox


@pytest.fixture
def browser(sandbox: Sandbox) -> Browser:
    return Browser(sandbox)


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_renewal_keeps_the_session(browser: Browser, name: str) -> None:
    fault, error = REFUSALS[name]
    browser.refuse(REFRESH, **fault)
    browser.clock.advance(3570)
    assert browser.access_token() == browser.tokens.access_token
    browser.refuse(REFRESH, **fault)
    browser.clock.advance(60)
    with pytest.raises(error):
        browser.access_token()
    browser.clock.advance(60)
    assert browser.access_token() != browser.tokens.access_token


def test_revoked_token_ends_the_session(browser: Browser) -> None:
    browser.sandbox.pool.tokens.revoke_all(browser.sandbox.pool.users.find("fay"))  # type: ignore[arg-type]
    browser.clock.advance(3570)
    assert browser.sessions.find(browser.session_id) is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "error", "code": "UnsupportedOperationException"}, "EnableTokenRevocation"),
        ({"kind": "error", "code": "UnauthorizedException"}, "client_secret="),
        ({"kind": "waf"}, "web ACL"),
        ({"kind": "throttle"}, "TooManyRequestsException"),
    ],
    ids=str,
)
def test_sign_out_is_over_here_and_says_in_the_log_what_failed(
    browser: Browser, caplog: pytest.LogCaptureFixture, fault: dict[str, Any], words: str
) -> None:
    browser.refuse("RevokeToken", **fault)
    browser.sessions.end(browser.session_id)
    assert browser.sessions.find(browser.session_id) is None
    lines = [line.getMessage() for line in caplog.records if line.levelno >= logging.ERROR]
    (line,) = (line for line in lines if "token revocation failed" in line)
    assert words in line


def test_sign_out_of_tokens_that_are_gone_is_no_failure(
    browser: Browser, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise SignedOut

    monkeypatch.setattr(CognitoTokenService, "revoke", gone)
    browser.sessions.end(browser.session_id)
    assert browser.sessions.find(browser.session_id) is None
    assert not [line for line in caplog.records if line.levelno >= logging.ERROR]


@pytest.mark.parametrize("part", ["access_token", "id_token"])
def test_tokens_of_which_one_is_forged_begin_no_session(browser: Browser, part: str) -> None:
    """Scopes are those of the access token, and all else is of the ID token."""
    head, payload, signature = str(browser.tokens.model_dump()[part]).split(".")
    forged = f"{head}.{payload}.{signature[::-1]}"
    tokens = browser.tokens.model_copy(update={part: forged})
    session_id = browser.sessions.create(tokens)
    assert browser.sessions.is_refused(session_id)
    assert browser.sessions.find(session_id) is None


def test_scopes_are_those_of_the_verified_access_token(browser: Browser) -> None:
    user = browser.sessions.find(browser.session_id)
    assert user is not None
    assert user.scopes == ("aws.cognito.signin.user.admin",)
    assert user.claims["token_use"] == "id"


def test_scope_in_an_id_token_grants_nothing(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trigger of the pool may put any claim into an ID token (pre token generation)."""

    def verify(_: object, token: str, use: str = "access") -> dict[str, Any]:
        return {"sub": "s", **({"scope": "orders/write"} if use == "id" else {})}

    monkeypatch.setattr(CognitoTokenService, "verify", verify)
    user = browser.sessions.find(browser.sessions.create(browser.tokens))
    assert user is not None
    assert user.scopes == ()
