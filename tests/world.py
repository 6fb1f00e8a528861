"""The real driver against a sandbox pool, with workers that a test can stop between any two effects.

The driver is a generator that yields effects. A `Worker` performs one effect at a time, when the test
says so, so that several workers on one flow can be interleaved, lose a response or be killed at any
point. Machine, driver, transport, store and pool are the real ones; only the network is left out
(`tests.doubles.InProcessClient`). `World` raises `Broken` as soon as a promise does not hold.
"""

from __future__ import annotations

import base64
import functools
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from tests.doubles import REPEATED, DictStore, InProcessClient, ManualClock

from oncegate import (
    Event,
    ForgotPassword,
    Provider,
    RequestContext,
    RequestNewCode,
    SignIn,
    SignUp,
    SignUpForm,
    Step,
    StepRef,
    SubmitAuthorization,
    Tokens,
    WaysIn,
)
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    CheckCode,
    CheckDevice,
    Confirmed,
    Device,
    ExchangeCode,
    FlowId,
    MarkRemembered,
    NotSent,
    Outcome,
    OutcomeUnknown,
    ProviderChallenge,
    RecordStore,
    RegisterDevice,
    Rejected,
    RejectionReason,
    StoredRecord,
    TokensIssued,
    Transition,
    parse_event,
)
from oncegate.challenges import AnyEvent
from oncegate.driver.effects import CallTransport, Effect, Notify, Swap
from oncegate.machine.advance import NotAllowed, advance, allowed_events
from oncegate.machine.context import TIME_PASSED
from oncegate.record import Flow
from oncegate.states import FlowState
from oncegate_cognito import CognitoTransport, ManagedLogin
from oncegate_sandbox import DEMO_SEED, PoolSeed, Seed, UserSeed
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.pool import Pool
from oncegate_vaults import MemoryVault

USERS = (
    *DEMO_SEED.users,
    *(
        UserSeed.model_validate(
            {
                "username": name,
                "password": f"Correct-horse-{number}",
                "status": status,
                "phone_number": f"+1555000777{number}",
                "mfa": ["SMS_MFA"],
            }
        )
        for name, number, status in (("gus", 7, "UNCONFIRMED"), ("hana", 8, "RESET_REQUIRED"))
    ),
)
PASSWORDS = {user.username: user.password.get_secret_value() for user in USERS}
RIDDLE = """
def next_challenge(username, past):
    if past and past[-1]["right"]:
        return True
    return len(past) < 3 and {"answer": "right", "text": "424242"}
"""
WRONG_PASSWORD = "wrong-horse-0"
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NEW_PASSWORD = "Better-horse-9"


class Broken(AssertionError):
    """A promise does not hold."""


class PoolClock(SandboxClock):
    """The pool's clock, which follows the test's."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def now(self) -> float:
        return self._clock.now()


@dataclass(eq=False)
class Worker:
    """One run of `SignIn.send`, and how far it has come.

    Attributes:
        flow_id: flow of the event.
        event: what the user did.
        version: version of the step that the event answers.
        script: the driver's effects.
        effect: the next effect; None after the last one.
        outcome: outcome of its last call.
        step: its result; None until then.
        codes: number of codes that its calls sent.
        done: number of effects that it has performed.
    """

    flow_id: str
    event: AnyEvent
    version: int
    script: Generator[Effect, Any, Step]
    effect: Effect | None = None
    outcome: Outcome | None = None
    step: Step | None = None
    codes: int = 0
    done: int = 0


class RecordingStore:
    """A store that passes everything on and records what is written.

    Attributes:
        written: the sealed records, oldest first.
    """

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.written: list[bytes] = []

    def load(self, key: str) -> StoredRecord | None:
        return self.store.load(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        self.written.append(row.sealed)
        return self.store.swap(key, expected, row)

    def epoch(self, key: str) -> str:
        return self.store.epoch(key)

    def now(self) -> float:
        return self.store.now()


class RecordingVault(MemoryVault):
    """A device vault that records every device that is stored in it."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[Device] = []

    def store(self, device: Device) -> None:
        self.stored.append(device)
        super().store(device)


