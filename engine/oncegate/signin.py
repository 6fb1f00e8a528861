"""The driver: write ahead, call once, record.

Some outcomes lead straight on into another call (a device that proves itself, a device that is
registered): the same order holds for each.

What the driver does with a flow is written once, as a generator that yields what it needs done
(`Load`, `Swap`, `Make`, …) and is sent what came of it. `SignIn` does those things in place;
`AsyncSignIn` does them on threads. Neither decides anything: the machine does.

The order is the promise. An event is offered to the machine; the in-flight state it leads to is
saved by compare-and-swap; only who wins the swap makes the call, once; the outcome is offered and
saved. A worker that dies in between leaves an in-flight flow, which `time_passed` leads back to
`idle` when the lease is over.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from pydantic import SecretStr

from oncegate.budget import DEFAULT_BUDGET, Account, CodeBudget
from oncegate.calls import CAN_SEND, Call, Carried, call_for
from oncegate.challenge import Delivery, DeviceOffer
from oncegate.device import Device
from oncegate.errors import InvalidInput
from oncegate.events import (
    Event,
    RememberDevice,
    ResetPassword,
    SubmitAnswer,
    SubmitCode,
    SubmitNewPassword,
    SubmitPasskey,
    SubmitPassword,
    SubmitUsername,
)
from oncegate.flow import NEW_CODES_PER_FLOW, Flow, FlowState
from oncegate.log import LogListener, logger
from oncegate.machine import (
    CLOCK_SKEW,
    EXPIRED,
    TIME_PASSED,
    AtHand,
    NotAllowed,
    Policy,
    advance,
    is_due,
)
from oncegate.outcomes import (
    ChallengeIssued,
    DeviceRegistered,
    DeviceRemembered,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Refusal,
    Rejected,
    Tokens,
    TokensIssued,
)
from oncegate.ports import (
    Clock,
    DeviceVault,
    FlowStore,
    Listener,
    SessionKeeper,
    StoredFlow,
    SystemClock,
    Transition,
    Transport,
)
from oncegate.seal import FlowId, SealingKeys, new_flow_id
from oncegate.step import Step, step_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

THREADS = 256
"""Calls that can be under way at once in an `AsyncSignIn`; a thread that waits costs little."""

LEASE_MARGIN = 10.0
"""Seconds a worker has beyond its longest call: to set out after the save, and to save again."""


class Load(NamedTuple):
    """Load a row; answered with a `StoredFlow` or None."""

    key: str


class Since(NamedTuple):
    """Ask since when the store has lost nothing; answered with seconds since the epoch."""


class Swap(NamedTuple):
    """Save a row if the expected version is there; answered with whether it was."""

    key: str
    expected: int
    row: StoredFlow


class Make(NamedTuple):
    """Make a call, once; answered with its outcome."""

    call: Call


class Keep(NamedTuple):
    """Give the tokens to the host's session keeper; answered with the session's name."""

    tokens: Tokens
    keeper: SessionKeeper


class Find(NamedTuple):
    """Find a user's device in the vault; answered with it or None."""

    vault: DeviceVault
    name: str


class Put(NamedTuple):
    """Keep a device in the vault, or drop it; answered with nothing."""

    vault: DeviceVault
    device: Device
    keep: bool


class Tell(NamedTuple):
    """Tell the listeners; answered with nothing."""

    transition: Transition


class Pause(NamedTuple):
    """Wait; answered with nothing."""

    seconds: float


Want = Load | Since | Swap | Make | Keep | Find | Put | Tell | Pause
_CHARGE_TRIES = 5
_BIRTH = 2.0
"""Seconds by which a flow may seem older than the store: ids have whole seconds, and clocks differ."""
type_of_event: tuple[type, ...] = get_args(Event)
type_of_outcome: tuple[type, ...] = get_args(Outcome)


@cache
def _build_models() -> None:
    """Build what was put off at import: by whoever makes a driver, not by a hundred first events."""
    for model in (Flow, Step, Carried, *get_args(Call), *type_of_event, *type_of_outcome):
        model.model_rebuild()


