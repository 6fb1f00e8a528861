"""The time of an answer for an existing and for an unknown user, in turn, in one run.

    .venv/bin/python tests/benchmarks/user_existence.py

A wrong password, a forgotten one and a new account go through all of oncegate to a sandbox, whose own time
is left out, as Cognito's is not ours. The ratio should be 1.00, apart from noise: the work is the same
(`tests/faults/test_unknown_users.py`).
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from oncegate import (
    Event,
    ForgotPassword,
    RequestContext,
    SignIn,
    SignUp,
    SignUpForm,
    SubmitPassword,
    WaysIn,
)
from oncegate.adapters import Call, Outcome
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import MemoryStore

EVENTS: dict[str, Callable[[str], Event]] = {
    "a wrong password": lambda name: SubmitPassword(username=name, password="wrong"),
    "a forgotten password": lambda name: ForgotPassword(username=name),
    "a new account": lambda name: SignUp(username=name, password="Correct-horse-9"),
}


class TimedTransport(CognitoTransport):
    """A transport that adds up the seconds in its calls."""

    seconds = 0.0

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        began = time.perf_counter()
        try:
            return super().perform(call, context)
        finally:
            self.seconds += time.perf_counter() - began


def measure(event_of: Callable[[str], Event], rounds: int) -> dict[str, float]:
    """Return medians in milliseconds; the unknown user is measured twice, to show the noise."""
    with Sandbox() as sandbox:
        transport = TimedTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            endpoint_url=sandbox.endpoint,
            ways_in=WaysIn(sign_up=SignUpForm()),
        )
        sign_in = SignIn(transport=transport, store=MemoryStore(), budget=None, listeners=[])
        took: dict[str, list[float]] = {
            "a user": [],
            "an unknown user": [],
            "an unknown user again": [],
        }
        for number in range(rounds):
            for kind, (who, times) in enumerate(took.items()):
                # A new name each time: Cognito locks a name after five wrong passwords.
                name = "ana" if who == "a user" else f"unknown{kind}-{number}"
                first, event = sign_in.start(), event_of(name)
                transport.seconds = 0.0
                began = time.perf_counter()
                step = sign_in.send(first, event)
                times.append(time.perf_counter() - began - transport.seconds)
                assert step.reason is None
            # Cognito locks an existing user, which would be a different outcome.
            sandbox.advance(3600)
        return {who: statistics.median(times) * 1000 for who, times in took.items()}


def main(rounds: int) -> None:
    table = Table("event", "of", "median without Cognito, ms", "ratio")
    for what, event_of in EVENTS.items():
        medians = measure(event_of, rounds)
        for who, median in medians.items():
            table.add_row(what, who, f"{median:.3f}", f"{median / medians['a user']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
