"""How `RedisStore` connects: URLs, TLS, users, forks, dead connections; and what it says if it cannot."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from tests.stores.redis_servers import (
    Cluster,
    Forwarder,
    Sentinels,
    Server,
    check_forks,
    free_port,
    wait_until,
)

from oncegate import Misconfigured, StoreUnavailable
from oncegate.adapters import StoredRecord
from oncegate_stores import RedisStore, store_from_url

pytestmark = pytest.mark.needs("redis-server")

KEY = "ab" * 16
PASSWORD = "p@ss/w:rd?"
QUOTED = "p%40ss%2Fw%3Ard%3F"
RIGHTS = (
    "~oncegate:* +evalsha +eval +info +time +hmget +hset +pexpireat +zadd +zrem +zscore "
    "+zrangebyscore +wait +ping +select"
)


def row(version: int = 1, ends_in: float = 600) -> StoredRecord:
    return StoredRecord(version, uuid.uuid4().bytes, time.time() + ends_in)


def check_works(url: str) -> None:
    store = store_from_url(url)
    key = uuid.uuid4().hex
    assert store.swap(key, 0, row()._replace(epoch=store.epoch(key)))
    assert store.load(key) is not None


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def with_users() -> Iterator[Server]:
    users = f"user default on >{PASSWORD} ~* &* +@all", f"user app on >{PASSWORD} -@all {RIGHTS}"
    with Server(*users, "user reader on >secret ~* -@all +@read +ping") as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate for 127.0.0.1; its key is beside it."""
    file = tmp_path_factory.mktemp("tls") / "cert.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x"
    )
    names = (
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
    )
    keys = ("-keyout", str(file.with_name("key.pem")), "-out", str(file))
    subprocess.run([*command.split(), *names, *keys], check=True, capture_output=True)
    return file


@pytest.fixture(scope="module")
def with_tls(certificate: Path) -> Iterator[Server]:
    port = free_port()
    options = (
        f"tls-port {port}",
        f"tls-cert-file {certificate}",
        f"tls-key-file {certificate.with_name('key.pem')}",
        "tls-auth-clients no",
    )
    with Server(*options) as running:
        running.tls_port = port
        yield running


