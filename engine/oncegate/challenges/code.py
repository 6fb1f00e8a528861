"""Codes: sent by SMS or email, or shown by an authenticator app.

Cognito's SMS_MFA, EMAIL_OTP, SMS_OTP and SOFTWARE_TOKEN_MFA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import SecretStr

from oncegate.challenges._base import (
    LONGEST,
    SHORTEST,
    CallBase,
    ChallengeBase,
    CodeText,
    EventBase,
    Factor,
    Field,
    field,
)
from oncegate.challenges.totp_setup import TotpSetup
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class CodeChallenge(ChallengeBase):
    """Cognito asks for a code. ``delivery`` says where it was sent; a TOTP code is sent nowhere.

    Attributes:
        is_first_factor: whether the code replaces the password, so that a new one needs none.
        available: other first factors of the user; begin anew with one of them (`ChooseFactor`).
    """

    kind: Literal[Factor.SMS, Factor.EMAIL, Factor.TOTP, Factor.SMS_OTP]
    is_first_factor: bool = False
    available: tuple[Factor, ...] = ()

    @property
    def waits_in(self) -> FlowState:
        return FlowState.AWAITING_MFA

    @property
    def choices(self) -> tuple[Factor, ...]:
        return self.available

    @property
    def messages(self) -> Mapping[str, str]:
        return {
            **super().messages,
            "code_already_used": "code_already_used" if self.kind is Factor.TOTP else "code_used",
        }

    @property
    def takes_code(self) -> bool:
        return True

    def call(self, flow: Flow, memory: InMemory) -> CheckCode:
        assert isinstance(memory.event, SubmitCode)
        return CheckCode(challenge=self, code=memory.event.code, device_key=flow.device_key)


class SubmitCode(EventBase):
    """A code from an SMS, an email or an authenticator app.

    Digits of any script are taken. Blanks, dashes and invisible marks in it do not matter.

    Attributes:
        remember_device: the answer, given in advance, to whether to remember this device.
    """

    machine_event: ClassVar[str] = "submit_code"
    type: Literal["submit_code"] = "submit_code"
    code: CodeText
    remember_device: bool | None = None

    if TYPE_CHECKING:

        def __init__(
            self, *, code: str | SecretStr, remember_device: bool | None = None
        ) -> None: ...

    @property
    def answered_with(self) -> tuple[str, ...]:
        return (self.code.get_secret_value(),)

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (code_field(),)

    @classmethod
    def label_code(cls, flow: Flow) -> str:
        return f"action.submit_code.{flow.state}"


class CheckCode(CallBase):
    """Answer a challenge with a code."""

    challenge: CodeChallenge | TotpSetup
    code: SecretStr
    device_key: str | None = None


def code_field() -> Field:
    """Return the input for a code. The step's title says where the code is."""
    return field(
        "code",
        "code",
        autocomplete="one-time-code",
        inputmode="numeric",
        pattern=f"[0-9]{{{SHORTEST},{LONGEST}}}",
    )
