"""The sign-in machine. Everything that decides a transition is in this package.

Theory of operation
-------------------

A flow *rests* in a state that waits for the user (`idle`, `awaiting_mfa`, …) or is final
(`authenticated`, `failed`). Between two such states is an *in-flight* state, one for each kind of
call to Cognito. The driver saves the in-flight state before it makes the call, so whatever happens to
the worker, the record says that a call may have left.

Three kinds of trigger move a flow. *Events* come from the user. *Outcomes* come from the transport.
*Time* comes from the driver, for every flow that it loads after its deadline.

Every accepted call enters the junction `deciding`, and so does every rejection after which the
challenge is still alive. Transitions without an event leave it: each challenge names the
state in which it waits (`ChallengeBase.waits_in`), and one guard compares. The junction is passed
through within one trigger and never stored. A challenge that no state waits for ends in `failed`.

Some in-flight states lead to the next within one event: a device proves itself instead of a second
factor, a device is registered once there are tokens, a password is used right after its reset. Each
of these calls is saved ahead like any other.

There are several ways in, and all begin in `idle` and end in `authenticated`. A password or a username
starts a sign-in. A forgotten password (`awaiting_reset`) and a new account (`signing_up`,
`awaiting_confirmation`) are answered with a code that works outside any session; the sign-in follows
with the session or the password that is available. An identity provider (`awaiting_provider`) signs the
user in on pages of its own: the flow keeps what its answer has to repeat, and `exchanging_code` sends
that answer once. What these steps show, count and store is the same whether there is such a user or not
(`oncegate.machine.guards.is_imitated`, `answer_was_wrong`): Cognito answers some of them before anything
is proven.

Why a code is only ever sent once per challenge:

1. `code_not_sent` guards every transition whose call can make Cognito send. An event names the
   version of the step that the user saw. If anything was saved since, the event is a repetition, or
   it is late, and it changes nothing.
2. `step_is_current` and `answer_is_new` guard every transition that submits an answer, by the same
   version and by the digests of the answers that were sent. `guesses_remain` limits wrong codes.
3. No transition repeats a call that may have had an effect. An in-flight state is left by an outcome,
   or by `time_passed` once its lease has expired. After an unknown outcome the flow returns to `idle`,
   and the user starts a new challenge. A code of a reset or a new account works outside any session:
   after such a request the flow waits for it instead (`expect_recovery_code`), and the user may request
   another after the cooldown.
   The one call that is made again is that of `device_is_forgotten`: Cognito answered only that the
   device does not exist, so it sent nothing, and the call is made again without the device.
4. `cooldown_is_over`, `new_codes_remain` and `budget_remains` guard requests for a new code. Such a
   request drops the challenge before, so that its code can no longer be answered (Cognito itself voids
   the earlier code of a reset or a confirmation). The same holds for
   another way to sign in, whose cooldown is that of the same factor (`code_of_factor_is_due`).
   A reset and a new account obey the same cooldown and budget from `idle` on.
5. `state_matches` takes a provider's answer only in the flow whose request it repeats. A replayed, late
   or foreign one changes nothing.
6. The driver saves by compare-and-swap. If two workers take the same transition, one of them wins and
   makes the call (`oncegate.driver.script`).

python-statemachine declares, checks and draws the chart. It is set strict: an event without a
transition raises, an exception in a guard propagates, and the configuration changes at once.
`oncegate.machine.engine` runs it from a compiled table.
"""

from __future__ import annotations

from statemachine import Event, State, StateChart

from oncegate.machine.context import TransitionContext
from oncegate.machine.effects import Effects
from oncegate.machine.guards import Guards
from oncegate.states import FlowState


