"""`RedisStore` passes the conformance suite on each kind of Redis that people run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from redis import Redis, RedisCluster
from redis.sentinel import Sentinel
from tests.servers import RedisServer
from tests.stores.redis_servers import Cluster, Sentinels, Server, check_forks

from oncegate.adapters import RecordStore, StoredRecord
from oncegate.testing import StoreConformance
from oncegate_stores import RedisStore, store_from_url

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    with Server(kind="valkey") as server:
        yield server


@pytest.fixture(scope="session", params=["redis", "valkey"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(kind=request.param) as servers:
        yield servers


@pytest.fixture(scope="session")
def sentinels() -> Iterator[Sentinels]:
    with ExitStack() as started:
        primary, replica = (started.enter_context(Server()) for _ in range(2))
        replica.replicate(primary)
        yield started.enter_context(Sentinels(primary, down_after=30))


class TestRedis(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url

    def make(self) -> RecordStore:
        return RedisStore(self.url)

    def lose(self) -> bool:
        return bool(Redis.from_url(self.url).flushall())

    def requests(self) -> int:
        with Redis.from_url(self.url) as client:
            stats = client.info("commandstats")
        commands = ("evalsha", "eval", "wait", "ping")
        return sum(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"] for command in commands)

    def test_expired_record_is_deleted_by_redis(self) -> None:
        store = self.make()
        store.swap("a" * 32, 0, StoredRecord(1, b"x", time.time() + 1))
        assert store.load("a" * 32) is not None
        time.sleep(1.2)
        assert store.load("a" * 32) is None

    def test_row_of_release_0_1_is_loaded_and_replaced(self) -> None:
        key = "ab" * 16
        with Redis.from_url(self.url) as client:
            client.hset(
                f"oncegate:{key}", mapping={"version": 3, "sealed": b"\xff", "expires_at": "9e9"}
            )
            store = self.make()
            assert store.load(key) == StoredRecord(3, b"\xff", 9e9)
            assert store.swap(key, 3, StoredRecord(4, b"four", time.time() + 60))
            assert client.hget(f"oncegate:{key}", "version") == b"4"


class TestValkey(TestRedis):
    @pytest.fixture(autouse=True)
    def _a_server(self, valkey: Server) -> None:
        self.url = valkey.url

    def make(self) -> RecordStore:
        return store_from_url(self.url.replace("redis://", "valkey://"))


class TestUnixSocket(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_server(self, valkey: Server) -> None:
        self.path = valkey.socket

    def make(self) -> RecordStore:
        return store_from_url(f"unix://{self.path}?db=1")


@pytest.mark.parametrize("protocol", [2, 3])
class TestOwnDecodingClient(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_client(self, redis_server: RedisServer, protocol: int) -> Iterator[None]:
        with Redis(port=redis_server.port, decode_responses=True, protocol=protocol) as self.client:
            yield

    def make(self) -> RecordStore:
        return RedisStore(self.client)


class TestSentinel(StoreConformance):
    @pytest.fixture(autouse=True)
    def _the_servers(self, sentinels: Sentinels) -> None:
        self.sentinels = sentinels

    def make(self) -> RecordStore:
        return store_from_url(self.sentinels.url)

    def lose(self) -> bool:
        return bool(Redis(port=self.sentinels.primary_port()).flushall())


class TestSentinelsOwnClient(TestSentinel):
    def make(self) -> RecordStore:
        addresses = [("127.0.0.1", server.port) for server in self.sentinels.servers]
        sentinel = Sentinel(addresses, socket_timeout=2)  # type: ignore[no-untyped-call]
        return RedisStore(sentinel.master_for("mymaster", socket_timeout=2))  # type: ignore[no-untyped-call]


class TestReplicaWait(TestSentinel):
    def make(self) -> RecordStore:
        return RedisStore(self.sentinels.url, wait_for_replicas=1)


class TestCluster(StoreConformance):
    @pytest.fixture(autouse=True)
    def _the_servers(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def make(self) -> RecordStore:
        return store_from_url(self.cluster.url)

    def lose(self) -> bool:
        return all(server.call("FLUSHALL") for server in self.cluster.servers[:2])

    def test_forked_processes_share_no_connection(self) -> None:
        check_forks(self.make())


class TestClustersOwnClient(TestCluster):
    def make(self) -> RecordStore:
        port = self.cluster.servers[0].port
        return RedisStore(RedisCluster("127.0.0.1", port, decode_responses=True))
