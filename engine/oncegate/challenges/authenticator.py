"""Adding an authenticator app to an account (AssociateSoftwareToken, VerifySoftwareToken)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr, StringConstraints

from oncegate._secret import Secret
from oncegate.challenges._base import (
    CallBase,
    ChallengeBase,
    EventBase,
    Field,
    _Encodable,
    field,
)
from oncegate.challenges.code import SubmitCode
from oncegate.states import AccountState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn

# FriendlyDeviceName has no limit that matters (131,072, botocore's service model).
NameText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), _Encodable]


class AuthenticatorSetup(ChallengeBase):
    """The user adds a secret to an authenticator app and enters the first code that it shows.

    Attributes:
        secret: base32, for the user's authenticator app only.
        uri: the same secret as an ``otpauth://`` URI, to be drawn as a QR code.
        name: what the user calls the app or its device; empty for the pool's default.
    """

    kind: Literal["AUTHENTICATOR_SETUP"] = "AUTHENTICATOR_SETUP"
    session: Secret = SecretStr("")
    valid_for: float = ModelField(default=900.0, gt=0, le=900)
    secret: Secret
    uri: Secret
    name: str = ""

    @property
    def waits_in(self) -> AccountState:
        return AccountState.CONFIRMING_AUTHENTICATOR

    @property
    def takes_code(self) -> bool:
        return True

    def call(self, flow: Flow, memory: InMemory) -> ConfirmAuthenticator:
        assert isinstance(memory.event, SubmitCode)
        return ConfirmAuthenticator(
            challenge=self, code=memory.event.code, access_token=memory.access_token
        )


class AddAuthenticator(EventBase):
    """Set up an authenticator app as a second factor.

    Attributes:
        name: what the user calls the app or its device, such as ``"My phone"``.
    """

    machine_event: ClassVar[str] = "add_authenticator"
    type: Literal["add_authenticator"] = "add_authenticator"
    name: NameText = ""

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return (field("name", "authenticator_name", required=False),)

    def call(self, flow: Flow, memory: InMemory) -> StartAuthenticator:
        return StartAuthenticator(
            username=flow.own_name, name=self.name, access_token=memory.access_token
        )


class StartAuthenticator(CallBase):
    """Have Cognito generate the secret for an authenticator app.

    Attributes:
        username: the pool's own name for the user.
        name: what the user calls the app.
    """

    username: str
    name: str
    access_token: SecretStr


class ConfirmAuthenticator(CallBase):
    """Confirm an authenticator app with its first code, and use it as a second factor."""

    challenge: AuthenticatorSetup
    code: SecretStr
    access_token: SecretStr
