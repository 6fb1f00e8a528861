"""Passkeys (WEB_AUTHN): options go to the browser, and its signed answer comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr

from oncegate.challenges._base import (
    CallBase,
    ChallengeBase,
    CredentialText,
    EventBase,
    Factor,
    Field,
    field,
)
from oncegate.states import AccountState, FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class PasskeyChallenge(ChallengeBase):
    """A passkey has to sign.

    Attributes:
        options: CREDENTIAL_REQUEST_OPTIONS, JSON like WebAuthn's
            PublicKeyCredentialRequestOptionsJSON.
        available: other first factors of the user; begin anew with one of them (`ChooseFactor`).
    """

    kind: Literal[Factor.PASSKEY] = Factor.PASSKEY
    options: str = ModelField(max_length=8192)
    available: tuple[Factor, ...] = ()

    @property
    def waits_in(self) -> FlowState:
        return FlowState.AWAITING_PASSKEY

    @property
    def choices(self) -> tuple[Factor, ...]:
        return self.available

    def call(self, flow: Flow, memory: InMemory) -> CheckPasskey:
        assert isinstance(memory.event, SubmitPasskey)
        return CheckPasskey(
            challenge=self, credential=memory.event.credential, device_key=flow.device_key
        )


class SubmitPasskey(EventBase):
    """The result of the browser's ``navigator.credentials.get``.

    Attributes:
        credential: WebAuthn's AuthenticationResponseJSON, as text or as a mapping.
    """

    machine_event: ClassVar[str] = "submit_passkey"
    can_be_repeated: ClassVar[bool] = False  # an authenticator signs each challenge anew
    type: Literal["submit_passkey"] = "submit_passkey"
    credential: CredentialText

    if TYPE_CHECKING:

        def __init__(self, *, credential: str | SecretStr | dict[str, Any]) -> None: ...

    @property
    def answered_with(self) -> tuple[str, ...]:
        return (self.credential.get_secret_value(),)

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (field("credential", "passkey", type="passkey", secret=True),)

    @classmethod
    def label_code(cls, flow: Flow) -> str:
        of_account = f".{flow.state}" if flow.state == AccountState.REGISTERING_PASSKEY else ""
        return f"action.submit_passkey{of_account}"


class CheckPasskey(CallBase):
    """Answer a challenge with what the browser's authenticator signed."""

    challenge: PasskeyChallenge
    credential: SecretStr
    device_key: str | None = None
