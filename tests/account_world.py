"""`Account` against a sandbox pool in this process, with workers that stop between any two effects.

It is to the account what `tests.world` is to the sign-in. Machine, driver, transport, store and pool are
the real ones; the network is left out, and so is the fetch of the pool's public keys.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import jwt
from pydantic import SecretStr
from tests.doubles import DictStore, InProcessClient, ManualClock
from tests.world import _KEY, Broken, PoolClock, World, faults_of_call
from tests.world import Worker as PlannedWorker

from oncegate import InvalidToken, RequestContext, Step, StepRef
from oncegate.account import (
    RECENT_WITHIN,
    Account,
    AccountEvent,
    AccountOverview,
    AccountState,
    AddAuthenticator,
    AsyncAccount,
    Cancel,
    ChangePassword,
    DeleteAccount,
    SubmitAddress,
)
from oncegate.adapters import (
    AccountService,
    Call,
    ChallengeIssued,
    ConfirmAddress,
    ConfirmAuthenticator,
    Confirmed,
    DeleteUser,
    EndSessions,
    FindFactors,
    NotSent,
    Outcome,
    RecordStore,
    RegisterPasskey,
    Rejected,
    ReplacePassword,
)
from oncegate.challenges import AnyEvent
from oncegate.driver.effects import Effect, Sleep
from oncegate.record import Flow
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


@functools.lru_cache
def _claims(token: str) -> dict[str, Any]:
    options: Any = dict.fromkeys(("verify_exp", "verify_iat", "verify_aud"), False)
    return jwt.decode(token, _KEY.public_key(), algorithms=["RS256"], options=options)


class LocalTokens:
    """A token service that has the pool's public key and the test's clock.

    Args:
        clock: the test's.
        reads: reads accounts.
    """

    def __init__(self, clock: ManualClock, reads: AccountService) -> None:
        self.clock, self._reads = clock, reads

    def overview(self, access_token: str) -> AccountOverview:
        return self._reads.overview(access_token)

    def verify(self, token: str, use: Any = "access", **_: Any) -> dict[str, Any]:
        try:
            claims = _claims(token)
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
        return LocalTokens(self.clock, super().token_service)

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        outcome = super().perform(call, context)
        if self.odd is not None:
            outcome, self.odd = self.odd, None
        return outcome


def token_of(pool: Pool, user: str) -> str:
    """Sign a user in, and return the access token."""
    answer = pool.perform(
        "InitiateAuth",
        {
            "AuthFlow": "USER_PASSWORD_AUTH",
            "ClientId": DEMO_SEED.pool.client_id,
            "AuthParameters": {"USERNAME": user, "PASSWORD": PASSWORDS[user]},
        },
    )
    token: str = answer["AuthenticationResult"]["AccessToken"]
    return token


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
        pool: settings of the pool.
        more: further arguments of `Account`.
    """

    def __init__(
        self,
        store: RecordStore | None = None,
        *,
        verified_before_update: bool = False,
        pool: PoolSeed | None = None,
        **more: Any,
    ) -> None:
        self.clock = ManualClock()
        self.store = store or DictStore()
        seed = _SEED.model_copy(update={"pool": pool or _SEED.pool})
        self.pool = Pool(seed, "http://issuer", PoolClock(self.clock), signing_key=_KEY)
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
        return token_of(self.pool, user)

    def click(self, step: Step, event: AccountEvent, token: str) -> Worker:
        """Send an event to a new worker, which has performed no effect yet."""
        worker = Worker(self.account.changing(step, event, SecretStr(token)))
        self._resume(worker, None)
        return worker

    def do_one_thing(self, worker: Worker, fault: str | None = None) -> None:
        """Let a worker perform its next effect."""
        assert worker.effect is not None
        if fault is not None:
            self.client.faults.extend(faults_of_call(fault))
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


class Outside(NamedTuple):
    """What another program does to the user in the pool meanwhile: an effect of no driver."""

    act: Callable[[], object]


ANSWERS = (ConfirmAddress, ConfirmAuthenticator, RegisterPasskey)
OF_CREDENTIALS = (AddAuthenticator, SubmitAddress, ChangePassword, DeleteAccount)
TOLD: dict[type[Any], str] = {
    ConfirmAddress: "address_verified",
    ConfirmAuthenticator: "authenticator_added",
    ReplacePassword: "password_was_changed",
    EndSessions: "signed_out_everywhere",
    DeleteUser: "account_deleted",
}
"""What a user is told once a call has made its change."""

