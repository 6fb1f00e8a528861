"""Users for the rows: each with a public address, and few enough codes for the default budget."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from functools import cache

from oncegate import Factor, RequestContext, Step, SubmitCode, SubmitPassword, Tokens
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    CheckPassword,
    CodeChallenge,
    Outcome,
    TokensIssued,
)
from oncegate.challenges import Delivery
from oncegate.testing import ScriptedTransport

USER_PASSWORD = "Correct-horse-1"
CODE = SubmitCode.model_validate({"code": "123456"})

Visit = tuple[SubmitPassword, RequestContext]


def visits(rounds: int) -> Iterator[Visit]:
    """Return passwords of different users, endlessly, each with the request that brings it.

    Args:
        rounds: number of visits that will be taken. One in four is a user's first, so that most users
            are known. Each user has four or five; the default budget allows 10 codes an hour.
    """
    users = max(rounds // 4, 4)
    return itertools.cycle([(password_of(number), request_of(number)) for number in range(users)])


def expect(step: Step, state: str) -> None:
    """Raise AssertionError unless a step has a state; it says what the user is told instead."""
    told = step.message.code if step.message else ""
    assert step.state == state, f"{step.state} {told}, not {state}"


def username(number: int) -> str:
    """Return the name of a user, as `tests.benchmarks.sign_ins.remote_sandbox` seeds it."""
    return f"user{number}"


def password_of(number: int) -> SubmitPassword:
    """Return a user's event."""
    return SubmitPassword.model_validate({"username": username(number), "password": USER_PASSWORD})


def request_of(number: int) -> RequestContext:
    """Return a user's request: from a network that is reserved for benchmarks (RFC 2544)."""
    high, low = divmod(number, 250)
    return RequestContext(source_address=f"198.{18 + high // 250}.{high % 250}.{low + 1}")


class Answering(ScriptedTransport):
    """Cognito for rows that leave it out: any password is right and causes a code, as is any code.

    Args:
        seconds: duration of each call. Default: none.
        asks: whether to ask if a code may be sent, as oncegate_cognito does within a call by SRP.
    """

    def __init__(self, seconds: float = 0.0, *, asks: bool = False) -> None:
        super().__init__()
        self._seconds = seconds
        self._asks = asks

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        """Return the outcome. The call is not recorded: a row makes many."""
        if self._seconds:
            time.sleep(self._seconds)
        if not isinstance(call, CheckPassword):
            return _TOKENS
        assert not self._asks or context.may_send(call.username)
        return code_sent(call.username)


@cache
def code_sent(username: str = "ana") -> ChallengeIssued:
    """Return the outcome of a password that was accepted, and of which a code was sent."""
    return ChallengeIssued(
        challenge=CodeChallenge.model_validate(
            {
                "kind": Factor.SMS,
                "session": "A" * 900,  # as long as Cognito's
                "username": username,
                "delivery": Delivery(medium="SMS", destination="+*******1234"),
            }
        )
    )


_TOKENS = TokensIssued(
    tokens=Tokens(access_token="A" * 1000, id_token="A" * 1200, refresh_token="A" * 1800)
)
