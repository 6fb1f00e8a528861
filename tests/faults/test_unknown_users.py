"""P6: a sign-in of a user who exists and one of an unknown user look the same, and cost the same work.

Work stands for time. The driver is a generator of effects, so two sign-ins with the same effects, in
the same order and of the same size, take the same time apart from Cognito's own.
`tests/benchmarks/user_existence.py` measures it.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.doubles import code, password
from tests.world import NEW_PASSWORD, PASSWORDS, WRONG_PASSWORD, World

from oncegate import (
    Cancel,
    ConfirmAccount,
    Event,
    Factor,
    ForgotPassword,
    RequestNewCode,
    ResetPassword,
    SignUp,
    SubmitUsername,
)
from oncegate.driver.effects import CallTransport, Load, Swap
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
            changes = effect.changes if isinstance(effect, Swap) else ()
            keys = len(effect.keys) if isinstance(effect, Load) else None
            size = keys or [len(change.row.sealed) for change in changes]
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


RESET_WRONGLY = ResetPassword(code="000000", new_password=NEW_PASSWORD)


@pytest.mark.parametrize("auth_flow", ["USER_PASSWORD_AUTH", "USER_SRP_AUTH", "USER_AUTH"])
@pytest.mark.parametrize("known", [KNOWN, "gus"], ids=["confirmed", "unconfirmed"])
def test_forgotten_password_looks_and_costs_the_same_for_an_unknown_user(
    known: str, auth_flow: str
) -> None:
    forgot = ForgotPassword(username=KNOWN)
    events: list[Event] = [forgot, forgot, RESET_WRONGLY, RequestNewCode(), RESET_WRONGLY]
    assert trace(known, events, auth_flow) == trace(UNKNOWN, events, auth_flow)


@pytest.mark.parametrize("password_of", ["gus", None], ids=["right password", "wrong password"])
@pytest.mark.parametrize("auth_flow", ["USER_PASSWORD_AUTH"])
def test_unconfirmed_user_looks_and_costs_the_same_as_an_unknown_one(
    auth_flow: str, password_of: str | None
) -> None:
    first = password(PASSWORDS[password_of] if password_of else WRONG_PASSWORD)
    events: list[Event] = [
        first,
        ConfirmAccount(),
        code("000000"),
        RequestNewCode(),
        code("000001"),
    ]
    assert trace("gus", events, auth_flow) == trace(UNKNOWN, events, auth_flow)


@pytest.mark.parametrize("auth_flow", ["USER_PASSWORD_AUTH", "USER_AUTH"])
@pytest.mark.parametrize("taken", [KNOWN, "gus"], ids=["confirmed", "unconfirmed"])
def test_name_that_is_taken_looks_and_costs_the_same_as_a_new_one(
    taken: str, auth_flow: str
) -> None:
    join = SignUp(
        username=KNOWN, password=NEW_PASSWORD, attributes={"email": "someone@example.com"}
    )
    events: list[Event] = [join, join, code("000000"), RequestNewCode(), code("000001"), Cancel()]
    assert trace(taken, events, auth_flow) == trace(UNKNOWN, events, auth_flow)


def test_right_password_is_distinguished_from_a_wrong_one() -> None:
    """The comparison is sensitive."""
    right = trace(KNOWN, [password()], "USER_PASSWORD_AUTH")
    assert right != trace(KNOWN, [WRONG], "USER_PASSWORD_AUTH")
