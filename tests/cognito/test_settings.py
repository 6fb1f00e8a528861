"""Settings that are missing or wrong fail when the transport is made, with what to do about it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tests.cognito.conftest import DropsEverything, Perform
from tests.cognito.servers import Server, tls_context
from tests.cognito.wire import RecordedClient

from oncegate import InvalidToken, Misconfigured, RequestContext, Tokens, Unreachable
from oncegate.adapters import CheckPassword, NotSent, Rejected, RejectionReason
from oncegate_cognito import AdminCognitoTransport, CognitoTransport, TokenVerifier
from oncegate_cognito._boto import make_client

CALL = CheckPassword(username="ana", password=SecretStr("x"))
POOL: dict[str, Any] = {"pool_id": "us-east-1_Pool1", "client_id": "client1"}
KINDS = [CognitoTransport, AdminCognitoTransport]


@pytest.fixture(autouse=True)
def without_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what this machine may have: credentials, profiles, configuration."""
    for name in (
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


# ── the app client ──


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("secret", ["", SecretStr("")])
def test_empty_secret_is_misconfigured(kind: type[CognitoTransport], secret: Any) -> None:
    """Case 14: an unset variable; an HMAC with an empty key is never right."""
    with pytest.raises(Misconfigured, match=r"client_secret is empty.*variable.*pass None"):
        kind(**POOL, client_secret=secret)


@pytest.mark.parametrize("secret", ["s3cret\n", " s3cret", 7, b"s3cret", "s3cret\ud83d"])
def test_malformed_secret_is_misconfigured_and_not_quoted(secret: Any) -> None:
    with pytest.raises(Misconfigured, match="client_secret") as error:
        CognitoTransport(**POOL, client_secret=secret)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("name", ["pool_id", "client_id"])
@pytest.mark.parametrize("value", [None, "", 7, "not/an/id"])
def test_missing_or_malformed_id_is_misconfigured(name: str, value: Any) -> None:
    settings = {**POOL, name: value}
    for make in (*KINDS, TokenVerifier):
        with pytest.raises(Misconfigured, match=name):
            make(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"call_timeout": None},
        {"call_timeout": 0},
        {"call_timeout": math.nan},
        {"token_timeout": 26},
        {"connect_timeout": None},
        {"read_timeout": -1},
        {"auth_session_minutes": None},
        {"totp_issuer": ""},
        {"device_name": ""},
        {"device_name": "x" * 1025},
        {"region": ""},
        {"region": "eu-west-1.example"},
        {"region": "us-east-1a"},  # an availability zone
        {"region": "nowhere"},
        {"region": "Frankfurt"},
        {"issuer": "nope"},
        {"issuer": "https://"},
        {"issuer": 7},
        {"client_metadata": {"tenant": 7}},
        {"client_metadata": ["tenant"]},
        {"language_key": ""},
        {"send_source_address": "yes"},
        {"analytics_endpoint_id": ""},
        {"force_alias_creation": "no"},
        {"acr_values": 7},
        {"max_age": "60"},
        {"max_age": -1},
        {"leeway": None},
        {"leeway": -1},
    ],
    ids=str,
)
def test_invalid_setting_is_misconfigured_by_name(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(Misconfigured, match=name):
        CognitoTransport(**POOL, **settings)


@pytest.mark.parametrize(
    "settings",
    [{"leeway": -1}, {"timeout": None}, {"keys_for": 0}, {"region": "EU WEST"}, {"region": 7}],
    ids=str,
)
def test_invalid_setting_of_a_verifier_is_misconfigured_by_name(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(Misconfigured, match=name):
        TokenVerifier(**POOL, **settings)


# ── the endpoint ──


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "url", ["localhost:9300", "cognito.example", "//localhost", 7, "http://a:b"]
)
def test_endpoint_without_a_scheme_or_host_is_misconfigured(url: Any, allowed: bool) -> None:
    for make in (*KINDS, TokenVerifier):
        with pytest.raises(Misconfigured, match="endpoint"):
            make(**POOL, endpoint_url=url, allow_insecure_endpoint=allowed)


@pytest.mark.parametrize("allowed", [False, True])
def test_endpoint_without_a_scheme_in_the_environment_is_misconfigured(
    allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "user:hunter2@localhost:9300")
    with pytest.raises(Misconfigured, match="AWS_ENDPOINT_URL") as error:
        CognitoTransport(**POOL, allow_insecure_endpoint=allowed)
    assert "hunter2" not in str(error.value)


def test_region_decides_where_requests_go() -> None:
    client = make_client("eu-central-1", None, connect_timeout=1, read_timeout=1)
    assert client.meta.endpoint_url == "https://cognito-idp.eu-central-1.amazonaws.com"
    transport = CognitoTransport(**POOL, region="eu-central-1")
    assert transport._app.boto.meta.region_name == "eu-central-1"
    assert CognitoTransport(**POOL)._app.boto.meta.region_name == "us-east-1"


# ── the AWS configuration ──


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_public_client_needs_no_profile(
    name: str, monkeypatch: pytest.MonkeyPatch, dropping: DropsEverything, perform: Perform
) -> None:
    """Case 15: the public operations are not signed."""
    monkeypatch.setenv(name, "nosuch")
    perform(CognitoTransport(**POOL, endpoint_url=dropping.endpoint), CALL)
    assert dropping.requests == 1


@pytest.mark.parametrize(
    "config",
    [
        "[profile mine\nregion",  # not closed
        "[profile other]\nregion = eu-west-1\n",
        "[profile mine]\nsso_session = nosuch\nsso_account_id = 1\nsso_role_name = x\n",
        "[profile mine]\nsource_profile = nosuch\nrole_arn = arn:aws:iam::1:role/x\n",
        "[profile mine]\ncredential_process = /no/such/program\n",
        "[profile mine]\ncredential_process = echo no-json\n",
    ],
)
def test_public_client_needs_no_configuration_that_can_be_used(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_PROFILE", "mine")
    CognitoTransport(**POOL)
    with pytest.raises(Misconfigured, match="AWS configuration"):
        AdminCognitoTransport(**POOL)


def test_profile_that_exists_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("[profile mine]\nendpoint_url = https://cognito.example\n")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    transport = CognitoTransport(**POOL)
    assert transport._app.boto.meta.endpoint_url == "https://cognito.example"


def test_admin_client_names_the_profile_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    with pytest.raises(Misconfigured, match="nosuch"):
        AdminCognitoTransport(**POOL)


def test_admin_client_with_half_of_the_credentials_is_misconfigured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    CognitoTransport(**POOL)
    with pytest.raises(Misconfigured, match="AWS_SECRET_ACCESS_KEY"):
        AdminCognitoTransport(**POOL)


def test_admin_client_without_credentials_sends_nothing(
    dropping: DropsEverything, perform: Perform
) -> None:
    """Case 20."""
    transport = AdminCognitoTransport(**POOL, endpoint_url=dropping.endpoint)
    outcome = perform(transport, CALL)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is RejectionReason.MISCONFIGURED
    assert "credentials" in outcome.detail
    assert dropping.requests == 0


def test_admin_client_with_credentials_signs_for_the_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    client = RecordedClient(signed=True, region="eu-central-1")
    transport = AdminCognitoTransport(**POOL, client=client.boto)
    transport.perform(CALL, RequestContext())
    assert "/eu-central-1/cognito-idp/aws4_request" in client.sent[0].headers["authorization"]


@pytest.mark.parametrize(
    "code",
    [
        *("UnrecognizedClientException", "ExpiredTokenException", "AccessDeniedException"),
        *("InvalidSignatureException", "IncompleteSignatureException"),
    ],
)
def test_credentials_that_aws_refuses_are_misconfigured(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's password is not told as wrong, and the session does not end."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    refused = {"__type": code, "message": "The security token included in the request is invalid."}
    client = RecordedClient(
        signed=True, AdminInitiateAuth=refused, GetTokensFromRefreshToken=refused
    )
    transport = AdminCognitoTransport(**POOL, client=client.boto, auth_flow="USER_PASSWORD_AUTH")
    outcome = transport.perform(CALL, RequestContext())
    assert isinstance(outcome, Rejected)
    assert outcome.reason is RejectionReason.MISCONFIGURED
    assert "credentials" in outcome.detail
    with pytest.raises((Misconfigured, Unreachable)):
        transport.token_service.renew(Tokens(access_token="a", refresh_token="r"))
    assert len(client.sent) == 2


# ── TLS ──


@pytest.fixture
def untrusted(tmp_path: Path) -> Any:
    """A server whose certificate no client trusts. It records what it receives within TLS."""
    context, _ = tls_context(tmp_path)

    def serve(connection: Any) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            server.read_request(secured)

    server = Server(serve)
    server.endpoint = server.endpoint.replace("http:", "https:")
    yield server
    server.close()


@pytest.mark.parametrize("kind", KINDS)
def test_untrusted_certificate_is_not_sent(
    kind: type[CognitoTransport],
    untrusted: Server,
    perform: Perform,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    transport = kind(**POOL, endpoint_url=untrusted.endpoint)
    outcome = perform(transport, CALL)
    assert isinstance(outcome, NotSent)
    assert outcome.cause == "unreachable"
    assert outcome.detail.startswith("NeverSent: SSLCertVerificationError (trust the certificate")
    with pytest.raises(Unreachable):
        transport.token_service.renew(Tokens(access_token="a", refresh_token="r"))
    with pytest.raises((Unreachable, InvalidToken)):
        transport.token_service.verify("a.b.c")
    assert untrusted.requests == 0


def test_certificates_that_do_not_exist_are_misconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/bundle.pem")
    for make in (CognitoTransport, TokenVerifier):
        with pytest.raises(Misconfigured, match="AWS_CA_BUNDLE"):
            make(**POOL)


@pytest.mark.parametrize("proxy", ["nonsense", "http://", "ftp://localhost:1"])
def test_proxy_that_is_no_url_sends_nothing(
    proxy: str, untrusted: Server, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "")
    outcome = perform(CognitoTransport(**POOL, endpoint_url=untrusted.endpoint), CALL)
    assert isinstance(outcome, NotSent)
    assert untrusted.requests == 0


@pytest.mark.parametrize("issuer", ["nope", "cognito.example/pool", "https://", "ftp://a/b"])
def test_issuer_that_is_no_url_is_misconfigured_although_a_local_cognito_has_the_keys(
    issuer: str,
) -> None:
    for make in (*KINDS, TokenVerifier):
        with pytest.raises(Misconfigured, match="issuer has to be a URL"):
            make(**POOL, endpoint_url="http://localhost:9300", issuer=issuer)


def test_pool_without_a_region_is_refused_unless_the_region_is_given() -> None:
    with pytest.raises(Misconfigured, match="pool_id has to begin with an AWS region"):
        CognitoTransport(**{**POOL, "pool_id": "EU-WEST-1_Pool1"})
    CognitoTransport(**{**POOL, "pool_id": "emulated_Pool1"}, region="us-east-1")
