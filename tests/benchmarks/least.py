"""The least: what an event cannot do without on these libraries, and nothing of oncegate's.

It is the floor of every row that an event is part of. Whatever else oncegate does comes on top: it
decides what an event may do, seals what is stored, and says what the person is to be shown.
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

# As long as what is sealed for a flow that checks a password, and for one that waits for a code.
_AHEAD, _AT_REST = os.urandom(239), os.urandom(1351)
Came = TypeVar("Came")


def alone(call: Callable[[], Came]) -> Came:
    """The call, and nothing around it."""
    return call()


class Bare(StateChart[Any]):
    """As few states and arrows as there can be, with nothing on them."""

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

    def event(self, call: Callable[[], Came]) -> Came:
        """Written ahead, called once, recorded."""
        key, until = uuid.uuid4().hex, time.time() + 3600
        self._store.load(key)
        self._step("idle")
        assert self._store.swap(key, 0, StoredRecord(1, _AHEAD, until))
        came = call()
        self._step("checking")
        assert self._store.swap(key, 1, StoredRecord(2, _AT_REST, until, durable=False))
        return came

    def _step(self, state: str) -> None:
        try:
            machine = self._free.pop()
        except IndexError:
            machine = Bare()
        machine.current_state_value = state
        machine.send("step")
        self._free.append(machine)


def transitions() -> Callable[[], None]:
    """The three transitions alone."""
    machine = Bare()

    def run() -> None:
        machine.send("step")
        machine.send("step")
        machine.current_state_value = "idle"

    return run
