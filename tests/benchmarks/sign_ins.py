"""One sign-in: SRP's sums, an event, and the whole of it; against pycognito and plain boto3."""

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
from tests.benchmarks.least import Least, alone, transitions
from tests.benchmarks.side_by_side import Row, in_turn, in_words, row

from oncegate import Factor, SignIn, SubmitCode, SubmitPassword
from oncegate.adapters import ChallengeIssued, CodeChallenge
from oncegate.challenges import Delivery
from oncegate.machine.advance import advance
from oncegate.record import Flow
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTransport
from oncegate_cognito.srp import ClientSrp, G, K, N, private_key, scrambler
from oncegate_stores import SQLiteStore

USER, PASSWORD = "ana", "Correct-horse-1"
POOL, GROUP = "us-east-1_Sandbox01", "Sandbox01"
ONCE = Config(
    signature_version=botocore.UNSIGNED, retries={"mode": "standard", "total_max_attempts": 1}
)


class Elsewhere(NamedTuple):
    """A sandbox in a process of its own, so that its work is nobody's here."""

    endpoint: str
    pool_id: str
    client_id: str

    def newest_code(self) -> str:
        # By hand, because it is in what is measured, for everybody alike.
        port = int(self.endpoint.rpartition(":")[2])
        phone = HTTPConnection("127.0.0.1", port)
        phone.request("GET", "/_sandbox/messages")
        code: str = json.loads(phone.getresponse().read())[-1]["code"]
        phone.request("DELETE", "/_sandbox/messages")
        phone.getresponse().read()
        phone.close()
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
def sandbox_elsewhere() -> Iterator[Elsewhere]:
    command = [sys.executable, "-m", "oncegate_cli", "sandbox", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Elsewhere(*json.loads(process.stdout.readline()).values())
        finally:
            process.terminate()


# ── the sums of SRP ──


class Asked(NamedTuple):
    """What a server says in its PASSWORD_VERIFIER."""

    salt: int
    server_public: int
    secret_block: str

    @classmethod
    def new(cls) -> Asked:
        """As a server would: SRP-6a with a verifier of the password."""
        salt = secrets.randbits(128)
        verifier = int(gmpy2.powmod(G, private_key(salt, GROUP, USER, PASSWORD), N))
        public = (K * verifier + int(gmpy2.powmod(G, secrets.randbits(256), N))) % N
        return cls(salt, public, base64.b64encode(secrets.token_bytes(400)).decode())


def srp(quick: bool) -> list[Row]:
    """The client's sums of one sign-in."""
    asked = Asked.new()

    def ours() -> None:
        ClientSrp().claim(
            group=GROUP,
            user=USER,
            password=PASSWORD,
            salt=f"{asked.salt:x}",
            server_public=f"{asked.server_public:x}",
            secret_block=asked.secret_block,
            now=datetime.now(UTC),
        )

    def pycognitos() -> None:
        srp = AWSSRP(
            username=USER, password=PASSWORD, pool_id=POOL, client_id="client", client=object()
        )
        parameters = srp.get_auth_params()
        srp.process_challenge(
            {
                "USERNAME": USER,
                "USER_ID_FOR_SRP": USER,
                "SALT": f"{asked.salt:x}",
                "SRP_B": f"{asked.server_public:x}",
                "SECRET_BLOCK": asked.secret_block,
            },
            parameters,
        )

    def powers_alone() -> None:
        a = secrets.randbits(256) | 1 << 255
        public = int(gmpy2.powmod_sec(G, a, N))
        x = private_key(asked.salt, GROUP, USER, PASSWORD)
        u = scrambler(public, asked.server_public)
        base = (asked.server_public - K * gmpy2.powmod_sec(G, x, N)) % N
        gmpy2.powmod_sec(base, a + u * x, N)

    rounds = 20 if quick else 200
    took, theirs, powers = in_turn(rounds, ours, pycognitos, powers_alone)
    return [
        row("SRP of a sign-in, against pycognito's", 0.1, took, theirs, powers),
        row("the same, against its powers by GMP alone", 1.15, took, powers),
    ]


# ── one event ──


def _texted() -> ChallengeIssued:
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
    """One event: load, machine, write ahead, record; against one call of boto3's on loopback."""
    rounds = 100 if quick else 1000
    texted = _texted()
    with tempfile.TemporaryDirectory() as folder, sandbox_elsewhere() as cognito:
        transport = ScriptedTransport(*itertools.repeat(texted, rounds + 2))
        store = SQLiteStore(Path(folder) / "flows.db")
        sign_in = SignIn(transport=transport, store=store, listeners=[], budget=None)
        password = SubmitPassword.model_validate({"username": USER, "password": PASSWORD})
        flows = iter([sign_in.start().flow_id for _ in range(rounds + 2)])
        client = cognito.client()

        def ours() -> None:
            assert sign_in.send(next(flows), password, version=0).state == "awaiting_mfa"

        def one_call() -> None:
            client.initiate_auth(
                AuthFlow="USER_PASSWORD_AUTH",
                ClientId=cognito.client_id,
                AuthParameters={"USERNAME": "fay", "PASSWORD": "Correct-horse-6"},
            )

        least = Least(store)
        took, call, floor = in_turn(rounds, ours, one_call, lambda: least.event(lambda: texted))
    small = row("one event on SQLite, against one call of boto3's", 0.3, took, call, floor)
    limit = Row(
        "the same, by itself",
        in_words(took),
        "",
        None,
        "≤ 250 µs",
        took <= 250e-6,
        in_words(floor),
    )
    machine, bare = in_turn(rounds, _through_our_machine(texted), transitions())
    what = "its three transitions, against three of python-statemachine's with nothing on them"
    return [small, limit, Row(what, in_words(machine), in_words(bare), machine / bare, "", True)]


def _through_our_machine(texted: ChallengeIssued) -> Callable[[], None]:
    """Idle, checking the password, password verified, awaiting the code."""
    password = SubmitPassword.model_validate({"username": USER, "password": PASSWORD})

    def run() -> None:
        checking = advance(Flow(), password, now=1.0)
        assert advance(checking, texted, now=2.0).state == "awaiting_mfa"

    return run


# ── a whole sign-in ──


def sign_in(quick: bool) -> list[Row]:
    """A sign-in by SRP with a texted code, all of it."""
    rounds = 5 if quick else 60
    with tempfile.TemporaryDirectory() as folder, sandbox_elsewhere() as cognito:
        ours = _with_oncegate(cognito, Path(folder))
        raw = _with_boto3(cognito)
        least = _with_boto3(cognito, Least(SQLiteStore(Path(folder) / "least.db")).event)
        others = _with_pycognito(cognito)
        what, here = "a sign-in with a texted code, against", time.process_time
        by_the_wall = in_turn(rounds, ours, raw, least)
        took, calls, floor, theirs = in_turn(rounds, ours, raw, least, others, clock=here)
        without = ", without the time that Cognito takes"
        return [
            row(f"{what} boto3's calls with our SRP", 1.15, *by_the_wall),
            row(f"{what} the same{without}", 1.15, took, calls, floor),
            row(f"{what} pycognito{without}", 0.25, took, theirs, floor),
        ]


def _with_oncegate(cognito: Elsewhere, folder: Path) -> Callable[[], None]:
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
    cognito: Elsewhere, event: Callable[[Callable[[], Any]], Any] = alone
) -> Callable[[], None]:
    """The same calls with the same SRP, each event of them within `event`."""
    client = cognito.client()

    def submit_password() -> Any:
        srp = ClientSrp()
        asked = client.initiate_auth(
            AuthFlow="USER_SRP_AUTH",
            ClientId=cognito.client_id,
            AuthParameters={"USERNAME": USER, "SRP_A": srp.public_hex},
        )
        told = asked["ChallengeParameters"]
        claim = srp.claim(
            group=cognito.pool_id.partition("_")[2],
            user=told["USER_ID_FOR_SRP"],
            password=PASSWORD,
            salt=told["SALT"],
            server_public=told["SRP_B"],
            secret_block=told["SECRET_BLOCK"],
            now=datetime.now(UTC),
        )
        return client.respond_to_auth_challenge(
            ClientId=cognito.client_id,
            ChallengeName="PASSWORD_VERIFIER",
            ChallengeResponses={
                "USERNAME": told["USER_ID_FOR_SRP"],
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
        asked = event(submit_password)
        code = cognito.newest_code()
        answer = event(lambda: submit_code(asked["Session"], code))
        assert answer["AuthenticationResult"]["AccessToken"]

    return run


def _with_pycognito(cognito: Elsewhere) -> Callable[[], None]:
    user = Cognito(
        cognito.pool_id,
        cognito.client_id,
        username=USER,
        boto3_client_kwargs={"endpoint_url": cognito.endpoint, "config": ONCE},
    )

    def run() -> None:
        try:
            user.authenticate(PASSWORD)
        except SMSMFAChallengeException as asked:
            user.respond_to_sms_mfa_challenge(cognito.newest_code(), asked.get_tokens())
        assert user.access_token

    return run


ROWS = {"srp": srp, "event": event, "sign_in": sign_in}
