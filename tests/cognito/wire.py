"""A boto3 client whose requests are recorded as they would leave, and answered from a table."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HTTPHeaders

from oncegate_cognito._boto import make_client

TOKENS = {"AccessToken": "access", "IdToken": "id", "RefreshToken": "refresh", "ExpiresIn": 3600}
SMS = {
    "ChallengeName": "SMS_MFA",
    "Session": "s" * 40,
    "ChallengeParameters": {"USER_ID_FOR_SRP": "the-pools-own-name"},
}
ANSWERS: dict[str, Any] = {
    "InitiateAuth": SMS,
    "AdminInitiateAuth": SMS,
    "RespondToAuthChallenge": {"AuthenticationResult": TOKENS},
    "AdminRespondToAuthChallenge": {"AuthenticationResult": TOKENS},
    "AssociateSoftwareToken": {"SecretCode": "JBSWY3DPEHPK3PXP", "Session": "t" * 40},
    "VerifySoftwareToken": {"Status": "SUCCESS", "Session": "u" * 40},
    "GetTokensFromRefreshToken": {"AuthenticationResult": TOKENS},
}
"""Answers by operation; any other is answered with an empty object."""


class Sent(NamedTuple):
    """A request: its operation, its body, and its headers with names in lower case."""

    operation: str
    body: dict[str, Any]
    headers: dict[str, str]


class _Raw(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


class RecordedClient:
    """Records what a client sends; nothing reaches a network.

    Args:
        signed: whether the client signs its requests.
        region: its region.
        answers: further answers by operation, or in place of those of the table.

    Attributes:
        boto: the boto3 client.
        sent: the requests, in order.
    """

    def __init__(self, *, signed: bool = False, region: str = "us-east-1", **answers: Any) -> None:
        self.sent: list[Sent] = []
        self.begin(**answers)
        self.boto: Any = make_client(region, None, connect_timeout=1, read_timeout=1, signed=signed)
        answer: Any = self._answer
        self.boto.meta.events.register("before-send.cognito-identity-provider", answer)

    def begin(self, **answers: Any) -> None:
        """Forget what was sent, and answer in other ways from now on."""
        self._answers = {**ANSWERS, **answers}
        self.sent = []

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        def text(value: str | bytes) -> str:
            return value.decode() if isinstance(value, bytes) else str(value)

        headers = {name.lower(): text(value) for name, value in request.headers.items()}
        operation = headers["x-amz-target"].rpartition(".")[2]
        body: Any = request.body
        self.sent.append(Sent(operation, json.loads(body), headers))
        answer = self._answers.get(operation, {})
        status = 400 if "__type" in answer else 200
        kind = HTTPHeaders.from_dict({"Content-Type": "application/x-amz-json-1.1"})
        return AWSResponse(request.url, status, kind, _Raw(json.dumps(answer).encode()))


@cache
def _client(signed: bool) -> RecordedClient:
    return RecordedClient(signed=signed)


def recorded(*, signed: bool = False, **answers: Any) -> RecordedClient:
    """Return a client that has sent nothing. Tests share it: making one takes 0.2 s."""
    client = _client(signed)
    client.begin(**answers)
    return client
