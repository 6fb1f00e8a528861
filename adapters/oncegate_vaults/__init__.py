"""Device vaults: stores for the secrets of remembered devices.

Each class implements `oncegate.adapters.DeviceVault`. Web applications use the sealed cookie of
`oncegate_web`. `KeyringVault` needs the extra ``oncegate[keyring]``; the others need none.
"""

from oncegate_vaults._file import FileVault
from oncegate_vaults._keyring import KeyringVault
from oncegate_vaults._memory import MemoryVault

__all__ = ["FileVault", "KeyringVault", "MemoryVault"]
