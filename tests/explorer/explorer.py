"""Every interleaving of a few workers on one flow, over the real driver and machine.

A *schedule* is a list of what happens, one thing after another: a worker does its next thing (its call
may suffer a fault), a worker dies, a lease runs out. The explorer goes through all schedules within a
bound, breadth first, so the first violation it meets has the shortest schedule there is. A generator
cannot be copied, so each schedule is played from the start in a world of its own; schedules that lead to
the same state are followed once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.world import Broken, ForgetfulStore, Worker, World

from oncegate.adapters import RecordStore
from oncegate.driver.effects import (
    CallTransport,
    FindDevice,
    GetDurableSince,
    Notify,
    Sleep,
    StoreDevice,
    Swap,
)
from oncegate_stores import MemoryStore

LEASE = 200.0
LEASE_ENDS, POWER_GOES = "the lease runs out", "the power goes"
FAULTS = ("lost", "throttled")
FIREWALL = ("blocked",)


class Happening(NamedTuple):
    """One thing that happens.

    Attributes:
        what: ``goes on``, ``dies``, ``the lease runs out`` or ``the power goes``.
        worker: which, by its place in the script.
        fault: that its call suffers, if it makes one.
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
Script = Callable[[World], list[Worker]]
"""Prepares a flow, and returns the workers that are about to start on it."""


class Violation(AssertionError):
    """A promise is broken; the schedule that breaks it is the shortest there is."""

    def __init__(self, promise: str, schedule: Schedule) -> None:
        lines = "\n".join(f"  {number}. {step}" for number, step in enumerate(schedule, 1))
        super().__init__(f"{promise}\n{lines}")
        self.schedule = schedule


class Covered(NamedTuple):
    """How far an exploration went."""

    schedules: int
    states: int
    ends: int


class Explorer:
    """Explores one script.

    Args:
        script: what the workers are about to do.
        crashes: how many workers may die in a schedule.
        faults: how many calls may go wrong.
        waits: how often a lease may run out.
        cuts: how often the power may go; the store has to be a `ForgetfulStore` then.
        kinds: what the faults are (`tests.doubles.InProcessClient`).
        most: schedules after which to give up.
        world: for `World`.
    """

    def __init__(
        self,
        script: Script,
        *,
        crashes: int = 1,
        faults: int = 1,
        waits: int = 1,
        cuts: int = 0,
        kinds: tuple[str, ...] = FAULTS,
        most: int = 200_000,
        new_store: Callable[[], RecordStore] = MemoryStore,
        **world: Any,
    ) -> None:
        self._script = script
        self._bounds = {"dies": crashes, "fault": faults, LEASE_ENDS: waits, POWER_GOES: cuts}
        self._kinds = kinds
        self._most = most
        self._new_store = new_store
        self._world = world

    def explore(self) -> Covered:
        """Go through all schedules.

        Raises:
            Violation: one of them breaks a promise.
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
                assert schedules <= self._most, "more schedules than were allowed for"
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
        world = World(self._new_store(), **{"budget": None, "patience": 0.0, **self._world})
        try:
            workers = self._script(world)
            if isinstance(world.store.store, ForgetfulStore):
                world.store.store.catch_up()
            for worker in workers:
                _skip(world, worker)
            for happening in schedule:
                self._let(happening, world, workers)
            # What holds before the last of them was seen when the shorter schedule was played.
            world.check(secrets=False)
        except Broken as broken:
            raise Violation(str(broken), schedule) from None
        return world, workers

    def _let(self, happening: Happening, world: World, workers: list[Worker]) -> None:
        if happening.what == LEASE_ENDS:
            world.clock.advance(LEASE)
            return
        if happening.what == POWER_GOES:
            world.cut_the_power()
            return
        worker = workers[happening.worker]
        if happening.what == "dies":
            world.kill(worker)
            return
        world.do_one_thing(worker, happening.fault)
        _skip(world, worker)

    def _following(
        self, schedule: Schedule, world: World, workers: list[Worker]
    ) -> Iterator[Happening]:
        used = {
            "dies": sum(step.what == "dies" for step in schedule),
            "fault": sum(step.fault is not None for step in schedule),
            **{
                what: sum(step.what == what for step in schedule)
                for what in (LEASE_ENDS, POWER_GOES)
            },
        }
        left = {what: bound - used[what] for what, bound in self._bounds.items()}
        for number, worker in enumerate(workers):
            if worker not in world.workers:
                continue
            yield Happening("goes on", number)
            # The driver's `Notify` after the write-ahead comes right before its call.
            if left["fault"] and isinstance(worker.effect, Notify):
                for fault in self._kinds:
                    yield Happening("goes on", number, fault)
            if left["dies"]:
                yield Happening("dies", number)
        for what in (LEASE_ENDS, POWER_GOES):
            if left[what] and world.workers:
                yield Happening(what)

    def _state(self, world: World, workers: list[Worker]) -> object:
        """All that matters for what can happen next. Ids, sessions and codes differ in each world."""
        flow = world.flow([*world.steps][-1])
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
            len(world.pool.inbox.messages()),
            len(world.calls),
            tuple(_of(worker, world) for worker in workers),
        )

    def _end(self, world: World, schedule: Schedule) -> None:
        """Nobody is at work any more. Once every lease is over, somebody who comes back can go on."""
        world.clock.advance(LEASE)
        for flow_id in world.steps:
            try:
                step = world.sign_in.get(flow_id)
            except Broken as broken:
                raise Violation(str(broken), schedule) from None
            is_over = step.state in {"authenticated", "failed"}
            if not (is_over or step.events):
                raise Violation(f"P4: {step.state} is a dead end", schedule)


def _skip(world: World, worker: Worker) -> None:
    """What touches nothing that another worker reads is no point to interleave."""
    while isinstance(worker.effect, (GetDurableSince, FindDevice, StoreDevice)):
        world.do_one_thing(worker)


def _of(worker: Worker, world: World) -> object:
    effect = worker.effect
    return (
        worker in world.workers,
        type(effect).__name__,
        effect.expected if isinstance(effect, Swap) else None,
        worker.outcome.type if worker.outcome else None,
        worker.codes,
        worker.done,
        worker.step.state if worker.step else None,
        worker.step.tokens is not None if worker.step else None,
        isinstance(effect, (CallTransport, Sleep)),
    )
