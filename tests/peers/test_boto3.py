"""Plain boto3, with its own default settings, signs in against the sandbox."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from oncegate_sandbox import Sandbox


@pytest.fixture
def cognito(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "unused")
    return boto3.client("cognito-idp", region_name="us-east-1", endpoint_url=sandbox.endpoint)


def test_password_and_sms_code_sign_in(sandbox: Sandbox, cognito: Any) -> None:
    challenge = cognito.initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=sandbox.client_id,
        AuthParameters={"USERNAME": "ana", "PASSWORD": "Correct-horse-1"},
    )
    assert challenge["ChallengeName"] == "SMS_MFA"
    assert challenge["ChallengeParameters"]["CODE_DELIVERY_DESTINATION"] == "+*******1234"

    def answer(code: str) -> Any:
        return cognito.respond_to_auth_challenge(
            ClientId=sandbox.client_id,
            ChallengeName="SMS_MFA",
            Session=challenge["Session"],
            ChallengeResponses={"USERNAME": "ana", "SMS_MFA_CODE": code},
        )

    with pytest.raises(cognito.exceptions.CodeMismatchException):
        answer("wrong")
    result = answer(sandbox.messages()[-1].code)["AuthenticationResult"]
    assert cognito.get_user(AccessToken=result["AccessToken"])["Username"] == "ana"


def test_lost_response_with_default_retries_sends_two_codes(sandbox: Sandbox, cognito: Any) -> None:
    """The problem that oncegate solves: boto3's default retries repeat the request."""
    sandbox.lose_next_response("InitiateAuth")
    cognito.initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=sandbox.client_id,
        AuthParameters={"USERNAME": "ana", "PASSWORD": "Correct-horse-1"},
    )
    assert len(sandbox.messages()) == 2
