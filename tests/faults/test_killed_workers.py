"""Processes that share a store are killed with SIGKILL at random moments during double clicks."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from tests.doubles import password
from tests.faults.worker import Process
from tests.world import World

from oncegate_sandbox import Sandbox
from oncegate_stores import MemoryStore

PASSWORD = {"type": "submit_password", "username": "ana", "password": "Correct-horse-1"}
FORGOT = {"type": "forgot_password", "username": "ana"}


def new_account(number: int) -> dict[str, object]:
    attributes = {"email": f"new-{number}@example.com"}
    password = "Better-horse-9"
    return {
        "type": "sign_up",
        "username": f"new-{number}",
        "password": password,
        "attributes": attributes,
    }


@pytest.fixture
def workers(sandbox: Sandbox, tmp_path: Path) -> Iterator[list[Process]]:
    made = [Process(sandbox, f"sqlite:///{tmp_path}/flows.db") for _ in range(2)]
    yield made
    for worker in made:
        worker.close()


def new_flow_id(worker: Process) -> str:
    flow_id: str = worker.order()["flow_id"]
    return flow_id


def test_flow_of_a_killed_worker_continues_on_another(
    sandbox: Sandbox, workers: list[Process]
) -> None:
    flow_id = new_flow_id(workers[0])
    step = workers[0].order(flow_id=flow_id, event=PASSWORD, version=0)
    assert step["state"] == "awaiting_mfa"
    workers[0].kill()
    assert workers[1].order(flow_id=flow_id) == {**step, "signed_in": False}
    answer = {"type": "submit_code", "code": sandbox.messages()[-1].code}
    step = workers[1].order(flow_id=flow_id, event=answer, version=step["version"])
    assert (step["state"], step["signed_in"]) == ("authenticated", True)
    assert len(sandbox.messages()) == 1


def test_double_click_on_two_workers_sends_one_code(
    sandbox: Sandbox, workers: list[Process]
) -> None:
    for _ in range(10):
        before = len(sandbox.messages())
        flow_id = new_flow_id(workers[0])
        with ThreadPoolExecutor(2) as clicks:
            steps = list(
                clicks.map(
                    partial(Process.order, flow_id=flow_id, event=PASSWORD, version=0), workers
                )
            )
        assert [step["state"] for step in steps] == ["awaiting_mfa"] * 2
        assert len(sandbox.messages()) - before == 1


def test_worker_whose_clock_was_set_back_after_the_save_makes_no_call() -> None:
    """Another worker has ended its lease meanwhile: a record from the future is due at once."""
    world = World(MemoryStore())
    flow_id = world.start()
    worker = world.click(flow_id, password())
    while world.flow(flow_id).state != "checking_password":
        world.do_one_thing(worker)
    world.clock.advance(-400)
    world.look(flow_id)
    assert world.steps[flow_id].state == "idle"
    world.run(worker)
    assert world.client.requests == []


KILLS = int(os.environ.get("ONCEGATE_KILLS", "10"))
"""Workers killed in a run, per store. Raise it for a soak test."""


class Killer:
    """Kills one of two workers during a double click, again and again, and counts the codes."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self._sandbox = sandbox
        self._url = url
        self._rng = random.Random(20261124)
        self.kills = self.under_way = 0
        self.flows: list[str] = []

    def run(self, kills: int) -> None:
        """Kill so many workers, each replaced by a new one."""
        workers = [self._worker() for _ in range(2)]
        try:
            while self.kills < kills:
                self._once(workers)
        finally:
            for worker in workers:
                worker.close()

    def _worker(self) -> Process:
        # A click on the surviving worker does not wait for the killed one.
        return Process(self._sandbox, self._url, patience=0.02)

    def _once(self, workers: list[Process]) -> None:
        flow_id = new_flow_id(workers[0])
        self.flows.append(flow_id)
        before = len(self._sandbox.messages())
        event = (PASSWORD, FORGOT, new_account(self.kills))[self.kills % 3]
        victim = workers[self._rng.randrange(2)]
        timer = threading.Timer(self._rng.uniform(0, 0.03), victim.kill)
        timer.start()
        with ThreadPoolExecutor(2) as clicks:
            answers = list(
                clicks.map(partial(Process.order, flow_id=flow_id, event=event, version=0), workers)
            )
        timer.join()
        self.kills += 1
        self.under_way += any("killed" in answer for answer in answers)
        spare = self._worker()
        victim.close()
        workers[workers.index(victim)] = spare
        spare.order(flow_id=flow_id, event=event, version=0)  # one more click
        assert len(self._sandbox.messages()) - before <= 1, "two codes for one challenge"

    def check_no_flow_is_stuck(self) -> None:
        """Check each flow, at once: a worker that was killed is known to be gone, whatever its lease."""
        survivor = Process(self._sandbox, self._url)
        for flow_id in self.flows:
            step = survivor.order(flow_id=flow_id)
            waits = {"awaiting_mfa", "awaiting_reset", "awaiting_confirmation"}
            assert step["state"] in {*waits, "idle"}
            assert step["events"]
        survivor.close()


@pytest.mark.parametrize(
    "store",
    [
        "sqlite",
        pytest.param("redis", marks=pytest.mark.needs("redis-server")),
        pytest.param("postgres", marks=pytest.mark.needs("postgres")),
    ],
)
def test_worker_killed_at_any_moment_never_sends_two_codes(
    store: str,
    sandbox: Sandbox,
    tmp_path: Path,
    controls: httpx.Client,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    order = {"operation": "*", "kind": "delay", "seconds": 0.01, "times": 99999}
    controls.post("/faults", json=order)
    url = f"sqlite:///{tmp_path}/flows.db"
    if store != "sqlite":
        url = request.getfixturevalue(f"{store}_server").url
    killer = Killer(sandbox, url)
    killer.run(KILLS)
    killer.check_no_flow_is_stuck()
    assert killer.under_way >= KILLS / 10, "hardly any worker was killed during a call"
    codes = len(sandbox.messages())
    record_property(
        "killed",
        f"killer: {killer.kills} workers killed on {store}, {killer.under_way} of them during an event; "
        f"{len(killer.flows)} challenges, {codes} codes",
    )