class SignInMachine(Guards, Effects, StateChart[TransitionContext]):
    """From `idle` to `authenticated` or `failed`. The diagrams are drawn from this class."""

    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True

    # ── states at rest: the user's turn, or final ──

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
    signing_up = State(value=FlowState.SIGNING_UP)
    awaiting_provider = State(value=FlowState.AWAITING_PROVIDER)
    offering_device = State(value=FlowState.OFFERING_DEVICE)
    authenticated = State(value=FlowState.AUTHENTICATED, final=True)
    failed = State(value=FlowState.FAILED, final=True)

    # ── states in flight: the call is about to leave, under way, or its worker died ──

    checking_password = State(value=FlowState.CHECKING_PASSWORD)
    requesting_challenge = State(value=FlowState.REQUESTING_CHALLENGE)
    checking_answer = State(value=FlowState.CHECKING_ANSWER)
    setting_password = State(value=FlowState.SETTING_PASSWORD)
    creating_account = State(value=FlowState.CREATING_ACCOUNT)
    exchanging_code = State(value=FlowState.EXCHANGING_CODE)
    checking_device = State(value=FlowState.CHECKING_DEVICE)
    registering_device = State(value=FlowState.REGISTERING_DEVICE)
    remembering_device = State(value=FlowState.REMEMBERING_DEVICE)

    # ── the junction ──

    deciding = State(value=FlowState.DECIDING)

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
        signing_up,
        awaiting_provider,
    )
    _other_factor = (
        "code_not_sent",
        "factor_is_offered",
        "code_of_factor_is_due",
        "new_codes_remain",
        "budget_remains",
    )
    _new_code = ("code_not_sent", "cooldown_is_over", "new_codes_remain", "budget_remains")
    _calls = (
        checking_password,
        requesting_challenge,
        checking_answer,
        setting_password,
        exchanging_code,
    )

    # ── the user's events ──

    submit_username = Event(
        idle.to(
            requesting_challenge,
            cond=["code_not_sent", "username_is_enough", "budget_remains"],
            on="write_username_ahead",
        )
    )
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
    choose_factor = Event(
        choosing_first_factor.to(
            awaiting_password,
            cond=["step_is_current", "factor_is_offered", "password_is_chosen"],
            on="note_choice",
        )
        | password_verified.to(
            setting_up_email,
            cond=["step_is_current", "factor_is_offered", "email_is_to_be_set_up"],
            on="note_choice",
        )
        | requesting_challenge.from_(
            password_verified,
            choosing_first_factor,
            cond=["code_not_sent", "factor_is_offered", "code_of_factor_is_due", "budget_remains"],
            on="write_choice_ahead",
        )
        # Another factor to set up: nothing was sent for the email address yet.
        | setting_up_email.to(
            requesting_challenge,
            cond=["code_not_sent", "factor_is_offered", "budget_remains"],
            on="write_choice_ahead",
        )
        # Another second factor: anew, with the password. A session takes one choice.
        | awaiting_mfa.to(
            checking_password,
            cond=["second_factor_is_asked", "password_is_retained", *_other_factor],
            on="write_other_second_factor_ahead",
        )
        | awaiting_mfa.to(
            idle,
            cond=["second_factor_is_asked", *_other_factor],
            on="start_over_for_other_factor",
        )
        # Another way to sign in: anew, with the factor that the user prefers.
        | awaiting_password.from_(
            awaiting_mfa,
            awaiting_passkey,
            cond=["step_is_current", "factor_is_offered", "password_is_chosen"],
            on="ask_for_password",
        )
        | requesting_challenge.from_(
            awaiting_password,
            awaiting_mfa,
            awaiting_passkey,
            cond=[*_other_factor],
            on="write_other_factor_ahead",
        )
    )
    submit_email = Event(
        setting_up_email.to(
            requesting_challenge,
            cond=["code_not_sent", "budget_remains"],
            on="write_request_ahead",
        )
    )
    submit_code = Event(
        checking_answer.from_(
            awaiting_mfa,
            setting_up_totp,
            awaiting_confirmation,
            cond=["step_is_current", "answer_is_new", "guesses_remain"],
            on="write_answer_ahead",
        )
    )
    submit_passkey = Event(
        awaiting_passkey.to(
            checking_answer, cond=["step_is_current", "answer_is_new"], on="write_answer_ahead"
        )
    )
    submit_answer = Event(
        awaiting_answer.to(
            checking_answer,
            cond=["code_not_sent", "answer_is_new", "guesses_remain", "budget_remains"],
            on="write_answer_ahead",
        )
    )
    submit_new_password = Event(
        awaiting_new_password.to(
            setting_password, cond=["code_not_sent", "budget_remains"], on="write_answer_ahead"
        )
    )
    reset_password = Event(
        awaiting_reset.to(
            setting_password,
            cond=["step_is_current", "answer_is_new", "guesses_remain"],
            on="write_answer_ahead",
        )
    )
    remember_device = Event(
        offering_device.to(
            remembering_device,
            cond=["step_is_current", "device_is_wanted"],
            on="write_answer_ahead",
        )
        | offering_device.to(authenticated, cond="step_is_current", on="withdraw_device_offer")
    )
    request_new_code = Event(
        requesting_challenge.from_(
            awaiting_confirmation,
            awaiting_reset,
            cond=[*_new_code],
            on="write_new_code_ahead",
        )
        | awaiting_mfa.to(
            checking_password,
            cond=["code_was_delivered", "password_is_retained", *_new_code],
            on="write_repeated_sign_in_ahead",
        )
        | awaiting_mfa.to(
            requesting_challenge,
            cond=["code_was_delivered", "code_is_first_factor", *_new_code],
            on="write_repeated_sign_in_ahead",
        )
        | awaiting_mfa.to(
            idle,
            cond=["code_was_delivered", *_new_code],
            on="start_over_for_new_code",
        )
    )
    forgot_password = Event(
        requesting_challenge.from_(
            idle,
            awaiting_password,
            cond=[
                *("code_not_sent", "password_reset_is_offered", "username_is_known"),
                *("cooldown_is_over", "budget_remains"),
            ],
            on="write_reset_ahead",
        )
    )
    sign_up = Event(
        creating_account.from_(
            idle,
            signing_up,
            cond=[
                *("code_not_sent", "sign_up_is_offered", "attributes_are_given"),
                *("password_is_given", "cooldown_is_over", "budget_remains"),
            ],
            on="write_sign_up_ahead",
        )
    )
    sign_in_with = Event(
        idle.to(
            requesting_challenge,
            cond=["code_not_sent", "provider_is_offered"],
            on="write_provider_ahead",
        )
    )
    submit_authorization = Event(
        awaiting_provider.to(
            idle,
            cond=["step_is_current", "state_matches", "provider_refused"],
            on="start_over_refused_by_provider",
        )
        | awaiting_provider.to(
            exchanging_code,
            cond=["step_is_current", "answer_is_new", "state_matches"],
            on="write_answer_ahead",
        )
    )
    confirm_account = Event(
        idle.to(
            awaiting_confirmation,
            cond=["step_is_current", "sign_in_was_rejected"],
            on="start_confirmation",
        )
    )
    cancel = Event(
        failed.from_(idle, *_challenged, cond="step_is_current", on="fail_cancelled"),
    )

    # ── outcomes ──

    accepted = Event(
        deciding.from_(*_calls, creating_account, checking_device, on="record_acceptance")
    )
    rejected = Event(
        # Only a forgotten device repeats a call, and only the rejection of a device forgets it.
        checking_password.to(
            checking_password, cond="device_is_forgotten", on="continue_without_device"
        )
        | requesting_challenge.to(
            requesting_challenge, cond="device_is_forgotten", on="continue_without_device"
        )
        | checking_answer.to(
            checking_answer, cond="device_is_forgotten", on="continue_without_device"
        )
        | setting_password.to(
            setting_password, cond="device_is_forgotten", on="continue_without_device"
        )
        | checking_device.to(
            checking_password,
            cond="device_is_forgotten and first_factor_is_at_hand",
            on="continue_without_device",
        )
        | checking_device.to(idle, cond="device_is_not_believed", on="start_over_without_device")
        # A recovery comes before the sign-in. Before a factor is proven, no caller is told of one.
        | deciding.from_(
            checking_answer, setting_password, cond="recovery_is_required", on="start_recovery"
        )
        # The same challenge, or the first factor, can be answered again.
        | idle.from_(
            checking_password,
            checking_device,
            cond="first_factor_can_be_retried",
            on="start_over_rejected",
        )
        | requesting_challenge.to(deciding, cond="factor_is_unusable", on="drop_factor")
        | requesting_challenge.to(deciding, cond="recovery_is_imitated", on="imitate_recovery_code")
        | creating_account.to(deciding, cond="username_is_taken", on="imitate_sign_up")
        | creating_account.to(deciding, cond="sign_up_can_be_corrected", on="note_rejection")
        | requesting_challenge.to(deciding, cond="recovery_continues", on="note_rejection")
        | deciding.from_(
            checking_answer,
            setting_password,
            cond="challenge_is_alive and attempts_remain",
            on="count_attempt",
        )
        | failed.from_(
            checking_answer, setting_password, cond="challenge_is_alive", on="fail_out_of_attempts"
        )
        | setting_password.to(deciding, cond="input_was_rejected", on="note_rejection")
        | requesting_challenge.to(setting_up_email, cond="email_was_rejected", on="note_rejection")
        | idle.from_(
            requesting_challenge,
            checking_answer,
            setting_password,
            exchanging_code,
            cond="challenge_is_dead",
            on="start_over_rejected",
        )
        # Nothing that the user does would help.
        | failed.from_(*_calls, creating_account, checking_device, on="fail_rejected")
        # The user is signed in whatever becomes of the device.
        | authenticated.from_(registering_device, remembering_device, on="withdraw_device_offer")
    )
    registered = Event(
        registering_device.to(
            remembering_device, cond="pool_asks_about_device and device_is_wanted", on="write_ahead"
        )
        | registering_device.to(
            offering_device,
            cond="pool_asks_about_device and user_has_not_decided",
            on="offer_device",
        )
        | registering_device.to(authenticated)
    )
    remembered = Event(remembering_device.to(authenticated, on="withdraw_device_offer"))
    not_sent = Event(
        deciding.from_(
            checking_password, requesting_challenge, creating_account, on="note_not_sent"
        )
        | deciding.from_(
            checking_answer,
            setting_password,
            exchanging_code,
            on=["note_not_sent", "forget_answer"],
        )
        | checking_device.to(idle, on=["start_over_unknown", "note_not_sent"])
        | authenticated.from_(registering_device, remembering_device, on="withdraw_device_offer")
    )
    unknown = Event(
        # Its code works outside any session, so the user may enter it if it arrives.
        creating_account.to(deciding, on="expect_recovery_code")
        | requesting_challenge.to(
            deciding, cond="recovery_code_was_requested", on="expect_recovery_code"
        )
        | idle.from_(*_calls, checking_device, on="start_over_unknown")
        | authenticated.from_(registering_device, remembering_device, on="withdraw_device_offer")
    )

    # ── time ──

    time_passed = Event(
        # The caller got the tokens with the offer: another sign-in would issue them twice.
        offering_device.to(authenticated, cond="deadline_has_passed", on="withdraw_device_offer")
        | authenticated.from_(
            registering_device,
            remembering_device,
            cond="tokens_are_with_the_caller and deadline_has_passed",
            on="withdraw_device_offer",
        )
        | creating_account.to(deciding, cond="deadline_has_passed", on="expect_recovery_code")
        | requesting_challenge.to(
            deciding,
            cond="recovery_code_was_requested and deadline_has_passed",
            on="expect_recovery_code",
        )
        | idle.from_(
            *_calls,
            checking_device,
            registering_device,
            remembering_device,
            cond="deadline_has_passed",
            on="start_over_unknown",
        )
        | idle.from_(*_challenged, cond="deadline_has_passed", on="start_over_expired")
    )

    # ── out of the junction: tried in this order, the everyday ones first ──

    deciding.to(awaiting_mfa, cond="challenge_waits_there")
    deciding.to(registering_device, cond="device_is_new", on="write_ahead")
    deciding.to(authenticated, cond="tokens_are_issued")
    deciding.to(
        requesting_challenge,
        cond="factor_is_preselected and budget_remains",
        on="write_preselected_factor_ahead",
    )
    deciding.to(password_verified, cond="challenge_waits_there")
    deciding.to(choosing_first_factor, cond="challenge_waits_there")
    deciding.to(awaiting_password, cond="challenge_waits_there")
    deciding.to(setting_up_totp, cond="challenge_waits_there")
    deciding.to(awaiting_passkey, cond="challenge_waits_there")
    deciding.to(awaiting_answer, cond="challenge_waits_there")
    deciding.to(awaiting_confirmation, cond="challenge_waits_there")
    deciding.to(awaiting_new_password, cond="challenge_waits_there")
    deciding.to(awaiting_reset, cond="challenge_waits_there")
    deciding.to(signing_up, cond="challenge_waits_there")
    deciding.to(awaiting_provider, cond="challenge_waits_there")
    deciding.to(checking_device, cond="device_is_challenged", on="write_ahead")
    deciding.to(
        checking_password,
        cond="recovery_is_done and first_factor_is_at_hand and budget_remains",
        on="write_request_ahead",
    )
    deciding.to(idle, cond="nothing_is_asked", on="forget_first_factor")
    deciding.to(failed, on="fail_unknown_challenge")
