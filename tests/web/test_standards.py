"""Requirements of OWASP ASVS 5.0 and NIST SP 800-63B-4 that no other test shows; see SECURITY.md."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import jwt
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.doubles import ManualClock, a_text, the_tokens
from tests.flows import AT_REST, FLOWS, PROVIDER
from tests.web.example_apps import KEY, client_of, web_for
from tests.web.pages import Program, Visit

import oncegate_web
from oncegate import (
    ForgotPassword,
    InvalidToken,
    ResetPassword,
    SealingKeys,
    SignIn,
    SubmitPassword,
    Tokens,
)
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    CheckPassword,
    Device,
    DeviceRegistered,
    NewDevice,
    Outcome,
    ProviderChallenge,
    Rejected,
    RejectionReason,
    ResetPasswordWith,
    SendCode,
    TokensIssued,
)
from oncegate.budget import GuessLimit
from oncegate.record import Flow
from oncegate.step import step_of
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTokenService, CognitoTransport, TokenVerifier
from oncegate_stores import MemoryStore
from oncegate_web import JinjaRenderer
from oncegate_web._cookie_sessions import CookieSessions
from oncegate_web._sessions import StoreSessions
from oncegate_web._translations import Translators
from oncegate_web.pages import PageBuilder

ANA = {"username": "ana", "password": "Correct-horse-1"}
CODE = {"code": "123456"}
STATIC = Path(oncegate_web.__file__).with_name("assets")
SCRIPTS = {
    name: re.sub(r"//.*|/\*.*?\*/", "", (STATIC / name).read_text("utf-8"))
    for name in ("oncegate.js", "page.js", "step.js", "passkey.js")
}
"""The scripts of the sign-in, without comments. The demo has others."""


# ── V3.2, V3.4: headers ──


def _get(path: str, **headers: str) -> Callable[[httpx.Client], httpx.Response]:
    return lambda client: client.get(path, headers=headers)


def _post(path: str, **more: Any) -> Callable[[httpx.Client], httpx.Response]:
    return lambda client: client.post(path, **more)


def _posts_form() -> Callable[[httpx.Client], httpx.Response]:
    """Post the form of the first page, with the framework's fields and with a wrong token of ours."""

    def ask(client: httpx.Client) -> httpx.Response:
        visit = Visit(client)
        visit.open()
        form = visit.page.forms["submit-password"]
        return visit.post(form.action, {**form.values, "_token": "wrong"})

    return ask


RESPONSES: dict[str, tuple[int, Callable[[httpx.Client], httpx.Response]]] = {
    "page": (200, _get("/auth/")),
    "page that does not exist": (404, _get("/auth/nothing")),
    "redirect": (303, _posts_form()),
    "answer of a provider": (303, _get("/auth/callback?code=c&state=s")),
    "wrong method": (405, lambda client: client.put("/auth/sign-out")),
    "from another site": (403, _post("/auth/flows", headers={"origin": "https://evil.example"})),
    "too large": (413, _post("/auth/flows/current/events", json="x" * 70_000)),
    "flow": (201, _post("/auth/flows")),
    "no flow": (404, _get("/auth/flows/current")),
    "no user": (401, _get("/auth/session")),
    "guard": (401, _get("/orders", accept="application/json")),
    "guard of a page": (303, _get("/orders")),
    "large form": (413, _post("/auth/", data={"username": "x" * 70_000})),
    "sign-out": (204, lambda client: client.delete("/auth/session")),
    "document": (200, _get("/auth/openapi.json")),
    "script": (200, _get("/auth/static/page.js")),
    "file that does not exist": (404, _get("/auth/static/none.js")),
    "preflight": (
        204,
        lambda client: client.options(
            "/auth/flows",
            headers={"origin": "http://x.test", "access-control-request-method": "POST"},
        ),
    ),
}


