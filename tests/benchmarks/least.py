"""The floor: what an event needs of the libraries, without any code of oncegate's.

Every row that contains an event shows it. oncegate's own work is the difference: it decides which
events are allowed, seals the record, and describes the step.
"""

from __future__ import annotations

import os
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from statemachine import Event, State, StateChart

from oncegate.adapters import RecordStore, StoredRecord

# As long as the sealed record of a flow that checks a password, and of one that waits for a code.
_AHEAD, _AT_REST = os.urandom(239), os.urandom(1351)
Result = TypeVar("Result")


def alone(call: Callable[[], Result]) -> Result:
    """Make the call alone."""
    return call()


class Bare(StateChart[Any]):
    """The smallest chart with these transitions, without guards and effects."""

    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True

    idle = State(initial=True)
    checking = State()
    verified = State()
    awaiting = State()
    step = Event(idle.to(checking) | checking.to(verified) | awaiting.to(idle))
    verified.to(awaiting)


class Least:
    """One load, three transitions and two saves around a call. Safe to share between threads."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._free: deque[Bare] = deque()

    def event(self, call: Callable[[], Result]) -> Result:
        """Write ahead, call once, record."""
        key, until = uuid.uuid4().hex, time.time() + 3600
        self._store.load(key)
        self._step("idle")
        assert self._store.swap(key, 0, StoredRecord(1, _AHEAD, until))
        result = call()
        self._step("checking")
        assert self._store.swap(key, 1, StoredRecord(2, _AT_REST, until, durable=False))
        return result

    def _step(self, state: str) -> None:
        try:
            machine = self._free.pop()
        except IndexError:
            machine = Bare()
        machine.current_state_value = state
        machine.send("step")
        self._free.append(machine)


def transitions() -> Callable[[], None]:
    """Return an action that takes the three transitions alone."""
    machine = Bare()

    def run() -> None:
        machine.send("step")
        machine.send("step")
        machine.current_state_value = "idle"

    return run
