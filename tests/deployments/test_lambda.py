"""AWS Lambda behind API Gateway, with DynamoDB: the crowd, and what a cold start imports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deployments.cold_start import cold_start
from tests.deployments.crowd import Crowd, seed
from tests.deployments.lambda_gateway import event, gateway
from tests.deployments.setups import ON_LAMBDA, Setup
from tests.deployments.test_servers import assert_flawless, environment
from tests.servers import free_port
from tests.stores.test_dynamodb import REGION, MotoServer, new_table

from oncegate_sandbox import Sandbox

pytestmark = pytest.mark.slow

PEOPLE = int(os.environ.get("ONCEGATE_CROWD", "3"))
NOT_NEEDED = {
    "multipart",
    "oncegate.testing",
    "oncegate_cli",
    "oncegate_sandbox",
    "psycopg",
    "psycopg_pool",
    "pydot",
    "redis",
    "statemachine.contrib",
    "tests.doubles",
    "typer",
    "uvicorn",
    "valkey",
    "webauthn",
}
"""Modules that no request needs."""
NEEDED = {
    "fastapi": {"fastapi", "mangum"},
    "flask": {"flask", "apig_wsgi"},
    "django": {"django", "apig_wsgi"},
}
"""Modules that only the requests of one framework need."""


@pytest.fixture(scope="module")
def cognito() -> Iterator[Sandbox]:
    with Sandbox(seed(PEOPLE)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def variables(cognito: Sandbox) -> Iterator[dict[str, str]]:
    """The variables of the function, with a table of moto's DynamoDB."""
    account = {
        "AWS_ACCESS_KEY_ID": "unused",
        "AWS_SECRET_ACCESS_KEY": "unused",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": REGION,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.items():
            patch.setenv(name, value)
        moto = MotoServer()
        try:
            url = f"dynamodb://{new_table(moto)}?region={REGION}&endpoint_url={moto.url}"
            yield environment(cognito, url, used_at_import=False)
        finally:
            moto.stop()


@pytest.mark.parametrize("setup", ON_LAMBDA, ids=str)
def test_crowd_on_lambda_gets_one_code_each_and_is_signed_in(
    setup: Setup, cognito: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    log, port = tmp_path / "log", free_port()
    log.touch()
    with gateway(port, {**variables, "FRAMEWORK": setup.framework}, log) as served:
        result = Crowd(cognito, f"http://localhost:{port}", PEOPLE).sign_in()
    print(log.read_text())
    assert_flawless(result, log, PEOPLE)
    assert len(served.instances) > 1, "one instance had all the requests"


@pytest.mark.parametrize("framework", NEEDED)
def test_first_request_on_lambda_imports_only_what_it_needs(
    framework: str, variables: dict[str, str]
) -> None:
    request = event("GET", "/auth/", {"accept": "text/html", "user-agent": "Mozilla/5.0"})
    answer, modules = cold_start({**variables, "FRAMEWORK": framework}, request)
    assert answer["statusCode"] == 200
    (cookie,) = answer["cookies"]
    assert cookie.strip().startswith("__Host-oncegate_flow"), "not HTTPS, as API Gateway says"
    others = set().union(*NEEDED.values()) - NEEDED[framework]
    assert sorted((NOT_NEEDED | others) & modules) == []
