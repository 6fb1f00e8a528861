"""Managed login: the OAuth 2.0 endpoints of a user pool, driven as a browser and an application do.

Sources: [dev] AWS developer guide, user pool endpoints and managed login reference; RFC 6749, RFC 7636;
public issue threads by number.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from html import unescape
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import jwt
import pytest
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from tests.sandbox.user_pools import PASSWORD, UserPool, rejection

from oncegate import InvalidInput
from oncegate_sandbox import Fault, PoolSeed, Sandbox, Seed, UserSeed
from oncegate_sandbox._federation import subject_of
from oncegate_sandbox.testing import CognitoPool

NewPool = Callable[..., UserPool]
Event = dict[str, Any]
CALLBACK = "http://localhost:8000/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
EMAIL = "gina@example.com"
# Making a TLS context takes longer than a test, and a connection that stays open is a ResourceWarning.
CONNECTION: dict[str, Any] = {
    "verify": False,
    "timeout": 5,
    "limits": httpx.Limits(max_keepalive_connections=0),
}
HTTP = httpx.Client(**CONNECTION)
OAUTH_CLIENT: dict[str, Any] = {
    "AllowedOAuthFlowsUserPoolClient": True,
    "AllowedOAuthFlows": ["code"],
    "AllowedOAuthScopes": ["openid", "email"],
    "SupportedIdentityProviders": ["COGNITO"],
    "CallbackURLs": [CALLBACK],
    "LogoutURLs": ["http://localhost:8000/bye"],
}


class Page:
    """One HTML page."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.headers["content-type"] == "text/html; charset=utf-8", response.text
        self.response = response
        self.text = unescape(response.text)
        self.title = re.search(r"<h1>(.*?)</h1>", self.text)[1]  # type: ignore[index]
        alerts = re.search(r'role="alert">(.*?)</p>', self.text)
        self.alert = alerts[1] if alerts else ""
        self.links = re.findall(r'href="(.*?)"', self.text)

    @property
    def hidden(self) -> dict[str, str]:
        return dict(re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', self.text))

    @property
    def action(self) -> str:
        return re.search(r'action="(.*?)"', self.text)[1]  # type: ignore[index]


class Browser:
    """A browser that keeps cookies and sends forms, and follows no redirect."""

    def __init__(self, sandbox: Sandbox, client_id: str = "") -> None:
        self.http = httpx.Client(base_url=sandbox.endpoint, **CONNECTION)
        self._client_id = client_id or sandbox.client_id

    def open(self, path: str = "/oauth2/authorize", /, **changed: str | None) -> httpx.Response:
        """Open a page with the parameters of a valid request, changed; None removes one."""
        given = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": CALLBACK,
            "state": "the-state",
            **changed,
        }
        return self.http.get(path, params={k: v for k, v in given.items() if v is not None})

    def submit(self, page: Page, **fields: str) -> httpx.Response:
        return self.http.post(page.action, data={**page.hidden, **fields})

    def sign_in_with(
        self, provider: str = "Google", email: str = EMAIL, **changed: str | None
    ) -> dict[str, str]:
        """Sign in with a provider, and return the parameters of the callback."""
        page = Page(self.open(identity_provider=provider, **changed))
        return callback(self.submit(page, email=email, action="continue"))

    def sign_in(self, username: str, password: str, **changed: str | None) -> httpx.Response:
        page = Page(self.open(identity_provider="COGNITO", **changed))
        return self.submit(page, username=username, password=password)


def callback(response: httpx.Response) -> dict[str, str]:
    """Return the parameters with which a response returns to the application."""
    assert response.status_code == 302, response.text
    target = response.headers["location"]
    assert target.startswith(f"{CALLBACK}?"), target
    return dict(parse_qsl(urlsplit(target).query))


def error_of(response: httpx.Response) -> str:
    """Return the error of a redirect to the error page."""
    assert response.status_code == 302, response.text
    target = urlsplit(response.headers["location"])
    assert (target.netloc, target.path) == ("", "/error")
    return parse_qs(target.query)["error"][0]


def redeem(sandbox: Sandbox, code: str, **changed: Any) -> httpx.Response:
    """Send an authorization code to the token endpoint; None removes a parameter."""
    form = {
        "grant_type": "authorization_code",
        "client_id": sandbox.client_id,
        "redirect_uri": CALLBACK,
        "code": code,
        **changed,
    }
    headers = form.pop("headers", {})
    form = {name: value for name, value in form.items() if value is not None}
    return HTTP.post(f"{sandbox.endpoint}/oauth2/token", data=form, headers=headers)


