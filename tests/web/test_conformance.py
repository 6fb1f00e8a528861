"""The suite for user interfaces over each framework: the pages, and the JSON API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from tests.engine.test_interfaces import in_one
from tests.web.pages import Visit
from tests.web.shops import visitor, web_for

from oncegate.adapters import Transport
from oncegate.testing import Interface, InterfaceConformance


class Program:
    """A page with JavaScript of its own, on the JSON API."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.step: dict[str, Any] = {}
        self.last: tuple[str, dict[str, Any]] | None = None

    def open(self) -> str:
        response = self.client.get("/auth/flows/current")
        if response.status_code == 404:
            response = self.client.post("/auth/flows")
            assert response.status_code == 201
        return self._shown(response)

    def say(self, event: str, **fields: str) -> str:
        body = {"type": event, "version": self.step["version"], **in_one(fields)}
        self.last = f"/auth/flows/{self.step['flow_id']}/events", body
        return self.say_again()

    def say_again(self) -> str:
        assert self.last is not None
        return self._shown(self.client.post(self.last[0], json=self.last[1]))

    def shown(self) -> str:
        return str(self.step)

    def _shown(self, response: httpx.Response) -> str:
        assert response.is_success, response.text
        self.step = response.json()
        state: str = self.step["state"]
        return state


class _OnEach(InterfaceConformance):
    @pytest.fixture(autouse=True)
    def _for(self, framework: str) -> Iterator[None]:
        with ExitStack() as self.browsers:
            self.framework = framework
            yield

    def client(self, transport: Transport) -> httpx.Client:
        return self.browsers.enter_context(visitor(self.framework, web_for(transport)))


class TestPages(_OnEach):
    def make(self, transport: Transport) -> Interface:
        return Visit(self.client(transport))


class TestApi(_OnEach):
    def make(self, transport: Transport) -> Interface:
        return Program(self.client(transport))
