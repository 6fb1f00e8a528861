"""Replacing a temporary password."""

from __future__ import annotations

from pydantic import SecretStr
from tests.cognito.conftest import Check, Parse, Perform

from oncegate.adapters import ChallengeIssued, NewPasswordChallenge, Rejected, SetPassword
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox


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
