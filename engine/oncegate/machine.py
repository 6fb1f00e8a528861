"""The sign-in machine.

**The rule of this file: everything that decides a transition is in it.** Every state, every arrow,
every guard. The driver does what the machine says and decides nothing; adapters translate.

Theory of operation
-------------------

A flow rests in a state that waits for a person (`idle`, `password_verified`, `awaiting_mfa`, …) or is
over (`authenticated`, `failed`). Between two resting states lies an *in-flight* state, one for each
kind of call to Cognito: checking the first factor, requesting a code, checking an answer, setting a
password, and three for devices. The driver saves the in-flight state before
the call leaves, so whatever happens to the worker, the intent is on record.

What moves a flow is of three kinds. *Events* come from the person. *Outcomes* come from the
transport: accepted (a challenge, the tokens, a confirmation), rejected, not sent, unknown; and two
about devices. *Time* comes from the driver, which offers it to every flow it loads whose deadline
has passed.

Everything Cognito accepts leads to the junction `password_verified`, and so does every refusal after
which the same challenge still stands. From there, arrows without an event lead on by what is asked
now; where it asks the person to choose a second factor, the flow rests at the junction itself. A new
challenge is one more arrow out of the junction instead of one from every state before it. A
challenge nobody here knows leads to `failed`: an arrow, not a guess.

Some arrows lead from one in-flight state into the next, within one event: a device that proves
itself in the place of a second factor, a device that is registered once the tokens are there, a
password that was reset and is used at once. Each is saved before its call like any other.

The promise, a code is only ever sent once per challenge, rests on five things:

1. `code_not_sent` guards every arrow into a call that can make Cognito send. An event carries the
   version of the step it answers; if anything has been written ahead since that version, the event
   is a repetition of one that has been heard already, or comes too late, and is refused.
2. `answer_not_in_flight` and `answer_not_tried` guard the arrows that submit an answer, by the same
   rule and by the digests of what has been tried.
3. No arrow repeats a call that may have had an effect. An in-flight state is left by an outcome, or
   by `time_passed` once `lease_has_passed`; after an outcome that is unknown the flow goes to `idle`,
   where the person starts over with a new challenge. Two arrows do repeat a call, after Cognito
   answered it with nothing but "this device does not exist": it asked for no code then, and the
   second call is made without the device, so it cannot come to that again.
4. `cooldown_is_over`, `new_codes_remain` and `budget_remains` guard the arrows by which a person asks
   for a new code. Asking drops the challenge before, so that its code can no longer be answered.
5. Swaps: the driver saves by compare-and-swap, so of two workers that take the same arrow one wins
   and only that one makes the call (`oncegate.signin`).

How the library is used
-----------------------

python-statemachine is set strict: an event with no arrow raises, an exception in a guard is raised
and not read as "no", the configuration changes at once. Guards are pure, take nothing and return a
literal bool; they and the effects read one workbench, which holds a flow of its own and what is being
offered to it. A machine object costs far more to make than to use, so a few are kept, and flow after
flow is laid on their benches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from pydantic import SecretStr
from statemachine import Event, State, StateChart
from statemachine.exceptions import TransitionNotAllowed

from oncegate.challenge import (
    Challenge,
    CodeChallenge,
    CustomChallenge,
    DeviceChallenge,
    DeviceOffer,
    Factor,
    FactorChoice,
    NewPasswordChallenge,
    PasskeyChallenge,
    PasswordChallenge,
    PasswordReset,
    SignUpConfirmation,
    TotpSetup,
    UnknownChallenge,
)
from oncegate.events import (
    ChooseFactor,
    RememberDevice,
    SubmitCode,
    SubmitPassword,
    SubmitUsername,
)
from oncegate.events import Event as UserEvent
from oncegate.flow import ANSWERS_PER_CHALLENGE, Flow, FlowState
from oncegate.outcomes import (
    ChallengeIssued,
    Confirmed,
    DeviceRegistered,
    NotSent,
    Outcome,
    Refusal,
    Rejected,
    Tokens,
    TokensIssued,
)

CLOCK_SKEW = 300.0
"""Seconds by which workers' clocks may differ. A record from further ahead means a clock jumped."""


# Not validated: that would build every model at import.
_NO_FLOW = Flow.model_construct()
EXPIRED = Flow.model_construct(state=FlowState.FAILED, message="flow_expired")
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
        reason: a key of `oncegate.messages`, such as ``stale``, ``already_tried`` or ``too_soon``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Policy(NamedTuple):
    """What the application decided once and for all.

    Attributes:
        lease: seconds until an in-flight state counts as orphaned.
        cooldown: seconds from a code to the next that may be asked for.
        keep_password: whether the password is kept, sealed, while a challenge lives, so that a new
            code can be asked for by one click.
    """

    lease: float = 0.0
    cooldown: float = 0.0
    keep_password: bool = False


