"""A new code is a new challenge: asked for, not too soon, not too often, and the old one is dead."""

from __future__ import annotations

import pytest
from tests.doubles import ManualClock
from tests.walks.walker import EVERY, PASSWORD, PHONE, Walk, Walker, user

from oncegate import RequestContext
from oncegate import (
    ChooseFactor,
    CodeBudget,
    Factor,
    RequestNewCode,
    Step,
    SubmitCode,
    SubmitPassword,
)


def reason(step: Step) -> str | None:
    return step.reason.code if step.reason else None


def ask(w: Walk) -> Step:
    step = w.sign_in.send(w.step, RequestNewCode())
    w.step = step.model_copy(update={"reason": None})
    return step


class TestTheDefault:
    def test_the_password_once_more(self, walk: Walker, clock: ManualClock) -> None:
        w = walk(user(**PHONE), sign_in={"clock": clock})
        step = w.password()
        assert step.new_code_at is not None
        assert step.new_code_at.timestamp() == clock.time + 30
        assert step.new_codes_left == 5
        old = w.newest_code()
        assert reason(ask(w)) == "too_soon"
        clock.advance(30)
        step = ask(w)
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "password_for_new_code")
        assert step.fields[0].value == "ana"
        assert len(w.sandbox.messages()) == 1
        late = w.sign_in.send(step, SubmitCode.model_validate({"code": old}))
        assert reason(late) is not None, "the old one can no longer be answered"
        w.does(SubmitPassword.model_validate({"password": PASSWORD}))
        w.code()
        w.is_signed_in(texts=2)

    def test_a_double_click_asks_once(self, walk: Walker, clock: ManualClock) -> None:
        w = walk(user(**PHONE), sign_in={"clock": clock, "retain_password": True})
        step = w.password()
        clock.advance(30)
        for _ in range(3):
            w.sign_in.send(step, RequestNewCode())
        assert len(w.sandbox.messages()) == 2


class TestWithThePasswordKept:
    def test_one_click(self, walk: Walker, clock: ManualClock) -> None:
        w = walk(user(**PHONE), sign_in={"clock": clock, "retain_password": True})
        first = w.password()
        clock.advance(30)
        step = ask(w)
        assert (step.state, step.new_codes_left) == ("awaiting_mfa", 4)
        assert step.challenge_id != first.challenge_id
        assert len(w.sandbox.messages()) == 2
        w.code()
        w.is_signed_in(texts=2)

    def test_the_factor_chosen_before_is_chosen_again(
        self, walk: Walker, clock: ManualClock
    ) -> None:
        w = walk(user(**EVERY), sign_in={"clock": clock, "retain_password": True})
        w.password()
        w.does(ChooseFactor(factor=Factor.EMAIL))
        clock.advance(30)
        step = ask(w)
        assert (step.state, step.challenge) == ("awaiting_mfa", "EMAIL_OTP")
        w.code()
        w.is_signed_in(texts=2)

    def test_it_is_kept_no_longer_than_the_challenge(
        self, walk: Walker, clock: ManualClock
    ) -> None:
        from oncegate.adapters import FlowId

        w = walk(user(**PHONE), sign_in={"clock": clock, "retain_password": True})
        flow_id = FlowId.parse(w.password().flow_id)

        def kept() -> bool:
            row = w.sign_in._store.load(flow_id.key)
            assert row is not None
            assert PASSWORD.encode() not in row.sealed
            return flow_id.unseal(row.sealed, row.version).retained_password is not None

        assert kept()
        clock.advance(180)
        w.sign_in.get(flow_id.text)
        assert not kept()

    def test_a_flow_has_so_many_and_no_more(self, walk: Walker) -> None:
        w = walk(
            user(**PHONE),
            sign_in={"retain_password": True, "new_code_cooldown": 0, "new_codes_per_flow": 2},
        )
        w.password()
        assert [ask(w).new_codes_left for _ in range(2)] == [1, None]
        assert "request_new_code" not in w.step.events
        assert reason(ask(w)) == "no_more_codes"
        assert len(w.sandbox.messages()) == 3
        w.code()
        w.is_signed_in(texts=3)

    @pytest.mark.parametrize("fault", ["drop_response", "throttle"])
    def test_a_response_lost_on_the_way(self, walk: Walker, fault: str) -> None:
        from oncegate_sandbox import Fault

        w = walk(user(**PHONE), sign_in={"retain_password": True, "new_code_cooldown": 0})
        w.password()
        operation = "InitiateAuth" if fault == "throttle" else "RespondToAuthChallenge"
        w.sandbox.order(Fault.model_validate({"operation": operation, "kind": fault, "times": 2}))
        assert ask(w).state == "idle"
        assert len(w.sandbox.messages()) == (1 if fault == "throttle" else 2)


class TestTheBudget:
    def test_of_a_user_over_all_flows(self, walk: Walker) -> None:
        more = {
            "retain_password": True,
            "new_code_cooldown": 0,
            "budget": CodeBudget(per_user=3),
        }
        w = walk(user(**PHONE), sign_in=more)
        w.password()
        ask(w)
        w.begins_again()
        w.password()
        assert len(w.sandbox.messages()) == 3
        assert reason(ask(w)) == "too_many_codes"
        assert len(w.sandbox.messages()) == 3
        w.code()
        w.is_signed_in(texts=3)

    def test_of_a_source_over_all_flows_and_users(self, walk: Walker) -> None:
        bob = {**PHONE, "username": "bob", "phone_number": "+15550009999"}
        w = walk(user(**PHONE), user(**bob), sign_in={"budget": CodeBudget(per_source=2)})

        def begin(name: str, source: str) -> Step:
            event = SubmitPassword.model_validate({"username": name, "password": PASSWORD})
            return w.sign_in.send(w.sign_in.start(), event, context=RequestContext(source_address=source))

        assert begin("ana", "192.0.2.1").state == "awaiting_mfa"
        assert begin("bob", "192.0.2.1").state == "awaiting_mfa"
        assert reason(begin("bob", "192.0.2.1")) == "too_many_codes"
        assert begin("bob", "192.0.2.2").state == "awaiting_mfa"
        assert len(w.sandbox.messages()) == 3

    def test_it_is_there_again_after_an_hour(self, walk: Walker, clock: ManualClock) -> None:
        w = walk(user(**PHONE), sign_in={"clock": clock, "budget": CodeBudget(per_source=1)})
        event = SubmitPassword.model_validate({"username": "ana", "password": PASSWORD})

        def begin() -> Step:
            return w.sign_in.send(w.sign_in.start(), event, context=RequestContext(source_address="192.0.2.1"))

        assert begin().state == "awaiting_mfa"
        assert reason(begin()) == "too_many_codes"
        clock.advance(3601)
        assert begin().state == "awaiting_mfa"

    def test_a_wrong_password_costs_nobody_anything(self, walk: Walker) -> None:
        w = walk(user(**PHONE), sign_in={"budget": CodeBudget(per_user=1, per_source=1)})
        wrong = SubmitPassword.model_validate({"username": "ana", "password": "wrong"})
        for _ in range(3):
            w.sign_in.send(w.sign_in.start(), wrong, context=RequestContext(source_address="192.0.2.1"))
        w.password()
        w.code()
        w.is_signed_in(texts=1)
