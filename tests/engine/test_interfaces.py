"""The suite for user interfaces, on the plainest there is, and on ones that get something wrong."""

from __future__ import annotations

from typing import Any

import pytest

from oncegate import StepRef
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
    def keep(self, tokens: Tokens) -> str:
        return "the session"


class Script:
    """A program that signs in: no pages, only steps."""

    def __init__(self, transport: Transport) -> None:
        self.sign_in = SignIn(
            transport=transport, store=MemoryStore(), keeper=Keeper(), listeners=[]
        )
        self.flow_id = self.sign_in.start().flow_id
        self.last: tuple[Any, int] | None = None
        self.step = self.sign_in.get(self.flow_id)

    def open(self) -> str:
        self.step = self.sign_in.get(self.flow_id)
        return self.step.state

    def say(self, event: str, **fields: str) -> str:
        self.last = (parse_event({"type": event, **in_one(fields)}), self.step.version)
        return self.say_again()

    def say_again(self) -> str:
        assert self.last is not None
        self.step = self._send(*self.last)
        return self.step.state

    def _send(self, event: Any, version: int) -> Step:
        return self.sign_in.send(StepRef(self.flow_id, version), event)

    def shown(self) -> str:
        return self.step.model_dump_json()


class TestScript(InterfaceConformance):
    def make(self, transport: Transport) -> Interface:
        return Script(transport)


class CallsOnReload(Script):
    """As most do: to show the page of the code again, it signs in again."""

    def open(self) -> str:
        if self.last:
            self.flow_id = self.sign_in.start().flow_id
            self.step = self.sign_in.send(self, self.last[0])
        return self.step.state


class ForgetsTheVersion(Script):
    def _send(self, event: Any, version: int) -> Step:
        if self.step.state == "authenticated":
            self.flow_id = self.sign_in.start().flow_id
        return self.sign_in.send(self, event)


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (CallsOnReload, "test_a_reload_sends_nothing_and_finds_the_place"),
        (ForgetsTheVersion, "test_a_double_click_on_the_last_step_is_signed_in_all_the_same"),
    ],
)
def test_the_suite_sees_what_is_wrong(kind: type[Script], test: str) -> None:
    suite = InterfaceConformance()
    suite.make = kind  # type: ignore[method-assign]
    with pytest.raises((AssertionError, IndexError)):
        getattr(suite, test)()
