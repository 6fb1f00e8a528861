"""Counters count by message: every code that means the same is counted."""

from __future__ import annotations

import pytest
from tests.flows import IN_FLIGHT_FLOWS, NOW

from oncegate import CountingListener
from oncegate.adapters import OutcomeUnknown, Rejected, RejectionReason, Transition
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


@pytest.mark.parametrize("state", ["checking_answer", "setting_password"])
def test_last_attempt_is_counted_as_a_lockout(state: str) -> None:
    flow = IN_FLIGHT_FLOWS[state].model_copy(update={"attempts_left": 1})  # type: ignore[index]
    after = advance(flow, Rejected(reason=RejectionReason.WRONG_CODE), now=NOW)
    assert counted(flow, after)["lockouts"] == 1
