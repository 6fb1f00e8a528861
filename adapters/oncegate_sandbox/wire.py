"""Requests, as far as they are played here: names and shapes are those of botocore's service model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from oncegate_sandbox.errors import invalid_parameter

Json = dict[str, Any]


class _Client(BaseModel):
    client_id: str = Field(alias="ClientId")
    session: str | None = Field(default=None, alias="Session")


class InitiateAuth(_Client):
    """InitiateAuth."""

    auth_flow: str = Field(alias="AuthFlow")
    parameters: dict[str, str | None] = Field(default_factory=dict, alias="AuthParameters")


class RespondToAuthChallenge(_Client):
    """RespondToAuthChallenge."""

    challenge: str = Field(alias="ChallengeName")
    responses: dict[str, str | None] = Field(default_factory=dict, alias="ChallengeResponses")


class _Named(_Client):
    username: str = Field(alias="Username", min_length=1)
    secret_hash: str | None = Field(default=None, alias="SecretHash")


class SendCode(_Named):
    """ForgotPassword and ResendConfirmationCode."""


class ConfirmSignUp(_Named):
    """ConfirmSignUp."""

    code: str = Field(alias="ConfirmationCode")


class ConfirmForgotPassword(_Named):
    """ConfirmForgotPassword."""

    code: str = Field(alias="ConfirmationCode")
    password: str = Field(alias="Password")


class OfUser(BaseModel):
    """Whatever an access token is enough for."""

    access_token: str = Field(alias="AccessToken")


class ListDevices(OfUser):
    """ListDevices."""

    limit: int = Field(default=60, alias="Limit", ge=1, le=60)
    after: str | None = Field(default=None, alias="PaginationToken")


class OfDevice(OfUser):
    """OfDevice."""

    device_key: str = Field(alias="DeviceKey")


class DeviceSecretVerifier(BaseModel):
    """DeviceSecretVerifier."""

    verifier: str = Field(alias="PasswordVerifier")
    salt: str = Field(alias="Salt")


class ConfirmDevice(OfDevice):
    """ConfirmDevice."""

    name: str = Field(default="", alias="DeviceName")
    secret: DeviceSecretVerifier = Field(alias="DeviceSecretVerifierConfig")


class UpdateDeviceStatus(OfDevice):
    """UpdateDeviceStatus."""

    status: str = Field(default="not_remembered", alias="DeviceRememberedStatus")


class AssociateSoftwareToken(BaseModel):
    """AssociateSoftwareToken."""

    access_token: str | None = Field(default=None, alias="AccessToken")
    session: str | None = Field(default=None, alias="Session")


class VerifySoftwareToken(AssociateSoftwareToken):
    """VerifySoftwareToken."""

    code: str = Field(alias="UserCode")


class MfaSettings(BaseModel):
    """MfaSettings."""

    enabled: bool = Field(default=False, alias="Enabled")
    preferred: bool = Field(default=False, alias="PreferredMfa")


class SetUserMFAPreference(OfUser):
    """SetUserMFAPreference."""

    sms: MfaSettings | None = Field(default=None, alias="SMSMfaSettings")
    totp: MfaSettings | None = Field(default=None, alias="SoftwareTokenMfaSettings")
    email: MfaSettings | None = Field(default=None, alias="EmailMfaSettings")


class Refresh(_Client):
    """GetTokensFromRefreshToken."""

    refresh_token: str = Field(alias="RefreshToken")
    client_secret: str | None = Field(default=None, alias="ClientSecret")
    device_key: str | None = Field(default=None, alias="DeviceKey")


class RevokeToken(_Client):
    """RevokeToken."""

    token: str = Field(alias="Token")
    client_secret: str | None = Field(default=None, alias="ClientSecret")


class CompletePasskey(OfUser):
    """CompleteWebAuthnRegistration."""

    credential: Json = Field(alias="Credential")


def required(answer: Mapping[str, str | None], name: str) -> str:
    """One of the parameters of an answer.

    Raises:
        CognitoError: it is not there.
    """
    value = answer.get(name)
    if not value:
        raise invalid_parameter(f"Missing required parameter {name}")
    return value
