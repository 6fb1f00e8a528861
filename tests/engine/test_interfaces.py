"""The conformance suite for user interfaces: on the simplest one, and on faulty ones."""

from __future__ import annotations

from typing import Any

import pytest

from oncegate import SignIn, Step, Tokens
from oncegate.adapters import Transport, parse_event
from oncegate.testing import Interface, InterfaceConformance
from oncegate_stores import MemoryStore


def with_attributes(fields: dict[str, str]) -> dict[str, Any]:
    """Return the fields of an event, with those named ``attributes.…`` as one mapping."""
    attributes = {
        name.removeprefix("attributes."): value
        for name, value in fields.items()
        if name.startswith("attributes.")
    }
    others = {name: value for name, value in fields.items() if not name.startswith("attributes.")}
    return {**others, "attributes": attributes} if attributes else others


class Keeper:
    def create(self, tokens: Tokens) -> str:
        return "the session"


class Script:
    """The simplest user interface: it has no pages, only steps."""

    def __init__(self, transport: Transport) -> None:
        self.sign_in = SignIn(
            transport=transport, store=MemoryStore(), keeper=Keeper(), listeners=[]
        )
        self.step = self.sign_in.start()
        self.last: tuple[Step, Any] | None = None

    def open(self) -> str:
        self.step = self.sign_in.get(self.step.flow_id)
        return self.step.state

    def say(self, event: str, **fields: str) -> str:
        self.last = (self.step, parse_event({"type": event, **with_attributes(fields)}))
        return self.say_again()

    def say_again(self) -> str:
        assert self.last is not None
        self.step = self._send(*self.last)
        return self.step.state

    def _send(self, step: Step, event: Any) -> Step:
        return self.sign_in.send(step, event)

    def shown(self) -> str:
        return self.step.model_dump_json()


class TestScript(InterfaceConformance):
    def make(self, transport: Transport) -> Interface:
        return Script(transport)


class CallsOnReload(Script):
    """A user interface that signs in again to show the page for the code again, as many do."""

    def open(self) -> str:
        if self.last:
            self.step = self.sign_in.send(self.sign_in.start(), self.last[1])
        return self.step.state


class ForgetsTheStep(Script):
    """A user interface that starts a new flow for a double click on the last page."""

    def _send(self, step: Step, event: Any) -> Step:
        is_signed_in = self.step.state == "authenticated"
        return self.sign_in.send(self.sign_in.start() if is_signed_in else step, event)


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (CallsOnReload, "test_reload_sends_nothing_and_shows_the_same_step"),
        (ForgetsTheStep, "test_double_click_on_the_last_step_signs_in_once"),
    ],
)
def test_faulty_interface_fails_the_suite(kind: type[Script], test: str) -> None:
    suite = InterfaceConformance()
    suite.make = kind  # type: ignore[method-assign]
    with pytest.raises((AssertionError, IndexError)):
        getattr(suite, test)()
