"""The devices of one user agent, as the text that a vault keeps of them."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from oncegate.adapters import REVEAL, Device

_DEVICES = TypeAdapter(tuple[Device, ...])

MOST = 8
"""Users of one browser whose device is kept; the longest unused goes first."""


def read(text: str | bytes) -> tuple[Device, ...]:
    """The devices in a text; none where it is empty or cannot be read: they are registered anew."""
    try:
        return _DEVICES.validate_json(text)
    except ValidationError:
        return ()


def write(devices: tuple[Device, ...]) -> str:
    """The text of some devices, secrets and all."""
    return _DEVICES.dump_json(devices, context=REVEAL).decode()


def found(devices: tuple[Device, ...], name: str) -> Device | None:
    """The device of the user who has, or typed, a name; the own name goes before what was typed."""
    own = (device for device in devices if device.username == name)
    return next(own, None) or next((device for device in devices if device.is_of(name)), None)


def with_device(devices: tuple[Device, ...], device: Device) -> tuple[Device, ...]:
    """The devices with one more, in the place of any other of the same user."""
    others = tuple(other for other in devices if other.username != device.username)
    return (device, *others[: MOST - 1])


def without_device(devices: tuple[Device, ...], device: Device) -> tuple[Device, ...]:
    """The devices without one."""
    return tuple(other for other in devices if other.key != device.key)
