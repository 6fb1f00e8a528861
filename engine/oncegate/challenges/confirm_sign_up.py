"""Confirming a sign-up: Cognito refuses the sign-in until a code confirms it (ConfirmSignUp)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import SecretStr

from oncegate.challenges._base import CallBase, Delivery, EventBase
from oncegate.challenges.code import SubmitCode
from oncegate.challenges.recovery import RecoveryChallenge, SendCode
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow


class SignUpConfirmation(RecoveryChallenge):
    """The user has to confirm the sign-up with a code before the first sign-in."""

    kind: Literal["CONFIRM_SIGN_UP"] = "CONFIRM_SIGN_UP"

    @property
    def waits_in(self) -> FlowState:
        return FlowState.AWAITING_CONFIRMATION

    @classmethod
    def padded(
        cls, username: str, session: str = "", delivery: Delivery | None = None
    ) -> SignUpConfirmation:
        """Return a challenge whose session has one length, so that records have one size.

        There is no session of an account that exists already, which must not be told.

        Args:
            username: name of the account.
            session: Session of SignUp; empty for none. Its limit is that of the service model.
            delivery: where the code was sent.
        """
        return cls(username=username, session=SecretStr(session.ljust(2048)), delivery=delivery)

    def call(self, flow: Flow, memory: InMemory) -> SendCode | ConfirmSignUp:
        if flow.state is FlowState.REQUESTING_CHALLENGE:
            return SendCode(challenge=self)
        assert isinstance(memory.event, SubmitCode)
        session = self.session.get_secret_value().rstrip()
        return ConfirmSignUp(
            challenge=self,
            code=memory.event.code,
            session=SecretStr(session) if session else None,
        )


class ConfirmAccount(EventBase):
    """Enter the code that confirms a sign-up, or request one.

    Offered after every rejected sign-in: Cognito refuses an unconfirmed user before it checks the
    password, so whether there is one must not be told to a caller who types the name.
    """

    machine_event: ClassVar[str] = "confirm_account"
    type: Literal["confirm_account"] = "confirm_account"


class ConfirmSignUp(CallBase):
    """Confirm a sign-up with its code.

    Attributes:
        session: Session of the SignUp before it, with which the sign-in goes on; None if there is none.
    """

    challenge: SignUpConfirmation
    code: SecretStr
    session: SecretStr | None = None
