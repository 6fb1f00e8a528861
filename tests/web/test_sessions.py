"""Sessions on the server: renewed once, however many requests and workers, and readable over releases."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tests.doubles import ManualClock, a_text
from tests.web.example_apps import KEY, fastapi_app, web_for

from oncegate import (
    InvalidToken,
    Misconfigured,
    RequestContext,
    SealingKeys,
    SignedOut,
    SignIn,
    SubmitPassword,
    Tokens,
    Unreachable,
)
from oncegate.adapters import Call, FlowId, Outcome, StoredRecord
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import PoolSeed, Sandbox, Seed
from oncegate_sandbox.seed import DEMO_SEED
from oncegate_stores import MemoryStore
from oncegate_web._cookie_sessions import CookieSessions
from oncegate_web._cookie_vault import CookieVault
from oncegate_web._sessions import StoreSessions, write_session

HOUR = 3600.0


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    with caplog.at_level(logging.INFO, "oncegate"):
        yield lambda: [json.loads(r.message) for r in caplog.records if r.name == "oncegate"]


NOW = ManualClock().now()


class HookedStore(MemoryStore):
    """Calls a function after its next load."""

    after_load: Callable[[], None] | None = None

    def load(self, key: str) -> StoredRecord | None:
        row = super().load(key)
        hook, self.after_load = self.after_load, None
        if hook:
            hook()
        return row


class SignedInUser:
    """A user of a sandbox who is signed in, and two workers that share a store."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.transport = CognitoTransport(
            pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
        )
        sign_in = SignIn(transport=self.transport, store=MemoryStore())
        password = SubmitPassword(username="fay", password="Correct-horse-6")
        tokens = sign_in.send(sign_in.start(), password).tokens
        assert tokens is not None
        self.tokens = tokens
        self.clock, self.store = ManualClock(), HookedStore()
        self.workers = [
            StoreSessions(
                self.store,
                self.transport,
                SealingKeys(KEY),
                now=self.clock.now,
                sleep=time.sleep,
            )
            for _ in range(2)
        ]
        self.session_id = self.workers[0].create(self.tokens)

    def renewals(self) -> int:
        return self.sandbox.calls().get("GetTokensFromRefreshToken", 0)


@pytest.fixture(params=[False, True], ids=["same token", "rotated token"])
def signed_in(request: pytest.FixtureRequest) -> Any:
    seed = Seed(pool=PoolSeed(refresh_rotation=request.param), users=DEMO_SEED.users)
    with Sandbox(seed) as sandbox:
        yield SignedInUser(sandbox)


@pytest.mark.parametrize("seconds", [HOUR - 30, HOUR + 30], ids=["expires soon", "expired"])
def test_twenty_requests_on_two_workers_renew_once(signed_in: SignedInUser, seconds: float) -> None:
    signed_in.clock.advance(seconds)

    def find(number: int) -> Any:
        return signed_in.workers[number % 2].find(signed_in.session_id)

    with ThreadPoolExecutor(20) as requests:
        users = list(requests.map(find, range(20)))
    assert {user.username for user in users if user} == {"fay"}
    assert None not in users
    assert signed_in.renewals() == 1
    user = find(1)
    assert user is not None
    assert user.tokens.access_token != signed_in.tokens.access_token
    assert signed_in.renewals() == 1


def test_token_valid_for_long_is_not_renewed(signed_in: SignedInUser) -> None:
    signed_in.clock.advance(HOUR - 90)
    assert signed_in.workers[0].find(signed_in.session_id) is not None
    assert signed_in.renewals() == 0


def test_sign_out_on_one_worker_ends_the_session_on_all(signed_in: SignedInUser) -> None:
    signed_in.workers[1].end(signed_in.session_id)
    assert [worker.find(signed_in.session_id) for worker in signed_in.workers] == [None, None]
    signed_in.workers[0].end(signed_in.session_id)
    assert signed_in.sandbox.calls()["RevokeToken"] == 1


