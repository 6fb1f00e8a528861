"""What users call their passkeys: a row of the store for each user.

Cognito names a passkey itself (FriendlyCredentialName), and has no operation that renames one: API
reference, ListWebAuthnCredentials. So only this application's own pages and programs show these names.
"""

from __future__ import annotations

from typing import NamedTuple

from oncegate._rows import next_row, open_row
from oncegate._seal import SealingKeys
from oncegate.ports import StoredRecord

NAMES_SECONDS = 10 * 365 * 86400.0
"""Seconds for which the names are stored after the last change of one."""

MOST_NAMES = 20
"""Passkeys that a user can have: AWS developer guide, on passkeys."""


class PasskeyNames(NamedTuple):
    """The names of one user's passkeys, by CredentialId.

    Attributes:
        key: the row's key in the store.
    """

    key: str
    keys: SealingKeys

    @classmethod
    def of(cls, owner: str, keys: SealingKeys) -> PasskeyNames:
        """Return the names of a user, by the user's ID (sub)."""
        return cls(keys.row_key("names of passkeys", owner), keys)

    def names(self, row: StoredRecord | None) -> dict[str, str]:
        """Return the names in a row, the oldest first."""
        found = open_row(self.key, row, self.keys) if row else None
        return dict(found) if isinstance(found, dict) else {}

    def named(
        self, row: StoredRecord | None, *, passkey: str, name: str, now: float
    ) -> StoredRecord:
        """Return the row with the name of one more passkey."""
        kept = dict([*self._others(row, passkey).items(), (passkey, name)][-MOST_NAMES:])
        return next_row(self.key, row, kept, now + NAMES_SECONDS, self.keys, durable=True)

    def removed(self, row: StoredRecord | None, *, passkey: str, now: float) -> StoredRecord:
        """Return the row without the name of a passkey."""
        kept = self._others(row, passkey)
        # Without a name, the store may delete the row at once.
        return next_row(self.key, row, kept, now + NAMES_SECONDS if kept else now, self.keys)

    def forgotten(self, row: StoredRecord | None, *, now: float) -> StoredRecord:
        """Return the row of a user who has no account any more."""
        return next_row(self.key, row, {}, now, self.keys)

    def _others(self, row: StoredRecord | None, passkey: str) -> dict[str, str]:
        return {key: name for key, name in self.names(row).items() if key != passkey}
