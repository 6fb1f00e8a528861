"""The same crowd at each server that people run: one code for each user, and all are signed in.

ONCEGATE_CROWD=200 has so many people at every server, with each framework and store that it can have.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from tests.deployments.crowd import Crowd, Result, seed
from tests.deployments.servers import ServerProcess, served
from tests.deployments.setups import ALL, IN_CI, SERVERS, Setup, StoreKind
from tests.servers import PostgresServer, RedisServer, free_port

from oncegate_sandbox import Sandbox

pytestmark = pytest.mark.slow

PEOPLE = int(os.environ.get("ONCEGATE_CROWD", "6"))
KEY = "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4"
NEEDS = {"redis": "redis-server", "postgresql": "postgres"}
LOUD = re.compile(
    r"Traceback|^(?:WARNING|ERROR|CRITICAL) oncegate|^ERROR|\[(?:ERROR|CRITICAL)\]", re.MULTILINE
)
"""Lines of a log of which there must be none."""


def assert_flawless(result: Result, log: Path, people: int) -> None:
    """Check that each got one code and is signed in, and that neither answers nor log have errors."""
    assert result.failures == []
    users = {f"user{number}" for number in range(people)}
    assert result.texts == dict.fromkeys(users, 1)
    assert result.signed_in == users
    assert result.server_errors == {}
    assert LOUD.findall(log.read_text()) == []


def params(setups: list[Setup]) -> list[Any]:
    """Return the set-ups as parameters, with the marks of the programs that they need."""
    return [
        pytest.param(
            setup,
            id=str(setup),
            marks=[pytest.mark.needs(NEEDS[setup.store])] if setup.store in NEEDS else [],
        )
        for setup in setups
    ]


@pytest.fixture(scope="module")
def cognito() -> Iterator[Sandbox]:
    with Sandbox(seed(PEOPLE)) as sandbox:
        yield sandbox


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[StoreKind], str]:
    """Return a function that returns the URL of an empty store."""

    def url(kind: StoreKind) -> str:
        match kind:
            case "memory":
                return "memory://"
            case "sqlite":
                return f"sqlite:///{tmp_path}/flows.db"
            case "redis":
                redis_server: RedisServer = request.getfixturevalue("redis_server")
                database = redis_server.url.removesuffix("/0") + "/9"
                with redis.Redis.from_url(database) as client:
                    client.flushdb()
                return database
            case "postgresql":
                postgres: PostgresServer = request.getfixturevalue("postgres_server")
                name = f"crowd{os.urandom(4).hex()}"
                with psycopg.connect(postgres.url, autocommit=True) as db:
                    db.execute(f"CREATE DATABASE {name}".encode())
                return f"{postgres.url.rpartition('/')[0]}/{name}"
        raise AssertionError(kind)

    return url


def environment(cognito: Sandbox, store: str, *, used_at_import: bool) -> dict[str, str]:
    """Return the variables of `tests.deployments.apps.signin`."""
    return {
        "POOL_ID": cognito.pool_id,
        "CLIENT_ID": cognito.client_id,
        "COGNITO_URL": cognito.endpoint,
        "STORE_URL": store,
        "ONCEGATE_KEY": KEY,
        "USED_AT_IMPORT": "1" if used_at_import else "",
    }


def crowd_at(
    setup: Setup,
    cognito: Sandbox,
    store: str,
    log: Path,
    meanwhile: Callable[[ServerProcess], None] | None = None,
) -> Result:
    """Start a server, let the crowd sign in, stop the server, and return what the crowd saw.

    Args:
        setup: the server, with framework and store.
        cognito: the Cognito, with the crowd's users.
        store: URL of the store.
        log: file for the server's output.
        meanwhile: called as soon as the first code was sent.
    """
    port = free_port()
    variables = environment(cognito, store, used_at_import=True)
    try:
        with served(
            setup.command(port),
            f"http://127.0.0.1:{port}/",
            {**variables, **setup.environment},
            log,
        ) as server:
            crowd = Crowd(cognito, f"http://localhost:{port}", PEOPLE)
            with ThreadPoolExecutor(1) as thread:
                sent = len(cognito.messages())
                result = thread.submit(crowd.sign_in)
                if meanwhile:
                    while len(cognito.messages()) == sent and not result.done():
                        time.sleep(0.01)
                    meanwhile(server)
                return result.result()
    finally:
        print(log.read_text())  # in the report, and searched for secrets


@pytest.mark.parametrize("setup", params(ALL if "ONCEGATE_CROWD" in os.environ else IN_CI))
def test_crowd_that_clicks_twice_gets_one_code_each_and_is_signed_in(
    setup: Setup, cognito: Sandbox, store_url: Callable[[StoreKind], str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    result = crowd_at(setup, cognito, store_url(setup.store), log)
    assert_flawless(result, log, PEOPLE)


def test_reload_while_the_crowd_signs_in_loses_no_sign_in(cognito: Sandbox, tmp_path: Path) -> None:
    setup, log = Setup("gunicorn sync", "flask", "sqlite"), tmp_path / "log"
    workers = set[int]()

    def reload(server: ServerProcess) -> None:
        workers.update(server.children())
        os.kill(server.pid, signal.SIGHUP)
        until = time.monotonic() + 30
        while workers & server.children():
            assert time.monotonic() < until, "the old workers go on"
            time.sleep(0.01)

    result = crowd_at(setup, cognito, f"sqlite:///{tmp_path}/flows.db", log, reload)
    assert len(workers) == SERVERS[setup.server].workers
    assert_flawless(result, log, PEOPLE)


@pytest.mark.parametrize(
    "setup",
    params(
        [
            Setup("gunicorn sync", "flask", "memory"),
            Setup("uwsgi", "django", "memory"),  # a copy of one store in each worker
        ]
    ),
)
def test_memory_store_with_two_workers_sends_no_second_code_and_logs_the_cure(
    setup: Setup, cognito: Sandbox, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    result = crowd_at(setup, cognito, "memory://", log)
    assert result.got_two == set()
    assert len(result.signed_in) < PEOPLE, "one worker had all the requests"
    assert result.server_errors == {}
    (warned, *more) = re.findall("^WARNING oncegate .*", log.read_text(), re.MULTILINE)
    assert "let all workers use one shared store" in warned
    assert len(more) < SERVERS[setup.server].workers, "logged again and again"
