"""Giving up: the one event that answers no challenge."""

from __future__ import annotations

import pytest
from tests.challenges.helpers import action, refusal, step
from tests.flows import AT_REST, walk

from oncegate import Cancel, FlowState
from oncegate.adapters import parse_event

STATES = [state for state in AT_REST if state is not FlowState.OFFERING_DEVICE]


def test_event_has_no_fields() -> None:
    assert parse_event('{"type": "cancel"}') == Cancel()
    assert "cancel.because: " in refusal("cancel", because="of the weather")


def test_event_answers_nothing_and_brings_no_first_factor() -> None:
    assert (Cancel().answered_with, Cancel().first_factor) == ((), None)


@pytest.mark.parametrize("state", STATES)
def test_action_comes_last_and_has_no_fields(state: FlowState) -> None:
    assert step(AT_REST[state]).events[-1] == "cancel"
    shown = action(AT_REST[state], "cancel")
    assert (shown.label, shown.fields, shown.is_main) == ("Back to sign in", (), False)


@pytest.mark.parametrize("state", STATES)
def test_cancel_ends_the_flow(state: FlowState) -> None:
    shown = step(walk(Cancel(), flow=AT_REST[state]))
    assert (shown.state, shown.title, shown.actions) == ("failed", "Sign-in cancelled", ())
    assert shown.message is not None
    assert shown.message.text == "You cancelled the sign-in."
