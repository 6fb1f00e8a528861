"""The conformance suite of stores."""

from __future__ import annotations

import re
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from oncegate.ports import RecordStore, StoredRecord


def _key() -> str:
    return uuid.uuid4().hex


def _row(version: int, sealed: bytes = b"\x00sealed\xff", ends_in: float = 3600.0) -> StoredRecord:
    return StoredRecord(version, sealed, time.time() + ends_in)


class StoreConformance:
    """What the driver relies on when it saves before it sends. Each test uses new keys."""

    def make(self) -> RecordStore:
        """Return the store under test, each time on the same data."""
        raise NotImplementedError

    def test_unknown_key_loads_nothing(self) -> None:
        assert self.make().load(_key()) is None

    def test_saved_row_is_loaded(self) -> None:
        store, key, row = self.make(), _key(), _row(1)
        assert store.swap(key, 0, row) is True
        loaded = store.load(key)
        assert loaded == row
        assert isinstance(loaded, StoredRecord)

    def test_second_first_save_is_refused(self) -> None:
        store, key, row = self.make(), _key(), _row(1)
        assert store.swap(key, 0, row)
        assert store.swap(key, 0, _row(1, b"second")) is False
        assert store.load(key) == row

    def test_swap_with_another_version_is_refused(self) -> None:
        store, key, two = self.make(), _key(), _row(2, b"two")
        store.swap(key, 0, _row(1))
        assert store.swap(key, 1, two)
        for stale in (0, 1, 3):
            assert not store.swap(key, stale, _row(9, b"nine"))
        assert store.load(key) == two

    def test_swap_of_a_missing_row_is_refused(self) -> None:
        store, key = self.make(), _key()
        assert not store.swap(key, 1, _row(2))
        assert store.load(key) is None

    def test_rows_are_independent(self) -> None:
        store, key, other, row = self.make(), _key(), _key(), _row(1, b"other")
        store.swap(key, 0, _row(1, b"one"))
        store.swap(other, 0, row)
        store.swap(key, 1, _row(2, b"two"))
        assert store.load(other) == row

    def test_row_that_need_not_be_durable_is_saved(self) -> None:
        store, key = self.make(), _key()
        for version in range(4):
            row = _row(version + 1)._replace(durable=version % 2 == 1)
            assert store.swap(key, version, row)
            assert not store.swap(key, version, row._replace(sealed=b"another"))
            loaded = store.load(key)
            assert loaded is not None
            assert loaded[:3] == row[:3]

    def test_row_of_four_kilobytes_of_any_bytes_is_saved(self) -> None:
        store, key, row = self.make(), _key(), _row(1, bytes(range(256)) * 16)
        store.swap(key, 0, row)
        assert store.load(key) == row

    def test_another_worker_sees_a_save_at_once(self) -> None:
        here, there, key = self.make(), self.make(), _key()
        row = _row(1)
        if not self.is_shared:
            return
        here.swap(key, 0, row)
        assert there.load(key) == row
        assert not there.swap(key, 0, _row(1, b"another"))
        assert there.swap(key, 1, _row(2))
        assert not here.swap(key, 1, _row(2, b"another"))

    is_shared = True
    """Whether two stores that `make` returned see each other's rows."""

    def test_concurrent_swaps_of_one_version_have_one_winner(self) -> None:
        threads, versions = 8, 20
        store, key = self.make(), _key()
        together = threading.Barrier(threads, timeout=60)  # if one of them fails

        def race(name: int) -> list[int]:
            won = []
            for version in range(versions):
                together.wait()
                if store.swap(key, version, _row(version + 1, str(name).encode())):
                    won.append(version)
            return won

        with ThreadPoolExecutor(threads) as pool:
            won = [version for result in pool.map(race, range(threads)) for version in result]
        assert sorted(won) == list(range(versions))
        last = store.load(key)
        assert last is not None
        assert last.version == versions

    def test_repeated_save_of_the_same_row_is_recognised(self) -> None:
        store, key = self.make(), _key()
        for version in range(3):
            row = _row(version + 1, f"sealed {version}".encode())
            assert store.swap(key, version, row) is True
            assert store.swap(key, version, row) is True
        assert store.swap(key, 3, _row(4, b"four"))
        assert not store.swap(key, 2, row)
        loaded = store.load(key)
        assert loaded is not None
        assert loaded[:2] == (4, b"four")

    # ── losses, and clocks ──

    def test_epoch_is_eight_hexadecimal_digits_and_stays(self) -> None:
        store, key = self.make(), _key()
        epoch = store.epoch(key)
        assert re.fullmatch("[0-9a-f]{8}", epoch)
        store.swap(key, 0, _row(1))
        store.load(key)
        assert store.epoch(key) == epoch
        if self.is_shared:
            assert self.make().epoch(key) == epoch

    def test_swap_under_the_epoch_is_saved(self) -> None:
        store, key = self.make(), _key()
        row = _row(1)._replace(epoch=store.epoch(key))
        assert store.swap(key, 0, row)
        assert store.load(key) == row._replace(epoch=None)
        assert store.swap(key, 1, _row(2, b"two")._replace(epoch=store.epoch(key)))

    def test_swap_under_another_epoch_is_refused(self) -> None:
        store, key, saved = self.make(), _key(), _key()
        other = f"{int(store.epoch(key), 16) ^ 1:08x}"
        store.swap(saved, 0, _row(1))
        assert store.swap(key, 0, _row(1)._replace(epoch=other)) is False
        assert store.load(key) is None
        assert store.swap(saved, 1, _row(2)._replace(epoch=other)) is False
        loaded = store.load(saved)
        assert loaded is not None
        assert loaded.version == 1

    def test_epoch_changes_when_the_store_loses_its_data(self) -> None:
        store, key, lost = self.make(), _key(), _key()
        before = store.epoch(key)
        store.swap(lost, 0, _row(1)._replace(epoch=before))
        if not self.lose():
            return
        again = self.make() if not self.is_shared else store
        assert again.load(lost) is None
        assert again.epoch(lost) != before
        assert not again.swap(lost, 0, _row(1)._replace(epoch=before))

    def lose(self) -> bool:
        """Make the store lose what it has acknowledged; return False if it cannot."""
        return False

    def test_time_is_that_of_the_store(self) -> None:
        assert abs(self.make().now() - time.time()) < 2
