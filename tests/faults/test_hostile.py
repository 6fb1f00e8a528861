"""Hostile input: it gives typed errors only, in bounded time, and no error repeats the input."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles import DictStore, InProcessClient, ManualClock, a_text, password
from typer.testing import CliRunner

from oncegate import InvalidInput, OncegateError, RecordUnreadable, SignIn, StepRef
from oncegate.adapters import FlowId, StoredRecord, parse_event
from oncegate.testing import ScriptedTransport
from oncegate_cli.main import app
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import DEMO_SEED, load_seed
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import CognitoError
from oncegate_sandbox.pool import Pool
from oncegate_stores import MemoryStore, store_from_url

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "type",
        "username",
        "password",
        "code",
        "factor",
        "credential",
        "answer",
        "remember",
        "new_password",
    ]
)
SECRET = "hunter2-hunter2"


@given(st.binary(max_size=200) | st.text(max_size=200) | st.dictionaries(NAMES, JSON))
def test_any_event_data_gives_an_event_or_invalid_input(data: Any) -> None:
    with contextlib.suppress(InvalidInput):
        parse_event(data)


@given(st.dictionaries(NAMES, st.just(SECRET) | JSON, min_size=1))
def test_invalid_event_is_not_repeated_in_the_error(data: dict[str, Any]) -> None:
    caught: list[BaseException] = []
    try:
        parse_event(json.dumps(data))
    except InvalidInput as error:
        caught = [error, *filter(None, [error.__cause__])]
    assert SECRET not in repr([(error, str(error)) for error in caught])


@pytest.mark.parametrize(
    "data", ["[" * 100_000, '{"a":' * 50_000, "9" * 100_000, "\x00", b"\xff\xfe"]
)
def test_deep_or_long_event_data_is_invalid_input(data: str | bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_event(data)


@given(st.text(max_size=60) | st.binary(max_size=60) | st.none())
def test_any_flow_id_gives_a_step_or_a_typed_error(text: Any) -> None:
    sign_in = SignIn(transport=ScriptedTransport(), store=MemoryStore(), clock=ManualClock())
    with contextlib.suppress(InvalidInput):
        sign_in.get(text)


@given(st.binary(max_size=200), st.integers(1, 5))
def test_corrupt_record_is_unreadable(sealed: bytes, version: int) -> None:
    clock, store = ManualClock(), DictStore()
    sign_in = SignIn(transport=ScriptedTransport(), store=store, clock=clock)
    flow_id = sign_in.start().flow_id
    store.rows[FlowId.parse(flow_id).key] = StoredRecord(version, sealed, clock.time + 60)
    with pytest.raises(RecordUnreadable):
        sign_in.get(flow_id)
    with pytest.raises(RecordUnreadable):
        sign_in.send(StepRef(flow_id, version), password())


def test_other_flow_id_opens_no_stored_flow() -> None:
    """Without the flow ID, neither the name of the row nor its key is known."""
    store = DictStore()
    sign_in = SignIn(transport=ScriptedTransport(a_text()), store=store)
    flow_id = sign_in.send(sign_in.start(), password()).flow_id
    key = FlowId.parse(flow_id).key
    assert key in store.rows
    assert key not in flow_id
    for other in (f"{flow_id[:-1]}{'A' if flow_id[-1] != 'A' else 'B'}", key):
        step = sign_in.get(other)
        assert (step.state, step.version) in {("idle", 0), ("failed", 0)}


class PreparedClient(InProcessClient):
    """A client that returns one prepared response to every request."""

    response: Any = None

    def _request(self, operation: str, request: Any) -> Any:
        return self.response


SMALL_VALUES = (
    st.none() | st.text(max_size=10) | st.integers() | st.lists(st.text(max_size=3), max_size=2)
)
RESPONSES = st.dictionaries(
    st.sampled_from(
        [
            "ChallengeName",
            "Session",
            "ChallengeParameters",
            "AuthenticationResult",
            "AvailableChallenges",
        ]
    ),
    SMALL_VALUES
    | st.sampled_from(
        ["PASSWORD_VERIFIER", "SMS_MFA", "WEB_AUTHN", "SELECT_CHALLENGE", "MFA_SETUP"]
    )
    | st.dictionaries(
        st.sampled_from(
            ["SALT", "SRP_B", "SECRET_BLOCK", "USER_ID_FOR_SRP", "AccessToken", "NewDeviceMetadata"]
        ),
        SMALL_VALUES,
    ),
)


@given(RESPONSES, st.sampled_from(["USER_SRP_AUTH", "USER_PASSWORD_AUTH", "USER_AUTH"]))
def test_any_response_of_cognito_leaves_a_way_on(response: dict[str, Any], auth_flow: Any) -> None:
    """An exception in the transport counts as an unknown outcome; the flow goes on."""
    client: Any = PreparedClient(Pool(DEMO_SEED, "http://issuer", SandboxClock()))
    client.response = response
    transport = CognitoTransport(
        pool_id="us-east-1_Pool1", client_id="client", auth_flow=auth_flow, client=client
    )
    sign_in = SignIn(transport=transport, store=MemoryStore(), listeners=[])
    step = sign_in.send(sign_in.start(), password())
    assert step.state not in {"checking_password", "registering_device"}
    assert step.events or step.state in {"failed", "authenticated"}


@given(st.text(max_size=200))
def test_any_seed_file_gives_a_seed_or_a_typed_error(text: str) -> None:
    with tempfile.NamedTemporaryFile(suffix=".toml") as file, contextlib.suppress(InvalidInput):
        Path(file.name).write_text(text, "utf-8", errors="replace")
        load_seed(Path(file.name))


@given(
    st.sampled_from(
        ["InitiateAuth", "RespondToAuthChallenge", "ConfirmDevice", "VerifySoftwareToken"]
    ),
    st.dictionaries(
        st.sampled_from(
            [
                "ClientId",
                "AuthFlow",
                "AuthParameters",
                "ChallengeName",
                "ChallengeResponses",
                "Session",
            ]
        ),
        JSON | st.just(DEMO_SEED.pool.client_id) | st.sampled_from(["USER_SRP_AUTH", "SMS_MFA"]),
    ),
)
def test_any_request_to_the_sandbox_gives_a_response_or_a_cognito_error(
    operation: str, request: dict[str, Any]
) -> None:
    with contextlib.suppress(CognitoError):
        Pool(DEMO_SEED, "http://issuer", SandboxClock()).perform(operation, request)


@given(st.text(max_size=60))
def test_any_store_url_gives_a_typed_error(url: str) -> None:
    if url.startswith(("sqlite", "memory")):
        return
    with pytest.raises(OncegateError):
        store_from_url(url)


@given(st.lists(st.text(max_size=12).filter(lambda word: "\x00" not in word), max_size=4))
def test_any_arguments_exit_normally(words: list[str]) -> None:
    result = CliRunner().invoke(app, ["diagram", "--format", "table", *words])
    assert isinstance(result.exception, SystemExit | None)
