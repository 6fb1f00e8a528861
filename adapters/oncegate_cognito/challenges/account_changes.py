"""Changes of an account that take one request."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import ClientError

from oncegate import Factor
from oncegate.adapters import (
    Confirmed,
    DeleteDevice,
    DeletePasskey,
    DeleteUser,
    EndSessions,
    Outcome,
    ReplacePassword,
    SetFactor,
)
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests

_SETTINGS: Final = {
    Factor.SMS: "SMSMfaSettings",
    Factor.EMAIL: "EmailMfaSettings",
    Factor.TOTP: "SoftwareTokenMfaSettings",
}


@performs(SetFactor)
def set_factor(call: SetFactor, requests: Requests) -> Outcome:
    """Set how a second factor is used."""
    settings = {"Enabled": call.use != "off", "PreferredMfa": call.use == "preferred"}
    by_factor: dict[str, Any] = {_SETTINGS[call.factor]: settings}
    requests.send(
        "set_user_mfa_preference", AccessToken=call.access_token.get_secret_value(), **by_factor
    )
    return Confirmed()


@performs(ReplacePassword)
def change_password(call: ReplacePassword, requests: Requests) -> Outcome:
    """Change the password. The tokens that were issued stay valid (public reports)."""
    before = call.password.get_secret_value() if call.password else ""
    more: dict[str, Any] = {"PreviousPassword": before} if before else {}
    requests.send(
        "change_password",
        AccessToken=call.access_token.get_secret_value(),
        ProposedPassword=call.new_password.get_secret_value(),
        **more,
    )
    return Confirmed()


@performs(DeletePasskey)
def delete_passkey(call: DeletePasskey, requests: Requests) -> Outcome:
    """Remove a passkey. One that does not exist is removed."""
    try:
        requests.send(
            "delete_web_authn_credential",
            AccessToken=call.access_token.get_secret_value(),
            CredentialId=call.key,
        )
    except ClientError as failure:
        if failure.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
            raise
    return Confirmed()


@performs(DeleteDevice)
def forget_device(call: DeleteDevice, requests: Requests) -> Outcome:
    """Forget a device."""
    requests.send(
        "forget_device", AccessToken=call.access_token.get_secret_value(), DeviceKey=call.key
    )
    return Confirmed()


@performs(EndSessions)
def sign_out_everywhere(call: EndSessions, requests: Requests) -> Outcome:
    """End all sessions of the user."""
    requests.send("global_sign_out", AccessToken=call.access_token.get_secret_value())
    return Confirmed()


@performs(DeleteUser)
def delete_user(call: DeleteUser, requests: Requests) -> Outcome:
    """Delete the user."""
    requests.send("delete_user", AccessToken=call.access_token.get_secret_value())
    return Confirmed()