def test_sign_out_during_a_renewal_ends_the_session(signed_in: SignedInUser) -> None:
    """Another worker renews after this one has loaded the session: the end is tried again."""
    signed_in.clock.advance(HOUR - 30)
    here, there = signed_in.workers
    found: list[Any] = []
    signed_in.store.after_load = lambda: found.append(there.find(signed_in.session_id))
    here.end(signed_in.session_id)
    assert found[0] is not None
    assert signed_in.renewals() == 1
    assert there.find(signed_in.session_id) is None


def test_revoked_refresh_token_ends_the_session(signed_in: SignedInUser) -> None:
    signed_in.transport.token_service.revoke(signed_in.tokens)
    signed_in.clock.advance(HOUR)
    assert signed_in.workers[0].find(signed_in.session_id) is None
    assert signed_in.workers[1].find(signed_in.session_id) is None


def test_lost_renewal_keeps_the_session(signed_in: SignedInUser) -> None:
    signed_in.clock.advance(HOUR - 30)
    signed_in.sandbox.lose_next_response("GetTokensFromRefreshToken")
    assert signed_in.workers[0].find(signed_in.session_id) is not None, "valid for 30 s more"
    signed_in.clock.advance(60)
    signed_in.sandbox.lose_next_response("GetTokensFromRefreshToken")
    with pytest.raises(Unreachable):
        signed_in.workers[0].find(signed_in.session_id)


# ── without Cognito ──


class ScriptedTokens:
    """A token service that renews as a test says."""

    def __init__(self, renewed: Tokens | Exception | None = None) -> None:
        self.renewed = renewed
        self.renewals = 0
        self.checks = 0
        self.check_fails_with: Exception | None = None
        self.invalid: set[str] = set()
        self.keys_are_unreachable = False
        self.revoked: list[Tokens] = []
        self.fails_to_revoke: Exception | None = None

    def renew(self, tokens: Tokens) -> Any:
        self.renewals += 1
        if isinstance(self.renewed, Exception):
            raise self.renewed
        return self.renewed

    def revoke(self, tokens: Tokens) -> None:
        self.revoked.append(tokens)
        if self.fails_to_revoke:
            raise self.fails_to_revoke

    def check(self, tokens: Tokens) -> None:
        self.checks += 1
        if self.check_fails_with:
            raise self.check_fails_with

    def sign_out_everywhere(self, tokens: Tokens) -> None:
        raise NotImplementedError

    def verify(self, token: str, use: str = "access") -> Any:
        if token in self.invalid:
            raise InvalidToken("not a valid token")
        if self.keys_are_unreachable:
            raise Unreachable("no keys")
        return {"sub": "1", "username": "ana", "token": token}

    def devices(self, tokens: Tokens) -> list[Any]:
        raise NotImplementedError

    def logout_url(self, tokens: Tokens, return_to: str) -> str | None:
        return None

    def forget_device(self, tokens: Tokens, key: str) -> None:
        raise NotImplementedError


TOKENS = Tokens(access_token="first", id_token="id", refresh_token="refresh", device_key="key")


def sessions(
    tokens: ScriptedTokens | None = None,
    keys: SealingKeys | None = None,
    *,
    store: MemoryStore | None = None,
    app_id: str = "pool/client",
    **more: Any,
) -> Any:
    transport: Any = SimpleNamespace(app_id=app_id, token_service=tokens)
    clock = ManualClock()
    made: Any = StoreSessions(
        store or MemoryStore(), transport, keys, now=clock.now, sleep=clock.sleep, **more
    )
    made.clock = clock
    return made


@pytest.mark.parametrize("has_service", [True, False])
def test_session_without_refresh_token_ends_with_its_access_token(has_service: bool) -> None:
    own = sessions(ScriptedTokens(SignedOut()) if has_service else None)
    session_id = own.create(TOKENS.model_copy(update={"refresh_token": None}))
    own.clock.advance(HOUR - 1)
    assert own.find(session_id) is not None
    own.clock.advance(1)
    assert own.find(session_id) is None


