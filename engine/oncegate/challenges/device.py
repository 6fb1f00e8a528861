"""Remembered devices: proving one (DEVICE_SRP_AUTH), registering one, and asking the user about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import SecretStr

from oncegate._secret import Secret
from oncegate.challenges._base import CallBase, ChallengeBase, EventBase, Field, choice, field
from oncegate.devices import Device, NewDevice
from oncegate.states import FlowState
from oncegate.tokens import Tokens

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow


class DeviceChallenge(ChallengeBase):
    """The device proves itself instead of a second factor (DEVICE_SRP_AUTH). The user does nothing."""

    kind: Literal["DEVICE_SRP_AUTH"] = "DEVICE_SRP_AUTH"

    def call(self, flow: Flow, memory: InMemory) -> CheckDevice:
        assert memory.device is not None
        return CheckDevice(challenge=self, device=memory.device)


class DeviceOffer(ChallengeBase):
    """Cognito has registered this device, and the user is asked whether to remember it.

    The tokens wait here, sealed with the flow, until the user has answered. If the application has a
    session keeper, it has the tokens already, and only the access token is here.
    """

    kind: Literal["DEVICE_OFFER"] = "DEVICE_OFFER"
    session: Secret = SecretStr("")
    device_key: str
    access_token: Secret
    id_token: Secret | None = None
    refresh_token: Secret | None = None
    expires_in: int = 3600

    @property
    def waits_in(self) -> FlowState:
        return FlowState.OFFERING_DEVICE

    @property
    def tokens(self) -> Tokens:
        """The tokens that wait for the answer."""
        waiting = {
            name: secret.get_secret_value()
            for name, secret in (
                ("access_token", self.access_token),
                ("id_token", self.id_token),
                ("refresh_token", self.refresh_token),
            )
            if secret
        }
        return Tokens(**waiting, expires_in=self.expires_in, device_key=self.device_key)


class RememberDevice(EventBase):
    """Whether to remember this device."""

    machine_event: ClassVar[str] = "remember_device"
    type: Literal["remember_device"] = "remember_device"
    remember: bool = True

    @classmethod
    def fields(cls, flow: Flow) -> tuple[Field, ...]:
        choices = (choice("true", "choice.yes"), choice("false", "choice.no"))
        return (field("remember", "remember_device", type="choice", choices=choices),)


class CheckDevice(CallBase):
    """Prove that this is a device that Cognito remembers. Never sends a code."""

    challenge: DeviceChallenge
    device: Device


class RegisterDevice(CallBase):
    """Register this device with Cognito: ConfirmDevice with a secret generated here.

    Attributes:
        username: the pool's own name for the user.
        typed: name that the user typed.
    """

    new_device: NewDevice
    username: str
    typed: str
    access_token: SecretStr


class MarkRemembered(CallBase):
    """Let this device replace the second factor from now on."""

    device_key: str
    access_token: SecretStr


def register_call(flow: Flow, memory: InMemory) -> RegisterDevice:
    """Return the call of a flow in `registering_device`."""
    assert memory.new_device is not None
    assert memory.tokens is not None
    return RegisterDevice(
        new_device=memory.new_device,
        username=memory.username,
        typed=flow.username,
        access_token=SecretStr(memory.tokens.access_token),
    )


def remember_call(flow: Flow, memory: InMemory) -> MarkRemembered:
    """Return the call of a flow in `remembering_device`."""
    if isinstance(flow.challenge, DeviceOffer):
        return MarkRemembered(
            device_key=flow.challenge.device_key, access_token=flow.challenge.access_token
        )
    assert memory.new_device is not None
    assert memory.tokens is not None
    return MarkRemembered(
        device_key=memory.new_device.key, access_token=SecretStr(memory.tokens.access_token)
    )
