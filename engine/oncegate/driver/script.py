"""The script: what the driver does, in which order, as one generator.

The order keeps the promise: save the in-flight state, call once, save the outcome. An event is applied
to the machine; the in-flight state that it leads to is saved by compare-and-swap; only the worker that
wins the swap makes the call; the outcome is applied and saved. A worker that dies in between leaves an
in-flight flow, which `time_passed` returns to `idle` when its lease expires. Some outcomes lead
straight to another call: the same order holds for each.

The generator yields effects (`oncegate.driver.effects`) and is sent their results. It decides nothing
about transitions: the machine does.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import Any, TypeGuard, get_args

from oncegate._log import logger
from oncegate._metrics import EPOCH_CHANGED
from oncegate._ports import check_ports, checked_listeners
from oncegate._seal import FlowId, SealingKeys
from oncegate._settings import check_count, check_flag, check_seconds
from oncegate._watched import STORE_FAILURES
from oncegate.budget import (
    DEFAULT_BUDGET,
    DEFAULT_GUESS_LIMIT,
    CodeBudget,
    GuessLimit,
    check_limits,
)
from oncegate.challenges import (
    ACCOUNT_EVENT_TYPES,
    EVENT_TYPES,
    NAMING_EVENTS,
    AnyEvent,
    Call,
    ChooseFactor,
    FactorChoice,
    InMemory,
    SignedIn,
    UnknownChallenge,
    call_for,
)
from oncegate.context import RequestContext, StepRef
from oncegate.devices import Device
from oncegate.driver._limits import Adjustment, Limits, Permit, Plan, Reserved
from oncegate.driver._received import Received, Rows
from oncegate.driver._worker import is_gone, this_worker
from oncegate.driver.effects import (
    CallTransport,
    CreateSession,
    Effect,
    FindDevice,
    GetEpoch,
    Load,
    Notify,
    Performer,
    Sleep,
    StoreDevice,
    Swap,
)
from oncegate.errors import InvalidInput, Misconfigured, OncegateError
from oncegate.machine.advance import NotAllowed, advance
from oncegate.machine.context import TIME_PASSED, GuardInputs, Policy
from oncegate.machine.guards import CLOCK_SKEW, is_due
from oncegate.outcomes import (
    ChallengeIssued,
    DeviceRegistered,
    DeviceRemembered,
    NotSent,
    Outcome,
    OutcomeUnknown,
    TokensIssued,
)
from oncegate.password_policy import PasswordPolicy
from oncegate.ports import (
    Change,
    Clock,
    DeviceVault,
    Listener,
    RecordStore,
    SessionKeeper,
    StoreClock,
    StoredRecord,
    Transition,
    Transport,
)
from oncegate.record import NEW_CODES_PER_FLOW, SCHEMA, Flow, SchemaNumber
from oncegate.states import FlowState
from oncegate.step import Step, step_of

START_WITHIN = 5.0
"""Seconds after a save within which a worker must start the call. Later, it makes none."""

SAVE_WITHIN = 10.0
"""Seconds within which the outcome of a call is saved, again and again if the store does not answer."""

REPEAT_WITHIN = 0.5
"""Seconds within which any other save is repeated: long enough for a connection that was dropped."""

EXPIRED = Flow.model_construct(state=FlowState.FAILED, message="flow_expired")
"""Stands for a flow whose record has expired or is missing. It is never stored."""

_UNREACHABLE = NotSent(cause="unreachable", detail="the store did not answer")

Script = Generator[Effect, Any, Step]


@cache
def _build_models() -> None:
    """Build deferred models once, before the first request."""
    models = (
        *(Flow, Step, SignedIn),
        *(*get_args(Call), *EVENT_TYPES, *ACCOUNT_EVENT_TYPES, *get_args(Outcome)),
    )
    for model in models:
        model.model_rebuild()


class Driver:
    """What `SignIn` and `AsyncSignIn` share: the settings, the script, and what performs its effects."""

    _event_types: tuple[type[AnyEvent], ...] = EVENT_TYPES
    _events = "Event"

    def __init__(
        self,
        *,
        transport: Transport,
        store: RecordStore,
        keeper: SessionKeeper | None = None,
        vault: DeviceVault | None = None,
        listeners: Iterable[Listener] | None = None,
        clock: Clock | None = None,
        lifetime: float = 3600.0,
        patience: float = 10.0,
        lease: float | None = None,
        retain_password: bool = False,
        show_trigger_words: bool = False,
        reveal_existing_users: bool = False,
        password_policy: PasswordPolicy | None = None,
        new_code_cooldown: float = 30.0,
        new_codes_per_flow: int = NEW_CODES_PER_FLOW,
        budget: CodeBudget | None = DEFAULT_BUDGET,
        guess_limit: GuessLimit | None = DEFAULT_GUESS_LIMIT,
        keys: SealingKeys | None = None,
        record_schema: SchemaNumber = SCHEMA,
    ) -> None:
        """Configure a sign-in.

        Args:
            transport: performs the calls to Cognito.
            store: stores the flows; share it between workers.
            keeper: takes the tokens. None: the last step hands them over.
            vault: stores the devices of this program's user. A web application passes each browser's
                in `RequestContext.device_vault`. None: no device is remembered.
            listeners: called with every transition. None: one that logs.
            clock: tells the time. None: the store's, by which all workers compare times.
            lifetime: seconds that a flow, and its row in the store, live after the last change.
            patience: seconds that a repeated event waits for the step of the first one.
            lease: seconds after which a call counts as orphaned. None: what the transport's longest
                call needs.
            retain_password: retain the password, sealed in the flow and for no longer than the
                challenge lives, so that a new code takes one click. Otherwise the user enters it again.
            show_trigger_words: show users what the pool's own Lambda triggers say when they refuse, as
                the message's detail. Switch it on only if your triggers are written for users.
            reveal_existing_users: tell users who sign up that a name is taken. Any caller can then find
                out who has an account. Otherwise they are told to expect a code, which does not arrive.
            password_policy: the pool's policy, whose rules users read before they choose a password. It
                is not enforced: Cognito decides. None: no rules are shown.
            new_code_cooldown: seconds between a code and the earliest request for the next.
            new_codes_per_flow: number of new codes that one flow may request.
            budget: limits of codes for one user and one source over all flows; None for no limit.
            guess_limit: limits of consecutive wrong codes of one user over all flows; None for no
                limit.
            keys: the application's, to seal records in addition to each flow's own key; the same in
                every worker.
            record_schema: schema of the records that are written; 1 while workers of 0.1 still read
                them.

        Raises:
            Misconfigured: an argument is not what it has to be; the message says which, and what.
        """
        check_ports(transport, store, keeper=keeper, vault=vault, clock=clock)
        listeners = checked_listeners(listeners)
        check_seconds("lifetime", lifetime)
        check_seconds("patience", patience, or_none_at_all=True)
        check_seconds("new_code_cooldown", new_code_cooldown, or_none_at_all=True)
        check_count("new_codes_per_flow", new_codes_per_flow)
        check_flag("retain_password", retain_password)
        check_flag("show_trigger_words", show_trigger_words)
        check_flag("reveal_existing_users", reveal_existing_users)
        check_limits(budget, guess_limit)
        if record_schema not in get_args(SchemaNumber):
            raise Misconfigured("record_schema must be 1 or 2")
        if record_schema == 1 and (transport.ways_in.sign_up or transport.ways_in.providers):
            raise Misconfigured(
                "record_schema=1: workers of 0.1 do not know sign-up and identity providers; offer them "
                "once all workers write record_schema=2"
            )
        if not isinstance(keys, SealingKeys | None):
            # Such as "", which would silently be no key.
            raise Misconfigured("keys must be SealingKeys, or None for none")
        if not isinstance(password_policy, PasswordPolicy | None):
            raise Misconfigured("password_policy must be a PasswordPolicy, or None for no rules")
        shortest = transport.max_call_seconds + START_WITHIN
        if lease is not None:
            check_seconds("lease", lease)
        if lease is not None and lease < shortest:
            raise Misconfigured(f"lease must be at least {shortest:g} s: a call can take that long")
        _build_models()
        self._clock = clock or StoreClock(store)
        self._max_call_seconds = transport.max_call_seconds
        self._performer = Performer(transport, store, keeper, listeners, self._clock)
        self._has_keeper = keeper is not None
        self._vault = vault
        self._lifetime = lifetime
        self._patience = patience
        as_in_0_1 = record_schema == 1
        self._keys = keys and keys.bound_to(transport.app_id, as_in_0_1=as_in_0_1)
        self._schema = record_schema
        self._reported_epochs: set[str] = set()
        self._has_warned_of_vault = False
        # Without a key, rows are found under a plain digest, and are not sealed.
        self._row_keys = self._keys or SealingKeys(None).bound_to(transport.app_id)
        self._limits = Limits(
            budget,
            guess_limit,
            self._row_keys,
            self._clock,
            reveals_existing_users=reveal_existing_users,
        )
        self._policy = Policy(
            lease=shortest + SAVE_WITHIN if lease is None else lease,
            cooldown=new_code_cooldown,
            retain_password=retain_password,
            show_trigger_words=show_trigger_words,
            reveal_existing_users=reveal_existing_users,
            ways_in=transport.ways_in,
        )
        self._step = partial(step_of, password_policy=password_policy, ways_in=transport.ways_in)
        self._unsaved = Flow(
            is_passwordless=transport.is_passwordless, new_codes_left=new_codes_per_flow
        )

    @property
    def lease(self) -> float:
        """Seconds after which a call counts as orphaned."""
        return self._policy.lease

    @cached_property
    def _first_step(self) -> Step:
        return self._step("", self._unsaved)

    # ── the script ──

    def starting(self) -> Step:
        """Return the first step of a new flow. Nothing is stored."""
        # Workers of 0.1 do not know epochs.
        epoch_of = None if self._schema == 1 else self._epoch_of
        flow_id = FlowId.new(self._clock.now(), self._keys, epoch_of)
        # Nothing else differs between new flows: building a step takes as long as sealing three rows.
        return self._first_step.model_copy(update={"flow_id": flow_id.text})

    def _epoch_of(self, key: str) -> str:
        epoch: str = self.perform(GetEpoch(key))
        return epoch

    def getting(self, flow_id: str, patience: float = 0.0) -> Script:
        """The script of `SignIn.get`."""
        parsed = FlowId.parse(flow_id, self._keys)
        flow = yield from self._at_rest(parsed, RequestContext(patience=patience))
        return self._step(parsed.text, flow)

    def sending(
        self, step: Step | StepRef, event: AnyEvent, context: RequestContext | None = None
    ) -> Script:
        """The script of `SignIn.send`."""
        result: Step = yield from self._handling(self._received(step, event, context))
        return _with_held(step, result)

    def _received(
        self, step: Step | StepRef, event: AnyEvent, context: RequestContext | None
    ) -> Received:
        """Return an event for a step, with what belongs to it.

        Raises:
            InvalidInput: one of the arguments is not what it has to be.
        """
        if not isinstance(event, self._event_types):
            raise InvalidInput(
                f"{type(event).__name__} is not an event: see oncegate.{self._events}"
            )
        if not isinstance(step, (Step, StepRef)) or not _is_version(step.version):
            raise InvalidInput("pass the step that the event answers, or StepRef(flow_id, version)")
        if not isinstance(context, RequestContext | None):
            raise InvalidInput("context must be a RequestContext")
        context = context or RequestContext()
        return Received(
            flow_id=FlowId.parse(step.flow_id, self._keys),
            version=step.version,
            event=event,
            context=context,
            vault=self._vault if context.device_vault is None else context.device_vault,
            rows=Rows(),
        )

    def _handling(self, received: Received) -> Script:
        """Apply an event, and make the calls that it leads to."""
        flow_id, keys = received.flow_id, self._limits.keys_for(received)
        if received.version == 0 and not keys and self._can_be_new(flow_id, self._clock.now()):
            # A flow that can be new is not loaded, unless other rows are: its first save tells what a
            # load would, whether there is such a row, and whether the store has lost any.
            step: Step | None = yield from self._applying(received, self._unsaved, is_loaded=False)
            if step is not None:
                return step
            received = received._replace(rows=Rows())
        flow = yield from self._current(flow_id, keys, received.rows)
        step = yield from self._applying(received, flow)
        assert step is not None
        return step

    def _applying(
        self, received: Received, flow: Flow, *, is_loaded: bool = True
    ) -> Generator[Effect, Any, Step | None]:
        """Apply an event to a flow, and make the calls that it leads to.

        Args:
            received: the event.
            flow: the flow's record.
            is_loaded: whether it was loaded. Otherwise it is taken to be new, and if that does not go
                well, nothing is done and None is returned.
        """
        flow_id, event, context = received.flow_id, received.event, received.context
        flow = self._claimed(flow, context)
        device = yield from self._find_device(received, flow)
        codes_remain, is_known = yield from self._limits.codes_remain(flow, received)
        memory = InMemory(
            event=event,
            password=event.first_factor,
            device=device,
            budget_remains=codes_remain,
            guesses_remain=(yield from self._limits.guesses_remain(flow, received)),
            offer_is_due=self._limits.offer_is_due(received),
            from_known_browser=is_known,
            signed_in=context.signed_in,
            worker=this_worker(),
        )
        ahead, reason = None, ""
        try:
            ahead = advance(
                flow,
                event,
                now=self._clock.now(),
                expected_version=received.version,
                digest=_digest_of(flow_id, flow, event),
                policy=self._policy,
                inputs=self._inputs(received, memory),
            )
        except NotAllowed as no:
            reason = no.reason
        if not is_loaded and not (ahead and ahead.is_in_flight):
            return None
        if ahead is None:
            return (yield from self._suppress(received, flow, reason))
        if flow.version == 0 and not ahead.is_in_flight:
            # Nothing was stored and nothing is called: a made-up flow must not cost the store a row.
            return self._step(flow_id.text, ahead)
        plan = Plan()
        if ahead.is_in_flight:
            plan = yield from self._limits.plan(ahead, call_for(ahead, memory), received.rows)
        changes = plan.changes(received.rows)
        saved, *charged = yield from self._save(
            flow_id, flow, ahead, event.type, received, changes, detail=event.detail
        )
        if saved:
            plan = plan._replace(saved=tuple(charged))
            return (yield from self._calling(received, ahead, memory, plan))
        if not is_loaded:
            return None
        # Another event was saved first: its worker makes the call, and its step is the result.
        flow = yield from self._current(flow_id)
        return (yield from self._suppress(received, flow, "stale"))

    def _claimed(self, flow: Flow, context: RequestContext) -> Flow:  # noqa: ARG002 - of accounts
        """Return a flow as the event's user has it: a new one has to know whose account it is about."""
        return flow

    def _suppress(self, received: Received, flow: Flow, reason: str) -> Script:
        """Report an event that changed nothing, and return the step once no call is under way.

        If it repeats the accepted answer, the step hands the session over.
        """
        flow_id, event = received.flow_id, received.event
        yield Notify(_suppressed(received, flow, self._clock.now(), reason))
        if flow.is_in_flight:
            flow = yield from self._at_rest(flow_id, received.context)
        digest = flow_id.digest("accepted", *event.answered_with)
        while _can_be_handed_over(flow, event):
            is_same = hmac.compare_digest(digest, flow.accepted_digest or "")
            # Each comparison is saved before its result is used, so that parallel guesses count.
            tried = _with_one_handover_less(flow, self._clock.now())
            if (yield from self._swap(flow_id, flow, tried, durable=True))[0]:
                if is_same:
                    return self._step(flow_id.text, tried, reason=reason, hands_over=True)
                return self._step(flow_id.text, tried, reason="not_the_same_answer")
            flow = yield from self._current(flow_id)
        return self._step(flow_id.text, flow, reason=reason)

    def _calling(
        self, received: Received, flow: Flow, memory: InMemory, plan: Plan | None
    ) -> Script:
        """Make the call of an in-flight flow, and any that its outcome leads to.

        Args:
            received: the event.
            flow: the flow's record, in flight.
            memory: what is not stored.
            plan: charges of the first call.
        """
        flow_id, rows, hands_over = received.flow_id, received.rows, False
        while flow.is_in_flight:
            call = call_for(flow, memory)
            outcome, reserved = yield from self._call(received, flow, call, plan)
            plan = None  # a call that follows has charges of its own
            outcome, memory = yield from self._store_results(received, flow, outcome, memory)
            hands_over = hands_over or isinstance(outcome, TokensIssued)
            settling = [
                *self._limits.settle(reserved, flow, outcome, received),
                *self._noted(flow, call, outcome),
            ]
            if flow.preselected_factor and _is_choice(outcome):
                # The junction may request a code right away, for a user who is known only now. Nothing
                # has been sent yet.
                yield from self._limits.adjust(settling, rows)
                settling = []
                remains = yield from self._preselected_remains(received, flow, outcome)
                memory = memory._replace(budget_remains=remains)
            try:
                after = self._after(received, flow, outcome, memory)
            except NotAllowed:
                # The transport answered what this call cannot be answered with.
                outcome = OutcomeUnknown(detail=f"unexpected outcome {outcome.type}")
                after = self._after(received, flow, outcome, memory)
            memory = yield from self._remove_rejected_device(received, flow, after, memory)
            changes = [rows.change(*adjustment) for adjustment in settling]
            saved, *settled = yield from self._save(
                flow_id, flow, after, outcome.type, received, changes, outcome
            )
            yield from self._limits.adjust(_unsaved(settling, settled), rows)
            if not saved:
                # The lease expired before this worker was done, and the flow went on without it.
                flow = yield from self._current(flow_id)
                return self._step(flow_id.text, flow, reason="stale")
            flow = after
        tokens = None if self._has_keeper else memory.tokens
        return self._step(flow_id.text, flow, tokens=tokens, hands_over=hands_over)

    def _noted(self, flow: Flow, call: Call, outcome: Outcome) -> Iterable[Adjustment]:  # noqa: ARG002
        """Return what else a call changes in the store: to be saved with its outcome."""
        return ()

    def _call(
        self, received: Received, flow: Flow, call: Call, plan: Plan | None
    ) -> Generator[Effect, Any, tuple[Outcome, Reserved]]:
        """Charge what a call may use up, and make it; return what was charged.

        Args:
            received: the event.
            flow: the flow's record, in flight.
            call: the call.
            plan: its charges; None if there is no plan yet.
        """
        reserved, refused = yield from self._limits.take(plan, flow, call, received.rows)
        if refused:
            is_unreachable = refused == "unreachable"
            return (_UNREACHABLE if is_unreachable else NotSent(cause=refused)), reserved
        # Read first: if the worker stalls between the two, the deadline is too early, not too late.
        local = time.time()
        now = self._clock.now()
        if not _may_start(flow, now):
            # This worker stalled after saving; its call could overlap with another worker's.
            return NotSent(cause="stalled"), reserved
        ends = flow.saved_at + START_WITHIN + self._max_call_seconds
        permit = Permit(self._limits, flow, reserved, received.rows, self.perform)
        bounded = replace(received.context, may_send=permit, deadline=local + ends - now)
        outcome: Outcome = yield CallTransport(call, bounded)
        if permit.has_failed and isinstance(outcome, NotSent):
            outcome = _UNREACHABLE
        return outcome, permit.reserved

    def _preselected_remains(
        self, received: Received, flow: Flow, outcome: ChallengeIssued
    ) -> Generator[Effect, Any, bool]:
        assert flow.preselected_factor is not None
        chosen = flow.model_copy(update={"challenge": outcome.challenge})
        choice = received._replace(event=ChooseFactor(factor=flow.preselected_factor))
        try:
            remains, _ = yield from self._limits.codes_remain(chosen, choice)
        except STORE_FAILURES:
            return False  # the user chooses, and by then the store may answer
        return remains

    def _after(self, received: Received, flow: Flow, outcome: Outcome, memory: InMemory) -> Flow:
        return advance(
            flow,
            outcome,
            # A clock that was set back must not shorten the row's life: it would look as if never saved.
            now=max(self._clock.now(), flow.saved_at),
            policy=self._policy,
            inputs=self._inputs(received, memory),
        )

    # ── results of calls ──

    def _store_results(
        self, received: Received, flow: Flow, outcome: Outcome, memory: InMemory
    ) -> Generator[Effect, Any, tuple[Outcome, InMemory]]:
        """Give tokens to the session keeper and devices to the vault, before the outcome is saved."""
        vault = received.vault
        if isinstance(outcome, TokensIssued):
            key = outcome.new_device.key if outcome.new_device else flow.device_key
            key = key or outcome.tokens.device_key  # of managed login
            if outcome.new_device and vault is None:
                self._warn_of_missing_vault()
            tokens = outcome.tokens.model_copy(update={"device_key": key})
            if self._has_keeper:
                session_id = yield from self._in_time(flow, CreateSession(tokens))
                outcome = outcome.model_copy(update={"session_id": session_id})
            return outcome, memory._replace(
                tokens=tokens,
                new_device=outcome.new_device,
                username=outcome.username or flow.username,
            )
        device = None
        if isinstance(outcome, DeviceRegistered):
            device = outcome.device.model_copy(update={"remembered": not outcome.ask_user})
        elif isinstance(outcome, DeviceRemembered) and memory.device:
            device = memory.device.model_copy(update={"remembered": True})
        if vault is not None and device:
            yield StoreDevice(vault, device, keep=True)
            memory = memory._replace(device=device)
        return outcome, memory

    def _warn_of_missing_vault(self) -> None:
        """Say once that these tokens cannot be renewed: their device is never confirmed.

        amplify-android#2506: Cognito then answers "Invalid Refresh Token".
        """
        if not self._has_warned_of_vault:
            self._has_warned_of_vault = True
            logger().warning(
                "no device vault",
                reason="the user pool tracks devices, and this device is not registered without a vault",
                effect="tokens cannot be renewed: sessions end with their first access token",
                cure="pass vault=, or turn device tracking off in the user pool",
            )

    def _remove_rejected_device(
        self, received: Received, before: Flow, after: Flow, memory: InMemory
    ) -> Generator[Effect, Any, InMemory]:
        """Remove the device from the vault if the machine removed it from the flow."""
        if after.device_key is not None or before.device_key is None or memory.device is None:
            return memory
        if received.vault is not None:
            yield StoreDevice(received.vault, memory.device, keep=False)
        return memory._replace(device=None)

    def _inputs(self, received: Received, memory: InMemory) -> GuardInputs:
        # It is recorded with tokens alone.
        answer = memory.event.answered_with if memory.tokens else ()
        return GuardInputs(
            device_key=memory.device.key if memory.device else None,
            has_vault=received.vault is not None,
            password=memory.password,
            budget_remains=memory.budget_remains,
            guesses_remain=memory.guesses_remain,
            offer_is_due=memory.offer_is_due,
            account_tag=self._limits.tag_of(received),
            from_known_browser=memory.from_known_browser,
            tokens=memory.tokens,
            answer_event=memory.event.type,
            answer_digest=received.flow_id.digest("accepted", *answer) if answer else "",
            worker=memory.worker,
            owner=memory.signed_in.sub if memory.signed_in else None,
            sign_in_is_recent=memory.signed_in is not None and memory.signed_in.is_recent,
        )

    def _find_device(self, received: Received, flow: Flow) -> Generator[Effect, Any, Device | None]:
        vault, event = received.vault, received.event
        if vault is None:
            return None
        names = [flow.challenge.username] if flow.challenge else []
        typed = event.username if isinstance(event, NAMING_EVENTS) else None
        names.append(typed or flow.username)
        for name in names:
            device: Device | None = yield FindDevice(vault, name)
            if device:
                return device
        return None

    # ── loading and saving ──

    def _current(
        self, flow_id: FlowId, keys: Sequence[str] = (), rows: Rows | None = None
    ) -> Generator[Effect, Any, Flow]:
        """Return the flow as it is now: loaded, and moved on if its deadline has passed.

        Args:
            flow_id: the flow.
            keys: keys of other rows to load with it.
            rows: what they, and those related to the flow, are added to.
        """
        while True:
            loaded: Mapping[str, StoredRecord] = yield Load((flow_id.key, *keys))
            row = loaded.get(flow_id.key)
            if rows is not None:
                rows.add(keys, loaded)
            epoch: str = yield GetEpoch(flow_id.key)
            now = self._clock.now()
            if flow_id.epoch not in {None, epoch}:
                # The flow may have been saved, and the row lost: going on could send a second code.
                yield from self._report_loss(flow_id, epoch, now)
                return EXPIRED
            if row is None:
                return self._unsaved if self._can_be_new(flow_id, now) else EXPIRED
            if row.expires_at <= now:
                return EXPIRED
            flow = flow_id.unseal(row.sealed, row.version, self._keys)
            if type(flow.state) is not type(self._unsaved.state):
                return EXPIRED  # a sign-in's given to an account, or the other way round
            gone = flow.is_in_flight and is_gone(flow.worker)
            if not (gone or is_due(flow, now)):
                return flow
            inputs = GuardInputs(worker_is_gone=gone)
            later = advance(flow, TIME_PASSED, now=now, policy=self._policy, inputs=inputs)
            saved = yield from self._save(flow_id, flow, later, TIME_PASSED.machine_event)
            if saved[0]:
                return later

    def _can_be_new(self, flow_id: FlowId, now: float) -> bool:
        """Whether a flow without a row is new, and not one whose row was deleted as expired."""
        # An ID without an epoch is of 0.1, or of a worker beside it.
        is_issued_so = flow_id.epoch is not None or self._schema == 1
        return is_issued_so and -CLOCK_SKEW <= now - flow_id.issued_at < self._lifetime

    def _report_loss(self, flow_id: FlowId, epoch: str, now: float) -> Generator[Effect, Any, None]:
        """Report a new epoch, once."""
        if epoch in self._reported_epochs:
            return
        self._reported_epochs.add(epoch)
        yield Notify(
            Transition(
                flow=flow_id.key[:12],
                source=EXPIRED.state,
                target=EXPIRED.state,
                cause=EPOCH_CHANGED,
                version=0,
                at=now,
                message=EXPIRED.message,
                detail="",
            )
        )
        logger().warning(
            "flows have ended: the store may have lost writes, or each worker has a store of its own",
            epoch=epoch,
            cure="after a restart or failover nothing; otherwise let all workers use one shared store",
        )

    def _at_rest(self, flow_id: FlowId, context: RequestContext) -> Generator[Effect, Any, Flow]:
        """Return the flow once no call is under way, or as it is when patience ends."""
        patience = self._patience if context.patience is None else context.patience
        until = self._clock.now() + patience
        pause = 0.01
        while True:
            flow = yield from self._current(flow_id)
            if not flow.is_in_flight or self._clock.now() >= until:
                return flow
            yield Sleep(pause)
            pause = min(pause * 1.5, 0.25)

    def _save(
        self,
        flow_id: FlowId,
        before: Flow,
        after: Flow,
        cause: str,
        received: Received | None = None,
        changes: Sequence[Change] = (),
        outcome: Outcome | None = None,
        detail: str = "",
    ) -> Generator[Effect, Any, Sequence[bool]]:
        """Save the next version of a flow, and with it other changes; report the transition.

        Returns:
            Whether the flow was saved, and then, for each other change, whether it was.
        """
        # An outcome need not be durable: if it is lost, the flow is found in flight, and returns to
        # `idle` when its lease expires. The write-ahead of a call must be durable, and so must user
        # input that triggers no call.
        durable = after.is_in_flight or not before.is_in_flight
        related = self._limits.related_to(after, received) if received else ()
        saved = yield from self._swap(flow_id, before, after, changes, related, durable=durable)
        if received:
            for change, is_saved in zip(changes, saved[1:], strict=True):
                received.rows.note(change, saved=is_saved)
        if saved[0]:
            yield Notify(
                Transition(
                    flow=flow_id.key[:12],
                    source=before.state,
                    target=after.state,
                    cause=cause,
                    version=after.version,
                    at=after.saved_at,
                    message=after.message,
                    detail=_detail_of(outcome, after) or detail,
                    delivered=_delivered(outcome),
                    context=received.context if received else None,
                    user=_user_of(after, before),
                )
            )
        return saved

    def _swap(
        self,
        flow_id: FlowId,
        before: Flow,
        after: Flow,
        changes: Sequence[Change] = (),
        related: tuple[str, ...] = (),
        *,
        durable: bool,
    ) -> Generator[Effect, Any, Sequence[bool]]:
        sealed = flow_id.seal(after, self._keys, self._schema)
        # An ID is valid for a lifetime from its issue; without its row it would look as if never saved.
        ends = max(self._used_until(after), flow_id.issued_at) + self._lifetime
        row = StoredRecord(after.version, sealed, ends, durable, flow_id.epoch, related)
        first = Change(flow_id.key, before.version, row)
        saved: Sequence[bool] = yield from self._in_time(before, Swap((first, *changes)))
        return saved

    def _used_until(self, flow: Flow) -> float:
        """Return the time from which a flow lives for a lifetime, in seconds since the epoch."""
        return flow.saved_at

    def _in_time(self, flow: Flow, effect: Swap | CreateSession) -> Generator[Effect, Any, Any]:
        """Perform an effect, and again while the store does not answer.

        After a call, a code was sent, or the user was signed in: one failed write must not lose that.
        Before it, the first attempt may have been applied. To repeat a swap is safe: the store
        recognises its own row.

        Raises:
            StoreUnavailable: it does not answer within `SAVE_WITHIN` seconds and the lease after a
                call, or `REPEAT_WITHIN` seconds before it.
        """
        until = self._clock.now() + (SAVE_WITHIN if flow.is_in_flight else REPEAT_WITHIN)
        if flow.is_in_flight and flow.lease_until is not None:
            until = min(until, flow.lease_until)
        pause = 0.05
        while True:
            try:
                return (yield effect)
            except STORE_FAILURES:
                if self._clock.now() + pause >= until:
                    raise
            yield Sleep(pause)
            pause = min(pause * 2, 1.0)

    # ── running it ──

    def perform(self, effect: Effect) -> Any:
        """Perform one effect of a script and return its result."""
        return self._performer.perform(effect)

    def run_until_sleep(self, script: Script) -> Step | Sleep:
        """Run a script until it returns a step, or only waits, for which no thread is held."""
        result: Any = None
        error: OncegateError | None = None
        while True:
            try:
                effect = script.send(result) if error is None else script.throw(error)
            except StopIteration as end:
                step: Step = end.value
                return step
            if isinstance(effect, Sleep):
                return effect
            result, error = None, None
            try:
                result = self.perform(effect)
            except STORE_FAILURES as failure:
                error = failure


