"""Each wrong set-up that is met at run time is one line at ERROR, with Cognito's words and the cure."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import botocore.exceptions as aws
import pytest
from pydantic import SecretStr
from tests.cli.scripts import Lines
from tests.cognito.errors_table import GUIDE, table
from tests.cognito.servers import Server, tls_context
from tests.doubles import InProcessClient
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Program, Visit

from oncegate import Misconfigured, RequestContext, SignIn, SubmitPassword, Tokens, Unreachable
from oncegate.adapters import (
    CheckPassword,
    NotSent,
    Outcome,
    PasswordReset,
    Rejected,
    RejectionReason,
    SendCode,
)
from oncegate_cli import _adapters
from oncegate_cli.main import run
from oncegate_cognito import AdminCognitoTransport, CognitoTransport
from oncegate_cognito.errors import (
    CURES,
    ERRORS,
    SEND_CODE,
    SIGN_IN,
    TOKEN,
    ErrorRow,
    NeverSent,
    is_logged_as_error,
    outcome_of_error,
    outcome_of_exception,
    row_of,
    words_and_cure,
)
from oncegate_sandbox import DEMO_SEED, Pool, SandboxClock
from oncegate_stores import MemoryStore


def words_of(row: ErrorRow) -> str:
    return row.words.replace("…", "something") or "Words of Cognito’s"


PASSWORD = "Correct-horse-1"
POOL: dict[str, Any] = {"pool_id": "us-east-1_Pool1", "client_id": "client1"}
WRONG = [row for row in ERRORS if row.means is RejectionReason.MISCONFIGURED]
OF_SIGN_IN = [row for row in WRONG if row_of(row.code, words_of(row), 400, SIGN_IN) is row]
OF_TOKENS = [row for row in WRONG if row_of(row.code, words_of(row), 400, TOKEN) is row]
TOLD_OTHERWISE = [row for row in ERRORS if is_logged_as_error(row) and row not in WRONG]


class Refusing(InProcessClient):
    """A boto3 client without a network, to which one operation is refused."""

    def __init__(self, operation: str, failure: Exception) -> None:
        super().__init__(Pool(DEMO_SEED, "http://issuer", SandboxClock()))
        self._operation, self._failure = operation, failure

    def _request(self, operation: str, request: Mapping[str, Any]) -> Any:
        if operation == self._operation:
            raise self._failure
        return super()._request(operation, request)


def refused(operation: str, row: ErrorRow, **settings: Any) -> CognitoTransport:
    """Return a transport to which an operation is refused in the words of a row."""
    error: Any = {"Error": {"Code": row.code, "Message": words_of(row)}}
    client: Any = Refusing(operation, aws.ClientError(error, operation))
    return CognitoTransport(
        **{**POOL, "auth_flow": "USER_PASSWORD_AUTH", **settings}, client=client
    )


def name_of(row: ErrorRow) -> str:
    return f"{row.code} {row.words}"


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines at ERROR, which have no secret."""
    lines = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert PASSWORD not in caplog.text
    return lines


def check_line(lines: list[str], row: ErrorRow) -> None:
    (line,) = lines
    assert row.code in line
    assert words_of(row) in line.encode().decode("unicode_escape") or words_of(row) in line
    assert row.cure in line


# ── the table ──


@pytest.mark.parametrize("row", WRONG, ids=name_of)
def test_row_for_the_developer_has_a_cure(row: ErrorRow) -> None:
    assert row.cure


def test_table_of_the_guide_is_up_to_date() -> None:
    """`python -m tests.cognito.errors_table` renews it."""
    assert table() in GUIDE.read_text("utf-8")
    assert all(f"| {row.cure} |" in table() for row in WRONG)


def test_outcome_outside_the_table_has_a_cure() -> None:
    outcomes = [
        outcome_of_error("BrandNewException", "x", 400),
        outcome_of_error("404", "<html>", 404),
        outcome_of_exception(aws.ParamValidationError(report="Invalid length for Username")),
        outcome_of_exception(aws.NoCredentialsError()),
    ]
    for outcome in outcomes:
        assert isinstance(outcome, Rejected)
        assert outcome.reason is RejectionReason.MISCONFIGURED
        words, cure = words_and_cure(outcome.detail)
        assert words
        assert cure in CURES


def test_detail_without_a_cure_is_words_alone() -> None:
    assert words_and_cure("CodeMismatchException: (see this)") == (
        "CodeMismatchException: (see this)",
        "",
    )


