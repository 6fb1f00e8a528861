"""The transport: settings, client secrets, faults, and what it leaves behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.cognito.conftest import Answer, Check, Perform
from tests.doubles import InProcessClient

from oncegate import Factor, Misconfigured
from oncegate.adapters import (
    ChallengeIssued,
    CheckPassword,
    CodeChallenge,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    TokensIssued,
    Transport,
)
from oncegate_cognito import AdminCognitoTransport, CognitoTransport
from oncegate_sandbox import DEMO_SEED, Pool, PoolSeed, Sandbox, SandboxClock, Seed, UserSeed


@pytest.mark.parametrize("kind", [CognitoTransport, AdminCognitoTransport])
def test_app_id_is_pool_and_client(kind: type[CognitoTransport]) -> None:
    transport: Transport = kind(pool_id="us-east-1_Pool1", client_id="client1")
    assert transport.app_id == "us-east-1_Pool1/client1"
    assert transport.token_service is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"pool_id": "nope"},
        {"pool_id": ""},
        {"client_id": "with space"},
        {"auth_flow": "ADMIN_NO_SRP_AUTH"},
        {"auth_session_minutes": 2},
        {"auth_session_minutes": 16},
    ],
    ids=str,
)
def test_invalid_setting_is_misconfigured(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        CognitoTransport(**{"pool_id": "us-east-1_Pool1", "client_id": "client1", **wrong})


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ("USER_SRP_AUTH", False),
        ("USER_PASSWORD_AUTH", False),
        ("USER_AUTH", True),
        ("CUSTOM_AUTH", True),
    ],
)
def test_auth_flow_decides_whether_a_username_is_enough(flow: Any, expected: bool) -> None:
    made = CognitoTransport(pool_id="us-east-1_Pool1", client_id="client1", auth_flow=flow)
    assert made.is_passwordless is expected


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "messages", "expected"),
        [
            ("drop_response", 1, OutcomeUnknown),
            ("http_500", 1, OutcomeUnknown),
            ("refuse", 0, OutcomeUnknown),
            ("delay", 1, OutcomeUnknown),
        ],
    )
    def test_fault_after_sending_is_unknown_and_not_repeated(
        self,
        sandbox: Sandbox,
        controls: httpx.Client,
        check: Check,
        kind: str,
        messages: int,
        expected: type[Outcome],
    ) -> None:
        transport = CognitoTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            endpoint_url=sandbox.endpoint,
            read_timeout=3,
        )
        fault = {"operation": "RespondToAuthChallenge", "kind": kind, "seconds": 9}
        controls.post("/faults", json=fault).raise_for_status()
        assert isinstance(check(transport, "ana", 1), expected)
        assert len(sandbox.messages()) == messages
        assert sandbox.calls() == {"InitiateAuth": 1, "RespondToAuthChallenge": 1}

    def test_throttled_request_is_repeated_once(
        self, transport: CognitoTransport, sandbox: Sandbox, controls: httpx.Client, check: Check
    ) -> None:
        fault = {"operation": "RespondToAuthChallenge", "kind": "throttle"}
        controls.post("/faults", json=fault)
        assert isinstance(check(transport, "ana", 1), ChallengeIssued)
        assert sandbox.calls() == {"InitiateAuth": 1, "RespondToAuthChallenge": 2}
        assert len(sandbox.messages()) == 1

    def test_continued_throttling_is_not_sent(
        self, transport: CognitoTransport, sandbox: Sandbox, controls: httpx.Client, check: Check
    ) -> None:
        controls.post("/faults", json={"operation": "*", "kind": "throttle", "times": 9})
        outcome = check(transport, "ana", 1)
        assert isinstance(outcome, NotSent)
        assert outcome.cause == "throttled"
        assert sandbox.messages() == ()


class TestClientSecrets:
    seed = Seed(
        pool=PoolSeed(client_secret=SecretStr("client-secret-1")),
        users=(
            UserSeed(
                username="ana",
                password=SecretStr("Correct-horse-1"),
                email="ana@example.com",
                phone_number="+15550001234",
                mfa=(Factor.SMS,),
            ),
        ),
    )

    def made(self, sandbox: Sandbox, secret: str | None) -> CognitoTransport:
        return CognitoTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            client_secret=secret,
            endpoint_url=sandbox.endpoint,
        )

    @pytest.mark.parametrize("name", ["ana", "ana@example.com", "+15550001234"])
    def test_sign_in_by_any_alias_succeeds(self, name: str, check: Check, answered: Answer) -> None:
        """After the first response, the hash is of the pool's own name, never of the alias."""
        with Sandbox(self.seed) as sandbox:
            transport = self.made(sandbox, "client-secret-1")
            outcome = check(transport, name, 1)
            assert isinstance(outcome, ChallengeIssued)
            assert isinstance(outcome.challenge, CodeChallenge)
            assert outcome.challenge.username == "ana"
            code = sandbox.messages()[-1].code
            assert isinstance(answered(transport, outcome.challenge, code), TokensIssued)

    @pytest.mark.parametrize("secret", [None, "another"])
    def test_wrong_secret_is_misconfigured(self, secret: str | None, check: Check) -> None:
        with Sandbox(self.seed) as sandbox:
            outcome = check(self.made(sandbox, secret), "ana", 1)
            assert isinstance(outcome, Rejected)
            assert outcome.reason is RejectionReason.MISCONFIGURED

    def test_secret_is_not_in_the_repr(self, sandbox: Sandbox) -> None:
        transport = self.made(sandbox, "client-secret-1")
        assert "client-secret-1" not in f"{transport!r} {vars(transport)!r}"


