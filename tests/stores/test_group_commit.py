"""What several threads save at once is one transaction, and each learns what became of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from oncegate import StoreUnavailable
from oncegate.adapters import Change, StoredRecord
from oncegate_stores import SQLiteStore
from oncegate_stores._group_commit import GroupCommit, Write

ROW = StoredRecord(1, b"sealed", time.time() + 3600)


def change(number: int, row: StoredRecord = ROW) -> Change:
    return Change(f"{number:032x}", 0, row)


class Commits:
    """A commit that waits until the test lets it go on, and records what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[Write]] = []
        self.may_go_on = threading.Event()
        self.error: BaseException | None = None

    def __call__(self, writes: Sequence[Write]) -> None:
        self.batches.append(list(writes))
        assert self.may_go_on.wait(20)
        if self.error and len(self.batches) == 1:
            raise self.error
        for write in writes:
            write.saved = [True]


def until(condition: Any) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("timed out")


def waiting(group: GroupCommit, commits: Commits, threads: ThreadPoolExecutor, count: int) -> Any:
    """Begin a commit, and have so many threads wait for the next."""
    first = Write([change(0)])
    futures = [threads.submit(group.perform, first, commits, 20)]
    until(lambda: commits.batches)
    writes = [Write([change(number)]) for number in range(1, count + 1)]
    futures += [threads.submit(group.perform, write, commits, 20) for write in writes]
    until(lambda: len(group._waiting) == count)
    return futures, [first, *writes]


def test_threads_that_wait_are_committed_together() -> None:
    group, commits = GroupCommit(), Commits()
    with ThreadPoolExecutor(9) as threads:
        futures, writes = waiting(group, commits, threads, 8)
        commits.may_go_on.set()
        for future in futures:
            future.result(20)
    assert [len(batch) for batch in commits.batches] == [1, 8]
    assert all(write.saved == [True] for write in writes)


def test_result_is_known_only_after_the_commit() -> None:
    group, commits = GroupCommit(), Commits()
    with ThreadPoolExecutor(4) as threads:
        futures, _ = waiting(group, commits, threads, 3)
        assert not any(future.done() for future in futures)
        commits.may_go_on.set()
        for future in futures:
            future.result(20)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), KeyboardInterrupt()])
def test_failed_commit_fails_its_own_writes_alone(error: BaseException) -> None:
    group, commits = GroupCommit(), Commits()
    commits.error = error
    with ThreadPoolExecutor(4) as threads:
        futures, (first, *others) = waiting(group, commits, threads, 3)
        commits.may_go_on.set()
        for future in futures[1:]:
            future.result(20)
        if isinstance(error, Exception):
            futures[0].result(20)
            assert first.error is error
        else:
            with pytest.raises(KeyboardInterrupt):
                futures[0].result(20)
    assert all(write.saved == [True] and write.error is None for write in others)


def test_error_of_one_threads_own_is_not_raised_in_the_others() -> None:
    """Such as a time limit, which a signal's handler raises."""
    group, commits = GroupCommit(), Commits()
    commits.error = ValueError("a limit of this thread")
    leader, other = Write([change(0)]), Write([change(1)])
    group._waiting += [leader, other]
    group._leader = leader
    commits.may_go_on.set()
    with pytest.raises(ValueError, match="a limit"):
        group._lead(commits)
    assert isinstance(other.error, StoreUnavailable)


def test_interrupted_commit_tells_the_other_threads() -> None:
    group, commits = GroupCommit(), Commits()
    with ThreadPoolExecutor(3) as threads:
        futures, (_, second, third) = waiting(group, commits, threads, 2)

        def interrupted(writes: Sequence[Write]) -> None:
            raise KeyboardInterrupt

        second_commit = group._waiting[0]
        assert second_commit is second
        commits.may_go_on.set()
        for future in futures:
            future.result(20)
        assert third.saved == [True]
        with pytest.raises(KeyboardInterrupt):
            group.perform(Write([change(9)]), interrupted, 20)
        later = Write([change(10)])
        group.perform(later, commits, 20)
        assert later.saved == [True]


def test_thread_that_waited_too_long_leaves_and_saves_nothing() -> None:
    group, commits = GroupCommit(), Commits()
    with ThreadPoolExecutor(3) as threads:
        futures, _ = waiting(group, commits, threads, 1)
        late = Write([change(7)])
        with pytest.raises(TimeoutError, match=r"0\.05 s"):
            group.perform(late, commits, 0.05)
        commits.may_go_on.set()
        for future in futures:
            future.result(20)
    assert all(late not in batch for batch in commits.batches)
    assert group._leader is None


