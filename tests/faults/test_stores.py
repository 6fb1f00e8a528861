"""A store that is down, slow or has lost its data: no second code, and always a way on."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.doubles import DictStore, code, password
from tests.servers import PostgresServer, RedisServer

from oncegate import (
    InvalidInput,
    Misconfigured,
    OncegateError,
    RecordUnreadable,
    RequestContext,
    SealingKeys,
    SignIn,
    Step,
    StepRef,
    StoreUnavailable,
)
from oncegate.adapters import Call, FlowId, Outcome, StoredRecord
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


def until_available(action: Callable[[], object]) -> None:
    """Repeat an action until the store answers; a pool of connections takes its time to reconnect."""
    for _ in range(15):
        with contextlib.suppress(StoreUnavailable):
            action()
            return
    raise AssertionError("the store does not recover")


@REDIS
class TestRedis:
    def test_store_down_before_the_event_raises_and_sends_nothing(
        self, redis: RedisServer, transport: CognitoTransport
    ) -> None:
        redis.stop()
        sign_in = SignIn(transport=transport, store=RedisStore(redis.url))
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as error:
                sign_in.start()
            assert str(redis.port) not in str(error.value), "an address may hold a password"
        redis.start()
        assert sign_in.send(sign_in.start(), password()).state == "awaiting_mfa"

    def test_store_down_during_the_call_ends_the_flow_without_a_repeat(
        self, redis: RedisServer, transport: CognitoTransport, sandbox: Sandbox
    ) -> None:
        class GoesDown:
            app_id, token_service = transport.app_id, transport.token_service
            max_call_seconds, is_passwordless = transport.max_call_seconds, False
            ways_in = transport.ways_in
            check = transport.check

            def perform(self, call: Call, context: RequestContext) -> Outcome:
                outcome = transport.perform(call, context)
                redis.stop()
                return outcome

        store = RedisStore(redis.url)
        going = SignIn(transport=GoesDown(), store=store)
        staying = SignIn(transport=transport, store=store)
        flow_id = going.start().flow_id
        with pytest.raises(StoreUnavailable):
            going.send(StepRef(flow_id, 0), password())
        assert len(sandbox.messages()) == 1
        redis.start()  # with nothing in it
        step = staying.get(flow_id)
        assert step.message is not None
        assert (step.state, step.message.code) == ("failed", "flow_expired")
        for seen in (StepRef(flow_id, 0), step):
            assert reason(staying.send(seen, password())) == "finished"
        assert len(sandbox.messages()) == 1

    def test_store_restarted_empty_ends_the_flow_without_a_repeat(
        self, redis: RedisServer, transport: CognitoTransport, sandbox: Sandbox
    ) -> None:
        sign_in = SignIn(transport=transport, store=RedisStore(redis.url))
        step = sign_in.send(sign_in.start(), password())
        redis.stop()
        redis.start()
        for event in (code(sandbox.messages()[-1].code), password()):
            assert reason(sign_in.send(step, event)) == "finished"
        assert len(sandbox.messages()) == 1
        again = sign_in.send(sign_in.start(), password())
        assert (again.state, len(sandbox.messages())) == ("awaiting_mfa", 2)

    def test_slow_store_raises_within_its_timeout(
        self, redis: RedisServer, transport: CognitoTransport, sandbox: Sandbox
    ) -> None:
        sign_in = SignIn(transport=transport, store=RedisStore(redis.url, timeout=1))
        first = sign_in.start()
        os.kill(redis._process.pid, signal.SIGSTOP)
        before = time.monotonic()
        try:
            with pytest.raises(StoreUnavailable):
                sign_in.send(first, password())
        finally:
            os.kill(redis._process.pid, signal.SIGCONT)
        assert time.monotonic() - before < 5
        assert sandbox.messages() == ()


@POSTGRES
def test_restarted_postgres_ends_the_flow_without_a_repeat(
    transport: CognitoTransport, sandbox: Sandbox
) -> None:
    """Its data may have been restored from a backup, which a worker cannot tell from a restart."""
    with PostgresServer() as server:
        store = PostgresStore(server.url, timeout=2)
        sign_in = SignIn(transport=transport, store=store)
        first = sign_in.start()
        step = sign_in.send(first, password())
        server.stop()
        with pytest.raises(StoreUnavailable):
            sign_in.get(step.flow_id)
        server.start()
        until_available(lambda: sign_in.get(step.flow_id))
        for seen, event in ((step, code(sandbox.messages()[-1].code)), (first, password())):
            assert reason(sign_in.send(seen, event)) == "finished"
        assert len(sandbox.messages()) == 1
        again = sign_in.send(sign_in.start(), password())
        assert (again.state, len(sandbox.messages())) == ("awaiting_mfa", 2)
        store.close()


def test_restarted_process_with_memory_store_ends_the_flow(
    transport: CognitoTransport, sandbox: Sandbox
) -> None:
    first = SignIn(transport=transport, store=MemoryStore()).start()
    restarted = SignIn(transport=transport, store=MemoryStore())
    assert reason(restarted.send(first, password())) == "finished"
    assert sandbox.messages() == ()


class TestStoredRecords:
    def test_stored_flow_is_under_four_kilobytes(self, transport: CognitoTransport) -> None:
        store = DictStore()
        sign_in = SignIn(transport=transport, store=store, retain_password=True)
        sign_in.send(sign_in.start(), password())
        assert max(len(row.sealed) for row in store.rows.values()) < 4096

    def test_rotated_keys_read_records_until_the_old_key_is_removed(
        self, transport: CognitoTransport
    ) -> None:
        store = MemoryStore()
        old = "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4"
        new = "Wk7sPz0RbT4mYcE9vNqL2xHdG6uJfA1oSi8KrQe5MwU"
        before = SignIn(transport=transport, store=store, keys=SealingKeys(old))
        step = before.send(before.start(), password())
        during = SignIn(transport=transport, store=store, keys=SealingKeys(new, old))
        assert during.get(step.flow_id) == step
        for keys in (SealingKeys(new), None):
            after = SignIn(transport=transport, store=store, keys=keys)
            with pytest.raises((InvalidInput, RecordUnreadable)):
                after.get(step.flow_id)

    def test_swapped_rolled_back_or_forged_record_is_unreadable(
        self, transport: CognitoTransport
    ) -> None:
        store = DictStore()
        sign_in = SignIn(transport=transport, store=store)
        one, two = (sign_in.send(sign_in.start(), password()) for _ in range(2))
        key, other = (FlowId.parse(step.flow_id).key for step in (one, two))
        rows = dict(store.rows)
        sealed = rows[key].sealed
        for bad in (
            rows[other],
            rows[key]._replace(version=1),
            rows[key]._replace(version=3),
            rows[key]._replace(sealed=sealed[:-1] + bytes([sealed[-1] ^ 1])),
            rows[key]._replace(sealed=b""),
            rows[key]._replace(sealed=b"\x01" * 50),
        ):
            store.rows[key] = bad
            with pytest.raises(RecordUnreadable):
                sign_in.get(one.flow_id)
            assert store.rows[key] is bad, "an unreadable record is not changed"


@pytest.mark.parametrize(
    "url", ["", "mysql://x", "sqlite://", "redis", "http://user:hunter2@host/", "://"]
)
def test_invalid_store_url_raises_without_its_password(url: str) -> None:
    with pytest.raises(OncegateError) as error:
        store_from_url(url)
    assert isinstance(error.value, Misconfigured | InvalidInput)
    assert "hunter2" not in str(error.value)


@REDIS
def test_store_from_url_saves_and_loads(redis: RedisServer, tmp_path: Any) -> None:
    row = StoredRecord(1, b"sealed", time.time() + 60)
    for url in ("memory://", f"sqlite:///{tmp_path}/flows.db", redis.url):
        store = store_from_url(url)
        assert store.swap("a" * 32, 0, row)
        assert store.load("a" * 32) == row
