"""Adding an authenticator app to an account."""

from __future__ import annotations

from tests.challenges.account_helpers import TOKEN, account_call, changes
from tests.challenges.helpers import SECRET, action, assert_hidden, step
from tests.doubles import code
from tests.flows import asks

from oncegate.account import AccountState, AddAuthenticator
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
