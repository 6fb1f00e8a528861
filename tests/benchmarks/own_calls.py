"""The own functions that run between a posted password and boto3's first request: counts, no times."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

from flask import Flask
from tests.benchmarks.side_by_side import Row

from oncegate import SignIn, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import MemoryStore
from oncegate_web import WebSignIn
from oncegate_web.flask import mount

_OWN = ("/engine/oncegate/", "/adapters/oncegate_")
_REQUEST = "_make_api_call"
"""The function of botocore's that every operation goes through."""


class OwnCalls(NamedTuple):
    """What ran.

    Attributes:
        calls: number of calls of own functions.
        functions: number of different own functions.
        files: number of files that they are in.
    """

    calls: int
    functions: int
    files: int

    def __str__(self) -> str:
        return f"{self.calls} calls, {self.functions} functions, {self.files} files"


IN_0_1 = OwnCalls(276, 138, 25)
"""From a POST to boto3, in the release before."""


def count(action: Callable[[], object]) -> OwnCalls:
    """Count the own functions that an action calls before botocore's first request.

    Args:
        action: runs in this thread.

    Raises:
        AssertionError: the action makes no request.
    """
    seen: list[CodeType] = []
    is_done = False

    def profile(frame: FrameType, event: str, _: Any) -> None:
        nonlocal is_done
        if event != "call" or is_done:
            return
        code = frame.f_code
        if code.co_name == _REQUEST:
            is_done = True
        elif any(own in code.co_filename for own in _OWN):
            seen.append(code)

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    assert is_done, "no request was made"
    return OwnCalls(len(seen), len(set(seen)), len({code.co_filename for code in seen}))


def own_calls(quick: bool) -> list[Row]:
    """Count from `SignIn.send`, and from a POST to Flask; the second of two sign-ins is counted."""
    with Sandbox() as sandbox:
        transport = CognitoTransport(
            pool_id=sandbox.pool_id, client_id=sandbox.client_id, endpoint_url=sandbox.endpoint
        )
        settings: dict[str, Any] = {"transport": transport, "store": MemoryStore()}
        sign_in = SignIn(**settings)
        password = SubmitPassword(username="ana", password="Correct-horse-1")
        for _ in range(2):
            first = sign_in.start()
            of_send = count(lambda first=first: sign_in.send(first, password))  # type: ignore[misc]
        app = Flask(__name__)
        mount(app, WebSignIn(keys="q3Fh0pL8vJ2xTnC5sWbY7uKdE1rGmA9zXoQf6iHtVw4", **settings))
        for _ in range(2):
            of_post = count(_post(app))
    return [
        _row("own code from SignIn.send to boto3's first request", of_send),
        _row("own code from a POST to boto3's first request, Flask", of_post),
    ]


def _post(app: Flask) -> Callable[[], object]:
    """Return an action: a password posted to a flow that a new browser has just started."""
    client = app.test_client()
    flow_id = client.post("/auth/flows").get_json()["flow_id"]
    event = {
        "type": "submit_password",
        "username": "ana",
        "password": "Correct-horse-1",
        "version": 0,
    }
    return lambda: client.post(f"/auth/flows/{flow_id}/events", json=event)


def _row(what: str, counted: OwnCalls) -> Row:
    ratio = counted.calls / IN_0_1.calls
    return Row(what, str(counted), f"0.1, POST: {IN_0_1}", ratio, "< 1", ratio < 1)


ROWS = {"own_calls": own_calls}