# ── through the pages, the API and the CLI ──


class Shell:
    """One user of the command."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def sign_in(self, transport: CognitoTransport) -> str:
        self._monkeypatch.setattr(_adapters, "cognito_transport", lambda *_, **__: transport)
        self._monkeypatch.setattr(sys, "stdin", Lines("ana", PASSWORD))
        arguments = ["signin", "--pool-id", "us-east-1_Pool1", "--client-id", "client1"]
        assert run(arguments) != 0
        shown = self._capsys.readouterr()
        return str(shown.out + shown.err)


def at_web(interface: Callable[[Any], Any]) -> Callable[[CognitoTransport], str]:
    def sign_in(transport: CognitoTransport) -> str:
        with client_of("flask", web_for(transport, listeners=None)) as client:
            user = interface(client)
            user.open()
            assert user.say("submit_password", username="ana", password=PASSWORD) == "failed"
            return str(user.shown())

    return sign_in


@pytest.fixture(params=["pages", "api", "cli"])
def sign_in(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Callable[[CognitoTransport], str]:
    interfaces: dict[str, Callable[[CognitoTransport], str]] = {
        "pages": at_web(Visit),
        "api": at_web(Program),
        "cli": Shell(monkeypatch, capsys).sign_in,
    }
    return interfaces[request.param]


@pytest.mark.parametrize("row", OF_SIGN_IN, ids=name_of)
def test_wrong_set_up_is_one_error_with_words_and_cure(
    row: ErrorRow, sign_in: Callable[[CognitoTransport], str], caplog: pytest.LogCaptureFixture
) -> None:
    shown = sign_in(refused("InitiateAuth", row))
    check_line(errors(caplog), row)
    assert "Sign-in isn’t working right now" in shown
    assert row.code not in shown, "the user is not told"
    assert row.cure not in shown


@pytest.mark.parametrize("row", OF_TOKENS, ids=name_of)
@pytest.mark.parametrize("operation", ["get_tokens_from_refresh_token", "revoke_token"])
def test_wrong_set_up_met_by_a_session_is_one_error_with_words_and_cure(
    row: ErrorRow, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = "".join(word.capitalize() for word in operation.split("_"))
    service = refused(name, row).token_service
    tokens = Tokens(access_token="access", refresh_token="refresh")
    with pytest.raises(Misconfigured):
        (service.renew if name != "RevokeToken" else service.revoke)(tokens)
    check_line(errors(caplog), row)


# ── causes that the flow tells in other words ──


def test_causes_that_are_told_otherwise_are_these() -> None:
    assert {(row.code, row.means) for row in TOLD_OTHERWISE} == {
        ("InvalidParameterException", RejectionReason.ADMINISTRATOR_MUST_ACT),
        ("InvalidSmsRoleAccessPolicyException", RejectionReason.ADMINISTRATOR_MUST_ACT),
        ("InvalidSmsRoleTrustRelationshipException", RejectionReason.ADMINISTRATOR_MUST_ACT),
        ("InvalidEmailRoleAccessPolicyException", RejectionReason.ADMINISTRATOR_MUST_ACT),
        ("CodeDeliveryFailureException", RejectionReason.ADMINISTRATOR_MUST_ACT),
        ("CodeDeliveryFailureException", "unknown"),
        ("LimitExceededException", "limit_exceeded"),
        ("UnexpectedLambdaException", RejectionReason.TRIGGER_REFUSED),
        ("InvalidLambdaResponseException", RejectionReason.TRIGGER_REFUSED),
    }


@pytest.mark.parametrize("row", TOLD_OTHERWISE, ids=name_of)
def test_wrong_set_up_that_is_told_otherwise_is_an_error_too(
    row: ErrorRow, caplog: pytest.LogCaptureFixture
) -> None:
    is_reset = SEND_CODE in row.calls
    transport = refused("ForgotPassword" if is_reset else "InitiateAuth", row)
    for _ in range(3):
        outcome = _perform(transport, _reset() if is_reset else _password())
        assert getattr(outcome, "reason", "") is not RejectionReason.MISCONFIGURED
    check_line(errors(caplog), row)


def test_cause_is_logged_again_after_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("oncegate_cognito._set_up_log.time.monotonic", lambda: now[0])
    transport = refused("InitiateAuth", TOLD_OTHERWISE[-1])
    for at in (1000.0, 1059.0, 1060.0):
        now[0] = at
        transport._app.set_up_log.report("CheckPassword", _set_up_outcome())
    assert len(errors(caplog)) == 2


def test_outcome_of_a_user_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    users = [row for row in ERRORS if row not in [*WRONG, *TOLD_OTHERWISE] and not row.calls]
    assert len(users) > 20
    for row in users:
        _perform(refused("InitiateAuth", row), _password())
    assert errors(caplog) == []


def test_unknown_host_is_an_error_with_the_cure(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    transport = CognitoTransport(**POOL)
    sign_in = SignIn(transport=transport, store=MemoryStore())
    step = sign_in.send(sign_in.start(), SubmitPassword(username="ana", password=PASSWORD))
    assert step.message is not None
    assert step.message.code == "unreachable"
    (line,) = errors(caplog)
    assert "https://cognito-idp.us-east-1.amazonaws.com" in line
    assert "the host name is not known: check the region in pool_id=" in line
    assert "EndpointConnectionError" in line
    with pytest.raises(Unreachable):
        transport.token_service.renew(Tokens(access_token="a", refresh_token="r"))
    assert len(errors(caplog)) == 1, "the same cause, within a minute"


def test_untrusted_certificate_is_an_error_with_the_cure(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    context, _ = tls_context(tmp_path)

    def serve(connection: Any) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    server = Server(serve)
    try:
        transport = CognitoTransport(
            **POOL, endpoint_url=server.endpoint.replace("http:", "https:")
        )
        assert isinstance(_perform(transport, _password()), NotSent)
    finally:
        server.close()
    (line,) = errors(caplog)
    assert "AWS_CA_BUNDLE" in line


def test_proxy_that_is_wrong_for_a_session_is_an_error_with_the_cure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client: Any = Refusing(
        "GetTokensFromRefreshToken", aws.ProxyConnectionError(proxy_url="", error="")
    )
    service = CognitoTransport(**POOL, client=client).token_service
    for _ in range(2):
        with pytest.raises(Unreachable):
            service.renew(Tokens(access_token="a", refresh_token="r"))
    (line,) = errors(caplog)
    assert "HTTPS_PROXY" in line


@pytest.mark.parametrize(
    ("failure", "cure"),
    [
        (NeverSent(cause="no credentials: TimeoutError"), "AWS credentials"),
        (aws.CredentialRetrievalError(provider="p", error_msg="e"), "AWS credentials"),
        (aws.ProxyConnectionError(proxy_url="http://user:hunter22@proxy", error=""), "HTTPS_PROXY"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_request_that_cannot_leave_by_the_set_up_is_an_error(
    failure: Exception, cure: str, caplog: pytest.LogCaptureFixture
) -> None:
    client: Any = Refusing("InitiateAuth", failure)
    transport = CognitoTransport(**POOL, client=client)
    assert isinstance(_perform(transport, _password()), NotSent)
    (line,) = errors(caplog)
    assert cure in line
    assert "hunter22" not in line


def test_missing_credentials_are_one_error_of_the_flow(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    sign_in = SignIn(transport=AdminCognitoTransport(**POOL), store=MemoryStore())
    step = sign_in.send(sign_in.start(), SubmitPassword(username="ana", password=PASSWORD))
    assert step.message is not None
    assert step.message.code == "misconfigured"
    (line,) = errors(caplog)
    assert "NoCredentialsError" in line
    assert "check the AWS credentials of this process" in line


@pytest.mark.parametrize(
    "failure",
    [
        aws.EndpointConnectionError(endpoint_url="https://x"),
        aws.ReadTimeoutError(endpoint_url="https://x"),
    ],
)
def test_outage_is_no_error(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    client: Any = Refusing("InitiateAuth", failure)
    _perform(CognitoTransport(**POOL, client=client), _password())
    assert errors(caplog) == []


def _password() -> CheckPassword:
    return CheckPassword(username="ana", password=SecretStr(PASSWORD))


def _reset() -> SendCode:
    return SendCode(challenge=PasswordReset(username="ana"))


def _perform(transport: CognitoTransport, call: Any) -> Outcome:
    return transport.perform(call, RequestContext())


def _set_up_outcome() -> Outcome:
    row = next(row for row in TOLD_OTHERWISE if row.code == "UnexpectedLambdaException")
    return outcome_of_error(row.code, "words", 400)
