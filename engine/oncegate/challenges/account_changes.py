"""Changes of an account that take one call, and no confirmation by a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import SecretStr, StringConstraints

from oncegate.challenges._base import (
    CallBase,
    EventBase,
    Factor,
    Field,
    PasswordText,
    choice,
    field,
)
from oncegate.challenges.password import password_field

if TYPE_CHECKING:
    from oncegate.challenges import Call, InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn

SecondFactor = Literal[Factor.SMS, Factor.EMAIL, Factor.TOTP]
# CredentialId and DeviceKeyType of botocore's service model.
KeyText = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


class AccountChange(EventBase):
    """What every event has that makes one call and needs no confirmation.

    Attributes:
        done: code of the message when it is done, without ``message.``.
    """

    done: ClassVar[str]

    def call(self, flow: Flow, memory: InMemory) -> Call:
        """Return the call that makes the change."""
        raise NotImplementedError


class UseFactor(AccountChange):
    """Use a second factor from now on, or no longer.

    Attributes:
        factor: the factor. The user has to have its address or app.
        use: ``"preferred"`` to be asked for it first, ``"enabled"`` as another choice, ``"off"``.
    """

    machine_event: ClassVar[str] = "use_factor"
    done: ClassVar[str] = "factor_changed"
    type: Literal["use_factor"] = "use_factor"
    factor: SecondFactor
    use: Literal["preferred", "enabled", "off"] = "preferred"

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        factors = [
            choice(str(one), f"factor.{one}") for one in (Factor.TOTP, Factor.SMS, Factor.EMAIL)
        ]
        uses = [choice(one, f"use.{one}") for one in ("preferred", "enabled", "off")]
        return (
            field("factor", "factor", type="choice", choices=tuple(factors)),
            field("use", "use", type="choice", choices=tuple(uses)),
        )

    def call(self, flow: Flow, memory: InMemory) -> SetFactor:
        return SetFactor(factor=self.factor, use=self.use, access_token=memory.access_token)


class ChangePassword(AccountChange):
    """Change the password.

    Attributes:
        password: the present one; None for an account without a password.
        new_password: the next one.
    """

    machine_event: ClassVar[str] = "change_password"
    done: ClassVar[str] = "password_was_changed"
    type: Literal["change_password"] = "change_password"
    password: PasswordText | None = None
    new_password: PasswordText

    if TYPE_CHECKING:

        def __init__(
            self, *, password: str | SecretStr | None = None, new_password: str | SecretStr
        ) -> None: ...

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (
            password_field("password", "current-password", "current_password"),
            password_field("new_password", "new-password"),
        )

    def call(self, flow: Flow, memory: InMemory) -> ReplacePassword:
        return ReplacePassword(
            password=self.password,
            new_password=self.new_password,
            access_token=memory.access_token,
        )


class RemovePasskey(AccountChange):
    """Remove a passkey.

    Attributes:
        key: CredentialId, as `oncegate.account.AccountOverview.passkeys` has it.
    """

    machine_event: ClassVar[str] = "remove_passkey"
    done: ClassVar[str] = "passkey_removed"
    type: Literal["remove_passkey"] = "remove_passkey"
    key: KeyText

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (field("key", "passkey"),)

    def call(self, flow: Flow, memory: InMemory) -> DeletePasskey:
        return DeletePasskey(key=self.key, access_token=memory.access_token)


class ForgetDevice(AccountChange):
    """Forget a remembered device: the second factor is asked for there again.

    Attributes:
        key: DeviceKey, as `oncegate.account.AccountOverview.devices` has it.
    """

    machine_event: ClassVar[str] = "forget_device"
    done: ClassVar[str] = "device_was_forgotten"
    type: Literal["forget_device"] = "forget_device"
    key: KeyText

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (field("key", "device"),)

    def call(self, flow: Flow, memory: InMemory) -> DeleteDevice:
        return DeleteDevice(key=self.key, access_token=memory.access_token)


class SignOutEverywhere(AccountChange):
    """End all sessions of the user, this one as well."""

    machine_event: ClassVar[str] = "sign_out_everywhere"
    done: ClassVar[str] = "signed_out_everywhere"
    type: Literal["sign_out_everywhere"] = "sign_out_everywhere"

    def call(self, flow: Flow, memory: InMemory) -> EndSessions:
        return EndSessions(access_token=memory.access_token)


class DeleteAccount(AccountChange):
    """Delete the account, for good."""

    machine_event: ClassVar[str] = "delete_account"
    done: ClassVar[str] = "account_deleted"
    type: Literal["delete_account"] = "delete_account"

    def call(self, flow: Flow, memory: InMemory) -> DeleteUser:
        return DeleteUser(access_token=memory.access_token)


class SetFactor(CallBase):
    """Set how a second factor is used (SetUserMFAPreference)."""

    factor: SecondFactor
    use: Literal["preferred", "enabled", "off"]
    access_token: SecretStr


class ReplacePassword(CallBase):
    """Change the password (ChangePassword)."""

    password: SecretStr | None
    new_password: SecretStr
    access_token: SecretStr


class DeletePasskey(CallBase):
    """Remove a passkey (DeleteWebAuthnCredential)."""

    key: str
    access_token: SecretStr


class DeleteDevice(CallBase):
    """Forget a device (ForgetDevice)."""

    key: str
    access_token: SecretStr


class EndSessions(CallBase):
    """End all sessions of the user (GlobalSignOut)."""

    access_token: SecretStr


class DeleteUser(CallBase):
    """Delete the user (DeleteUser)."""

    access_token: SecretStr
