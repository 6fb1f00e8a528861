"""The suite for user interfaces, on the plainest there is, and on ones that get something wrong."""

from __future__ import annotations

from typing import Any

import pytest

from oncegate import SignIn, Step, Tokens
from oncegate.adapters import Transport, parse_event
from oncegate.testing import Interface, InterfaceConformance
from oncegate_stores import MemoryStore


def in_one(fields: dict[str, str]) -> dict[str, Any]:
    """The fields of an event, with those that are named ``attributes.…`` in one."""
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
    """A program that signs in: no pages, only steps."""

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
        self.last = (self.step, parse_event({"type": event, **in_one(fields)}))
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
    """As most do: to show the page of the code again, it signs in again."""

    def open(self) -> str:
        if self.last:
            self.step = self.sign_in.send(self.sign_in.start(), self.last[1])
        return self.step.state


class ForgetsTheStep(Script):
    def _send(self, step: Step, event: Any) -> Step:
        is_over = self.step.state == "authenticated"
        return self.sign_in.send(self.sign_in.start() if is_over else step, event)


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (CallsOnReload, "test_reload_sends_nothing_and_shows_the_same_step"),
        (ForgetsTheStep, "test_double_click_on_the_last_step_signs_in_once"),
    ],
)
def test_the_suite_sees_what_is_wrong(kind: type[Script], test: str) -> None:
    suite = InterfaceConformance()
    suite.make = kind  # type: ignore[method-assign]
    with pytest.raises((AssertionError, IndexError)):
        getattr(suite, test)()
