"""Processes that change an account are killed with SIGKILL before each effect, and during the call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pyotp
import pytest
from tests.faults.worker import Process

from oncegate_sandbox import Sandbox

USER = "fay"
PASSWORD = "Correct-horse-6"
TOTAL = "VerifyUserAttribute"


class Flow(NamedTuple):
    """A flow before the event whose worker is killed.

    Attributes:
        order: the event, as a worker takes it.
        sends: number of codes that are sent until it is done.
    """

    order: dict[str, Any]
    sends: int


class Club:
    """Workers on one store, and a signed-in user.

    Args:
        sandbox: the pool.
        url: the store's.
    """

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self.sandbox, self._url = sandbox, url
        self._made: list[Process] = []
        self.survivor = self.process()

    def process(self) -> Process:
        made = Process(self.sandbox, self._url, patience=0.02)
        self._made.append(made)
        return made

    def close(self) -> None:
        for one in self._made:
            one.close()

    def sent(self) -> list[str]:
        return [
            one.code for one in self.sandbox.messages() if one.purpose.startswith("VERIFY_")
        ]


def _token(sandbox: Sandbox, name: str) -> str:
    answer = sandbox.pool.perform(
        "InitiateAuth",
        {
            "AuthFlow": "USER_PASSWORD_AUTH",
            "ClientId": sandbox.client_id,
            "AuthParameters": {"USERNAME": name, "PASSWORD": PASSWORD},
        },
    )
    token: str = answer["AuthenticationResult"]["AccessToken"]
    return token
