"""The machine, walked by hand: states, rejections, time, devices; and the library's strict settings."""

from __future__ import annotations

import pytest
from statemachine import StateChart
from tests.doubles import a_text, code, password, the_tokens
from tests.flows import (
    AT_REST,
    CHOICE,
    COMMON,
    DEVICE,
    DEVICE_FLOWS,
    FIRST,
    GUARDS,
    IN_FLIGHT_FLOWS,
    INPUTS,
    KEY,
    LEASE,
    NEW_PASSWORD,
    NEW_PASSWORD_EVENT,
    NOW,
    SETUP,
    UNKNOWN,
    rejected,
    walk,
)

from oncegate import (
    Cancel,
    ChooseFactor,
    Event,
    Factor,
    FlowState,
    RememberDevice,
    RequestNewCode,
    ResetPassword,
    SubmitAnswer,
    SubmitEmail,
    SubmitPasskey,
)
from oncegate.adapters import (
    TEXTS,
    ChallengeIssued,
    DeviceRemembered,
    FactorChoice,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RejectionReason,
)
from oncegate.machine.advance import CHART, EVENTS, NotAllowed, advance, allowed_events
from oncegate.machine.chart import SignInMachine
from oncegate.machine.context import TIME_PASSED, GuardInputs, Policy, TransitionContext, Trigger
from oncegate.machine.engine import CompiledChart
from oncegate.record import Flow
from oncegate.states import FINAL, IN_FLIGHT


def context(flow: Flow, trigger: Trigger) -> TransitionContext:
    return TransitionContext(
        flow,
        trigger,
        now=NOW,
        expected_version=flow.version,
        digest="",
        policy=Policy(),
        inputs=GuardInputs(),
    )


