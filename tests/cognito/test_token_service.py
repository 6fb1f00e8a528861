"""Renewals, checks and revocations end in time, with an error that says what failed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from pydantic import SecretStr
from tests.cognito.conftest import Perform, SignedIn
from tests.cognito.servers import Server, answering, dripping, response

from oncegate import Tokens, Unreachable
from oncegate.adapters import (
    Call,
    ConfirmSignUp,
    OutcomeUnknown,
    RequestCode,
    SendCode,
    SignUpConfirmation,
)
from oncegate_cognito import CognitoTokenService, CognitoTransport, TokenVerifier

TOKENS = Tokens(access_token="an-access-token", refresh_token="a-refresh-token", device_key="a-key")
LIMIT = 1.0

Operation = Callable[[CognitoTokenService], Any]
OPERATIONS: dict[str, Operation] = {
    "renew": lambda service: service.renew(TOKENS),
    "check": lambda service: service.check(TOKENS),
    "revoke": lambda service: service.revoke(TOKENS),
    "sign_out_everywhere": lambda service: service.sign_out_everywhere(TOKENS),
    "devices": lambda service: service.devices(TOKENS),
    "forget_device": lambda service: service.forget_device(TOKENS, "a-key"),
}


def transport_to(endpoint: str, **more: Any) -> CognitoTransport:
    return CognitoTransport(
        pool_id="us-east-1_Pool1", client_id="client1", endpoint_url=endpoint, **more
    )


def service_of(endpoint: str, **more: Any) -> CognitoTokenService:
    return transport_to(endpoint, token_timeout=LIMIT, **more).token_service


PAGE = response(b"<html>Sign in to this network</html>", "text/html; charset=utf-8")
NOT_JSON = response(b"<html>Sign in to this network</html>")
LIST = response(b"[]")
RESULTS: list[Any] = [
    {},
    [],
    "tokens",
    {"AccessToken": ""},
    {"AccessToken": 5},
    {"AccessToken": "a", "ExpiresIn": "soon"},
    {"AccessToken": "a", "RefreshToken": {}},
]
MALFORMED = [
    *((operation, PAGE) for operation in OPERATIONS),
    *((operation, response(b"{}")) for operation in ("renew", "check")),
    *((operation, NOT_JSON) for operation in ("renew", "check")),
    *((operation, LIST) for operation in ("renew", "check", "devices")),
    *(
        ("renew", response(json.dumps({"AuthenticationResult": result}).encode()))
        for result in RESULTS
    ),
    ("check", response(b'{"Username":null}')),
    ("devices", response(b'{"Devices":[{}]}')),
    ("devices", response(b'{"Devices":[{"DeviceKey":"k","DeviceAttributes":[{}]}]}')),
    ("renew", b"not HTTP\r\n\r\n"),
    ("renew", response(b"", status=502)),
    ("renew", response(b"<html>Bad gateway</html>", "text/html", status=502)),
]


@pytest.mark.parametrize(("operation", "answer"), MALFORMED, ids=str)
def test_malformed_response_is_unreachable(operation: str, answer: bytes) -> None:
    with answering(answer) as server, pytest.raises(Unreachable) as raised:
        OPERATIONS[operation](service_of(server.endpoint))
    assert "a-refresh-token" not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize("call", ["ConfirmSignUp", "SendCode"])
def test_page_of_a_proxy_confirms_nothing(call: str, perform: Perform) -> None:
    challenge = SignUpConfirmation(username="ana")
    calls: dict[str, Call] = {
        "ConfirmSignUp": ConfirmSignUp(challenge=challenge, code=SecretStr("123456")),
        "SendCode": SendCode(challenge=challenge),
    }
    with answering(PAGE) as server:
        outcome = perform(transport_to(server.endpoint), calls[call])
    assert outcome == OutcomeUnknown(detail="MalformedResponse: a page in HTML")


def test_response_without_what_a_call_needs_is_unknown(perform: Perform) -> None:
    challenge = {
        "kind": "MFA_SETUP",
        "factors": ["SOFTWARE_TOKEN_MFA"],
        "session": "s" * 20,
        "username": "ana",
    }
    call = RequestCode.model_validate({"challenge": challenge, "factor": "SOFTWARE_TOKEN_MFA"})
    with answering(response(b"{}")) as server:
        outcome = perform(transport_to(server.endpoint), call)
    assert outcome == OutcomeUnknown(detail="malformed response: KeyError")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_call_that_drips_is_given_up(operation: str) -> None:
    with dripping(response(b"{}"), every=0.1) as server:
        service = service_of(server.endpoint)
        began = time.monotonic()
        with pytest.raises(Unreachable):
            OPERATIONS[operation](service)
    assert service.max_call_seconds == LIMIT
    assert time.monotonic() - began <= LIMIT + 2  # a busy machine


def test_pages_of_devices_without_end_are_given_up() -> None:
    page = b'{"Devices":[],"PaginationToken":"again"}'
    with answering(response(page)) as server:
        service = service_of(server.endpoint)
        began = time.monotonic()
        with pytest.raises(Unreachable):
            service.devices(TOKENS)
    assert time.monotonic() - began <= LIMIT + 9  # a busy machine


def seconds_until_unreachable(threads: int, call: Callable[[], object]) -> list[float]:
    """Call in so many threads at once, and return the time that each takes to fail."""

    def fail(_: int) -> float:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            call()
        return time.monotonic() - began

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(fail, range(threads)))


def test_sixty_renewals_that_hang_end_in_time() -> None:
    server = Server()
    service = service_of(server.endpoint)

    seconds = seconds_until_unreachable(60, lambda: service.renew(TOKENS))
    server.close()
    assert max(seconds) <= LIMIT + 9  # sixty threads start at once


class TestKeys:
    ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Pool1"

    def verifier(self, endpoint: str, timeout: float = LIMIT) -> TokenVerifier:
        return TokenVerifier(
            pool_id="us-east-1_Pool1", client_id="client1", endpoint_url=endpoint, timeout=timeout
        )

    def verifier_of(self, fay: SignedIn, endpoint: str, timeout: float = LIMIT) -> TokenVerifier:
        """Return a verifier that fetches the keys of fay's pool from an endpoint."""
        return TokenVerifier(
            pool_id=fay.sandbox.pool_id,
            client_id=fay.sandbox.client_id,
            issuer=f"{fay.sandbox.endpoint}/{fay.sandbox.pool_id}",
            jwks_url=f"{endpoint}/{fay.sandbox.pool_id}/.well-known/jwks.json",
            timeout=timeout,
        )

    @pytest.fixture
    def token(self) -> str:
        return jwt.encode({"iss": self.ISSUER}, "k" * 64, headers={"kid": "one"})

    @pytest.mark.parametrize(
        "answer",
        [
            PAGE,
            NOT_JSON,
            LIST,
            response(b"{}"),
            response(b'{"keys":[]}'),
            response(b'{"keys":[{}]}'),
            response(b'{"keys":"none"}'),
            response(b"", status=503),
            b"not HTTP\r\n\r\n",
        ],
        ids=str,
    )
    def test_malformed_keys_are_not_an_invalid_token(self, answer: bytes, token: str) -> None:
        with answering(answer) as server, pytest.raises(Unreachable):
            self.verifier(server.endpoint).verify(token)

    def test_keys_without_an_id_are_not_kept(self, fay: SignedIn) -> None:
        key = {"kty": "oct", "k": "AAAA"}
        tokens = fay.tokens()
        with answering(response(json.dumps({"keys": [key]}).encode())) as server:
            verifier = self.verifier_of(fay, server.endpoint)
            with pytest.raises(Unreachable):
                verifier.verify(tokens.access_token)
            time.sleep(1.1)
            with pytest.raises(Unreachable):
                verifier.verify(tokens.access_token)
        assert server.requests == 2

    def test_keys_that_drip_are_given_up_by_all_who_wait(self, token: str) -> None:
        with dripping(response(b'{"keys":[]}'), every=0.2) as server:
            verifier = self.verifier(server.endpoint)
            seconds = seconds_until_unreachable(20, lambda: verifier.verify(token))
            assert max(seconds) <= LIMIT + 9
            assert server.requests == 1

    def test_slow_resolver_is_given_up(self, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
        release = threading.Event()

        def hangs(*_: Any, **__: Any) -> Any:
            release.wait(10)
            raise socket.gaierror

        monkeypatch.setattr(socket, "getaddrinfo", hangs)
        began = time.monotonic()
        with pytest.raises(Unreachable):
            self.verifier("http://localhost:1").verify(token)
        assert time.monotonic() - began <= LIMIT + 9
        release.set()

    def test_keys_are_fetched_again_after_a_failure(self, fay: SignedIn) -> None:
        tokens = fay.tokens()
        port = int(fay.sandbox.endpoint.rpartition(":")[2])
        is_down = True

        def serve(connection: socket.socket) -> None:
            request = connection.recv(65536)
            if is_down:
                return
            with socket.create_connection(("127.0.0.1", port)) as onward:
                onward.sendall(
                    request.replace(b"Host: 127.0.0.1", b"Connection: close\r\nHost: 127.0.0.1")
                )
                while data := onward.recv(65536):
                    connection.sendall(data)

        server = Server(serve)
        verifier = self.verifier_of(fay, server.endpoint, timeout=5)
        with pytest.raises(Unreachable):
            verifier.verify(tokens.access_token)
        is_down = False
        with pytest.raises(Unreachable, match="public keys"):
            verifier.verify(tokens.access_token)
        time.sleep(1.1)
        assert verifier.verify(tokens.access_token)["username"] == "fay"
        server.close()
