"""Outcomes: what a transport reports of one call. Each call has exactly one."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from oncegate._secret import Secret
from oncegate.challenges import Challenge
from oncegate.devices import Device, NewDevice
from oncegate.tokens import Tokens


class RejectionReason(StrEnum):
    """Why Cognito rejected a call: one name for each thing that a flow can do about it."""

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
    INPUT_REFUSED = "input_refused"
    USERNAME_TAKEN = "username_taken"
    ADMINISTRATOR_MUST_ACT = "administrator_must_act"
    SECOND_FACTOR_MISSING = "second_factor_missing"
    BLOCKED = "blocked"
    REFUSED = "refused"
    TRIGGER_REFUSED = "trigger_refused"
    SIGNED_OUT = "signed_out"
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
        new_device: set if the pool tracks devices and did not know this one.
        session_id: set by the driver once the application's session keeper has the tokens.
    """

    machine_event: ClassVar[str] = "accepted"
    type: Literal["tokens_issued"] = "tokens_issued"
    tokens: Tokens = Field(exclude=True)
    username: str = ""
    new_device: NewDevice | None = None
    session_id: str | None = Field(default=None, repr=False)


class Confirmed(_Outcome):
    """A sign-up was confirmed or a password reset. The user is not signed in yet.

    Attributes:
        session: a sign-in may start with it instead of the first factor (ConfirmSignUp's Session,
            valid for USER_AUTH).
    """

    machine_event: ClassVar[str] = "accepted"
    type: Literal["confirmed"] = "confirmed"
    session: Secret | None = None


class DeviceRegistered(_Outcome):
    """Cognito has registered this device.

    Attributes:
        device: the device and its secret, for the device vault.
        ask_user: whether the pool lets the user decide if it is remembered.
    """

    machine_event: ClassVar[str] = "registered"
    type: Literal["device_registered"] = "device_registered"
    device: Device
    ask_user: bool


class DeviceRemembered(_Outcome):
    """Cognito accepts this device instead of the second factor from now on."""

    machine_event: ClassVar[str] = "remembered"
    type: Literal["device_remembered"] = "device_remembered"


class Rejected(_Outcome):
    """Cognito rejected the call.

    Attributes:
        reason: the rejection's meaning for the flow.
        detail: Cognito's words, and what to do about them, for the log. Never a secret.
        message: code of a text (`oncegate.messages.TEXTS`, without ``message.``) that tells the user
            more than the reason's own.
        for_user: Cognito's words that the user may see: those of a password policy, those of the
            pool's own trigger (if the application opts in), or the name of the attribute that was
            refused.
        username: the pool's own name for the user, if the transport has learned it.
    """

    machine_event: ClassVar[str] = "rejected"
    type: Literal["rejected"] = "rejected"
    reason: RejectionReason
    detail: str = ""
    message: str = ""
    for_user: str = ""
    username: str = ""


class NotSent(_Outcome):
    """The call provably had no effect: no request left in time, or Cognito throttled it.

    Attributes:
        cause: ``"unreachable"``, ``"throttled"``, or ``"limit_exceeded"`` for a limit of about an
            hour, which is not repeated at once. The driver's own are ``"stalled"`` if it did not
            make the call because its worker had been suspended; ``"too_many_codes"`` or
            ``"too_many_guesses"`` if parallel flows had reached a limit first; ``"offered_before"`` if
            one had made the same offer; ``"address_replaced"`` if the user has asked for a code at
            another address since.
    """

    machine_event: ClassVar[str] = "not_sent"
    type: Literal["not_sent"] = "not_sent"
    cause: Literal[
        "unreachable",
        "throttled",
        "limit_exceeded",
        "stalled",
        "too_many_codes",
        "too_many_guesses",
        "offered_before",
        "address_replaced",
    ]
    detail: str = ""


class OutcomeUnknown(_Outcome):
    """The request left and no answer came. It may have had its effect, so it is never repeated.

    Attributes:
        can_have_sent: whether it can have sent a code, if its call can. False for the first half of
            SRP, which sends nothing.
    """

    machine_event: ClassVar[str] = "unknown"
    type: Literal["outcome_unknown"] = "outcome_unknown"
    can_have_sent: bool = True
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
