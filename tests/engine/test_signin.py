"""The driver: it saves before it calls, calls once, records; and what a double click returns."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.doubles import (
    EPOCH,
    DictStore,
    ManualClock,
    ScriptedTransport,
    a_text,
    code,
    password,
    the_tokens,
)

from oncegate import (
    AsyncSignIn,
    Cancel,
    FlowState,
    InvalidInput,
    RecordUnreadable,
    SignIn,
    Step,
    StepRef,
    StoreUnavailable,
    Tokens,
)
from oncegate.adapters import (
    Call,
    CheckCode,
    CheckPassword,
    FlowId,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    StoredRecord,
    Transition,
)
from oncegate.driver.effects import CallTransport, GetEpoch, Load, Notify, Sleep, Swap
from oncegate_stores import MemoryStore

WRONG_CODE = Rejected(reason=RejectionReason.WRONG_CODE)


def driver(
    clock: ManualClock, *outcomes: Outcome | Callable[[Call], Outcome], **more: Any
) -> tuple[SignIn, ScriptedTransport]:
    transport = ScriptedTransport(*outcomes)
    more.setdefault("store", MemoryStore())
    return SignIn(transport=transport, clock=clock, **more), transport


class RecordingListener(list[Transition]):
    def __call__(self, transition: Transition, /) -> None:
        self.append(transition)


UNLIMITED: dict[str, Any] = {"budget": None, "guess_limit": None}


def test_password_and_code_sign_in_as_the_contract_shows(clock: ManualClock) -> None:
    sign_in, _ = driver(clock, a_text(), the_tokens())
    step = sign_in.start()
    assert (step.state, step.version, step.tokens) == ("idle", 0, None)
    step = sign_in.send(step, password())
    assert step.state == "awaiting_mfa"
    assert step.delivery is not None
    assert (step.delivery.medium, step.delivery.destination) == ("SMS", "+*******1234")
    assert step.tokens is None
    step = sign_in.send(step, code())
    assert step.state == "authenticated"
    assert step.tokens is not None
    assert step.tokens.access_token == "eyJhY2Nlc3M"
    later = sign_in.get(step.flow_id)
    assert (later.state, later.tokens) == ("authenticated", None)


def test_event_with_a_call_is_saved_before_the_call(clock: ManualClock) -> None:
    sign_in, _ = driver(clock, budget=None, store=DictStore())
    script = sign_in.sending(sign_in.start(), password())
    assert isinstance(next(script), Swap)  # a new flow need not be loaded
    assert isinstance(script.send([True]), Notify)
    assert isinstance(script.send(None), CallTransport)


def test_write_ahead_and_cancel_are_durable_and_outcomes_are_not(
    clock: ManualClock,
) -> None:
    class RecordingStore(MemoryStore):
        def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
            saved.append((sign_in.get(step.flow_id).state, row.durable))
            return super().swap(key, expected, row)

    saved: list[tuple[object, bool]] = []
    sign_in, _ = driver(clock, a_text(), WRONG_CODE, store=RecordingStore(), **UNLIMITED)
    step = sign_in.start()
    for event in (password(), code("111111"), Cancel()):
        step = sign_in.send(step, event)
    assert saved == [
        (FlowState.IDLE, True),
        (FlowState.CHECKING_PASSWORD, False),
        (FlowState.AWAITING_MFA, True),
        (FlowState.CHECKING_ANSWER, False),
        (FlowState.AWAITING_MFA, True),
    ]


def test_worker_that_loses_the_swap_makes_no_call(clock: ManualClock) -> None:
    sign_in, _ = driver(clock, budget=None, store=DictStore())
    script = sign_in.sending(sign_in.start(), password())
    swap = next(script)
    assert isinstance(swap, Swap)
    rows = {change.key: change.row for change in swap.changes}
    assert isinstance(script.send([False]), Load)
    assert isinstance(script.send(rows), GetEpoch)
    assert isinstance(script.send(EPOCH), Notify)
    assert isinstance(script.send(None), Load)
    for _ in range(3):  # the other worker's call is still under way
        assert isinstance(script.send(rows), GetEpoch)
        assert isinstance(script.send(EPOCH), Sleep)
        assert isinstance(script.send(None), Load)
    clock.advance(11)  # longer than the patience
    script.send(rows)
    with pytest.raises(StopIteration) as end:
        script.send(EPOCH)
    step: Step = end.value.value
    assert step.state == "checking_password"
    assert step.reason is not None
    assert step.reason.code == "in_flight"


def test_start_get_and_event_without_transition_write_and_call_nothing(
    clock: ManualClock,
) -> None:
    store = DictStore()
    sign_in, transport = driver(clock, store=store)
    for _ in range(100):
        flow_id = sign_in.start().flow_id
        assert sign_in.get(flow_id).state == "idle"
        assert sign_in.send(sign_in.get(flow_id), code()).reason is not None
    assert transport.calls == []
    assert store.rows == {}


class TestDoubleClick:
    def click_twice(self, sign_in: SignIn, step: Step, event: Any) -> list[Step]:
        together = threading.Barrier(2)

        def click() -> Step:
            together.wait()
            return sign_in.send(step, event)

        with ThreadPoolExecutor(2) as pool:
            return [click.result() for click in (pool.submit(click), pool.submit(click))]

    def test_password_twice_at_once_makes_one_call(self) -> None:
        def slow(_: Call) -> Outcome:
            threading.Event().wait(0.05)
            return a_text()

        transport = ScriptedTransport(slow, a_text())
        sign_in = SignIn(transport=transport, store=MemoryStore())
        steps = self.click_twice(sign_in, sign_in.start(), password())
        assert [step.state for step in steps] == ["awaiting_mfa"] * 2
        assert steps[0].version == steps[1].version == 2
        assert len(transport.calls) == 1

    def test_code_twice_at_once_returns_the_same_session(self) -> None:
        class Keeper:
            def create(self, tokens: Tokens) -> str:
                return f"session of {tokens.access_token}"

        def slow(_: Call) -> Outcome:
            threading.Event().wait(0.05)
            return the_tokens()

        transport = ScriptedTransport(a_text(), slow)
        sign_in = SignIn(transport=transport, store=MemoryStore(), keeper=Keeper())
        step = sign_in.send(sign_in.start(), password())
        steps = self.click_twice(sign_in, step, code())
        assert [step.state for step in steps] == ["authenticated"] * 2
        assert {step.session_id for step in steps} == {"session of eyJhY2Nlc3M"}
        assert [step.tokens for step in steps] == [None, None]
        assert len(transport.calls) == 2


def test_late_event_returns_the_current_step(clock: ManualClock) -> None:
    sign_in, transport = driver(clock, OutcomeUnknown(detail="ReadTimeoutError"))
    start = sign_in.start()
    step = sign_in.send(StepRef(start.flow_id, 0), password())
    assert (step.state, step.version) == ("idle", 2)
    assert step.message is not None
    assert step.message.code == "outcome_unknown"
    late = sign_in.send(StepRef(start.flow_id, 0), password())
    assert late.model_copy(update={"reason": None}) == step
    assert late.reason is not None
    assert late.reason.code == "stale"
    assert len(transport.calls) == 1


def test_password_after_an_unknown_outcome_starts_a_new_challenge(clock: ManualClock) -> None:
    sign_in, transport = driver(clock, OutcomeUnknown(), a_text())
    step = sign_in.send(sign_in.start(), password())
    step = sign_in.send(step, password())
    assert step.state == "awaiting_mfa"
    assert len(transport.calls) == 2


def test_flow_of_a_dead_worker_returns_to_idle_after_its_lease(clock: ManualClock) -> None:
    def die(_: Call) -> Outcome:
        raise SystemExit

    sign_in, transport = driver(clock, die)
    flow_id = sign_in.start().flow_id
    with pytest.raises(SystemExit):
        sign_in.send(sign_in.get(flow_id), password())
    assert sign_in.get(flow_id).state == "checking_password"
    before = clock.time
    step = sign_in.send(sign_in.get(flow_id), password())
    assert (step.state, step.events) == ("checking_password", ())
    assert 10 <= clock.time - before < 11, "patience is bounded"
    clock.advance(40)
    step = sign_in.get(flow_id)
    assert (step.state, "submit_password" in step.events) == ("idle", True)
    assert len(transport.calls) == 1


def test_call_of_maximum_duration_keeps_its_lease(clock: ManualClock) -> None:
    seen: list[str] = []

    def slow(_: Call) -> Outcome:
        clock.advance(ScriptedTransport.max_call_seconds)
        seen.append(sign_in.get(flow_id).state)
        return a_text()

    sign_in, _ = driver(clock, slow)
    flow_id = sign_in.start().flow_id
    assert sign_in.send(sign_in.get(flow_id), password()).state == "awaiting_mfa"
    assert seen == ["checking_password"]


def test_outcome_after_the_lease_is_not_saved(clock: ManualClock) -> None:
    def suspended(_: Call) -> Outcome:
        clock.advance(100)
        assert sign_in.get(flow_id).state == "idle"
        return the_tokens()

    sign_in, _ = driver(clock, suspended)
    flow_id = sign_in.start().flow_id
    step = sign_in.send(sign_in.get(flow_id), password())
    assert (step.state, step.tokens) == ("idle", None)


def test_wrong_code_can_be_corrected_and_is_not_sent_twice(clock: ManualClock) -> None:
    sign_in, transport = driver(clock, a_text(), *[WRONG_CODE] * 4, the_tokens())
    step = sign_in.send(sign_in.start(), password())
    for attempt in range(4):
        step = sign_in.send(step, code(f"00000{attempt}"))
        assert (step.state, step.attempts_left) == ("awaiting_mfa", 4 - attempt)
        repeated = sign_in.send(step, code(f"0000 0{attempt}"))
        assert repeated.reason is not None
        assert repeated.reason.code == "already_tried"
    assert sign_in.send(step, code()).state == "authenticated"
    answers = [call for call in transport.calls if isinstance(call, CheckCode)]
    assert len(answers) == 5


def test_five_wrong_codes_end_the_flow(clock: ManualClock) -> None:
    sign_in, transport = driver(clock, a_text(), *[WRONG_CODE] * 5)
    step = sign_in.send(sign_in.start(), password())
    for attempt in range(5):
        step = sign_in.send(step, code(f"00000{attempt}"))
    assert step.state == "failed"
    assert sign_in.send(step, code("999999")).state == "failed"
    assert len(transport.calls) == 6


def test_lost_response_to_an_answer_is_not_shown_as_a_wrong_code(clock: ManualClock) -> None:
    sign_in, _ = driver(clock, a_text(), OutcomeUnknown())
    step = sign_in.send(sign_in.start(), password())
    step = sign_in.send(step, code())
    assert step.message is not None
    assert (step.state, step.message.code) == ("idle", "answer_outcome_unknown")


def test_call_that_was_not_sent_can_be_made_again(clock: ManualClock) -> None:
    sign_in, transport = driver(clock, NotSent(cause="unreachable"), a_text())
    step = sign_in.send(sign_in.start(), password())
    assert step.message is not None
    assert (step.state, step.message.code) == ("idle", "unreachable")
    assert sign_in.send(step, password()).state == "awaiting_mfa"
    assert len(transport.calls) == 2


def test_typed_username_is_shown_again_and_answers_use_the_pools_name(clock: ManualClock) -> None:
    sign_in, transport = driver(
        clock, Rejected(reason=RejectionReason.WRONG_CREDENTIALS), a_text(), the_tokens()
    )
    step = sign_in.send(sign_in.start(), password("wrong", "ana@example.com"))
    assert step.fields[0].value == "ana@example.com"
    assert step.fields[1].value == ""
    step = sign_in.send(step, password(username="ana@example.com"))
    sign_in.send(step, code())
    first, answer = transport.calls[1], transport.calls[2]
    assert isinstance(first, CheckPassword)
    assert first.username == "ana@example.com"
    assert isinstance(answer, CheckCode)
    assert answer.challenge.username == "the-pools-own-name"


def test_challenge_ends_at_the_time_of_its_step(clock: ManualClock) -> None:
    sign_in, transport = driver(clock, a_text())
    step = sign_in.send(sign_in.start(), password())
    assert step.expires_at is not None
    assert step.expires_at.timestamp() == clock.time + 180
    clock.advance(180)
    late = sign_in.send(step, code())
    assert late.state == "idle"
    assert late.message is not None
    assert late.message.code == "challenge_expired"
    assert len(transport.calls) == 1


class TestLifetime:
    def test_flow_id_is_valid_for_its_lifetime(self, clock: ManualClock) -> None:
        sign_in, transport = driver(clock, a_text())
        flow_id = sign_in.start().flow_id
        clock.advance(3599)
        assert sign_in.get(flow_id).state == "idle"
        clock.advance(1)
        step = sign_in.send(sign_in.get(flow_id), password())
        assert step.message is not None
        assert (step.state, step.message.code) == ("failed", "flow_expired")
        assert transport.calls == []

    def test_flow_id_from_the_future_has_failed(self, clock: ManualClock) -> None:
        sign_in, _ = driver(clock)
        flow_id = sign_in.start().flow_id
        clock.advance(-3600)
        assert sign_in.get(flow_id).state == "failed"

    def test_flow_without_its_row_has_failed(self, clock: ManualClock) -> None:
        """A row outlives the time for which an ID without a row is valid, so a lost row means expired."""
        store = DictStore()
        sign_in, transport = driver(clock, a_text(), store=store)
        flow_id = sign_in.start().flow_id
        clock.advance(1800)
        sign_in.send(sign_in.get(flow_id), password())
        row = store.load(FlowId.parse(flow_id).key)
        assert row is not None
        clock.time = row.expires_at
        store.rows.clear()
        assert sign_in.send(sign_in.get(flow_id), password()).state == "failed"
        assert len(transport.calls) == 1

    def test_row_after_its_expiry_counts_as_lost(self, clock: ManualClock) -> None:
        sign_in, _ = driver(clock, the_tokens())
        step = sign_in.send(sign_in.start(), password())
        clock.advance(3600)
        assert sign_in.get(step.flow_id).state == "failed"


class TestErrors:
    def test_invalid_flow_id_raises(self, clock: ManualClock) -> None:
        sign_in, _ = driver(clock)
        with pytest.raises(InvalidInput, match="flow ID"):
            sign_in.get("x")
        with pytest.raises(InvalidInput, match="flow ID"):
            sign_in.send(StepRef("x", 0), Cancel())

    def test_mapping_instead_of_an_event_raises(self, clock: ManualClock) -> None:
        sign_in, _ = driver(clock)
        with pytest.raises(InvalidInput, match="dict is not an event"):
            sign_in.send(sign_in.start(), {"type": "cancel"})  # type: ignore[arg-type]

    def test_corrupt_record_raises_and_stays_unchanged(self, clock: ManualClock) -> None:
        store = MemoryStore()
        sign_in, transport = driver(clock, store=store)
        flow_id = sign_in.start().flow_id
        corrupt = StoredRecord(1, b"corrupt", clock.time + 60)
        store.swap(FlowId.parse(flow_id).key, 0, corrupt)
        with pytest.raises(RecordUnreadable):
            sign_in.send(StepRef(flow_id, 1), password())
        assert store.load(FlowId.parse(flow_id).key) == corrupt
        assert transport.calls == []

    @pytest.mark.parametrize("swaps_before", [0, 1])
    def test_store_outage_before_or_after_a_call_leaves_the_flow_usable(
        self, clock: ManualClock, swaps_before: int
    ) -> None:
        class Failing(MemoryStore):
            left = swaps_before

            def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
                if self.left == 0:
                    raise StoreUnavailable("down")
                self.left -= 1
                return super().swap(key, expected, row)

        store = Failing()
        sign_in, transport = driver(clock, a_text(), a_text(), store=store, budget=None)
        flow_id = sign_in.start().flow_id
        with pytest.raises(StoreUnavailable):
            sign_in.send(sign_in.get(flow_id), password())
        assert len(transport.calls) == swaps_before, "no call without a save"
        store.left = -1
        clock.advance(60)
        assert sign_in.get(flow_id).state == "idle"
        assert sign_in.send(sign_in.get(flow_id), password()).state == "awaiting_mfa"

    def test_transport_that_raises_is_an_unknown_outcome(self, clock: ManualClock) -> None:
        def broken(_: Call) -> Outcome:
            raise RuntimeError("Correct-horse-1")

        sign_in, _ = driver(clock, broken)
        step = sign_in.send(sign_in.start(), password())
        assert step.message is not None
        assert step.message.code == "outcome_unknown"
        assert "Correct-horse-1" not in repr(step)

    def test_transport_that_returns_no_outcome_is_an_unknown_outcome(
        self, clock: ManualClock
    ) -> None:
        sign_in, _ = driver(clock, lambda _: "ok")  # type: ignore[arg-type, return-value]
        step = sign_in.send(sign_in.start(), password())
        assert step.message is not None
        assert step.message.code == "outcome_unknown"


class TestListeners:
    def test_listener_receives_every_transition_after_it_is_saved(self, clock: ManualClock) -> None:
        heard = RecordingListener()
        sign_in, _ = driver(clock, a_text(), WRONG_CODE, the_tokens(), listeners=[heard])
        step = sign_in.send(sign_in.start(), password())
        step = sign_in.send(step, code("000000"))
        sign_in.send(step, code("000000"))  # suppressed
        sign_in.send(step, code())
        (suppressed,) = (t for t in heard if t.suppressed)
        assert (suppressed.suppressed, suppressed.source) == ("already_tried", suppressed.target)
        heard.remove(suppressed)
        assert [(t.source, t.cause, t.target) for t in heard] == [
            ("idle", "submit_password", "checking_password"),
            ("checking_password", "challenge_issued", "awaiting_mfa"),
            ("awaiting_mfa", "submit_code", "checking_answer"),
            ("checking_answer", "rejected", "awaiting_mfa"),
            ("awaiting_mfa", "submit_code", "checking_answer"),
            ("checking_answer", "tokens_issued", "authenticated"),
        ]
        assert [t.version for t in heard] == [1, 2, 3, 4, 5, 6]
        assert len({t.flow for t in heard}) == 1
        assert step.flow_id not in str(heard)

    def test_listener_that_raises_changes_nothing(self, clock: ManualClock) -> None:
        def broken(_: Transition, /) -> None:
            raise RuntimeError

        heard = RecordingListener()
        sign_in, _ = driver(clock, a_text(), listeners=[broken, heard])
        assert sign_in.send(sign_in.start(), password()).state == "awaiting_mfa"
        assert len(heard) == 2


async def test_async_sign_in_takes_the_same_steps() -> None:
    transport = ScriptedTransport(a_text(), the_tokens())
    sign_in = AsyncSignIn(transport=transport, store=MemoryStore())
    step = await sign_in.start()
    step = await sign_in.send(step, password())
    assert step.state is FlowState.AWAITING_MFA
    step = await sign_in.send(step, code())
    assert step.tokens is not None
    assert (await sign_in.get(step.flow_id)).state is FlowState.AUTHENTICATED


async def test_event_loop_is_free_during_a_call() -> None:
    release = threading.Event()

    def blocked(_: Call) -> Outcome:
        assert release.wait(5)
        return a_text()

    sign_in = AsyncSignIn(transport=ScriptedTransport(blocked), store=MemoryStore())
    step = await sign_in.start()
    clicks = [asyncio.create_task(sign_in.send(step, password())) for _ in range(2)]
    while (await sign_in.get(step.flow_id)).state != "checking_password":
        await asyncio.sleep(0.001)
    release.set()
    assert [step.state for step in await asyncio.gather(*clicks)] == ["awaiting_mfa"] * 2


def test_models_are_built_with_the_driver() -> None:
    """They are deferred at import; building them at the first events of many threads would be slow."""
    program = (
        "from oncegate import SignIn, Step, SubmitCode; from oncegate.record import Flow; "
        "from oncegate.testing import ScriptedTransport; from oncegate_stores import MemoryStore; "
        "kinds = (Flow, Step, SubmitCode); "
        "print([kind.__pydantic_complete__ for kind in kinds]); "
        "SignIn(transport=ScriptedTransport(), store=MemoryStore()); "
        "print([kind.__pydantic_complete__ for kind in kinds])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["[False, False, False]", "[True, True, True]"], (
        done.stderr
    )
