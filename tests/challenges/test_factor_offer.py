"""Offering a second factor after a sign-in."""

from __future__ import annotations

from typing import Any

import pyotp
import pytest
from tests.account_world import FAY, GIL, AccountWorld
from tests.challenges.account_helpers import TOKEN, account_call, changes
from tests.challenges.helpers import step
from tests.flows import asks

from oncegate import Cancel, InvalidInput, Step, SubmitCode
from oncegate.account import AccountState, AddAuthenticator, AddPasskey, OfferFactor
from oncegate.adapters import FactorOffer, FindFactors
from oncegate.driver.effects import CallTransport

OFFER = asks(FactorOffer, factors=("passkey", "authenticator"))
OFFERED = changes(OfferFactor(), OFFER)


def test_event_asks_what_the_user_has_with_the_users_token() -> None:
    event = OfferFactor(factors=("passkey",))
    call = account_call(changes(event), event)
    assert isinstance(call, FindFactors)
    assert (call.username, call.access_token) == ("ana-own", TOKEN)
    assert (call.factors, call.can_send) == (("passkey",), False)


def test_step_has_what_is_offered_and_a_way_to_decline() -> None:
    shown = step(OFFERED)
    assert (shown.state, shown.title) == (AccountState.OFFERING_FACTOR, "Add a second step?")
    assert shown.events == ("add_passkey", "add_authenticator", "cancel")
    assert shown.actions[-1].label == "Not now"
    only = step(changes(OfferFactor(), asks(FactorOffer, factors=("passkey",))))
    assert only.events == ("add_passkey", "cancel")


def test_application_and_not_the_user_makes_the_offer() -> None:
    assert "offer_factor" not in step(changes()).events


def test_setup_drops_the_offer_and_declining_calls_nothing() -> None:
    taken = changes(AddPasskey(), flow=OFFERED)
    assert (taken.state, taken.challenge) == (AccountState.REQUESTING_SETUP, None)
    declined = changes(Cancel(), flow=OFFERED)
    assert (declined.state, declined.message) == (AccountState.MANAGING, None)


@pytest.mark.parametrize("factors", [(), ("sms",), ("passkey",) * 3])
def test_offer_of_nothing_or_of_what_cannot_be_set_up_is_refused(factors: Any) -> None:
    with pytest.raises(InvalidInput):
        OfferFactor(factors=factors)


# ── against a pool ──


def offered(world: AccountWorld, user: str = FAY) -> Step:
    """Have a second factor offered to a user who has just signed in, in a new browser."""
    return world.account.send(world.account.start(), OfferFactor(), world.token(user))


def test_user_is_asked_once_in_all_browsers_and_again_after_the_time() -> None:
    world = AccountWorld(offer_every=86400)
    first = offered(world)
    assert first.state is AccountState.OFFERING_FACTOR
    second = offered(world)
    assert second.state is AccountState.MANAGING
    assert second.reason is not None
    assert second.reason.code == "offered_before"
    assert offered(world, GIL).state is AccountState.OFFERING_FACTOR
    assert world.asked("GetUserAuthFactors") == 2  # who is not due costs no request
    world.clock.advance(86401)
    assert offered(world).state is AccountState.OFFERING_FACTOR


def test_offer_stands_for_a_reload_and_ends_in_time() -> None:
    world = AccountWorld()
    shown = offered(world)
    assert world.account.get(shown.flow_id).state is AccountState.OFFERING_FACTOR
    world.clock.advance(901)
    later = world.account.get(shown.flow_id)
    assert (later.state, later.message) == (AccountState.MANAGING, None)


def test_user_with_a_second_factor_is_not_asked() -> None:
    world = AccountWorld()
    token = world.token()
    step = world.account.send(world.account.start(), AddAuthenticator(), token)
    assert step.totp is not None
    code = pyotp.TOTP(step.totp.secret).at(int(world.clock.now()))
    step = world.account.send(step, SubmitCode(code=code), token)
    assert step.message is not None
    assert step.message.code == "authenticator_added"
    asked = world.account.send(world.account.start(), OfferFactor(), token)
    assert (asked.state, asked.reason, asked.message) == (AccountState.MANAGING, None, None)


@pytest.mark.parametrize("fault", ["lost", "broken", "blocked"])
def test_offer_that_could_not_be_made_is_made_at_the_next_sign_in(fault: str) -> None:
    world = AccountWorld()
    worker = world.click(world.account.start(), OfferFactor(), world.token())
    while worker.step is None:
        world.do_one_thing(worker, fault if isinstance(worker.effect, CallTransport) else None)
    assert (worker.step.state, worker.step.message) == (AccountState.MANAGING, None)
    assert offered(world).state is AccountState.OFFERING_FACTOR


def test_two_browsers_at_once_ask_once_in_every_order() -> None:
    world = AccountWorld()
    alone = world.click(world.account.start(), OfferFactor(), world.token())
    world.run(alone)
    for before in range(alone.done + 1):
        world = AccountWorld()
        token = world.token()
        first = world.click(world.account.start(), OfferFactor(), token)
        second = world.click(world.account.start(), OfferFactor(), token)
        world.run_some(first, before)
        states = [world.run(second).state, world.run(first).state]
        assert states.count(AccountState.OFFERING_FACTOR) == 1, before
