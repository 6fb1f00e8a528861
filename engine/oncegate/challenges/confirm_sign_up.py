"""Confirming a sign-up: Cognito refuses the sign-in until a code confirms it (ConfirmSignUp)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr

from oncegate.challenges._base import CallBase, EventBase
from oncegate.challenges.code import SubmitCode
from oncegate.challenges.recovery import RecoveryChallenge, SendCode
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow


_MARGIN = 5.0
"""Seconds before a session's end in which it is not used: the request takes some of them."""


class SignUpConfirmation(RecoveryChallenge):
    """The user has to confirm the sign-up with a code before the first sign-in.

    Attributes:
        session: Session of the SignUp before it; empty if there is none. It ends before the code does.
        session_valid_for: seconds for which the session is valid.
    """

    kind: Literal["CONFIRM_SIGN_UP"] = "CONFIRM_SIGN_UP"
    session_valid_for: float = ModelField(default=180.0, gt=0, le=900)

    @property
    def waits_in(self) -> FlowState:
        return FlowState.AWAITING_CONFIRMATION

    def padded(self) -> SignUpConfirmation:
        """Return the challenge with a session of one length, so that records have one size.

        There is no session of an account that exists already, which must not be told.
        """
        # The service model's limit of SessionType.
        session = self.session.get_secret_value().ljust(2048)
        return self.model_copy(update={"session": SecretStr(session)})

    def call(self, flow: Flow, memory: InMemory) -> SendCode | ConfirmSignUp:
        if flow.state is FlowState.REQUESTING_CHALLENGE:
            return SendCode(challenge=self)
        assert isinstance(memory.event, SubmitCode)
        began = (flow.challenge_ends or 0.0) - self.valid_for
        is_valid = flow.saved_at - began < self.session_valid_for - _MARGIN
        session = self.session.get_secret_value().rstrip() if is_valid else ""
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
