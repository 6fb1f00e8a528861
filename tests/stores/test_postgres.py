"""PostgreSQL: what it can lose, who may do what, PgBouncer, forks, and connections that are lost."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool
from tests.doubles import password
from tests.servers import free_port
from tests.stores.postgres_servers import Nat, PgBouncer, Postgres

from oncegate import Misconfigured, SignIn, StoreUnavailable
from oncegate.adapters import Change, RecordStore, StoredRecord
from oncegate.testing import StoreConformance
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import PostgresStore, store_from_url
from oncegate_stores._postgres import _save_statement

pytestmark = pytest.mark.needs("postgres")

KEY = "a" * 32
SCHEMA = PostgresStore.SCHEMA


def row(version: int = 1, sealed: bytes = b"sealed", ends_in: float = 3600) -> StoredRecord:
    return StoredRecord(version, sealed, time.time() + ends_in)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    running = Postgres()
    yield running
    running.discard()


@pytest.fixture(scope="module")
def primary() -> Iterator[Postgres]:
    """A server with few data, which are copied for each standby."""
    running = Postgres()
    yield running
    running.discard()


@pytest.fixture
def database(server: Postgres) -> str:
    """The name of a database without tables."""
    server.execute(
        "DROP TABLE IF EXISTS oncegate_flows, oncegate_epoch",
        "DROP FUNCTION IF EXISTS oncegate_row_deleted",
    )
    return "postgres"


@pytest.fixture
def url(server: Postgres, database: str) -> str:
    return server.url_of(database)


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    made = PostgresStore(url, timeout=20)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pgbouncer(server: Postgres) -> Iterator[PgBouncer]:
    with PgBouncer(server) as running:
        yield running


class TestPostgres(StoreConformance):
    @pytest.fixture(autouse=True)
    def _a_database(self, server: Postgres, database: str) -> Iterator[None]:
        self.server, self.database = server, database
        self.made: list[PostgresStore] = []
        yield
        for store in self.made:
            store.close()

    def url(self) -> str:
        return self.server.url_of(self.database)

    def make(self) -> RecordStore:
        self.made.append(PostgresStore(self.url(), timeout=20, max_size=8))
        return self.made[-1]

    def lose(self) -> bool:
        self.server.execute("TRUNCATE oncegate_flows", database=self.database)
        return True


class TestCountedPostgres(TestPostgres):
    """Through a proxy that counts queries."""

    @pytest.fixture(autouse=True)
    def _behind_a_proxy(self, _a_database: None) -> Iterator[None]:
        with Nat(self.server.port) as self.proxy:
            yield

    def url(self) -> str:
        return self.server.url_of(self.database).replace(
            f":{self.server.port}", f":{self.proxy.port}"
        )

    def requests(self) -> int:
        return self.proxy.queries


class TestSerializablePostgres(TestPostgres):
    """The default isolation of the database makes swaps that meet fail; the store sets its own."""

    @pytest.fixture(autouse=True)
    def _serializable(self, _a_database: None) -> Iterator[None]:
        setting = "default_transaction_isolation"
        self.server.execute(f"ALTER DATABASE {self.database} SET {setting} = 'serializable'")
        yield
        self.server.execute(f"ALTER DATABASE {self.database} RESET {setting}")


@pytest.mark.needs("pgbouncer")
class TestPgBouncer(TestPostgres):
    @pytest.fixture(autouse=True)
    def _behind_pgbouncer(self, _a_database: None, pgbouncer: PgBouncer) -> None:
        self.pgbouncer = pgbouncer

    def url(self) -> str:
        return self.pgbouncer.url_of(self.database)


class TestOwnPool(TestPostgres):
    """A pool of the application's own, with connections that are not in autocommit mode."""

    def make(self) -> RecordStore:
        pool = ConnectionPool(self.url(), max_size=8, open=True)
        self.made.append(PostgresStore(pool, timeout=20))
        return self.made[-1]


def test_table_of_an_earlier_release_gets_its_new_column(server: Postgres, url: str) -> None:
    store = PostgresStore(url, max_size=2)
    store.load(KEY)
    server.execute("ALTER TABLE oncegate_flows DROP COLUMN related")
    assert store.swap_many([Change(KEY, 0, row()), Change("b" * 32, 0, row())]) == [True, True]
    server.execute("ALTER TABLE oncegate_flows DROP COLUMN related")
    assert store.load_many([KEY]).keys() == {KEY}
    store.close()


