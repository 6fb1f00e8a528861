"""Devices in a file that only its owner may read. Needs no extra; for programs of one person."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

from oncegate.adapters import Device
from oncegate_vaults import devices


class FileVault:
    """One JSON file with mode 0600, replaced as a whole, so that no crash leaves half of one.

    Args:
        path: of the file; its folder is made, for its owner only, where there is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()

    def find(self, name: str) -> Device | None:
        """See `oncegate.DeviceVault.find`."""
        return devices.found(self._read(), name)

    def store(self, device: Device) -> None:
        """See `oncegate.DeviceVault.keep`."""
        with self._lock:
            self._write(devices.with_device(self._read(), device))

    def remove(self, device: Device) -> None:
        """See `oncegate.DeviceVault.drop`."""
        with self._lock:
            self._write(devices.without_device(self._read(), device))

    def _read(self) -> tuple[Device, ...]:
        try:
            return devices.read(self._path.read_bytes())
        except FileNotFoundError:
            return ()

    def _write(self, kept: tuple[Device, ...]) -> None:
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes it 0600 from the start: at no moment can anybody else read it.
        handle, name = tempfile.mkstemp(dir=folder, prefix=self._path.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(devices.write(kept))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
