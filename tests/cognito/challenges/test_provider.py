"""Signing in with an identity provider: the request, the exchange of the code, and its answers."""

from __future__ import annotations

import base64
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from tests.cognito.conftest import Perform
from tests.cognito.servers import answering, response

from oncegate import Misconfigured, MissingExtra, Provider, RequestContext, Tokens, WaysIn
from oncegate.adapters import (
    AuthorizeWith,
    ChallengeIssued,
    ExchangeCode,
    NotSent,
    Outcome,
    OutcomeUnknown,
    ProviderChallenge,
    Rejected,
    RejectionReason,
    TokensIssued,
)
from oncegate_cognito import CognitoTransport, ManagedLogin
from oncegate_cognito._boto import make_client
from oncegate_sandbox import PoolSeed, Sandbox, Seed

_R = RejectionReason
REDIRECT_URI = "http://localhost:8000/callback"
SECRET = "aClientSecretOfTheUsualLength0123456789"
CODE = SecretStr("the-authorization-code")
JSON = "application/json;charset=UTF-8"
HTTP = httpx.Client(verify=False, timeout=5, limits=httpx.Limits(max_keepalive_connections=0))
LOCAL = "http://localhost:9300"
BOTO = make_client("us-east-1", None, connect_timeout=1, read_timeout=1)  # takes 0.3 s to make
ASK = AuthorizeWith(provider="Google")
WITH_GOOGLE = WaysIn(providers=(Provider(name="Google"),))
CHALLENGE = ProviderChallenge(
    provider="Google",
    url="https://auth.example.com/oauth2/authorize",
    state=SecretStr("the-state"),
    verifier=SecretStr("the-verifier-of-the-challenge-of-43-letters"),
    nonce=SecretStr("the-nonce"),
    valid_for=900,
)
EXCHANGE = ExchangeCode(challenge=CHALLENGE, code=CODE)


def transport_to(domain: str, **settings: Any) -> CognitoTransport:
    """Return a transport whose pool has this domain, and which reaches nothing else."""
    given: dict[str, Any] = {
        "pool_id": "us-east-1_Pool1",
        "client_id": "client1",
        "client": BOTO,
        "managed_login": ManagedLogin(domain=domain, redirect_uri=REDIRECT_URI),
        **settings,
    }
    return CognitoTransport(**given)


def transport_of(sandbox: Sandbox, **settings: Any) -> CognitoTransport:
    given = {"pool_id": sandbox.pool_id, "client_id": sandbox.client_id, "client": None}
    return transport_to(sandbox.endpoint, endpoint_url=sandbox.endpoint, **{**given, **settings})


def challenge_of(outcome: Outcome) -> ProviderChallenge:
    assert isinstance(outcome, ChallengeIssued)
    assert isinstance(outcome.challenge, ProviderChallenge)
    return outcome.challenge


def query_of(challenge: ProviderChallenge) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(challenge.url).query))


