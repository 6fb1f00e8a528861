"""`AsyncSignIn`: the driver for asyncio."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from oncegate.challenges import Event
from oncegate.context import RequestContext, StepRef
from oncegate.driver.effects import Sleep
from oncegate.driver.script import Driver, Script
from oncegate.step import Step

if TYPE_CHECKING:
    from concurrent.futures import Executor

_Result = TypeVar("_Result")

THREADS = 256
"""Calls that can be under way at once; a thread that waits costs little."""


class AsyncRunner(Driver):
    """Runs scripts on threads of its own."""

    @cached_property
    def _threads(self) -> Executor:
        # Imported here: most programs that import oncegate do not need it.
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(THREADS, thread_name_prefix="oncegate")

    async def _on_a_thread(self, do: Callable[[], _Result]) -> _Result:
        import asyncio  # it takes a tenth of the time that importing oncegate takes

        # The context variables of the caller reach the listeners.
        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self._threads, run, do)

    async def _run(self, script: Script) -> Step:
        import asyncio

        while True:
            result = await self._on_a_thread(partial(self.run_until_sleep, script))
            if not isinstance(result, Sleep):
                return result
            await asyncio.sleep(result.seconds)


class AsyncSignIn(AsyncRunner):
    """`SignIn` for asyncio: store and transport run on threads, so the event loop is never blocked."""

    async def start(self) -> Step:
        """See `SignIn.start`."""
        return await self._on_a_thread(self.starting)

    async def get(self, flow_id: str, *, patience: float = 0.0) -> Step:
        """See `SignIn.get`."""
        return await self._run(self.getting(flow_id, patience))

    async def send(
        self, step: Step | StepRef, event: Event, *, context: RequestContext | None = None
    ) -> Step:
        """See `SignIn.send`."""
        # Here, because a generator starts late: `request_id` is in force now.
        return await self._run(self.sending(step, event, context or RequestContext()))
