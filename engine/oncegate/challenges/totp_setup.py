"""Setting up an authenticator app during sign-in (MFA_SETUP with SOFTWARE_TOKEN_MFA)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from oncegate._secret import Secret
from oncegate.challenges._base import ChallengeBase
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.challenges.code import CheckCode
    from oncegate.record import Flow


class TotpSetup(ChallengeBase):
    """The user adds a secret to an authenticator app and enters the first code that it shows.

    Attributes:
        secret: base32, for the user's authenticator app only.
        uri: the same secret as an ``otpauth://`` URI, to be drawn as a QR code (Key Uri Format,
            Google Authenticator wiki).
    """

    kind: Literal["TOTP_SETUP"] = "TOTP_SETUP"
    secret: Secret
    uri: Secret

    @property
    def waits_in(self) -> FlowState:
        return FlowState.SETTING_UP_TOTP

    @property
    def takes_code(self) -> bool:
        return True

    def call(self, flow: Flow, memory: InMemory) -> CheckCode:
        from oncegate.challenges.code import CheckCode, SubmitCode

        assert isinstance(memory.event, SubmitCode)
        return CheckCode(challenge=self, code=memory.event.code, device_key=flow.device_key)
