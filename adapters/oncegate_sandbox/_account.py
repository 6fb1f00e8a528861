"""Operations on the tokens and the settings of a signed-in user."""

from __future__ import annotations

import hmac

from pydantic import BaseModel, Field

from oncegate import Factor
from oncegate_sandbox._password_policy import check_policy
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._wire import AccessTokenRequest, ClientRequest, Json, Operations
from oncegate_sandbox.errors import WRONG_PASSWORD, invalid_parameter, not_authorized


class GetTokensFromRefreshToken(ClientRequest):
    """GetTokensFromRefreshToken."""

    refresh_token: str = Field(alias="RefreshToken")
    client_secret: str | None = Field(default=None, alias="ClientSecret")
    device_key: str | None = Field(default=None, alias="DeviceKey")


class RevokeToken(ClientRequest):
    """RevokeToken."""

    token: str = Field(alias="Token")
    client_secret: str | None = Field(default=None, alias="ClientSecret")


class ChangePassword(AccessTokenRequest):
    """ChangePassword."""

    before: str = Field(alias="PreviousPassword")
    proposed: str = Field(alias="ProposedPassword")


class MfaSettings(BaseModel):
    """Settings of one factor in SetUserMFAPreference."""

    enabled: bool = Field(default=False, alias="Enabled")
    preferred: bool = Field(default=False, alias="PreferredMfa")


class SetUserMFAPreference(AccessTokenRequest):
    """SetUserMFAPreference."""

    sms: MfaSettings | None = Field(default=None, alias="SMSMfaSettings")
    totp: MfaSettings | None = Field(default=None, alias="SoftwareTokenMfaSettings")
    email: MfaSettings | None = Field(default=None, alias="EmailMfaSettings")


class Account:
    """The operations.

    Args:
        pool: the pool of the user.
    """

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {
            "ChangePassword": (ChangePassword, self._change_password),
            "GetUser": (AccessTokenRequest, self._get_user),
            "GlobalSignOut": (AccessTokenRequest, self._sign_out),
            "GetTokensFromRefreshToken": (GetTokensFromRefreshToken, self._refresh),
            "RevokeToken": (RevokeToken, self._revoke),
            "SetUserMFAPreference": (SetUserMFAPreference, self._set_preference),
        }

    def _get_user(self, request: AccessTokenRequest) -> Json:
        user = self._pool.bearer(request.access_token)
        attributes = {"sub": user.sub, **user.attributes}
        return {
            "Username": user.username,
            "UserAttributes": [{"Name": n, "Value": v} for n, v in attributes.items()],
            "UserMFASettingList": [factor.value for factor in user.factors],
        }

    def _change_password(self, request: ChangePassword) -> Json:
        # Tokens stay valid: public reports.
        user = self._pool.bearer(request.access_token)
        if not hmac.compare_digest(request.before.encode(), user.password.encode()):
            raise not_authorized(WRONG_PASSWORD)
        check_policy(request.proposed)
        user.set_password(request.proposed)
        return {}

    def _refresh(self, request: GetTokensFromRefreshToken) -> Json:
        pool = self._pool
        pool.check_client(request.client_id)
        pool.check_client_secret(request.client_secret)
        now = pool.clock.now()
        return {
            "AuthenticationResult": pool.tokens.refresh(
                request.refresh_token, request.device_key, now
            )
        }

    def _revoke(self, request: RevokeToken) -> Json:
        self._pool.check_client(request.client_id)
        self._pool.check_client_secret(request.client_secret)
        self._pool.tokens.revoke(request.token)
        return {}

    def _sign_out(self, request: AccessTokenRequest) -> Json:
        self._pool.tokens.revoke_all(self._pool.bearer(request.access_token))
        return {}

    def _set_preference(self, request: SetUserMFAPreference) -> Json:
        user = self._pool.bearer(request.access_token)
        settings = {Factor.SMS: request.sms, Factor.TOTP: request.totp, Factor.EMAIL: request.email}
        if request.totp and request.totp.enabled and not user.totp_secret:
            raise invalid_parameter("User has not verified software token mfa")
        for factor, setting in settings.items():
            if setting is None:
                continue
            others = tuple(other for other in user.factors if other is not factor)
            user.factors = (*others, factor) if setting.enabled else others
            if setting.enabled and setting.preferred:
                user.preferred = factor
            elif user.preferred is factor:
                user.preferred = None
        return {}