def refresh(sandbox: Sandbox, token: str, **more: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", "client_id": sandbox.client_id, "refresh_token": token}
    return HTTP.post(f"{sandbox.endpoint}/oauth2/token", data={**form, **more})


def user_info(sandbox: Sandbox, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return HTTP.get(f"{sandbox.endpoint}/oauth2/userInfo", headers=headers)


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


@contextmanager
def running(*users: UserSeed, **pool: Any) -> Iterator[Sandbox]:
    with Sandbox(Seed(pool=PoolSeed(**pool), users=users)) as sandbox:
        yield sandbox


@pytest.fixture
def browser(shared: Sandbox) -> Browser:
    return Browser(shared)


# ── an independent client ──


def test_client_of_authlib_signs_in_refreshes_and_revokes(shared: Sandbox) -> None:
    """Authlib's OAuth2Session, with PKCE and a nonce, against the metadata of the pool"""
    issuer = f"{shared.endpoint}/{shared.pool_id}"
    metadata = HTTP.get(f"{issuer}/.well-known/openid-configuration").json()
    client = OAuth2Session(
        shared.client_id,
        scope="openid email profile",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint_auth_method="none",
    )
    url, state = client.create_authorization_url(
        metadata["authorization_endpoint"],
        code_verifier=VERIFIER,
        nonce="the-nonce",
        identity_provider="Google",
    )
    browser = Browser(shared)
    page = Page(browser.http.get(url))
    returned = browser.submit(page, email=EMAIL, action="continue").headers["location"]
    tokens = client.fetch_token(
        metadata["token_endpoint"],
        authorization_response=returned,
        state=state,
        code_verifier=VERIFIER,
    )
    assert set(tokens) >= {"id_token", "access_token", "refresh_token", "expires_in"}
    keys = jwt.PyJWKClient(metadata["jwks_uri"])
    identity = jwt.decode(
        tokens["id_token"],
        keys.get_signing_key_from_jwt(tokens["id_token"]).key,
        algorithms=["RS256"],
        issuer=metadata["issuer"],
        audience=shared.client_id,
    )
    digest = sha256(tokens["access_token"].encode()).digest()[:16]
    assert identity["at_hash"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert (identity["nonce"], identity["token_use"]) == ("the-nonce", "id")
    assert client.get(metadata["userinfo_endpoint"]).json()["email"] == EMAIL
    refreshed = client.refresh_token(
        metadata["token_endpoint"], refresh_token=tokens["refresh_token"]
    )
    assert claims(refreshed["access_token"])["scope"] == "openid email profile"
    assert "nonce" not in claims(refreshed["id_token"])
    revoked = client.revoke_token(  # type: ignore[no-untyped-call]
        metadata["revocation_endpoint"],
        token=tokens["refresh_token"],
        body=f"client_id={shared.client_id}",
    )
    assert (revoked.status_code, revoked.content) == (200, b"")
    assert client.get(metadata["userinfo_endpoint"]).status_code == 401
    with pytest.raises(AuthlibBaseError, match="invalid_grant"):
        client.refresh_token(metadata["token_endpoint"], refresh_token=tokens["refresh_token"])


# ── the provider's page and its user ──


def test_page_of_a_provider_works_without_scripts(browser: Browser) -> None:
    page = Page(browser.open(identity_provider="Google", login_hint="<gina>@example.com"))
    assert page.title == "Pretend Google"
    assert 'value="&lt;gina&gt;@example.com"' in page.response.text
    assert "<script" not in page.text
    policy = page.response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("form-action 'self' http://localhost:8000")
    style = re.search(r"<style>(.*?)</style>", page.response.text)[1]  # type: ignore[index]
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in policy


def test_policy_names_the_scheme_of_an_application_at_an_ipv6_address(browser: Browser) -> None:
    """Content Security Policy Level 3, 2.3.1: a source cannot be an IPv6 address"""
    page = Page(browser.open(redirect_uri="http://[::1]:8000/callback"))
    policy = page.response.headers["content-security-policy"]
    assert policy.endswith("form-action 'self' http:")


def test_pool_itself_is_no_provider_to_return_from(browser: Browser) -> None:
    request = browser.open("/oauth2/idpresponse", identity_provider="COGNITO").request
    response = browser.http.post(request.url, data={"email": EMAIL, "action": "continue"})
    assert error_of(response) == "invalid_request"


def test_continue_returns_with_a_code_and_the_state(browser: Browser) -> None:
    """kendra-button#35: the code is a UUID"""
    returned = browser.sign_in_with(state="a b/ü&=")
    assert returned["state"] == "a b/ü&="
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", returned["code"])
    assert set(returned) == {"code", "state"}


@pytest.mark.parametrize("entered", ["", "gina", "gina@"])
def test_malformed_address_stays_on_the_page(browser: Browser, entered: str) -> None:
    page = Page(browser.open(identity_provider="Google"))
    again = Page(browser.submit(page, email=entered, action="continue"))
    assert (again.title, again.alert) == ("Pretend Google", "Enter an email address.")


@pytest.mark.parametrize(
    ("provider", "code"),
    [("Google", "access_denied"), ("SignInWithApple", "user_cancelled_authorize")],
)
def test_denial_is_passed_on_in_the_words_of_the_provider(provider: str, code: str) -> None:
    """amplify-flutter#7350, #7077"""
    with running(providers=("Google", "SignInWithApple")) as sandbox:
        browser = Browser(sandbox)
        page = Page(browser.open(identity_provider=provider))
        response = browser.submit(page, email="", action="deny")
        assert list(callback(response).items()) == [
            ("error_description", "User denied access"),
            ("state", "the-state"),
            ("error", code),
        ]
        assert len(sandbox.pool.users) == 0


def test_user_of_a_provider_has_its_name_status_and_identity(
    shared: Sandbox, browser: Browser
) -> None:
    """decoded tokens of Google users"""
    code = browser.sign_in_with(scope="openid email")["code"]
    tokens = redeem(shared, code).json()
    identity, access = claims(tokens["id_token"]), claims(tokens["access_token"])
    username = identity["cognito:username"]
    (one,) = identity["identities"]
    assert re.fullmatch(r"Google_[0-9]{21}", username)
    assert one == {
        "userId": username.removeprefix("Google_"),
        "providerName": "Google",
        "providerType": "Google",
        "issuer": None,
        "primary": "true",
        "dateCreated": one["dateCreated"],
    }
    assert one["dateCreated"].isdigit()
    assert (identity["email"], identity["email_verified"]) == (EMAIL, False)
    assert identity["cognito:groups"] == [f"{shared.pool_id}_Google"]
    assert (access["version"], access["scope"], access["username"]) == (2, "openid email", username)
    info = user_info(shared, tokens["access_token"]).json()
    assert json.loads(info["identities"])[0]["userId"] == one["userId"]
    user = shared.user(username)
    assert (user.status, user.attributes["sub"]) == ("EXTERNAL_PROVIDER", identity["sub"])


def test_second_sign_in_finds_the_same_user(shared: Sandbox) -> None:
    before = len(shared.pool.users)
    subs = set()
    for address in (EMAIL, EMAIL.upper(), EMAIL):
        code = Browser(shared).sign_in_with(email=address)["code"]
        subs.add(claims(redeem(shared, code).json()["id_token"])["sub"])
    assert (len(subs), len(shared.pool.users)) == (1, before + 1)
    other = Browser(shared).sign_in_with(email="other@example.com")["code"]
    assert claims(redeem(shared, other).json()["id_token"])["sub"] not in subs


def test_user_of_the_pool_can_have_the_same_address(shared: Sandbox, browser: Browser) -> None:
    browser.sign_in_with(email="ana@example.com")
    assert shared.user("ana@example.com").username == "ana"


def test_user_of_a_provider_has_no_alias() -> None:
    """aws-sdk-js#3774; the address would sign in a user of this pool, verified or not"""
    with running(username_attributes=("email",)) as sandbox:
        Browser(sandbox).sign_in_with()
        assert [one.status for one in sandbox.pool.users] == ["EXTERNAL_PROVIDER"]
        assert sandbox.pool.users.find(EMAIL) is None


def test_username_is_in_lower_case_if_the_case_does_not_count() -> None:
    """amplify-flutter#1716; when each form is used is inferred"""
    with running(case_sensitive=False) as sandbox:
        Browser(sandbox).sign_in_with()
        Browser(sandbox).sign_in_with()
        (user,) = sandbox.pool.users
        assert user.username.startswith("google_")


def test_username_of_a_provider_that_is_taken_is_refused(shared: Sandbox, browser: Browser) -> None:
    """amplify-flutter#1716 for the words"""
    name = f"Google_{subject_of('Google', EMAIL)}"
    shared.add_user(UserSeed.model_validate({"username": name, "password": PASSWORD}))
    refused = browser.sign_in_with()
    assert refused["error_description"] == f"Already found an entry for username {name}"


def test_user_of_a_provider_cannot_sign_in_or_reset_a_password_with_the_api(
    shared: Sandbox, boto: Any, browser: Browser
) -> None:
    code = browser.sign_in_with()["code"]
    name = claims(redeem(shared, code).json()["access_token"])["username"]
    app = {"ClientId": shared.client_id}
    for flow, given in (
        ("USER_PASSWORD_AUTH", {"PASSWORD": PASSWORD}),
        ("USER_AUTH", {"PREFERRED_CHALLENGE": "EMAIL_OTP"}),
        ("USER_AUTH", {}),
    ):
        parameters = {"USERNAME": name, **given}
        assert rejection(boto.initiate_auth, AuthFlow=flow, AuthParameters=parameters, **app) == (
            "NotAuthorizedException",
            "Incorrect username or password.",
        )
    assert rejection(boto.forgot_password, Username=name, **app) == (
        "NotAuthorizedException",
        "User password cannot be reset in the current state.",
    )
    assert shared.messages() == ()


# ── the user pool's own form ──


def test_chooser_offers_providers_and_the_form(browser: Browser) -> None:
    page = Page(browser.open())
    assert page.title == "Sign in"
    (link,) = page.links
    assert Page(browser.http.get(link)).title == "Pretend Google"
    response = browser.submit(page, username="fay", password="Correct-horse-6")
    assert callback(response)["state"] == "the-state"


def test_code_of_mfa_is_sent_once_and_taken_once(shared: Sandbox, browser: Browser) -> None:
    page = Page(browser.sign_in("ana", PASSWORD))
    assert (page.title, len(shared.messages())) == ("Enter the code", 1)
    assert "by SMS to +*******1234" in page.text
    wrong = Page(browser.submit(page, code="000000"))
    assert wrong.alert == "Invalid code or auth state for the user."
    right = shared.messages()[-1].code
    code = callback(browser.submit(wrong, code=right))["code"]
    assert claims(redeem(shared, code).json()["access_token"])["username"] == "ana"
    late = Page(browser.submit(wrong, code=right))
    assert late.alert == "Invalid session for the user, session can only be used once."
    assert (late.title, len(shared.messages())) == ("Sign in", 1)


def test_chosen_factor_sends_one_code(shared: Sandbox, browser: Browser) -> None:
    choice = Page(browser.sign_in("dora", "Correct-horse-4"))
    assert (choice.title, shared.messages()) == ("Choose how to confirm", ())
    page = Page(browser.submit(choice, code="EMAIL_OTP"))
    assert [one.medium for one in shared.messages()] == ["EMAIL"]
    callback(browser.submit(page, code=shared.messages()[-1].code))


def test_authenticator_app_confirms(shared: Sandbox, browser: Browser) -> None:
    page = Page(browser.sign_in("cleo", "Correct-horse-3"))
    assert "authenticator app" in page.text
    callback(browser.submit(page, code=shared.totp_code("cleo")))


@pytest.mark.parametrize(("username", "password"), [("fay", "wrong"), ("nobody", PASSWORD)])
def test_wrong_password_and_unknown_user_look_the_same(
    browser: Browser, username: str, password: str
) -> None:
    page = Page(browser.sign_in(username, password))
    assert (page.title, page.alert) == ("Sign in", "Incorrect username or password.")


def test_form_without_a_name_signs_nobody_in() -> None:
    """A user without an address, in a pool in which addresses stand for usernames"""
    fay = UserSeed.model_validate({"username": "fay", "password": PASSWORD})
    with running(fay, username_attributes=("email",)) as sandbox:
        page = Page(Browser(sandbox).sign_in("", PASSWORD))
        assert page.alert == "Missing required parameter USERNAME"


def test_form_issues_no_tokens_before_the_code_is_redeemed(
    shared: Sandbox, browser: Browser
) -> None:
    code = callback(browser.sign_in("fay", "Correct-horse-6"))["code"]
    user, now = shared.pool.users.find("fay"), shared.pool.clock.now()
    assert user
    assert shared.pool.tokens.sign_ins_of(user, now) == []
    redeem(shared, code)
    assert len(shared.pool.tokens.sign_ins_of(user, now)) == 1


def test_form_is_refused_if_the_client_has_providers_only(
    shared: Sandbox, new_pool: NewPool
) -> None:
    pool = new_pool()
    pool.add()
    provider_of(pool, AttributeMapping={"email": "mail"})
    browser = Browser(shared, pool.client_id)
    request = browser.open("/login").request
    response = browser.http.post(request.url, data={"username": "ana", "password": PASSWORD})
    assert error_of(response).startswith("Login option is not available")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"username": "", "password": PASSWORD},
        {"username": "fay", "password": ""},
        {"challenge": "SMS_MFA", "username": "ana", "code": "123456"},
        {"challenge": "SMS_MFA", "username": "ana", "code": "123456", "session": "x"},
        {"challenge": "SELECT_MFA_TYPE", "session": "x"},
        {"challenge": "NEW_PASSWORD_REQUIRED", "session": "x"},
    ],
)
def test_malformed_form_shows_the_sign_in_page(browser: Browser, fields: dict[str, str]) -> None:
    page = Page(browser.open(identity_provider="COGNITO"))
    again = Page(browser.submit(page, **fields))
    assert (again.title, bool(again.alert)) == ("Sign in", True)


