"""Adding a passkey to an account (StartWebAuthnRegistration, CompleteWebAuthnRegistration)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr

from oncegate._secret import Secret
from oncegate.challenges._base import CallBase, ChallengeBase, EventBase, Field, field
from oncegate.challenges.authenticator import NameText
from oncegate.challenges.passkey import SubmitPasskey
from oncegate.states import AccountState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class PasskeyRegistration(ChallengeBase):
    """An authenticator of the browser has to create a passkey.

    Attributes:
        options: CredentialCreationOptions, JSON like WebAuthn's PublicKeyCredentialCreationOptionsJSON.
        name: what the user calls the passkey; empty for Cognito's own name.
    """

    kind: Literal["PASSKEY_REGISTRATION"] = "PASSKEY_REGISTRATION"
    session: Secret = SecretStr("")
    valid_for: float = ModelField(default=300.0, gt=0, le=900)
    options: str = ModelField(max_length=8192)
    name: str = ""

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
    """Add a passkey of this device or of a security key.

    Attributes:
        name: what the user calls it, such as ``"Work laptop"``; empty for Cognito's own name.
    """

    machine_event: ClassVar[str] = "add_passkey"
    type: Literal["add_passkey"] = "add_passkey"
    name: NameText = ""

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (field("name", "passkey_name", required=False),)

    def call(self, flow: Flow, memory: InMemory) -> StartPasskey:
        return StartPasskey(
            username=flow.own_name, name=self.name, access_token=memory.access_token
        )


class StartPasskey(CallBase):
    """Ask Cognito for the options with which a browser creates a passkey.

    Attributes:
        username: the pool's own name for the user.
        name: what the user calls the passkey.
    """

    username: str
    name: str
    access_token: SecretStr


class RegisterPasskey(CallBase):
    """Give Cognito the passkey that the browser created."""

    challenge: PasskeyRegistration
    credential: SecretStr
    access_token: SecretStr

    @property
    def passkey(self) -> str:
        """The passkey's ID, which is Cognito's CredentialId; empty if the credential has none.

        WebAuthn, RegistrationResponseJSON: base64url.
        """
        found = json.loads(self.credential.get_secret_value()).get("id")
        return found if isinstance(found, str) else ""
