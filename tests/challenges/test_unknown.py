"""A challenge that this release does not know."""

from __future__ import annotations

from tests.challenges.helpers import step
from tests.doubles import a_text, code, password
from tests.flows import UNKNOWN, asks, walk

from oncegate import FlowState
from oncegate.adapters import UnknownChallenge


def test_unknown_challenge_ends_the_flow_and_is_named() -> None:
    for flow in (walk(password(), UNKNOWN), walk(password(), a_text(), code(), UNKNOWN)):
        assert flow.state is FlowState.FAILED
        assert (flow.message, flow.detail) == ("unknown_challenge", "MAGIC_LINK")


def test_step_sends_the_user_to_support_and_offers_nothing() -> None:
    shown = step(walk(password(), UNKNOWN))
    assert shown.message is not None
    assert (shown.message.code, shown.message.detail) == ("unknown_challenge", "MAGIC_LINK")
    assert "Contact support" in shown.message.text
    assert shown.actions == ()


def test_unknown_challenge_has_no_state_digits_or_answer() -> None:
    challenge = asks(UnknownChallenge, name="MAGIC_LINK").challenge
    assert (challenge.waits_in, challenge.takes_code) == (None, False)
