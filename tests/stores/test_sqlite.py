"""SQLite's own risks: files, forks, threads and locks."""

from __future__ import annotations

import contextlib
import dis
import gc
import multiprocessing
import os
import random
import re
import signal
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from weakref import WeakValueDictionary

import pytest
from tests.benchmarks.observed import Observed, observed
from tests.doubles import password

from oncegate import Misconfigured, SignIn, StoreUnavailable
from oncegate.adapters import RecordStore, StoredRecord
from oncegate.testing import StoreConformance
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import SQLiteStore, _sqlite, store_from_url

KEY = "a" * 32
ROW = StoredRecord(1, b"sealed", time.time() + 3600)


class TestSQLite(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "flows.db"
        self.made: list[Observed] = []

    def make(self) -> RecordStore:
        self.made += [observed(SQLiteStore(self.path))]
        return self.made[-1]

    def requests(self) -> int:
        return sum(len(store.trips) for store in self.made)

    def lose(self) -> bool:
        self.path.unlink()
        return True


def test_nothing_is_opened_before_the_first_use(tmp_path: Path) -> None:
    SQLiteStore(tmp_path / "flows.db")
    assert not list(tmp_path.iterdir())


def test_record_outlives_its_store_object(tmp_path: Path) -> None:
    SQLiteStore(tmp_path / "flows.db").swap(KEY, 0, ROW)
    assert SQLiteStore(tmp_path / "flows.db").load(KEY) == ROW


@contextlib.contextmanager
def _lent(store: SQLiteStore) -> Iterator[sqlite3.Connection]:
    """Lend the connection that the store writes with."""
    connections = store._to_the_file()
    with connections.turns["writing"]:
        yield connections.open["writing"]


@pytest.mark.parametrize("durable", [False, True])
def test_durable_swap_waits_for_disk(tmp_path: Path, *, durable: bool) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    store.swap(KEY, 0, ROW._replace(durable=not durable))
    written: list[str] = []
    with _lent(store) as db:
        db.set_trace_callback(written.append)
    for version in (1, 2):
        store.swap(KEY, version, ROW._replace(version=version + 1, durable=durable))
        with _lent(store) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert db.execute("PRAGMA synchronous").fetchone() == (1 + durable,)
    assert [text.split()[0] for text in written if "PRAGMA" not in text] == [
        *("BEGIN", "SELECT", "UPDATE", "COMMIT"),
        *("BEGIN", "SELECT", "UPDATE", "COMMIT"),
    ]


def test_open_write_transaction_does_not_block_readers(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db", timeout=0.2)
    store.swap(KEY, 0, ROW)
    with _lent(store) as db:
        db.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(store.load, KEY).result(timeout=5) == ROW
        db.execute("ROLLBACK")


def test_new_files_are_private_to_owner(tmp_path: Path) -> None:
    SQLiteStore(tmp_path / "flows.db").swap(KEY, 0, ROW)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def _win(path: Path, versions: int, won: multiprocessing.Queue[int]) -> None:
    store = SQLiteStore(path)
    for version in range(versions):
        while (row := store.load(KEY)) is not None and row.version < version:
            pass
        own = str(os.getpid()).encode()
        if store.swap(KEY, version, StoredRecord(version + 1, own, time.time() + 60)):
            won.put(version)


def test_concurrent_processes_win_each_version_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    won: multiprocessing.Queue[int] = context.Queue()
    path = tmp_path / "flows.db"
    workers = [context.Process(target=_win, args=(path, 50, won)) for _ in range(3)]
    for worker in workers:
        worker.start()
    versions = [won.get(timeout=60) for _ in range(50)]
    for worker in workers:
        worker.join(60)
    assert sorted(versions) == list(range(50))
    assert won.empty()


def test_forked_process_opens_new_connections(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    store.swap(KEY, 0, ROW)
    with _lent(store) as db:
        before = id(db)
    child = os.fork()
    if child == 0:
        with _lent(store) as db:
            os._exit(id(db) == before)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("is_used", [False, True])
def test_fork_leaves_inherited_connections_open(tmp_path: Path, *, is_used: bool) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    with _lent(store) as db:
        pass
    child = os.fork()
    if child == 0:
        if is_used:
            store.load(KEY)
        store.close()
        del store
        gc.collect()
        os._exit(not _is_open(db))
    assert os.waitpid(child, 0)[1] == 0
    assert _is_open(db)


def _is_open(db: sqlite3.Connection) -> bool:
    try:
        db.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def _saves_in_a_fork(store: SQLiteStore) -> bool:
    """Return whether a forked process can save a row."""
    forked = os.fork()
    if forked == 0:
        signal.alarm(10)  # ends the process if it waits for what no thread of its own can release
        try:
            os._exit(0 if store.swap(f"{os.getpid():032x}", 0, ROW) else 1)
        finally:
            os._exit(2)
    return os.waitpid(forked, 0)[1] == 0


def test_fork_waits_for_a_thread_that_writes(tmp_path: Path) -> None:
    """Otherwise SQLite takes the inherited lock for one of the child's own connections, for ever."""
    store, is_writing = SQLiteStore(tmp_path / "flows.db", timeout=0.5), threading.Event()

    def write() -> None:
        with _lent(store) as db:
            db.execute("BEGIN IMMEDIATE")
            is_writing.set()
            time.sleep(0.2)  # the fork begins
            db.execute("COMMIT")

    with ThreadPoolExecutor(1) as threads:
        written = threads.submit(write)
        assert is_writing.wait(10)
        assert _saves_in_a_fork(store)
        written.result(10)
    assert store.swap(KEY, 0, ROW)  # the turns were given back


def test_fork_waits_for_no_longer_than_its_limit_however_many_connections_are_used() -> None:
    forks = _sqlite._Forks()
    used = [_sqlite._Connections((0, number)) for number in range(4)]

    def hold() -> None:
        for connections in used:
            forks.wait_for(connections)
            for turn in connections.turns.values():
                turn.acquire()

    with ThreadPoolExecutor(1) as threads:
        threads.submit(hold).result(10)
        began = time.monotonic()
        forks.before()
        took = time.monotonic() - began
        forks.after_in_parent()
    assert _sqlite._FORK_WAITS <= took < 4 * _sqlite._FORK_WAITS  # one after another: 8


@pytest.mark.parametrize("is_held", [False, True])
def test_fork_that_only_the_child_is_told_of_leaves_no_lock_held(*, is_held: bool) -> None:
    """Such as uWSGI's: it calls `PyOS_AfterFork_Child`, and nothing before the fork."""
    forks = _sqlite._Forks()
    with ThreadPoolExecutor(1) as other, ThreadPoolExecutor(1) as another:
        if is_held:
            other.submit(forks._lock.acquire).result(10)
        forks.after_in_child()
        forks.wait_for(_sqlite._Connections((0, 0)))
        assert another.submit(forks._lock.acquire, timeout=1).result(10)


def test_signal_handler_can_fork_and_use_a_store_while_its_thread_opens_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it waits for ever for a lock of its own thread."""
    store, other = SQLiteStore(tmp_path / "flows.db"), SQLiteStore(tmp_path / "other.db")
    forks, forked, interrupts = _sqlite._FORKS, list[int](), [1]

    class Interrupted(WeakValueDictionary[int, _sqlite._Connections]):
        def __setitem__(self, key: int, value: _sqlite._Connections) -> None:
            if interrupts:
                interrupts.pop()  # before the fork, or the child would fork, too
                forked.append(_exit_code_of_a_fork(lambda: int(not other.swap(KEY, 0, ROW))))
                other.load(KEY)
            super().__setitem__(key, value)

    monkeypatch.setattr(forks, "_connections", Interrupted())
    monkeypatch.setattr(forks, "_lock", _Impatient(forks._lock))
    assert store.swap(KEY, 0, ROW)
    assert forked == [0]


class _Impatient:
    """A lock that fails a test which would wait for ever."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock

    def acquire(self, *, timeout: float = 5) -> bool:
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> None:
        assert self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def _exit_code_of_a_fork(action: Callable[[], int]) -> int:
    """Return what an action returns in a forked process; 255 if it raises."""
    forked = os.fork()
    if forked == 0:
        signal.alarm(60)
        code = 255
        try:
            code = action()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1])


def test_fork_waits_a_second_for_all_stores_together(tmp_path: Path) -> None:
    stores = [SQLiteStore(tmp_path / f"{number}.db") for number in range(3)]
    is_forked, are_used = threading.Event(), threading.Barrier(4)

    def use(store: SQLiteStore) -> None:
        with _lent(store):
            are_used.wait(10)
            assert is_forked.wait(20)

    with ThreadPoolExecutor(3) as threads:
        uses = [threads.submit(use, store) for store in stores]
        are_used.wait(10)
        began = time.monotonic()
        assert _exit_code_of_a_fork(lambda: 0) == 0
        took = time.monotonic() - began
        is_forked.set()
        for each in uses:
            each.result(10)
    assert 0.9 < took < 1.9


def test_child_of_a_fork_within_a_transaction_does_not_commit_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal's handler forks, and returns in both processes. Two commits would corrupt the file."""
    store, parent = SQLiteStore(tmp_path / "flows.db", timeout=0.5), os.getpid()
    store.swap(KEY, 0, ROW)
    save, forked, statements = _sqlite._save, list[int](), list[str]()

    def save_and_fork(*args: Any) -> None:
        save(*args)
        if not forked:
            parents_end, childs_end = os.pipe()
            forked.append(os.fork())
            if forked == [0]:
                os.close(childs_end)
                signal.alarm(60)
                args[0].set_trace_callback(statements.append)
                os.read(parents_end, 1)  # the parent has saved more
            os.close(parents_end)
            forked.append(childs_end)

    monkeypatch.setattr(_sqlite, "_save", save_and_fork)
    raised = ""
    try:
        store.swap("b" * 32, 0, ROW)
    except StoreUnavailable as error:
        raised = str(error)
    finally:
        if os.getpid() != parent:
            # Not rolled back either: that would clear what the parent writes into the log's index.
            os._exit("the process forked" not in raised or statements != [])
    keys = [f"{number:032x}" for number in range(100)]
    assert all(store.swap(key, 0, ROW._replace(sealed=os.urandom(999))) for key in keys)
    os.close(forked[1])
    assert os.waitpid(forked[0], 0)[1] == 0
    assert all(SQLiteStore(tmp_path / "flows.db").load(key) for key in [*keys, "b" * 32])
    with contextlib.closing(sqlite3.connect(tmp_path / "flows.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_child_of_a_fork_within_a_use_leaves_the_parents_connections(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    inherited = store._to_the_file()

    def is_refused() -> int:
        with pytest.raises(StoreUnavailable, match=r"flows\.db: the process forked"):
            store._use(inherited, "writing", lambda db: db.execute("SELECT 1"))
        return int(not store.swap(KEY, 0, ROW))  # the next use has its own

    assert _exit_code_of_a_fork(is_refused) == 0


def test_forked_process_with_an_ancestors_process_id_opens_new_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process IDs are given again: to a daemon's worker, and in a container."""
    store, parent = SQLiteStore(tmp_path / "flows.db"), os.getpid()
    with _lent(store) as before:
        pass

    def opens_its_own() -> int:
        monkeypatch.setattr(os, "getpid", lambda: parent)
        with _lent(store) as db:
            return int(db is before)

    assert _exit_code_of_a_fork(opens_its_own) == 0


def test_signal_handler_that_raises_after_a_fork_leaves_no_turn_held() -> None:
    forks, connections = _sqlite._Forks(), _sqlite._Connections((0, 0))
    turns = dict(connections.turns)

    class Interrupted(_Impatient):
        def release(self) -> None:
            super().release()
            raise KeyboardInterrupt

    doubled: Any = connections.turns
    doubled["writing"] = Interrupted(turns["writing"])
    forks.wait_for(connections)
    forks.before()
    with ThreadPoolExecutor(1) as other:
        assert not any(other.submit(_is_free, turn).result(10) for turn in turns.values())
        with pytest.raises(KeyboardInterrupt):
            forks.after_in_parent()
        locks = [forks._lock, *turns.values()]
        assert all(other.submit(_is_free, lock).result(10) for lock in locks)
    assert not forks._held


def _is_free(lock: threading.RLock) -> bool:
    is_free = lock.acquire(blocking=False)
    if is_free:
        lock.release()
    return is_free


def test_fork_waits_for_threads_that_open_the_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        for number in range(20):
            store = SQLiteStore(tmp_path / f"{number}.db", timeout=0.5)
            saves = [threads.submit(store.swap, f"{key:032x}", 0, ROW) for key in range(8)]
            time.sleep(number / 2000)  # at different points
            assert _saves_in_a_fork(store)
            assert all(save.result(10) for save in saves)


def test_closed_store_reopens_at_next_use(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    store.swap(KEY, 0, ROW)
    with _lent(store) as db:
        pass
    store.load(KEY)
    store.close()
    assert not _is_open(db)
    assert [path.name for path in tmp_path.iterdir()] == ["flows.db"]  # without a write-ahead log
    assert store.load(KEY) == ROW


def test_garbage_collected_store_closes_connections(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    with _lent(store) as db:
        pass
    del store
    gc.collect()
    assert not _is_open(db)


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"\x00" * 4096])
def test_file_that_is_not_a_database_raises_store_unavailable(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "flows.db"
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"flows\.db"):
        SQLiteStore(path).load(KEY)
    assert path.read_bytes() == content


def test_missing_folder_is_misconfigured(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"there is no folder .*nowhere; create it"):
        SQLiteStore(tmp_path / "nowhere" / "flows.db").load(KEY)


def test_locked_file_raises_store_unavailable_until_released(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    store = SQLiteStore(path, timeout=0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable, match="locked"):
        store.swap(KEY, 0, ROW)
    holder.execute("ROLLBACK")
    holder.close()
    assert store.swap(KEY, 0, ROW)


def test_locked_file_makes_threads_wait_in_parallel(tmp_path: Path) -> None:
    """Twenty threads time out together after 1 s, not one after another."""
    path = tmp_path / "flows.db"
    store = SQLiteStore(path, timeout=1)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    def swap(_: int) -> bool:
        with pytest.raises(StoreUnavailable):
            store.swap(KEY, 0, ROW)
        return True

    began = time.monotonic()
    with ThreadPoolExecutor(20) as threads:
        assert all(threads.map(swap, range(20)))
    assert time.monotonic() - began < 20 / 2
    holder.execute("ROLLBACK")
    holder.close()
    assert store.swap(KEY, 0, ROW)


# ── losses ──


def _delete_file(path: Path) -> None:
    for part in path.parent.glob("flows.db*"):
        part.unlink()


def _delete_only_the_database(path: Path) -> None:
    path.unlink()


def _replace_by_a_copy(path: Path) -> None:
    _delete_file(path)
    (path.parent / "copy").rename(path)


def _run(*statements: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            for statement in statements:
                db.execute(statement)

    return run


@pytest.mark.parametrize(
    "lose",
    [
        _delete_file,
        _delete_only_the_database,
        _replace_by_a_copy,
        _run("DELETE FROM oncegate_flows"),
        _run("DELETE FROM oncegate_flows WHERE version > 0"),
        _run("DROP TABLE oncegate_flows"),
        _run("DROP TABLE oncegate_flows", "DROP TABLE oncegate_epoch"),
        _run(
            "DROP TRIGGER oncegate_row_deleted",
            "DELETE FROM oncegate_flows",
            "DELETE FROM oncegate_epoch",
        ),
    ],
)
def test_lost_rows_end_the_flows_of_every_worker(
    lose: Callable[[Path], None], tmp_path: Path, transport: CognitoTransport, sandbox: Sandbox
) -> None:
    path = tmp_path / "flows.db"
    workers = [SignIn(transport=transport, store=SQLiteStore(path)) for _ in range(2)]
    for worker in workers:
        worker.get(worker.start().flow_id)
    with (
        contextlib.closing(sqlite3.connect(path)) as db,
        contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy,
    ):
        db.backup(copy)
    first = workers[0].start()
    workers[0].send(first, password())
    lose(path)
    for worker in reversed(workers):
        again = worker.send(first, password())
        assert again.message is not None
        assert (again.message.code, len(sandbox.messages())) == ("flow_expired", 1)
    step = workers[0].send(workers[0].start(), password())
    assert workers[1].get(step.flow_id).state == "awaiting_mfa"


def test_single_deleted_row_changes_the_epoch(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    before = store.epoch(KEY)
    store.swap(KEY, 0, ROW._replace(epoch=before))
    store.swap("b" * 32, 0, ROW)
    _run(f"DELETE FROM oncegate_flows WHERE key = '{KEY}'")(tmp_path / "flows.db")
    assert store.swap(KEY, 0, ROW._replace(epoch=before)) is False
    assert store.load(KEY) is None
    assert store.epoch(KEY) != before


def test_worker_does_not_write_on_in_a_deleted_file(tmp_path: Path) -> None:
    one, two = (SQLiteStore(tmp_path / "flows.db") for _ in range(2))
    for store in (one, two):
        store.swap(KEY, 0, ROW)
        store.swap(KEY, 1, ROW._replace(version=2, durable=False))
    _delete_file(tmp_path / "flows.db")
    for durable in (True, False):
        key = f"{durable:032x}"
        assert one.swap(key, 0, ROW._replace(durable=durable))
        assert two.load(key) is not None


def test_expired_rows_are_deleted_without_a_new_epoch(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    before = store.epoch(KEY)
    now = time.time()
    store.swap("b" * 32, 0, StoredRecord(1, b"", now - 61))
    store.swap("c" * 32, 0, StoredRecord(1, b"", now - 30))
    store._swept_at = -1e9
    store.swap(KEY, 0, ROW)
    assert [store.load(key) is None for key in ("b" * 32, "c" * 32, KEY)] == [True, False, False]
    assert store.epoch(KEY) == before


def test_epoch_outlives_the_workers(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    one, two = SQLiteStore(path), SQLiteStore(path)
    before = one.epoch(KEY)
    assert two.epoch(KEY) == before
    for store, other in ((one, two), (two, one)):
        store.close()
        other.swap(KEY, 0, ROW)
        store.load(KEY)
        assert store.epoch(KEY) == before
        assert SQLiteStore(path).epoch(KEY) == before
    one.close()
    two.close()
    one.load(KEY)
    assert one.epoch(KEY) == before


def test_forked_worker_sees_what_others_save_after_its_parent_closed_the_file(
    tmp_path: Path,
) -> None:
    """What a fork inherits makes SQLite take no lock of the child's own: the parent deletes the log."""
    path = tmp_path / "flows.db"
    store = SQLiteStore(path)
    store.load(KEY)
    parent, child_is_ready = os.pipe()
    child, parent_is_done = os.pipe()
    forked = os.fork()
    if forked == 0:
        store.swap(KEY, 0, ROW)
        os.write(child_is_ready, b"1")
        os.read(child, 1)
        assert store.swap(KEY, 1, ROW._replace(version=2))
        os._exit(0)
    os.read(parent, 1)
    store.close()
    os.write(parent_is_done, b"1")
    assert os.waitpid(forked, 0)[1] == 0
    loaded = SQLiteStore(path).load(KEY)
    assert loaded is not None
    assert loaded.version == 2
    for end in (parent, child_is_ready, child, parent_is_done):
        os.close(end)


def _copy_to_the_same_inode(path: Path) -> None:
    path.write_bytes((path.parent / "copy").read_bytes())


def _restore(path: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(path.parent / "copy")) as copy,
        contextlib.closing(sqlite3.connect(path)) as db,
    ):
        copy.backup(db)


def _delete_logs(path: Path) -> None:
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


@pytest.mark.parametrize("ends", ["closed", "killed"])
def test_file_restored_while_no_worker_had_it_open_changes_the_epoch(
    tmp_path: Path, ends: str
) -> None:
    path = tmp_path / "flows.db"
    SQLiteStore(path).load(KEY)
    (tmp_path / "copy").write_bytes(path.read_bytes())
    read, write = os.pipe()
    worker = os.fork()
    if worker == 0:
        store = SQLiteStore(path)
        epoch = store.epoch(KEY)
        store.swap(KEY, 0, ROW._replace(epoch=epoch))
        os.write(write, epoch.encode())
        if ends == "closed":
            store.close()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(worker, 0)
    _restore(path)
    before = os.read(read, 100).decode()
    store = SQLiteStore(path)
    assert store.swap("b" * 32, 0, ROW._replace(epoch=before)) is False
    assert store.epoch(KEY) != before


class _Worker:
    """A store in a process of its own."""

    _store: SQLiteStore

    def __init__(self, path: Path) -> None:
        context = multiprocessing.get_context("fork")
        self.process = ProcessPoolExecutor(1, context, self._open, (path,))

    def ask(self, method: str, *values: object) -> object:
        return self.process.submit(self._ask, method, values).result(timeout=20)

    @classmethod
    def _open(cls, path: Path) -> None:
        cls._store = SQLiteStore(path)

    @classmethod
    def _ask(cls, method: str, values: tuple[object, ...]) -> object:
        return getattr(cls._store, method)(*values)


@pytest.mark.parametrize("roll_back", [_restore, _delete_logs])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_file_rolled_back_in_use_changes_the_epoch_of_every_worker(
    tmp_path: Path, roll_back: Callable[[Path], None], first: int
) -> None:
    path = tmp_path / "flows.db"
    workers = [_Worker(path) for _ in range(3)]  # the last one opens the file afterwards
    before = workers[0].ask("epoch", KEY)
    assert workers[1].ask("epoch", KEY) == before
    with (
        contextlib.closing(sqlite3.connect(path)) as db,
        contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy,
    ):
        db.backup(copy)
    row = ROW._replace(epoch=str(before))
    assert workers[0].ask("swap", KEY, 0, row)
    roll_back(path)
    workers.insert(0, workers.pop(first))
    for worker in workers:
        assert worker.ask("swap", "b" * 32, 0, row) is False
        worker.ask("load", KEY)
    time.sleep(1)  # then each asks for the epoch
    after = {worker.ask("epoch", KEY) for worker in workers}
    assert len(after) == 1
    assert before not in after
    assert workers[1].ask("swap", "c" * 32, 0, row._replace(epoch=str(after.pop())))
    for worker in workers:
        assert worker.ask("load", "c" * 32) is not None
        worker.process.shutdown()


def test_clock_that_was_ahead_when_rows_were_deleted_changes_the_epoch(tmp_path: Path) -> None:
    """The rows had expired by that clock only. Each later epoch stays."""
    store = SQLiteStore(tmp_path / "flows.db")
    before = store.epoch(KEY)
    store.swap("b" * 32, 0, StoredRecord(1, b"", time.time() - 61))
    store._swept_at = -1e9
    assert store.swap(KEY, 0, ROW._replace(epoch=before))
    _run("UPDATE oncegate_epoch SET swept = swept + 7200")(tmp_path / "flows.db")
    assert store.swap(KEY, 1, ROW._replace(version=2, epoch=before)) is False
    store.load(KEY)
    after = store.epoch(KEY)
    assert after != before
    store.load(KEY)
    assert store.epoch(KEY) == after
    assert store.swap(KEY, 1, ROW._replace(version=2, epoch=after))


def test_workers_that_create_the_file_together_have_one_epoch(tmp_path: Path) -> None:
    stores = [SQLiteStore(tmp_path / "flows.db") for _ in range(8)]
    together = threading.Barrier(8)

    def epoch(store: SQLiteStore) -> str:
        together.wait()
        return store.epoch(KEY)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(epoch, stores))) == 1


def test_file_that_another_worker_is_making_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself refuses a change of the journal mode at once, while another process writes."""
    path = tmp_path / "flows.db"
    with contextlib.closing(
        sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    ) as other:
        other.execute("CREATE TABLE other (x)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            SQLiteStore(path, timeout=0.1).epoch(KEY)
        end = threading.Timer(0.3, other.execute, ("COMMIT",))
        end.start()
        assert SQLiteStore(path).epoch(KEY)
        end.join()


def test_file_of_release_0_1_is_taken_over(tmp_path: Path) -> None:
    _run(
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE oncegate_flows (key TEXT PRIMARY KEY, version INTEGER NOT NULL, "
        "sealed BLOB NOT NULL, expires_at REAL NOT NULL)",
        f"INSERT INTO oncegate_flows VALUES ('{KEY}', 3, x'01', {ROW.expires_at})",
    )(tmp_path / "flows.db")
    store = SQLiteStore(tmp_path / "flows.db")
    assert store.load(KEY) == StoredRecord(3, b"\x01", ROW.expires_at)
    assert store.swap(KEY, 3, ROW._replace(version=4, epoch=store.epoch(KEY)))


def test_related_rows_come_with_the_wanted_one(tmp_path: Path) -> None:
    store, near, far, missing = SQLiteStore(tmp_path / "flows.db"), "b" * 32, "c" * 32, "d" * 32
    store.swap(near, 0, ROW._replace(related=(far,)))
    store.swap(far, 0, ROW)
    store.swap(KEY, 0, ROW._replace(related=(near, missing)))
    assert store.load_many([KEY]) == {KEY: ROW._replace(related=(near, missing)), near: ROW}
    assert store.load(KEY) == ROW


def test_known_and_unknown_names_take_the_same_statements(tmp_path: Path) -> None:
    """P6: a row that names others is that of a name that a user has signed in with."""
    store, near = SQLiteStore(tmp_path / "flows.db"), "b" * 32
    store.swap(near, 0, ROW)
    store.swap(KEY, 0, ROW._replace(related=(near,)))
    store.load(KEY)
    written: list[str] = []
    reader = store._to_the_file().open["reading"]
    reader.set_trace_callback(written.append)
    for key in (KEY, near, "c" * 32):
        store.load_many([key])
    kinds = [re.sub(r"'\w*'", "?", text) for text in written]
    assert len(kinds) == 9
    assert kinds[:3] == kinds[3:6] == kinds[6:]


class Interrupted(Exception):
    """What a signal's handler raises."""


def _interrupt_often(path: Path) -> tuple[int, bool]:
    """Interrupt loads and saves of the main thread at any point, while another thread reads.

    Returns:
        How many reads of the other thread failed, and whether a save succeeds afterwards.
    """

    def interrupt(*_: object) -> None:
        raise Interrupted

    def read() -> int:
        failed = 0
        while not is_over.is_set():
            try:
                store.load(KEY)
            except StoreUnavailable:
                failed += 1
        return failed

    store, is_over = SQLiteStore(path, timeout=2.0), threading.Event()
    store.swap(KEY, 0, ROW)
    signal.signal(signal.SIGALRM, interrupt)
    ends, version = time.monotonic() + 3, 1
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(read)
        try:
            while time.monotonic() < ends:
                with contextlib.suppress(Interrupted, StoreUnavailable):
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 2e-3))
                    # Until it raises; a handler that runs within a callback of Python's raises nothing.
                    for _ in range(100):
                        store.load(KEY)
                        version += store.swap(KEY, version, ROW._replace(version=version + 1))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            is_over.set()
        failed = other.result(20)
    found = store.load(KEY)
    assert found is not None
    return failed, store.swap(KEY, found.version, ROW._replace(version=found.version + 1))


def test_interrupted_threads_leave_no_turn_behind(tmp_path: Path) -> None:
    """A signal's handler raises at any point, such as between getting a turn and using it.

    In a process of its own, because it can also raise in a callback of a library's.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as process:
        assert process.submit(_interrupt_often, tmp_path / "flows.db").result(60) == (0, True)


class _InterruptAt:
    """A trace function that raises at one of the points where Python runs a signal's handler.

    These are the beginning of a function, the end of a call, and a jump back (CPython, `ceval.c`: where
    the "eval breaker" is checked). Here: those in the store's own code and in `contextlib`.

    Attributes:
        has_raised: whether there was such a point.
    """

    def __init__(self, point: int) -> None:
        self.has_raised = False
        self._left = point
        self._points: dict[CodeType, set[int]] = {}

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        is_ours = "oncegate_stores" in frame.f_code.co_filename
        if not is_ours and frame.f_code.co_filename != contextlib.__file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._at

    def _at(self, frame: FrameType, event: str, arg: object) -> Any:
        code = frame.f_code
        if code not in self._points:
            self._points[code] = {
                after.offset
                for before, after in pairwise(dis.get_instructions(code))
                if before.opname in {"RESUME", "JUMP_BACKWARD"} or before.opname.startswith("CALL")
            }
        if event == "opcode" and not self.has_raised and frame.f_lasti in self._points[code]:
            self._left -= 1
            if self._left < 0:
                self.has_raised = True
                raise Interrupted
        return self._at


def _interrupt_everywhere(path: Path) -> tuple[int, list[str]]:
    """Interrupt a load, and saves that change the synchronous mode, at each point.

    Returns:
        The number of points, and what another thread or program could not do then.
    """
    store, problems = SQLiteStore(path, timeout=0.5), list[str]()
    keys = map("{:032x}".format, count())
    program = sqlite3.connect(path, timeout=0.0, isolation_level=None)

    def save(*, durable: bool) -> None:
        assert store.swap(next(keys), 0, ROW._replace(durable=durable))

    def work(durable: bool) -> None:
        store.load(KEY)
        save(durable=durable)
        with _lent(store) as db:
            assert db.execute("PRAGMA synchronous").fetchone() == (1 + durable,), "another mode"

    # What is interrupted, and the mode that it finds.
    calls: list[tuple[Callable[[], object], bool]] = [
        (partial(save, durable=True), False),
        (partial(save, durable=False), True),
        (partial(store.load, KEY), True),
    ]
    points = 0
    with ThreadPoolExecutor(1) as threads:
        for call, durable in calls:
            work(durable)
            for point in count():
                interrupt = _InterruptAt(point)
                sys.settrace(interrupt)
                try:
                    call()
                except Interrupted as raised:
                    kept = raised  # as by a program that reports its errors later
                finally:
                    sys.settrace(None)
                if not interrupt.has_raised:
                    points += point
                    break
                try:
                    program.execute("BEGIN IMMEDIATE")
                    program.execute("ROLLBACK")
                    threads.submit(work, durable).result(10)
                except (AssertionError, sqlite3.Error, StoreUnavailable) as error:
                    problems.append(f"point {point} of {call}: {error}")
                del kept
    return points, problems


def test_interrupted_thread_leaves_nothing_behind_at_any_point(tmp_path: Path) -> None:
    """Neither a turn, nor a transaction, nor another mode, even while its exception is kept."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as process:
        points, problems = process.submit(_interrupt_everywhere, tmp_path / "flows.db").result(60)
    assert not problems
    assert points > 100  # of all calls


def test_related_keys_are_those_of_the_version_that_is_stored(tmp_path: Path) -> None:
    """A worker of 0.1 saves a row, and does not know that table."""
    store, near = SQLiteStore(tmp_path / "flows.db"), "b" * 32
    store.swap(KEY, 0, ROW._replace(related=(near,)))
    with contextlib.closing(sqlite3.connect(tmp_path / "flows.db", isolation_level=None)) as db:
        db.execute("UPDATE oncegate_flows SET version = 2")
        created = f"VALUES ('{near}', 1, x'01', {ROW.expires_at}) ON CONFLICT (key) DO NOTHING"
        db.execute(f"INSERT INTO oncegate_flows {created}")
    assert store.load_many([KEY]) == {KEY: ROW._replace(version=2)}
    store.swap(KEY, 2, ROW._replace(version=3, related=(near,)))
    assert store.load_many([KEY]).keys() == {KEY, near}


@pytest.mark.parametrize(
    "dropped",
    [
        ("TABLE oncegate_related", "TRIGGER oncegate_related_deleted"),
        ("TRIGGER oncegate_related_deleted",),
        ("TRIGGER oncegate_row_deleted",),
        ("TABLE oncegate_epoch",),
    ],
    ids=str,
)
def test_what_was_dropped_is_made_again_by_the_next_worker(
    dropped: tuple[str, ...], tmp_path: Path
) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    store.swap(KEY, 0, ROW)
    store.close()
    _run(*(f"DROP {what}" for what in dropped))(tmp_path / "flows.db")
    SQLiteStore(tmp_path / "flows.db").load(KEY)
    with contextlib.closing(sqlite3.connect(tmp_path / "flows.db")) as db:
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    assert names >= {what.split()[1] for what in dropped}


def test_related_keys_are_deleted_with_their_row(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    store.swap(KEY, 0, ROW._replace(expires_at=time.time() - 61, related=("b" * 32,)))
    store._swept_at = -1e9
    store.swap("c" * 32, 0, ROW)
    with _lent(store) as db:
        assert not db.execute("SELECT key FROM oncegate_related").fetchall()


def test_file_without_write_permission_is_misconfigured(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    store = SQLiteStore(path)
    store.load(KEY)
    with _lent(store) as db:
        db.execute("PRAGMA query_only = on")  # root may write everywhere; the error is the same
    with pytest.raises(Misconfigured, match="allowed to read and write the file"):
        store.swap(KEY, 0, ROW)


def test_a_day_of_sign_ins_leaves_file_and_log_as_they_were(tmp_path: Path) -> None:
    """Each hour's rows take the place of the last hour's; the log is cut at each checkpoint."""
    path = tmp_path / "flows.db"
    store, reader = SQLiteStore(path), SQLiteStore(path)
    sizes, logs = [], []
    for hour in range(24):
        sealed, expired = os.urandom(3000), time.time() - 61
        for number in range(50):
            key = f"{hour:016x}{number:016x}"
            for version in range(3):
                row = StoredRecord(version + 1, sealed, expired, durable=number == 0)
                assert store.swap(key, version, row)
            assert reader.load(key) is not None
        store._swept_at = -1e9
        store.swap(f"{hour:032x}", 0, StoredRecord(1, b"", expired))
        sizes += [path.stat().st_size]
        logs += [path.with_name("flows.db-wal").stat().st_size]
    assert max(sizes[12:]) <= max(sizes[:12])
    assert max(logs) < 6 << 20


def test_options_of_the_url_are_read(tmp_path: Path) -> None:
    store = store_from_url(f"sqlite:///{tmp_path}/flows.db?timeout=0.25")
    assert isinstance(store, SQLiteStore)
    assert store._timeout == 0.25


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///flows.db?timeout=x",
        "sqlite:///flows.db?timeout=0",
        "sqlite:///flows.db?timeout=-1",
        "sqlite:///flows.db?timeout=3000000",
        "sqlite:///flows#1.db",
        "sqlite:///flows.db?nosuch=1",
        "sqlite:///flows.db?nosuch",
        "sqlite://flows.db",
        "sqlite:/var/lib/flows.db",
        "sqlite:flows.db",
        "sqlite:///",
    ],
)
def test_url_that_cannot_be_is_misconfigured(url: str) -> None:
    with pytest.raises(Misconfigured, match="seconds"):
        store_from_url(url)


@pytest.mark.parametrize("make", [SQLiteStore, store_from_url])
def test_path_of_a_database_in_memory_is_misconfigured(
    make: Callable[[str], RecordStore],
) -> None:
    """SQLite makes one for each connection: the store would not find what it has saved."""
    url = "sqlite:///:memory:"
    with pytest.raises(Misconfigured, match="MemoryStore"):
        make(url if make is store_from_url else ":memory:")


def test_threads_behind_a_crowd_are_served_although_it_takes_longer_than_the_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,000 sign-ins at once take some seconds of a busy machine; none of them is stuck."""
    store = SQLiteStore(tmp_path / "flows.db", timeout=0.5)
    store.swap(KEY, 0, ROW)
    load = _sqlite._load

    def slow(*args: Any, **more: Any) -> Any:
        time.sleep(0.05)
        return load(*args, **more)

    monkeypatch.setattr(_sqlite, "_load", slow)
    with ThreadPoolExecutor(20) as threads:
        assert set(threads.map(store.load, [KEY] * 20)) == {ROW}