def test_missing_column_without_the_right_to_create_is_misconfigured(
    server: Postgres, url: str
) -> None:
    PostgresStore(url).load(KEY)
    server.execute("ALTER TABLE oncegate_flows DROP COLUMN related")
    store = PostgresStore(url, create=False)
    with pytest.raises(Misconfigured, match="ADD COLUMN IF NOT EXISTS related"):
        store.swap(KEY, 0, row())
    store.close()


def test_row_that_an_earlier_release_saves_still_works(server: Postgres, url: str) -> None:
    """It does not know the column: it leaves what was in it."""
    store = PostgresStore(url, max_size=2)
    other = "b" * 32
    store.swap(other, 0, row())
    store.swap(KEY, 0, row()._replace(related=(other,)))
    server.execute(
        f"INSERT INTO oncegate_flows (key, version, sealed, expires_at) "
        f"VALUES ('{'c' * 32}', 1, 'x', 9e9)",
        f"UPDATE oncegate_flows SET version = 2, sealed = 'x' WHERE key = '{KEY}'",
    )
    assert store.load_many([KEY, "c" * 32]).keys() == {KEY, other, "c" * 32}
    assert store.swap_many([Change(KEY, 2, row(3)), Change("c" * 32, 1, row(2))]) == [True, True]
    assert store.load_many([KEY]).keys() == {KEY}
    store.close()


@pytest.mark.parametrize("durable", [False, True])
def test_only_a_durable_save_waits_for_the_disk(url: str, *, durable: bool) -> None:
    store = PostgresStore(url, max_size=1)
    store.load(KEY)
    changes = [Change(KEY, 0, row()._replace(durable=durable)), Change("b" * 32, 0, row())]
    changes[1] = changes[1]._replace(row=changes[1].row._replace(durable=False))
    statement = _save_statement((True, True), durable)
    assert store.swap_many(changes) == [True, True]
    with psycopg.connect(url, autocommit=True) as db:
        values = {f"{name}{n}": value for n in "01" for name, value in VALUES.items()}
        cursor = psycopg.ClientCursor(db)
        cursor.execute(f"BEGIN;{statement};SHOW synchronous_commit".encode(), values)
        while cursor.nextset():
            pass
        assert cursor.fetchone() == ("on" if durable else "off",)
        db.execute("ROLLBACK")
        assert db.execute("SHOW synchronous_commit").fetchone() == ("on",)
    store.close()


VALUES: dict[str, Any] = {
    "key": "d" * 32,
    "expected": 0,
    "version": 1,
    "sealed": b"x",
    "expires_at": 9e9,
    "related": "{}",
    "epoch": None,
}


def test_saves_of_the_same_rows_in_other_orders_do_not_deadlock(server: Postgres, url: str) -> None:
    store = PostgresStore(url, max_size=8)
    common = [f"c{n:031x}" for n in range(6)]
    store.load(KEY)
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'"
    before = server.execute(deadlocks)

    def save(thread: int) -> None:
        for n in range(30):
            order = common[thread % 6 :] + common[: thread % 6]
            own = Change(f"{thread:016x}{n:016x}", 0, row())
            stored = store.load_many(common)
            versions = [stored[key].version if key in stored else 0 for key in order]
            changes = [
                Change(key, version, row(version + 1, b"%d %d" % (thread, n)))
                for key, version in zip(order, versions, strict=True)
            ]
            assert store.swap_many([own, *changes])[0]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(save, range(8)))
    time.sleep(1)  # until the statistics are there
    assert server.execute(deadlocks) == before
    store.close()


@pytest.mark.needs("pgbouncer")
def test_sixty_sign_ins_through_pgbouncer_all_succeed(
    pgbouncer: PgBouncer, database: str, transport: CognitoTransport, sandbox: Sandbox
) -> None:
    store = store_from_url(pgbouncer.url_of(database))
    sign_in = SignIn(transport=transport, store=store, budget=None)

    def send(_: int) -> Any:
        return sign_in.send(sign_in.start(), password()).state

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(send, range(60))) == {"awaiting_mfa"}
    assert len(sandbox.messages()) == 60


