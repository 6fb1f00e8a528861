"""`BrowserVault`: the devices in a browser's cookie, safe from a second click.

A second click cancels the first request, so the browser never sees the response that brings a new
device's cookie. The cookie's new value is therefore stored, sealed, before the flow goes on, and the
next response of the same flow brings it.
"""

from __future__ import annotations

from collections.abc import Callable

from oncegate import SealingKeys
from oncegate.adapters import Device, RecordStore, StoredRecord
from oncegate_web._cookie_vault import CookieVault

PENDING_SECONDS = 600.0
"""How long a cookie's value is stored for a browser that has not received it."""


def pending_key(flow_id: str, keys: SealingKeys) -> str:
    """Return the store's key of the row for a flow's new device cookie."""
    return keys.row_key("device of", flow_id)


class BrowserVault:
    """A device vault (`oncegate.adapters.DeviceVault`) for one request.

    Args:
        cookies: devices in the cookie that the browser sent.
        store: the store of the flows.
        key: the store's key of the row; see `pending_key`.
        now: returns the seconds since the epoch. None: the store's clock.
    """

    def __init__(
        self,
        cookies: CookieVault,
        store: RecordStore,
        key: str,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._cookies = cookies
        self._store = store
        self._key = key
        self._now = now or store.now

    def find(self, name: str) -> Device | None:
        """See `oncegate.adapters.DeviceVault.find`."""
        return self._cookies.find(name)

    def store(self, device: Device) -> None:
        """See `oncegate.adapters.DeviceVault.store`."""
        self._cookies.store(device)
        self._save_pending()

    def remove(self, device: Device) -> None:
        """See `oncegate.adapters.DeviceVault.remove`."""
        self._cookies.remove(device)
        self._save_pending()

    @property
    def changed(self) -> str | None:
        """The cookie's new value, if this request has changed it."""
        return self._cookies.value if self._cookies.is_changed else None

    def pending(self, *, to_owner: bool) -> str | None:
        """Return the cookie's value from this or an earlier request of the flow, if it is new.

        It opens the second factor, so a caller who only knows the flow does not receive it.

        Args:
            to_owner: whether the request carried the answer that the session is handed over for.
                Otherwise the browser must have received the device before.
        """
        if self.changed:
            return self.changed
        row = self._store.load(self._key)
        pending = row.sealed.decode() if row and row.expires_at > self._now() else None
        if pending is None or pending == self._cookies.value:
            return None
        return pending if to_owner or self._cookies.has_devices_of(pending) else None

    def _save_pending(self) -> None:
        row = self._store.load(self._key)
        version = row.version if row else 0
        # The value is sealed already. If another worker saved first, its device serves as well.
        sealed = (self._cookies.value or "").encode()
        self._store.swap(
            self._key, version, StoredRecord(version + 1, sealed, self._now() + PENDING_SECONDS)
        )
