"""Every guard is needed: with it, a script breaks no promise; without it, the same script does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from tests.doubles import UnconditionalStore, code, password, the_tokens
from tests.flows import (
    CHOICE,
    NOW,
    chart_with,
    constant,
)
from tests.world import PASSWORDS, Broken, World

import oncegate.driver.script as script_module
import oncegate.machine.advance as advance_module
import oncegate.machine.guards as guards_module
from oncegate import (
    Cancel,
    ChooseFactor,
    Factor,
    RequestNewCode,
)
from oncegate.adapters import CheckCode
from oncegate.budget import Account
from oncegate.machine.advance import NotAllowed, advance
from oncegate.record import Flow
from oncegate_stores import MemoryStore

Script = Callable[[World], None]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    return World(MemoryStore())


@pytest.fixture
def answer_always(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, bool], None]]:
    """Return a function that replaces a guard of the machine by a constant."""

    def replace(guard: str, answer: bool) -> None:
        chart = chart_with(**{guard: constant(guard, answer)})
        monkeypatch.setattr(advance_module, "CHART", chart)

    yield replace
    monkeypatch.undo()


def submit(world: World, flow_id: str, who: str = "ana", **more: Any) -> None:
    fault = more.pop("fault", None)
    world.run(world.click(flow_id, password(PASSWORDS[who], who), **more), fault)


# ── scripts, each an everyday accident ──


def a_late_second_click_on_the_password(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id, version=0, fault="lost")
    submit(world, flow_id, version=0)


def a_late_second_click_on_the_factor(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id, "dora")
    for fault in ("throttled", None):
        world.run(world.click(flow_id, ChooseFactor(factor=Factor.SMS), version=2), fault)


def a_late_second_code(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id)
    for wrong in ("000000x", "111111x"):
        world.run(world.click(flow_id, code(wrong[:6]), version=2))


def the_same_wrong_code_again(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id)
    for _ in range(2):
        world.run(world.click(flow_id, code("000000")))


def six_wrong_codes(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id)
    for attempt in range(6):
        world.run(world.click(flow_id, code(f"99990{attempt}")))
    if sum(isinstance(call, CheckCode) for call in world.calls) > 5:
        raise Broken("six answers to one challenge")


def a_late_cancel(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id)
    if world.run(world.click(flow_id, Cancel(), version=0)).state == "failed":
        raise Broken("a late cancel ended the flow")


def a_factor_that_is_not_offered(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id, "dora")
    flow = world.flow(flow_id)
    assert flow.challenge is not None
    only_totp = flow.challenge.model_copy(update={"factors": (Factor.TOTP,)})
    try:
        advance(
            flow.model_copy(update={"challenge": only_totp}),
            ChooseFactor(factor=Factor.SMS),
            now=world.clock.now(),
        )
    except NotAllowed:
        return
    raise Broken("a factor was requested that is not offered")


def a_new_code_at_once(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id)
    world.run(world.click(flow_id, RequestNewCode()))
    submit(world, flow_id)
    if len(world.pool.inbox.messages()) > 1:
        raise Broken("a new code during the cooldown")


def new_codes_without_end(world: World) -> None:
    flow_id = world.start()
    for _ in range(8):
        submit(world, flow_id)
        world.clock.advance(31)
        world.run(world.click(flow_id, RequestNewCode()))
    if len(world.pool.inbox.messages()) > 6:
        raise Broken("more new codes than a flow may have")


def new_codes_over_many_flows(world: World) -> None:
    for _ in range(8):
        flow_id = world.start()
        submit(world, flow_id)
        world.clock.advance(31)
        if world.run(world.click(flow_id, RequestNewCode())).state == "idle":
            submit(world, flow_id)
    if len(world.pool.inbox.messages()) > 10:
        raise Broken("more codes than a user may have")


def a_new_code_for_an_authenticator(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id, "cleo")
    if world.run(world.click(flow_id, RequestNewCode())).state != "awaiting_mfa":
        raise Broken("a new code for an authenticator app")


SCRIPTS: dict[str, list[Script]] = {
    "code_not_sent": [a_late_second_click_on_the_password, a_late_second_click_on_the_factor],
    "step_is_current": [a_late_second_code, a_late_cancel],
    "answer_is_new": [the_same_wrong_code_again],
    "attempts_remain": [six_wrong_codes],
    "factor_is_offered": [a_factor_that_is_not_offered],
    "cooldown_is_over": [a_new_code_at_once],
    "new_codes_remain": [new_codes_without_end],
    "budget_remains": [new_codes_over_many_flows],
    "code_was_delivered": [a_new_code_for_an_authenticator],
}
CASES = [(guard, script) for guard, scripts in SCRIPTS.items() for script in scripts]


@pytest.mark.parametrize(("guard", "script"), CASES)
def test_script_with_the_guard_breaks_no_promise(world: World, guard: str, script: Script) -> None:
    script(world)
    world.check()


@pytest.mark.parametrize(("guard", "script"), CASES)
def test_script_without_the_guard_breaks_a_promise(
    world: World,
    guard: str,
    script: Script,
    answer_always: Callable[[str, bool], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_always(guard, True)
    # The reservation before the call is a second safeguard of the budget.
    monkeypatch.setattr(Account, "remains", lambda *_, **__: True)
    # A record with a negative number of attempts is invalid, which stops the script as well.
    with pytest.raises((Broken, ValidationError)):
        script(world)


# ── safeguards that are not guards of an event ──


def two_workers_at_once(world: World) -> None:
    flow_id = world.start()
    workers = [world.click(flow_id, password()) for _ in range(2)]
    # The losing worker waits and loads again until the winner has saved its outcome.
    for _ in range(30):
        for worker in workers:
            if worker in world.workers:
                world.do_one_thing(worker)


def test_two_workers_without_compare_and_swap_break_a_promise(world: World) -> None:
    two_workers_at_once(world)
    with pytest.raises(Broken, match=r"P1|P2"):
        two_workers_at_once(World(UnconditionalStore()))


def a_click_during_a_call(world: World) -> None:
    flow_id = world.start()
    first = world.click(flow_id, password())
    while first.outcome is None:
        world.do_one_thing(first)
    # From the step that a reload would show if the lease did not count.
    second = world.click(flow_id, password(), version=2)
    for _ in range(8):
        if second in world.workers:
            world.do_one_thing(second)


def test_click_during_a_call_without_a_lease_breaks_a_promise(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_click_during_a_call(world)
    for module in (guards_module, script_module):
        monkeypatch.setattr(module, "is_due", lambda flow, now: flow.is_in_flight)
    with pytest.raises(Broken, match="P2"):
        a_click_during_a_call(World(MemoryStore(), budget=None))


def stalled_between_save_and_call(world: World) -> None:
    flow_id = world.start()
    stalled = world.click(flow_id, password())
    while not world.flow(flow_id).is_in_flight:
        world.do_one_thing(stalled)
    world.clock.advance(70)  # the lease has expired
    world.look(flow_id)
    second = world.click(flow_id, password())
    while second.outcome is None:
        world.do_one_thing(second)
    world.do_one_thing(stalled)


def test_worker_that_stalled_before_its_call_does_not_make_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled_between_save_and_call(world)
    assert len(world.calls) == 1
    monkeypatch.setattr(script_module, "_may_start", lambda flow, now: True)
    late = World(MemoryStore(), lease=world.sign_in.lease, budget=None)
    with pytest.raises(Broken, match="P2"):
        stalled_between_save_and_call(late)


def test_tokens_for_a_flow_at_rest_are_not_allowed() -> None:
    """The transitions that leave the junction are only for an outcome that was just accepted."""
    resting = advance(advance(Flow(), password(), now=NOW), CHOICE, now=NOW)
    with pytest.raises(NotAllowed):
        advance(resting, the_tokens(), now=NOW)
