"""Changes of an account under double clicks, killed workers, lost answers and stores that lose writes.

A code that verifies an address is sent once per wish.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from tests.account_world import FAY, AccountWorld, Worker
from tests.doubles import a_text, the_tokens
from tests.world import LosingStore

from oncegate import CodeBudget, Step
from oncegate.account import (
    AccountEvent,
    AddAuthenticator,
    ChangePassword,
    RequestNewCode,
    SubmitAddress,
    SubmitCode,
)
from oncegate.adapters import Outcome
from oncegate.driver.effects import CallTransport, Sleep

NEW = SubmitAddress(attribute="email", address="new@example.com")
CLICKS = ("submit_address", "request_new_code", "submit_code")


def _before(world: AccountWorld, click: str, token: str) -> tuple[Step, AccountEvent, int]:
    """Bring a flow to the step before a click.

    Returns:
        The step, what the user clicks there, and how many codes were and may be sent until it is done.
    """
    start = world.account.start()
    if click == "submit_address":
        return start, NEW, 1
    step = world.account.send(start, NEW, token)
    assert step.state == "confirming_address"
    if click == "submit_code":
        return step, SubmitCode(code=world.sent()[-1]), 1
    world.clock.advance(31)
    return step, RequestNewCode(), 2


def _run_both(world: AccountWorld, first: Worker, second: Worker) -> tuple[Step, Step]:
    """Let both finish; one that waits lets the other go on."""
    while first.step is None or second.step is None:
        for worker, other in ((first, second), (second, first)):
            world.run_some(worker, 1000)
            if isinstance(worker.effect, Sleep) and (
                other.step is not None or isinstance(other.effect, Sleep)
            ):
                world.do_one_thing(worker)
    assert first.step
    assert second.step
    return first.step, second.step


def _number_of_effects(click: str) -> int:
    world = AccountWorld()
    token = world.token()
    step, event, _ = _before(world, click, token)
    worker = world.click(step, event, token)
    world.run(worker)
    return worker.done


def _schedules(click: str) -> Iterator[tuple[int, int, int]]:
    """Yield how many effects one performs, then the other, then the first again: then both finish."""
    effects = _number_of_effects(click)
    for one in range(effects + 1):
        for two in range(effects + 1):
            for three in range(effects + 1 - one):
                yield one, two, three


@pytest.mark.parametrize("click", CLICKS)
def test_double_click_is_one_wish_in_every_order_of_two_workers(click: str) -> None:
    """Every order in which two workers take turns up to four times."""
    tried = 0
    for schedule in _schedules(click):
        world = AccountWorld()
        token = world.token()
        step, event, codes = _before(world, click, token)
        before = world.asked("VerifyUserAttribute")
        first, second = (world.click(step, event, token) for _ in range(2))
        for worker, effects in zip((first, second, first), schedule, strict=True):
            world.run_some(worker, effects)
        steps = _run_both(world, first, second)
        assert len(world.sent()) == codes, schedule
        assert steps[0].state == steps[1].state, schedule
        assert world.asked("VerifyUserAttribute") - before <= 1, schedule
        if click == "submit_code":
            assert world.attributes()["email"] == "new@example.com", schedule
            assert world.attributes()["email_verified"] == "true", schedule
        tried += 1
    assert tried > 100


@pytest.mark.parametrize("click", CLICKS)
def test_worker_killed_at_any_effect_costs_no_second_code(click: str) -> None:
    for effects in range(_number_of_effects(click) + 1):
        world = AccountWorld()
        token = world.token()
        step, event, codes = _before(world, click, token)
        worker = world.click(step, event, token)
        world.run_some(worker, effects)
        worker.script.close()
        survivor = world.another_worker()
        survivor.send(step, event, token)
        world.clock.advance(survivor.lease + 1)
        # The user reloads and clicks the same button of the same page again.
        again = survivor.send(step, event, token)
        shown = survivor.get(step.flow_id)
        assert len(world.sent()) <= codes, effects
        assert shown.version == again.version, effects
        assert shown.events, effects
        if shown.state == "confirming_address" and world.sent():
            done = survivor.send(shown, SubmitCode(code=world.sent()[-1]), token)
            assert done.message.code == "address_verified" if done.message else False, effects


@pytest.mark.parametrize("fault", ["lost", "broken", "unreachable", "throttled", "blocked"])
@pytest.mark.parametrize("click", CLICKS)
def test_fault_of_a_call_costs_no_second_code(click: str, fault: str) -> None:
    world = AccountWorld()
    token = world.token()
    step, event, codes = _before(world, click, token)
    world.client.faults.extend([fault] * (2 if fault in {"unreachable", "throttled"} else 1))
    after = world.account.send(step, event, token)
    world.client.faults.clear()
    again = world.account.send(step, event, token)
    assert len(world.sent()) <= codes
    assert again.version == after.version
    assert after.events
    if click == "submit_address" and fault in {"lost", "broken"}:
        assert after.state == "confirming_address"
        assert after.message is not None
        assert after.message.code == "address_outcome_unknown"
        done = world.account.send(after, SubmitCode(code=world.sent()[0]), token)
        assert done.state == "managing"
        assert world.attributes()["email_verified"] == "true"


@pytest.mark.parametrize("click", CLICKS)
def test_store_that_loses_writes_costs_no_second_code(click: str) -> None:
    for writes in range(1, 8):
        store = LosingStore()
        world = AccountWorld(store)
        token = world.token()
        step, event, codes = _before(world, click, token)
        world.account.send(step, event, token)
        if writes > store.writes:
            break
        store.lose(writes)
        again = world.account.send(step, event, token)
        assert len(world.sent()) == codes, writes
        assert again.message is not None
        assert again.message.code == "flow_expired", writes


@pytest.mark.parametrize(
    "event",
    [
        AddAuthenticator(),
        ChangePassword(password="Correct-horse-6", new_password="Better-horse-6"),
    ],
    ids=lambda event: event.type,
)
@pytest.mark.parametrize("fault", ["lost", "broken", "unreachable", "throttled", "blocked"])
def test_call_that_sends_nothing_is_not_repeated_either(event: AccountEvent, fault: str) -> None:
    world = AccountWorld()
    token = world.token()
    start = world.account.start()
    twice = fault in {"unreachable", "throttled"}
    world.client.faults.extend([fault] * (2 if twice else 1))
    after = world.account.send(start, event, token)
    world.client.faults.clear()
    requests = len(world.client.requests)
    assert requests == (1 if fault in {"lost", "broken"} else 0)
    again = world.account.send(start, event, token)
    assert (again.version, again.reason.code if again.reason else "") == (after.version, "stale")
    assert len(world.client.requests) == requests
    assert after.state == "managing"


def _killed_in_call(world: AccountWorld, event: AccountEvent, token: str) -> Callable[[], Step]:
    start = world.account.start()
    worker = world.click(start, event, token)
    while not isinstance(worker.effect, CallTransport):
        world.do_one_thing(worker)
    world.do_one_thing(worker)
    worker.script.close()
    return lambda: world.another_worker().get(start.flow_id)


def test_code_of_a_killed_worker_is_waited_for() -> None:
    """Taken out, the user would ask for a second code to the same address."""
    world = AccountWorld()
    token = world.token()
    look = _killed_in_call(world, NEW, token)
    assert look().state == "requesting_setup"
    world.clock.advance(world.account.lease + 1)
    step = look()
    assert step.state == "confirming_address"
    assert "request_new_code" in step.events
    done = world.account.send(step, SubmitCode(code=world.sent()[0]), token)
    assert done.state == "managing"
    assert world.attributes(FAY)["email"] == "new@example.com"
    assert len(world.sent()) == 1


# ── answers that no such call can have ──


@pytest.mark.parametrize(
    "odd", [a_text(), a_text(delivery=None), the_tokens()], ids=["code", "unsent", "tokens"]
)
@pytest.mark.parametrize("click", CLICKS)
def test_answer_of_another_call_leaves_no_flow_in_the_junction(
    click: str, odd: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the flow would stop for good, or the user would be told of a change that was not made."""
    caplog.set_level(logging.INFO)
    world = AccountWorld(listeners=None)
    token = world.token()
    step, event, codes = _before(world, click, token)
    world.transport.odd = odd
    after = world.account.send(step, event, token)
    is_answer = click == "submit_code"
    assert after.state == ("managing" if is_answer else "confirming_address")
    assert after.message is not None
    told = "change_outcome_unknown" if is_answer else "address_outcome_unknown"
    assert after.message.code == told
    assert after.events
    came = "no state waits for the challenge SMS_MFA" if "SMS" in repr(odd) else "tokens_issued"
    assert came in caplog.text
    assert len(world.sent()) == codes
    assert world.account.get(after.flow_id).version == after.version
    if not is_answer:
        done = world.account.send(after, SubmitCode(code=world.sent()[-1]), token)
        assert done.message
        assert done.message.code == "address_verified"


def test_code_that_an_odd_answer_hides_counts_against_the_budget() -> None:
    world = AccountWorld(budget=CodeBudget(per_user=1))
    token = world.token()
    world.transport.odd = a_text(delivery=None)
    world.account.send(world.account.start(), NEW, token)
    assert len(world.sent()) == 1
    again = world.account.send(world.account.start(), NEW, token)
    assert again.reason
    assert again.reason.code == "too_many_codes"
    assert len(world.sent()) == 1
