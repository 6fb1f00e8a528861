"""The conformance suite of transports, and a transport with prepared outcomes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from oncegate.challenges import Call, CheckCode, CheckPassword, CodeChallenge
from oncegate.context import RequestContext
from oncegate.outcomes import (
    ChallengeIssued,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    TokensIssued,
)
from oncegate.ports import Finding, TokenService, Transport
from oncegate.ways_in import WaysIn


class ScriptedTransport:
    """A transport with prepared outcomes, which records its calls.

    Args:
        outcomes: outcomes of the first call, the second, …; a callable is called with the call.

    Attributes:
        calls: the calls, in order.
        contexts: the request context of each call.
        findings: what `check` returns.
    """

    app_id = "scripted"
    max_call_seconds = 30.0
    is_passwordless = False
    ways_in = WaysIn()
    token_service: TokenService | None = None

    def __init__(self, *outcomes: Outcome | Callable[[Call], Outcome]) -> None:
        self.outcomes = deque(outcomes)
        self.calls: list[Call] = []
        self.contexts: list[RequestContext] = []
        self.findings: list[Finding] = []

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        """Record the call, and return the next outcome."""
        self.calls.append(call)
        self.contexts.append(context)
        outcome = self.outcomes.popleft()
        return outcome(call) if callable(outcome) else outcome

    def check(self) -> list[Finding]:
        """Return the findings."""
        return list(self.findings)


class SentMessage(Protocol):
    """An SMS or email that a local Cognito sent."""

    @property
    def username(self) -> str: ...
    @property
    def medium(self) -> str: ...
    @property
    def destination(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def sent_at(self) -> datetime: ...


class LocalCognito(Protocol):
    """What the suite needs of a local Cognito; `oncegate_sandbox.Sandbox` is one."""

    @property
    def endpoint(self) -> str: ...
    @property
    def pool_id(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    def messages(self) -> Sequence[SentMessage]: ...
    def calls(self) -> Mapping[str, int]: ...
    def lose_next_response(self, operation: str) -> None: ...


class TransportConformance:
    """What the driver relies on: each call is performed once, and its outcome is the right one.

    The pool must have a user ``ana`` with the password ``Correct-horse-1`` and a phone, as the
    sandbox has without a seed.
    """

    sending_operation = "RespondToAuthChallenge"
    """The operation that makes Cognito send, with the way in which this transport proves a password."""

    def cognito(self) -> AbstractContextManager[LocalCognito]:
        """Return a Cognito for one test, such as ``Sandbox()``."""
        raise NotImplementedError

    def make(self, *, pool_id: str, client_id: str, endpoint_url: str) -> Transport:
        """Return the transport under test."""
        raise NotImplementedError

    def _at(self, cognito: LocalCognito) -> Transport:
        return self.make(
            pool_id=cognito.pool_id, client_id=cognito.client_id, endpoint_url=cognito.endpoint
        )

    def _password(self, value: str = "Correct-horse-1") -> CheckPassword:
        return CheckPassword(username="ana", password=SecretStr(value))

    def test_code_is_accepted_once(self) -> None:
        with self.cognito() as cognito:
            transport = self._at(cognito)
            outcome = transport.perform(self._password(), RequestContext())
            assert isinstance(outcome, ChallengeIssued)
            challenge = outcome.challenge
            assert isinstance(challenge, CodeChallenge)
            assert challenge.delivery is not None
            (message,) = cognito.messages()
            wrong = "".join(str((int(digit) + 1) % 10) for digit in message.code)
            refused = transport.perform(
                CheckCode(challenge=challenge, code=SecretStr(wrong)), RequestContext()
            )
            assert isinstance(refused, Rejected)
            assert refused.reason is RejectionReason.WRONG_CODE
            right = CheckCode(challenge=challenge, code=SecretStr(message.code))
            assert isinstance(transport.perform(right, RequestContext()), TokensIssued)
            again = transport.perform(right, RequestContext())
            assert isinstance(again, Rejected)
            assert again.reason is RejectionReason.CHALLENGE_DEAD

    def test_wrong_password_is_rejected(self) -> None:
        with self.cognito() as cognito:
            outcome = self._at(cognito).perform(self._password("wrong"), RequestContext())
            assert isinstance(outcome, Rejected)
            assert outcome.reason is RejectionReason.WRONG_CREDENTIALS
            assert cognito.messages() in ([], ())

    def test_lost_response_is_unknown_and_not_repeated(self) -> None:
        with self.cognito() as cognito:
            cognito.lose_next_response(self.sending_operation)
            assert isinstance(
                self._at(cognito).perform(self._password(), RequestContext()), OutcomeUnknown
            )
            assert len(cognito.messages()) == 1
            assert cognito.calls()[self.sending_operation] == 1

    def test_unreachable_cognito_is_not_sent(self) -> None:
        with self.cognito() as cognito:
            transport = self._at(cognito)
        assert isinstance(transport.perform(self._password(), RequestContext()), NotSent)

    def test_longest_call_is_bounded(self) -> None:
        with self.cognito() as cognito:
            assert 0 < self._at(cognito).max_call_seconds < 600

    def test_check_of_a_working_set_up_sends_nothing(self) -> None:
        with self.cognito() as cognito:
            assert all(finding.status == "ok" for finding in self._at(cognito).check())
            assert cognito.messages() in ([], ())

    def test_check_of_an_unknown_client_fails_with_the_cure(self) -> None:
        with self.cognito() as cognito:
            transport = self.make(
                pool_id=cognito.pool_id, client_id="nosuchclient", endpoint_url=cognito.endpoint
            )
            found = transport.check()
            assert not found or any(finding.status == "failed" for finding in found)
            assert all(finding.cure for finding in found if finding.status != "ok")

    def test_check_raises_nothing_if_cognito_is_unreachable(self) -> None:
        with self.cognito() as cognito:
            transport = self._at(cognito)
        found = transport.check()
        assert not found or any(finding.status == "failed" for finding in found)
        assert all(finding.cure for finding in found if finding.status != "ok")
