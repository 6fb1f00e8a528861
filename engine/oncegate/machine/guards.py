"""The guards: every condition on a transition, as a pure predicate that reads like English.

Guards change nothing and return a literal bool. They read `TransitionContext` and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from oncegate.challenges import (
    Challenge,
    ChooseFactor,
    CodeChallenge,
    DeviceChallenge,
    DeviceOffer,
    Factor,
    FactorChoice,
    ForgotPassword,
    PasswordReset,
    ProviderChallenge,
    RecoveryChallenge,
    RememberDevice,
    SignInWith,
    SignUp,
    SignUpConfirmation,
    SignUpRequest,
    SubmitAuthorization,
    SubmitPassword,
)
from oncegate.challenges.factor_choice import offered_factors
from oncegate.outcomes import Confirmed, DeviceRegistered, RejectionReason, TokensIssued
from oncegate.record import Flow
from oncegate.states import FlowState

if TYPE_CHECKING:
    from statemachine import State

    from oncegate.machine.context import TransitionContext

CLOCK_SKEW = 300.0
"""Seconds by which workers' clocks may differ. A record from further in the future means that a clock
was set back."""

RECOVERIES: Final[dict[RejectionReason, type[SignUpConfirmation | PasswordReset]]] = {
    RejectionReason.SIGN_UP_NOT_CONFIRMED: SignUpConfirmation,
    RejectionReason.PASSWORD_RESET_REQUIRED: PasswordReset,
}
"""The rejections after which a code, sent on request, leads back to the sign-in."""


_REJECTED: Final = frozenset({"wrong_credentials", "username_refused", "locked"})
"""The messages of a flow whose first factor was rejected."""

_IMITATED: Final = frozenset(
    {
        RejectionReason.WRONG_CREDENTIALS,
        RejectionReason.FACTOR_UNUSABLE,
        RejectionReason.ADMINISTRATOR_MUST_ACT,
        RejectionReason.TRIGGER_REFUSED,
        *RECOVERIES,
    }
)
"""The reasons for which no code of a recovery is sent to some users, known or unknown."""


def is_imitated(
    challenge: Challenge | None, reason: RejectionReason | None, *, reveals_existing_users: bool
) -> bool:
    """Return whether the flow goes on as if a code had been sent, though none was.

    Why none was depends on who the user is, which must not be told: nothing is proven yet (P6).

    Args:
        challenge: the challenge whose code was requested.
        reason: why Cognito rejected the request; None if it did not.
        reveals_existing_users: whether signing up tells that a name is taken.
    """
    if isinstance(challenge, SignUpRequest):
        return reason is RejectionReason.USERNAME_TAKEN and not reveals_existing_users
    return isinstance(challenge, RecoveryChallenge) and reason in _IMITATED


_WRONG_IN_A_RECOVERY: Final = frozenset(
    {
        RejectionReason.WRONG_CODE,
        RejectionReason.CODE_ALREADY_USED,
        RejectionReason.CODE_EXPIRED,
        RejectionReason.CHALLENGE_DEAD,
        RejectionReason.WRONG_CREDENTIALS,
        RejectionReason.REFUSED,
        RejectionReason.FACTOR_UNUSABLE,
    }
)
"""What Cognito answers to a wrong code of a recovery.

