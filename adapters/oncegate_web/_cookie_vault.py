"""`CookieVault`: devices in a sealed value, which a web application keeps in a long-lived cookie."""

from __future__ import annotations

import base64
import binascii

from pydantic import TypeAdapter, ValidationError

from oncegate import RecordUnreadable, SealingKeys
from oncegate.adapters import FROM_STORE, REVEAL, Device

_DEVICES = TypeAdapter(tuple[Device, ...])

_MOST_USERS = 8
"""Users of one browser whose device is stored; the one unused for longest is removed first."""


class CookieVault:
    """The devices of one browser, for one request (`oncegate.adapters.DeviceVault`).

    Args:
        value: the cookie's value, or None.
        keys: seal the value; the other keys still open it.
        bound_to: user pool and app client (`oncegate.adapters.Transport.app_id`): the value opens for
            no other.

    Attributes:
        value: the cookie's new value; write it back if `is_changed`. Under 4 KB for eight users.
        is_changed: whether a device was stored or removed.
    """

    def __init__(self, value: str | None, keys: SealingKeys, *, bound_to: str) -> None:
        self.value = value
        self.is_changed = False
        self._keys = keys
        self._place = f"devices of {bound_to}".encode()
        self._devices = self._open(value)

    def find(self, name: str) -> Device | None:
        """See `oncegate.adapters.DeviceVault.find`. A user's own name precedes what was typed."""
        own = (device for device in self._devices if device.username == name)
        return next(own, None) or next((one for one in self._devices if one.is_of(name)), None)

    def store(self, device: Device) -> None:
        """See `oncegate.adapters.DeviceVault.store`."""
        others = (other for other in self._devices if other.username != device.username)
        self._set((device, *others)[:_MOST_USERS])

    def remove(self, device: Device) -> None:
        """See `oncegate.adapters.DeviceVault.remove`."""
        self._set(tuple(other for other in self._devices if other.key != device.key))

    def has_devices_of(self, value: str) -> bool:
        """Return whether the browser has all devices that are in another value of the cookie."""
        own = {device.key for device in self._devices}
        return {device.key for device in self._open(value)} <= own

    def _open(self, value: str | None) -> tuple[Device, ...]:
        if not value:
            return ()
        try:
            sealed = base64.urlsafe_b64decode(value)
            plain = self._keys.unseal(sealed, self._place)
            return _DEVICES.validate_json(plain, context=FROM_STORE)
        except (RecordUnreadable, ValidationError, binascii.Error, ValueError):
            return ()  # the devices are registered anew

    def _set(self, devices: tuple[Device, ...]) -> None:
        plain = _DEVICES.dump_json(devices, context=REVEAL)
        self.value = base64.urlsafe_b64encode(self._keys.seal(plain, self._place)).decode()
        self._devices = devices
        self.is_changed = True
