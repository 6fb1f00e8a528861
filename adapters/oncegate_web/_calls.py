"""`Calls`: limits of the calls to Cognito for users who are signed in.

A call that hangs must not hold the threads that serve other requests. So each runs on a thread of its
own, few at a time, and a request waits for it for a few seconds only.

pybreaker runs one call at a time, and circuitbreaker stores the last error with its frames, which hold
tokens: neither can do this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from oncegate import InvalidToken, OncegateError, SignedOut, StoreUnavailable, Unreachable
from oncegate.adapters import logger
from oncegate_web._quiet import Quiet

PATIENCE = 5.0
"""Seconds that a request waits for a call to Cognito, or for that of another worker."""

_SLOW = 1.0
"""Seconds after which a call that fails has held up a request."""

_FAILURES = 3
"""Sessions whose calls failed slowly, one after the other, until no call is made for a while."""

_PAUSE = 10.0
"""Seconds until one call is tried again."""

_Result = TypeVar("_Result")


class NoCall(Exception):
    """Raised by a job that found nothing to call for."""


class _Answer:
    """What a call returned or raised."""

    result: Any = None
    error: Exception | None = None

    def __init__(self) -> None:
        self.is_there = threading.Event()


class Calls:
    """The calls of one purpose, in this process.

    Args:
        purpose: for the log.
        most: calls at a time.
        waiting: requests that wait for one of these calls to end; a further one is refused at once.
    """

    def __init__(self, purpose: str, *, most: int, waiting: int) -> None:
        self._purpose = purpose
        self._places = threading.BoundedSemaphore(most)
        self._requests = threading.BoundedSemaphore(most + waiting)
        self._lock = threading.Lock()
        self._failed: set[str] = set()
        self._closed_until = 0.0
        self._fails = False
        self._log = logger()
        self._quiet = Quiet()
        self._has_told = False

    def run(self, session: str, job: Callable[[], _Result]) -> _Result:
        """Run a job that calls Cognito, and return its result.

        Args:
            session: name of the session that it is for. The failures of one session alone, such as of
                a user's own Lambda trigger, do not stop the calls for others.
            job: makes the call, and saves what must not be lost: it goes on if no request waits.

        Raises:
            Unreachable: the last calls hung, too many are under way, or this one takes too long.
            NoCall: the job made no call.
        """
        self._check_open()
        until = time.monotonic() + PATIENCE
        if not self._requests.acquire(blocking=False):
            raise self._refusal(session, "too many calls to Cognito are under way", 0.0)
        try:
            if not self._places.acquire(timeout=PATIENCE):
                raise self._refusal(session, "too many calls to Cognito are under way", 0.0)
            answer = _Answer()
            # The context variables, such as the request's ID, follow to the thread.
            run = partial(copy_context().run, self._perform, session, job, answer)
            try:
                threading.Thread(target=run, name="oncegate-call").start()
            except RuntimeError:  # no more threads, or the program ends
                self._places.release()
                raise self._refusal(session, "no thread for a call to Cognito", 0.0) from None
            if not answer.is_there.wait(until - time.monotonic()):
                raise self._refusal(session, f"no answer within {PATIENCE:g} s", PATIENCE)
        finally:
            self._requests.release()
        if answer.error is not None:
            # Without the frames of the call, which held tokens.
            raise answer.error.with_traceback(None)
        result: _Result = answer.result
        return result

    def _perform(self, session: str, job: Callable[[], Any], answer: _Answer) -> None:
        started = time.monotonic()
        try:
            answer.result = job()
        except Exception as error:  # noqa: BLE001 - raised again, in the request's thread
            answer.error = error
        finally:
            self._places.release()
        self._note(session, answer.error, time.monotonic() - started)
        answer.is_there.set()

    def _refusal(self, session: str, reason: str, seconds: float) -> Unreachable:
        error = Unreachable(reason)
        self._note(session, error, seconds)
        return error

    def check_not_paused(self) -> None:
        """Raise `Unreachable` if the last calls hung, so that there is nothing to wait for."""
        if len(self._failed) >= _FAILURES and time.monotonic() < self._closed_until:
            raise Unreachable("Cognito did not answer the last calls; tried again soon")

    def _check_open(self) -> None:
        """Raise `Unreachable` if the last calls hung; one request in a while may try."""
        with self._lock:
            self.check_not_paused()
            if len(self._failed) >= _FAILURES:
                self._closed_until = time.monotonic() + _PAUSE

    def _note(self, session: str, error: Exception | None, seconds: float) -> None:
        """Count a failure, or forget those before; log the first and the end of them."""
        if isinstance(error, (NoCall, StoreUnavailable)):
            return  # it says nothing about Cognito
        is_answer = error is None or isinstance(error, (SignedOut, InvalidToken))
        with self._lock:
            was_failing, self._fails = self._fails, not is_answer
            if is_answer:
                self._failed.clear()
            elif seconds >= _SLOW and len(self._failed) < _FAILURES:
                self._failed.add(session)
                self._closed_until = time.monotonic() + _PAUSE
        if error is not None and not is_answer and not was_failing and self._quiet.was_quiet():
            self._has_told = True
            self._log.warning(
                "calls for sessions fail",
                purpose=self._purpose,
                error=type(error).__name__,
                reason=str(error) if isinstance(error, OncegateError) else "",
                effect="sessions go on; a request whose tokens have expired is answered with 503",
            )
        elif is_answer and was_failing and self._has_told:
            self._has_told = False
            self._log.warning("calls for sessions succeed again", purpose=self._purpose)
