"""Real servers for tests, on loopback, each with its own data, which is deleted after the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psycopg
import redis
from psycopg import sql


def free_port() -> int:
    """Return a TCP port that is free at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _wait(is_up: Callable[[], bool], what: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not is_up():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not start within {seconds:g} s")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for_port(port: int) -> None:
    """Return once something listens on a TCP port of this machine; raise TimeoutError after 30 s."""
    _wait(lambda: _listens(port), f"the server on port {port}", 30)


RUNNING: list[RedisServer | PostgresServer] = []
"""The running servers of this process. Their contents are searched for secrets after each test."""


class RedisServer:
    """A redis-server without persistence: its data is lost when it stops."""

    program = "redis-server"

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _wait(lambda: _listens(self.port), "redis-server")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def contents(self) -> bytes:
        """Return all keys and values."""
        with redis.Redis.from_url(self.url) as client:
            return b"\n".join(key + b" " + (client.dump(key) or b"") for key in client.scan_iter())

    def __enter__(self) -> Self:
        RUNNING.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        RUNNING.remove(self)
        self.stop()


class PostgresServer:
    """A PostgreSQL cluster in its own folder. PostgreSQL refuses to run as root, so root switches user."""

    program = "postgres"

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            owner = pwd.getpwnam(self._user)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        found = shutil.which(program)
        assert found is not None
        subprocess.run(
            [found, *arguments],
            user=self._user,
            cwd=self._folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder}"
        log = str(self._folder / "log")
        self._run(
            "pg_ctl", "-D", str(self._folder / "data"), "-o", options, "-l", log, "-w", "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")

    def contents(self) -> bytes:
        """Return all rows of all tables that the tests created."""
        found = b""
        with psycopg.connect(self.url) as connection:
            tables = connection.execute("SELECT relname FROM pg_stat_user_tables").fetchall()
            for (table,) in tables:
                rows = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(table))
                with connection.cursor().copy(rows) as copied:
                    found += b"".join(bytes(block) for block in copied)
        return found

    def __enter__(self) -> Self:
        RUNNING.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        RUNNING.remove(self)
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
