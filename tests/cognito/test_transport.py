"""The transport, against the sandbox over real HTTP and against a pool without a wire."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from tests.doubles import InProcessClient

from oncegate import Factor, Misconfigured
from oncegate.adapters import (
    ChallengeIssued,
    CheckCode,
    CheckPassword,
    CodeChallenge,
    FactorChoice,
    NewPasswordChallenge,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    RequestCode,
    SetPassword,
    TokensIssued,
)
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import DEMO_SEED, PoolSeed, Sandbox, Seed, UserSeed
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.pool import Pool


def check(transport: CognitoTransport, username: str, number: int) -> Outcome:
    return transport.perform(
        CheckPassword(username=username, password=SecretStr(f"Correct-horse-{number}"))
    )


def answered(transport: CognitoTransport, challenge: CodeChallenge, code: str) -> Outcome:
    return transport.perform(CheckCode(challenge=challenge, code=SecretStr(code)))


@pytest.fixture(params=["USER_SRP_AUTH", "USER_PASSWORD_AUTH"])
def either(request: pytest.FixtureRequest, sandbox: Sandbox) -> CognitoTransport:
    return CognitoTransport(
        pool_id=sandbox.pool_id,
        client_id=sandbox.client_id,
        endpoint_url=sandbox.endpoint,
        auth_flow=request.param,
    )


class TestOverHttp:
    @pytest.mark.parametrize(("username", "number"), [("ana", 1), ("ben", 2)])
    def test_a_code_that_is_sent(
        self, either: CognitoTransport, sandbox: Sandbox, username: str, number: int
    ) -> None:
        outcome = check(either, username, number)
        assert isinstance(outcome, ChallengeIssued)
        assert isinstance(outcome.challenge, CodeChallenge)
        assert outcome.challenge.delivery is not None
        (message,) = sandbox.messages()
        assert len(message.code) == outcome.challenge.digits
        wrong = answered(either, outcome.challenge, "0" * outcome.challenge.digits)
        assert isinstance(wrong, Rejected)
        assert wrong.reason is RejectionReason.WRONG_CODE
        assert isinstance(answered(either, outcome.challenge, message.code), TokensIssued)
        again = answered(either, outcome.challenge, message.code)
        assert isinstance(again, Rejected)
        assert again.reason is RejectionReason.CHALLENGE_DEAD

    def test_a_choice(self, either: CognitoTransport, sandbox: Sandbox) -> None:
        outcome = check(either, "dora", 4)
        assert isinstance(outcome, ChallengeIssued)
        assert isinstance(outcome.challenge, FactorChoice)
        assert sandbox.messages() == ()
        outcome = either.perform(RequestCode(challenge=outcome.challenge, factor=Factor.EMAIL))
        assert isinstance(outcome, ChallengeIssued)
        assert isinstance(outcome.challenge, CodeChallenge)
        (message,) = sandbox.messages()
        assert isinstance(answered(either, outcome.challenge, message.code), TokensIssued)

    def test_a_new_password(self, either: CognitoTransport, sandbox: Sandbox) -> None:
        outcome = check(either, "emil", 5)
        assert isinstance(outcome, ChallengeIssued)
        assert isinstance(outcome.challenge, NewPasswordChallenge)
        for typed, expected in (("weak", Rejected), ("Better-horse-5", ChallengeIssued)):
            call = SetPassword(
                challenge=outcome.challenge, new_password=SecretStr(typed), attributes={}
            )
            assert isinstance(either.perform(call), expected)
        assert len(sandbox.messages()) == 1

    def test_no_second_factor(self, either: CognitoTransport) -> None:
        assert isinstance(check(either, "fay", 6), TokensIssued)

    def test_a_wrong_password_and_an_unknown_user_are_the_same(
        self, either: CognitoTransport
    ) -> None:
        assert check(either, "ana", 9) == check(either, "nobody", 1)

    @pytest.mark.parametrize(
        ("kind", "texts", "expected"),
        [
            ("drop_response", 1, OutcomeUnknown),
            ("http_500", 1, OutcomeUnknown),
            ("refuse", 0, OutcomeUnknown),
            ("delay", 1, OutcomeUnknown),
        ],
    )
    def test_faults(
        self,
        sandbox: Sandbox,
        controls: httpx.Client,
        kind: str,
        texts: int,
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
        assert len(sandbox.messages()) == texts
        assert sandbox.calls() == {"InitiateAuth": 1, "RespondToAuthChallenge": 1}

    def test_a_throttle_is_repeated_for_it_had_no_effect(
        self, transport: CognitoTransport, sandbox: Sandbox, controls: httpx.Client
    ) -> None:
        fault = {"operation": "RespondToAuthChallenge", "kind": "throttle"}
        controls.post("/faults", json=fault)
        assert isinstance(check(transport, "ana", 1), ChallengeIssued)
        assert sandbox.calls() == {"InitiateAuth": 1, "RespondToAuthChallenge": 2}
        assert len(sandbox.messages()) == 1

    def test_throttles_that_go_on_are_told(
        self, transport: CognitoTransport, sandbox: Sandbox, controls: httpx.Client
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
    def test_by_any_alias(self, name: str) -> None:
        """After the first answer the hash is of the pool's own name, never of the alias."""
        with Sandbox(self.seed) as sandbox:
            transport = self.made(sandbox, "client-secret-1")
            outcome = check(transport, name, 1)
            assert isinstance(outcome, ChallengeIssued)
            assert isinstance(outcome.challenge, CodeChallenge)
            assert outcome.challenge.username == "ana"
            code = sandbox.messages()[-1].code
            assert isinstance(answered(transport, outcome.challenge, code), TokensIssued)

    @pytest.mark.parametrize("secret", [None, "another"])
    def test_a_wrong_one_is_the_developers_to_mend(self, secret: str | None) -> None:
        with Sandbox(self.seed) as sandbox:
            outcome = check(self.made(sandbox, secret), "ana", 1)
            assert isinstance(outcome, Rejected)
            assert outcome.reason is RejectionReason.MISCONFIGURED

    def test_it_is_hidden(self, sandbox: Sandbox) -> None:
        transport = self.made(sandbox, "client-secret-1")
        assert "client-secret-1" not in f"{transport!r} {vars(transport)!r}"


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
def test_settings_that_cannot_work(wrong: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        CognitoTransport(**{"pool_id": "us-east-1_Pool1", "client_id": "client1", **wrong})


class Says(InProcessClient):
    """A client whose InitiateAuth says something that no pool of ours says."""

    def __init__(self, response: Callable[[], Any]) -> None:
        super().__init__(Pool(DEMO_SEED, "http://issuer", SandboxClock()))
        self._response = response

    def initiate_auth(self, **request: Any) -> Any:
        return self._response()


def saying(response: Any) -> CognitoTransport:
    client: Any = Says(lambda: response)
    return CognitoTransport(pool_id="us-east-1_Pool1", client_id="client1", client=client)


def test_an_unknown_challenge_is_named() -> None:
    outcome = check(saying({"ChallengeName": "MAGIC_LINK", "Session": "s" * 20}), "ana", 1)
    assert isinstance(outcome, ChallengeIssued)
    assert getattr(outcome.challenge, "name", "") == "MAGIC_LINK"


@pytest.mark.parametrize(
    "parameters",
    [{}, {"SALT": "zz", "SRP_B": "1", "SECRET_BLOCK": ""}, {"SALT": "1", "SRP_B": "0"}],
)
def test_srp_parameters_that_are_none(parameters: dict[str, str]) -> None:
    response = {"ChallengeName": "PASSWORD_VERIFIER", "ChallengeParameters": parameters}
    outcome = check(saying(response), "ana", 1)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is RejectionReason.MISCONFIGURED


class Word(str):
    """A text that can be seen to be gone."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize(
    "faults", [[None], ["lost"], ["broken"], ["throttled", None], ["throttled", "throttled"]]
)
def test_no_password_stays_behind(faults: list[str | None]) -> None:
    pool = Pool(DEMO_SEED, "http://issuer", SandboxClock())
    client: Any = InProcessClient(pool)
    transport = CognitoTransport(
        pool_id=pool.seed.id,
        client_id=pool.seed.client_id,
        client=client,
        auth_flow="USER_PASSWORD_AUTH",
    )
    client.faults.extend(faults)

    def signs_in() -> weakref.ref[Word]:
        word = Word("Correct-horse-1")
        transport.perform(CheckPassword(username="ana", password=SecretStr(word)))
        return weakref.ref(word)

    # Within a function: pydantic looks at its caller's names when it builds a model, and a frame that
    # was looked at keeps them.
    gone = signs_in()
    client.requests.clear()
    gc.collect()
    assert not client.faults
    assert gone() is None


def test_the_lease_covers_the_longest_call(transport: CognitoTransport) -> None:
    # Two requests, each with two connections of 3 s, two waits of 1 s and 15 s for the answer.
    assert transport.max_call_seconds == 2 * (2 * (3 + 1) + 15)
