"""Every way in, by one user after another: each click is made twice, and each page reloaded.

Sources: [dev] AWS developer guide; [API] API reference.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError
from pycognito import Cognito
from tests.walks.walker import EVERY, NEW_PASSWORD, PASSWORD, Walk, Walker, user

from oncegate import (
    ChooseFactor,
    Event,
    Factor,
    ForgotPassword,
    Provider,
    ResetPassword,
    SignInWith,
    SignUp,
    SignUpForm,
    Step,
    SubmitAuthorization,
    SubmitCode,
    SubmitPassword,
    SubmitUsername,
    WaysIn,
)

EMAIL = "ana@example.com"
FORM = SignUpForm(attributes=("email",))
JOIN = SignUp(username="ana", password=PASSWORD, attributes={"email": EMAIL})


def clicked_twice(walked: Walk, event: Event) -> Step:
    """Send an event twice from the same step, and reload: both clicks end on one step."""
    seen = walked.step
    first = walked.sign_in.send(seen, event)
    second = walked.sign_in.send(seen, event)
    assert second.reason is not None
    assert (second.state, second.version) == (first.state, first.version)
    assert walked.sign_in.get(first.flow_id).version == first.version
    walked.step = first
    return first


def mails(walked: Walk) -> int:
    return len(walked.sandbox.messages())


def told(step: Step) -> tuple[str, str | None]:
    return step.state.value, step.message.code if step.message else None


def back_from(walked: Walk, email: str | None) -> SubmitAuthorization:
    """Go to the provider's page and come back, as a browser does."""
    assert walked.step.authorize_url is not None
    url = walked.sandbox.return_from_provider(walked.step.authorize_url, email)
    return SubmitAuthorization.model_validate(
        {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    )


def with_google(walk: Walker, *users: Any, **more: Any) -> Walk:
    """Start a pool that has an identity provider, and an application at localhost."""
    return walk(
        *users,
        ways_in=WaysIn(sign_up=FORM, providers=(Provider(name="Google"),)),
        redirect_uri="http://localhost:8000/auth/callback",
        **more,
    )


def test_new_user_signs_up_forgets_the_password_and_comes_back_by_every_way(
    walk: Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "unused")  # pycognito's boto3 asks for some
    w = with_google(
        walk,
        pool={"first_factors": []},
        sign_in={"new_code_cooldown": 0, "retain_password": True},
    )
    assert told(clicked_twice(w, JOIN)) == ("awaiting_confirmation", "sign_up_sent")
    assert mails(w) == 1
    clicked_twice(w, SubmitCode(code=w.newest_code()))
    w.assert_signed_in(codes=1)
    assert others_sign_in(w, PASSWORD)

    w.start()
    step = clicked_twice(w, ForgotPassword(username="ana"))
    assert (step.state, mails(w)) == ("awaiting_reset", 2)
    clicked_twice(w, ResetPassword(code=w.newest_code(), new_password=NEW_PASSWORD))
    w.assert_signed_in(codes=2)

    w.start()
    clicked_twice(w, SubmitPassword(username="ana", password=NEW_PASSWORD))
    w.assert_signed_in(codes=2)

    w.start()
    clicked_twice(w, SignInWith(provider="Google"))
    clicked_twice(w, back_from(w, EMAIL))
    w.assert_signed_in(codes=2)
    assert others_sign_in(w, NEW_PASSWORD)
    assert not others_sign_in(w, PASSWORD)


def others_sign_in(walked: Walk, password: str) -> bool:
    """Sign the same user in with pycognito, an independent client."""
    client = Cognito(
        walked.sandbox.pool_id,
        walked.sandbox.client_id,
        username="ana",
        boto3_client_kwargs={"endpoint_url": walked.sandbox.endpoint},
    )
    try:
        client.authenticate(password)
    except ClientError as refused:
        if refused.response["Error"]["Code"] != "NotAuthorizedException":
            raise
        return False
    return bool(client.access_token)


# ── a new account ──


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"password": "weak"}, "password_too_short"),
        ({"attributes": {"email": "no address"}}, "email_refused"),
    ],
    ids=["weak password", "no address"],
)
def test_refused_sign_up_waits_filled_in_and_sends_nothing(
    walk: Walker, event: dict[str, Any], expected: str
) -> None:
    """[API] SignUp: InvalidPasswordException, InvalidParameterException"""
    w = walk(ways_in=WaysIn(sign_up=FORM), pool={"required_attributes": ["email"]})
    step = w.send(JOIN.model_copy(update=event_fields(event)))
    assert told(step) == ("signing_up", expected)
    assert {field.name: field.value for field in step.fields}["username"] == "ana"
    assert mails(w) == 0
    assert told(clicked_twice(w, JOIN)) == ("awaiting_confirmation", "sign_up_sent")
    assert mails(w) == 1


