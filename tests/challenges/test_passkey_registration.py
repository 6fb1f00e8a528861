"""Adding a passkey to an account."""

from __future__ import annotations

from tests.challenges.account_helpers import TOKEN, account_call, changes
from tests.challenges.helpers import step
from tests.flows import asks

from oncegate import SubmitPasskey
from oncegate.account import AccountState, AddPasskey
from oncegate.adapters import (
    Confirmed,
    OutcomeUnknown,
    PasskeyRegistration,
    RegisterPasskey,
    StartPasskey,
)

OPTIONS = '{"challenge": "abc"}'
CREDENTIAL = SubmitPasskey(credential={"id": "x"})
WAITING = changes(AddPasskey(), asks(PasskeyRegistration, options=OPTIONS))


def test_event_asks_for_options_with_the_users_token() -> None:
    call = account_call(changes(AddPasskey()), AddPasskey())
    assert isinstance(call, StartPasskey)
    assert (call.username, call.access_token, call.can_send) == ("ana-own", TOKEN, False)


def test_step_has_the_options_to_create_a_passkey_and_none_to_use_one() -> None:
    shown = step(WAITING)
    assert shown.state is AccountState.REGISTERING_PASSKEY
    assert (shown.passkey_creation, shown.passkey_options) == (OPTIONS, None)
    assert shown.actions[0].label == "Create a passkey"


def test_credential_is_registered_once() -> None:
    call = account_call(changes(CREDENTIAL, flow=WAITING), CREDENTIAL)
    assert isinstance(call, RegisterPasskey)
    assert call.access_token == TOKEN
    assert changes(CREDENTIAL, Confirmed(), flow=WAITING).message == "passkey_added"


def test_unknown_outcome_is_not_repeated() -> None:
    flow = changes(CREDENTIAL, OutcomeUnknown(), flow=WAITING)
    assert (flow.state, flow.message) == (AccountState.MANAGING, "change_outcome_unknown")