class _Driver:
    """What both shells share: the ports, and the scripts that say what is to be done."""

    def __init__(
        self,
        *,
        transport: Transport,
        store: FlowStore,
        keeper: SessionKeeper | None = None,
        vault: DeviceVault | None = None,
        listeners: Iterable[Listener] | None = None,
        clock: Clock | None = None,
        lifetime: float = 3600.0,
        patience: float = 10.0,
        keep_password: bool = False,
        new_code_cooldown: float = 30.0,
        new_codes_per_flow: int = NEW_CODES_PER_FLOW,
        budget: CodeBudget | None = DEFAULT_BUDGET,
        keys: SealingKeys | None = None,
    ) -> None:
        """Put a sign-in together.

        Args:
            transport: speaks to Cognito.
            store: keeps the flows; share it between workers.
            keeper: takes the tokens; where there is none, the last step hands them over.
            vault: keeps the devices of whoever signs in here; a web app gives each request its own
                (`SignIn.send`). Without one, no device is ever remembered.
            listeners: hear of every transition; one that logs where None is given.
            clock: the time; the machine's own where None is given.
            lifetime: seconds that a flow, and its row in the store, live after the last change.
            patience: seconds that a double click waits for the step of the first click.
            keep_password: keep the password, sealed in the flow and for no longer than the challenge
                lives, so that a new code is one click away. Otherwise it is asked for once more.
            new_code_cooldown: seconds from a code to the next that may be asked for.
            new_codes_per_flow: how many new codes may be asked for in one flow.
            budget: of codes for one user and one source over all flows; None for no limit.
            keys: of the application, to seal records with besides each flow's own key; the same in
                every worker.
        """
        _build_models()
        self._transport = transport
        self._store = store
        self._keeper = keeper
        self._vault = vault
        self._listeners = (LogListener(),) if listeners is None else tuple(listeners)
        self._clock = clock or SystemClock()
        self._lifetime = lifetime
        self._patience = patience
        self._budget = budget
        self._keys = keys
        self._policy = Policy(
            lease=transport.longest_call + 2 * LEASE_MARGIN,
            cooldown=new_code_cooldown,
            keep_password=keep_password,
        )
        self._unsaved = Flow(
            is_passwordless=transport.is_passwordless, new_codes_left=new_codes_per_flow
        )
        self._log = logger()

    # ── scripts: what is to be done, in which order ──

    def _starting(self) -> Step:
        return step_of(new_flow_id(self._clock.now()), self._unsaved)

    def _getting(self, text: str) -> Generator[Want, Any, Step]:
        flow = yield from self._current(FlowId.parse(text))
        return step_of(text, flow)

    def _sending(
        self,
        text: str,
        event: Event,
        seen: int | None,
        vault: DeviceVault | None = None,
        source: str | None = None,
    ) -> Generator[Want, Any, Step]:
        if not isinstance(event, type_of_event):
            raise InvalidInput(f"{type(event).__name__} is not an event: see oncegate.events")
        flow_id = FlowId.parse(text)
        vault = vault or self._vault
        flow = yield from self._current(flow_id)
        carried = Carried(
            event=event,
            password=_password_in(event),
            device=(yield from self._found(vault, flow, event)),
        )
        accounts = self._accounts(flow, event, source)
        try:
            ahead = advance(
                flow,
                event,
                now=self._clock.now(),
                seen=seen,
                digest=flow_id.digest(str(flow.challenge_id), *_answer_in(event)),
                policy=self._policy,
                hand=self._hand(carried, vault, (yield from self._remains(accounts))),
            )
        except NotAllowed as no:
            yield self._held_back(flow_id, flow, event, no.reason)
            if flow.is_in_flight:
                flow = yield from self._resting(flow_id)
            return step_of(text, flow, reason=no.reason)
        if not (yield from self._save(flow_id, flow, ahead, event.type)):
            # Somebody else's event was first. It is theirs to call; their step is the answer.
            yield self._held_back(flow_id, flow, event, "stale")
            flow = yield from self._resting(flow_id)
            return step_of(text, flow, reason="stale")
        if isinstance(event, RememberDevice):
            carried = _with_offered_tokens(carried, flow)
        return (yield from self._calling(flow_id, ahead, carried, vault, source))

    def _calling(
        self,
        flow_id: FlowId,
        flow: Flow,
        carried: Carried,
        vault: DeviceVault | None,
        source: str | None,
    ) -> Generator[Want, Any, Step]:
        """Make the call of an in-flight flow, and any that its outcome leads straight on to."""
        while flow.is_in_flight:
            call = call_for(flow, carried)
            outcome: Outcome
            if self._clock.now() <= flow.saved_at + LEASE_MARGIN:
                outcome = yield Make(call)
            else:
                # This worker was stalled since it saved. A call now could outlast its lease, and
                # meet the call of somebody who has taken it for dead.
                outcome = NotSent(cause="stalled")
            outcome, carried = yield from self._take(flow, outcome, carried, vault)
            after = advance(
                flow,
                outcome,
                now=self._clock.now(),
                policy=self._policy,
                hand=self._hand(carried, vault),
            )
            if isinstance(call, CAN_SEND) and isinstance(
                outcome, (ChallengeIssued, OutcomeUnknown)
            ):
                yield from self._charge(after, outcome, source)
            if not (yield from self._save(flow_id, flow, after, outcome.type, outcome)):
                # The lease ran out before this worker was done, and the flow has gone on without it.
                flow = yield from self._current(flow_id)
                return step_of(flow_id.text, flow, reason="stale")
            flow = after
        is_over = flow.state is FlowState.AUTHENTICATED and flow.session_name is None
        return step_of(flow_id.text, flow, tokens=carried.tokens if is_over else None)

    def _take(
        self, flow: Flow, outcome: Outcome, carried: Carried, vault: DeviceVault | None
    ) -> Generator[Want, Any, tuple[Outcome, Carried]]:
        """Put what came of a call where it belongs: tokens with the keeper, devices in the vault."""
        if isinstance(outcome, TokensIssued):
            key = outcome.new_device.key if outcome.new_device else flow.device_key
            tokens = outcome.tokens.model_copy(update={"device_key": key})
            if self._keeper:
                name = yield Keep(tokens, self._keeper)
                outcome = outcome.model_copy(update={"session_name": name})
            return outcome, carried.model_copy(
                update={
                    "tokens": tokens,
                    "new_device": outcome.new_device,
                    "username": outcome.username or flow.username,
                }
            )
        if vault and isinstance(outcome, DeviceRegistered):
            is_remembered = not outcome.ask_user
            device = outcome.device.model_copy(update={"remembered": is_remembered})
            yield Put(vault, device, keep=True)
            return outcome, carried.model_copy(update={"device": device})
        if vault and carried.device:
            if isinstance(outcome, DeviceRemembered):
                device = carried.device.model_copy(update={"remembered": True})
                yield Put(vault, device, keep=True)
            elif _is_of_no_use(flow, outcome):
                yield Put(vault, carried.device, keep=False)
                return outcome, carried.model_copy(update={"device": None})
        return outcome, carried

    def _hand(
        self, carried: Carried, vault: DeviceVault | None, budget_remains: bool = True
    ) -> AtHand:
        tokens = carried.tokens
        if tokens and self._keeper:
            tokens = tokens.model_copy(update={"id_token": None, "refresh_token": None})
        return AtHand(
            device_key=carried.device.key if carried.device else None,
            has_vault=vault is not None,
            password=carried.password,
            budget_remains=budget_remains,
            tokens=tokens,
        )

    def _found(
        self, vault: DeviceVault | None, flow: Flow, event: Event
    ) -> Generator[Want, Any, Device | None]:
        if vault is None:
            return None
        names = [flow.challenge.username] if flow.challenge else []
        typed = event.username if isinstance(event, (SubmitPassword, SubmitUsername)) else None
        names.append(typed or flow.username)
        for name in names:
            device: Device | None = yield Find(vault, name)
            if device:
                return device
        return None

    def _held_back(self, flow_id: FlowId, flow: Flow, event: Event, reason: str) -> Tell:
        return Tell(
            Transition(
                flow=flow_id.key[:12],
                source=flow.state,
                target=flow.state,
                cause=event.type,
                version=flow.version,
                at=self._clock.now(),
                message=None,
                detail="",
                held_back=reason,
            )
        )

    # ── the budget of codes ──

    def _accounts(self, flow: Flow, event: Event, source: str | None) -> tuple[Account, ...]:
        """Whose budgets have to allow an event.

        A first factor is not held against the user's: the refusal would tell a stranger that there
        is such a user.
        """
        if not self._budget:
            return ()
        user = flow.challenge.username if flow.challenge else ""
        if isinstance(event, SubmitUsername):
            user = event.username
        return self._budget.accounts(user=user, source=source)

    def _remains(self, accounts: Iterable[Account]) -> Generator[Want, Any, bool]:
        now = self._clock.now()
        for account in accounts:
            if not account.remains((yield Load(account.key)), now):
                return False
        return True

    def _charge(
        self, flow: Flow, outcome: Outcome, source: str | None
    ) -> Generator[Want, Any, None]:
        """Put a code that went out, or may have, on the accounts."""
        delivered = getattr(flow.challenge, "delivery", None) or isinstance(outcome, OutcomeUnknown)
        if not (self._budget and delivered):
            return
        user = flow.challenge.username if flow.challenge else flow.username
        now = self._clock.now()
        for account in self._budget.accounts(user=user, source=source):
            for _ in range(_CHARGE_TRIES):
                row: StoredFlow | None = yield Load(account.key)
                expected = row.version if row else 0
                if (yield Swap(account.key, expected, account.charged(row, now))):
                    break

    def _current(self, flow_id: FlowId) -> Generator[Want, Any, Flow]:
        """The flow as it is now: loaded, and led on where its time has passed."""
        while True:
            row: StoredFlow | None = yield Load(flow_id.key)
            now = self._clock.now()
            if row is None:
                age = now - flow_id.issued_at
                if not -CLOCK_SKEW <= age < self._lifetime:
                    return EXPIRED
                # It was never saved, or its row was lost with all others since. Were it taken for a
                # new one then, a second click could send a second code.
                since: float = yield Since()
                return self._unsaved if flow_id.issued_at + _BIRTH >= since else EXPIRED
            if row.expires_at <= now:
                return EXPIRED
            flow = flow_id.unseal(row.sealed, row.version, self._keys)
            if not is_due(flow, now):
                return flow
            later = advance(flow, TIME_PASSED, now=now)
            if (yield from self._save(flow_id, flow, later, TIME_PASSED.machine_event)):
                return later

    def _resting(self, flow_id: FlowId) -> Generator[Want, Any, Flow]:
        """The flow once nothing is in flight, or as it is when patience ends."""
        until = self._clock.now() + self._patience
        pause = 0.01
        while True:
            flow = yield from self._current(flow_id)
            if not flow.is_in_flight or self._clock.now() >= until:
                return flow
            yield Pause(pause)
            pause = min(pause * 1.5, 0.25)

    def _save(
        self, flow_id: FlowId, before: Flow, after: Flow, cause: str, outcome: Outcome | None = None
    ) -> Generator[Want, Any, bool]:
        # What came of a call may be lost: the flow is found in flight then, and leads on from there.
        # What is written ahead may not, nor what a person said that no call came of.
        lasting = after.is_in_flight or not before.is_in_flight
        sealed = flow_id.seal(after, self._keys)
        row = StoredFlow(after.version, sealed, after.saved_at + self._lifetime, lasting)
        saved: bool = yield Swap(flow_id.key, before.version, row)
        if saved:
            yield Tell(
                Transition(
                    flow=flow_id.key[:12],
                    source=before.state,
                    target=after.state,
                    cause=cause,
                    version=after.version,
                    at=after.saved_at,
                    message=after.message,
                    detail=getattr(outcome, "detail", ""),
                    delivered=_delivered(outcome),
                )
            )
        return saved

    # ── what a shell does with a want ──

    def _until_pause(self, script: Generator[Want, Any, Step]) -> Step | Pause:
        """Go on until there is a step, or nothing to do but wait, for which no thread is held."""
        came: Any = None
        while True:
            try:
                want = script.send(came)
            except StopIteration as end:
                step: Step = end.value
                return step
            if isinstance(want, Pause):
                return want
            came = self._do(want)

    def _do(self, want: Want) -> Any:
        match want:
            case Load():
                return self._store.load(want.key)
            case Since():
                return self._store.since()
            case Swap():
                return self._store.swap(want.key, want.expected, want.row)
            case Make():
                return self._make(want.call)
            case Keep():
                return want.keeper.keep(want.tokens)
            case Find() | Put():
                return self._ask_vault(want)
            case Tell():
                return self._tell(want.transition._replace(request=_request.get()))
            case Pause():
                return self._clock.sleep(want.seconds)

    def _make(self, call: Call) -> Outcome:
        try:
            outcome = self._transport.make(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request may have left
            # Only the type: the exception may quote the request.
            self._log.error("transport raised", error=type(error).__name__)
            return OutcomeUnknown(detail=f"transport raised {type(error).__name__}")
        if not isinstance(outcome, type_of_outcome):
            self._log.error("transport returned no outcome", got=type(outcome).__name__)
            return OutcomeUnknown(detail="transport returned no outcome")
        return outcome

    def _ask_vault(self, want: Find | Put) -> Device | None:
        try:
            if isinstance(want, Find):
                return want.vault.find(want.name)
            (want.vault.keep if want.keep else want.vault.drop)(want.device)
        except Exception as error:  # noqa: BLE001 - a sign-in never fails for its vault
            self._log.error("device vault failed", error=type(error).__name__)
        return None

    def _tell(self, transition: Transition) -> None:
        for listener in self._listeners:
            try:
                listener(transition)
            except Exception as error:  # noqa: BLE001 - a listener never stops a sign-in
                self._log.error("listener raised", error=type(error).__name__)


def _delivered(outcome: Outcome | None) -> str:
    """The medium of the code that Cognito sent with an outcome."""
    challenge = outcome.challenge if isinstance(outcome, ChallengeIssued) else None
    delivery: Delivery | None = getattr(challenge, "delivery", None)
    return delivery.medium if delivery else ""


def _password_in(event: Event) -> SecretStr | None:
    """The first factor that an event brings, good for one more use while the event is at work."""
    match event:
        case SubmitPassword():
            return event.password
        case SubmitNewPassword() | ResetPassword():
            return event.new_password
    return None


def _answer_in(event: Event) -> tuple[str, ...]:
    """What an event answers a challenge with: two events of one answer are the same try."""
    match event:
        case SubmitCode():
            return (event.code.get_secret_value(),)
        case SubmitPasskey():
            return (event.credential.get_secret_value(),)
        case SubmitAnswer():
            return (event.answer.get_secret_value(),)
        case SubmitNewPassword():
            return (event.new_password.get_secret_value(),)
        case ResetPassword():
            return (event.code.get_secret_value(), event.new_password.get_secret_value())
    return ()


def _with_offered_tokens(carried: Carried, flow: Flow) -> Carried:
    """Take up the tokens that waited with the flow for the user's answer about the device."""
    offer = flow.challenge
    assert isinstance(offer, DeviceOffer)
    waiting = {
        name: secret.get_secret_value()
        for name in ("access_token", "id_token", "refresh_token")
        if (secret := getattr(offer, name))
    }
    tokens = Tokens(**waiting, expires_in=offer.expires_in, device_key=offer.device_key)
    return carried.model_copy(update={"tokens": tokens})


def _is_of_no_use(flow: Flow, outcome: Outcome) -> bool:
    """Whether Cognito has said that it does not know the device, or does not believe it."""
    return isinstance(outcome, Rejected) and (
        outcome.refusal is Refusal.DEVICE_FORGOTTEN or flow.state is FlowState.CHECKING_DEVICE
    )


_request: ContextVar[str] = ContextVar("oncegate request", default="")


@contextmanager
def request_id(name: str) -> Iterator[None]:
    """Give whatever happens within the name of the host's request, for listeners and the audit trail.

    Args:
        name: such as an X-Request-ID. It follows the context into threads that asyncio starts.
    """
    token = _request.set(name)
    try:
        yield
    finally:
        _request.reset(token)


class SignIn(_Driver):
    """Signs users in, one flow each. Safe to share between threads.

    Example:
        >>> step = sign_in.start()
        >>> step = sign_in.send(step.flow_id, SubmitPassword(username="ana", password="…"))
        >>> step.state
        <FlowState.AWAITING_MFA: 'awaiting_mfa'>
    """

    def start(self) -> Step:
        """Begin a flow. Nothing is stored and nothing is sent until its first event."""
        return self._starting()

    def get(self, flow_id: str) -> Step:
        """The current step of a flow. Never calls Cognito.

        Raises:
            InvalidInput: that is no flow id.
            RecordUnreadable: the stored record is corrupt or foreign.
            StoreUnavailable: the store did not answer.
        """
        return self._run(self._getting(flow_id))

    def send(
        self,
        flow_id: str,
        event: Event,
        *,
        version: int | None = None,
        vault: DeviceVault | None = None,
        source: str | None = None,
    ) -> Step:
        """Send an event to a flow.

        Args:
            flow_id: of the step that the event answers.
            event: what the person said.
            version: of the step that the event answers. Given, a late or doubled event is told from
                a new one for certain; without it, an event counts as answering the current step.
            vault: of the user agent that the event comes from; the driver's own where None.
            source: address that the event comes from, for its budget of codes.

        Returns:
            The step after it. Where the event was stale, doubled or not allowed, that is the
            current step, with the `reason`; nothing was sent.

        Raises:
            InvalidInput: that is no flow id, or no event.
            RecordUnreadable: the stored record is corrupt or foreign.
            StoreUnavailable: the store did not answer. If a call had left, the flow leads on by
                itself when the lease is over; it is not made again.
        """
        return self._run(self._sending(flow_id, event, version, vault, source))

    def _run(self, script: Generator[Want, Any, Step]) -> Step:
        while isinstance(came := self._until_pause(script), Pause):
            self._do(came)
        return came


class AsyncSignIn(_Driver):
    """`SignIn` for asyncio: the store and the transport run on threads, so the loop is not blocked."""

    @cached_property
    def _threads(self) -> Executor:
        # Here, because most programs that import oncegate have no use for it.
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(THREADS, thread_name_prefix="oncegate")

    async def start(self) -> Step:
        """See `SignIn.start`."""
        return self._starting()

    async def get(self, flow_id: str) -> Step:
        """See `SignIn.get`."""
        return await self._run(self._getting(flow_id))

    async def send(
        self,
        flow_id: str,
        event: Event,
        *,
        version: int | None = None,
        vault: DeviceVault | None = None,
        source: str | None = None,
    ) -> Step:
        """See `SignIn.send`."""
        return await self._run(self._sending(flow_id, event, version, vault, source))

    async def _run(self, script: Generator[Want, Any, Step]) -> Step:
        import asyncio  # it takes a tenth of the time that importing oncegate takes

        loop = asyncio.get_running_loop()
        while True:
            here = copy_context()  # so that `request_id` reaches the listeners
            came = await loop.run_in_executor(self._threads, here.run, self._until_pause, script)
            if not isinstance(came, Pause):
                return came
            await asyncio.sleep(came.seconds)
