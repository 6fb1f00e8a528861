"""Devices in the memory of one process. Needs no extra; for tests and scripts."""

from __future__ import annotations

import threading

from oncegate.adapters import Device
from oncegate_vaults import devices


class MemoryVault:
    """A tuple with a lock."""

    def __init__(self) -> None:
        self._devices: tuple[Device, ...] = ()
        self._lock = threading.Lock()

    def find(self, name: str) -> Device | None:
        """See `oncegate.DeviceVault.find`."""
        return devices.found(self._devices, name)

    def store(self, device: Device) -> None:
        """See `oncegate.DeviceVault.keep`."""
        with self._lock:
            self._devices = devices.with_device(self._devices, device)

    def remove(self, device: Device) -> None:
        """See `oncegate.DeviceVault.drop`."""
        with self._lock:
            self._devices = devices.without_device(self._devices, device)
