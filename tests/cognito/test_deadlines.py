"""A whole call ends in time, and no request leaves after that, whatever DNS and servers do."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore
import jwt
import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from tests.cognito.conftest import DropsEverything, Perform
from tests.cognito.servers import (
    Relay,
    Server,
    answering,
    dead_address,
    dripping,
    pump,
    response,
    tls_context,
)
from tests.doubles import InProcessClient

from oncegate import Misconfigured, RequestContext, SignIn, SubmitPassword
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    CheckPassword,
    ExchangeCode,
    NotSent,
    Outcome,
    OutcomeUnknown,
    ProviderChallenge,
)
from oncegate_cognito import AdminCognitoTransport, CognitoTransport, ManagedLogin
from oncegate_sandbox import DEMO_SEED, Pool, Sandbox, SandboxClock
from oncegate_stores import MemoryStore

CALL = CheckPassword(username="ana", password=SecretStr("Correct-horse-1"))
LIMIT = 1.0
NAME = "cognito.test"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

Resolve = Callable[..., list[Any]]


def transport_to(endpoint: str, **more: Any) -> CognitoTransport:
    settings: dict[str, Any] = {
        "pool_id": "us-east-1_Pool1",
        "client_id": "client1",
        "endpoint_url": endpoint,
        "auth_flow": "USER_PASSWORD_AUTH",
        "allow_insecure_endpoint": True,
        "call_timeout": LIMIT,
        **more,
    }
    return CognitoTransport(**settings)


def timed(
    transport: CognitoTransport, perform: Perform, call: Call = CALL
) -> tuple[Outcome, float]:
    began = time.monotonic()
    outcome = perform(transport, call)
    return outcome, time.monotonic() - began


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Resolve], None]:
    """Replaces the resolver, for the one name that the tests look up."""
    real = socket.getaddrinfo

    def install(fake: Resolve) -> None:
        def getaddrinfo(host: Any, *args: Any, **more: Any) -> Any:
            return fake() if host == NAME else real(host, *args, **more)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return install


def advance(monkeypatch: pytest.MonkeyPatch, clock: str, seconds: float) -> None:
    """Advance one of the two clocks, for the transport alone."""
    from oncegate_cognito import _deadlines

    real = getattr(time, clock)
    clocks = {"time": time.time, "monotonic": time.monotonic, clock: lambda: real() + seconds}
    monkeypatch.setattr(_deadlines, "time", SimpleNamespace(**clocks))


def found(*addresses: tuple[str, int]) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]


def test_max_call_seconds_is_the_limit_of_a_call() -> None:
    assert transport_to("http://localhost", call_timeout=7).max_call_seconds == 7.0
    default = CognitoTransport(pool_id="us-east-1_Pool1", client_id="client1")
    # With a margin before it, to start, and one after it, to save, a lease has 30 s.
    assert default.max_call_seconds == 15.0


@pytest.mark.parametrize("name", ["call_timeout", "token_timeout"])
@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan")])
def test_limit_that_is_none_is_misconfigured(name: str, wrong: float) -> None:
    with pytest.raises(Misconfigured, match=name):
        transport_to("http://localhost", **{name: wrong})


def test_call_that_begins_after_its_deadline_sends_nothing(server: Server) -> None:
    """A worker can be suspended between the driver's last look at the clock and the call."""
    transport = transport_to(server.endpoint)
    outcome = transport.perform(CALL, RequestContext(deadline=time.time() - 0.1))
    assert isinstance(outcome, NotSent)
    assert server.received == b""
    transport.perform(CALL, RequestContext(deadline=time.time() + 60))
    assert b"Correct-horse-1" in server.received


