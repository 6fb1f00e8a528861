"""The promises under random sequences of events, faults, crashes and time, by Hypothesis.

Each store has its own run. `World` raises `Broken` with the name of the promise.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.doubles import code, password
from tests.world import (
    NEW_PASSWORD,
    PASSWORDS,
    WRONG_PASSWORD,
    ForgetfulStore,
    World,
)

from oncegate import (
    Cancel,
    ChooseFactor,
    Factor,
    ForgotPassword,
    RememberDevice,
    RequestNewCode,
    ResetPassword,
    SignUp,
    SubmitAnswer,
    SubmitNewPassword,
    SubmitUsername,
)
from oncegate.adapters import RecordStore
from oncegate_stores import MemoryStore, SQLiteStore

FAULTS = st.sampled_from([None, None, None, "lost", "broken", "throttled", "unreachable"])
TIMES = [1, 1, 1, 11, 11, 31, 31, 40, 60, 70, 180, 4000, -30, -400]

KINDS: list[dict[str, Any]] = [
    {},
    {"with_devices": True, "retain_password": True},
    {"auth_flow": "USER_AUTH", "with_devices": True},
    {"auth_flow": "CUSTOM_AUTH"},
    {"with_providers": True, "retain_password": True},
]


class SignIns(RuleBasedStateMachine):
    """Several users and flows, and up to four workers at a time."""

    world: World

    def new_store(self) -> RecordStore:
        raise NotImplementedError

    @initialize(kind=st.sampled_from(KINDS))
    def make_world(self, kind: dict[str, Any]) -> None:
        self.world = World(self.new_store(), **kind)
        self.world.start()

    def pick_flow(self, pick: int) -> str:
        """Return the ID of one of the newest three flows."""
        flows = list(self.world.steps)[-3:]
        return flows[pick % len(flows)]

    def click(self, pick: int, event: Any, late: int) -> None:
        """Send an event from the step that is shown, from an older one, or from a future one."""
        flow_id = self.pick_flow(pick)
        shown = self.world.steps[flow_id].version
        self.world.click(flow_id, event, max(0, shown - late))

    picks = st.integers(0, 3)
    lates = st.sampled_from([0, 0, 0, 1, 2, -1])

    @precondition(lambda self: len(self.world.steps) < 12)
    @rule()
    def open_the_page(self) -> None:
        self.world.start()

    @rule(pick=picks)
    def reload(self, pick: int) -> None:
        self.world.look(self.pick_flow(pick))

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, who=st.sampled_from(sorted(PASSWORDS)), late=lates, right=st.booleans())
    def submit_password(self, pick: int, who: str, late: int, right: bool) -> None:
        self.click(pick, password(PASSWORDS[who] if right else WRONG_PASSWORD, who), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, late=lates, which=st.sampled_from(["newest", "oldest", "000000", "111111"]))
    def submit_code(self, pick: int, late: int, which: str) -> None:
        messages = self.world.pool.inbox.messages()
        if messages and which in {"newest", "oldest"}:
            which = messages[-1 if which == "newest" else 0].code
        self.click(pick, code(which if which.isdigit() else "222222"), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, late=lates, factor=st.sampled_from(Factor))
    def choose_factor(self, pick: int, late: int, factor: Factor) -> None:
        self.click(pick, ChooseFactor(factor=factor), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, late=lates, value=st.sampled_from([NEW_PASSWORD, "weak"]))
    def submit_new_password(self, pick: int, late: int, value: str) -> None:
        self.click(pick, SubmitNewPassword.model_validate({"new_password": value}), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, late=lates)
    def cancel(self, pick: int, late: int) -> None:
        self.click(pick, Cancel(), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, late=lates)
    def request_new_code(self, pick: int, late: int) -> None:
        self.click(pick, RequestNewCode(), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(
        pick=picks,
        who=st.sampled_from(sorted(PASSWORDS)),
        late=lates,
        preferred=st.sampled_from([None, Factor.EMAIL, Factor.SMS_OTP, Factor.PASSWORD]),
    )
    def submit_username(self, pick: int, who: str, late: int, preferred: Factor | None) -> None:
        self.click(pick, SubmitUsername(username=who, preferred=preferred), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, late=lates, answer=st.sampled_from(["right", "wrong"]))
    def submit_answer(self, pick: int, late: int, answer: str) -> None:
        self.click(pick, SubmitAnswer.model_validate({"answer": answer}), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, late=lates, right=st.booleans())
    def reset_password(self, pick: int, late: int, right: bool) -> None:
        messages = self.world.pool.inbox.messages()
        newest = messages[-1].code if messages and right else "000000"
        event = {"code": newest[:6], "new_password": NEW_PASSWORD}
        self.click(pick, ResetPassword.model_validate(event), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, late=lates, who=st.sampled_from(sorted(PASSWORDS)))
    def forgot_password(self, pick: int, late: int, who: str) -> None:
        self.click(pick, ForgotPassword(username=who), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, late=lates, who=st.sampled_from(["ana", "new", "newer"]))
    def sign_up(self, pick: int, late: int, who: str) -> None:
        event = {"username": who, "password": NEW_PASSWORD, "attributes": {"email": "n@e.com"}}
        self.click(pick, SignUp.model_validate(event), late)

    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, late=lates, wanted=st.booleans())
    def remember_device(self, pick: int, late: int, wanted: bool) -> None:
        self.click(pick, RememberDevice(remember=wanted), late)

    @rule()
    def cognito_forgets_every_device(self) -> None:
        pool = self.world.pool
        keys = [result.new_device.key for result in self.world.results if result.new_device]
        for user in filter(None, map(pool.users.find, PASSWORDS)):
            for key in keys:
                if pool.devices.knows(key, user):
                    pool.devices.forget(user, key)

    @precondition(lambda self: self.world.workers)
    @rule(pick=picks, fault=FAULTS)
    def worker_performs_one_effect(self, pick: int, fault: str | None) -> None:
        workers = self.world.workers
        self.world.do_one_thing(workers[pick % len(workers)], fault)

    @precondition(lambda self: self.world.workers)
    @rule(pick=picks, fault=FAULTS)
    def worker_finishes(self, pick: int, fault: str | None) -> None:
        workers = self.world.workers
        self.world.run(workers[pick % len(workers)], fault)

    @precondition(lambda self: self.world.workers)
    @rule(pick=picks)
    def worker_dies(self, pick: int) -> None:
        workers = self.world.workers
        self.world.kill(workers[pick % len(workers)])

    # Without these two ordinary rules, random sequences rarely get past a password.
    @precondition(lambda self: len(self.world.workers) < 4)
    @rule(pick=picks, who=st.sampled_from(sorted(PASSWORDS)), fault=FAULTS, data=st.data())
    def user_continues(self, pick: int, who: str, fault: str | None, data: st.DataObject) -> None:
        flow_id = self.pick_flow(pick)
        for _ in range(data.draw(st.integers(1, 4))):
            step = self.world.steps[flow_id]
            events = [name for name in step.events if name != "cancel"]
            if not events:
                return
            event = self.world.sensible(data.draw(st.sampled_from(events)), step, who)
            self.world.run(self.world.click(flow_id, event, step.version), fault)
            fault = data.draw(FAULTS)

    @precondition(lambda self: len(self.world.workers) < 3)
    @rule(pick=picks, who=st.sampled_from(sorted(PASSWORDS)), data=st.data())
    def user_double_clicks(self, pick: int, who: str, data: st.DataObject) -> None:
        flow_id = self.pick_flow(pick)
        step = self.world.steps[flow_id]
        if step.events:
            event = self.world.sensible(data.draw(st.sampled_from(step.events)), step, who)
            for _ in range(2):
                self.world.click(flow_id, event, step.version)

    @rule(seconds=st.sampled_from(TIMES))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    @invariant()
    def promises_hold(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        for worker in list(self.world.workers):
            self.world.kill(worker)


class OnMemory(SignIns):
    def new_store(self) -> RecordStore:
        return MemoryStore()


class OnSQLite(SignIns):
    def new_store(self) -> RecordStore:
        self.folder = tempfile.TemporaryDirectory()
        return SQLiteStore(Path(self.folder.name) / "flows.db")

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


class WithPowerCuts(SignIns):
    store: ForgetfulStore

    def new_store(self) -> RecordStore:
        self.store = ForgetfulStore()
        return self.store

    @rule()
    def disk_catches_up(self) -> None:
        self.store.catch_up()

    @rule()
    def power_is_cut(self) -> None:
        self.world.cut_the_power()


@pytest.fixture(autouse=True)
def _tenacity_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


@pytest.mark.parametrize(
    ("machine", "examples"),
    [(OnMemory, 160), (OnSQLite, 40), (WithPowerCuts, 120)],
    ids=["memory", "sqlite", "power cuts"],
)
def test_random_sequence_breaks_no_promise(machine: type[SignIns], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
