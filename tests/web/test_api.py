"""The JSON API compared with its OpenAPI document, and the script module and types with the API."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.doubles import a_text, the_tokens
from tests.web.example_apps import client_of, fastapi_app, web_for
from tests.web.pages import Program

from oncegate import Action, Event, FlowState, RequestContext, Step
from oncegate.adapters import MESSAGE_CODES, Call, Challenge, Choice, Field, Message, Outcome
from oncegate.testing import ScriptedTransport
from oncegate_web import Request
from oncegate_web._openapi import document
from oncegate_web.http import Body, Fields


class AlwaysAsks(ScriptedTransport):
    """A Cognito that sends a code by SMS, and then accepts any."""

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        return a_text() if type(call).__name__ == "CheckPassword" else the_tokens()


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# schemathesis calls http://testserver
WEB = web_for(AlwaysAsks(), allow_insecure=True)
API = schemathesis.openapi.from_asgi("/auth/openapi.json", fastapi_app(WEB))
OPERATIONS: dict[str, Any] = {}
for _found in API.get_all_operations():
    _operation: Any = _found.ok()  # type: ignore[union-attr]
    OPERATIONS[_operation.label] = _operation


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_conforms_to_the_document(operation: str) -> None:
    (flow,) = WEB.respond(Request(method="POST", path="/flows", host="localhost")).cookies
    cookies = {flow.name: flow.value}

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=OPERATIONS[operation].as_strategy())
    def run(case: Any) -> None:
        if "{id}" in operation:
            case.path_parameters = {"id": "current"}
        case.validate_response(case.call(cookies=cookies), checks=CHECKS)

    run()


def test_document_has_every_event() -> None:
    mapping = document("/auth")["components"]["schemas"]["Event"]["discriminator"]["mapping"]
    assert set(mapping) == {event.model_fields["type"].default for event in get_args(Event)}


def test_document_has_no_session_id() -> None:
    assert "session_id" not in json.dumps(document("/auth"))


def test_document_requires_the_version_of_every_event() -> None:
    schemas = document("/auth")["components"]["schemas"]
    for event in get_args(Event):
        schema = schemas[event.__name__]
        assert {"type", "version"} <= set(schema["required"]), event
        assert schema["properties"]["version"]["type"] == "integer"


MODELS: dict[str, Any] = {
    "Step": Step,
    "Action": Action,
    "Field": Field,
    "Choice": Choice,
    "Message": Message,
}


@pytest.mark.parametrize("interface", MODELS)
def test_document_and_models_have_the_same_fields(interface: str) -> None:
    model = MODELS[interface]
    fields = {name for name, field in model.model_fields.items() if not field.exclude}
    fields |= set(model.model_computed_fields)
    # The API adds each time in seconds from now.
    fields |= {f"{name.removesuffix('_at')}_in" for name in fields if name.endswith("_at")}
    schema = document("/auth")["components"]["schemas"][model.__name__]
    # The summary is for pages alone in the model; the API adds it, because its clients draw pages.
    added = {"Step": {"expires_in", "new_code_in"}, "Action": {"available_in", "summary"}}
    assert set(schema["properties"]) == fields - {"session_id"} | added.get(interface, set())
    assert set(schema["required"]) == set(schema["properties"])  # the API sends all of them


def _paths_of(status: str) -> set[str]:
    paths = document("/auth")["paths"]
    return {
        f"{method} {path}"
        for path, methods in paths.items()
        for method, operation in methods.items()
        if status in operation["responses"]
    }


def test_document_has_the_refusals_of_every_operation() -> None:
    """Each can be refused by plain HTTP, and each uses the store; those tell when to try again."""
    operations = {name.lower() for name in OPERATIONS}
    assert {name.lower() for name in _paths_of("403")} == operations
    assert {name.lower() for name in _paths_of("503")} == operations
    for methods in document("/auth")["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                assert ("Retry-After" in response.get("headers", {})) is (status in {"429", "503"})


def _schema(name: str) -> Any:
    return document("/auth")["components"]["schemas"][name]


def test_document_has_the_literals_that_the_server_sends() -> None:
    kinds = {
        kind
        for challenge in get_args(get_args(Challenge)[0])
        for kind in get_args(challenge.model_fields["kind"].annotation)
    }
    step = _schema("Step")["properties"]
    assert set(step["challenge"]["enum"]) == {*kinds, None}
    assert "SMS_MFA" in kinds
    codes = set(MESSAGE_CODES)
    assert set(_schema("Message")["properties"]["code"]["enum"]) == codes
    assert set(_schema("Message")["properties"]["kind"]["enum"]) == {"error", "info", "good"}
    assert _schema("Delivery")["properties"]["medium"]["enum"] == ["SMS", "EMAIL", ""]


def test_document_has_the_members_and_codes_of_problems() -> None:
    web = web_for(AlwaysAsks())
    asked = [
        ("POST", "/flows/current/events", {"content-type": "application/json"}, b'{"version": 0}'),
        ("POST", "/flows/current/events", {"content-type": "application/json"}, b"{"),
        ("GET", "/session", {}, b""),
        ("GET", "/flows/x", {}, b""),
    ]
    (flow,) = web.respond(Request(method="POST", path="/flows", host="localhost")).cookies
    schema = _schema("Problem")
    seen: set[str] = set()
    for method, path, headers, body in asked:
        sent = Fields({**headers, "cookie": f"{flow.name}={flow.value}"})
        request = Request(method, path, host="localhost", headers=sent, body=Body(body))
        problem = json.loads(web.respond(request).body)
        assert set(schema["required"]) <= set(problem) <= set(schema["properties"])
        assert problem["code"] in schema["properties"]["code"]["enum"]
        seen |= set(problem)
    typed = json.dumps({"type": "submit_password", "version": 0, "username": ["ana"]}).encode()
    sent = Fields({"content-type": "application/json", "cookie": f"{flow.name}={flow.value}"})
    path = "/flows/current/events"
    request = Request("POST", path, host="localhost", headers=sent, body=Body(typed))
    seen |= set(json.loads(web.respond(request).body))
    assert seen == set(schema["properties"])


def test_document_requires_the_list_of_sessions() -> None:
    api = document("/auth")
    answer = api["paths"]["/sessions"]["get"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Sessions"}
    listed = api["components"]["schemas"]["Sessions"]
    assert listed["required"] == list(listed["properties"]) == ["sessions"]


def test_document_has_the_states_that_are_shown() -> None:
    states = {state.value for state in FlowState} - {"deciding"}
    assert states == set(document("/auth")["components"]["schemas"]["FlowState"]["enum"])


def test_step_has_actions_beside_events_and_fields() -> None:
    with client_of("fastapi", web_for(AlwaysAsks())) as client:
        program = Program(client)
        program.open()
        program.say("submit_password", username="ana", password="Correct-horse-1")
        step = program.step
    main, new_code, cancel = step["actions"]
    assert (main["event"], main["label"], main["is_main"]) == (
        "submit_code",
        "Verify and sign in",
        True,
    )
    assert main["fields"] == step["fields"]
    assert step["events"] == [action["event"] for action in step["actions"]]
    assert new_code["available_at"] == step["new_code_at"]
    assert [cancel["fields"], cancel["is_main"], cancel["available_at"]] == [[], False, None]
    assert step["title"] == "Check your phone"