def event_fields(event: dict[str, Any]) -> dict[str, Any]:
    made = SignUp(**{"username": "ana", "password": PASSWORD, **event})
    return {name: getattr(made, name) for name in event}


def test_name_that_is_taken_is_told_only_if_the_application_wants_it(walk: Walker) -> None:
    w = walk(user(), ways_in=WaysIn(sign_up=FORM))
    assert told(clicked_twice(w, JOIN)) == ("awaiting_confirmation", "sign_up_sent")
    w = walk(user(), ways_in=WaysIn(sign_up=FORM), sign_in={"reveal_existing_users": True})
    step = clicked_twice(w, JOIN)
    assert told(step) == ("signing_up", "username_taken")
    assert step.message is not None
    assert step.message.field == "username"
    assert mails(w) == 0


def test_user_without_a_password_is_signed_in_by_the_code_alone(walk: Walker) -> None:
    """[dev] passwordless sign-up; aws-sdk-js-v3#6724: the session of ConfirmSignUp"""
    form = SignUpForm(attributes=("email",), password="none")
    w = walk(auth_flow="USER_AUTH", ways_in=WaysIn(sign_up=form))
    clicked_twice(w, SignUp(username="ana", attributes={"email": EMAIL}))
    clicked_twice(w, SubmitCode(code=w.newest_code()))
    w.assert_signed_in(codes=1)


def test_right_code_after_the_session_has_expired_confirms(walk: Walker) -> None:
    """[API] AuthSessionValidity is minutes, the code's validity a day."""
    w = walk(auth_flow="USER_AUTH", ways_in=WaysIn(sign_up=FORM))
    w.send(JOIN)
    w.sandbox.advance(1200)
    assert told(w.send(SubmitCode(code=w.newest_code())))[1] == "confirmed"
    w.send_password()
    w.assert_signed_in(codes=1)


def confirm(event: dict[str, Any], context: object = None) -> dict[str, Any]:
    event["response"]["autoConfirmUser"] = True
    return event


def test_user_whom_a_trigger_confirms_is_signed_in_at_once(walk: Walker) -> None:
    """[dev] pre sign-up trigger, autoConfirmUser"""
    w = walk(ways_in=WaysIn(sign_up=FORM), pool={"triggers": {"PreSignUp": confirm}})
    w.send(JOIN)
    w.assert_signed_in(codes=0)


def test_lost_answer_of_a_sign_up_leaves_one_code_that_works(walk: Walker) -> None:
    w = walk(ways_in=WaysIn(sign_up=FORM), sign_in={"retain_password": True})
    w.sandbox.lose_next_response("SignUp")
    assert told(clicked_twice(w, JOIN)) == ("awaiting_confirmation", "sign_up_outcome_unknown")
    assert mails(w) == 1
    clicked_twice(w, SubmitCode(code=w.newest_code()))
    w.assert_signed_in(codes=1)


# ── a forgotten password ──


def test_lost_answer_of_a_reset_leaves_one_code_that_works(walk: Walker) -> None:
    w = walk(user(email=EMAIL))
    w.sandbox.lose_next_response("ForgotPassword")
    step = clicked_twice(w, ForgotPassword(username="ana"))
    assert told(step) == ("awaiting_reset", "recovery_outcome_unknown")
    assert mails(w) == 1
    clicked_twice(w, ResetPassword(code=w.newest_code(), new_password=NEW_PASSWORD))
    w.assert_signed_in(codes=1)


