"""What a wrong password takes for a user who exists and for one who does not, in turn, in one run.

    .venv/bin/python tests/benchmarks/user_existence.py

Both go through the whole of oncegate to a local Cognito. The ratio is to be 1.00 but for noise: what is
done is the same (`tests/faults/test_strangers.py`).
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
    """Medians in milliseconds: of somebody, of nobody, and of nobody once more, to show the noise."""
    with Sandbox() as sandbox:
        transport = CognitoTransport(
            pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
        )
        sign_in = SignIn(transport=transport, store=MemoryStore(), budget=None, listeners=[])
        took: dict[str, list[float]] = {"a user": [], "nobody": [], "nobody again": []}
        for number in range(rounds):
            for who, times in took.items():
                # A new name each time: Cognito locks a name after five wrong passwords.
                name = "ana" if who == "a user" else f"nobody{number}"
                event = SubmitPassword(username=name, password=SecretStr("wrong"))
                flow_id = sign_in.start().flow_id
                began = time.perf_counter()
                step = sign_in.send(sign_in.get(flow_id), event)
                times.append(time.perf_counter() - began)
                assert step.state == "idle"
            # The lock of a user who exists would show as "locked", and is Cognito's own affair.
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