class AtHand(NamedTuple):
    """What the worker has in memory and the guards ask about. Nothing of it is stored.

    Attributes:
        device_key: of the device that the vault has for this user.
        has_vault: whether there is a device vault at all.
        password: the first factor that the event brought, where it may be used once more.
        budget_remains: whether this user and this source may cause another code.
        tokens: those that have to wait with the flow for the user's answer about the device.
    """

    device_key: str | None = None
    has_vault: bool = False
    password: SecretStr | None = None
    budget_remains: bool = True
    tokens: Tokens | None = None


_NO_POLICY = Policy()
_EMPTY_HAND = AtHand()


class Workbench:
    """What the machine works on: a flow, copied before the first change, and what is offered.

    Attributes:
        offer: the event, outcome or time that is offered.
        now: seconds since the epoch.
        seen: the version of the step that a person's event answers.
        digest: of the answer in the event, made by the driver with the flow's own key.
        policy: of the application.
        hand: what the worker has.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Take everything off: what lay here may be a password."""
        self.flow = _NO_FLOW
        self._is_copy = False
        self.offer: Offer = TIME_PASSED
        self.now = 0.0
        self.seen = 0
        self.digest = ""
        self.policy = _NO_POLICY
        self.hand = _EMPTY_HAND

    @property
    def state(self) -> FlowState:
        return self.flow.state

    @state.setter
    def state(self, state: FlowState) -> None:
        if state is not self.flow.state:
            self.change(state=state)

    def change(self, **fields: Any) -> None:
        if not self._is_copy:
            self.flow, self._is_copy = self.flow.model_copy(), True
        # The flow that was laid here stays as it was. Its copy is nobody else's until the machine is
        # done, and a copy for each change would take as long as the changes.
        self.flow.__dict__.update(fields)

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
    choosing_first_factor = State(value=FlowState.CHOOSING_FIRST_FACTOR)
    awaiting_password = State(value=FlowState.AWAITING_PASSWORD)
    awaiting_mfa = State(value=FlowState.AWAITING_MFA)
    setting_up_totp = State(value=FlowState.SETTING_UP_TOTP)
    setting_up_email = State(value=FlowState.SETTING_UP_EMAIL)
    awaiting_passkey = State(value=FlowState.AWAITING_PASSKEY)
    awaiting_answer = State(value=FlowState.AWAITING_ANSWER)
    awaiting_confirmation = State(value=FlowState.AWAITING_CONFIRMATION)
    awaiting_new_password = State(value=FlowState.AWAITING_NEW_PASSWORD)
    awaiting_reset = State(value=FlowState.AWAITING_RESET)
    offering_device = State(value=FlowState.OFFERING_DEVICE)
    authenticated = State(value=FlowState.AUTHENTICATED, final=True)
    failed = State(value=FlowState.FAILED, final=True)

    # In flight: the call is about to leave, under way, or was when its worker died.
    checking_password = State(value=FlowState.CHECKING_PASSWORD)
    requesting_code = State(value=FlowState.REQUESTING_CODE)
    checking_code = State(value=FlowState.CHECKING_CODE)
    setting_password = State(value=FlowState.SETTING_PASSWORD)
    checking_device = State(value=FlowState.CHECKING_DEVICE)
    registering_device = State(value=FlowState.REGISTERING_DEVICE)
    remembering_device = State(value=FlowState.REMEMBERING_DEVICE)

    # At rest with a challenge to answer; and the calls that a sign-in is made of.
    _challenged = (
        password_verified,
        choosing_first_factor,
        awaiting_password,
        awaiting_mfa,
        setting_up_totp,
        setting_up_email,
        awaiting_passkey,
        awaiting_answer,
        awaiting_confirmation,
        awaiting_new_password,
        awaiting_reset,
    )
    _calls = (checking_password, requesting_code, checking_code, setting_password)

    # What a person says.
    submit_password = Event(
        idle.to(
            checking_password,
            cond=["code_not_sent", "username_is_known", "budget_remains"],
            on="write_password_ahead",
        )
        | awaiting_password.to(
            checking_password, cond=["code_not_sent", "budget_remains"], on="write_password_ahead"
        )
    )
    submit_username = Event(
        idle.to(
            requesting_code,
            cond=["code_not_sent", "username_is_enough", "budget_remains"],
            on="write_username_ahead",
        )
    )
    choose_factor = Event(
        choosing_first_factor.to(
            awaiting_password,
            cond=["nothing_happened_since", "factor_is_offered", "password_is_chosen"],
            on="note_choice",
        )
        | password_verified.to(
            setting_up_email,
            cond=["nothing_happened_since", "factor_is_offered", "email_is_to_be_set_up"],
            on="note_choice",
        )
        | requesting_code.from_(
            password_verified,
            choosing_first_factor,
            cond=["code_not_sent", "factor_is_offered", "budget_remains"],
            on="write_choice_ahead",
        )
    )
    submit_email = Event(
        setting_up_email.to(
            requesting_code, cond=["code_not_sent", "budget_remains"], on="write_request_ahead"
        )
    )
    submit_code = Event(
        checking_code.from_(
            awaiting_mfa,
            setting_up_totp,
            awaiting_confirmation,
            cond=["answer_not_in_flight", "answer_not_tried"],
            on="write_answer_ahead",
        )
    )
    submit_passkey = Event(
        awaiting_passkey.to(
            checking_code,
            cond=["answer_not_in_flight", "answer_not_tried"],
            on="write_answer_ahead",
        )
    )
    submit_answer = Event(
        awaiting_answer.to(
            checking_code,
            cond=["code_not_sent", "answer_not_in_flight", "answer_not_tried"],
            on="write_answer_ahead",
        )
    )
    submit_new_password = Event(
        awaiting_new_password.to(setting_password, cond="code_not_sent", on="write_answer_ahead")
    )
    reset_password = Event(
        awaiting_reset.to(
            setting_password,
            cond=["code_not_sent", "answer_not_in_flight", "answer_not_tried"],
            on="write_answer_ahead",
        )
    )
    request_new_code = Event(
        requesting_code.from_(
            awaiting_confirmation,
            awaiting_reset,
            cond=["code_not_sent", "cooldown_is_over", "new_codes_remain", "budget_remains"],
            on="write_new_code_ahead",
        )
        | awaiting_mfa.to(
            checking_password,
            cond=[
                "code_was_delivered",
                "first_factor_is_kept",
                "code_not_sent",
                "cooldown_is_over",
                "new_codes_remain",
                "budget_remains",
            ],
            on="write_repeat_ahead",
        )
        | awaiting_mfa.to(
            requesting_code,
            cond=[
                "code_was_delivered",
                "code_is_first_factor",
                "code_not_sent",
                "cooldown_is_over",
                "new_codes_remain",
                "budget_remains",
            ],
            on="write_repeat_ahead",
        )
        | awaiting_mfa.to(
            idle,
            cond=[
                "code_was_delivered",
                "code_not_sent",
                "cooldown_is_over",
                "new_codes_remain",
                "budget_remains",
            ],
            on="start_over_for_new_code",
        )
    )
    remember_device = Event(
        offering_device.to(
            remembering_device,
            cond=["answer_not_in_flight", "device_is_wanted"],
            on="write_answer_ahead",
        )
        | offering_device.to(authenticated, cond="answer_not_in_flight", on="leave_offer")
    )
    cancel = Event(
        failed.from_(
            idle,
            *_challenged,
            cond="nothing_happened_since",
            on="note_cancelled",
        )
    )

    # What the transport reports.
    accepted = Event(
        password_verified.from_(
            *_calls,
            checking_device,
            on="take_what_was_issued",
        )
    )
    rejected = Event(
        checking_password.to(
            checking_password, cond="device_is_forgotten", on="go_on_without_device"
        )
        | checking_code.to(checking_code, cond="device_is_forgotten", on="go_on_without_device")
        | checking_device.to(
            checking_password, cond="first_factor_is_at_hand", on="go_on_without_device"
        )
        | checking_device.to(idle, on="start_over_without_device")
        | password_verified.from_(
            *_calls,
            cond="another_journey_is_needed",
            on="set_out_on_journey",
        )
        | checking_password.to(idle, cond="may_be_tried_again", on="start_over_refused")
        | requesting_code.to(password_verified, cond="factor_is_unusable", on="drop_factor")
        | password_verified.from_(
            requesting_code,
            checking_code,
            setting_password,
            cond="journey_goes_on",
            on="note_refusal",
        )
        | checking_code.to(
            password_verified, cond="challenge_lives and attempts_remain", on="count_attempt"
        )
        | setting_password.to(
            password_verified, cond="challenge_lives and attempts_remain", on="count_attempt"
        )
        | failed.from_(checking_code, setting_password, cond="challenge_lives", on="give_up")
        | setting_password.to(password_verified, cond="new_password_was_refused", on="note_refusal")
        | idle.from_(
            requesting_code,
            checking_code,
            setting_password,
            cond="challenge_is_dead",
            on="start_over_refused",
        )
        | failed.from_(
            *_calls,
            on="fail_refused",
        )
        | authenticated.from_(registering_device, remembering_device, on="leave_offer")
    )
    registered = Event(
        registering_device.to(
            remembering_device, cond="pool_asks and device_is_wanted", on="write_ahead"
        )
        | registering_device.to(offering_device, cond="pool_asks and user_has_not_said", on="offer")
        | registering_device.to(authenticated)
    )
    remembered = Event(remembering_device.to(authenticated, on="leave_offer"))
    not_sent = Event(
        password_verified.from_(checking_password, requesting_code, on="note_not_sent")
        | password_verified.from_(
            checking_code, setting_password, on=["note_not_sent", "forget_answer"]
        )
        | checking_device.to(idle, on=["start_over_unknown", "note_not_sent"])
        | authenticated.from_(registering_device, remembering_device, on="leave_offer")
    )
    unknown = Event(
        idle.from_(
            *_calls,
            checking_device,
            on="start_over_unknown",
        )
        | authenticated.from_(registering_device, remembering_device, on="leave_offer")
    )

    # What the clock says.
    time_passed = Event(
        authenticated.from_(
            registering_device,
            offering_device,
            remembering_device,
            cond="session_is_kept and deadline_has_passed",
            on="leave_offer",
        )
        | idle.from_(
            *_calls,
            checking_device,
            registering_device,
            remembering_device,
            cond="lease_has_passed",
            on="start_over_unknown",
        )
        | idle.from_(
            *_challenged,
            offering_device,
            cond="deadline_has_passed",
            on="start_over_expired",
        )
    )

    # Out of the junction, by what is asked now; the everyday ones first, for they are tried in order.
    # Where a second factor is to be chosen, it rests.
    password_verified.to(awaiting_mfa, cond="code_is_asked")
    password_verified.to(registering_device, cond="device_is_new", on="write_ahead")
    password_verified.to(authenticated, cond="tokens_are_issued")
    password_verified.to(awaiting_new_password, cond="new_password_is_asked")
    password_verified.to(setting_up_totp, cond="totp_setup_is_asked")
    password_verified.to(awaiting_password, cond="password_is_asked")
    password_verified.to(awaiting_passkey, cond="passkey_is_asked")
    password_verified.to(awaiting_answer, cond="answer_is_asked")
    password_verified.to(awaiting_confirmation, cond="confirmation_is_asked")
    password_verified.to(awaiting_reset, cond="reset_is_asked")
    password_verified.to(requesting_code, cond="factor_was_chosen_before", on="write_choice_again")
    password_verified.to(choosing_first_factor, cond="first_factor_is_asked")
    password_verified.to(checking_device, cond="device_is_asked", on="write_ahead")
    password_verified.to(
        checking_password, cond="confirmed and first_factor_is_at_hand", on="write_request_ahead"
    )
    password_verified.to(failed, cond="challenge_is_not_known", on="name_unknown_challenge")
    password_verified.to(idle, cond="nothing_is_asked")

    # ── guards on what a person says ──

    def code_not_sent(self) -> bool:
        """The event answers the step as it is: nothing that can send was written ahead since."""
        return self._answers_this_step()

    def answer_not_in_flight(self) -> bool:
        """The event answers the step as it is: no answer was written ahead since."""
        return self._answers_this_step()

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

    def password_is_chosen(self) -> bool:
        """The chosen first factor is the password, which is to be typed before anything is sent."""
        offer = self.model.offer
        return isinstance(offer, ChooseFactor) and offer.factor is Factor.PASSWORD

    def email_is_to_be_set_up(self) -> bool:
        """The chosen factor is a mailbox, whose address is to be typed before anything is sent."""
        challenge, offer = self.model.challenge, self.model.offer
        return (
            isinstance(challenge, FactorChoice)
            and challenge.kind == "MFA_SETUP"
            and isinstance(offer, ChooseFactor)
            and offer.factor is Factor.EMAIL
        )

    def username_is_known(self) -> bool:
        """The event names the user, or the flow does."""
        offer = self.model.offer
        typed = offer.username if isinstance(offer, SubmitPassword) else None
        return bool(typed or self.model.flow.username)

    def username_is_enough(self) -> bool:
        """The transport can begin without a password."""
        return self.model.flow.is_passwordless

    def code_was_delivered(self) -> bool:
        """The code was texted or mailed, so that there can be a new one."""
        challenge = self.model.challenge
        return isinstance(challenge, CodeChallenge) and challenge.delivery is not None

    def code_is_first_factor(self) -> bool:
        """The code stands in for the password, so that a new one needs none."""
        challenge = self.model.challenge
        return isinstance(challenge, CodeChallenge) and challenge.is_first_factor

    def first_factor_is_kept(self) -> bool:
        """The application opted to keep the password while the challenge lives."""
        return self.model.flow.kept_password is not None

    def cooldown_is_over(self) -> bool:
        """The last code has had its time to arrive."""
        return self.model.now >= (self.model.flow.new_code_at or 0.0)

    def new_codes_remain(self) -> bool:
        """This flow has not asked for as many codes as a flow may."""
        return self.model.flow.new_codes_left > 0

    def budget_remains(self) -> bool:
        """This user and this source have not caused as many codes, over all flows, as they may."""
        return self.model.hand.budget_remains

    def device_is_wanted(self) -> bool:
        """The user wants this device remembered: said now, or ahead."""
        offer = self.model.offer
        if isinstance(offer, RememberDevice):
            return offer.remember
        return self.model.flow.remember_device is True

    def nothing_happened_since(self) -> bool:
        """The event answers the step as it is."""
        return self._answers_this_step()

    def _answers_this_step(self) -> bool:
        # Every change is a version of its own, so an event that was written ahead is seen by its
        # version alone. One from the future is of a record that was rolled back.
        return self.model.seen == self.model.flow.version

    # ── guards on what the transport reports ──

    def may_be_tried_again(self) -> bool:
        """The first factor was refused in a way that another try can mend."""
        return self.model.refusal in {
            Refusal.WRONG_CREDENTIALS,
            Refusal.LOCKED,
            Refusal.CHALLENGE_DEAD,
        }

    def device_is_forgotten(self) -> bool:
        """Cognito answered only that the device, which was named in the call, does not exist."""
        return (
            self.model.refusal is Refusal.DEVICE_FORGOTTEN
            and self.model.flow.device_key is not None
        )

    def another_journey_is_needed(self) -> bool:
        """Nobody can sign in before the sign-up is confirmed, or the password reset, with a code."""
        return self.model.refusal in _JOURNEYS

    def journey_goes_on(self) -> bool:
        """On a journey, a code that is no longer good is no dead end: another can be asked for."""
        return isinstance(self.model.challenge, _JOURNEY_CHALLENGES) and self.model.refusal in {
            Refusal.CODE_EXPIRED,
            Refusal.FACTOR_UNUSABLE,
            Refusal.WRONG_CREDENTIALS,
            Refusal.LOCKED,
        }

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

    def session_is_kept(self) -> bool:
        """The host's session keeper has the tokens, so the user is signed in whatever comes."""
        return self.model.flow.session_name is not None

    # ── guards at the junction ──

    def code_is_asked(self) -> bool:
        """A texted, mailed or generated code is asked for."""
        return isinstance(self.model.challenge, CodeChallenge)

    def new_password_is_asked(self) -> bool:
        """A temporary password is to be replaced."""
        return isinstance(self.model.challenge, NewPasswordChallenge)

    def totp_setup_is_asked(self) -> bool:
        """An authenticator app is to be set up, and its secret is here to be shown."""
        return isinstance(self.model.challenge, TotpSetup)

    def password_is_asked(self) -> bool:
        """The username is known and the password is asked for."""
        return isinstance(self.model.challenge, PasswordChallenge)

    def passkey_is_asked(self) -> bool:
        """A passkey is to sign."""
        return isinstance(self.model.challenge, PasskeyChallenge)

    def answer_is_asked(self) -> bool:
        """The pool's own Lambda asks for something."""
        return isinstance(self.model.challenge, CustomChallenge)

    def confirmation_is_asked(self) -> bool:
        """The sign-up is to be confirmed first."""
        return isinstance(self.model.challenge, SignUpConfirmation)

    def reset_is_asked(self) -> bool:
        """The password is to be reset first."""
        return isinstance(self.model.challenge, PasswordReset)

    def factor_was_chosen_before(self) -> bool:
        """A new code was asked for, so the factor is the one that the user chose for the last one."""
        challenge, again = self.model.challenge, self.model.flow.again
        return isinstance(challenge, FactorChoice) and again in challenge.factors

    def first_factor_is_asked(self) -> bool:
        """The user is to choose how to begin."""
        challenge = self.model.challenge
        return isinstance(challenge, FactorChoice) and challenge.kind == "SELECT_CHALLENGE"

    def device_is_asked(self) -> bool:
        """The device that was named in the call is to prove itself."""
        return (
            isinstance(self.model.challenge, DeviceChallenge)
            and self.model.flow.device_key is not None
            and self.model.flow.device_key == self.model.hand.device_key
        )

    def device_is_new(self) -> bool:
        """Cognito issued the tokens, did not know this device, and there is a vault to keep it in."""
        offer = self.model.offer
        return (
            isinstance(offer, TokensIssued)
            and self.model.challenge is None
            and offer.new_device is not None
            and self.model.hand.has_vault
        )

    def tokens_are_issued(self) -> bool:
        """Cognito issued tokens to this flow, just now, and asks for nothing more."""
        return self.model.challenge is None and isinstance(self.model.offer, TokensIssued)

    def confirmed(self) -> bool:
        """A sign-up was confirmed or a password reset, just now."""
        return isinstance(self.model.offer, Confirmed)

    def first_factor_is_at_hand(self) -> bool:
        """The worker, or the flow, has what it takes to begin again without the user."""
        flow = self.model.flow
        return (
            self.model.hand.password is not None
            or flow.kept_password is not None
            or flow.start_session is not None
        )

    def challenge_is_not_known(self) -> bool:
        """Cognito asks for something that this version has no state for."""
        return isinstance(self.model.challenge, (UnknownChallenge, DeviceChallenge))

    def nothing_is_asked(self) -> bool:
        """There is nothing to answer, so the user begins (again)."""
        return self.model.challenge is None

    # ── guards on what is reported of a device ──

    def pool_asks(self) -> bool:
        """The pool lets the user choose whether the device is remembered."""
        offer = self.model.offer
        return isinstance(offer, DeviceRegistered) and offer.ask_user

    def user_has_not_said(self) -> bool:
        """The user has not answered ahead."""
        return self.model.flow.remember_device is None

    # ── effects ──

    def _write_ahead(self, **fields: Any) -> None:
        bench = self.model
        lease_until = bench.now + bench.policy.lease
        bench.change(lease_until=lease_until, message=None, detail="", **fields)

    def write_ahead(self) -> None:
        self._write_ahead()

    def write_request_ahead(self) -> None:
        self._write_ahead(device_key=self.model.hand.device_key)

    def write_password_ahead(self) -> None:
        bench, offer = self.model, self.model.offer
        assert isinstance(offer, SubmitPassword)
        self.write_request_ahead()
        bench.change(
            username=offer.username or bench.flow.username,
            kept_password=offer.password if bench.policy.keep_password else None,
        )

    def write_username_ahead(self) -> None:
        offer = self.model.offer
        assert isinstance(offer, SubmitUsername)
        self.write_request_ahead()
        self.model.change(username=offer.username, factor=offer.preferred)

    def note_choice(self) -> None:
        offer = self.model.offer
        assert isinstance(offer, ChooseFactor)
        self.model.change(factor=offer.factor, message=None, detail="")

    def write_choice_ahead(self) -> None:
        self.note_choice()
        self.write_request_ahead()

    def write_choice_again(self) -> None:
        # Once: were it not sent, the user would have to choose, or this would go round for ever.
        self.model.change(factor=self.model.flow.again, again=None)
        self.write_request_ahead()

    def write_answer_ahead(self) -> None:
        flow, offer = self.model.flow, self.model.offer
        self._write_ahead(
            tried=(*flow.tried, self.model.digest),
            device_key=self.model.hand.device_key,
        )
        if isinstance(offer, SubmitCode) and offer.remember_device is not None:
            self.model.change(remember_device=offer.remember_device)

    def write_new_code_ahead(self) -> None:
        self.write_request_ahead()
        self.model.change(new_codes_left=self.model.flow.new_codes_left - 1)

    def write_repeat_ahead(self) -> None:
        kept = self.model.flow.kept_password
        self._let_go_of_code()
        self.write_new_code_ahead()
        self.model.change(kept_password=kept)

    def start_over_for_new_code(self) -> None:
        self._let_go_of_code()
        self.model.change(
            new_codes_left=self.model.flow.new_codes_left - 1, message="password_for_new_code"
        )

    def _let_go_of_code(self) -> None:
        challenge = self.model.challenge
        assert isinstance(challenge, CodeChallenge)
        self._drop_challenge(again=challenge.kind)

    def take_what_was_issued(self) -> None:
        bench, offer = self.model, self.model.offer
        challenge = offer.challenge if isinstance(offer, ChallengeIssued) else None
        delivery = getattr(challenge, "delivery", None)
        bench.change(
            challenge=challenge,
            challenge_id=bench.flow.version + 1,
            # Counted from before the call left: Cognito's own clock started later.
            challenge_ends=bench.flow.saved_at + challenge.valid_for if challenge else None,
            attempts_left=ANSWERS_PER_CHALLENGE,
            tried=(),
            start_session=None,
            # It counts over all challenges of the flow, not from the last one only.
            new_code_at=bench.now + bench.policy.cooldown if delivery else bench.flow.new_code_at,
        )
        if isinstance(challenge, CodeChallenge):
            bench.change(again=None)
        if isinstance(offer, TokensIssued):
            bench.change(session_name=offer.session_name, kept_password=None)
        if isinstance(offer, Confirmed):
            bench.change(start_session=offer.session, message="confirmed")

    def set_out_on_journey(self) -> None:
        bench = self.model
        assert bench.refusal is not None
        challenge = _JOURNEYS[bench.refusal](username=bench.flow.username)
        self.note_refusal()
        bench.change(
            challenge=challenge,
            challenge_id=bench.flow.version + 1,
            challenge_ends=bench.now + challenge.valid_for,
            attempts_left=ANSWERS_PER_CHALLENGE,
            tried=(),
        )

    def go_on_without_device(self) -> None:
        if self.model.flow.state is FlowState.CHECKING_DEVICE:
            self.model.change(challenge=None, challenge_ends=None)
        self.write_request_ahead()
        self.model.change(device_key=None)

    def start_over_without_device(self) -> None:
        self._drop_challenge(message="device_forgotten", device_key=None)

    def offer(self) -> None:
        bench, offer, tokens = self.model, self.model.offer, self.model.hand.tokens
        assert isinstance(offer, DeviceRegistered)
        assert tokens is not None
        challenge = DeviceOffer.model_validate(
            {
                "username": offer.device.username,
                "device_key": offer.device.key,
                "access_token": tokens.access_token,
                "id_token": tokens.id_token,
                "refresh_token": tokens.refresh_token,
                "expires_in": tokens.expires_in,
            }
        )
        bench.change(
            challenge=challenge,
            challenge_id=bench.flow.version + 1,
            challenge_ends=bench.now + challenge.valid_for,
        )

    def leave_offer(self) -> None:
        self._drop_challenge()

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
        # The call may have sent a code, which has to have its time to arrive like any other.
        bench = self.model
        self._drop_challenge(
            message="outcome_unknown", new_code_at=bench.now + bench.policy.cooldown
        )

    def start_over_expired(self) -> None:
        self._drop_challenge(message="challenge_expired")

    def note_cancelled(self) -> None:
        self._drop_challenge(message="cancelled")

    def name_unknown_challenge(self) -> None:
        challenge = self.model.challenge
        assert challenge is not None
        name = challenge.name if isinstance(challenge, UnknownChallenge) else challenge.kind
        self._drop_challenge(message="unknown_challenge", detail=name)

    def note_not_sent(self) -> None:
        offer = self.model.offer
        assert isinstance(offer, NotSent)
        self.model.change(message=offer.cause)

    def forget_answer(self) -> None:
        self.model.change(tried=self.model.flow.tried[:-1])

    def _drop_challenge(self, **fields: Any) -> None:
        gone = dict.fromkeys(("challenge", "challenge_ends", "kept_password", "start_session"))
        self.model.change(**{**gone, "tried": (), **fields})


