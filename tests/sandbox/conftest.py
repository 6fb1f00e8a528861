"""A sandbox that the tests of one module share, reset before each test, and raw calls to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import pytest
from tests.sandbox.service_model import deviations
from tests.sandbox.user_pools import UserPool, boto_client

from oncegate_sandbox import Sandbox
from oncegate_sandbox._cognito import Cognito

Call = Callable[..., httpx.Response]


@pytest.fixture(autouse=True)
def conforming(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each response of a test has the shape that the service model gives it."""
    found: list[str] = []
    perform = Cognito.perform

    def checked(self: Cognito, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        response = perform(self, operation, request)
        found.extend(deviations(operation, response))
        return response

    monkeypatch.setattr(Cognito, "perform", checked)
    yield
    assert not found


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def shared(server: Sandbox) -> Sandbox:
    """The shared sandbox in the state of its seed."""
    server.reset()
    return server


@pytest.fixture
def call(shared: Sandbox) -> Iterator[Call]:
    """Call an operation of the shared sandbox, as an SDK does."""
    with httpx.Client(base_url=shared.endpoint, timeout=5, verify=False) as client:

        def post(operation: str, **request: Any) -> httpx.Response:
            target = f"AWSCognitoIdentityProviderService.{operation}"
            return client.post("/", json=request, headers={"X-Amz-Target": target})

        yield post


@pytest.fixture
def sign_in(call: Call, shared: Sandbox) -> Call:
    """Call InitiateAuth with a password."""

    def initiate(username: str = "ana", password: str = "Correct-horse-1") -> httpx.Response:
        return call(
            "InitiateAuth",
            ClientId=shared.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": password},
        )

    return initiate


@pytest.fixture
def control(shared: Sandbox) -> Iterator[httpx.Client]:
    """A client for the paths below ``/_sandbox`` of the shared sandbox."""
    with httpx.Client(base_url=f"{shared.endpoint}/_sandbox", timeout=5, verify=False) as client:
        yield client


@pytest.fixture(scope="module")
def boto(server: Sandbox) -> Any:
    """A boto3 client of the shared sandbox. Making one takes a quarter of a second."""
    return boto_client(server)


@pytest.fixture
def new_pool(shared: Sandbox, boto: Any) -> Callable[..., UserPool]:
    """Create a user pool with an app client: the arguments are those of `UserPool`."""

    def create(**settings: Any) -> UserPool:
        return UserPool(shared, boto, **settings)

    return create
