"""Challenges: one thing that Cognito asks for, with its session and its delivery.

The ``kind`` is Cognito's own ``ChallengeName`` (botocore's service model, ``ChallengeNameType``).
The deadline and the answers already tried are the flow's (`oncegate.flow`), because the transport
that makes a challenge has no clock of the flow's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from oncegate.secret import Secret


class Factor(StrEnum):
    """The second factors of a user pool, by Cognito's names."""

    SMS = "SMS_MFA"
    EMAIL = "EMAIL_OTP"
    TOTP = "SOFTWARE_TOKEN_MFA"


class Delivery(BaseModel):
    """A code on its way to a phone or a mailbox.

    Attributes:
        medium: ``"SMS"`` or ``"EMAIL"``, as Cognito's CODE_DELIVERY_DELIVERY_MEDIUM says.
        destination: masked by Cognito, such as ``"+*******1234"``.
    """

    model_config = ConfigDict(frozen=True)

    medium: str
    destination: str


class _Challenge(BaseModel):
    """What all challenges carry.

    Attributes:
        session: Cognito's session, good for one answer; about 1,500 characters.
        username: the pool's own name for the user (USER_ID_FOR_SRP), never the alias that was typed.
        valid_for: seconds from the call that brought the challenge; AuthSessionValidity is 3 to 15
            minutes (botocore's service model).
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    session: Secret
    username: str
    valid_for: float = Field(default=180.0, gt=0, le=900)


class CodeChallenge(_Challenge):
    """A code is to be typed: a texted or mailed one (``delivery`` says where), or a TOTP."""

    kind: Literal[Factor.SMS, Factor.EMAIL, Factor.TOTP]
    delivery: Delivery | None = None

    @property
    def digits(self) -> int:
        """The length of the code: SMS and TOTP have 6 digits, EMAIL_OTP has 8 (public reports)."""
        return 8 if self.kind is Factor.EMAIL else 6


class FactorChoice(_Challenge):
    """The user chooses between second factors. Answering with SMS or email makes Cognito send."""

    kind: Literal["SELECT_MFA_TYPE"] = "SELECT_MFA_TYPE"
    factors: tuple[Factor, ...] = Field(min_length=1)


class NewPasswordChallenge(_Challenge):
    """A temporary password has to be replaced.

    Attributes:
        required_attributes: names without the ``userAttributes.`` prefix, such as ``"email"``.
    """

    kind: Literal["NEW_PASSWORD_REQUIRED"] = "NEW_PASSWORD_REQUIRED"
    required_attributes: tuple[str, ...] = ()


class UnknownChallenge(_Challenge):
    """A challenge that this version of oncegate does not know. It ends the flow, named."""

    kind: Literal["UNKNOWN"] = "UNKNOWN"
    name: str


Challenge = Annotated[
    CodeChallenge | FactorChoice | NewPasswordChallenge | UnknownChallenge,
    Field(discriminator="kind"),
]
