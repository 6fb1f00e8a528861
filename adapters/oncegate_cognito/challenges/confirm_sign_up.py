"""Confirming a sign-up: ResendConfirmationCode and ConfirmSignUp."""

from __future__ import annotations

from botocore.exceptions import ClientError
from pydantic import SecretStr

from oncegate.adapters import (
    Confirmed,
    ConfirmSignUp,
    Outcome,
    Rejected,
    RejectionReason,
    SendCode,
    SignUpConfirmation,
)
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests
from oncegate_cognito.challenges._recovery import code_sent

# ConfirmSignUp and ResendConfirmationCode for a user who is confirmed already (public reports).
_ALREADY_CONFIRMED = (
    "User cannot be confirmed. Current status is",
    "User is already confirmed",
)


@performs(SendCode, SignUpConfirmation)
def send_code(call: SendCode, requests: Requests) -> Outcome:
    """Have Cognito send a code.

    A user who is confirmed already needs none. The caller, who has proven nothing, is not told.
    """
    try:
        response = requests.send(
            "resend_confirmation_code", **requests.named(call.challenge.username)
        )
    except ClientError as error:
        if not _is_confirmed(error):
            raise
        response = {}
    return code_sent(call, response)


@performs(ConfirmSignUp)
def confirm(call: ConfirmSignUp, requests: Requests) -> Outcome:
    """Confirm the sign-up with the code, and with the session of SignUp if there is one."""
    request = requests.named(call.challenge.username)
    if call.session is not None:
        request["Session"] = call.session.get_secret_value()
    try:
        response = requests.send(
            "confirm_sign_up", ConfirmationCode=call.code.get_secret_value(), **request
        )
    except ClientError as error:
        if not _is_confirmed(error):
            raise
        return Rejected(reason=RejectionReason.WRONG_CODE, detail="the user is confirmed already")
    # Only where this flow created the account: another caller may have done so, with another password,
    # and a user who was signed in with the code alone would never notice.
    goes_on = requests.auth_flow == "USER_AUTH" and call.session is not None
    session = response.get("Session") if goes_on else None
    return Confirmed(session=SecretStr(session) if session else None)


def _is_confirmed(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Message", "").startswith(_ALREADY_CONFIRMED)