def _unsaved(settling: Sequence[Adjustment], settled: Sequence[bool]) -> list[Adjustment]:
    return [one for one, is_saved in zip(settling, settled, strict=True) if not is_saved]


def _suppressed(received: Received, flow: Flow, now: float, reason: str) -> Transition:
    event = received.event
    return Transition(
        flow=received.flow_id.key[:12],
        source=flow.state,
        target=flow.state,
        cause=event.type,
        version=flow.version,
        at=now,
        message=None,
        detail="",
        suppressed=reason,
        context=received.context,
        user=getattr(event, "username", None) or _user_of(flow),
    )


def _user_of(*flows: Flow) -> str:
    """The pool's own name for the user if one of the flows has it, or the name that was typed."""
    for flow in flows:
        if flow.challenge and flow.challenge.username:
            return flow.challenge.username
    for flow in flows:
        if flow.owner and flow.own_name:
            return flow.own_name
    for flow in flows:
        if flow.username:
            return flow.username
    return ""


def _with_held(seen: Step | StepRef, result: Step) -> Step:
    """Return the next step with what the caller's step handed over, which no later step has.

    While the user is asked about the device, the caller holds the tokens or the session's ID.
    """
    if not (isinstance(seen, Step) and seen.state is FlowState.OFFERING_DEVICE):
        return result
    if result.state not in {FlowState.OFFERING_DEVICE, FlowState.AUTHENTICATED}:
        return result
    held = {"tokens": seen.tokens, "session_id": seen.session_id}
    if not any(held.values()) or result.tokens or result.session_id:
        return result
    return result.model_copy(update=held)


