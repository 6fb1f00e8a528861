"""Replacing a temporary password (NEW_PASSWORD_REQUIRED)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr

from oncegate.challenges._attributes import attribute_field, attributes_for
from oncegate.challenges._base import (
    AttributeName,
    AttributeValue,
    CallBase,
    ChallengeBase,
    EventBase,
    Field,
    PasswordText,
)
from oncegate.challenges.password import password_field
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class NewPasswordChallenge(ChallengeBase):
    """The user has to replace a temporary password.

    Attributes:
        required_attributes: names without the ``userAttributes.`` prefix, such as ``"email"``.
    """

    kind: Literal["NEW_PASSWORD_REQUIRED"] = "NEW_PASSWORD_REQUIRED"
    required_attributes: tuple[str, ...] = ()

    @property
    def waits_in(self) -> FlowState:
        return FlowState.AWAITING_NEW_PASSWORD

    @property
    def answer_can_send(self) -> bool:
        return True

    def call(self, flow: Flow, memory: InMemory) -> SetPassword:
        event = memory.event
        assert isinstance(event, SubmitNewPassword)
        return SetPassword(
            challenge=self,
            new_password=event.new_password,
            attributes=attributes_for(event.attributes, self.required_attributes, self.kind),
            device_key=flow.device_key,
        )


class SubmitNewPassword(EventBase):
    """The password that replaces a temporary one, with the attributes that the pool requires.

    Attributes:
        attributes: values by name, without the ``userAttributes.`` prefix. Only those in
            `NewPasswordChallenge.required_attributes` are sent.
    """

    machine_event: ClassVar[str] = "submit_new_password"
    type: Literal["submit_new_password"] = "submit_new_password"
    new_password: PasswordText
    attributes: dict[AttributeName, AttributeValue] = ModelField(
        default_factory=dict, max_length=50, repr=False
    )

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            new_password: str | SecretStr,
            attributes: dict[str, str] = ...,
        ) -> None: ...

    @property
    def answered_with(self) -> tuple[str, ...]:
        return (self.new_password.get_secret_value(),)

    @property
    def first_factor(self) -> SecretStr:
        return self.new_password

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        challenge = flow.challenge
        required = (
            challenge.required_attributes if isinstance(challenge, NewPasswordChallenge) else ()
        )
        return (
            password_field("new_password", "new-password"),
            *map(attribute_field, required),
        )


class SetPassword(CallBase):
    """Replace a temporary password. Cognito may send a code as a side effect."""

    can_send: ClassVar[bool] = True

    challenge: NewPasswordChallenge
    new_password: SecretStr
    attributes: dict[str, str]
    device_key: str | None = None
