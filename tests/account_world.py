"""`Account` against a sandbox pool in this process, with workers that stop between any two effects.

It is to the account what `tests.world` is to the sign-in. Machine, driver, transport, store and pool are
the real ones; the network is left out, and so is the fetch of the pool's public keys.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import jwt
from tests.doubles import DictStore, InProcessClient, ManualClock
from tests.world import _KEY, PoolClock

from oncegate import InvalidToken, RequestContext, Step
from oncegate.account import Account, AccountEvent, AccountOverview, AsyncAccount
from oncegate.adapters import Call, Outcome, RecordStore
from oncegate.driver.effects import Effect, Sleep
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import DEMO_SEED, PoolSeed, Seed, UserSeed
from oncegate_sandbox.pool import Pool

FAY, GIL = "fay", "gil"
PASSWORDS = {FAY: "Correct-horse-6", GIL: "Correct-horse-7"}
TAKEN = "gil@example.com"
_SEED = Seed(
    pool=PoolSeed(),
    users=tuple(
        UserSeed.model_validate(
            {
                "username": name,
                "password": password,
                "attributes": {"email": f"{name}@example.com", "email_verified": "true"},
            }
        )
        for name, password in PASSWORDS.items()
    ),
)


class LocalTokens:
    """A token service that has the pool's public key and the test's clock.

    Args:
        clock: the test's.
    """

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock

    def overview(self, access_token: str) -> AccountOverview:
        raise NotImplementedError

    def verify(self, token: str, use: Any = "access", **_: Any) -> dict[str, Any]:
        options: Any = dict.fromkeys(("verify_exp", "verify_iat", "verify_aud"), False)
        try:
            claims = jwt.decode(token, _KEY.public_key(), algorithms=["RS256"], options=options)
        except jwt.PyJWTError:
            raise InvalidToken("signature") from None
        if claims["token_use"] != use or claims["exp"] <= self.clock.now():
            raise InvalidToken("expired")
        return claims


class LocalTransport(CognitoTransport):
    """A transport with such a token service, which can answer what no such call has as its answer.

    Attributes:
        clock: the test's.
        odd: reported instead of the outcome of the next call, which is made all the same.
    """

    clock: ManualClock
    odd: Outcome | None = None

    @property
    def token_service(self) -> Any:
        return LocalTokens(self.clock)

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        outcome = super().perform(call, context)
        if self.odd is not None:
            outcome, self.odd = self.odd, None
        return outcome


@dataclass(eq=False)
class Worker:
    """One run of `Account.send`, and how far it has come.

    Attributes:
        script: the driver's effects.
        effect: the next effect; None after the last one.
        step: its result; None until then.
        done: number of effects that it has performed.
    """

    script: Generator[Effect, Any, Step]
    effect: Effect | None = None
    step: Step | None = None
    done: int = 0


class AccountWorld:
    """The driver on a store, against a pool with two users who have no second factor.

    Args:
        store: the store under test.
        verified_before_update: whether the pool keeps an address until the next one is verified.
        more: further arguments of `Account`.
    """

    def __init__(
        self, store: RecordStore | None = None, *, verified_before_update: bool = False, **more: Any
    ) -> None:
        self.clock = ManualClock()
        self.store = store or DictStore()
        self.pool = Pool(_SEED, "http://issuer", PoolClock(self.clock), signing_key=_KEY)
        if verified_before_update:
            kept = {"AttributesRequireVerificationBeforeUpdate": ["email"]}
            self.pool.configure({**self.pool.configuration, "UserAttributeUpdateSettings": kept})
        self.client = InProcessClient(self.pool)
        client: Any = self.client
        self.transport = LocalTransport(
            pool_id=DEMO_SEED.pool.id,
            client_id=DEMO_SEED.pool.client_id,
            auth_flow="USER_PASSWORD_AUTH",
            client=client,
        )
        self.transport.clock = self.clock
        self.settings: dict[str, Any] = {
            "transport": self.transport,
            "store": self.store,
            "clock": self.clock,
            "listeners": [],
            **more,
        }
        self.account = Account(**self.settings)

    def another_worker(self) -> Account:
        """Return the driver of another process on the same store."""
        return Account(**self.settings)

    def asynchronous(self) -> AsyncAccount:
        return AsyncAccount(**self.settings)

    def token(self, user: str = FAY) -> str:
        """Sign a user in, and return the access token."""
        answer = self.pool.perform(
            "InitiateAuth",
            {
                "AuthFlow": "USER_PASSWORD_AUTH",
                "ClientId": DEMO_SEED.pool.client_id,
                "AuthParameters": {"USERNAME": user, "PASSWORD": PASSWORDS[user]},
            },
        )
        token: str = answer["AuthenticationResult"]["AccessToken"]
        return token

    def click(self, step: Step, event: AccountEvent, token: str) -> Worker:
        """Send an event to a new worker, which has performed no effect yet."""
        worker = Worker(self.account.changing(step, event, token))
        self._resume(worker, None)
        return worker

    def do_one_thing(self, worker: Worker, fault: str | None = None) -> None:
        """Let a worker perform its next effect."""
        assert worker.effect is not None
        if fault is not None:
            self.client.faults.append(fault)
        result = self.account.perform(worker.effect)
        self.client.faults.clear()
        worker.done += 1
        self._resume(worker, result)

    def run(self, worker: Worker) -> Step:
        """Let a worker finish."""
        while worker.step is None:
            self.do_one_thing(worker)
        return worker.step

    def run_some(self, worker: Worker, effects: int) -> None:
        """Let a worker perform so many effects, or as many as it can until it waits for another."""
        for _ in range(effects):
            if worker.step is not None or isinstance(worker.effect, Sleep):
                return
            self.do_one_thing(worker)

    def sent(self) -> list[str]:
        """Return the codes that were sent to verify an address, oldest first."""
        return [one.code for one in self.pool.inbox.messages() if one.purpose.startswith("VERIFY_")]

    def attributes(self, user: str = FAY) -> dict[str, str]:
        """Return the user's attributes as Cognito has them."""
        found = self.pool.users.find(user)
        assert found is not None
        return dict(found.attributes)

    def asked(self, operation: str) -> int:
        """Return how many requests of an operation reached the pool."""
        return sum(name == operation for name, _ in self.client.requests)

    def _resume(self, worker: Worker, result: Any) -> None:
        try:
            worker.effect = worker.script.send(result)
        except StopIteration as end:
            worker.effect, worker.step = None, end.value