LONG_AGO = 301.0
"""Seconds after a sign-in within which no credential can be changed any more."""


class CheckedAccountWorld(World):
    """`Account` on a store, for the explorer. Everything that happens is checked, as for a sign-in.

    Args:
        store: the store under test.
        new_code_cooldown: seconds between a code and the earliest request for the next.
        signed_in_ago: seconds since the users have signed in.
        more: further arguments of `Account`.
    """

    unsaved = Flow(state=AccountState.MANAGING)

    def __init__(
        self,
        store: RecordStore,
        *,
        new_code_cooldown: float = 30.0,
        signed_in_ago: float = 0.0,
        **more: Any,
    ) -> None:
        self._begin(store, _SEED, new_code_cooldown)
        client: Any = self.client
        transport = LocalTransport(
            pool_id=DEMO_SEED.pool.id,
            client_id=DEMO_SEED.pool.client_id,
            auth_flow="USER_PASSWORD_AUTH",
            client=client,
        )
        transport.clock = self.clock
        self.account = Account(
            transport=transport,
            store=self.store,
            clock=self.clock,
            listeners=[],
            new_code_cooldown=new_code_cooldown,
            **{"guess_limit": None, **more},
        )
        self.sign_in = cast("Any", self.account)
        self._tokens = {FAY: token_of(self.pool, FAY)}
        self._subs = {self._user(user).sub: user for user in PASSWORDS}
        self._signed_in_at = self.clock.now()
        self.clock.advance(signed_in_ago)
        self._of_other = self._facts_of(GIL)
        self._before: object = None
        self._made: set[tuple[str, str]] = set()
        self._offers = 0
        self._acts = 0

    def token(self, user: str = FAY) -> str:
        """Return a user's access token."""
        if user not in self._tokens:
            self._tokens[user] = token_of(self.pool, user)
        return self._tokens[user]

    def click(
        self, flow_id: str, event: AnyEvent, version: int | None = None, *, user: str = FAY
    ) -> PlannedWorker:
        """See `World.click`.

        Args:
            flow_id: ID of the flow.
            event: what the user did.
            version: version of the step that the event answers. None: the step that the browser shows.
            user: whose access token comes with the event.
        """
        shown = self.steps[flow_id].version if version is None else version
        script = self.account.changing(
            StepRef(flow_id, shown), cast("AccountEvent", event), SecretStr(self.token(user))
        )
        worker = PlannedWorker(flow_id, event, shown, script)
        self.workers.append(worker)
        self._resume(worker, None)
        return worker

    def outside(self, flow_id: str, act: Callable[[], object]) -> PlannedWorker:
        """Return a worker that is another program, and does one thing to the pool."""

        def script() -> Generator[Any, Any, Step]:
            yield Outside(act)
            return self.steps[flow_id]

        worker = PlannedWorker(flow_id, Cancel(), 0, script())
        self.workers.append(worker)
        self._resume(worker, None)
        return worker

    def do_one_thing(self, worker: PlannedWorker, fault: str | None = None) -> None:
        """See `World.do_one_thing`."""
        if isinstance(worker.effect, Outside):
            worker.effect.act()
            self._acts += 1
            self._resume(worker, None)
        else:
            super().do_one_thing(worker, fault)

    def facts(self) -> object:
        """See `World.facts`."""
        users = tuple(self._facts_of(user) for user in PASSWORDS)
        return users, self._acts, self._offers, self.asked("GlobalSignOut")

    # ── what must hold ──

    def _a_call_leaves(self, worker: PlannedWorker, call: Any) -> None:
        self.calls.append(call)
        flow = self.flow(worker.flow_id)
        if not (flow.is_in_flight or self._has_lost):
            raise Broken("P1: sent before it was saved")
        if self.clock.now() < self._under_way.get(worker.flow_id, 0):
            raise Broken("P2: two calls of one flow at once")
        self._under_way[worker.flow_id] = flow.lease_until or self.clock.now() + self.account.lease
        if worker.outcome is not None:
            raise Broken("P1: a second call for one event")
        self._is_its_users(worker, call, flow)
        if isinstance(call, ANSWERS):
            answer = _answer(worker.flow_id, flow, call)
            self._answers[answer] += 1
            if self._answers[answer] > 1:
                raise Broken("P2: one answer left twice")
        cooled = self._sent_at.get(worker.flow_id, 0.0) + self._cooldown - 1
        if call.can_send and self.clock.now() < cooled:
            raise Broken("P1: a new code during the cooldown")
        if worker.version < flow.version - 1:
            raise Broken("P2: sent for an earlier step")
        self._left[worker.flow_id, worker.version] += 1
        if self._left[worker.flow_id, worker.version] > 1:
            promise = "P1" if call.can_send else "P2"
            raise Broken(f"{promise}: two requests, both from step {worker.version}")
        self._before = self.facts()

    def _is_its_users(self, worker: PlannedWorker, call: Any, flow: Flow) -> None:
        token = call.access_token.get_secret_value()
        if flow.owner and token != self.token(self._subs[flow.owner]):
            raise Broken("P7: a call with the token of another user")
        is_old = self.clock.now() - self._signed_in_at > RECENT_WITHIN
        if is_old and isinstance(worker.event, OF_CREDENTIALS):
            raise Broken("P8: a credential is changed long after the sign-in")

    def _a_call_returned(self, worker: PlannedWorker, call: Any, outcome: Outcome) -> None:
        if isinstance(outcome, NotSent) and isinstance(call, ANSWERS):
            flow = self.flow(worker.flow_id)
            self._answers.subtract([_answer(worker.flow_id, flow, call)])
        if isinstance(outcome, (NotSent, Rejected)) and self.facts() != self._before:
            raise Broken(f"{type(call).__name__} was not made, and has changed the account")
        if isinstance(call, FindFactors) and isinstance(outcome, ChallengeIssued):
            self._offers += 1
            if self._offers > 1 and not self._has_lost:
                raise Broken("a second factor is offered twice")
        if isinstance(outcome, Confirmed):
            self._is_whole(call)
            if type(call) in TOLD:
                self._made.add((worker.flow_id, TOLD[type(call)]))

    def _is_whole(self, call: Any) -> None:
        """Check that a change that Cognito confirmed is there, and all of it."""
        user = self.pool.users.find(FAY)
        match call:
            case DeleteUser():
                is_whole = user is None
            case ConfirmAddress():
                name = call.challenge.attribute
                sent = [one for one in self.pool.inbox.messages() if one.code == _code(call)]
                is_whole = user is not None and (
                    user.attributes[f"{name}_verified"] == "true"
                    and user.attributes[name] in {one.destination for one in sent}
                )
            case ConfirmAuthenticator():
                is_whole = user is not None and bool(user.totp_secret and user.factors)
            case _:
                is_whole = True
        if not is_whole:
            raise Broken(f"half of {type(call).__name__} was made")

    def _a_step_is_shown(self, flow_id: str, step: Step) -> None:
        self.steps[flow_id] = step
        if step.tokens is not None:
            raise Broken("P3: the step of an account has tokens")
        told = step.message.code if step.message else ""
        if told in TOLD.values() and (flow_id, told) not in self._made:
            raise Broken(f"the user is told {told}, and it was not made")

    def check(self, *, secrets: bool = True) -> None:
        """Check also that the account of another user, who does nothing, stays as it is."""
        super().check(secrets=secrets)
        if GIL not in self._tokens and self._facts_of(GIL) != self._of_other:
            raise Broken("P7: the account of another user has changed")

    def asked(self, operation: str) -> int:
        """Return how many requests of an operation reached the pool."""
        return sum(name == operation for name, _ in self.client.requests)

    def _user(self, name: str) -> Any:
        return self.pool.users.find(name)

    def _facts_of(self, name: str) -> object:
        """Return what an account is. Secrets and codes differ in each world."""
        user = self._user(name)
        if user is None:
            return None
        return (
            user.password,
            tuple(sorted(user.attributes.items())),
            tuple(user.pending.items()),
            user.factors,
            user.preferred,
            user.totp_secret is not None,
            tuple(user.passkeys),
        )


def _code(call: Any) -> str:
    code: str = call.code.get_secret_value()
    return code


def _answer(flow_id: str, flow: Flow, call: Any) -> tuple[str, ...]:
    is_code = isinstance(call, (ConfirmAddress, ConfirmAuthenticator))
    given = _code(call) if is_code else call.credential.get_secret_value()
    return flow_id, str(flow.challenge_id), given
