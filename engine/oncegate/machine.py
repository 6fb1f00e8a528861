"""The sign-in machine.

**The rule of this file: everything that decides a transition is in it.** Every state, every arrow,
every guard. The driver does what the machine says and decides nothing; adapters translate.

Theory of operation
-------------------

A flow rests in a state that waits for a person (`idle`, `password_verified`, `awaiting_mfa`,
`awaiting_new_password`) or is over (`authenticated`, `failed`). Between two resting states lies an
*in-flight* state, one for each kind of call to Cognito. The driver saves the in-flight state before
the call leaves, so whatever happens to the worker, the intent is on record.

What moves a flow is of three kinds. *Events* come from the person. *Outcomes* come from the
transport, and there are five: accepted (a challenge, or the tokens), rejected, not sent, unknown.
*Time* comes from the driver, which offers it to every flow it loads whose deadline has passed.

Everything Cognito accepts leads to the junction `password_verified`. From there, arrows without an
event lead on by what Cognito asks next; where it asks the person to choose a factor, the flow rests
at the junction itself. A new challenge is one more arrow out of the junction instead of one from
every state before it. A challenge nobody here knows leads to `failed`: an arrow, not a guess.

The promise, a code is only ever sent once per challenge, rests on four things:

1. `code_not_sent` guards every arrow into a call that can make Cognito send. An event carries the
   version of the step it answers; if such a call has been written ahead since that version, the
   event is a repetition of one that has been heard already, and is refused.
2. `answer_not_in_flight` and `answer_not_tried` guard the arrow that submits a code, by the same
   rule and by the digests of what has been tried.
3. An in-flight state has no arrow into a call. It is left by an outcome, or by `time_passed` once
   `lease_has_passed`; after an outcome that is unknown the flow goes to `idle`, where the person
   starts over with a new challenge. No arrow repeats a call.
4. Swaps: the driver saves by compare-and-swap, so of two workers that take the same arrow one wins
   and only that one makes the call (`oncegate.signin`).

How the library is used
-----------------------

python-statemachine is set strict: an event with no arrow raises, an exception in a guard is raised
and not read as "no", the configuration changes at once. Guards are pure, take nothing and return a
literal bool; they and the effects read one workbench, which holds a frozen flow and what is being
offered to it. A machine object costs far more to make than to use, so each thread keeps one and
lays flow after flow on its bench.
"""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from statemachine import Event, State, StateChart
from statemachine.exceptions import TransitionNotAllowed

from oncegate.challenge import (
    Challenge,
    CodeChallenge,
    FactorChoice,
    NewPasswordChallenge,
    UnknownChallenge,
)
from oncegate.events import ChooseFactor, SubmitPassword
from oncegate.events import Event as UserEvent
from oncegate.flow import ANSWERS_PER_CHALLENGE, Flow, FlowState
from oncegate.outcomes import (
    ChallengeIssued,
    NotSent,
    Outcome,
    Refusal,
    Rejected,
    TokensIssued,
)

CLOCK_SKEW = 300.0
"""Seconds by which workers' clocks may differ. A record from further ahead means a clock jumped."""


EXPIRED = Flow(state=FlowState.FAILED, message="flow_expired")
"""What stands for a flow whose record is past its time or gone. It is never stored."""


def is_due(flow: Flow, now: float) -> bool:
    """Whether the flow's state has outlived its deadline, so that time is to be offered to it.

    A record from well ahead of now means that a clock was set back. Waiting for its deadline could
    take for ever, and starting over is always safe.
    """
    deadline = flow.deadline
    return deadline is not None and (now >= deadline or now < flow.saved_at - CLOCK_SKEW)


class TimePassed:
    """Offered to a flow whose deadline may have passed."""

    machine_event: ClassVar[str] = "time_passed"


TIME_PASSED = TimePassed()

Offer = UserEvent | Outcome | TimePassed


