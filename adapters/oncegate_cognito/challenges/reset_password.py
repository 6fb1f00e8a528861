"""Resetting a password: ForgotPassword and ConfirmForgotPassword."""

from __future__ import annotations

from oncegate.adapters import Confirmed, Outcome, PasswordReset, ResetPasswordWith, SendCode
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests
from oncegate_cognito.challenges._recovery import code_sent


@performs(SendCode, PasswordReset)
def send_code(call: SendCode, requests: Requests) -> Outcome:
    """Have Cognito send a code."""
    names = requests.named(call.challenge.username)
    return code_sent(call, requests.send("forgot_password", **names))


@performs(ResetPasswordWith)
def reset(call: ResetPasswordWith, requests: Requests) -> Outcome:
    """Set the new password with the code."""
    requests.send(
        "confirm_forgot_password",
        ConfirmationCode=call.code.get_secret_value(),
        Password=call.new_password.get_secret_value(),
        **requests.named(call.challenge.username),
    )
    return Confirmed()
