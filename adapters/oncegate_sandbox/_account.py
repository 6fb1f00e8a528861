"""Operations on the tokens and the settings of a signed-in user."""

from __future__ import annotations

import hmac

from pydantic import Field

from oncegate_sandbox._attributes import as_list
from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._codes import HourlyLimit
from oncegate_sandbox._mfa_preference import (
    MfaOptions,
    MfaPreference,
    mfa_settings,
    set_mfa_preference,
)
from oncegate_sandbox._password_policy import check_new_password
from oncegate_sandbox._rules import rule
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import AccessTokenRequest, Json, Operations
from oncegate_sandbox.errors import WRONG_PASSWORD, not_authorized

rule(
    "change-password",
    "ChangePassword leaves tokens valid. A user without a password gives no previous one.",
    source="API reference, ChangePassword; public reports",
)
rule(
    "auth-factors",
    "GetUserAuthFactors lists what the user can sign in with: a verified address for codes, and "
    "SOFTWARE_TOKEN for an authenticator app.",
    source="API reference, GetUserAuthFactors",
)


class SetUserMFAPreference(AccessTokenRequest, MfaPreference):
    """SetUserMFAPreference."""


class SetUserSettings(AccessTokenRequest, MfaOptions):
    """SetUserSettings."""


class ChangePassword(AccessTokenRequest):
    """ChangePassword."""

    before: str = Field(default="", alias="PreviousPassword")
    proposed: str = Field(alias="ProposedPassword")


class Account:
    """The operations.

    Args:
        pool: the pool of the user.
    """

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool
        self._changes = HourlyLimit()

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {
            "ChangePassword": (ChangePassword, self._change_password),
            "GetUser": (AccessTokenRequest, self._get_user),
            "DeleteUser": (AccessTokenRequest, self._delete),
            "GetUserAuthFactors": (AccessTokenRequest, self._get_factors),
            "SetUserMFAPreference": (SetUserMFAPreference, self._set_preference),
            "SetUserSettings": (SetUserSettings, self._set_settings),
        }

    def _get_user(self, request: AccessTokenRequest) -> Json:
        pool = self._pool
        user, client = (
            pool.bearer(request.access_token),
            client_of_token(pool, request.access_token),
        )
        return {
            "Username": user.username,
            "UserAttributes": as_list(user, client.read_attributes),
            **mfa_settings(user),
        }

    def _get_factors(self, request: AccessTokenRequest) -> Json:
        pool = self._pool
        user = pool.bearer(request.access_token)
        offered = pool.settings.first_factors
        can_use = {
            "PASSWORD": user.has_password,
            "EMAIL_OTP": "EMAIL_OTP" in offered and user.is_verified("email"),
            "SMS_OTP": "SMS_OTP" in offered and user.is_verified("phone_number"),
            "WEB_AUTHN": "WEB_AUTHN" in offered and bool(user.passkeys),
            "SOFTWARE_TOKEN": bool(user.totp_secret),
        }
        return {
            "Username": user.username,
            **mfa_settings(user),
            "ConfiguredUserAuthFactors": [name for name, can in can_use.items() if can],
        }

    def _delete(self, request: AccessTokenRequest) -> Json:
        delete_user(self._pool, self._pool.bearer(request.access_token))
        return {}

    def _change_password(self, request: ChangePassword) -> Json:
        # Tokens stay valid: public reports.
        pool, user = self._pool, self._pool.bearer(request.access_token)
        self._changes.count(user.username, pool.clock.now())
        if not hmac.compare_digest(request.before.encode(), user.password.encode()):
            raise not_authorized(WRONG_PASSWORD)
        check_new_password(
            pool.settings.password_policy, request.proposed, user=user, member="proposedPassword"
        )
        user.set_password(request.proposed)
        user.modified_at = pool.clock.now()
        return {}

    def _set_preference(self, request: SetUserMFAPreference) -> Json:
        set_mfa_preference(self._pool, self._pool.bearer(request.access_token), request)
        return {}

    def _set_settings(self, request: SetUserSettings) -> Json:
        user = self._pool.bearer(request.access_token)
        set_mfa_preference(self._pool, user, request.preference())
        return {}


def client_of_token(pool: PoolState, access_token: str) -> AppClient:
    """Return the app client that an access token was issued to.

    Raises:
        CognitoError: the token is invalid, or the client was deleted.
    """
    return pool.client(str(pool.tokens.claims_of(access_token, pool.clock.now())["client_id"]))


def delete_user(pool: PoolState, user: User) -> None:
    """Delete a user and all tokens."""
    pool.tokens.revoke_all(user)
    pool.users.remove(user)
