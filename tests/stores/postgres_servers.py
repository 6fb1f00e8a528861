"""PostgreSQL as people run it: with standbys, behind PgBouncer, and behind a NAT that forgets."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psycopg
from tests.servers import PostgresServer, free_port


class Postgres(PostgresServer):
    """A server of a test's own: with databases, roles, settings and standbys."""

    def __init__(self) -> None:
        super().__init__()
        # Its processes are killed, not its machine: what they have written, the next one reads.
        self.execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements as the superuser; return the rows of the last."""
        with psycopg.connect(self.url_of(database), autocommit=True) as db:
            for statement in statements:
                cursor = db.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def url_of(self, database: str, role: str = "postgres", options: str = "") -> str:
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}{options}"

    def standby(self, name: str) -> Standby:
        """Return a running standby, which follows this server."""
        return Standby(self, name)

    def wait_until_sent(self, standbys: int = 1) -> None:
        """Wait until so many standbys have all that is committed."""
        until = time.monotonic() + 30
        wanted = """
            SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()
        """
        while self.execute(wanted) != [(standbys,)]:
            assert time.monotonic() < until, "the standby does not follow"
            time.sleep(0.02)

    @property
    def pids(self) -> list[int]:
        """The processes of the server."""
        postmaster = (self._folder / "data" / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [int(postmaster), *map(int, children)]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all processes of the server, as a virtual machine that hangs does."""
        pids = self.pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def copy_of_data(self) -> Path:
        """Stop the server, return a copy of its data, and start it again."""
        copy = self._folder / f"copy-{time.monotonic_ns()}"
        self.stop()
        self._run("cp", "-a", str(self._folder / "data"), str(copy))
        self.start()
        return copy

    def discard(self) -> None:
        """Stop the server, whether it runs or not, and delete its data."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def restore(self, copy: Path) -> None:
        """Replace the data by a copy of them, which begins no new timeline."""
        self.stop()
        shutil.rmtree(self._folder / "data")
        self._run("cp", "-a", str(copy), str(self._folder / "data"))
        self.start()


class Standby(Postgres):
    """A standby server that follows another one, until it is promoted.

    Args:
        primary: the server that it follows.
        name: its name in the primary's `synchronous_standby_names`.
    """

    def __init__(self, primary: Postgres, name: str) -> None:
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._folder = Path(tempfile.mkdtemp(prefix="standby-"))
        self._user = primary._user
        if self._user:
            shutil.chown(self._folder, self._user)
        found = shutil.which("postgres")
        assert found is not None
        backup = str(Path(found).resolve().with_name("pg_basebackup"))
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name={name}"
        data = str(self._folder / "data")
        self._run(backup, "-D", data, "-d", source, "-R", "-c", "fast", "--no-sync")
        self.start()

    def promote(self) -> None:
        """Make it a primary, on a new timeline."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "promote")


class PgBouncer:
    """PgBouncer in front of a server, in transaction mode, with its defaults otherwise.

    Args:
        server: the server.
        settings: further lines of its configuration.
    """

    def __init__(self, server: Postgres, settings: str = "") -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
        user = server._user
        users = self._folder / "users"
        users.write_text('"postgres" ""\n')
        config = self._folder / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n"
            f"[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={self.port}\nauth_type=trust\n"
            f"auth_file={users}\npool_mode=transaction\nunix_socket_dir=\n{settings}\n"
        )
        for path in (self._folder, users, config):
            if user:
                shutil.chown(path, user)
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        self._process = subprocess.Popen(
            [program, "-q", str(config)], user=user, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 30
        while not _listens(self.port):
            assert time.monotonic() < until, "PgBouncer did not start"
            time.sleep(0.02)

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class Nat:
    """Forwards connections to a port, and can forget them: it then drops what they send, silently.

    With `seconds_per_byte`, it forwards the answers byte by byte.

    Args:
        port: the server's port.

    Attributes:
        accepted: number of connections so far.
        queries: number of queries so far, each a request of its own.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.accepted = 0
        self.queries = 0
        self.seconds_per_byte = 0.0
        self._generation = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def forget(self) -> None:
        """Forget all connections there are."""
        self._generation += 1

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                for source, target in ((client, server), (server, client)):
                    pump = (source, target, self._generation)
                    threading.Thread(target=self._pump, args=pump, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, generation: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.queries += target.getpeername()[1] == self._target and data.startswith(b"Q")
                slow = self.seconds_per_byte if source.getpeername()[1] == self._target else 0
                for part in [bytes([byte]) for byte in data] if slow else [data]:
                    time.sleep(slow)
                    if generation == self._generation:
                        target.sendall(part)
            if generation == self._generation:
                target.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for one in self._open:
            one.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
