"""Passkeys of a signed-in user: registration, list and deletion.

Source: API reference, StartWebAuthnRegistration, CompleteWebAuthnRegistration,
ListWebAuthnCredentials and DeleteWebAuthnCredential; WebAuthn Level 2 for the credentials.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.walks.authenticator import Authenticator

from oncegate_sandbox import CognitoError, Pool, PoolSeed, SandboxClock, Seed, UserSeed

PASSWORD = "Correct-horse-1"
CLIENT = PoolSeed().client_id


class SignedIn:
    """A user with an access token, and an authenticator.

    Args:
        pool: settings of the pool.
    """

    def __init__(self, **pool: Any) -> None:
        user = UserSeed.model_validate({"username": "ana", "password": PASSWORD})
        seed = Seed(pool=PoolSeed(**pool), users=(user,))
        self.pool = Pool(seed, "http://issuer", SandboxClock())
        self.token = self.pool.perform(
            "InitiateAuth",
            {
                "ClientId": CLIENT,
                "AuthFlow": "USER_PASSWORD_AUTH",
                "AuthParameters": {"USERNAME": "ana", "PASSWORD": PASSWORD},
            },
        )["AuthenticationResult"]["AccessToken"]

    def call(self, operation: str, **request: Any) -> Any:
        return self.pool.perform(operation, {"AccessToken": self.token, **request})

    def options(self) -> Any:
        return self.call("StartWebAuthnRegistration")["CredentialCreationOptions"]

    def register(
        self,
        challenge: str | None = None,
        *,
        origin: str = "http://localhost:3000",
        relying_party: str = "localhost",
    ) -> str:
        """Register a passkey, and return its ID."""
        options = json.dumps({"challenge": challenge or self.options()["challenge"]})
        credential = Authenticator(relying_party).register(options, origin=origin)
        self.call("CompleteWebAuthnRegistration", Credential=credential)
        key: str = credential["id"]
        return key

    def passkeys(self) -> Any:
        return self.call("ListWebAuthnCredentials")["Credentials"]

    def rejection(self, operation: Any, *arguments: Any, **request: Any) -> str:
        with pytest.raises(CognitoError) as error:
            operation(*arguments, **request)
        return error.value.code


@pytest.fixture
def ana() -> SignedIn:
    return SignedIn()


def test_registered_passkey_is_listed_and_signs_in(ana: SignedIn) -> None:
    key = ana.register()
    (passkey,) = ana.passkeys()
    assert passkey["CredentialId"] == key
    assert passkey["RelyingPartyId"] == "localhost"
    assert passkey["AuthenticatorAttachment"] == "platform"
    assert passkey["AuthenticatorTransports"] == ["internal"]
    assert passkey["CreatedAt"] == pytest.approx(ana.pool.clock.now(), abs=5)
    assert "WEB_AUTHN" in ana.call("GetUserAuthFactors")["ConfiguredUserAuthFactors"]
    begun = ana.pool.perform(
        "InitiateAuth",
        {
            "ClientId": CLIENT,
            "AuthFlow": "USER_AUTH",
            "AuthParameters": {"USERNAME": "ana", "PREFERRED_CHALLENGE": "WEB_AUTHN"},
        },
    )
    options = json.loads(begun["ChallengeParameters"]["CREDENTIAL_REQUEST_OPTIONS"])
    assert [allowed["id"] for allowed in options["allowCredentials"]] == [key]


def test_options_exclude_the_passkeys_that_the_user_has(ana: SignedIn) -> None:
    key = ana.register()
    options = ana.options()
    assert [excluded["id"] for excluded in options["excludeCredentials"]] == [key]
    assert options["rp"]["id"] == "localhost"
    assert {one["alg"] for one in options["pubKeyCredParams"]} == {-7, -257}


def test_deleted_passkey_is_gone(ana: SignedIn) -> None:
    key = ana.register()
    ana.call("DeleteWebAuthnCredential", CredentialId=key)
    assert ana.passkeys() == []
    again = ana.rejection(ana.call, "DeleteWebAuthnCredential", CredentialId=key)
    assert again == "ResourceNotFoundException"


def test_pages_of_passkeys_have_a_token_until_the_last(ana: SignedIn) -> None:
    for _ in range(3):
        ana.register()
    first = ana.call("ListWebAuthnCredentials", MaxResults=2)
    last = ana.call("ListWebAuthnCredentials", MaxResults=2, NextToken=first["NextToken"])
    assert (len(first["Credentials"]), len(last["Credentials"])) == (2, 1)
    assert "NextToken" not in last


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"origin": "https://evil.example"}, "WebAuthnOriginNotAllowedException"),
        ({"origin": "https://localhost.evil.example"}, "WebAuthnOriginNotAllowedException"),
        ({"relying_party": "example.com"}, "WebAuthnRelyingPartyMismatchException"),
        ({"challenge": "AAAA"}, "WebAuthnCredentialNotSupportedException"),
    ],
)
def test_each_fault_of_a_registration_has_its_error(
    ana: SignedIn, keys: dict[str, str], code: str
) -> None:
    ana.options()
    assert ana.rejection(ana.register, **keys) == code
    assert ana.passkeys() == []


def test_challenge_is_used_once(ana: SignedIn) -> None:
    challenge = ana.options()["challenge"]
    ana.register(challenge)
    assert ana.rejection(ana.register, challenge) == "WebAuthnChallengeNotFoundException"


def test_malformed_credential_is_rejected(ana: SignedIn) -> None:
    ana.options()
    credential = {"id": "x", "response": {"clientDataJSON": "{}"}}
    rejected = ana.rejection(ana.call, "CompleteWebAuthnRegistration", Credential=credential)
    assert rejected == "WebAuthnCredentialNotSupportedException"


def test_subdomain_of_the_relying_party_can_register() -> None:
    """WebAuthn Level 2, 5.1.3: the relying party ID is a suffix of the origin's host."""
    ana = SignedIn(relying_party="example.com")
    ana.register(origin="https://login.example.com", relying_party="example.com")
    assert len(ana.passkeys()) == 1


def test_pool_without_passkeys_rejects_a_registration() -> None:
    ana = SignedIn(first_factors=("EMAIL_OTP",))
    assert ana.rejection(ana.options) == "WebAuthnNotEnabledException"


def test_twenty_passkeys_are_the_limit(ana: SignedIn) -> None:
    """AWS developer guide, passkey sign-in"""
    for _ in range(20):
        ana.register()
    assert ana.rejection(ana.options) == "LimitExceededException"