def test_session_without_token_service_ends_with_its_access_token() -> None:
    own = sessions(None)
    session_id = own.create(TOKENS)
    own.clock.advance(HOUR - 1)
    assert own.find(session_id) is not None
    own.clock.advance(1)
    assert own.find(session_id) is None
    own.end(session_id)


def test_renewal_keeps_what_cognito_leaves_out() -> None:
    own = sessions(ScriptedTokens(Tokens(access_token="second", expires_in=60)))
    session_id = own.create(TOKENS)
    own.clock.advance(HOUR)
    assert own.find(session_id).tokens == TOKENS.model_copy(
        update={"access_token": "second", "expires_in": 60}
    )


@pytest.mark.parametrize("error", [KeyError("AuthenticationResult"), Misconfigured("no")])
def test_failed_renewal_keeps_the_session_and_raises_when_expired(error: Exception) -> None:
    service = ScriptedTokens(error)
    own = sessions(service)
    session_id = own.create(TOKENS)
    own.clock.advance(HOUR - 30)
    assert own.find(session_id) is not None
    own.clock.advance(60)
    with pytest.raises(Unreachable if isinstance(error, KeyError) else Misconfigured):
        own.find(session_id)
    service.renewed = Tokens(access_token="second")
    assert own.find(session_id).tokens.access_token == "second"


@pytest.mark.parametrize("expires_in", [0, -5])
def test_tokens_issued_expired_are_not_renewed_for_ever(expires_in: int) -> None:
    service = ScriptedTokens(Tokens(access_token="second", expires_in=expires_in))
    own = sessions(service)
    session_id = own.create(TOKENS)
    own.clock.advance(HOUR)
    with pytest.raises(Unreachable):
        own.find(session_id)
    assert service.renewals == 1
    service.renewed = Tokens(access_token="third")
    assert own.find(session_id).tokens.access_token == "third", "the session goes on"


@pytest.mark.parametrize("renewed", [None, "no tokens"])
def test_service_that_renews_to_nothing_keeps_a_valid_session(renewed: Any) -> None:
    own = sessions(ScriptedTokens(renewed))
    session_id = own.create(TOKENS)
    own.clock.advance(HOUR - 30)
    assert own.find(session_id) is not None
    own.clock.advance(60)
    with pytest.raises(Unreachable):
        own.find(session_id)


def test_no_local_variable_of_a_failed_renewal_holds_the_refresh_token() -> None:
    own = sessions(ScriptedTokens(Unreachable("no")))
    session_id = own.create(TOKENS)
    own.clock.advance(HOUR)
    with pytest.raises(Unreachable) as error:
        own.find(session_id)
    frame: Any = error.value.__traceback__
    while frame:
        held = [value for value in frame.tb_frame.f_locals.values() if isinstance(value, str)]
        if "_sessions" in frame.tb_frame.f_code.co_filename:
            assert "refresh" not in held
        frame = frame.tb_next


@pytest.mark.parametrize("error", [Unreachable("no"), RuntimeError("unsupported operation")])
def test_failed_revocation_signs_out_all_the_same(error: Exception) -> None:
    service = ScriptedTokens()
    service.fails_to_revoke = error
    own = sessions(service)
    session_id = own.create(TOKENS)
    own.end(session_id)
    assert service.revoked == [TOKENS]
    assert own.find(session_id) is None


