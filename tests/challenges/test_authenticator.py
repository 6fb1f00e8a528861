"""Adding an authenticator app to an account."""

from __future__ import annotations

import asyncio

import pytest
from tests.account_world import FAY, GIL, AccountWorld
from tests.challenges.account_helpers import TOKEN, account_call, changes
from tests.challenges.helpers import SECRET, action, assert_hidden, step
from tests.doubles import code
from tests.flows import asks

from oncegate import Factor, FlowState
from oncegate.account import AccountEvent, AccountState, AddAuthenticator, Cancel, UseFactor
from oncegate.adapters import (
    AuthenticatorSetup,
    ConfirmAuthenticator,
    Confirmed,
    Rejected,
    RejectionReason,
    StartAuthenticator,
)

URI = f"otpauth://totp/pool:ana?secret={SECRET}"
ADD = AddAuthenticator(name=" My phone ")
WAITING = changes(ADD, asks(AuthenticatorSetup, secret=SECRET, uri=URI, name="My phone"))


def test_event_starts_with_a_call_that_names_the_user() -> None:
    call = account_call(changes(ADD), ADD)
    assert isinstance(call, StartAuthenticator)
    assert (call.username, call.name, call.can_send) == ("ana-own", "My phone", False)
    assert_hidden(TOKEN.get_secret_value(), call)


def test_step_has_the_secret_and_the_uri_for_the_user_alone() -> None:
    shown = step(WAITING)
    assert (shown.state, shown.attempts_left) == (AccountState.CONFIRMING_AUTHENTICATOR, 5)
    assert shown.totp is not None
    assert (shown.totp.secret, shown.totp.uri) == (SECRET, URI)
    assert shown.events == ("submit_code", "cancel")
    assert_hidden(SECRET, WAITING)


def test_code_is_confirmed_with_the_users_token() -> None:
    flow = changes(code("987654"), flow=WAITING)
    call = account_call(flow, code("987654"))
    assert isinstance(call, ConfirmAuthenticator)
    assert (call.challenge, call.access_token) == (WAITING.challenge, TOKEN)
    assert_hidden("987654", call)
    done = changes(code("987654"), Confirmed(), flow=WAITING)
    assert (done.state, done.message, done.challenge) == (
        AccountState.MANAGING,
        "authenticator_added",
        None,
    )


def test_wrong_code_can_be_corrected() -> None:
    flow = changes(code(), Rejected(reason=RejectionReason.WRONG_CODE), flow=WAITING)
    assert (flow.state, flow.message) == (WAITING.state, "wrong_code")
    assert flow.attempts_left == 4


def test_cancel_is_labelled_for_an_account() -> None:
    assert action(WAITING, "cancel").label == "Cancel"


@pytest.mark.parametrize(
    "event",
    [
        *(Cancel(), AddAuthenticator(), code("987654")),
        UseFactor(factor=Factor.TOTP, use="off"),
    ],
    ids=lambda event: event.type,
)
def test_another_user_with_the_id_of_the_flow_does_not_get_the_secret(event: AccountEvent) -> None:
    world = AccountWorld()
    mine = world.account.send(world.account.start(), ADD, world.token(FAY))
    assert mine.totp is not None
    theirs = world.account.send(mine, event, world.token(GIL))
    assert (theirs.state, theirs.totp, theirs.username) == (FlowState.FAILED, None, "")
    assert world.account.get(mine.flow_id) == mine


def test_step_is_for_the_owner_of_the_flow_alone() -> None:
    world = AccountWorld()
    mine = world.account.send(world.account.start(), ADD, world.token(FAY))
    subs = [world.pool.users.find(name) for name in (FAY, GIL)]
    fay, gil = [user.sub for user in subs if user is not None]
    assert world.account.get(mine.flow_id, owner=fay).totp == mine.totp
    assert world.account.get(mine.flow_id, owner=gil).state is FlowState.FAILED
    shown = asyncio.run(world.asynchronous().get(mine.flow_id, owner=gil))
    assert (shown.state, shown.totp) == (FlowState.FAILED, None)
    new = world.account.start()
    assert world.account.get(new.flow_id, owner=gil).state is AccountState.MANAGING
