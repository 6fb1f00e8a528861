"""The machine: single transitions, rejections, time and devices; and the library's strict settings."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

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
from oncegate.machine.account import AccountMachine
from oncegate.machine.advance import CHART, EVENTS, NotAllowed, advance, allowed_events
from oncegate.machine.chart import SignInMachine
from oncegate.machine.context import TIME_PASSED, GuardInputs, Policy, TransitionContext, Trigger
from oncegate.machine.engine import CompiledChart
from oncegate.record import Flow
from oncegate.states import FINAL, IN_FLIGHT, AccountState


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


CHARTS = pytest.mark.parametrize(
    ("chart", "states"), [(SignInMachine, FlowState), (AccountMachine, AccountState)]
)


class TestStrictSettings:
    @CHARTS
    def test_settings_are_strict(self, chart: Any, states: type[StrEnum]) -> None:
        assert issubclass(chart, StateChart)
        assert chart.allow_event_without_transition is False
        assert chart.catch_errors_as_events is False
        assert chart.atomic_configuration_update is True

    @CHARTS
    def test_states_of_chart_and_enum_are_equal(self, chart: Any, states: type[StrEnum]) -> None:
        assert {state.value for state in chart.states} == set(states)
        assert {state.id for state in chart.states} == {state.value for state in states}

    @CHARTS
    def test_final_and_in_flight_states_match_the_chart(
        self, chart: Any, states: type[StrEnum]
    ) -> None:
        assert {state.value for state in chart.final_states} == FINAL & set(states)
        outcomes = {"accepted", "rejected", "not_sent", "unknown", "registered", "remembered"}
        takes_outcomes = {
            state.value
            for state in chart.states
            if any(transition.event in outcomes for transition in state.transitions)
        }
        assert takes_outcomes == IN_FLIGHT & set(states)

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

    def test_exception_in_an_effect_does_not_affect_the_next_run(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(TransitionContext, "change", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                advance(Flow(), password(), now=NOW)
        assert advance(Flow(), password(), now=NOW).state is FlowState.CHECKING_PASSWORD

    def test_chart_has_no_hooks_by_naming_convention(self) -> None:
        hooks = ("on_enter", "on_exit", "before_", "after_", "on_", "prepare_")
        own = [
            name
            for chart in (SignInMachine, AccountMachine)
            for name in vars(chart)
            if name.startswith(hooks)
        ]
        assert own == []

    def test_every_event_of_a_user_is_an_event_of_a_chart(self) -> None:
        names = {
            str(event)
            for chart in (SignInMachine, AccountMachine)
            for state in chart.states
            for transition in state.transitions
            for event in transition.events
        }
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


class TestSignIn:
    def test_password_and_code_authenticate(self) -> None:
        flow = walk(password(), a_text(), code(), the_tokens())
        assert (flow.state, flow.version) == (FlowState.AUTHENTICATED, 4)
        assert flow.challenge is None

    def test_password_alone_authenticates_without_a_second_factor(self) -> None:
        assert walk(password(), the_tokens()).state is FlowState.AUTHENTICATED

    def test_choice_waits_in_password_verified(self) -> None:
        flow = walk(password(), CHOICE)
        assert flow.state is FlowState.PASSWORD_VERIFIED
        flow = walk(ChooseFactor(factor=Factor.EMAIL), a_text(), flow=flow)
        assert flow.state is FlowState.AWAITING_MFA

    def test_code_can_follow_a_new_password(self) -> None:
        flow = walk(password(), NEW_PASSWORD, NEW_PASSWORD_EVENT, a_text())
        assert flow.state is FlowState.AWAITING_MFA

    def test_challenge_can_follow_a_code(self) -> None:
        flow = walk(password(), a_text(), code(), NEW_PASSWORD)
        assert flow.state is FlowState.AWAITING_NEW_PASSWORD

    def test_unknown_challenge_fails_and_is_named(self) -> None:
        flow = walk(password(), UNKNOWN)
        assert flow.state is FlowState.FAILED
        assert (flow.message, flow.detail) == ("unknown_challenge", "MAGIC_LINK")

    def test_equal_challenges_have_different_ids(self) -> None:
        first = walk(password(), a_text())
        idle = walk(OutcomeUnknown(), flow=walk(code(), flow=first))
        second = walk(password(), a_text(), flow=idle)
        assert first.challenge == second.challenge
        assert first.challenge_id != second.challenge_id

    def test_advance_does_not_change_its_argument(self) -> None:
        flow = Flow()
        assert advance(flow, password(), now=NOW) is not flow
        assert flow == Flow()


@pytest.mark.parametrize("state", AT_REST)
class TestAtRest:
    def test_flow_is_in_its_state(self, state: FlowState) -> None:
        assert AT_REST[state].state is state

    def test_cancel_ends_the_flow(self, state: FlowState) -> None:
        if state is FlowState.OFFERING_DEVICE:
            # The user has signed in already; declining the offer ends the flow.
            assert "cancel" not in allowed_events(AT_REST[state])
            return
        flow = walk(Cancel(), flow=AT_REST[state])
        assert (flow.state, flow.message) == (FlowState.FAILED, "cancelled")
        assert flow.challenge is None

    def test_outcome_is_not_allowed(self, state: FlowState) -> None:
        for outcome in (a_text(), the_tokens(), OutcomeUnknown(), NotSent(cause="throttled")):
            with pytest.raises(NotAllowed, match="not_allowed"):
                walk(outcome, flow=AT_REST[state])

    def test_allowed_events_are_accepted_and_others_are_not(self, state: FlowState) -> None:
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

    def test_late_event_is_stale(self, state: FlowState) -> None:
        flow = AT_REST[state]
        for event in (password(), ChooseFactor(factor=Factor.SMS), Cancel()):
            with pytest.raises(NotAllowed) as error:
                advance(flow, event, now=NOW, expected_version=0)
            assert error.value.reason in {"stale", "not_offered"}

    def test_challenge_expires_at_its_deadline(self, state: FlowState) -> None:
        flow = AT_REST[state]
        if flow.challenge is None:
            with pytest.raises(NotAllowed):
                advance(flow, TIME_PASSED, now=NOW + 1e9)
            return
        with pytest.raises(NotAllowed):
            advance(flow, TIME_PASSED, now=NOW + 179)
        if state in {FlowState.AWAITING_CONFIRMATION, FlowState.AWAITING_RESET}:
            assert flow.challenge_ends == NOW + 3600
        ended = advance(flow, TIME_PASSED, now=flow.challenge_ends or 0)
        # With the offer, the caller got the tokens: that user is signed in.
        is_offer = state is FlowState.OFFERING_DEVICE
        expected = (
            (FlowState.AUTHENTICATED, None) if is_offer else (FlowState.IDLE, "challenge_expired")
        )
        assert (ended.state, ended.message) == expected
        assert ended.challenge is None

    def test_clock_set_back_by_an_hour_ends_the_challenge(self, state: FlowState) -> None:
        flow = AT_REST[state]
        if flow.challenge is not None:
            ended = advance(flow, TIME_PASSED, now=NOW - 3600)
            assert ended.state in {FlowState.IDLE, FlowState.AUTHENTICATED}
            assert ended.challenge is None
            with pytest.raises(NotAllowed):
                advance(flow, TIME_PASSED, now=NOW - 60)


@pytest.mark.parametrize("state", IN_FLIGHT_FLOWS)
class TestInFlight:
    def test_event_of_a_user_is_not_allowed(self, state: FlowState) -> None:
        flow = IN_FLIGHT_FLOWS[state]
        assert flow.state is state
        assert not allowed_events(flow)
        for event in (password(), code("999999"), ChooseFactor(factor=Factor.SMS), Cancel()):
            with pytest.raises(NotAllowed, match="in_flight"):
                walk(event, flow=flow)

    def unknown_message(self, state: FlowState) -> str:
        """Return the message after an unknown outcome: checking an SMS code cannot send another."""
        is_answer = state in {FlowState.CHECKING_ANSWER, FlowState.EXCHANGING_CODE}
        return "answer_outcome_unknown" if is_answer else "outcome_unknown"

    def after_unknown(self, state: FlowState) -> tuple[FlowState, str]:
        if state is FlowState.CREATING_ACCOUNT:  # its code works outside any session
            return FlowState.AWAITING_CONFIRMATION, "sign_up_outcome_unknown"
        return FlowState.IDLE, self.unknown_message(state)

    def test_unknown_outcome_leads_on(self, state: FlowState) -> None:
        flow = walk(OutcomeUnknown(), flow=IN_FLIGHT_FLOWS[state])
        assert (flow.state, flow.message) == self.after_unknown(state)
        if flow.state is FlowState.IDLE:
            assert flow.challenge is None
            assert "submit_password" in allowed_events(flow)

    def test_expired_lease_leads_on_and_a_running_one_does_not(self, state: FlowState) -> None:
        flow = IN_FLIGHT_FLOWS[state]
        with pytest.raises(NotAllowed):
            advance(flow, TIME_PASSED, now=NOW + LEASE - 1)
        ended = advance(flow, TIME_PASSED, now=NOW + LEASE)
        assert (ended.state, ended.message) == self.after_unknown(state)

    def test_call_that_was_not_sent_returns_to_the_state_before(self, state: FlowState) -> None:
        before = {
            FlowState.CHECKING_PASSWORD: FlowState.IDLE,
            FlowState.REQUESTING_CHALLENGE: FlowState.PASSWORD_VERIFIED,
            FlowState.CHECKING_ANSWER: FlowState.AWAITING_MFA,
            FlowState.SETTING_PASSWORD: FlowState.AWAITING_NEW_PASSWORD,
            FlowState.CREATING_ACCOUNT: FlowState.SIGNING_UP,
            FlowState.EXCHANGING_CODE: FlowState.AWAITING_PROVIDER,
        }[state]
        flow = walk(NotSent(cause="throttled"), flow=IN_FLIGHT_FLOWS[state])
        assert (flow.state, flow.message) == (before, "throttled")
        assert flow.challenge == AT_REST[before].challenge
        assert flow.challenge_ends == AT_REST[before].challenge_ends

    def test_dead_challenge_returns_to_idle(self, state: FlowState) -> None:
        if state is FlowState.CREATING_ACCOUNT:
            return  # it answers no challenge of Cognito's
        flow = walk(rejected(RejectionReason.CHALLENGE_DEAD), flow=IN_FLIGHT_FLOWS[state])
        assert flow.state is FlowState.IDLE

    @pytest.mark.parametrize("reason", RejectionReason)
    def test_every_rejection_ends_at_rest_with_a_message(
        self, state: FlowState, reason: RejectionReason
    ) -> None:
        flow = walk(rejected(reason), flow=IN_FLIGHT_FLOWS[state])
        assert flow.state not in IN_FLIGHT
        assert flow.state is not FlowState.AUTHENTICATED
        assert f"message.{flow.message}" in TEXTS
        assert flow.detail == ""  # Cognito's words are for the log


class TestGuards:
    def test_factor_of_an_unknown_outcome_counts_as_sent(self) -> None:
        """Its code may have been sent, so its cooldown holds for another way, too."""
        flow = walk(password(), CHOICE, ChooseFactor(factor=Factor.SMS), OutcomeUnknown())
        assert flow.sent_factors == (Factor.SMS,)

    def test_password_after_an_unknown_outcome_needs_the_step_after_it(self) -> None:
        flow = walk(password(), OutcomeUnknown())
        for version in (0, 1):
            with pytest.raises(NotAllowed) as error:
                advance(flow, password(), now=NOW, expected_version=version)
            assert error.value.reason == "stale"
        assert (
            advance(flow, password(), now=NOW, expected_version=2).state
            is FlowState.CHECKING_PASSWORD
        )

    def test_version_from_the_future_is_stale(self) -> None:
        with pytest.raises(NotAllowed, match="stale"):
            advance(Flow(), password(), now=NOW, expected_version=7)

    def test_late_choice_without_a_call_is_stale(self) -> None:
        for asked, factor in ((FIRST, Factor.PASSWORD), (SETUP, Factor.EMAIL)):
            flow = walk(password(), asked)
            with pytest.raises(NotAllowed, match="stale"):
                advance(flow, ChooseFactor(factor=factor), now=NOW, expected_version=1)

    def test_answer_after_a_wrong_one_needs_the_step_after_it(self) -> None:
        flow = walk(password(), a_text(), code(), rejected(RejectionReason.WRONG_CODE))
        with pytest.raises(NotAllowed, match="stale"):
            advance(flow, code("222222"), now=NOW, expected_version=2, digest="another")
        assert advance(flow, code("222222"), now=NOW, digest="another").is_in_flight

    def test_answer_from_a_step_before_the_challenge_is_stale(self) -> None:
        flow = walk(password(), a_text())
        for version in (0, 1):
            with pytest.raises(NotAllowed, match="stale"):
                advance(flow, code(), now=NOW, expected_version=version)

    def test_same_answer_is_not_sent_twice(self) -> None:
        flow = walk(password(), a_text())
        flow = advance(flow, code(), now=NOW, digest="d")
        flow = advance(flow, rejected(RejectionReason.WRONG_CODE), now=NOW)
        with pytest.raises(NotAllowed, match="already_tried"):
            advance(flow, code(), now=NOW, digest="d")

    def test_answer_that_was_not_sent_can_be_sent(self) -> None:
        flow = advance(walk(password(), a_text()), code(), now=NOW, digest="d")
        flow = advance(flow, NotSent(cause="unreachable"), now=NOW)
        assert advance(flow, code(), now=NOW, digest="d").is_in_flight

    def test_five_wrong_codes_end_the_flow(self) -> None:
        flow = walk(password(), a_text())
        for wrong in range(5):
            assert flow.state is FlowState.AWAITING_MFA
            assert flow.attempts_left == 5 - wrong
            flow = advance(flow, code(), now=NOW, digest=str(wrong))
            flow = advance(flow, rejected(RejectionReason.WRONG_CODE), now=NOW)
        assert (flow.state, flow.message) == (FlowState.FAILED, "too_many_wrong_codes")

    def test_used_code_costs_no_attempt(self) -> None:
        flow = walk(password(), a_text(), code(), rejected(RejectionReason.CODE_ALREADY_USED))
        assert (flow.state, flow.attempts_left) == (FlowState.AWAITING_MFA, 5)

    def test_factor_that_is_not_offered_is_refused(self) -> None:
        only_sms = ChallengeIssued(
            challenge=FactorChoice.model_validate({**COMMON, "factors": [Factor.SMS]})
        )
        with pytest.raises(NotAllowed, match="not_offered"):
            walk(password(), only_sms, ChooseFactor(factor=Factor.TOTP))

    def test_unusable_factor_is_no_longer_offered(self) -> None:
        flow = walk(flow=IN_FLIGHT_FLOWS[FlowState.REQUESTING_CHALLENGE])
        flow = walk(rejected(RejectionReason.FACTOR_UNUSABLE), flow=flow)
        assert flow.state is FlowState.PASSWORD_VERIFIED
        assert isinstance(flow.challenge, FactorChoice)
        assert flow.challenge.factors == (Factor.EMAIL, Factor.TOTP)

    def test_last_factor_unusable_ends_the_flow(self) -> None:
        only_sms = ChallengeIssued(
            challenge=FactorChoice.model_validate({**COMMON, "factors": [Factor.SMS]})
        )
        flow = walk(password(), only_sms, ChooseFactor(factor=Factor.SMS))
        assert walk(rejected(RejectionReason.FACTOR_UNUSABLE), flow=flow).state is FlowState.FAILED

    def test_final_flow_allows_nothing(self) -> None:
        for flow, reason in (
            (walk(password(), the_tokens()), "signed_in"),
            (walk(Cancel()), "finished"),
        ):
            with pytest.raises(NotAllowed) as error:
                walk(password(), flow=flow)
            assert error.value.reason == reason

    def test_machine_runs_again_after_a_final_state(self) -> None:
        for _ in range(3):
            assert walk(password(), the_tokens()).state is FlowState.AUTHENTICATED


class TestDevices:
    @pytest.mark.parametrize("state", DEVICE_FLOWS)
    def test_states_of_devices_are_in_flight(self, state: FlowState) -> None:
        assert DEVICE_FLOWS[state].state is state
        assert not allowed_events(DEVICE_FLOWS[state])

    @pytest.mark.parametrize(
        "outcome",
        [rejected(RejectionReason.MISCONFIGURED), NotSent(cause="throttled"), OutcomeUnknown()],
        ids=lambda outcome: outcome.type,
    )
    @pytest.mark.parametrize("state", [FlowState.REGISTERING_DEVICE, FlowState.REMEMBERING_DEVICE])
    def test_failed_device_call_still_authenticates(
        self, state: FlowState, outcome: Outcome
    ) -> None:
        assert walk(outcome, flow=DEVICE_FLOWS[state]).state is FlowState.AUTHENTICATED

    def test_expired_lease_without_a_session_returns_to_idle(self) -> None:
        for state in (FlowState.CHECKING_DEVICE, FlowState.REGISTERING_DEVICE):
            ended = advance(DEVICE_FLOWS[state], TIME_PASSED, now=NOW + LEASE)
            assert ended.state is FlowState.IDLE

    def test_expired_lease_after_the_offer_never_issues_tokens_again(self) -> None:
        """The caller got the tokens with the offer."""
        flow = DEVICE_FLOWS[FlowState.REMEMBERING_DEVICE]
        ended = advance(flow, TIME_PASSED, now=NOW + LEASE)
        assert (ended.state, ended.challenge) == (FlowState.AUTHENTICATED, None)

    def test_expired_lease_with_a_session_authenticates(self) -> None:
        for state in (FlowState.REGISTERING_DEVICE, FlowState.REMEMBERING_DEVICE):
            flow = DEVICE_FLOWS[state].model_copy(update={"session_id": "a session"})
            with pytest.raises(NotAllowed):
                advance(flow, TIME_PASSED, now=NOW + LEASE - 1)
            ended = advance(flow, TIME_PASSED, now=NOW + LEASE)
            assert (ended.state, ended.challenge) == (FlowState.AUTHENTICATED, None)

    def test_device_challenge_without_a_device_fails(self) -> None:
        flow = walk(password(), DEVICE)
        assert (flow.state, flow.message) == (FlowState.FAILED, "unknown_challenge")

    def test_tokens_are_dropped_with_the_offer(self) -> None:
        flow = AT_REST[FlowState.OFFERING_DEVICE]
        assert walk(RememberDevice(remember=False), flow=flow).challenge is None
        assert (
            walk(RememberDevice(), DeviceRemembered(), flow=flow, inputs=INPUTS).challenge is None
        )

    def test_forgotten_device_repeats_the_call_once_without_it(self) -> None:
        for first in (
            walk(password(), inputs=INPUTS),
            walk(password(), a_text(), code(), inputs=INPUTS),
        ):
            assert first.device_key == KEY
            flow = walk(rejected(RejectionReason.DEVICE_FORGOTTEN), flow=first)
            assert (flow.state, flow.device_key) == (first.state, None)
            flow = walk(rejected(RejectionReason.DEVICE_FORGOTTEN), flow=flow)
            assert flow.state is FlowState.FAILED


class TestNewCode:
    def test_authenticator_app_has_no_new_code(self) -> None:
        flow = walk(password(), a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None))
        assert "request_new_code" not in allowed_events(flow)
        with pytest.raises(NotAllowed, match="not_allowed"):
            walk(RequestNewCode(), flow=flow)

    def test_cooldown_starts_at_a_code_whose_response_was_lost(self) -> None:
        policy = Policy(lease=LEASE, cooldown=30)
        flow = AT_REST[FlowState.AWAITING_CONFIRMATION]
        for trigger in (RequestNewCode(), OutcomeUnknown()):
            flow = advance(flow, trigger, now=NOW, policy=policy)
        assert flow.state is FlowState.AWAITING_CONFIRMATION
        with pytest.raises(NotAllowed, match="too_soon"):
            advance(flow, RequestNewCode(), now=NOW + 29, policy=policy)
        assert advance(flow, RequestNewCode(), now=NOW + 30, policy=policy).is_in_flight

    def test_new_code_drops_the_old_challenge(self) -> None:
        flow = walk(RequestNewCode(), flow=AT_REST[FlowState.AWAITING_MFA])
        assert (flow.state, flow.challenge) == (FlowState.IDLE, None)
        assert flow.new_codes_left == AT_REST[FlowState.AWAITING_MFA].new_codes_left - 1

    def test_throttled_preselected_factor_is_requested_once(self) -> None:
        """A throttled request enters the junction, which could take the same transition again for ever."""
        first = walk(password(), CHOICE, ChooseFactor(factor=Factor.SMS), a_text())
        flow = walk(RequestNewCode(), password(), CHOICE, flow=first)
        assert flow.state is FlowState.REQUESTING_CHALLENGE
        flow = walk(NotSent(cause="throttled"), flow=flow)
        assert flow.state is FlowState.PASSWORD_VERIFIED