@pytest.mark.parametrize(
    "keys", [SealingKeys(KEY), SealingKeys(None, KEY), None], ids=["seal", "open", "none"]
)
@pytest.mark.parametrize("other", [{"app_id": "pool/other"}, {"name": "staff"}], ids=str)
def test_session_of_another_client_or_sign_in_is_rejected(keys: Any, other: Any) -> None:
    """Also if the applications share the store and pass keys that are bound to nothing."""
    store = MemoryStore()
    session_id = sessions(keys=keys, store=store).create(TOKENS)
    assert sessions(keys=keys, store=store).find(session_id) is not None
    assert sessions(keys=keys, store=store, **other).find(session_id) is None


@pytest.mark.parametrize("other", [{"app_id": "pool/other"}, {"name": "staff"}], ids=str)
def test_session_cookies_of_another_client_or_sign_in_are_rejected(other: Any) -> None:
    keys, store = SealingKeys(KEY), MemoryStore()

    def cookies(**more: Any) -> CookieSessions:
        own = sessions(keys=keys, store=store, in_cookies=True, **more)
        return CookieSessions(keys, own, now=own.clock.now)

    session_id = sessions(keys=keys, store=store, in_cookies=True).create(TOKENS)
    pieces = cookies().pieces(session_id)
    assert pieces
    assert cookies().find(cookies().read(pieces)) is not None
    assert cookies(**other).read(pieces) is None


# ── lifetime, and sessions that end elsewhere ──

DAY = 86400.0


def test_renewals_do_not_extend_the_lifetime() -> None:
    """NIST SP 800-63B-4, 5.2: reauthentication, however active the user is."""
    service = ScriptedTokens(Tokens(access_token="next", refresh_token="refresh"))
    own = sessions(service, SealingKeys(KEY), lifetime=DAY)
    session_id = own.create(TOKENS)
    for _ in range(23):
        own.clock.advance(HOUR)
        assert own.find(session_id) is not None
    assert service.renewals == 23
    own.clock.advance(HOUR - 1)
    assert own.find(session_id) is not None
    own.clock.advance(1)
    assert own.find(session_id) is None


@pytest.mark.parametrize("kind", ["server", "cookie"])
def test_idle_session_ends_and_an_active_one_goes_on(kind: str) -> None:
    own = sessions(None, SealingKeys(KEY), idle=600.0, in_cookies=kind == "cookie")
    idle, active = own.create(TOKENS), own.create(TOKENS)
    for _ in range(5):
        own.clock.advance(300)
        assert own.find(active, TOKENS) is not None
    assert own.find(idle, TOKENS) is None
    own.clock.advance(600)
    assert own.find(active, TOKENS) is None


def test_time_of_the_last_request_is_saved_a_few_times_per_limit_only() -> None:
    store = MemoryStore()
    own = sessions(None, store=store, idle=600.0)
    session_id = own.create(TOKENS)
    for _ in range(60):
        own.clock.advance(10)
        assert own.find(session_id) is not None
    row = store.load(FlowId.parse(session_id).key)
    assert row is not None
    assert row.version <= 1 + 20


def test_row_of_a_session_expires_with_it() -> None:
    store = MemoryStore()
    own = sessions(None, store=store, lifetime=DAY, idle=None)
    row = store.load(FlowId.parse(own.create(TOKENS)).key)
    assert row is not None
    assert row.expires_at == NOW + DAY


def test_session_ended_elsewhere_ends_here_within_the_interval() -> None:
    service = ScriptedTokens()
    own = sessions(service, recheck=300.0)
    session_id = own.create(TOKENS)
    service.check_fails_with = SignedOut()
    own.clock.advance(299)
    assert own.find(session_id) is not None
    own.clock.advance(1)
    assert own.find(session_id) is None
    service.check_fails_with = None
    assert own.find(session_id) is None
    assert service.checks == 1


def test_session_is_checked_once_per_interval_by_one_worker() -> None:
    service, store = ScriptedTokens(), HookedStore()
    here = sessions(service, store=store, recheck=300.0)
    there = sessions(service, store=store, recheck=300.0)
    session_id = here.create(TOKENS)
    for interval in range(1, 4):
        here.clock.advance(300)
        there.clock.advance(300)
        # The other worker asks after this one has loaded the session.
        store.after_load = lambda: there.find(session_id)
        assert here.find(session_id) is not None
        assert here.find(session_id) is not None
        assert service.checks == interval


