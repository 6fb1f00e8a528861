"""One sign-in: the SRP computation, one event, the whole; compared with pycognito and boto3."""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import botocore
import gmpy2
import httpx
from botocore.config import Config
from pycognito import AWSSRP, Cognito
from pycognito.exceptions import SMSMFAChallengeException
from tests.benchmarks.least import Least, alone
from tests.benchmarks.side_by_side import Row, in_turn, in_words, row

from oncegate import Factor, SignIn, SubmitCode, SubmitPassword
from oncegate.adapters import ChallengeIssued, CodeChallenge
from oncegate.challenges import Delivery
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTransport
from oncegate_cognito.srp import ClientSrp, G, K, N, private_key, scrambler
from oncegate_stores import SQLiteStore

USER, PASSWORD = "ana", "Correct-horse-1"
POOL, GROUP = "us-east-1_Sandbox01", "Sandbox01"
ONCE = Config(
    signature_version=botocore.UNSIGNED, retries={"mode": "standard", "total_max_attempts": 1}
)


class RemoteSandbox(NamedTuple):
    """A sandbox in its own process, so that its work is not measured."""

    endpoint: str
    pool_id: str
    client_id: str

    def newest_code(self) -> str:
        # With http.client, because it is part of what is measured, for all clients alike.
        port = int(self.endpoint.rpartition(":")[2])
        inbox = HTTPConnection("127.0.0.1", port)
        inbox.request("GET", "/_sandbox/messages")
        code: str = json.loads(inbox.getresponse().read())[-1]["code"]
        inbox.request("DELETE", "/_sandbox/messages")
        inbox.getresponse().read()
        inbox.close()
        return code

    def slow_down(self, seconds: float) -> None:
        order = {"operation": "*", "kind": "delay", "seconds": seconds, "times": 10**7}
        httpx.post(f"{self.endpoint}/_sandbox/faults", json=order)

    def client(self) -> Any:
        return boto3.client(
            "cognito-idp", region_name="us-east-1", endpoint_url=self.endpoint, config=ONCE
        )

    def transport(self, **more: Any) -> CognitoTransport:
        return CognitoTransport(
            pool_id=self.pool_id, client_id=self.client_id, endpoint_url=self.endpoint, **more
        )


