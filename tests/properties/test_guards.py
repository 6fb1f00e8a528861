"""Every guard is needed: with it the promise holds, without it the same script breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.doubles import a_text, code, password, the_tokens
from tests.engine.test_machine import CHOICE, IN_FLIGHT_FLOWS, NEW_PASSWORD, NOW
from tests.properties.world import PASSWORDS, Broken, World

import oncegate.machine
import oncegate.signin
from oncegate import (
    Cancel,
    ChallengeIssued,
    ChooseFactor,
    Factor,
    Flow,
    FlowState,
    Outcome,
    Refusal,
    Rejected,
    StoredFlow,
    UnknownChallenge,
)
from oncegate.calls import CheckCode
from oncegate.machine import NotAllowed, SignInMachine, advance
from oncegate_stores import MemoryStore

Script = Callable[[World], None]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    return World(MemoryStore())


@pytest.fixture
def answer_always(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, bool], None]]:
    """Puts a constant in the place of a guard, and a machine that has it in the place of ours."""

    def put(guard: str, answer: bool) -> None:
        monkeypatch.setattr(SignInMachine, guard, lambda _: answer)
        monkeypatch.setattr(oncegate.machine, "_desk", oncegate.machine._Desk())

    yield put
    monkeypatch.undo()


def submit(world: World, flow_id: str, who: str = "ana", **more: Any) -> None:
    fault = more.pop("fault", None)
    world.run(world.click(flow_id, password(PASSWORDS[who], who), **more), fault)


# ── scripts: each is an everyday accident ──


def a_late_second_click_on_the_password(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id, seen=0, fault="lost")
    submit(world, flow_id, seen=0)


def a_late_second_click_on_the_factor(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id, "dora")
    for fault in ("throttled", None):
        world.run(world.click(flow_id, ChooseFactor(factor=Factor.SMS), seen=2), fault)


def a_late_second_code(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id)
    for wrong in ("000000x", "111111x"):
        world.run(world.click(flow_id, code(wrong[:6]), seen=2))


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
        raise Broken("six attempts at one code")


def a_late_cancel(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id)
    if world.run(world.click(flow_id, Cancel(), seen=0)).state == "failed":
        raise Broken("a late cancel ended the flow")


def a_factor_from_elsewhere(world: World) -> None:
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
    raise Broken("a factor was asked for that is not offered")


SCRIPTS: dict[str, list[Script]] = {
    "code_not_sent": [a_late_second_click_on_the_password, a_late_second_click_on_the_factor],
    "answer_not_in_flight": [a_late_second_code],
    "answer_not_tried": [the_same_wrong_code_again],
    "attempts_remain": [six_wrong_codes],
    "nothing_happened_since": [a_late_cancel],
    "factor_is_offered": [a_factor_from_elsewhere],
}
CASES = [(guard, script) for guard, scripts in SCRIPTS.items() for script in scripts]


@pytest.mark.parametrize(("guard", "script"), CASES)
def test_with_the_guard_the_promise_holds(world: World, guard: str, script: Script) -> None:
    script(world)
    world.check()


@pytest.mark.parametrize(("guard", "script"), CASES)
def test_without_the_guard_it_breaks(
    world: World, guard: str, script: Script, answer_always: Callable[[str, bool], None]
) -> None:
    answer_always(guard, True)
    with pytest.raises(Broken):
        script(world)


# ── what is not a guard on a person's event, and carries the promise as well ──


def two_workers_at_once(world: World) -> None:
    flow_id = world.start()
    workers = [world.click(flow_id, password()) for _ in range(2)]
    for _ in range(3):
        for worker in workers:
            if worker in world.workers:
                world.do_one_thing(worker)


def test_the_swap_is_needed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    two_workers_at_once(world)

    def saves_anyway(store: MemoryStore, key: str, expected: int, row: StoredFlow) -> bool:
        store._rows[key] = row
        return True

    monkeypatch.setattr(MemoryStore, "swap", saves_anyway)
    with pytest.raises(Broken, match=r"P1|P2"):
        two_workers_at_once(World(MemoryStore()))


def a_click_while_a_call_is_under_way(world: World) -> None:
    flow_id = world.start()
    first = world.click(flow_id, password())
    while first.outcome is None:
        world.do_one_thing(first)
    second = world.click(flow_id, password())
    for _ in range(8):
        if second in world.workers:
            world.do_one_thing(second)


def test_the_lease_is_needed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    a_click_while_a_call_is_under_way(world)
    for module in (oncegate.machine, oncegate.signin):
        monkeypatch.setattr(module, "is_due", lambda flow, now: flow.is_in_flight)
    with pytest.raises(Broken, match="P2"):
        a_click_while_a_call_is_under_way(World(MemoryStore()))


def stalled_between_save_and_call(world: World) -> None:
    flow_id = world.start()
    stalled = world.click(flow_id, password())
    world.do_one_thing(stalled)
    world.do_one_thing(stalled)  # saved
    world.clock.advance(70)  # taken for dead
    second = world.click(flow_id, password())
    while second.outcome is None:
        world.do_one_thing(second)
    world.do_one_thing(stalled)


def test_a_worker_that_was_stalled_does_not_set_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled_between_save_and_call(world)
    assert len(world.calls) == 1
    monkeypatch.setattr(oncegate.signin, "LEASE_MARGIN", 1e9)
    late = World(MemoryStore())
    late.sign_in._lease = world.sign_in._lease
    with pytest.raises(Broken, match="P2"):
        stalled_between_save_and_call(late)


# ── guards that route: each leads somewhere else when it is taken out ──


def routes() -> dict[tuple[str, str], str]:
    """Where every outcome leads from every in-flight state."""
    unknown = UnknownChallenge.model_validate({"session": "s", "username": "u", "name": "X"})
    offers: dict[str, Outcome] = {refusal.value: Rejected(refusal=refusal) for refusal in Refusal}
    found = {}
    for state, flow in IN_FLIGHT_FLOWS.items():
        for name, offer in {
            **offers,
            "text": a_text(),
            "choice": CHOICE,
            "new password": NEW_PASSWORD,
            "tokens": the_tokens(),
            "not known": ChallengeIssued(challenge=unknown),
        }.items():
            found[state.value, name] = advance(flow, offer, now=NOW).state.value
    return found


def expected_routes() -> dict[tuple[str, str], str]:
    expected = {}
    for state in IN_FLIGHT_FLOWS:
        dead = {"challenge_dead", "code_expired", "wrong_credentials", "locked"}
        back_at = {
            FlowState.CHECKING_PASSWORD: {"wrong_credentials": "idle", "locked": "idle"},
            FlowState.REQUESTING_CODE: {"factor_unusable": "password_verified"},
            FlowState.CHECKING_CODE: {
                "wrong_code": "awaiting_mfa",
                "code_already_used": "awaiting_mfa",
            },
            FlowState.SETTING_PASSWORD: {"new_password_refused": "awaiting_new_password"},
        }[state]
        if state is not FlowState.CHECKING_PASSWORD:
            back_at = back_at | dict.fromkeys(dead, "idle")
        for refusal in Refusal:
            expected[state.value, refusal.value] = back_at.get(refusal.value, "failed")
        expected[state.value, "text"] = "awaiting_mfa"
        expected[state.value, "choice"] = "password_verified"
        expected[state.value, "new password"] = "awaiting_new_password"
        expected[state.value, "tokens"] = "authenticated"
        expected[state.value, "not known"] = "failed"
    return expected


def test_every_outcome_leads_where_it_should() -> None:
    assert routes() == expected_routes()


ROUTING = [
    "may_be_tried_again",
    "factor_is_unusable",
    "challenge_lives",
    "new_password_was_refused",
    "challenge_is_dead",
    "code_is_asked",
    "new_password_is_asked",
    "tokens_are_issued",
    "challenge_is_not_known",
]


@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("guard", ROUTING)
def test_without_a_routing_guard_something_leads_elsewhere(
    guard: str, always: bool, answer_always: Callable[[str, bool], None]
) -> None:
    answer_always(guard, always)
    try:
        found = routes()
    except AssertionError:
        return  # an effect met what it is never meant to meet
    assert found != expected_routes()


def test_no_guard_is_left_out_here() -> None:
    guards = {
        name
        for state in SignInMachine.states
        for transition in state.transitions
        for guard in transition.cond
        for name in str(guard).split(" and ")
    }
    # The two on time share one rule, which test_the_lease_is_needed and the next test take out.
    assert guards == {*SCRIPTS, *ROUTING, "lease_has_passed", "deadline_has_passed"}


@pytest.mark.parametrize("guard", ["lease_has_passed", "deadline_has_passed"])
def test_a_guard_on_time_that_never_opens_leaves_a_flow_stuck(
    guard: str, answer_always: Callable[[str, bool], None]
) -> None:
    flow = IN_FLIGHT_FLOWS[FlowState.CHECKING_CODE]
    if guard == "deadline_has_passed":
        flow = advance(flow, Rejected(refusal=Refusal.WRONG_CODE), now=NOW)
    assert advance(flow, oncegate.machine.TIME_PASSED, now=NOW + 1000).state is FlowState.IDLE
    answer_always(guard, False)
    with pytest.raises(NotAllowed):
        advance(flow, oncegate.machine.TIME_PASSED, now=NOW + 1000)


def test_tokens_offered_to_a_flow_at_rest_sign_nobody_in() -> None:
    """The junction has arrows without an event; they are for what has just been accepted."""
    resting = advance(advance(Flow(), password(), now=NOW), CHOICE, now=NOW)
    with pytest.raises(NotAllowed):
        advance(resting, the_tokens(), now=NOW)