@pytest.mark.parametrize("error", [Unreachable("no"), RuntimeError("unsupported operation")])
def test_session_goes_on_while_cognito_does_not_answer(error: Exception) -> None:
    service = ScriptedTokens(Unreachable("no"))
    service.check_fails_with = error
    own = sessions(service, recheck=300.0)
    session_id = own.create(TOKENS)
    own.clock.advance(300)
    for _ in range(3):
        assert own.find(session_id) is not None
    assert service.checks == 1, "not at every request"
    own.clock.advance(30)
    assert own.find(session_id) is not None
    assert service.checks == 2, "tried again soon"
    own.clock.advance(HOUR)
    with pytest.raises(Unreachable):
        own.find(session_id)


def test_user_signed_out_everywhere_is_signed_out_here(signed_in: SignedInUser) -> None:
    elsewhere = signed_in.transport.token_service.renew(signed_in.tokens)
    signed_in.transport.token_service.sign_out_everywhere(elsewhere)
    signed_in.clock.advance(300)
    assert signed_in.workers[0].find(signed_in.session_id) is None


def test_reused_refresh_token_ends_the_session_and_is_logged(log: Any) -> None:
    own = sessions(ScriptedTokens(SignedOut("reused")))
    session_id = own.create(TOKENS)
    own.clock.advance(HOUR)
    assert own.find(session_id) is None
    assert [(line["level"], line["event"]) for line in log()] == [
        ("warning", "refresh token reused")
    ]


# ── claims ──


def test_claims_are_those_that_the_verifier_returned() -> None:
    own = sessions(ScriptedTokens())
    user = own.find(own.create(TOKENS))
    assert (user.username, user.claims["token"]) == ("ana", "id")
    user = own.find(own.create(TOKENS.model_copy(update={"id_token": None})))
    assert (user.username, user.claims["token"]) == ("ana", "first")


def test_tokens_that_do_not_verify_open_no_session(log: Any) -> None:
    service = ScriptedTokens()
    service.invalid = {"id"}
    own = sessions(service)
    assert own.find(own.create(TOKENS)) is None
    (line,) = log()
    assert line["level"] == "error"
    assert "not valid" in line["event"]


def test_renewed_tokens_that_do_not_verify_open_nothing_and_end_nothing(log: Any) -> None:
    service = ScriptedTokens(Tokens(access_token="second"))
    service.invalid = {"second"}
    own = sessions(service)
    session_id = own.create(TOKENS)
    own.clock.advance(HOUR)
    with pytest.raises(Unreachable):
        own.find(session_id)
    (line,) = log()
    assert line["level"] == "error"
    assert "not valid" in line["event"]
    service.invalid = set()
    assert own.find(session_id).tokens.access_token == "second"


def test_renewed_tokens_of_another_user_end_the_session() -> None:
    service = ScriptedTokens(Tokens(access_token="second", id_token="of another"))
    own = sessions(service)
    session_id = own.create(TOKENS)
    verify = service.verify
    service.verify = lambda token, use="access": {**verify(token, use), "sub": "2"}  # type: ignore[method-assign]
    own.clock.advance(HOUR)
    assert own.find(session_id) is None


def test_claims_are_verified_before_use_if_the_keys_were_unreachable() -> None:
    service = ScriptedTokens()
    service.keys_are_unreachable = True
    own = sessions(service)
    session_id = own.create(TOKENS)
    with pytest.raises(Unreachable):
        own.find(session_id)
    service.keys_are_unreachable = False
    assert own.find(session_id).username == "ana"
    service.keys_are_unreachable = True
    assert own.find(session_id).username == "ana", "verified once"


