"""The examples of the guide that need a pool: they run against the sandbox."""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest
from tests.guides import block

from oncegate import Provider, SignUpForm
from oncegate.adapters import new_key
from oncegate_cli.main import run
from oncegate_sandbox import PoolSeed, Sandbox, Seed
from oncegate_sandbox._model import service_model

GUIDE = "adapters/oncegate_cognito/README.md"
CALLBACK = "https://app.example.com/auth/callback"


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The pool that the guide names; every boto3 client of this process finds it."""
    seed = PoolSeed(
        id="eu-west-1_aBcDeFgHi",
        client_id="1example23456789",
        required_attributes=("email",),
        callback_urls=("https://app.example.com/another",),
        password_policy={"minimum_length": 14},
    )
    with Sandbox(Seed(pool=seed)) as sandbox:
        for name, value in {
            "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": sandbox.endpoint,
            "AWS_ACCESS_KEY_ID": "an-access-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret-key",
            "ONCEGATE_STORE": "memory://",
            "ONCEGATE_KEYS": new_key(),
        }.items():
            monkeypatch.setenv(name, value)
        yield sandbox


def example(name: str) -> str:
    return block(GUIDE, f"tests/cognito/test_guide.py::{name}")


@pytest.mark.usefixtures("pool")
def test_pool_of_the_guide_is_read() -> None:
    names: dict[str, Any] = {}
    exec(example("test_pool_of_the_guide_is_read"), names)
    assert names["transport"].ways_in.sign_up == SignUpForm(attributes=("email",))
    assert names["pool"].password_policy.minimum_length == 14


@pytest.mark.usefixtures("pool")
def test_web_of_the_guide_offers_what_the_pool_has() -> None:
    names: dict[str, Any] = {}
    exec(example("test_pool_of_the_guide_is_read"), names)
    exec(example("test_web_of_the_guide_offers_what_the_pool_has"), names)
    ways_in = names["transport"].ways_in
    assert ways_in.providers == (Provider(name="Google"),)
    assert ways_in.passkey
    assert ways_in.sign_up == SignUpForm(attributes=("email",))
    assert names["web"]


def test_command_prints_what_the_guide_shows(
    pool: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, _, shown = (
        example("test_command_prints_what_the_guide_shows").replace("\\\n", "").partition("\n")
    )
    monkeypatch.delenv("ONCEGATE_STORE")
    monkeypatch.setenv("ONCEGATE_ENDPOINT_URL", pool.endpoint)
    program, *arguments = shlex.split(command.removeprefix("$ "))
    assert program == "oncegate"
    arguments[arguments.index("--domain") + 1] = pool.endpoint
    with redirect_stdout(io.StringIO()) as printed:
        assert run(arguments) == 1
    assert _without_times(printed.getvalue()) == _without_times(shown)


def _without_times(text: str) -> str:
    return re.sub(r"\d+ ms", "n ms", text)


def test_policy_names_operations_that_exist() -> None:
    policy = json.loads(example("test_policy_names_operations_that_exist"))
    (statement,) = policy["Statement"]
    assert {one.removeprefix("cognito-idp:") for one in statement["Action"]} == {
        *("AdminInitiateAuth", "AdminRespondToAuthChallenge"),
    }
    assert {one.removeprefix("cognito-idp:") for one in statement["Action"]} <= set(
        service_model().operation_names
    )