@pytest.mark.parametrize("response", RESPONSES)
def test_every_response_has_the_security_headers(framework: str, response: str) -> None:
    status, ask = RESPONSES[response]
    with client_of(framework, web_for(ScriptedTransport())) as client:
        answer = ask(client)
    assert answer.status_code == status
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in answer.headers["content-security-policy"].split(";")
    )
    # object-src and all others fall back on default-src (CSP Level 3, 6.1).
    assert policy["default-src"] == "'none'"
    assert "object-src" not in policy
    assert {policy[name] for name in ("script-src", "style-src", "form-action")} == {"'self'"}
    assert {policy[name] for name in ("base-uri", "frame-ancestors")} == {"'none'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    # The address of a provider's answer has a code, so not even our own pages learn it.
    is_answer = response == "answer of a provider"
    expected = "no-referrer" if is_answer else "same-origin"
    assert answer.headers["referrer-policy"] == expected
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers
    if answer.content:
        assert (
            "charset=utf-8" in answer.headers["content-type"]
            or "json" in (answer.headers["content-type"])
        )


@pytest.mark.parametrize("parameter", ["callback", "jsonp"])
def test_json_is_never_a_script(framework: str, parameter: str) -> None:
    with client_of(framework, web_for(ScriptedTransport())) as client:
        client.post("/auth/flows")
        for path in ("/auth/flows/current", "/auth/session", "/auth/openapi.json"):
            answer = client.get(path, params={parameter: "steal"})
            assert "json" in answer.headers["content-type"]
            assert answer.json()
            assert "steal" not in answer.text


def test_script_is_the_same_for_every_user(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport(a_text(), the_tokens()))) as client:
        _signs_in(Program(client))
        of_user = {name: client.get(f"/auth/static/{name}").content for name in SCRIPTS}
    with client_of(framework, web_for(ScriptedTransport())) as client:
        assert of_user == {name: client.get(f"/auth/static/{name}").content for name in SCRIPTS}


# ── V3.2, V3.5, NIST 5.1: scripts ──


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_writes_no_markup_and_takes_no_messages(script: str) -> None:
    unsafe = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|createContextualFragment"
        r"|\beval\b|new Function|setTimeout\(\s*[\"'`]|postMessage|[\"']message[\"']|javascript:"
    )
    assert not re.search(unsafe, SCRIPTS[script])


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_stores_nothing_and_leaves_pasting_alone(script: str) -> None:
    used = r"localStorage|sessionStorage|indexedDB|document\.cookie|[\"']on?paste[\"']|keydown"
    assert not re.search(used, SCRIPTS[script])


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_declares_no_global(script: str) -> None:
    """Modules have a scope of their own; what is left is an assignment to a global object."""
    assert not re.search(
        r"\b(window|document|globalThis|self)\s*(\.\w+|\[[^]]*\])\s*=[^=]", SCRIPTS[script]
    )
    assert not re.search(r"^(var|function)\b", SCRIPTS[script], re.MULTILINE)


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, tag: str) -> list[dict[str, str]]:
        return [has for name, has in self.all if name == tag]


def _page(flow: Flow) -> Elements:
    step = step_of("the flow", flow)
    page = PageBuilder(
        Translators(()).best(("en",)),
        action="/auth/",
        prefix="/auth",
        hidden={"_token": "t"},
    ).step(step)
    return Elements(JinjaRenderer()("oncegate/page.html", page))


@pytest.mark.parametrize("flow", FLOWS)
def test_name_in_a_page_hides_no_property_that_the_scripts_use(flow: str) -> None:
    """DOM clobbering: a named element hides a property of its document or form."""
    named = {
        has[attribute]
        for _, has in _page(FLOWS[flow]).all
        for attribute in ("id", "name")
        if attribute in has
    }
    used = {
        name
        for script in SCRIPTS.values()
        for name in re.findall(r"\b(?:document|form)\.(\w+)", script)
    }
    assert {"body", "querySelector", "requestSubmit"} <= used
    assert named
    assert not named & used