def test_transport_without_token_service_has_no_claims() -> None:
    token = "e30.eyJ1c2VybmFtZSI6ICJhbmEifQ.e30"  # says that the username is ana
    own = sessions(None)
    user = own.find(own.create(Tokens(access_token=token, id_token=token)))
    assert (user.username, user.claims) == ("", {})


# ── sessions in cookies ──


def _cookies(tokens: Tokens = TOKENS) -> Any:
    keys = SealingKeys(KEY)
    own = sessions(ScriptedTokens(), keys, in_cookies=True)
    cookies: Any = CookieSessions(keys, own, now=own.clock.now)
    cookies.own, cookies.session_id = own, own.create(tokens)
    return cookies


def test_row_of_a_session_in_cookies_has_no_tokens_once_the_browser_has_them() -> None:
    cookies = _cookies()
    pieces = cookies.pieces(cookies.session_id)
    assert cookies.own.get(cookies.session_id).tokens == TOKENS
    assert cookies.find(cookies.read(pieces)).tokens == TOKENS
    assert cookies.own.get(cookies.session_id).tokens is None
    assert cookies.find(cookies.read(pieces)).tokens == TOKENS
    assert cookies.pieces(cookies.session_id) is None


def test_nothing_opens_a_session_in_cookies_after_its_end() -> None:
    cookies = _cookies()
    pieces = cookies.pieces(cookies.session_id)
    record = cookies.read(pieces)
    cookies.own.end(record.session_id, record.tokens)
    assert cookies.find(cookies.read(pieces)) is None
    assert cookies.pieces(cookies.session_id) is None


def test_tokens_are_not_stored_for_long_for_a_browser_that_does_not_come() -> None:
    cookies = _cookies()
    cookies.own.clock.advance(600)
    assert cookies.pieces(cookies.session_id) is None


@pytest.mark.parametrize("size", [16_000, 100_000])
def test_tokens_too_large_for_cookies_are_an_error_and_no_session(size: int, log: Any) -> None:
    large = base64.b64encode(random.Random(1).randbytes(size)).decode()
    cookies = _cookies(TOKENS.model_copy(update={"id_token": large}))
    with pytest.raises(Misconfigured, match="server"):
        cookies.pieces(cookies.session_id)
    assert cookies.own.get(cookies.session_id) is None
    (line,) = log()
    assert line["level"] == "error"
    assert line["cure"] == 'sessions="server"'


@pytest.mark.parametrize("size", [10, 2_000, 9_000])
def test_session_in_cookies_is_read_whatever_the_number_of_cookies(size: int) -> None:
    large = base64.b64encode(random.Random(1).randbytes(size)).decode()
    cookies = _cookies(TOKENS.model_copy(update={"id_token": large}))
    pieces = cookies.pieces(cookies.session_id)
    assert cookies.read(pieces).tokens.id_token == large
    assert cookies.read(pieces[:-1]) is None


# ── records of other releases, and of workers with other keys ──