def test_locked_user_stays_at_the_code(shared: Sandbox, browser: Browser) -> None:
    """[dev] MFA: five wrong codes; the challenge is not dead"""
    page = Page(browser.sign_in("ana", PASSWORD))
    for _ in range(6):
        page = Page(browser.submit(page, code="000000"))
    assert page.alert.startswith("Too many invalid credentials attempts.")
    shared.advance(10)
    callback(browser.submit(page, code=shared.messages()[-1].code))
    assert len(shared.messages()) == 1


def test_challenge_without_a_page_is_said_to_be_one(browser: Browser) -> None:
    page = Page(browser.sign_in("emil", "Correct-horse-5"))
    assert page.alert == "Managed login of the sandbox has no page for NEW_PASSWORD_REQUIRED."


def test_client_secret_and_auth_flows_do_not_concern_managed_login() -> None:
    fay = UserSeed.model_validate({"username": "fay", "password": PASSWORD})
    with running(fay, client_secret="the-secret", auth_flows=("ALLOW_USER_SRP_AUTH",)) as sandbox:
        callback(Browser(sandbox).sign_in("fay", PASSWORD))


# ── the session of managed login ──


def test_session_signs_in_for_an_hour_without_asking(shared: Sandbox, browser: Browser) -> None:
    """AWS on re:Post: the session lasts an hour"""
    first = browser.sign_in_with(scope="openid")["code"]
    cookie = browser.http.cookies.get("cognito")
    assert cookie
    shared.advance(3500)
    again = callback(browser.open(prompt="none"))["code"]
    assert again != first
    assert callback(browser.open(identity_provider="Google"))["code"]
    assert claims(redeem(shared, again).json()["id_token"])["auth_time"] == pytest.approx(
        shared.pool.clock.now() - 3500, abs=5
    )
    shared.advance(200)
    assert Page(browser.open()).title == "Sign in"


def test_cookie_is_hidden_from_scripts_and_other_sites(browser: Browser) -> None:
    page = Page(browser.open(identity_provider="Google"))
    response = browser.submit(page, email=EMAIL, action="continue")
    _, *flags = response.headers["set-cookie"].split("; ")
    assert flags == ["Max-Age=3600", "Path=/", "HttpOnly", "SameSite=Lax"]


