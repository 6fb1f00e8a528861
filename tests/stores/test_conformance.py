"""Every store, held to the suite that third parties' stores are held to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from tests.servers import PostgresServer, RedisServer

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

    def test_redis_itself_drops_what_is_over(self) -> None:
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


class TestDynamoDB(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "unused")
        server = ThreadedMotoServer(port=0, verbose=False)
        server.start()
        self.table = f"flows-{uuid.uuid4().hex}"
        self.host = "http://{}:{}".format(*server.get_host_and_port())
        store = self.make()
        assert isinstance(store, DynamoDBStore)
        store.create_table()
        yield
        server.stop()

    def make(self) -> RecordStore:
        return store_from_url(f"dynamodb://{self.table}?region=eu-west-1&endpoint_url={self.host}")

    def test_the_table_drops_what_is_over(self) -> None:
        store = self.make()
        assert isinstance(store, DynamoDBStore)
        told = store._db.describe_time_to_live(TableName=self.table)["TimeToLiveDescription"]
        assert (told["TimeToLiveStatus"], told["AttributeName"]) == ("ENABLED", "drop_at")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_rows_past_their_time_are_dropped(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: RecordStore = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "f.db")
    store.swap("a" * 32, 0, StoredRecord(1, b"x", time.time() + 100))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 200)
    store.swap("b" * 32, 0, StoredRecord(1, b"x", now + 300))
    assert store.load("a" * 32) is None
    assert store.load("b" * 32) is not None
