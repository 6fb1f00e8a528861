"""A refusal ends a session only if it is about the tokens; signing out ends it in any case.

Sources: franken-srp#13, amplify-js#14130 (what ends a session), aws-sdk-cpp#1789, aws-sdk-net#1936 and
amplify-js#7615 (the words about tokens), amplify-android#2504 and pmill/aws-cognito#23 (about secrets),
aws-sdk-js-v3#7255 (a firewall's 403), the API reference of RevokeToken; cases.md, 10 and 11.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from tests.cognito.conftest import SignedIn, sandbox_of
from tests.cognito.servers import Server, response

from oncegate import (
    Misconfigured,
    OncegateError,
    SignedOut,
    SignIn,
    SubmitPassword,
    Tokens,
    Unreachable,
)
from oncegate_cognito import CognitoTokenService, CognitoTransport, Session
from oncegate_sandbox import Fault, Sandbox
from oncegate_stores import MemoryStore
from oncegate_vaults import MemoryVault

TOKENS = Tokens(access_token="an-access-token", refresh_token="a-refresh-token", expires_in=3600)

REFUSED = "NotAuthorizedException"


def error(code: str, message: str = "", status: int = 400) -> bytes:
    body = json.dumps({"__type": code, "message": message}).encode()
    return response(body, status=status)


ABOUT_THE_TOKENS = [
    (REFUSED, "Invalid Refresh Token"),
    (REFUSED, "Invalid Refresh Token."),
    (REFUSED, "Refresh Token has expired"),
    (REFUSED, "Refresh Token has been revoked"),
    (REFUSED, "Access Token has been revoked"),
    (REFUSED, "Invalid Access Token"),
    (REFUSED, "Could not verify signature for Access Token"),
    (REFUSED, "User is disabled."),
    (REFUSED, "User does not exist."),
    ("UserNotFoundException", "User does not exist."),
    ("PasswordResetRequiredException", "Password reset required for the user"),
    ("UserNotConfirmedException", "User is not confirmed."),
    ("RefreshTokenReuseException", "Refresh token has been invalidated."),
]
PAGE = b"<html>403 Forbidden</html>"
PASSING = {
    # Cognito's clock is ahead of ours: the refresh token still renews.
    "expired before our clock says so": error(REFUSED, "Access Token has expired"),
    "firewall": error("ForbiddenException", "Request not allowed due to WAF block.", 403),
    "firewall page": response(PAGE, "text/html", 403),
    "firewall, no body": response(b"", "text/html", 403),
    "captcha": response(PAGE, "text/html", 405),
    "timeout": response(b"", status=408),
    "empty": response(b"", status=200),
    "empty object": response(b"{}"),
    "page": response(PAGE, "text/html", 200),
    "trigger": error("UserLambdaValidationException", "PreTokenGeneration failed with error no."),
    "trigger, in the other words": error(
        REFUSED, "PreTokenGeneration failed with error Refresh Token has expired."
    ),
    "trigger timeout": error("UnexpectedLambdaException", "PreTokenGeneration invocation failed"),
    "trigger response": error("InvalidLambdaResponseException", "Unrecognizable lambda output"),
    "throttled": error("TooManyRequestsException", "Rate exceeded"),
    "limit": error("LimitExceededException", "Attempt limit exceeded"),
    "limit, in the other words": error(REFUSED, "Attempt limit exceeded, please try after"),
    "threat protection": error(REFUSED, "Request not allowed due to security reasons."),
    "internal": error("InternalErrorException", "Something went wrong", 500),
    "gateway": response(PAGE, "text/html", 502),
    "not known yet": error(REFUSED, "Words that nobody has reported."),
}
SET_UP = {
    "no secret": error(REFUSED, "Client c is configured for secret but secret was not received"),
    "no hash": error(
        REFUSED, "Client c is configured with secret but SECRET_HASH was not received"
    ),
    "wrong secret": error(REFUSED, "Unable to verify secret for client c"),
    "wrong hash": error(REFUSED, "Unable to verify secret hash for client c"),
    "no client": error("ResourceNotFoundException", "User pool client c does not exist."),
    "parameter": error("InvalidParameterException", "1 validation error detected: Value at 'x'"),
    "scope": error(REFUSED, "Access Token does not have required scopes"),
    "not enabled": error("OperationNotEnabledException", "not enabled"),
}


class Cognito(Server):
    """A server that gives one answer to every request, and a service that calls it.

    Making a boto3 client takes longer than a test, so all tests share this one.

    Attributes:
        answer: the answer.
    """

    def __init__(self) -> None:
        super().__init__(self._respond)
        self.answer = b""
        self.service = CognitoTransport(
            pool_id="us-east-1_Pool1", client_id="client1", endpoint_url=self.endpoint
        ).token_service

    def _respond(self, connection: socket.socket) -> None:
        while self.read_request(connection):
            connection.sendall(self.answer)


@cache
def cognito() -> Cognito:
    return Cognito()


@contextmanager
def service_answered_by(answer: bytes) -> Iterator[tuple[CognitoTokenService, Cognito]]:
    server = cognito()
    server.received, server.answer = b"", answer
    yield server.service, server


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


Renew = Callable[[CognitoTokenService], Any]
CALLS: list[Renew] = [
    lambda service: service.renew(TOKENS),
    lambda service: service.check(TOKENS),
    lambda service: service.sign_out_everywhere(TOKENS),
]


class TestRenewals:
    @pytest.mark.parametrize(("code", "words"), ABOUT_THE_TOKENS)
    def test_refusal_of_the_tokens_ends_the_session(self, code: str, words: str) -> None:
        with service_answered_by(error(code, words)) as (service, _):
            for call in CALLS:
                with pytest.raises(SignedOut) as ended:
                    call(service)
                is_reuse = code == "RefreshTokenReuseException"
                assert ended.value.reason == ("reused" if is_reuse else "ended")

    @pytest.mark.parametrize("name", [name for name in PASSING if "empty" not in name])
    def test_refusal_for_another_reason_is_unreachable(self, name: str) -> None:
        with service_answered_by(PASSING[name]) as (service, _):
            for call in CALLS[:2]:
                with pytest.raises(Unreachable):
                    call(service)

    @pytest.mark.parametrize("name", PASSING)
    def test_renewal_is_tried_again_after_another_reason(self, name: str) -> None:
        now = Clock()
        with service_answered_by(PASSING[name]) as (service, server):
            session = Session(TOKENS, service, now=now)
            now.time += 3550  # early enough to renew, and the access token is valid
            for _ in range(3):
                assert session.tokens() == TOKENS
            assert server.requests == 1, "not with every request"
            now.time += 10
            assert session.tokens() == TOKENS
            assert server.requests == 2
            now.time += 41
            for _ in range(2):
                with pytest.raises(Unreachable):
                    session.tokens()
            assert server.requests == 4, "the session goes on: it is renewed if Cognito lets it"

    @pytest.mark.parametrize("name", SET_UP)
    def test_refusal_of_the_set_up_is_misconfigured_and_logged(
        self, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        now = Clock()
        with service_answered_by(SET_UP[name]) as (service, _):
            session = Session(TOKENS, service, now=now)
            now.time += 3599
            assert session.tokens() == TOKENS
            now.time += 2
            with pytest.raises(Misconfigured):
                session.tokens()
        assert "GetTokensFromRefreshToken" in logged(caplog)

    def test_forgotten_secret_is_named_with_its_cure(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with (
            service_answered_by(SET_UP["no secret"]) as (service, _),
            pytest.raises(Misconfigured, match="pass client_secret="),
        ):
            service.renew(TOKENS)
        assert "pass client_secret=" in logged(caplog)

    def test_session_that_has_ended_asks_cognito_no_more(self) -> None:
        refused = error(REFUSED, "Refresh Token has been revoked")
        with service_answered_by(refused) as (service, server):
            session = Session(TOKENS, service, issued_at=0.0)
            for _ in range(3):
                with pytest.raises(SignedOut):
                    session.tokens()
            assert server.requests == 1

    def test_throttled_renewal_leaves_the_session(self, fay: SignedIn) -> None:
        now = Clock()
        session = fay.session(now=now)
        fay.sandbox.order(Fault(operation="GetTokensFromRefreshToken", kind="throttle"))
        now.time += 3550
        before = session.access_token()
        now.time += 60
        assert session.access_token() != before


REVOCATIONS = {
    "not enabled": error("UnsupportedOperationException", "Token revocation is not enabled"),
    "token type": error("UnsupportedTokenTypeException", "Unsupported token type"),
    "no client": error("ResourceNotFoundException", "User pool client c does not exist."),
    "secret": error("UnauthorizedException", "Invalid client"),
    "firewall": PASSING["firewall page"],
    "gateway": PASSING["gateway"],
    "throttled": PASSING["throttled"],
    "gone": error(REFUSED, "Refresh Token has been revoked"),
}


class TestSigningOut:
    @pytest.mark.parametrize("name", REVOCATIONS)
    def test_signed_out_here_whatever_cognito_answers(
        self, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with service_answered_by(REVOCATIONS[name]) as (service, _):
            session = Session(TOKENS, service)
            session.sign_out()
            with pytest.raises(SignedOut):
                session.tokens()
        assert bool(logged(caplog)) == (name != "gone")

    def test_signed_out_here_without_a_network(self, caplog: pytest.LogCaptureFixture) -> None:
        transport = CognitoTransport(
            pool_id="us-east-1_Pool1", client_id="client1", endpoint_url="http://127.0.0.1:9"
        )
        session = Session(TOKENS, transport.token_service)
        session.sign_out()
        with pytest.raises(SignedOut):
            session.access_token()
        assert "token revocation failed" in logged(caplog)

    def test_client_that_cannot_revoke_is_logged_with_the_cure(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with service_answered_by(REVOCATIONS["not enabled"]) as (service, _):
            Session(TOKENS, service).sign_out()
        assert "EnableTokenRevocation" in logged(caplog)

    def test_sign_out_everywhere_that_fails_can_be_tried_again(self) -> None:
        with service_answered_by(PASSING["firewall"]) as (service, _):
            session = Session(TOKENS, service)
            with pytest.raises(Unreachable):
                session.sign_out_everywhere()
            assert session.tokens() == TOKENS

    def test_sign_out_everywhere_of_revoked_tokens_ends_this_session(self) -> None:
        with service_answered_by(error(REFUSED, "Access Token has been revoked")) as (service, _):
            session = Session(TOKENS, service)
            with pytest.raises(SignedOut):
                session.sign_out_everywhere()
            with pytest.raises(SignedOut):
                session.tokens()


class TestDevices:
    @pytest.mark.parametrize("key", ["us-east-1_0a1b2c3d", "no key at all"])
    def test_forgetting_a_device_that_is_not_there_succeeds(self, fay: SignedIn, key: str) -> None:
        fay.service.forget_device(fay.tokens(), key)

    def test_firewall_does_not_pass_for_forgotten(self) -> None:
        with (
            service_answered_by(PASSING["firewall"]) as (service, _),
            pytest.raises(OncegateError),
        ):
            service.forget_device(TOKENS, "us-east-1_0a1b2c3d")


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return the lines at ERROR; none has a token."""
    lines = [line.getMessage() for line in caplog.records if line.levelno >= logging.ERROR]
    text = "\n".join(lines)
    assert "an-access-token" not in text
    assert "a-refresh-token" not in text
    return text


