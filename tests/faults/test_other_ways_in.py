"""What a caller can do to others by the other ways in: resets, new accounts, providers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.doubles import ScriptedTransport, password
from tests.world import NEW_PASSWORD, World

from oncegate import (
    ChooseFactor,
    CodeBudget,
    Event,
    Factor,
    ForgotPassword,
    Misconfigured,
    Provider,
    RequestContext,
    RequestNewCode,
    ResetPassword,
    SignIn,
    SignInWith,
    SignUp,
    SignUpForm,
    Step,
    SubmitCode,
    SubmitUsername,
    WaysIn,
)
from oncegate.budget import GuessLimit
from oncegate_stores import MemoryStore

ADDRESS = {"email": "someone@example.com"}
JOIN = SignUp(username="new", password=NEW_PASSWORD, attributes=ADDRESS)


def send(world: World, step: Step, event: Event, known: str = "") -> Step:
    context = RequestContext(known_users=frozenset({known} if known else ()))
    return world.sign_in.send(step, event, context=context)


def begin(world: World, event: Event, known: str = "") -> Step:
    return send(world, world.sign_in.start(), event, known)


def newest_code(world: World) -> str:
    return world.pool.inbox.messages()[-1].code


@pytest.mark.parametrize("auth_flow", ["USER_PASSWORD_AUTH", "USER_AUTH"])
def test_guesses_of_others_do_not_count_in_the_users_own_browser(auth_flow: str) -> None:
    """P8: a browser of mallory is not one of ana."""
    world = World(MemoryStore(), auth_flow=auth_flow, guess_limit=GuessLimit(free=5, most=5))
    for number in range(3):
        if auth_flow == "USER_AUTH":
            step = begin(world, SubmitUsername(username="ben"), "ben")
            step = send(world, step, ChooseFactor(factor=Factor.PASSWORD), "ben")
            step = send(world, step, ForgotPassword(username="ana"), "ben")
        else:
            weak = JOIN.model_copy(
                update={"username": "mallory", "password": password("weak").password}
            )
            step = begin(world, weak, "mallory")
            step = send(world, step, JOIN.model_copy(update={"username": "ana"}), "mallory")
        for guess in range(2):
            if step.state == "awaiting_reset":
                wrong = ResetPassword(code=f"00{number}{guess}00", new_password=NEW_PASSWORD)
                step = send(world, step, wrong, "ben")
            else:
                step = send(world, step, SubmitCode(code=f"00{number}{guess}00"), "mallory")
        world.clock.advance(31)
    step = begin(world, ForgotPassword(username="ana"), "ana")
    right = ResetPassword(code=newest_code(world), new_password=NEW_PASSWORD)
    assert send(world, step, right, "ana").reason is None


def test_resets_by_others_teach_nothing_about_a_name() -> None:
    """P6, P8: which user a typed name stands for is learned from Cognito alone."""
    world = World(MemoryStore(), budget=CodeBudget(per_user=3))
    for _ in range(5):
        begin(world, ForgotPassword(username="ANA"))
        world.clock.advance(31)
    assert begin(world, ForgotPassword(username="ana")).reason is not None, "by others"
    assert begin(world, ForgotPassword(username="ana"), "ana").state == "awaiting_reset"


def test_code_of_an_account_that_another_caller_created_signs_in_no_user() -> None:
    """Its password would go on to open the account (pre-hijacking; arXiv 2205.10174)."""
    world = World(MemoryStore(), auth_flow="USER_AUTH")
    begin(world, JOIN.model_copy(update={"username": "victim"}))
    world.clock.advance(3600)
    step = begin(world, SignUp(username="victim", password="Victims-own-1", attributes=ADDRESS))
    world.clock.advance(60)
    step = send(world, step, RequestNewCode())
    step = send(world, step, SubmitCode(code=newest_code(world)))
    assert step.message is not None
    assert (step.state, step.message.code) == ("idle", "confirmed")


def test_provider_that_was_never_asked_starts_no_cooldown() -> None:
    world = World(MemoryStore(), with_providers=True)
    flow_id = world.start()
    worker = world.click(flow_id, SignInWith(provider="Google"))
    while world.flow(flow_id).state != "requesting_challenge":
        world.do_one_thing(worker)
    world.kill(worker)
    world.clock.advance(world.sign_in.lease + 1)
    world.look(flow_id)
    step = world.steps[flow_id]
    assert step.message is not None
    assert (step.state, step.message.code) == ("idle", "answer_outcome_unknown")
    assert send(world, step, ForgotPassword(username="ana")).reason is None


def test_password_of_a_new_account_does_not_wait_at_the_first_step() -> None:
    more: dict[str, Any] = {"retain_password": True, "budget": CodeBudget(per_user=1)}
    world = World(MemoryStore(), **more)
    step = begin(world, JOIN)
    step = send(world, step, SubmitCode(code=newest_code(world)))
    flow = world.flow(step.flow_id)
    assert (flow.state, flow.retained_password, flow.start_session) == ("idle", None, None)


def test_attributes_are_in_no_repr() -> None:
    world = World(MemoryStore())
    weak = JOIN.model_copy(update={"password": password("weak").password})
    step = begin(world, weak)
    assert step.state == "signing_up"
    assert "someone@example.com" not in f"{weak!r} {step!r} {world.flow(step.flow_id)!r}"


@pytest.mark.parametrize(
    "ways_in",
    [WaysIn(sign_up=SignUpForm()), WaysIn(providers=(Provider(name="Google"),))],
    ids=["sign-up", "provider"],
)
def test_workers_of_0_1_are_not_given_states_that_they_do_not_know(ways_in: WaysIn) -> None:
    transport = ScriptedTransport()
    transport.ways_in = ways_in
    with pytest.raises(Misconfigured, match="record_schema=1"):
        SignIn(transport=transport, store=MemoryStore(), record_schema=1)


def test_providers_answer_that_was_not_sent_can_be_sent_again() -> None:
    world = World(MemoryStore(), with_providers=True)
    flow_id = world.start()
    world.run(world.click(flow_id, SignInWith(provider="Google")))
    answer = world.authorization(flow_id, "authorization code")
    step = world.run(world.click(flow_id, answer), "unreachable")
    assert step.state == "awaiting_provider"
    assert world.run(world.click(flow_id, answer)).state == "authenticated"


@pytest.mark.parametrize("event", [SignInWith(provider="Google"), None], ids=["begin", "end"])
def test_used_up_codes_do_not_prevent_a_provider(event: Event | None) -> None:
    world = World(MemoryStore(), with_providers=True, budget=CodeBudget(per_user=0, per_source=0))
    flow_id = world.start()
    step = world.run(world.click(flow_id, SignInWith(provider="Google")))
    if event is None:
        step = world.run(world.click(flow_id, world.authorization(flow_id, "code")))
    assert step.state == ("awaiting_provider" if event else "authenticated")


def effects_of(world: World, event: Event) -> list[str]:
    worker = world.click(world.start(), event)
    found = []
    while worker.step is None:
        found.append(type(worker.effect).__name__)
        world.do_one_thing(worker)
    return found


def test_reset_of_an_alias_costs_the_same_as_that_of_an_unknown_address() -> None:
    """P6: a code was sent to the alias before, and others have asked for resets since."""
    world = World(MemoryStore())
    alias, unknown = "ana@example.com", "eva@example.com"
    step = begin(world, password(username=alias))
    assert step.state == "awaiting_mfa"
    for _ in range(2):
        for address in (alias, unknown):
            world.clock.advance(31)
            effects_of(world, ForgotPassword(username=address))
    costs = [effects_of(world, ForgotPassword(username=one)) for one in (alias, unknown)]
    assert costs[0] == costs[1]


def test_password_with_another_name_makes_no_browser_known() -> None:
    """P8: where a username is enough, the flow keeps it, whatever name comes with the password."""
    world = World(MemoryStore(), auth_flow="USER_AUTH")
    step = begin(world, SubmitUsername(username="ana"))
    step = send(world, step, ChooseFactor(factor=Factor.PASSWORD))
    assert step.state == "awaiting_password"
    step = send(world, step, password("wrong-horse-0", "ben"), "ben")
    flow = world.flow(step.flow_id)
    assert (flow.username, flow.from_known_browser) == ("ana", False)
