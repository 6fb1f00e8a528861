"""Redis loses what it has acknowledged, in every way in which it can: the flow ends, with one text at most."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import pytest
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import NoScriptError
from tests.doubles import a_text, password
from tests.stores.redis_servers import Cluster, Forwarder, Sentinels, Server, wait_until

from oncegate import Misconfigured, RequestContext, SignIn, Step, StoreUnavailable
from oncegate.adapters import Call, FlowId, Outcome, StoredRecord
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import RedisStore

pytestmark = pytest.mark.needs("redis-server")

KINDS = pytest.mark.parametrize("kind", ["redis", "valkey"])


def row(epoch: str | None, version: int = 1, ends_in: float = 600) -> StoredRecord:
    """Return a row like no other: another worker's save of the same event has other bytes."""
    return StoredRecord(version, uuid.uuid4().bytes, time.time() + ends_in, epoch=epoch)


class Flows:
    """Flows of two workers, before and after a loss.

    Args:
        stores: one for each worker.
        transport: their transport, to the sandbox.
        sandbox: counts the texts.
    """

    def __init__(
        self, stores: list[RedisStore], transport: CognitoTransport, sandbox: Sandbox
    ) -> None:
        self.stores = stores
        self.workers = [SignIn(transport=transport, store=store) for store in stores]
        self.sandbox = sandbox
        self.key = uuid.uuid4().hex
        self.first: Step = self.workers[0].start()

    def start(self, is_wanted: Callable[[str], bool]) -> None:
        """Begin again, with flows whose keys are wanted."""
        while not is_wanted(self.key):
            self.key = uuid.uuid4().hex
        while not is_wanted(FlowId.parse(self.first.flow_id, None).key):
            self.first = self.workers[0].start()

    @property
    def first_key(self) -> str:
        return FlowId.parse(self.first.flow_id, None).key

    def save(self) -> None:
        """Save a flow's first row, and sign in until the text is sent."""
        for store in self.stores:
            self.epoch = store.epoch(self.key)
        assert self.stores[0].swap(self.key, 0, row(self.epoch))
        step = self.workers[0].send(self.first, password())
        assert (step.state, self.texts) == ("awaiting_mfa", 1)

    @property
    def texts(self) -> int:
        return len(self.sandbox.messages())

    def check_over(self, *, has_new_epoch: bool = True) -> None:
        """Check that no worker takes the flow up again, and that new ones can sign in."""
        before = self.texts
        for worker, store in zip(self.workers, self.stores, strict=True):
            assert not until_answered(partial(store.swap, self.key, 0, row(self.epoch)))
            assert (store.epoch(self.key) != self.epoch) is has_new_epoch
            step = worker.send(self.first, password())
            assert step.reason is not None
            assert (step.reason.code, self.texts) == ("finished", before)
        for worker in self.workers:
            assert worker.send(worker.start(), password()).state == "awaiting_mfa"
        assert self.texts == before + len(self.workers)


