"""Connecting in time: a resolver takes no timeout."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar


class _Closable(Protocol):
    def close(self) -> None: ...


_C = TypeVar("_C", bound=_Closable)


def connected_within(seconds: float | None, connect: Callable[[], _C]) -> _C:
    """Connect in a thread of its own, and give up in time.

    Args:
        seconds: how long to wait; None for as long as it takes.
        connect: makes the connection. One that comes too late is closed.

    Raises:
        TimeoutError: there is no connection in time. Otherwise what `connect` raises.
    """
    made: Future[_C] = Future()

    def run() -> None:
        try:
            made.set_result(connect())
        except BaseException as error:  # noqa: BLE001 - raised by the caller
            made.set_exception(error)

    thread = threading.Thread(target=run, name="oncegate-connect", daemon=True)
    thread.start()
    try:
        made.exception(seconds)
    except TimeoutError:
        made.add_done_callback(_close)
        raise TimeoutError("no connection in time") from None
    # A fork while OpenSSL cleans up after the thread would leave a lock of it held in the child.
    thread.join()
    return made.result()


def _close(made: Future[_C]) -> None:
    if made.exception() is None:
        made.result().close()
