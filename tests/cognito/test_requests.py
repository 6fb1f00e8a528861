"""Each request is sent once, whatever the environment says, and failures are distinguished."""

from __future__ import annotations

import socket

import pytest
from pydantic import SecretStr
from tests.cognito.conftest import DropsEverything, Perform

from oncegate.adapters import CheckPassword, NotSent, OutcomeUnknown
from oncegate_cognito import CognitoTransport

CALL = CheckPassword(username="ana", password=SecretStr("x"))


def transport_to(
    endpoint: str, *, connect_timeout: float = 3.0, read_timeout: float = 15.0
) -> CognitoTransport:
    return CognitoTransport(
        pool_id="us-east-1_Pool1",
        client_id="client1",
        endpoint_url=endpoint,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
    )


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AWS_MAX_ATTEMPTS": "5"},
        {"AWS_RETRY_MODE": "adaptive", "AWS_MAX_ATTEMPTS": "10"},
        {"AWS_RETRY_MODE": "legacy"},
        {"AWS_NEW_RETRIES_2026": "true"},
    ],
    ids=str,
)
def test_lost_response_is_one_request(
    dropping: DropsEverything,
    perform: Perform,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert isinstance(perform(transport_to(dropping.endpoint), CALL), OutcomeUnknown)
    assert dropping.requests == 1


def test_refused_connection_is_not_sent(perform: Perform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    outcome = perform(transport_to(endpoint), CALL)
    detail = f"EndpointConnectionError: {endpoint}/"
    assert outcome == NotSent(cause="unreachable", detail=detail)


def test_unresolvable_name_is_not_sent(perform: Perform) -> None:
    assert isinstance(perform(transport_to("https://cognito.invalid"), CALL), NotSent)


def test_slow_response_is_unknown(perform: Perform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        outcome = perform(transport_to(endpoint, read_timeout=0.2), CALL)
    # It is the first half of SRP, which cannot have sent a code.
    assert outcome == OutcomeUnknown(detail=f"ReadTimeoutError: {endpoint}/", can_have_sent=False)


def test_slow_connection_is_not_sent(perform: Perform) -> None:
    # A listening socket whose queue is full completes no connection, so nothing is sent to it.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        queued = []
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
            queued.append(waiting)
        endpoint = f"http://127.0.0.1:{full.getsockname()[1]}"
        outcome = perform(transport_to(endpoint, connect_timeout=0.2), CALL)
        for waiting in queued:
            waiting.close()
    assert outcome == NotSent(cause="unreachable", detail=f"ConnectTimeoutError: {endpoint}/")
