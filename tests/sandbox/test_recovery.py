"""Lost passwords: ForgotPassword, ConfirmForgotPassword and AdminResetUserPassword, over boto3.

Sources: [moto] moto's tests marked aws_verified, which ran against AWS; [API] API reference; [dev]
AWS developer guide; repository#number is a public issue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.sandbox.user_pools import PASSWORD, UserPool, named, rejection

NewPool = Callable[..., UserPool]
OTHER = "Better-horse-2"
HIDES = {"PreventUserExistenceErrors": "ENABLED"}
ADDRESSES = {
    "email": "ana@example.com",
    "email_verified": "true",
    "phone_number": "+15550001234",
    "phone_number_verified": "true",
}
EMAIL = {"email": "ana@example.com", "email_verified": "true"}
EXPIRED = ("ExpiredCodeException", "Invalid code provided, please request a code again.")
MISMATCH = (
    "CodeMismatchException",
    "Invalid verification code provided, please try again.",
)
NO_ADDRESS = (
    "InvalidParameterException",
    "Cannot reset password for the user as there is no registered/verified email or phone_number",
)
WRONG_STATE = ("NotAuthorizedException", "User password cannot be reset in the current state.")


def forgot(pool: UserPool, username: str = "ana") -> Any:
    return pool.app("forgot_password", Username=username)["CodeDeliveryDetails"]


def confirm(pool: UserPool, code: str, username: str = "ana", password: str = OTHER) -> Any:
    return pool.app(
        "confirm_forgot_password", Username=username, ConfirmationCode=code, Password=password
    )


def test_reset_password_signs_in(new_pool: NewPool) -> None:
    """[moto] test_forgot_password_with_email_delivery_details"""
    recovery = {"RecoveryMechanisms": [{"Name": "verified_email", "Priority": 1}]}
    pool = new_pool(AccountRecoverySetting=recovery)
    pool.add(email="test@test.com", email_verified="True")
    assert forgot(pool) == {
        "Destination": "t***@t***",
        "DeliveryMedium": "EMAIL",
        "AttributeName": "email",
    }
    confirm(pool, pool.code())
    assert rejection(pool.start)[0] == "NotAuthorizedException"
    assert pool.tokens(password=OTHER)["AccessToken"]
    assert rejection(confirm, pool, pool.code()) == EXPIRED


def test_wrong_and_expired_codes_are_rejected(new_pool: NewPool) -> None:
    """[dev] managing user existence error responses; reset codes are valid for an hour"""
    pool = new_pool()
    pool.add(**EMAIL)
    assert rejection(confirm, pool, "123456") == EXPIRED
    forgot(pool)
    assert rejection(confirm, pool, f"{(int(pool.code()) + 1) % 10**6:06d}") == MISMATCH
    pool.sandbox.advance(3600)
    assert rejection(confirm, pool, pool.code()) == EXPIRED


@pytest.mark.parametrize(
    ("recovery", "medium"),
    [
        ([], "SMS"),
        (["verified_email", "verified_phone_number"], "EMAIL"),
        (["verified_phone_number", "verified_email"], "SMS"),
    ],
)
def test_code_goes_to_the_preferred_address(
    new_pool: NewPool, recovery: list[str], medium: str
) -> None:
    """[API] CreateUserPool, AccountRecoverySetting"""
    mechanisms = [{"Name": name, "Priority": n} for n, name in enumerate(recovery, 1)]
    setting = {"AccountRecoverySetting": {"RecoveryMechanisms": mechanisms}} if recovery else {}
    pool = new_pool(**setting)
    pool.add(**ADDRESSES)
    assert forgot(pool)["DeliveryMedium"] == medium


@pytest.mark.parametrize(
    ("member", "medium"), [("SMSMfaSettings", "EMAIL"), ("EmailMfaSettings", "SMS")]
)
def test_code_goes_to_the_address_that_is_not_the_mfa_factor(
    new_pool: NewPool, member: str, medium: str
) -> None:
    """[dev] MFA"""
    sms = {"SnsCallerArn": "arn:aws:iam::000000000000:role/sms"}
    pool = new_pool(MfaConfiguration="OPTIONAL", SmsConfiguration=sms)
    pool.add(**ADDRESSES)
    pool.admin("admin_set_user_mfa_preference", Username="ana", **{member: {"Enabled": True}})
    assert forgot(pool)["DeliveryMedium"] == medium


def test_recovery_by_administrators_only_is_rejected(new_pool: NewPool) -> None:
    """moto's tests; [API] AccountRecoverySettingType"""
    recovery = {"RecoveryMechanisms": [{"Name": "admin_only", "Priority": 1}]}
    pool = new_pool(AccountRecoverySetting=recovery)
    pool.add(**EMAIL)
    assert rejection(forgot, pool) == (
        "NotAuthorizedException",
        "Contact administrator to reset password.",
    )