GOLDEN_KEY = "the key of the golden session"
GOLDEN_ID = "a0nSAAABAgMEBQYHCAkKCwwNDg8QERIT"
GOLDEN_JSON = (
    '{"tokens":{"access_token":"an-access-token","id_token":"an-id-token",'
    '"refresh_token":"a-refresh-token","expires_in":3600,"token_type":"Bearer",'
    '"device_key":"a-device-key"},"issued_at":1800000000.0,"renewing_until":1800000030.0}'
)
GOLDEN_SEALED = (
    "Afzxw2QdosrPzI8gR7zigNOlpPlJ81fqhkLrGSt9K9Plg7f7pVIRXCNV0n5OxSfXfMbXLhZZSEa0hzrkizM0LuxlhD0a"
    "ZwEGG65MnkHx4v6eu6w0Jaaw3Vv4XX4rmBOdZcMVTvu01CGK2ccfOUlw1v2DaEE+PVEzHl1xTCnVZZkABwVaD/zrWLA2"
    "7KbDDNz+wX6zCzwRpL7QWqX200XqB3lI+rI0sqsipBc0c8QahV3LEza4k81El6+z+/PNGFiR5Pig8z3HLAGc7vjIWGO6"
    "2twPi8KLOIC+1jWjlVMweV+QBXUKEHCXy4xloy6eoYC/gdScakgDC9BD+awgS+CxXhgoyz4Z/5vf5YaJ6zcZtDL4Hq+M"
    "glWhDqYu02H7Z+n5Ow=="
)
GOLDEN_PIECES = [
    "Afzxw2T05dHKK1p5VkN_8_wD6U6PgmVj-2b3vZiHvwJCMTJ1aE7_1xlauDsTv6tlCDjCvLAvIOhzoKPiwtU-hWkF6gZb"
    "VbIAw_mmsn5UX8IDZ7YpThEP6EZsKkxX-tnY7NwXKbttmGmLMHrijx8Tyhr4bxRbKcGd6WueCVDaDCjUigzxqrCISAF5"
    "CavNla1bKXiLnywnKNh2ICzGKrt3hgevDc_r2xbZm0iA-qk="
]
GOLDEN_DEVICES = (
    "Afzxw2SIK3gGBEPV6UqTr7hOo5XTfMkfQeFH_uOT79TYJMEVcwZdt-LFRW8-bMRbooFsiUD0gaCfuA1f5rdyRUC8Opjp"
    "4qSxV97Es_KxDZJZbdJoef0rV3AZF7a335VN8bsuUxHCrGCG2WwW2jjXmJ41ob2fQotRZxeKF0yEUNhYAkwC82yygMvk"
    "nQ=="
)
"""Written by 0.1: a session in the store (version 3), the same in cookies, and the device cookie."""


def test_session_record_of_0_1_is_read() -> None:
    store, session = MemoryStore(), FlowId.parse(GOLDEN_ID)
    sealed = base64.b64decode(GOLDEN_SEALED)
    for version in (1, 2, 3):
        store.swap(session.key, version - 1, StoredRecord(version, sealed, NOW + HOUR))
    keys = SealingKeys(KEY, GOLDEN_KEY)
    own = sessions(keys=keys, store=store, as_in_0_1=True)
    golden = json.loads(GOLDEN_JSON)
    assert json.loads(write_session(own.get(GOLDEN_ID))) == {
        **golden,
        "tokens": {**golden["tokens"], "by_managed_login": False},
        "application": "",
    }
    assert own.find(GOLDEN_ID).tokens.access_token == "an-access-token"
    assert sessions(keys=keys, store=store).find(GOLDEN_ID) is None


def test_session_and_device_cookies_of_0_1_are_read() -> None:
    keys = SealingKeys(KEY, GOLDEN_KEY)
    own = sessions(keys=keys, in_cookies=True, as_in_0_1=True)
    cookies = CookieSessions(keys, own, as_in_0_1=True, now=lambda: NOW)
    user = cookies.find(cookies.read(GOLDEN_PIECES))
    assert user is not None
    assert user.tokens.device_key == "a-device-key"
    device = CookieVault(GOLDEN_DEVICES, keys, bound_to="client").find("ana@example.com")
    assert device is not None
    assert device.password.get_secret_value() == "pw"


def test_fields_of_a_later_release_survive_a_renewal() -> None:
    store = MemoryStore()
    own = sessions(ScriptedTokens(Tokens(access_token="second")), store=store)
    session = FlowId.new(NOW)
    later = {
        "tokens": {"access_token": "first", "refresh_token": "r", "later": "of the tokens"},
        "issued_at": NOW - HOUR,
        "application": "pool/client oncegate",
        "later": {"of": "the session"},
    }
    sealed = session.seal_bytes(json.dumps(later).encode(), 1)
    store.swap(session.key, 0, StoredRecord(1, sealed, NOW + HOUR))
    assert own.find(session.text).tokens.access_token == "second"
    row = store.load(session.key)
    assert row is not None
    assert row.version == 3
    written = json.loads(session.unseal_bytes(row.sealed, row.version))
    assert written["later"] == {"of": "the session"}
    assert written["tokens"]["later"] == "of the tokens"


