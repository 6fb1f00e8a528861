"""A store that is down, slow, or has lost its data: never a second code, always a clear way on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.doubles import code, password
from tests.servers import PostgresServer, RedisServer, free_port

from oncegate import StepRef
from oncegate import (
    InvalidInput,
    Misconfigured,
    OncegateError,
    RecordUnreadable,
    SealingKeys,
    SignIn,
    Step,
    StoreUnavailable,
)
from oncegate.adapters import FlowId, StoredRecord
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import MemoryStore, PostgresStore, RedisStore, store_from_url

REDIS, POSTGRES = pytest.mark.needs("redis-server"), pytest.mark.needs("postgres")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def reason(step: Step) -> str | None:
    return step.reason.code if step.reason else None


@REDIS
class TestRedis:
    def test_down_from_the_start(self, redis: RedisServer, transport: CognitoTransport) -> None:
        redis.stop()
        sign_in = SignIn(transport=transport, store=RedisStore(redis.url))
        flow_id = sign_in.start().flow_id
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as error:
                sign_in.send(sign_in.get(flow_id), password())
            assert str(redis.port) not in str(error.value), "an address may hold a password"
        redis.start()
        assert sign_in.send(sign_in.start(), password()).state == "awaiting_mfa"

    def test_down_while_the_call_is_under_way(
        self, redis: RedisServer, transport: CognitoTransport, sandbox: Sandbox
    ) -> None:
        class GoesDown:
            max_call_seconds, is_passwordless = transport.max_call_seconds, False

            def perform(self, call: Any) -> Any:
                outcome = transport.perform(call)
                redis.stop()
                return outcome

        store = RedisStore(redis.url)
        going = SignIn(transport=GoesDown(), store=store)
        staying = SignIn(transport=transport, store=store)
        flow_id = going.start().flow_id
        with pytest.raises(StoreUnavailable):
            going.send(StepRef(flow_id, 0), password())
        assert len(sandbox.messages()) == 1
        time.sleep(2.1)
        redis.start()  # with nothing in it
        step = staying.get(flow_id)
        assert step.message is not None
        assert (step.state, step.message.code) == ("failed", "flow_expired")
        for version in (0, None):
            assert reason(staying.send(StepRef(flow_id, version), password())) == "finished"
        assert len(sandbox.messages()) == 1

    def test_a_restart_with_the_data_lost(
        self, redis: RedisServer, transport: CognitoTransport, sandbox: Sandbox
    ) -> None:
        sign_in = SignIn(transport=transport, store=RedisStore(redis.url))
        step = sign_in.send(sign_in.start(), password())
        time.sleep(2.1)
        redis.stop()
        redis.start()
        for event in (code(sandbox.messages()[-1].code), password()):
            assert reason(sign_in.send(step, event)) == "finished"
        assert len(sandbox.messages()) == 1
        again = sign_in.send(sign_in.start(), password())
        assert (again.state, len(sandbox.messages())) == ("awaiting_mfa", 2)

    def test_slow(self, redis: RedisServer, transport: CognitoTransport, sandbox: Sandbox) -> None:
        sign_in = SignIn(transport=transport, store=RedisStore(redis.url, timeout=1))
        flow_id = sign_in.start().flow_id
        os.kill(redis._process.pid, signal.SIGSTOP)
        before = time.monotonic()
        try:
            with pytest.raises(StoreUnavailable):
                sign_in.send(sign_in.get(flow_id), password())
        finally:
            os.kill(redis._process.pid, signal.SIGCONT)
        assert time.monotonic() - before < 5
        assert sandbox.messages() == ()


def test_postgres_that_is_not_there_leaves_nobody_trying() -> None:
    before = set(threading.enumerate())
    with pytest.raises(StoreUnavailable) as error:
        PostgresStore(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres", timeout=1)
    assert set(threading.enumerate()) <= before, error.value


@POSTGRES
def test_postgres_restarted_keeps_the_flow(transport: CognitoTransport, sandbox: Sandbox) -> None:
    with PostgresServer() as server:
        store = PostgresStore(server.url, timeout=2)
        sign_in = SignIn(transport=transport, store=store)
        step = sign_in.send(sign_in.start(), password())
        server.stop()
        with pytest.raises(StoreUnavailable):
            sign_in.get(step.flow_id)
        server.start()
        step = sign_in.send(step, code(sandbox.messages()[-1].code))
        assert (step.state, len(sandbox.messages())) == ("authenticated", 1)
        store.close()


def test_a_process_that_restarts_has_an_empty_memory(
    transport: CognitoTransport, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_id = SignIn(transport=transport, store=MemoryStore()).start().flow_id
    now = time.time()
    monkeypatch.setattr("oncegate_stores.memory.time.time", lambda: now + 5)
    reborn = SignIn(transport=transport, store=MemoryStore())
    assert reason(reborn.send(reborn.get(flow_id), password())) == "finished"
    assert sandbox.messages() == ()


class TestWhatIsStored:
    def test_a_flow_costs_under_four_kilobytes(self, transport: CognitoTransport) -> None:
        store = MemoryStore()
        sign_in = SignIn(transport=transport, store=store, retain_password=True)
        sign_in.send(sign_in.start(), password())
        assert max(len(row.sealed) for row in store._rows.values()) < 4096

    def test_keys_of_the_application_rotate(self, transport: CognitoTransport) -> None:
        store = MemoryStore()
        old, new = "the key of this year", "the key of the next year"
        before = SignIn(transport=transport, store=store, keys=SealingKeys(old))
        step = before.send(before.start(), password())
        during = SignIn(transport=transport, store=store, keys=SealingKeys(new, old))
        assert during.get(step.flow_id) == step
        for keys in (SealingKeys(new), None):
            after = SignIn(transport=transport, store=store, keys=keys)
            with pytest.raises(RecordUnreadable):
                after.get(step.flow_id)

    def test_records_cannot_be_swapped_rolled_back_or_made_up(
        self, transport: CognitoTransport
    ) -> None:
        store = MemoryStore()
        sign_in = SignIn(transport=transport, store=store)
        one, two = (sign_in.send(sign_in.start(), password()) for _ in range(2))
        key, other = (FlowId.parse(step.flow_id).key for step in (one, two))
        rows = dict(store._rows)
        sealed = rows[key].sealed
        for bad in (
            rows[other],
            rows[key]._replace(version=1),
            rows[key]._replace(version=3),
            rows[key]._replace(sealed=sealed[:-1] + bytes([sealed[-1] ^ 1])),
            rows[key]._replace(sealed=b""),
            rows[key]._replace(sealed=b"\x01" * 50),
        ):
            store._rows[key] = bad
            with pytest.raises(RecordUnreadable):
                sign_in.get(one.flow_id)
            assert store._rows[key] is bad, "it is left as it is"


@pytest.mark.parametrize(
    "url", ["", "mysql://x", "sqlite://", "redis", "http://user:hunter2@host/", "://"]
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(OncegateError) as error:
        store_from_url(url)
    assert isinstance(error.value, Misconfigured | InvalidInput)
    assert "hunter2" not in str(error.value)


@REDIS
def test_stores_by_their_urls(redis: RedisServer, tmp_path: Any) -> None:
    row = StoredRecord(1, b"sealed", time.time() + 60)
    for url in ("memory://", f"sqlite:///{tmp_path}/flows.db", redis.url):
        store = store_from_url(url)
        assert store.swap("a" * 32, 0, row)
        assert store.load("a" * 32) == row
