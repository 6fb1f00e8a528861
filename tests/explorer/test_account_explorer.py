"""The explorer finds no violation in the account, and finds one as soon as a safeguard is removed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from tests.account_world import CheckedAccountWorld
from tests.doubles import UnconditionalStore
from tests.explorer.account_scripts import THREE, TWO
from tests.explorer.explorer import Explorer, Violation
from tests.explorer.faulty_stores import (
    NeverDurableStore,
    StoreThatNoticesNoLoss,
    StoreWithoutWriteAhead,
)
from tests.flows import account_chart_with
from tests.world import ForgetfulStore, LosingStore

import oncegate.driver.script as script_module
import oncegate.machine.advance as advance_module
import oncegate.machine.guards as guards_module
from oncegate.adapters import RecordStore
from oncegate.budget import offers_to
from oncegate.driver._limits import Limits

IS_SOAK = "ONCEGATE_SOAK" in os.environ
EVERYTHING = {"crashes": 1, "faults": 1, "waits": 1}
CRASHES = {"crashes": 1, "faults": 0, "waits": 1}
FAULTS = {"crashes": 0, "faults": 1, "waits": 0}
NOTHING = {"crashes": 0, "faults": 0, "waits": 0}
POWER_CUTS: dict[str, Any] = {**NOTHING, "cuts": 1, "new_store": ForgetfulStore}
LOSSES: dict[str, Any] = {**NOTHING, "losses": 1, "new_store": LosingStore}

TWICE = "an address twice"
"""With a crash or a loss the others take as long, and the same paths, so they are searched in a soak only."""

LONG = ("three addresses", "two codes and a code again")
"""Searched in a soak only."""

ALIKE = {
    "two addresses",
    "a code again too soon",
    "a wrong code and the right one",
    "two wrong codes",
    "an app twice",
    "a new password twice",
    "an address, and a sign-out everywhere",
}
"""With a fault these take the paths of other scripts, so without a soak they have none."""

SEARCHES: list[tuple[str, str]] = [
    *((name, "faults") for name in TWO if IS_SOAK or name not in ALIKE),
    *((name, "nothing") for name in TWO if name in ALIKE and not IS_SOAK),
    *((name, "crashes") for name in TWO if IS_SOAK or name == TWICE or "revoked" in name),
    *((name, "power cuts") for name in TWO if IS_SOAK or name == TWICE),
    *((name, "losses") for name in TWO if IS_SOAK or name == TWICE),
]
BOUNDS: dict[str, dict[str, Any]] = {
    "crashes": EVERYTHING if IS_SOAK else CRASHES,
    "faults": FAULTS,
    "nothing": NOTHING,
    "power cuts": POWER_CUTS,
    "losses": LOSSES,
}


@pytest.fixture(autouse=True)
def _tenacity_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


def explorer(script: Any, **arguments: Any) -> Explorer:
    return Explorer(script, **{"new_world": CheckedAccountWorld, **arguments})


@pytest.mark.parametrize(("name", "bounds"), SEARCHES, ids=str)
def test_two_workers_on_an_account_break_no_promise(
    name: str, bounds: str, record_property: Callable[[str, object], None]
) -> None:
    script, world = TWO[name]
    covered = explorer(script, **{**BOUNDS[bounds], **world}).explore()
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.states > 5
    assert covered.ends >= 1


@pytest.mark.parametrize("name", [name for name in THREE if IS_SOAK or name not in LONG])
def test_three_workers_on_an_account_break_no_promise(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    script, world = THREE[name]
    covered = explorer(script, **{**(EVERYTHING if IS_SOAK else NOTHING), **world}).explore()
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.states > 50


# ── removed safeguards: without one of them, a promise is broken ──


def _assert_violation(removed: str, script: Any, **arguments: Any) -> None:
    with pytest.raises(Violation) as found:
        explorer(script, **arguments).explore()
    print(f"without {removed}: {found.value}")
    assert len(found.value.schedule) <= 16


def _without(*names: str) -> Callable[[pytest.MonkeyPatch], None]:
    chart = account_chart_with(**dict.fromkeys(names, lambda self: True))
    return lambda patch: patch.setattr(advance_module, "ACCOUNT_CHART", chart)


def _without_lease(patch: pytest.MonkeyPatch) -> None:
    for module in (guards_module, script_module):
        patch.setattr(module, "is_due", lambda flow, now: flow.is_in_flight)


def _without_charge_of_offers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Limits, "_offers_to", lambda self, owner: offers_to(owner, 0.0, self._keys))


REMOVED: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "code_not_sent": (_without("code_not_sent", "cooldown_is_over"), "a code again, twice"),
    "cooldown_is_over": (_without("cooldown_is_over"), "a code again too soon"),
    "step_is_current": (_without("step_is_current"), "two wrong codes"),
    "answer_is_new": (
        _without("answer_is_new"),
        "the same wrong code twice, once after a reload",
    ),
    "user_is_the_same": (_without("user_is_the_same"), "the code, and another user's"),
    "sign_in_is_recent": (_without("sign_in_is_recent"), "an address long after the sign-in"),
    "the count of offers": (_without_charge_of_offers, "an offer in two browsers"),
    "the lease": (_without_lease, "an address twice, once after a reload"),
}
"""For each safeguard: what removes it, and a script that breaks a promise without it."""


@pytest.mark.parametrize("name", REMOVED)
def test_removed_safeguard_of_an_account_breaks_a_promise(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, script_name = REMOVED[name]
    script, world = TWO[script_name]
    remove(monkeypatch)
    _assert_violation(name, script, **world)


FAULTY_STORES: dict[str, tuple[Callable[[], RecordStore], dict[str, Any]]] = {
    "the compare-and-swap": (UnconditionalStore, {}),
    "durable writes": (NeverDurableStore, POWER_CUTS),
    "the write-ahead": (StoreWithoutWriteAhead, {}),
    "the epoch": (StoreThatNoticesNoLoss, LOSSES),
}
"""For each property that a store must have: a store without it, and bounds."""


@pytest.mark.parametrize("name", FAULTY_STORES)
def test_faulty_store_breaks_a_promise_of_an_account(name: str) -> None:
    new_store, bounds = FAULTY_STORES[name]
    script, world = TWO["an address twice"]
    _assert_violation(name, script, **{**bounds, **world, "new_store": new_store})
