"""A thread waits for others as long as they get something done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from oncegate_stores._progress import Progress


@contextmanager
def held(progress: Progress, *, seconds: float, is_stuck: bool) -> Iterator[threading.Lock]:
    """Hold a lock on another thread, which gets something done every 20 ms or is stuck."""
    lock, is_held = threading.Lock(), threading.Event()

    def hold() -> None:
        with lock:
            is_held.set()
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                time.sleep(0.02)
                if not is_stuck:
                    progress.note()

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(20)
    try:
        yield lock
    finally:
        thread.join()


@pytest.mark.parametrize("is_stuck", [False, True])
def test_thread_waits_beyond_the_timeout_only_while_something_is_done(*, is_stuck: bool) -> None:
    progress = Progress()
    with held(progress, seconds=1.0, is_stuck=is_stuck) as lock:
        assert progress.acquire(lock, timeout=0.3) is not is_stuck


@pytest.mark.parametrize("timeout", [20, 0])
def test_free_lock_is_acquired_at_once(timeout: float) -> None:
    lock = threading.Lock()
    assert Progress().acquire(lock, timeout)
    assert lock.locked()


def test_thread_does_not_wait_for_ever() -> None:
    progress = Progress()
    with held(progress, seconds=4, is_stuck=False) as lock:
        began = time.monotonic()
        assert not progress.acquire(lock, timeout=0.3)
        assert 1.5 < time.monotonic() - began < 3.5


def test_progress_long_ago_does_not_shorten_the_wait() -> None:
    progress = Progress()
    progress.note()
    time.sleep(0.2)
    with held(progress, seconds=0.3, is_stuck=True) as lock:
        assert progress.acquire(lock, timeout=1.0)