def test_cookie_of_an_https_endpoint_is_secure() -> None:
    with Sandbox(endpoint="https://cognito.example") as sandbox:
        client = Browser(sandbox).http
        client.base_url = httpx.URL(f"http://127.0.0.1:{sandbox._socket.getsockname()[1]}")
        parameters = {
            "response_type": "code",
            "client_id": sandbox.client_id,
            "redirect_uri": CALLBACK,
            "identity_provider": "Google",
        }
        response = client.post(
            "/oauth2/idpresponse", params=parameters, data={"email": EMAIL, "action": "continue"}
        )
        assert response.headers["set-cookie"].endswith("; SameSite=Lax; Secure")


def test_prompt_and_another_provider_ask_again(browser: Browser) -> None:
    browser.sign_in_with()
    assert Page(browser.open(prompt="login")).title == "Sign in"
    assert Page(browser.open(identity_provider="COGNITO")).title == "Sign in"
    assert callback(browser.open(identity_provider="COGNITO", prompt="none")) == {
        "state": "the-state",
        "error": "login_required",
    }


def test_session_of_a_disabled_user_has_ended(shared: Sandbox, browser: Browser) -> None:
    callback(browser.sign_in("fay", "Correct-horse-6"))
    shared.pool.users.find("fay").is_enabled = False  # type: ignore[union-attr]
    assert Page(browser.open()).title == "Sign in"


def test_session_of_another_pool_does_not_count(
    shared: Sandbox, new_pool: NewPool, browser: Browser
) -> None:
    browser.sign_in_with()
    pool = new_pool(app_client=OAUTH_CLIENT)
    assert Page(browser.open(client_id=pool.client_id)).title == "Sign in"
    assert callback(browser.open())["code"]


def test_log_out_ends_the_session_and_returns(shared: Sandbox, browser: Browser) -> None:
    browser.sign_in_with()
    response = browser.http.get(
        "/logout", params={"client_id": shared.client_id, "logout_uri": "http://localhost:8000/"}
    )
    assert (response.status_code, response.headers["location"]) == (302, "http://localhost:8000/")
    assert Page(browser.open()).title == "Sign in"


def test_old_cookie_is_worthless_after_log_out(shared: Sandbox, browser: Browser) -> None:
    browser.sign_in_with()
    cookie = browser.http.cookies["cognito"]
    browser.http.get(
        "/logout", params={"client_id": shared.client_id, "logout_uri": "http://localhost:8000/"}
    )
    browser.http.cookies.set("cognito", cookie)
    assert Page(browser.open()).title == "Sign in"


def test_log_out_with_a_redirect_uri_shows_the_sign_in_page(browser: Browser) -> None:
    """[dev] logout endpoint, the second example"""
    browser.sign_in_with()
    response = browser.open("/logout")
    assert response.headers["location"].startswith("/login?")
    page = Page(browser.http.get(response.headers["location"]))
    assert callback(browser.submit(page, username="fay", password="Correct-horse-6"))["code"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "Required String parameter 'redirect_uri' is not present"),
        ({"logout_uri": "https://example.com/"}, "redirect_mismatch"),
        ({"redirect_uri": "https://example.com/"}, "redirect_mismatch"),
        ({"logout_uri": "http://localhost:8000/", "client_id": "unknown"}, "invalid_request"),
    ],
)
def test_log_out_to_elsewhere_is_an_error_page(
    shared: Sandbox, browser: Browser, given: Mapping[str, str], error: str
) -> None:
    """taourl.com quotes the first; [dev] logout endpoint"""
    browser.sign_in_with()
    parameters = {"client_id": shared.client_id, **given}
    assert error_of(browser.http.get("/logout", params=parameters)) == error
    assert callback(browser.open(prompt="none"))["code"]


# ── invalid requests ──


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_id": "unknown"}, "invalid_request"),
        ({"client_id": None}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://example.com/callback"}, "redirect_mismatch"),
        ({"redirect_uri": f"{CALLBACK}#part"}, "redirect_mismatch"),
        ({"redirect_uri": "http://localhost.example.com/"}, "redirect_mismatch"),
        ({"redirect_uri": "http://localhost@example.com/"}, "redirect_mismatch"),
        ({"redirect_uri": "http://localhost:x/"}, "redirect_mismatch"),
        ({"redirect_uri": "javascript://localhost/"}, "redirect_mismatch"),
        (
            {"identity_provider": "Facebook"},
            "Login option is not available. Please try another one",
        ),
    ],
)
def test_unusable_request_never_returns_to_the_application(
    browser: Browser, changed: dict[str, str | None], error: str
) -> None:
    """aws-aspnet-cognito-identity-provider#167: /error?error=redirect_mismatch&client_id=…"""
    for method in ("GET", "POST"):
        path = "/oauth2/authorize" if method == "GET" else "/oauth2/idpresponse"
        request = browser.open(path, **changed).request
        response = browser.http.request(method, request.url, data={"email": EMAIL})
        assert error_of(response) == error
    page = browser.http.get(response.headers["location"])
    assert page.status_code == 400
    assert Page(page).title == "An error was encountered with the requested page."


@pytest.mark.parametrize(
    ("changed", "error", "description"),
    [
        ({"response_type": None}, "invalid_request", None),
        ({"response_type": "id_token"}, "invalid_request", None),
        ({"response_type": "token"}, "unauthorized_client", None),
        ({"code_challenge": CHALLENGE}, "invalid_request", None),
        ({"code_challenge_method": "S256"}, "invalid_request", None),
        (
            {"code_challenge": CHALLENGE, "code_challenge_method": "plain"},
            "invalid_request",
            None,
        ),
        ({"scope": "openid offline_access"}, "invalid_request", "invalid_scope"),
        ({"scope": "email"}, "invalid_request", "invalid_scope"),
    ],
)
def test_other_errors_return_to_the_application(
    browser: Browser, changed: dict[str, str | None], error: str, description: str | None
) -> None:
    """[dev] authorize endpoint; public reports of error_description=invalid_scope"""
    returned = callback(browser.open(**changed))
    assert (returned.pop("state"), returned.pop("error")) == ("the-state", error)
    assert returned.get("error_description") == description


def test_parameters_of_the_callback_are_kept_and_no_state_is_made_up(browser: Browser) -> None:
    response = browser.open(redirect_uri=f"{CALLBACK}?tenant=1", state=None, response_type="token")
    assert response.headers["location"] == f"{CALLBACK}?tenant=1&error=unauthorized_client"


# ── the token endpoint ──


