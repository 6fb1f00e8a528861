"""A password to reset: ForgotPassword and ConfirmForgotPassword."""

from __future__ import annotations

from pydantic import Field

from oncegate_sandbox._password_policy import check_policy
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.challenges._confirmation_codes import (
    UsernameRequest,
    send_code,
    use_code,
    user_of,
)
from oncegate_sandbox.errors import invalid_parameter

# "valid for one hour": AWS developer guide, on password resets.
_CODE_SECONDS = 3600.0


class ConfirmForgotPassword(UsernameRequest):
    """ConfirmForgotPassword."""

    code: str = Field(alias="ConfirmationCode")
    password: str = Field(alias="Password")


class ResetPassword(Challenge):
    """Sends reset codes, and sets the new password."""

    def operations(self) -> Operations:
        return {
            "ForgotPassword": (UsernameRequest, self._send),
            "ConfirmForgotPassword": (ConfirmForgotPassword, self._confirm),
        }

    def _send(self, request: UsernameRequest) -> Json:
        user = user_of(self.pool, request)
        if user and user.status == "UNCONFIRMED":
            raise invalid_parameter(
                "Cannot reset password for the user as there is no registered/verified email or "
                "phone_number"
            )
        return send_code(self.pool, user, request.username, "RESET_PASSWORD", _CODE_SECONDS)

    def _confirm(self, request: ConfirmForgotPassword) -> Json:
        user = user_of(self.pool, request)
        check_policy(request.password)
        use_code(self.pool, user, request.code).set_password(request.password)
        return {}