class TestDns:
    def test_slow_resolver_is_given_up_and_nothing_leaves_later(
        self, server: Server, resolve: Callable[[Resolve], None], perform: Perform
    ) -> None:
        def slow() -> list[Any]:
            time.sleep(2.5 * LIMIT)
            return found(server.address)

        resolve(slow)
        outcome, seconds = timed(transport_to(f"http://{NAME}:1"), perform)
        assert isinstance(outcome, NotSent)
        assert seconds <= LIMIT + 1  # a busy machine
        time.sleep(2.5 * LIMIT)  # the look-up has ended meanwhile
        assert server.accepted == 0

    def test_sign_ins_at_once_share_one_look_up(
        self, server: Server, resolve: Callable[[Resolve], None], perform: Perform
    ) -> None:
        look_ups: list[str] = []
        release = threading.Event()

        def hangs() -> list[Any]:
            look_ups.append(threading.current_thread().name)
            release.wait(10)
            return found(server.address)

        resolve(hangs)
        transport = transport_to(f"http://{NAME}:1")
        with ThreadPoolExecutor(20) as threads:
            outcomes = list(threads.map(lambda _: perform(transport, CALL), range(20)))
        assert all(isinstance(outcome, NotSent) for outcome in outcomes)
        assert len(look_ups) == 1
        release.set()

    def test_36_dead_addresses_are_given_up_and_the_living_one_is_not_sent_to_later(
        self, server: Server, resolve: Callable[[Resolve], None], perform: Perform
    ) -> None:
        with dead_address() as dead:
            resolve(lambda: found(*[dead] * 36, server.address))
            transport = transport_to(f"http://{NAME}:1", connect_timeout=0.2)
            outcome, seconds = timed(transport, perform)
        assert isinstance(outcome, NotSent)
        assert seconds <= LIMIT + 1  # a busy machine
        time.sleep(0.3)
        assert server.received == b""

    def test_dead_address_does_not_take_the_time_of_the_living_one(
        self, resolve: Callable[[Resolve], None], perform: Perform
    ) -> None:
        with dead_address() as dead, answering(response(b"{}")) as living:
            resolve(lambda: found(dead, dead, living.address))
            transport = transport_to(f"http://{NAME}:1", connect_timeout=2, call_timeout=6)
            outcome = perform(transport, CALL)
        assert isinstance(outcome, OutcomeUnknown)  # it sent, and the response has nothing in it
        assert living.requests == 1

    def test_first_click_does_not_send_once_the_user_can_start_over(
        self, sandbox: Sandbox, resolve: Callable[[Resolve], None]
    ) -> None:
        port = int(sandbox.endpoint.rpartition(":")[2])
        with dead_address() as dead:
            resolve(lambda: found(*[dead] * 36, ("127.0.0.1", port)))
            transport = transport_to(
                f"http://{NAME}:{port}",
                pool_id=sandbox.pool_id,
                client_id=sandbox.client_id,
                connect_timeout=0.3,
            )
            sign_in = SignIn(transport=transport, store=MemoryStore(), listeners=[])
            event = SubmitPassword(username="ana", password="Correct-horse-1")
            step = sign_in.send(sign_in.start(), event)
        assert step.state == "idle"
        assert step.message is not None
        assert step.message.code == "unreachable"
        assert sandbox.calls() == {}


DRIPS = {
    "headers": response(b"{}"),
    "body": response(b"x" * 500),
    "body_without_length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 500,
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500,
}