@pytest.mark.parametrize("flow", FLOWS)
def test_page_loads_only_files_of_its_own_origin(flow: str) -> None:
    page = _page(FLOWS[flow])
    assert isinstance(PROVIDER.challenge, ProviderChallenge)
    links = {PROVIDER.challenge.url}  # the user follows it
    urls = [has[name] for _, has in page.all for name in ("src", "href", "action") if name in has]
    assert links <= set(urls) if flow == "awaiting_provider" else urls
    urls = [url for url in urls if url not in links]
    # An authenticator app on the same device is opened by its own scheme.
    assert all(re.match(r"/[^/]|data:image/|otpauth://totp/", url) for url in urls)
    assert {has.get("type") for has in page.of("script")} == {"module"}
    assert not {"object", "embed", "applet", "iframe", "frame"} & {tag for tag, _ in page.all}


@pytest.mark.parametrize(
    "state", ["idle", "awaiting_password", "awaiting_new_password", "awaiting_reset"]
)
def test_password_is_masked_and_open_to_password_managers(state: str) -> None:
    flow = {str(one.value): flow for one, flow in AT_REST.items()}[state]
    (field,) = [has for has in _page(flow).of("input") if "password" in has.get("name", "")]
    assert field["type"] == "password"
    assert field["autocomplete"] in {"current-password", "new-password"}
    assert not {"maxlength", "pattern", "readonly", "onpaste"} & set(field)


def test_typed_markup_is_shown_as_text(framework: str) -> None:
    wrong = Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
    typed = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    with client_of(framework, web_for(ScriptedTransport(wrong))) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", username=typed, password="x")
        assert visit.page.forms["submit-password"].values["username"] == typed
        page = Elements(visit.shown())
        assert len(page.of("script")) == 1
        assert not page.of("img")


# ── V3.3, V7.2: cookies and the IDs in them ──


@pytest.mark.parametrize("interface", [Visit, Program], ids=["pages", "json"])
def test_value_of_a_cookie_is_in_no_body_and_no_url(
    framework: str, interface: Callable[[httpx.Client], Any]
) -> None:
    seen: list[str] = []
    values: set[str] = set()

    def note(response: httpx.Response) -> None:
        response.read()
        headers = [f"{k}: {v}" for k, v in response.headers.multi_items() if k != "set-cookie"]
        seen.extend([str(response.request.url), response.text, *headers])
        values.update(one.value or "" for one in client.cookies.jar if "oncegate" in one.name)

    with client_of(framework, web_for(ScriptedTransport(a_text(), the_tokens()))) as client:
        client.event_hooks["response"].append(note)
        _signs_in(interface(client))
        client.get("/auth/session")
        client.get("/auth/")
        client.get("/orders")
    values.discard("")
    assert len(values) == 2, "of the flow and of the session"
    assert not [text for text in seen for value in values if value in text]


def test_session_id_has_128_random_bits_that_no_other_has() -> None:
    transport: Any = SimpleNamespace(app_id="pool/client", token_service=None)
    keys = SealingKeys(KEY).bound_to("pool/client oncegate")
    sessions = StoreSessions(MemoryStore(), transport, keys, now=ManualClock().now)
    ids = {sessions.create(Tokens(access_token="a")) for _ in range(200)}
    assert len(ids) == 200
    # The MAC at the end differs with the rest, so it is not counted. All have one time and one user.
    mac = 12
    numbers = [int.from_bytes(base64.urlsafe_b64decode(one + "=")[:-mac], "big") for one in ids]
    varying = 0
    for number in numbers:
        varying |= number ^ numbers[0]
    assert varying.bit_count() >= 128


def test_longest_cookie_is_stored_by_every_browser() -> None:
    """Name and value of at most 4096 bytes (RFC 6265, 6.1)."""
    name = f"__Host-{'n' * 32}_session.{CookieSessions.MOST - 1}"
    assert len(name) + CookieSessions.PIECE <= 4096