class TestLoss:
    """PostgreSQL lost a flow that it had acknowledged: the first form, sent again, sends no code."""

    @pytest.mark.parametrize(
        "statement",
        [
            "TRUNCATE oncegate_flows",
            "DELETE FROM oncegate_flows",
            "DELETE FROM oncegate_flows WHERE expires_at > 0",
            "SET session_replication_role = replica; DELETE FROM oncegate_flows",
            "DROP TABLE oncegate_flows",
            "DROP TABLE oncegate_flows, oncegate_epoch",
            "DELETE FROM oncegate_epoch; ALTER TABLE oncegate_flows DISABLE TRIGGER ALL;"
            "DELETE FROM oncegate_flows",
        ],
    )
    def test_lost_rows_end_the_flows(
        self,
        statement: str,
        server: Postgres,
        database: str,
        store: PostgresStore,
        transport: CognitoTransport,
        sandbox: Sandbox,
    ) -> None:
        sign_in = SignIn(transport=transport, store=store)
        first = sign_in.start()
        sign_in.send(first, password())
        server.execute(*statement.split(";"), database=database)
        again = sign_in.send(first, password())
        assert again.message is not None
        assert (again.message.code, len(sandbox.messages())) == ("flow_expired", 1)
        assert sign_in.send(sign_in.start(), password()).state == "awaiting_mfa"

    def test_single_deleted_row_changes_the_epoch(
        self, server: Postgres, database: str, store: PostgresStore
    ) -> None:
        before = store.epoch(KEY)
        assert store.swap(KEY, 0, row()._replace(epoch=before))
        assert store.swap("b" * 32, 0, row())
        server.execute(f"DELETE FROM oncegate_flows WHERE key = '{KEY}'", database=database)
        assert store.swap(KEY, 0, row()._replace(epoch=before)) is False
        assert store.load(KEY) is None
        assert store.epoch(KEY) != before

    def test_swap_waits_for_a_deletion_under_way(
        self, server: Postgres, database: str, url: str, store: PostgresStore
    ) -> None:
        """Otherwise it would compare the epoch from before the deletion, and save after it."""
        before = store.epoch(KEY)
        store.swap(KEY, 0, row())
        with psycopg.connect(url) as deleting, ThreadPoolExecutor(1) as thread:
            deleting.execute("DELETE FROM oncegate_flows")
            swap = thread.submit(store.swap, KEY, 0, row(1, b"again")._replace(epoch=before))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while server.execute(waiting, database=database) != [(1,)]:
                time.sleep(0.01)
            deleting.commit()
            assert swap.result() is False
        assert store.load(KEY) is None

    def test_vacuum_keeps_the_epoch(
        self, server: Postgres, database: str, store: PostgresStore
    ) -> None:
        before = store.epoch(KEY)
        server.execute("VACUUM ANALYZE oncegate_flows", SCHEMA, database=database)
        store.load(KEY)
        assert store.epoch(KEY) == before

    def test_restart_changes_the_epoch_and_keeps_the_rows(
        self, server: Postgres, store: PostgresStore
    ) -> None:
        before = store.epoch(KEY)
        store.swap(KEY, 0, row())
        for number in range(20):
            store.load(f"{number:032x}")
        server.stop()  # immediately, as in a crash
        with pytest.raises(StoreUnavailable, match="Connection refused"):
            store.load(KEY)
        server.start()
        assert store.load(KEY) is not None
        assert store.epoch(KEY) != before

    def test_clock_that_was_ahead_when_rows_were_deleted_changes_the_epoch(
        self, server: Postgres, database: str, store: PostgresStore
    ) -> None:
        """The rows had expired by that clock only. Each later epoch stays."""
        before = store.epoch(KEY)
        store.swap("b" * 32, 0, row(ends_in=-61))
        store._swept_at = -1e9
        assert store.swap(KEY, 0, row()._replace(epoch=before))
        server.execute(
            f"DELETE FROM oncegate_flows WHERE key = '{'b' * 32}'",
            "UPDATE oncegate_epoch SET swept = swept + 7200",
            database=database,
        )
        assert store.swap(KEY, 1, row(2)._replace(epoch=before)) is False
        after = store.epoch(KEY)
        assert after != before
        store.load(KEY)
        assert store.epoch(KEY) == after
        assert store.swap(KEY, 1, row(2)._replace(epoch=after))


