"""The stored record of a challenge: password, attempts and deadline live as long as the challenge."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.doubles import (
    PASSWORD,
    ManualClock,
    ScriptedTransport,
    a_text,
    code,
    password,
    the_tokens,
)

from oncegate import Cancel, RequestNewCode, SignIn, Step, SubmitAnswer
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    FlowId,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
)
from oncegate.record import ATTEMPTS_PER_CHALLENGE, Flow
from oncegate_stores import MemoryStore

WRONG = Rejected(reason=RejectionReason.WRONG_CODE)
DEAD = Rejected(reason=RejectionReason.CHALLENGE_DEAD)


class Records:
    """A driver that retains passwords, and its stored flows.

    Args:
        outcomes: outcomes of the transport's calls, in order.
    """

    def __init__(self, *outcomes: Outcome | Callable[[Call], Outcome]) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.sign_in = SignIn(
            transport=ScriptedTransport(*outcomes),
            store=self.store,
            clock=self.clock,
            retain_password=True,
            listeners=[],
        )

    def flow(self, step: Step) -> Flow:
        """Return a flow as it is stored."""
        flow_id = FlowId.parse(step.flow_id)
        row = self.store.load(flow_id.key)
        assert row is not None
        return flow_id.unseal(row.sealed, row.version)

    def has_password(self, step: Step) -> bool:
        flow = self.flow(step)
        return flow.retained_password is not None or PASSWORD in repr(flow.__dict__)


def test_retained_password_is_stored_with_the_challenge_and_not_when_authenticated() -> None:
    records = Records(a_text(), the_tokens())
    step = records.sign_in.send(records.sign_in.start(), password())
    assert records.has_password(step)
    step = records.sign_in.send(step, code())
    assert step.state == "authenticated"
    assert not records.has_password(step)


def test_retained_password_is_not_stored_after_a_sign_in_without_a_challenge() -> None:
    records = Records(the_tokens())
    step = records.sign_in.send(records.sign_in.start(), password())
    assert step.state == "authenticated"
    assert not records.has_password(step)


@pytest.mark.parametrize(
    "reason",
    [RejectionReason.FIREWALL, RejectionReason.TRIGGER_REFUSED, RejectionReason.MISCONFIGURED],
)
def test_retained_password_is_not_stored_when_the_password_call_failed(
    reason: RejectionReason,
) -> None:
    records = Records(Rejected(reason=reason))
    step = records.sign_in.send(records.sign_in.start(), password())
    assert step.state == "failed"
    assert not records.has_password(step)


def test_retained_password_is_not_stored_when_the_attempts_ran_out() -> None:
    records = Records(a_text(), *[WRONG] * ATTEMPTS_PER_CHALLENGE)
    step = records.sign_in.send(records.sign_in.start(), password())
    for number in range(ATTEMPTS_PER_CHALLENGE):
        step = records.sign_in.send(step, code(f"00000{number}"))
    assert step.state == "failed"
    assert not records.has_password(step)


def test_retained_password_is_not_stored_after_a_cancel() -> None:
    records = Records(a_text())
    step = records.sign_in.send(records.sign_in.start(), password())
    step = records.sign_in.send(step, Cancel())
    assert step.state == "failed"
    assert not records.has_password(step)


@pytest.mark.parametrize("outcome", [DEAD, OutcomeUnknown()], ids=["dead", "unknown"])
def test_retained_password_is_not_stored_after_the_challenge_is_dropped(outcome: Outcome) -> None:
    records = Records(a_text(), outcome)
    step = records.sign_in.send(records.sign_in.start(), password())
    step = records.sign_in.send(step, code())
    assert step.state == "idle"
    assert not records.has_password(step)


def test_retained_password_is_not_stored_after_the_deadline() -> None:
    records = Records(a_text())
    step = records.sign_in.send(records.sign_in.start(), password())
    records.clock.advance(180)
    step = records.sign_in.get(step.flow_id)
    assert step.state == "idle"
    assert not records.has_password(step)


def test_new_challenge_resets_the_attempts() -> None:
    records = Records(a_text(), WRONG, WRONG, a_text(session="t" * 40), WRONG)
    step = records.sign_in.send(records.sign_in.start(), password())
    for number in range(2):
        step = records.sign_in.send(step, code(f"00000{number}"))
    assert step.attempts_left == ATTEMPTS_PER_CHALLENGE - 2
    records.clock.advance(30)
    step = records.sign_in.send(step, RequestNewCode())
    assert (step.state, step.attempts_left) == ("awaiting_mfa", ATTEMPTS_PER_CHALLENGE)
    step = records.sign_in.send(step, code("000000"))
    assert step.reason is None, "an answer to the challenge before is a new answer to this one"
    assert step.attempts_left == ATTEMPTS_PER_CHALLENGE - 1


def test_next_custom_challenge_resets_attempts_and_attempted_digests() -> None:
    def custom(number: int) -> ChallengeIssued:
        challenge = {"kind": "CUSTOM_CHALLENGE", "session": f"{number}" * 40, "username": "ana"}
        return ChallengeIssued.model_validate({"challenge": challenge})

    records = Records(custom(1), custom(2))
    step = records.sign_in.send(records.sign_in.start(), password())
    step = records.sign_in.send(step, SubmitAnswer(answer="1"))
    assert step.state == "awaiting_answer"
    flow = records.flow(step)
    assert (flow.attempted_digests, flow.attempts_left) == ((), ATTEMPTS_PER_CHALLENGE)


def test_deadline_of_a_challenge_counts_from_before_the_call() -> None:
    """Cognito's clock starts during the call, so the time of the reply would be too late."""

    def slow(call: Call) -> Outcome:
        records.clock.advance(7)
        return a_text()

    records = Records(slow)
    before = records.clock.now()
    step = records.sign_in.send(records.sign_in.start(), password())
    assert step.expires_at is not None
    assert step.expires_at.timestamp() == before + 180
    assert records.flow(step).challenge_ends == before + 180