def returned_code(challenge: ProviderChallenge) -> SecretStr:
    """Do what the browser does: open the provider's page, enter an address, and come back."""
    HTTP.cookies.clear()  # managed login would remember the user before
    opened = HTTP.get(challenge.url)
    page = unescape(opened.text)
    action = re.search(r'action="(.*?)"', page)
    assert action, page
    fields = dict(re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', page))
    target = httpx.URL(challenge.url).join(action[1])
    back = HTTP.post(target, data={**fields, "email": "gina@example.com", "action": "continue"})
    query = parse_qs(urlsplit(back.headers["location"]).query)
    assert query["state"] == [challenge.state.get_secret_value()]
    return SecretStr(query["code"][0])


@pytest.fixture(params=[None, SECRET], ids=["public", "secret"])
def pool(request: pytest.FixtureRequest) -> Iterator[tuple[Sandbox, CognitoTransport]]:
    given = {"client_secret": request.param} if request.param else {}
    with Sandbox(Seed(pool=PoolSeed(**given))) as sandbox:
        yield sandbox, transport_of(sandbox, **given)


# ── the request ──


def test_request_has_state_nonce_and_the_hash_of_the_verifier() -> None:
    challenge = challenge_of(
        transport_to("https://auth.example.com").perform(ASK, RequestContext())
    )
    verifier = challenge.verifier.get_secret_value().encode()
    hashed = base64.urlsafe_b64encode(sha256(verifier).digest()).rstrip(b"=").decode()
    assert challenge.url.startswith("https://auth.example.com/oauth2/authorize?")
    assert query_of(challenge) == {
        "response_type": "code",
        "client_id": "client1",
        "redirect_uri": REDIRECT_URI,
        "scope": "openid email profile aws.cognito.signin.user.admin",
        "state": challenge.state.get_secret_value(),
        "nonce": challenge.nonce.get_secret_value(),
        "code_challenge": hashed,
        "code_challenge_method": "S256",
        "identity_provider": "Google",
    }
    assert challenge.valid_for == 900


def test_secrets_of_two_requests_differ_and_have_256_bits() -> None:
    transport = transport_to("https://auth.example.com")
    one, two = (challenge_of(transport.perform(ASK, RequestContext())) for _ in range(2))
    texts = [
        secret.get_secret_value()
        for challenge in (one, two)
        for secret in (challenge.state, challenge.nonce, challenge.verifier)
    ]
    assert len(set(texts)) == 6
    assert {len(text) for text in texts} == {43}
    assert not [text for text in texts if text in repr((one, two))]


def test_preparing_the_request_sends_nothing(perform: Perform) -> None:
    with answering(b"") as server:
        challenge_of(perform(transport_to(server.endpoint), ASK))
        assert server.accepted == 0


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de", "de"),
        ("de-CH", "de"),
        ("pt-BR", "pt-BR"),
        ("pt", "pt-BR"),
        ("zh-tw", "zh-TW"),
        ("zh", "zh-CN"),
        ("nl", None),
        ("", None),
        ("de&x=y", None),
    ],
)
def test_pages_are_asked_for_in_the_users_language(language: str, expected: str | None) -> None:
    transport = transport_to("https://auth.example.com/")
    challenge = challenge_of(transport.perform(ASK, RequestContext(language=language)))
    assert query_of(challenge).get("lang") == expected


# ── the exchange, with a pool ──


def test_code_of_a_provider_becomes_tokens_once(
    pool: tuple[Sandbox, CognitoTransport], perform: Perform
) -> None:
    sandbox, transport = pool
    challenge = challenge_of(perform(transport, ASK))
    call = ExchangeCode(challenge=challenge, code=returned_code(challenge))
    outcome = perform(transport, call)
    assert isinstance(outcome, TokensIssued)
    assert outcome.username.startswith("Google_")
    assert outcome.tokens.by_managed_login
    service = transport.token_service
    assert service.verify(outcome.tokens.access_token)["username"] == outcome.username
    assert sandbox.calls()["oauth2/token"] == 1
    again = perform(transport, call)
    assert isinstance(again, Rejected)
    assert again.reason is _R.CHALLENGE_DEAD


def test_tokens_of_managed_login_are_renewed_checked_and_revoked(
    pool: tuple[Sandbox, CognitoTransport], perform: Perform
) -> None:
    _, transport = pool
    challenge = challenge_of(perform(transport, ASK))
    outcome = perform(transport, ExchangeCode(challenge=challenge, code=returned_code(challenge)))
    assert isinstance(outcome, TokensIssued)
    service = transport.token_service
    renewed = service.renew(outcome.tokens)
    assert renewed.by_managed_login
    assert service.verify(renewed.access_token)["username"] == outcome.username
    service.check(renewed)
    service.revoke(renewed)


def test_code_of_another_request_is_refused(
    pool: tuple[Sandbox, CognitoTransport], perform: Perform
) -> None:
    """Its verifier is another (PKCE): a code that was stolen is worth nothing."""
    _, transport = pool
    theirs, own = (challenge_of(perform(transport, ASK)) for _ in range(2))
    outcome = perform(transport, ExchangeCode(challenge=own, code=returned_code(theirs)))
    assert isinstance(outcome, Rejected)


def test_id_token_with_another_nonce_is_refused(sandbox: Sandbox, perform: Perform) -> None:
    transport = transport_of(sandbox)
    challenge = challenge_of(perform(transport, ASK))
    code = returned_code(challenge)
    replayed = challenge.model_copy(update={"nonce": SecretStr("another")})
    outcome = perform(transport, ExchangeCode(challenge=replayed, code=code))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, "nonce" in outcome.detail) == (_R.CHALLENGE_DEAD, True)


def test_tokens_of_another_pool_are_misconfigured(sandbox: Sandbox, perform: Perform) -> None:
    """Its keys are others."""
    with Sandbox(Seed()) as other:
        login = ManagedLogin(domain=other.endpoint, redirect_uri=REDIRECT_URI)
        transport = transport_of(sandbox, managed_login=login)
        challenge = challenge_of(perform(transport, ASK))
        code = returned_code(challenge)
        outcome = perform(transport, ExchangeCode(challenge=challenge, code=code))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is _R.MISCONFIGURED
    assert "domain of ManagedLogin" in outcome.detail


