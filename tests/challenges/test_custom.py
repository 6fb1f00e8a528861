"""Custom challenges: the pool's Lambda asks, and may send a code at any call."""

from __future__ import annotations

import pytest
from tests.challenges.helpers import SECRET, action, assert_hidden, call_of, messages, refusal, step
from tests.doubles import password
from tests.flows import INPUTS, KEY, asks, walk

from oncegate import FlowState, SubmitAnswer
from oncegate.adapters import CheckAnswer, CustomChallenge, parse_event

ASKED = asks(CustomChallenge, parameters={"question": "What is your first pet’s name?"})
FLOW = walk(password(), ASKED)
EVENT = SubmitAnswer(answer=SECRET)


def test_challenge_waits_in_awaiting_answer_and_shows_its_parameters() -> None:
    assert FLOW.state is FlowState.AWAITING_ANSWER
    assert step(FLOW).title == "One more question"
    assert step(FLOW).parameters == {"question": "What is your first pet’s name?"}


def test_answer_is_taken_as_it_is_typed() -> None:
    event = parse_event({"type": "submit_answer", "answer": " Rex-1 "})
    assert isinstance(event, SubmitAnswer)
    assert event.answered_with == (" Rex-1 ",)


@pytest.mark.parametrize("typed", ["", "x" * 2049, None, 12345, {"answer": "right"}])
def test_invalid_answer_is_named(typed: object) -> None:
    assert "submit_answer.answer: " in refusal("submit_answer", answer=typed)


def test_form_has_a_secret_answer() -> None:
    main = action(FLOW, "submit_answer")
    (field,) = main.fields
    assert (main.label, main.is_main) == ("Continue", True)
    assert (field.name, field.label, field.type) == ("answer", "Answer", "password")
    assert (field.secret, field.pattern) == (True, None)


def test_call_answers_the_challenge_and_can_send() -> None:
    flow = walk(password(), ASKED, EVENT, inputs=INPUTS)
    call = call_of(flow, EVENT)
    assert isinstance(call, CheckAnswer)
    assert (call.challenge, call.device_key) == (flow.challenge, KEY)
    assert call.answer.get_secret_value() == SECRET
    assert CheckAnswer.can_send
    assert_hidden(SECRET, EVENT, call)


def test_messages_speak_of_an_answer() -> None:
    assert messages(walk(EVENT, flow=FLOW)) == {
        "wrong_credentials": "answer_failed",
        "wrong_code": "wrong_answer",
        "code_already_used": "wrong_answer",
        "code_expired": "challenge_dead",
    }
    reason = step(FLOW, "already_tried").reason
    assert reason is not None
    assert reason.text == "You already tried that answer. Enter a different one."
