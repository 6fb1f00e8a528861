"""Every interleaving of a few workers on one flow, over the real driver and machine.

A *schedule* is a sequence of happenings: a worker performs its next effect (its call may suffer a
fault), a worker dies, a lease expires, a power cut undoes what is not durable, or the store loses
writes that it has acknowledged. The explorer tries
all schedules within bounds, breadth first, so the first violation that it finds has the shortest
schedule. A generator cannot be copied, so each schedule is played from the start in a new world.
Schedules that reach the same state are followed once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from tests.world import Broken, ForgetfulStore, LosingStore, Worker, World

from oncegate.adapters import RecordStore
from oncegate.driver.effects import (
    CallTransport,
    FindDevice,
    GetEpoch,
    Notify,
    Sleep,
    StoreDevice,
    Swap,
)
from oncegate.record import Flow
from oncegate.states import FINAL
from oncegate_stores import MemoryStore

LEASE = 200.0
LEASE_EXPIRES, POWER_CUT = "the lease expires", "the power is cut"
ACTS, DIES = "acts", "dies"
LOSSES = {"the last write is lost": 1, "two writes are lost": 2, "all writes are lost": None}
"""How many of the latest writes a store loses, in one loss."""

FAULTS = ("lost", "throttled")
FIREWALL = ("blocked",)


class Happening(NamedTuple):
    """One thing that happens.

    Attributes:
        what: ``acts`` or ``dies``, of a worker; ``the lease expires``, ``the power is cut``, or one of
            `LOSSES`.
        worker: index of the worker in the script.
        fault: fault of the worker's call, if it makes one.
    """

    what: str
    worker: int = -1
    fault: str | None = None

    def __str__(self) -> str:
        if self.worker < 0:
            return self.what
        fault = f", its response {self.fault}" if self.fault else ""
        return f"worker {self.worker + 1} {self.what}{fault}"


Schedule = tuple[Happening, ...]
W = TypeVar("W", bound=World)
Script = Callable[[W], list[Worker]]
"""Prepares a flow, and returns workers that have performed no effect yet."""


class Violation(AssertionError):
    """A broken promise, with the shortest schedule that breaks it."""

    def __init__(self, promise: str, schedule: Schedule) -> None:
        lines = "\n".join(f"  {number}. {step}" for number, step in enumerate(schedule, 1))
        super().__init__(f"{promise}\n{lines}")
        self.schedule = schedule


class Covered(NamedTuple):
    """The size of an exploration."""

    schedules: int
    states: int
    ends: int


class Explorer:
    """Explores one script.

    Args:
        script: prepares the flow and the workers.
        crashes: number of workers that may die in one schedule.
        faults: number of calls that may suffer a fault.
        waits: number of times that a lease may expire.
        cuts: number of power cuts; the store must be a `ForgetfulStore` then.
        losses: how often the store loses acknowledged writes; it must be a `LosingStore` then.
        kinds: kinds of faults (`tests.doubles.InProcessClient`).
        most: maximum number of schedules.
        new_store: makes the store of each world.
        new_world: makes each world, from its store and the arguments of a driver.
        world: further arguments of each world.
    """

    def __init__(
        self,
        script: Script[Any],
        *,
        crashes: int = 1,
        faults: int = 1,
        waits: int = 1,
        cuts: int = 0,
        losses: int = 0,
        kinds: tuple[str, ...] = FAULTS,
        most: int = 200_000,
        new_store: Callable[[], RecordStore] = MemoryStore,
        new_world: Callable[..., World] = World,
        **world: Any,
    ) -> None:
        self._script = script
        self._bounds = {
            DIES: crashes,
            "fault": faults,
            LEASE_EXPIRES: waits,
            POWER_CUT: cuts,
            "loss": losses,
        }
        self._kinds = kinds
        self._most = most
        self._new_store = new_store
        self._new_world = new_world
        self._world = world

    def explore(self) -> Covered:
        """Try all schedules.

        Raises:
            Violation: a schedule breaks a promise.
        """
        world, workers = self._play(())
        seen = {self._state(world, workers)}
        queue: deque[tuple[Schedule, list[Happening]]] = deque()
        queue.append(((), list(self._following((), world, workers))))
        schedules = ends = 0
        while queue:
            schedule, following = queue.popleft()
            for happening in following:
                schedules += 1
                assert schedules <= self._most, f"more than {self._most} schedules"
                longer: Schedule = (*schedule, happening)
                world, workers = self._play(longer)
                state = self._state(world, workers)
                if state in seen:
                    continue
                seen.add(state)
                after = list(self._following(longer, world, workers))
                if after:
                    queue.append((longer, after))
                else:
                    ends += 1
                    self._end(world, longer)
        return Covered(schedules, len(seen), ends)

    # ── one schedule ──

    def _play(self, schedule: Schedule) -> tuple[World, list[Worker]]:
        settings = {"budget": None, "patience": 0.0, **self._world}
        world = self._new_world(self._new_store(), **settings)
        try:
            workers = self._script(world)
            if isinstance(world.store.store, ForgetfulStore):
                world.store.store.catch_up()
            for worker in workers:
                _skip(world, worker)
            for happening in schedule:
                self._apply(happening, world, workers)
            # The state before the last happening was checked when the shorter schedule was played.
            world.check(secrets=False)
        except Broken as broken:
            raise Violation(str(broken), schedule) from None
        return world, workers

    def _apply(self, happening: Happening, world: World, workers: list[Worker]) -> None:
        if happening.what == LEASE_EXPIRES:
            world.clock.advance(LEASE)
            return
        if happening.what == POWER_CUT:
            world.cut_the_power()
            return
        if happening.what in LOSSES:
            world.lose_writes(LOSSES[happening.what] or _store(world).writes)
            return
        worker = workers[happening.worker]
        if happening.what == DIES:
            world.kill(worker)
            return
        world.do_one_thing(worker, happening.fault)
        _skip(world, worker)

    def _following(
        self, schedule: Schedule, world: World, workers: list[Worker]
    ) -> Iterator[Happening]:
        used = {
            DIES: sum(step.what == DIES for step in schedule),
            "fault": sum(step.fault is not None for step in schedule),
            "loss": sum(step.what in LOSSES for step in schedule),
            **{
                what: sum(step.what == what for step in schedule)
                for what in (LEASE_EXPIRES, POWER_CUT)
            },
        }
        left = {what: bound - used[what] for what, bound in self._bounds.items()}
        for number, worker in enumerate(workers):
            if worker not in world.workers:
                continue
            yield Happening(ACTS, number)
            # The driver's `Notify` after the write-ahead comes right before its call.
            if left["fault"] and isinstance(worker.effect, Notify):
                for fault in self._kinds:
                    yield Happening(ACTS, number, fault)
            if left[DIES]:
                yield Happening(DIES, number)
        for what in (LEASE_EXPIRES, POWER_CUT):
            if left[what] and world.workers:
                yield Happening(what)
        if left["loss"] and world.workers:
            yield from _losses(_store(world))

    def _state(self, world: World, workers: list[Worker]) -> object:
        """Return what determines the rest of a schedule. IDs, sessions and codes differ in each world."""
        return (
            tuple(_state_of_flow(world.flow(flow_id), world) for flow_id in world.steps),
            len(world.pool.inbox.messages()),
            len(world.calls),
            world.store.epoch("") if self._bounds["loss"] else None,
            world.facts(),
            tuple(_state_of(worker, world) for worker in workers),
        )

    def _end(self, world: World, schedule: Schedule) -> None:
        """Check that all flows can continue, once no worker is left and every lease has expired."""
        world.clock.advance(LEASE)
        for flow_id in world.steps:
            try:
                step = world.sign_in.get(flow_id)
            except Broken as broken:
                raise Violation(str(broken), schedule) from None
            is_final = step.state in FINAL
            if not (is_final or step.events):
                raise Violation(f"P4: {step.state} is a dead end", schedule)


def _store(world: World) -> LosingStore:
    assert isinstance(world.store.store, LosingStore)
    return world.store.store


def _losses(store: LosingStore) -> Iterator[Happening]:
    for what, writes in LOSSES.items():
        if store.writes >= (writes or 3):  # all of two writes are two writes
            yield Happening(what)


def _skip(world: World, worker: Worker) -> None:
    """Perform the effects that no other worker can observe; interleaving them makes no difference."""
    while isinstance(worker.effect, (GetEpoch, FindDevice, StoreDevice)):
        world.do_one_thing(worker)


def _state_of_flow(flow: Flow, world: World) -> object:
    return (
        flow.state,
        flow.version,
        flow.challenge_id,
        flow.attempts_left,
        len(flow.attempted_digests),
        flow.new_codes_left,
        flow.message,
        flow.device_key is not None,
        flow.lease_until is not None and world.clock.now() >= flow.lease_until,
        flow.challenge_ends is not None and world.clock.now() >= flow.challenge_ends,
    )


def _state_of(worker: Worker, world: World) -> object:
    effect = worker.effect
    return (
        worker in world.workers,
        type(effect).__name__,
        effect.changes[0].expected if isinstance(effect, Swap) else None,
        worker.outcome.type if worker.outcome else None,
        worker.codes,
        worker.done,
        worker.step.state if worker.step else None,
        worker.step.tokens is not None if worker.step else None,
        isinstance(effect, (CallTransport, Sleep)),
    )
