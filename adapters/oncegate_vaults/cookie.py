"""Devices in a sealed value, which a web app keeps in a long-lived cookie. Needs no extra."""

from __future__ import annotations

import base64
import binascii

from oncegate import RecordUnreadable, SealingKeys
from oncegate.adapters import Device
from oncegate_vaults import devices


class CookieVault:
    """The devices of one browser, for one request.

    Args:
        value: of the cookie, or None.
        keys: seal it; older ones still open it.
        bound_to: what the value is good for, such as pool and client id: it opens nowhere else.

    Attributes:
        value: for the cookie; write it back where `is_changed`. Under 4 KB for eight users.
    """

    def __init__(self, value: str | None, keys: SealingKeys, *, bound_to: str) -> None:
        self.value = value
        self.is_changed = False
        self._keys = keys
        self._bound_to = f"devices of {bound_to}".encode()
        self._devices = self._open(value)

    def find(self, name: str) -> Device | None:
        """See `oncegate.DeviceVault.find`."""
        return devices.found(self._devices, name)

    def store(self, device: Device) -> None:
        """See `oncegate.DeviceVault.keep`."""
        self._set(devices.with_device(self._devices, device))

    def remove(self, device: Device) -> None:
        """See `oncegate.DeviceVault.drop`."""
        self._set(devices.without_device(self._devices, device))

    def _open(self, value: str | None) -> tuple[Device, ...]:
        try:
            sealed = base64.urlsafe_b64decode(value or "")
            return devices.read(self._keys.unseal(sealed, self._bound_to))
        except (RecordUnreadable, binascii.Error, ValueError):
            return ()

    def _set(self, kept: tuple[Device, ...]) -> None:
        self._devices = kept
        sealed = self._keys.seal(devices.write(kept).encode(), self._bound_to)
        self.value = base64.urlsafe_b64encode(sealed).decode()
        self.is_changed = True
