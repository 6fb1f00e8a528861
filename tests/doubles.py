"""Test doubles: a clock, a store with readable rows, and a boto3 client without a network."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import botocore.exceptions as aws

from oncegate import Factor, SubmitCode, SubmitPassword, Tokens
from oncegate.adapters import ChallengeIssued, CodeChallenge, StoredRecord, TokensIssued
from oncegate.challenges import Delivery
from oncegate.testing import ScriptedTransport
from oncegate_sandbox.errors import CognitoError
from oncegate_sandbox.pool import Pool

__all__ = ["ScriptedTransport"]

USERNAME = "ana"
PASSWORD = "Correct-horse-1"
EPOCH = "00000000"
REPEATED = frozenset({"throttled", "unreachable", "no connection"})
"""Faults of `InProcessClient` after which the transport sends the request once more."""


class ManualClock:
    """A clock that moves when a test advances it, or when the code under test sleeps."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def advance(self, seconds: float) -> None:
        self.time += seconds


class DictStore:
    """A record store whose rows tests can read, replace and lose.

    Attributes:
        rows: the rows.
        now_epoch: the epoch, which a test changes when it loses rows.
    """

    def __init__(self) -> None:
        self.rows: dict[str, StoredRecord] = {}
        self.now_epoch = EPOCH
        self._lock = threading.Lock()

    def load(self, key: str) -> StoredRecord | None:
        return self.rows.get(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        if row.epoch not in {None, self.now_epoch}:
            return False
        with self._lock:
            stored = self.rows.get(key)
            if (stored.version if stored else 0) != expected:
                return False
            self.rows[key] = row
            return True

    def epoch(self, key: str) -> str:
        return self.now_epoch

    def now(self) -> float:
        return time.time()


class UnconditionalStore(DictStore):
    """A store whose swap does not compare versions: the later save wins."""

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        self.rows[key] = row
        return True


def password(value: str = PASSWORD, username: str = USERNAME) -> SubmitPassword:
    return SubmitPassword.model_validate({"username": username, "password": value})


def code(value: str = "123456") -> SubmitCode:
    return SubmitCode.model_validate({"code": value})


def a_text(session: str = "s" * 40, **more: Any) -> ChallengeIssued:
    """Return a challenge whose code was sent by SMS."""
    return ChallengeIssued(
        challenge=CodeChallenge.model_validate(
            {
                "kind": Factor.SMS,
                "session": session,
                "username": "the-pools-own-name",
                "delivery": Delivery(medium="SMS", destination="+*******1234"),
                **more,
            }
        )
    )


def the_tokens() -> TokensIssued:
    return TokensIssued(
        tokens=Tokens(access_token="eyJhY2Nlc3M", id_token="eyJpZA", refresh_token="refresh")
    )


class InProcessClient:
    """A boto3 client without a network: it passes requests to a sandbox pool, and can inject faults.

    Args:
        pool: performs the requests.

    Attributes:
        faults: faults of the next requests, one for each: ``lost`` (the response), ``throttled``,
            ``unreachable``, ``no connection`` (in time), ``reset`` (after the request left), ``broken``
            (HTTP 500), ``blocked`` (by a firewall in front of Cognito); None for no fault.
        requests: requests that reached the pool.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.faults: deque[str | None] = deque()
        self.requests: list[tuple[str, Mapping[str, Any]]] = []
        self.meta = SimpleNamespace(
            config=SimpleNamespace(
                retries={"mode": "standard", "total_max_attempts": 1},
                connect_timeout=3,
                read_timeout=15,
            )
        )

    def __getattr__(self, method: str) -> Callable[..., Any]:
        words = ("MFA" if word == "mfa" else word.capitalize() for word in method.split("_"))
        operation = "".join(words)
        return lambda **request: self._request(operation, request)

    def _request(self, operation: str, request: Mapping[str, Any]) -> Any:
        fault = self.faults.popleft() if self.faults else None
        if fault == "unreachable":
            raise aws.EndpointConnectionError(endpoint_url="http://nowhere")
        if fault == "no connection":
            raise aws.ConnectTimeoutError(endpoint_url="http://nowhere")
        if fault == "throttled":
            raise _client_error(operation, "TooManyRequestsException", "Rate exceeded", 400)
        if fault == "blocked":
            raise _client_error(operation, "ForbiddenException", "Request not allowed", 403)
        self.requests.append((operation, request))
        try:
            response = self._pool.perform(operation, request)
        except CognitoError as error:
            raise _client_error(operation, error.code, error.message, error.status) from None
        if fault == "lost":
            raise aws.ReadTimeoutError(endpoint_url="http://nowhere")
        if fault == "reset":
            raise aws.ConnectionClosedError(endpoint_url="http://nowhere")
        if fault == "broken":
            raise _client_error(operation, "InternalErrorException", "Something went wrong", 500)
        return response


def _client_error(operation: str, name: str, message: str, status: int) -> aws.ClientError:
    response: Any = {
        "Error": {"Code": name, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return aws.ClientError(response, operation)
