"""What confirming a sign-up and resetting a password share: a code that Cognito sends on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr

from oncegate._secret import Secret
from oncegate.challenges._base import CallBase, ChallengeBase, EventBase
from oncegate.states import AnyState, FlowState

if TYPE_CHECKING:
    from oncegate.record import Flow


# One message for all: which one Cognito has depends on whether there is such a user.
_REFUSALS = (
    *("wrong_code", "wrong_credentials", "refused", "code_expired", "code_already_used"),
    *("challenge_dead", "factor_unusable"),
)


class RecoveryChallenge(ChallengeBase):
    """A code that Cognito sends only on request, outside any session.

    A code for a reset is valid for an hour, one for a sign-up for a day (AWS developer guide).
    """

    session: Secret = SecretStr("")
    valid_for: float = ModelField(default=3600.0, gt=0, le=86400)

    @property
    def messages(self) -> Mapping[str, str]:
        return {
            **super().messages,
            **dict.fromkeys(_REFUSALS, "recovery_refused"),
        }

    @property
    def takes_code(self) -> bool:
        return True


class RequestNewCode(EventBase):
    """Ask for a code, or for a new one. It starts a new challenge; an older code stops working."""

    machine_event: ClassVar[str] = "request_new_code"
    type: Literal["request_new_code"] = "request_new_code"

    @classmethod
    def label_code(cls, flow: Flow) -> str:
        sent = flow.challenge is not None and flow.challenge.delivery is not None
        return f"action.{'request_new_code' if sent else 'request_first_code'}"

    @classmethod
    def hint_code(cls, target: AnyState) -> str:
        return "hint.new_code_needs_password" if target is FlowState.IDLE else ""


class SendCode(CallBase):
    """Have Cognito send a code that confirms a sign-up or resets a password."""

    can_send: ClassVar[bool] = True

    challenge: RecoveryChallenge
