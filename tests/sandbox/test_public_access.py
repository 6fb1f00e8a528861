"""What tests of other packages use of a pool, without private members."""

from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from oncegate_sandbox import DEMO_SEED, CognitoError, Pool, Sandbox, SandboxClock


def signed_in(pool: Pool, username: str = "fay", password: str = "Correct-horse-6") -> str:
    response = pool.perform(
        "InitiateAuth",
        {
            "ClientId": DEMO_SEED.pool.client_id,
            "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": username, "PASSWORD": password},
        },
    )
    return str(response["AuthenticationResult"]["AccessToken"])


def test_signing_key_that_is_given_signs_the_tokens() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pool = Pool(DEMO_SEED, "http://issuer", SandboxClock(), signing_key=key)
    token = signed_in(pool)
    claims = jwt.decode(token, key.public_key(), algorithms=["RS256"], issuer="http://issuer")
    assert claims["username"] == "fay"


def test_pools_without_signing_key_do_not_accept_each_others_tokens() -> None:
    first, second = (Pool(DEMO_SEED, "http://issuer", SandboxClock()) for _ in range(2))
    token = signed_in(first)
    assert first.perform("GetUser", {"AccessToken": token})["Username"] == "fay"
    with pytest.raises(CognitoError, match="Invalid Access Token"):
        second.perform("GetUser", {"AccessToken": token})


def test_signed_claims_are_accepted_until_the_claims_are_wrong() -> None:
    pool = Pool(DEMO_SEED, "http://issuer", SandboxClock())
    claims = jwt.decode(signed_in(pool), options={"verify_signature": False})
    user = pool.perform("GetUser", {"AccessToken": pool.tokens.sign(claims)})
    assert user["Username"] == "fay"
    with pytest.raises(CognitoError, match="Invalid Access Token"):
        pool.perform("GetUser", {"AccessToken": pool.tokens.sign({**claims, "token_use": "id"})})


def test_session_texts_are_those_on_the_wire() -> None:
    with Sandbox() as sandbox:
        response = sandbox.pool.perform(
            "InitiateAuth",
            {
                "ClientId": sandbox.client_id,
                "AuthFlow": "USER_PASSWORD_AUTH",
                "AuthParameters": {"USERNAME": "ana", "PASSWORD": "Correct-horse-1"},
            },
        )
        assert sandbox.pool.sessions.texts() == {response["Session"]}
        assert [message.username for message in sandbox.messages()] == ["ana"]
