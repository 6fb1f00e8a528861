"""What a user sees in each state of an account, against the sandbox's own rules.

Sources: [dev] AWS developer guide; [API] API reference; repository#number is a public issue.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from tests.walks.walker import NEW_PASSWORD, PASSWORD, Walk, Walker, user

from oncegate import (
    ConfirmAccount,
    ForgotPassword,
    ResetPassword,
    Step,
    SubmitCode,
    SubmitNewPassword,
    SubmitPassword,
)

EMAIL: dict[str, Any] = {"email": "ana@example.com"}
DAY = 86400


def told(step: Step) -> tuple[str, str | None]:
    """Return the state, and the code of the message."""
    return step.state.value, step.message.code if step.message else None


def perform(walked: Walk, operation: str, **request: Any) -> Any:
    """Call an operation of the pool directly."""
    names = {"ClientId": walked.sandbox.client_id, "UserPoolId": walked.sandbox.pool_id}
    return walked.sandbox.pool.perform(operation, {**names, **request})


def begin_reset(walked: Walk, name: str = "ana") -> Step:
    """Begin to reset the password of a user, and ask for a code."""
    walked.start()
    walked.send(SubmitPassword(username=name, password=SecretStr("Wrong-horse-1")))
    return walked.send(ForgotPassword())


def test_expired_temporary_password_is_for_an_administrator(walk: Walker) -> None:
    """case 4; [API] PasswordPolicyType: 7 days"""
    w = walk(user(status="FORCE_CHANGE_PASSWORD"))
    w.sandbox.advance(7 * DAY)
    assert told(w.send_password()) == ("failed", "administrator_must_act")


@pytest.mark.parametrize(
    ("password", "code"),
    [
        (" Correct-horse-9", "new_password_spaces"),
        ("weak", "password_too_short"),
        (PASSWORD, "password_used_before"),
    ],
    ids=["blank", "weak", "used before"],
)
def test_new_password_that_is_refused_is_asked_again(
    walk: Walker, password: str, code: str
) -> None:
    """case 1; amplify-js#869; [API] PasswordPolicyType, PasswordHistorySize"""
    w = walk(user(status="FORCE_CHANGE_PASSWORD"))
    settings = w.sandbox.pool.settings
    settings.password_policy = replace(settings.password_policy, history=1)
    w.send_password()
    step = w.send(SubmitNewPassword(new_password=SecretStr(password)))
    assert told(step) == ("awaiting_new_password", code)
    w.send(SubmitNewPassword(new_password=SecretStr(NEW_PASSWORD)))
    w.assert_signed_in(codes=0)


@pytest.mark.parametrize(
    "state",
    [{"enabled": False}, {"email_verified": False}, {"status": "UNCONFIRMED"}],
    ids=["disabled", "unverified", "unconfirmed"],
)
def test_reset_looks_the_same_for_users_who_get_no_code_and_for_unknown_ones(
    walk: Walker, state: dict[str, Any]
) -> None:
    """P6; [dev] managing user existence error responses: a simulated delivery"""
    w = walk(user(**EMAIL, **state))
    seen = []
    for name in ("ana", "nobody"):
        pages = [begin_reset(w, name)]
        code, new = SecretStr("123456"), SecretStr(NEW_PASSWORD)
        pages.append(w.send(ResetPassword(code=code, new_password=new)))
        seen.append([(told(page), page.delivery) for page in pages])
    assert seen[0] == seen[1]
    assert w.sandbox.messages() == ()


def test_reset_after_the_limit_of_an_hour_is_told_and_sends_nothing(walk: Walker) -> None:
    """case 18; [dev] quotas; amplify-js#13225: the same for unknown users"""
    w = walk(user(**EMAIL), auth_flow="USER_PASSWORD_AUTH")
    for name in ("ana", "nobody"):
        for _ in range(20):
            perform(w, "ForgotPassword", Username=name)
    sent = len(w.sandbox.messages())
    seen = [told(begin_reset(w, name)) for name in ("ana", "nobody")]
    assert seen[0] == seen[1]
    assert seen[0][1] == "limit_exceeded"
    assert len(w.sandbox.messages()) == sent
    assert w.sandbox.calls()["ForgotPassword"] == 2, "not repeated"


def test_address_of_another_account_is_told_when_a_sign_up_is_confirmed(walk: Walker) -> None:
    """[API] ConfirmSignUp, AliasExistsException; amazon-cognito-js#23"""
    w = walk(user(username="bob", **EMAIL))
    attributes = [{"Name": "email", "Value": "ana@example.com"}]
    perform(w, "SignUp", Username="ana", Password=PASSWORD, UserAttributes=attributes)
    w.send_password()
    w.send(ConfirmAccount())
    step = w.send(SubmitCode(code=SecretStr(w.newest_code())))
    assert told(step) == ("failed", "address_taken")


def test_new_user_confirms_the_sign_up_and_signs_in(walk: Walker) -> None:
    """[API] SignUp, ConfirmSignUp"""
    w = walk()
    attributes = [{"Name": "email", "Value": "ana@example.com"}]
    perform(w, "SignUp", Username="ana", Password=PASSWORD, UserAttributes=attributes)
    w.send_password()
    w.send(ConfirmAccount())
    assert told(w.send_code()) == ("idle", "confirmed")
    w.send_password()
    w.assert_signed_in(codes=1)


def test_user_of_an_administrator_is_invited_and_chooses_a_password(walk: Walker) -> None:
    """[API] AdminCreateUser"""
    w = walk(pool={"first_factors": []})
    attributes = [{"Name": "email", "Value": "ana@example.com"}]
    perform(w, "AdminCreateUser", Username="ana", UserAttributes=attributes)
    invitation = SecretStr(w.newest_code())
    step = w.send(SubmitPassword(username="ana", password=invitation))
    assert step.state == "awaiting_new_password"
    w.send(SubmitNewPassword(new_password=SecretStr(NEW_PASSWORD)))
    w.assert_signed_in(codes=1)
