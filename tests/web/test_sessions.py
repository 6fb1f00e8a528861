"""Sessions on the server: renewed once, however many requests and workers, and readable over releases."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tests.doubles import ManualClock, a_text
from tests.web.example_apps import KEY, fastapi_app, web_for

from oncegate import (
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
from oncegate_web._cookie_vault import CookieVault
from oncegate_web._sessions import CookieSessions, StoreSessions, user_of

HOUR = 3600.0
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
                sleep=lambda _: time.sleep(0.01),
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


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.e30.c", "a.W10.c", "\u00e9.\u00e9.\u00e9"])
def test_token_without_claims_has_no_username(token: str) -> None:
    assert user_of(Tokens(access_token=token or "x")).username == ""


# ── without Cognito ──


class ScriptedTokens:
    """A token service that renews as a test says."""

    def __init__(self, renewed: Tokens | Exception | None = None) -> None:
        self.renewed = renewed
        self.renewals = 0
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

    def verify(self, token: str, use: str = "access") -> Any:
        raise NotImplementedError

    def devices(self, tokens: Tokens) -> list[Any]:
        raise NotImplementedError

    def forget_device(self, tokens: Tokens, key: str) -> None:
        raise NotImplementedError


TOKENS = Tokens(access_token="first", id_token="id", refresh_token="refresh", device_key="key")


def sessions(
    tokens: ScriptedTokens | None = None,
    keys: SealingKeys | None = None,
    *,
    store: MemoryStore | None = None,
    app_id: str = "pool/client",
) -> Any:
    transport: Any = SimpleNamespace(app_id=app_id, token_service=tokens)
    clock = ManualClock()
    made: Any = StoreSessions(
        store or MemoryStore(), transport, keys, now=clock.now, sleep=clock.sleep
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
    assert own.find(session_id) is None
    assert service.renewals == 1


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


def test_session_of_another_app_client_is_rejected() -> None:
    store = MemoryStore()
    session_id = sessions(store=store).create(TOKENS)
    assert sessions(store=store).find(session_id) is not None
    assert sessions(store=store, app_id="pool/other").find(session_id) is None
    keys = SealingKeys(KEY)
    record = sessions(store=store).get(session_id)
    pieces = CookieSessions(keys, "pool/client").pieces(record)
    now = ManualClock().now
    assert CookieSessions(keys, "pool/client", now=now).find(pieces) is not None
    assert CookieSessions(keys, "pool/other", now=now).find(pieces) is None


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
    own = sessions(keys=SealingKeys(GOLDEN_KEY), store=store)
    record = own.get(GOLDEN_ID)
    assert json.loads(record.model_dump_json(exclude={"app_id"})) == json.loads(GOLDEN_JSON)
    assert own.find(GOLDEN_ID).tokens.access_token == "an-access-token"


def test_session_and_device_cookies_of_0_1_are_read() -> None:
    keys = SealingKeys(GOLDEN_KEY)
    user = CookieSessions(keys, "pool/client", now=lambda: NOW).find(GOLDEN_PIECES)
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


OLD, NEW = "the old key of an application", "the new key of an application"
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

    app = fastapi_app(web_for(Slow()))
    transport = httpx.ASGITransport(app=app)

    async def sign_in() -> str:
        async with httpx.AsyncClient(transport=transport, base_url="http://example.test") as client:
            flow = (await client.post("/auth/flows")).json()["flow_id"]
            event = {"type": "submit_password", "username": "ana", "password": "x", "version": 0}
            answer = await client.post(f"/auth/flows/{flow}/events", json=event)
            state: str = answer.json()["state"]
            return state

    async with httpx.AsyncClient(transport=transport, base_url="http://example.test") as client:
        sign_ins = [asyncio.create_task(sign_in()) for _ in range(100)]
        for number in range(100):
            got = await asyncio.to_thread(waiting.acquire, timeout=30)
            assert got, (number, [task.exception() for task in sign_ins if task.done()])
        assert (await client.get("/")).status_code == 200
        assert not any(task.done() for task in sign_ins)
        go_on.set()
        assert set(await asyncio.gather(*sign_ins)) == {"awaiting_mfa"}
