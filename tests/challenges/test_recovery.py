"""What confirming a sign-up and resetting a password share: a code that is sent on request."""

from __future__ import annotations

import pytest
from tests.challenges.helpers import action, call_of, messages, refusal, step
from tests.doubles import a_text, password
from tests.flows import AT_REST, walk

from oncegate import FlowState, RequestNewCode
from oncegate.adapters import (
    ChallengeIssued,
    Delivery,
    RecoveryChallenge,
    Rejected,
    RejectionReason,
    SendCode,
    parse_event,
)
from oncegate.record import Flow

STATES = (FlowState.AWAITING_CONFIRMATION, FlowState.AWAITING_RESET)
FLOWS = [pytest.param(AT_REST[state], id=state.value) for state in STATES]
SENT = Delivery(medium="EMAIL", destination="a***@e***")


def test_event_has_no_fields() -> None:
    assert parse_event({"type": "request_new_code"}) == RequestNewCode()
    assert "request_new_code.phone: " in refusal("request_new_code", phone="+15550001234")


@pytest.mark.parametrize("flow", FLOWS)
def test_challenge_has_no_session_and_its_code_6_digits(flow: Flow) -> None:
    challenge = flow.challenge
    assert isinstance(challenge, RecoveryChallenge)
    assert challenge.session.get_secret_value() == ""
    assert (challenge.takes_code, challenge.valid_for) == (True, 3600)


@pytest.mark.parametrize("valid_for", [0, 86401])
def test_challenge_is_valid_for_a_day_at_most(valid_for: float) -> None:
    with pytest.raises(ValueError, match="valid_for"):
        RecoveryChallenge(username="u", valid_for=valid_for)


@pytest.mark.parametrize("flow", FLOWS)
def test_label_says_new_after_a_code_was_sent(flow: Flow) -> None:
    assert flow.challenge is not None
    unsent = flow.model_copy(
        update={"challenge": flow.challenge.model_copy(update={"delivery": None})}
    )
    sent = flow.model_copy(
        update={"challenge": flow.challenge.model_copy(update={"delivery": SENT})}
    )
    assert action(unsent, "request_new_code").label == "Send code"
    assert action(sent, "request_new_code").label == "Send a new code"
    assert action(sent, "request_new_code").fields == ()


def test_label_says_new_for_a_second_factor() -> None:
    flow = walk(password(), a_text())
    assert action(flow, "request_new_code").label == "Send a new code"


@pytest.mark.parametrize("flow", FLOWS)
def test_call_sends_a_code_for_the_challenge(flow: Flow) -> None:
    requesting = walk(RequestNewCode(), flow=flow)
    assert requesting.state is FlowState.REQUESTING_CHALLENGE
    assert call_of(requesting, RequestNewCode()) == SendCode(challenge=requesting.challenge)
    assert SendCode.can_send


@pytest.mark.parametrize("flow", FLOWS)
def test_rejected_request_stays_in_the_recovery(flow: Flow) -> None:
    requesting = walk(RequestNewCode(), flow=flow)
    found = messages(requesting)
    assert found["code_expired"] == "recovery_unavailable"
    assert step(requesting).actions == ()


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize(
    "reason",
    [
        "wrong_credentials",
        "factor_unusable",
        "administrator_must_act",
        "sign_up_not_confirmed",
        "password_reset_required",
    ],
)
def test_request_for_a_user_who_gets_no_code_looks_like_one_for_a_user_who_does(
    flow: Flow, reason: str
) -> None:
    requesting = walk(RequestNewCode(), flow=flow)
    assert requesting.challenge is not None
    sent = requesting.challenge.model_copy(update={"delivery": SENT})
    known = walk(ChallengeIssued(challenge=sent), flow=requesting)
    unknown = walk(Rejected(reason=RejectionReason(reason)), flow=requesting)
    assert step(unknown) == step(known)
    assert unknown.new_code_at == known.new_code_at
