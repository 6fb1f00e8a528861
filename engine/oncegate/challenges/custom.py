"""Custom challenges (CUSTOM_CHALLENGE): the pool's Lambda asks, and may send a code at any call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr

from oncegate.challenges._base import (
    AnswerText,
    CallBase,
    ChallengeBase,
    EventBase,
    Field,
    field,
)
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class CustomChallenge(ChallengeBase):
    """The pool's Lambda asks a question.

    Attributes:
        parameters: the Lambda's public challenge parameters.
    """

    kind: Literal["CUSTOM_CHALLENGE"] = "CUSTOM_CHALLENGE"
    parameters: dict[str, str] = ModelField(default_factory=dict)

    @property
    def messages(self) -> Mapping[str, str]:
        return {
            **super().messages,
            "wrong_code": "wrong_answer",
            "code_already_used": "wrong_answer",
            "already_tried": "answer_already_tried",
            # The Lambda has ended the sign-in (failAuthentication).
            "wrong_credentials": "answer_failed",
        }

    @property
    def waits_in(self) -> FlowState:
        return FlowState.AWAITING_ANSWER

    @property
    def answer_can_send(self) -> bool:
        return True

    def call(self, flow: Flow, memory: InMemory) -> CheckAnswer:
        assert isinstance(memory.event, SubmitAnswer)
        return CheckAnswer(challenge=self, answer=memory.event.answer, device_key=flow.device_key)


class SubmitAnswer(EventBase):
    """The answer to a custom challenge."""

    machine_event: ClassVar[str] = "submit_answer"
    type: Literal["submit_answer"] = "submit_answer"
    answer: AnswerText

    if TYPE_CHECKING:

        def __init__(self, *, answer: str | SecretStr) -> None: ...

    @property
    def answered_with(self) -> tuple[str, ...]:
        return (self.answer.get_secret_value(),)

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (field("answer", "answer", type="password", secret=True),)


class CheckAnswer(CallBase):
    """Answer a custom challenge. The pool's Lambda may send a code as a side effect."""

    can_send: ClassVar[bool] = True

    challenge: CustomChallenge
    answer: SecretStr
    device_key: str | None = None
