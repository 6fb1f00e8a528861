"""Everything that a run writes is searched for its secrets: files, logs, stdout, stderr, reprs."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from tests.doubles import code, password

from oncegate import Event, OncegateError, SignIn, Step
from oncegate.adapters import StoredRecord
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import SQLiteStore, store_from_url

NEW_PASSWORD = "Better-horse-9"


def test_whole_run_writes_no_secret(
    sandbox: Sandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG, "oncegate")
    store = SQLiteStore(tmp_path / "flows.db")
    transport = CognitoTransport(
        pool_id=sandbox.pool_id,
        client_id=sandbox.client_id,
        client_secret=None,
        endpoint_url=sandbox.endpoint,
    )
    sign_in = SignIn(transport=transport, store=store)
    steps: list[Step] = []
    secrets = {"Correct-horse-1", "wrong-horse-0"}

    def send(step: Step, event: Event) -> Step:
        steps.append(sign_in.send(step, event))
        print(steps[-1], repr(event), steps[-1].model_dump_json())
        return steps[-1]

    step = send(sign_in.start(), password("wrong-horse-0"))
    step = send(step, password())
    step = send(step, code("000000"))
    step = send(step, code(sandbox.messages()[-1].code))
    assert step.tokens is not None
    sandbox.lose_next_response("RespondToAuthChallenge")
    send(sign_in.start(), password())
    try:
        sign_in.get("not-a-flow-id")
    except OncegateError:
        logging.getLogger("oncegate").exception("as an application would")
    print(repr(sign_in), repr(transport), repr(store), vars(transport))

    secrets |= {message.code for message in sandbox.messages()}
    secrets |= {
        step.tokens.access_token,
        step.tokens.id_token or "",
        step.tokens.refresh_token or "",
    }
    secrets |= sandbox.pool.sessions.texts()
    assert len(secrets) >= 9
    out, err = capfd.readouterr()
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    written["stdout"], written["stderr"] = out.encode(), err.encode()
    written["log"] = caplog.text.encode()
    assert len(written["log"].splitlines()) >= 10
    assert b"transition" in written["log"]
    for place, content in written.items():
        assert content or place in {"stderr", "flows.db-wal"}
        for secret in secrets:
            assert secret.encode() not in content, place


def test_traceback_of_an_invalid_event_shows_no_secret() -> None:
    program = """
from oncegate import SubmitPassword
from oncegate.adapters import parse_event
try:
    parse_event('{"type": "submit_password", "username": "ana", "password": "hunter2-secret", "x": 1}')
finally:
    SubmitPassword(username="ana", password=b"hunter2-secret" * 100)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    shown = [
        line
        for line in done.stderr.splitlines()
        if not line.strip().startswith(("parse", "Submit"))
    ]
    assert "hunter2" not in "\n".join(shown)


def test_command_with_json_prints_tokens_to_stdout_only(sandbox: Sandbox) -> None:
    command = [sys.executable, "-m", "oncegate_cli", "--verbose", "signin", "--json"]
    for name, value in sandbox.description().items():
        option = {"endpoint": "endpoint-url"}.get(name, name.replace("_", "-"))
        command += [f"--{option}", value]
    done = subprocess.run(
        [*command, "--username", "fay"],
        input="Correct-horse-6\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["tokens"]["access_token"].startswith("eyJ")
    assert "transition" in done.stderr
    assert "eyJ" not in done.stderr
    assert "Correct-horse-6" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "store",
    [
        pytest.param("redis", marks=pytest.mark.needs("redis-server")),
        pytest.param("postgres", marks=pytest.mark.needs("postgres")),
    ],
)
def test_unsealed_secret_in_a_server_is_found(store: str, request: pytest.FixtureRequest) -> None:
    """The search after each test sees a secret that a store holds unsealed."""
    server = request.getfixturevalue(f"{store}_server")
    plain = b'{"password": "Correct-horse-1"}'
    key, row = uuid.uuid4().hex, StoredRecord(1, plain, time.time() + 60)
    opened = store_from_url(server.url)
    request.addfinalizer(getattr(opened, "close", lambda: None))
    assert opened.swap(key, 0, row)
    assert b"Correct-horse-1" in server.contents()
    assert opened.swap(key, 1, row._replace(version=2, sealed=b"sealed"))
    assert b"Correct-horse-1" not in server.contents()
