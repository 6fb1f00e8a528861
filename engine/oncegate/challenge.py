"""Challenges: one thing that Cognito asks for, with its session and its delivery.

The ``kind`` is Cognito's own ``ChallengeName`` (botocore's service model, ``ChallengeNameType``),
or a name of ours where Cognito asks by refusing (a sign-up to confirm, a password to reset) or by
handing over a device. The deadline and the answers already tried are the flow's (`oncegate.flow`),
because the transport that makes a challenge has no clock of the flow's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from oncegate.secret import Secret


class Factor(StrEnum):
    """The factors of a user pool that can be chosen, by Cognito's names.

    The first three are second factors; EMAIL is a first factor as well, as are those after it.
    PASSWORD stands for PASSWORD_SRP too: how a password is proven is the transport's business.
    """

    SMS = "SMS_MFA"
    EMAIL = "EMAIL_OTP"
    TOTP = "SOFTWARE_TOKEN_MFA"
    SMS_OTP = "SMS_OTP"
    PASSKEY = "WEB_AUTHN"
    PASSWORD = "PASSWORD"


SECOND_FACTORS = (Factor.SMS, Factor.EMAIL, Factor.TOTP)


class Delivery(BaseModel):
    """A code on its way to a phone or a mailbox.

    Attributes:
        medium: ``"SMS"`` or ``"EMAIL"``, as Cognito's CODE_DELIVERY_DELIVERY_MEDIUM says.
        destination: masked by Cognito, such as ``"+*******1234"``.
    """

    model_config = ConfigDict(defer_build=True, frozen=True)

    medium: str
    destination: str


class _Challenge(BaseModel):
    """What all challenges carry.

    Attributes:
        session: Cognito's session, good for one answer; about 1,500 characters. Empty where Cognito
            has none for it.
        username: the pool's own name for the user (USER_ID_FOR_SRP), never the alias that was typed.
        valid_for: seconds from the call that brought the challenge; AuthSessionValidity is 3 to 15
            minutes (botocore's service model).
    """

    model_config = ConfigDict(defer_build=True, frozen=True, hide_input_in_errors=True)

    session: Secret
    username: str
    valid_for: float = Field(default=180.0, gt=0, le=900)


class CodeChallenge(_Challenge):
    """A code is to be typed: a texted or mailed one (``delivery`` says where), or a TOTP.

    Attributes:
        is_first_factor: whether the code stands in for the password, so that a new one can be asked
            for without it.
    """

    kind: Literal[Factor.SMS, Factor.EMAIL, Factor.TOTP, Factor.SMS_OTP]
    delivery: Delivery | None = None
    is_first_factor: bool = False

    @property
    def digits(self) -> int:
        """The length of the code: SMS and TOTP have 6 digits, EMAIL_OTP has 8 (public reports)."""
        return 8 if self.kind is Factor.EMAIL else 6


class FactorChoice(_Challenge):
    """The user chooses a factor: a second one, the first one, or one to set up.

    Answering with SMS or email makes Cognito send.

    Attributes:
        password_by_srp: whether PASSWORD, where it is a factor here, may be proven by SRP.
    """

    kind: Literal["SELECT_MFA_TYPE", "SELECT_CHALLENGE", "MFA_SETUP"] = "SELECT_MFA_TYPE"
    factors: tuple[Factor, ...] = Field(min_length=1)
    password_by_srp: bool = True


class PasswordChallenge(_Challenge):
    """The password is to be typed; the username is known (USER_AUTH).

    Attributes:
        srp: whether it is to be proven by SRP.
    """

    kind: Literal["PASSWORD"] = "PASSWORD"
    srp: bool = True


class PasskeyChallenge(_Challenge):
    """A passkey is to sign. The options go to the browser; its answer comes back as JSON.

    Attributes:
        options: CREDENTIAL_REQUEST_OPTIONS, JSON as in WebAuthn's
            PublicKeyCredentialRequestOptionsJSON.
    """

    kind: Literal[Factor.PASSKEY] = Factor.PASSKEY
    options: str = Field(max_length=8192)


class CustomChallenge(_Challenge):
    """Whatever the pool's Lambda asks.

    Attributes:
        parameters: what the Lambda made public.
    """

    kind: Literal["CUSTOM_CHALLENGE"] = "CUSTOM_CHALLENGE"
    parameters: dict[str, str] = Field(default_factory=dict)


class TotpSetup(_Challenge):
    """An authenticator app is to be set up: the secret is shown, and its first code asked for.

    Attributes:
        secret: in base32, for the user's authenticator only.
        uri: the same as ``otpauth://`` URI, to be drawn as a QR code (Key Uri Format, Google
            Authenticator wiki).
    """

    kind: Literal["TOTP_SETUP"] = "TOTP_SETUP"
    secret: Secret
    uri: Secret

    @property
    def digits(self) -> int:
        """The length of the code (public reports)."""
        return 6


class NewPasswordChallenge(_Challenge):
    """A temporary password has to be replaced.

    Attributes:
        required_attributes: names without the ``userAttributes.`` prefix, such as ``"email"``.
    """

    kind: Literal["NEW_PASSWORD_REQUIRED"] = "NEW_PASSWORD_REQUIRED"
    required_attributes: tuple[str, ...] = ()


class DeviceChallenge(_Challenge):
    """This device is to prove itself, in the place of a second factor (DEVICE_SRP_AUTH)."""

    kind: Literal["DEVICE_SRP_AUTH"] = "DEVICE_SRP_AUTH"


class _Journey(_Challenge):
    """A code that Cognito sends on request only, outside of any session.

    A code for a reset is good for an hour, one for a sign-up for a day (AWS developer guide).
    """

    session: Secret = SecretStr("")
    valid_for: float = Field(default=3600.0, gt=0, le=86400)
    delivery: Delivery | None = None

    @property
    def digits(self) -> int:
        """The length of the code (public reports)."""
        return 6


class SignUpConfirmation(_Journey):
    """The sign-up is to be confirmed with a code, before anybody can sign in."""

    kind: Literal["CONFIRM_SIGN_UP"] = "CONFIRM_SIGN_UP"


class PasswordReset(_Journey):
    """The password is to be reset with a code, before anybody can sign in."""

    kind: Literal["RESET_PASSWORD"] = "RESET_PASSWORD"


class DeviceOffer(_Challenge):
    """Cognito knows this device now, and the user is asked whether to remember it.

    The tokens wait here, sealed with the flow, until the user has answered; the host's session keeper
    has them already where there is one, and then only the access token is here.
    """

    kind: Literal["DEVICE_OFFER"] = "DEVICE_OFFER"
    session: Secret = SecretStr("")
    device_key: str
    access_token: Secret
    id_token: Secret | None = None
    refresh_token: Secret | None = None
    expires_in: int = 3600


class UnknownChallenge(_Challenge):
    """A challenge that this version of oncegate does not know. It ends the flow, named."""

    kind: Literal["UNKNOWN"] = "UNKNOWN"
    name: str


Challenge = Annotated[
    CodeChallenge
    | FactorChoice
    | PasswordChallenge
    | PasskeyChallenge
    | CustomChallenge
    | TotpSetup
    | NewPasswordChallenge
    | DeviceChallenge
    | SignUpConfirmation
    | PasswordReset
    | DeviceOffer
    | UnknownChallenge,
    Field(discriminator="kind"),
]
