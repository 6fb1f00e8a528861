"""`GroupCommit`: one transaction, and one wait for the disk, for what several threads save at once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence

from oncegate import OncegateError, StoreUnavailable
from oncegate.adapters import Change


class Write:
    """The changes of one thread, and what became of them.

    Attributes:
        changes: see `oncegate.adapters.BatchStore.swap_many`.
        saved: its result, once the transaction is committed.
        error: what was raised instead.
    """

    __slots__ = ("_turn", "changes", "error", "saved")

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self.saved: list[bool] = []
        self.error: Exception | None = None
        self._turn = threading.Lock()


_INTERRUPTED = "the thread that saved it was interrupted"

Commit = Callable[[Sequence[Write]], None]
"""Saves writes in one transaction, and sets `saved` or `error` of each. An error of the store that it
raises is that of all of them: then none is known to be saved."""


class GroupCommit:
    """Lets one thread at a time commit, for all threads that wait.

    The first thread commits its own write. What arrives meanwhile waits, and the first of these threads
    commits all of it next. So nothing waits for more than two commits, and a single thread for none but
    its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Write] = []
        self._committing: Sequence[Write] = ()
        self._leader: Write | None = None

    def perform(self, write: Write, commit: Commit, timeout: float) -> None:
        """Have a write committed, by this thread or another; return once its result is known.

        Args:
            write: this thread's.
            commit: is called in this thread, if it is its turn, with all writes that wait.
            timeout: seconds to wait for other threads. A write that is being committed is waited for.

        Raises:
            TimeoutError: other threads took too long. Nothing was saved.
            StoreUnavailable: the thread that committed it was interrupted. It may be saved.
        """
        try:
            with self._lock:
                self._waiting.append(write)
                if self._leader is None:
                    self._leader = write
                else:
                    write._turn.acquire()
            if self._leader is not write and not write._turn.acquire(timeout=timeout):
                self._stop_waiting(write, timeout)
            if self._leader is write:
                self._lead(commit)
        except BaseException:
            # Such as KeyboardInterrupt. The next to commit must not be a thread that has left.
            self._leave(write)
            raise

    def _stop_waiting(self, write: Write, timeout: float) -> None:
        """Give up, unless this thread is to commit now, or another thread commits its write."""
        with self._lock:
            if self._leader is write:
                return
            if write in self._waiting:
                self._waiting.remove(write)
                raise TimeoutError(f"{timeout} s passed while other threads were waited for")
        while not write._turn.acquire(timeout=1.0):
            with self._lock:
                is_over = write not in self._committing
            # Turns are given before a commit counts as over.
            if is_over and not write._turn.acquire(blocking=False):
                raise StoreUnavailable(_INTERRUPTED)

    def _lead(self, commit: Commit) -> None:
        writes: list[Write] = []
        try:
            with self._lock:
                writes = self._committing = self._waiting
                self._waiting = []
            commit(writes)
        except (sqlite3.Error, OSError, OncegateError) as error:
            for write in writes:
                write.error = error
        except BaseException:  # this thread's own, such as from a signal's handler
            for write in writes:
                write.error = StoreUnavailable(_INTERRUPTED)
            raise
        finally:
            for write in writes:
                if write._turn.locked():
                    write._turn.release()
            with self._lock:
                self._choose_leader()

    def _leave(self, write: Write) -> None:
        with self._lock:
            if write in self._waiting:
                self._waiting.remove(write)
            if self._leader is write:
                self._choose_leader()

    def _choose_leader(self) -> None:
        self._committing = ()
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader:
            self._leader._turn.release()
