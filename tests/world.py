"""A small world around the real driver: workers that can be stopped anywhere, a pool that counts.

The driver is a generator that yields what it wants done. A `Worker` does one of those things at a
time, when it is told to, so that several workers on one flow can be interleaved, lose a response or
be killed between any two steps. Machine, driver, transport, store and pool are the real ones; only
the wire is left out (`tests.doubles.InProcessClient`).
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
from tests.doubles import InProcessClient, ManualClock

from oncegate import Event, RequestNewCode, SignIn, Step, StepRef
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    CheckCode,
    CheckDevice,
    Confirmed,
    FlowId,
    MarkRemembered,
    NotSent,
    Outcome,
    RecordStore,
    RegisterDevice,
    Rejected,
    RejectionReason,
    StoredRecord,
    TokensIssued,
    Transition,
    parse_event,
)
from oncegate.driver.effects import CallTransport, Effect, Notify, Swap
from oncegate.machine.advance import NotAllowed, advance, allowed_events
from oncegate.machine.context import TIME_PASSED
from oncegate.record import Flow
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import DEMO_SEED, PoolSeed, Seed, UserSeed
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.pool import Pool
from oncegate_stores import MemoryStore
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
    """The pool's clock, moved by the test's."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def now(self) -> float:
        return self._clock.now()


@dataclass(eq=False)
class Worker:
    """One run of `SignIn.send`, as far as it has come."""

    flow_id: str
    event: Event
    version: int
    script: Generator[Effect, Any, Step]
    effect: Effect | None = None
    outcome: Outcome | None = None
    step: Step | None = None
    codes: int = 0
    done: int = 0