def test_imported_user_gets_in_by_a_reset(walk: Walker) -> None:
    """[dev] import tool: RESET_REQUIRED; any password is refused as a wrong one"""
    w = walk(
        user(email=EMAIL, phone_number="+15550001234", mfa=[Factor.SMS], status="RESET_REQUIRED")
    )
    assert told(w.send_password()) == ("idle", "wrong_credentials")
    clicked_twice(w, ForgotPassword())
    clicked_twice(w, ResetPassword(code=w.newest_code(), new_password=NEW_PASSWORD))
    assert w.step.state == "awaiting_mfa"
    clicked_twice(w, SubmitCode(code=w.newest_code()))
    w.assert_signed_in(codes=2)


def test_reset_is_offered_where_the_password_is_asked_for(walk: Walker) -> None:
    w = walk(user(email=EMAIL), auth_flow="USER_AUTH")
    w.send(SubmitUsername(username="ana"))
    w.send(ChooseFactor(factor=Factor.PASSWORD))
    assert w.step.state == "awaiting_password"
    assert clicked_twice(w, ForgotPassword()).state == "awaiting_reset"
    assert mails(w) == 1


# ── identity providers ──


def test_user_of_a_provider_is_signed_in_and_no_code_is_sent(walk: Walker) -> None:
    w = with_google(walk)
    assert clicked_twice(w, SignInWith(provider="Google")).state == "awaiting_provider"
    clicked_twice(w, back_from(w, "ana@example.com"))
    w.assert_signed_in(codes=0)
    assert w.step.tokens is not None
    assert w.step.tokens.by_managed_login
    assert w.sandbox.calls()["oauth2/token"] == 1


def test_user_who_denies_is_back_at_the_first_step(walk: Walker) -> None:
    w = with_google(walk)
    w.send(SignInWith(provider="Google"))
    assert told(clicked_twice(w, back_from(w, None))) == ("idle", "provider_denied")
    assert "oauth2/token" not in w.sandbox.calls()


def test_answer_of_another_flow_is_not_taken(walk: Walker) -> None:
    w = with_google(walk)
    w.send(SignInWith(provider="Google"))
    answer = back_from(w, "ana@example.com")
    w.start()
    w.send(SignInWith(provider="Google"))
    step = w.sign_in.send(w.step, answer)
    assert step.reason is not None
    assert (step.state, step.reason.code) == ("awaiting_provider", "not_this_sign_in")
    assert "oauth2/token" not in w.sandbox.calls()


def test_lost_answer_of_the_token_endpoint_begins_again(walk: Walker) -> None:
    w = with_google(walk)
    w.send(SignInWith(provider="Google"))
    answer = back_from(w, "ana@example.com")
    w.sandbox.lose_next_response("oauth2/token")
    assert told(clicked_twice(w, answer)) == ("idle", "answer_outcome_unknown")
    assert w.sandbox.calls()["oauth2/token"] == 1
    w.send(SignInWith(provider="Google"))
    w.send(back_from(w, "ana@example.com"))
    w.assert_signed_in(codes=0)


# ── another way ──


def test_another_second_factor_takes_the_password_again_and_sends_one_code(walk: Walker) -> None:
    w = walk(user(**EVERY))
    w.send_password()
    w.send(ChooseFactor(factor=Factor.SMS))
    assert mails(w) == 1
    step = clicked_twice(w, ChooseFactor(factor=Factor.EMAIL))
    assert told(step) == ("idle", "password_for_other_factor")
    assert mails(w) == 1, "no second code by itself"
    step = w.send_password()
    assert (step.state, step.challenge, mails(w)) == ("awaiting_mfa", "EMAIL_OTP", 2)
    w.send_code()
    w.assert_signed_in(codes=2)


def test_another_second_factor_takes_one_click_if_the_password_is_retained(walk: Walker) -> None:
    w = walk(user(**EVERY), sign_in={"retain_password": True})
    w.send_password()
    w.send(ChooseFactor(factor=Factor.TOTP))
    step = clicked_twice(w, ChooseFactor(factor=Factor.SMS))
    assert (step.state, step.challenge, mails(w)) == ("awaiting_mfa", "SMS_MFA", 1)
