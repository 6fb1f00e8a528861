"""An event as the driver has received it, with the limits' rows that it has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from oncegate._seal import FlowId
from oncegate.challenges import AnyEvent
from oncegate.context import RequestContext
from oncegate.ports import Change, DeviceVault, StoredRecord

Updated = Callable[[StoredRecord | None], StoredRecord]


class Rows:
    """The limits' rows, as one event has loaded or saved them.

    Attributes:
        tag: tag of the event's password; None before it is computed (`Limits.tag_of`).
    """

    def __init__(self) -> None:
        self.tag: str | None = None
        self._known: dict[str, StoredRecord | None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def get(self, key: str) -> StoredRecord | None:
        """Return a row; None if there is none, or if it was not looked up."""
        return self._known.get(key)

    def add(self, wanted: Iterable[str], loaded: Mapping[str, StoredRecord]) -> None:
        """Add what `oncegate.adapters.BatchStore.load_many` returned for the wanted keys."""
        related = (key for row in loaded.values() for key in row.related)
        for key in (*wanted, *related):
            self._known[key] = loaded.get(key)

    def change(self, key: str, updated: Updated) -> Change:
        """Return the change that saves a row's next version."""
        row = self._known.get(key)
        return Change(key, row.version if row else 0, updated(row))

    def note(self, change: Change, *, saved: bool) -> None:
        """Note what became of a change. A row that another worker has changed has to be looked up."""
        if saved:
            self._known[change.key] = change.row
        else:
            self._known.pop(change.key, None)


class Received(NamedTuple):
    """An event of a user.

    Attributes:
        flow_id: the flow that it is sent to.
        version: version of the step that the user saw.
        event: the event.
        context: the user's request.
        vault: the devices of the user; None if there is no vault.
        rows: the limits' rows that it has seen.
    """

    flow_id: FlowId
    version: int
    event: AnyEvent
    context: RequestContext
    vault: DeviceVault | None
    rows: Rows