class TestTheLibraryIsStrict:
    def test_settings(self) -> None:
        assert issubclass(SignInMachine, StateChart)
        assert SignInMachine.allow_event_without_transition is False
        assert SignInMachine.catch_errors_as_events is False
        assert SignInMachine.atomic_configuration_update is True

    def test_states_and_enum_are_the_same_set(self) -> None:
        assert {state.value for state in SignInMachine.states} == set(FlowState)
        assert {state.id for state in SignInMachine.states} == {state.value for state in FlowState}

    def test_final_and_in_flight_are_what_the_chart_says(self) -> None:
        assert {state.value for state in SignInMachine.final_states} == FINAL
        reports = {"accepted", "rejected", "not_sent", "unknown", "registered", "remembered"}
        takes_outcomes = {
            state.value
            for state in SignInMachine.states
            if any(transition.event in reports for transition in state.transitions)
        }
        assert takes_outcomes == IN_FLIGHT

    def test_every_guard_returns_a_literal_bool(self) -> None:
        machine = CHART.bind(context(Flow(), TIME_PASSED))
        assert len(GUARDS) >= 14
        for guard in GUARDS - {"challenge_waits_there"}:
            assert type(getattr(machine, guard)()) is bool
        for state in SignInMachine.states:
            assert type(machine.challenge_waits_there(state)) is bool

    def test_exception_in_a_guard_propagates(self) -> None:
        class Broken(SignInMachine):
            def step_is_current(self) -> bool:
                raise ZeroDivisionError

            code_not_sent = step_is_current

        with pytest.raises(ZeroDivisionError):
            Broken(context(Flow(), password())).send("submit_password")
        with pytest.raises(ZeroDivisionError):
            CompiledChart(Broken).run(context(Flow(), password()), "submit_password")

    def test_exception_in_an_effect_leaves_the_next_run_unharmed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(TransitionContext, "change", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                advance(Flow(), password(), now=NOW)
        assert advance(Flow(), password(), now=NOW).state is FlowState.CHECKING_PASSWORD

    def test_no_hooks_by_naming_convention(self) -> None:
        hooks = ("on_enter", "on_exit", "before_", "after_", "on_", "prepare_")
        own = [name for name in vars(SignInMachine) if name.startswith(hooks)]
        assert own == []

    def test_every_event_a_person_can_send_has_a_name_of_the_chart(self) -> None:
        names = {event.id for event in SignInMachine._events}
        assert set(EVENTS) <= names
        assert names - set(EVENTS) == {
            "accepted",
            "rejected",
            "not_sent",
            "unknown",
            "registered",
            "remembered",
            "time_passed",
        }


class TestTheWayThrough:
    def test_password_text_code(self) -> None:
        flow = walk(password(), a_text(), code(), the_tokens())
        assert (flow.state, flow.version) == (FlowState.AUTHENTICATED, 4)
        assert flow.challenge is None

    def test_no_second_factor(self) -> None:
        assert walk(password(), the_tokens()).state is FlowState.AUTHENTICATED

    def test_a_choice_rests_at_the_junction(self) -> None:
        flow = walk(password(), CHOICE)
        assert flow.state is FlowState.PASSWORD_VERIFIED
        flow = walk(ChooseFactor(factor=Factor.EMAIL), a_text(), flow=flow)
        assert flow.state is FlowState.AWAITING_MFA

    def test_a_new_password_then_a_text(self) -> None:
        flow = walk(password(), NEW_PASSWORD, NEW_PASSWORD_EVENT, a_text())
        assert flow.state is FlowState.AWAITING_MFA

    def test_a_challenge_after_a_code(self) -> None:
        flow = walk(password(), a_text(), code(), NEW_PASSWORD)
        assert flow.state is FlowState.AWAITING_NEW_PASSWORD

    def test_an_unknown_challenge_fails_and_is_named(self) -> None:
        flow = walk(password(), UNKNOWN)
        assert flow.state is FlowState.FAILED
        assert (flow.message, flow.detail) == ("unknown_challenge", "MAGIC_LINK")

    def test_two_challenges_of_a_kind_are_never_equal(self) -> None:
        first = walk(password(), a_text())
        again = walk(OutcomeUnknown(), flow=walk(code(), flow=first))
        second = walk(password(), a_text(), flow=again)
        assert first.challenge == second.challenge
        assert first.challenge_id != second.challenge_id

    def test_the_flow_offered_stays_as_it_is(self) -> None:
        flow = Flow()
        assert advance(flow, password(), now=NOW) is not flow
        assert flow == Flow()


@pytest.mark.parametrize("state", AT_REST)
class TestAtRest:
    def test_it_is_where_it_should_be(self, state: FlowState) -> None:
        assert AT_REST[state].state is state

    def test_cancel_ends_it(self, state: FlowState) -> None:
        if state is FlowState.OFFERING_DEVICE:
            # The user is as good as signed in; declining ends it.
            assert "cancel" not in allowed_events(AT_REST[state])
            return
        flow = walk(Cancel(), flow=AT_REST[state])
        assert (flow.state, flow.message) == (FlowState.FAILED, "cancelled")
        assert flow.challenge is None

    def test_it_takes_no_outcome(self, state: FlowState) -> None:
        for outcome in (a_text(), the_tokens(), OutcomeUnknown(), NotSent(cause="throttled")):
            with pytest.raises(NotAllowed, match="not_allowed"):
                walk(outcome, flow=AT_REST[state])

    def test_it_allows_what_it_says_and_nothing_else(self, state: FlowState) -> None:
        flow = AT_REST[state]
        every_event: list[Event] = [
            password(),
            ChooseFactor(factor=Factor.SMS),
            code(),
            NEW_PASSWORD_EVENT,
            Cancel(),
            RequestNewCode(),
            RememberDevice(),
            SubmitEmail(email="a@b.c"),
            SubmitPasskey.model_validate({"credential": {}}),
            SubmitAnswer.model_validate({"answer": "42"}),
            ResetPassword.model_validate({"code": "123456", "new_password": "Better-horse-2"}),
        ]
        for event in every_event:
            if event.type == "choose_factor" and event.type in allowed_events(flow):
                assert isinstance(flow.challenge, FactorChoice)
                event = ChooseFactor(factor=flow.challenge.factors[0])
            if event.type in allowed_events(flow):
                assert walk(event, flow=flow).version == flow.version + 1
            else:
                with pytest.raises(NotAllowed):
                    walk(event, flow=flow)

    def test_a_late_event_is_stale(self, state: FlowState) -> None:
        flow = AT_REST[state]
        for event in (password(), ChooseFactor(factor=Factor.SMS), Cancel()):
            with pytest.raises(NotAllowed) as no:
                advance(flow, event, now=NOW, expected_version=0)
            assert no.value.reason in {"stale", "not_offered"}

    def test_the_challenge_ends_with_its_time(self, state: FlowState) -> None:
        flow = AT_REST[state]
        if flow.challenge is None:
            with pytest.raises(NotAllowed):
                advance(flow, TIME_PASSED, now=NOW + 1e9)
            return
        with pytest.raises(NotAllowed):
            advance(flow, TIME_PASSED, now=NOW + 179)
        if state in {FlowState.AWAITING_CONFIRMATION, FlowState.AWAITING_RESET}:
            assert flow.challenge_ends == NOW + 3600
        over = advance(flow, TIME_PASSED, now=flow.challenge_ends or 0)
        assert (over.state, over.message) == (FlowState.IDLE, "challenge_expired")
        assert over.challenge is None

    def test_a_clock_set_back_ends_it_too(self, state: FlowState) -> None:
        flow = AT_REST[state]
        if flow.challenge is not None:
            assert advance(flow, TIME_PASSED, now=NOW - 3600).state is FlowState.IDLE
            with pytest.raises(NotAllowed):
                advance(flow, TIME_PASSED, now=NOW - 60)


@pytest.mark.parametrize("state", IN_FLIGHT_FLOWS)
class TestInFlight:
    def test_no_event_of_a_person_leads_on(self, state: FlowState) -> None:
        flow = IN_FLIGHT_FLOWS[state]
        assert flow.state is state
        assert allowed_events(flow) == ()
        for event in (password(), code("999999"), ChooseFactor(factor=Factor.SMS), Cancel()):
            with pytest.raises(NotAllowed, match="in_flight"):
                walk(event, flow=flow)

    def unknown(self, state: FlowState) -> str:
        """Checking an SMS code sends none, so no code can arrive after it."""
        is_answer = state is FlowState.CHECKING_ANSWER
        return "answer_outcome_unknown" if is_answer else "outcome_unknown"

    def test_an_unknown_outcome_starts_over(self, state: FlowState) -> None:
        flow = walk(OutcomeUnknown(), flow=IN_FLIGHT_FLOWS[state])
        assert (flow.state, flow.message) == (FlowState.IDLE, self.unknown(state))
        assert flow.challenge is None
        assert "submit_password" in allowed_events(flow)

    def test_an_orphan_starts_over_when_its_lease_is_over_and_not_before(
        self, state: FlowState
    ) -> None:
        flow = IN_FLIGHT_FLOWS[state]
        with pytest.raises(NotAllowed):
            advance(flow, TIME_PASSED, now=NOW + LEASE - 1)
        over = advance(flow, TIME_PASSED, now=NOW + LEASE)
        assert (over.state, over.message) == (FlowState.IDLE, self.unknown(state))

    def test_what_was_not_sent_is_back_where_it_was(self, state: FlowState) -> None:
        before = {
            FlowState.CHECKING_PASSWORD: FlowState.IDLE,
            FlowState.REQUESTING_CHALLENGE: FlowState.PASSWORD_VERIFIED,
            FlowState.CHECKING_ANSWER: FlowState.AWAITING_MFA,
            FlowState.SETTING_PASSWORD: FlowState.AWAITING_NEW_PASSWORD,
        }[state]
        flow = walk(NotSent(cause="throttled"), flow=IN_FLIGHT_FLOWS[state])
        assert (flow.state, flow.message) == (before, "throttled")
        assert flow.challenge == AT_REST[before].challenge
        assert flow.challenge_ends == AT_REST[before].challenge_ends

    def test_an_expired_session_starts_over(self, state: FlowState) -> None:
        flow = walk(rejected(RejectionReason.CHALLENGE_DEAD), flow=IN_FLIGHT_FLOWS[state])
        assert flow.state is FlowState.IDLE

    @pytest.mark.parametrize("reason", RejectionReason)
    def test_every_reason_leads_to_rest(self, state: FlowState, reason: RejectionReason) -> None:
        flow = walk(rejected(reason), flow=IN_FLIGHT_FLOWS[state])
        assert flow.state not in IN_FLIGHT
        assert flow.state is not FlowState.AUTHENTICATED
        assert f"message.{flow.message}" in TEXTS
        # Cognito's words are for users only where they explain a password policy.
        assert flow.detail == ("Cognito's words" if flow.message == "new_password_refused" else "")


class TestGuards:
    def test_the_password_again_after_an_unknown_outcome_needs_a_step_seen_since(self) -> None:
        flow = walk(password(), OutcomeUnknown())
        for seen in (0, 1):
            with pytest.raises(NotAllowed) as no:
                advance(flow, password(), now=NOW, expected_version=seen)
            assert no.value.reason == "stale"
        assert (
            advance(flow, password(), now=NOW, expected_version=2).state
            is FlowState.CHECKING_PASSWORD
        )

    def test_a_version_from_the_future_is_as_untimely(self) -> None:
        with pytest.raises(NotAllowed, match="stale"):
            advance(Flow(), password(), now=NOW, expected_version=7)

    def test_a_choice_that_needs_no_call_is_as_stale_when_it_is_late(self) -> None:
        for asked, factor in ((FIRST, Factor.PASSWORD), (SETUP, Factor.EMAIL)):
            flow = walk(password(), asked)
            with pytest.raises(NotAllowed, match="stale"):
                advance(flow, ChooseFactor(factor=factor), now=NOW, expected_version=1)

    def test_an_answer_again_after_it_was_wrong_needs_a_step_seen_since(self) -> None:
        flow = walk(password(), a_text(), code(), rejected(RejectionReason.WRONG_CODE))
        with pytest.raises(NotAllowed, match="stale"):
            advance(flow, code("222222"), now=NOW, expected_version=2, digest="another")
        assert advance(flow, code("222222"), now=NOW, digest="another").is_in_flight

    def test_an_answer_from_a_page_that_did_not_show_the_challenge_is_stale(self) -> None:
        flow = walk(password(), a_text())
        for seen in (0, 1):
            with pytest.raises(NotAllowed, match="stale"):
                advance(flow, code(), now=NOW, expected_version=seen)

    def test_the_same_answer_does_not_leave_twice(self) -> None:
        flow = walk(password(), a_text())
        flow = advance(flow, code(), now=NOW, digest="d")
        flow = advance(flow, rejected(RejectionReason.WRONG_CODE), now=NOW)
        with pytest.raises(NotAllowed, match="already_tried"):
            advance(flow, code(), now=NOW, digest="d")

    def test_an_answer_that_was_not_sent_may_be_sent(self) -> None:
        flow = advance(walk(password(), a_text()), code(), now=NOW, digest="d")
        flow = advance(flow, NotSent(cause="unreachable"), now=NOW)
        assert advance(flow, code(), now=NOW, digest="d").is_in_flight

    def test_five_wrong_codes_and_it_is_over(self) -> None:
        flow = walk(password(), a_text())
        for wrong in range(5):
            assert flow.state is FlowState.AWAITING_MFA
            assert flow.attempts_left == 5 - wrong
            flow = advance(flow, code(), now=NOW, digest=str(wrong))
            flow = advance(flow, rejected(RejectionReason.WRONG_CODE), now=NOW)
        assert (flow.state, flow.message) == (FlowState.FAILED, "too_many_wrong_codes")

    def test_a_totp_that_was_used_a_moment_ago_costs_no_attempt(self) -> None:
        flow = walk(password(), a_text(), code(), rejected(RejectionReason.CODE_ALREADY_USED))
        assert (flow.state, flow.attempts_left) == (FlowState.AWAITING_MFA, 5)

    def test_a_factor_that_is_not_offered_is_refused(self) -> None:
        only_sms = ChallengeIssued(
            challenge=FactorChoice.model_validate({**COMMON, "factors": [Factor.SMS]})
        )
        with pytest.raises(NotAllowed, match="not_offered"):
            walk(password(), only_sms, ChooseFactor(factor=Factor.TOTP))

    def test_an_unusable_factor_is_no_longer_offered(self) -> None:
        flow = walk(flow=IN_FLIGHT_FLOWS[FlowState.REQUESTING_CHALLENGE])
        flow = walk(rejected(RejectionReason.FACTOR_UNUSABLE), flow=flow)
        assert flow.state is FlowState.PASSWORD_VERIFIED
        assert isinstance(flow.challenge, FactorChoice)
        assert flow.challenge.factors == (Factor.EMAIL, Factor.TOTP)

    def test_the_last_factor_unusable_is_the_end(self) -> None:
        only_sms = ChallengeIssued(
            challenge=FactorChoice.model_validate({**COMMON, "factors": [Factor.SMS]})
        )
        flow = walk(password(), only_sms, ChooseFactor(factor=Factor.SMS))
        assert walk(rejected(RejectionReason.FACTOR_UNUSABLE), flow=flow).state is FlowState.FAILED

    def test_a_final_flow_takes_nothing(self) -> None:
        for flow, reason in (
            (walk(password(), the_tokens()), "signed_in"),
            (walk(Cancel()), "finished"),
        ):
            with pytest.raises(NotAllowed) as no:
                walk(password(), flow=flow)
            assert no.value.reason == reason

    def test_a_machine_is_good_after_a_flow_has_ended_on_it(self) -> None:
        for _ in range(3):
            assert walk(password(), the_tokens()).state is FlowState.AUTHENTICATED


class TestDevices:
    @pytest.mark.parametrize("state", DEVICE_FLOWS)
    def test_they_are_in_flight(self, state: FlowState) -> None:
        assert DEVICE_FLOWS[state].state is state
        assert allowed_events(DEVICE_FLOWS[state]) == ()

    @pytest.mark.parametrize(
        "outcome",
        [rejected(RejectionReason.MISCONFIGURED), NotSent(cause="throttled"), OutcomeUnknown()],
        ids=lambda outcome: outcome.type,
    )
    @pytest.mark.parametrize("state", [FlowState.REGISTERING_DEVICE, FlowState.REMEMBERING_DEVICE])
    def test_what_goes_wrong_never_spoils_the_sign_in(
        self, state: FlowState, outcome: Outcome
    ) -> None:
        assert walk(outcome, flow=DEVICE_FLOWS[state]).state is FlowState.AUTHENTICATED

    def test_a_worker_that_died_with_the_tokens_starts_over(self) -> None:
        for flow in DEVICE_FLOWS.values():
            assert advance(flow, TIME_PASSED, now=NOW + LEASE).state is FlowState.IDLE

    def test_one_that_had_them_kept_leaves_the_user_signed_in(self) -> None:
        for state in (FlowState.REGISTERING_DEVICE, FlowState.REMEMBERING_DEVICE):
            flow = DEVICE_FLOWS[state].model_copy(update={"session_id": "kept"})
            with pytest.raises(NotAllowed):
                advance(flow, TIME_PASSED, now=NOW + LEASE - 1)
            over = advance(flow, TIME_PASSED, now=NOW + LEASE)
            assert (over.state, over.challenge) == (FlowState.AUTHENTICATED, None)

    def test_a_device_that_was_not_named_is_not_believed(self) -> None:
        flow = walk(password(), DEVICE)
        assert (flow.state, flow.message) == (FlowState.FAILED, "unknown_challenge")

    def test_tokens_do_not_outlive_the_offer(self) -> None:
        flow = AT_REST[FlowState.OFFERING_DEVICE]
        assert walk(RememberDevice(remember=False), flow=flow).challenge is None
        assert (
            walk(RememberDevice(), DeviceRemembered(), flow=flow, inputs=INPUTS).challenge is None
        )

    def test_forgotten_it_goes_on_once_without(self) -> None:
        for first in (
            walk(password(), inputs=INPUTS),
            walk(password(), a_text(), code(), inputs=INPUTS),
        ):
            assert first.device_key == KEY
            flow = walk(rejected(RejectionReason.DEVICE_FORGOTTEN), flow=first)
            assert (flow.state, flow.device_key) == (first.state, None)
            flow = walk(rejected(RejectionReason.DEVICE_FORGOTTEN), flow=flow)
            assert flow.state is FlowState.FAILED


class TestANewCode:
    def test_for_an_authenticator_there_is_none(self) -> None:
        flow = walk(password(), a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None))
        assert "request_new_code" not in allowed_events(flow)
        with pytest.raises(NotAllowed, match="not_allowed"):
            walk(RequestNewCode(), flow=flow)

    def test_the_cooldown_counts_from_a_code_whose_response_was_lost(self) -> None:
        policy = Policy(lease=LEASE, cooldown=30)
        flow = AT_REST[FlowState.AWAITING_CONFIRMATION]
        for trigger in (RequestNewCode(), OutcomeUnknown(), password()):
            flow = advance(flow, trigger, now=NOW, policy=policy)
        flow = advance(
            flow, rejected(RejectionReason.SIGN_UP_NOT_CONFIRMED), now=NOW, policy=policy
        )
        assert flow.state is FlowState.AWAITING_CONFIRMATION
        with pytest.raises(NotAllowed, match="too_soon"):
            advance(flow, RequestNewCode(), now=NOW + 29, policy=policy)
        assert advance(flow, RequestNewCode(), now=NOW + 30, policy=policy).is_in_flight

    def test_it_lets_go_of_the_old_challenge(self) -> None:
        flow = walk(RequestNewCode(), flow=AT_REST[FlowState.AWAITING_MFA])
        assert (flow.state, flow.challenge) == (FlowState.IDLE, None)
        assert flow.new_codes_left == AT_REST[FlowState.AWAITING_MFA].new_codes_left - 1

    def test_the_choice_is_not_made_again_for_ever(self) -> None:
        """A throttled choice leads to the junction, which would lead straight back into the call."""
        first = walk(password(), CHOICE, ChooseFactor(factor=Factor.SMS), a_text())
        flow = walk(RequestNewCode(), password(), CHOICE, flow=first)
        assert flow.state is FlowState.REQUESTING_CHALLENGE
        flow = walk(NotSent(cause="throttled"), flow=flow)
        assert flow.state is FlowState.PASSWORD_VERIFIED