ISSUER = "https://issuer.example"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWK = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
KEYS = json.dumps({"keys": [{**JWK, "kid": "k", "use": "sig", "alg": "RS256"}]}).encode()
ID: dict[str, Any] = {
    "token_use": "id",
    "aud": "client1",
    "sub": "a-sub",
    "cognito:username": "Google_1",
    "nonce": "the-nonce",
}
ACCESS: dict[str, Any] = {
    "token_use": "access",
    "client_id": "client1",
    "sub": "a-sub",
    "username": "Google_1",
}


def signed(claims: dict[str, Any], key: rsa.RSAPrivateKey = KEY) -> str:
    given = {"iss": ISSUER, "exp": int(time.time()) + 3600, **claims}
    return jwt.encode(given, key, algorithm="RS256", headers={"kid": "k"})


def exchanged_for(id_token: str, access_token: str) -> Outcome:
    """Return the outcome of a token endpoint's answer; both tokens are checked with KEY."""
    answer = json.dumps({"id_token": id_token, "access_token": access_token}).encode()
    with answering(response(KEYS, JSON)) as keys, answering(response(answer, JSON)) as server:
        transport = transport_to(
            server.endpoint, issuer=ISSUER, jwks_url=f"{keys.endpoint}/jwks.json"
        )
        return transport.perform(EXCHANGE, RequestContext())


@pytest.mark.parametrize("device", [None, "us-east-1_a-device"])
def test_tokens_of_this_request_are_issued_with_their_device(device: str | None) -> None:
    """Without the key of a remembered device, Cognito would refuse to renew them."""
    access = {**ACCESS, **({"device_key": device} if device else {})}
    outcome = exchanged_for(signed(ID), signed(access))
    assert isinstance(outcome, TokensIssued)
    assert outcome.username == "Google_1"
    assert outcome.tokens.device_key == device


@pytest.mark.parametrize(
    ("own", "access", "reason", "words"),
    [
        ({"nonce": "another"}, {}, _R.CHALLENGE_DEAD, "nonce"),
        ({"nonce": None}, {}, _R.CHALLENGE_DEAD, "nonce"),
        ({"nonce": "the-n\u00f6nce"}, {}, _R.CHALLENGE_DEAD, "nonce"),
        ({}, {"sub": "another-sub"}, _R.CHALLENGE_DEAD, "two users"),
        ({"token_use": "access"}, {}, _R.MISCONFIGURED, "not a token for id"),
        ({"aud": "client2"}, {}, _R.MISCONFIGURED, "app client"),
        ({"aud": ["client1"]}, {}, _R.MISCONFIGURED, "app client"),
        ({"iss": "https://other.example"}, {}, _R.MISCONFIGURED, "issuer"),
        ({"exp": 1}, {}, _R.MISCONFIGURED, "ExpiredSignatureError"),
        ({}, {"token_use": "id"}, _R.MISCONFIGURED, "not a token for access"),
        ({}, {"client_id": "client2"}, _R.MISCONFIGURED, "app client"),
    ],
)
def test_tokens_of_another_request_user_or_client_are_refused(
    own: dict[str, Any], access: dict[str, Any], reason: RejectionReason, words: str
) -> None:
    outcome = exchanged_for(signed({**ID, **own}), signed({**ACCESS, **access}))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is reason
    assert words in outcome.detail
    assert "eyJ" not in repr(outcome)


@pytest.mark.parametrize("which", ["id", "access"])
def test_tokens_with_the_signature_of_another_key_are_refused(which: str) -> None:
    forged = {"id": (signed(ID, OTHER_KEY), signed(ACCESS))}
    forged["access"] = (signed(ID), signed(ACCESS, OTHER_KEY))
    outcome = exchanged_for(*forged[which])
    assert isinstance(outcome, Rejected)
    assert outcome.reason is _R.MISCONFIGURED
    assert outcome.detail.startswith(f"{which} token")


def test_tokens_that_cannot_be_verified_are_not_issued(sandbox: Sandbox, perform: Perform) -> None:
    with answering(b"") as keys:
        url = f"{keys.endpoint}/jwks.json"
        transport = transport_of(sandbox, jwks_url=url, token_timeout=0.3)
        challenge = challenge_of(perform(transport, ASK))
        call = ExchangeCode(challenge=challenge, code=returned_code(challenge))
        outcome = perform(transport, call)
    assert isinstance(outcome, OutcomeUnknown)
    assert "public keys" in outcome.detail


