"""The transport with IAM credentials sends the administrator's operations, to its own pool."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cognito.conftest import Answer, Check
from tests.doubles import InProcessClient

from oncegate.adapters import ChallengeIssued, CodeChallenge, TokensIssued
from oncegate_cognito import AdminCognitoTransport
from oncegate_sandbox import DEMO_SEED, Pool, SandboxClock


@pytest.mark.parametrize(
    ("auth_flow", "sent"),
    [("USER_PASSWORD_AUTH", "ADMIN_USER_PASSWORD_AUTH"), ("USER_SRP_AUTH", "USER_SRP_AUTH")],
)
def test_admin_transport_sends_admin_operations(
    auth_flow: Any, sent: str, check: Check, answered: Answer
) -> None:
    pool = Pool(DEMO_SEED, "http://issuer", SandboxClock())
    client: Any = InProcessClient(pool)
    transport = AdminCognitoTransport(
        pool_id=pool.seed.id, client_id=pool.seed.client_id, client=client, auth_flow=auth_flow
    )
    outcome = check(transport, "ana", 1)
    assert isinstance(outcome, ChallengeIssued)
    assert isinstance(outcome.challenge, CodeChallenge)
    code = pool.inbox.messages()[-1].code
    assert isinstance(answered(transport, outcome.challenge, code), TokensIssued)
    names = {name for name, _ in client.requests}
    assert names == {"AdminInitiateAuth", "AdminRespondToAuthChallenge"}
    assert client.requests[0][1]["AuthFlow"] == sent
    assert all(request["UserPoolId"] == pool.seed.id for _, request in client.requests)
