"""JavaScript clients, unchanged from npm, against the sandbox.

Each script in `javascript/` holds the scenarios of one client. They assert what the client makes of the
sandbox's responses and errors.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from pydantic import SecretStr

from oncegate import Factor
from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed

pytestmark = [pytest.mark.needs("npm"), pytest.mark.needs("node")]
HERE = Path(__file__).parent / "javascript"
PASSWORD = "Correct-horse-1"
TOTP = SecretStr("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")

# Asks up to three times. A password that was proven first is in `past`, too.
CUSTOM_AUTH = """
def next_challenge(username, past):
    answers = [one for one in past if one["name"] == "CUSTOM_CHALLENGE"]
    if answers and answers[-1]["right"]:
        return True
    if len(answers) == 3:
        return False
    return {"public": {"question": "Which animal?"}, "answer": "horse"}
"""


def user(name: str, **more: Any) -> UserSeed:
    defaults = {"password": SecretStr(PASSWORD), "email": f"{name}@example.com"}
    return UserSeed(username=name, **{**defaults, **more})


SEED = Seed(
    pool=PoolSeed(custom_auth=CUSTOM_AUTH),
    users=(
        *(
            user(name)
            for name in ("plain", "forgetful", "attributes", "changes", "adds", "deleted", "other")
        ),
        user("sms", phone_number="+15550000001", mfa=(Factor.SMS,)),
        user("totp", mfa=(Factor.TOTP,), totp_secret=TOTP),
        user(
            "both",
            phone_number="+15550000003",
            mfa=(Factor.SMS, Factor.TOTP),
            totp_secret=TOTP,
        ),
        user("email", mfa=(Factor.EMAIL,)),
        user("new", status="FORCE_CHANGE_PASSWORD"),
        user("imported", status="RESET_REQUIRED"),
        user("disabled", enabled=False),
    ),
)


class Provisioned:
    """A pool that is created as a team would, with one confirmed user."""

    def __init__(self, admin: Any, username: str, attributes: dict[str, str], **settings: Any):
        self.admin, self.username = admin, username
        self.pool_id = admin.create_user_pool(PoolName=username, **settings)["UserPool"]["Id"]
        made = admin.create_user_pool_client(
            UserPoolId=self.pool_id,
            ClientName="app",
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH"],
        )
        self.client_id = made["UserPoolClient"]["ClientId"]
        named: Any = {"UserPoolId": self.pool_id, "Username": username}
        admin.admin_create_user(
            UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
            MessageAction="SUPPRESS",
            **named,
        )
        admin.admin_set_user_password(Password=PASSWORD, Permanent=True, **named)

    def ids(self) -> dict[str, str]:
        return {"pool_id": self.pool_id, "client_id": self.client_id}


def pool_that_requires_mfa(admin: Any) -> dict[str, str]:
    """Return a pool whose user has to set up an authenticator app."""
    pool = Provisioned(admin, "setup", {})
    admin.set_user_pool_mfa_config(
        UserPoolId=pool.pool_id,
        SoftwareTokenMfaConfiguration={"Enabled": True},
        MfaConfiguration="ON",
    )
    return pool.ids()


def pool_that_remembers_devices(admin: Any) -> dict[str, str]:
    """Return a pool whose user gets codes by SMS, except on remembered devices."""
    pool = Provisioned(
        admin,
        "device",
        {"phone_number": "+15550000002", "phone_number_verified": "true"},
        MfaConfiguration="OPTIONAL",
        SmsConfiguration={"SnsCallerArn": "arn:aws:iam::123456789012:role/sms"},
        DeviceConfiguration={
            "ChallengeRequiredOnNewDevice": True,
            "DeviceOnlyRememberedOnUserPrompt": True,
        },
    )
    admin.admin_set_user_mfa_preference(
        UserPoolId=pool.pool_id,
        Username="device",
        SMSMfaSettings={"Enabled": True, "PreferredMfa": True},
    )
    return pool.ids()


@pytest.fixture
def pools() -> Iterator[dict[str, Any]]:
    """The seed's pool, and two that are provisioned."""
    with Sandbox(SEED) as sandbox:
        admin = boto3.client(
            "cognito-idp",
            region_name="us-east-1",
            endpoint_url=sandbox.endpoint,
            aws_access_key_id="unused",
            aws_secret_access_key="unused",
        )
        legacy = admin.create_user_pool_client(
            UserPoolId=sandbox.pool_id,
            ClientName="legacy",
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"],
            PreventUserExistenceErrors="LEGACY",
        )
        yield {
            **sandbox.description(),
            "legacy_client_id": legacy["UserPoolClient"]["ClientId"],
            "required": pool_that_requires_mfa(admin),
            "devices": pool_that_remembers_devices(admin),
        }


@pytest.mark.parametrize("client", ["identity_js.cjs", "amplify.cjs", "sdk_v3.cjs"])
def test_client_from_npm_works_against_the_sandbox(
    client: str, pools: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    # Requested here, so that the markers are evaluated first.
    packages: Path = request.getfixturevalue("javascript")
    done = subprocess.run(
        ["node", HERE / client, json.dumps(pools)],
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
