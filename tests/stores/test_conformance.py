"""Every store passes the public conformance suite; and what each store adds to it."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from boto3.session import Session
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from tests.servers import PostgresServer, RedisServer
from werkzeug.serving import make_server

import oncegate_stores
from oncegate import Misconfigured, MissingExtra
from oncegate.adapters import RecordStore, StoredRecord
from oncegate.testing import StoreConformance
from oncegate_stores import (
    DynamoDBStore,
    MemoryStore,
    PostgresStore,
    RedisStore,
    SQLiteStore,
    store_from_url,
)


class TestMemory(StoreConformance):
    is_shared = False

    def make(self) -> RecordStore:
        return MemoryStore()


class TestSQLite(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "flows.db"

    def make(self) -> RecordStore:
        return SQLiteStore(self.path)


@pytest.mark.needs("redis-server")
class TestRedis(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url

    def make(self) -> RecordStore:
        return RedisStore(self.url)

    def test_expired_record_is_deleted_by_redis(self) -> None:
        store = self.make()
        store.swap("a" * 32, 0, StoredRecord(1, b"x", time.time() + 1))
        assert store.load("a" * 32) is not None
        time.sleep(1.2)
        assert store.load("a" * 32) is None


@pytest.mark.needs("postgres")
class TestPostgres(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_server(self, postgres_server: PostgresServer) -> Iterator[None]:
        self.url = postgres_server.url
        self.made: list[PostgresStore] = []
        yield
        for store in self.made:
            store.close()

    def make(self) -> RecordStore:
        self.made.append(PostgresStore(self.url, max_size=8))
        return self.made[-1]


class OneAtATime:
    """moto's server, with one request at a time.

    DynamoDB's conditional writes are atomic. moto's are not: it checks the condition, and writes later,
    so that two requests at the same moment can both win.
    """

    def __init__(self) -> None:
        self._app: Any = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with self._lock:
            return list(self._app(environ, start_response))


class TestDynamoDB(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "unused")
        server = make_server("127.0.0.1", 0, OneAtATime(), threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.table = f"flows-{uuid.uuid4().hex}"
        self.host = f"http://127.0.0.1:{server.server_port}"
        store = self.make()
        assert isinstance(store, DynamoDBStore)
        store.create_table()
        yield
        server.shutdown()
        thread.join()
        server.server_close()

    def make(self) -> RecordStore:
        return store_from_url(f"dynamodb://{self.table}?region=eu-west-1&endpoint_url={self.host}")

    def test_created_table_has_ttl_enabled(self) -> None:
        store = self.make()
        assert isinstance(store, DynamoDBStore)
        client = Session(region_name="eu-west-1").client("dynamodb", endpoint_url=self.host)
        ttl = client.describe_time_to_live(TableName=self.table)["TimeToLiveDescription"]
        assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "drop_at")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_expired_rows_are_deleted_by_next_create(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: RecordStore = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "f.db")
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

    @pytest.mark.parametrize("url", ["", "paper://user:hunter22@host", "hunter22:x", "http://[x"])
    def test_unknown_scheme_is_misconfigured_without_quoting_url(
        self, url: str, entry_points: dict[str, str]
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