class TestFailover:
    def test_restored_copy_of_the_data_ends_the_flows(
        self,
        primary: Postgres,
        transport: CognitoTransport,
        sandbox: Sandbox,
    ) -> None:
        """It begins no new timeline. Workers that did not see the flow, or are new, notice it too."""
        url = primary.url_of("postgres")
        PostgresStore(url).load(KEY)
        copy = primary.copy_of_data()
        stores = [PostgresStore(url) for _ in range(3)]
        worker, idle, new = (SignIn(transport=transport, store=store) for store in stores)
        idle.start()
        first = worker.start()
        worker.send(first, password())
        primary.restore(copy)
        for sign_in in (idle, new, worker):
            again = sign_in.send(first, password())
            assert again.message is not None
            assert (again.message.code, len(sandbox.messages())) == ("flow_expired", 1)
        for store in stores:
            store.close()

    def test_standby_without_the_last_commit_ends_the_flows(
        self, primary: Postgres, transport: CognitoTransport, sandbox: Sandbox
    ) -> None:
        ended, repeated = self.failed_over(primary, transport)
        assert (ended.message.code, repeated.message.code) == ("flow_expired", "flow_expired")
        assert len(sandbox.messages()) == 2

    def failed_over(self, primary: Postgres, transport: CognitoTransport) -> Any:
        """Fail over to a standby that has one flow and lacks another; return both of them."""
        standby = primary.standby("one")
        ports = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        url = f"postgresql://postgres@{ports}/postgres?target_session_attrs=read-write"
        store = PostgresStore(url, timeout=3)
        sign_in = SignIn(transport=transport, store=store)
        try:
            kept, lost = sign_in.start(), sign_in.start()
            sign_in.send(kept, password())
            primary.wait_until_sent()
            standby.stop()
            sign_in.send(lost, password())
            primary.stop()
            standby.start()
            standby.promote()
            return sign_in.send(kept, password()), sign_in.send(lost, password())
        finally:
            store.close()
            standby.discard()
            primary.start()

    def test_two_promotions_to_the_same_timeline_are_told_apart(self, primary: Postgres) -> None:
        """The second standby did not follow the first; both number their timeline the same."""
        first = PostgresStore(primary.url_of("postgres"))
        first.load(KEY)
        one, two = primary.standby("one"), primary.standby("two")
        try:
            primary.wait_until_sent(2)
            primary.stop()
            epochs = []
            for standby in (one, two):
                standby.promote()
                promoted = PostgresStore(standby.url_of("postgres"))
                epochs.append(promoted.epoch(KEY))
                timeline = "SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
                assert standby.execute(timeline) == [("00000002",)]
                promoted.close()
            assert len({first.epoch(KEY), *epochs}) == 3
        finally:
            first.close()
            one.discard()
            two.discard()
            primary.start()

    def test_standby_is_unavailable_with_its_reason(self, primary: Postgres) -> None:
        PostgresStore(primary.url_of("postgres")).load(KEY)
        standby = primary.standby("one")
        store = PostgresStore(standby.url_of("postgres"), timeout=1)
        try:
            primary.wait_until_sent()
            with pytest.raises(StoreUnavailable, match="standby, which is read-only"):
                store.load(KEY)
            with pytest.raises(StoreUnavailable, match="read-only transaction"):
                store.swap(KEY, 1, row(2))
        finally:
            store.close()
            standby.discard()

    def test_durable_swap_waits_for_the_standby_whatever_the_default(
        self, primary: Postgres
    ) -> None:
        """A role's `synchronous_commit` can be off; a save before a call overrides it."""
        primary.execute("ALTER ROLE postgres SET synchronous_commit = off")
        standby = primary.standby("sync")
        store = PostgresStore(primary.url_of("postgres"), timeout=1)
        try:
            assert store.swap(KEY, 0, row())
            primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'sync'")
            primary.execute("SELECT pg_reload_conf()")
            while primary.execute("SELECT sync_state FROM pg_stat_replication") != [("sync",)]:
                time.sleep(0.02)
            assert store.swap(KEY, 1, row(2))
            standby.stop()
            assert store.swap(KEY, 2, row(3)._replace(durable=False))
            with pytest.raises(StoreUnavailable):
                store.swap(KEY, 3, row(4))
        finally:
            store.close()
            primary.execute("ALTER SYSTEM RESET synchronous_standby_names")
            primary.execute("ALTER ROLE postgres RESET synchronous_commit")
            primary.execute("SELECT pg_reload_conf()")
            standby.discard()