class TestUrls:
    @pytest.mark.parametrize("user", ["app", "default", ""])
    def test_user_and_quoted_password_are_used(self, with_users: Server, user: str) -> None:
        check_works(f"redis://{user}:{QUOTED}@127.0.0.1:{with_users.port}/2")

    def test_unix_socket_takes_user_and_database(self, with_users: Server) -> None:
        check_works(f"unix://app:{QUOTED}@{with_users.socket}?db=3")

    def test_host_named_valkey_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []

        def resolve(host: str, *_: Any) -> Any:
            asked.append(host)
            raise socket.gaierror

        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", resolve)
            for url in ("redis://valkey:6379/0", "valkey://valkey/0"):
                with pytest.raises(StoreUnavailable, match="cannot be resolved"):
                    store_from_url(url).load(KEY)
        assert set(asked) == {"valkey"}

    def test_options_of_store_and_client_are_taken_from_the_query(self, server: Server) -> None:
        with Redis(port=server.port, db=5) as client:
            url = f"redis://127.0.0.1:{server.port}?db=5&prefix=app1:&timeout=0.5&client_name=oncegate"
            store = store_from_url(url)
            assert store.swap(KEY, 0, row())
            assert client.exists(f"app1:{KEY}", "app1:epoch") == 2
            assert "oncegate" in {one["name"] for one in client.client_list()}

    @pytest.mark.parametrize(
        "url",
        [
            "redis://",
            "redis://hunter2:x",
            "redis://host:port/0",
            "redis://host/0?no_such_option=hunter2",
            "redis://host/0?timeout=hunter2",
            "redis://host/hunter2",
            "redis://host/0/hunter2",
            "redis+sentinel://host:26379",
            "redis+sentinel://host:26379/mymaster/hunter2",
            "redis+cluster://hunter2@/",
            "redis+proxy://hunter2@host",
            "unix+sentinel://hunter2@host/mymaster",
        ],
    )
    def test_malformed_url_is_misconfigured_without_quoting_it(self, url: str) -> None:
        with pytest.raises(Misconfigured, match="redis\\+sentinel://") as refused:
            RedisStore(url)
        assert "hunter2" not in str(refused.value)
        assert refused.value.__cause__ is None

    def test_nothing_connects_before_the_first_use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any) -> None:
            raise AssertionError("connected")

        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "connect", refuse)
            patched.setattr(socket, "getaddrinfo", refuse)
            for url in (
                "redis://host",
                "rediss://host",
                "unix:///socket",
                "redis+sentinel://host/mymaster",
                "redis+cluster://host",
            ):
                store_from_url(url)

    def test_valkey_behind_sentinel_with_users_on_both(self) -> None:
        login = f"user default on >{PASSWORD} ~* &* +@all"
        with (
            Server(login, f"masterauth {PASSWORD}", kind="valkey") as primary,
            Server(
                login,
                f"masterauth {PASSWORD}",
                f"replicaof 127.0.0.1 {primary.port}",
                kind="valkey",
            ),
            Sentinels(
                primary,
                30,
                f"sentinel auth-pass mymaster {PASSWORD}",
                f"requirepass {PASSWORD}",
                f"sentinel sentinel-pass {PASSWORD}",
                password=PASSWORD,
            ) as sentinels,
        ):
            url = sentinels.url.replace("redis+sentinel://", f"valkey+sentinel://default:{QUOTED}@")
            check_works(f"{url}?sentinel_password={QUOTED}")
            with pytest.raises(StoreUnavailable, match="no Sentinel names a primary"):
                store_from_url(url).load(KEY)
            other = url.replace("mymaster", "other") + f"?sentinel_password={QUOTED}"
            with pytest.raises(StoreUnavailable, match="no Sentinel names a primary"):
                store_from_url(other).load(KEY)


@pytest.mark.needs("openssl")
class TestTLS:
    def test_trusted_certificate_is_accepted(self, with_tls: Server, certificate: Path) -> None:
        for scheme in ("rediss", "valkeys"):
            check_works(f"{scheme}://127.0.0.1:{with_tls.tls_port}/0?ssl_ca_certs={certificate}")

    def test_unverified_certificate_is_accepted_if_asked_for(self, with_tls: Server) -> None:
        check_works(f"rediss://127.0.0.1:{with_tls.tls_port}/0?ssl_cert_reqs=none")

    def test_unknown_certificate_is_unavailable_with_the_reason(self, with_tls: Server) -> None:
        with pytest.raises(StoreUnavailable, match="TLS: certificate verify failed: self-signed"):
            RedisStore(f"rediss://127.0.0.1:{with_tls.tls_port}/0").load(KEY)

    def test_certificate_of_another_host_is_unavailable(
        self, with_tls: Server, certificate: Path
    ) -> None:
        url = f"rediss://localhost:{with_tls.tls_port}/0?ssl_ca_certs={certificate}"
        with pytest.raises(StoreUnavailable, match="certificate verify failed: Hostname mismatch"):
            RedisStore(url).load(KEY)

    def test_tls_to_a_port_without_it_is_unavailable(self, server: Server) -> None:
        with pytest.raises(StoreUnavailable, match=r"timed out|TLS: \w+"):
            RedisStore(f"rediss://127.0.0.1:{server.port}/0", timeout=0.3).load(KEY)

    def test_tls_is_used_for_sentinel_and_cluster(self) -> None:
        for url in ("rediss+sentinel://127.0.0.1:{}/mymaster", "rediss+cluster://127.0.0.1:{}"):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                first_bytes: list[bytes] = []

                def listen(
                    listener: socket.socket = listener, first_bytes: list[bytes] = first_bytes
                ) -> None:
                    with listener.accept()[0] as connection:
                        first_bytes.append(connection.recv(1))

                thread = threading.Thread(target=listen)
                thread.start()
                store = RedisStore(url.format(listener.getsockname()[1]), timeout=0.3)
                with pytest.raises(StoreUnavailable):
                    store.load(KEY)
                thread.join()
            assert first_bytes == [b"\x16"], "a TLS handshake"


