"""Real processes on one SQLite file, killed with SIGKILL at random moments while somebody clicks."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from oncegate import SignIn
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import MemoryStore

WORKER = Path(__file__).with_name("worker.py")
PASSWORD = {"type": "submit_password", "username": "ana", "password": "Correct-horse-1"}


class Process:
    """A worker that can be told something, and killed."""

    def __init__(self, sandbox: Sandbox, path: Path) -> None:
        about = sandbox.description()
        arguments = [about["endpoint"], about["pool_id"], about["client_id"], str(path)]
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lease = float(self._answer()["ready"])

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"killed": True}

    def tell(self, **order: Any) -> Any:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return {"killed": True}
        return self._answer()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def workers(sandbox: Sandbox, tmp_path: Path) -> Iterator[list[Process]]:
    made = [Process(sandbox, tmp_path / "flows.db") for _ in range(2)]
    yield made
    for worker in made:
        worker.close()


def new_flow_id(sandbox: Sandbox) -> str:
    """An id is all that a flow is before its first event, so any process can make one."""
    transport = CognitoTransport(pool_id=sandbox.pool_id, client_id=sandbox.client_id)
    return SignIn(transport=transport, store=MemoryStore()).start().flow_id


def test_the_other_worker_goes_on_where_one_left_off(
    sandbox: Sandbox, workers: list[Process]
) -> None:
    flow_id = new_flow_id(sandbox)
    step = workers[0].tell(flow_id=flow_id, event=PASSWORD, version=0)
    assert step["state"] == "awaiting_mfa"
    workers[0].kill()
    assert workers[1].tell(flow_id=flow_id) == {**step, "signed_in": False}
    answer = {"type": "submit_code", "code": sandbox.messages()[-1].code}
    step = workers[1].tell(flow_id=flow_id, event=answer, version=step["version"])
    assert (step["state"], step["signed_in"]) == ("authenticated", True)
    assert len(sandbox.messages()) == 1


def test_two_workers_and_two_clicks(sandbox: Sandbox, workers: list[Process]) -> None:
    for _ in range(10):
        before = len(sandbox.messages())
        flow_id = new_flow_id(sandbox)
        with ThreadPoolExecutor(2) as clicks:
            steps = list(
                clicks.map(
                    partial(Process.tell, flow_id=flow_id, event=PASSWORD, version=0), workers
                )
            )
        assert [step["state"] for step in steps] == ["awaiting_mfa"] * 2
        assert len(sandbox.messages()) - before == 1


def test_killed_at_random_moments_nobody_gets_two_codes(
    sandbox: Sandbox, tmp_path: Path, controls: httpx.Client
) -> None:
    rng = random.Random(20261124)
    controls.post(
        "/faults", json={"operation": "*", "kind": "delay", "seconds": 0.02, "times": 999}
    )
    path = tmp_path / "flows.db"
    survivor = Process(sandbox, path)
    stuck: list[str] = []
    interrupted = 0
    for _ in range(25):
        victim = Process(sandbox, path)
        flow_id = new_flow_id(sandbox)
        before = len(sandbox.messages())
        threading.Timer(rng.uniform(0, 0.12), victim.kill).start()
        first = victim.tell(flow_id=flow_id, event=PASSWORD, version=0)
        interrupted += "killed" in first
        if "killed" in first:
            # The person clicks again, on the same page; another worker takes it.
            survivor_saw = survivor.tell(flow_id=flow_id)
            if survivor_saw["state"] == "checking_password":
                stuck.append(flow_id)
            else:
                survivor.tell(flow_id=flow_id, event=PASSWORD, version=0)
        victim.close()
        assert len(sandbox.messages()) - before <= 1
    assert interrupted >= 5
    assert stuck, "nobody was killed while a call was under way"
    time.sleep(survivor.lease)
    for flow_id in stuck:
        step = survivor.tell(flow_id=flow_id)
        assert (step["state"], "submit_password" in step["events"]) == ("idle", True)
        assert (
            survivor.tell(flow_id=flow_id, event=PASSWORD, version=0)["reason"]["code"] == "stale"
        )
    survivor.close()
