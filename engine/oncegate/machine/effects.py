"""The effects: how a transition changes the record.

Effects call nothing and decide nothing. Facts that only grow (cooldowns) are written with `max`, so
that a clock that is set back cannot shrink them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oncegate.challenges import (
    Challenge,
    ChooseFactor,
    CodeChallenge,
    Delivery,
    DeviceOffer,
    Factor,
    FactorChoice,
    ForgotPassword,
    PasswordChallenge,
    RecoveryChallenge,
    SignInWith,
    SignUp,
    SignUpConfirmation,
    SignUpRequest,
    SubmitAuthorization,
    SubmitCode,
    SubmitPassword,
    SubmitUsername,
    UnknownChallenge,
)
from oncegate.challenges._attributes import attributes_for
from oncegate.machine.guards import RECOVERIES, answer_was_wrong
from oncegate.outcomes import (
    ChallengeIssued,
    Confirmed,
    DeviceRegistered,
    NotSent,
    Rejected,
    RejectionReason,
    TokensIssued,
)
from oncegate.record import ATTEMPTS_PER_CHALLENGE
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.machine.context import TransitionContext

_ENDS = frozenset(
    {
        RejectionReason.ADMINISTRATOR_MUST_ACT,
        RejectionReason.SECOND_FACTOR_MISSING,
        RejectionReason.BLOCKED,
        RejectionReason.TRIGGER_REFUSED,
        RejectionReason.FIREWALL,
        RejectionReason.MISCONFIGURED,
    }
)
"""The reasons that are true words for the end of a flow; the others presume a way on."""

# A pool's Lambda that refuses a username says that the password is wrong; there is none, and no code.
_WITHOUT_A_CHALLENGE = {"wrong_credentials": "username_refused", "code_expired": "challenge_dead"}
_REQUESTS = frozenset({FlowState.CHECKING_PASSWORD, FlowState.REQUESTING_CHALLENGE})
_ANSWERS = frozenset({FlowState.CHECKING_ANSWER, FlowState.SETTING_PASSWORD})


def _hidden_delivery() -> Delivery:
    """Return what is shown of the delivery of a recovery's code: not where to.

    The caller who typed the name has proven nothing. Cognito imitates a destination for some
    users and not for others, such as one whose sign-up is confirmed.
    """
    return Delivery(medium="", destination="")


class Effects:
    """The changes that `oncegate.machine.chart.SignInMachine` makes to a flow."""

    if TYPE_CHECKING:
        model: TransitionContext

    # ── writing a call ahead ──

    def write_ahead(self) -> None:
        """Start the lease of a call, and clear the last message."""
        context = self.model
        lease_until = context.now + context.policy.lease
        worker = context.inputs.worker
        context.change(lease_until=lease_until, worker=worker, message=None, detail="")

    def write_request_ahead(self) -> None:
        """Write ahead a call that names the user's device."""
        self.write_ahead()
        self.model.change(device_key=self.model.inputs.device_key)

    def write_password_ahead(self) -> None:
        """Write the first factor ahead. The password is stored only if the application opted in."""
        context, trigger = self.model, self.model.trigger
        assert isinstance(trigger, SubmitPassword)
        self.write_request_ahead()
        typed = trigger.username if context.state is FlowState.IDLE else None
        self._forget_choices_of_another(typed)
        context.change(
            username=typed or context.flow.username,
            account_tag=context.inputs.account_tag,
            from_known_browser=context.inputs.from_known_browser,
            retained_password=trigger.password if context.policy.retain_password else None,
        )

    def write_username_ahead(self) -> None:
        """Write ahead a sign-in that begins with the username alone."""
        trigger = self.model.trigger
        assert isinstance(trigger, SubmitUsername)
        self.write_request_ahead()
        self._forget_choices_of_another(trigger.username)
        self.model.change(
            username=trigger.username,
            factor=trigger.preferred,
            account_tag="",
            from_known_browser=self.model.inputs.from_known_browser,
        )

    def write_reset_ahead(self) -> None:
        """Write ahead the request of a code that resets a forgotten password."""
        trigger = self.model.trigger
        assert isinstance(trigger, ForgotPassword)
        self.write_request_ahead()
        self._name_account(trigger.username or self.model.flow.username)
        self._begin_recovery(RejectionReason.PASSWORD_RESET_REQUIRED)

    def write_sign_up_ahead(self) -> None:
        """Write ahead a new account. The password is stored only if the application opted in."""
        context, trigger = self.model, self.model.trigger
        assert isinstance(trigger, SignUp)
        assert context.policy.ways_in.sign_up is not None
        self.write_request_ahead()
        self._name_account(trigger.username)
        names = context.policy.ways_in.sign_up.attributes
        request = SignUpRequest(
            username=trigger.username,
            attributes=attributes_for(trigger.attributes, names, "SIGN_UP"),
        )
        self._set_challenge(request, context.now)
        retained = trigger.password if context.policy.retain_password else None
        context.change(account_tag="", retained_password=retained)

    def write_provider_ahead(self) -> None:
        """Write ahead the request to an identity provider, which says who the user is."""
        assert isinstance(self.model.trigger, SignInWith)
        self.write_ahead()
        self._name_account("")

    def note_choice(self) -> None:
        """Record the factor that the user chose."""
        trigger = self.model.trigger
        assert isinstance(trigger, ChooseFactor)
        self.model.change(factor=trigger.factor, message=None, detail="")

    def write_choice_ahead(self) -> None:
        """Write ahead the request of the chosen factor."""
        self.note_choice()
        self.write_request_ahead()

    def write_other_factor_ahead(self) -> None:
        """Write ahead a sign-in that begins anew, with the factor that the user prefers."""
        trigger = self.model.trigger
        assert isinstance(trigger, ChooseFactor)
        self._drop_challenge(factor=trigger.factor, preselected_factor=None, account_tag="")
        self.write_new_code_ahead()

    def write_other_second_factor_ahead(self) -> None:
        """Write ahead the first factor again, for another second factor."""
        self._write_sign_in_again(self._chosen_factor())

    def ask_for_password(self) -> None:
        """Ask for the password instead of another first factor. The sign-in will begin anew with it."""
        before = self.model.challenge
        assert before is not None
        others = (Factor(before.kind), *before.choices)
        challenge = PasswordChallenge(
            username=before.username,
            valid_for=before.valid_for,
            available=tuple(factor for factor in others if factor is not Factor.PASSWORD),
        )
        self._drop_challenge()
        self._set_challenge(challenge, self.model.now)
        self.note_choice()

    def write_preselected_factor_ahead(self) -> None:
        """Write ahead the request of the factor that the user chose for the code before.

        Only once: if Cognito asks again, the user chooses, or this could repeat for ever.
        """
        self.model.change(factor=self.model.flow.preselected_factor, preselected_factor=None)
        self.write_request_ahead()

    def write_answer_ahead(self) -> None:
        """Write an answer ahead: its digest is recorded, so that the same answer is not sent twice."""
        flow, trigger = self.model.flow, self.model.trigger
        self.write_request_ahead()
        self.model.change(attempted_digests=(*flow.attempted_digests, self.model.digest))
        if isinstance(trigger, SubmitCode) and trigger.remember_device is not None:
            self.model.change(remember_device=trigger.remember_device)

    def write_new_code_ahead(self) -> None:
        """Write ahead the request of a code, and count it."""
        self.write_request_ahead()
        self.model.change(new_codes_left=self.model.flow.new_codes_left - 1)

    def write_repeated_sign_in_ahead(self) -> None:
        """Write ahead the first factor again, for a new code. The code before can no longer be used."""
        self._write_sign_in_again(self._factor_of_code())

    # ── recording an outcome ──

    def record_acceptance(self) -> None:
        """Record the challenge, the session or the confirmation that Cognito answered with."""
        context, trigger = self.model, self.model.trigger
        challenge = None
        if isinstance(trigger, ChallengeIssued):
            challenge = self._as_shown(trigger.challenge)
            is_new_account = context.state is FlowState.CREATING_ACCOUNT
            if is_new_account and not context.policy.reveal_existing_users:
                context.change(message="sign_up_sent")
        self._note_password_change()
        self._set_challenge(challenge, context.flow.saved_at)
        context.change(start_session=None)
        if challenge is not None and challenge.delivery is not None:
            self._start_cooldown()
        if isinstance(challenge, CodeChallenge):
            context.change(preselected_factor=None)
            if challenge.delivery is not None:
                self._note_sent(challenge.kind)
        if isinstance(trigger, TokensIssued):
            context.change(session_id=trigger.session_id, retained_password=None)
            if trigger.session_id and context.inputs.answer_digest:
                context.change(
                    accepted_event=context.inputs.answer_event,
                    accepted_digest=context.inputs.answer_digest,
                )
        if isinstance(trigger, Confirmed):
            context.change(start_session=trigger.session, message="confirmed")

    def start_confirmation(self) -> None:
        """Ask for the code of a sign-up, because the user says that there is one to confirm."""
        self._begin_recovery(RejectionReason.SIGN_UP_NOT_CONFIRMED)
        self.model.change(message="sign_up_not_confirmed")

    def imitate_recovery_code(self) -> None:
        """Go on as if a code had been sent: whether there is such a user must not be told."""
        self._expect_recovery_code()

    def imitate_sign_up(self) -> None:
        """Go on as if an account had been created: that there is one already must not be told."""
        self._expect_recovery_code()
        self.model.change(message="sign_up_sent")

    def expect_recovery_code(self) -> None:
        """Wait for a code that may have been sent. It works whether or not the answer arrived."""
        is_new_account = isinstance(self.model.challenge, SignUpRequest)
        self._expect_recovery_code()
        self.model.change(
            message="sign_up_outcome_unknown" if is_new_account else "recovery_outcome_unknown"
        )

    def start_recovery(self) -> None:
        """Record that the user has to confirm the sign-up or reset the password first."""
        context = self.model
        assert context.rejection_reason is not None
        self.note_rejection()
        assert isinstance(context.trigger, Rejected)
        username = context.trigger.username or context.flow.username
        recovery = RECOVERIES[context.rejection_reason](username=username)
        self._set_challenge(recovery, context.now)

    def offer_device(self) -> None:
        """Ask the user whether to remember the device. The access token, which that needs, waits."""
        context, trigger, tokens = self.model, self.model.trigger, self.model.inputs.tokens
        assert isinstance(trigger, DeviceRegistered)
        assert tokens is not None
        offer = DeviceOffer.model_validate(
            {
                "username": trigger.device.username,
                "device_key": trigger.device.key,
                "access_token": tokens.access_token,
            }
        )
        self._set_challenge(offer, context.now)

    def withdraw_device_offer(self) -> None:
        """Remove the device offer, and the token that waited with it."""
        self._drop_challenge()

    def continue_without_device(self) -> None:
        """Write the same call ahead without the device, which Cognito does not know.

        The driver removes a device from the vault if an outcome removes it from the flow.
        """
        if self.model.flow.state is FlowState.CHECKING_DEVICE:
            self.model.change(challenge=None, challenge_ends=None)
        self.write_ahead()
        self.model.change(device_key=None)

    def start_over_without_device(self) -> None:
        """Start over without the device, which Cognito does not know or does not believe."""
        self._drop_challenge(message="device_forgotten", device_key=None)

    def note_rejection(self) -> None:
        """Record why Cognito rejected the call. While a lock lasts, it checks no answer."""
        trigger = self.model.trigger
        assert isinstance(trigger, Rejected)
        if trigger.reason is RejectionReason.LOCKED and self.model.state in _ANSWERS:
            self.forget_answer()
        self.model.change(
            message=trigger.message or self._message(trigger.reason), detail=self._words_for_user()
        )

    def count_attempt(self) -> None:
        """Record the rejection, and count a wrong code."""
        self.note_rejection()
        if answer_was_wrong(self.model.challenge, self.model.rejection_reason):
            self.model.change(attempts_left=self.model.flow.attempts_left - 1)

    def drop_factor(self) -> None:
        """Record the rejection, and stop offering the factor that does not work."""
        self.note_rejection()
        flow = self.model.flow
        assert isinstance(flow.challenge, FactorChoice)
        left = tuple(factor for factor in flow.challenge.factors if factor is not flow.factor)
        self.model.change(challenge=flow.challenge.model_copy(update={"factors": left}))

    def note_not_sent(self) -> None:
        """Record why the call had no effect."""
        trigger = self.model.trigger
        assert isinstance(trigger, NotSent)
        self.model.change(message=trigger.cause)

    def forget_answer(self) -> None:
        """Allow the last answer again: it was not sent."""
        self.model.change(attempted_digests=self.model.flow.attempted_digests[:-1])

    # ── starting over, and ending ──

    def forget_first_factor(self) -> None:
        """Forget what would have begun the next sign-in: the user begins it."""
        self.model.change(retained_password=None, start_session=None)

    def start_over_for_new_code(self) -> None:
        """Start over, so that the user's password requests a new code."""
        self._ask_for_password_again(self._factor_of_code(), message="password_for_new_code")

    def start_over_for_other_factor(self) -> None:
        """Start over, so that the user's password leads to another second factor."""
        self._ask_for_password_again(self._chosen_factor(), message="password_for_other_factor")

    def start_over_refused_by_provider(self) -> None:
        """Start over after the identity provider's error."""
        trigger = self.model.trigger
        assert isinstance(trigger, SubmitAuthorization)
        self._drop_challenge(message=trigger.message)

    def start_over_rejected(self) -> None:
        """Start over, and tell the user why."""
        trigger = self.model.trigger
        assert isinstance(trigger, Rejected)
        self.note_rejection()
        # Of one length: the record of an unknown user, a UUID, must not be larger than others.
        self._drop_challenge(own_name=trigger.username and trigger.username.ljust(128))

    def start_over_unknown(self) -> None:
        """Start over after a call whose outcome is unknown.

        It may have sent a code. A new code can be requested once that one has had its time to arrive.
        """
        flow = self.model.flow
        answer_can_send = flow.challenge is not None and flow.challenge.answer_can_send
        self._note_password_change()
        # The request to an identity provider names no user, and sends nothing.
        is_request = flow.state in _REQUESTS and bool(flow.username)
        can_have_sent = is_request or answer_can_send
        if flow.state is FlowState.REQUESTING_CHALLENGE and flow.factor is not None:
            self._note_sent(flow.factor)
        self._drop_challenge(
            message="outcome_unknown" if can_have_sent else "answer_outcome_unknown"
        )
        if flow.username:
            self._start_cooldown()

    def start_over_expired(self) -> None:
        """Start over after the challenge's deadline."""
        self._drop_challenge(message="challenge_expired")

    def fail_rejected(self) -> None:
        """End the flow. The reason is told if the user, or support, can do something about it."""
        trigger = self.model.trigger
        assert isinstance(trigger, Rejected)
        reason = trigger.reason if trigger.reason in _ENDS else "refused"
        self._drop_challenge(message=trigger.message or reason, detail=self._words_for_user())

    def fail_out_of_attempts(self) -> None:
        """End the flow after the last wrong code."""
        self._drop_challenge(message=self._message("too_many_wrong_codes"), attempts_left=0)

    def fail_unknown_challenge(self) -> None:
        """End the flow, and name the challenge that this release does not know."""
        challenge = self.model.challenge
        assert challenge is not None
        name = challenge.name if isinstance(challenge, UnknownChallenge) else challenge.kind
        self._drop_challenge(message="unknown_challenge", detail=name)

    def fail_cancelled(self) -> None:
        """End the flow because the user gave up."""
        self._drop_challenge(message="cancelled")

    # ── what several effects share ──

    def _forget_choices_of_another(self, username: str | None) -> None:
        """Forget what was chosen in this flow under another username."""
        before = self.model.flow.username
        if username is not None and before and username != before:
            self.model.change(
                remember_device=None,
                factor=None,
                preselected_factor=None,
                password_changed=False,
                own_name="",
            )

    def _begin_recovery(self, kind: RejectionReason) -> None:
        # The password was not proven, so codes do not count by it (`oncegate.budget.password_tag`).
        self.model.change(account_tag="", message=None, detail="")
        flow = self.model.flow
        recovery = RECOVERIES[kind](username=flow.own_name.rstrip() or flow.username)
        self._set_challenge(recovery, self.model.now)

    def _name_account(self, username: str) -> None:
        """Record the name that the user entered, with nothing of another one."""
        self._forget_choices_of_another(username)
        self.model.change(
            username=username,
            from_known_browser=self.model.inputs.from_known_browser,
            retained_password=None,
        )

    def _expect_recovery_code(self) -> None:
        challenge = self.model.challenge
        if isinstance(challenge, SignUpRequest):
            challenge = SignUpConfirmation(username=challenge.username)
        assert isinstance(challenge, RecoveryChallenge)
        if isinstance(challenge, SignUpConfirmation):
            challenge = challenge.padded()
        expected = challenge.model_copy(update={"delivery": _hidden_delivery()})
        self._set_challenge(expected, self.model.flow.saved_at)
        self._start_cooldown()

    def _as_shown(self, challenge: Challenge) -> Challenge:
        """Return a new challenge as it is stored: a recovery tells nothing of the user."""
        if isinstance(challenge, CodeChallenge):
            return self._with_other_second_factors(challenge)
        if isinstance(challenge, SignUpConfirmation):
            challenge = challenge.padded()
        if not isinstance(challenge, RecoveryChallenge):
            return challenge
        is_new_account = self.model.state is FlowState.CREATING_ACCOUNT
        if is_new_account and self.model.policy.reveal_existing_users:
            return challenge
        return challenge.model_copy(update={"delivery": _hidden_delivery()})

    def _with_other_second_factors(self, challenge: CodeChallenge) -> CodeChallenge:
        """Return a challenge with the factors that could have been chosen instead of it."""
        before = self.model.flow.challenge
        if not (isinstance(before, FactorChoice) and before.kind == "SELECT_MFA_TYPE"):
            return challenge
        others = tuple(factor for factor in before.factors if factor is not challenge.kind)
        return challenge.model_copy(update={"available": others})

    def _chosen_factor(self) -> Factor:
        trigger = self.model.trigger
        assert isinstance(trigger, ChooseFactor)
        return trigger.factor

    def _factor_of_code(self) -> Factor:
        challenge = self.model.challenge
        assert isinstance(challenge, CodeChallenge)
        return challenge.kind

    def _write_sign_in_again(self, factor: Factor) -> None:
        """Write the first factor ahead again, for a code of a factor."""
        retained = self.model.flow.retained_password
        self._drop_challenge(preselected_factor=factor)
        self.write_new_code_ahead()
        self.model.change(retained_password=retained)

    def _ask_for_password_again(self, factor: Factor, *, message: str) -> None:
        """Start over, so that the user's password leads to a code of a factor."""
        new_codes_left = self.model.flow.new_codes_left - 1
        self._drop_challenge(
            preselected_factor=factor, new_codes_left=new_codes_left, message=message
        )

    def _note_password_change(self) -> None:
        """Note that a call has set a new password, or may have."""
        if self.model.flow.state is FlowState.SETTING_PASSWORD:
            self.model.change(password_changed=True)

    def _note_sent(self, factor: Factor) -> None:
        sent = dict.fromkeys((*self.model.flow.sent_factors, factor))
        self.model.change(sent_factors=tuple(sent))

    def _words_for_user(self) -> str:
        trigger = self.model.trigger
        assert isinstance(trigger, Rejected)
        is_trigger = trigger.reason is RejectionReason.TRIGGER_REFUSED
        return "" if is_trigger and not self.model.policy.show_trigger_words else trigger.for_user

    def _message(self, reason: str) -> str:
        # A first factor is rejected in its own words, whatever asked for it.
        challenge, state = self.model.challenge, self.model.state
        if reason in RECOVERIES and state not in _ANSWERS:  # no caller is told
            reason = RejectionReason.WRONG_CREDENTIALS
        if challenge is None and state is FlowState.REQUESTING_CHALLENGE:
            return _WITHOUT_A_CHALLENGE.get(reason, str(reason))
        if challenge is None or state is FlowState.CHECKING_PASSWORD:
            return str(reason)
        message = challenge.messages.get(reason, str(reason))
        is_request = state is FlowState.REQUESTING_CHALLENGE  # no code was entered
        return "recovery_unavailable" if is_request and message == "recovery_refused" else message

    def _set_challenge(self, challenge: Any, counted_from: float) -> None:
        # An outcome's deadline is counted from before the call left: Cognito's clock started later.
        self.model.change(
            challenge=challenge,
            challenge_id=self.model.flow.version + 1,
            challenge_ends=counted_from + challenge.valid_for if challenge else None,
            attempts_left=ATTEMPTS_PER_CHALLENGE,
            attempted_digests=(),
        )

    def _start_cooldown(self) -> None:
        # It covers all challenges of the flow, and a clock that is set back does not shorten it.
        earliest = self.model.now + self.model.policy.cooldown
        self.model.change(new_code_at=max(earliest, self.model.flow.new_code_at or 0.0))

    def _drop_challenge(self, **fields: Any) -> None:
        gone = dict.fromkeys(("challenge", "challenge_ends", "retained_password", "start_session"))
        self.model.change(**{**gone, "attempted_digests": (), **fields})
