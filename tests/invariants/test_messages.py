"""A message is true in every state that can show it: all pairs of a call in flight and its outcome.

The claims that a text makes are read from its words. Each claim is a condition on the flow before and
after, so a new text is held to the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from tests.doubles import a_text, code, password
from tests.flows import FLOWS, INPUTS, KEY, NOW, POLICY, TRIGGERS, WAYS_IN, asks, walk

from oncegate import FlowState, Step, SubmitAnswer, SubmitPasskey
from oncegate.adapters import (
    TEXTS,
    CustomChallenge,
    NotSent,
    Outcome,
    OutcomeUnknown,
    PasskeyChallenge,
    Rejected,
    RejectionReason,
)
from oncegate.machine.advance import NotAllowed, advance
from oncegate.machine.context import TIME_PASSED
from oncegate.record import Flow
from oncegate.states import FINAL
from oncegate.step import step_of

IN_FLIGHT = {
    **{name: flow for name, flow in FLOWS.items() if flow.is_in_flight},
    "answering": walk(SubmitAnswer(answer="42"), flow=walk(password(), asks(CustomChallenge))),
    "signing": walk(
        SubmitPasskey(credential={}), flow=walk(password(), asks(PasskeyChallenge, options="{}"))
    ),
    "entering a code from an app": walk(
        code(), flow=walk(password(), a_text(kind="SOFTWARE_TOKEN_MFA", delivery=None))
    ),
    "with a device": FLOWS["checking_password"].model_copy(update={"device_key": KEY}),
    "at the last answer": walk(
        SubmitAnswer(answer="42"), flow=walk(password(), asks(CustomChallenge))
    ).model_copy(update={"attempts_left": 1}),
    "at the last code": FLOWS["checking_answer"].model_copy(update={"attempts_left": 1}),
}
OUTCOMES: dict[str, Outcome] = {
    **{reason.value: Rejected(reason=reason) for reason in RejectionReason},
    **{cause: NotSent(cause=cause) for cause in ("unreachable", "throttled", "stalled")},
    "unknown": OutcomeUnknown(),
}


class Shown(NamedTuple):
    """A message, with the flow before the outcome and the step that shows it."""

    where: str
    before: Flow
    step: Step
    text: str


def shown() -> Iterator[Shown]:
    for name, flow in IN_FLIGHT.items():
        for trigger_name, trigger in {**OUTCOMES, "time": TIME_PASSED}.items():
            now = NOW + 1e6 if trigger is TIME_PASSED else NOW
            after = advance(flow, trigger, now=now, inputs=INPUTS)
            step = step_of("A" * 32, after, ways_in=WAYS_IN)
            if step.message and not after.is_in_flight:
                yield Shown(f"{name}, {trigger_name}", flow, step, step.message.text)


def takes_a_code(flow: Flow) -> bool:
    return flow.challenge is not None and flow.challenge.takes_code


def may_have_sent(it: Shown) -> bool:
    is_request = it.before.state in {FlowState.CHECKING_PASSWORD, FlowState.REQUESTING_CHALLENGE}
    kind = it.before.challenge.kind if it.before.challenge else ""
    return is_request or kind in {"CUSTOM_CHALLENGE", "NEW_PASSWORD_REQUIRED", "SIGN_UP"}


CLAIMS: dict[str, Callable[[Shown], bool]] = {
    r"[Tt]hat code": lambda it: takes_a_code(it.before),
    r"[Tt]hat answer|incorrect answers": lambda it: (
        it.step.challenge == "CUSTOM_CHALLENGE" or isinstance(it.before.challenge, CustomChallenge)
    ),
    r"incorrect codes": lambda it: takes_a_code(it.before),
    r"If a code arrives": may_have_sent,
    r"[Ss]ign in again": lambda it: it.step.state in {FlowState.IDLE, *FINAL},
    r"[Rr]equest a new one": lambda it: "request_new_code" in it.step.events,
    r"Incorrect username or password": lambda it: it.before.state is FlowState.CHECKING_PASSWORD,
    r"Choose another": lambda it: "choose_factor" in it.step.events,
    r"stronger password": lambda it: bool(
        {"submit_new_password", "reset_password", "sign_up"} & set(it.step.events)
    ),
    r"(Check it and t|\. T)ry again\.": lambda it: it.step.state not in FINAL,
    r"recognise this device": lambda it: it.before.state is FlowState.CHECKING_DEVICE,
    r"We’ll send you a code": lambda it: "request_new_code" in it.step.events,
    r"Wait for your app": lambda it: it.step.challenge in {"SOFTWARE_TOKEN_MFA", "TOTP_SETUP"},
    r"Nothing was sent": lambda it: (
        it.step.message is not None
        and it.step.message.code in {"unreachable", "throttled", "stalled"}
    ),
}
SHOWN = list(shown())


@pytest.mark.parametrize("it", SHOWN, ids=lambda it: it.where)
def test_every_claim_of_the_message_is_true(it: Shown) -> None:
    for pattern, is_true in CLAIMS.items():
        if re.search(pattern, it.text):
            assert is_true(it), f"{it.where}: “{it.text}” in {it.step.state}"


def test_all_pairs_are_there() -> None:
    assert set(IN_FLIGHT) == {it.where.partition(", ")[0] for it in SHOWN} | {
        "registering_device",
        "remembering_device",
    }
    assert {it.where.partition(", ")[2] for it in SHOWN} == {*OUTCOMES, "time"}


def test_every_claim_is_made_by_some_text() -> None:
    for pattern in CLAIMS:
        assert any(re.search(pattern, text) for text in TEXTS.values()), pattern


def test_reason_of_a_suppressed_event_is_true_where_it_is_shown() -> None:
    """What is told of an event that changed nothing speaks of the event's own kind of answer."""
    for flow in FLOWS.values():
        attempted = flow.model_copy(update={"attempted_digests": ("d",), "new_codes_left": 0})
        for trigger in TRIGGERS.values():
            try:
                advance(attempted, trigger, now=NOW, digest="d", policy=POLICY, inputs=INPUTS)
            except NotAllowed as no:
                step = step_of("A" * 32, attempted, reason=no.reason, ways_in=WAYS_IN)
            except AssertionError:
                continue
            else:
                continue
            assert step.reason is not None
            if "that code" in step.reason.text:
                assert takes_a_code(attempted), f"{flow.state}: {step.reason.text}"
            if "that answer" in step.reason.text:
                assert isinstance(attempted.challenge, (CustomChallenge, PasskeyChallenge))
