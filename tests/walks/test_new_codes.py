"""A new code is a new challenge: on request, after a cooldown, within limits; the old one ends."""

from __future__ import annotations

import pytest
from tests.doubles import ManualClock
from tests.walks.walker import EVERY, PASSWORD, PHONE, Walk, Walker, user

from oncegate import (
    ChooseFactor,
    CodeBudget,
    Factor,
    RequestContext,
    RequestNewCode,
    Step,
    SubmitCode,
    SubmitPassword,
)
from oncegate.adapters import FlowId
from oncegate_sandbox import Fault
from oncegate_stores import MemoryStore


def reason(step: Step) -> str | None:
    return step.reason.code if step.reason else None


def request_new_code(w: Walk) -> Step:
    """Request a new code; the request may be suppressed."""
    step = w.sign_in.send(w.step, RequestNewCode())
    w.step = step.model_copy(update={"reason": None})
    return step


class TestByDefault:
    def test_new_code_requires_the_password_again(self, walk: Walker, clock: ManualClock) -> None:
        w = walk(user(**PHONE), sign_in={"clock": clock})
        step = w.send_password()
        assert step.new_code_at is not None
        assert step.new_code_at.timestamp() == clock.time + 30
        assert step.new_codes_left == 5
        old = w.newest_code()
        assert reason(request_new_code(w)) == "too_soon"
        clock.advance(30)
        step = request_new_code(w)
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "password_for_new_code")
        assert step.fields[0].value == "ana"
        assert len(w.sandbox.messages()) == 1
        late = w.sign_in.send(step, SubmitCode.model_validate({"code": old}))
        assert reason(late) is not None, "the old code is no longer accepted"
        w.send(SubmitPassword.model_validate({"password": PASSWORD}))
        w.send_code()
        w.assert_signed_in(codes=2)

    def test_double_click_requests_one_code(self, walk: Walker, clock: ManualClock) -> None:
        w = walk(user(**PHONE), sign_in={"clock": clock, "retain_password": True})
        step = w.send_password()
        clock.advance(30)
        for _ in range(3):
            w.sign_in.send(step, RequestNewCode())
        assert len(w.sandbox.messages()) == 2


class TestRetainedPassword:
    def test_new_code_takes_one_click(self, walk: Walker, clock: ManualClock) -> None:
        w = walk(user(**PHONE), sign_in={"clock": clock, "retain_password": True})
        first = w.send_password()
        clock.advance(30)
        step = request_new_code(w)
        assert (step.state, step.new_codes_left) == ("awaiting_mfa", 4)
        assert step.challenge_id != first.challenge_id
        assert len(w.sandbox.messages()) == 2
        w.send_code()
        w.assert_signed_in(codes=2)

    def test_new_code_uses_the_factor_chosen_before(self, walk: Walker, clock: ManualClock) -> None:
        w = walk(user(**EVERY), sign_in={"clock": clock, "retain_password": True})
        w.send_password()
        w.send(ChooseFactor(factor=Factor.EMAIL))
        clock.advance(30)
        step = request_new_code(w)
        assert (step.state, step.challenge) == ("awaiting_mfa", "EMAIL_OTP")
        w.send_code()
        w.assert_signed_in(codes=2)

    def test_retained_password_is_removed_with_the_challenge(
        self, walk: Walker, clock: ManualClock
    ) -> None:
        store = MemoryStore()
        w = walk(user(**PHONE), sign_in={"clock": clock, "retain_password": True, "store": store})
        flow_id = FlowId.parse(w.send_password().flow_id)

        def is_retained() -> bool:
            row = store.load(flow_id.key)
            assert row is not None
            assert PASSWORD.encode() not in row.sealed
            return flow_id.unseal(row.sealed, row.version).retained_password is not None

        assert is_retained()
        clock.advance(180)
        w.sign_in.get(flow_id.text)
        assert not is_retained()

    def test_limit_of_a_flow_ends_new_codes(self, walk: Walker) -> None:
        w = walk(
            user(**PHONE),
            sign_in={"retain_password": True, "new_code_cooldown": 0, "new_codes_per_flow": 2},
        )
        w.send_password()
        assert [request_new_code(w).new_codes_left for _ in range(2)] == [1, None]
        assert "request_new_code" not in w.step.events
        assert reason(request_new_code(w)) == "no_more_codes"
        assert len(w.sandbox.messages()) == 3
        w.send_code()
        w.assert_signed_in(codes=3)

    @pytest.mark.parametrize("fault", ["drop_response", "throttle"])
    def test_failed_request_for_a_new_code_starts_over(self, walk: Walker, fault: str) -> None:
        w = walk(user(**PHONE), sign_in={"retain_password": True, "new_code_cooldown": 0})
        w.send_password()
        operation = "InitiateAuth" if fault == "throttle" else "RespondToAuthChallenge"
        w.sandbox.order(Fault.model_validate({"operation": operation, "kind": fault, "times": 2}))
        assert request_new_code(w).state == "idle"
        assert len(w.sandbox.messages()) == (1 if fault == "throttle" else 2)


class TestBudget:
    def test_user_over_budget_gets_no_code_in_any_flow(self, walk: Walker) -> None:
        more = {
            "retain_password": True,
            "new_code_cooldown": 0,
            "budget": CodeBudget(per_user=3),
        }
        w = walk(user(**PHONE), sign_in=more)
        w.send_password()
        request_new_code(w)
        w.start()
        w.send_password()
        assert len(w.sandbox.messages()) == 3
        assert reason(request_new_code(w)) == "too_many_codes"
        assert len(w.sandbox.messages()) == 3
        w.send_code()
        w.assert_signed_in(codes=3)

    def test_source_over_budget_gets_no_code_for_any_user(self, walk: Walker) -> None:
        bob = {**PHONE, "username": "bob", "phone_number": "+15550009999"}
        w = walk(user(**PHONE), user(**bob), sign_in={"budget": CodeBudget(per_source=2)})

        def begin(name: str, source: str) -> Step:
            event = SubmitPassword.model_validate({"username": name, "password": PASSWORD})
            return w.sign_in.send(
                w.sign_in.start(), event, context=RequestContext(source_address=source)
            )

        assert begin("ana", "192.0.2.1").state == "awaiting_mfa"
        assert begin("bob", "192.0.2.1").state == "awaiting_mfa"
        assert reason(begin("bob", "192.0.2.1")) == "too_many_codes"
        assert begin("bob", "192.0.2.2").state == "awaiting_mfa"
        assert len(w.sandbox.messages()) == 3

    def test_budget_is_restored_after_its_window(self, walk: Walker, clock: ManualClock) -> None:
        w = walk(user(**PHONE), sign_in={"clock": clock, "budget": CodeBudget(per_source=1)})
        event = SubmitPassword.model_validate({"username": "ana", "password": PASSWORD})

        def begin() -> Step:
            return w.sign_in.send(
                w.sign_in.start(), event, context=RequestContext(source_address="192.0.2.1")
            )

        assert begin().state == "awaiting_mfa"
        assert reason(begin()) == "too_many_codes"
        clock.advance(3601)
        assert begin().state == "awaiting_mfa"

    def test_wrong_password_charges_no_budget(self, walk: Walker) -> None:
        w = walk(user(**PHONE), sign_in={"budget": CodeBudget(per_user=1, per_source=1)})
        wrong = SubmitPassword.model_validate({"username": "ana", "password": "wrong"})
        for _ in range(3):
            w.sign_in.send(
                w.sign_in.start(), wrong, context=RequestContext(source_address="192.0.2.1")
            )
        w.send_password()
        w.send_code()
        w.assert_signed_in(codes=1)