class PreparedClient(InProcessClient):
    """A client whose InitiateAuth returns a prepared response."""

    def __init__(self, response: Callable[[], Any]) -> None:
        super().__init__(Pool(DEMO_SEED, "http://issuer", SandboxClock()))
        self._response = response

    def initiate_auth(self, **request: Any) -> Any:
        return self._response()


def receiving(response: Any) -> CognitoTransport:
    client: Any = PreparedClient(lambda: response)
    return CognitoTransport(pool_id="us-east-1_Pool1", client_id="client1", client=client)


def test_unknown_challenge_is_named(check: Check) -> None:
    outcome = check(receiving({"ChallengeName": "MAGIC_LINK", "Session": "s" * 20}), "ana", 1)
    assert isinstance(outcome, ChallengeIssued)
    assert getattr(outcome.challenge, "name", "") == "MAGIC_LINK"


@pytest.mark.parametrize(
    "parameters",
    [{}, {"SALT": "zz", "SRP_B": "1", "SECRET_BLOCK": ""}, {"SALT": "1", "SRP_B": "0"}],
)
def test_malformed_srp_parameters_are_misconfigured(
    parameters: dict[str, str], check: Check
) -> None:
    response = {"ChallengeName": "PASSWORD_VERIFIER", "ChallengeParameters": parameters}
    outcome = check(receiving(response), "ana", 1)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is RejectionReason.MISCONFIGURED


class TrackedText(str):
    """A text to which a weak reference can be made."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize(
    "faults", [[None], ["lost"], ["broken"], ["throttled", None], ["throttled", "throttled"]]
)
def test_password_is_not_retained_after_a_call(faults: list[str | None], perform: Perform) -> None:
    pool = Pool(DEMO_SEED, "http://issuer", SandboxClock())
    client: Any = InProcessClient(pool)
    transport = CognitoTransport(
        pool_id=pool.seed.id,
        client_id=pool.seed.client_id,
        client=client,
        auth_flow="USER_PASSWORD_AUTH",
    )
    client.faults.extend(faults)

    def signs_in() -> weakref.ref[TrackedText]:
        typed = TrackedText("Correct-horse-1")
        perform(transport, CheckPassword(username="ana", password=SecretStr(typed)))
        return weakref.ref(typed)

    # Within a function: pydantic inspects its caller's names when it builds a model, and an inspected
    # frame keeps them.
    gone = signs_in()
    client.requests.clear()
    gc.collect()
    assert not client.faults
    assert gone() is None