@contextmanager
def remote_sandbox() -> Iterator[RemoteSandbox]:
    command = [sys.executable, "-m", "oncegate_cli", "sandbox", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield RemoteSandbox(*json.loads(process.stdout.readline()).values())
        finally:
            process.terminate()


# ── SRP ──


class VerifierParameters(NamedTuple):
    """A server's parameters of PASSWORD_VERIFIER."""

    salt: int
    server_public: int
    secret_block: str

    @classmethod
    def new(cls) -> VerifierParameters:
        """Return what a server sends: SRP-6a with a verifier of the password."""
        salt = secrets.randbits(128)
        verifier = int(gmpy2.powmod(G, private_key(salt, GROUP, USER, PASSWORD), N))
        public = (K * verifier + int(gmpy2.powmod(G, secrets.randbits(256), N))) % N
        return cls(salt, public, base64.b64encode(secrets.token_bytes(400)).decode())


def srp(quick: bool) -> list[Row]:
    """Measure the client's computation of one sign-in."""
    verifier = VerifierParameters.new()

    def ours() -> None:
        ClientSrp().claim(
            group=GROUP,
            user=USER,
            password=PASSWORD,
            salt=f"{verifier.salt:x}",
            server_public=f"{verifier.server_public:x}",
            secret_block=verifier.secret_block,
            now=datetime.now(UTC),
        )

    def pycognito() -> None:
        srp = AWSSRP(
            username=USER, password=PASSWORD, pool_id=POOL, client_id="client", client=object()
        )
        parameters = srp.get_auth_params()
        srp.process_challenge(
            {
                "USERNAME": USER,
                "USER_ID_FOR_SRP": USER,
                "SALT": f"{verifier.salt:x}",
                "SRP_B": f"{verifier.server_public:x}",
                "SECRET_BLOCK": verifier.secret_block,
            },
            parameters,
        )

    def powers_alone() -> None:
        a = secrets.randbits(256) | 1 << 255
        public = int(gmpy2.powmod_sec(G, a, N))
        x = private_key(verifier.salt, GROUP, USER, PASSWORD)
        u = scrambler(public, verifier.server_public)
        base = (verifier.server_public - K * gmpy2.powmod_sec(G, x, N)) % N
        gmpy2.powmod_sec(base, a + u * x, N)

    rounds = 20 if quick else 200
    took, theirs, powers = in_turn(rounds, ours, pycognito, powers_alone)
    return [
        row("SRP of a sign-in, compared with pycognito's", 0.1, took, theirs, powers),
        row("the same, compared with GMP's powers alone", 1.15, took, powers),
    ]


# ── one event ──


def code_sent() -> ChallengeIssued:
    return ChallengeIssued(
        challenge=CodeChallenge.model_validate(
            {
                "kind": Factor.SMS,
                "session": "A" * 900,  # as long as Cognito's
                "username": USER,
                "delivery": Delivery(medium="SMS", destination="+*******1234"),
            }
        )
    )


def event(quick: bool) -> list[Row]:
    """Measure one event: load, machine, write ahead, record; compared with one boto3 call."""
    rounds = 100 if quick else 1000
    outcome = code_sent()
    with tempfile.TemporaryDirectory() as folder, remote_sandbox() as cognito:
        transport = ScriptedTransport(*itertools.repeat(outcome, rounds + 2))
        store = SQLiteStore(Path(folder) / "flows.db")
        sign_in = SignIn(transport=transport, store=store, listeners=[], budget=None)
        password = SubmitPassword.model_validate({"username": USER, "password": PASSWORD})
        steps = iter([sign_in.start() for _ in range(rounds + 2)])
        client = cognito.client()

        def ours() -> None:
            assert sign_in.send(next(steps), password).state == "awaiting_mfa"

        def one_call() -> None:
            client.initiate_auth(
                AuthFlow="USER_PASSWORD_AUTH",
                ClientId=cognito.client_id,
                AuthParameters={"USERNAME": "fay", "PASSWORD": "Correct-horse-6"},
            )

        least = Least(store)
        took, call, floor = in_turn(rounds, ours, one_call, lambda: least.event(lambda: outcome))
    small = row("one event on SQLite, compared with one boto3 call", 0.3, took, call, floor)
    limit = Row(
        "the same, alone",
        in_words(took),
        "",
        None,
        "≤ 250 µs",
        took <= 250e-6,
        in_words(floor),
    )
    return [small, limit]


# ── a whole sign-in ──


def sign_in(quick: bool) -> list[Row]:
    """Measure a whole sign-in by SRP with an SMS code."""
    rounds = 5 if quick else 60
    with tempfile.TemporaryDirectory() as folder, remote_sandbox() as cognito:
        ours = _with_oncegate(cognito, Path(folder))
        raw = _with_boto3(cognito)
        least = _with_boto3(cognito, Least(SQLiteStore(Path(folder) / "least.db")).event)
        others = _with_pycognito(cognito)
        what, here = "a sign-in with an SMS code, compared with", time.process_time
        by_the_wall = in_turn(rounds, ours, raw, least)
        took, calls, floor, theirs = in_turn(rounds, ours, raw, least, others, clock=here)
        without = ", CPU time of this process"
        return [
            row(f"{what} boto3 with our SRP", 1.15, *by_the_wall),
            row(f"{what} the same{without}", 1.15, took, calls, floor),
            row(f"{what} pycognito{without}", 0.25, took, theirs, floor),
        ]


def _with_oncegate(cognito: RemoteSandbox, folder: Path) -> Callable[[], None]:
    store = SQLiteStore(folder / "flows.db")
    driver = SignIn(transport=cognito.transport(), store=store, listeners=[], budget=None)
    password = SubmitPassword.model_validate({"username": USER, "password": PASSWORD})

    def run() -> None:
        step = driver.send(driver.start(), password)
        code = SubmitCode.model_validate({"code": cognito.newest_code()})
        step = driver.send(step, code)
        assert step.tokens is not None

    return run


def _with_boto3(
    cognito: RemoteSandbox, event: Callable[[Callable[[], Any]], Any] = alone
) -> Callable[[], None]:
    """Return the same calls with the same SRP, each event of them run by `event`."""
    client = cognito.client()

    def submit_password() -> Any:
        srp = ClientSrp()
        response = client.initiate_auth(
            AuthFlow="USER_SRP_AUTH",
            ClientId=cognito.client_id,
            AuthParameters={"USERNAME": USER, "SRP_A": srp.public_hex},
        )
        parameters = response["ChallengeParameters"]
        claim = srp.claim(
            group=cognito.pool_id.partition("_")[2],
            user=parameters["USER_ID_FOR_SRP"],
            password=PASSWORD,
            salt=parameters["SALT"],
            server_public=parameters["SRP_B"],
            secret_block=parameters["SECRET_BLOCK"],
            now=datetime.now(UTC),
        )
        return client.respond_to_auth_challenge(
            ClientId=cognito.client_id,
            ChallengeName="PASSWORD_VERIFIER",
            ChallengeResponses={
                "USERNAME": parameters["USER_ID_FOR_SRP"],
                "PASSWORD_CLAIM_SIGNATURE": claim.signature,
                "PASSWORD_CLAIM_SECRET_BLOCK": claim.secret_block,
                "TIMESTAMP": claim.timestamp,
            },
        )

    def submit_code(session: str, code: str) -> Any:
        return client.respond_to_auth_challenge(
            ClientId=cognito.client_id,
            ChallengeName="SMS_MFA",
            Session=session,
            ChallengeResponses={"USERNAME": USER, "SMS_MFA_CODE": code},
        )

    def run() -> None:
        response = event(submit_password)
        code = cognito.newest_code()
        answer = event(lambda: submit_code(response["Session"], code))
        assert answer["AuthenticationResult"]["AccessToken"]

    return run


def _with_pycognito(cognito: RemoteSandbox) -> Callable[[], None]:
    user = Cognito(
        cognito.pool_id,
        cognito.client_id,
        username=USER,
        boto3_client_kwargs={"endpoint_url": cognito.endpoint, "config": ONCE},
    )

    def run() -> None:
        try:
            user.authenticate(PASSWORD)
        except SMSMFAChallengeException as challenge:
            user.respond_to_sms_mfa_challenge(cognito.newest_code(), challenge.get_tokens())
        assert user.access_token

    return run


ROWS = {"srp": srp, "event": event, "sign_in": sign_in}
