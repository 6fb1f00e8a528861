"""The explorer finds no violation, and finds one as soon as a guard or another safeguard is removed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from tests.doubles import UnconditionalStore
from tests.explorer.explorer import Explorer, Violation
from tests.explorer.faulty_stores import (
    NeverDurableStore,
    StoreThatNoticesNoLoss,
    StoreThatSavesUnderAnyEpoch,
    StoreWithoutWriteAhead,
)
from tests.explorer.scripts import CHOOSING, THREE, TWO
from tests.flows import GUARDS, chart_with, constant
from tests.world import Broken, ForgetfulStore, LosingStore

import oncegate.driver.script as script_module
import oncegate.machine.advance as advance_module
import oncegate.machine.guards as guards_module
from oncegate.adapters import RecordStore
from oncegate.machine.advance import NotAllowed, advance
from oncegate.record import Flow


@pytest.fixture(autouse=True)
def _tenacity_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


EVERYTHING = {"crashes": 1, "faults": 1, "waits": 1}
IS_SOAK = "ONCEGATE_SOAK" in os.environ
CRASHES = {"crashes": 1, "faults": 0, "waits": 1}
FAULTS = {"crashes": 0, "faults": 1, "waits": 0}
BOUNDS = [EVERYTHING] if IS_SOAK else [CRASHES, FAULTS]
"""Bounds of one schedule: a crash and an expired lease, or a fault; in a soak, all of them."""


LONGEST = "the code twice, with a new device"
"""With crashes or losses, it takes more than a minute, so that is searched in a soak only. Without a device,
the same clicks are searched each time; with one, those with a fault."""

SEARCHES = [
    (name, bounds)
    for name in TWO
    for bounds in BOUNDS
    # With crashes, "two factors" takes the same paths.
    if (name, bounds) not in [("the factor twice", CRASHES), (LONGEST, CRASHES)]
]


@pytest.mark.parametrize(("name", "bounds"), SEARCHES, ids=str)
def test_two_workers_break_no_promise(
    name: str, bounds: dict[str, int], record_property: Callable[[str, object], None]
) -> None:
    script, world = TWO[name]
    covered = Explorer(script, **bounds, **world).explore()  # type: ignore[arg-type]
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.states > 20
    assert covered.ends > 1


@pytest.mark.parametrize("name", THREE)
def test_three_workers_break_no_promise(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    script, world = THREE[name]
    bounds = EVERYTHING if IS_SOAK else {"crashes": 0, "faults": 0, "waits": 0}
    covered = Explorer(script, **bounds, **world).explore()  # type: ignore[arg-type]
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.states > 100


POWER_CUTS: dict[str, Any] = {
    "crashes": 0,
    "faults": 0,
    "waits": 0,
    "cuts": 1,
    "new_store": ForgetfulStore,
}


@pytest.mark.parametrize("name", TWO)
def test_power_cut_breaks_no_promise(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    script, world = TWO[name]
    covered = Explorer(script, **POWER_CUTS, **world).explore()  # type: ignore[arg-type]
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.ends > 1


LOSSES: dict[str, Any] = {
    "crashes": 0,
    "faults": 0,
    "waits": 0,
    "losses": 1,
    "new_store": LosingStore,
}


@pytest.mark.parametrize("name", [name for name in TWO if IS_SOAK or name != LONGEST])
def test_loss_of_acknowledged_writes_breaks_no_promise(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    script, world = TWO[name]
    covered = Explorer(script, **LOSSES, **world).explore()  # type: ignore[arg-type]
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.ends > 1


# ── removed safeguards: without one of them, a promise is broken ──


def _assert_violation(removed: str, explorer: Explorer) -> None:
    with pytest.raises(Violation) as found:
        explorer.explore()
    print(f"without {removed}: {found.value}")
    assert len(found.value.schedule) <= 16


def _without(guard: str, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(advance_module, "CHART", chart_with(**{guard: constant(guard, True)}))


def _without_both_guards_of_answers(patch: pytest.MonkeyPatch) -> None:
    names = ("answer_is_new", "step_is_current")
    chart = chart_with(**{name: constant(name, True) for name in names})
    patch.setattr(advance_module, "CHART", chart)


def _without_lease(patch: pytest.MonkeyPatch) -> None:
    for module in (guards_module, script_module):
        patch.setattr(module, "is_due", lambda flow, now: flow.is_in_flight)


def _without_check_of_the_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(script_module, "_may_start", lambda flow, now: True)


REMOVED: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "code_not_sent": (lambda patch: _without("code_not_sent", patch), "the password twice"),
    "code_not_sent, for a new one": (
        lambda patch: _without("code_not_sent", patch),
        "a new code by one click, twice",
    ),
    "code_not_sent, of a new account": (
        lambda patch: _without("code_not_sent", patch),
        "a new account twice",
    ),
    "answer_is_new and step_is_current, of a provider's answer": (
        _without_both_guards_of_answers,
        "the provider's answer twice",
    ),
    "step_is_current, of an answer": (
        lambda patch: _without("step_is_current", patch),
        "two wrong codes",
    ),
    "answer_is_new": (
        lambda patch: _without("answer_is_new", patch),
        "the same wrong code twice, once after a reload",
    ),
    "step_is_current": (
        lambda patch: _without("step_is_current", patch),
        "the code and a cancel",
    ),
    "cooldown_is_over": (
        lambda patch: _without("cooldown_is_over", patch),
        "a new code too soon",
    ),
    "the lease": (_without_lease, "the password twice, once after a reload"),
    "the check of the lease before a call": (
        _without_check_of_the_lease,
        "the password twice, once after a reload",
    ),
}
"""For each safeguard: what removes it, and a script that breaks a promise without it."""


@pytest.mark.parametrize("name", REMOVED)
def test_removed_safeguard_breaks_a_promise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remove, script_name = REMOVED[name]
    script, world = TWO[script_name]
    remove(monkeypatch)
    if name == "the check of the lease before a call":
        # The default lease depends on the margin, so the world gets the usual one.
        world = {**world, "lease": 60.0}
    _assert_violation(name, Explorer(script, **world))  # type: ignore[arg-type]


FAULTY_STORES: dict[str, tuple[Callable[[], RecordStore], str, dict[str, Any]]] = {
    "the compare-and-swap": (UnconditionalStore, "the password twice", {}),
    "the compare-and-swap, of an answer": (UnconditionalStore, "two wrong codes", {}),
    "the compare-and-swap, of a factor": (UnconditionalStore, "two factors", {}),
    "the write-ahead": (StoreWithoutWriteAhead, "the password twice", {}),
    "durable writes": (NeverDurableStore, "the password twice", POWER_CUTS),
    "the epoch": (StoreThatNoticesNoLoss, "the password twice", LOSSES),
    "the epoch, of a new code": (
        StoreThatNoticesNoLoss,
        "a new code by one click, twice",
        LOSSES,
    ),
    "the epoch in the swap": (StoreThatSavesUnderAnyEpoch, "the password twice", LOSSES),
}
"""For each property that a store must have: a store without it, a script, and bounds."""


@pytest.mark.parametrize("name", FAULTY_STORES)
def test_faulty_store_breaks_a_promise(name: str) -> None:
    new_store, script_name, bounds = FAULTY_STORES[name]
    script, world = TWO[script_name]
    arguments: dict[str, Any] = {**bounds, **world, "new_store": new_store}
    _assert_violation(name, Explorer(script, **arguments))


# ── guards that choose between transitions: without one of them, a flow takes another ──


# The driver triggers time only for flows that are due, so these guards are made to refuse.
REFUSING = {"deadline_has_passed", "nothing_is_asked"}


def _compare_with_machine_without(guard: str, patch: pytest.MonkeyPatch) -> None:
    """Run each trigger on the machine and on one without a guard. Raise if the results differ."""
    whole, without = (
        advance_module.CHART,
        chart_with(**{guard: constant(guard, guard not in REFUSING)}),
    )

    def both(flow: Flow, trigger: Any, **about: Any) -> Flow:
        right: Flow | str
        other: Flow | str
        try:
            after = right = advance(flow, trigger, **about)
        except NotAllowed as error:
            right = error.reason
        patch.setattr(advance_module, "CHART", without)
        try:
            other = advance(flow, trigger, **about)
        except NotAllowed as error:
            other = error.reason
        except (AssertionError, KeyError):
            other = "an effect without its input"
        finally:
            patch.setattr(advance_module, "CHART", whole)
        if other != right:
            raise Broken(
                f"{flow.state}, {trigger.machine_event}: {_named(other)}, not {_named(right)}"
            )
        if isinstance(right, str):
            raise NotAllowed(right)
        return after

    patch.setattr(script_module, "advance", both)


def _named(result: Flow | str) -> str:
    return f"enters {result.state}" if isinstance(result, Flow) else result


@pytest.mark.parametrize("guard", CHOOSING)
def test_removed_choosing_guard_changes_a_transition(
    guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, world = CHOOSING[guard]
    _compare_with_machine_without(guard, monkeypatch)
    _assert_violation(guard, Explorer(script, **world))  # type: ignore[arg-type]


def test_every_guard_is_removed_in_a_test() -> None:
    names = {name.partition(",")[0] for name in REMOVED}
    assert {name for name in names if " " not in name} | {*CHOOSING} == GUARDS
