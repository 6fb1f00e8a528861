"""A sign-up to confirm: ResendConfirmationCode and ConfirmSignUp."""

from __future__ import annotations

from pydantic import Field

from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.challenges._confirmation_codes import (
    UsernameRequest,
    send_code,
    use_code,
    user_of,
)
from oncegate_sandbox.errors import SESSION_FOREIGN, invalid_parameter, not_authorized

# "24 hours": AWS developer guide, on confirming users.
_CODE_SECONDS = 86400.0


class ConfirmSignUpRequest(UsernameRequest):
    """ConfirmSignUp."""

    code: str = Field(alias="ConfirmationCode")


class ConfirmSignUp(Challenge):
    """Confirms users, and signs them in with the session of the confirmation."""

    def operations(self) -> Operations:
        return {
            "ResendConfirmationCode": (UsernameRequest, self._resend),
            "ConfirmSignUp": (ConfirmSignUpRequest, self._confirm),
        }

    def _resend(self, request: UsernameRequest) -> Json:
        user = user_of(self.pool, request)
        if user and user.status != "UNCONFIRMED":
            raise invalid_parameter("User is already confirmed.")
        return send_code(self.pool, user, request.username, "CONFIRM_SIGN_UP", _CODE_SECONDS)

    def _confirm(self, request: ConfirmSignUpRequest) -> Json:
        user = user_of(self.pool, request)
        if user and user.status != "UNCONFIRMED":
            raise not_authorized(f"User cannot be confirmed. Current status is {user.status}")
        confirmed = use_code(self.pool, user, request.code)
        confirmed.status = "CONFIRMED"
        session = self.pool.sessions.open("CONFIRMED", confirmed, self.pool.clock.now())
        return {"Session": session.text}

    def sign_in_with(self, user: User | None, session: str) -> Json:
        """Sign in with the session of a confirmation in place of a first factor.

        Source: botocore's service model.

        Args:
            user: the user that the request names.
            session: ``Session`` of InitiateAuth.

        Raises:
            CognitoError: the session is invalid or another user's.
        """
        found = self.pool.sessions.find(session, "CONFIRMED", self.pool.clock.now())
        if user is None or found.user is not user:
            raise not_authorized(SESSION_FOREIGN)
        found.used = True
        return self.sign_in.complete(user, None)
