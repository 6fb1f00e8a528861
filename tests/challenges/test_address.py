"""A new phone number or email address of an account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from tests.account_world import GIL, TAKEN, AccountWorld
from tests.challenges.account_helpers import TOKEN, account_call, changes
from tests.challenges.helpers import assert_hidden, step
from tests.doubles import code

from oncegate import RequestNewCode
from oncegate.account import AccountState, AddAuthenticator, Cancel, SubmitAddress
from oncegate.adapters import (
    AddressVerification,
    ChallengeIssued,
    ChangeAddress,
    ConfirmAddress,
    Confirmed,
    InvalidEvent,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    SendAddressCode,
)
from oncegate.budget import DEFAULT_BUDGET, GuessLimit
from oncegate.challenges import Delivery
from oncegate_sandbox import PoolSeed

PHONE = SubmitAddress(attribute="phone_number", address="+1 (555) 000-1234")
IN_FLIGHT = changes(PHONE)
SENT = ChallengeIssued(
    challenge=AddressVerification(
        username="ana-own",
        attribute="phone_number",
        address="+15550001234",
        delivery=Delivery(medium="SMS", destination="+*******1234"),
    )
)
WAITING = changes(PHONE, SENT)


def test_phone_number_is_sent_as_cognito_takes_it() -> None:
    call = account_call(IN_FLIGHT, PHONE)
    assert isinstance(call, ChangeAddress)
    assert (call.challenge.attribute, call.challenge.address) == ("phone_number", "+15550001234")
    assert (call.can_send, call.access_token) == (True, TOKEN)
    assert "5550001234" not in repr(call)


@pytest.mark.parametrize(
    "fields",
    [
        {"address": "a@b.c"},
        {"attribute": "custom:role", "address": "x@y.z"},
        # Cognito takes a blank value for the wish to delete the address.
        *({"attribute": "email", "address": blank} for blank in ("", "   ", "\t \r\n")),
        *({"attribute": "phone_number", "address": blank} for blank in (" - - ", "( )", "...")),
    ],
)
def test_other_attributes_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidEvent):
        SubmitAddress(**fields)


def test_step_tells_where_the_code_went() -> None:
    shown = step(WAITING)
    assert shown.state is AccountState.CONFIRMING_ADDRESS
    assert shown.delivery == Delivery(medium="SMS", destination="+*******1234")
    assert shown.events == ("submit_code", "request_new_code", "cancel")


def test_another_code_is_requested_and_a_code_is_confirmed() -> None:
    later = WAITING.model_copy(update={"new_code_at": None})
    again = account_call(changes(RequestNewCode(), flow=later), RequestNewCode())
    assert isinstance(again, SendAddressCode)
    assert again.can_send
    call = account_call(changes(code("987654"), flow=WAITING), code("987654"))
    assert isinstance(call, ConfirmAddress)
    assert not call.can_send
    assert_hidden("987654", call)
    done = changes(code("987654"), Confirmed(), flow=WAITING)
    assert (done.state, done.message) == (AccountState.MANAGING, "address_verified")


def test_unknown_outcome_waits_for_the_code() -> None:
    flow = changes(PHONE, OutcomeUnknown())
    assert (flow.state, flow.message) == (
        AccountState.CONFIRMING_ADDRESS,
        "address_outcome_unknown",
    )
    assert flow.new_code_at is not None


def test_address_of_another_user_is_refused_and_forgotten() -> None:
    taken = Rejected(reason=RejectionReason.INPUT_REFUSED, message="address_taken")
    flow = changes(PHONE, taken)
    assert (flow.state, flow.message, flow.challenge) == (
        AccountState.MANAGING,
        "address_taken",
        None,
    )


def test_new_code_after_an_unknown_outcome_names_the_address_again() -> None:
    """Cognito may not have it, and would send the code to the address that it has."""
    for outcome, kind in ((OutcomeUnknown(), ChangeAddress), (SENT, SendAddressCode)):
        waiting = changes(PHONE, outcome)
        again = changes(RequestNewCode(), flow=waiting.model_copy(update={"new_code_at": 0.0}))
        call = account_call(again, RequestNewCode())
        assert isinstance(call, kind)
        assert call.can_send
        assert call.challenge.address == PHONE.address


# ── against a pool ──


@pytest.mark.parametrize("limits", [{}, {"budget": None, "guess_limit": None}], ids=len)
def test_flow_of_an_earlier_address_causes_no_code_for_a_later_one(limits: dict[str, Any]) -> None:
    """Cognito would send it to the later one, and it would count against the budget of the earlier."""
    world = AccountWorld(**limits)
    token = world.token()
    earlier, later = (
        world.account.send(
            world.account.start(), SubmitAddress(attribute="email", address=address), token
        )
        for address in ("one@example.com", "two@example.com")
    )
    world.clock.advance(31)
    earlier = world.account.send(earlier, RequestNewCode(), token)
    assert earlier.message is not None
    assert (earlier.state, earlier.message.code) == (
        AccountState.CONFIRMING_ADDRESS,
        "address_replaced",
    )
    assert len(world.sent()) == 2
    earlier = world.account.send(earlier, code(world.sent()[-1]), token)
    assert earlier.message is not None
    assert earlier.message.code == "address_replaced"
    assert world.attributes()["email_verified"] == "false"
    assert world.account.send(earlier, Cancel(), token).state is AccountState.MANAGING
    later = world.account.send(later, RequestNewCode(), token)
    assert len(world.sent()) == 3
    later = world.account.send(later, code(world.sent()[-1]), token)
    assert later.message is not None
    assert later.message.code == "address_verified"
    assert world.attributes()["email"] == "two@example.com"


def test_addresses_that_are_taken_cannot_be_tried_without_end() -> None:
    """Each answer tells whether an address has an account. Its own budget is left to its owner."""
    by_email = PoolSeed(username_attributes=("email",))
    world = AccountWorld(pool=by_email)
    token, told = world.token(), list[str]()
    for _ in range(DEFAULT_BUDGET.per_user + 1):
        taken = SubmitAddress(attribute="email", address=TAKEN)
        step = world.account.send(world.account.start(), taken, token)
        said = step.message or step.reason
        assert said is not None
        told.append(said.code)
    assert told == ["address_taken"] * DEFAULT_BUDGET.per_user + ["too_many_codes"]
    assert world.sent() == []
    other = AccountWorld(store=world.store)
    again = other.account.send(
        other.account.start(), SubmitAddress(attribute="email", address=TAKEN), other.token(GIL)
    )
    assert again.reason is None


def test_flow_of_one_kind_of_address_goes_on_beside_that_of_the_other() -> None:
    world = AccountWorld()
    token = world.token()
    mail = SubmitAddress(attribute="email", address="one@example.com")
    first = world.account.send(world.account.start(), mail, token)
    world.account.send(world.account.start(), PHONE, token)
    first = world.account.send(first, code(world.sent()[0]), token)
    assert first.message is not None
    assert first.message.code == "address_verified"


def _with_app(world: AccountWorld, token: str) -> None:
    """Have the user confirm an authenticator app of their own."""
    step = world.account.send(world.account.start(), AddAuthenticator(), token)
    assert step.totp is not None
    app = pyotp.TOTP(step.totp.secret).at(int(world.clock.now()))
    step = world.account.send(step, code(app), token)
    assert step.message is not None
    assert step.message.code == "authenticator_added"


def _with_own_address(world: AccountWorld, token: str) -> None:
    """Have the user confirm an address of their own."""
    own = SubmitAddress(attribute="email", address="own@example.com")
    step = world.account.send(world.account.start(), own, token)
    step = world.account.send(step, code(world.sent()[-1]), token)
    assert step.message is not None
    assert step.message.code == "address_verified"


@pytest.mark.parametrize("with_right_code", [_with_app, _with_own_address])
def test_right_code_of_another_kind_gives_no_guesses_back(
    with_right_code: Callable[[AccountWorld, str], None],
) -> None:
    """Otherwise a user could guess the code for an address that is not theirs."""
    world = AccountWorld(guess_limit=GuessLimit(free=2))
    token = world.token()
    step = world.account.send(world.account.start(), PHONE, token)
    wrong = (f"{number:06}" for number in range(10) if f"{number:06}" not in world.sent())
    for _ in range(2):
        step = world.account.send(step, code(next(wrong)), token)
        assert step.reason is None
    with_right_code(world, token)
    step = world.account.send(step, code(next(wrong)), token)
    assert step.reason is not None
    assert step.reason.code == "too_many_guesses"
    assert world.asked("VerifyUserAttribute") == 2 + (with_right_code is _with_own_address)
