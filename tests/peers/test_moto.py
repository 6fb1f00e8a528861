"""The transport against moto, another implementation of Cognito's API.

moto does not check SRP signatures or codes, so these tests cover the shapes of requests and responses,
not the computation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.doubles import PASSWORD, password

from oncegate import SignIn, SubmitCode, SubmitNewPassword
from oncegate.adapters import RejectionReason
from oncegate_cognito import CognitoTransport
from oncegate_stores import MemoryStore


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def admin(endpoint: str) -> Any:
    return boto3.client(
        "cognito-idp",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="unused",
        aws_secret_access_key="unused",
    )


@pytest.fixture
def pool_id(admin: Any) -> str:
    return str(admin.create_user_pool(PoolName="pool")["UserPool"]["Id"])


def sign_in_to(admin: Any, pool_id: str, endpoint: str, **more: Any) -> SignIn:
    client = admin.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="client",
        GenerateSecret=more.pop("secret", False),
        ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH"],
    )["UserPoolClient"]
    transport = CognitoTransport(
        pool_id=pool_id,
        client_id=client["ClientId"],
        client_secret=client.get("ClientSecret"),
        endpoint_url=endpoint,
        **more,
    )
    return SignIn(transport=transport, store=MemoryStore())


def add_user(admin: Any, pool_id: str, name: str = "ana", *, permanent: bool = True) -> None:
    admin.admin_create_user(
        UserPoolId=pool_id, Username=name, TemporaryPassword="Temporary-horse-1"
    )
    if permanent:
        admin.admin_set_user_password(
            UserPoolId=pool_id, Username=name, Password=PASSWORD, Permanent=True
        )


@pytest.mark.parametrize("secret", [False, True], ids=["public", "secret"])
def test_password_without_second_factor_signs_in(
    admin: Any, pool_id: str, endpoint: str, secret: bool
) -> None:
    add_user(admin, pool_id)
    sign_in = sign_in_to(admin, pool_id, endpoint, auth_flow="USER_PASSWORD_AUTH", secret=secret)
    step = sign_in.send(sign_in.start(), password())
    assert step.state == "authenticated"
    assert step.tokens is not None
    assert admin.get_user(AccessToken=step.tokens.access_token)["Username"] == "ana"


def test_srp_with_an_email_address_signs_in(admin: Any, endpoint: str) -> None:
    """Only in such a pool do moto's users have the name that it returns as USER_ID_FOR_SRP."""
    pool = admin.create_user_pool(PoolName="emails", UsernameAttributes=["email"])["UserPool"]["Id"]
    add_user(admin, pool, "ana@example.com")
    sign_in = sign_in_to(admin, pool, endpoint)
    step = sign_in.send(sign_in.start(), password(username="ana@example.com"))
    assert step.state == "authenticated"


def test_wrong_password_returns_to_idle(admin: Any, pool_id: str, endpoint: str) -> None:
    add_user(admin, pool_id)
    sign_in = sign_in_to(admin, pool_id, endpoint, auth_flow="USER_PASSWORD_AUTH")
    step = sign_in.send(sign_in.start(), password("wrong"))
    assert step.message is not None
    assert (step.state, step.message.code) == ("idle", RejectionReason.WRONG_CREDENTIALS)


def test_authenticator_code_signs_in(admin: Any, pool_id: str, endpoint: str) -> None:
    add_user(admin, pool_id)
    sign_in = sign_in_to(admin, pool_id, endpoint, auth_flow="USER_PASSWORD_AUTH")
    step = sign_in.send(sign_in.start(), password())
    assert step.tokens is not None
    admin.associate_software_token(AccessToken=step.tokens.access_token)
    admin.verify_software_token(AccessToken=step.tokens.access_token, UserCode="123456")
    admin.set_user_mfa_preference(
        AccessToken=step.tokens.access_token,
        SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True},
    )
    admin.set_user_pool_mfa_config(
        UserPoolId=pool_id,
        SoftwareTokenMfaConfiguration={"Enabled": True},
        MfaConfiguration="ON",
    )
    step = sign_in.send(sign_in.start(), password())
    assert (step.state, step.challenge) == ("awaiting_mfa", "SOFTWARE_TOKEN_MFA")
    step = sign_in.send(step, SubmitCode.model_validate({"code": "123456"}))
    assert step.state == "authenticated"


def test_temporary_password_is_replaced(admin: Any, pool_id: str, endpoint: str) -> None:
    add_user(admin, pool_id, permanent=False)
    sign_in = sign_in_to(admin, pool_id, endpoint, auth_flow="USER_PASSWORD_AUTH")
    step = sign_in.send(sign_in.start(), password("Temporary-horse-1"))
    assert step.state == "awaiting_new_password"
    new = SubmitNewPassword.model_validate({"new_password": "Better-horse-2"})
    assert sign_in.send(step, new).state == "authenticated"
