"""The AWS CLI, unchanged from PyPI, provisions a pool of the sandbox, and signs users in and up."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oncegate_sandbox import Sandbox

Aws = Callable[..., Any]
PASSWORD, NEW = "Correct-horse-1", "Better-horse-2"


@pytest.fixture(scope="module")
def session() -> Iterator[subprocess.Popen[str]]:
    """The process of `aws_cli/session.py`."""
    environment = {"AWS_ACCESS_KEY_ID": "unused", "AWS_SECRET_ACCESS_KEY": "unused"}
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("aws_cli") / "session.py"],
        env={**os.environ, **environment, "AWS_DEFAULT_REGION": "us-east-1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def aws(sandbox: Sandbox, session: subprocess.Popen[str]) -> Aws:
    """Runs ``aws cognito-idp …``; returns the JSON that it prints, or its error."""

    def run(command: str, *, fails: bool = False, **options: str) -> Any:
        given = [
            part for name, text in options.items() for part in (f"--{name.replace('_', '-')}", text)
        ]
        arguments = ["cognito-idp", *shlex.split(command), *given]
        assert session.stdin
        assert session.stdout
        print(json.dumps([*arguments, "--endpoint-url", sandbox.endpoint]), file=session.stdin)
        session.stdin.flush()
        status, output, errors = json.loads(session.stdout.readline())
        assert (status != 0) is fails, errors
        if fails:
            return errors.strip()
        return json.loads(output) if output.strip() else None

    return run


def test_pool_is_provisioned_and_its_user_signs_in(aws: Aws) -> None:
    pool = aws(
        "create-user-pool --pool-name cli --auto-verified-attributes email",
        policies="PasswordPolicy={MinimumLength=10,RequireSymbols=false}",
        schema="Name=team,AttributeDataType=String,Mutable=true",
    )["UserPool"]
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 10
    in_pool = {"user_pool_id": pool["Id"]}
    client = aws(
        "create-user-pool-client --client-name app --explicit-auth-flows ALLOW_USER_PASSWORD_AUTH "
        "ALLOW_REFRESH_TOKEN_AUTH --token-validity-units AccessToken=minutes "
        "--access-token-validity 10",
        **in_pool,
    )["UserPoolClient"]
    user = aws(
        "admin-create-user --username ana --message-action SUPPRESS --user-attributes "
        "Name=email,Value=ana@example.com Name=email_verified,Value=true Name=custom:team,Value=red",
        temporary_password=PASSWORD,
        **in_pool,
    )["User"]
    assert user["UserStatus"] == "FORCE_CHANGE_PASSWORD"

    app = {"client_id": client["ClientId"]}
    asked = aws(
        "initiate-auth --auth-flow USER_PASSWORD_AUTH",
        auth_parameters=f"USERNAME=ana,PASSWORD={PASSWORD}",
        **app,
    )
    assert asked["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    result = aws(
        "respond-to-auth-challenge --challenge-name NEW_PASSWORD_REQUIRED",
        session=asked["Session"],
        challenge_responses=f"USERNAME=ana,NEW_PASSWORD={NEW}",
        **app,
    )["AuthenticationResult"]
    assert result["ExpiresIn"] == 600
    found = aws("get-user", access_token=result["AccessToken"])
    attributes = {one["Name"]: one["Value"] for one in found["UserAttributes"]}
    assert attributes["custom:team"] == "red"
    renewed = aws(
        "initiate-auth --auth-flow REFRESH_TOKEN_AUTH",
        auth_parameters=f"REFRESH_TOKEN={result['RefreshToken']}",
        **app,
    )
    assert renewed["AuthenticationResult"]["AccessToken"] != result["AccessToken"]
    aws("admin-user-global-sign-out --username ana", **in_pool)
    revoked = aws("get-user", access_token=result["AccessToken"], fails=True)
    assert revoked.endswith("(NotAuthorizedException) when calling the GetUser operation: Access Token has been revoked")  # fmt: skip
    aws("delete-user-pool", **in_pool)
    gone = aws("describe-user-pool", fails=True, **in_pool)
    assert gone.endswith(f"User pool {pool['Id']} does not exist.")


def test_lists_are_read_page_by_page(aws: Aws, sandbox: Sandbox) -> None:
    names = {user.username for user in sandbox.seed.users}
    listed = aws("list-users --page-size 2", user_pool_id=sandbox.pool_id)["Users"]
    assert {user["Username"] for user in listed} == names
    first = aws("list-users --page-size 2 --max-items 3", user_pool_id=sandbox.pool_id)
    assert (len(first["Users"]), "NextToken" in first) == (3, True)
    query = '--filter email=\\"ana@example.com\\" --query Users[].Username'
    assert aws(f"list-users {query}", user_pool_id=sandbox.pool_id) == ["ana"]


def test_user_signs_up_and_resets_a_forgotten_password(aws: Aws, sandbox: Sandbox) -> None:
    app = {"client_id": sandbox.client_id, "username": "zoe"}
    blank = aws("sign-up", password=f" {PASSWORD}", fails=True, **app)
    assert "Member must satisfy regular expression pattern: ^[\\S]+.*[\\S]+$" in blank
    email = "--user-attributes Name=email,Value=zoe@example.com"
    made = aws(f"sign-up {email}", password=PASSWORD, **app)
    assert made["CodeDeliveryDetails"]["Destination"] == "z***@e***"
    aws("confirm-sign-up", confirmation_code=sandbox.messages()[-1].code, **app)
    aws("forgot-password", **app)
    code = sandbox.messages()[-1].code
    aws("confirm-forgot-password", confirmation_code=code, password=NEW, **app)
    assert aws("admin-get-user --username zoe", user_pool_id=sandbox.pool_id)["UserStatus"] == "CONFIRMED"  # fmt: skip


def test_program_exits_with_the_error_of_cognito(sandbox: Sandbox) -> None:
    command = (
        "initiate-auth --auth-flow USER_PASSWORD_AUTH --auth-parameters USERNAME=nobody,PASSWORD=x"
    )
    given = ["--client-id", sandbox.client_id, "--endpoint-url", sandbox.endpoint]
    done = subprocess.run(
        [Path(sys.executable).with_name("aws"), "cognito-idp", *command.split(), *given],
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},  # and no credentials
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in {254, 255}
    assert done.stderr.strip().endswith(
        "An error occurred (NotAuthorizedException) when calling the InitiateAuth operation: "
        "Incorrect username or password."
    )
