"""P6: a sign-in of a user who exists and one of an unknown user look the same, and cost the same work.

Work stands for time. The driver is a generator of effects, so two sign-ins with the same effects, in
the same order and of the same size, take the same time apart from Cognito's own.
`tests/benchmarks/user_existence.py` measures it.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.doubles import password
from tests.world import WRONG_PASSWORD, World

from oncegate import Event, Factor, SubmitUsername
from oncegate.driver.effects import CallTransport, Swap
from oncegate_stores import MemoryStore

KNOWN, UNKNOWN = "ana", "eva"  # of equal length, so that the records have equal sizes


def trace(username: str, events: list[Event], auth_flow: str, **more: Any) -> list[str]:
    """Return all effects of a user's sign-in and every step that it shows, without the name."""
    world = World(MemoryStore(), auth_flow=auth_flow, **more)
    flow_id = world.start()
    seen: list[object] = []
    for event in events:
        is_named = hasattr(event, "username")
        named = event.model_copy(update={"username": username}) if is_named else event
        worker = world.click(flow_id, named)
        while worker.step is None:
            effect = worker.effect
            requests = len(world.client.requests)
            world.do_one_thing(worker)
            size = len(effect.row.sealed) if isinstance(effect, Swap) else None
            made = [operation for operation, _ in world.client.requests[requests:]]
            following = worker.effect
            call = type(following.call).__name__ if isinstance(following, CallTransport) else None
            seen.append((type(effect).__name__, size, call, made))
        seen.append(worker.step.model_dump(exclude={"flow_id"}))
        world.clock.advance(31)
    return [repr(one).replace(username, "user") for one in seen]


WRONG = password(WRONG_PASSWORD)
CASES: list[tuple[str, list[Event], dict[str, Any]]] = [
    ("USER_PASSWORD_AUTH", [WRONG, WRONG], {}),
    ("USER_SRP_AUTH", [WRONG, WRONG], {}),
    ("USER_PASSWORD_AUTH", [WRONG, WRONG], {"with_devices": True}),
    ("USER_SRP_AUTH", [WRONG], {"retain_password": True}),
    ("CUSTOM_AUTH", [WRONG], {}),
]


@pytest.mark.parametrize(("auth_flow", "events", "more"), CASES)
def test_wrong_password_looks_and_costs_the_same_for_an_unknown_user(
    auth_flow: str, events: list[Event], more: dict[str, Any]
) -> None:
    assert trace(KNOWN, events, auth_flow, **more) == trace(UNKNOWN, events, auth_flow, **more)


def test_username_alone_looks_and_costs_the_same_for_an_unknown_user() -> None:
    """Cognito asks an unknown user for a random selection of what the pool has: here, for all of it."""
    events: list[Event] = [
        SubmitUsername(username=KNOWN, preferred=Factor.PASSWORD),
        password(WRONG_PASSWORD).model_copy(update={"username": ""}),
    ]
    known, unknown = (
        trace(username, events, "USER_AUTH", first_factors=()) for username in (KNOWN, UNKNOWN)
    )
    assert known == unknown


def test_right_password_is_distinguished_from_a_wrong_one() -> None:
    """The comparison is sensitive."""
    right = trace(KNOWN, [password()], "USER_PASSWORD_AUTH")
    assert right != trace(KNOWN, [WRONG], "USER_PASSWORD_AUTH")
