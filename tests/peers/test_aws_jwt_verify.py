"""AWS's own aws-jwt-verify, unchanged from npm, accepts the sandbox's tokens and refuses wrong ones.

It is what AWS's documentation names for Node.js; it knows both issuers of a pool (its #239).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from oncegate_sandbox import Pool, PoolSeed, SandboxClock, Seed, UserSeed

pytestmark = [pytest.mark.needs("npm"), pytest.mark.needs("node")]

Json = dict[str, Any]
Verify = Callable[[list[Json]], list[str]]
PASSWORD = "Correct-horse-1"


@pytest.fixture(scope="module")
def verify(request: pytest.FixtureRequest) -> Verify:
    """Verifies tokens, all in one process of Node.js."""
    folder: Path = request.getfixturevalue("javascript")  # after the markers are evaluated

    def run(cases: list[Json]) -> list[str]:
        done = subprocess.run(
            ["node", Path(__file__).with_name("javascript") / "verify_tokens.cjs"],
            env={**os.environ, "NODE_PATH": str(folder / "node_modules")},
            input=json.dumps(cases),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    return run


class SignedIn:
    """A pool whose user, in the group ``staff``, has signed in.

    Args:
        settings: settings of the pool.
    """

    def __init__(self, **settings: Any) -> None:
        ana = UserSeed(
            username="ana",
            password=SecretStr(PASSWORD),
            email="ana@example.com",
            groups=("staff",),
        )
        seed = Seed(pool=PoolSeed(**settings), users=(ana,))
        self.pool = Pool(seed, "http://127.0.0.1:9229/us-east-1_Sandbox01", SandboxClock())
        self.client_id = seed.pool.client_id
        request = {
            "ClientId": self.client_id,
            "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": "ana", "PASSWORD": PASSWORD},
        }
        result = self.pool.perform("InitiateAuth", request)["AuthenticationResult"]
        self.access, self.identity = result["AccessToken"], result["IdToken"]

    def case(self, token: str, use: str = "access", **properties: Any) -> Json:
        given = {"clientId": self.client_id, "tokenUse": use, **properties}
        return {
            "kind": "cognito",
            "token": token,
            "create": {"userPoolId": self.pool.id, **given},
            "properties": {},
            "jwks": self.pool.tokens.jwks(),
        }

    def signed(self, token: str, **changes: Any) -> str:
        claims = jwt.decode(token, options={"verify_signature": False})
        return self.pool.tokens.sign({**claims, **changes})


@pytest.mark.parametrize("issuer_type", ["ORIGINAL", "UPDATED"])
def test_tokens_are_valid_or_refused_for_the_right_reason(verify: Verify, issuer_type: str) -> None:
    ana = SignedIn(issuer="aws", issuer_type=issuer_type)
    other = SignedIn(issuer="aws", issuer_type=issuer_type, id="us-east-1_Another11")
    forged = ana.access[:-10] + ("A" * 10)
    cases = [
        (ana.case(ana.access), "valid"),
        (ana.case(ana.identity, "id"), "valid"),
        (ana.case(ana.access, groups=["staff", "admins"]), "valid"),
        (ana.case(ana.access, scope="aws.cognito.signin.user.admin"), "valid"),
        (ana.case(ana.access, clientId=["another", ana.client_id]), "valid"),
        (ana.case(ana.access, groups="admins"), "CognitoJwtInvalidGroupError"),
        (ana.case(ana.access, scope="orders/read"), "JwtInvalidScopeError"),
        (ana.case(ana.access, "id"), "CognitoJwtInvalidTokenUseError"),
        (ana.case(ana.identity), "CognitoJwtInvalidTokenUseError"),
        (ana.case(ana.access, clientId="another"), "CognitoJwtInvalidClientIdError"),
        (ana.case(ana.identity, "id", clientId="another"), "CognitoJwtInvalidClientIdError"),
        (ana.case(ana.signed(ana.access, exp=int(time.time()) - 5)), "JwtExpiredError"),
        (
            ana.case(ana.signed(ana.access, exp=int(time.time()) - 5), graceSeconds=60),
            "valid",
        ),
        (ana.case(other.access), "ParameterValidationError"),  # of an issuer that is not configured
        (ana.case(forged), "JwtInvalidSignatureError"),
    ]
    assert verify([case for case, _ in cases]) == [expected for _, expected in cases]


def test_tokens_with_the_endpoint_as_issuer_are_valid_for_a_verifier_of_any_issuer(
    verify: Verify,
) -> None:
    ana = SignedIn()
    case = {
        "kind": "any",
        "create": {"issuer": ana.pool.tokens.issuer, "audience": None},
        "properties": {},
        "jwks": ana.pool.tokens.jwks(),
    }
    tokens = [ana.access, ana.identity]
    assert verify([{**case, "token": token} for token in tokens]) == ["valid", "valid"]
