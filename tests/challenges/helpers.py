"""What the tests of the challenges share: parsing, forms, calls and messages."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from tests.flows import INPUTS, WAYS_IN, walk

from oncegate import Action, Event, InvalidInput
from oncegate.adapters import Call, Rejected, RejectionReason, parse_event
from oncegate.challenges import InMemory, call_for
from oncegate.record import Flow
from oncegate.step import Step, step_of

FLOW_ID = "A" * 32
SECRET = "hunter2-the-secret"

DEPEND_ON_CHALLENGE = (
    RejectionReason.WRONG_CREDENTIALS,
    RejectionReason.WRONG_CODE,
    RejectionReason.CODE_ALREADY_USED,
    RejectionReason.CODE_EXPIRED,
    RejectionReason.NEW_PASSWORD_REFUSED,
    RejectionReason.FACTOR_UNUSABLE,
)
"""The rejections whose message depends on the challenge that was answered."""


def refusal(event: str, **fields: object) -> str:
    """Return what the parser says of an invalid event. Fails if it repeats a value or has a cause."""
    with pytest.raises(InvalidInput) as error:
        parse_event({"type": event, **fields})
    assert error.value.__cause__ is None
    said = str(error.value)
    values = [str(value) for value in fields.values() if value and len(str(value)) > 3]
    assert not [value for value in values if value in said]
    return said


def step(flow: Flow, reason: str | None = None) -> Step:
    """Return the step of a flow."""
    return step_of(FLOW_ID, flow, reason=reason, ways_in=WAYS_IN)


def action(flow: Flow, event: str) -> Action:
    """Return the action of a flow that sends an event."""
    (found,) = (one for one in step(flow).actions if one.event == event)
    return found


def call_of(flow: Flow, event: Event, **memory: Any) -> Call:
    """Return the call that an in-flight flow makes."""
    assert flow.is_in_flight
    return call_for(flow, InMemory(event=event, **memory))


def messages(flow: Flow) -> dict[str, str | None]:
    """Return the message for each rejection of an in-flight flow that depends on the challenge.

    Rejections that this challenge does not have end the flow; they are left out.
    """
    after = {
        reason.value: walk(Rejected(reason=reason), flow=flow, inputs=INPUTS)
        for reason in DEPEND_ON_CHALLENGE
    }
    return {reason: end.message for reason, end in after.items() if end.message != "refused"}


def assert_hidden(secret: str, *models: BaseModel) -> None:
    """Fail if a model shows a secret in its repr, its text or its JSON."""
    for model in models:
        assert secret not in f"{model!r} {model} {model.model_dump_json()}", type(model).__name__
