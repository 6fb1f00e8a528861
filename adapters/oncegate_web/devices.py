"""`BrowserVault`: the devices of one browser, kept in its cookie, and not lost to a second click.

The response that brings a new device's cookie may never be seen: a second click cancels it, and the
browser shows the response to that one. So what the cookie is to hold is parked in the store, sealed,
before the flow goes on, and whoever has the flow gets it with the next response.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from oncegate.adapters import Device, RecordStore, StoredRecord

PARKED = 600.0
"""Seconds for which what a browser is to have waits for whoever clicks twice on the last page."""


class BrowserVault:
    """A device vault (`oncegate.DeviceVault`) for one request.

    Args:
        cookies: the vault in the cookie, as the browser sent it (`oncegate_vaults.CookieVault`).
        store: where the flows are.
        flow_id: of the browser.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        cookies: Any,
        store: RecordStore,
        flow_id: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cookies = cookies
        self._store = store
        self._key = sha256(f"device of {flow_id}".encode()).hexdigest()[:32]
        self._now = now

    def find(self, name: str) -> Device | None:
        """See `oncegate.DeviceVault.find`."""
        found: Device | None = self._cookies.find(name)
        return found

    def store(self, device: Device) -> None:
        """See `oncegate.DeviceVault.keep`."""
        self._cookies.store(device)
        self._park()

    def remove(self, device: Device) -> None:
        """See `oncegate.DeviceVault.drop`."""
        self._cookies.remove(device)
        self._park()

    @property
    def changed(self) -> str | None:
        """What the cookie is to hold, where this request has changed it."""
        value: str | None = self._cookies.value if self._cookies.is_changed else None
        return value

    def parked(self, had: str | None) -> str | None:
        """The same, or what an earlier request of this flow has changed and the browser has not."""
        if self.changed:
            return self.changed
        row = self._store.load(self._key)
        parked = row.sealed.decode() if row and row.expires_at > self._now() else None
        return parked if parked != had else None

    def _park(self) -> None:
        row = self._store.load(self._key)
        version = row.version if row else 0
        # The value is sealed already. Should another worker have been first, its device is as good.
        sealed = self._cookies.value.encode()
        self._store.swap(
            self._key, version, StoredRecord(version + 1, sealed, self._now() + PARKED)
        )
