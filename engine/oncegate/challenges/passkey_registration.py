"""Adding a passkey to an account (StartWebAuthnRegistration, CompleteWebAuthnRegistration)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr

from oncegate._secret import Secret
from oncegate.challenges._base import CallBase, ChallengeBase, EventBase
from oncegate.challenges.passkey import SubmitPasskey
from oncegate.states import AccountState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow


class PasskeyRegistration(ChallengeBase):
    """An authenticator of the browser has to create a passkey.

    Attributes:
        options: CredentialCreationOptions, JSON like WebAuthn's PublicKeyCredentialCreationOptionsJSON.
    """

    kind: Literal["PASSKEY_REGISTRATION"] = "PASSKEY_REGISTRATION"
    session: Secret = SecretStr("")
    valid_for: float = ModelField(default=300.0, gt=0, le=900)
    options: str = ModelField(max_length=8192)

    @property
    def waits_in(self) -> AccountState:
        return AccountState.REGISTERING_PASSKEY

    def call(self, flow: Flow, memory: InMemory) -> RegisterPasskey:
        assert isinstance(memory.event, SubmitPasskey)
        return RegisterPasskey(
            challenge=self,
            credential=memory.event.credential,
            access_token=memory.access_token,
        )


class AddPasskey(EventBase):
    """Add a passkey of this device or of a security key."""

    machine_event: ClassVar[str] = "add_passkey"
    type: Literal["add_passkey"] = "add_passkey"

    def call(self, flow: Flow, memory: InMemory) -> StartPasskey:
        return StartPasskey(username=flow.own_name, access_token=memory.access_token)


class StartPasskey(CallBase):
    """Ask Cognito for the options with which a browser creates a passkey."""

    username: str
    access_token: SecretStr


class RegisterPasskey(CallBase):
    """Give Cognito the passkey that the browser created."""

    challenge: PasskeyRegistration
    credential: SecretStr
    access_token: SecretStr
