"""`FileVault`: devices in a file that only its owner can read. Needs no extra."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from oncegate.adapters import Device
from oncegate_vaults import _devices as devices
from oncegate_vaults.private_files import replace_private


class FileVault:
    """Stores devices in one JSON file with mode 0600, for programs with a single user.

    Each write replaces the whole file atomically, so a crash cannot leave half of one.

    Args:
        path: JSON file; a missing folder is created with mode 0700.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()

    def find(self, name: str) -> Device | None:
        """See `oncegate.adapters.DeviceVault.find`."""
        return devices.found(self._read(), name)

    def store(self, device: Device) -> None:
        """See `oncegate.adapters.DeviceVault.store`."""
        with self._lock:
            self._write(devices.with_device(self._read(), device))

    def remove(self, device: Device) -> None:
        """See `oncegate.adapters.DeviceVault.remove`."""
        with self._lock:
            self._write(devices.without_device(self._read(), device))

    def _read(self) -> tuple[Device, ...]:
        try:
            return devices.read(self._path.read_bytes())
        except FileNotFoundError:
            return ()

    def _write(self, stored: tuple[Device, ...]) -> None:
        replace_private(self._path, devices.write(stored))
