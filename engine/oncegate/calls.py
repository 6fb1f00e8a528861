"""Calls: what the driver asks of a transport, one for each in-flight state.

A transport makes each call exactly once and reports one outcome. Secrets live here only while the
call is under way; a call is never stored.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr

from oncegate.challenge import (
    Challenge,
    CodeChallenge,
    Factor,
    FactorChoice,
    NewPasswordChallenge,
)
from oncegate.events import ChooseFactor, Event, SubmitCode, SubmitNewPassword, SubmitPassword


class _Call(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class CheckPassword(_Call):
    """Begin a sign-in with the first factor. Cognito may send a code as a side effect."""

    username: str
    password: SecretStr


class RequestCode(_Call):
    """Answer the choice of a second factor. Cognito sends a code where it is SMS or email."""

    challenge: FactorChoice
    factor: Factor


class CheckCode(_Call):
    """Answer a challenge with a code. Good for one try of the session where the code is right."""

    challenge: CodeChallenge
    code: SecretStr


class SetPassword(_Call):
    """Replace a temporary password. Cognito may send a code as a side effect."""

    challenge: NewPasswordChallenge
    new_password: SecretStr
    attributes: dict[str, str]


Call = CheckPassword | RequestCode | CheckCode | SetPassword


def call_for(event: Event, challenge: Challenge | None) -> Call:
    """The call that an event leads to, once the machine has let it pass.

    Args:
        event: one that has an arrow into an in-flight state.
        challenge: the one the event answers; None for the first factor.
    """
    match event, challenge:
        case SubmitPassword(), _:
            return CheckPassword(username=event.username, password=event.password)
        case ChooseFactor(), FactorChoice():
            return RequestCode(challenge=challenge, factor=event.factor)
        case SubmitCode(), CodeChallenge():
            return CheckCode(challenge=challenge, code=event.code)
        case SubmitNewPassword(), NewPasswordChallenge():
            return SetPassword(
                challenge=challenge, new_password=event.new_password, attributes=event.attributes
            )
    raise AssertionError(f"{event.type} has no call")  # the machine lets no other event pass
