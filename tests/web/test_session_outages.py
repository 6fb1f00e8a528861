"""Sessions while the store or Cognito fails: only Cognito's own word ends one, and no token is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from tests.doubles import ManualClock
from tests.web.outages import TOKENS, FaultyStore, TokenDouble, invalid

from oncegate import (
    InvalidToken,
    Misconfigured,
    SealingKeys,
    SignedOut,
    StoreUnavailable,
    Tokens,
    Unreachable,
)
from oncegate.adapters import FlowId
from oncegate_web import _calls
from oncegate_web._sessions import NO_REQUEST, StoreSessions

KEYS = SealingKeys("q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4")
SECOND = Tokens(access_token="second", id_token="id", refresh_token="rotated")
HOUR = 3600.0


class World:
    """A session, a store, a token service, and any number of workers."""

    def __init__(self, renews: Callable[[Tokens], Any] | None = None, **more: Any) -> None:
        self.store, self.clock = FaultyStore(), ManualClock()
        self.service = TokenDouble(renews or (lambda _: SECOND))
        self.settings = more
        self.here = self.worker()
        self.session_id = self.here.create(TOKENS)

    def worker(self) -> StoreSessions:
        transport: Any = SimpleNamespace(app_id="pool/client", token_service=self.service)
        return StoreSessions(
            self.store,
            transport,
            KEYS,
            now=self.clock.now,
            sleep=self.clock.sleep,
            **self.settings,
        )

    def stored(self) -> Any:
        record = self.here.get(self.session_id)
        return record.tokens if record else None

    def find(self) -> Any:
        user = self.here.find(self.session_id)
        return user.tokens if user else None


def _raising(error: Exception) -> Callable[[Any], Any]:
    def fail(_: Any) -> Any:
        raise error

    return fail


# ── renewed tokens are saved ──


@pytest.mark.parametrize("seconds", [HOUR - 30, HOUR + 30], ids=["expires soon", "expired"])
def test_lost_write_after_a_rotated_token_is_retried(seconds: float) -> None:
    world = World()
    failures = 0

    def renews(_: Tokens) -> Tokens:
        world.store.fails_to_swap = StoreUnavailable("failover")
        return SECOND

    def sleep(seconds: float) -> None:
        nonlocal failures
        world.clock.sleep(seconds)
        failures += 1
        if failures == 20:
            world.store.comes_back()

    world.service.renews, world.here._sleep = renews, sleep
    world.clock.advance(seconds)
    assert world.find() == SECOND
    assert world.stored() == SECOND
    assert world.service.renewals == 1


def test_write_that_was_applied_although_it_failed_is_recognised() -> None:
    world = World()

    def renews(_: Tokens) -> Tokens:
        world.store.loses_answers = 1
        return SECOND

    world.service.renews = renews
    world.clock.advance(HOUR)
    assert world.find() == SECOND
    assert world.service.renewals == 1
    assert world.service.revoked == []


def test_renewed_tokens_replace_the_row_that_a_failover_rolled_back() -> None:
    """The store loses the mark "is being renewed": the version is not the one that was saved."""
    world = World()
    key = FlowId.parse(world.session_id, KEYS).key
    before = world.store.load(key)
    assert before is not None

    def renews(_: Tokens) -> Tokens:
        world.store._rows[key] = before
        return SECOND

    world.service.renews = renews
    world.clock.advance(HOUR)
    assert world.find() == SECOND
    assert world.stored() == SECOND


def test_end_of_the_others_that_was_requested_during_a_renewal_is_not_lost() -> None:
    world = World()

    def renews(_: Tokens) -> Tokens:
        session = FlowId.parse(world.session_id, KEYS)
        version, record = world.here._load(session)
        assert record is not None
        assert world.here._swap(session, version, record.but(ends_others=True))
        return SECOND

    world.service.renews = renews
    other = world.here.create(TOKENS)
    record = world.here.get(other)
    assert record is not None
    world.here.enter(other, record, NO_REQUEST)
    world.clock.advance(HOUR)
    assert world.find() == SECOND
    assert world.here.get(other) is None


def test_renewal_after_a_sign_out_is_revoked() -> None:
    world = World()

    def renews(_: Tokens) -> Tokens:
        world.here.end(world.session_id)
        return SECOND

    world.service.renews = renews
    world.clock.advance(HOUR)
    assert world.find() is None
    assert world.service.revoked == [TOKENS, SECOND]


def test_rejected_old_token_does_not_end_what_another_worker_has_renewed() -> None:
    """This worker has stalled; another one has taken over and rotated the token meanwhile."""
    world = World()

    def renews(_: Tokens) -> Tokens:
        world.clock.advance(31)
        world.service.renews = lambda _: SECOND
        assert world.worker().find(world.session_id) is not None
        raise SignedOut("reused")

    world.service.renews = renews
    world.clock.advance(HOUR)
    assert world.find() == SECOND


# ── what fails for a passing reason, or is malformed, ends nothing ──

FAULTS: dict[str, dict[str, Any]] = {
    "unreachable": {"renews": _raising(Unreachable("no"))},
    "misconfigured": {"renews": _raising(Misconfigured("no"))},
    "bug": {"renews": _raising(KeyError("AuthenticationResult"))},
    "nothing": {"renews": lambda _: None},
    "text": {"renews": lambda _: "tokens"},
    "mapping": {"renews": lambda _: {"access_token": "second"}},
    "expired": {"renews": lambda _: SECOND.model_copy(update={"expires_in": 0})},
    "invalid": {"verifies": invalid},
    "no keys": {"verifies": _raising(Unreachable("no"))},
    "no claims": {"verifies": lambda _: None},
    "claims without sub": {"verifies": lambda _: {}},
    "broken keys": {"verifies": _raising(ValueError("not JSON"))},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_failed_renewal_is_a_typed_error_and_ends_nothing(fault: str) -> None:
    world = World()
    good = dict(vars(world.service))
    vars(world.service).update(FAULTS[fault])
    world.clock.advance(HOUR)
    for _ in range(3):
        with pytest.raises((Unreachable, Misconfigured)):  # which is answered with 503
            world.find()
    vars(world.service).update(renews=good["renews"], verifies=good["verifies"])
    assert world.find() is not None
    assert world.stored() is not None


@pytest.mark.parametrize("fault", [name for name in FAULTS if "renews" in FAULTS[name]])
def test_failed_renewal_of_valid_tokens_is_no_error(fault: str) -> None:
    world = World()
    vars(world.service).update(FAULTS[fault])
    world.clock.advance(HOUR - 30)
    if fault == "expired":
        with pytest.raises(Unreachable):
            world.find()
    else:
        assert world.find() == TOKENS


@pytest.mark.parametrize("answer", [None, "claims", 7])
def test_malformed_claims_at_the_sign_in_are_verified_later(answer: Any) -> None:
    world = World()
    good = world.service.verifies
    world.service.verifies = lambda _: answer
    session_id = world.here.create(TOKENS)
    with pytest.raises(Unreachable):
        world.here.find(session_id)
    world.service.verifies = good
    assert world.here.find(session_id) is not None


@pytest.mark.parametrize("error", [Unreachable("no"), RuntimeError("?"), InvalidToken("?")])
def test_failed_check_ends_nothing(error: Exception) -> None:
    world = World()
    world.service.checks = _raising(error)
    world.clock.advance(300)
    assert world.find() == TOKENS
    assert world.stored() == TOKENS


def test_store_that_takes_no_writes_signs_out_nobody() -> None:
    world = World(idle=600.0)
    world.store.fails_to_swap = StoreUnavailable("the disk is full")
    for seconds in (300, 200, 50):
        world.clock.advance(seconds)
        assert world.find() == TOKENS
    world.clock.advance(HOUR - 600)
    world.store.comes_back()


def test_end_at_cognito_that_cannot_be_saved_is_not_ignored() -> None:
    world = World()

    def checks(_: Tokens) -> None:
        world.store.fails_to_swap = StoreUnavailable("the disk is full")
        raise SignedOut

    world.service.checks = checks
    world.clock.advance(300)
    with pytest.raises(StoreUnavailable):
        world.find()


@pytest.mark.parametrize("sub", ["1", "2"])
def test_deferred_verification_remembers_whose_session_it_is(sub: str) -> None:
    world = World()
    good, world.service.verifies = world.service.verifies, _raising(Unreachable("no keys"))
    world.clock.advance(HOUR)
    with pytest.raises(Unreachable):
        world.find()
    world.service.verifies = lambda token: {**good(token), "sub": sub}
    assert world.find() == (SECOND if sub == "1" else None)


# ── calls that hang ──


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait for less, so that the tests do."""
    monkeypatch.setattr(_calls, "PATIENCE", 0.3)
    monkeypatch.setattr(_calls, "_SLOW", 0.1)
    monkeypatch.setattr(_calls, "_PAUSE", 3.0)


