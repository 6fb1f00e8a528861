"""Setting up codes by email during sign-in."""

from __future__ import annotations

import pytest
from tests.challenges.helpers import action, call_of, messages, refusal, step
from tests.doubles import password
from tests.flows import AT_REST, SETUP, walk

from oncegate import ChooseFactor, Factor, FlowState, SubmitEmail
from oncegate.adapters import RequestCode, parse_event

FLOW = AT_REST[FlowState.SETTING_UP_EMAIL]
EVENT = SubmitEmail(email="ana@example.com")


def test_choosing_email_to_set_up_waits_for_the_address() -> None:
    flow = walk(password(), SETUP, ChooseFactor(factor=Factor.EMAIL))
    assert flow.state is FlowState.SETTING_UP_EMAIL
    assert flow.challenge == walk(password(), SETUP).challenge
    assert step(flow).title == "Get codes by email"


def test_address_is_stripped() -> None:
    event = parse_event({"type": "submit_email", "email": " ana@example.com\n"})
    assert event == EVENT


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ana",
        "@example.com",
        "ana@",
        "a@b@example.com",
        "an a@example.com",
        "ana@example.com\r\nBcc: all@example.com",
        "a" * 65 + "@example.com",
        "ana@" + "e" * 191,
        None,
        ["ana@example.com"],
    ],
)
def test_invalid_address_is_named(typed: object) -> None:
    assert "submit_email.email: " in refusal("submit_email", email=typed)


def test_form_has_an_email_field() -> None:
    main = action(FLOW, "submit_email")
    (field,) = main.fields
    assert (main.label, main.is_main) == ("Send code", True)
    assert (field.name, field.label, field.type) == ("email", "Email", "email")
    assert (field.autocomplete, field.inputmode, field.secret) == ("email", "email", False)


def test_call_requests_a_code_to_the_address() -> None:
    flow = walk(EVENT, flow=FLOW)
    call = call_of(flow, EVENT)
    assert flow.state is FlowState.REQUESTING_CHALLENGE
    assert isinstance(call, RequestCode)
    assert (call.factor, call.email) == (Factor.EMAIL, "ana@example.com")
    assert call.challenge == FLOW.challenge


def test_address_cannot_be_corrected_after_a_rejection() -> None:
    assert messages(walk(EVENT, flow=FLOW)) == {
        "wrong_credentials": "answer_refused",
        "code_expired": "challenge_dead",
        "factor_unusable": "factor_unusable",
    }
    assert EVENT.answered_with == ()
