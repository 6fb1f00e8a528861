"""The devices of one user agent, and the text in which a vault stores them."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from oncegate.adapters import FROM_STORE, REVEAL, Device

_DEVICES = TypeAdapter(tuple[Device, ...])

MAX_USERS = 8
"""Number of users whose device is stored; the one unused for longest is removed first."""


def read(text: str | bytes) -> tuple[Device, ...]:
    """Return the devices in a text; none if it is empty or unreadable: they are registered anew."""
    try:
        return _DEVICES.validate_json(text, context=FROM_STORE)
    except ValidationError:
        return ()


def write(devices: tuple[Device, ...]) -> str:
    """Return the text of the devices, including their secrets."""
    return _DEVICES.dump_json(devices, context=REVEAL).decode()


def found(devices: tuple[Device, ...], name: str) -> Device | None:
    """Return the device of the user with this name; a user's own name precedes what was typed."""
    own = (device for device in devices if device.username == name)
    return next(own, None) or next((device for device in devices if device.is_of(name)), None)


def with_device(devices: tuple[Device, ...], device: Device) -> tuple[Device, ...]:
    """Return the devices with one added, which replaces any other of the same user."""
    others = tuple(other for other in devices if other.username != device.username)
    return (device, *others[: MAX_USERS - 1])


def without_device(devices: tuple[Device, ...], device: Device) -> tuple[Device, ...]:
    """Return the devices without this one."""
    return tuple(other for other in devices if other.key != device.key)
