"""The account's JSON API compared with its OpenAPI document, by a user who is signed in at a sandbox.

Beside `tests.web.test_api`, which has the sign-in's.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from tests.web.example_apps import fastapi_app, web_at
from tests.web.test_api import CHECKS

from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed
from oncegate_web import Request, WebSignIn
from oncegate_web._openapi import operations
from oncegate_web.http import Body, Fields

EXAMPLES = {"POST": 80, "GET": 10}
"""Examples of an operation, by its method."""

PASSWORD = "Correct-horse-1"
USERS = [
    UserSeed(username=f"user{number}", password=PASSWORD) for number in range(EXAMPLES["POST"])
]
OPERATIONS = [
    f"{one.method} {one.path}" for one in operations(account=True) if one not in operations()
]


class Api:
    """The API, and a browser in which a user is signed in: the next one when an account is deleted."""

    def __init__(self, sandbox: Sandbox) -> None:
        # schemathesis calls http://testserver
        self.web: WebSignIn = web_at(sandbox, account=True, allow_insecure=True)
        found: Any = schemathesis.openapi.from_asgi("/auth/openapi.json", fastapi_app(self.web))
        self.operations = {one.ok().label: one.ok() for one in found.get_all_operations()}
        self.names = iter(one.username for one in USERS)
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request as the browser does, and return the answer."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = Fields({"content-type": "application/json", "cookie": cookie})
        sent = Body(json.dumps(body).encode())
        answer = self.web.respond(
            Request(method, path, host="testserver", headers=headers, body=sent)
        )
        self.cookies |= {one.name: one.value or "" for one in answer.cookies}
        return json.loads(answer.body)

    def version(self) -> int:
        """Return the version of the step at which the user is; sign in first if that is needed."""
        while (account := self.ask("GET", "/account")).get("code") == "not_signed_in":
            self.cookies = {}
            self.ask("POST", "/flows")
            event = {"type": "submit_password", "username": next(self.names), "password": PASSWORD}
            self.ask("POST", "/flows/current/events", {**event, "version": 0})
        return int(account["step"]["version"])


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Sandbox(Seed(pool=PoolSeed(), users=tuple(USERS))) as sandbox:
        yield Api(sandbox)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_on_the_account_conforms_to_the_document(operation: str, api: Api) -> None:
    seen: set[tuple[int, str]] = set()

    examples, number = EXAMPLES[operation.partition(" ")[0]], itertools.count()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=api.operations[operation].as_strategy())
    def run(case: Any) -> None:
        version = api.version()
        if isinstance(case.body, dict) and "version" in case.body:
            case.body["version"] = version  # so that the event is not a late one
            if next(number) % 10 == 0:
                case.body["type"] = "no_event"  # so that some are refused, whatever is generated
        answer = case.call(cookies=api.cookies)
        case.validate_response(answer, checks=CHECKS)
        seen.add((answer.status_code, answer.json().get("state", "")))

    run()
    statuses = {status for status, _ in seen}
    assert 200 in statuses
    if operation.startswith("POST"):
        assert statuses > {200}, "no event was refused"
        assert len({state for _, state in seen}) > 2, "no event has changed anything"