class ForgetfulStore(DictStore):
    """The least durable store that is allowed: a power cut undoes all saves since the last durable one."""

    def __init__(self) -> None:
        super().__init__()
        self._on_disk: dict[str, StoredRecord] = {}

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        saved = super().swap(key, expected, row)
        if saved and row.durable:
            self.catch_up()
        return saved

    def catch_up(self) -> None:
        """Write everything to the disk, as the operating system does sooner or later."""
        self._on_disk = dict(self.rows)

    def forget(self) -> None:
        """Lose everything that is not on the disk."""
        self.rows = dict(self._on_disk)


class LosingStore(DictStore):
    """A store that can lose the latest writes, durable or not, as in a failover to a stale replica."""

    def __init__(self) -> None:
        super().__init__()
        self._before: list[dict[str, StoredRecord]] = []
        self._losses = 0

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        before = dict(self.rows)
        saved = super().swap(key, expected, row)
        if saved:
            self._before.append(before)
        return saved

    @property
    def writes(self) -> int:
        """The number of writes that can be lost."""
        return len(self._before)

    def lose(self, writes: int) -> None:
        """Lose that many of the latest writes, and change the epoch."""
        self.rows = self._before[-writes]
        del self._before[-writes:]
        self._losses += 1
        self.now_epoch = f"{self._losses:08x}"


WAYS_IN = WaysIn(sign_up=SignUpForm(attributes=("email",)))
WITH_PROVIDERS = WAYS_IN.model_copy(update={"providers": (Provider(name="Google"),)})


MANAGED_LOGIN = ManagedLogin(domain="https://auth.test", redirect_uri="https://app.test/callback")


class TransportWithTokenEndpoint(CognitoTransport):
    """A transport whose token endpoint is in this process: it takes each code once."""

    client: InProcessClient
    taken: set[str]

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        if not isinstance(call, ExchangeCode):
            return super().perform(call, context)
        fault = self.client.faults.popleft() if self.client.faults else None
        if fault in {"unreachable", "throttled"}:
            return NotSent(cause="unreachable")
        code = call.code.get_secret_value()
        is_used = code in self.taken
        self.taken.add(code)
        if fault:
            return OutcomeUnknown()
        if is_used:
            return Rejected(reason=RejectionReason.CHALLENGE_DEAD, detail="invalid_grant")
        return TokensIssued(tokens=Tokens(access_token=f"access token for {code}"), username="g")


@functools.cache  # there are thousands of worlds of a few seeds
def _seed(tracking: str, first_factors: tuple[str, ...]) -> Seed:
    pool = {"device_tracking": tracking, "custom_auth": RIDDLE, "first_factors": first_factors}
    return Seed(pool=PoolSeed.model_validate(pool), users=USERS)