# ── the exchange, as it leaves ──


@pytest.mark.parametrize("secret", [None, SECRET])
def test_request_proves_the_client_and_the_verifier(secret: str | None, perform: Perform) -> None:
    with answering(response(b'{"error":"invalid_grant"}', JSON, 400)) as server:
        perform(transport_to(server.endpoint, client_secret=secret), EXCHANGE)
        head, _, body = server.received.partition(b"\r\n\r\n")
        requests = server.requests
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert requests == 1
    assert head.startswith(b"POST /oauth2/token HTTP/1.1\r\n")
    assert headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    basic = base64.b64encode(f"client1:{SECRET}".encode()).decode()
    assert headers.get("Authorization") == (f"Basic {basic}" if secret else None)
    assert dict(parse_qsl(body.decode())) == {
        "grant_type": "authorization_code",
        "code": CODE.get_secret_value(),
        "redirect_uri": REDIRECT_URI,
        "code_verifier": CHALLENGE.verifier.get_secret_value(),
        **({} if secret else {"client_id": "client1"}),
    }


HTML = b"<html>Sorry</html>"


@pytest.mark.parametrize(
    ("body", "status", "means", "detail"),
    [
        (b'{"error":"invalid_grant"}', 400, _R.CHALLENGE_DEAD, "read all attributes"),
        (b'{"error":"invalid_client"}', 401, _R.MISCONFIGURED, "client_secret="),
        (b'{"error":"unauthorized_client"}', 400, _R.MISCONFIGURED, "AllowedOAuthFlows"),
        (
            b'{"error":"invalid_request","error_description":"redirect_uri"}',
            400,
            _R.MISCONFIGURED,
            "redirect_uri (check the redirect_uri of ManagedLogin",
        ),
        (b'{"error":"something_new"}', 400, _R.MISCONFIGURED, "something_new"),
        (b'{"message":"no"}', 400, _R.MISCONFIGURED, "domain of ManagedLogin"),
        (HTML, 404, _R.MISCONFIGURED, "domain of ManagedLogin"),
        (HTML, 302, _R.MISCONFIGURED, "302"),
        (HTML, 403, _R.FIREWALL, "AWS WAF"),
        (HTML, 429, "throttled", "429"),
        (b'{"error":"slow_down"}', 429, "throttled", "429"),
        (HTML, 503, OutcomeUnknown, "503"),
        (b'{"error":"server_error"}', 500, OutcomeUnknown, "500"),
        (HTML, 200, OutcomeUnknown, "not JSON"),
        (b"[]", 200, OutcomeUnknown, "not JSON"),
        (b"{}", 200, OutcomeUnknown, "malformed"),
        (b'{"access_token":"a","id_token":7}', 200, OutcomeUnknown, "malformed"),
        (b'{"access_token":"a"}', 200, OutcomeUnknown, "malformed"),
    ],
)
def test_answer_of_the_token_endpoint_has_one_meaning_and_is_not_asked_for_again(
    body: bytes, status: int, means: object, detail: str, perform: Perform
) -> None:
    kind = "text/html" if body is HTML else JSON
    with answering(response(body, kind, status)) as server:
        outcome = perform(transport_to(server.endpoint), EXCHANGE)
        assert server.requests == 1
    if isinstance(means, _R):
        assert isinstance(outcome, Rejected)
        assert outcome.reason is means
    elif means == "throttled":
        assert isinstance(outcome, NotSent)
        assert outcome.cause == "throttled"
    else:
        assert isinstance(outcome, OutcomeUnknown)
    assert detail in outcome.detail


def test_redirect_of_the_token_endpoint_is_not_followed(perform: Perform) -> None:
    """What is sent proves who the user is: it goes to the pool's domain alone."""
    with answering(b"") as elsewhere:
        answer = f"HTTP/1.1 307 X\r\nLocation: {elsewhere.endpoint}\r\nContent-Length: 0\r\n\r\n"
        with answering(answer.encode()) as server:
            assert isinstance(perform(transport_to(server.endpoint), EXCHANGE), Rejected)
        assert elsewhere.accepted == 0


