"""The budget of codes: charged if a code was sent or may have been, and never otherwise."""

from __future__ import annotations

import pytest
from tests.doubles import ManualClock, ScriptedTransport, a_text, code, password, the_tokens

from oncegate import CodeBudget, RequestContext, RequestNewCode, SignIn
from oncegate.adapters import (
    ChallengeIssued,
    NotSent,
    Outcome,
    OutcomeUnknown,
    PasswordReset,
    Rejected,
    RejectionReason,
)
from oncegate.challenges import Delivery
from oncegate_stores import MemoryStore

CONTEXT = RequestContext(source_address="192.0.2.1")
BUDGET = CodeBudget(per_user=1, per_source=1)


def reason_after(*outcomes: Outcome, answers: bool = False) -> str | None:
    """Return why a second sign-in from the same source is suppressed after a first with outcomes."""
    transport = ScriptedTransport(*outcomes, a_text())
    sign_in = SignIn(
        transport=transport, store=MemoryStore(), clock=ManualClock(), budget=BUDGET, listeners=[]
    )
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    if answers:
        sign_in.send(step, code(), context=CONTEXT)
    calls = len(transport.calls)
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    assert len(transport.calls) - calls == (0 if step.reason else 1)
    return step.reason.code if step.reason else None


def test_sent_code_is_charged() -> None:
    assert reason_after(a_text()) == "too_many_codes"


def test_unknown_outcome_of_a_sending_call_is_charged() -> None:
    assert reason_after(OutcomeUnknown()) == "too_many_codes"


@pytest.mark.parametrize("cause", ["unreachable", "throttled"])
def test_call_that_was_not_sent_is_not_charged(cause: str) -> None:
    assert reason_after(NotSent.model_validate({"cause": cause})) is None


@pytest.mark.parametrize("reason", [RejectionReason.WRONG_CREDENTIALS, RejectionReason.LOCKED])
def test_rejected_password_is_not_charged(reason: RejectionReason) -> None:
    assert reason_after(Rejected(reason=reason)) is None


def test_challenge_without_a_delivery_is_not_charged() -> None:
    app = a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None)
    assert reason_after(app) is None


def test_unknown_outcome_of_a_code_check_is_not_charged() -> None:
    """`CheckCode` cannot send a code, so an authenticator's lost reply charges nothing."""
    app = a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None)
    assert reason_after(app, OutcomeUnknown(), answers=True) is None


def test_accepted_code_is_charged_once_only() -> None:
    """The code was charged when it was sent, not again when it was accepted."""
    transport = ScriptedTransport(a_text(), the_tokens(), a_text())
    budget = CodeBudget(per_user=9, per_source=2)
    sign_in = SignIn(
        transport=transport, store=MemoryStore(), clock=ManualClock(), budget=budget, listeners=[]
    )
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    sign_in.send(step, code(), context=CONTEXT)
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    assert step.state == "awaiting_mfa"


def test_new_code_that_was_not_sent_is_not_charged() -> None:
    """The challenge still shows the delivery of the code before, which was charged already."""
    reset = PasswordReset(
        username="ana", delivery=Delivery(medium="SMS", destination="+*******1234")
    )
    transport = ScriptedTransport(
        Rejected(reason=RejectionReason.PASSWORD_RESET_REQUIRED),
        ChallengeIssued(challenge=reset),
        NotSent(cause="throttled"),
        a_text(),
    )
    sign_in = SignIn(
        transport=transport,
        store=MemoryStore(),
        clock=ManualClock(),
        budget=CodeBudget(per_user=9, per_source=2),
        new_code_cooldown=0,
        listeners=[],
    )
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    for _ in range(2):
        step = sign_in.send(step, RequestNewCode(), context=CONTEXT)
        assert step.reason is None
    assert len(transport.calls) == 3
    step = sign_in.send(sign_in.start(), password(), context=CONTEXT)
    assert step.state == "awaiting_mfa"
