"""Creating an account: a name, attributes and a password, and the code that confirms it."""

from __future__ import annotations

import pytest
from tests.challenges.helpers import (
    FLOW_ID,
    SECRET,
    action,
    assert_hidden,
    call_of,
    messages,
    refusal,
    step,
)
from tests.doubles import code
from tests.flows import (
    AT_REST,
    CONFIRMATION,
    FLOWS,
    IN_FLIGHT_FLOWS,
    NOW,
    POLICY,
    SIGN_UP,
    rejected,
    walk,
)

from oncegate import (
    Factor,
    FlowState,
    PasswordPolicy,
    SignInWith,
    SignUp,
    SignUpForm,
    WaysIn,
)
from oncegate.adapters import (
    Confirmed,
    ConfirmSignUp,
    CreateAccount,
    Rejected,
    RejectionReason,
    SignUpConfirmation,
    SignUpRequest,
    parse_event,
)
from oncegate.challenges import InMemory, call_for
from oncegate.machine.advance import advance
from oncegate.machine.context import GuardInputs
from oncegate.step import step_of

FLOW = AT_REST[FlowState.SIGNING_UP]
EVENT = SignUp(username="ana", password=SECRET, attributes={"email": "ana@example.com"})
FORM = SignUpForm(attributes=("email", "given_name"), password="optional")


def test_event_is_parsed_from_json() -> None:
    event = parse_event(
        {"type": "sign_up", "username": " ana ", "password": SECRET, "attributes": {"email": "a@b"}}
    )
    assert isinstance(event, SignUp)
    assert (event.username, event.attributes) == ("ana", {"email": "a@b"})
    assert event.first_factor is not None
    assert event.first_factor.get_secret_value() == SECRET
    assert SignUp(username="ana").first_factor is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"password": SECRET}, "username"),
        ({"username": "", "password": SECRET}, "username"),
        ({"username": "ana", "password": ""}, "password"),
        ({"username": "ana", "attributes": {"e mail": "x"}}, "attributes"),
        ({"username": "ana", "attributes": {"email": 7}}, "attributes"),
        ({"username": "ana", "code": "987654"}, "code"),
    ],
)
def test_invalid_field_is_named(fields: dict[str, object], field: str) -> None:
    assert f"sign_up.{field}" in refusal("sign_up", **fields)


def test_form_has_the_name_the_attributes_and_the_password() -> None:
    shown = step_of(
        FLOW_ID, FLOWS["idle"], ways_in=WaysIn(sign_up=FORM), password_policy=PasswordPolicy()
    )
    (form,) = (one for one in shown.actions if one.event == "sign_up")
    assert (form.label, form.summary, form.title) == (
        "Create account",
        "New here? Create account",
        "Create your account",
    )
    assert [field.name for field in form.fields] == [
        "username",
        "attributes.email",
        "attributes.given_name",
        "password",
    ]
    new = form.fields[-1]
    assert (new.autocomplete, new.secret, new.required) == ("new-password", True, False)
    assert len(new.rules) == 5


def test_password_that_is_not_asked_for_has_no_field() -> None:
    shown = step_of(FLOW_ID, FLOWS["idle"], ways_in=WaysIn(sign_up=SignUpForm(password="none")))
    (form,) = (one for one in shown.actions if one.event == "sign_up")
    assert [field.name for field in form.fields] == ["username"]


def test_form_that_was_refused_is_filled_in() -> None:
    shown = step(FLOW)
    assert shown.events == ("sign_up", "cancel")
    assert (shown.title, shown.username) == ("Create your account", "ana")
    values = {field.name: field.value for field in shown.fields}
    assert values == {"username": "ana", "attributes.email": "ana@example.com", "password": ""}


@pytest.mark.parametrize(
    ("reason", "message", "field"),
    [
        (RejectionReason.USERNAME_TAKEN, "username_taken", "username"),
        (RejectionReason.NEW_PASSWORD_REFUSED, "new_password_refused", "password"),
        (RejectionReason.INPUT_REFUSED, "input_refused", None),
    ],
)
def test_refusal_is_shown_at_its_field(
    reason: RejectionReason, message: str, field: str | None
) -> None:
    flow = advance(
        IN_FLIGHT_FLOWS[FlowState.CREATING_ACCOUNT],
        rejected(reason),
        now=NOW,
        policy=POLICY._replace(reveal_existing_users=True),
    )
    shown = step(flow).message
    assert shown is not None
    assert (shown.code, shown.field) == (message, field)


