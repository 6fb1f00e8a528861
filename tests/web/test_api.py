"""The JSON API against its own OpenAPI document, and the module and types for scripts against the API."""

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
from tests.doubles import ManualClock, a_text, the_tokens
from tests.web.shops import fastapi_shop, web_for

import oncegate_web
from oncegate import Event, FlowState, SignIn, Step
from oncegate.adapters import Call, Outcome
from oncegate.testing import ScriptedTransport
from oncegate_stores import MemoryStore
from oncegate_web.openapi import document

STATIC = Path(oncegate_web.__file__).with_name("static")


class AlwaysAsks(ScriptedTransport):
    """A Cognito that texts a code, and then takes any."""

    def perform(self, call: Call) -> Outcome:
        return a_text() if type(call).__name__ == "CheckPassword" else the_tokens()


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
WEB = web_for(AlwaysAsks())
API = schemathesis.openapi.from_asgi("/auth/openapi.json", fastapi_shop(WEB))
OPERATIONS: dict[str, Any] = {}
for _found in API.get_all_operations():
    _operation: Any = _found.ok()  # type: ignore[union-attr]
    OPERATIONS[_operation.label] = _operation


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_what_its_document_says(operation: str) -> None:
    cookies = {
        "oncegate_flow": SignIn(transport=AlwaysAsks(), store=MemoryStore(), clock=ManualClock())
        .start()
        .flow_id
    }

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=OPERATIONS[operation].as_strategy())
    def run(case: Any) -> None:
        if "{id}" in operation:
            case.path_parameters = {"id": "current"}
        case.validate_response(case.call(cookies=cookies), checks=CHECKS)

    run()


def test_every_event_is_in_the_document() -> None:
    mapping = document("/auth")["components"]["schemas"]["Event"]["discriminator"]["mapping"]
    assert set(mapping) == {event.model_fields["type"].default for event in get_args(Event)}


def test_what_only_cookies_have_is_in_no_document() -> None:
    assert "session_id" not in json.dumps(document("/auth"))


def test_the_types_say_what_a_step_is() -> None:
    types = (STATIC / "oncegate.d.ts").read_text()
    block = re.search(r"export interface Step \{(.*?)\n\}", types, re.DOTALL)
    assert block is not None
    names = set(re.findall(r"^  (\w+):", block[1], re.MULTILINE))
    assert names == set(Step.model_fields) - {"tokens", "session_id"}
    states = re.search(r"export type State =(.*?);", types, re.DOTALL)
    assert states is not None
    assert set(re.findall(r'"(\w+)"', states[1])) == {state.value for state in FlowState}
    for event in get_args(Event):
        written = re.search(rf'\{{ type: "{event.model_fields["type"].default}"(.*?) \}}', types)
        assert written is not None, event
        fields = set(re.findall(r"(\w+)\??:", written[1]))
        assert fields == set(event.model_fields) - {"type"}, event


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
def test_the_module_signs_in(sandbox: Any, tmp_path: Path) -> None:
    """In Node with a jar for cookies, against a real server; a double click is two calls at once."""
    from tests.web.servers import serving
    from tests.web.shops import web_at

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