class TestRights:
    """The application's role may not create anything, and has the rights that the guide names."""

    @pytest.fixture
    def role(self, server: Postgres, database: str) -> str:
        name = f"r{uuid.uuid4().hex}"
        server.execute(f"CREATE ROLE {name} LOGIN")
        return name

    @pytest.fixture
    def plain(self, server: Postgres, database: str, role: str) -> Iterator[PostgresStore]:
        made = PostgresStore(server.url_of(database, role))
        yield made
        made.close()

    def grant(self, server: Postgres, database: str, role: str) -> None:
        rights = PostgresStore.RIGHTS.replace("the_role", role)
        server.execute(SCHEMA, rights, database=database)

    def test_role_with_the_documented_rights_signs_in(
        self, server: Postgres, database: str, role: str, plain: PostgresStore
    ) -> None:
        self.grant(server, database, role)
        assert plain.swap(KEY, 0, row()._replace(epoch=plain.epoch(KEY)))
        assert plain.load(KEY) is not None
        server.execute("TRUNCATE oncegate_flows", database=database)
        assert plain.load(KEY) is None  # and draws a new epoch

    def test_missing_table_is_misconfigured_with_the_statement(self, plain: PostgresStore) -> None:
        with pytest.raises(Misconfigured, match="permission denied") as refused:
            plain.load(KEY)
        assert SCHEMA in str(refused.value)

    def test_store_that_may_not_create_does_not_try(self, server: Postgres, database: str) -> None:
        store = PostgresStore(server.url_of(database), create=False)
        with pytest.raises(Misconfigured, match='"oncegate_flows" does not exist') as refused:
            store.swap(KEY, 0, row())
        assert SCHEMA in str(refused.value)
        store.close()

    @pytest.mark.parametrize("right", ["SELECT", "INSERT", "UPDATE", "DELETE"])
    def test_missing_right_is_misconfigured_with_the_grant(
        self, right: str, server: Postgres, database: str, role: str, plain: PostgresStore
    ) -> None:
        self.grant(server, database, role)
        server.execute(f"REVOKE {right} ON oncegate_flows FROM {role}", database=database)

        def swap_twice() -> None:
            plain.swap(KEY, 0, row())
            plain.swap(KEY, 1, row(2))

        with pytest.raises(Misconfigured, match="permission denied for table") as refused:
            swap_twice()
        assert "GRANT SELECT, INSERT, UPDATE, DELETE ON oncegate_flows" in str(refused.value)

    def test_workers_of_other_roles_and_time_zones_have_one_epoch(
        self, server: Postgres, database: str, role: str
    ) -> None:
        """Also where functions that tell the timeline are refused, as in Amazon Aurora."""
        self.grant(server, database, role)
        functions = "EXECUTE ON FUNCTION pg_walfile_name(pg_lsn), pg_current_wal_insert_lsn()"
        server.execute(f"REVOKE {functions} FROM PUBLIC", database=database)
        zone = "?options=-c%20timezone%3D"
        stores = [
            PostgresStore(url)
            for url in (
                server.url_of(database),
                server.url_of(database, role, f"{zone}UTC"),
                server.url_of(database, role, f"{zone}Europe/Berlin"),
            )
        ]
        try:
            for number, store in enumerate(stores * 2):
                store.load(KEY)
                epoch = stores[0].epoch(KEY)
                assert store.epoch(KEY) == epoch
                assert store.swap(KEY, number, row(number + 1)._replace(epoch=epoch))
        finally:
            server.execute(f"GRANT {functions} TO PUBLIC", database=database)
            for store in stores:
                store.close()

    def test_table_of_release_0_1_is_taken_over(
        self, server: Postgres, database: str, store: PostgresStore
    ) -> None:
        server.execute(
            "CREATE TABLE oncegate_flows (key text PRIMARY KEY, version integer NOT NULL, "
            "sealed bytea NOT NULL, expires_at double precision NOT NULL)",
            f"INSERT INTO oncegate_flows VALUES ('{KEY}', 3, '\\x01', {time.time() + 60})",
            database=database,
        )
        loaded = store.load(KEY)
        assert loaded is not None
        assert loaded[:2] == (3, b"\x01")
        assert store.swap(KEY, 3, row(4))


