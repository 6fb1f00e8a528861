"""Remembered devices: proving one (DEVICE_SRP_AUTH), registering one, and asking the user about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import SecretStr, ValidationInfo, model_validator

from oncegate._secret import Secret
from oncegate._stored import FROM_STORE
from oncegate.challenges._base import CallBase, ChallengeBase, EventBase, Field, choice, field
from oncegate.devices import Device, NewDevice
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn


class DeviceChallenge(ChallengeBase):
    """The device proves itself instead of a second factor (DEVICE_SRP_AUTH). The user does nothing."""

    kind: Literal["DEVICE_SRP_AUTH"] = "DEVICE_SRP_AUTH"

    def call(self, flow: Flow, memory: InMemory) -> CheckDevice:
        assert memory.device is not None
        return CheckDevice(challenge=self, device=memory.device)


_OF_0_1 = frozenset({"id_token", "refresh_token", "expires_in"})


class DeviceOffer(ChallengeBase):
    """Cognito has registered this device, and the user is asked whether to remember it.

    The tokens were handed over with the step that asks. Only the access token, which answering needs,
    waits here, sealed with the flow. (0.1 also stored the others, which are ignored.)
    """

    kind: Literal["DEVICE_OFFER"] = "DEVICE_OFFER"
    session: Secret = SecretStr("")
    device_key: str
    access_token: Secret

    @model_validator(mode="before")
    @classmethod
    def _drop_other_tokens(cls, data: Any, info: ValidationInfo) -> Any:
        if info.context is not FROM_STORE or not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if name not in _OF_0_1}

    @property
    def waits_in(self) -> FlowState:
        return FlowState.OFFERING_DEVICE


class RememberDevice(EventBase):
    """Whether to remember this device."""

    machine_event: ClassVar[str] = "remember_device"
    type: Literal["remember_device"] = "remember_device"
    remember: bool = True

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        choices = (choice("true", "choice.remember"), choice("false", "choice.not_now"))
        return (
            field("remember", "remember_device", type="choice", choices=choices, style="buttons"),
        )


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
