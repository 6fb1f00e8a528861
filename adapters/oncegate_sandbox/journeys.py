"""Sign-ups to confirm and passwords to reset: codes that are sent on request, outside of a sign-in."""

from __future__ import annotations

import hmac
from typing import Any

from oncegate import Factor
from oncegate_sandbox.errors import CognitoError, invalid_parameter, not_authorized
from oncegate_sandbox.inbox import masked, new_code
from oncegate_sandbox.signing_in import check_policy
from oncegate_sandbox.state import PoolState
from oncegate_sandbox.users import User
from oncegate_sandbox.wire import ConfirmForgotPassword, ConfirmSignUp, Json, SendCode

# "valid for one hour" and "24 hours": AWS developer guide, on password resets and on confirming users.
_RESET_SECONDS = 3600.0
_SIGN_UP_SECONDS = 86400.0
_WRONG = "Invalid verification code provided, please try again."
_EXPIRED = "Invalid code provided, please request a code again."


class Journeys:
    """The four operations, around the pool."""

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool

    def operations(self) -> dict[str, Any]:
        return {
            "ResendConfirmationCode": (SendCode, self._resend),
            "ConfirmSignUp": (ConfirmSignUp, self._confirm_sign_up),
            "ForgotPassword": (SendCode, self._forgot),
            "ConfirmForgotPassword": (ConfirmForgotPassword, self._confirm_reset),
        }

    def _user(self, request: SendCode | ConfirmSignUp | ConfirmForgotPassword) -> User | None:
        pool = self._pool
        pool.check_client(request.client_id)
        pool.check_secret_hash(
            request.secret_hash, request.username, "Unable to verify secret hash for client"
        )
        user = pool.users.find(request.username)
        if user is None and not pool.seed.prevent_user_existence_errors:
            raise CognitoError("UserNotFoundException", "Username/client id combination not found.")
        return user

    def _resend(self, request: SendCode) -> Json:
        user = self._user(request)
        if user and user.status != "UNCONFIRMED":
            raise invalid_parameter("User is already confirmed.")
        return self._send(user, request.username, "CONFIRM_SIGN_UP", _SIGN_UP_SECONDS)

    def _forgot(self, request: SendCode) -> Json:
        user = self._user(request)
        if user and user.status == "UNCONFIRMED":
            raise invalid_parameter(
                "Cannot reset password for the user as there is no registered/verified email or "
                "phone_number"
            )
        return self._send(user, request.username, "RESET_PASSWORD", _RESET_SECONDS)

    def _send(self, user: User | None, name: str, purpose: str, seconds: float) -> Json:
        if user is None:
            medium, destination = "EMAIL", masked(name if len(name) > 4 else f"{name}****")
        else:
            by_mail = "email" in user.attributes
            user.code, user.code_ends = new_code(Factor.SMS), self._pool.clock.now() + seconds
            factor = Factor.EMAIL if by_mail else Factor.SMS
            medium, destination = self._pool.deliver(user, factor, user.code, purpose)
        details = {
            "DeliveryMedium": medium,
            "Destination": destination,
            "AttributeName": "email" if medium == "EMAIL" else "phone_number",
        }
        return {"CodeDeliveryDetails": details}

    def _confirm_sign_up(self, request: ConfirmSignUp) -> Json:
        user = self._user(request)
        if user and user.status != "UNCONFIRMED":
            raise not_authorized(f"User cannot be confirmed. Current status is {user.status}")
        confirmed = self._use_code(user, request.code)
        confirmed.status = "CONFIRMED"
        session = self._pool.sessions.open("CONFIRMED", confirmed, self._pool.clock.now())
        return {"Session": session.text}

    def _confirm_reset(self, request: ConfirmForgotPassword) -> Json:
        user = self._user(request)
        check_policy(request.password)
        self._use_code(user, request.code).set_password(request.password)
        return {}

    def _use_code(self, user: User | None, code: str) -> User:
        if user is None or user.code is None or self._pool.clock.now() >= user.code_ends:
            raise CognitoError("ExpiredCodeException", _EXPIRED)
        if not hmac.compare_digest(user.code.encode(), code.encode()):
            raise CognitoError("CodeMismatchException", _WRONG)
        user.code = None
        return user
