"""Resetting a password: Cognito refuses the sign-in until it is reset (ConfirmForgotPassword)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import SecretStr

from oncegate.challenges._base import (
    CallBase,
    CodeText,
    EventBase,
    Field,
    PasswordText,
    UsernameText,
)
from oncegate.challenges.code import code_field
from oncegate.challenges.password import password_field
from oncegate.challenges.recovery import RecoveryChallenge, RequestNewCode, SendCode
from oncegate.challenges.username import username_field
from oncegate.states import AnyState, FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class PasswordReset(RecoveryChallenge):
    """The user has to reset the password with a code before the next sign-in."""

    kind: Literal["RESET_PASSWORD"] = "RESET_PASSWORD"

    @property
    def waits_in(self) -> FlowState:
        return FlowState.AWAITING_RESET

    def main_event(self, flow: Flow) -> str:
        # Who has entered a code got one in another way, such as from an administrator.
        has_code = self.delivery is not None or bool(flow.attempted_digests)
        return "" if has_code else RequestNewCode.machine_event

    def call(self, flow: Flow, memory: InMemory) -> SendCode | ResetPasswordWith:
        event = memory.event
        if flow.state is FlowState.REQUESTING_CHALLENGE:
            return SendCode(challenge=self)
        assert isinstance(event, ResetPassword)
        return ResetPasswordWith(challenge=self, code=event.code, new_password=event.new_password)


class ForgotPassword(EventBase):
    """Have a code sent that resets the password.

    On most pools Cognito does not say that a password has to be reset (AWS developer guide, importing
    users), so the user begins.

    Attributes:
        username: may be left out if the flow knows it.
    """

    machine_event: ClassVar[str] = "forgot_password"
    beside: ClassVar[str] = "password"
    summary_code: ClassVar[str] = "link.forgot_password"
    title_code: ClassVar[str] = "title.awaiting_reset"
    type: Literal["forgot_password"] = "forgot_password"
    username: UsernameText | None = None

    if TYPE_CHECKING:

        def __init__(self, *, username: str | None = None) -> None: ...

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (username_field(flow),) if flow.state is FlowState.IDLE else ()

    @classmethod
    def hint_code(cls, target: AnyState) -> str:
        return "hint.reset"


class ResetPassword(EventBase):
    """The code that Cognito sent for the reset, and the new password."""

    machine_event: ClassVar[str] = "reset_password"
    summary_code: ClassVar[str] = "hint.have_code"
    type: Literal["reset_password"] = "reset_password"
    code: CodeText
    new_password: PasswordText

    if TYPE_CHECKING:

        def __init__(self, *, code: str | SecretStr, new_password: str | SecretStr) -> None: ...

    @property
    def answered_with(self) -> tuple[str, ...]:
        return (self.code.get_secret_value(), self.new_password.get_secret_value())

    @property
    def first_factor(self) -> SecretStr:
        return self.new_password

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (code_field(), password_field("new_password", "new-password"))


class ResetPasswordWith(CallBase):
    """Set a new password with the code that was sent for it."""

    challenge: PasswordReset
    code: SecretStr
    new_password: SecretStr