_JOURNEYS: dict[Refusal, type[SignUpConfirmation | PasswordReset]] = {
    Refusal.SIGN_UP_NOT_CONFIRMED: SignUpConfirmation,
    Refusal.PASSWORD_RESET_REQUIRED: PasswordReset,
}
_JOURNEY_CHALLENGES = (SignUpConfirmation, PasswordReset)


EVENTS = (
    "submit_username",
    "submit_password",
    "choose_factor",
    "submit_email",
    "submit_code",
    "submit_passkey",
    "submit_answer",
    "submit_new_password",
    "reset_password",
    "remember_device",
    "request_new_code",
    "cancel",
)
"""What a person can say that the machine has arrows for; the rest of its events are not theirs.

Where a state takes several, the first of them is the one that its page is for."""

_ARROWS: dict[tuple[FlowState, str], list[tuple[str, ...]]] = {}
"""The guards of every arrow for a person's event, in the chart's order: the last is the general one."""
for _state in SignInMachine.states:
    for _transition in _state.transitions:
        for _event in map(str, _transition.events):
            if _event in EVENTS:
                _guards = tuple(str(guard) for guard in _transition.cond)
                _ARROWS.setdefault((_state.value, _event), []).append(_guards)

_STANDING = frozenset({"username_is_enough", "code_was_delivered", "new_codes_remain"})
"""Guards that look at the flow alone: while one is shut, the event is not even shown."""

