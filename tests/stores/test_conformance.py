"""Every store passes the public conformance suite; and what each store adds to it."""

from __future__ import annotations

import sys
import time
from importlib.metadata import EntryPoint
from pathlib import PurePosixPath
from typing import Any

import pytest

import oncegate_stores
from oncegate import Misconfigured, MissingExtra
from oncegate.adapters import RecordStore, StoredRecord
from oncegate.testing import StoreConformance
from oncegate_stores import (
    MemoryStore,
    store_from_url,
)


class TestMemory(StoreConformance):
    is_shared = False

    def make(self) -> RecordStore:
        return MemoryStore()


def test_expired_rows_are_deleted_by_next_create(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    store.swap("a" * 32, 0, StoredRecord(1, b"x", time.time() + 100))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 200)
    store.swap("b" * 32, 0, StoredRecord(1, b"x", now + 300))
    assert store.load("a" * 32) is None
    assert store.load("b" * 32) is not None


class TestStoreFromUrl:
    @pytest.fixture
    def entry_points(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        """Return the entry points that a third party's package provides; the test fills them in."""
        provided: dict[str, str] = {}

        def installed(*, group: str, name: str) -> list[EntryPoint]:
            found = provided.get(f"{group} {name}")
            return [EntryPoint(name, found, group)] if found else []

        monkeypatch.setattr("oncegate._entry_points.entry_points", installed)
        return provided

    def test_scheme_of_entry_point_makes_third_party_store(
        self, entry_points: dict[str, str]
    ) -> None:
        entry_points["oncegate.stores paper"] = "pathlib:PurePosixPath"
        store: object = store_from_url("paper://drawer")
        assert store == PurePosixPath("paper://drawer")

    def test_entry_point_with_missing_package_is_misconfigured(
        self, entry_points: dict[str, str]
    ) -> None:
        entry_points["oncegate.stores paper"] = "no_such_package:Store"
        with pytest.raises(Misconfigured, match="needs a package"):
            store_from_url("paper://drawer")

    def test_builtin_scheme_ignores_entry_points(self, entry_points: dict[str, str]) -> None:
        entry_points["oncegate.stores memory"] = "pathlib:PurePosixPath"
        assert isinstance(store_from_url("memory://"), MemoryStore)

    @pytest.mark.parametrize(
        "url", [None, "", "paper://user:hunter22@host", "hunter22:x", "http://[x"]
    )
    def test_unknown_scheme_is_misconfigured_without_quoting_url(
        self, url: Any, entry_points: dict[str, str]
    ) -> None:
        assert not entry_points
        with pytest.raises(Misconfigured) as refused:
            store_from_url(url)
        assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize("extra", ["dynamodb", "postgres", "redis"])
def test_missing_package_names_the_extra(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = {"dynamodb": "DynamoDBStore", "postgres": "PostgresStore", "redis": "RedisStore"}[extra]
    monkeypatch.setitem(sys.modules, f"oncegate_stores._{extra}", None)
    with pytest.raises(MissingExtra, match=rf"oncegate\[{extra}\]"):
        getattr(oncegate_stores, kind)