class NotAllowed(Exception):
    """The machine has no open arrow for what was offered. Nothing has changed.

    Attributes:
        reason: ``stale``, ``already_tried``, ``not_offered``, ``in_flight``, ``signed_in``,
            ``finished`` or ``not_allowed``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Workbench:
    """What the machine works on: a frozen flow, replaced at each change, and what is offered.

    Attributes:
        offer: the event, outcome or time that is offered.
        now: seconds since the epoch.
        seen: the version of the step that a person's event answers.
        digest: of the answer in the event, made by the driver with the flow's own key.
        lease: seconds until an in-flight state counts as orphaned.
    """

    def __init__(self) -> None:
        self.flow = Flow()
        self.offer: Offer = TIME_PASSED
        self.now = 0.0
        self.seen = 0
        self.digest = ""
        self.lease = 0.0

    @property
    def state(self) -> FlowState:
        return self.flow.state

    @state.setter
    def state(self, state: FlowState) -> None:
        if state is not self.flow.state:
            self.change(state=state)

    def change(self, **fields: Any) -> None:
        self.flow = self.flow.model_copy(update=fields)

    @property
    def challenge(self) -> Challenge | None:
        return self.flow.challenge

    @property
    def refusal(self) -> Refusal | None:
        return self.offer.refusal if isinstance(self.offer, Rejected) else None


class SignInMachine(StateChart[Workbench]):
    """From `idle` to `authenticated` or `failed`. The diagrams are drawn from this class."""

    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True

    # At rest: a person is waited for, or nobody is.
    idle = State(value=FlowState.IDLE, initial=True)
    password_verified = State(value=FlowState.PASSWORD_VERIFIED)
    awaiting_mfa = State(value=FlowState.AWAITING_MFA)
    awaiting_new_password = State(value=FlowState.AWAITING_NEW_PASSWORD)
    authenticated = State(value=FlowState.AUTHENTICATED, final=True)
    failed = State(value=FlowState.FAILED, final=True)

    # In flight: the call is about to leave, under way, or was when its worker died.
    checking_password = State(value=FlowState.CHECKING_PASSWORD)
    requesting_code = State(value=FlowState.REQUESTING_CODE)
    checking_code = State(value=FlowState.CHECKING_CODE)
    setting_password = State(value=FlowState.SETTING_PASSWORD)

    # What a person says.
    submit_password = Event(
        idle.to(checking_password, cond="code_not_sent", on="write_password_ahead")
    )
    choose_factor = Event(
        password_verified.to(
            requesting_code, cond=["code_not_sent", "factor_is_offered"], on="write_choice_ahead"
        )
    )
    submit_code = Event(
        awaiting_mfa.to(
            checking_code,
            cond=["answer_not_in_flight", "answer_not_tried"],
            on="write_answer_ahead",
        )
    )
    submit_new_password = Event(
        awaiting_new_password.to(
            setting_password, cond="code_not_sent", on="write_new_password_ahead"
        )
    )
    cancel = Event(
        failed.from_(
            idle,
            password_verified,
            awaiting_mfa,
            awaiting_new_password,
            cond="nothing_happened_since",
            on="note_cancelled",
        )
    )

    # What the transport reports.
    accepted = Event(
        password_verified.from_(
            checking_password,
            requesting_code,
            checking_code,
            setting_password,
            on="take_what_was_issued",
        )
    )
    rejected = Event(
        checking_password.to(idle, cond="may_be_tried_again", on="note_refusal")
        | requesting_code.to(password_verified, cond="factor_is_unusable", on="drop_factor")
        | checking_code.to(
            awaiting_mfa, cond="challenge_lives and attempts_remain", on="count_attempt"
        )
        | checking_code.to(failed, cond="challenge_lives", on="give_up")
        | setting_password.to(
            awaiting_new_password, cond="new_password_was_refused", on="note_refusal"
        )
        | idle.from_(
            requesting_code,
            checking_code,
            setting_password,
            cond="challenge_is_dead",
            on="start_over_refused",
        )
        | failed.from_(
            checking_password,
            requesting_code,
            checking_code,
            setting_password,
            on="fail_refused",
        )
    )
    not_sent = Event(
        checking_password.to(idle, on="note_not_sent")
        | requesting_code.to(password_verified, on="note_not_sent")
        | checking_code.to(awaiting_mfa, on=["note_not_sent", "forget_answer"])
        | setting_password.to(awaiting_new_password, on="note_not_sent")
    )
    unknown = Event(
        idle.from_(
            checking_password,
            requesting_code,
            checking_code,
            setting_password,
            on="start_over_unknown",
        )
    )

    # What the clock says.
    time_passed = Event(
        idle.from_(
            checking_password,
            requesting_code,
            checking_code,
            setting_password,
            cond="lease_has_passed",
            on="start_over_unknown",
        )
        | idle.from_(
            password_verified,
            awaiting_mfa,
            awaiting_new_password,
            cond="deadline_has_passed",
            on="start_over_expired",
        )
    )

    # Out of the junction, by what Cognito asks next. Where a factor is to be chosen, it rests.
    password_verified.to(awaiting_mfa, cond="code_is_asked")
    password_verified.to(awaiting_new_password, cond="new_password_is_asked")
    password_verified.to(authenticated, cond="tokens_are_issued")
    password_verified.to(failed, cond="challenge_is_not_known", on="name_unknown_challenge")

    # ── guards on what a person says ──

    def code_not_sent(self) -> bool:
        """No call that can send a code was written ahead since the step that the event answers."""
        return self._seen_since(self.model.flow.code_asked_in)

    def answer_not_in_flight(self) -> bool:
        """No answer was written ahead since the step that the event answers."""
        return self._seen_since(self.model.flow.answered_in)

    def answer_not_tried(self) -> bool:
        """This very answer has not left for this challenge."""
        return self.model.digest not in self.model.flow.tried

    def factor_is_offered(self) -> bool:
        """The factor is one of those that Cognito lets the user choose."""
        challenge, offer = self.model.challenge, self.model.offer
        return (
            isinstance(challenge, FactorChoice)
            and isinstance(offer, ChooseFactor)
            and offer.factor in challenge.factors
        )

    def nothing_happened_since(self) -> bool:
        """The event answers the current version."""
        return self.model.seen == self.model.flow.version

    def _seen_since(self, version: int) -> bool:
        # 0 is "never". A version from the future is of a record that was rolled back: it is as
        # untimely as a late one.
        return (version == 0 or version < self.model.seen) and (
            self.model.seen <= self.model.flow.version
        )

    # ── guards on what the transport reports ──

    def may_be_tried_again(self) -> bool:
        """The first factor was refused in a way that another try can mend."""
        return self.model.refusal in {Refusal.WRONG_CREDENTIALS, Refusal.LOCKED}

    def factor_is_unusable(self) -> bool:
        """The chosen factor does not work for this user, and another one is offered."""
        challenge = self.model.challenge
        return (
            self.model.refusal is Refusal.FACTOR_UNUSABLE
            and isinstance(challenge, FactorChoice)
            and len(challenge.factors) > 1
        )

    def challenge_lives(self) -> bool:
        """The code was wrong or used before; the session takes another."""
        return self.model.refusal in {Refusal.WRONG_CODE, Refusal.CODE_ALREADY_USED}

    def attempts_remain(self) -> bool:
        """This was not the last attempt. A code that was used before is right, so it costs none."""
        return self.model.flow.attempts_left > 1 or self.model.refusal is Refusal.CODE_ALREADY_USED

    def new_password_was_refused(self) -> bool:
        """The pool's policy refused the new password; the session takes another."""
        return self.model.refusal is Refusal.NEW_PASSWORD_REFUSED

    def challenge_is_dead(self) -> bool:
        """The session or the code is past its time, or Cognito takes no answer from this user."""
        return self.model.refusal in {
            Refusal.CHALLENGE_DEAD,
            Refusal.CODE_EXPIRED,
            Refusal.WRONG_CREDENTIALS,
            Refusal.LOCKED,
        }

    # ── guards on time ──

    def lease_has_passed(self) -> bool:
        """The worker that was making the call is dead, or too late to save."""
        return is_due(self.model.flow, self.model.now)

    def deadline_has_passed(self) -> bool:
        """Cognito no longer takes an answer to this challenge."""
        return is_due(self.model.flow, self.model.now)

    # ── guards at the junction ──

    def code_is_asked(self) -> bool:
        """A texted, mailed or generated code is asked for."""
        return isinstance(self.model.challenge, CodeChallenge)

    def new_password_is_asked(self) -> bool:
        """A temporary password is to be replaced."""
        return isinstance(self.model.challenge, NewPasswordChallenge)

    def tokens_are_issued(self) -> bool:
        """Cognito issued tokens to this flow, just now, and asks for nothing more."""
        return self.model.challenge is None and isinstance(self.model.offer, TokensIssued)

    def challenge_is_not_known(self) -> bool:
        """Cognito asks for something that this version has no state for."""
        return isinstance(self.model.challenge, UnknownChallenge)

    # ── effects ──

    def _write_ahead(self, **fields: Any) -> None:
        bench = self.model
        bench.change(lease_until=bench.now + bench.lease, message=None, detail="", **fields)

    def write_password_ahead(self) -> None:
        offer = self.model.offer
        assert isinstance(offer, SubmitPassword)
        self._write_ahead(username=offer.username, code_asked_in=self.model.flow.version + 1)

    def write_choice_ahead(self) -> None:
        offer = self.model.offer
        assert isinstance(offer, ChooseFactor)
        self._write_ahead(factor=offer.factor, code_asked_in=self.model.flow.version + 1)

    def write_new_password_ahead(self) -> None:
        self._write_ahead(code_asked_in=self.model.flow.version + 1)

    def write_answer_ahead(self) -> None:
        flow = self.model.flow
        self._write_ahead(answered_in=flow.version + 1, tried=(*flow.tried, self.model.digest))

    def take_what_was_issued(self) -> None:
        bench, offer = self.model, self.model.offer
        challenge = offer.challenge if isinstance(offer, ChallengeIssued) else None
        bench.change(
            challenge=challenge,
            challenge_id=bench.flow.version + 1,
            # Counted from before the call left: Cognito's own clock started later.
            challenge_ends=bench.flow.saved_at + challenge.valid_for if challenge else None,
            attempts_left=ANSWERS_PER_CHALLENGE,
            tried=(),
            session_name=offer.session_name if isinstance(offer, TokensIssued) else None,
        )

    def note_refusal(self) -> None:
        offer = self.model.offer
        assert isinstance(offer, Rejected)
        # Only a password policy speaks to the user in Cognito's own words.
        detail = offer.detail if offer.refusal is Refusal.NEW_PASSWORD_REFUSED else ""
        self.model.change(message=offer.refusal.value, detail=detail)

    def count_attempt(self) -> None:
        self.note_refusal()
        if self.model.refusal is Refusal.WRONG_CODE:
            self.model.change(attempts_left=self.model.flow.attempts_left - 1)

    def drop_factor(self) -> None:
        self.note_refusal()
        flow = self.model.flow
        assert isinstance(flow.challenge, FactorChoice)
        left = tuple(factor for factor in flow.challenge.factors if factor is not flow.factor)
        self.model.change(challenge=flow.challenge.model_copy(update={"factors": left}))

    def give_up(self) -> None:
        self._drop_challenge(message="too_many_wrong_codes", attempts_left=0)

    def fail_refused(self) -> None:
        self.note_refusal()
        self._drop_challenge()

    def start_over_refused(self) -> None:
        self.note_refusal()
        self._drop_challenge()

    def start_over_unknown(self) -> None:
        self._drop_challenge(message="outcome_unknown")

    def start_over_expired(self) -> None:
        self._drop_challenge(message="challenge_expired")

    def note_cancelled(self) -> None:
        self._drop_challenge(message="cancelled")

    def name_unknown_challenge(self) -> None:
        challenge = self.model.challenge
        assert isinstance(challenge, UnknownChallenge)
        self._drop_challenge(message="unknown_challenge", detail=challenge.name)

    def note_not_sent(self) -> None:
        offer = self.model.offer
        assert isinstance(offer, NotSent)
        self.model.change(message=offer.cause)

    def forget_answer(self) -> None:
        self.model.change(tried=self.model.flow.tried[:-1])

    def _drop_challenge(self, **fields: Any) -> None:
        self.model.change(challenge=None, challenge_ends=None, tried=(), **fields)


