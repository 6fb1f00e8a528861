"""P6: what a stranger can tell of a user who exists and of one who does not, in words and in work.

Time is work: the driver is a generator of what it wants done, so two sign-ins that want the same things
in the same order, of the same size, take the same time but for what Cognito itself takes.
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

KNOWN, NOBODY = "ana", "eva"  # as long as each other, for the size of the record


def _seen_of(who: str, events: list[Event], auth_flow: str, **more: Any) -> list[str]:
    """All that the driver wants done for somebody, and every step that it shows, without the name."""
    world = World(MemoryStore(), auth_flow=auth_flow, **more)
    flow_id = world.start()
    seen: list[object] = []
    for event in events:
        named = event.model_copy(update={"username": who}) if hasattr(event, "username") else event
        worker = world.click(flow_id, named)
        while worker.step is None:
            want = worker.want
            requests = len(world.client.requests)
            world.do_one_thing(worker)
            size = len(want.row.sealed) if isinstance(want, Swap) else None
            made = [operation for operation, _ in world.client.requests[requests:]]
            call = (
                type(worker.want.call).__name__ if isinstance(worker.want, CallTransport) else None
            )
            seen.append((type(want).__name__, size, call, made))
        seen.append(worker.step.model_dump(exclude={"flow_id"}) | {"fields": None})
        seen.append([field.name for field in worker.step.fields])
        world.clock.advance(31)
    return [repr(one).replace(who, "somebody") for one in seen]


WRONG = password(WRONG_PASSWORD)
CASES: list[tuple[str, list[Event], dict[str, Any]]] = [
    ("USER_PASSWORD_AUTH", [WRONG, WRONG], {}),
    ("USER_SRP_AUTH", [WRONG, WRONG], {}),
    ("USER_PASSWORD_AUTH", [WRONG, WRONG], {"with_devices": True}),
    ("USER_SRP_AUTH", [WRONG], {"retain_password": True}),
    ("CUSTOM_AUTH", [WRONG], {}),
]


@pytest.mark.parametrize(("auth_flow", "events", "more"), CASES)
def test_a_wrong_password_looks_and_costs_the_same(
    auth_flow: str, events: list[Event], more: dict[str, Any]
) -> None:
    assert _seen_of(KNOWN, events, auth_flow, **more) == _seen_of(NOBODY, events, auth_flow, **more)


def test_a_username_alone_does_too() -> None:
    """With a code as the first factor, a user who does not exist is asked for one just the same."""
    events: list[Event] = [
        SubmitUsername(username=KNOWN, preferred=Factor.PASSWORD),
        password(WRONG_PASSWORD).model_copy(update={"username": ""}),
    ]
    known, nobody = (_seen_of(who, events, "USER_AUTH") for who in (KNOWN, NOBODY))
    assert known == nobody


def test_the_search_sees_a_difference() -> None:
    """The comparison is worth something: a right password is told from a wrong one."""
    right = _seen_of(KNOWN, [password()], "USER_PASSWORD_AUTH")
    assert right != _seen_of(KNOWN, [WRONG], "USER_PASSWORD_AUTH")
