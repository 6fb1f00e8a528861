"""Stores that lack one property each. With any of them, a script breaks a promise."""

from __future__ import annotations

from tests.doubles import UnconditionalStore
from tests.world import ForgetfulStore, LosingStore

from oncegate.adapters import StoredRecord


class StoreWithoutWriteAhead(UnconditionalStore):
    """A store that loses the first save of each flow. The call leaves, as in most clients, unsaved."""

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        return expected == 0 or super().swap(key, expected, row)


class NeverDurableStore(ForgetfulStore):
    """A store that treats no write as durable."""

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        return super().swap(key, expected, row._replace(durable=False))


class StoreThatNoticesNoLoss(LosingStore):
    """A store that keeps its epoch when it loses writes."""

    def lose(self, writes: int) -> None:
        epoch = self.now_epoch
        super().lose(writes)
        self.now_epoch = epoch


class StoreThatSavesUnderAnyEpoch(LosingStore):
    """A store that knows its epoch, and does not compare it when it saves."""

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        return super().swap(key, expected, row._replace(epoch=None))