@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_secret_of_an_exchange_is_in_a_log_or_a_repr(
    status: int, caplog: pytest.LogCaptureFixture, perform: Perform
) -> None:
    caplog.set_level(logging.DEBUG)
    for library in ("botocore", "urllib3", "authlib"):
        caplog.set_level(logging.DEBUG, logger=library)
    answer = {"access_token": "eyJhbGciOi.access", "id_token": "eyJhbGciOi.identity"}
    with answering(response(json.dumps(answer).encode(), JSON, status)) as server:
        transport = transport_to(server.endpoint, client_secret=SECRET)
        outcome = perform(transport, EXCHANGE)
        assert server.requests == 1
    written = f"{caplog.text} {outcome!r} {transport!r} {EXCHANGE!r}"
    for secret in (CODE, CHALLENGE.verifier, CHALLENGE.state, CHALLENGE.nonce):
        assert secret.get_secret_value() not in written
    assert SECRET not in written
    assert "eyJhbGciOi" not in written


# ── signing out ──


@pytest.mark.parametrize(
    ("logout_uri", "expected"), [(None, "https://app.example.com/"), ("https://a.b/out", None)]
)
def test_sign_out_leads_to_the_logout_endpoint(
    logout_uri: str | None, expected: str | None
) -> None:
    login = ManagedLogin(
        domain="https://auth.example.com", redirect_uri=REDIRECT_URI, logout_uri=logout_uri
    )
    service = transport_to("https://auth.example.com", managed_login=login).token_service
    url = service.logout_url(
        Tokens(access_token="a", by_managed_login=True), "https://app.example.com/"
    )
    assert url is not None
    assert url.startswith("https://auth.example.com/logout?")
    query = dict(parse_qsl(urlsplit(url).query))
    assert query == {"client_id": "client1", "logout_uri": expected or logout_uri}


def test_sign_out_stays_here_without_managed_login() -> None:
    of_password = Tokens(access_token="a")
    service = transport_to("https://auth.example.com").token_service
    assert service.logout_url(of_password, "https://app.example.com/") is None
    without = transport_to("https://auth.example.com", managed_login=None).token_service
    by_pages = Tokens(access_token="a", by_managed_login=True)
    assert without.logout_url(by_pages, "https://app.example.com/") is None


# ── settings ──


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"domain": "auth.example.com"}, "domain"),
        ({"domain": ""}, "domain"),
        ({"domain": None}, "domain"),
        ({"domain": "https://auth.example.com/login"}, "path"),
        ({"domain": "https://[auth"}, "domain"),
        ({"redirect_uri": "/callback"}, "redirect_uri"),
        ({"redirect_uri": "http://app.example.com/callback"}, r"redirect_uri.*https"),
        ({"redirect_uri": "https://app.example.com/callback#x"}, "fragment"),
        ({"logout_uri": "app.example.com"}, "logout_uri"),
        ({"scopes": ("email",)}, "openid"),
        ({"scopes": "openid email"}, "names"),
        ({"scopes": ("openid email",)}, "names"),
    ],
)
def test_setting_that_cannot_work_is_misconfigured(setting: dict[str, Any], match: str) -> None:
    given: dict[str, Any] = {
        "domain": "https://auth.example.com",
        "redirect_uri": "https://app.example.com/callback",
        **setting,
    }
    with pytest.raises(Misconfigured, match=match):
        ManagedLogin(**given)


def test_domain_in_plain_http_is_for_this_machine_or_a_trusted_network() -> None:
    login = ManagedLogin(domain="http://cognito:9300", redirect_uri=REDIRECT_URI)
    with pytest.raises(Misconfigured, match="domain of ManagedLogin has to be https"):
        transport_to(LOCAL, managed_login=login)
    transport_to(LOCAL, managed_login=login, allow_insecure_endpoint=True)


def test_providers_without_a_domain_are_misconfigured() -> None:
    with pytest.raises(Misconfigured, match=r"managed_login=ManagedLogin\("):
        transport_to("https://auth.example.com", managed_login=None, ways_in=WITH_GOOGLE)
    offered = transport_to("https://auth.example.com", ways_in=WITH_GOOGLE)
    assert offered.ways_in == WITH_GOOGLE


@pytest.mark.parametrize("call", [ASK, EXCHANGE])
def test_call_without_a_domain_is_rejected(
    call: AuthorizeWith | ExchangeCode, perform: Perform
) -> None:
    """Another process may have fewer settings than the one that began the flow."""
    outcome = perform(transport_to("https://auth.example.com", managed_login=None), call)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is _R.MISCONFIGURED


def test_managed_login_without_authlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "authlib.oauth2", None)
    with pytest.raises(MissingExtra) as error:
        transport_to("https://auth.example.com")
    assert error.value.extra == "oauth"
    transport_to("https://auth.example.com", managed_login=None)


def test_import_of_the_package_does_not_import_authlib() -> None:
    program = "import sys, oncegate_cognito.pool; sys.exit('authlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
