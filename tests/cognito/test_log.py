"""With every logger at DEBUG, no log has a password, a code, a session or a token."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import botocore
import pytest
from botocore.config import Config
from pydantic import SecretStr
from tests.doubles import InProcessClient

from oncegate import Factor, SignIn, SubmitCode, SubmitNewPassword, SubmitPassword
from oncegate_cognito import CognitoTransport
from oncegate_cognito._boto import unlogged
from oncegate_sandbox import DEMO_SEED, Pool, PoolSeed, Sandbox, SandboxClock, Seed, UserSeed
from oncegate_sandbox._model import service_model
from oncegate_stores import MemoryStore

LIBRARIES = ("botocore", "urllib3")
CLIENT_SECRET = "aClientSecretOfTheUsualLength0123456789"
TEMPORARY, PERMANENT = "Correct-horse-5", "Better-horse-5"
NOT_SECRET = {
    *("ClientId", "AuthFlow", "ChallengeName", "USERNAME", "USER_ID_FOR_SRP", "TIMESTAMP", "SALT"),
    *("TokenType", "CODE_DELIVERY_DELIVERY_MEDIUM", "CODE_DELIVERY_DESTINATION", "Username"),
    *("requiredAttributes", "userAttributes", "Error", "message", "AvailableChallenges"),
    *("DeliveryMedium", "AttributeName"),
}


@pytest.fixture(autouse=True)
def everything_at_debug(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in LIBRARIES]
    caplog.set_level(logging.DEBUG)
    for library, _ in before:
        library.setLevel(logging.DEBUG)
    yield
    for library, level in before:
        library.setLevel(level)


def texts_of(value: Any, name: str = "") -> Iterator[str]:
    """Return the texts in a body that are secrets, by their names."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in {*NOT_SECRET, "ResponseMetadata", "UserAttributes"}:
                yield from texts_of(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item, name)
    elif isinstance(value, str):
        yield value


class Recorded:
    """A client that records the secrets of its requests and responses."""

    def __init__(self, endpoint: str) -> None:
        config = Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
        self.client: Any = boto3.client(
            "cognito-idp", region_name="us-east-1", endpoint_url=endpoint, config=config
        )
        self.secrets: set[str] = set()
        self.operations: set[str] = set()
        self.client.meta.events.register("before-call.cognito-idp.*", self._sent)
        self.client.meta.events.register("after-call.cognito-idp.*", self._received)

    def _sent(self, model: Any, params: Any, **_: Any) -> None:
        self.operations.add(model.name)
        self.secrets.update(texts_of(json.loads(params["body"])))

    def _received(self, parsed: Any, **_: Any) -> None:
        self.secrets.update(texts_of(parsed))


def leaked(secrets: set[str], caplog: pytest.LogCaptureFixture) -> set[str]:
    """Return the secrets that are in a line of the log, or in the arguments of one."""
    log = "\n".join(f"{record.getMessage()} {record.args!r}" for record in caplog.records)
    # A code has few digits: it is not a part of a longer number, such as a time.
    return {one for one in secrets if re.search(rf"(?<![\w.]){re.escape(one)}(?!\w)", log)}