def test_call_has_the_attributes_of_the_form_alone(caplog: pytest.LogCaptureFixture) -> None:
    event = SignUp(
        username="ana", password=SECRET, attributes={"email": "a@b.c", "custom:role": "admin"}
    )
    flow = walk(event)
    call = call_of(flow, event, password=event.password)
    assert flow.state is FlowState.CREATING_ACCOUNT
    assert isinstance(call, CreateAccount)
    assert (call.challenge.username, call.challenge.attributes) == ("ana", {"email": "a@b.c"})
    assert call.password is not None
    assert call.password.get_secret_value() == SECRET
    assert CreateAccount.can_send
    assert_hidden(SECRET, event, call)
    assert "a@b.c" not in f"{call!r} {flow!r}"


def test_password_is_not_stored() -> None:
    assert SECRET not in walk(EVENT).model_dump_json(context={"reveal": True})
    assert walk(EVENT).retained_password is None


def test_password_that_is_retained_signs_in_after_the_confirmation() -> None:
    policy = POLICY._replace(retain_password=True)
    flow = FLOWS["idle"]
    for trigger in (EVENT, CONFIRMATION, code(), Confirmed()):
        flow = advance(flow, trigger, now=NOW, policy=policy, digest="d")
    assert flow.state is FlowState.CHECKING_PASSWORD
    assert flow.retained_password is not None


def test_session_of_the_confirmation_signs_in() -> None:
    flow = walk(EVENT, CONFIRMATION, code())
    call = call_for(flow, InMemory(event=code()))
    assert isinstance(call, ConfirmSignUp)
    assert call.session is not None
    assert call.session.get_secret_value() == "session of the sign-up"
    after = walk(Confirmed.model_validate({"session": "another session"}), flow=flow)
    assert after.state is FlowState.CHECKING_PASSWORD


def test_session_that_has_ended_is_not_used() -> None:
    flow = walk(EVENT, CONFIRMATION)
    late = advance(flow, code(), now=NOW + 176, policy=POLICY, digest="d")
    call = call_for(late, InMemory(event=code()))
    assert isinstance(call, ConfirmSignUp)
    assert call.session is None


def test_user_whom_the_pool_confirms_is_signed_in_at_once() -> None:
    inputs = GuardInputs(password=EVENT.password)
    assert walk(EVENT, Confirmed(), inputs=inputs).state is FlowState.CHECKING_PASSWORD


def test_choices_of_another_user_are_forgotten() -> None:
    """Also at an identity provider, which says who the user is only afterwards."""
    chosen = {
        "username": "ana",
        "own_name": "a",
        "remember_device": True,
        "password_changed": True,
        "preselected_factor": Factor.SMS,
    }
    for event in (EVENT.model_copy(update={"username": "ben"}), SignInWith(provider="Google")):
        flow = walk(event, flow=FLOWS["idle"].model_copy(update=chosen))
        assert (flow.own_name, flow.remember_device, flow.preselected_factor) == ("", None, None)
        assert not flow.password_changed


def test_name_that_is_taken_looks_like_a_new_one() -> None:
    """P6: the same step. Only the session of the sign-up differs, which no caller sees."""
    new = walk(EVENT, CONFIRMATION)
    taken = walk(EVENT, Rejected(reason=RejectionReason.USERNAME_TAKEN))
    assert step(new) == step(taken)
    assert step(new).message is not None
    assert isinstance(taken.challenge, SignUpConfirmation)
    assert new.challenge_ends == taken.challenge_ends
    assert new.new_code_at == taken.new_code_at


def test_refusals_have_words_of_their_own() -> None:
    assert messages(IN_FLIGHT_FLOWS[FlowState.CREATING_ACCOUNT]) == {
        "new_password_refused": "new_password_refused"
    }


def test_request_is_no_challenge_of_a_user_who_exists() -> None:
    assert isinstance(FLOW.challenge, SignUpRequest)
    assert (FLOW.challenge.username, FLOW.own_name) == ("ana", "")
    assert action(FLOW, "sign_up").is_main
    assert SIGN_UP.username == "ana"
