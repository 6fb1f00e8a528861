"""`MemoryVault`: devices in the memory of one process. Needs no extra; for tests and scripts."""

from __future__ import annotations

import threading

from oncegate.adapters import Device
from oncegate_vaults import _devices as devices


class MemoryVault:
    """Stores devices in memory. Their secrets are lost when the process exits."""

    def __init__(self) -> None:
        self._devices: tuple[Device, ...] = ()
        self._lock = threading.Lock()

    def find(self, name: str) -> Device | None:
        """See `oncegate.adapters.DeviceVault.find`."""
        return devices.found(self._devices, name)

    def store(self, device: Device) -> None:
        """See `oncegate.adapters.DeviceVault.store`."""
        with self._lock:
            self._devices = devices.with_device(self._devices, device)

    def remove(self, device: Device) -> None:
        """See `oncegate.adapters.DeviceVault.remove`."""
        with self._lock:
            self._devices = devices.without_device(self._devices, device)
