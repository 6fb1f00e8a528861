"""Setting up an authenticator app during sign-in."""

from __future__ import annotations

from tests.challenges.helpers import SECRET, action, assert_hidden, call_of, messages, step
from tests.doubles import code, password
from tests.flows import INPUTS, KEY, asks, walk

from oncegate import FlowState
from oncegate.adapters import CheckCode, TotpSetup

URI = f"otpauth://totp/pool:ana?secret={SECRET}"
FLOW = walk(password(), asks(TotpSetup, secret=SECRET, uri=URI))


def test_challenge_waits_in_setting_up_totp() -> None:
    assert FLOW.state is FlowState.SETTING_UP_TOTP
    assert (step(FLOW).title, step(FLOW).attempts_left) == ("Set up your authenticator app", 5)


def test_step_has_the_secret_and_the_uri_for_the_user_alone() -> None:
    shown = step(FLOW)
    assert shown.totp is not None
    assert (shown.totp.secret, shown.totp.uri) == (SECRET, URI)
    assert SECRET not in repr(shown)
    assert_hidden(SECRET, FLOW)


def test_form_has_a_code_of_6_digits() -> None:
    main = action(FLOW, "submit_code")
    (field,) = main.fields
    assert (main.label, main.label_code) == ("Finish setup", "action.submit_code.setting_up_totp")
    assert (field.name, field.label) == ("code", "Code")
    assert field.pattern == "[0-9]{4,12}"


def test_call_answers_the_challenge_and_cannot_send() -> None:
    flow = walk(password(), asks(TotpSetup, secret=SECRET, uri=URI), code(), inputs=INPUTS)
    call = call_of(flow, code("987654"))
    assert isinstance(call, CheckCode)
    assert (call.challenge, call.device_key) == (flow.challenge, KEY)
    assert call.code.get_secret_value() == "987654"
    assert_hidden("987654", call)
    assert_hidden(SECRET, call)


def test_wrong_code_can_be_corrected() -> None:
    assert messages(walk(code(), flow=FLOW)) == {
        "wrong_credentials": "answer_refused",
        "wrong_code": "wrong_code",
        "code_already_used": "code_already_used",
        "code_expired": "code_expired",
    }


def test_new_code_is_not_offered() -> None:
    assert step(FLOW).events == ("submit_code", "cancel")
