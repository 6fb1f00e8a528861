"""SMS codes sent for one sign-in if responses are lost: boto3, pycognito and oncegate compared.

    .venv/bin/python tests/benchmarks/lost_responses.py

Each signs the same user in to its own sandbox, which sends a code and then drops the connection, up to
ten times in a row. The figures are counts; no time is measured.

The sandbox accepts an SRP claim once, so it rejects pycognito's repeated claims and sends no code for
them. That Cognito does the same is an inference; a server that accepts them again sent three codes.
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

from oncegate import SignIn, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Fault, Sandbox
from oncegate_stores import MemoryStore

USERNAME, PASSWORD = "ana", "Correct-horse-1"


class Row(NamedTuple):
    client: str
    codes: int
    requests: int


def boto3_with_defaults(sandbox: Sandbox) -> None:
    client = boto3.client("cognito-idp", region_name="us-east-1", endpoint_url=sandbox.endpoint)
    client.initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=sandbox.client_id,
        AuthParameters={"USERNAME": USERNAME, "PASSWORD": PASSWORD},
    )


def pycognito_with_defaults(sandbox: Sandbox) -> None:
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
    step = sign_in.start()
    for _ in range(3):  # a double click, and one more
        sign_in.send(step, event)


def measure(name: str, operation: str, sign_in: Callable[[Sandbox], None]) -> Row:
    """Count the codes and requests of one client.

    Args:
        name: name of the client, for the table.
        operation: operation that makes Cognito send the code.
        sign_in: signs in with this client.
    """
    with Sandbox() as sandbox:
        sandbox.order(Fault(operation=operation, kind="drop_response", times=10))
        with suppress(BotoCoreError, ClientError):
            sign_in(sandbox)
        return Row(name, len(sandbox.messages()), sum(sandbox.calls().values()))


def measured() -> list[Row]:
    """Return all rows."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "unused")
    return [
        measure("boto3", "InitiateAuth", boto3_with_defaults),
        measure("pycognito", "RespondToAuthChallenge", pycognito_with_defaults),
        measure("oncegate, clicked three times", "RespondToAuthChallenge", oncegate),
    ]


def main() -> None:
    table = Table(title="One sign-in whose responses are lost")
    for heading in ("client", "codes sent", "requests made"):
        table.add_column(heading, justify="left" if heading == "client" else "right")
    for row in measured():
        table.add_row(*map(str, row))
    Console().print(table)


if __name__ == "__main__":
    main()