def authorization_code(browser: Browser) -> str:
    """Return a code of a request with PKCE."""
    returned = browser.sign_in_with(code_challenge=CHALLENGE, code_challenge_method="S256")
    return returned["code"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"code_verifier": "ü"}, "invalid_grant"),
        ({"redirect_uri": "http://localhost:8000/other"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"code": "b5c1f6a2-0000-4000-8000-000000000000"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "unknown"}, "invalid_grant"),
        ({"client_id": None}, "invalid_client"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_secret": "needless"}, "invalid_client"),
    ],
)
def test_invalid_token_request_is_an_error(
    shared: Sandbox, browser: Browser, changed: dict[str, str | None], error: str
) -> None:
    """[dev] token endpoint, negative responses"""
    given: dict[str, Any] = {"code_verifier": VERIFIER, **changed}
    response = redeem(shared, given.pop("code", authorization_code(browser)), **given)
    assert (response.status_code, response.json()) == (400, {"error": error})
    assert response.headers["content-type"] == "application/json;charset=UTF-8"


def test_code_is_valid_once_and_with_its_verifier(shared: Sandbox, browser: Browser) -> None:
    code = authorization_code(browser)
    response = redeem(shared, code, code_verifier=VERIFIER)
    assert response.headers["access-control-allow-origin"] == "*"
    assert set(response.json()) == {
        "id_token",
        "access_token",
        "refresh_token",
        "expires_in",
        "token_type",
    }
    again = redeem(shared, code, code_verifier=VERIFIER)
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})


def test_wrong_verifier_uses_the_code_up(shared: Sandbox, browser: Browser) -> None:
    """The rule is inferred."""
    code = authorization_code(browser)
    redeem(shared, code, code_verifier="w" * 43)
    assert redeem(shared, code, code_verifier=VERIFIER).json() == {"error": "invalid_grant"}


def test_verifier_without_a_challenge_is_refused(shared: Sandbox, browser: Browser) -> None:
    """RFC 9700, 2.1.1: PKCE downgrade"""
    code = browser.sign_in_with()["code"]
    assert redeem(shared, code, code_verifier=VERIFIER).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(("seconds", "status"), [(299, 200), (301, 400)])
def test_code_expires_after_five_minutes(
    shared: Sandbox, browser: Browser, seconds: int, status: int
) -> None:
    """[dev] authorize endpoint"""
    code = browser.sign_in_with()["code"]
    shared.advance(seconds)
    assert redeem(shared, code).status_code == status


def test_code_of_a_deleted_user_is_refused(shared: Sandbox, boto: Any, browser: Browser) -> None:
    code = callback(browser.sign_in("fay", "Correct-horse-6"))["code"]
    boto.admin_delete_user(UserPoolId=shared.pool_id, Username="fay")
    assert redeem(shared, code).json() == {"error": "invalid_grant"}


def test_code_belongs_to_its_client(shared: Sandbox, boto: Any, browser: Browser) -> None:
    other = boto.create_user_pool_client(
        UserPoolId=shared.pool_id, ClientName="other", **OAUTH_CLIENT
    )["UserPoolClient"]
    code = browser.sign_in_with()["code"]
    assert redeem(shared, code, client_id=other["ClientId"]).json() == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    ("how", "status"), [("basic", 200), ("form", 200), ("none", 400), ("wrong", 400)]
)
def test_client_with_a_secret_has_to_prove_it(how: str, status: int) -> None:
    """[dev] token endpoint; arctic#175 for the secret in the form"""
    with running(client_secret="the-secret") as sandbox:
        code = Browser(sandbox).sign_in_with()["code"]
        pair = base64.b64encode(f"{sandbox.client_id}:the-secret".encode()).decode()
        given: dict[str, dict[str, Any]] = {
            "basic": {"headers": {"Authorization": f"Basic {pair}"}, "client_id": None},
            "form": {"client_secret": "the-secret"},
            "none": {},
            "wrong": {"client_secret": "another"},
        }
        response = redeem(sandbox, code, **given[how])
        assert response.status_code == status
        assert status == 200 or response.json() == {"error": "invalid_client"}


@pytest.mark.parametrize("header", ["Basic", "Basic ///", "Basic /w==", "Bearer x"])
def test_malformed_authorization_is_invalid_client(shared: Sandbox, header: str) -> None:
    response = redeem(shared, "x", client_id=None, headers={"Authorization": header})
    assert (response.status_code, response.json()) == (400, {"error": "invalid_client"})


def test_two_clients_in_one_request_are_refused(shared: Sandbox, browser: Browser) -> None:
    pair = base64.b64encode(f"{shared.client_id}:".encode()).decode()
    headers = {"Authorization": f"Basic {pair}"}
    response = redeem(shared, browser.sign_in_with()["code"], client_id="x", headers=headers)
    assert response.json() == {"error": "invalid_client"}


def test_rotating_refresh_token_is_replaced() -> None:
    """API reference, RefreshTokenRotationType"""
    with running(refresh_rotation=True) as sandbox:
        tokens = redeem(sandbox, Browser(sandbox).sign_in_with()["code"]).json()
        replaced = refresh(sandbox, tokens["refresh_token"]).json()
        assert replaced["refresh_token"] != tokens["refresh_token"]
        sandbox.advance(5)
        assert refresh(sandbox, tokens["refresh_token"]).json() == {"error": "invalid_grant"}


def test_refresh_returns_no_refresh_token_without_rotation(
    shared: Sandbox, browser: Browser
) -> None:
    """[dev] token endpoint"""
    tokens = redeem(shared, browser.sign_in_with()["code"]).json()
    assert "refresh_token" not in refresh(shared, tokens["refresh_token"]).json()


# ── scopes ──


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ("openid", {"email", "email_verified", "phone_number", "phone_number_verified", "name"}),
        ("openid email", {"email", "email_verified"}),
        ("openid phone", {"phone_number", "phone_number_verified"}),
        (
            "openid email profile",
            {"email", "email_verified", "phone_number", "phone_number_verified", "name"},
        ),
    ],
)
def test_scopes_limit_the_attributes(scope: str, found: set[str]) -> None:
    """[dev] userInfo endpoint, example scopes and their effect"""
    seed = {
        "username": "ana",
        "password": PASSWORD,
        "email": "ana@example.com",
        "phone_number": "+15550001234",
        "attributes": {"name": "Ana"},
    }
    with running(UserSeed.model_validate(seed)) as sandbox:
        code = callback(Browser(sandbox).sign_in("ana", PASSWORD, scope=scope))["code"]
        tokens = redeem(sandbox, code).json()
        everything = {"email", "email_verified", "phone_number", "phone_number_verified", "name"}
        assert claims(tokens["id_token"]).keys() & everything == found
        info = user_info(sandbox, tokens["access_token"]).json()
        assert info.keys() == found | {"sub", "username"}
        assert info["username"] == "ana"
        assert all(isinstance(value, str) for value in info.values())