_REASONS = {
    "code_not_sent": "stale",
    "answer_not_in_flight": "stale",
    "nothing_happened_since": "stale",
    "answer_not_tried": "already_tried",
    "factor_is_offered": "not_offered",
    "username_is_known": "username_missing",
    "username_is_enough": "not_allowed",
    "code_was_delivered": "not_allowed",
    "cooldown_is_over": "too_soon",
    "new_codes_remain": "no_more_codes",
    "budget_remains": "too_many_codes",
}


_SHOWN: dict[FlowState, tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]] = {
    state: tuple(
        (event, tuple(tuple(_STANDING.intersection(guards)) for guards in _ARROWS[state, event]))
        for event in EVENTS
        if (state, event) in _ARROWS
    )
    for state in FlowState
}
"""For each state, its events in order, each with the standing guards of its arrows."""


def events_allowed(flow: Flow) -> tuple[str, ...]:
    """The names of the events that a person may send to this flow as it stands."""
    with _desk.machine() as machine:
        machine.model.flow = flow
        return tuple(
            event
            for event, arrows in _SHOWN[flow.state]
            if any(all(getattr(machine, guard)() for guard in guards) for guards in arrows)
        )


class _Desk:
    """The machines that are free, each with its bench, used for one flow after another.

    A machine object is never shared while it is at work. There are as many as were ever at work at the
    same moment, not one for each thread: a thread that waits for Cognito needs none.
    """

    def __init__(self) -> None:
        self._free: deque[SignInMachine] = deque()

    @contextmanager
    def machine(self) -> Iterator[SignInMachine]:
        """A machine of one's own, for as long as the block lasts.

        It is not used again after an exception: who knows where that left it.
        """
        try:
            machine = self._free.pop()
        except IndexError:
            machine = SignInMachine(Workbench())
        if machine.is_terminated:
            # A final state stops the engine, and the library has no public way to start it again. A new
            # machine instead costs 10 ms, once for every sign-in that ends.
            machine._engine.running = True
        yield machine
        machine.model.clear()
        self._free.append(machine)


