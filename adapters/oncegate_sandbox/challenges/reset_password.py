"""A password to reset: ForgotPassword and ConfirmForgotPassword."""

from __future__ import annotations

from pydantic import Field

from oncegate import Factor
from oncegate_sandbox._codes import (
    HOUR,
    RESET_PASSWORD,
    HourlyLimit,
    UsernameRequest,
    check_code,
    expired,
    imitated_details,
    mismatch,
    send_code,
    user_of,
)
from oncegate_sandbox._password_policy import check_new_password
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sign_up import post_confirmation
from oncegate_sandbox._signing_in import SigningIn
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import EXTERNAL, User
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import DISABLED, CognitoError, invalid_parameter, not_authorized

rule(
    "reset-unknown",
    "If the client hides who exists, ForgotPassword imitates a delivery for unknown and disabled "
    "users and for those without a verified address. ConfirmForgotPassword says "
    "CodeMismatchException once a code was requested, else ExpiredCodeException.",
    source="AWS developer guide, managing user existence error responses",
)
rule(
    "reset-without-address",
    "If the client reveals who exists, ForgotPassword is rejected for users without a verified "
    "address: 'Cannot reset password for the user as there is no registered/verified email or "
    "phone_number'.",
    source="AWS knowledge centre",
)
rule(
    "reset-state",
    "ForgotPassword is rejected for users with a temporary password: 'User password cannot be reset "
    "in the current state.'.",
    source="AWS developer guide; amplify-js#2955",
)
rule(
    "reset-destination",
    "A reset code goes to the first verified address of AccountRecoverySetting, but to the one that "
    "is not the user's MFA factor if there are two.",
    source="AWS developer guide, MFA",
)
rule(
    "reset-by-administrator",
    "If recovery is admin_only, ForgotPassword is rejected: 'Contact administrator to reset "
    "password.'.",
    source="moto's tests; API reference, AccountRecoverySettingType",
)
rule(
    "reset-default-order",
    "Without AccountRecoverySetting a reset code goes to the phone number first.",
    source="API reference, CreateUserPool",
)
rule(
    "reset-external",
    "The user of an identity provider has no password to reset: 'User password cannot be reset in the "
    "current state.'.",
    inferred=True,
)
rule(
    "reset-unconfirmed",
    "A user who is not confirmed counts as one without a verified address. This is inferred.",
    inferred=True,
)


class ConfirmForgotPassword(UsernameRequest):
    """ConfirmForgotPassword."""

    code: str = Field(alias="ConfirmationCode")
    password: str = Field(alias="Password")


class ResetPassword(Challenge):
    """Sends reset codes, and sets the new password."""

    def __init__(self, sign_in: SigningIn) -> None:
        super().__init__(sign_in)
        self._requests = HourlyLimit()
        self._attempts = HourlyLimit()
        self._imitated: dict[str, float] = {}

    def operations(self) -> Operations:
        return {
            "ForgotPassword": (UsernameRequest, self._send),
            "ConfirmForgotPassword": (ConfirmForgotPassword, self._confirm),
        }

    def _send(self, request: UsernameRequest) -> Json:
        pool, now = self.pool, self.pool.clock.now()
        user = user_of(pool, request)
        self._requests.count(user.username if user else request.username, now)
        if "admin_only" in pool.settings.recovery:
            raise not_authorized("Contact administrator to reset password.")
        if user and user.is_enabled and user.status in {"FORCE_CHANGE_PASSWORD", EXTERNAL}:
            raise not_resettable()
        attribute = recovery_address(pool, user) if user and user.is_enabled else None
        if user and attribute:
            sent = send_code(
                pool,
                user,
                attribute,
                RESET_PASSWORD,
                HOUR,
                source="CustomMessage_ForgotPassword",
                client_id=request.client_id,
                metadata=request.metadata,
            )
            return {"CodeDeliveryDetails": sent}
        if pool.client(request.client_id).prevents_user_existence_errors:
            self._imitated[request.username] = now + HOUR
            return {"CodeDeliveryDetails": imitated_details(request.username)}
        raise no_address() if user and user.is_enabled else not_authorized(DISABLED)

    def _confirm(self, request: ConfirmForgotPassword) -> Json:
        pool, now = self.pool, self.pool.clock.now()
        user = user_of(pool, request)
        self._attempts.count(user.username if user else request.username, now)
        check_new_password(pool.settings.password_policy, request.password)
        if user is None or not user.is_enabled:
            raise mismatch() if now < self._imitated.get(request.username, 0) else expired()
        if RESET_PASSWORD not in user.codes and now < self._imitated.get(request.username, 0):
            raise mismatch()
        check_code(pool, user, RESET_PASSWORD, request.code)
        # Not before: which passwords a user had is told only to who has the code.
        check_new_password(pool.settings.password_policy, request.password, user=user)
        del user.codes[RESET_PASSWORD]
        user.set_password(request.password)
        user.modified_at = now
        post_confirmation(
            pool,
            user,
            request.client_id,
            request.metadata,
            source="PostConfirmation_ConfirmForgotPassword",
        )
        return {}


def recovery_address(pool: PoolState, user: User) -> str | None:
    """Return the attribute that a reset code is sent to; None if no address is verified."""
    if user.status == "UNCONFIRMED":
        return None
    order = [name.removeprefix("verified_") for name in pool.settings.recovery]
    verified = [name for name in order or ["phone_number", "email"] if user.is_verified(name)]
    second = {
        "phone_number" if factor is Factor.SMS else "email"
        for factor in pool.second_factors(user)
        if factor is not Factor.TOTP
    }
    others = [name for name in verified if name not in second]
    return next(iter(others or verified), None)


def no_address() -> CognitoError:
    """Return the error for a user without a verified address."""
    return invalid_parameter(
        "Cannot reset password for the user as there is no registered/verified email or "
        "phone_number"
    )


def not_resettable() -> CognitoError:
    """Return the error for a user whose password cannot be reset now."""
    return not_authorized("User password cannot be reset in the current state.")
