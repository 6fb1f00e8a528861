"""One suite for all stores: what the driver relies on when it saves before it sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from oncegate import FlowStore, StoredFlow
from oncegate_stores import MemoryStore, SQLiteStore

KEY, OTHER = "a" * 32, "b" * 32
LATER = time.time() + 3600

Make = Callable[[], FlowStore]


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes a store; each time on the same data, where the store has data that outlives it."""
    makers: dict[str, Make] = {
        "memory": MemoryStore,
        "sqlite": lambda: SQLiteStore(tmp_path / "flows.db"),
    }
    return makers[request.param]


@pytest.fixture
def store(make: Make) -> FlowStore:
    return make()


def row(version: int, sealed: bytes = b"\x00sealed\xff", expires_at: float = LATER) -> StoredFlow:
    return StoredFlow(version, sealed, expires_at)


def test_nothing_is_there_at_first(store: FlowStore) -> None:
    assert store.load(KEY) is None


def test_what_was_saved_is_loaded(store: FlowStore) -> None:
    assert store.swap(KEY, 0, row(1))
    assert store.load(KEY) == row(1)
    assert isinstance(store.load(KEY), StoredFlow)
    assert store.load(OTHER) is None


def test_a_row_is_made_once(store: FlowStore) -> None:
    assert store.swap(KEY, 0, row(1))
    assert not store.swap(KEY, 0, row(1, b"second"))
    assert store.load(KEY) == row(1)


def test_a_swap_goes_by_the_version(store: FlowStore) -> None:
    store.swap(KEY, 0, row(1))
    assert store.swap(KEY, 1, row(2, b"two"))
    for stale in (0, 1, 3):
        assert not store.swap(KEY, stale, row(9, b"nine"))
    assert store.load(KEY) == row(2, b"two")


def test_no_swap_makes_a_row_out_of_nothing(store: FlowStore) -> None:
    assert not store.swap(KEY, 1, row(2))
    assert store.load(KEY) is None


def test_rows_do_not_touch_each_other(store: FlowStore) -> None:
    store.swap(KEY, 0, row(1, b"one"))
    store.swap(OTHER, 0, row(1, b"other"))
    store.swap(KEY, 1, row(2, b"two"))
    assert store.load(OTHER) == row(1, b"other")


def test_a_row_of_four_kilobytes(store: FlowStore) -> None:
    sealed = bytes(range(256)) * 16
    store.swap(KEY, 0, row(1, sealed))
    loaded = store.load(KEY)
    assert loaded is not None
    assert loaded.sealed == sealed


def test_of_many_threads_one_wins_each_version(store: FlowStore) -> None:
    threads, versions = 8, 25
    together = threading.Barrier(threads)

    def race(name: int) -> list[int]:
        won = []
        for version in range(versions):
            together.wait()
            if store.swap(KEY, version, row(version + 1, str(name).encode())):
                won.append(version)
        return won

    with ThreadPoolExecutor(threads) as pool:
        won = [version for result in pool.map(race, range(threads)) for version in result]
    assert sorted(won) == list(range(versions))
    last = store.load(KEY)
    assert last is not None
    assert last.version == versions


def test_rows_past_their_time_are_dropped(
    store: FlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.swap(KEY, 0, row(1, expires_at=time.time() + 100))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 200)
    store.swap(OTHER, 0, row(1, expires_at=now + 300))
    assert store.load(KEY) is None
    assert store.load(OTHER) is not None
