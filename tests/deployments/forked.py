"""A program that uses a transport, forks, and uses it in both processes at the same time.

python -m tests.deployments.forked ENDPOINT POOL_ID CLIENT_ID

Each process signs in a user of its own, again and again. Prints a line for each outcome: the user, and
the phone that the challenge names, or the outcome's type.
"""

from __future__ import annotations

import os
import sys

from tests.deployments.crowd import PASSWORD

from oncegate import RequestContext
from oncegate.adapters import CheckPassword, CodeChallenge, Transport
from oncegate_cognito import CognitoTransport

TIMES = 25


def main(endpoint: str, pool_id: str, client_id: str) -> None:
    transport = CognitoTransport(
        pool_id=pool_id, client_id=client_id, endpoint_url=endpoint, auth_flow="USER_PASSWORD_AUTH"
    )
    report(transport, "user0")
    child = os.fork()
    for _ in range(TIMES):
        report(transport, "user0" if child else "user1")
    if child:
        os.waitpid(child, 0)
    else:
        os._exit(0)


def report(transport: Transport, user: str) -> None:
    call = CheckPassword.model_validate({"username": user, "password": PASSWORD})
    outcome = transport.perform(call, RequestContext())
    challenge = getattr(outcome, "challenge", None)
    seen = type(outcome).__name__
    if isinstance(challenge, CodeChallenge) and challenge.delivery:
        seen = challenge.delivery.destination
    os.write(1, f"{user} {seen}\n".encode())  # at once: both processes write to one pipe


if __name__ == "__main__":
    main(*sys.argv[1:])
