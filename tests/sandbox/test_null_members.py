"""To AWS's JSON protocol, a member that is null is absent. amazon-cognito-identity-js sends such."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sandbox.conftest import Call

from oncegate_sandbox import Sandbox

ANA = {"USERNAME": "ana", "PASSWORD": "Correct-horse-1"}
REQUESTS: dict[str, dict[str, Any]] = {
    "SignUp": {"Username": "zoe", "Password": "Correct-horse-1", "UserAttributes": None}
    | dict.fromkeys(("ValidationData", "ClientMetadata", "AnalyticsMetadata", "UserContextData")),
    "InitiateAuth": {"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": ANA}
    | dict.fromkeys(("ClientMetadata", "Session", "AnalyticsMetadata", "UserContextData")),
    "ForgotPassword": {"Username": "ana", "ClientMetadata": None, "SecretHash": None},
}


@pytest.mark.parametrize("operation", REQUESTS)
def test_null_member_is_absent(call: Call, shared: Sandbox, operation: str) -> None:
    response = call(operation, ClientId=shared.client_id, **REQUESTS[operation])
    assert response.status_code == 200, response.text
