"""The registration of challenges: who answers, who begins, and what follows the first factor."""

from __future__ import annotations

from typing import Any

import pytest

from oncegate import Factor
from oncegate_sandbox import DEMO_SEED, CognitoError, Pool, PoolSeed, SandboxClock, Seed
from oncegate_sandbox._sessions import Caller
from oncegate_sandbox._signing_in import SigningIn
from oncegate_sandbox._wire import RespondToAuthChallenge
from oncegate_sandbox.challenges import CHALLENGES, Challenge

CLIENT = DEMO_SEED.pool.client_id


def signing_in(*challenges: type[Challenge], **pool: Any) -> SigningIn:
    seed = Seed(pool=PoolSeed(**pool), users=DEMO_SEED.users)
    return SigningIn(Pool(seed, "http://issuer", SandboxClock()), (*challenges, *CHALLENGES))


NAMES = sorted({name for challenge in CHALLENGES for name in challenge.names})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("responses", [{}, {"EMAIL": "ana@example.com"}], ids=["plain", "email"])
def test_each_challenge_name_is_answered_by_one_class(name: str, responses: Any) -> None:
    request = RespondToAuthChallenge(
        ClientId=CLIENT, ChallengeName=name, ChallengeResponses=responses
    )
    assert sum(challenge.accepts(request) for challenge in signing_in().challenges) == 1


def test_each_operation_and_auth_flow_has_one_class() -> None:
    challenges = signing_in(custom_auth="def next_challenge(username, past): ...").challenges
    for registered in (
        [name for one in challenges for name in one.operations()],
        [name for one in challenges for name in one.auth_flows()],
    ):
        assert sorted(set(registered)) == sorted(registered)


@pytest.mark.parametrize("mfa", ["off", "optional", "on"])
@pytest.mark.parametrize("preferred", [None, Factor.EMAIL])
@pytest.mark.parametrize(
    "factors", [(), (Factor.EMAIL,), (Factor.EMAIL, Factor.SMS)], ids=["none", "one", "two"]
)
def test_at_most_one_challenge_is_due(
    mfa: str, preferred: Factor | None, factors: tuple[Factor, ...]
) -> None:
    sign_in = signing_in(mfa=mfa)
    user = sign_in.pool.users.find("dora")
    assert user is not None
    user.factors, user.preferred = factors, preferred
    user.attributes = {}  # with an address, a pool that requires MFA would use it
    due = [
        type(one).__name__
        for one in sign_in.challenges
        if one.is_due(user, Caller(sign_in.pool.client(CLIENT)))
    ]
    if mfa == "off" or not factors:
        expected = ["TotpSetup"] if mfa == "on" else []
    else:
        expected = ["Code" if preferred or len(factors) == 1 else "FactorChoice"]
    assert due == expected


class Greeting(Challenge):
    """A challenge that Cognito does not have."""

    names = ("GREETING",)

    def is_due(self, user: Any, caller: Caller) -> bool:
        return True

    def issue(self, user: Any, caller: Caller) -> Any:
        return self.open("GREETING", user, {"SAY": "hello"}, caller)

    def answer(self, session: Any, request: RespondToAuthChallenge) -> Any:
        if request.responses.get("ANSWER") != "hello":
            raise CognitoError("CodeMismatchException", "Say hello.")
        session.used = True
        return self.sign_in.complete(session.owner, session.origin)


def test_new_challenge_needs_only_its_class_and_its_registration() -> None:
    operations = signing_in(Greeting).operations()

    def perform(operation: str, **request: Any) -> Any:
        model, function = operations[operation]
        return function(model.model_validate({"ClientId": CLIENT, **request}))

    def answer(text: str) -> Any:
        return perform(
            "RespondToAuthChallenge",
            ChallengeName="GREETING",
            Session=issued["Session"],
            ChallengeResponses={"USERNAME": "ana", "ANSWER": text},
        )

    issued = perform(
        "InitiateAuth",
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ana", "PASSWORD": "Correct-horse-1"},
    )
    assert issued["ChallengeName"] == "GREETING"
    assert issued["ChallengeParameters"]["SAY"] == "hello"
    with pytest.raises(CognitoError, match="Say hello"):
        answer("goodbye")
    assert "AccessToken" in answer("hello")["AuthenticationResult"]