def _digest_of(flow_id: FlowId, flow: Flow, event: AnyEvent) -> str:
    """Return the keyed digest of an answer to the flow's challenge; empty if it has none."""
    if flow.challenge is None:
        return ""
    return flow_id.digest(str(flow.challenge_id), *event.answered_with)


def _can_be_handed_over(flow: Flow, event: AnyEvent) -> bool:
    # While a call is under way, its worker is about to save the next version.
    has_session = flow.session_id is not None and not flow.is_in_flight
    return has_session and flow.accepted_event == event.type and flow.handovers_left > 0


def _with_one_handover_less(flow: Flow, now: float) -> Flow:
    """Return the next version of a flow whose accepted answer was compared once more."""
    return flow.model_copy(
        update={
            "version": flow.version + 1,
            "saved_at": now,
            "handovers_left": flow.handovers_left - 1,
        }
    )


def _may_start(flow: Flow, now: float) -> bool:
    # If the clock was set back, another worker may have ended the lease (`is_due`).
    return flow.saved_at - CLOCK_SKEW <= now <= flow.saved_at + START_WITHIN


def _is_choice(outcome: Outcome) -> TypeGuard[ChallengeIssued]:
    return isinstance(outcome, ChallengeIssued) and isinstance(outcome.challenge, FactorChoice)


def _is_version(version: object) -> bool:
    return type(version) is int and version >= 0


def _detail_of(outcome: Outcome | None, after: Flow) -> str:
    """What an outcome says for the log: its own words, or the challenge that no state waits for."""
    if not isinstance(outcome, ChallengeIssued):
        return getattr(outcome, "detail", "")
    came = outcome.challenge
    if after.challenge is not None and after.challenge.kind == came.kind:
        return ""
    name = came.name if isinstance(came, UnknownChallenge) else came.kind
    return f"no state waits for the challenge {name}"


def _delivered(outcome: Outcome | None) -> str:
    """The medium of the code that Cognito sent with an outcome."""
    delivery = outcome.challenge.delivery if isinstance(outcome, ChallengeIssued) else None
    return delivery.medium if delivery else ""