class TestReasons:
    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ("?sslmode=require", "server does not support SSL"),
            ("?options=-c%20no_such_setting%3D1", "unrecognized configuration parameter"),
        ],
    )
    def test_refused_connection_tells_why_without_names(
        self, options: str, reason: str, server: Postgres
    ) -> None:
        url = f"postgresql://postgres:hunter22@127.0.0.1:{server.port}/postgres{options}"
        with pytest.raises(StoreUnavailable, match=reason) as refused:
            PostgresStore(url).load(KEY)
        for name in ("hunter22", "127.0.0.1", str(server.port)):
            assert name not in str(refused.value)

    def test_missing_database_or_role_tells_why_without_names(self, server: Postgres) -> None:
        for url in (server.url_of("secretive"), server.url_of("postgres", "secretive")):
            with pytest.raises(StoreUnavailable, match="does not exist") as refused:
                PostgresStore(url).load(KEY)
            assert "secretive" not in str(refused.value)

    def test_unreachable_server_fails_at_once_and_leaves_no_thread(self) -> None:
        before = set(threading.enumerate())
        store = PostgresStore(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="OperationalError: Connection refused"):
            store.load(KEY)
        assert time.monotonic() - began < 4  # the timeout is 5
        assert set(threading.enumerate()) <= before

    def test_unresolved_host_tells_why(self) -> None:
        with pytest.raises(StoreUnavailable, match=r"(?i)name|host|resol") as refused:
            PostgresStore("postgresql://u:hunter22@no-such-host.invalid/d").load(KEY)
        assert "no-such-host" not in str(refused.value)

    def test_malformed_url_is_misconfigured_without_quoting_it(self) -> None:
        with pytest.raises(Misconfigured) as refused:
            PostgresStore("postgresql://u:hunter22@host:port/d?no=such")
        assert "hunter22" not in str(refused.value)

    def test_locked_table_ends_the_statement_in_the_server(
        self, server: Postgres, database: str, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise each attempt would leave a connection of the server waiting."""
        store = PostgresStore(url, timeout=0.5)
        store.load(KEY)
        monkeypatch.setattr("oncegate_stores._postgres._GRACE", 10)
        with psycopg.connect(url) as holder:
            holder.execute("LOCK TABLE oncegate_flows IN ACCESS EXCLUSIVE MODE")
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="statement timeout"):
                    store.swap(KEY, 1, row())
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            assert server.execute(waiting, database=database) == [(0,)]
        assert store.load(KEY) is None
        store.close()

    def test_all_connections_in_use_tells_so(self, url: str) -> None:
        store = PostgresStore(url, timeout=0.5, max_size=1)
        store.load(KEY)
        assert store._own is not None
        with (
            store._own.connection(1),
            pytest.raises(StoreUnavailable, match="all 1 connections were in use"),
        ):
            store.load(KEY)
        store.close()


class TestConnections:
    def test_nothing_connects_before_the_first_use(self, server: Postgres, database: str) -> None:
        with Nat(server.port) as nat:
            url = f"postgresql://postgres@127.0.0.1:{nat.port}/{database}"
            store = PostgresStore(url)
            assert nat.accepted == 0
            store.load(KEY)
            assert nat.accepted == 1
            store.close()

    def test_connections_that_a_nat_forgot_are_not_used(
        self, server: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("oncegate_stores._postgres._MAX_IDLE", 0.2)
        with Nat(server.port) as nat, ThreadPoolExecutor(5) as threads:
            store = PostgresStore(f"postgresql://postgres@127.0.0.1:{nat.port}/{database}")
            together = threading.Barrier(5)

            def load(_: int) -> object:
                together.wait()
                return store.load(KEY)

            list(threads.map(load, range(5)))
            nat.forget()
            time.sleep(0.3)
            began = time.monotonic()
            list(threads.map(load, range(5)))
            assert time.monotonic() - began < 4  # the timeout is 5
            store.close()

    def test_connection_keeps_itself_alive_in_a_firewall(self, store: PostgresStore) -> None:
        store.load(KEY)
        assert store._own is not None
        with store._own.connection(1) as db:
            given = db.info.get_parameters()
        wanted = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
        assert wanted.items() <= given.items()
        assert given["tcp_user_timeout"] == "20000"

    def test_parameters_of_the_url_take_precedence(self, server: Postgres, database: str) -> None:
        options = "?application_name=shop&keepalives_idle=7&connect_timeout=9"
        store = PostgresStore(server.url_of(database, options=options))
        store.load(KEY)
        assert store._own is not None
        with store._own.connection(1) as db:
            given = db.info.get_parameters()
        assert (given["keepalives_idle"], given["connect_timeout"]) == ("7", "9")
        named = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shop'"
        assert server.execute(named, database=database) == [(1,)]
        store.close()

    def test_terminated_connections_fail_nothing(
        self, server: Postgres, database: str, store: PostgresStore
    ) -> None:
        with ThreadPoolExecutor(5) as threads:
            for number in range(3):
                key = f"{number:032x}"
                list(threads.map(lambda _, key=key: store.load(key), range(20)))
                server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
                    database=database,
                )
                assert list(threads.map(lambda _, key=key: store.load(key), range(20)))
                assert store.swap(key, 0, row())

    def test_frozen_server_holds_no_thread(self, server: Postgres, url: str) -> None:
        store = PostgresStore(url, timeout=1)
        store.load(KEY)
        with server.frozen():
            for _ in range(2):  # with a connection, and without
                began = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    store.swap(KEY, 1, row())
                assert time.monotonic() - began < 4
        time.sleep(1)  # for which the failure is remembered
        assert store.swap(KEY, 0, row())
        store.close()

    def test_answer_that_comes_in_bit_by_bit_holds_no_thread(
        self, server: Postgres, database: str
    ) -> None:
        with Nat(server.port) as nat:
            url = f"postgresql://postgres@127.0.0.1:{nat.port}/{database}"
            store = PostgresStore(url, timeout=1)
            assert store.swap(KEY, 0, row(sealed=b"x" * 1200))
            nat.seconds_per_byte = 0.02
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="did not answer in time"):
                store.load(KEY)
            assert time.monotonic() - began < 4
            store.close()

    def test_resolver_that_does_not_answer_holds_no_thread(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its failure is remembered for a second, so that an event waits once only."""
        answers = threading.Event()
        resolve = socket.getaddrinfo

        def wait(*args: Any, **kwargs: Any) -> Any:
            answers.wait(30)
            return resolve(*args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", wait)
        store = PostgresStore(url.replace("127.0.0.1", "localhost"), timeout=0.5)
        began = time.monotonic()
        for ask in (store.now, lambda: store.load(KEY), lambda: store.epoch(KEY)):
            with contextlib.nullcontext() if ask == store.now else pytest.raises(StoreUnavailable):
                ask()
        assert time.monotonic() - began < 4
        answers.set()
        time.sleep(1)
        assert store.load(KEY) is None
        store.close()

    def test_connection_is_replaced_after_its_lifetime(
        self, server: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("oncegate_stores._postgres._MAX_LIFETIME", 0.1)
        with Nat(server.port) as nat:
            store = PostgresStore(f"postgresql://postgres@127.0.0.1:{nat.port}/{database}")
            store.load(KEY)
            before = nat.accepted
            time.sleep(0.15)
            store.load(KEY)
            assert nat.accepted == before + 1
            store.close()

    def test_closed_store_reopens_at_next_use(self, store: PostgresStore) -> None:
        store.swap(KEY, 0, row())
        store.close()
        assert store.load(KEY) is not None


class TestForks:
    def test_workers_forked_from_one_used_store_share_no_connection(
        self, store: PostgresStore
    ) -> None:
        """As in gunicorn --preload: eight workers, each reads its own rows only."""
        assert store.swap(KEY, 0, row(sealed=b"parent"))
        workers = [self.fork(store, number) for number in range(8)]
        for _ in range(30):
            loaded = store.load(KEY)
            assert loaded is not None
            assert loaded.sealed == b"parent"
        assert [os.waitpid(worker, 0)[1] for worker in workers] == [0] * 8
        assert store.load(KEY) is not None

    def fork(self, store: PostgresStore, number: int) -> int:
        child = os.fork()
        if child:
            return child
        failed = True
        try:
            key, own = f"{number:032x}", f"worker {number}".encode()
            for version in range(30):
                assert store.swap(key, version, row(version + 1, own))
                loaded = store.load(key)
                assert loaded is not None
                assert loaded.sealed == own
            store.close()
            failed = False
        finally:
            os._exit(failed)

    def test_own_pool_from_before_the_fork_is_misconfigured(self, url: str) -> None:
        with ConnectionPool(url, min_size=1, open=True) as pool:
            store = PostgresStore(pool)
            store.load(KEY)
            child = os.fork()
            if child == 0:
                try:
                    store.load(KEY)
                except Misconfigured:
                    os._exit(0)
                os._exit(1)
            assert os.waitpid(child, 0)[1] == 0


class TestClock:
    @pytest.mark.parametrize("ahead", [7200.0, -86400.0])
    def test_worker_with_a_wrong_clock_uses_the_servers(
        self, ahead: float, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        true = time.time
        assert store.swap(KEY, 0, row())
        monkeypatch.setattr(time, "time", lambda: true() + ahead)
        store._swept_at = -1e9
        assert store.swap("b" * 32, 0, StoredRecord(1, b"", true() + 3600))
        assert abs(store.now() - true()) < 1
        assert store.load(KEY) is not None

    def test_difference_under_a_second_is_none(self, store: PostgresStore) -> None:
        assert abs(store.now() - time.time()) < 0.01

    def test_time_is_the_machines_while_the_server_does_not_answer(self) -> None:
        store = PostgresStore(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")
        assert abs(store.now() - time.time()) < 0.01
        with pytest.raises(StoreUnavailable):
            store.epoch(KEY)


class TestGrowth:
    def test_expired_rows_are_deleted_without_a_new_epoch(
        self, server: Postgres, database: str, store: PostgresStore
    ) -> None:
        before = store.epoch(KEY)
        for number in range(5):
            store.swap(f"{number:032x}", 0, row(ends_in=-61))
        store.swap("b" * 32, 0, row(ends_in=-30))  # a worker may not have seen yet that it expired
        store._swept_at = -1e9
        store.swap(KEY, 0, row())
        assert server.execute("SELECT key FROM oncegate_flows", database=database) == [
            ("b" * 32,),
            (KEY,),
        ]
        assert store.epoch(KEY) == before

    def test_more_rows_than_one_sweep_deletes_are_deleted_by_the_next(
        self, server: Postgres, database: str, store: PostgresStore
    ) -> None:
        store.load(KEY)
        many = "SELECT md5(n::text), 1, '', 0 FROM generate_series(1, 2500) n"
        server.execute(f"INSERT INTO oncegate_flows {many}", database=database)
        for number in range(3):
            store.swap(f"{number:032x}", 0, row())
        assert server.execute("SELECT count(*) FROM oncegate_flows", database=database) == [(3,)]

    def test_a_day_of_sign_ins_leaves_the_table_as_it_was(
        self, server: Postgres, database: str, store: PostgresStore
    ) -> None:
        """Each hour's rows take the place of the last hour's, once autovacuum has run."""
        store.load(KEY)
        sizes = []
        for hour in range(24):
            many = f"SELECT md5('{hour}' || n), 8, decode(repeat('00', 3000), 'hex'), 0"
            server.execute(
                f"INSERT INTO oncegate_flows {many} FROM generate_series(1, 900) n",
                database=database,
            )
            store._swept_at = -1e9
            store.swap(f"{hour:032x}", 0, row(ends_in=-61))
            server.execute("VACUUM oncegate_flows", database=database)  # as autovacuum does
            size = "SELECT pg_total_relation_size('oncegate_flows')"
            sizes += [int(str(server.execute(size, database=database)[0][0]))]
        assert max(sizes[12:]) <= max(sizes[:12])