EVENTS = ("submit_password", "choose_factor", "submit_code", "submit_new_password", "cancel")
"""What a person can say that the machine has arrows for; the rest of its events are not theirs."""

_GUARDS: dict[tuple[FlowState, str], tuple[str, ...]] = {
    (state.value, event): tuple(str(guard) for guard in transition.cond)
    for state in SignInMachine.states
    for transition in state.transitions
    for event in EVENTS
    if transition.match(event)
}

_REASONS = {
    "code_not_sent": "stale",
    "answer_not_in_flight": "stale",
    "nothing_happened_since": "stale",
    "answer_not_tried": "already_tried",
    "factor_is_offered": "not_offered",
}


def events_allowed(flow: Flow) -> tuple[str, ...]:
    """The names of the events that a person may send to this flow as it stands."""
    return tuple(event for event in EVENTS if (flow.state, event) in _GUARDS)


class _Desk(threading.local):
    """Each thread's own machine and bench. A machine that has reached a final state is spent."""

    def __init__(self) -> None:
        self.machine = SignInMachine(Workbench())

    def take(self) -> SignInMachine:
        if self.machine.is_terminated:
            self.machine = SignInMachine(Workbench())
        return self.machine


_desk = _Desk()


def advance(
    flow: Flow,
    offer: Offer,
    *,
    now: float,
    seen: int | None = None,
    digest: str = "",
    lease: float = 0.0,
) -> Flow:
    """Offer an event, an outcome or time to a flow.

    Args:
        flow: stays as it is.
        offer: what is offered.
        now: seconds since the epoch.
        seen: the version of the step that a person's event answers; the flow's own where None.
        digest: of the answer in the event.
        lease: seconds until the in-flight state that is entered counts as orphaned.

    Returns:
        The flow after it, one version on.

    Raises:
        NotAllowed: no arrow is open; the reason says what stood in the way.
    """
    if flow.is_final:
        raise NotAllowed("signed_in" if flow.state is FlowState.AUTHENTICATED else "finished")
    machine = _desk.take()
    bench = machine.model
    bench.flow, bench.offer, bench.now = flow, offer, now
    bench.seen = flow.version if seen is None else seen
    bench.digest, bench.lease = digest, lease
    try:
        machine.send(offer.machine_event)
    except TransitionNotAllowed:
        raise NotAllowed(_why_not(machine, offer.machine_event)) from None
    bench.change(version=flow.version + 1, saved_at=now)
    return bench.flow


def _why_not(machine: SignInMachine, event: str) -> str:
    """Which guard on the arrow for this event said no; there is one such arrow in each state."""
    flow = machine.model.flow
    for guard in _GUARDS.get((flow.state, event), ()):
        if not getattr(machine, guard)():
            return _REASONS[guard]
    if flow.is_in_flight:
        return "in_flight"
    return "stale" if machine.model.seen < flow.version else "not_allowed"
