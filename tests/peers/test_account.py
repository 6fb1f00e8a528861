"""The account as `oncegate.account` sets it, seen by boto3 and by Amplify, and the other way round."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyotp
import pytest
from pydantic import SecretStr
from tests.walks.authenticator import Authenticator

from oncegate import Factor, RememberDevice, SignIn, SubmitCode, SubmitPasskey, SubmitPassword
from oncegate.account import (
    Account,
    AccountState,
    AddAuthenticator,
    AddPasskey,
    SubmitAddress,
    UseFactor,
)
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed
from oncegate_stores import MemoryStore
from oncegate_vaults import MemoryVault

HERE = Path(__file__).parent / "javascript"
PASSWORD = "Correct-horse-1"
PHONE = "+15550007777"


class Managed:
    """A new user who has set up everything that there is.

    Args:
        sandbox: the sandbox, whose pool remembers devices.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        transport = CognitoTransport(
            pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
        )
        store = MemoryStore()
        self.account = Account(transport=transport, store=store)
        sign_in = SignIn(transport=transport, store=store, vault=MemoryVault())
        first = sign_in.send(sign_in.start(), SubmitPassword(username="nora", password=PASSWORD))
        if first.tokens is None:
            first = sign_in.send(first, RememberDevice(remember="true"))
        assert first.tokens is not None
        self.token = first.tokens.access_token
        self.set_up()

    def send(self, step: Any, event: Any) -> Any:
        return self.account.send(step, event, self.token)

    def set_up(self) -> None:
        step = self.send(self.account.start(), AddAuthenticator(name="Phone"))
        step = self.send(step, SubmitCode(code=pyotp.TOTP(step.totp.secret).now()))
        step = self.send(step, SubmitAddress(attribute="phone_number", address=PHONE))
        step = self.send(step, SubmitCode(code=self.sandbox.messages()[-1].code))
        step = self.send(step, UseFactor(factor=Factor.SMS, use="preferred"))
        step = self.send(step, AddPasskey())
        made = Authenticator().register(step.passkey_creation, origin="http://localhost:3000")
        step = self.send(step, SubmitPasskey(credential=json.dumps(made)))
        assert step.state is AccountState.MANAGING
        assert step.message.code == "passkey_added"


@pytest.fixture
def managed() -> Iterator[Managed]:
    pool = PoolSeed(device_tracking="opt_in")
    user = UserSeed(username="nora", password=SecretStr(PASSWORD), email="nora@example.com")
    with Sandbox(Seed(pool=pool, users=(user,))) as sandbox:
        yield Managed(sandbox)


def test_boto3_sees_the_same_account(managed: Managed) -> None:
    client: Any = boto3.client(
        "cognito-idp",
        region_name="us-east-1",
        endpoint_url=managed.sandbox.endpoint,
        aws_access_key_id="unused",
        aws_secret_access_key="unused",
    )
    seen = managed.account.overview(managed.token)
    user = client.get_user(AccessToken=managed.token)
    assert (
        set(user["UserMFASettingList"])
        == {*map(str, seen.second_factors)}
        == {
            "SMS_MFA",
            "SOFTWARE_TOKEN_MFA",
        }
    )
    assert user["PreferredMfaSetting"] == seen.preferred == "SMS_MFA"
    attributes = {one["Name"]: one["Value"] for one in user["UserAttributes"]}
    assert attributes["phone_number"] == seen.addresses["phone_number"] == PHONE
    assert attributes["phone_number_verified"] == "true"
    assert "phone_number" in seen.verified
    passkeys = client.list_web_authn_credentials(AccessToken=managed.token)["Credentials"]
    assert [one["CredentialId"] for one in passkeys] == [one.key for one in seen.passkeys]
    assert len(passkeys) == 1
    devices = client.list_devices(AccessToken=managed.token)["Devices"]
    assert [one["DeviceKey"] for one in devices] == [one.key for one in seen.devices]
    assert len(devices) == 1
    assert len(managed.sandbox.messages()) == 1

    client.set_user_mfa_preference(
        AccessToken=managed.token, SoftwareTokenMfaSettings={"Enabled": True, "PreferredMfa": True}
    )
    client.delete_web_authn_credential(
        AccessToken=managed.token, CredentialId=passkeys[0]["CredentialId"]
    )
    client.forget_device(AccessToken=managed.token, DeviceKey=devices[0]["DeviceKey"])
    seen = managed.account.overview(managed.token)
    assert (seen.preferred, seen.passkeys, seen.devices) == (Factor.TOTP, (), ())


@pytest.mark.needs("npm")
@pytest.mark.needs("node")
def test_amplify_sees_the_same_account(managed: Managed, request: pytest.FixtureRequest) -> None:
    packages: Path = request.getfixturevalue("javascript")
    seen = managed.account.overview(managed.token)
    expected = {
        "password": PASSWORD,
        "phone_number": PHONE,
        "preference": {"enabled": ["SMS", "TOTP"], "preferred": "SMS"},
        "passkeys": [one.key for one in seen.passkeys],
        "devices": [one.key for one in seen.devices],
    }
    done = subprocess.run(
        [
            "node",
            HERE / "account.cjs",
            json.dumps({**managed.sandbox.description(), "expected": expected}),
        ],
        env={**os.environ, "NODE_PATH": str(packages / "node_modules")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    results: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    assert results
    failed = [f"{name}: {error}" for name, error in results.items() if error]
    assert not failed, "\n\n".join(failed)
    seen = managed.account.overview(managed.token)
    assert (seen.preferred, seen.passkeys) == (Factor.TOTP, ())
