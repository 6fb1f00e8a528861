"""Which second factors a user has enabled, and which one is preferred."""

from __future__ import annotations

from pydantic import BaseModel, Field

from oncegate import Factor
from oncegate_sandbox._rules import rule
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json
from oncegate_sandbox.errors import invalid_parameter

rule(
    "mfa-preference-without-address",
    "A factor that the user has no phone number, email address or authenticator for cannot be "
    "enabled: 'User does not have delivery config set to turn on SOFTWARE_TOKEN_MFA'.",
    source="many public recordings of these words for SOFTWARE_TOKEN_MFA and SMS_MFA",
)
rule(
    "mfa-options",
    "SetUserSettings, which SDKs of the first years call, enables or disables SMS; MFAOptions tells "
    "of SMS only.",
    source="API reference, SetUserSettings, GetUser; amazon-cognito-identity-js",
)
rule(
    "mfa-settings-absent",
    "Without a second factor, GetUser has neither UserMFASettingList nor PreferredMfaSetting.",
    source="moto's tests marked aws_verified",
)


class MfaSettings(BaseModel):
    """Settings of one factor."""

    enabled: bool = Field(default=False, alias="Enabled")
    preferred: bool = Field(default=False, alias="PreferredMfa")


class MfaPreference(BaseModel):
    """The settings of SetUserMFAPreference and AdminSetUserMFAPreference."""

    sms: MfaSettings | None = Field(default=None, alias="SMSMfaSettings")
    totp: MfaSettings | None = Field(default=None, alias="SoftwareTokenMfaSettings")
    email: MfaSettings | None = Field(default=None, alias="EmailMfaSettings")


class MfaOption(BaseModel):
    """MFAOptionType."""

    medium: str = Field(alias="DeliveryMedium")


class MfaOptions(BaseModel):
    """The settings of SetUserSettings and AdminSetUserSettings."""

    options: list[MfaOption] = Field(alias="MFAOptions")

    def preference(self) -> MfaPreference:
        """Return the same as settings of SetUserMFAPreference."""
        has_sms = any(option.medium == "SMS" for option in self.options)
        return MfaPreference(SMSMfaSettings=MfaSettings(Enabled=has_sms))


def set_mfa_preference(pool: PoolState, user: User, wanted: MfaPreference) -> None:
    """Enable, disable or prefer second factors.

    Raises:
        CognitoError: the user cannot use a factor.
    """
    settings = {Factor.SMS: wanted.sms, Factor.TOTP: wanted.totp, Factor.EMAIL: wanted.email}
    for factor, setting in settings.items():
        usable = user.totp_secret if factor is Factor.TOTP else user.destination(factor)
        if setting and setting.enabled and not usable:
            raise invalid_parameter(
                f"User does not have delivery config set to turn on {factor.value}"
            )
    for factor, setting in settings.items():
        if setting is None:
            continue
        others = tuple(other for other in user.factors if other is not factor)
        user.factors = (*others, factor) if setting.enabled else others
        if setting.enabled and setting.preferred:
            user.preferred = factor
        elif user.preferred is factor:
            user.preferred = None
    user.modified_at = pool.clock.now()


def mfa_settings(user: User) -> Json:
    """Return UserMFASettingList, PreferredMfaSetting and MFAOptions, if they are set."""
    answer: Json = {}
    if Factor.SMS in user.factors:
        answer["MFAOptions"] = [{"DeliveryMedium": "SMS", "AttributeName": "phone_number"}]
    if user.factors:
        answer["UserMFASettingList"] = [factor.value for factor in user.factors]
    if user.preferred:
        answer["PreferredMfaSetting"] = user.preferred.value
    return answer