class RecordingStore:
    """The real store, with every byte that is written to it remembered."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.written: list[bytes] = []

    def load(self, key: str) -> StoredRecord | None:
        return self.store.load(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        self.written.append(row.sealed)
        return self.store.swap(key, expected, row)

    def durable_since(self) -> float:
        return self.store.durable_since()


class ForgetfulStore(MemoryStore):
    """As lazy as a store may be: a power cut undoes every save since the last that had to last."""

    def __init__(self) -> None:
        super().__init__()
        self._on_disk: dict[str, StoredRecord] = {}

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        saved = super().swap(key, expected, row)
        if saved and row.durable:
            self.catch_up()
        return saved

    def catch_up(self) -> None:
        """The disk has what was left to it, as it has sooner or later."""
        self._on_disk = dict(self._rows)

    def forget(self) -> None:
        self._rows = dict(self._on_disk)


class World:
    """The driver on a store, against a pool, with everything that happens held against P1 to P5.

    Args:
        store: the real one that is on trial.
        auth_flow: how sign-ins begin. The sums of SRP are tried elsewhere, and take long.
        lease: seconds; what the driver makes of its transport where None.
        with_devices: whether devices are tracked, and kept in a vault; ``"always"`` where the pool
            does not ask the user.
        more: for the driver.
    """

    def __init__(
        self,
        store: RecordStore,
        *,
        auth_flow: Any = "USER_PASSWORD_AUTH",
        with_devices: bool | Literal["always"] = False,
        lease: float | None = None,
        **more: Any,
    ) -> None:
        self.clock = ManualClock()
        self.store = RecordingStore(store)
        tracking: Any = "opt_in" if with_devices is True else with_devices or "off"
        pool = PoolSeed(device_tracking=tracking, custom_auth=RIDDLE)
        seed = Seed(pool=pool, users=USERS)
        # One key for all: making one takes longer than all the rest, and there are thousands of worlds.
        self.pool = Pool(seed, "http://issuer", PoolClock(self.clock), signing_key=_KEY)
        self.vault = MemoryVault()
        self.client = InProcessClient(self.pool)
        client: Any = self.client
        self.transport = CognitoTransport(
            pool_id=DEMO_SEED.pool.id,
            client_id=DEMO_SEED.pool.client_id,
            auth_flow=auth_flow,
            client=client,
        )
        self.heard: list[Transition] = []
        self.sign_in = SignIn(
            transport=self.transport,
            store=self.store,
            clock=self.clock,
            listeners=[],
            vault=self.vault if with_devices else None,
            lease=lease,
            **more,
        )
        self.workers: list[Worker] = []
        self.steps: dict[str, Step] = {}
        self.calls: list[Call] = []
        self.results: list[TokensIssued] = []
        self._left: Counter[tuple[str, int]] = Counter()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._under_way: dict[str, float] = {}
        self._sent_at: dict[str, float] = {}
        self._issued_to: set[str] = set()
        self._handed_over: Counter[str] = Counter()
        self._seen: set[str] = set()

    # ── what can happen ──

    def start(self) -> str:
        step = self.sign_in.start()
        self.steps[step.flow_id] = step
        return step.flow_id

    def click(self, flow_id: str, event: Event, version: int | None = None) -> Worker:
        """Send an event from the step that the browser shows. A worker takes it, and has done nothing.

        Args:
            flow_id: of the flow.
            event: what the user did.
            version: of the step, if it is another one.
        """
        shown = self.steps[flow_id].version if version is None else version
        script = self.sign_in.sending(StepRef(flow_id, shown), event)
        worker = Worker(flow_id, event, shown, script)
        self.workers.append(worker)
        self._resume(worker, None)
        return worker

    def sensible(self, name: str, step: Step, who: str) -> Event:
        """What a person who means well says on the page of a step."""
        messages = self.pool.inbox.messages()
        code = messages[-1].code if messages else "000000"
        owner = self.pool.users.find(self.flow(step.flow_id).username)
        if step.challenge in {"SOFTWARE_TOKEN_MFA", "TOTP_SETUP"} and owner:
            secret = step.totp.secret if step.totp else owner.totp_secret or ""
            key = base64.b32decode(secret + "=" * (-len(secret) % 8))
            totp = TOTP(key, 6, SHA1(), 30, enforce_key_length=False)
            code = totp.generate(int(self.clock.now())).decode()
        password = owner.password if owner else PASSWORDS[who]
        choices = [choice.value for field in step.fields for choice in field.choices]
        words: dict[str, dict[str, Any]] = {
            "submit_password": {"username": who, "password": PASSWORDS[who]},
            "submit_username": {"username": who},
            "choose_factor": {"factor": choices[len(messages) % len(choices)] if choices else ""},
            "submit_email": {"email": "somebody@example.com"},
            "submit_code": {
                "code": code,
                "remember_device": [None, None, True, False][len(messages) % 4],
            },
            "submit_answer": {"answer": "right"},
            "submit_new_password": {"new_password": NEW_PASSWORD},
            "reset_password": {"code": code, "new_password": NEW_PASSWORD},
            "remember_device": {"remember": len(messages) % 2 == 0},
        }
        if name == "submit_password" and step.state == "awaiting_password":
            words[name] = {"password": password}
        return parse_event({"type": name, **words.get(name, {})})

    def do_one_thing(self, worker: Worker, fault: str | None = None) -> None:
        """Let a worker do what it wants next. A call that it leads to may suffer a fault."""
        assert worker.effect is not None
        result = self.sign_in.perform(worker.effect)
        worker.done += 1
        if isinstance(worker.effect, Notify):
            self._hear(worker.effect.transition, worker)
        own = _parsed(worker.flow_id).key
        if (
            isinstance(worker.effect, Swap)
            and worker.effect.key == own
            and worker.outcome is not None
        ):
            self._under_way.pop(worker.flow_id, None)
        self._resume(worker, result)
        # The driver looks at the clock right before a call, so nothing comes between the two.
        if isinstance(worker.effect, CallTransport):
            self._a_call_leaves(worker, worker.effect.call)
            before = len(self.pool.inbox.messages())
            twice = fault in {"throttled", "unreachable"}  # or the transport would get through
            self.client.faults.extend([fault] * (2 if twice else 1))
            worker.outcome = self.sign_in.perform(worker.effect)
            self.client.faults.clear()
            worker.codes += len(self.pool.inbox.messages()) - before
            sent = self.pool.inbox.messages()[before:]
            # What a Lambda texts by itself is not announced, so no cooldown can count from it.
            if any(message.purpose != "CUSTOM_CHALLENGE" for message in sent):
                self._sent_at[worker.flow_id] = self.clock.now()
            if worker.codes > 1:
                raise Broken("P1: two codes for one event")
            if isinstance(worker.outcome, NotSent) and isinstance(worker.effect.call, CheckCode):
                # It never arrived, so it may be given again.
                self._answers.subtract([_answer(worker.effect.call)])
            if isinstance(worker.outcome, TokensIssued):
                self._issued_to.add(worker.flow_id)
                self.results.append(worker.outcome)
            self._resume(worker, worker.outcome)

    def run(self, worker: Worker, fault: str | None = None) -> Step:
        """Let a worker finish."""
        while worker.step is None:
            self.do_one_thing(worker, fault)
        return worker.step

    def kill(self, worker: Worker) -> None:
        """The worker's process dies where it stands."""
        self.workers.remove(worker)
        worker.script.close()

    def cut_the_power(self) -> None:
        """Whoever is at work dies, and so does what had not to last. Browsers show what they showed."""
        store = self.store.store
        assert isinstance(store, ForgetfulStore)
        for worker in [worker for worker in self.workers if worker.done]:
            self.kill(worker)
        store.forget()
        # A flow that lost its end may be signed in to once more, with tokens of its own.
        self._handed_over.clear()

    def _resume(self, worker: Worker, result: Any) -> None:
        try:
            worker.effect = worker.script.send(result)
        except StopIteration as end:
            step: Step = end.value
            worker.step, worker.effect = step, None
            self.workers.remove(worker)
            self._a_step_is_shown(worker.flow_id, step)

    def look(self, flow_id: str) -> None:
        """A reload."""
        calls = len(self.calls)
        self._a_step_is_shown(flow_id, self.sign_in.get(flow_id))
        if len(self.calls) != calls:
            raise Broken("P1: a reload called Cognito")

    # ── what must hold ──

    def _a_call_leaves(self, worker: Worker, call: Call) -> None:
        self.calls.append(call)
        flow = self.flow(worker.flow_id)
        if not flow.is_in_flight:
            raise Broken("P1: sent before it was saved")
        if self.clock.now() < self._under_way.get(worker.flow_id, 0):
            raise Broken("P2: two calls of one flow at once")
        assert flow.lease_until is not None
        self._under_way[worker.flow_id] = flow.lease_until
        if worker.outcome is not None:
            # It goes straight on from its own last call; the codes it causes are counted above.
            _may_go_on(worker.outcome, call)
            return
        if isinstance(call, CheckCode):
            self._answers[_answer(call)] += 1
            if self._answers[_answer(call)] > 1:
                raise Broken("P2: one answer left twice")
        cooled = self._sent_at.get(worker.flow_id, 0.0) + self.sign_in._policy.cooldown - 1
        if isinstance(worker.event, RequestNewCode) and self.clock.now() < cooled:
            raise Broken("P1: a new code before the last one can have arrived")
        if worker.version is not None and worker.version < flow.version - 1:
            raise Broken("P2: sent for a step that had passed")
        # A person who has seen one step gives one answer, or asks for one delivery, at most.
        self._left[worker.flow_id, worker.version] += 1
        if self._left[worker.flow_id, worker.version] > 1:
            promise = "P2" if isinstance(call, CheckCode) else "P1"
            raise Broken(f"{promise}: two requests, both from step {worker.version}")

    def _hear(self, transition: Transition, worker: Worker) -> None:
        self.heard.append(transition)
        is_its_event = transition.cause == worker.event.type and not transition.suppressed
        if is_its_event and worker.version != transition.version - 1:
            raise Broken("an event was taken for a step that had passed")

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
        """A flow as it is stored."""
        parsed = _parsed(flow_id)
        row = self.store.load(parsed.key)
        return parsed.unseal(row.sealed, row.version) if row else Flow()

    def check(self, *, secrets: bool = True) -> None:
        """P1, P4 and P5, as far as they can be read off what is there."""
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
        # Without the time: six digits of it look like a code now and then.
        shown += [repr([heard._replace(at=0) for heard in self.heard[-4:]]), repr(self.calls[-4:])]
        text = "\n".join(shown).encode() + b"\n".join(self.store.written[-8:])
        for secret in self.secrets():
            if secret.encode() in text:
                raise Broken("P5: a secret is shown or stored")

    def secrets(self) -> set[str]:
        """Passwords, codes, sessions and tokens: what nobody may find anywhere."""
        found = {*PASSWORDS.values(), WRONG_PASSWORD, NEW_PASSWORD}
        found |= {message.code for message in self.pool.inbox.messages()}
        for call in self.calls:
            if challenge := getattr(call, "challenge", None):
                found.add(challenge.session.get_secret_value())
        found |= {device.password.get_secret_value() for device in self.vault._devices}
        for result in self.results:
            found |= {result.tokens.access_token, result.tokens.refresh_token or ""}
        return found - {""}


