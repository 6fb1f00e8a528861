"""SQLite's own risks: files, forks, threads and locks."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sqlite3
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oncegate import StoreUnavailable
from oncegate.adapters import StoredRecord
from oncegate_stores import SQLiteStore

KEY = "a" * 32
ROW = StoredRecord(1, b"sealed", time.time() + 3600)


def test_record_outlives_its_store_object(tmp_path: Path) -> None:
    SQLiteStore(tmp_path / "flows.db").swap(KEY, 0, ROW)
    assert SQLiteStore(tmp_path / "flows.db").load(KEY) == ROW


def test_durable_swap_waits_for_disk(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    written: dict[str, list[str]] = {}
    for use, durable in (("writing", False), ("durable", True)):
        with store._connection(use) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert db.execute("PRAGMA synchronous").fetchone() == (1 + durable,)
            db.set_trace_callback(written.setdefault(use, []).append)
    store.swap(KEY, 0, ROW)
    store.swap(KEY, 1, StoredRecord(2, b"later", time.time() + 3600, durable=False))
    assert [len(statements) for statements in written.values()] == [1, 2]  # including the sweep
    assert "UPDATE" in written["writing"][0]
    assert "INSERT" in written["durable"][-1]


def test_open_write_transaction_does_not_block_readers(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db", timeout=0.2)
    store.swap(KEY, 0, ROW)
    with store._connection("durable") as db:
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
        if store.swap(KEY, version, StoredRecord(version + 1, b"", time.time() + 60)):
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
    with store._connection("writing") as db:
        before = id(db)
    child = os.fork()
    if child == 0:
        with store._connection("writing") as db:
            os._exit(id(db) == before)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("is_used", [False, True])
def test_fork_leaves_inherited_connections_open(tmp_path: Path, *, is_used: bool) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    with store._connection("durable") as db:
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


def test_closed_store_reopens_at_next_use(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    store.swap(KEY, 0, ROW)
    with store._connection("durable") as db:
        pass
    store.load(KEY)
    store.close()
    assert not _is_open(db)
    assert [path.name for path in tmp_path.iterdir()] == ["flows.db"]  # without a write-ahead log
    assert store.load(KEY) == ROW


def test_garbage_collected_store_closes_connections(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "flows.db")
    with store._connection("durable") as db:
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
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_missing_folder_raises_store_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        SQLiteStore(tmp_path / "nowhere" / "flows.db")


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