class TestSlowServers:
    @pytest.mark.parametrize("what", DRIPS)
    def test_response_that_arrives_byte_by_byte_is_given_up(
        self, what: str, perform: Perform
    ) -> None:
        head, _, body = DRIPS[what].partition(b"\r\n\r\n")
        at_once = b"" if what == "headers" else head + b"\r\n\r\n"
        slowly = DRIPS[what] if what == "headers" else body

        def serve(connection: socket.socket) -> None:
            drip.read_request(connection)
            connection.sendall(at_once)
            for byte in slowly:
                connection.sendall(bytes([byte]))
                time.sleep(0.1)

        drip = Server(serve)
        outcome, seconds = timed(transport_to(drip.endpoint, read_timeout=0.5), perform)
        drip.close()
        assert outcome == OutcomeUnknown(detail=f"ReadTimeoutError: {drip.endpoint}/")
        assert seconds <= LIMIT + 1  # a busy machine
        assert drip.requests == 1

    def test_byte_that_comes_too_late_is_not_waited_for(self, perform: Perform) -> None:
        with dripping(response(b"{}"), every=1.5) as server:
            outcome, seconds = timed(transport_to(server.endpoint), perform)
        assert isinstance(outcome, OutcomeUnknown)
        assert seconds <= LIMIT + 1  # a busy machine

    def test_tls_handshake_that_never_ends_is_not_sent(
        self, server: Server, perform: Perform
    ) -> None:
        url = server.endpoint.replace("http:", "https:")
        outcome, seconds = timed(transport_to(url, connect_timeout=0.4), perform)
        assert isinstance(outcome, NotSent)
        assert seconds <= LIMIT + 1  # a busy machine

    def test_tls_failure_is_not_sent(self, perform: Perform) -> None:
        server = Server(lambda connection: connection.sendall(b"HTTP/1.1 400 not TLS\r\n\r\n"))
        url = server.endpoint.replace("http:", "https:")
        outcome = perform(transport_to(url), CALL)
        server.close()
        assert outcome == NotSent(cause="unreachable", detail="NeverSent: SSLError")

    def test_proxy_that_never_answers_is_not_sent(
        self, server: Server, perform: Perform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", server.endpoint)
        transport = transport_to("https://cognito.example", connect_timeout=0.4)
        outcome, seconds = timed(transport, perform)
        assert isinstance(outcome, NotSent)
        assert seconds <= LIMIT + 1  # a busy machine
        assert server.received.startswith(b"CONNECT cognito.example:443")


EXCHANGE = ExchangeCode(
    challenge=ProviderChallenge(
        provider="Google",
        url="https://auth.example.com/oauth2/authorize",
        state=SecretStr("state"),
        verifier=SecretStr("verifier"),
        nonce=SecretStr("nonce"),
    ),
    code=SecretStr("the-authorization-code"),
)


def exchanging_at(domain: str, **more: Any) -> CognitoTransport:
    """Return a transport whose pool has this domain. Its Cognito is never reached."""
    login = ManagedLogin(domain=domain, redirect_uri="https://app.example.com/callback")
    return transport_to("http://127.0.0.1:1", managed_login=login, **more)


class TestTokenEndpoint:
    """The code of an identity provider is exchanged once, within the limit of the call."""

    def test_slow_resolver_is_given_up_and_nothing_leaves_later(
        self, server: Server, resolve: Callable[[Resolve], None], perform: Perform
    ) -> None:
        def slow() -> list[Any]:
            time.sleep(1.5 * LIMIT)
            return found(server.address)

        resolve(slow)
        outcome, seconds = timed(exchanging_at(f"http://{NAME}:1"), perform, EXCHANGE)
        assert isinstance(outcome, NotSent)
        assert outcome.cause == "unreachable"
        assert seconds <= LIMIT + 1  # a busy machine
        time.sleep(1.5 * LIMIT)  # the look-up has ended meanwhile
        assert server.accepted == 0

    def test_refused_connection_is_not_sent(self, server: Server, perform: Perform) -> None:
        server.close()
        outcome = perform(exchanging_at(server.endpoint), EXCHANGE)
        assert isinstance(outcome, NotSent)
        assert outcome.cause == "unreachable"

    def test_dead_address_is_not_sent(self, perform: Perform) -> None:
        with dead_address() as (host, port):
            transport = exchanging_at(f"http://{host}:{port}")
            outcome, seconds = timed(transport, perform, EXCHANGE)
        assert isinstance(outcome, NotSent)
        assert seconds <= LIMIT + 1  # a busy machine

    def test_tls_failure_is_not_sent(self, perform: Perform) -> None:
        server = Server(lambda connection: connection.sendall(b"HTTP/1.1 400 not TLS\r\n\r\n"))
        url = server.endpoint.replace("http:", "https:")
        outcome = perform(exchanging_at(url), EXCHANGE)
        server.close()
        assert outcome == NotSent(cause="unreachable", detail="NeverSent: SSLError")

    @pytest.mark.parametrize("what", ["headers", "body"])
    def test_response_that_arrives_byte_by_byte_is_given_up(
        self, what: str, perform: Perform
    ) -> None:
        with dripping(DRIPS[what], every=0.1) as drip:
            outcome, seconds = timed(exchanging_at(drip.endpoint), perform, EXCHANGE)
            assert drip.requests == 1
        assert isinstance(outcome, OutcomeUnknown)
        assert seconds <= LIMIT + 1  # a busy machine

    def test_connection_that_is_closed_after_the_request_is_unknown(
        self, dropping: DropsEverything, perform: Perform
    ) -> None:
        outcome = perform(exchanging_at(dropping.endpoint), EXCHANGE)
        assert isinstance(outcome, OutcomeUnknown)
        assert "the-authorization-code" not in outcome.detail
        assert dropping.requests == 1

    def test_call_that_begins_after_its_deadline_sends_nothing(self, server: Server) -> None:
        context = RequestContext(deadline=time.time() - 0.1)
        outcome = exchanging_at(server.endpoint).perform(EXCHANGE, context)
        assert isinstance(outcome, NotSent)
        assert server.received == b""

    def test_public_keys_that_arrive_byte_by_byte_are_given_up(self, perform: Perform) -> None:
        header, body = ({"alg": "RS256", "kid": "k"}, {"iss": "https://issuer.example"})
        token = jwt.encode(body, KEY, algorithm="RS256", headers=header)
        answer = json.dumps({"access_token": token, "id_token": token}).encode()
        with dripping(response(b"{}"), every=0.2) as keys, answering(response(answer)) as server:
            transport = exchanging_at(
                server.endpoint, issuer=body["iss"], jwks_url=f"{keys.endpoint}/jwks.json"
            )
            outcome, seconds = timed(transport, perform, EXCHANGE)
            assert keys.requests == 1
        assert isinstance(outcome, OutcomeUnknown)
        assert "public keys" in outcome.detail
        assert seconds <= LIMIT + 1  # a busy machine


class TestTls:
    @pytest.fixture
    def tls(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
        context, certificate = tls_context(tmp_path)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        return context

    def answers(self, tls: ssl.SSLContext, every: float = 0.0) -> Server:
        def serve(connection: socket.socket) -> None:
            with tls.wrap_socket(connection, server_side=True) as secured:
                while made.read_request(secured):
                    for byte in response(b"{}"):
                        secured.sendall(bytes([byte]))
                        time.sleep(every)

        made = Server(serve)
        made.endpoint = made.endpoint.replace("http:", "https:")
        return made

    def test_request_over_tls_is_sent_and_its_connection_reused(
        self, tls: ssl.SSLContext, perform: Perform
    ) -> None:
        server = self.answers(tls)
        transport = transport_to(server.endpoint, call_timeout=10)
        outcomes = [perform(transport, CALL) for _ in range(3)]
        server.close()
        no_tokens = OutcomeUnknown(detail="the response has neither tokens nor a challenge")
        assert outcomes == [no_tokens] * 3
        assert (server.requests, server.accepted) == (3, 1)

    def test_response_over_tls_that_drips_is_given_up(
        self, tls: ssl.SSLContext, perform: Perform
    ) -> None:
        server = self.answers(tls, every=0.1)
        outcome, seconds = timed(transport_to(server.endpoint, call_timeout=2), perform)
        server.close()
        assert outcome == OutcomeUnknown(detail=f"ReadTimeoutError: {server.endpoint}/")
        assert seconds < 5  # a busy machine

    def test_request_through_a_proxy_is_sent_and_its_connection_reused(
        self, tls: ssl.SSLContext, perform: Perform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = self.answers(tls)

        def connects(connection: socket.socket) -> None:
            proxy.read_request(connection)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pump(connection, server.address)

        proxy = Server(connects)
        monkeypatch.setenv("HTTPS_PROXY", proxy.endpoint)
        transport = transport_to(server.endpoint, call_timeout=10, auth_flow="USER_SRP_AUTH")
        outcomes = [perform(transport, CALL) for _ in range(3)]
        assert [outcome.type for outcome in outcomes] == ["outcome_unknown"] * 3
        assert (server.requests, proxy.accepted, server.accepted) == (3, 1, 1)
        proxy.close()
        server.close()

    def test_lost_response_over_a_new_connection_through_a_proxy_is_one_request(
        self, tls: ssl.SSLContext, perform: Perform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def silent(connection: socket.socket) -> None:
            with tls.wrap_socket(connection, server_side=True) as secured:
                server.read_all(secured)

        def connects(connection: socket.socket) -> None:
            proxy.read_request(connection)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pump(connection, server.address)

        server, proxy = Server(silent), Server(connects)
        monkeypatch.setenv("HTTPS_PROXY", proxy.endpoint)
        transport = transport_to(
            server.endpoint.replace("http:", "https:"),
            auth_flow="USER_SRP_AUTH",
            read_timeout=0.5,
            call_timeout=5,
        )
        outcome = perform(transport, CALL)
        assert isinstance(outcome, OutcomeUnknown)
        assert (server.requests, proxy.accepted) == (1, 1)
        proxy.close()
        server.close()

    def test_certificate_of_another_is_not_sent_to(
        self, tls: ssl.SSLContext, perform: Perform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = self.answers(tls)
        monkeypatch.delenv("AWS_CA_BUNDLE")
        outcome = perform(transport_to(server.endpoint, call_timeout=5), CALL)
        server.close()
        assert isinstance(outcome, NotSent)
        assert outcome.detail.startswith(
            "NeverSent: SSLCertVerificationError (trust the certificate"
        )
        assert server.received == b""


class TestEachRequest:
    def test_request_of_a_thread_that_stalled_after_connecting_does_not_leave(
        self, server: Server, perform: Perform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from oncegate_cognito import _connections

        connect = _connections._HTTPConnection.connect

        def stalls(connection: Any) -> None:
            connect(connection)
            time.sleep(1.2 * LIMIT)

        monkeypatch.setattr(_connections._HTTPConnection, "connect", stalls)
        outcome = perform(transport_to(server.endpoint), CALL)
        assert isinstance(outcome, NotSent)
        assert server.received == b""

    def test_second_request_does_not_leave_after_the_limit(self, sandbox: Sandbox) -> None:
        transport = transport_to(
            sandbox.endpoint,
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            auth_flow="USER_SRP_AUTH",
        )

        def may_send(_: str) -> bool:
            time.sleep(1.2 * LIMIT)  # such as a store that is slow
            return True

        outcome = transport.perform(CALL, RequestContext(may_send=may_send))
        assert isinstance(outcome, NotSent)
        assert sandbox.calls() == {"InitiateAuth": 1}
        assert sandbox.messages() == ()

    def test_limit_holds_for_a_client_with_connections_of_another_kind(self) -> None:
        pool = Pool(DEMO_SEED, "http://issuer", SandboxClock())
        client: Any = InProcessClient(pool)
        transport = CognitoTransport(
            pool_id=pool.seed.id,
            client_id=pool.seed.client_id,
            client=client,
            call_timeout=LIMIT,
        )

        def may_send(_: str) -> bool:
            time.sleep(LIMIT)
            return True

        outcome = transport.perform(CALL, RequestContext(may_send=may_send))
        assert isinstance(outcome, NotSent)
        assert [operation for operation, _ in client.requests] == ["InitiateAuth"]

    def test_client_whose_requests_cannot_be_limited_is_misconfigured(self) -> None:
        config = Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
        client: Any = boto3.client("cognito-idp", region_name="us-east-1", config=config)
        client._endpoint.http_session = object()
        with pytest.raises(Misconfigured, match="limit"):
            CognitoTransport(pool_id="us-east-1_Pool1", client_id="client1", client=client)

    def test_limit_holds_for_a_client_of_the_application(self, perform: Perform) -> None:
        config = Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
        with dripping(response(b"{}"), every=0.1) as server:
            client = boto3.client(
                "cognito-idp",
                region_name="us-east-1",
                config=config,
                endpoint_url=server.endpoint,
            )
            outcome, seconds = timed(transport_to(server.endpoint, client=client), perform)
        assert isinstance(outcome, OutcomeUnknown)
        assert seconds <= LIMIT + 1  # a busy machine

    @pytest.mark.parametrize("clock", ["time", "monotonic"])
    def test_time_of_a_suspended_machine_counts(
        self, clock: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        transport = transport_to(
            sandbox.endpoint,
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            auth_flow="USER_SRP_AUTH",
            call_timeout=20,
        )

        def may_send(_: str) -> bool:
            advance(monkeypatch, clock, 3600)
            return True

        outcome = transport.perform(CALL, RequestContext(may_send=may_send))
        assert isinstance(outcome, NotSent)
        assert sandbox.messages() == ()


def test_credentials_that_hang_are_given_up(server: Server, perform: Perform) -> None:
    release = threading.Event()

    def hangs() -> dict[str, str]:
        release.wait(10)
        raise OSError

    transport = AdminCognitoTransport(
        pool_id="us-east-1_Pool1",
        client_id="client1",
        endpoint_url=server.endpoint,
        call_timeout=LIMIT,
    )
    expired = {
        "access_key": "a",
        "secret_key": "b",
        "token": "c",
        "expiry_time": "2020-01-01T00:00:00Z",
    }
    credentials = RefreshableCredentials.create_from_metadata(expired, hangs, "test")
    client: Any = transport._app.boto
    client._request_signer._credentials = credentials
    outcome, seconds = timed(transport, perform)
    release.set()
    assert isinstance(outcome, NotSent)
    assert seconds <= LIMIT + 1  # a busy machine
    assert server.received == b""


class TestIdleConnections:
    @pytest.fixture
    def relay(self, sandbox: Sandbox) -> Iterator[Relay]:
        made = Relay(("127.0.0.1", int(sandbox.endpoint.rpartition(":")[2])))
        yield made
        made.close()

    def to(self, relay: Relay, sandbox: Sandbox, **more: Any) -> CognitoTransport:
        settings: dict[str, Any] = {
            "pool_id": sandbox.pool_id,
            "client_id": sandbox.client_id,
            "auth_flow": "USER_SRP_AUTH",
            "read_timeout": 1,
            "call_timeout": 20,
        }
        return transport_to(relay.endpoint, **{**settings, **more})

    def ten(self, transport: CognitoTransport, perform: Perform) -> list[Outcome]:
        with ThreadPoolExecutor(10) as threads:
            return list(threads.map(lambda _: perform(transport, CALL), range(10)))

    @pytest.mark.slow
    def test_ten_sign_ins_over_dropped_connections_succeed(
        self, relay: Relay, sandbox: Sandbox, perform: Perform
    ) -> None:
        transport = self.to(relay, sandbox, read_timeout=3)
        self.ten(transport, perform)
        relay.forget_connections()
        before = len(sandbox.messages())
        outcomes = [*self.ten(transport, perform)]
        assert [outcome.type for outcome in outcomes] == ["challenge_issued"] * 10
        assert len(sandbox.messages()) == before + 10

    def test_one_lost_response_closes_the_other_dropped_connections(
        self, relay: Relay, sandbox: Sandbox, perform: Perform
    ) -> None:
        """A request that can send is not repeated, but the next users need not find out."""
        transport = self.to(relay, sandbox, auth_flow="USER_PASSWORD_AUTH")
        self.ten(transport, perform)
        relay.forget_connections()
        outcomes = [perform(transport, CALL), *self.ten(transport, perform)]
        assert [outcome.type for outcome in outcomes] == [
            "outcome_unknown",
            *["challenge_issued"] * 10,
        ]

    @pytest.mark.parametrize("flow", ["USER_PASSWORD_AUTH", "USER_AUTH", "CUSTOM_AUTH"])
    def test_request_that_can_send_is_not_repeated(
        self, flow: str, relay: Relay, sandbox: Sandbox, perform: Perform
    ) -> None:
        transport = self.to(relay, sandbox, auth_flow=flow)
        perform(transport, CALL)
        before = sandbox.calls()["InitiateAuth"]
        relay.forget_connections()
        assert isinstance(perform(transport, CALL), OutcomeUnknown)
        assert sandbox.calls()["InitiateAuth"] == before

    def test_first_half_of_srp_is_not_repeated_over_a_new_connection(
        self, server: Server, perform: Perform
    ) -> None:
        transport = transport_to(
            server.endpoint, auth_flow="USER_SRP_AUTH", read_timeout=0.3, call_timeout=5
        )
        outcome = perform(transport, CALL)
        assert outcome == OutcomeUnknown(
            detail=f"ReadTimeoutError: {server.endpoint}/", can_have_sent=False
        )
        assert server.requests == 1

    @pytest.mark.parametrize("clock", ["time", "monotonic"])
    @pytest.mark.parametrize(("idle", "connections"), [(50, 1), (70, 2)])
    def test_connection_that_was_idle_for_a_minute_is_not_used(
        self,
        idle: float,
        connections: int,
        clock: str,
        relay: Relay,
        sandbox: Sandbox,
        perform: Perform,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        transport = self.to(relay, sandbox, auth_flow="USER_PASSWORD_AUTH")
        perform(transport, CALL)
        advance(monkeypatch, clock, idle)
        assert isinstance(perform(transport, CALL), ChallengeIssued)
        assert relay.accepted == connections

    def test_connections_probe_their_peers(
        self, server: Server, perform: Perform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options: set[tuple[int, int, Any]] = set()
        setsockopt = socket.socket.setsockopt

        def noted(sock: socket.socket, level: int, name: int, value: Any) -> None:
            options.add((level, name, value))
            setsockopt(sock, level, name, value)

        monkeypatch.setattr(socket.socket, "setsockopt", noted)
        perform(transport_to(server.endpoint, read_timeout=0.2), CALL)
        assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options
        assert (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000) in options


_UNDER_GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent, socket, time
from contextlib import suppress
from pydantic import SecretStr
from oncegate import RequestContext
from oncegate.adapters import CheckPassword
from oncegate_cognito import CognitoTransport

drip, port = socket.create_server(("127.0.0.1", 0)), 0
port = drip.getsockname()[1]

def serve():
    while True:
        connection, _ = drip.accept()
        gevent.spawn(answer, connection)

def answer(connection):
    connection.recv(65536)
    with suppress(OSError):
        while True:
            connection.sendall(b"H")
            time.sleep(0.1)

gevent.spawn(serve)
real = socket.getaddrinfo

def slow(host, *args, **more):
    if host == "cognito.test":
        time.sleep(5)
    return real("127.0.0.1", *args, **more)

socket.getaddrinfo = slow
call = CheckPassword(username="ana", password=SecretStr("Correct-horse-1"))

def transport_to(host):
    return CognitoTransport(
        pool_id="us-east-1_Pool1", client_id="c", call_timeout=2, auth_flow="USER_PASSWORD_AUTH",
        endpoint_url=f"http://{host}:{port}", allow_insecure_endpoint=True,
    )

transports = [transport_to("127.0.0.1"), transport_to("cognito.test")]

def seconds(transport):
    began = time.monotonic()
    outcome = transport.perform(call, RequestContext())
    return outcome.type, time.monotonic() - began

jobs = [gevent.spawn(seconds, transport) for transport in transports * 20]
gevent.joinall(jobs)
for kind in ("outcome_unknown", "not_sent"):
    took = [job.value[1] for job in jobs if job.value[0] == kind]
    print(kind, len(took), max(took) < 4)
"""


@pytest.mark.slow
def test_limits_hold_under_gevent() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _UNDER_GEVENT],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.split("\n")[:2] == ["outcome_unknown 20 True", "not_sent 20 True"], ran.stderr