@functools.lru_cache
def _parsed(flow_id: str) -> FlowId:
    return FlowId.parse(flow_id)


def _answer(call: CheckCode) -> tuple[str, str]:
    return call.challenge.session.get_secret_value(), call.code.get_secret_value()


def _may_go_on(outcome: Outcome, call: Call) -> None:
    """Which calls may follow an outcome without anybody having said anything."""
    if isinstance(call, (CheckDevice, RegisterDevice, MarkRemembered)):
        return
    if isinstance(outcome, Confirmed | ChallengeIssued):
        return  # a first factor after a journey; a factor that was chosen before
    if isinstance(outcome, Rejected) and outcome.reason in NO_EFFECT:
        return
    raise Broken(f"P1: a call repeated after {outcome.type}")


NO_EFFECT = {
    RejectionReason.DEVICE_FORGOTTEN,
    RejectionReason.WRONG_CREDENTIALS,
    RejectionReason.CHALLENGE_DEAD,
}


def _is_not_stuck(flow: Flow) -> None:
    if flow.is_final or allowed_events(flow):
        return
    if flow.deadline is None:
        raise Broken(f"P4: {flow.state} has neither an event nor a deadline")
    try:
        later = advance(flow, TIME_PASSED, now=flow.deadline)
    except NotAllowed:
        raise Broken(f"P4: {flow.state} does not lead on at its deadline") from None
    if not allowed_events(later):
        raise Broken(f"P4: {flow.state} leads on to a dead end")
