"""Replacing a temporary password."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr
from tests.cognito.conftest import Check, Parse, Perform
from tests.doubles import InProcessClient

from oncegate import SignIn, SubmitNewPassword, SubmitPassword
from oncegate.adapters import ChallengeIssued, NewPasswordChallenge, Rejected, SetPassword
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Pool, PoolSeed, Sandbox, SandboxClock, Seed, UserSeed
from oncegate_stores import MemoryStore


def test_required_attributes_have_no_prefix(parse: Parse) -> None:
    got = parse("NEW_PASSWORD_REQUIRED", {"requiredAttributes": '["userAttributes.email"]'})
    assert isinstance(got, NewPasswordChallenge)
    assert got.required_attributes == ("email",)


def test_weak_password_is_rejected_and_a_better_one_accepted(
    either: CognitoTransport, sandbox: Sandbox, check: Check, perform: Perform
) -> None:
    outcome = check(either, "emil", 5)
    assert isinstance(outcome, ChallengeIssued)
    assert isinstance(outcome.challenge, NewPasswordChallenge)
    for typed, expected in (("weak", Rejected), ("Better-horse-5", ChallengeIssued)):
        call = SetPassword(
            challenge=outcome.challenge, new_password=SecretStr(typed), attributes={}
        )
        assert isinstance(perform(either, call), expected)
    assert len(sandbox.messages()) == 1


@pytest.mark.parametrize("required", [(), ("given_name",)], ids=str)
def test_attribute_that_cognito_did_not_ask_for_is_not_in_the_request(
    required: tuple[str, ...],
) -> None:
    user = UserSeed(
        username="emil", password=SecretStr("Correct-horse-5"), status="FORCE_CHANGE_PASSWORD"
    )
    seed = Seed(pool=PoolSeed(mfa="optional", required_attributes=required), users=(user,))
    pool = Pool(seed, "http://issuer", SandboxClock())
    client: Any = InProcessClient(pool)
    transport = CognitoTransport(pool_id=seed.pool.id, client_id=seed.pool.client_id, client=client)
    sign_in = SignIn(transport=transport, store=MemoryStore())
    step = sign_in.send(
        sign_in.start(), SubmitPassword(username="emil", password="Correct-horse-5")
    )
    attributes = {"given_name": "Emil", "custom:role": "admin", "email_verified": "true"}
    event = SubmitNewPassword(new_password="Better-horse-5", attributes=attributes)
    assert sign_in.send(step, event).state == "authenticated"
    _, request = client.requests[-1]
    answer = request["ChallengeResponses"]
    sent = {name for name in answer if name.startswith("userAttributes.")}
    assert sent == {f"userAttributes.{name}" for name in required}
    assert "admin" not in repr(client.requests)
