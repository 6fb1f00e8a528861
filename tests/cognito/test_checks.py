"""`CognitoTransport.check`: each wrong set-up is one finding with its cure, and no code is sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cognito.servers import Server, tls_context
from tests.cognito.wire import RecordedClient
from tests.servers import free_port

from oncegate import Misconfigured, Provider, SignUpForm, WaysIn
from oncegate.adapters import Finding
from oncegate_cognito import AdminCognitoTransport, CognitoTransport, ManagedLogin, TokenVerifier
from oncegate_cognito._boto import make_client
from oncegate_cognito._checks import check_keys
from oncegate_cognito.pool import check_pool, read_pool
from oncegate_otel import MeteredTransport
from oncegate_sandbox import DEMO_SEED, Fault, PoolSeed, Sandbox, Seed

SECRET = "aClientSecretOfTheUsualLength0123456789"
CALLBACK = "https://app.example.com/auth/callback"
LOGOUT = "https://app.example.com/"
WITHOUT_USER_SCOPE = ("openid", "email", "profile")


class At:
    """A sandbox, and transports to it."""

    def __init__(self, **pool: Any) -> None:
        self.sandbox = Sandbox(Seed(pool=PoolSeed.model_validate(pool), users=DEMO_SEED.users))

    def __enter__(self) -> At:
        self.sandbox.__enter__()
        self._boto = make_client(
            "us-east-1", self.sandbox.endpoint, connect_timeout=3, read_timeout=15
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._boto.close()
        self.sandbox.__exit__(None, None, None)

    def transport(self, kind: Any = CognitoTransport, **settings: Any) -> Any:
        at = {
            "pool_id": self.sandbox.pool_id,
            "client_id": self.sandbox.client_id,
            "endpoint_url": self.sandbox.endpoint,
            # Shared: making one takes longer than the checks.
            "client": self._boto if kind is CognitoTransport else None,
        }
        return kind(**{**at, **settings})

    def check(self, **settings: Any) -> dict[str, Finding]:
        """Check a transport; nothing may have been sent."""
        self.sandbox.reset()
        found: list[Finding] = self.transport(**settings).check()
        assert self.sandbox.messages() == ()
        assert "RespondToAuthChallenge" not in self.sandbox.calls()
        assert all(finding.cure for finding in found if finding.status != "ok"), found
        failed = [finding.check for finding in found if finding.status == "failed"]
        assert len(set(failed)) == len(failed), "one cause is one finding"
        assert SECRET not in str(found)
        return {finding.check: finding for finding in found}

    def login(self, **settings: Any) -> ManagedLogin:
        return ManagedLogin(
            **{"domain": self.sandbox.endpoint, "redirect_uri": CALLBACK, **settings}
        )


def not_ok(found: dict[str, Finding]) -> list[tuple[str, str]]:
    """Return what is not well, without the clock: on a busy machine, an answer takes seconds."""
    others = [one for one in found.values() if one.check != "clock"]
    return [(one.check, one.status) for one in others if one.status != "ok"]


@pytest.fixture(scope="module")
def public() -> Iterator[At]:
    with At(callback_urls=(CALLBACK,), logout_urls=(LOGOUT,), providers=("Google",)) as at:
        yield at


@pytest.fixture(scope="module")
def confidential() -> Iterator[At]:
    with At(
        client_id="confidential",
        client_secret=SECRET,
        auth_flows=("ALLOW_USER_SRP_AUTH",),
        prevent_user_existence_errors=False,
        oauth_scopes=WITHOUT_USER_SCOPE,
    ) as at:
        yield at


@pytest.fixture(autouse=True)
def no_fault_remains(public: At) -> Iterator[None]:
    yield
    public.sandbox.reset()


# ── the pool and the app client ──


@pytest.mark.parametrize("flow", ["USER_SRP_AUTH", "USER_PASSWORD_AUTH", "USER_AUTH"])
def test_working_set_up_is_ok(public: At, flow: str) -> None:
    found = public.check(auth_flow=flow)
    assert not_ok(found) == []
    assert found.keys() == {
        *("user pool", "clock", "app client", "user existence", "token revocation"),
    }


def test_pool_that_does_not_exist_fails(public: At) -> None:
    found = public.check(pool_id="us-east-1_Missing01")
    assert not_ok(found) == [("user pool", "failed")]
    assert "user pool ID" in found["user pool"].cure
    assert public.sandbox.calls() == {}, "what depends on it is not tried"


def test_client_that_does_not_exist_fails_with_the_words_of_cognito(public: At) -> None:
    found = public.check(client_id="nosuchclient")
    assert not_ok(found) == [("app client", "failed")]
    assert found["app client"].text.startswith("ResourceNotFoundException: ")
    assert "RevokeToken" not in public.sandbox.calls(), "what depends on it is not tried"
    assert "app client ID" in found["app client"].cure


@pytest.mark.parametrize(
    ("given", "words", "cure"),
    [
        (None, "SECRET_HASH was not received", "this app client has a secret: pass client_secret="),
        (
            "another" + SECRET,
            "Unable to verify secret hash",
            "is not the secret of this app client",
        ),
    ],
    ids=["missing", "wrong"],
)
def test_secret_that_is_missing_or_wrong_fails(
    confidential: At, given: str | None, words: str, cure: str
) -> None:
    found = confidential.check(client_secret=given)
    assert not_ok(found) == [("app client", "failed")]
    assert words in found["app client"].text
    assert cure in found["app client"].cure
    assert cure not in found["app client"].text


def test_secret_of_a_client_without_one_fails(public: At) -> None:
    found = public.check(client_secret=SECRET)
    assert not_ok(found) == [("app client", "failed")]
    assert "has no secret" in found["app client"].cure


@pytest.mark.parametrize("flow", ["USER_PASSWORD_AUTH", "USER_AUTH", "CUSTOM_AUTH"])
def test_flow_that_is_not_allowed_fails(confidential: At, flow: str) -> None:
    found = confidential.check(client_secret=SECRET, auth_flow=flow)
    assert ("app client", "failed") in not_ok(found)
    assert "ExplicitAuthFlows" in found["app client"].cure


def test_client_that_tells_who_exists_is_a_warning(confidential: At) -> None:
    found = confidential.check(client_secret=SECRET)
    assert not_ok(found) == [("user existence", "warning")]
    assert "PreventUserExistenceErrors" in found["user existence"].cure


def test_client_that_cannot_revoke_tokens_is_a_warning(public: At) -> None:
    public.sandbox.reset()
    transport = public.transport()
    public.sandbox.order(
        Fault(operation="RevokeToken", kind="error", code="UnsupportedOperationException")
    )
    (found,) = (one for one in transport.check() if one.check == "token revocation")
    assert found.status == "warning"
    assert "EnableTokenRevocation" in found.cure


@pytest.mark.parametrize("kind", ["waf", "http_500", "throttle"])
def test_revocation_that_cannot_be_seen_is_left_out(public: At, kind: Any) -> None:
    public.sandbox.reset()
    public.sandbox.order(Fault(operation="RevokeToken", kind=kind))
    found = public.transport().check()
    assert "token revocation" not in {one.check for one in found}
    assert all(one.status == "ok" for one in found)


@pytest.mark.parametrize(
    ("fault", "status", "cure"),
    [
        ({"kind": "waf"}, "failed", "web ACL"),
        ({"kind": "throttle"}, "failed", "try again later"),
        ({"kind": "drop_response"}, "failed", "try again later"),
        ({"kind": "error", "code": "UserLambdaValidationException"}, "warning", "Lambda"),
        ({"kind": "error", "code": "UnexpectedLambdaException"}, "warning", "Lambda"),
    ],
    ids=str,
)
def test_client_that_refuses_or_does_not_answer_is_a_finding_with_a_cure(
    public: At, fault: dict[str, Any], status: str, cure: str
) -> None:
    public.sandbox.reset()
    public.sandbox.order(Fault(operation="InitiateAuth", times=9, **fault))
    (found,) = (one for one in public.transport().check() if one.check == "app client")
    assert found.status == status
    assert cure in found.cure


def test_check_leaves_no_line_in_the_log(
    confidential: At, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "oncegate"):
        confidential.check()
    assert not [record for record in caplog.records if record.name == "oncegate"]


def test_metered_transport_passes_the_check_on(public: At) -> None:
    found = MeteredTransport(public.transport()).check()
    assert found[0].check == "user pool"


def test_admin_transport_without_credentials_fails_with_the_cure(
    public: At, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _take_away_credentials(monkeypatch, tmp_path)
    found = public.check(kind=AdminCognitoTransport)
    assert not_ok(found) == [("app client", "failed")]
    assert "AWS credentials" in found["app client"].cure


def test_unforeseen_failure_is_a_finding(public: At, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("a defect")

    transport = public.transport()
    monkeypatch.setattr(transport._app.boto._client, "revoke_token", fail)
    found = {one.check: one for one in transport.check()}
    assert found["token revocation"].status == "failed"
    assert "RuntimeError" in found["token revocation"].text
    assert "a defect" not in found["token revocation"].text


# ── reaching Cognito ──


def test_cognito_that_refuses_connections_fails_with_what_to_open() -> None:
    found = check_pool("us-east-1_Pool1", endpoint_url=f"http://127.0.0.1:{free_port()}")
    (finding,) = found
    assert finding.text == "no answer (ConnectionRefusedError)"
    assert "allow HTTPS to 127.0.0.1" in finding.cure


def test_certificate_that_is_not_trusted_fails(tmp_path: Path) -> None:
    context, _ = tls_context(tmp_path)

    def serve(connection: Any) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    server = Server(serve)
    try:
        (finding,) = check_pool(
            "us-east-1_Pool1", endpoint_url=server.endpoint.replace("http:", "https:")
        )
    finally:
        server.close()
    assert finding.status == "failed"
    assert "SSLCertVerificationError" in finding.text
    assert "AWS_CA_BUNDLE" in finding.cure


def test_keys_of_either_issuer_are_enough(public: At) -> None:
    own = TokenVerifier(
        pool_id=public.sandbox.pool_id, client_id="c", endpoint_url=public.sandbox.endpoint
    ).keys_urls
    nowhere = f"http://127.0.0.1:{free_port()}/keys"
    for urls in ((nowhere, *own), (*own, nowhere)):
        assert [one.status for one in check_keys(urls)] == ["ok", "ok"]
    assert [one.status for one in check_keys((nowhere,))] == ["failed"]


def test_both_issuers_of_a_pool_at_aws_are_asked() -> None:
    verifier = TokenVerifier(pool_id="eu-west-1_Pool1", client_id="c")
    assert verifier.keys_urls == (
        "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool1/.well-known/jwks.json",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool1/.well-known/jwks.json",
    )


def test_malformed_pool_id_is_misconfigured() -> None:
    with pytest.raises(Misconfigured, match="pool_id"):
        check_pool("nope")


# ── managed login ──


@pytest.mark.parametrize("providers", [(), ("Google",)], ids=["chooser", "provider"])
def test_working_managed_login_is_ok(public: At, providers: tuple[str, ...]) -> None:
    ways_in = WaysIn(providers=tuple(Provider(name=name) for name in providers))
    found = public.check(managed_login=public.login(logout_uri=LOGOUT), ways_in=ways_in)
    assert not_ok(found) == []
    assert {"managed login", "logout_uri"} <= found.keys()
    assert public.sandbox.calls()["oauth2/authorize"] == 1


@pytest.mark.parametrize(
    ("settings", "check", "words", "cure"),
    [
        (
            {"redirect_uri": "https://app.example.com/callback"},
            "redirect_uri",
            "redirect_mismatch",
            "add https://app.example.com/callback to the app client's CallbackURLs",
        ),
        (
            {"logout_uri": "https://app.example.com/bye"},
            "logout_uri",
            "redirect_mismatch",
            "add https://app.example.com/bye to the app client's LogoutURLs",
        ),
        (
            {"scopes": ("openid", "aws.cognito.signin.user.admin", "orders/read")},
            "scopes",
            "invalid_scope",
            "AllowedOAuthScopes: openid aws.cognito.signin.user.admin orders/read",
        ),
    ],
    ids=["redirect_uri", "logout_uri", "scopes"],
)
def test_url_or_scope_that_is_not_registered_fails(
    public: At, settings: dict[str, Any], check: str, words: str, cure: str
) -> None:
    found = public.check(managed_login=public.login(**settings))
    assert not_ok(found) == [(check, "failed")]
    assert words in found[check].text
    assert cure in found[check].cure


def test_provider_that_the_client_may_not_use_fails_and_the_others_are_checked(public: At) -> None:
    names = ("Facebook", "Google")
    found = public.check(
        managed_login=public.login(),
        ways_in=WaysIn(providers=tuple(Provider(name=name) for name in names)),
    )
    assert not_ok(found) == [("provider Facebook", "failed")]
    assert "add Facebook to the app client's SupportedIdentityProviders" in (
        found["provider Facebook"].cure
    )
    assert found["managed login"].text == "takes users to Google"


def test_client_of_another_domain_fails(public: At, confidential: At) -> None:
    """The domain of another pool does not know the app client."""
    login = ManagedLogin(domain=public.sandbox.endpoint, redirect_uri=CALLBACK)
    found = confidential.check(client_secret=SECRET, managed_login=login)
    assert ("managed login", "failed") in not_ok(found)
    assert "check that the domain of ManagedLogin is that of" in found["managed login"].cure


@pytest.mark.parametrize(
    ("location", "check", "cure"),
    [
        ("/error?error=invalid_request&client_id=c", "managed login", "domain of ManagedLogin"),
        (
            f"{CALLBACK}?error_description=Client+is+not+enabled+for+OAuth2.0+flows."
            "&error=invalid_request",
            "managed login",
            "AllowedOAuthFlowsUserPoolClient",
        ),
        (f"{CALLBACK}?error=unauthorized_client", "managed login", "AllowedOAuthFlows"),
        ("https://accounts.google.com/o/oauth2/v2/auth?client_id=x", "managed login", ""),
        ("/login?client_id=c", "managed login", ""),
    ],
)
def test_answer_of_the_domain_is_understood(
    public: At, monkeypatch: pytest.MonkeyPatch, location: str, check: str, cure: str
) -> None:
    found = _with_answer(public, monkeypatch, 302, location)
    assert found[check].status == ("failed" if cure else "ok")
    assert cure in found[check].cure


@pytest.mark.parametrize(
    ("status", "cure"), [(404, "serves no managed login"), (503, "try again later")]
)
def test_domain_that_answers_with_an_error_status_fails(
    public: At, monkeypatch: pytest.MonkeyPatch, status: int, cure: str
) -> None:
    found = _with_answer(public, monkeypatch, status, "")
    assert found["managed login"].text == f"HTTP {status}"
    assert cure in found["managed login"].cure


def test_domain_that_does_not_answer_fails_once(public: At) -> None:
    found = public.check(
        managed_login=ManagedLogin(f"http://127.0.0.1:{free_port()}", CALLBACK, logout_uri=LOGOUT),
        ways_in=WaysIn(providers=(Provider(name="Google"), Provider(name="Facebook"))),
    )
    assert ("managed login", "failed") in not_ok(found)
    assert "no answer" in found["managed login"].text
    assert "allow HTTPS to 127.0.0.1" in found["managed login"].cure
    assert "logout_uri" not in found, "what depends on it is not tried"


def test_scopes_without_that_of_the_api_are_a_warning(confidential: At) -> None:
    login = ManagedLogin(
        confidential.sandbox.endpoint, "http://localhost/auth/callback", scopes=WITHOUT_USER_SCOPE
    )
    found = confidential.check(client_secret=SECRET, managed_login=login)
    assert found["managed login"].status == "ok"
    assert found["session checks"].status == "warning"
    assert "aws.cognito.signin.user.admin" in found["session checks"].cure


def _with_answer(
    at: At, monkeypatch: pytest.MonkeyPatch, status: int, location: str
) -> dict[str, Finding]:
    transport = at.transport(managed_login=at.login())
    monkeypatch.setattr(
        transport._app.managed_login, "redirect_of", lambda _url: (status, location)
    )
    return {one.check: one for one in transport.check()}


# ── the settings, read with credentials ──


def _take_away_credentials(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-access-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def read(at: At, **settings: Any) -> dict[str, Finding]:
    found = at.transport(**settings).check(read_pool=True)
    assert all(finding.cure for finding in found if finding.status != "ok"), found
    return {finding.check: finding for finding in found}


@pytest.mark.usefixtures("credentials")
def test_settings_that_fit_are_ok(public: At) -> None:
    assert read(public)["settings"].status == "ok"


def test_settings_without_credentials_fail_with_the_policy(
    public: At, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _take_away_credentials(monkeypatch, tmp_path)
    found = read(public)
    assert not_ok(found) == [("settings", "failed")]
    assert "NoCredentialsError" in found["settings"].text
    assert "cognito-idp:DescribeUserPoolClient" in found["settings"].cure


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(
    ("pool", "settings", "check", "cure"),
    [
        ({"auth_session_minutes": 7}, {}, "AuthSessionValidity", "auth_session_minutes=7"),
        (
            {"required_attributes": ("email", "given_name")},
            {"ways_in": WaysIn(sign_up=SignUpForm(attributes=("email",)))},
            "sign-up",
            "SignUpForm.attributes",
        ),
    ],
    ids=["session", "form"],
)
def test_setting_that_does_not_fit_is_found(
    pool: dict[str, Any], settings: dict[str, Any], check: str, cure: str
) -> None:
    with At(**pool) as at:
        found = read(at, **settings)
    assert [name for name, _ in not_ok(found)] == [check]
    assert cure in found[check].cure


DESCRIBED: tuple[tuple[str, dict[str, Any], dict[str, Any], WaysIn, str], ...] = (
    ("EnableTokenRevocation", {"EnableTokenRevocation": False}, {}, WaysIn(), "turn on"),
    (
        "password reset",
        {},
        {"AccountRecoverySetting": {"RecoveryMechanisms": [{"Name": "admin_only", "Priority": 1}]}},
        WaysIn(),
        "AccountRecoverySetting",
    ),
    (
        "passkeys",
        {},
        {"Policies": {"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD"]}}},
        WaysIn(passkey=True),
        "WEB_AUTHN",
    ),
    (
        "sign-up",
        {},
        {"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True}},
        WaysIn(sign_up=SignUpForm(attributes=("email",))),
        "AllowAdminCreateUserOnly",
    ),
    (
        "sign-up",
        {"WriteAttributes": ["name"]},
        {},
        WaysIn(sign_up=SignUpForm(attributes=("email",))),
        "WriteAttributes",
    ),
)


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(
    ("check", "client", "pool", "ways_in", "cure"), DESCRIBED, ids=[one[4] for one in DESCRIBED]
)
def test_described_setting_that_does_not_fit_is_found(
    monkeypatch: pytest.MonkeyPatch,
    public: At,
    check: str,
    client: dict[str, Any],
    pool: dict[str, Any],
    ways_in: WaysIn,
    cure: str,
) -> None:
    described = RecordedClient(
        signed=True,
        DescribeUserPoolClient={"UserPoolClient": client},
        DescribeUserPool={"UserPool": pool},
    )
    monkeypatch.setattr(
        "oncegate_cognito._pool_checks.make_client", lambda *_, **__: described.boto
    )
    found = read(public, ways_in=ways_in, auth_flow="USER_AUTH")
    assert [name for name, _ in not_ok(found)] == [check]
    assert cure in found[check].cure
    assert [one.operation for one in described.sent] == [
        "DescribeUserPoolClient",
        "DescribeUserPool",
    ]


@pytest.mark.usefixtures("credentials")
def test_client_of_another_pool_is_found_by_its_settings(public: At) -> None:
    """An app client's ID is enough for the public operations, whatever the pool's ID is."""
    found = read(public, client_id="nosuchclient")
    assert found["settings"].status == "failed"
    assert "client_id=" in found["settings"].cure


@pytest.mark.usefixtures("credentials")
def test_unknown_pool_is_told_with_one_cure(public: At) -> None:
    with pytest.raises(Misconfigured) as raised:
        read_pool("us-east-1_Missing01", endpoint_url=public.sandbox.endpoint)
    assert "check pool_id=" in str(raised.value)
    assert "DescribeUserPool" not in str(raised.value)
