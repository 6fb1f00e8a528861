"""Outcomes: what a transport reports of one call. There are five, and a call has exactly one."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from oncegate.challenge import Challenge


class Tokens(BaseModel):
    """What Cognito issues at the end: its AuthenticationResult. The repr hides all of it.

    Attributes:
        expires_in: seconds the access token is good for.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    access_token: str = Field(min_length=1, repr=False)
    id_token: str | None = Field(default=None, repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    expires_in: int = 3600
    token_type: str = "Bearer"


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
    SIGN_UP_NOT_CONFIRMED = "sign_up_not_confirmed"
    ADMINISTRATOR_MUST_ACT = "administrator_must_act"
    TRIGGER_REFUSED = "trigger_refused"
    FIREWALL = "firewall"
    MISCONFIGURED = "misconfigured"


class _Outcome(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    machine_event: ClassVar[str]


class ChallengeIssued(_Outcome):
    """Cognito accepted the call and asks for something next."""

    machine_event: ClassVar[str] = "accepted"
    type: Literal["challenge_issued"] = "challenge_issued"
    challenge: Challenge


class TokensIssued(_Outcome):
    """Cognito accepted the call and the user is signed in.

    Attributes:
        session_name: set by the driver when the host's session keeper took the tokens.
    """

    machine_event: ClassVar[str] = "accepted"
    type: Literal["tokens_issued"] = "tokens_issued"
    tokens: Tokens
    session_name: str | None = None


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


Outcome = ChallengeIssued | TokensIssued | Rejected | NotSent | OutcomeUnknown