OLD = "q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4"
NEW = "Wk7sPz0RbT4mYcE9vNqL2xHdG6uJfA1oSi8KrQe5MwU"
PROCEDURES: dict[str, list[SealingKeys | None]] = {
    "introduction": [
        None,
        SealingKeys(None, NEW),
        SealingKeys(NEW, accept_unkeyed=True),
    ],
    "rotation": [SealingKeys(OLD), SealingKeys(OLD, NEW), SealingKeys(NEW, OLD), SealingKeys(NEW)],
}


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_session_survives_the_deployment_of_keys(procedure: str) -> None:
    """Workers of the deployment before and of the next one alternate, and renew the tokens."""
    steps = PROCEDURES[procedure]
    store, service = MemoryStore(), ScriptedTokens(Tokens(access_token="renewed"))
    for before, after in itertools.pairwise(steps):
        workers = [sessions(service, keys, store=store) for keys in (before, after)]
        ids = [worker.create(TOKENS) for worker in workers]
        for number, worker in enumerate((*workers, *reversed(workers), *workers), start=1):
            worker.clock.time = NOW + number * HOUR  # expired: each worker saves the record anew
            for session_id in ids:
                found = worker.find(session_id)
                assert found is not None
                assert found.tokens.access_token == "renewed"


def test_short_access_token_is_renewed_once_per_half_life() -> None:
    own = sessions(ScriptedTokens(Tokens(access_token="second", expires_in=20)))
    session_id = own.create(TOKENS.model_copy(update={"expires_in": 20}))
    assert own.find(session_id).tokens.access_token == "first"
    own.clock.advance(10)
    assert own.find(session_id).tokens.access_token == "second"


def test_keys_that_cannot_seal_are_refused_for_sessions_in_cookies() -> None:
    with pytest.raises(Misconfigured):
        web_for(ScriptedTransport(), keys=SealingKeys(None, NEW), sessions="cookie")
    web_for(ScriptedTransport(), keys=SealingKeys(None, NEW))


# ── threads ──


async def test_slow_sign_ins_do_not_block_other_requests() -> None:
    """A hundred sign-ins wait for Cognito on FastAPI; the home page is answered at once."""
    waiting, go_on = threading.Semaphore(0), threading.Event()

    class Slow(ScriptedTransport):
        def perform(self, call: Call, context: RequestContext) -> Outcome:
            waiting.release()
            assert go_on.wait(30)
            return a_text()

    app = fastapi_app(web_for(Slow(), budget=None, guess_limit=None))
    transport = httpx.ASGITransport(app=app)

    async def sign_in() -> str:
        async with httpx.AsyncClient(
            transport=transport, base_url="http://shop.localhost"
        ) as client:
            flow = (await client.post("/auth/flows")).json()["flow_id"]
            event = {"type": "submit_password", "username": "ana", "password": "x", "version": 0}
            answer = await client.post(f"/auth/flows/{flow}/events", json=event)
            state: str = answer.json()["state"]
            return state

    async with httpx.AsyncClient(transport=transport, base_url="http://shop.localhost") as client:
        sign_ins = [asyncio.create_task(sign_in()) for _ in range(100)]
        for number in range(100):
            got = await asyncio.to_thread(waiting.acquire, timeout=30)
            assert got, (number, [task.exception() for task in sign_ins if task.done()])
        assert (await client.get("/")).status_code == 200
        assert not any(task.done() for task in sign_ins)
        go_on.set()
        assert set(await asyncio.gather(*sign_ins)) == {"awaiting_mfa"}
