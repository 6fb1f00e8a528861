"""Every guard is needed: with it the promise holds, without it the same script breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import oncegate.signin
import pytest
from pydantic import BaseModel, SecretStr
from tests.doubles import code, password, the_tokens
from tests.engine.test_machine import (
    AT_REST,
    CHOICE,
    DEVICE,
    DEVICE_FLOWS,
    GUARDS,
    HAND,
    IN_FLIGHT_FLOWS,
    KEY,
    NEW_DEVICE,
    NOW,
    REGISTERED,
    REGISTERING,
    SETUP,
    asks,
    walk,
)
from tests.properties.world import PASSWORDS, Broken, World

import oncegate.machine
from oncegate import (
    Cancel,
    ChooseFactor,
    Event,
    Factor,
    FlowState,
    RememberDevice,
    RequestNewCode,
    SubmitPassword,
    SubmitUsername,
)
from oncegate.adapters import (
    ChallengeIssued,
    CheckCode,
    Confirmed,
    NotSent,
    Outcome,
    PasswordChallenge,
    Rejected,
    RejectionReason,
    StoredRecord,
    UnknownChallenge,
)
from oncegate.machine.advance import NotAllowed, advance
from oncegate.machine.chart import SignInMachine
from oncegate.machine.context import TIME_PASSED, GuardInputs
from oncegate.record import Flow
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
    submit(world, flow_id, expected_version=0, fault="lost")
    submit(world, flow_id, expected_version=0)


def a_late_second_click_on_the_factor(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id, "dora")
    for fault in ("throttled", None):
        world.run(world.click(flow_id, ChooseFactor(factor=Factor.SMS), expected_version=2), fault)


def a_late_second_code(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id)
    for wrong in ("000000x", "111111x"):
        world.run(world.click(flow_id, code(wrong[:6]), expected_version=2))


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
    if world.run(world.click(flow_id, Cancel(), expected_version=0)).state == "failed":
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


def a_new_code_at_once(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id)
    world.run(world.click(flow_id, RequestNewCode()))
    submit(world, flow_id)
    if len(world.pool.inbox.messages()) > 1:
        raise Broken("a new code before the last one can have arrived")


def new_codes_for_ever(world: World) -> None:
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
    # Eight first ones, which a stranger's guesses must not be able to use up, and two more.
    if len(world.pool.inbox.messages()) > 13:
        raise Broken("more codes than a user may have")


def a_new_code_for_an_authenticator(world: World) -> None:
    flow_id = world.start()
    submit(world, flow_id, "cleo")
    if world.run(world.click(flow_id, RequestNewCode())).state != "awaiting_mfa":
        raise Broken("there is no new code for what was not sent")


SCRIPTS: dict[str, list[Script]] = {
    "code_not_sent": [a_late_second_click_on_the_password, a_late_second_click_on_the_factor],
    "step_is_current": [a_late_second_code],
    "answer_is_new": [the_same_wrong_code_again],
    "attempts_remain": [six_wrong_codes],
    "step_is_current": [a_late_cancel],
    "factor_is_offered": [a_factor_from_elsewhere],
    "cooldown_is_over": [a_new_code_at_once],
    "new_codes_remain": [new_codes_for_ever],
    "budget_remains": [new_codes_over_many_flows],
    "code_was_delivered": [a_new_code_for_an_authenticator],
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
    # The second loser waits, and looks again until the first has its answer.
    for _ in range(30):
        for worker in workers:
            if worker in world.workers:
                world.do_one_thing(worker)


def test_the_swap_is_needed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    two_workers_at_once(world)

    def saves_anyway(store: MemoryStore, key: str, expected: int, row: StoredRecord) -> bool:
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
    while not world.flow(flow_id).is_in_flight:
        world.do_one_thing(stalled)
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
    late.sign_in._policy = world.sign_in._policy
    with pytest.raises(Broken, match="P2"):
        stalled_between_save_and_call(late)


# ── guards that route: each leads somewhere else when it is taken out ──


def _events() -> list[Event]:
    return [
        password(),
        SubmitUsername(username="ana"),
        *(ChooseFactor(factor=factor) for factor in (Factor.EMAIL, Factor.PASSWORD, Factor.TOTP)),
        RequestNewCode(),
        RememberDevice(remember=True),
        RememberDevice(remember=False),
        SubmitPassword.model_validate({"password": "without a name"}),
    ]


def _outcomes() -> dict[str, Outcome]:
    unknown = UnknownChallenge.model_validate({"session": "s", "username": "u", "name": "X"})
    asked: list[Outcome] = [
        flow_asks(flow) for flow in AT_REST.values() if isinstance(flow.challenge, BaseModel)
    ]
    named = {f"asks {n}": outcome for n, outcome in enumerate(asked)}
    return {
        **{refusal.value: Rejected(reason=refusal) for refusal in RejectionReason},
        **named,
        "device": DEVICE,
        "asks for the password": asks(PasswordChallenge),
        "tokens": the_tokens(),
        "tokens and a device": NEW_DEVICE,
        "confirmed": Confirmed(),
        "not known": ChallengeIssued(challenge=unknown),
        "not sent": NotSent(cause="throttled"),
        "registered": REGISTERED,
        "registered, not asked": REGISTERED.model_copy(update={"ask_user": False}),
    }


def flow_asks(flow: Flow) -> ChallengeIssued:
    assert flow.challenge is not None
    return ChallengeIssued(challenge=flow.challenge)


def _flows() -> dict[str, Flow]:
    """Flows at rest and in flight, with what they may remember and without."""
    again = {"again": Factor.SMS, "retained_password": SecretStr("p"), "is_passwordless": True}
    first = {"is_first_factor": True}
    mfa = AT_REST[FlowState.AWAITING_MFA]
    assert mfa.challenge is not None
    return {
        **{state.value: flow for state, flow in AT_REST.items()},
        **{state.value: flow for state, flow in IN_FLIGHT_FLOWS.items()},
        **{state.value: flow for state, flow in DEVICE_FLOWS.items()},
        "before anything": Flow(),
        "a factor to set up": walk(password(), SETUP),
        "passwordless": Flow(is_passwordless=True),
        "the device named": IN_FLIGHT_FLOWS[FlowState.CHECKING_PASSWORD].model_copy(
            update={"device_key": KEY}
        ),
        "asked again": IN_FLIGHT_FLOWS[FlowState.CHECKING_PASSWORD].model_copy(update=again),
        "with the password kept": mfa.model_copy(update=again),
        "as the first factor": mfa.model_copy(
            update={"challenge": mfa.challenge.model_copy(update=first)}
        ),
        "sending": walk(RequestNewCode(), flow=AT_REST[FlowState.AWAITING_RESET]),
        "confirming": walk(code(), flow=AT_REST[FlowState.AWAITING_CONFIRMATION]),
        "remember, said ahead": REGISTERING.model_copy(update={"remember_device": True}),
        "do not, said ahead": REGISTERING.model_copy(update={"remember_device": False}),
        "the session kept": DEVICE_FLOWS[FlowState.REMEMBERING_DEVICE].model_copy(
            update={"session_id": "kept"}
        ),
    }


_FLOWS = _flows()


def routes() -> Iterator[tuple[tuple[str, str], str]]:
    """Where everything leads from everywhere; "no" where nothing does."""
    offers = {**_outcomes(), **{f"{event!r}": event for event in _events()}, "time": TIME_PASSED}
    hands = {
        "": GuardInputs(),
        " with a vault": HAND,
        " with a password": GuardInputs(password=SecretStr("p")),
    }
    for flow_name, flow in _FLOWS.items():
        for offer_name, offer in offers.items():
            for hand_name, hand in hands.items():
                try:
                    after = advance(flow, offer, now=NOW + 1e5, inputs=hand).state.value
                except NotAllowed:
                    after = "no"
                except (AssertionError, KeyError):
                    after = "an effect met what it is never meant to meet"
                yield (flow_name, offer_name + hand_name), after


def expected_routes() -> dict[tuple[str, str], str]:
    """Where the refusals lead from the states of a plain sign-in, written out by hand."""
    expected = {}
    for state in IN_FLIGHT_FLOWS:
        dead = {"challenge_dead", "code_expired", "wrong_credentials", "locked"}
        back_at = {
            FlowState.CHECKING_PASSWORD: dict.fromkeys(dead - {"code_expired"}, "idle"),
            FlowState.REQUESTING_CHALLENGE: {"factor_unusable": "password_verified"},
            FlowState.CHECKING_ANSWER: {
                "wrong_code": "awaiting_mfa",
                "code_already_used": "awaiting_mfa",
            },
            FlowState.SETTING_PASSWORD: {
                "new_password_refused": "awaiting_new_password",
                "wrong_code": "awaiting_new_password",
                "code_already_used": "awaiting_new_password",
            },
        }[state]
        if state is not FlowState.CHECKING_PASSWORD:
            back_at = back_at | dict.fromkeys(dead, "idle")
        back_at |= {
            "sign_up_not_confirmed": "awaiting_confirmation",
            "password_reset_required": "awaiting_reset",
        }
        for refusal in RejectionReason:
            expected[state.value, refusal.value] = back_at.get(refusal.value, "failed")
        expected[state.value, "tokens"] = "authenticated"
        expected[state.value, "not known"] = "failed"
    return expected


def test_every_outcome_leads_where_it_should() -> None:
    found, expected = dict(routes()), expected_routes()
    assert {key: found[key] for key in expected} == expected


ROUTING = sorted(GUARDS - {*SCRIPTS, "deadline_has_passed", "deadline_has_passed"})


@pytest.fixture(scope="module")
def real_routes() -> dict[tuple[str, str], str]:
    return dict(routes())


@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("guard", ROUTING)
def test_without_a_routing_guard_something_leads_elsewhere(
    guard: str,
    always: bool,
    answer_always: Callable[[str, bool], None],
    real_routes: dict[tuple[str, str], str],
) -> None:
    answer_always(guard, always)
    assert any(real_routes[key] != target for key, target in routes())


@pytest.mark.parametrize("guard", ["deadline_has_passed", "deadline_has_passed"])
def test_a_guard_on_time_that_never_opens_leaves_a_flow_stuck(
    guard: str, answer_always: Callable[[str, bool], None]
) -> None:
    flow = IN_FLIGHT_FLOWS[FlowState.CHECKING_ANSWER]
    if guard == "deadline_has_passed":
        flow = advance(flow, Rejected(reason=RejectionReason.WRONG_CODE), now=NOW)
    assert advance(flow, oncegate.machine.TIME_PASSED, now=NOW + 1000).state is FlowState.IDLE
    answer_always(guard, False)
    with pytest.raises(NotAllowed):
        advance(flow, oncegate.machine.TIME_PASSED, now=NOW + 1000)


def test_tokens_offered_to_a_flow_at_rest_sign_nobody_in() -> None:
    """The junction has arrows without an event; they are for what has just been accepted."""
    resting = advance(advance(Flow(), password(), now=NOW), CHOICE, now=NOW)
    with pytest.raises(NotAllowed):
        advance(resting, the_tokens(), now=NOW)
