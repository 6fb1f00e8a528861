"""What a store loses or refuses: no second code, no lost sign-in, and no flow that waits for nothing."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.doubles import DictStore, ManualClock, a_text, code, password, the_tokens

import oncegate.driver._worker as worker_module
import oncegate.driver.script as script_module
from oncegate import (
    Misconfigured,
    OncegateError,
    RequestNewCode,
    SealingKeys,
    SignIn,
    Step,
    StepRef,
    StoreUnavailable,
    Tokens,
)
from oncegate._rows import next_row, open_row
from oncegate.adapters import FlowId, StoreClock, StoredRecord
from oncegate.driver._worker import is_gone, this_worker
from oncegate.testing import ScriptedTransport
from oncegate_stores import MemoryStore

UNLIMITED: dict[str, Any] = {"budget": None, "guess_limit": None}


class FailingStore(DictStore):
    """A store whose writes fail on demand.

    Attributes:
        fails: returns whether a write fails.
        failed: number of writes that failed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fails: Callable[[StoredRecord], bool] = lambda row: False
        self.failed = 0

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        if self.fails(row):
            self.failed += 1
            raise StoreUnavailable("the disk is full")
        return super().swap(key, expected, row)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def lose_everything(store: DictStore) -> None:
    store.rows.clear()
    store.now_epoch = "0000beef"


def code_of(step: Step) -> str | None:
    return step.message.code if step.message else None


