"""pycognito, unchanged from PyPI, signs in to the sandbox. It verifies the tokens itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyotp
import pytest
from botocore.exceptions import ClientError
from pycognito import Cognito
from pycognito.exceptions import (
    SMSMFAChallengeException,
    SoftwareTokenMFAChallengeException,
)
from pydantic import SecretStr

from oncegate import Factor
from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed

TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PASSWORD = "Correct-horse-1"
USERS = (
    UserSeed(
        username="sms", password=SecretStr(PASSWORD), phone_number="+15550001234", mfa=(Factor.SMS,)
    ),
    UserSeed(
        username="totp",
        password=SecretStr(PASSWORD),
        totp_secret=SecretStr(TOTP),
        mfa=(Factor.TOTP,),
    ),
    UserSeed(username="new", password=SecretStr(PASSWORD), status="FORCE_CHANGE_PASSWORD"),
    UserSeed(
        username="both",
        password=SecretStr(PASSWORD),
        phone_number="+15550004321",
        mfa=(Factor.SMS,),
    ),
    UserSeed(username="plain", password=SecretStr(PASSWORD), email="plain@example.com"),
)

Client = Callable[[str], Any]


@pytest.fixture(params=[None, "a-client-secret"], ids=["public", "secret"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "unused")
    secret = request.param
    pool = PoolSeed(client_secret=SecretStr(secret) if secret else None)
    with Sandbox(Seed(pool=pool, users=USERS)) as sandbox:

        def make(username: str) -> Any:
            made = Cognito(
                sandbox.pool_id,
                sandbox.client_id,
                username=username,
                client_secret=secret,
                boto3_client_kwargs={"endpoint_url": sandbox.endpoint},
            )
            made.sandbox = sandbox
            return made

        yield make


def test_srp_signs_in(client: Client) -> None:
    user = client("plain")
    user.authenticate(PASSWORD)
    assert user.access_claims["username"] == "plain"
    assert user.id_claims["email"] == "plain@example.com"
    assert user.get_user().email == "plain@example.com"


def test_srp_with_a_wrong_password_is_rejected(client: Client) -> None:
    with pytest.raises(ClientError, match="Incorrect username or password"):
        client("plain").authenticate("wrong")


@pytest.mark.parametrize("client", [None], ids=["public"], indirect=True)
def test_srp_with_changing_numbers_always_signs_in(client: Client) -> None:
    """Salts, A, B and S differ each time; about one sign-in in 64 has one with a leading zero."""
    for _ in range(15):
        client("plain").authenticate(PASSWORD)


def test_sms_code_signs_in(client: Client) -> None:
    user = client("sms")
    with pytest.raises(SMSMFAChallengeException):
        user.authenticate(PASSWORD)
    with pytest.raises(ClientError, match="CodeMismatchException"):
        user.respond_to_sms_mfa_challenge("000000x")
    user.respond_to_sms_mfa_challenge(user.sandbox.messages()[-1].code)
    assert user.access_claims["username"] == "sms"
    assert len(user.sandbox.messages()) == 1


def test_totp_code_signs_in(client: Client) -> None:
    user = client("totp")
    with pytest.raises(SoftwareTokenMFAChallengeException):
        user.authenticate(PASSWORD)
    user.respond_to_software_token_mfa_challenge(pyotp.TOTP(TOTP).now())
    assert user.access_claims["username"] == "totp"


def test_temporary_password_is_replaced(client: Client) -> None:
    user = client("new")
    user.new_password_challenge(PASSWORD, "Better-horse-2")
    assert user.access_claims["username"] == "new"
    client("new").authenticate("Better-horse-2")


def test_authenticator_set_up_after_sign_in_is_required(client: Client) -> None:
    user = client("plain")
    user.authenticate(PASSWORD)
    app = pyotp.TOTP(user.associate_software_token())
    with pytest.raises(ClientError, match="EnableSoftwareTokenMFAException"):
        user.verify_software_token(f"{(int(app.now()) + 1) % 10**6:06}")
    assert user.verify_software_token(app.now(), "an app")
    user.set_user_mfa_preference(False, True, "SOFTWARE_TOKEN")
    with pytest.raises(SoftwareTokenMFAChallengeException):
        client("plain").authenticate(PASSWORD)


def test_unverified_authenticator_cannot_be_preferred(client: Client) -> None:
    user = client("plain")
    user.authenticate(PASSWORD)
    with pytest.raises(ClientError, match="SOFTWARE_TOKEN_MFA"):
        user.set_user_mfa_preference(False, True, "SOFTWARE_TOKEN")


def test_access_token_is_renewed_and_then_revoked(client: Client) -> None:
    user = client("plain")
    user.authenticate(PASSWORD)
    before = user.access_token
    user.renew_access_token()
    assert user.access_token != before
    token = user.access_token
    user.logout()
    with pytest.raises(ClientError, match="revoked"):
        user.client.get_user(AccessToken=token)


class TestDevices:
    """pycognito's AWSSRP registers and confirms a device, and uses it instead of a code."""

    def test_confirmed_device_replaces_the_code(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import boto3
        from pycognito import aws_srp
        from pycognito.aws_srp import AWSSRP

        pool = PoolSeed(device_tracking="always")
        with Sandbox(Seed(pool=pool, users=USERS)) as sandbox:
            boto = boto3.client(
                "cognito-idp",
                region_name="us-east-1",
                endpoint_url=sandbox.endpoint,
                aws_access_key_id="unused",
                aws_secret_access_key="unused",
            )
            about = {
                "username": "both",
                "password": PASSWORD,
                "pool_id": sandbox.pool_id,
                "client_id": sandbox.client_id,
                "client": boto,
            }
            with pytest.raises(SMSMFAChallengeException) as challenge:
                AWSSRP(**about).authenticate_user()
            session = challenge.value.get_tokens()["Session"]
            answer = {"USERNAME": "both", "SMS_MFA_CODE": sandbox.messages()[-1].code}
            tokens = boto.respond_to_auth_challenge(
                ClientId=sandbox.client_id,
                ChallengeName="SMS_MFA",
                Session=session,
                ChallengeResponses=answer,
            )
            # pycognito always sends ConfirmDevice to Amazon's address, whatever its client's endpoint.
            post = aws_srp.requests.post
            monkeypatch.setattr(
                aws_srp.requests, "post", lambda _, **more: post(sandbox.endpoint, **more)
            )
            aws = AWSSRP(**about)
            _, password = aws.confirm_device(tokens)
            metadata = tokens["AuthenticationResult"]["NewDeviceMetadata"]
            again = AWSSRP(
                **about,
                device_key=metadata["DeviceKey"],
                device_group_key=metadata["DeviceGroupKey"],
                device_password=password,
            )
            assert again.authenticate_user()["AuthenticationResult"]["AccessToken"]
            assert len(sandbox.messages()) == 1, "the device replaced the code"
