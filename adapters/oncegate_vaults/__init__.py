"""Device vaults: where the secret of a device is kept. Each fills `oncegate.DeviceVault`."""

from oncegate_vaults.cookie import CookieVault
from oncegate_vaults.file import FileVault
from oncegate_vaults.keyring import KeyringVault
from oncegate_vaults.memory import MemoryVault

__all__ = ["CookieVault", "FileVault", "KeyringVault", "MemoryVault"]
