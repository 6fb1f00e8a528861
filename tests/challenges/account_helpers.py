"""A signed-in user for the tests of what changes an account."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from tests.flows import walk

from oncegate.account import AccountEvent, AccountState
from oncegate.adapters import Call, Outcome
from oncegate.challenges import InMemory, SignedIn, call_for
from oncegate.machine.context import GuardInputs
from oncegate.record import Flow

TOKEN = SecretStr("eyJhbGciOi.access-token")
USER = SignedIn(
    access_token=TOKEN, username="ana-own", sub="sub-1", signed_in_at=0.0, is_recent=True
)
MANAGING = Flow(state=AccountState.MANAGING, owner="sub-1", own_name="ana-own")


def changes(*triggers: AccountEvent | Outcome, flow: Flow = MANAGING) -> Flow:
    """Return a flow after triggers of its own user, who has just signed in."""
    last = next((one for one in reversed(triggers) if hasattr(one, "can_be_repeated")), None)
    inputs = GuardInputs(
        owner="sub-1",
        sign_in_is_recent=True,
        offer_is_due=True,
        answer_event=last.type if last else "",
    )
    return walk(*triggers, flow=flow, inputs=inputs)


def account_call(flow: Flow, event: AccountEvent, **memory: Any) -> Call:
    """Return the call that an in-flight flow makes for its user."""
    assert flow.is_in_flight
    return call_for(flow, InMemory(event=event, signed_in=USER, **memory))
