"""The driver: saved before sent, called once, recorded; and what a double click gets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.doubles import ManualClock, ScriptedTransport, a_text, code, password, the_tokens

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
from oncegate.driver.effects import CallTransport, GetDurableSince, Load, Notify, Sleep, Swap
from oncegate_stores import MemoryStore

WRONG_CODE = Rejected(reason=RejectionReason.WRONG_CODE)


def driver(
    clock: ManualClock, *outcomes: Outcome | Callable[[Call], Outcome], **more: Any
) -> tuple[SignIn, ScriptedTransport]:
    transport = ScriptedTransport(*outcomes)
    more.setdefault("store", MemoryStore())
    return SignIn(transport=transport, clock=clock, **more), transport


class Heard(list[Transition]):
    def __call__(self, transition: Transition, /) -> None:
        self.append(transition)


def test_the_contract(clock: ManualClock) -> None:
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
    again = sign_in.get(step.flow_id)
    assert (again.state, again.tokens) == ("authenticated", None)


def test_saved_before_sent(clock: ManualClock) -> None:
    sign_in, _ = driver(clock)
    script = sign_in.sending(sign_in.start(), password())
    assert isinstance(next(script), Load)
    assert isinstance(script.send(None), GetDurableSince)
    assert isinstance(script.send(0.0), Swap)
    assert isinstance(script.send(True), Notify)
    assert isinstance(script.send(None), CallTransport)


def test_what_is_written_ahead_has_to_last_and_what_came_of_a_call_need_not(
    clock: ManualClock,
) -> None:
    class Notes(MemoryStore):
        def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
            saved.append((sign_in.get(step.flow_id).state, row.durable))
            return super().swap(key, expected, row)

    saved: list[tuple[FlowState, bool]] = []
    sign_in, _ = driver(clock, a_text(), WRONG_CODE, store=Notes(), budget=None)
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


def test_who_loses_the_swap_makes_no_call(clock: ManualClock) -> None:
    sign_in, _ = driver(clock)
    script = sign_in.sending(sign_in.start(), password())
    next(script)
    script.send(None)
    swap = script.send(0.0)
    assert isinstance(swap, Swap)
    assert isinstance(script.send(False), Load)
    assert isinstance(script.send(swap.row), Notify)
    assert isinstance(script.send(None), Load)
    for _ in range(3):  # the winner's call is still under way
        assert isinstance(script.send(swap.row), Sleep)
        assert isinstance(script.send(None), Load)
    clock.advance(11)  # patience is over
    with pytest.raises(StopIteration) as end:
        script.send(swap.row)
    step: Step = end.value.value
    assert step.state == "checking_password"
    assert step.reason is not None
    assert step.reason.code == "stale"


def test_starting_reading_and_reloading_cost_the_store_and_cognito_nothing(
    clock: ManualClock,
) -> None:
    store = MemoryStore()
    sign_in, transport = driver(clock, store=store)
    for _ in range(100):
        flow_id = sign_in.start().flow_id
        assert sign_in.get(flow_id).state == "idle"
        assert sign_in.send(sign_in.get(flow_id), code()).reason is not None
    assert transport.calls == []
    assert store._rows == {}


class TestTwoClicks:
    def click_twice(self, sign_in: SignIn, step: Step, event: Any) -> list[Step]:
        together = threading.Barrier(2)

        def click() -> Step:
            together.wait()
            return sign_in.send(step, event)

        with ThreadPoolExecutor(2) as pool:
            return [click.result() for click in (pool.submit(click), pool.submit(click))]

    def test_on_the_password(self) -> None:
        def slow(_: Call) -> Outcome:
            threading.Event().wait(0.05)
            return a_text()

        transport = ScriptedTransport(slow, a_text())
        sign_in = SignIn(transport=transport, store=MemoryStore())
        steps = self.click_twice(sign_in, sign_in.start(), password())
        assert [step.state for step in steps] == ["awaiting_mfa"] * 2
        assert steps[0].version == steps[1].version == 2
        assert len(transport.calls) == 1

    def test_on_the_code_both_see_the_same_session(self) -> None:
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


def test_an_event_that_comes_late_gets_the_current_step(clock: ManualClock) -> None:
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


def test_starting_over_after_an_unknown_outcome(clock: ManualClock) -> None:
    sign_in, transport = driver(clock, OutcomeUnknown(), a_text())
    step = sign_in.send(sign_in.start(), password())
    step = sign_in.send(step, password())
    assert step.state == "awaiting_mfa"
    assert len(transport.calls) == 2


def test_a_worker_that_died_is_waited_for_and_then_given_up(clock: ManualClock) -> None:
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


def test_a_slow_worker_is_not_taken_for_a_dead_one(clock: ManualClock) -> None:
    seen: list[str] = []

    def as_slow_as_can_be(_: Call) -> Outcome:
        clock.advance(ScriptedTransport.max_call_seconds)
        seen.append(sign_in.get(flow_id).state)
        return a_text()

    sign_in, _ = driver(clock, as_slow_as_can_be)
    flow_id = sign_in.start().flow_id
    assert sign_in.send(sign_in.get(flow_id), password()).state == "awaiting_mfa"
    assert seen == ["checking_password"]


def test_a_worker_that_was_given_up_saves_nothing(clock: ManualClock) -> None:
    def asleep(_: Call) -> Outcome:
        clock.advance(100)
        assert sign_in.get(flow_id).state == "idle"
        return the_tokens()

    sign_in, _ = driver(clock, asleep)
    flow_id = sign_in.start().flow_id
    step = sign_in.send(sign_in.get(flow_id), password())
    assert (step.state, step.tokens) == ("idle", None)


def test_a_wrong_code_is_retried_in_place_and_never_sent_twice(clock: ManualClock) -> None:
    sign_in, transport = driver(clock, a_text(), *[WRONG_CODE] * 4, the_tokens())
    step = sign_in.send(sign_in.start(), password())
    for attempt in range(4):
        step = sign_in.send(step, code(f"00000{attempt}"))
        assert (step.state, step.attempts_left) == ("awaiting_mfa", 4 - attempt)
        again = sign_in.send(step, code(f"0000 0{attempt}"))
        assert again.reason is not None
        assert again.reason.code == "already_tried"
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


def test_a_lost_reply_to_an_answer_is_never_shown_as_a_wrong_code(clock: ManualClock) -> None:
    sign_in, _ = driver(clock, a_text(), OutcomeUnknown())
    step = sign_in.send(sign_in.start(), password())
    step = sign_in.send(step, code())
    assert step.message is not None
    assert (step.state, step.message.code) == ("idle", "answer_outcome_unknown")


def test_what_never_left_may_be_sent_again(clock: ManualClock) -> None:
    sign_in, transport = driver(clock, NotSent(cause="unreachable"), a_text())
    step = sign_in.send(sign_in.start(), password())
    assert step.message is not None
    assert (step.state, step.message.code) == ("idle", "unreachable")
    assert sign_in.send(step, password()).state == "awaiting_mfa"
    assert len(transport.calls) == 2


def test_the_username_is_kept_and_the_pools_own_goes_with_answers(clock: ManualClock) -> None:
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


def test_the_challenge_ends_when_the_step_says_so(clock: ManualClock) -> None:
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


class TestTheLifeOfAFlow:
    def test_an_id_is_good_for_its_lifetime(self, clock: ManualClock) -> None:
        sign_in, transport = driver(clock, a_text())
        flow_id = sign_in.start().flow_id
        clock.advance(3599)
        assert sign_in.get(flow_id).state == "idle"
        clock.advance(1)
        step = sign_in.send(sign_in.get(flow_id), password())
        assert step.message is not None
        assert (step.state, step.message.code) == ("failed", "flow_expired")
        assert transport.calls == []

    def test_an_id_from_the_future_is_none(self, clock: ManualClock) -> None:
        sign_in, _ = driver(clock)
        flow_id = sign_in.start().flow_id
        clock.advance(-3600)
        assert sign_in.get(flow_id).state == "failed"

    def test_a_row_that_has_gone_is_never_a_fresh_flow(self, clock: ManualClock) -> None:
        """The row lives longer than the id is good for without one, so a lost row means expired."""
        store = MemoryStore()
        sign_in, transport = driver(clock, a_text(), store=store)
        flow_id = sign_in.start().flow_id
        clock.advance(1800)
        sign_in.send(sign_in.get(flow_id), password())
        row = store.load(FlowId.parse(flow_id).key)
        assert row is not None
        clock.time = row.expires_at
        store._rows.clear()
        assert sign_in.send(sign_in.get(flow_id), password()).state == "failed"
        assert len(transport.calls) == 1

    def test_a_row_past_its_time_counts_as_gone(self, clock: ManualClock) -> None:
        sign_in, _ = driver(clock, the_tokens())
        step = sign_in.send(sign_in.start(), password())
        clock.advance(3600)
        assert sign_in.get(step.flow_id).state == "failed"


class TestWhatGoesWrong:
    def test_no_flow_id(self, clock: ManualClock) -> None:
        sign_in, _ = driver(clock)
        with pytest.raises(InvalidInput, match="flow ID"):
            sign_in.get("x")
        with pytest.raises(InvalidInput, match="flow ID"):
            sign_in.send(StepRef("x", 0), Cancel())

    def test_no_event(self, clock: ManualClock) -> None:
        sign_in, _ = driver(clock)
        with pytest.raises(InvalidInput, match="dict is not an event"):
            sign_in.send(sign_in.start(), {"type": "cancel"})  # type: ignore[arg-type]

    def test_a_corrupt_record_is_left_as_it_is(self, clock: ManualClock) -> None:
        store = MemoryStore()
        sign_in, transport = driver(clock, store=store)
        flow_id = sign_in.start().flow_id
        rubbish = StoredRecord(1, b"rubbish", clock.time + 60)
        store.swap(FlowId.parse(flow_id).key, 0, rubbish)
        with pytest.raises(RecordUnreadable):
            sign_in.send(StepRef(flow_id, 1), password())
        assert store.load(FlowId.parse(flow_id).key) == rubbish
        assert transport.calls == []

    @pytest.mark.parametrize("swaps_before", [0, 1])
    def test_a_store_that_goes_down(self, clock: ManualClock, swaps_before: int) -> None:
        class Failing(MemoryStore):
            left = swaps_before

            def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
                if self.left == 0:
                    raise StoreUnavailable("down")
                self.left -= 1
                return super().swap(key, expected, row)

        store = Failing()
        sign_in, transport = driver(clock, a_text(), a_text(), store=store)
        flow_id = sign_in.start().flow_id
        with pytest.raises(StoreUnavailable):
            sign_in.send(sign_in.get(flow_id), password())
        assert len(transport.calls) == swaps_before, "not saved, not sent"
        store.left = -1
        clock.advance(60)
        assert sign_in.get(flow_id).state == "idle"
        assert sign_in.send(sign_in.get(flow_id), password()).state == "awaiting_mfa"

    def test_a_transport_that_raises(self, clock: ManualClock) -> None:
        def broken(_: Call) -> Outcome:
            raise RuntimeError("with the password in its words")

        sign_in, _ = driver(clock, broken)
        step = sign_in.send(sign_in.start(), password())
        assert step.message is not None
        assert step.message.code == "outcome_unknown"

    def test_a_transport_that_returns_rubbish(self, clock: ManualClock) -> None:
        sign_in, _ = driver(clock, lambda _: "ok")  # type: ignore[arg-type, return-value]
        step = sign_in.send(sign_in.start(), password())
        assert step.message is not None
        assert step.message.code == "outcome_unknown"


class TestListeners:
    def test_they_hear_every_transition_once_it_is_saved(self, clock: ManualClock) -> None:
        heard = Heard()
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

    def test_one_that_raises_stops_nothing(self, clock: ManualClock) -> None:
        def broken(_: Transition, /) -> None:
            raise RuntimeError

        heard = Heard()
        sign_in, _ = driver(clock, a_text(), listeners=[broken, heard])
        assert sign_in.send(sign_in.start(), password()).state == "awaiting_mfa"
        assert len(heard) == 2


async def test_the_asynchronous_shell_walks_the_same_way() -> None:
    transport = ScriptedTransport(a_text(), the_tokens())
    sign_in = AsyncSignIn(transport=transport, store=MemoryStore())
    step = await sign_in.start()
    step = await sign_in.send(step, password())
    assert step.state is FlowState.AWAITING_MFA
    step = await sign_in.send(step, code())
    assert step.tokens is not None
    assert (await sign_in.get(step.flow_id)).state is FlowState.AUTHENTICATED


async def test_the_asynchronous_loop_is_free_while_a_call_is_under_way() -> None:
    leave = threading.Event()

    def blocked(_: Call) -> Outcome:
        assert leave.wait(5)
        return a_text()

    sign_in = AsyncSignIn(transport=ScriptedTransport(blocked), store=MemoryStore())
    step = await sign_in.start()
    clicks = [asyncio.create_task(sign_in.send(step, password())) for _ in range(2)]
    while (await sign_in.get(step.flow_id)).state != "checking_password":
        await asyncio.sleep(0.001)
    leave.set()
    assert [step.state for step in await asyncio.gather(*clicks)] == ["awaiting_mfa"] * 2


def test_whoever_makes_a_driver_builds_the_models() -> None:
    """They are put off at import; a hundred threads at their first event are no time to build them."""
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
