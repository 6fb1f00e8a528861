"""Creating an account (SignUp). Cognito sends a code that confirms it (`confirm_sign_up`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr

from oncegate._secret import Secret
from oncegate.challenges._attributes import attribute_field
from oncegate.challenges._base import (
    AttributeName,
    AttributeValue,
    CallBase,
    ChallengeBase,
    EventBase,
    Field,
    PasswordText,
    UsernameText,
    field,
)
from oncegate.challenges.username import username_field
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class SignUpRequest(ChallengeBase):
    """The user wants an account. If the pool refuses what was entered, its form waits, filled in.

    Attributes:
        username: name that the account is to have.
        attributes: the user's attributes, by name.
    """

    kind: Literal["SIGN_UP"] = "SIGN_UP"
    session: Secret = SecretStr("")
    valid_for: float = ModelField(default=3600.0, gt=0, le=3600)
    attributes: dict[str, str] = ModelField(default_factory=dict, repr=False)

    @property
    def waits_in(self) -> FlowState:
        return FlowState.SIGNING_UP

    @property
    def messages(self) -> Mapping[str, str]:
        return {**super().messages, "trigger_refused": "sign_up_refused"}

    def call(self, flow: Flow, memory: InMemory) -> CreateAccount:
        return CreateAccount(challenge=self, password=memory.password)


class SignUp(EventBase):
    """Create an account. A code that confirms it is sent.

    Attributes:
        username: name, email address or phone number, according to what the pool signs up with.
        password: None for an account without a password.
        attributes: values by Cognito's names, such as ``"email"``. Only those of
            `oncegate.SignUpForm.attributes` are sent.
    """

    machine_event: ClassVar[str] = "sign_up"
    summary_code: ClassVar[str] = "link.sign_up"
    title_code: ClassVar[str] = "title.signing_up"
    type: Literal["sign_up"] = "sign_up"
    username: UsernameText
    password: PasswordText | None = None
    attributes: dict[AttributeName, AttributeValue] = ModelField(
        default_factory=dict, max_length=50, repr=False
    )

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            username: str,
            password: str | SecretStr | None = None,
            attributes: dict[str, str] = ...,
        ) -> None: ...

    @property
    def answered_with(self) -> tuple[str, ...]:
        return () if self.password is None else (self.password.get_secret_value(),)

    @property
    def first_factor(self) -> SecretStr | None:
        return self.password

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        form, entered = ways_in.sign_up, flow.challenge
        if form is None:
            return ()
        values = entered.attributes if isinstance(entered, SignUpRequest) else {}
        password = field(
            "password",
            "password",
            type="password",
            autocomplete="new-password",
            secret=True,
            required=form.password == "required",
        )
        return (
            username_field(flow),
            *(attribute_field(name, values.get(name, "")) for name in form.attributes),
            *(() if form.password == "none" else (password,)),
        )


class CreateAccount(CallBase):
    """Create an account. Cognito sends a code that confirms it, unless the pool needs none."""

    can_send: ClassVar[bool] = True

    challenge: SignUpRequest
    password: SecretStr | None = None
