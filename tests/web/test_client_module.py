"""The script module in Node: against a fake server, and against a real one with a cookie jar."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.web.example_apps import web_at
from tests.web.servers import serving

import oncegate_web

STATIC = Path(oncegate_web.__file__).with_name("assets")
CLIENT = Path(__file__).with_name("client")

pytestmark = pytest.mark.needs("node")


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A folder with the script module, which Node reads as ES modules."""
    for file in STATIC.glob("*.js"):
        shutil.copy(file, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


def test_module_keeps_its_contract_at_a_fake_server(module: Path) -> None:
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", *map(str, sorted(CLIENT.glob("*.test.mjs")))],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "ONCEGATE_STATIC": str(module)},
    )
    assert done.returncode == 0, "\n".join(
        line for line in done.stdout.splitlines() if "not ok" in line or "error:" in line
    )
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 200


PROGRAM = """
import { SignIn } from "./oncegate.js";
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
const tab = () => new SignIn("/auth", { fetch: (...request) => call(...request) });
const signIn = tab();
const seen = [(await signIn.resume()).state, await signIn.session()];
const left = tab();
await left.resume();
const password = { type: "submit_password", username: "ana", password: "Correct-horse-1" };
const [one, two] = await Promise.all([signIn.send(password), tab().send(password)]);
seen.push(one.state, two.state);
const reloaded = tab();
seen.push((await reloaded.resume()).state);
const mistyped = await reloaded.send({ type: "submit_code", code: "no code" });
seen.push(mistyped.state, mistyped.reason.code);
const invalid = await reloaded.send({ type: "submit_email", email: "?" }).catch((problem) => problem);
seen.push(invalid.status, invalid.code, Object.keys(invalid.fields));
seen.push(typeof mistyped.expires_in);
const code = (await (await fetch("SANDBOX/_sandbox/messages")).json()).at(-1).code;
seen.push((await reloaded.send({ type: "submit_code", code })).state);
const status = await tab().status();
seen.push(status.user.username, status.step.state, status.step.actions.length);
seen.push((await reloaded.sessions()).length);
await reloaded.signOut();
seen.push(await reloaded.session(), (await reloaded.resume()).state);
seen.push((await left.send(password)).state);
console.log(JSON.stringify(seen));
"""


@pytest.mark.parametrize("framework", ["fastapi", "flask", "django"])
def test_module_signs_in_at_a_real_server(framework: str, sandbox: Any, module: Path) -> None:
    """Two tabs submit the password at once; the second sign-in is by a tab that was left open."""
    with serving(framework, web_at(sandbox)) as url:
        program = PROGRAM.replace("URL", url).replace("SANDBOX", sandbox.endpoint)
        (module / "program.js").write_text(program)
        done = subprocess.run(
            ["node", "program.js"], cwd=module, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        *("idle", None),
        *("awaiting_mfa", "awaiting_mfa", "awaiting_mfa"),
        *("awaiting_mfa", "invalid_input"),
        *(422, "invalid_event", ["email"]),
        "number",
        "authenticated",
        *("ana", "authenticated", 0),
        1,
        *(None, "idle"),
        "awaiting_mfa",
    ]
    assert len(sandbox.messages()) == 2
