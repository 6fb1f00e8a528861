"""Confirming a sign-up with its code."""

from __future__ import annotations

import pytest
from tests.challenges.helpers import action, assert_hidden, call_of, messages, step
from tests.doubles import code
from tests.flows import AT_REST, walk

from oncegate import FlowState
from oncegate.adapters import ConfirmSignUp, SignUpConfirmation

FLOW = AT_REST[FlowState.AWAITING_CONFIRMATION]


def test_refused_sign_in_waits_in_awaiting_confirmation() -> None:
    assert isinstance(FLOW.challenge, SignUpConfirmation)
    assert FLOW.challenge.username == "ana"
    assert (step(FLOW).title, step(FLOW).challenge) == ("Confirm your account", "CONFIRM_SIGN_UP")
    assert step(FLOW).attempts_left == 5


def test_form_has_a_code_of_6_digits() -> None:
    main = action(FLOW, "submit_code")
    (field,) = main.fields
    assert (main.label, main.is_main) == ("Confirm account", True)
    assert (field.name, field.label, field.pattern) == ("code", "Code", "[0-9]{4,12}")
    assert (field.autocomplete, field.inputmode) == ("one-time-code", "numeric")


def test_call_confirms_and_cannot_send() -> None:
    flow = walk(code(), flow=FLOW)
    call = call_of(flow, code("987654"))
    assert isinstance(call, ConfirmSignUp)
    assert call.challenge == flow.challenge
    assert call.code.get_secret_value() == "987654"
    assert not ConfirmSignUp.can_send
    assert_hidden("987654", call)


def test_wrong_and_expired_codes_can_be_corrected() -> None:
    assert messages(walk(code(), flow=FLOW)) == {
        "wrong_credentials": "recovery_refused",
        "wrong_code": "recovery_refused",
        "code_already_used": "recovery_refused",
        "code_expired": "recovery_refused",
        "factor_unusable": "recovery_refused",
    }


@pytest.mark.parametrize("event", ["submit_password", "reset_password", "choose_factor"])
def test_other_answers_are_not_offered(event: str) -> None:
    assert event not in step(FLOW).events