class World:
    """The driver on a store, against a pool. Everything that happens is checked against P1 to P5.

    Args:
        store: the store under test.
        auth_flow: how sign-ins begin. SRP is slow, and is tested elsewhere.
        lease: lease in seconds. None: the driver's default for its transport.
        new_code_cooldown: seconds between a code and the earliest request for the next.
        with_devices: whether the pool tracks devices and there is a vault; ``"always"`` for a pool
            that does not ask the user.
        first_factors: those of USER_AUTH beside the password.
        with_providers: whether users can sign in with an identity provider.
        ways_in: what the first step offers otherwise.
        more: further arguments of `SignIn`.

    Attributes:
        workers: workers that have not finished.
        steps: for each flow, the step that its browser shows.
        calls: all calls, oldest first.
        results: the tokens that Cognito issued.
        heard: the transitions that listeners received.
    """

    unsaved = Flow()
    """A flow that nothing was saved for."""

    def __init__(
        self,
        store: RecordStore,
        *,
        auth_flow: Any = "USER_PASSWORD_AUTH",
        with_devices: bool | Literal["always"] = False,
        lease: float | None = None,
        new_code_cooldown: float = 30.0,
        first_factors: tuple[str, ...] = ("EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"),
        with_providers: bool = False,
        ways_in: WaysIn = WAYS_IN,
        **more: Any,
    ) -> None:
        tracking: Any = "opt_in" if with_devices is True else with_devices or "off"
        self._begin(store, _seed(tracking, first_factors), new_code_cooldown)
        client: Any = self.client
        self.transport = TransportWithTokenEndpoint(
            pool_id=DEMO_SEED.pool.id,
            client_id=DEMO_SEED.pool.client_id,
            auth_flow=auth_flow,
            client=client,
            ways_in=WITH_PROVIDERS if with_providers else ways_in,
            managed_login=MANAGED_LOGIN if with_providers else None,
        )
        self.transport.client, self.transport.taken = self.client, set()
        self.sign_in = SignIn(
            transport=self.transport,
            store=self.store,
            clock=self.clock,
            listeners=[],
            vault=self.vault if with_devices else None,
            lease=lease,
            new_code_cooldown=new_code_cooldown,
            **{"guess_limit": None, **more},
        )

    def _begin(self, store: RecordStore, seed: Seed, cooldown: float) -> None:
        """Make all but the driver and its transport."""
        self.clock = ManualClock()
        self.store = RecordingStore(store)
        # One key for all worlds: generating it takes longer than the rest, and there are thousands.
        self.pool = Pool(seed, "http://issuer", PoolClock(self.clock), signing_key=_KEY)
        self.vault = RecordingVault()
        self.client = InProcessClient(self.pool)
        self.heard: list[Transition] = []
        self._cooldown = cooldown
        self.workers: list[Worker] = []
        self.steps: dict[str, Step] = {}
        self.calls: list[Call] = []
        self.results: list[TokensIssued] = []
        self._left: Counter[tuple[str, int]] = Counter()
        self._answers: Counter[tuple[str, ...]] = Counter()
        self._under_way: dict[str, float] = {}
        self._sent_at: dict[str, float] = {}
        self._issued_to: set[str] = set()
        self._handed_over: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._has_lost = False

    # ── what can happen ──

    def start(self) -> str:
        """Open the sign-in page, and return the ID of its flow."""
        step = self.sign_in.start()
        self.steps[step.flow_id] = step
        return step.flow_id

    def click(self, flow_id: str, event: Event, version: int | None = None) -> Worker:
        """Send an event to a new worker, which has performed no effect yet.

        Args:
            flow_id: ID of the flow.
            event: what the user did.
            version: version of the step that the event answers. None: the step that the browser shows.
        """
        shown = self.steps[flow_id].version if version is None else version
        script = self.sign_in.sending(StepRef(flow_id, shown), event)
        worker = Worker(flow_id, event, shown, script)
        self.workers.append(worker)
        self._resume(worker, None)
        return worker

    def sensible(self, name: str, step: Step, who: str) -> Event:
        """Return what a well-meaning user sends from a step.

        Args:
            name: type of the event.
            step: step that the browser shows.
            who: username.
        """
        messages = self.pool.inbox.messages()
        code = messages[-1].code if messages else "000000"
        owner = self.pool.users.find(self.flow(step.flow_id).username)
        if step.challenge in {"SOFTWARE_TOKEN_MFA", "TOTP_SETUP"} and owner:
            secret = step.totp.secret if step.totp else owner.totp_secret or ""
            key = base64.b32decode(secret + "=" * (-len(secret) % 8))
            totp = TOTP(key, 6, SHA1(), 30, enforce_key_length=False)
            code = totp.generate(int(self.clock.now())).decode()
        password = owner.password if owner else PASSWORDS[who]
        chosen = [action for action in step.actions if action.event == name]
        inputs = [field for action in chosen for field in action.fields]
        choices = [choice.value for field in inputs for choice in field.choices]
        fields: dict[str, dict[str, Any]] = {
            "submit_password": {"username": who, "password": PASSWORDS[who]},
            "submit_username": {"username": who},
            "choose_factor": {"factor": choices[len(messages) % len(choices)] if choices else ""},
            "submit_email": {"email": "other@example.com"},
            "submit_code": {
                "code": code,
                "remember_device": [None, None, True, False][len(messages) % 4],
            },
            "submit_answer": {"answer": "right"},
            "submit_new_password": {"new_password": NEW_PASSWORD},
            "reset_password": {"code": code, "new_password": NEW_PASSWORD},
            "remember_device": {"remember": len(messages) % 2 == 0},
            "forgot_password": {"username": who},
            "sign_up": {
                "username": f"new-{len(self.calls)}",
                "password": NEW_PASSWORD,
                "attributes": {"email": "new@example.com"},
            },
            "sign_in_with": {"provider": "Google"},
        }
        if name == "submit_authorization":
            return self.authorization(step.flow_id, f"authorization code {len(self.calls)}")
        if name == "submit_password" and step.state == "awaiting_password":
            fields[name] = {"password": password}
        return parse_event({"type": name, **fields.get(name, {})})

    def authorization(self, flow_id: str, code: str) -> SubmitAuthorization:
        """Return what the browser of a flow brings back from its identity provider."""
        challenge = self.flow(flow_id).challenge
        state = challenge.state if isinstance(challenge, ProviderChallenge) else "another"
        return SubmitAuthorization(state=state, code=code)

    def do_one_thing(self, worker: Worker, fault: str | None = None) -> None:
        """Let a worker perform its next effect, and the call after it.

        Args:
            worker: the worker.
            fault: fault of the call, if there is one (`faults_of_call`).
        """
        assert worker.effect is not None
        result = self.sign_in.perform(worker.effect)
        worker.done += 1
        if isinstance(worker.effect, Notify):
            self._hear(worker.effect.transition, worker)
        own = _parsed(worker.flow_id).key
        if (
            isinstance(worker.effect, Swap)
            and worker.effect.changes[0].key == own
            and worker.outcome is not None
        ):
            self._under_way.pop(worker.flow_id, None)
        self._resume(worker, result)
        # The driver reads the clock right before a call, so nothing can happen between the two.
        if isinstance(worker.effect, CallTransport):
            self._a_call_leaves(worker, worker.effect.call)
            before = len(self.pool.inbox.messages())
            self.client.faults.extend(faults_of_call(fault))
            worker.outcome = self.sign_in.perform(worker.effect)
            self.client.faults.clear()
            worker.codes += len(self.pool.inbox.messages()) - before
            sent = self.pool.inbox.messages()[before:]
            # Cognito does not announce what a Lambda sends, so no cooldown can start at it.
            if any(message.purpose != "CUSTOM_CHALLENGE" for message in sent):
                self._sent_at[worker.flow_id] = self.clock.now()
            if worker.codes > 1:
                raise Broken("P1: two codes for one event")
            self._a_call_returned(worker, worker.effect.call, worker.outcome)
            self._resume(worker, worker.outcome)

    def run(self, worker: Worker, fault: str | None = None) -> Step:
        """Let a worker finish."""
        while worker.step is None:
            self.do_one_thing(worker, fault)
        return worker.step

    def kill(self, worker: Worker) -> None:
        """Kill a worker's process, before its next effect."""
        self.workers.remove(worker)
        worker.script.close()

    def cut_the_power(self) -> None:
        """Kill all workers and lose what is not on the disk. Browsers still show the same steps."""
        store = self.store.store
        assert isinstance(store, ForgetfulStore)
        for worker in [worker for worker in self.workers if worker.done]:
            self.kill(worker)
        store.forget()
        # A flow that lost its final state may sign in once more, with other tokens.
        self._handed_over.clear()

    def lose_writes(self, writes: int) -> None:
        """Let the store lose its latest writes. All workers go on."""
        store = self.store.store
        assert isinstance(store, LosingStore)
        store.lose(writes)
        self._has_lost = True

    def _resume(self, worker: Worker, result: Any) -> None:
        try:
            worker.effect = worker.script.send(result)
        except StopIteration as end:
            step: Step = end.value
            worker.step, worker.effect = step, None
            self.workers.remove(worker)
            self._a_step_is_shown(worker.flow_id, step)

    def look(self, flow_id: str) -> None:
        """Reload the page of a flow."""
        calls = len(self.calls)
        self._a_step_is_shown(flow_id, self.sign_in.get(flow_id))
        if len(self.calls) != calls:
            raise Broken("P1: a reload called Cognito")

    # ── what must hold ──

    def _a_call_leaves(self, worker: Worker, call: Call) -> None:
        self.calls.append(call)
        flow = self.flow(worker.flow_id)
        if not (flow.is_in_flight or self._has_lost):
            raise Broken("P1: sent before it was saved")
        if self.clock.now() < self._under_way.get(worker.flow_id, 0):
            raise Broken("P2: two calls of one flow at once")
        self._under_way[worker.flow_id] = flow.lease_until or self.clock.now() + self.sign_in.lease
        if worker.outcome is not None:
            # It continues after its own last call; the codes that it causes are counted above.
            _may_go_on(worker.outcome, call)
            return
        if isinstance(call, ANSWERS):
            self._answers[_answer(call)] += 1
            if self._answers[_answer(call)] > 1:
                raise Broken("P2: one answer left twice")
        cooled = self._sent_at.get(worker.flow_id, 0.0) + self._cooldown - 1
        if isinstance(worker.event, REQUESTS) and self.clock.now() < cooled:
            raise Broken("P1: a new code during the cooldown")
        if worker.version < flow.version - 1:
            raise Broken("P2: sent for an earlier step")
        # From one step, at most one answer and one request for a code may leave.
        self._left[worker.flow_id, worker.version] += 1
        if self._left[worker.flow_id, worker.version] > 1:
            promise = "P2" if isinstance(call, ANSWERS) else "P1"
            raise Broken(f"{promise}: two requests, both from step {worker.version}")

    def _a_call_returned(self, worker: Worker, call: Call, outcome: Outcome) -> None:
        if isinstance(outcome, NotSent) and isinstance(call, ANSWERS):
            # The answer did not arrive, so it may be sent again.
            self._answers.subtract([_answer(call)])
        if isinstance(outcome, TokensIssued):
            self._issued_to.add(worker.flow_id)
            self.results.append(outcome)

    def _hear(self, transition: Transition, worker: Worker) -> None:
        self.heard.append(transition)
        is_its_event = transition.cause == worker.event.type and not transition.suppressed
        if is_its_event and worker.version != transition.version - 1:
            raise Broken("P2: an event was accepted for an earlier step")

    def _a_step_is_shown(self, flow_id: str, step: Step) -> None:
        self.steps[flow_id] = step
        if step.state == "authenticated" and flow_id not in self._issued_to:
            raise Broken("P3: authenticated without tokens")
        if step.tokens is None:
            return
        self._handed_over[flow_id] += 1
        if self._handed_over[flow_id] > 1 or step.tokens.access_token in self._seen:
            raise Broken("P3: tokens handed over twice")
        self._seen.add(step.tokens.access_token)

    def flow(self, flow_id: str) -> Flow:
        """Return a flow as it is stored."""
        parsed = _parsed(flow_id)
        row = self.store.load(parsed.key)
        return parsed.unseal(row.sealed, row.version) if row else self.unsaved

    def facts(self) -> object:
        """Return what of the pool decides what can happen next, beside what was sent."""
        return None

    def check(self, *, secrets: bool = True) -> None:
        """Check P1, P4 and P5 on the present state.

        Args:
            secrets: whether to search for secrets too, which takes longer.
        """
        may_send = [call for call in self.calls if call.can_send]
        if len(self.pool.inbox.messages()) > len(may_send):
            raise Broken("P1: more codes than requests that can send one")
        for flow_id in self.steps:
            _is_not_stuck(self.flow(flow_id))
        if secrets:
            self._nothing_secret_is_shown()

    def _nothing_secret_is_shown(self) -> None:
        shown = [repr(step) + step.model_dump_json() for step in self.steps.values()]
        shown += [repr((worker.event, worker.effect, worker.outcome)) for worker in self.workers]
        # Without the time: six digits of it can equal a code.
        shown += [repr([heard._replace(at=0) for heard in self.heard[-4:]]), repr(self.calls[-4:])]
        text = "\n".join(shown).encode() + b"\n".join(self.store.written[-8:])
        for secret in self.secrets():
            if secret.encode() in text:
                raise Broken("P5: a secret is shown, or stored unsealed")

    def secrets(self) -> set[str]:
        """Return all passwords, codes, sessions, device secrets and tokens so far."""
        found = {*PASSWORDS.values(), WRONG_PASSWORD, NEW_PASSWORD}
        found |= {message.code for message in self.pool.inbox.messages()}
        for call in self.calls:
            if challenge := getattr(call, "challenge", None):
                found.add(challenge.session.get_secret_value())
            if isinstance(call, ExchangeCode):
                found.add(call.code.get_secret_value())
                found.add(call.challenge.verifier.get_secret_value())
        found |= {device.password.get_secret_value() for device in self.vault.stored}
        for result in self.results:
            found |= {result.tokens.access_token, result.tokens.refresh_token or ""}
        return found - {""}


