"""Whole sign-ins over real HTTP with one response lost: one code is sent, and the flow starts over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.doubles import code, password

from oncegate import SignIn, StepRef, SubmitCode, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Sandbox
from oncegate_stores import MemoryStore, SQLiteStore


@pytest.fixture(params=["memory", "sqlite"])
def sign_in(request: pytest.FixtureRequest, tmp_path: Path, transport: CognitoTransport) -> SignIn:
    stores: dict[str, Any] = {
        "memory": MemoryStore,
        "sqlite": lambda: SQLiteStore(tmp_path / "f.db"),
    }
    return SignIn(transport=transport, store=stores[request.param]())


@pytest.mark.parametrize("kind", ["drop_response", "http_500"])
def test_lost_reply_to_the_sending_call_starts_over_without_a_repeat(
    sign_in: SignIn, sandbox: Sandbox, controls: httpx.Client, kind: str
) -> None:
    controls.post("/faults", json={"operation": "RespondToAuthChallenge", "kind": kind})
    step = sign_in.send(sign_in.start(), password())
    assert step.state == "idle"
    assert step.message is not None
    assert step.message.code == "outcome_unknown"
    assert len(sandbox.messages()) == 1
    for _ in range(3):  # reloads, and a late second click
        assert sign_in.get(step.flow_id) == step
        late = sign_in.send(StepRef(step.flow_id, 0), password())
        assert late.reason is not None
    assert len(sandbox.messages()) == 1
    step = sign_in.send(step, password())
    step = sign_in.send(step, code(sandbox.messages()[-1].code))
    assert (step.state, len(sandbox.messages())) == ("authenticated", 2)


def test_lost_reply_to_the_answer_starts_over_without_a_repeat(
    sign_in: SignIn, sandbox: Sandbox, controls: httpx.Client
) -> None:
    step = sign_in.send(sign_in.start(), password())
    controls.post("/faults", json={"operation": "RespondToAuthChallenge", "kind": "drop_response"})
    answer = code(sandbox.messages()[-1].code)
    step = sign_in.send(step, answer)
    assert step.message is not None
    assert (step.state, step.message.code) == ("idle", "answer_outcome_unknown")
    again = sign_in.send(step, answer)
    assert (again.state, again.reason is not None) == ("idle", True)
    assert controls.get("/calls").json() == {"InitiateAuth": 1, "RespondToAuthChallenge": 2}


def test_program_written_from_the_documented_api_signs_in(sandbox: Sandbox, tmp_path: Path) -> None:
    sign_in = SignIn(
        transport=CognitoTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            client_secret=None,
            endpoint_url=sandbox.endpoint,
        ),
        store=SQLiteStore(str(tmp_path / "flows.db")),
    )
    step = sign_in.start()
    assert step.version == 0
    step = sign_in.send(step, SubmitPassword(username="ana", password="Correct-horse-1"))
    assert step.delivery is not None
    assert (step.state, step.delivery.medium) == ("awaiting_mfa", "SMS")
    assert step.delivery.destination == "+*******1234"
    inbox = httpx.get(f"{sandbox.endpoint}/_sandbox/messages").json()
    step = sign_in.send(step, SubmitCode(code=inbox[-1]["code"], remember_device=True))
    assert step.tokens is not None
    assert step.tokens.access_token.startswith("eyJ")