class CountingTransport(ScriptedTransport):
    """Counts the texts by username."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: Counter[str] = Counter()

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        self.texts[getattr(call, "username", "")] += 1
        time.sleep(0.05)
        return a_text()


T = TypeVar("T")


def until_answered(action: Callable[[], T]) -> T:
    """Repeat an action until the servers have failed over, as a user who reloads an error page."""
    until = time.monotonic() + 20
    while True:
        try:
            return action()
        except StoreUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


@pytest.fixture
def flows(transport: CognitoTransport, sandbox: Sandbox) -> Callable[..., Flows]:
    """Make flows of two workers of one URL, or of one URL for each."""

    def make(*urls: str, **options: Any) -> Flows:
        if len(urls) == 1:
            urls *= 2
        return Flows([RedisStore(url, **options) for url in urls], transport, sandbox)

    return make


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """A primary and its replica."""
    kind = getattr(request, "param", "redis")
    with Server(kind=kind) as primary, Server(kind=kind) as replica:
        replica.replicate(primary)
        yield primary, replica


PAIRS = pytest.mark.parametrize("pair", ["redis", "valkey"], indirect=True)
MakeFlows = Callable[..., Flows]


class TestOneServer:
    @KINDS
    @pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
    def test_flushed_right_after_the_save_ends_the_flow(
        self, kind: str, command: str, flows: MakeFlows
    ) -> None:
        with Server(kind=kind) as server:
            two = flows(server.url)
            two.save()
            server.call(command)
            two.check_over()

    def test_deleted_row_ends_the_flow(self, flows: MakeFlows) -> None:
        with Server() as server:
            two = flows(server.url)
            two.save()
            assert server.call("DEL", f"oncegate:{two.key}", f"oncegate:{two.first_key}") == 2
            two.check_over()
            # The loss is noticed once: flows from after it are not over.
            epoch = two.stores[0].epoch(two.key)
            two.stores[0].load(two.key)
            assert two.stores[0].epoch(two.key) == epoch

    @KINDS
    def test_restart_from_a_snapshot_without_the_flow_ends_it(
        self, kind: str, flows: MakeFlows
    ) -> None:
        with Server(kind=kind) as server:
            two = flows(server.url)
            two.stores[0].epoch(two.key)
            server.call("SAVE")
            assert server.call("ZCARD", "oncegate:epoch") == 1
            two.save()
            server.restart()
            assert server.call("ZCARD", "oncegate:epoch") == 1, "the snapshot has the mark"
            two.check_over()

    def test_restart_without_data_ends_the_flow(self, flows: MakeFlows) -> None:
        with Server() as server:
            two = flows(server.url)
            two.save()
            server.restart()
            two.check_over()

    @pytest.mark.parametrize("policy", ["allkeys-random", "volatile-random", "volatile-ttl"])
    def test_evicted_flow_is_over_and_eviction_is_misconfigured(
        self, policy: str, flows: MakeFlows
    ) -> None:
        with Server("maxmemory 0") as server:
            two = flows(server.url)
            two.save()
            server.call("CONFIG", "SET", "maxmemory-policy", policy)
            server.call("CONFIG", "SET", "maxmemory", "1")
            names = (f"oncegate:{two.key}", f"oncegate:{two.first_key}")

            def is_evicted() -> bool:
                server.call("PING")
                return not server.call("EXISTS", *names)

            wait_until(is_evicted, "nothing was evicted")
            server.call("CONFIG", "SET", "maxmemory", "100mb")
            assert not two.stores[0].swap(two.key, 0, row(two.epoch))
            with pytest.raises(Misconfigured, match="noeviction"):
                two.workers[0].send(two.first, password())
            server.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
            two.check_over()

    @pytest.mark.parametrize(
        "policy", ["volatile-lru", "allkeys-lru", "volatile-ttl", "allkeys-lfu"]
    )
    def test_policy_that_evicts_is_misconfigured_at_first_use(
        self, policy: str, flows: MakeFlows
    ) -> None:
        with Server("maxmemory 100mb", f"maxmemory-policy {policy}") as server:
            store = RedisStore(server.url)
            for first_use in (
                store.now,
                lambda: store.epoch("a" * 32),
                lambda: store.load("a" * 32),
                lambda: store.swap("a" * 32, 0, row(None)),
            ):
                with pytest.raises(Misconfigured, match="CONFIG SET maxmemory-policy noeviction"):
                    first_use()
            assert not server.call("EXISTS", "oncegate:" + "a" * 32)

    def test_policy_without_a_limit_is_accepted(self) -> None:
        with Server("maxmemory 0", "maxmemory-policy allkeys-lru") as server:
            assert RedisStore(server.url).swap("a" * 32, 0, row(None))

    def test_full_memory_is_unavailable_and_changes_nothing(self) -> None:
        with Server("maxmemory 1mb") as server:
            store, key = RedisStore(server.url), uuid.uuid4().hex
            server.call("CONFIG", "SET", "maxmemory", "0")
            store.load(key)
            server.call("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StoreUnavailable, match="OOM"):
                store.swap(key, 0, row(store.epoch(key)))
            server.call("CONFIG", "SET", "maxmemory", "0")
            assert store.load(key) is None


class TestReplicas:
    @PAIRS
    def test_promoted_stale_replica_ends_the_flow(
        self, pair: tuple[Server, Server], flows: MakeFlows
    ) -> None:
        primary, replica = pair
        with Forwarder(primary.port) as name:
            two = flows(f"redis://127.0.0.1:{name.port}/0")
            two.stores[0].epoch(two.key)
            replica.catch_up(primary)
            replica.fall_behind(primary)
            two.save()
            primary.kill()
            replica.promote()
            name.target = replica.port
            assert not replica.call("EXISTS", f"oncegate:{two.key}", f"oncegate:{two.first_key}")
            assert replica.call("EXISTS", "oncegate:epoch") == 1, "the replica has the mark"
            two.check_over()

    def test_promoted_replica_that_lost_nothing_ends_the_flow(
        self, pair: tuple[Server, Server], flows: MakeFlows
    ) -> None:
        primary, replica = pair
        with Forwarder(primary.port) as name:
            two = flows(f"redis://127.0.0.1:{name.port}/0")
            two.save()
            replica.catch_up(primary)
            primary.kill()
            replica.promote()
            name.target = replica.port
            two.check_over()

    @PAIRS
    def test_former_primary_that_is_promoted_again_ends_the_flow(
        self, pair: tuple[Server, Server], flows: MakeFlows
    ) -> None:
        first, second = pair
        with Forwarder(first.port) as name:
            two = flows(f"redis://127.0.0.1:{name.port}/0")
            two.stores[0].epoch(two.key)
            second.catch_up(first)
            second.fall_behind(first)
            two.save()
            second.promote()
            first.replicate(second)  # loses the flow
            first.promote()  # no restart: it has the same run ID as before
            second.replicate(first)
            assert not first.call("EXISTS", f"oncegate:{two.key}")
            two.check_over()

    def test_partitioned_primary_and_its_successor_share_no_flow(
        self, pair: tuple[Server, Server]
    ) -> None:
        old, new = pair
        stays = RedisStore(old.url)
        common, early, late = (uuid.uuid4().hex for _ in range(3))
        before = stays.epoch(common)
        assert stays.swap(common, 0, row(before))
        new.catch_up(old)
        new.promote()  # clients stay on the old primary
        moves = RedisStore(new.url)
        after = moves.epoch(common)
        assert before != after
        # A flow from before the partition goes on at the old primary only.
        assert stays.swap(early, 0, row(before))
        assert not moves.swap(early, 0, row(before))
        assert stays.swap(common, 1, row(before, 2))
        assert not moves.swap(common, 1, row(before, 2))
        # One from after it, at the new primary only.
        assert moves.swap(late, 0, row(after))
        assert not stays.swap(late, 0, row(after))

    def test_primary_without_its_replicas_takes_nothing(self, pair: tuple[Server, Server]) -> None:
        primary, replica = pair
        primary.call("CONFIG", "SET", "min-replicas-to-write", "1")
        primary.call("CONFIG", "SET", "min-replicas-max-lag", "30")
        wait_until(
            lambda: primary.info("replication")["min_slaves_good_slaves"] == 1, "the replica lags"
        )
        store, key = RedisStore(primary.url), uuid.uuid4().hex
        assert store.swap(key, 0, row(store.epoch(key)))
        replica.kill()
        wait_until(
            lambda: primary.info("replication")["connected_slaves"] == 0, "the replica is gone"
        )
        with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
            store.swap(key, 1, row(store.epoch(key), 2))
        assert store.load(key) is not None

    def test_demoted_primary_is_left_for_its_successor(
        self, pair: tuple[Server, Server], flows: MakeFlows
    ) -> None:
        """A name leads to the new primary, and the old one, still running, has become its replica."""
        primary, replica = pair
        with Forwarder(primary.port) as name:
            two = flows(f"redis://127.0.0.1:{name.port}/0")
            two.save()
            replica.catch_up(primary)
            replica.promote()
            primary.replicate(replica)
            name.target = replica.port
            two.check_over()

    def test_replica_is_not_written_to_nor_read(self, pair: tuple[Server, Server]) -> None:
        primary, replica = pair
        RedisStore(primary.url).epoch("a" * 32)
        replica.catch_up(primary)
        store = RedisStore(replica.url)
        for use in (lambda: store.load("a" * 32), lambda: store.swap("a" * 32, 0, row(None))):
            with pytest.raises(StoreUnavailable, match="READONLY"):
                use()

    def test_write_that_too_few_replicas_confirm_is_unavailable_and_repeatable(
        self, pair: tuple[Server, Server], flows: MakeFlows
    ) -> None:
        primary, replica = pair
        two = flows(primary.url, wait_for_replicas=1, timeout=0.6)
        store, key = two.stores[0], two.key
        mine = row(store.epoch(key))
        replica.fall_behind(primary)
        for one in (
            two.stores
        ):  # the second finds the row of the first, which its connection did not write
            with pytest.raises(StoreUnavailable, match="0 of 1 replicas confirmed"):
                one.swap(key, 0, mine)
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            two.workers[0].send(two.first, password())
        assert two.texts == 0
        assert store.swap(uuid.uuid4().hex, 0, row(None)._replace(durable=False))
        replica.keep_up()
        replica.catch_up(primary)
        assert store.swap(key, 0, mine)


class TestSentinelFailover:
    def test_failover_to_a_stale_replica_ends_the_flow(
        self, pair: tuple[Server, Server], flows: MakeFlows
    ) -> None:
        primary, replica = pair
        with Sentinels(primary) as sentinels:
            two = flows(sentinels.url, timeout=1)
            two.stores[0].epoch(two.key)
            replica.catch_up(primary)
            replica.fall_behind(primary)
            two.save()
            primary.kill()
            wait_until(lambda: sentinels.primary_port() == replica.port, "no failover")
            assert replica.call("EXISTS", "oncegate:epoch") == 1
            two.check_over()
            key, store = uuid.uuid4().hex, two.stores[1]
            epoch = store.epoch(key)
            assert store.swap(key, 0, row(epoch))
            primary.start()  # the old primary comes back, empty
            for version in range(1, 20):
                save = partial(store.swap, key, version, row(epoch, version + 1))
                assert until_answered(save)  # the sentinels may point to the old one for a moment

    def test_crowd_of_double_clicks_gets_one_text_per_flow(
        self, pair: tuple[Server, Server]
    ) -> None:
        """Two workers; the primary dies in the middle, with writes that its replica has not."""
        primary, replica = pair
        crowd, transport = 60, CountingTransport()
        with Sentinels(primary) as sentinels, ThreadPoolExecutor(3 * crowd) as threads:
            replica.catch_up(primary)
            workers = [
                SignIn(
                    transport=transport,
                    store=RedisStore(sentinels.url, timeout=1),
                    budget=None,
                    listeners=[],
                )
                for _ in range(2)
            ]

            def sign_in(number: int) -> int:
                """Return how many flows one person needed."""
                time.sleep(number * 0.02)
                for attempt in range(1, 10):
                    first = until_answered(workers[0].start)
                    event = password(username=f"user{number}-{attempt}")
                    clicks = [
                        threads.submit(until_answered, partial(worker.send, first, event))
                        for worker in workers
                    ]
                    if any(click.result().state == "awaiting_mfa" for click in clicks):
                        return attempt
                raise AssertionError("no sign-in succeeded")

            people = [threads.submit(sign_in, number) for number in range(crowd)]
            time.sleep(0.5)
            replica.fall_behind(primary)
            time.sleep(0.2)
            primary.kill()
            needed = [person.result() for person in people]
        assert max(needed) > 1, "no flow was lost: the test is too slow"
        assert set(transport.texts.values()) == {1}


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(kind=request.param) as servers:
        yield servers


class TestCluster:
    @pytest.mark.parametrize("cluster", ["redis", "valkey"], indirect=True)
    def test_shard_that_loses_its_data_ends_its_flows_alone(
        self, cluster: Cluster, flows: MakeFlows
    ) -> None:
        two = flows(cluster.url)
        two.start(lambda key: key_slot(key[:3].encode()) > 8191)
        other = next(key for key in _keys() if key_slot(key[:3].encode()) < 8192)
        store = two.stores[0]
        epoch = store.epoch(other)
        assert store.swap(other, 0, row(epoch))
        two.save()
        cluster.servers[1].restart()
        wait_until(cluster.is_complete, "the Cluster is not complete")
        two.check_over()
        assert store.swap(other, 1, row(epoch, 2))

    @pytest.mark.parametrize("cluster", ["valkey"], indirect=True)
    def test_wait_is_for_the_replicas_of_the_keys_own_shard(
        self, cluster: Cluster, flows: MakeFlows
    ) -> None:
        primary, other, replica = cluster.servers
        two = flows(cluster.url, wait_for_replicas=1, timeout=1)
        store = two.stores[0]
        two.start(lambda key: key_slot(key[:3].encode()) < 8192)
        alone = next(key for key in _keys() if key_slot(key[:3].encode()) > 8191)
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas"):
            store.swap(alone, 0, row(None))
        assert other.call("EXISTS", f"oncegate:{{{alone[:3]}}}:{alone}") == 1
        epoch = store.epoch(two.key)
        assert store.swap(two.key, 0, row(epoch))
        replica.call("CLUSTER FAILOVER")  # without a loss; the store still asks the old primary
        wait_until(lambda: replica.info("replication")["role"] == "master", "no failover")
        wait_until(lambda: replica.info("replication")["connected_slaves"], "no replica")
        primary.catch_up(replica)
        assert not store.swap(two.key, 1, row(epoch, 2))
        assert store.load(two.key) is not None
        epoch = store.epoch(two.key)
        assert until_answered(partial(store.swap, two.key, 1, row(epoch, 2)))

    @pytest.mark.parametrize("cluster", ["redis"], indirect=True)
    def test_promoted_stale_replica_ends_the_flow(self, cluster: Cluster, flows: MakeFlows) -> None:
        primary, _, replica = cluster.servers
        two = flows(cluster.url)
        two.start(lambda key: key_slot(key[:3].encode()) < 8192)
        two.stores[0].epoch(two.key)
        two.stores[0].epoch(two.first_key)
        replica.catch_up(primary)
        replica.fall_behind(primary)
        two.save()
        primary.kill()
        replica.call("CLUSTER FAILOVER", "TAKEOVER")
        two.check_over()


def _keys() -> Iterator[str]:
    while True:
        yield uuid.uuid4().hex


class ShiftedClock(Redis):
    """A client whose scripts see the time of a server with a clock that is ahead."""

    ahead = 0

    def execute_command(self, *arguments: Any, **options: Any) -> Any:
        name, *others = arguments
        if name == "EVALSHA":
            raise NoScriptError
        if name == "EVAL":
            script, *others = others
            shifted = f"{{redis.call('TIME')[1] + {self.ahead}, redis.call('TIME')[2]}}"
            assert script.count("redis.call('TIME')") == 1
            others.insert(0, script.replace("redis.call('TIME')", shifted))
        return super().execute_command(name, *others, **options)  # type: ignore[no-untyped-call]


def test_look_at_an_expired_flow_ends_no_other() -> None:
    with Server() as server:
        store, key = RedisStore(server.url), uuid.uuid4().hex
        epoch = store.epoch(key)
        row = StoredRecord(1, b"sealed", store.now() + 0.2, epoch=epoch)
        assert store.swap(key, 0, row)
        time.sleep(0.4)
        assert store.load(key) is None
        assert store.epoch(key) == epoch


class TestClocks:
    DAY = 86400

    @pytest.mark.parametrize("ahead", [DAY, -DAY, 7200, 300])
    def test_worker_with_another_clock_harms_nobody(
        self, ahead: float, flows: MakeFlows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = time.time
        with Server() as server:
            monkeypatch.setattr(time, "time", lambda: real() + ahead)
            two = flows(server.url)
            wrong, right = two.stores
            assert abs(wrong.now() - real()) < 2
            step = two.workers[0].send(two.workers[0].start(), password())
            key = uuid.uuid4().hex
            ends = wrong.now() + 600
            assert wrong.swap(key, 0, StoredRecord(1, b"x", ends, epoch=wrong.epoch(key)))
            for _ in range(3):  # each first save may delete what has expired
                assert wrong.swap(uuid.uuid4().hex, 0, row(None))
            monkeypatch.setattr(time, "time", real)
            assert server.call("PTTL", f"oncegate:{key}") == pytest.approx(600_000, abs=2000)
            assert abs(right.now() - real()) < 1
            assert two.workers[1].get(step.flow_id) == step
            assert two.workers[1].send(two.workers[1].start(), password()).state == "awaiting_mfa"
            assert two.texts == 2

    @pytest.mark.parametrize("ahead", [7200, DAY])
    def test_servers_clock_that_is_set_back_ends_the_flow(
        self, ahead: int, transport: CognitoTransport, sandbox: Sandbox
    ) -> None:
        with Server() as server, ShiftedClock(port=server.port) as client:
            two = Flows([RedisStore(client), RedisStore(client)], transport, sandbox)
            two.save()
            other = two.workers[0].start()
            client.ahead = ahead
            server.call("DEL", f"oncegate:{two.key}", f"oncegate:{two.first_key}")  # have expired
            for _ in range(2):
                store = two.stores[0]
                key, epoch = uuid.uuid4().hex, two.epoch
                assert store.swap(key, 0, row(epoch, ends_in=ahead + 600))
            assert server.call("ZSCORE", "oncegate:epoch", two.first_key) is None, "is swept"
            client.ahead = 0
            step = two.workers[1].send(other, password())
            assert (step.reason and step.reason.code, two.texts) == ("finished", 1)
            two.check_over()
            epoch = two.stores[0].epoch(two.key)
            two.stores[1].load(two.key)
            assert two.stores[0].epoch(two.key) == epoch, "only once"

    def test_servers_clock_that_is_set_back_by_a_minute_keeps_what_it_needs(self) -> None:
        with Server() as server, ShiftedClock(port=server.port) as client:
            store, key = RedisStore(client), uuid.uuid4().hex
            epoch = store.epoch(key)
            assert store.swap(key, 0, row(epoch, ends_in=30))
            client.ahead = 59
            old = row(epoch, ends_in=-30)
            for _ in range(2):
                assert store.swap(uuid.uuid4().hex, 0, old)
            server.call("DEL", f"oncegate:{key}")  # has expired
            client.ahead = 0
            assert store.load(uuid.uuid4().hex) is None
            assert store.epoch(uuid.uuid4().hex) == epoch, "a small step loses nothing"
            assert not store.swap(key, 0, row(epoch)), "the member was kept, and tells of the loss"

    def test_clock_of_the_worker_counts_until_redis_answers(self) -> None:
        with Server() as server:
            store = RedisStore(server.url, timeout=0.2)
            server.kill()
            assert store.now() == pytest.approx(time.time(), abs=1)
