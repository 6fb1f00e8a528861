"""Guesses: consecutive wrong codes of one user, over all flows (NIST SP 800-63B-4, 3.2.2)."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.doubles import (
    DictStore,
    ManualClock,
    ScriptedTransport,
    a_text,
    code,
    password,
    the_tokens,
)

from oncegate import (
    ConfirmAccount,
    RequestContext,
    RequestNewCode,
    SealingKeys,
    SignIn,
    Step,
    SubmitAnswer,
    SubmitPassword,
    SubmitUsername,
)
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    CheckAnswer,
    CheckCode,
    ConfirmSignUp,
    CustomChallenge,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
)
from oncegate.budget import GuessLimit, UserName

WRONG = Rejected(reason=RejectionReason.WRONG_CODE)
LIMIT = GuessLimit(free=3, pause=30, longest_pause=100, most=6, forgotten_after=1000)
KEYS = SealingKeys("q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4")


def _transport(perform: Any) -> ScriptedTransport:
    transport = ScriptedTransport(*[perform] * 5000)
    transport.is_passwordless = True
    return transport


class Pool:
    """A pool whose user has one right code, and a sign-in to it with few free guesses."""

    def __init__(self, outcome: Outcome | None = None, **more: Any) -> None:
        self.guesses = 0
        self.outcome = outcome
        self.counts: type[CheckCode | ConfirmSignUp | CheckAnswer] = CheckCode
        self.context = RequestContext()
        self.clock = ManualClock()
        self.store = DictStore()
        self.challenge: Outcome = a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None)
        more = {"guess_limit": LIMIT, "keys": KEYS, **more}
        self.sign_in = SignIn(
            transport=_transport(self.perform),
            store=self.store,
            clock=self.clock,
            listeners=[],
            **more,
        )

    def perform(self, call: Call) -> Outcome:
        if not isinstance(call, self.counts):
            return self.challenge
        self.guesses += 1
        is_right = not isinstance(call, CheckAnswer) and call.code.get_secret_value() == "123456"
        return self.outcome or (the_tokens() if is_right else WRONG)

    def guess(self, digits: str, user: str = "ana") -> Step:
        """Sign in with the password and one guess, in a flow of its own."""
        first = password(username=user)
        step = self.sign_in.send(self.sign_in.start(), first, context=self.context)
        if step.state == "idle":
            step = self.sign_in.send(step, ConfirmAccount(), context=self.context)
        return self.sign_in.send(step, code(digits), context=self.context)

    def reason(self, digits: str = "000000") -> str | None:
        step = self.guess(digits)
        return step.reason.code if step.reason else None


def test_authenticator_guesses_over_many_flows_are_refused() -> None:
    pool = Pool(guess_limit=GuessLimit())
    for number in range(1110):
        pool.guess(f"{number:06}")
        pool.clock.advance(0.007)
    assert pool.guesses == 10


def test_pauses_grow_and_the_limit_holds_until_it_is_forgotten() -> None:
    pool = Pool()
    for _ in range(3):
        assert pool.reason() is None
    for pause in (30, 60, 100):
        assert pool.reason() == "too_many_guesses"
        pool.clock.advance(pause - 1)
        assert pool.reason() == "too_many_guesses"
        pool.clock.advance(1)
        assert pool.reason() is None
    pool.clock.advance(999)
    assert (pool.reason(), pool.reason("123456")) == ("too_many_guesses", "too_many_guesses")
    pool.clock.advance(1)
    assert pool.guess("123456").state == "authenticated"
    assert pool.guesses == 7


def test_right_code_forgets_the_wrong_ones() -> None:
    pool = Pool()
    for _ in range(3):
        for digits in ("000000", "000001"):
            assert pool.reason(digits) is None
        assert pool.guess("123456").state == "authenticated"


def test_row_without_a_wrong_code_may_be_deleted_at_once() -> None:
    pool = Pool()
    pool.guess("000000")
    guesses = LIMIT.of_user(
        UserName.own("the-pools-own-name"), "second factor", KEYS.bound_to("scripted")
    )
    assert pool.store.rows[guesses.key].expires_at == pool.clock.now() + LIMIT.forgotten_after
    pool.guess("123456")
    assert pool.store.rows[guesses.key].expires_at <= pool.clock.now()


def test_parallel_guesses_are_counted_before_their_calls() -> None:
    pool = Pool()
    ready = [pool.sign_in.send(pool.sign_in.start(), password()) for _ in range(30)]
    barrier = threading.Barrier(len(ready))

    def guess(step: Step) -> None:
        barrier.wait()
        pool.sign_in.send(step, code("000000"))

    threads = [threading.Thread(target=guess, args=(step,)) for step in ready]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pool.guesses == 3


@pytest.mark.parametrize(
    "outcome",
    [
        NotSent(cause="throttled"),
        Rejected(reason=RejectionReason.FIREWALL),
        Rejected(reason=RejectionReason.CODE_ALREADY_USED),
    ],
)
def test_outcome_that_is_no_wrong_code_costs_no_guess(outcome: Outcome) -> None:
    pool = Pool(outcome)
    for _ in range(10):
        assert pool.reason() is None


def test_unknown_outcome_counts() -> None:
    pool = Pool(OutcomeUnknown())
    assert [pool.reason() for _ in range(4)] == [None, None, None, "too_many_guesses"]


def test_guesses_at_a_first_factor_do_not_count_against_the_second() -> None:
    pool = Pool()
    pool.challenge = a_text(kind="SMS_OTP", is_first_factor=True)
    for _ in range(4):
        pool.guess("000000")
    assert pool.reason() == "too_many_guesses"
    pool.challenge = a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None)
    assert pool.reason() is None


@pytest.mark.parametrize("kind", ["first factor", "recovery"])
def test_strangers_do_not_use_up_the_guesses_of_the_users_own_browser(kind: str) -> None:
    """Codes that need no password (P8)."""
    pool = Pool()
    if kind == "recovery":
        pool.challenge = Rejected(reason=RejectionReason.SIGN_UP_NOT_CONFIRMED)
        pool.outcome = WRONG
        pool.counts = ConfirmSignUp
    else:
        pool.challenge = a_text(kind="EMAIL_OTP", is_first_factor=True, username="ana")
    for _ in range(3):
        assert pool.reason() is None
    assert pool.reason() == "too_many_guesses"
    pool.context = RequestContext(known_users=frozenset({"ana"}))
    for _ in range(3):
        assert pool.reason() is None
    assert pool.reason() == "too_many_guesses"
    assert pool.guesses == 6


@pytest.mark.parametrize("twin", ["Ana", "ａｎａ"])
def test_user_spelled_alike_has_guesses_of_its_own(twin: str) -> None:
    pool = Pool()
    pool.challenge = a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None, username="ana")
    for _ in range(3):
        assert pool.reason() is None
    pool.challenge = a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None, username=twin)
    assert pool.guess("123456", user=twin).state == "authenticated"
    pool.challenge = a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None, username="ana")
    assert pool.reason() == "too_many_guesses"


def test_custom_answers_without_a_password_do_not_use_up_those_after_one() -> None:
    pool = Pool()
    pool.counts = CheckAnswer
    pool.outcome = Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
    pool.challenge = ChallengeIssued(
        challenge=CustomChallenge.model_validate({"username": "ana", "session": "s"})
    )

    def reason(first: SubmitPassword | SubmitUsername) -> str | None:
        step = pool.sign_in.send(pool.sign_in.start(), first)
        step = pool.sign_in.send(step, SubmitAnswer(answer="x"))
        return step.reason.code if step.reason else None

    for _ in range(3):
        assert reason(SubmitUsername(username="ana")) is None
    assert reason(SubmitUsername(username="ana")) == "too_many_guesses"
    assert reason(password(username="ana")) is None


def test_new_code_does_not_reset_the_failures() -> None:
    """NIST SP 800-63B-4, 3.1.3.2."""
    pool = Pool(new_code_cooldown=0, retain_password=True)
    pool.challenge = a_text(username="ana")
    step = pool.sign_in.send(pool.sign_in.start(), password(username="ana"))
    for digits in ("000000", "000001", "000002"):
        step = pool.sign_in.send(step, code(digits))
        assert step.reason is None
        step = pool.sign_in.send(step, RequestNewCode())
        assert step.state == "awaiting_mfa"
    step = pool.sign_in.send(step, code("000003"))
    assert step.reason is not None
    assert step.reason.code == "too_many_guesses"
    assert pool.guesses == 3


def test_password_is_needed_before_a_known_browser_matters_for_second_factors() -> None:
    pool = Pool()
    for _ in range(3):
        assert pool.reason() is None
    pool.context = RequestContext(known_users=frozenset({"ana", "the-pools-own-name"}))
    assert pool.reason() == "too_many_guesses"


def test_rows_are_sealed_and_found_by_the_applications_key_only() -> None:
    pool = Pool()
    pool.guess("000000")
    label = "scripted"
    mine = LIMIT.of_user(UserName.own("the-pools-own-name"), "second factor", KEYS.bound_to(label))
    assert mine.key in pool.store.rows
    assert b"[" not in pool.store.rows[mine.key].sealed[:1]
    other = SealingKeys("Zm9vYmFyYmF6cXV4Y29yZ2VncmF1bHR3YWxkb2ZyZWQ").bound_to(label)
    assert (
        LIMIT.of_user(UserName.own("the-pools-own-name"), "second factor", other).key
        not in pool.store.rows
    )