def test_user_with_a_temporary_password_cannot_reset_it(new_pool: NewPool) -> None:
    """amplify-js#2955; [dev]"""
    pool = new_pool()
    pool.add(**EMAIL)
    pool.admin("admin_set_user_password", Username="ana", Password=OTHER)
    assert rejection(forgot, pool) == WRONG_STATE


def test_unverified_address_gets_no_code(new_pool: NewPool) -> None:
    """AWS knowledge centre; [dev] managing user existence error responses"""
    pool = new_pool()
    pool.add(email="ana@example.com")
    assert rejection(forgot, pool) == NO_ADDRESS
    hiding = new_pool(app_client=HIDES)
    hiding.add(email="ana@example.com")
    assert forgot(hiding)["DeliveryMedium"] == "EMAIL"
    assert hiding.sandbox.messages() == ()
    assert rejection(confirm, hiding, "123456") == MISMATCH


@pytest.mark.parametrize("username", ["nobody", "disabled"])
def test_unknown_and_disabled_users_are_not_revealed(new_pool: NewPool, username: str) -> None:
    """[dev] managing user existence error responses: simulated delivery, and the two errors"""
    pool = new_pool(app_client=HIDES)
    pool.add("disabled", **EMAIL)
    pool.admin("admin_disable_user", Username="disabled")
    assert rejection(confirm, pool, "123456", username) == EXPIRED
    assert forgot(pool, username)["DeliveryMedium"] == "EMAIL"
    assert pool.sandbox.messages() == ()
    assert rejection(confirm, pool, "123456", username) == MISMATCH
    pool.sandbox.advance(3600)
    assert rejection(confirm, pool, "123456", username) == EXPIRED


def test_disabled_user_of_a_client_that_reveals_users_is_told(new_pool: NewPool) -> None:
    """moto's tests"""
    pool = new_pool()
    pool.add(**EMAIL)
    pool.admin("admin_disable_user", Username="ana")
    assert rejection(forgot, pool) == ("NotAuthorizedException", "User is disabled.")


def test_requests_of_an_hour_are_limited_for_known_and_unknown_users(new_pool: NewPool) -> None:
    """[dev] quotas; amplify-js#13225 for the words"""
    pool = new_pool(app_client=HIDES)
    pool.add(**EMAIL)
    limit = ("LimitExceededException", "Attempt limit exceeded, please try after some time.")
    for name in ("ana", "nobody"):
        for _ in range(20):
            forgot(pool, name)
        assert rejection(forgot, pool, name) == limit
    pool.sandbox.advance(3600)
    forgot(pool)


def test_weak_password_leaves_the_code_valid(new_pool: NewPool) -> None:
    """Public code that matches these words."""
    pool = new_pool()
    pool.add(**EMAIL)
    forgot(pool)
    assert rejection(confirm, pool, pool.code(), password="weak") == (
        "InvalidPasswordException",
        "Password does not conform to policy: Password not long enough",
    )
    confirm(pool, pool.code())


def test_history_of_passwords_is_not_told_without_the_code(new_pool: NewPool) -> None:
    """[API] PasswordPolicyType; the order is the sandbox's own"""
    pool = new_pool(Policies={"PasswordPolicy": {"PasswordHistorySize": 3}})
    pool.add(**EMAIL)
    forgot(pool)
    wrong = f"{(int(pool.code()) + 1) % 10**6:06d}"
    assert rejection(confirm, pool, wrong, password=PASSWORD) == MISMATCH
    reused = rejection(confirm, pool, pool.code(), password=PASSWORD)
    assert reused[0] == "PasswordHistoryPolicyViolationException"
    confirm(pool, pool.code())


class TestAdministrators:
    """AdminResetUserPassword."""

    def test_user_must_reset_the_password_with_the_code(self, new_pool: NewPool) -> None:
        """[API] AdminResetUserPassword; [dev] importing users: LEGACY says so for any password"""
        pool = new_pool()
        pool.add(**EMAIL)
        pool.admin("admin_reset_user_password", Username="ana")
        assert pool.status() == "RESET_REQUIRED"
        for password in (PASSWORD, OTHER):
            assert rejection(pool.start, password=password) == (
                "PasswordResetRequiredException",
                "Password reset required for the user",
            )
        confirm(pool, pool.code())
        assert pool.status() == "CONFIRMED"
        assert pool.tokens(password=OTHER)["AccessToken"]

    def test_state_and_address_must_allow_it(self, new_pool: NewPool) -> None:
        """moto's tests"""
        pool = new_pool()

        def reset() -> Any:
            return pool.admin("admin_reset_user_password", Username="ana")

        pool.add()
        assert rejection(reset) == NO_ADDRESS
        pool.admin("admin_update_user_attributes", Username="ana", UserAttributes=named(EMAIL))
        pool.admin("admin_set_user_password", Username="ana", Password=OTHER)
        assert rejection(reset) == WRONG_STATE
        pool.admin("admin_disable_user", Username="ana")
        assert rejection(reset)[0] == "NotAuthorizedException"