def test_scope_of_the_api_has_to_be_asked_for(shared: Sandbox, boto: Any, browser: Browser) -> None:
    """[dev] authorize endpoint: no scope means all of the client's"""
    limited = redeem(shared, browser.sign_in_with(scope="openid")["code"]).json()["access_token"]
    assert rejection(boto.get_user, AccessToken=limited) == (
        "NotAuthorizedException",
        "Access Token does not have required scopes",
    )
    asked = callback(browser.open(scope="aws.cognito.signin.user.admin"))["code"]
    tokens = redeem(shared, asked).json()
    assert boto.get_user(AccessToken=tokens["access_token"])["Username"].startswith("Google_")
    assert "id_token" not in tokens
    every = redeem(shared, callback(browser.open())["code"]).json()["access_token"]
    assert claims(every)["scope"] == "openid email phone profile aws.cognito.signin.user.admin"


def test_user_info_needs_openid_and_a_valid_token(shared: Sandbox, browser: Browser) -> None:
    """[dev] userInfo endpoint; public code that quotes the words about openid"""
    code = browser.sign_in_with(scope="aws.cognito.signin.user.admin")["code"]
    token = redeem(shared, code).json()["access_token"]
    refused = user_info(shared, token)
    words = "Access token does not contain openid scope"
    assert (refused.status_code, refused.json()) == (
        401,
        {"error": "invalid_token", "error_description": words},
    )
    assert refused.headers["www-authenticate"] == (
        f'Bearer error="invalid_token", error_description="{words}"'
    )
    assert user_info(shared, "nonsense").status_code == 401
    missing = HTTP.post(f"{shared.endpoint}/oauth2/userInfo")
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")


def test_user_info_of_another_user_of_the_same_name_is_refused(
    shared: Sandbox, boto: Any, browser: Browser
) -> None:
    code = callback(browser.sign_in("fay", "Correct-horse-6"))["code"]
    token = redeem(shared, code).json()["access_token"]
    assert user_info(shared, token).json()["username"] == "fay"
    boto.admin_delete_user(UserPoolId=shared.pool_id, Username="fay")
    assert user_info(shared, token).status_code == 401
    shared.add_user(UserSeed.model_validate({"username": "fay", "password": PASSWORD}))
    assert user_info(shared, token).status_code == 401


def test_token_of_the_api_has_no_openid(shared: Sandbox, sign_in: Any) -> None:
    """[dev] userInfo endpoint"""
    tokens = sign_in("fay", "Correct-horse-6").json()["AuthenticationResult"]
    assert user_info(shared, tokens["AccessToken"]).status_code == 401
    assert not claims(tokens["IdToken"]).keys() & {"nonce", "at_hash", "identities"}
    assert "version" not in claims(tokens["AccessToken"])


# ── revocation ──


def test_revocation_answers_as_documented(shared: Sandbox, browser: Browser) -> None:
    """[dev] revoke endpoint"""
    url = f"{shared.endpoint}/oauth2/revoke"
    tokens = redeem(shared, browser.sign_in_with()["code"]).json()

    def revoke(**form: str) -> tuple[int, Any]:
        response = HTTP.post(url, data={"client_id": shared.client_id, **form})
        return response.status_code, response.json() if response.content else None

    assert revoke() == (400, {"error": "invalid_request"})
    assert revoke(token=tokens["access_token"]) == (400, {"error": "unsupported_token_type"})
    assert revoke(token="unknown") == (200, None)
    assert revoke(token="x", client_id="unknown") == (401, {"error": "invalid_client"})
    assert revoke(token=tokens["refresh_token"]) == (200, None)
    assert user_info(shared, tokens["access_token"]).status_code == 401


# ── triggers and attributes ──


class Hooks:
    """Hooks that note the events, and do what a test gives them.

    Args:
        actions: what a hook does with its event, by trigger. It can raise.
    """

    def __init__(self, **actions: Callable[[Event], None]) -> None:
        self.events: list[Event] = []
        self._actions = actions

    def __call__(self, *names: str) -> dict[str, Callable[[Event], Event]]:
        return {name: self._hook(name) for name in (*names, *self._actions)}

    def _hook(self, name: str) -> Callable[[Event], Event]:
        def hook(event: Event) -> Event:
            self.events.append(event)
            if name in self._actions:
                self._actions[name](event)
            return event

        return hook

    @property
    def sources(self) -> list[str]:
        return [event["triggerSource"] for event in self.events]


def fail(_: Event) -> None:
    raise ValueError("Not invited")


TRIGGERS = (
    "PreSignUp",
    "PostConfirmation",
    "PreAuthentication",
    "PostAuthentication",
    "PreTokenGeneration",
)


def test_triggers_of_a_first_and_a_second_sign_in() -> None:
    """recorded events of the first two; that a later sign-in differs is inferred"""
    hooks = Hooks()
    with running(triggers=hooks(*TRIGGERS)) as sandbox:
        redeem(sandbox, Browser(sandbox).sign_in_with()["code"])
        assert hooks.sources == [
            "PreSignUp_ExternalProvider",
            "PostConfirmation_ConfirmSignUp",
            "TokenGeneration_HostedAuth",
        ]
        assert hooks.events[0]["userName"].startswith("Google_")
        assert hooks.events[0]["request"] == {
            "userAttributes": {
                "cognito:email_alias": "",
                "cognito:phone_number_alias": "",
                "email": EMAIL,
                "email_verified": "false",
            },
            "validationData": {},
        }
        hooks.events.clear()
        Browser(sandbox).sign_in_with()
        assert hooks.sources == [
            "PreAuthentication_Authentication",
            "PostAuthentication_Authentication",
        ]


@pytest.mark.parametrize("trigger", ["PreSignUp", "PostConfirmation"])
def test_refusal_of_a_trigger_returns_to_the_application(trigger: str) -> None:
    """amplify-js#14063"""
    hooks = Hooks(**{trigger: fail})
    with running(triggers=hooks()) as sandbox:
        assert Browser(sandbox).sign_in_with() == {
            "error_description": f"{trigger} failed with error Not invited.",
            "state": "the-state",
            "error": "invalid_request",
        }


def test_pre_sign_up_can_verify_the_address() -> None:
    """[dev] pre sign-up Lambda trigger: autoVerifyEmail"""

    def verify(event: Event) -> None:
        event["response"]["autoVerifyEmail"] = True

    with running(triggers=Hooks(PreSignUp=verify)()) as sandbox:
        tokens = redeem(sandbox, Browser(sandbox).sign_in_with()["code"]).json()
        assert claims(tokens["id_token"])["email_verified"] is True


def test_refusal_of_pre_token_generation_is_an_error_of_the_token_endpoint() -> None:
    """The rule is inferred."""
    hooks = Hooks(PreTokenGeneration=fail)
    with running(triggers=hooks()) as sandbox:
        assert redeem(sandbox, Browser(sandbox).sign_in_with()["code"]).json() == {
            "error": "invalid_request",
            "error_description": "PreTokenGeneration failed with error Not invited.",
        }


