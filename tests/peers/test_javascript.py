"""JavaScript clients, unchanged from npm, against the sandbox.

Each script in `javascript/` holds the scenarios of one client. They assert what the client makes of the
sandbox's responses and errors.
"""

from __future__ import annotations

import json
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
    pool=PoolSeed(device_tracking="opt_in", custom_auth=CUSTOM_AUTH),
    users=(
        *(
            user(name)
            for name in ("plain", "forgetful", "attributes", "changes", "adds", "deleted", "other")
        ),
        user("sms", phone_number="+15550000001", mfa=(Factor.SMS,)),
        user("device", phone_number="+15550000002", mfa=(Factor.SMS,)),
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


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The seed's pool, and one that requires a second factor of a user who has none."""
    with Sandbox(SEED) as sandbox:
        admin = boto3.client(
            "cognito-idp",
            region_name="us-east-1",
            endpoint_url=sandbox.endpoint,
            aws_access_key_id="unused",
            aws_secret_access_key="unused",
        )
        pool_id = admin.create_user_pool(PoolName="required")["UserPool"]["Id"]
        admin.set_user_pool_mfa_config(
            UserPoolId=pool_id,
            SoftwareTokenMfaConfiguration={"Enabled": True},
            MfaConfiguration="ON",
        )
        made = admin.create_user_pool_client(UserPoolId=pool_id, ClientName="app")
        client_id = made["UserPoolClient"]["ClientId"]
        admin.admin_create_user(UserPoolId=pool_id, Username="setup", MessageAction="SUPPRESS")
        admin.admin_set_user_password(
            UserPoolId=pool_id, Username="setup", Password=PASSWORD, Permanent=True
        )
        yield {**sandbox.description(), "required": {"pool_id": pool_id, "client_id": client_id}}


@pytest.mark.parametrize("client", ["identity_js.cjs", "amplify.cjs", "sdk_v3.cjs"])
def test_client_from_npm_works_against_the_sandbox(
    client: str, pools: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    # Requested here, so that the markers are evaluated first.
    packages: Path = request.getfixturevalue("javascript")
    done = subprocess.run(
        ["node", HERE / client, json.dumps(pools)],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "NODE_PATH": str(packages / "node_modules")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    results: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    assert results
    failed = [f"{name}: {error}" for name, error in results.items() if error]
    assert not failed, "\n\n".join(failed)
