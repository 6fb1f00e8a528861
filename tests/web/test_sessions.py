"""Sessions on the server: renewed once, however many ask, on however many workers."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.doubles import ManualClock, a_text
from tests.web.shops import KEY, fastapi_shop, web_for

from oncegate import SealingKeys, Tokens, Unreachable
from oncegate.adapters import Call, Outcome
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import PoolSeed, Sandbox, Seed
from oncegate_sandbox.seed import DEMO_SEED
from oncegate_stores import MemoryStore
from oncegate_web.sessions import StoreSessions, user_of

HOUR = 3600.0


class Signed:
    """Somebody who has signed in to a sandbox, and two workers that know of it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        transport = CognitoTransport(
            pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
        )
        boto: Any = transport.app.boto
        answer = boto.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=sandbox.client_id,
            AuthParameters={"USERNAME": "fay", "PASSWORD": "Correct-horse-6"},
        )["AuthenticationResult"]
        self.tokens = Tokens(
            access_token=answer["AccessToken"],
            id_token=answer["IdToken"],
            refresh_token=answer["RefreshToken"],
        )
        self.clock, store, keys = ManualClock(), MemoryStore(), SealingKeys(KEY)
        self.workers = [
            StoreSessions(
                store,
                transport,
                keys,
                now=self.clock.now,
                sleep=lambda _: time.sleep(0.01),
            )
            for _ in range(2)
        ]
        self.name = self.workers[0].keep(self.tokens)

    def renewals(self) -> int:
        return self.sandbox.calls().get("GetTokensFromRefreshToken", 0)


@pytest.fixture(params=[False, True], ids=["kept", "rotated"])
def signed(request: pytest.FixtureRequest) -> Any:
    seed = Seed(pool=PoolSeed(refresh_rotation=request.param), users=DEMO_SEED.users)
    with Sandbox(seed) as sandbox:
        yield Signed(sandbox)


@pytest.mark.parametrize("seconds", [HOUR - 30, HOUR + 30], ids=["ends soon", "has ended"])
def test_renewed_once_for_twenty_requests_on_two_workers(signed: Signed, seconds: float) -> None:
    signed.clock.advance(seconds)
    with ThreadPoolExecutor(20) as requests:
        users = list(requests.map(lambda n: signed.workers[n % 2].find(signed.name), range(20)))
    assert {user.username for user in users if user} == {"fay"}
    assert None not in users
    assert signed.renewals() == 1
    user = signed.workers[1].find(signed.name)
    assert user is not None
    assert user.tokens.access_token != signed.tokens.access_token
    assert signed.renewals() == 1


def test_nothing_is_renewed_before_it_has_to_be(signed: Signed) -> None:
    signed.clock.advance(HOUR - 90)
    assert signed.workers[0].find(signed.name) is not None
    assert signed.renewals() == 0


def test_signed_out_elsewhere(signed: Signed) -> None:
    signed.workers[1].drop(signed.name)
    assert [worker.find(signed.name) for worker in signed.workers] == [None, None]
    signed.workers[0].drop(signed.name)
    assert signed.sandbox.calls()["RevokeToken"] == 1


def test_signed_out_while_another_worker_renews(signed: Signed) -> None:
    """The renewal comes between the look and the end: the end is tried again, and holds."""
    signed.clock.advance(HOUR - 30)
    here, there = signed.workers
    load, looked = here._load, list[Any]()

    def loads(name: str | None) -> Any:
        found = load(name)
        if not looked:
            looked.append(there.find(signed.name))
        return found

    here._load = loads  # type: ignore[method-assign]
    here.drop(signed.name)
    assert looked[0] is not None
    assert signed.renewals() == 1
    assert there.find(signed.name) is None


def test_a_refresh_token_that_was_revoked(signed: Signed) -> None:
    signed.workers[0]._session(_row(signed)).sign_out()
    signed.clock.advance(HOUR)
    assert signed.workers[0].find(signed.name) is None
    assert signed.workers[1].find(signed.name) is None


def test_cognito_is_away_while_they_are_to_be_renewed(signed: Signed) -> None:
    signed.clock.advance(HOUR - 30)
    signed.sandbox.lose_next_response("GetTokensFromRefreshToken")
    assert signed.workers[0].find(signed.name) is not None, (
        "what is there is good for 30 seconds more"
    )
    signed.clock.advance(60)
    signed.sandbox.lose_next_response("GetTokensFromRefreshToken")
    with pytest.raises(Unreachable):
        signed.workers[0].find(signed.name)


def _row(signed: Signed) -> Any:
    return signed.workers[0]._load(signed.name)[2]


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.e30.c", "a.W10.c", "\u00e9.\u00e9.\u00e9"])
def test_a_token_that_says_nothing(token: str) -> None:
    assert user_of(Tokens(access_token=token or "x")).username == ""


async def test_other_requests_go_on_while_cognito_takes_its_time() -> None:
    """FastAPI's loop is not held up by a sign-in: a hundred wait, and the home page is there at once."""
    waiting, go_on = threading.Semaphore(0), threading.Event()

    class Slow(ScriptedTransport):
        def perform(self, call: Call) -> Outcome:
            waiting.release()
            assert go_on.wait(30)
            return a_text()

    app = fastapi_shop(web_for(Slow()))
    transport = httpx.ASGITransport(app=app)

    async def sign_in() -> str:
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            flow = (await client.post("/auth/flows")).json()["flow_id"]
            event = {"type": "submit_password", "username": "ana", "password": "x"}
            answer = await client.post(f"/auth/flows/{flow}/events", json=event)
            state: str = answer.json()["state"]
            return state

    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        sign_ins = [asyncio.create_task(sign_in()) for _ in range(100)]
        for number in range(100):
            got = await asyncio.to_thread(waiting.acquire, timeout=30)
            assert got, (number, [task.exception() for task in sign_ins if task.done()])
        assert (await client.get("/")).status_code == 200
        assert not any(task.done() for task in sign_ins)
        go_on.set()
        assert set(await asyncio.gather(*sign_ins)) == {"awaiting_mfa"}