@pytest.mark.parametrize("kind", ["server", "cookie"])
def test_no_cookie_has_personal_data_in_clear(framework: str, kind: str) -> None:
    clear = (b"ana@example", b"Correct-horse", b"device-key", b"access of", b"refresh of")
    tokens = Tokens(access_token="access of ana@example", refresh_token="refresh of ana@example")
    device = Device.model_validate(
        {"username": "ana@example", "key": "device-key", "group_key": "g", "password": "p"}
    )
    new_device = NewDevice(key="device-key", group_key="group")
    transport = ScriptedTransport(
        a_text(),
        TokensIssued(tokens=tokens, new_device=new_device, username="ana@example"),
        DeviceRegistered(device=device, ask_user=False),
    )
    with client_of(framework, web_for(transport, sessions=kind)) as client:
        _signs_in(Program(client))
        ours = [one for one in client.cookies.jar if "oncegate" in one.name]
    assert {re.sub(r"session.*|\..*", "", one.name) for one in ours} == {
        "oncegate_flow",
        "oncegate_device",
        "oncegate_",
    }
    for value in (one.value or "" for one in ours):
        for start in range(4):  # wherever a base64 text begins
            coded = re.sub(r"[^\w-]", "", value)[start:]
            plain = base64.urlsafe_b64decode(coded[: len(coded) // 4 * 4])
            assert not [text for text in clear if text in plain + value.encode()]


# ── V6.2, NIST 3.1.1.2: passwords ──


@pytest.mark.parametrize("interface", [Visit, Program], ids=["pages", "json"])
@pytest.mark.parametrize(
    "password",
    [
        "".join(map(chr, range(0x20, 0x7F))),
        "  blanks at both ends  ",
        "Zu\u0308rich \u6771\u4eac \U0001f510",  # decomposed; not in the basic plane
        "a" * 256,
        "%00 &amp; +%2B",
    ],
    ids=["ASCII", "blanks", "Unicode", "256 characters", "escapes"],
)
def test_password_reaches_cognito_as_it_was_typed(
    framework: str, interface: Callable[[httpx.Client], Any], password: str
) -> None:
    transport = ScriptedTransport(a_text())
    with client_of(framework, web_for(transport)) as client:
        user = interface(client)
        user.open()
        user.say("submit_password", username="ana", password=password)
    (call,) = transport.calls
    assert isinstance(call, CheckPassword)
    assert call.password.get_secret_value() == password


# ── NIST 4.2.1.2: recovery codes ──


def test_guesses_at_a_recovery_code_are_limited_over_all_flows() -> None:
    guesses = 0

    def perform(call: Call) -> Outcome:
        nonlocal guesses
        if isinstance(call, CheckPassword):
            return Rejected(reason=RejectionReason.PASSWORD_RESET_REQUIRED)
        if isinstance(call, SendCode):
            return ChallengeIssued(challenge=call.challenge)
        assert isinstance(call, ResetPasswordWith)
        guesses += 1
        return Rejected(reason=RejectionReason.WRONG_CODE)

    transport = ScriptedTransport(*[perform] * 500)
    sign_in = SignIn(
        transport=transport, store=MemoryStore(), clock=ManualClock(), keys=SealingKeys(KEY)
    )
    flows = 0
    while True:
        step = sign_in.send(sign_in.start(), SubmitPassword(username="ana", password="x"))
        step = sign_in.send(step, ForgotPassword())
        if step.state == "idle":
            break  # no further codes are sent for this user, either
        flows += 1
        for number in range(4):
            code = f"{flows:03}{number:03}"
            step = sign_in.send(step, ResetPassword(code=code, new_password="Better-horse-9"))
        assert step.state == "awaiting_reset"
        guessed = step
    assert flows * 4 > GuessLimit().free
    step = guessed
    assert guesses == GuessLimit().free
    assert step.reason is not None
    assert step.reason.code == "too_many_guesses"


# ── V3.7: browsers without the expected features ──


def test_browser_without_cookies_sends_nothing_and_is_told(framework: str) -> None:
    transport = ScriptedTransport()
    with client_of(framework, web_for(transport)) as client:
        visit = Visit(client)
        visit.open()
        form = visit.page.forms["submit-password"]
        client.cookies.clear()
        # Flask-WTF, which needs a cookie too, refuses the form before we see it.
        answer = visit.post(form.action, {**form.values, **ANA})
        if answer.status_code != 400:
            assert answer.headers["location"].endswith("notice=page_outdated")
    assert transport.calls == []


# ── V7.4: users who are disabled ──


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("NotAuthorizedException", "User is disabled."),
        ("UserNotFoundException", "User does not exist."),
        ("NotAuthorizedException", "Access Token has been revoked"),
    ],
)
def test_session_of_a_disabled_or_deleted_user_ends_within_the_interval(
    error: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_user(**_: object) -> None:
        raise ClientError({"Error": {"Code": error, "Message": message}}, "GetUser")

    transport = CognitoTransport(pool_id="eu-west-1_aBcDeFgHi", client_id="client")
    monkeypatch.setattr(CognitoTokenService, "_boto", SimpleNamespace(get_user=get_user))
    monkeypatch.setattr(CognitoTokenService, "verify", lambda *_: {"sub": "1", "username": "ana"})
    clock = ManualClock()
    sessions = StoreSessions(
        MemoryStore(), transport, SealingKeys(KEY), now=clock.now, recheck=300.0
    )
    session_id = sessions.create(Tokens(access_token="a", refresh_token="r"))
    clock.advance(299)
    assert sessions.find(session_id) is not None
    clock.advance(1)
    assert sessions.find(session_id) is None


# ── V9: tokens ──


@pytest.fixture
def pool_keys(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str]]:
    """The pool's private key, and the URLs from which keys are fetched."""
    key: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "ours"}
    fetched: list[str] = []

    def fetch(client: jwt.PyJWKClient) -> Any:
        fetched.append(client.uri)
        return {"keys": [{**public, "use": "sig", "alg": "RS256"}]}

    monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", fetch)
    return key, fetched


