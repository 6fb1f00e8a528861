"""Devices in the system's keyring. Extra: ``oncegate[keyring]``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from oncegate import MissingExtra
from oncegate.adapters import Device
from oncegate_vaults import devices


class KeyringVault:
    """One entry of the keyring that the ``keyring`` package finds on this system.

    Args:
        account: which entry of the service: one for each pool and app client.
        service: the program that it belongs to.

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
        """See `oncegate.DeviceVault.find`."""
        return devices.found(self._read(), name)

    def store(self, device: Device) -> None:
        """See `oncegate.DeviceVault.keep`."""
        self._write(devices.with_device(self._read(), device))

    def remove(self, device: Device) -> None:
        """See `oncegate.DeviceVault.drop`."""
        self._write(devices.without_device(self._read(), device))

    def _read(self) -> tuple[Device, ...]:
        return devices.read(self._keyring.get_password(self._service, self._account) or "")

    def _write(self, kept: tuple[Device, ...]) -> None:
        self._keyring.set_password(self._service, self._account, devices.write(kept))
