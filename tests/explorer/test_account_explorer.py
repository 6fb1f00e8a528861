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
from tests.flows import account_chart_with, constant
from tests.world import ForgetfulStore, LosingStore

import oncegate.driver.script as script_module
import oncegate.machine.advance as advance_module
import oncegate.machine.guards as guards_module
from oncegate.adapters import RecordStore

IS_SOAK = "ONCEGATE_SOAK" in os.environ
EVERYTHING = {"crashes": 1, "faults": 1, "waits": 1}
CRASHES = {"crashes": 1, "faults": 0, "waits": 1}
FAULTS = {"crashes": 0, "faults": 1, "waits": 0}
NOTHING = {"crashes": 0, "faults": 0, "waits": 0}
POWER_CUTS: dict[str, Any] = {**NOTHING, "cuts": 1, "new_store": ForgetfulStore}
LOSSES: dict[str, Any] = {**NOTHING, "losses": 1, "new_store": LosingStore}
BOUNDS: dict[str, dict[str, Any]] = (
    {"everything": EVERYTHING, "power cuts": POWER_CUTS, "losses": LOSSES}
    if IS_SOAK
    else {"crashes": CRASHES, "faults": FAULTS, "power cuts": POWER_CUTS, "losses": LOSSES}
)


@pytest.fixture(autouse=True)
def _tenacity_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)


def explorer(script: Any, **arguments: Any) -> Explorer:
    return Explorer(script, **{"new_world": CheckedAccountWorld, **arguments})


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("name", TWO)
def test_two_workers_on_an_account_break_no_promise(
    name: str, bounds: str, record_property: Callable[[str, object], None]
) -> None:
    script, world = TWO[name]
    covered = explorer(script, **{**BOUNDS[bounds], **world}).explore()
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.states > 5
    assert covered.ends >= 1


@pytest.mark.parametrize("name", THREE)
def test_three_workers_on_an_account_break_no_promise(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    script, world = THREE[name]
    covered = explorer(script, **{**(EVERYTHING if IS_SOAK else NOTHING), **world}).explore()
    record_property("explored", [name, covered.schedules, covered.states])
    assert covered.states > 50
