"""Scripts for the explorer: everyday accidents of a signed-in user, with two or three workers."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyotp
from tests.account_world import FAY, GIL, LONG_AGO, PASSWORDS, CheckedAccountWorld
from tests.doubles import code
from tests.explorer.explorer import Script
from tests.world import Worker

from oncegate import RequestNewCode
from oncegate.account import (
    AccountEvent,
    AddAuthenticator,
    Cancel,
    ChangePassword,
    DeleteAccount,
    OfferFactor,
    SignOutEverywhere,
    SubmitAddress,
    SubmitCode,
)
from oncegate.adapters import AuthenticatorSetup

AccountScript = Script[CheckedAccountWorld]


class Click(NamedTuple):
    """What a user does in one of the script's flows.

    Attributes:
        event: the event. The code ``000000`` stands for the code that was sent or that the app shows.
        user: whose access token comes with it.
        tab: number of the flow; each has its own first step.
        before: events that its flow has processed already.
    """

    event: AccountEvent
    user: str = FAY
    tab: int = 0
    before: tuple[AccountEvent, ...] = ()


def clicks(
    *events: AccountEvent | Click, before: tuple[AccountEvent, ...] = (), later: int = 0
) -> AccountScript:
    """Return a script that sends each event to another worker, from the step after `before`.

    Args:
        events: one for each worker.
        before: events that the first flow has processed already.
        later: number of versions between the steps of consecutive events, as after a reload.
    """
    planned = [one if isinstance(one, Click) else Click(one, before=before) for one in events]

    def script(world: CheckedAccountWorld) -> list[Worker]:
        tabs: dict[int, str] = {}
        for one in planned:
            if one.tab not in tabs:
                flow_id = tabs[one.tab] = world.start()
                for event in one.before:
                    world.run(world.click(flow_id, _filled(event, world, flow_id)))
        shown = {flow_id: world.steps[flow_id].version for flow_id in tabs.values()}
        workers = []
        for number, one in enumerate(planned):
            flow_id = tabs[one.tab]
            event = _filled(one.event, world, flow_id)
            version = shown[flow_id] + number * later
            workers.append(world.click(flow_id, event, version, user=one.user))
        return workers

    return script


def revoked(*events: AccountEvent, before: tuple[AccountEvent, ...] = ()) -> AccountScript:
    """Return a script in which the user's tokens are revoked elsewhere meanwhile."""
    with_clicks = clicks(*events, before=before)

    def script(world: CheckedAccountWorld) -> list[Worker]:
        workers = with_clicks(world)
        request = {"AccessToken": world.token(FAY)}
        sign_out = world.outside(
            workers[0].flow_id, lambda: world.pool.perform("GlobalSignOut", request)
        )
        return [*workers, sign_out]

    return script


def _filled(event: AccountEvent, world: CheckedAccountWorld, flow_id: str) -> AccountEvent:
    if not (isinstance(event, SubmitCode) and event.code.get_secret_value() == "000000"):
        return event
    challenge = world.flow(flow_id).challenge
    if isinstance(challenge, AuthenticatorSetup):
        right = pyotp.TOTP(challenge.secret.get_secret_value()).at(int(world.clock.now()))
    else:
        right = world.pool.inbox.messages()[-1].code
    return event.model_copy(update={"code": code(right).code})


NEW = SubmitAddress(attribute="email", address="new@example.com")
OTHER = SubmitAddress(attribute="email", address="other@example.com")
APP, AGAIN, STOP = AddAuthenticator(), RequestNewCode(), Cancel()
RIGHT, WRONG, WRONG_TOO = code("000000"), code("111111"), code("222222")
PASSWORD = ChangePassword(password=PASSWORDS[FAY], new_password="Better-horse-6")
OUT, DELETE, OFFER = SignOutEverywhere(), DeleteAccount(), OfferFactor()
AT_ONCE: dict[str, Any] = {"new_code_cooldown": 0}
SECOND = {"kinds": ("second lost", "second throttled")}
"""Faults of the second request of a call that makes two."""

TWO: dict[str, tuple[AccountScript, dict[str, Any]]] = {
    "an address twice": (clicks(NEW, NEW), {}),
    "an address twice, once after a reload": (clicks(NEW, NEW, later=2), AT_ONCE),
    "two addresses": (clicks(NEW, OTHER), {}),
    "two addresses in two flows": (clicks(Click(NEW), Click(OTHER, tab=1)), {}),
    "a code again, twice": (clicks(AGAIN, AGAIN, before=(NEW,)), AT_ONCE),
    "a code again too soon": (clicks(AGAIN, RIGHT, before=(NEW,)), {}),
    "the code and a code again": (clicks(RIGHT, AGAIN, before=(NEW,)), AT_ONCE),
    "the code twice": (clicks(RIGHT, RIGHT, before=(NEW,)), {}),
    "a wrong code and the right one": (clicks(WRONG, RIGHT, before=(NEW,)), {}),
    "two wrong codes": (clicks(WRONG, WRONG_TOO, before=(NEW,)), {}),
    "the same wrong code twice, once after a reload": (
        clicks(WRONG, WRONG, before=(NEW,), later=2),
        {},
    ),
    "the code and a cancel": (clicks(RIGHT, STOP, before=(NEW,)), {}),
    "an offer twice": (clicks(OFFER, OFFER), {}),
    "an offer in two browsers": (clicks(Click(OFFER), Click(OFFER, tab=1)), {}),
    "an offer accepted and declined": (clicks(APP, STOP, before=(OFFER,)), {}),
    "an app twice": (clicks(APP, APP), {}),
    "the app's code twice": (clicks(RIGHT, RIGHT, before=(APP,)), SECOND),
    "the app's code and a new app in another tab": (
        clicks(Click(RIGHT, before=(APP,)), Click(APP, tab=1)),
        {},
    ),
    "a new password twice": (clicks(PASSWORD, PASSWORD), {}),
    "an address, and a sign-out everywhere": (clicks(NEW, OUT), {}),
    "an address, and a sign-out everywhere in another tab": (
        clicks(Click(NEW), Click(OUT, tab=1)),
        {},
    ),
    "the code, and a deletion in another tab": (
        clicks(Click(RIGHT, before=(NEW,)), Click(DELETE, tab=1)),
        {},
    ),
    "an address, revoked meanwhile": (revoked(NEW), {}),
    "the code, revoked meanwhile": (revoked(RIGHT, before=(NEW,)), {}),
    "the app's code, revoked meanwhile": (revoked(RIGHT, before=(APP,)), SECOND),
    "an address of each of two users": (clicks(Click(NEW), Click(OTHER, user=GIL)), {}),
    "the code, and another user's": (
        clicks(Click(RIGHT, before=(NEW,)), Click(RIGHT, user=GIL)),
        {},
    ),
    "an address long after the sign-in": (clicks(NEW, NEW), {"signed_in_ago": LONG_AGO}),
}

THREE: dict[str, tuple[AccountScript, dict[str, Any]]] = {
    "an address three times": (clicks(NEW, NEW, NEW), {}),
    "three addresses": (clicks(NEW, OTHER, Click(NEW, tab=1)), {}),
    "two codes and a code again": (clicks(WRONG, RIGHT, AGAIN, before=(NEW,)), AT_ONCE),
    "two codes, revoked meanwhile": (revoked(WRONG, RIGHT, before=(NEW,)), {}),
}
