"""Processes that change an account are killed with SIGKILL before each effect, and during the call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyotp
import pytest
from tests.faults.worker import Process

from oncegate_sandbox import Fault, Sandbox

USER = "fay"
PASSWORD = "Correct-horse-6"


class Bench:
    """Workers on one store, and a signed-in user.

    Args:
        sandbox: the pool.
        url: the store's.
    """

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self.sandbox, self._url = sandbox, url
        self._made: list[Process] = []
        self._flows = 0
        answer = sandbox.pool.perform(
            "InitiateAuth",
            {
                "AuthFlow": "USER_PASSWORD_AUTH",
                "ClientId": sandbox.client_id,
                "AuthParameters": {"USERNAME": USER, "PASSWORD": PASSWORD},
            },
        )
        self._token = answer["AuthenticationResult"]["AccessToken"]
        self.survivor = self.process()

    def process(self) -> Process:
        """Return another worker."""
        # A click on the surviving worker does not wait for the killed one.
        made = Process(self.sandbox, self._url, patience=0.02)
        self._made.append(made)
        return made

    def close(self) -> None:
        """Kill all workers."""
        for one in self._made:
            one.close()

    def order(self, worker: Process, **order: Any) -> dict[str, Any]:
        """Have a worker carry out an order."""
        answer: dict[str, Any] = worker.order(access_token=self._token, **order)
        return answer

    def send(self, step: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        """Send an event to the surviving worker."""
        return self.order(self.survivor, **answering(step, event))

    def sent(self) -> list[str]:
        """Return the codes that were sent to verify an address, oldest first."""
        return [one.code for one in self.sandbox.messages() if one.purpose.startswith("VERIFY_")]

    def before(self, click: str) -> dict[str, Any]:
        """Bring a new flow to the step before a click, and return the order of the click."""
        self._flows += 1
        start = self.order(self.survivor)
        if click == "add_authenticator":
            return answering(start, {"type": click})
        if click == "the code of an app":
            step = self.send(start, {"type": "add_authenticator"})
            code = pyotp.TOTP(step["secret"]).at(int(self.sandbox.pool.clock.now()))
            return answering(step, {"type": "submit_code", "code": code})
        address = f"new-{self._flows}@example.com"
        event = {"type": "submit_address", "attribute": "email", "address": address}
        if click == "submit_address":
            return answering(start, event)
        step = self.send(start, event)
        assert step["state"] == "confirming_address"
        if click == "request_new_code":
            return answering(step, {"type": click})
        return answering(step, {"type": "submit_code", "code": self.sent()[-1]})

    def check(self, order: dict[str, Any], codes: int) -> None:
        """Click once more, and go on with what the flow shows, on the surviving worker.

        Args:
            order: the click, whose first worker was killed.
            codes: number of codes that had been sent before it.
        """
        again = self.order(self.survivor, **order)
        shown = self.order(self.survivor, flow_id=order["flow_id"])
        assert shown["version"] == again["version"]
        assert shown["events"], "the flow is stuck"
        can_send = order["event"]["type"] in {"submit_address", "request_new_code"}
        assert len(self.sent()) - codes <= can_send, "two codes for one wish"
        assert not shown["state"].endswith(("ing_setup", "changing"))
        if can_send:
            assert shown["state"] == "confirming_address", "no step takes the code that was sent"
        if shown["state"] == "confirming_address":
            if order["event"]["type"] == "submit_address" and len(self.sent()) == codes:
                # The worker was killed before its call, which no other worker can know: the user requests a code.
                shown = self.send(shown, {"type": "request_new_code"})
                assert len(self.sent()) == codes + 1
            done = self.send(shown, {"type": "submit_code", "code": self.sent()[-1]})
            assert done["message"]["code"] == "address_verified"
            assert done["state"] == "managing"
            if wish := order["event"].get("address"):
                user = self.sandbox.pool.users.find(USER)
                assert user is not None
                assert user.attributes["email"] == wish, "another address was verified"


def answering(step: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    return {"flow_id": step["flow_id"], "version": step["version"], "event": event}


@pytest.fixture
def bench(sandbox: Sandbox, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(sandbox, f"sqlite:///{tmp_path}/flows.db")
    yield made
    made.close()


CALLS = {
    "submit_address": "UpdateUserAttributes",
    "request_new_code": "GetUserAttributeVerificationCode",
    "submit_code": "VerifyUserAttribute",
    "add_authenticator": "AssociateSoftwareToken",
    "the code of an app": "VerifySoftwareToken",
}
"""For each click, the request that it makes first."""


@pytest.mark.parametrize("click", ["submit_address", "submit_code", "the code of an app"])
def test_worker_killed_before_any_effect_of_a_change_leaves_it_to_another(
    click: str, bench: Bench, record_property: Callable[[str, object], None]
) -> None:
    effects = bench.order(bench.survivor, **bench.before(click))["effects"]
    assert effects >= 5
    for kill_at in range(1, effects):
        order = bench.before(click)
        codes, asked = len(bench.sent()), bench.sandbox.calls().get(CALLS[click], 0)
        victim = bench.process()
        assert bench.order(victim, **order, kill_at=kill_at) == {"killed": True}
        bench.check(order, codes)
        if click != "submit_code":  # that is asked once more, to finish what the first one began
            assert bench.sandbox.calls().get(CALLS[click], 0) - asked <= 1
    record_property(
        "killed", f"account: {effects - 1} workers killed, one before each effect of {click}"
    )


@pytest.mark.parametrize("click", CALLS)
def test_worker_killed_while_cognito_answers_leaves_the_change_to_another(
    click: str, bench: Bench
) -> None:
    order = bench.before(click)
    codes = len(bench.sent())
    operation = CALLS[click]
    asked = bench.sandbox.calls().get(operation, 0)
    victim = bench.process()
    # The request has its effect, and the answer takes longer than the worker lives.
    bench.sandbox.order(Fault(operation=operation, kind="delay", seconds=0.9))
    with ThreadPoolExecutor(1) as clicks:
        answer = clicks.submit(bench.order, victim, **order)
        until = time.monotonic() + 10
        while bench.sandbox.calls().get(operation, 0) == asked and time.monotonic() < until:
            time.sleep(0.005)
        victim.kill()
        assert answer.result() == {"killed": True}
    assert bench.sandbox.calls()[operation] == asked + 1
    is_sending = click in {"submit_address", "request_new_code"}
    assert len(bench.sent()) - codes == is_sending
    bench.check(order, codes)
    assert bench.sandbox.calls()[operation] == asked + 1
    assert len(bench.sent()) - codes == is_sending
