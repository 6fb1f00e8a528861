"""The JSON API compared with its OpenAPI document, and the script module and types with the API."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
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
from tests.web.example_apps import client_of, fastapi_app, web_at, web_for
from tests.web.pages import Program
from tests.web.servers import serving

import oncegate_web
from oncegate import Action, Event, FlowState, RequestContext, Step
from oncegate.adapters import Call, Choice, Field, Message, Outcome
from oncegate.testing import ScriptedTransport
from oncegate_web import Request
from oncegate_web._openapi import document

STATIC = Path(oncegate_web.__file__).with_name("static")


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


TYPES = (STATIC / "oncegate.d.ts").read_text()


def _properties(interface: str) -> dict[str, bool]:
    """Return the properties of an interface in oncegate.d.ts, and whether each can be null."""
    block = re.search(rf"export interface {interface} \{{(.*?)\}}\n(?=export)", TYPES, re.DOTALL)
    assert block is not None, interface
    # Of nested objects, only the outer property counts.
    flat = re.sub(r"\{[^}]*\}", "object", block[1])
    return {
        found[1]: "null" in found[2]
        for part in flat.split(";")
        if (found := re.search(r"(\w+): (.*)", part, re.DOTALL))
    }


MODELS: dict[str, Any] = {
    "Step": Step,
    "Action": Action,
    "Field": Field,
    "Choice": Choice,
    "Message": Message,
}


@pytest.mark.parametrize("interface", MODELS)
def test_types_document_and_models_have_the_same_fields(interface: str) -> None:
    model = MODELS[interface]
    fields = {name for name, field in model.model_fields.items() if not field.exclude}
    fields |= set(model.model_computed_fields)
    # The API adds each time in seconds from now.
    fields |= {f"{name.removesuffix('_at')}_in" for name in fields if name.endswith("_at")}
    schema = document("/auth")["components"]["schemas"][model.__name__]
    properties = _properties(interface)
    assert set(properties) == set(schema["properties"]) == fields - {"session_id"}
    for name, can_be_null in properties.items():
        assert can_be_null is ('"null"' in json.dumps(schema["properties"][name])), name


def test_types_and_document_have_the_same_states() -> None:
    states = re.search(r"export type State =(.*?);", TYPES, re.DOTALL)
    assert states is not None
    written = set(re.findall(r'"(\w+)"', states[1]))
    assert written == {state.value for state in FlowState} - {"deciding"}
    assert written == set(document("/auth")["components"]["schemas"]["FlowState"]["enum"])


@pytest.mark.parametrize("event", get_args(Event))
def test_types_have_the_fields_of_every_event(event: Any) -> None:
    written = re.search(rf'\{{ type: "{event.model_fields["type"].default}"(.*?) \}}', TYPES)
    assert written is not None
    fields = set(re.findall(r"(\w+)\??:", written[1]))
    assert fields == set(event.model_fields) - {"type"}


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


PROGRAM = """
import { SignIn, Problem } from "MODULE";
const jar = new Map();
const call = async (path, options) => {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
  const response = await fetch("URL" + path, { ...options, headers: { ...options.headers, cookie } });
  for (const set of response.headers.getSetCookie()) {
    const [name, value] = set.split(";")[0].split("=");
    value ? jar.set(name, value) : jar.delete(name);
  }
  return response;
};
const signIn = new SignIn("/auth", { fetch: call });
const seen = [(await signIn.resume()).state, await signIn.session()];
const password = { type: "submit_password", username: "ana", password: "Correct-horse-1" };
const [one, two] = await Promise.all([signIn.send(password), signIn.send(password)]);
seen.push(one.state, two.state);
const reloaded = new SignIn("/auth", { fetch: call });
seen.push((await reloaded.resume()).state);
try { await reloaded.send({ type: "submit_code", code: "no code" }); }
catch (problem) { seen.push(problem instanceof Problem, problem.status, problem.code); }
const code = (await (await fetch("SANDBOX/_sandbox/messages")).json()).at(-1).code;
seen.push((await reloaded.send({ type: "submit_code", code })).state);
seen.push((await reloaded.session()).username);
await reloaded.signOut();
seen.push(await reloaded.session());
console.log(JSON.stringify(seen));
"""


@pytest.mark.needs("node")
def test_script_module_signs_in(sandbox: Any, tmp_path: Path) -> None:
    """In Node with a cookie jar, against a real server; a double click is two calls at once."""
    for name in ("oncegate.js", "passkey.js"):
        target = tmp_path / name.replace(".js", ".mjs")
        source = (STATIC / name).read_text().replace("./passkey.js", "./passkey.mjs")
        target.write_text(source)
    with serving("fastapi", web_at(sandbox)) as url:
        program = PROGRAM.replace("MODULE", str(tmp_path / "oncegate.mjs"))
        program = program.replace("URL", url).replace("SANDBOX", sandbox.endpoint)
        (tmp_path / "program.mjs").write_text(program)
        done = subprocess.run(
            ["node", str(tmp_path / "program.mjs")], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        "idle",
        None,
        "awaiting_mfa",
        "awaiting_mfa",
        "awaiting_mfa",
        True,
        422,
        "invalid_event",
        "authenticated",
        "ana",
        None,
    ]
    assert len(sandbox.messages()) == 1
