"""The time of a wrong password for an existing and for an unknown user, in turn, in one run.

    .venv/bin/python tests/benchmarks/user_existence.py

Both go through all of oncegate to a sandbox. The ratio should be 1.00, apart from noise: the work is the
same (`tests/faults/test_unknown_users.py`).
"""

from __future__ import annotations

import statistics
import sys
import time

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from oncegate import SignIn, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import MemoryStore


def measure(rounds: int) -> dict[str, float]:
    """Return medians in milliseconds; the unknown user is measured twice, to show the noise."""
    with Sandbox() as sandbox:
        transport = CognitoTransport(
            pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
        )
        sign_in = SignIn(transport=transport, store=MemoryStore(), budget=None, listeners=[])
        took: dict[str, list[float]] = {
            "a user": [],
            "an unknown user": [],
            "an unknown user again": [],
        }
        for number in range(rounds):
            for who, times in took.items():
                # A new name each time: Cognito locks a name after five wrong passwords.
                name = "ana" if who == "a user" else f"unknown{number}"
                event = SubmitPassword(username=name, password=SecretStr("wrong"))
                first = sign_in.start()
                began = time.perf_counter()
                step = sign_in.send(first, event)
                times.append(time.perf_counter() - began)
                assert step.state == "idle"
            # Cognito locks an existing user, which would be a different outcome.
            sandbox.advance(3600)
        return {who: statistics.median(times) * 1000 for who, times in took.items()}


def main(rounds: int) -> None:
    medians = measure(rounds)
    table = Table("a wrong password for", "median, ms", "ratio")
    for who, median in medians.items():
        table.add_row(who, f"{median:.2f}", f"{median / medians['a user']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
