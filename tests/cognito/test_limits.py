"""Limits for a user whose names are not known beforehand: SRP tells the own name before it sends."""

from __future__ import annotations

import pytest

from oncegate import (
    CodeBudget,
    ConfirmAccount,
    ForgotPassword,
    RequestContext,
    RequestNewCode,
    SealingKeys,
    SignIn,
    Step,
    SubmitPassword,
)
from oncegate.adapters import ChallengeIssued, CheckPassword, NotSent, Outcome
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox, Seed, UserSeed
from oncegate_stores import MemoryStore

KEYS = SealingKeys("q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4")
NAMES = ("ana", "ana@example.com", "+15550001234")
ANA = UserSeed.model_validate(
    {
        "username": "ana",
        "password": "Correct-horse-1",
        "email": NAMES[1],
        "phone_number": NAMES[2],
        "mfa": ["SMS_MFA"],
    }
)


def _signing_in(sandbox: Sandbox, per_user: int) -> tuple[CognitoTransport, SignIn]:
    transport = CognitoTransport(
        pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
    )
    budget = CodeBudget(per_user=per_user)
    sign_in = SignIn(
        transport=transport, store=MemoryStore(), keys=KEYS, budget=budget, listeners=[]
    )
    return transport, sign_in


def _enter(sign_in: SignIn, name: str, secret: str = "Correct-horse-1") -> Step:
    return sign_in.send(sign_in.start(), SubmitPassword(username=name, password=secret))


def test_limit_holds_for_names_that_were_never_used_before() -> None:
    with Sandbox(Seed(users=(ANA,))) as sandbox:
        _, sign_in = _signing_in(sandbox, per_user=3)
        for name in NAMES:
            for _ in range(5):
                step = _enter(sign_in, name)
        assert len(sandbox.messages()) == 3
        assert step.state == "idle"
        codes = {one.code for one in (step.message, step.reason) if one}
        assert "too_many_codes" in codes


def test_wrong_passwords_use_nothing_up_whatever_name_is_typed() -> None:
    with Sandbox(Seed(users=(ANA,))) as sandbox:
        _, sign_in = _signing_in(sandbox, per_user=2)
        for name in (*NAMES, "nobody"):
            for _ in range(1):
                assert _enter(sign_in, name, "Wrong-horse-1").state == "idle"
        assert [_enter(sign_in, "ana").state for _ in range(2)] == ["awaiting_mfa"] * 2


def test_user_who_may_not_be_sent_a_code_is_not_asked_for_one() -> None:
    with Sandbox(Seed(users=(ANA,))) as sandbox:
        transport, _ = _signing_in(sandbox, per_user=2)
        asked: list[str] = []

        def may_send(user: str) -> bool:
            asked.append(user)
            return False

        call = CheckPassword.model_validate({"username": NAMES[1], "password": "Correct-horse-1"})
        outcome = transport.perform(call, RequestContext(may_send=may_send))
        assert outcome == NotSent(cause="too_many_codes")
        assert asked == ["ana"]
        assert sandbox.calls() == {"InitiateAuth": 1}


@pytest.mark.parametrize(
    ("status", "begins"),
    [("RESET_REQUIRED", ForgotPassword()), ("UNCONFIRMED", ConfirmAccount())],
)
def test_codes_for_a_recovery_count_for_the_user_whatever_name_is_typed(
    status: str, begins: ForgotPassword | ConfirmAccount
) -> None:
    user = ANA.model_copy(update={"status": status, "mfa": ()})
    with Sandbox(Seed(users=(user,))) as sandbox:
        _, sign_in = _signing_in(sandbox, per_user=3)
        for name in NAMES:
            for _ in range(4):
                step = sign_in.send(_enter(sign_in, name), begins)
                told = {one.code for one in (step.message, step.reason) if one}
                assert step.state != "idle" or "too_many_codes" in told
                if step.state == "awaiting_confirmation":  # nothing is sent until the user asks
                    sign_in.send(step, RequestNewCode())
        assert len(sandbox.messages()) == 3


def test_user_without_a_texted_factor_is_charged_for_no_name() -> None:
    user = ANA.model_copy(update={"mfa": ()})
    with Sandbox(Seed(users=(user,))) as sandbox:
        _, sign_in = _signing_in(sandbox, per_user=2)
        assert [_enter(sign_in, NAMES[1]).state for _ in range(5)] == ["authenticated"] * 5


def test_requests_at_once_do_not_share_their_context() -> None:
    with Sandbox(Seed(users=(ANA,))) as sandbox:
        transport, _ = _signing_in(sandbox, per_user=2)
        call = CheckPassword.model_validate({"username": "ana", "password": "Correct-horse-1"})
        inner: list[Outcome] = []

        def may_send(_: str) -> bool:
            # While this request is under way, another user's begins and ends.
            inner.append(transport.perform(call, RequestContext(may_send=lambda _: False)))
            return True

        outer = transport.perform(call, RequestContext(may_send=may_send))
        assert inner == [NotSent(cause="too_many_codes")]
        assert isinstance(outer, ChallengeIssued)
