"""`KeyringVault`: devices in the operating system's keyring. Extra: ``oncegate[keyring]``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from oncegate import MissingExtra
from oncegate.adapters import Device
from oncegate_vaults import _devices as devices


class KeyringVault:
    """Stores devices in one entry of the keyring that the ``keyring`` package finds.

    Args:
        account: name of the entry; use one for each user pool and app client.
        service: name of the program that the entry belongs to.

    Raises:
        MissingExtra: the ``keyring`` package is not installed.
    """

    def __init__(self, account: str, *, service: str = "oncegate") -> None:
        try:
            self._keyring: Any = import_module("keyring")
        except ModuleNotFoundError as error:
            raise MissingExtra("keyring") from error
        self._service = service
        self._account = account

    def find(self, name: str) -> Device | None:
        """See `oncegate.adapters.DeviceVault.find`."""
        return devices.found(self._read(), name)

    def store(self, device: Device) -> None:
        """See `oncegate.adapters.DeviceVault.store`."""
        self._write(devices.with_device(self._read(), device))

    def remove(self, device: Device) -> None:
        """See `oncegate.adapters.DeviceVault.remove`."""
        self._write(devices.without_device(self._read(), device))

    def _read(self) -> tuple[Device, ...]:
        return devices.read(self._keyring.get_password(self._service, self._account) or "")

    def _write(self, stored: tuple[Device, ...]) -> None:
        self._keyring.set_password(self._service, self._account, devices.write(stored))