def test_link_in_pre_sign_up_fails_once_and_signs_in_the_user_of_the_pool_then() -> None:
    """amplify-flutter#1716, amplify-swift#2226"""
    ana = UserSeed.model_validate(
        {"username": "ana", "password": PASSWORD, "email": "ana@example.com"}
    )

    def link(event: Event) -> None:
        provider, _, subject = event["userName"].partition("_")
        source = {"ProviderName": provider, "ProviderAttributeName": "Cognito_Subject"}
        sandbox.pool.perform(
            "AdminLinkProviderForUser",
            {
                "UserPoolId": sandbox.pool_id,
                "DestinationUser": {"ProviderName": "Cognito", "ProviderAttributeValue": "ana"},
                "SourceUser": {**source, "ProviderAttributeValue": subject},
            },
        )

    with running(ana, triggers=Hooks(PreSignUp=link)()) as sandbox:
        browser = Browser(sandbox)
        refused = browser.sign_in_with(email="ana@example.com")
        assert refused["error"] == "invalid_request"
        assert refused["error_description"].startswith(
            "Already found an entry for username Google_"
        )
        assert len(sandbox.pool.users) == 1
        code = browser.sign_in_with(email="ana@example.com")["code"]
        identity = claims(redeem(sandbox, code).json()["id_token"])
        assert identity["cognito:username"] == "ana"
        assert identity["identities"][0]["primary"] == "false"


def test_user_of_a_provider_who_has_signed_in_cannot_be_linked(
    shared: Sandbox, boto: Any, browser: Browser
) -> None:
    """public reports of these words"""
    code = browser.sign_in_with()["code"]
    name = claims(redeem(shared, code).json()["access_token"])["username"]

    def link(value: str, provider: str = "Google") -> Any:
        return boto.admin_link_provider_for_user(
            UserPoolId=shared.pool_id,
            DestinationUser={"ProviderName": "Cognito", "ProviderAttributeValue": "fay"},
            SourceUser={
                "ProviderName": provider,
                "ProviderAttributeName": "Cognito_Subject",
                "ProviderAttributeValue": value,
            },
        )

    words = rejection(link, name.removeprefix("Google_"))[1]
    assert words.startswith("Merging is not currently supported")
    assert rejection(link, "1", "Facebook")[0] == "InvalidParameterException"
    link("1")
    assert rejection(link, "1")[1].startswith("Merging is not currently supported")


def test_disabled_user_of_a_provider_is_refused(shared: Sandbox, browser: Browser) -> None:
    """public code that matches #error_description=User+is+not+enabled&error=invalid_request"""
    browser.sign_in_with()
    (user,) = (one for one in shared.pool.users if one.status == "EXTERNAL_PROVIDER")
    user.is_enabled = False
    refused = Browser(shared).sign_in_with()
    assert refused["error_description"] == "User is not enabled"
    assert refused["error"] == "invalid_request"


def provider_of(pool: UserPool, **members: Any) -> None:
    """Let the app client of a pool use a provider."""
    pool.admin(
        "create_identity_provider",
        ProviderName="corp",
        ProviderType="OIDC",
        ProviderDetails={"client_id": "1", "client_secret": "2", "authorize_scopes": "openid"},
        **members,
    )
    pool.admin(
        "update_user_pool_client",
        ClientId=pool.client_id,
        **{**OAUTH_CLIENT, "SupportedIdentityProviders": ["corp"]},
    )


def test_immutable_attribute_fails_each_sign_in_but_the_first(
    shared: Sandbox, new_pool: NewPool
) -> None:
    """amplify-js#3526, amazon-cognito-auth-js#159"""
    schema = [{"Name": "email", "Required": True, "Mutable": False}]
    pool = new_pool(Schema=schema)
    provider_of(pool, AttributeMapping={"email": "mail"})
    assert "code" in Browser(shared, pool.client_id).sign_in_with("corp")
    refused = Browser(shared, pool.client_id).sign_in_with("corp")
    assert refused["error_description"].split("\n")[0] == (
        "Invalid user attributes: email: Attribute cannot be updated."
    )


def test_required_attribute_that_is_not_mapped_is_named(shared: Sandbox, new_pool: NewPool) -> None:
    """public code that matches these words"""
    pool = new_pool(Schema=[{"Name": "email", "Required": True}])
    provider_of(pool)
    refused = Browser(shared, pool.client_id).sign_in_with("corp")
    assert refused["error_description"] == "attributes required: [email]"


def test_provider_by_its_identifier_verifies_what_its_mapping_says(
    shared: Sandbox, new_pool: NewPool
) -> None:
    """[dev] authorize endpoint, idp_identifier; the only provider needs no chooser"""
    pool = new_pool(UsernameConfiguration={"CaseSensitive": False})
    mapping = {"email": "mail", "email_verified": "mail_verified", "name": "display"}
    provider_of(pool, AttributeMapping=mapping, IdpIdentifiers=["corp.example"])
    browser = Browser(shared, pool.client_id)
    assert Page(browser.open(idp_identifier="corp.example")).title == "Pretend corp"
    page = Page(browser.open())
    assert page.title == "Pretend corp"
    code = callback(browser.submit(page, email=EMAIL, action="continue"))["code"]
    tokens = redeem(shared, code, client_id=pool.client_id).json()
    found = pool.get(claims(tokens["access_token"])["username"])
    assert (found["email"], found["email_verified"], found["name"]) == (EMAIL, "true", "gina")
    assert json.loads(found["identities"])[0]["primary"] is True
    assert error_of(browser.open(idp_identifier="other")).startswith("Login option")


# ── the app client's settings ──


def test_client_that_is_not_enabled_says_so(shared: Sandbox, new_pool: NewPool) -> None:
    """amazon-cognito-auth-js#159"""
    pool = new_pool(app_client={"CallbackURLs": [CALLBACK]})
    returned = callback(Browser(shared, pool.client_id).open())
    assert returned["error"] == "invalid_request"
    assert returned["error_description"] == "Client is not enabled for OAuth2.0 flows."


def test_client_without_the_code_flow_is_unauthorized(shared: Sandbox, new_pool: NewPool) -> None:
    """[dev] authorize endpoint and token endpoint"""
    pool = new_pool(app_client={**OAUTH_CLIENT, "AllowedOAuthFlows": ["implicit"]})
    returned = callback(Browser(shared, pool.client_id).open())
    assert returned["error"] == "unauthorized_client"
    response = redeem(shared, "any", client_id=pool.client_id)
    assert response.json() == {"error": "unauthorized_client"}


def test_urls_of_a_client_are_compared_character_by_character(
    shared: Sandbox, new_pool: NewPool
) -> None:
    """[dev] authorize endpoint"""
    pool = new_pool(app_client=OAUTH_CLIENT)
    browser = Browser(shared, pool.client_id)
    assert Page(browser.open()).title == "Sign in"
    for url in (f"{CALLBACK}/", "http://localhost:8001/callback", "http://LOCALHOST:8000/callback"):
        assert error_of(browser.open(redirect_uri=url)) == "redirect_mismatch"
    logout = {"client_id": pool.client_id, "logout_uri": "http://localhost:8000/"}
    assert error_of(browser.http.get("/logout", params=logout)) == "redirect_mismatch"


