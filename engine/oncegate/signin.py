"""The driver: write ahead, call once, record.

What the driver does with a flow is written once, as a generator that yields what it needs done
(`Load`, `Swap`, `Make`, …) and is sent what came of it. `SignIn` does those things in place;
`AsyncSignIn` does them on threads. Neither decides anything: the machine does.

The order is the promise. An event is offered to the machine; the in-flight state it leads to is
saved by compare-and-swap; only who wins the swap makes the call, once; the outcome is offered and
saved. A worker that dies in between leaves an in-flight flow, which `time_passed` leads back to
`idle` when the lease is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, get_args

from oncegate.calls import Call, call_for
from oncegate.errors import InvalidInput
from oncegate.events import Event, SubmitCode
from oncegate.flow import Flow
from oncegate.log import LogListener, logger
from oncegate.machine import CLOCK_SKEW, EXPIRED, TIME_PASSED, NotAllowed, advance, is_due
from oncegate.outcomes import NotSent, Outcome, OutcomeUnknown, Tokens, TokensIssued
from oncegate.ports import (
    Clock,
    FlowStore,
    Listener,
    SessionKeeper,
    StoredFlow,
    SystemClock,
    Transition,
    Transport,
)
from oncegate.seal import FlowId
from oncegate.step import Step, step_of

LEASE_MARGIN = 10.0
"""Seconds a worker has beyond its longest call: to set out after the save, and to save again."""


@dataclass(frozen=True, slots=True)
class Load:
    """Load a row; answered with a `StoredFlow` or None."""

    key: str


@dataclass(frozen=True, slots=True)
class Swap:
    """Save a row if the expected version is there; answered with whether it was."""

    key: str
    expected: int
    row: StoredFlow


@dataclass(frozen=True, slots=True)
class Make:
    """Make a call, once; answered with its outcome."""

    call: Call


@dataclass(frozen=True, slots=True)
class Keep:
    """Give the tokens to the host's session keeper; answered with the session's name."""

    tokens: Tokens
    keeper: SessionKeeper


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the listeners; answered with nothing."""

    transition: Transition


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait; answered with nothing."""

    seconds: float


Want = Load | Swap | Make | Keep | Tell | Pause
type_of_event: tuple[type, ...] = get_args(Event)
type_of_outcome: tuple[type, ...] = get_args(Outcome)


class _Driver:
    """What both shells share: the ports, and the scripts that say what is to be done."""

    def __init__(
        self,
        *,
        transport: Transport,
        store: FlowStore,
        keeper: SessionKeeper | None = None,
        listeners: Iterable[Listener] | None = None,
        clock: Clock | None = None,
        lifetime: float = 3600.0,
        patience: float = 10.0,
    ) -> None:
        """Put a sign-in together.

        Args:
            transport: speaks to Cognito.
            store: keeps the flows; share it between workers.
            keeper: takes the tokens; where there is none, the last step hands them over.
            listeners: hear of every transition; one that logs where None is given.
            clock: the time; the machine's own where None is given.
            lifetime: seconds that a flow, and its row in the store, live after the last change.
            patience: seconds that a double click waits for the step of the first click.
        """
        self._transport = transport
        self._store = store
        self._keeper = keeper
        self._listeners = (LogListener(),) if listeners is None else tuple(listeners)
        self._clock = clock or SystemClock()
        self._lifetime = lifetime
        self._patience = patience
        self._lease = transport.longest_call + 2 * LEASE_MARGIN
        self._log = logger()

    # ── scripts: what is to be done, in which order ──

    def _starting(self) -> Step:
        return step_of(FlowId.new(self._clock.now()).text, Flow())

    def _getting(self, text: str) -> Generator[Want, Any, Step]:
        flow = yield from self._current(FlowId.parse(text))
        return step_of(text, flow)

    def _sending(self, text: str, event: Event, seen: int | None) -> Generator[Want, Any, Step]:
        if not isinstance(event, type_of_event):
            raise InvalidInput(f"{type(event).__name__} is not an event: see oncegate.events")
        flow_id = FlowId.parse(text)
        flow = yield from self._current(flow_id)
        code = event.code.get_secret_value() if isinstance(event, SubmitCode) else ""
        try:
            ahead = advance(
                flow,
                event,
                now=self._clock.now(),
                seen=seen,
                digest=flow_id.digest(str(flow.challenge_id), code),
                lease=self._lease,
            )
        except NotAllowed as no:
            if flow.is_in_flight:
                flow = yield from self._resting(flow_id)
            return step_of(text, flow, reason=no.reason)
        if not (yield from self._save(flow_id, flow, ahead, event.type)):
            # Somebody else's event was first. It is theirs to call; their step is the answer.
            flow = yield from self._resting(flow_id)
            return step_of(text, flow, reason="stale")
        if not ahead.is_in_flight:
            return step_of(text, ahead)

        outcome: Outcome
        if self._clock.now() <= ahead.saved_at + LEASE_MARGIN:
            outcome = yield Make(call_for(event, flow.challenge))
        else:
            # This worker was stalled since it saved. A call now could outlast its lease, and meet
            # the call of somebody who has taken it for dead.
            outcome = NotSent(cause="stalled")
        tokens = outcome.tokens if isinstance(outcome, TokensIssued) else None
        if isinstance(outcome, TokensIssued) and self._keeper:
            name = yield Keep(outcome.tokens, self._keeper)
            outcome, tokens = outcome.model_copy(update={"session_name": name}), None
        after = advance(ahead, outcome, now=self._clock.now())
        if not (yield from self._save(flow_id, ahead, after, outcome.type, outcome)):
            # The lease ran out before this worker was done, and the flow has gone on without it.
            flow = yield from self._current(flow_id)
            return step_of(text, flow, reason="stale")
        return step_of(text, after, tokens=tokens)

    def _current(self, flow_id: FlowId) -> Generator[Want, Any, Flow]:
        """The flow as it is now: loaded, and led on where its time has passed."""
        while True:
            row: StoredFlow | None = yield Load(flow_id.key)
            now = self._clock.now()
            if row is None:
                age = now - flow_id.issued_at
                return Flow() if -CLOCK_SKEW <= age < self._lifetime else EXPIRED
            if row.expires_at <= now:
                return EXPIRED
            flow = flow_id.unseal(row.sealed, row.version)
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
        row = StoredFlow(after.version, flow_id.seal(after), after.saved_at + self._lifetime)
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
                )
            )
        return saved

    # ── what a shell does with a want ──

    def _do(self, want: Want) -> Any:
        match want:
            case Load():
                return self._store.load(want.key)
            case Swap():
                return self._store.swap(want.key, want.expected, want.row)
            case Make():
                return self._make(want.call)
            case Keep():
                return want.keeper.keep(want.tokens)
            case Tell():
                return self._tell(want.transition)
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

    def _tell(self, transition: Transition) -> None:
        for listener in self._listeners:
            try:
                listener(transition)
            except Exception as error:  # noqa: BLE001 - a listener never stops a sign-in
                self._log.error("listener raised", error=type(error).__name__)


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

    def send(self, flow_id: str, event: Event, *, version: int | None = None) -> Step:
        """Send an event to a flow.

        Args:
            flow_id: of the step that the event answers.
            event: what the person said.
            version: of the step that the event answers. Given, a late or doubled event is told from
                a new one for certain; without it, an event counts as answering the current step.

        Returns:
            The step after it. Where the event was stale, doubled or not allowed, that is the
            current step, with the `reason`; nothing was sent.

        Raises:
            InvalidInput: that is no flow id, or no event.
            RecordUnreadable: the stored record is corrupt or foreign.
            StoreUnavailable: the store did not answer. If a call had left, the flow leads on by
                itself when the lease is over; it is not made again.
        """
        return self._run(self._sending(flow_id, event, version))

    def _run(self, script: Generator[Want, Any, Step]) -> Step:
        came: Any = None
        while True:
            try:
                want = script.send(came)
            except StopIteration as end:
                step: Step = end.value
                return step
            came = self._do(want)


class AsyncSignIn(_Driver):
    """`SignIn` for asyncio: the store and the transport run on threads, so the loop is not blocked."""

    async def start(self) -> Step:
        """See `SignIn.start`."""
        return self._starting()

    async def get(self, flow_id: str) -> Step:
        """See `SignIn.get`."""
        return await self._run(self._getting(flow_id))

    async def send(self, flow_id: str, event: Event, *, version: int | None = None) -> Step:
        """See `SignIn.send`."""
        return await self._run(self._sending(flow_id, event, version))

    async def _run(self, script: Generator[Want, Any, Step]) -> Step:
        came: Any = None
        while True:
            try:
                want = script.send(came)
            except StopIteration as end:
                step: Step = end.value
                return step
            if isinstance(want, Pause):
                await asyncio.sleep(want.seconds)
                came = None
            else:
                came = await asyncio.to_thread(self._do, want)
