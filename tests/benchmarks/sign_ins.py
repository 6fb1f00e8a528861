"""One sign-in: the SRP computation, and the whole, compared with the same calls by boto3."""

from __future__ import annotations

import base64
import json
import secrets
import socket
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
from unittest.mock import patch

import boto3
import botocore
import gmpy2
from botocore.config import Config
from pycognito import AWSSRP
from tests.benchmarks.side_by_side import Clock, Row, Times, in_turn, row
from tests.benchmarks.visitors import USER_PASSWORD, Visit, expect, visits

from oncegate import SignIn, SubmitCode
from oncegate_cognito import CognitoTransport
from oncegate_cognito.srp import ClientSrp, G, K, N, private_key, scrambler
from oncegate_stores import SQLiteStore

USER, PASSWORD = "ana", USER_PASSWORD
GROUP = "Sandbox01"
POOL = f"us-east-1_{GROUP}"
ONCE = Config(
    signature_version=botocore.UNSIGNED, retries={"mode": "standard", "total_max_attempts": 1}
)


class RemoteSandbox(NamedTuple):
    """A sandbox in its own process, so that its work is not measured."""

    endpoint: str
    pool_id: str
    client_id: str

    def newest_code(self) -> str:
        """Return the code that was sent last, and empty the inbox."""
        port = int(self.endpoint.rpartition(":")[2])
        inbox = HTTPConnection("127.0.0.1", port)
        inbox.request("GET", "/_sandbox/messages")
        code: str = json.loads(inbox.getresponse().read())[-1]["code"]
        inbox.request("DELETE", "/_sandbox/messages")
        inbox.getresponse().read()
        inbox.close()
        return code

    def client(self) -> Any:
        """Return a client of boto3 that repeats nothing, like oncegate's."""
        return boto3.client(
            "cognito-idp", region_name="us-east-1", endpoint_url=self.endpoint, config=ONCE
        )

    def transport(self, **more: Any) -> CognitoTransport:
        """Return oncegate's transport."""
        return CognitoTransport(
            pool_id=self.pool_id, client_id=self.client_id, endpoint_url=self.endpoint, **more
        )


_USERS = """
[[users]]
username = "user{number}"
password = "{password}"
phone_number = "+1555{number:07}"
mfa = ["SMS_MFA"]

[[users]]
username = "plain{number}"
password = "{password}"
"""


@contextmanager
def remote_sandbox(users: int = 0) -> Iterator[RemoteSandbox]:
    """Run a sandbox in its own process.

    Args:
        users: number of users ``user0``, ``user1`` … who get codes by SMS, and as many ``plain0`` … whose
            password is enough. 0 for the demo's users.
    """
    command = [sys.executable, "-m", "oncegate_cli", "sandbox", "--port", "0", "--json"]
    with tempfile.TemporaryDirectory() as folder:
        if users:
            seed = Path(folder) / "pool.toml"
            tables = (_USERS.format(number=one, password=PASSWORD) for one in range(users))
            seed.write_text("".join(tables))
            command += ["--seed", str(seed)]
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


def srp(quick: bool) -> Iterator[Row]:
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
    yield row("SRP of a sign-in, compared with pycognito's", 0.1, took, theirs)
    yield row("the same, compared with GMP's powers alone", 1.15, took, powers)


# ── a whole sign-in ──


def sign_in(quick: bool) -> Iterator[Row]:
    """Measure a whole sign-in by SRP with an SMS code, without Cognito's time.

    Twice, because each leaves something out. The CPU time of this process has no wait, neither for Cognito
    nor for the disk. The wall-clock time has the waits for the disk: what is left out is the time that a
    read from Cognito's connection blocks.
    """
    rounds = 5 if quick else 100
    cpu, wall = Clock(time.process_time), Clock()
    with tempfile.TemporaryDirectory() as folder, remote_sandbox(max(rounds // 4, 4)) as cognito:
        ours, raw = _by_oncegate(cognito, Path(folder), rounds), by_boto3(cognito)
        who = visits(rounds)

        def measured(clock: Clock) -> list[Times]:
            def code() -> str:
                with clock.left_out():
                    return cognito.newest_code()

            return in_turn(
                rounds,
                lambda: ours(code),
                lambda: raw(_name_in(next(who)), code),
                clock=clock,
            )

        by_cpu = measured(cpu)
        with _waits_left_out(wall):
            by_wall = measured(wall)
    what = "a sign-in with an SMS code, compared with the same calls by boto3 with our SRP"
    yield row(f"{what}: CPU time", 1.3, by_cpu[0], by_cpu[1])
    what = "the same: time without Cognito's, with waits for the disk (SQLite)"
    yield row(what, 1.3, by_wall[0], by_wall[1])


@contextmanager
def _waits_left_out(clock: Clock) -> Iterator[None]:
    """Leave out the time in which a read from a socket blocks. http.client reads through SocketIO."""
    blocking = socket.SocketIO.readinto

    def readinto(self: socket.SocketIO, buffer: Any) -> int | None:
        with clock.left_out():
            return blocking(self, buffer)

    with patch.object(socket.SocketIO, "readinto", readinto):
        yield


def _name_in(visit: Visit) -> str:
    name = visit[0].username
    assert name is not None
    return name


def _by_oncegate(
    cognito: RemoteSandbox, folder: Path, rounds: int
) -> Callable[[Callable[[], str]], None]:
    driver = SignIn(transport=cognito.transport(), store=SQLiteStore(folder / "flows.db"))
    who = visits(rounds)

    def run(code: Callable[[], str]) -> None:
        password, request = next(who)
        step = driver.send(driver.start(), password, context=request)
        answer = SubmitCode.model_validate({"code": code()})
        step = driver.send(step, answer, context=request)
        expect(step, "authenticated")

    return run


def by_boto3(cognito: RemoteSandbox) -> Callable[[str, Callable[[], str]], None]:
    """Return the same calls with the same SRP, for one user; the second argument returns the code."""
    client = cognito.client()
    group = cognito.pool_id.partition("_")[2]

    def run(name: str, code: Callable[[], str]) -> None:
        srp = ClientSrp()
        response = client.initiate_auth(
            AuthFlow="USER_SRP_AUTH",
            ClientId=cognito.client_id,
            AuthParameters={"USERNAME": name, "SRP_A": srp.public_hex},
        )
        parameters = response["ChallengeParameters"]
        claim = srp.claim(
            group=group,
            user=parameters["USER_ID_FOR_SRP"],
            password=PASSWORD,
            salt=parameters["SALT"],
            server_public=parameters["SRP_B"],
            secret_block=parameters["SECRET_BLOCK"],
            now=datetime.now(UTC),
        )
        response = client.respond_to_auth_challenge(
            ClientId=cognito.client_id,
            ChallengeName="PASSWORD_VERIFIER",
            ChallengeResponses={
                "USERNAME": parameters["USER_ID_FOR_SRP"],
                "PASSWORD_CLAIM_SIGNATURE": claim.signature,
                "PASSWORD_CLAIM_SECRET_BLOCK": claim.secret_block,
                "TIMESTAMP": claim.timestamp,
            },
        )
        if response.get("ChallengeName") == "SMS_MFA":
            response = client.respond_to_auth_challenge(
                ClientId=cognito.client_id,
                ChallengeName="SMS_MFA",
                Session=response["Session"],
                ChallengeResponses={"USERNAME": name, "SMS_MFA_CODE": code()},
            )
        assert response["AuthenticationResult"]["AccessToken"]

    return run


ROWS = {"srp": srp, "sign_in": sign_in}
