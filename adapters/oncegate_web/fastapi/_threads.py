"""`Threads`: the threads of one sign-in. The event loop is never blocked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from oncegate.adapters import THREADS

_USER_THREADS = 128
"""Requests that call no sign-in and are answered at once: more than the limits of `Calls` hold."""

_Result = TypeVar("_Result")


class Threads:
    """Threads of a sign-in's own, and others for the question who is signed in.

    Sign-ins that hang hold neither those nor the application's.
    """

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self._sign_ins = ThreadPoolExecutor(THREADS, thread_name_prefix="oncegate")
        self._users = ThreadPoolExecutor(_USER_THREADS, thread_name_prefix="oncegate-user")

    async def run(self, job: Callable[[], _Result], *, can_wait: bool) -> _Result:
        """Return the result of a job that runs on a thread.

        Args:
            job: what to run. No argument of it is in a frame that error reporters store.
            can_wait: whether it may wait for a sign-in's call to Cognito.
        """
        threads = self._sign_ins if can_wait else self._users
        # The context variables of a middleware, such as the request ID, follow to the thread.
        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(threads, run, job)

    async def close(self) -> None:
        """End the threads, once what they do is done. What runs later starts others."""
        old = (self._sign_ins, self._users)
        self._open()
        for threads in old:
            await asyncio.to_thread(threads.shutdown)
