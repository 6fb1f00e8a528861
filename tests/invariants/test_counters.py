"""Counters count by message: every code that means the same is counted."""

from __future__ import annotations

import logging

import pytest
from tests.flows import IN_FLIGHT_FLOWS, NOW

from oncegate import CountingListener, LogListener
from oncegate.adapters import TEXTS, OutcomeUnknown, Rejected, RejectionReason, Transition
from oncegate.machine.advance import advance
from oncegate.record import Flow


def counted(before: Flow, after: Flow) -> dict[str, int]:
    counters = CountingListener()
    counters(
        Transition(
            flow="f",
            source=before.state,
            target=after.state,
            cause="outcome",
            version=after.version,
            at=NOW,
            message=after.message,
            detail="",
        )
    )
    return counters.counts()


@pytest.mark.parametrize("state", IN_FLIGHT_FLOWS)
def test_unknown_outcome_is_counted_in_every_state(state: str) -> None:
    flow = IN_FLIGHT_FLOWS[state]  # type: ignore[index]
    assert counted(flow, advance(flow, OutcomeUnknown(), now=NOW))["outcomes_unknown"] == 1


UNKNOWN = sorted(
    code.removeprefix("message.") for code in TEXTS if code.endswith("outcome_unknown")
)
"""Codes of all messages that tell of a call whose outcome is unknown, also of the account."""


@pytest.mark.parametrize("message", UNKNOWN)
def test_every_unknown_outcome_is_counted_and_logged_for_operators(
    message: str, caplog: pytest.LogCaptureFixture
) -> None:
    transition = Transition("f", "managing", "managing", "outcome_unknown", 2, NOW, message, "")
    counters = CountingListener()
    counters(transition)
    assert counters.counts()["outcomes_unknown"] == 1
    with caplog.at_level(logging.WARNING, "oncegate"):
        LogListener()(transition)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("state", ["checking_answer", "setting_password"])
def test_last_attempt_is_counted_as_a_lockout(state: str) -> None:
    flow = IN_FLIGHT_FLOWS[state].model_copy(update={"attempts_left": 1})  # type: ignore[index]
    after = advance(flow, Rejected(reason=RejectionReason.WRONG_CODE), now=NOW)
    assert counted(flow, after)["lockouts"] == 1