class TestReasons:
    @pytest.mark.parametrize(
        ("login", "reason"),
        [("", "NOAUTH"), ("app:hunter2@", "WRONGPASS"), (":hunter2@", "WRONGPASS")],
    )
    def test_rejected_login_is_unavailable_with_its_code(
        self, with_users: Server, login: str, reason: str
    ) -> None:
        with pytest.raises(StoreUnavailable, match=reason) as error:
            RedisStore(f"redis://{login}127.0.0.1:{with_users.port}/0").load(KEY)
        assert "hunter2" not in str(error.value)
        assert "127.0.0.1" not in str(error.value)

    def test_missing_right_is_misconfigured_with_the_rights(self, with_users: Server) -> None:
        store = RedisStore(f"redis://reader:secret@127.0.0.1:{with_users.port}/0")
        with pytest.raises(Misconfigured, match="ACL SETUSER") as error:
            store.load(KEY)
        assert all(right in str(error.value) for right in RIGHTS.split()[1:])

    @pytest.mark.parametrize("right", sorted(set(RIGHTS.split()[1:]) - {"+wait", "+ping"}))
    def test_each_right_is_needed(self, with_users: Server, right: str) -> None:
        others = [one for one in RIGHTS.split() if one != right]
        with Redis(port=with_users.port, password=PASSWORD, db=1) as client:
            client.execute_command("ACL SETUSER", "less", "reset", "on", ">x", "-@all", *others)
            client.script_flush()
            client.flushdb()
            store = RedisStore(f"redis://less:x@127.0.0.1:{with_users.port}/1")
            with pytest.raises(Misconfigured, match="ACL SETUSER"):
                self.use_all_rights(store, lambda: client.delete(f"oncegate:{KEY}"))

    def use_all_rights(self, store: RedisStore, lose_row: Callable[[], Any]) -> None:
        epoch = store.epoch(KEY)
        store.swap(KEY, 0, row()._replace(epoch=epoch))
        lose_row()
        assert store.load(KEY) is None
        epoch = store.epoch(KEY)
        store.swap(KEY, 0, row(ends_in=0.001)._replace(epoch=epoch))
        time.sleep(0.01)
        store.swap(KEY, 0, row()._replace(epoch=epoch))

    def test_refused_connection_is_unavailable_with_the_reason(self) -> None:
        port = free_port()
        with pytest.raises(StoreUnavailable, match="Connection refused") as error:
            RedisStore(f"redis://user:hunter2@127.0.0.1:{port}/0").load(KEY)
        assert str(port) not in str(error.value)
        assert "hunter2" not in str(error.value)
        for kind in ("sentinel", "cluster"):
            with pytest.raises(StoreUnavailable) as error:
                RedisStore(f"redis+{kind}://user:hunter2@127.0.0.1:{port}/mymaster").load(KEY)
            assert str(port) not in str(error.value)

    def test_server_that_loads_its_data_is_unavailable(self, tmp_path: Path) -> None:
        with Server("key-load-delay 20000", "loading-process-events-interval-bytes 1024") as server:
            with server.client as client:
                for number in range(500):
                    client.set(f"other:{number}", os.urandom(500))
                client.save()
            server.restart()
            with pytest.raises(StoreUnavailable, match="LOADING"):
                RedisStore(server.url).load(KEY)

    def test_database_that_the_server_does_not_have_is_misconfigured(self, server: Server) -> None:
        with pytest.raises(Misconfigured, match="no database of this number"):
            RedisStore(f"redis://127.0.0.1:{server.port}/999").load(KEY)

    def test_url_of_the_wrong_kind_is_misconfigured(self, server: Server) -> None:
        with pytest.raises(Misconfigured, match="not a Cluster: use redis://"):
            RedisStore(f"redis+cluster://127.0.0.1:{server.port}").load(KEY)
        with Cluster() as cluster, pytest.raises(Misconfigured, match="use redis\\+cluster://"):
            RedisStore(cluster.servers[0].url).load(KEY)


