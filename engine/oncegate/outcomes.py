"""Outcomes: what a transport reports of one call, which has exactly one."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from oncegate.challenge import Challenge
from oncegate.device import Device, NewDevice
from oncegate.secret import Secret


class Tokens(BaseModel):
    """What Cognito issues at the end: its AuthenticationResult. The repr hides all of it.

    Attributes:
        expires_in: seconds the access token is good for.
        device_key: of the device they were issued to; refreshing them needs it.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, hide_input_in_errors=True)

    access_token: str = Field(min_length=1, repr=False)
    id_token: str | None = Field(default=None, repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    expires_in: int = 3600
    token_type: str = "Bearer"
    device_key: str | None = None


class Refusal(StrEnum):
    """Why Cognito said no: one name for each thing that a flow can do about it."""

    WRONG_CREDENTIALS = "wrong_credentials"
    LOCKED = "locked"
    WRONG_CODE = "wrong_code"
    CODE_ALREADY_USED = "code_already_used"
    CODE_EXPIRED = "code_expired"
    CHALLENGE_DEAD = "challenge_dead"
    NEW_PASSWORD_REFUSED = "new_password_refused"
    FACTOR_UNUSABLE = "factor_unusable"
    PASSWORD_RESET_REQUIRED = "password_reset_required"
    DEVICE_FORGOTTEN = "device_forgotten"
    SIGN_UP_NOT_CONFIRMED = "sign_up_not_confirmed"
    ADMINISTRATOR_MUST_ACT = "administrator_must_act"
    TRIGGER_REFUSED = "trigger_refused"
    FIREWALL = "firewall"
    MISCONFIGURED = "misconfigured"


class _Outcome(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, hide_input_in_errors=True)

    machine_event: ClassVar[str]


class ChallengeIssued(_Outcome):
    """Cognito accepted the call and asks for something next."""

    machine_event: ClassVar[str] = "accepted"
    type: Literal["challenge_issued"] = "challenge_issued"
    challenge: Challenge


class TokensIssued(_Outcome):
    """Cognito accepted the call and the user is signed in.

    Attributes:
        username: the pool's own name for the user.
        new_device: where the pool tracks devices and did not know this one.
        session_name: set by the driver when the host's session keeper took the tokens.
    """

    machine_event: ClassVar[str] = "accepted"
    type: Literal["tokens_issued"] = "tokens_issued"
    tokens: Tokens
    username: str = ""
    new_device: NewDevice | None = None
    session_name: str | None = None


class Confirmed(_Outcome):
    """A sign-up was confirmed or a password reset. Nobody is signed in yet.

    Attributes:
        session: with which a sign-in may start without the first factor (ConfirmSignUp's Session,
            good for USER_AUTH).
    """

    machine_event: ClassVar[str] = "accepted"
    type: Literal["confirmed"] = "confirmed"
    session: Secret | None = None


class DeviceRegistered(_Outcome):
    """Cognito knows this device now.

    Attributes:
        device: with its secret, for the device vault.
        ask_user: whether the pool wants the user asked about remembering it.
    """

    machine_event: ClassVar[str] = "registered"
    type: Literal["device_registered"] = "device_registered"
    device: Device
    ask_user: bool


class DeviceRemembered(_Outcome):
    """Cognito will let this device stand in for the second factor."""

    machine_event: ClassVar[str] = "remembered"
    type: Literal["device_remembered"] = "device_remembered"


class Rejected(_Outcome):
    """Cognito answered, and the answer is no.

    Attributes:
        refusal: what it means for the flow.
        detail: Cognito's words, for the user where they are fit for users (a password policy),
            otherwise for the log only. Never a secret.
    """

    machine_event: ClassVar[str] = "rejected"
    type: Literal["rejected"] = "rejected"
    refusal: Refusal
    detail: str = ""


class NotSent(_Outcome):
    """The call provably had no effect: no connection was made, or Cognito throttled it.

    Attributes:
        cause: ``"unreachable"`` or ``"throttled"``; ``"stalled"`` where the driver held it back.
    """

    machine_event: ClassVar[str] = "not_sent"
    type: Literal["not_sent"] = "not_sent"
    cause: Literal["unreachable", "throttled", "stalled"]
    detail: str = ""


class OutcomeUnknown(_Outcome):
    """The request left and no answer came. It may have worked, so it is never repeated."""

    machine_event: ClassVar[str] = "unknown"
    type: Literal["outcome_unknown"] = "outcome_unknown"
    detail: str = ""


Outcome = (
    ChallengeIssued
    | TokensIssued
    | Confirmed
    | DeviceRegistered
    | DeviceRemembered
    | Rejected
    | NotSent
    | OutcomeUnknown
)
