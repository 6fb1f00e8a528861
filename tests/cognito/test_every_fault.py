"""Every error of the service model and every garbled response, as the user of a sign-in sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from oncegate import SignIn, Step, SubmitCode, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Fault, Sandbox
from oncegate_sandbox._model import errors_of
from oncegate_sandbox.faults import words
from oncegate_stores import MemoryStore

OTHERS: list[dict[str, Any]] = [
    {"kind": "waf", "body": "html"},
    {"kind": "waf", "body": "empty"},
    {"kind": "waf", "body": "json"},
    {"kind": "waf", "status": 405},
    {"kind": "waf", "status": 202},
    {"kind": "mfa_lockout"},
    {"kind": "threat_block"},
    {"kind": "limit"},
    {"kind": "throttle"},
    {"kind": "malformed"},
    {"kind": "html"},
    {"kind": "empty"},
    {"kind": "http_408"},
    {"kind": "http_500"},
]


def faults(operation: str) -> list[Fault]:
    """Return a fault for each error of an operation, and for each response that is no error."""
    # More than once: the transport repeats a call if the repetition is harmless.
    modelled = [{"kind": "error", "code": code} for code in sorted(errors_of(operation))]
    orders = [{"operation": operation, "times": 9, **one} for one in [*modelled, *OTHERS]]
    return [Fault.model_validate(order) for order in orders]


def name(fault: Fault) -> str:
    return f"{fault.code or fault.kind}-{fault.status or fault.body}"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def shared_transport(server: Sandbox) -> CognitoTransport:
    return CognitoTransport(
        pool_id=server.pool_id, client_id=server.client_id, endpoint_url=server.endpoint
    )


@pytest.fixture
def sign_in(server: Sandbox, shared_transport: CognitoTransport) -> SignIn:
    server.reset()
    return SignIn(transport=shared_transport, store=MemoryStore())


@pytest.mark.parametrize("fault", faults("InitiateAuth"), ids=name)
def test_fault_of_the_password_call_is_told_without_its_words(
    server: Sandbox, sign_in: SignIn, fault: Fault
) -> None:
    server.order(fault)
    step = sign_in.send(sign_in.start(), SubmitPassword(username="ana", password="Correct-horse-1"))
    check(step, fault)
    assert len(server.messages()) <= 1


@pytest.mark.parametrize("fault", faults("RespondToAuthChallenge"), ids=name)
def test_fault_of_the_code_call_is_told_without_its_words(
    server: Sandbox, sign_in: SignIn, fault: Fault
) -> None:
    step = sign_in.send(sign_in.start(), SubmitPassword(username="ana", password="Correct-horse-1"))
    server.order(fault)
    step = sign_in.send(step, SubmitCode(code=server.messages()[-1].code))
    check(step, fault)
    assert len(server.messages()) == 1


def check(step: Step, fault: Fault) -> None:
    """The user is told something, in our own words, and can go on or start again."""
    assert step.state != "authenticated"
    assert step.message is not None
    shown = step.message.text
    assert shown
    if fault.code:
        assert words(fault.operation, fault.code) not in shown or is_ours(shown)
    assert "Exception" not in shown
    assert step.actions or step.state in {"failed", "cancelled"}


def is_ours(shown: str) -> bool:
    """Whether the text is one of the engine's, which can be the same as Cognito's."""
    from oncegate.adapters import TEXTS

    return shown in TEXTS.values()