def test_wait_for_another_worker_is_bounded() -> None:
    world = World()
    there = world.worker()
    began, go_on = threading.Event(), threading.Event()

    def renews(_: Tokens) -> Tokens:
        began.set()
        assert go_on.wait(30)
        return SECOND

    world.service.renews = renews
    world.clock.advance(HOUR)
    renewing = threading.Thread(target=lambda: there.find(world.session_id))
    renewing.start()
    assert began.wait(10)
    before = world.clock.now()
    with pytest.raises(Unreachable):
        world.find()
    assert 4.9 <= world.clock.now() - before <= 5.1
    go_on.set()
    renewing.join(10)
    assert world.find() == SECOND


def test_requests_that_wait_for_another_worker_are_bounded() -> None:
    world = World()
    world.service.renews = world.service.hang
    world.clock.advance(HOUR)
    session = FlowId.parse(world.session_id, KEYS)
    version, record = world.here._load(session)
    assert record is not None
    until = world.clock.now() + 30
    assert world.here._swap(session, version, record.but(renewing_until=until))
    waiting, go_on = threading.Semaphore(0), threading.Event()

    def sleep(_: float) -> None:
        waiting.release()
        go_on.wait(30)

    world.here._sleep = sleep

    def find() -> None:
        with pytest.raises(Unreachable):
            world.find()

    threads = [threading.Thread(target=find) for _ in range(32)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert waiting.acquire(timeout=10)
    find()
    assert waiting.acquire(blocking=False) is False, "the 33rd did not wait"
    go_on.set()
    for thread in threads:
        thread.join(10)


@pytest.mark.usefixtures("impatient")
def test_renewal_that_outlasts_its_request_is_saved() -> None:
    world = World()
    go_on = threading.Event()

    def renews(_: Tokens) -> Tokens:
        assert go_on.wait(30)
        return SECOND

    world.service.renews = renews
    world.clock.advance(HOUR)
    with pytest.raises(Unreachable):
        world.find()
    go_on.set()
    until = time.monotonic() + 10
    while world.stored() != SECOND:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert world.find() == SECOND
    assert world.service.renewals == 1


@pytest.mark.usefixtures("impatient")
def test_calls_pause_after_three_sessions_hung_and_go_on_after_a_while() -> None:
    world = World()
    ids = [world.here.create(TOKENS) for _ in range(4)]
    world.service.renews = world.service.hang
    world.clock.advance(HOUR)
    for session_id in ids[:3]:
        with pytest.raises(Unreachable):
            world.here.find(session_id)
    assert world.service.renewals == 3
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(Unreachable):
            world.here.find(ids[3])
    assert time.monotonic() - started < 3  # 20 waits would take 6
    assert world.service.renewals == 3
    world.service.renews = lambda _: SECOND
    world.service.go_on.set()
    time.sleep(3.1)
    user = world.here.find(ids[3])
    assert user is not None
    assert user.tokens == SECOND


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("error", [_calls.NoCall(), StoreUnavailable("no")], ids=repr)
def test_job_that_learned_nothing_about_cognito_is_no_failure_and_no_answer(
    error: Exception,
) -> None:
    calls, go_on = _calls.Calls("test", most=8, waiting=0), threading.Event()

    def fail_slowly() -> None:
        time.sleep(0.15)
        raise error

    for session in "abc":
        with pytest.raises(type(error)):
            calls.run(session, fail_slowly)
    assert calls.run("d", lambda: 1) == 1
    for session in "abc":
        with pytest.raises(Unreachable):
            calls.run(session, lambda: go_on.wait(30))
        if session != "c":
            with pytest.raises(type(error)):
                calls.run("d", fail_slowly)
    with pytest.raises(Unreachable, match="the last calls"):
        calls.run("d", lambda: 1)
    go_on.set()


@pytest.mark.usefixtures("impatient")
def test_call_without_a_thread_is_refused_and_leaves_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = _calls.Calls("test", most=1, waiting=0)
    with monkeypatch.context() as no_threads:
        no_threads.setattr(threading.Thread, "start", _raising(RuntimeError("can't start")))
        with pytest.raises(Unreachable):
            calls.run("a", lambda: 1)
    assert calls.run("a", lambda: 1) == 1


@pytest.mark.usefixtures("impatient")
def test_calls_that_hang_for_one_session_alone_stop_no_other() -> None:
    """Such as a user for whom the pool's Lambda trigger never ends."""
    world = World()
    other = world.here.create(TOKENS)
    world.clock.advance(HOUR)
    world.service.renews = world.service.hang
    for _ in range(4):
        with pytest.raises(Unreachable):
            world.find()
        world.clock.advance(31)  # another worker may take over, and hangs too
    world.service.renews = lambda _: SECOND
    assert world.here.find(other) is not None
    world.service.go_on.set()


def test_burst_of_renewals_waits_for_its_turn() -> None:
    """Forty users return at once; Cognito is slow, and answers all."""
    world = World()
    ids = [world.here.create(TOKENS) for _ in range(40)]

    def renews(_: Tokens) -> Tokens:
        time.sleep(0.02)
        return SECOND

    world.service.renews = renews
    world.clock.advance(HOUR)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda one=one: found.append(world.here.find(one))) for one in ids
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 40
    assert None not in found


@pytest.mark.usefixtures("impatient")
def test_hanging_revocation_does_not_hold_a_sign_out() -> None:
    world = World()
    world.service.revoke = world.service.hang  # type: ignore[assignment,method-assign]
    started = time.monotonic()
    world.here.end(world.session_id)
    assert time.monotonic() - started < 10  # it hangs for 30
    assert world.find() is None
    world.service.go_on.set()
