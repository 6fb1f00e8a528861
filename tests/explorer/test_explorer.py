"""The explorer finds nothing, and finds what is missing as soon as a guard or a swap is."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from tests.explorer.explorer import Explorer, Violation
from tests.explorer.scripts import LEADING, THREE, TWO
from tests.flows import GUARDS, chart_with, constant
from tests.world import Broken, ForgetfulStore

import oncegate.driver.script as script_module
import oncegate.machine.advance as advance_module
import oncegate.machine.guards as guards_module
from oncegate.adapters import StoredRecord
from oncegate.machine.advance import NotAllowed, advance
from oncegate.record import Flow
from oncegate_stores import MemoryStore


@pytest.fixture(autouse=True)
def _tenacity_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


EVERYTHING = {"crashes": 1, "faults": 1, "waits": 1}
IS_SOAK = "ONCEGATE_SOAK" in os.environ
BOUNDS: list[dict[str, int]] = (
    [EVERYTHING]
    if IS_SOAK
    else [
        {"crashes": 1, "faults": 0, "waits": 1},
        {"crashes": 0, "faults": 1, "waits": 0},
    ]
)
"""What may go wrong in one schedule: a death and a lease, or a fault; in a soak, all of them at once."""


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("name", TWO)
def test_two_workers(
    name: str, bounds: dict[str, int], record_property: Callable[[str, object], None]
) -> None:
    script, world = TWO[name]
    covered = Explorer(script, **bounds, **world).explore()  # type: ignore[arg-type]
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.states > 20
    assert covered.ends > 1


@pytest.mark.parametrize("name", THREE)
def test_three_workers(name: str, record_property: Callable[[str, object], None]) -> None:
    script, world = THREE[name]
    bounds = EVERYTHING if IS_SOAK else {"crashes": 0, "faults": 0, "waits": 0}
    covered = Explorer(script, **bounds, **world).explore()  # type: ignore[arg-type]
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.states > 100


CUTS: dict[str, Any] = {
    "crashes": 0,
    "faults": 0,
    "waits": 0,
    "cuts": 1,
    "new_store": ForgetfulStore,
}


@pytest.mark.parametrize("name", TWO)
def test_the_power_goes(name: str, record_property: Callable[[str, object], None]) -> None:
    script, world = TWO[name]
    covered = Explorer(script, **CUTS, **world).explore()  # type: ignore[arg-type]
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.ends > 1


def _without(guard: str, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(advance_module, "CHART", chart_with(**{guard: constant(guard, True)}))


def _swaps_anyway(patch: pytest.MonkeyPatch) -> None:
    def swap(store: MemoryStore, key: str, expected: int, row: StoredRecord) -> bool:
        store._rows[key] = row
        return True

    patch.setattr(MemoryStore, "swap", swap)


def _sends_before_it_saves(patch: pytest.MonkeyPatch) -> None:
    """As most clients do: the call leaves while the store still says that nothing has happened."""

    def swap(store: MemoryStore, key: str, expected: int, row: StoredRecord) -> bool:
        if expected == 0:
            return True  # said to be saved, and is not
        store._rows[key] = row
        return True

    patch.setattr(MemoryStore, "swap", swap)


def _has_no_lease(patch: pytest.MonkeyPatch) -> None:
    for module in (guards_module, script_module):
        patch.setattr(module, "is_due", lambda flow, now: flow.is_in_flight)


def _sets_out_late(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(script_module, "LEASE_MARGIN", 1e9)


TAKEN_OUT: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "code_not_sent": (lambda patch: _without("code_not_sent", patch), "the password twice"),
    "code_not_sent, for a new one": (
        lambda patch: _without("code_not_sent", patch),
        "a new code twice, by one click",
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
        "the code and a way out",
    ),
    "cooldown_is_over": (
        lambda patch: _without("cooldown_is_over", patch),
        "a new code too soon",
    ),
    "the compare-and-swap": (_swaps_anyway, "the password twice"),
    "the compare-and-swap, of an answer": (_swaps_anyway, "two wrong codes"),
    "the compare-and-swap, of a factor": (_swaps_anyway, "two factors"),
    "the write-ahead": (_sends_before_it_saves, "the password twice"),
    "the lease": (_has_no_lease, "the password twice, once after a reload"),
    "the look at the clock before a call": (
        _sets_out_late,
        "the password twice, once after a reload",
    ),
}


def _nothing_lasts(patch: pytest.MonkeyPatch) -> None:
    swap = ForgetfulStore.swap

    def lazily(store: ForgetfulStore, key: str, expected: int, row: StoredRecord) -> bool:
        return swap(store, key, expected, row._replace(durable=False))

    patch.setattr(ForgetfulStore, "swap", lazily)


def test_what_is_written_ahead_has_to_outlast_a_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    script, world = TWO["the password twice"]
    _nothing_lasts(monkeypatch)
    _search_without("what lasts", Explorer(script, **CUTS, **world))  # type: ignore[arg-type]


def _search_without(name: str, explorer: Explorer) -> None:
    with pytest.raises(Violation) as found:
        explorer.explore()
    print(f"without {name}: {found.value}")
    assert 0 < len(found.value.schedule) <= 16


@pytest.mark.parametrize("name", TAKEN_OUT)
def test_what_is_taken_out_is_missed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take_out, script_name = TAKEN_OUT[name]
    script, world = TWO[script_name]
    take_out(monkeypatch)
    if name == "the look at the clock before a call":
        # Its lease is counted from the margin, so the world's is set as it was.
        world = {**world, "lease": 60.0}
    _search_without(name, Explorer(script, **world))  # type: ignore[arg-type]


# ── guards that lead: without one of them the flow goes another way than the machine's ──


# Time is triggered to a flow only when it is due, so these are missed when they never open.
NEVER_OPEN = {"deadline_has_passed", "nothing_is_asked"}


def _beside_the_whole_machine(guard: str, patch: pytest.MonkeyPatch) -> None:
    """Offer everything to the machine as it is and to one without a guard; they are to agree."""
    whole, without = (
        advance_module.CHART,
        chart_with(**{guard: constant(guard, guard not in NEVER_OPEN)}),
    )

    def both(flow: Flow, trigger: Any, **about: Any) -> Flow:
        right: Flow | str
        leads: Flow | str
        try:
            after = right = advance(flow, trigger, **about)
        except NotAllowed as no:
            right = no.reason
        patch.setattr(advance_module, "CHART", without)
        try:
            leads = advance(flow, trigger, **about)
        except NotAllowed as no:
            leads = no.reason
        except (AssertionError, KeyError):
            leads = "an effect that has not what it needs"
        finally:
            patch.setattr(advance_module, "CHART", whole)
        if leads != right:
            raise Broken(
                f"{flow.state}, {trigger.machine_event}: {_named(leads)}, not {_named(right)}"
            )
        if isinstance(right, str):
            raise NotAllowed(right)
        return after

    patch.setattr(script_module, "advance", both)


def _named(leads: Flow | str) -> str:
    return f"leads to {leads.state}" if isinstance(leads, Flow) else leads


@pytest.mark.parametrize("guard", LEADING)
def test_a_guard_that_leads_is_missed(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script, world = LEADING[guard]
    _beside_the_whole_machine(guard, monkeypatch)
    _search_without(guard, Explorer(script, **world))  # type: ignore[arg-type]


def test_every_guard_is_taken_out() -> None:
    assert {name.partition(",")[0] for name in TAKEN_OUT if " " not in name.partition(",")[0]} | {
        *LEADING
    } == GUARDS