class TestLostFlow:
    def test_id_carries_the_epoch_under_which_it_was_issued(self, clock: ManualClock) -> None:
        store = DictStore()
        store.now_epoch = "1234abcd"
        step = SignIn(transport=ScriptedTransport(), store=store, clock=clock).start()
        assert FlowId.parse(step.flow_id).epoch == "1234abcd"

    @pytest.mark.parametrize("events", [0, 1])
    def test_flow_from_before_a_loss_is_over(self, events: int, clock: ManualClock) -> None:
        store, transport = DictStore(), ScriptedTransport(*[a_text()] * 2)
        sign_in = SignIn(transport=transport, store=store, clock=clock, **UNLIMITED)
        first = step = sign_in.start()
        for _ in range(events):
            step = sign_in.send(step, password())
        lose_everything(store)
        for seen in (first, step):
            after = sign_in.send(seen, password())
            assert (after.state, code_of(after)) == ("failed", "flow_expired")
        assert len(transport.calls) == events
        assert sign_in.send(sign_in.start(), password()).state == "awaiting_mfa"

    def test_flow_that_was_rolled_back_is_over(self, clock: ManualClock) -> None:
        store, transport = DictStore(), ScriptedTransport(*[a_text()] * 3)
        sign_in = SignIn(
            transport=transport, store=store, clock=clock, retain_password=True, **UNLIMITED
        )
        step = sign_in.send(sign_in.start(), password())
        clock.advance(60)
        replica = dict(store.rows)
        sign_in.send(step, RequestNewCode())
        store.rows, store.now_epoch = replica, "0000beef"
        assert sign_in.send(step, RequestNewCode()).state == "failed"
        assert len(transport.calls) == 2

    def test_row_that_survives_a_loss_of_others_is_not_used(self, clock: ManualClock) -> None:
        """A replica may have only some of the lost writes, and it is unknown which."""
        store, transport = DictStore(), ScriptedTransport(a_text(), the_tokens())
        sign_in = SignIn(transport=transport, store=store, clock=clock)
        step = sign_in.send(sign_in.start(), password())
        store.now_epoch = "0000beef"
        assert sign_in.send(step, code()).state == "failed"
        assert sign_in.get(step.flow_id).state == "failed"

    def test_loss_during_the_call_ends_the_flow(self, clock: ManualClock) -> None:
        store = DictStore()

        def text_and_failover(_: object) -> Any:
            lose_everything(store)
            return a_text()

        transport = ScriptedTransport(text_and_failover, a_text())
        sign_in = SignIn(transport=transport, store=store, clock=clock)
        first = sign_in.start()
        assert sign_in.send(first, password()).state == "failed"
        assert sign_in.send(first, password()).state == "failed"
        assert len(transport.calls) == 1
        assert not any(key == FlowId.parse(first.flow_id).key for key in store.rows)

    def test_loss_is_logged_once(
        self, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = DictStore()
        sign_in = SignIn(transport=ScriptedTransport(), store=store, clock=clock, listeners=[])
        flows = [sign_in.start().flow_id for _ in range(3)]
        lose_everything(store)
        for flow_id in flows:
            sign_in.get(flow_id)
        (line,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert "may have lost writes" in line.getMessage()
        assert "cure" in line.getMessage()

    def test_each_worker_with_a_memory_of_its_own_sends_nothing_for_flows_of_the_other(
        self,
    ) -> None:
        transport = ScriptedTransport(a_text(), a_text())
        one, other = (SignIn(transport=transport, store=MemoryStore()) for _ in range(2))
        first = one.start()
        assert one.send(first, password()).state == "awaiting_mfa"
        assert other.send(first, password()).state == "failed"
        assert len(transport.calls) == 1

    def test_forked_memory_store_has_an_epoch_of_its_own(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = MemoryStore()
        before = store.epoch("0" * 32)
        monkeypatch.setattr("os.getpid", lambda: -1)
        assert store.epoch("0" * 32) != before

    def test_id_without_an_epoch_is_over_without_its_row(self, clock: ManualClock) -> None:
        transport = ScriptedTransport(a_text(), a_text())
        flow_id = FlowId.new(clock.now()).text
        for schema, state in ((2, "failed"), (1, "awaiting_mfa")):
            sign_in = SignIn(
                transport=transport,
                store=DictStore(),
                clock=clock,
                record_schema=schema,  # type: ignore[arg-type]
            )
            assert sign_in.send(StepRef(flow_id, 0), password()).state == state

    def test_workers_beside_0_1_issue_its_ids(self, clock: ManualClock) -> None:
        sign_in = SignIn(
            transport=ScriptedTransport(), store=DictStore(), clock=clock, record_schema=1
        )
        assert len(sign_in.start().flow_id) == 32


class TestClock:
    def test_time_of_the_store_counts(self) -> None:
        class Ahead(DictStore):
            def now(self) -> float:
                return super().now() + 86400

        store = Ahead()
        assert abs(StoreClock(store).now() - store.now()) < 1
        sign_in = SignIn(transport=ScriptedTransport(a_text()), store=store)
        step = sign_in.send(sign_in.start(), password())
        assert step.state == "awaiting_mfa"
        (row,) = [store.rows[FlowId.parse(step.flow_id).key]]
        assert abs(row.expires_at - store.now() - 3600) < 5

    @pytest.mark.parametrize("jump", [-86400, -400, 400, 86400])
    def test_worker_with_a_wrong_clock_neither_ends_calls_nor_challenges(
        self, jump: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Server(DictStore):
            def now(self) -> float:
                return server_clock.now()

        server_clock, store = ManualClock(), Server()
        transport = ScriptedTransport(a_text(), the_tokens())
        one, other = (SignIn(transport=transport, store=store) for _ in range(2))
        step = one.send(one.start(), password())
        now = time.time() + jump
        monkeypatch.setattr(time, "time", lambda: now)
        assert other.get(step.flow_id).state == "awaiting_mfa"
        assert other.send(step, code()).state == "authenticated"

    def test_call_has_a_deadline_by_the_machines_clock_within_its_lease(self) -> None:
        class Ahead(DictStore):
            def now(self) -> float:
                return super().now() + 86400

        transport = ScriptedTransport(a_text())
        sign_in = SignIn(transport=transport, store=Ahead())
        before = time.time()
        sign_in.send(sign_in.start(), password())
        (context,) = transport.contexts
        assert context.deadline is not None
        assert before < context.deadline < before + sign_in.lease - script_module.SAVE_WITHIN + 1


class TestFailedWrites:
    def test_outcome_is_saved_when_the_store_answers_again(self, clock: ManualClock) -> None:
        store, transport = FailingStore(), ScriptedTransport(a_text())
        sign_in = SignIn(transport=transport, store=store, clock=clock, **UNLIMITED)
        store.fails = lambda row: bool(transport.calls) and store.failed < 3
        step = sign_in.send(sign_in.start(), password())
        assert (step.state, store.failed, len(transport.calls)) == ("awaiting_mfa", 3, 1)

    @pytest.mark.parametrize("lost", [1, 2, 3, 4])
    def test_save_whose_answer_was_lost_is_recognised_as_ours(
        self, lost: int, clock: ManualClock
    ) -> None:
        class Loses(MemoryStore):
            swaps = 0

            def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
                saved = super().swap(key, expected, row)
                self.swaps += 1
                if self.swaps == lost:
                    raise StoreUnavailable("the connection was reset")
                return saved

        transport = ScriptedTransport(a_text(), the_tokens())
        sign_in = SignIn(transport=transport, store=Loses(), clock=clock, **UNLIMITED)
        step = sign_in.send(sign_in.start(), password())
        step = sign_in.send(step, code())
        assert (step.state, step.tokens is not None) == ("authenticated", True)
        assert len(transport.calls) == 2

    def test_store_that_stays_away_is_given_up_within_seconds(self, clock: ManualClock) -> None:
        store, transport = FailingStore(), ScriptedTransport(a_text())
        sign_in = SignIn(transport=transport, store=store, clock=clock, **UNLIMITED)
        store.fails = lambda row: bool(transport.calls)
        before = clock.now()
        with pytest.raises(StoreUnavailable):
            sign_in.send(sign_in.start(), password())
        assert clock.now() - before <= script_module.SAVE_WITHIN
        assert len(transport.calls) == 1

    def test_session_is_created_when_its_store_answers_again(self, clock: ManualClock) -> None:
        class Keeper:
            tries = 0

            def create(self, tokens: Tokens) -> str:
                self.tries += 1
                if self.tries < 3:
                    raise StoreUnavailable("a failover")
                return "the-session"

        sign_in = SignIn(
            transport=ScriptedTransport(the_tokens()),
            store=DictStore(),
            clock=clock,
            keeper=Keeper(),
        )
        step = sign_in.send(sign_in.start(), password())
        assert (step.state, step.session_id) == ("authenticated", "the-session")

    @pytest.mark.parametrize("jump", [-7200, -86400])
    def test_clock_set_back_during_the_call_loses_no_row(
        self, jump: int, clock: ManualClock
    ) -> None:
        store = DictStore()

        def text(_: object) -> Any:
            clock.advance(jump)
            return a_text()

        sign_in = SignIn(transport=ScriptedTransport(text), store=store, clock=clock)
        before = clock.now()
        step = sign_in.send(sign_in.start(), password())
        assert step.state == "awaiting_mfa"
        assert store.rows[FlowId.parse(step.flow_id).key].expires_at >= before + 3600

    def test_row_lives_as_long_as_its_id_is_valid(self, clock: ManualClock) -> None:
        """Another worker's clock was ahead when it issued the ID."""
        store = DictStore()
        sign_in = SignIn(transport=ScriptedTransport(a_text()), store=store, clock=clock)
        clock.advance(290)
        first = sign_in.start()
        clock.advance(-290)
        sign_in.send(first, password())
        row = store.rows[FlowId.parse(first.flow_id).key]
        assert row.expires_at >= int(clock.now() + 290) + 3600

    @pytest.mark.parametrize("failure", [StoreUnavailable, Misconfigured])
    def test_right_that_is_taken_for_a_moment_loses_no_sign_in(
        self, failure: type[OncegateError], clock: ManualClock
    ) -> None:
        class Fails(DictStore):
            failed = 0

            def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
                if transport.calls and self.failed < 3:
                    self.failed += 1
                    raise failure("a right is missing")
                return super().swap(key, expected, row)

        transport = ScriptedTransport(the_tokens())
        store = Fails()
        sign_in = SignIn(transport=transport, store=store, clock=clock)
        step = sign_in.send(sign_in.start(), password())
        assert (step.state, step.tokens is not None) == ("authenticated", True)
        assert store.failed == 3

    def test_failing_budget_never_loses_a_code_that_was_sent(self, clock: ManualClock) -> None:
        store, transport = FailingStore(), ScriptedTransport(a_text(), the_tokens())
        sign_in = SignIn(transport=transport, store=store, clock=clock)
        # Flows have an epoch; rows of budgets have none.
        store.fails = lambda row: bool(transport.calls) and row.epoch is None
        step = sign_in.send(sign_in.start(), password())
        assert (step.state, store.failed > 0) == ("awaiting_mfa", True)
        store.fails = lambda row: len(transport.calls) == 2 and row.epoch is None
        assert sign_in.send(step, code()).state == "authenticated"

    def test_budget_that_cannot_be_read_never_loses_a_new_code(self, clock: ManualClock) -> None:
        """Of budgets, reads and writes fail from the second call on; the flow's own row works."""

        class Fails(DictStore):
            def load(self, key: str) -> StoredRecord | None:
                if len(transport.calls) == 2 and key != own:
                    raise StoreUnavailable("a shard is down")
                return super().load(key)

        transport = ScriptedTransport(a_text(), a_text("t" * 40))
        sign_in = SignIn(transport=transport, store=Fails(), clock=clock, retain_password=True)
        first = sign_in.start()
        own = FlowId.parse(first.flow_id).key
        step = sign_in.send(first, password())
        clock.advance(60)
        step = sign_in.send(step, RequestNewCode())
        assert (step.state, len(transport.calls)) == ("awaiting_mfa", 2)

    def test_budget_that_cannot_be_reserved_sends_nothing_and_leads_on_at_once(
        self, clock: ManualClock
    ) -> None:
        store, transport = FailingStore(), ScriptedTransport(a_text())
        sign_in = SignIn(transport=transport, store=store, clock=clock)
        store.fails = lambda row: row.epoch is None
        step = sign_in.send(sign_in.start(), password())
        assert (step.state, code_of(step), transport.calls) == ("idle", "unreachable", [])
        store.fails = lambda row: False
        assert sign_in.send(step, password()).state == "awaiting_mfa"

    def test_outage_and_its_end_are_logged_once_each(
        self, clock: ManualClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = FailingStore()
        sign_in = SignIn(
            transport=ScriptedTransport(a_text()), store=store, clock=clock, listeners=[]
        )
        step = sign_in.start()
        store.fails = lambda row: True
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                sign_in.send(step, password())
        store.fails = lambda row: False
        sign_in.send(step, password())
        (down,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert "the disk is full" in down.getMessage()
        assert sum("answers again" in record.getMessage() for record in caplog.records) == 1


WORKER = (
    "from oncegate.driver._worker import this_worker; print(this_worker(), flush=True); input()"
)


@pytest.fixture
def other_worker() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def test_equal_rows_of_two_workers_are_not_taken_for_one() -> None:
    """`RecordStore.swap` takes a row with equal bytes for its own, also without keys."""
    for keys in (SealingKeys(None), SealingKeys("q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4")):
        store = MemoryStore()
        one, other = (next_row("0" * 32, None, [1.0], 2e9, keys) for _ in range(2))
        assert store.swap("0" * 32, 0, one)
        assert not store.swap("0" * 32, 0, other)
        assert open_row("0" * 32, store.load("0" * 32), keys) == [1.0]


class TestWorkers:
    def test_worker_is_gone_once_its_process_has_ended(
        self, other_worker: subprocess.Popen[str]
    ) -> None:
        assert other_worker.stdout is not None
        name = other_worker.stdout.readline().strip()
        assert len(name) == 16
        assert not is_gone(name)
        other_worker.kill()
        other_worker.wait()
        assert is_gone(name)

    def test_copy_of_the_file_of_a_worker_says_nothing(
        self, other_worker: subprocess.Popen[str]
    ) -> None:
        assert other_worker.stdout is not None
        name = other_worker.stdout.readline().strip()
        file = worker_module._folder() / name
        copied = file.read_bytes()
        file.rename(file.with_name("0" * 16))
        file.write_bytes(copied)
        assert not is_gone(name)

    def test_worker_that_lost_its_descriptor_takes_another_name(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker = worker_module._Worker()
        monkeypatch.setattr(worker_module, "_worker", worker)
        assert this_worker() == worker.name
        os.close(worker._opened)
        assert this_worker() not in {"", worker.name}

    def test_unknown_worker_and_this_one_are_not_gone(self) -> None:
        for name in ("", "0123456789abcdef", "../../etc/passwd", this_worker()):
            assert not is_gone(name)

    def test_call_of_a_worker_that_is_gone_is_led_on_before_its_lease_ends(
        self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = DictStore()

        def die(_: object) -> Any:
            raise KeyboardInterrupt

        sign_in = SignIn(transport=ScriptedTransport(die), store=store, clock=clock)
        first = sign_in.start()
        with pytest.raises(KeyboardInterrupt):
            sign_in.send(first, password())
        assert sign_in.get(first.flow_id).state == "checking_password"
        named = FlowId.parse(first.flow_id)
        row = store.rows[named.key]
        assert named.unseal(row.sealed, row.version).worker == this_worker()
        monkeypatch.setattr(script_module, "is_gone", lambda name: name == this_worker())
        step = sign_in.get(first.flow_id)
        assert (step.state, code_of(step)) == ("idle", "outcome_unknown")

    @pytest.mark.parametrize("mode", [0o777, 0o750])
    def test_folder_that_others_may_use_is_not_used(
        self, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        folder = worker_module._folder()
        folder.mkdir()
        folder.chmod(mode)
        assert worker_module._Worker().name == ""

    def test_read_only_folder_gives_no_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        assert worker_module._Worker().name == ""
