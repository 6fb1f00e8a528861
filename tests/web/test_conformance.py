"""The conformance suite of user interfaces, in each framework: over the pages, and over the JSON API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Program, Visit

from oncegate.adapters import Transport
from oncegate.testing import Interface, InterfaceConformance


class _InEachFramework(InterfaceConformance):
    @pytest.fixture(autouse=True)
    def _for(self, framework: str) -> Iterator[None]:
        with ExitStack() as self.clients:
            self.framework = framework
            yield

    def client(self, transport: Transport) -> httpx.Client:
        return self.clients.enter_context(client_of(self.framework, web_for(transport)))


class TestPages(_InEachFramework):
    def make(self, transport: Transport) -> Interface:
        return Visit(self.client(transport))


class TestApi(_InEachFramework):
    def make(self, transport: Transport) -> Interface:
        return Program(self.client(transport))
