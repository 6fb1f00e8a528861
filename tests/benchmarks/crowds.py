"""Many web steps, by the CPU time of the application's process."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping

import httpx
from tests.benchmarks.side_by_side import Row, cpu_seconds_of
from tests.benchmarks.sign_ins import RemoteSandbox, remote_sandbox
from tests.benchmarks.visitors import USER_PASSWORD
from tests.deployments.servers import ServerProcess
from tests.servers import RedisServer, free_port

BLOCK = 100
"""Steps that one figure is the mean of."""


class Served(ServerProcess):
    """An application in its own process, behind a proxy; its CPU time is read from outside."""

    def __init__(
        self,
        kind: str,
        cognito: RemoteSandbox,
        store: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        port = free_port()
        command = (sys.executable, "-m", "tests.benchmarks.served", kind, str(port))
        super().__init__((*command, *cognito, store), f"http://127.0.0.1:{port}", environment)
        self.wait_until_it_answers()
        self.client = httpx.Client(base_url=self.url, headers={"x-forwarded-proto": "https"})

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process, in seconds."""
        return cpu_seconds_of(self.pid)

    def close(self) -> None:
        self.client.close()
        self.kill()


def web(quick: bool) -> list[Row]:
    """Measure web steps by the application's CPU time; Cognito and Redis run in other processes.

    Limits and listeners are the default ones, and so is the log's level. Each step is of another user
    and another public address, because the default limits stop one user after ten codes.
    """
    rounds, block = (3, 20) if quick else (12, BLOCK)
    with remote_sandbox(rounds * block) as cognito, RedisServer() as server:
        ours, bare = (Served(kind, cognito, server.url) for kind in ("oncegate", "bare"))
        steps, calls = list[float](), list[float]()
        for number in range(rounds):
            steps.append(cpu_of_steps(ours, number * block, block))
            calls.append(cpu_of_calls(bare, number * block, block))
        for served in (ours, bare):
            served.close()
    step, call = statistics.median(steps), statistics.median(calls)
    what = "web steps per CPU second, FastAPI and Redis, compared with a bare route"
    words = (f"{1 / step:.0f} a second", f"{1 / call:.0f} a second")
    note = "one request at a time; default limits and listeners, another user and address each time"
    return [Row(what, *words, call / step, "≥ 0.65", call / step >= 0.65, note)]


def cpu_of_steps(served: Served, first: int, block: int) -> float:
    """Return the CPU time of one posted password, in seconds; the flows exist beforehand."""
    ready = []
    for number in range(first, first + block):
        made = served.client.post("/auth/flows")
        path = f"/auth/flows/{made.json()['flow_id']}/events"
        cookie = made.headers["set-cookie"].partition(";")[0]
        ready.append((path, {**_address(number), "cookie": cookie}, _credentials(number)))
        served.client.cookies.clear()
    began = served.cpu_seconds()
    for path, headers, credentials in ready:
        event = {"type": "submit_password", **credentials, "version": 0}
        answer = served.client.post(path, json=event, headers=headers)
        assert answer.json()["state"] == "awaiting_mfa", answer.text
    return (served.cpu_seconds() - began) / block


def cpu_of_calls(served: Served, first: int, block: int) -> float:
    """Return the CPU time of one request to the bare route, in seconds."""
    began = served.cpu_seconds()
    for number in range(first, first + block):
        headers = _address(number)
        answer = served.client.post("/sign-in", json=_credentials(number), headers=headers)
        assert answer.json()["challenge"] == "SMS_MFA"
    return (served.cpu_seconds() - began) / block


def _credentials(number: int) -> dict[str, str]:
    return {"username": f"user{number}", "password": USER_PASSWORD}


def _address(number: int) -> dict[str, str]:
    """Return the header in which a proxy notes a client's address: public, another for each user."""
    return {"x-forwarded-for": f"198.51.{number // 250}.{number % 250 + 1}"}
