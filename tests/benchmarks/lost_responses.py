"""Texts sent for one sign-in when responses are lost: boto3, pycognito and oncegate, side by side.

    .venv/bin/python tests/benchmarks/lost_responses.py

Each signs the same user in to a local Cognito of its own that texts a code and then drops the
connection, up to ten times in a row. No timing is measured: the figures are counts.

The sandbox takes an SRP claim once, so pycognito's repeated ones are refused there and text nobody. That
Cognito does the same is inferred; against a server that takes them again, pycognito was seen to cause
three texts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pycognito import Cognito
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from oncegate import StepRef
from oncegate import SignIn, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Fault, Sandbox
from oncegate_stores import MemoryStore

USERNAME, PASSWORD = "ana", "Correct-horse-1"


class Row(NamedTuple):
    client: str
    texts: int
    requests: int


def boto3_as_it_comes(sandbox: Sandbox) -> None:
    client = boto3.client("cognito-idp", region_name="us-east-1", endpoint_url=sandbox.endpoint)
    client.initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=sandbox.client_id,
        AuthParameters={"USERNAME": USERNAME, "PASSWORD": PASSWORD},
    )


def pycognito_as_it_comes(sandbox: Sandbox) -> None:
    Cognito(
        sandbox.pool_id,
        sandbox.client_id,
        username=USERNAME,
        boto3_client_kwargs={"endpoint_url": sandbox.endpoint},
    ).authenticate(PASSWORD)


def oncegate(sandbox: Sandbox) -> None:
    transport = CognitoTransport(
        pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
    )
    sign_in = SignIn(transport=transport, store=MemoryStore())
    event = SubmitPassword(username=USERNAME, password=SecretStr(PASSWORD))
    flow_id = sign_in.start().flow_id
    for _ in range(3):  # and whoever clicks clicks three times
        sign_in.send(StepRef(flow_id, 0), event)


def measure(name: str, operation: str, sign_in: Callable[[Sandbox], None]) -> Row:
    """Count what one client does.

    Args:
        name: of the client.
        operation: that makes Cognito text, in the way that this client signs in.
        sign_in: signs in.
    """
    with Sandbox() as sandbox:
        sandbox.order(Fault(operation=operation, kind="drop_response", times=10))
        with suppress(BotoCoreError, ClientError):
            sign_in(sandbox)
        return Row(name, len(sandbox.messages()), sum(sandbox.calls().values()))


def measured() -> list[Row]:
    """All rows."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "unused")
    return [
        measure("boto3", "InitiateAuth", boto3_as_it_comes),
        measure("pycognito", "RespondToAuthChallenge", pycognito_as_it_comes),
        measure("oncegate, clicked three times", "RespondToAuthChallenge", oncegate),
    ]


def main() -> None:
    table = Table(title="One sign-in whose responses are lost")
    for heading in ("client", "texts sent", "requests made"):
        table.add_column(heading, justify="left" if heading == "client" else "right")
    for row in measured():
        table.add_row(*map(str, row))
    Console().print(table)


if __name__ == "__main__":
    main()
