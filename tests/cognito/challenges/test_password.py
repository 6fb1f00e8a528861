"""The password: proven by SRP, or sent."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from pydantic import SecretStr
from tests.cognito.conftest import Check, Parse, Perform
from tests.doubles import InProcessClient

from oncegate import ChooseFactor, Factor, SignIn, SubmitPassword
from oncegate.adapters import (
    ChallengeIssued,
    CheckPassword,
    FactorChoice,
    OutcomeUnknown,
    PasswordChallenge,
    Rejected,
    RejectionReason,
    TokensIssued,
)
from oncegate_cognito import AdminCognitoTransport, CognitoTransport
from oncegate_sandbox import DEMO_SEED, Pool, SandboxClock
from oncegate_stores import MemoryStore

PLAIN = [
    {"ChallengeName": "PASSWORD"},
    {"ChallengeName": "SELECT_CHALLENGE", "AvailableChallenges": ["PASSWORD"]},
]
TYPED = "Correct-horse-1"


def test_password_without_second_factor_signs_in(either: CognitoTransport, check: Check) -> None:
    assert isinstance(check(either, "fay", 6), TokensIssued)


def test_wrong_password_and_unknown_user_have_the_same_outcome(
    either: CognitoTransport, check: Check
) -> None:
    known, unknown = check(either, "ana", 9), check(either, "nobody", 1)
    assert isinstance(known, Rejected)
    # The name is that of the request; only a recovery uses it.
    assert known.model_copy(update={"username": unknown.username}) == unknown  # type: ignore[union-attr]


def test_challenge_name_decides_how_the_password_is_proven(parse: Parse) -> None:
    for name, by_srp in (("PASSWORD", False), ("PASSWORD_SRP", True)):
        got = parse(name, {})
        assert isinstance(got, PasswordChallenge)
        assert got.srp is by_srp


class AsksForPlainPassword(InProcessClient):
    """A server that answers everything but a password with a challenge of its choice."""

    def __init__(self, challenge: dict[str, Any]) -> None:
        super().__init__(Pool(DEMO_SEED, "http://issuer", SandboxClock()))
        self._challenge = {"Session": "s" * 40, "ChallengeParameters": {}, **challenge}

    def _request(self, operation: str, request: Any) -> Any:
        self.requests.append((operation, request))
        if TYPED in repr(request):
            return {"AuthenticationResult": {"AccessToken": "a", "ExpiresIn": 60}}
        return self._challenge


def transport_of(client: Any, kind: type[CognitoTransport], **more: Any) -> CognitoTransport:
    return kind(pool_id="us-east-1_Pool1", client_id="client1", client=client, **more)


@pytest.mark.parametrize("challenge", PLAIN, ids=["password", "choice"])
@pytest.mark.parametrize("kind", [CognitoTransport, AdminCognitoTransport])
@pytest.mark.parametrize("auth_flow", ["USER_SRP_AUTH", "USER_AUTH", "CUSTOM_AUTH"])
def test_password_is_not_sent_to_a_server_that_asks_for_it_in_plain(
    auth_flow: str, kind: type[CognitoTransport], challenge: dict[str, Any], perform: Perform
) -> None:
    client = AsksForPlainPassword(challenge)
    transport = transport_of(client, kind, auth_flow=auth_flow)
    call = CheckPassword(username="ana", password=SecretStr(TYPED))
    asked = perform(transport, call)
    assert isinstance(asked, ChallengeIssued)
    assert isinstance(asked.challenge, PasswordChallenge | FactorChoice)
    outcome = perform(transport, call.model_copy(update={"challenge": asked.challenge}))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is RejectionReason.MISCONFIGURED
    assert "allow_plain_password" in outcome.detail
    assert len(client.requests) == 1
    assert TYPED not in repr(client.requests)


@pytest.mark.parametrize("challenge", PLAIN, ids=["password", "choice"])
def test_sign_in_at_a_server_that_asks_for_plain_passwords_sends_none(
    challenge: dict[str, Any],
) -> None:
    client = AsksForPlainPassword(challenge)
    sign_in = SignIn(transport=transport_of(client, CognitoTransport), store=MemoryStore())
    step = sign_in.send(sign_in.start(), SubmitPassword(username="ana", password=TYPED))
    if "choose_factor" in step.events:
        step = sign_in.send(step, ChooseFactor(factor=Factor.PASSWORD))
    assert step.state == "awaiting_password"
    step = sign_in.send(step, SubmitPassword(password=TYPED))
    assert step.state != "authenticated"
    assert TYPED not in repr(client.requests)


@pytest.mark.parametrize("challenge", PLAIN, ids=["password", "choice"])
@pytest.mark.parametrize(
    "settings",
    [{"auth_flow": "USER_AUTH", "allow_plain_password": True}, {"auth_flow": "USER_PASSWORD_AUTH"}],
    ids=str,
)
def test_plain_password_is_sent_if_the_application_allows_it(
    settings: dict[str, Any], challenge: dict[str, Any], parse: Parse, perform: Perform
) -> None:
    client = AsksForPlainPassword(challenge)
    asked = parse(challenge["ChallengeName"], {}, **challenge)
    call = CheckPassword.model_validate(
        {"username": "ana", "password": SecretStr(TYPED), "challenge": asked}
    )
    outcome = perform(transport_of(client, CognitoTransport, **settings), call)
    assert isinstance(outcome, TokensIssued)
    assert client.requests[-1][1]["ChallengeResponses"]["PASSWORD"] == TYPED


@pytest.mark.parametrize("name", [None, "PASSWORD_SRP", "SELECT_CHALLENGE"])
def test_lost_response_to_the_first_half_of_srp_cannot_have_sent_a_code(
    name: str | None, parse: Parse, perform: Perform
) -> None:
    class Loses(AsksForPlainPassword):
        def _request(self, operation: str, request: Any) -> Any:
            raise ReadTimeoutError(endpoint_url="http://nowhere")

    asked = parse(name, {}, AvailableChallenges=["PASSWORD_SRP"]) if name else None
    call = CheckPassword.model_validate(
        {"username": "ana", "password": SecretStr(TYPED), "challenge": asked}
    )
    outcome = perform(transport_of(Loses({}), CognitoTransport, auth_flow="USER_AUTH"), call)
    assert isinstance(outcome, OutcomeUnknown)
    assert not outcome.can_have_sent
