"""What a signed-in user can do: devices, authenticators, passkeys, tokens, sign-out."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from oncegate import Factor
from oncegate_sandbox.errors import CognitoError, invalid_parameter
from oncegate_sandbox.signing_in import check_totp
from oncegate_sandbox.state import PoolState
from oncegate_sandbox.users import User
from oncegate_sandbox.wire import (
    AssociateSoftwareToken,
    CompletePasskey,
    ConfirmDevice,
    Json,
    ListDevices,
    OfDevice,
    OfUser,
    Refresh,
    RevokeToken,
    SetUserMFAPreference,
    UpdateDeviceStatus,
    VerifySoftwareToken,
)


class Account:
    """The operations, around the pool."""

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool
        self._associated: dict[str, str] = {}

    def operations(self) -> dict[str, Any]:
        return {
            "GetUser": (OfUser, self._get_user),
            "GlobalSignOut": (OfUser, self._sign_out),
            "GetTokensFromRefreshToken": (Refresh, self._refresh),
            "RevokeToken": (RevokeToken, self._revoke),
            "ConfirmDevice": (ConfirmDevice, self._confirm_device),
            "UpdateDeviceStatus": (UpdateDeviceStatus, self._update_device),
            "ListDevices": (ListDevices, self._list_devices),
            "ForgetDevice": (OfDevice, self._forget_device),
            "AssociateSoftwareToken": (AssociateSoftwareToken, self._associate),
            "VerifySoftwareToken": (VerifySoftwareToken, self._verify),
            "SetUserMFAPreference": (SetUserMFAPreference, self._prefer),
            "StartWebAuthnRegistration": (OfUser, self._start_passkey),
            "CompleteWebAuthnRegistration": (CompletePasskey, self._complete_passkey),
        }

    def _get_user(self, request: OfUser) -> Json:
        user = self._pool.bearer(request.access_token)
        attributes = {"sub": user.sub, **user.attributes}
        return {
            "Username": user.username,
            "UserAttributes": [{"Name": n, "Value": v} for n, v in attributes.items()],
            "UserMFASettingList": [factor.value for factor in user.factors],
        }

    # ── tokens ──

    def _refresh(self, request: Refresh) -> Json:
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

    def _sign_out(self, request: OfUser) -> Json:
        self._pool.tokens.revoke_all(self._pool.bearer(request.access_token))
        return {}

    # ── devices ──

    def _confirm_device(self, request: ConfirmDevice) -> Json:
        user, secret = self._pool.bearer(request.access_token), request.secret
        return self._pool.devices.confirm(
            user, request.device_key, request.name, secret.verifier, secret.salt
        )

    def _update_device(self, request: UpdateDeviceStatus) -> Json:
        user = self._pool.bearer(request.access_token)
        return self._pool.devices.update(user, request.device_key, request.status)

    def _list_devices(self, request: ListDevices) -> Json:
        user = self._pool.bearer(request.access_token)
        return self._pool.devices.listed(user, request.limit, request.after)

    def _forget_device(self, request: OfDevice) -> Json:
        user = self._pool.bearer(request.access_token)
        return self._pool.devices.forget(user, request.device_key)

    # ── authenticators, by an access token or by the session of MFA_SETUP ──

    def _associate(self, request: AssociateSoftwareToken) -> Json:
        user, session = self._whose(request)
        secret = base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=")
        self._associated[user.username] = secret
        if session is None:
            return {"SecretCode": secret}
        session.used = True
        return {"SecretCode": secret, "Session": self._go_on(session, user, verified=False)}

    def _verify(self, request: VerifySoftwareToken) -> Json:
        user, session = self._whose(request)
        secret = self._associated.get(user.username)
        if secret is None:
            raise invalid_parameter("No authenticator was associated.")
        try:
            check_totp(
                user, request.code, self._pool.clock.now(), secret + "=" * (-len(secret) % 8)
            )
        except CognitoError as error:
            if error.code != "CodeMismatchException":
                raise
            # [reports] in these words. That the session takes another code is inferred.
            raise CognitoError("EnableSoftwareTokenMFAException", "Code mismatch") from None
        user.totp_secret = secret + "=" * (-len(secret) % 8)
        del self._associated[user.username]
        if session is None:
            return {"Status": "SUCCESS"}
        user.factors = (*(f for f in user.factors if f is not Factor.TOTP), Factor.TOTP)
        session.used = True
        return {"Status": "SUCCESS", "Session": self._go_on(session, user, verified=True)}

    def _whose(self, request: AssociateSoftwareToken) -> tuple[User, Any]:
        if request.access_token:
            return self._pool.bearer(request.access_token), None
        if not request.session:
            raise invalid_parameter("Either AccessToken or Session is required.")
        now = self._pool.clock.now()
        session = self._pool.sessions.find(request.session, "MFA_SETUP", now)
        assert session.user is not None
        return session.user, session

    def _go_on(self, session: Any, user: User, *, verified: bool) -> str:
        return self._pool.sessions.open(
            "MFA_SETUP",
            user,
            self._pool.clock.now(),
            device_key=session.device_key,
            notes={"verified": verified},
        ).text

    def _prefer(self, request: SetUserMFAPreference) -> Json:
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

    # ── passkeys ──

    def _start_passkey(self, request: OfUser) -> Json:
        return self._pool.passkeys.start(self._pool.bearer(request.access_token))

    def _complete_passkey(self, request: CompletePasskey) -> Json:
        user = self._pool.bearer(request.access_token)
        return self._pool.passkeys.complete(user, request.credential)