@pytest.mark.parametrize("auth_flow", ["USER_SRP_AUTH", "USER_PASSWORD_AUTH", "USER_AUTH"])
def test_no_secret_of_a_sign_in_is_in_the_log(
    auth_flow: Any, caplog: pytest.LogCaptureFixture
) -> None:
    emil = UserSeed(
        username="emil",
        password=SecretStr(TEMPORARY),
        status="FORCE_CHANGE_PASSWORD",
        phone_number="+15550001234",
        mfa=(Factor.SMS,),
    )
    seed = Seed(pool=PoolSeed(client_secret=SecretStr(CLIENT_SECRET)), users=(emil,))
    with Sandbox(seed) as sandbox:
        recorded = Recorded(sandbox.endpoint)
        transport = CognitoTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            client_secret=CLIENT_SECRET,
            auth_flow=auth_flow,
            client=recorded.client,
        )
        service_model()  # the sandbox, in this process, loads it with its first request
        caplog.clear()  # of the lines about making the client
        sign_in = SignIn(transport=transport, store=MemoryStore())
        event = SubmitPassword(username="emil", password=TEMPORARY)
        step = sign_in.send(sign_in.start(), event)
        step = sign_in.send(step, SubmitNewPassword(new_password=PERMANENT))
        step = sign_in.send(step, SubmitCode(code="000000"))
        code = sandbox.messages()[-1].code
        step = sign_in.send(step, SubmitCode(code=code))
        assert step.tokens is not None
        tokens = transport.token_service.renew(step.tokens)
        transport.token_service.check(tokens)
        transport.token_service.devices(tokens)
        transport.token_service.sign_out_everywhere(tokens)
        transport.token_service.revoke(tokens)
    assert {"InitiateAuth", "RespondToAuthChallenge", "GetTokensFromRefreshToken"} <= (
        recorded.operations
    )
    assert {PERMANENT, code, CLIENT_SECRET, tokens.access_token} <= recorded.secrets
    assert len(recorded.secrets) > 12
    assert not leaked({TEMPORARY, *recorded.secrets}, caplog)
    assert not [record.name for record in caplog.records if record.name.startswith(LIBRARIES)]


def test_calls_of_the_application_are_logged_as_before(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = Recorded(sandbox.endpoint)
    transport = CognitoTransport(
        pool_id=sandbox.pool_id, client_id=sandbox.client_id, client=recorded.client
    )
    sign_in = SignIn(transport=transport, store=MemoryStore())
    sign_in.send(sign_in.start(), SubmitPassword(username="ana", password="Correct-horse-1"))
    recorded.client.forgot_password(ClientId=sandbox.client_id, Username="the-applications-own")
    assert "the-applications-own" in leaked({"the-applications-own"}, caplog)


class Logs(InProcessClient):
    """A client that writes a line at each level, to a logger that did not exist before."""

    def __init__(self) -> None:
        super().__init__(Pool(DEMO_SEED, "http://issuer", SandboxClock()))
        self.logger = logging.getLogger("botocore")

    def _request(self, operation: str, request: Any) -> Any:
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            self.logger.log(level, "%s of %s", logging.getLevelName(level), operation)
        if "Boom" in request:
            raise RuntimeError


def test_warnings_of_a_call_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    client: Any = Logs()
    unlogged(client).get_user(AccessToken="a")
    assert caplog.messages == ["WARNING of GetUser", "ERROR of GetUser"]


def test_logger_that_is_made_after_the_client_is_filtered(caplog: pytest.LogCaptureFixture) -> None:
    client: Any = Logs()
    calls = unlogged(client)
    client.logger = logging.getLogger("urllib3.made_by_test_log")
    calls.get_user(AccessToken="a")
    assert caplog.messages == ["WARNING of GetUser", "ERROR of GetUser"]


def test_placeholder_that_becomes_a_logger_is_filtered(caplog: pytest.LogCaptureFixture) -> None:
    """It makes no new name, so that the number of loggers stays."""
    logging.getLogger("urllib3.placeholder_of_test_log.below")
    client: Any = Logs()
    calls = unlogged(client)
    calls.get_user(AccessToken="a")
    caplog.clear()
    client.logger = logging.getLogger("urllib3.placeholder_of_test_log")
    calls.get_user(AccessToken="a")
    assert caplog.messages == ["WARNING of GetUser", "ERROR of GetUser"]


def test_lines_are_logged_again_after_a_call_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    client: Any = Logs()
    calls: Any = unlogged(client)
    with pytest.raises(RuntimeError):
        calls.get_user(Boom=True)
    caplog.clear()
    client.get_user(AccessToken="a")
    assert caplog.messages[0] == "DEBUG of GetUser"
