"""Replacing a temporary password (NEW_PASSWORD_REQUIRED)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr

from oncegate.challenges._base import (
    AttributeName,
    AttributeValue,
    CallBase,
    ChallengeBase,
    EventBase,
    Field,
    PasswordText,
    plain_phone_number,
)
from oncegate.challenges.password import password_field
from oncegate.messages import TEXTS
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow


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
            attributes=self._required_of(event.attributes),
            device_key=flow.device_key,
        )

    def _required_of(self, attributes: dict[str, str]) -> dict[str, str]:
        """Return the attributes that Cognito asked for.

        With any other one, the user could write what the application keeps in the pool, such as
        ``custom:role``: Cognito sets each attribute that the app client may write (OWASP ASVS 5.0,
        15.3.3).
        """
        kept = {
            name: plain_phone_number(value) if name == "phone_number" else value
            for name, value in attributes.items()
            if name in self.required_attributes
        }
        dropped = len(attributes) - len(kept)
        if dropped:
            # Imported here because the log knows the transitions, and they know the challenges.
            from oncegate._log import logger

            logger().warning("attributes_dropped", challenge=self.kind, dropped=dropped)
        return kept


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
        default_factory=dict, max_length=50
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
    def fields(cls, flow: Flow) -> tuple[Field, ...]:
        challenge = flow.challenge
        required = (
            challenge.required_attributes if isinstance(challenge, NewPasswordChallenge) else ()
        )
        return (
            password_field("new_password", "new-password"),
            *(_attribute_field(name) for name in required),
        )


class SetPassword(CallBase):
    """Replace a temporary password. Cognito may send a code as a side effect."""

    can_send: ClassVar[bool] = True

    challenge: NewPasswordChallenge
    new_password: SecretStr
    attributes: dict[str, str]
    device_key: str | None = None


# The attributes of OIDC Core 5.1 that have an input type, a keyboard or an autofill token of their own.
_TYPES: Final[dict[str, Literal["email", "tel", "date", "url"]]] = {
    "email": "email",
    "phone_number": "tel",
    "birthdate": "date",
    "website": "url",
}
_KEYBOARDS: Final[dict[str, Literal["email", "tel", "url"]]] = {
    "email": "email",
    "phone_number": "tel",
    "website": "url",
}
_AUTOFILL: Final = {
    "name": "name",
    "given_name": "given-name",
    "family_name": "family-name",
    "middle_name": "additional-name",
    "nickname": "nickname",
    "birthdate": "bday",
    "email": "email",
    "phone_number": "tel",
    "address": "street-address",
    "website": "url",
    "gender": "sex",
}
_HINTS: Final = {"phone_number": "hint.phone_number"}


def _attribute_field(name: str) -> Field:
    hint_code = _HINTS.get(name, "")
    code = f"attribute.{name}"
    plain = name.removeprefix("custom:").replace("_", " ").capitalize()
    return Field(
        name=f"attributes.{name}",
        label=TEXTS.get(code, plain),
        label_code=code if code in TEXTS else "",
        hint=TEXTS[hint_code] if hint_code else "",
        hint_code=hint_code,
        type=_TYPES.get(name, "text"),
        inputmode=_KEYBOARDS.get(name, "text"),
        autocomplete=_AUTOFILL.get(name, "off"),
    )