class TestTimes:
    """With a timeout of 0.3 s, each use ends within 4 timeouts."""

    LIMIT = 1.2 + 3  # a busy machine; without a limit, each takes 10 s or more

    @pytest.fixture
    def unresponsive(self) -> Iterator[int]:
        """A port that takes no more connections, and does not say so."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            waiting = [socket.socket() for _ in range(4)]
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(listener.getsockname())
            yield int(listener.getsockname()[1])
            for one in waiting:
                one.close()

    def uses(self, url: str) -> float:
        """Return how long a failing use takes."""
        store = RedisStore(url, timeout=0.3)
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=r"timed out|no Sentinel"):
            store.swap(KEY, 0, row())
        return time.monotonic() - began

    def test_hanging_resolver_is_given_up_in_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        released = threading.Event()
        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", lambda *_: released.wait(20))
            for url in ("redis://host/0", "rediss://host/0", "redis+sentinel://host/mymaster"):
                assert self.uses(url) < self.LIMIT, url
        released.set()

    def test_many_dead_addresses_are_given_up_in_time(
        self, unresponsive: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", unresponsive))
        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", lambda *_: [address] * 36)
            assert self.uses("redis://host/0") < self.LIMIT

    def test_suspended_server_is_given_up_in_time(self) -> None:
        with Server() as server:
            server.freeze()
            try:
                assert self.uses(server.url) < self.LIMIT
            finally:
                server.thaw()

    @pytest.mark.needs("openssl")
    @pytest.mark.parametrize("scheme", ["redis", "rediss", "unix", "redis+sentinel"])
    def test_answer_in_small_parts_is_given_up_in_time(
        self, scheme: str, certificate: Path, tmp_path: Path
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_name("key.pem"))
        listener = socket.create_server(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}/mymaster"
        if scheme == "unix":
            listener.close()
            listener, address = socket.socket(socket.AF_UNIX), str(tmp_path / "socket")
            listener.bind(address)
            listener.listen()
        if scheme == "rediss":
            listener = context.wrap_socket(listener, server_side=True)
            address = address.replace("mymaster", f"0?ssl_ca_certs={certificate}")
        address = address if "sentinel" in scheme else address.replace("mymaster", "0")
        senders: list[threading.Thread] = []

        def send(connection: socket.socket) -> None:
            with connection, suppress(OSError):  # until the client closes it
                connection.sendall(b"$100\r\n")
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.05)

        def listen() -> None:
            with suppress(OSError):
                while True:
                    senders.append(threading.Thread(target=send, args=listener.accept()[:1]))
                    senders[-1].start()

        thread = threading.Thread(target=listen)
        thread.start()
        with listener:
            assert self.uses(f"{scheme}://{address}") < self.LIMIT
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
        for sender in senders:
            sender.join(2)
            assert not sender.is_alive(), "the connection is left open"
        assert senders

    def test_known_epoch_is_returned_while_redis_is_down(self) -> None:
        with Server() as server:
            store = RedisStore(server.url, timeout=0.3)
            epoch = store.epoch(KEY)
            server.kill()
            time.sleep(1.1)
            assert store.epoch(KEY) == epoch


class TestConnections:
    def test_connections_that_a_gateway_forgot_are_replaced(self, server: Server) -> None:
        timeout = 2
        with Forwarder(server.port) as gateway:
            store = RedisStore(f"redis://127.0.0.1:{gateway.port}/0", timeout=timeout)
            together = threading.Barrier(4)

            def use() -> None:
                together.wait()
                store.swap(uuid.uuid4().hex, 0, row())

            threads = [threading.Thread(target=use) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert gateway.forget() >= 2
            began = time.monotonic()
            for _ in range(4):
                assert store.swap(uuid.uuid4().hex, 0, row())
            assert time.monotonic() - began < 2 * timeout, "one timeout, for all"

    def test_keep_alive_is_on(self, server: Server) -> None:
        store = RedisStore(server.url)
        store.load(KEY)
        (connection,) = store._client.connection_pool._available_connections
        sock = connection._sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        assert connection.health_check_interval == 30

    def test_restarted_server_costs_no_failure(self) -> None:
        with Server() as server:
            store = RedisStore(server.url)
            assert store.swap(KEY, 0, row())
            server.restart()
            assert store.load(KEY) is None

    def test_lost_answer_of_a_swap_is_repeated_and_recognised(self, server: Server) -> None:
        with Forwarder(server.port) as gateway:
            store = RedisStore(f"redis://127.0.0.1:{gateway.port}/0", timeout=0.5)
            key = uuid.uuid4().hex
            epoch = store.epoch(key)
            gateway.lose_answers()
            assert store.swap(key, 0, row()._replace(epoch=epoch))
            with Redis(port=server.port) as client:
                assert client.hget(f"oncegate:{key}", "version") == b"1"

    def test_forked_processes_share_no_connection(self, server: Server) -> None:
        check_forks(RedisStore(server.url))

    @pytest.mark.needs("openssl")
    def test_forked_processes_share_no_tls_connection(self, with_tls: Server) -> None:
        check_forks(RedisStore(f"rediss://127.0.0.1:{with_tls.tls_port}/0?ssl_cert_reqs=none"))

    @pytest.mark.parametrize("client", [None, "Async"])
    def test_client_of_another_kind_is_misconfigured(self, client: str | None) -> None:
        other: Any = AsyncRedis() if client else None
        with pytest.raises(Misconfigured, match="redis-py"):
            RedisStore(other)

    def test_closed_store_opens_again(self, server: Server) -> None:
        store = RedisStore(f"{server.url}?client_name=closing")

        def count() -> int:
            return sum(one["name"] == "closing" for one in server.call("CLIENT LIST"))

        store.load(KEY)
        assert count() == 1
        store.close()
        wait_until(lambda: count() == 0, "a connection is left")
        store.load(KEY)
        assert count() == 1

    def test_own_client_stays_open_when_the_store_closes(self, server: Server) -> None:
        with Redis(port=server.port) as client:
            store = RedisStore(client)
            store.load(KEY)
            (before,) = client.connection_pool._available_connections
            store.close()
            assert before._sock is not None


class TestSize:
    def test_expired_flows_leave_nothing(self) -> None:
        expired = -58.0  # in two seconds, for a minute
        with Server() as server:
            store = RedisStore(server.url)
            epoch = store.epoch(KEY)
            for _ in range(300):
                assert store.swap(uuid.uuid4().hex, 0, row(ends_in=expired)._replace(epoch=epoch))
            with server.client as client:
                assert client.zcard("oncegate:epoch") == 301
            time.sleep(2.2)
            for _ in range(40):
                assert store.swap(uuid.uuid4().hex, 0, row(ends_in=expired)._replace(epoch=epoch))
            with server.client as client:
                assert client.zcard("oncegate:epoch") <= 42
            time.sleep(2.2)
            store.swap(uuid.uuid4().hex, 0, row(ends_in=0.1)._replace(epoch=epoch))
            assert store.epoch(KEY) == epoch

    def test_flow_takes_less_than_600_bytes_more_than_its_record(self) -> None:
        with Server() as server:
            store, record, count = RedisStore(server.url), os.urandom(1500), 2000
            epoch = store.epoch(KEY)
            before = server.info("memory")["used_memory_dataset"]
            for _ in range(count):
                row = StoredRecord(1, record, time.time() + 600, epoch=epoch)
                assert store.swap(uuid.uuid4().hex, 0, row)
            grown = server.info("memory")["used_memory_dataset"] - before
            assert grown / count < 1500 + 600
