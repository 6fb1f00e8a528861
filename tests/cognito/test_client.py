"""The client sends once, whatever the environment says, and its failures are told apart."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import botocore
import pytest
from botocore.config import Config

from oncegate import Misconfigured
from oncegate.adapters import CheckPassword, NotSent, OutcomeUnknown
from oncegate_cognito import CognitoTransport
from oncegate_cognito.client import check_client, make_client

CALL = CheckPassword.model_validate({"username": "ana", "password": "x"})


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


def transport(
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
def test_a_lost_response_is_one_request(
    dropping: DropsEverything, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    outcome = transport(dropping.endpoint).perform(CALL)
    assert isinstance(outcome, OutcomeUnknown)
    assert dropping.requests == 1


def test_a_connection_that_was_never_made_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outcome = transport(f"http://127.0.0.1:{port}").perform(CALL)
    assert outcome == NotSent(cause="unreachable", detail="EndpointConnectionError")


def test_a_name_that_does_not_resolve_was_never_sent() -> None:
    outcome = transport("http://cognito.invalid").perform(CALL)
    assert isinstance(outcome, NotSent)


def test_a_response_that_takes_too_long_is_unknown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        outcome = transport(endpoint, read_timeout=0.2).perform(CALL)
    assert outcome == OutcomeUnknown(detail="ReadTimeoutError")


def test_a_connection_that_takes_too_long_was_never_sent() -> None:
    # A listening socket whose queue is full lets nobody in; nothing has been sent to it.
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
        outcome = transport(endpoint, connect_timeout=0.2).perform(CALL)
        for waiting in queued:
            waiting.close()
    assert outcome == NotSent(cause="unreachable", detail="ConnectTimeoutError")


@pytest.mark.parametrize(
    "retries", [None, {"mode": "standard"}, {"total_max_attempts": 2}, {"max_attempts": 1}], ids=str
)
def test_a_client_that_repeats_requests_is_refused(retries: Any) -> None:
    config = Config(signature_version=botocore.UNSIGNED, retries=retries)
    client = boto3.client("cognito-idp", region_name="us-east-1", config=config)
    with pytest.raises(Misconfigured, match="total_max_attempts"):
        CognitoTransport(pool_id="us-east-1_Pool1", client_id="client1", client=client)


def test_a_client_that_sends_once_is_taken() -> None:
    config = Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
    client = boto3.client("cognito-idp", region_name="us-east-1", config=config)
    CognitoTransport(pool_id="us-east-1_Pool1", client_id="client1", client=client)


def test_it_is_unsigned_and_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    client = make_client("eu-west-1", None, connect_timeout=1, read_timeout=1)
    config: Any = client.meta.config
    assert config.signature_version is botocore.UNSIGNED
    assert client.meta.region_name == "eu-west-1"
    check_client(client)