Which one depends on whether there is such a user, and whether a code was sent, which must not be told
(AWS developer guide, managing error responses): so all count alike.
"""


def answer_was_wrong(challenge: Challenge | None, reason: RejectionReason | None) -> bool:
    """Return whether a rejection means that the code, or the answer, was wrong.

    Args:
        challenge: the challenge that was answered.
        reason: why Cognito rejected the answer; None if it did not.
    """
    if isinstance(challenge, RecoveryChallenge):
        return reason in _WRONG_IN_A_RECOVERY
    return reason is RejectionReason.WRONG_CODE


def is_due(flow: Flow, now: float) -> bool:
    """Return whether the flow's state has outlived its deadline.

    A record from far in the future means that a clock was set back. Waiting for its deadline could
    take for ever, and starting over is always safe.
    """
    deadline = flow.deadline
    return deadline is not None and (now >= deadline or now < flow.saved_at - CLOCK_SKEW)


class Guards:
    """The conditions of `oncegate.machine.chart.SignInMachine`."""

    if TYPE_CHECKING:
        model: TransitionContext

    # ── on the user's events ──

    def step_is_current(self) -> bool:
        """The event answers the flow's current step: nothing was saved since the user saw it.

        Every change is a new version, so a repeated or late event always has an older one. A version
        from the future means that the record was rolled back.
        """
        return self.model.expected_version == self.model.flow.version

    code_not_sent = step_is_current
    """The same guard, by the name that it has on every transition whose call can send a code: if the
    step is current, no call that can send was written ahead since the user saw it."""

    def answer_is_new(self) -> bool:
        """The same answer was not sent for this challenge before."""
        return self.model.digest not in self.model.flow.attempted_digests

    def username_is_known(self) -> bool:
        """The event or the flow names the user."""
        trigger = self.model.trigger
        names = isinstance(trigger, (SubmitPassword, ForgotPassword)) and trigger.username
        return bool(names or self.model.flow.username)

    def sign_in_was_rejected(self) -> bool:
        """Cognito rejected the first factor of this user, who may have a recovery to do."""
        return self.model.flow.message in _REJECTED and bool(self.model.flow.username)

    def password_reset_is_offered(self) -> bool:
        """Users may reset a forgotten password."""
        return self.model.policy.ways_in.password_reset

    def sign_up_is_offered(self) -> bool:
        """Users may create an account."""
        return self.model.policy.ways_in.sign_up is not None

    def password_is_given(self) -> bool:
        """The event has the password that the form of a new account requires, if it does."""
        trigger, form = self.model.trigger, self.model.policy.ways_in.sign_up
        is_required = form is not None and form.password == "required"
        return not is_required or (isinstance(trigger, SignUp) and trigger.password is not None)

    def attributes_are_given(self) -> bool:
        """The event has every attribute that the form of a new account asks for."""
        trigger, form = self.model.trigger, self.model.policy.ways_in.sign_up
        given = trigger.attributes if isinstance(trigger, SignUp) else {}
        return form is None or all(given.get(name, "").strip() for name in form.attributes)

    def provider_is_offered(self) -> bool:
        """The application offers the chosen identity provider, or any if none is chosen yet."""
        trigger = self.model.trigger
        offered = [provider.name for provider in self.model.policy.ways_in.providers]
        return trigger.provider in offered if isinstance(trigger, SignInWith) else bool(offered)

    def state_matches(self) -> bool:
        """The provider's answer repeats the state of this flow's request (RFC 6749, 10.12)."""
        challenge, trigger = self.model.challenge, self.model.trigger
        return (
            isinstance(challenge, ProviderChallenge)
            and isinstance(trigger, SubmitAuthorization)
            and challenge.is_answered_by(trigger)
        )

    def provider_refused(self) -> bool:
        """The provider answered with an error, so there is no code to exchange."""
        trigger = self.model.trigger
        return isinstance(trigger, SubmitAuthorization) and trigger.code is None

    def username_is_enough(self) -> bool:
        """The transport can begin without a password."""
        return self.model.flow.is_passwordless

    def factor_is_offered(self) -> bool:
        """Cognito offers the chosen factor to this user, or any if none is chosen yet."""
        offered, trigger = offered_factors(self.model.flow), self.model.trigger
        return trigger.factor in offered if isinstance(trigger, ChooseFactor) else bool(offered)

    def code_of_factor_is_due(self) -> bool:
        """No code was sent for the chosen factor, or the last code has had its time to arrive."""
        trigger = self.model.trigger
        was_sent = (
            isinstance(trigger, ChooseFactor) and trigger.factor in self.model.flow.sent_factors
        )
        return not was_sent or self.cooldown_is_over()

    def second_factor_is_asked(self) -> bool:
        """A code is asked for after the password, so another way takes the password again."""
        challenge = self.model.challenge
        return isinstance(challenge, CodeChallenge) and not challenge.is_first_factor

    def password_is_chosen(self) -> bool:
        """The chosen factor is the password, so the user has to enter it before any call."""
        trigger = self.model.trigger
        return isinstance(trigger, ChooseFactor) and trigger.factor is Factor.PASSWORD

    def email_is_to_be_set_up(self) -> bool:
        """The chosen factor is a new email address, so the user has to enter it before any call."""
        challenge, trigger = self.model.challenge, self.model.trigger
        return (
            isinstance(challenge, FactorChoice)
            and challenge.kind == "MFA_SETUP"
            and isinstance(trigger, ChooseFactor)
            and trigger.factor is Factor.EMAIL
        )

    def code_was_delivered(self) -> bool:
        """Cognito sent the code by SMS or email, so a new one can be requested."""
        challenge = self.model.challenge
        return isinstance(challenge, CodeChallenge) and challenge.delivery is not None

    def code_is_first_factor(self) -> bool:
        """The code replaces the password, so a new one needs no password."""
        challenge = self.model.challenge
        return isinstance(challenge, CodeChallenge) and challenge.is_first_factor

    def password_is_retained(self) -> bool:
        """The application chose to retain the password while the challenge lives."""
        return self.model.flow.retained_password is not None

    def cooldown_is_over(self) -> bool:
        """The last code has had its time to arrive."""
        return self.model.now >= (self.model.flow.new_code_at or 0.0)

    def new_codes_remain(self) -> bool:
        """This flow may request another new code."""
        return self.model.flow.new_codes_left > 0

    def budget_remains(self) -> bool:
        """This user and this source may cause another code, counted over all flows."""
        return self.model.inputs.budget_remains

    def guesses_remain(self) -> bool:
        """This user has not entered too many wrong codes, counted over all flows."""
        return self.model.inputs.guesses_remain

    def device_is_wanted(self) -> bool:
        """The user wants this device remembered, said now or in advance."""
        trigger = self.model.trigger
        if isinstance(trigger, RememberDevice):
            return trigger.remember
        return self.model.flow.remember_device is True

    # ── on outcomes ──

    def device_is_forgotten(self) -> bool:
        """Cognito answered only that the device, which the call named, does not exist."""
        return (
            self.model.rejection_reason is RejectionReason.DEVICE_FORGOTTEN
            and self.model.flow.device_key is not None
        )

    def device_is_not_believed(self) -> bool:
        """Cognito does not know the device, or does not accept its proof."""
        return self.model.rejection_reason in {
            RejectionReason.DEVICE_FORGOTTEN,
            RejectionReason.WRONG_CREDENTIALS,
        }

    def recovery_is_required(self) -> bool:
        """The user has to confirm the sign-up or reset the password, with a code, to sign in."""
        return self.model.rejection_reason in RECOVERIES

    def recovery_is_imitated(self) -> bool:
        """No code was sent because of who the user is, or is not, which must not be told."""
        is_recovery = isinstance(self.model.challenge, RecoveryChallenge)
        return is_recovery and self._is_imitated()

    def _is_imitated(self) -> bool:
        return is_imitated(
            self.model.challenge,
            self.model.rejection_reason,
            reveals_existing_users=self.model.policy.reveal_existing_users,
        )

    def username_is_taken(self) -> bool:
        """There is an account of that name, which must not be told."""
        return self._is_imitated()

    def sign_up_can_be_corrected(self) -> bool:
        """The pool refused what was entered for a new account: no account was created."""
        return self.model.rejection_reason in {
            RejectionReason.INPUT_REFUSED,
            RejectionReason.NEW_PASSWORD_REFUSED,
            RejectionReason.TRIGGER_REFUSED,
            RejectionReason.USERNAME_TAKEN,
        }

    def recovery_code_was_requested(self) -> bool:
        """The call was to send a code that is answered outside any session, so one may arrive."""
        return isinstance(self.model.challenge, RecoveryChallenge)

    def recovery_continues(self) -> bool:
        """No code can be sent now, and it can be requested again."""
        challenge, reason = self.model.challenge, self.model.rejection_reason
        is_recovery = isinstance(challenge, RecoveryChallenge)
        is_locked = reason is RejectionReason.LOCKED
        return is_recovery and (is_locked or answer_was_wrong(challenge, reason))

    def first_factor_can_be_retried(self) -> bool:
        """The first factor was rejected, and the user can try again.

        Cognito refuses an unconfirmed user before it checks the password (amazon-cognito-identity-js
        issue 288), so this is a rejection like any other.
        """
        return self.model.rejection_reason in {
            *RECOVERIES,
            RejectionReason.WRONG_CREDENTIALS,
            RejectionReason.LOCKED,
            RejectionReason.CHALLENGE_DEAD,
        }

    def factor_is_unusable(self) -> bool:
        """The chosen factor does not work for this user, and another one is offered."""
        challenge = self.model.challenge
        return (
            self.model.rejection_reason is RejectionReason.FACTOR_UNUSABLE
            and isinstance(challenge, FactorChoice)
            and len(challenge.factors) > 1
        )

    def challenge_is_alive(self) -> bool:
        """The code was wrong or already used, or Cognito locked the user for some seconds.

        The session takes another answer. A lock does not end it: AWS developer guide, on MFA.
        """
        reason = self.model.rejection_reason
        lives_on = {RejectionReason.CODE_ALREADY_USED, RejectionReason.LOCKED}
        return reason in lives_on or answer_was_wrong(self.model.challenge, reason)

    def attempts_remain(self) -> bool:
        """This was not the last attempt, or it cost none: the code was not wrong."""
        is_wrong = answer_was_wrong(self.model.challenge, self.model.rejection_reason)
        return self.model.flow.attempts_left > 1 or not is_wrong

    def input_was_rejected(self) -> bool:
        """The new password, or an attribute, was mistyped or is taken; the session takes another."""
        return self.model.rejection_reason in {
            RejectionReason.NEW_PASSWORD_REFUSED,
            RejectionReason.INPUT_REFUSED,
        }

    def email_was_rejected(self) -> bool:
        """The email address to set up was mistyped or is taken."""
        challenge = self.model.challenge
        return (
            self.model.rejection_reason is RejectionReason.INPUT_REFUSED
            and isinstance(challenge, FactorChoice)
            and challenge.kind == "MFA_SETUP"
            and self.model.flow.factor is Factor.EMAIL
        )

    def challenge_is_dead(self) -> bool:
        """The session or the code has expired, or Cognito takes no answer from this user."""
        return self.model.rejection_reason in {
            *RECOVERIES,
            RejectionReason.CHALLENGE_DEAD,
            RejectionReason.CODE_EXPIRED,
            RejectionReason.WRONG_CREDENTIALS,
            RejectionReason.LOCKED,
        }

    def pool_asks_about_device(self) -> bool:
        """The pool lets the user decide whether the device is remembered."""
        trigger = self.model.trigger
        return isinstance(trigger, DeviceRegistered) and trigger.ask_user

    def user_has_not_decided(self) -> bool:
        """The user did not say in advance whether to remember the device."""
        return self.model.flow.remember_device is None

    # ── on time ──

    def deadline_has_passed(self) -> bool:
        """In flight, the lease or its worker has ended; at rest, Cognito takes no more answers."""
        return self.model.inputs.worker_is_gone or is_due(self.model.flow, self.model.now)

    def tokens_are_with_the_caller(self) -> bool:
        """The session keeper has the tokens, or the caller got them with the device offer.

        The user is signed in in any case. Starting over would issue tokens twice for one flow.
        """
        flow = self.model.flow
        return flow.session_id is not None or isinstance(flow.challenge, DeviceOffer)

    # ── at the junction ──

    def challenge_waits_there(self, target: State) -> bool:
        """The target is the state in which the flow's challenge waits for its answer."""
        challenge = self.model.challenge
        return challenge is not None and challenge.waits_in is target.value

    def factor_is_preselected(self) -> bool:
        """A new code was requested for a factor that the user chose before."""
        challenge, factor = self.model.challenge, self.model.flow.preselected_factor
        return isinstance(challenge, FactorChoice) and factor in challenge.factors

    def device_is_challenged(self) -> bool:
        """The device that the call named has to prove itself, and the vault has it."""
        flow = self.model.flow
        return (
            isinstance(flow.challenge, DeviceChallenge)
            and flow.device_key is not None
            and flow.device_key == self.model.inputs.device_key
            # A device that has just proved itself is not asked again and again.
            and self.model.before.state is not FlowState.CHECKING_DEVICE
        )

    def device_is_new(self) -> bool:
        """Cognito issued tokens and did not know this device, and there is a vault to store it in."""
        trigger = self.model.trigger
        return (
            isinstance(trigger, TokensIssued)
            and self.model.challenge is None
            and trigger.new_device is not None
            and self.model.inputs.has_vault
        )

    def tokens_are_issued(self) -> bool:
        """Cognito just issued tokens to this flow and asks for nothing more."""
        return self.model.challenge is None and isinstance(self.model.trigger, TokensIssued)

    def recovery_is_done(self) -> bool:
        """Cognito just confirmed the sign-up or reset the password, as this flow asked it to."""
        return isinstance(self.model.trigger, Confirmed) and isinstance(
            self.model.before.challenge, (RecoveryChallenge, SignUpRequest)
        )

    def first_factor_is_at_hand(self) -> bool:
        """The worker or the flow has what it takes to begin again without the user."""
        flow = self.model.flow
        return (
            self.model.inputs.password is not None
            or flow.retained_password is not None
            or flow.start_session is not None
        )

    def nothing_is_asked(self) -> bool:
        """There is no challenge, so the user begins, or begins again."""
        return self.model.challenge is None
