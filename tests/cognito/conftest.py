"""Fixtures of the tests of the Cognito adapter."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from oncegate import RequestContext, SignIn, SubmitPassword, Tokens
from oncegate.adapters import (
    Call,
    Challenge,
    ChallengeIssued,
    CheckCode,
    CheckPassword,
    CodeChallenge,
    Outcome,
)
from oncegate_cognito import CognitoTokenService, CognitoTransport, Session
from oncegate_cognito._responses import outcome_of_response
from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed
from oncegate_stores import MemoryStore

Perform = Callable[[CognitoTransport, Call], Outcome]
Check = Callable[[CognitoTransport, str, int], Outcome]
Answer = Callable[[CognitoTransport, CodeChallenge, str], Outcome]
Parse = Callable[..., Challenge]
"""The challenge that the transport makes of a ChallengeName and its ChallengeParameters."""


class DropsEverything:
    """A server that reads a request, counts it, and closes the connection without a byte."""

    def __init__(self) -> None:
        self.requests = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                if connection.recv(65536):
                    self.requests += 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def dropping() -> Iterator[DropsEverything]:
    server = DropsEverything()
    yield server
    server.close()


@pytest.fixture
def perform() -> Perform:
    return lambda transport, call: transport.perform(call, RequestContext())


@pytest.fixture
def check(perform: Perform) -> Check:
    """Checks the password of a demo user."""

    def checked(transport: CognitoTransport, username: str, number: int) -> Outcome:
        password = SecretStr(f"Correct-horse-{number}")
        return perform(transport, CheckPassword(username=username, password=password))

    return checked


@pytest.fixture
def answered(perform: Perform) -> Answer:
    """Answers a challenge with a code."""

    def answer(transport: CognitoTransport, challenge: CodeChallenge, code: str) -> Outcome:
        return perform(transport, CheckCode(challenge=challenge, code=SecretStr(code)))

    return answer


@pytest.fixture(params=["USER_SRP_AUTH", "USER_PASSWORD_AUTH"])
def either(request: pytest.FixtureRequest, sandbox: Sandbox) -> CognitoTransport:
    """A transport that proves passwords by SRP, and one that sends them."""
    return CognitoTransport(
        pool_id=sandbox.pool_id,
        client_id=sandbox.client_id,
        endpoint_url=sandbox.endpoint,
        auth_flow=request.param,
    )


@pytest.fixture
def parse() -> Parse:
    def parsed(name: str, parameters: dict[str, str] | None = None, **response: Any) -> Challenge:
        outcome = outcome_of_response(
            {
                "ChallengeName": name,
                "Session": "s" * 40,
                "ChallengeParameters": parameters,
                **response,
            },
            username="typed",
            valid_for=180,
        )
        assert isinstance(outcome, ChallengeIssued)
        return outcome.challenge

    return parsed


class SignedIn:
    """A pool with one user, ``fay``, who can sign in any number of times.

    Args:
        sandbox: local Cognito; it is running.
        settings: arguments of the transport.
    """

    def __init__(self, sandbox: Sandbox, **settings: Any) -> None:
        self.sandbox = sandbox
        transport = CognitoTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            endpoint_url=sandbox.endpoint,
            **settings,
        )
        self.service: CognitoTokenService = transport.token_service
        self._sign_in = SignIn(transport=transport, store=MemoryStore())

    def tokens(self) -> Tokens:
        """Sign in, and return the tokens."""
        event = SubmitPassword(username="fay", password="Correct-horse-1")
        step = self._sign_in.send(self._sign_in.start(), event)
        assert step.tokens is not None
        return step.tokens

    def session(self, tokens: Tokens | None = None, **more: Any) -> Session:
        """Return a session with these tokens, or with those of a new sign-in."""
        return Session(tokens or self.tokens(), self.service, **more)


def sandbox_of(**pool: Any) -> Sandbox:
    fay = UserSeed(username="fay", password=SecretStr("Correct-horse-1"))
    return Sandbox(Seed(pool=PoolSeed.model_validate(pool), users=(fay,)))


@pytest.fixture(
    params=[{}, {"client_secret": "aClientSecretOfTheUsualLength0123456789"}],
    ids=["public", "secret"],
)
def fay(request: pytest.FixtureRequest) -> Iterator[SignedIn]:
    with sandbox_of(**request.param) as sandbox:
        yield SignedIn(sandbox, **request.param)


@pytest.fixture
def rotating() -> Iterator[SignedIn]:
    """A pool that rotates refresh tokens, with ten seconds of grace."""
    with sandbox_of(refresh_rotation=True, rotation_grace_seconds=10) as sandbox:
        yield SignedIn(sandbox)