_desk = _Desk()


def advance(
    flow: Flow,
    offer: Offer,
    *,
    now: float,
    seen: int | None = None,
    digest: str = "",
    policy: Policy = _NO_POLICY,
    hand: AtHand = _EMPTY_HAND,
) -> Flow:
    """Offer an event, an outcome or time to a flow.

    Args:
        flow: stays as it is.
        offer: what is offered.
        now: seconds since the epoch.
        seen: the version of the step that a person's event answers; the flow's own where None.
        digest: of the answer in the event.
        policy: of the application.
        hand: what the worker has in memory.

    Returns:
        The flow after it, one version on.

    Raises:
        NotAllowed: no arrow is open; the reason says what stood in the way.
    """
    if flow.is_final:
        raise NotAllowed("signed_in" if flow.state is FlowState.AUTHENTICATED else "finished")
    with _desk.machine() as machine:
        bench = machine.model
        bench.flow, bench.offer, bench.now = flow, offer, now
        bench.seen = flow.version if seen is None else seen
        bench.digest, bench.policy, bench.hand = digest, policy, hand
        try:
            machine.send(offer.machine_event)
        except TransitionNotAllowed:
            reason = _why_not(machine, offer.machine_event)
        else:
            bench.change(version=flow.version + 1, saved_at=now)
            return bench.flow
    raise NotAllowed(reason)


def _why_not(machine: SignInMachine, event: str) -> str:
    """Which guard said no: on the last arrow for this event, which is the general one."""
    flow = machine.model.flow
    for guard in _ARROWS.get((flow.state, event), [()])[-1]:
        if not getattr(machine, guard)():
            return _REASONS[guard]
    if flow.is_in_flight:
        return "in_flight"
    return "stale" if machine.model.seen < flow.version else "not_allowed"