@functools.lru_cache
def _parsed(flow_id: str) -> FlowId:
    return FlowId.parse(flow_id)


ANSWERS = (CheckCode, ExchangeCode)
REQUESTS = (RequestNewCode, ForgotPassword, SignUp)
"""The user's requests for a code, none of which may leave during the cooldown of the one before."""


def _answer(call: CheckCode | ExchangeCode) -> tuple[str, str]:
    challenge = call.challenge
    of = challenge.state if isinstance(challenge, ProviderChallenge) else challenge.session
    return of.get_secret_value(), call.code.get_secret_value()


def _may_go_on(outcome: Outcome, call: Call) -> None:
    """Check that a call may follow an outcome without an event of the user."""
    if isinstance(call, (CheckDevice, RegisterDevice, MarkRemembered)):
        return
    if isinstance(outcome, Confirmed | ChallengeIssued):
        return  # a first factor after a recovery; a factor that was chosen before
    if isinstance(outcome, Rejected) and outcome.reason in NO_EFFECT:
        return
    raise Broken(f"P1: a call repeated after {outcome.type}")


NO_EFFECT = {RejectionReason.DEVICE_FORGOTTEN}


def faults_of_call(fault: str | None) -> list[str | None]:
    """Return the faults of a call's requests (`tests.doubles.InProcessClient`).

    Args:
        fault: fault of its first request; after ``second``, of the next one; None for none.
    """
    if fault is None:
        return [None]
    name = fault.removeprefix("second ")
    # The transport repeats a request that had no effect, once.
    faults: list[str | None] = [name] * (2 if name in REPEATED else 1)
    return faults if name == fault else [None, *faults]


def _is_not_stuck(flow: Flow) -> None:
    if flow.is_final or allowed_events(flow):
        return
    if flow.deadline is None:
        raise Broken(f"P4: {flow.state} has neither an event nor a deadline")
    try:
        later = advance(flow, TIME_PASSED, now=flow.deadline)
    except NotAllowed:
        raise Broken(f"P4: no transition leaves {flow.state} at its deadline") from None
    # Signed in is an end, but no dead one: the caller got the tokens before.
    if later.state is not FlowState.AUTHENTICATED and not allowed_events(later):
        raise Broken(f"P4: the deadline of {flow.state} leads to {later.state}, a dead end")
