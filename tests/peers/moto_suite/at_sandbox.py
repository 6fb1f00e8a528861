"""pytest plugin for moto's own tests: "AWS" is the sandbox, IAM is moto's, and waiting takes no time.

`test_moto_verified.py` starts pytest with this plugin, in the folder of moto's tests and with
`MOTO_TEST_ALLOW_AWS_REQUEST`, by which moto's decorators leave their mock out.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pyotp
import pytest
from moto import mock_aws

# Calls to this machine are left alone.
_ONLY_IAM: Any = {"core": {"passthrough": {"urls": [r"http://127\.0\.0\.1:\d+/"]}}}
SANDBOX = os.environ["AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER"]


class Clock:
    """Stands for the module `time` in moto's tests: sleeping moves the sandbox's clock forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def sleep(self, seconds: float) -> None:
        body = json.dumps({"advance_seconds": seconds}).encode()
        url, headers = f"{SANDBOX}/_sandbox/clock", {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers)).close()
        self.ahead += seconds

    def time(self) -> float:
        return time.time() + self.ahead


CLOCK = Clock()


def pytest_collection_modifyitems(items: list[Any]) -> None:
    for module in {item.module for item in items}:
        if hasattr(module, "time"):
            module.time = SimpleNamespace(sleep=CLOCK.sleep, time=CLOCK.time)


@pytest.fixture(autouse=True, scope="session")
def at_sandbox() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, mock_aws(config=_ONLY_IAM):
        patch.setattr("tests.test_cognitoidp.sleep", CLOCK.sleep)  # moto's: waits for IAM roles
        patch.setattr(pyotp.TOTP, "now", lambda app: app.at(int(CLOCK.time())))
        yield