class TestTrackedDevices:
    """Tokens of a device that is never confirmed cannot be renewed: amplify-android#2506."""

    @pytest.fixture
    def tracking(self) -> Iterator[Sandbox]:
        with sandbox_of(device_tracking="always") as sandbox:
            yield sandbox

    def tokens_of(self, sign_in: SignIn) -> Tokens:
        event = SubmitPassword(username="fay", password="Correct-horse-1")
        step = sign_in.send(sign_in.start(), event)
        assert step.tokens is not None
        return step.tokens

    def test_developer_without_a_vault_is_warned_once(
        self, tracking: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        transport = transport_to(tracking)
        sign_in = SignIn(transport=transport, store=MemoryStore())
        for _ in range(2):
            tokens = self.tokens_of(sign_in)
            with pytest.raises(SignedOut):
                transport.token_service.renew(tokens)
        warnings = [line for line in caplog.records if "no device vault" in line.getMessage()]
        assert len(warnings) == 1
        assert "vault=" in warnings[0].getMessage()

    def test_tokens_are_renewed_with_a_vault(
        self, tracking: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        transport = transport_to(tracking)
        sign_in = SignIn(transport=transport, store=MemoryStore(), vault=MemoryVault())
        tokens = self.tokens_of(sign_in)
        assert transport.token_service.renew(tokens).device_key == tokens.device_key
        assert "no device vault" not in caplog.text


def transport_to(sandbox: Sandbox) -> CognitoTransport:
    return CognitoTransport(
        pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
    )