def test_settings_that_do_not_fit_together_are_rejected(new_pool: NewPool) -> None:
    """public reports of both, from Terraform and the CDK"""
    pool = new_pool()

    def create(**members: Any) -> tuple[str, str]:
        return rejection(pool.admin, "create_user_pool_client", ClientName="web", **members)

    words = (
        "AllowedOAuthFlows and AllowedOAuthScopes are required if user pool client is allowed to use "
        "OAuth flows."
    )
    for member in ("AllowedOAuthFlows", "AllowedOAuthScopes"):
        without = {name: value for name, value in OAUTH_CLIENT.items() if name != member}
        assert create(**without) == ("InvalidParameterException", words)
    assert create(SupportedIdentityProviders=["Google"]) == (
        "InvalidParameterException",
        f"The provider Google does not exist for User Pool {pool.id}.",
    )


def test_seed_names_providers_scopes_and_urls() -> None:
    app = "myapp://callback"
    with running(
        providers=("SignInWithApple", "corp"),
        oauth_scopes=("openid",),
        callback_urls=(app,),
        logout_urls=("myapp://bye",),
    ) as sandbox:
        browser = Browser(sandbox)
        page = Page(browser.open(redirect_uri=app))
        assert page.response.headers["content-security-policy"].endswith("'self' myapp:")
        assert [parse_qs(link)["identity_provider"][0] for link in page.links] == [
            "SignInWithApple",
            "corp",
        ]
        assert error_of(browser.open()) == "redirect_mismatch"
        found = sandbox.pool.clients[sandbox.client_id].configuration
        assert (found["CallbackURLs"], found["LogoutURLs"]) == ([app], ["myapp://bye"])
        assert sandbox.pool.providers["corp"]["ProviderType"] == "OIDC"


def test_pool_finds_its_metadata(shared: Sandbox, new_pool: NewPool) -> None:
    """OpenID Connect Discovery 1.0; a domain belongs to one pool"""
    own = HTTP.get(f"{shared.endpoint}/{shared.pool_id}/.well-known/openid-configuration").json()
    assert own["end_session_endpoint"] == f"{shared.endpoint}/logout"
    assert own["token_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
    ]
    assert own["scopes_supported"] == ["openid", "email", "phone", "profile"]
    root = f"{shared.endpoint}/.well-known/openid-configuration"
    assert HTTP.get(root).json() == own
    new_pool()
    assert HTTP.get(root).status_code == 404


# ── the controls ──


def test_endpoints_are_counted_and_logged_without_secrets(
    shared: Sandbox, browser: Browser
) -> None:
    redeem(shared, browser.sign_in_with()["code"])
    redeem(shared, "unknown")
    assert shared.calls() == {
        "oauth2/authorize": 1,
        "oauth2/idpresponse": 1,
        "oauth2/token": 2,
    }
    token, failed = shared.requests()[-2:]
    assert (token.operation, token.status, token.error) == ("oauth2/token", 200, None)
    assert (failed.status, failed.error) == (400, "invalid_grant")
    assert token.members == dict.fromkeys(
        ("grant_type", "client_id", "redirect_uri", "code"), "***"
    )


def test_lost_response_of_the_token_endpoint_has_used_the_code(
    shared: Sandbox, browser: Browser
) -> None:
    code = browser.sign_in_with()["code"]
    shared.lose_next_response("oauth2/token")
    with pytest.raises(httpx.TransportError):
        redeem(shared, code)
    assert redeem(shared, code).json() == {"error": "invalid_grant"}


def test_closed_connection_leaves_the_code_valid(shared: Sandbox, browser: Browser) -> None:
    code = browser.sign_in_with()["code"]
    shared.order(Fault(operation="oauth2/token", kind="refuse"))
    with pytest.raises(httpx.TransportError):
        redeem(shared, code)
    assert redeem(shared, code).status_code == 200


def test_faults_answer_in_the_language_of_oauth(
    shared: Sandbox, browser: Browser, control: httpx.Client
) -> None:
    code = browser.sign_in_with()["code"]
    for order in (
        {"kind": "error", "code": "invalid_grant", "message": "Ordered"},
        {"kind": "error", "code": "temporarily_unavailable", "status": 503},
        {"kind": "throttle"},
        {"kind": "http_500", "performed": False},
        {"kind": "malformed", "performed": False},
    ):
        control.post("/faults", json={"operation": "oauth2/token", **order}).raise_for_status()
    refused = redeem(shared, code)
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": "invalid_grant", "error_description": "Ordered"},
    )
    assert redeem(shared, code).status_code == 503
    assert redeem(shared, code).status_code == 429
    assert redeem(shared, code).status_code == 500
    with pytest.raises(json.JSONDecodeError):
        redeem(shared, code).json()
    assert redeem(shared, code).status_code == 200
    unknown = {"operation": "oauth2/token", "kind": "error", "code": "CodeMismatchException"}
    assert control.post("/faults", json=unknown).status_code == 400


def test_ordered_error_of_a_provider_returns_to_the_application(
    shared: Sandbox, browser: Browser
) -> None:
    page = Page(browser.open(identity_provider="Google"))
    shared.order(
        Fault(operation="oauth2/idpresponse", kind="error", code="server_error", message="Down")
    )
    assert callback(browser.submit(page, email=EMAIL, action="continue")) == {
        "error_description": "Down",
        "state": "the-state",
        "error": "server_error",
    }
    shared.order(Fault(operation="oauth2/authorize", kind="error", code="access_denied"))
    assert error_of(browser.open(client_id="unknown")) == "invalid_request"


def test_reset_forgets_sessions_codes_and_users(shared: Sandbox, browser: Browser) -> None:
    code = browser.sign_in_with()["code"]
    shared.reset()
    assert redeem(shared, code).json() == {"error": "invalid_grant"}
    assert Page(browser.open()).title == "Sign in"
    assert all(one.status != "EXTERNAL_PROVIDER" for one in shared.pool.users)


def test_test_answers_the_page_of_a_provider_without_a_browser(shared: Sandbox) -> None:
    pool = CognitoPool(shared)
    url = (
        f"{shared.endpoint}/oauth2/authorize?response_type=code&client_id={shared.client_id}"
        f"&redirect_uri={CALLBACK}&state=s&identity_provider=Google"
    )
    returned = pool.return_from_provider(url, EMAIL)
    assert returned.startswith(f"{CALLBACK}?code=")
    code = parse_qs(urlsplit(returned).query)["code"][0]
    assert redeem(shared, code).status_code == 200
    assert parse_qs(urlsplit(pool.return_from_provider(url, None)).query)["error"] == [
        "access_denied"
    ]
    for wrong, email in ((url, "gina"), (url.replace("Google", "Facebook"), EMAIL)):
        with pytest.raises(InvalidInput, match="does not return to the application"):
            pool.return_from_provider(wrong, email)