def _claims(**more: Any) -> dict[str, Any]:
    """Return the claims of a valid access token."""
    issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_aBcDeFgHi"
    claims = {"iss": issuer, "token_use": "access", "client_id": "client", "username": "ana"}
    return {**claims, "exp": 4e9, "iat": 1.7e9, **more}


def test_key_that_a_token_names_is_not_used(pool_keys: tuple[Any, list[str]]) -> None:
    key, fetched = pool_keys
    verifier = TokenVerifier(pool_id="eu-west-1_aBcDeFgHi", client_id="client")
    assert verifier.verify(jwt.encode(_claims(), key, "RS256", {"kid": "ours"}))
    thief = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(thief.public_key(), as_dict=True)
    for headers in (
        {"kid": "ours", "jwk": public},
        {"kid": "ours", "jku": "https://evil.example/keys"},
        {"kid": "ours", "x5u": "https://evil.example/certificate"},
        {"kid": "https://evil.example/keys"},
        {"kid": "../../keys"},
        {},
    ):
        with pytest.raises(InvalidToken):
            verifier.verify(jwt.encode(_claims(), thief, "RS256", headers))
    assert {url.partition("/.well-known")[0] for url in fetched} == {_claims()["iss"]}


@pytest.mark.parametrize("claim", [{"nbf": 3.9e9}, {"exp": 1.7e9}], ids=["not yet", "no longer"])
def test_token_outside_its_validity_is_invalid(
    pool_keys: tuple[Any, list[str]], claim: dict[str, float]
) -> None:
    key, _ = pool_keys
    verifier = TokenVerifier(pool_id="eu-west-1_aBcDeFgHi", client_id="client")
    with pytest.raises(InvalidToken):
        verifier.verify(jwt.encode(_claims(**claim), key, "RS256", {"kid": "ours"}))


def _signs_in(user: Any) -> None:
    user.open()
    user.say("submit_password", **ANA)
    assert user.say("submit_code", **CODE) == "authenticated"
