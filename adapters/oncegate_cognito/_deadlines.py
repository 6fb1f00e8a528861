"""Limits on the time of a whole call: all of its requests, repetitions and waits together.

`limited` begins a call. Its limit is in force on this thread, or greenlet, until the block ends:
`oncegate_cognito._connections` bounds each wait by what remains of it, and lets no request leave after
its end. What cannot be interrupted, such as a look-up in DNS, runs on a thread of its own, which holds
nothing of the request and is left behind if it takes too long.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

_JOIN_WITHIN: Final = 10.0
"""Seconds for which others wait for a task of the same key. After that, the next begins it anew."""


class CallLimit:
    """The time that a call may take, and what is known of its current request.

    Args:
        seconds: limit for all requests of the call together.
        until: `RequestContext.deadline`, if there is one.

    Attributes:
        has_left: whether the current request has left this machine, or begun to: False if it certainly
            has not, None if no connection of ours knows.
        was_reused: whether the current request uses a connection that has served another before.
    """

    def __init__(self, seconds: float, until: float | None = None) -> None:
        self._seconds = seconds
        self._until = until
        self._began = clocks()
        self.has_left: bool | None = None
        self.was_reused = False

    def remaining(self) -> float:
        """Return the seconds that remain; zero or less if none do."""
        remaining = self._seconds - seconds_since(self._began)
        if self._until is not None:
            remaining = min(remaining, self._until - time.time())
        return remaining

    def begin_request(self) -> None:
        """Forget what is known of the request before."""
        self.has_left = None
        self.was_reused = False


def clocks() -> tuple[float, float]:
    """Return what both clocks show, for `seconds_since`."""
    return time.monotonic(), time.time()


def seconds_since(began: tuple[float, float]) -> float:
    """Return the seconds since `clocks`, by the clock that has moved on more.

    The monotonic clock stands still while a machine is suspended, and the other one can be set back.
    """
    return max(now - then for now, then in zip(clocks(), began, strict=True))


_LIMIT: Final[ContextVar[CallLimit | None]] = ContextVar("oncegate call limit", default=None)


def current_limit() -> CallLimit | None:
    """Return the limit of the call that this thread makes, or None."""
    return _LIMIT.get()


@contextmanager
def limited(seconds: float, until: float | None = None) -> Iterator[CallLimit]:
    """Limit the call that is made within the block.

    Args:
        seconds: limit for the whole call. Requests have a second less, or a quarter: the rest is for
            what no request waits for, such as the numbers of SRP, certificates, and a busy machine.
        until: `RequestContext.deadline`, if there is one.
    """
    limit = CallLimit(max(seconds - 1.0, seconds * 0.75), until)
    token = _LIMIT.set(limit)
    try:
        yield limit
    finally:
        _LIMIT.reset(token)


class _Tasks:
    """Runs what cannot be interrupted, and waits for it no longer than the caller can.

    Callers that ask for the same at once share one thread: if a resolver hangs, it does not hold one
    thread for each sign-in.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, tuple[float, Future[Any]]] = {}

    def run(self, key: Hashable, task: Callable[[], _T], seconds: float) -> _T:
        """Return the result of a task, or raise what it raises.

        Args:
            key: identifies the task. It must hold no secret of a user, because the thread outlives
                the call.
            task: what to do.
            seconds: how long to wait.

        Raises:
            TimeoutError: the task takes longer.
            OSError: no thread can be started.
        """
        with self._lock:
            now = time.monotonic()
            began, result = self._running.get(key, (now - _JOIN_WITHIN, None))
            if result is None or now - began >= _JOIN_WITHIN:
                result = Future()
                self._start(key, task, result)
                self._running[key] = (now, result)
        value: _T = result.result(max(0.0, seconds))
        return value

    def _start(self, key: Hashable, task: Callable[[], Any], result: Future[Any]) -> None:
        thread = threading.Thread(
            target=self._perform, args=(key, task, result), name="oncegate-waits", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # too many threads, or the interpreter ends
            raise OSError(str(error)) from None

    def _perform(self, key: Hashable, task: Callable[[], Any], result: Future[Any]) -> None:
        try:
            value, error = task(), None
        except BaseException as raised:  # noqa: BLE001 - the callers that wait raise it
            value, error = None, raised
        with self._lock:
            if self._running.get(key, (0, None))[1] is result:
                del self._running[key]
        if error is None:
            result.set_result(value)
        else:
            result.set_exception(error)


_tasks = _Tasks()


def _forget_tasks() -> None:
    global _tasks
    _tasks = _Tasks()


if hasattr(os, "register_at_fork"):
    # The threads of the parent do not exist in the child, and its lock could be held.
    os.register_at_fork(after_in_child=_forget_tasks)


def run_in_time(key: Hashable, task: Callable[[], _T], seconds: float) -> _T:
    """Run a task that cannot be interrupted; see `_Tasks.run`."""
    return _tasks.run(key, task, seconds)
