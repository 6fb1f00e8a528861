"""A user pool that a test provisions with boto3, as a team does against Cognito."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from oncegate_sandbox import Sandbox

PASSWORD = "Correct-horse-1"


def boto_client(sandbox: Sandbox) -> Any:
    """Return a boto3 client with credentials that are invalid elsewhere."""
    return boto3.session.Session().client(
        "cognito-idp",
        endpoint_url=sandbox.endpoint,
        region_name="us-east-1",
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )


class UserPool:
    """One pool with one app client.

    Args:
        sandbox: the server.
        boto: a boto3 client.
        app_client: members of CreateUserPoolClient.
        settings: members of CreateUserPool.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        boto: Any,
        *,
        app_client: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.sandbox = sandbox
        self.boto = boto
        self.id: str = boto.create_user_pool(PoolName="test", **settings)["UserPool"]["Id"]
        members = {
            "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_AUTH"],
            **(app_client or {}),
        }
        created = boto.create_user_pool_client(UserPoolId=self.id, ClientName="app", **members)
        self.client_id: str = created["UserPoolClient"]["ClientId"]

    def admin(self, operation: str, **request: Any) -> Any:
        """Call an operation of an administrator."""
        return getattr(self.boto, operation)(UserPoolId=self.id, **request)

    def app(self, operation: str, **request: Any) -> Any:
        """Call an operation of the app client."""
        return getattr(self.boto, operation)(ClientId=self.client_id, **request)

    def add(self, username: str = "ana", *, password: str = PASSWORD, **attributes: str) -> str:
        """Create a confirmed user, and return the username."""
        created = self.admin(
            "admin_create_user",
            Username=username,
            TemporaryPassword="Temporary-horse-0",
            MessageAction="SUPPRESS",
            UserAttributes=named(attributes),
        )
        name: str = created["User"]["Username"]
        self.admin("admin_set_user_password", Username=name, Password=password, Permanent=True)
        return name

    def tokens(self, username: str = "ana", password: str = PASSWORD) -> Any:
        """Sign in, and return the AuthenticationResult."""
        return self.start(username, password)["AuthenticationResult"]

    def start(self, username: str = "ana", password: str = PASSWORD) -> Any:
        """Return the response of InitiateAuth."""
        return self.app(
            "initiate_auth",
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": password},
        )

    def get(self, username: str = "ana") -> dict[str, str]:
        """Return a user's attributes."""
        found = self.admin("admin_get_user", Username=username)
        return {one["Name"]: one["Value"] for one in found["UserAttributes"]}

    def status(self, username: str = "ana") -> str:
        """Return UserStatus."""
        return str(self.admin("admin_get_user", Username=username)["UserStatus"])

    def code(self) -> str:
        """Return the code of the newest message."""
        return self.sandbox.messages()[-1].code


def named(attributes: dict[str, str]) -> list[dict[str, str]]:
    """Return attributes on the wire."""
    return [{"Name": name, "Value": value} for name, value in attributes.items()]


def rejection(call: Any, *arguments: Any, **request: Any) -> tuple[str, str]:
    """Return the code and the message of the error that a call raises."""
    with pytest.raises(ClientError) as error:
        call(*arguments, **request)
    details = error.value.response["Error"]
    return details["Code"], details["Message"]