class Unreleased:
    """A lock whose first release is interrupted, and does nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_interrupted = False
        self.acquire, self.locked = self._lock.acquire, self._lock.locked

    def release(self) -> None:
        if not self._is_interrupted:
            self._is_interrupted = True
            raise KeyboardInterrupt
        self._lock.release()


def test_write_whose_thread_was_interrupted_after_the_commit_is_not_waited_for() -> None:
    group, commits = GroupCommit(), Commits()
    with ThreadPoolExecutor(4) as threads:
        first = Write([change(0)])
        first._turn = Unreleased()  # type: ignore[assignment]
        assert first._turn.acquire()
        second = Write([change(1)])
        group._waiting += [first, second]
        group._leader = first
        assert second._turn.acquire()
        interrupted = threads.submit(group._lead, commits)
        until(lambda: commits.batches)
        waiter = threads.submit(group._stop_waiting, second, 0.05)
        commits.may_go_on.set()
        with pytest.raises(KeyboardInterrupt):
            interrupted.result(20)
        group._leave(first)
        with pytest.raises(StoreUnavailable, match="was interrupted"):
            waiter.result(20)
        group.perform(Write([change(2)]), commits, 20)


def _counted(store: SQLiteStore, statement: str) -> list[str]:
    found: list[str] = []
    store.load("0" * 32)
    connections = store._to_the_file()
    with connections.turns["writing"]:
        db = connections.open["writing"]
        db.set_trace_callback(lambda text: found.append(text) if text == statement else None)
    return found


def test_forty_threads_behind_a_locked_file_take_a_few_commits(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db", timeout=20)
    commits = _counted(store, "COMMIT")
    holder = sqlite3.connect(tmp_path / "flows.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    queue = store._to_the_file().commits
    with ThreadPoolExecutor(40) as threads:
        results = [threads.submit(store.swap_many, [change(n), change(n + 50)]) for n in range(40)]
        until(lambda: len(queue._waiting) == 39)
        holder.execute("ROLLBACK")
        assert all(result.result(20) == [True, True] for result in results)
    holder.close()
    assert len(commits) == 2
    found = store.load_many([f"{n:032x}" for n in range(15)])
    assert len(found) == 15


def test_same_row_in_two_writes_of_one_commit_has_one_winner(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db", timeout=20)
    store.load("0" * 32)
    holder = sqlite3.connect(tmp_path / "flows.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    queue = store._to_the_file().commits
    with ThreadPoolExecutor(20) as threads:
        mine = [
            [change(n + 1), change(0, ROW._replace(sealed=b"%d" % n)), change(n + 100)]
            for n in range(20)
        ]
        results = [threads.submit(store.swap_many, changes) for changes in mine]
        until(lambda: len(queue._waiting) == 19)
        holder.execute("ROLLBACK")
        saved = [result.result(20) for result in results]
    holder.close()
    assert all(own and other for own, _, other in saved)
    (winner,) = (n for n, (_, common, _) in enumerate(saved) if common)
    loaded = store.load(f"{0:032x}")
    assert loaded is not None
    assert loaded.sealed == b"%d" % winner


def test_row_that_cannot_be_saved_does_not_lose_those_of_other_threads(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db", timeout=20)
    store.load("0" * 32)
    holder = sqlite3.connect(tmp_path / "flows.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    queue = store._to_the_file().commits
    broken: Any = ROW._replace(sealed=None)  # type: ignore[arg-type]
    with ThreadPoolExecutor(10) as threads:
        results = [
            threads.submit(store.swap_many, [change(n, broken if n == 5 else ROW)])
            for n in range(10)
        ]
        until(lambda: len(queue._waiting) == 9)
        holder.execute("ROLLBACK")
        for n, result in enumerate(results):
            if n == 5:
                with pytest.raises(StoreUnavailable, match="NOT NULL"):
                    result.result(20)
            else:
                assert result.result(20) == [True]
    holder.close()
    assert store.load(f"{4:032x}") is not None
    assert store.load(f"{5:032x}") is None


def test_dropped_table_is_made_again_for_all_threads(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db", timeout=20)
    store.load("0" * 32)
    holder = sqlite3.connect(tmp_path / "flows.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("DROP TABLE oncegate_flows")
    queue = store._to_the_file().commits
    with ThreadPoolExecutor(10) as threads:
        results = [threads.submit(store.swap_many, [change(n)]) for n in range(10)]
        until(lambda: len(queue._waiting) == 9)
        holder.execute("COMMIT")
        assert all(result.result(20) == [True] for result in results)
    holder.close()


def _save_until_killed(path: Path, told: int) -> None:
    store = SQLiteStore(path)

    def save(thread: int) -> None:
        for number in range(thread * 10_000, thread * 10_000 + 5000):
            store.swap_many([change(number), change(number + 5000)])
            os.write(told, b"%d " % number)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(save, range(4)))


def test_worker_killed_while_threads_save_never_keeps_a_later_row_alone(tmp_path: Path) -> None:
    """The first row of each write is there if any other is."""
    for _ in range(3):
        path = tmp_path / f"{time.time()}.db"
        read, write = os.pipe()
        worker = os.fork()
        if worker == 0:
            _save_until_killed(path, write)
        os.close(write)
        told = b""
        while len(told) < 400:
            told += os.read(read, 100)
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        while more := os.read(read, 1000):
            told += more
        os.close(read)
        store = SQLiteStore(path)
        for number in map(int, told.split()[:-1]):  # the last one may be cut
            keys = [f"{number:032x}", f"{number + 5000:032x}"]
            assert store.load_many(keys).keys() == set(keys)
        with contextlib.closing(sqlite3.connect(path)) as db:
            keys_there = {int(key, 16) for (key,) in db.execute("SELECT key FROM oncegate_flows")}
        assert {n - 5000 for n in keys_there if n % 10_000 >= 5000} <= keys_there
        store.close()


def test_signal_while_another_process_writes_leaves_no_transaction_open(tmp_path: Path) -> None:
    """Its handler raises as soon as SQLite has begun the transaction that it waited for."""
    store = SQLiteStore(tmp_path / "flows.db")
    store.swap_many([change(1)])
    holder = sqlite3.connect(tmp_path / "flows.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")

    def interrupt(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, interrupt)
    release = threading.Timer(0.5, lambda: holder.execute("ROLLBACK"))
    release.start()
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises((InterruptedError, StoreUnavailable)):
            store.swap_many([change(2)])
    finally:
        signal.signal(signal.SIGALRM, before)
        release.join()
    assert store.swap_many([change(3)]) == [True]
    assert SQLiteStore(tmp_path / "flows.db", timeout=1).swap_many([change(4)]) == [True]
    holder.close()
