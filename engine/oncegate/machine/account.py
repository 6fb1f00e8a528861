"""The account machine: what a signed-in user changes. `oncegate.machine.chart` has the theory.

A flow rests in `managing`. A change that takes one call goes through `changing` and back. One that has
to be confirmed goes through `requesting_setup` to the state in which its challenge waits, and through
`checking_setup` back: the first code of an authenticator app, the code that Cognito sends to a new
address, the passkey that a browser creates. An offer of a second factor goes through `finding_factors`,
and waits in `offering_factor` if the user has none. What decides, and in which order the driver saves
and calls, is the same as for a sign-in, and so are the guards: they are the same functions.

Why a code is only ever sent once per wish:

1. `code_not_sent` guards each transition whose call can make Cognito send: a new address, and another
   code for it. `cooldown_is_over`, `new_codes_remain` and `budget_remains` guard them as well.
2. After an unknown outcome of such a call the flow waits for the code (`expect_address_code`), which
   works outside any session. Nothing is sent again unless the user asks for it, after the cooldown.
3. `user_is_the_same` takes events only with the token of the user whose account the flow is about.
   `sign_in_is_recent` guards what changes a credential (OWASP ASVS 5.0, 7.5.1).
"""

from __future__ import annotations

from statemachine import Event, State, StateChart

from oncegate.machine.account_effects import AccountEffects
from oncegate.machine.account_guards import AccountGuards
from oncegate.machine.context import TransitionContext
from oncegate.states import AccountState


class AccountMachine(AccountGuards, AccountEffects, StateChart[TransitionContext]):
    """From `managing` back to it, or to `closed`. The diagram is drawn from this class."""

    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True

    # ── states at rest: the user's turn, or final ──

    managing = State(value=AccountState.MANAGING, initial=True)
    confirming_authenticator = State(value=AccountState.CONFIRMING_AUTHENTICATOR)
    confirming_address = State(value=AccountState.CONFIRMING_ADDRESS)
    registering_passkey = State(value=AccountState.REGISTERING_PASSKEY)
    offering_factor = State(value=AccountState.OFFERING_FACTOR)
    closed = State(value=AccountState.CLOSED, final=True)

    # ── states in flight ──

    requesting_setup = State(value=AccountState.REQUESTING_SETUP)
    checking_setup = State(value=AccountState.CHECKING_SETUP)
    changing = State(value=AccountState.CHANGING)
    finding_factors = State(value=AccountState.FINDING_FACTORS)

    # ── the junction ──

    settling = State(value=AccountState.SETTLING)

    _challenged = (confirming_authenticator, confirming_address, registering_passkey)
    _own = ("step_is_current", "user_is_the_same")
    _credential = (*_own, "sign_in_is_recent")
    _code = ("code_not_sent", "user_is_the_same")
    _new_code = ("cooldown_is_over", "new_codes_remain", "budget_remains")
    _answer = (*_own, "answer_is_new")

    # ── the user's events ──

    submit_code = Event(
        checking_setup.from_(
            confirming_authenticator,
            confirming_address,
            cond=[*_answer, "guesses_remain"],
            on="write_answer_ahead",
        )
    )
    submit_passkey = Event(
        registering_passkey.to(checking_setup, cond=[*_answer], on="write_answer_ahead")
    )
    request_new_code = Event(
        confirming_address.to(
            requesting_setup, cond=[*_code, *_new_code], on="write_new_code_ahead"
        )
    )
    add_authenticator = Event(
        managing.to(requesting_setup, cond=[*_credential], on="write_ahead")
        | offering_factor.to(
            requesting_setup,
            cond=[*_credential, "authenticator_is_offered"],
            on="write_accepted_offer_ahead",
        )
    )
    submit_address = Event(
        managing.to(
            requesting_setup,
            cond=[*_code, "sign_in_is_recent", *_new_code],
            on="write_address_ahead",
        )
    )
    add_passkey = Event(
        managing.to(requesting_setup, cond=[*_credential], on="write_ahead")
        | offering_factor.to(
            requesting_setup,
            cond=[*_credential, "passkey_is_offered"],
            on="write_accepted_offer_ahead",
        )
    )
    offer_factor = Event(
        managing.to(finding_factors, cond=[*_own, "offer_is_due"], on="write_ahead")
    )
    use_factor = Event(managing.to(changing, cond=[*_credential], on="write_ahead"))
    change_password = Event(managing.to(changing, cond=[*_credential], on="write_ahead"))
    remove_passkey = Event(managing.to(changing, cond=[*_credential], on="write_ahead"))
    forget_device = Event(managing.to(changing, cond=[*_own], on="write_ahead"))
    sign_out_everywhere = Event(managing.to(changing, cond=[*_own], on="write_ahead"))
    delete_account = Event(managing.to(changing, cond=[*_credential], on="write_ahead"))
    cancel = Event(managing.from_(*_challenged, offering_factor, cond=[*_own], on="go_back"))

    # ── outcomes ──

    accepted = Event(
        settling.from_(
            requesting_setup,
            checking_setup,
            changing,
            cond="answer_fits_the_call",
            on="record_change",
        )
        | finding_factors.to(settling, cond="answer_fits_the_call", on="offer_factors")
        # The call arrived, and the answer does not say what it did.
        | requesting_setup.to(settling, cond="address_code_was_requested", on="expect_address_code")
        | managing.from_(requesting_setup, checking_setup, changing, on="give_up_unknown")
        | finding_factors.to(managing, on="go_back")
    )
    rejected = Event(
        closed.from_(
            requesting_setup,
            checking_setup,
            changing,
            finding_factors,
            cond="access_has_ended",
            on="close_signed_out",
        )
        | checking_setup.to(
            settling, cond="challenge_is_alive and attempts_remain", on="count_attempt"
        )
        | requesting_setup.to(
            settling, cond="address_code_can_be_requested_again", on="note_rejection"
        )
        | managing.from_(requesting_setup, checking_setup, changing, on="give_up_rejected")
        | finding_factors.to(managing, on="go_back")
    )
    not_sent = Event(
        checking_setup.to(settling, on=["note_not_sent", "forget_answer"])
        | settling.from_(requesting_setup, changing, on="note_change_not_sent")
        | finding_factors.to(managing, on="go_back")
    )
    unknown = Event(
        requesting_setup.to(settling, cond="address_code_was_requested", on="expect_address_code")
        | managing.from_(requesting_setup, checking_setup, changing, on="give_up_unknown")
        | finding_factors.to(managing, on="go_back")
    )

    # ── time ──

    time_passed = Event(
        requesting_setup.to(
            settling,
            cond="address_code_was_requested and deadline_has_passed",
            on="expect_address_code",
        )
        | managing.from_(
            requesting_setup,
            checking_setup,
            changing,
            cond="deadline_has_passed",
            on="give_up_unknown",
        )
        | managing.from_(*_challenged, cond="deadline_has_passed", on="give_up_expired")
        | managing.from_(finding_factors, offering_factor, cond="deadline_has_passed", on="go_back")
    )

    # ── out of the junction ──

    settling.to(confirming_address, cond="challenge_waits_there")
    settling.to(confirming_authenticator, cond="challenge_waits_there")
    settling.to(registering_passkey, cond="challenge_waits_there")
    settling.to(offering_factor, cond="challenge_waits_there")
    settling.to(closed, cond="account_is_closed")
    settling.to(managing)
