"""Resetting a password with the code that Cognito sent for it."""

from __future__ import annotations

import pytest
from tests.challenges.helpers import SECRET, action, assert_hidden, call_of, messages, refusal, step
from tests.doubles import password
from tests.flows import AT_REST, FLOWS, rejected, walk

from oncegate import FlowState, ForgotPassword, ResetPassword
from oncegate.adapters import (
    NotSent,
    PasswordReset,
    Rejected,
    RejectionReason,
    ResetPasswordWith,
    parse_event,
)

FLOW = FLOWS["reset before a code was sent"]
SENT = AT_REST[FlowState.AWAITING_RESET]
EVENT = ResetPassword(code="987 654", new_password=SECRET)


def test_refused_sign_in_waits_in_awaiting_reset() -> None:
    assert isinstance(FLOW.challenge, PasswordReset)
    assert FLOW.challenge.username == "ana"
    assert (step(FLOW).title, step(FLOW).challenge) == ("Reset your password", "RESET_PASSWORD")


def test_reset_is_of_the_user_who_is_named() -> None:
    """Cognito has told ana's own name; bob's sign-in was not even sent."""
    told = Rejected(reason=RejectionReason.WRONG_CREDENTIALS, username="the-own-name-of-ana")
    bob = password(username="bob")
    flow = walk(password(), told, bob, NotSent(cause="throttled"), ForgotPassword(username="bob"))
    assert flow.challenge is not None
    assert flow.challenge.username == "bob"


def test_separators_are_removed_from_the_code_alone() -> None:
    event = parse_event({"type": "reset_password", "code": "987-654", "new_password": "a-b c"})
    assert isinstance(event, ResetPassword)
    assert event.answered_with == ("987654", "a-b c")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"new_password": SECRET}, "code"),
        ({"new_password": SECRET, "code": "abcdef"}, "code"),
        ({"code": "987654"}, "new_password"),
        ({"code": "987654", "new_password": ""}, "new_password"),
        ({"code": "987654", "new_password": "hunter2!" * 33}, "new_password"),
        ({"code": "987654", "new_password": SECRET, "username": "bert"}, "username"),
    ],
)
def test_invalid_field_is_named(fields: dict[str, object], field: str) -> None:
    assert f"reset_password.{field}: " in refusal("reset_password", **fields)


def test_form_has_the_code_and_the_new_password() -> None:
    main = action(SENT, "reset_password")
    one_time, new = main.fields
    assert (main.label, main.is_main) == ("Save password", True)
    assert (one_time.name, one_time.label, one_time.pattern) == ("code", "Code", "[0-9]{4,12}")
    assert (new.name, new.label, new.type) == ("new_password", "New password", "password")
    assert (new.autocomplete, new.secret) == ("new-password", True)


def test_code_is_requested_first() -> None:
    shown = step(FLOW)
    assert shown.events == ("request_new_code", "reset_password", "cancel")
    first, reset, _ = shown.actions
    assert (first.label, first.is_main, first.hint) == ("Send code", True, "")
    assert not reset.is_main
    assert shown.delivery is None


def test_reset_comes_first_once_a_code_was_requested() -> None:
    shown = step(SENT)
    assert shown.delivery is not None
    assert shown.events == ("reset_password", "request_new_code", "cancel")
    assert shown.actions[1].label == "Send a new code"


def test_reset_stays_first_after_a_wrong_code_that_was_sent_by_others() -> None:
    """Such as by an administrator: the message is about a field of the main action."""
    shown = step(walk(EVENT, rejected(RejectionReason.WRONG_CODE), flow=FLOW))
    assert (shown.delivery, shown.events[0]) == (None, "reset_password")
    assert shown.message is not None
    assert (shown.message.code, shown.message.field) == ("recovery_refused", "code")


def test_reset_comes_first_if_no_code_can_be_requested() -> None:
    shown = step(FLOW.model_copy(update={"new_codes_left": 0}))
    assert shown.events == ("reset_password", "cancel")


def test_call_sets_the_password_and_cannot_send() -> None:
    flow = walk(EVENT, flow=FLOW)
    call = call_of(flow, EVENT)
    assert flow.state is FlowState.SETTING_PASSWORD
    assert isinstance(call, ResetPasswordWith)
    assert call.challenge == flow.challenge
    assert (call.code.get_secret_value(), call.new_password.get_secret_value()) == (
        "987654",
        SECRET,
    )
    assert not ResetPasswordWith.can_send
    assert_hidden(SECRET, EVENT, call)
    assert_hidden("987654", EVENT, call)


def test_new_password_is_the_next_first_factor() -> None:
    assert EVENT.first_factor.get_secret_value() == SECRET


def test_code_and_password_can_be_corrected() -> None:
    assert messages(walk(EVENT, flow=FLOW)) == {
        "wrong_credentials": "recovery_refused",
        "wrong_code": "recovery_refused",
        "code_already_used": "recovery_refused",
        "code_expired": "recovery_refused",
        "new_password_refused": "new_password_refused",
        "factor_unusable": "recovery_refused",
    }
