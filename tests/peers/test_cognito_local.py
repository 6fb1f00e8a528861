"""The transport against cognito-local: passwords, temporary passwords, authenticator apps."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyotp
import pytest
from pydantic import SecretStr

from oncegate import SignIn, Step, SubmitCode, SubmitNewPassword, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_stores import MemoryStore

pytestmark = [pytest.mark.needs("npm"), pytest.mark.needs("node")]
NAME, PASSWORD = "ana@example.com", "Correct-horse-1"


class CognitoLocal:
    """A user pool of cognito-local, with one user."""

    def __init__(self, endpoint: str) -> None:
        self.boto: Any = boto3.client(
            "cognito-idp",
            region_name="us-east-1",
            endpoint_url=endpoint,
            aws_access_key_id="unused",
            aws_secret_access_key="unused",
        )
        pool = self.boto.create_user_pool(PoolName="pool", MfaConfiguration="OPTIONAL")
        self.pool_id = pool["UserPool"]["Id"]
        client = self.boto.create_user_pool_client(
            UserPoolId=self.pool_id,
            ClientName="app",
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"],
        )
        self.client_id = client["UserPoolClient"]["ClientId"]
        self.boto.admin_create_user(
            UserPoolId=self.pool_id,
            Username=NAME,
            TemporaryPassword="Temporary-horse-1",
            UserAttributes=[{"Name": "email", "Value": NAME}],
            MessageAction="SUPPRESS",
        )
        transport = CognitoTransport(
            pool_id=self.pool_id,
            client_id=self.client_id,
            endpoint_url=endpoint,
            auth_flow="USER_PASSWORD_AUTH",
        )
        self.sign_in = SignIn(transport=transport, store=MemoryStore())

    def set_password(self) -> None:
        self.boto.admin_set_user_password(
            UserPoolId=self.pool_id, Username=NAME, Password=PASSWORD, Permanent=True
        )

    def begin(self, password: str) -> Step:
        event = SubmitPassword(username=NAME, password=SecretStr(password))
        return self.sign_in.send(self.sign_in.start(), event)


@pytest.fixture
def local(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CognitoLocal]:
    packages: Path = request.getfixturevalue("javascript")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [packages / "node_modules/.bin/cognito-local"],
        cwd=tmp_path,  # it writes its database there
        env={**os.environ, "PORT": str(port), "HOST": "127.0.0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield CognitoLocal(f"http://127.0.0.1:{port}")
    process.kill()
    process.wait()


def test_right_password_signs_in_and_a_wrong_one_does_not(local: CognitoLocal) -> None:
    local.set_password()
    step = local.begin("wrong")
    # cognito-local returns InvalidPasswordException instead of NotAuthorizedException.
    assert (step.state, step.tokens) == ("failed", None)
    step = local.begin(PASSWORD)
    assert step.state == "authenticated"
    assert step.tokens is not None


def test_temporary_password_is_replaced(local: CognitoLocal) -> None:
    step = local.begin("Temporary-horse-1")
    assert step.state == "awaiting_new_password"
    event = SubmitNewPassword(new_password=SecretStr(PASSWORD))
    assert local.sign_in.send(step, event).state == "authenticated"


def test_authenticator_code_signs_in(local: CognitoLocal) -> None:
    local.set_password()
    step = local.begin(PASSWORD)
    assert step.tokens is not None
    token = step.tokens.access_token
    app = pyotp.TOTP(local.boto.associate_software_token(AccessToken=token)["SecretCode"])
    local.boto.verify_software_token(AccessToken=token, UserCode=app.now())
    local.boto.set_user_mfa_preference(
        AccessToken=token, SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True}
    )
    step = local.begin(PASSWORD)
    assert (step.state, step.challenge) == ("awaiting_mfa", "SOFTWARE_TOKEN_MFA")
    wrong = SubmitCode(code=SecretStr(f"{(int(app.now()) + 1) % 10**6:06d}"))
    step = local.sign_in.send(step, wrong)
    assert step.attempts_left == 4
    step = local.sign_in.send(step, SubmitCode(code=SecretStr(app.now())))
    assert step.state == "authenticated"
