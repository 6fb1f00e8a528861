"""The ways in beside a password: a forgotten one, a new account, an identity provider, a passkey.

Each without JavaScript, double-clicked and reloaded.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from tests.doubles import a_text, the_tokens
from tests.flows import CHOICE, CONFIRMATION, FLOWS, RESET
from tests.web.example_apps import client_of, web_for
from tests.web.outages import TokenDouble
from tests.web.pages import Program, Visit, flow_cookie

from oncegate import (
    Factor,
    LogListener,
    PasswordPolicy,
    Provider,
    SignUpForm,
    Tokens,
    WaysIn,
)
from oncegate.adapters import (
    TEXTS,
    AuthorizeWith,
    ChallengeIssued,
    CheckPassword,
    Confirmed,
    CreateAccount,
    Delivery,
    ExchangeCode,
    NotSent,
    OutcomeUnknown,
    PasswordChallenge,
    ProviderChallenge,
    Rejected,
    RejectionReason,
    ResetPasswordWith,
    SendCode,
    StartSignIn,
    SystemClock,
    TokensIssued,
)
from oncegate.budget import CodeBudget
from oncegate.step import step_of
from oncegate.testing import ScriptedTransport
from oncegate_cognito import CognitoTransport, ManagedLogin
from oncegate_sandbox import PoolSeed, Sandbox, Seed
from oncegate_web import JinjaRenderer
from oncegate_web._translations import Translators
from oncegate_web.pages import Page, PageBuilder

DEFAULT = WaysIn()
SIGN_UP = WaysIn(sign_up=SignUpForm(attributes=("email", "given_name")))
GOOGLE = WaysIn(providers=(Provider(name="Google"), Provider(name="SignInWithApple")))
NEW_ACCOUNT = {
    "username": "ana",
    "password": "Correct-horse-1",
    "attributes.email": "ana@example.com",
    "attributes.given_name": "Ana",
}
AUTHORIZE = "https://login.example.com/oauth2/authorize?state=the-state&scope=openid"
AT_PROVIDER = ChallengeIssued(
    challenge=ProviderChallenge.model_validate(
        {
            "provider": "Google",
            "url": AUTHORIZE,
            "state": "the-state",
            "verifier": "the-verifier",
            "nonce": "the-nonce",
        }
    )
)
CALLBACK = "/auth/callback?code=the-authorization-code&state=the-state"


@contextmanager
def visiting(
    framework: str,
    *outcomes: Any,
    ways_in: WaysIn = DEFAULT,
    at: str = "/auth/",
    is_passwordless: bool = False,
    service: Any = None,
    **more: Any,
) -> Iterator[tuple[Visit, ScriptedTransport]]:
    transport = ScriptedTransport(*outcomes)
    transport.ways_in = ways_in
    transport.is_passwordless = is_passwordless
    transport.token_service = service
    with client_of(framework, web_for(transport, **more)) as client:
        visit = Visit(client, at)
        visit.open()
        yield visit, transport


def _sent(outcome: Any) -> ChallengeIssued:
    """Return the challenge of an outcome, with a code that was sent."""
    delivery = Delivery(medium="EMAIL", destination="a***@e***")
    return ChallengeIssued(challenge=outcome.challenge.model_copy(update={"delivery": delivery}))


def status(visit: Visit) -> int:
    assert visit.response is not None
    return visit.response.status_code


def address(visit: Visit) -> str:
    assert visit.response is not None
    return str(visit.response.url).removeprefix("http://shop.localhost")


def calls_of(transport: ScriptedTransport, kind: type[Any]) -> int:
    return sum(isinstance(call, kind) for call in transport.calls)


def field_of(html: str, name: str) -> str:
    """Return an input with its label, its error and its rules."""
    parts = re.split('<div class="og-field">|<label class="og-check">', html)[1:]
    return next(part for part in parts if f'name="{name}"' in part)


# ── forgotten passwords ──


def test_link_at_the_password_leads_to_the_page_for_a_forgotten_one(framework: str) -> None:
    with visiting(framework, at="/auth/?next=/orders") as (visit, transport):
        assert visit.page.heading == "Sign in"
        for _ in range(2):  # the second time: a reload
            assert visit.follow("Forgot password?") == "idle"
            assert visit.page.heading == "Reset your password"
            assert "We’ll send you a code." in visit.page.text
            assert list(visit.page.forms) == ["forgot-password"]
            assert visit.page.forms["forgot-password"].button == "Send code"
            assert visit.page.links["Back to sign in"] == "/auth/?next=/orders"
            visit.open()
        assert transport.calls == []


def test_forgotten_password_is_reset_with_one_code_in_spite_of_clicks_and_reloads(
    framework: str,
) -> None:
    outcomes = [RESET, Confirmed(), the_tokens()]
    with visiting(framework, *outcomes, at="/auth/?next=/orders") as (visit, transport):
        visit.follow("Forgot password?")
        assert visit.say("forgot_password", username="ana") == "awaiting_reset"
        assert address(visit) == "/auth/?next=/orders"
        assert visit.say_again() == "awaiting_reset"
        # The address of the form's page, as in a tab that was left open.
        visit.client.get("/auth/?for=forgot_password&next=/orders")
        visit.open()
        assert visit.page.heading == "Reset your password"
        assert "If this account can receive a code, we’ve sent one." in visit.page.text
        code = {"code": "123456", "new_password": "Better-horse-9"}
        form = visit.page.forms["reset-password"]
        answer = visit.post(form.action, {**form.values, **code})
        assert answer.headers["location"] == "/orders"
        kinds = [type(call) for call in transport.calls]
        assert kinds[:2] == [SendCode, ResetPasswordWith]
        assert calls_of(transport, SendCode) == 1
        assert visit.client.get("/orders").json() == {"user": ""}


def test_page_of_an_action_shows_the_step_of_a_flow_that_has_gone_on(framework: str) -> None:
    with visiting(framework, a_text()) as (visit, _):
        visit.say("submit_password", username="ana", password="Correct-horse-1")
        html = [visit.client.get(f"/auth/{query}").text for query in ("", "?for=forgot_password")]
        assert "submit-code" in html[1]
        assert html[0] == html[1].replace("?for=forgot_password", "")


@pytest.mark.parametrize("query", ["?for=submit_password", "?for=cancel", '?for="><x', "?for=none"])
def test_page_of_an_action_that_has_none_is_that_of_the_step(framework: str, query: str) -> None:
    with visiting(framework) as (visit, _):
        answer = visit.client.get(f"/auth/{query}")
        assert answer.status_code == 200
        assert ">Sign in</h1>" in answer.text
        assert "<x" not in answer.text


def test_name_that_is_missing_is_asked_for_on_the_page_of_the_action(framework: str) -> None:
    with visiting(framework) as (visit, transport):
        visit.follow("Forgot password?")
        visit.say("forgot_password", username="")
        assert status(visit) == 422
        assert visit.page.heading == "Reset your password"
        assert TEXTS["message.username_missing"] in field_of(visit.shown(), "username")
        assert transport.calls == []


def test_refused_request_comes_back_on_the_page_of_the_action_with_the_name(framework: str) -> None:
    budget = CodeBudget(per_user=1)
    with visiting(framework, _sent(RESET), budget=budget) as (visit, transport):
        visit.follow("Forgot password?")
        assert visit.say("forgot_password", username="ana") == "awaiting_reset"
        visit.say("cancel")
        visit.follow("Forgot password?")
        for _ in range(2):
            assert visit.say("forgot_password", username="ana") == "idle"
            assert status(visit) == 422
            assert visit.page.heading == "Reset your password"
            assert TEXTS["message.too_many_codes"] in visit.page.text
            assert visit.page.forms["forgot-password"].values["username"] == "ana"
        assert visit.follow("Back to sign in") == "idle"
        assert visit.page.heading == "Sign in"
        assert TEXTS["message.too_many_codes"] not in visit.page.text
        assert len(transport.calls) == 1


def test_form_that_could_not_be_processed_comes_back_on_its_page(framework: str) -> None:
    with visiting(framework, rate_limit=lambda _: False) as (visit, transport):
        visit.follow("Forgot password?")
        assert visit.say("forgot_password", username="ana") == "idle"
        assert address(visit) == "/auth/?for=forgot_password&notice=too_many_requests"
        assert visit.page.heading == "Reset your password"
        assert TEXTS["notice.too_many_requests"] in visit.page.text
        assert transport.calls == []


def test_message_about_the_password_is_not_on_the_page_for_a_forgotten_one(framework: str) -> None:
    wrong = Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
    with visiting(framework, wrong) as (visit, _):
        visit.say("submit_password", username="ana", password="wrong-horse-1")
        assert "Incorrect username or password." in visit.page.text
        visit.follow("Forgot password?")
        assert "Incorrect" not in visit.page.text
        assert visit.page.forms["forgot-password"].values["username"] == "ana"


def test_forgotten_password_of_a_known_name_is_one_button(framework: str) -> None:
    asked = ChallengeIssued(
        challenge=PasswordChallenge.model_validate({"session": "s", "username": "u"})
    )
    with visiting(framework, asked, RESET, is_passwordless=True) as (visit, transport):
        assert "Forgot password?" in visit.page.links  # among the links: there is no password yet
        visit.say("submit_username", username="ana")
        assert "Forgot password?" not in visit.page.links
        assert visit.page.forms["forgot-password"].method == "post"
        assert 'form="forgot-password"' in visit.shown()
        assert visit.say("forgot_password") == "awaiting_reset"
        assert visit.say_again() == "awaiting_reset"
        assert calls_of(transport, SendCode) == 1


def test_pool_without_reset_by_users_has_no_link(framework: str) -> None:
    with visiting(framework, ways_in=WaysIn(password_reset=False)) as (visit, _):
        assert "Forgot" not in visit.page.text


# ── new accounts ──


def test_account_is_created_once_in_spite_of_clicks_and_reloads(framework: str) -> None:
    outcomes = [CONFIRMATION, Confirmed(), the_tokens()]
    with visiting(framework, *outcomes, ways_in=SIGN_UP) as (visit, transport):
        assert visit.follow("New here? Create account") == "idle"
        assert visit.page.heading == "Create your account"
        assert list(visit.page.forms) == ["sign-up"]
        assert visit.page.forms["sign-up"].button == "Create account"
        assert visit.say("sign_up", **NEW_ACCOUNT) == "awaiting_confirmation"
        assert visit.say_again() == "awaiting_confirmation"
        visit.open()
        assert visit.page.heading == "Confirm your account"
        (call,) = transport.calls
        assert isinstance(call, CreateAccount)
        assert call.challenge.attributes == {"email": "ana@example.com", "given_name": "Ana"}
        assert "Correct-horse-1" not in visit.shown()
        assert visit.say("submit_code", code="123456") in {"authenticated", "idle"}
        assert calls_of(transport, CreateAccount) == 1


def test_what_the_pool_refuses_is_asked_for_again_at_its_field(framework: str) -> None:
    refused = Rejected(reason=RejectionReason.NEW_PASSWORD_REFUSED, message="password_too_short")
    outcomes = [refused, CONFIRMATION]
    policy = PasswordPolicy()
    with visiting(framework, *outcomes, ways_in=SIGN_UP, password_policy=policy) as (visit, _):
        visit.follow("New here? Create account")
        assert 'class="og-rule"' in field_of(visit.shown(), "password")
        assert "step.js" in visit.shown()  # which checks the rules
        assert visit.say("sign_up", **NEW_ACCOUNT) == "signing_up"
        visit.open()
        assert visit.page.heading == "Create your account"
        form = visit.page.forms["sign-up"]
        assert {name: form.values[name] for name in NEW_ACCOUNT} == {**NEW_ACCOUNT, "password": ""}
        password = field_of(visit.shown(), "password")
        assert TEXTS["message.password_too_short"] in password
        assert 'class="og-rule"' in password
        assert visit.say("sign_up", password="Better-horse-99") == "awaiting_confirmation"


def test_mistake_in_a_new_account_keeps_what_was_typed_but_no_password(framework: str) -> None:
    with visiting(framework, ways_in=SIGN_UP) as (visit, transport):
        visit.follow("New here? Create account")
        visit.say("sign_up", **{**NEW_ACCOUNT, "username": ""})
        assert status(visit) == 422
        assert visit.page.heading == "Create your account"
        assert TEXTS["message.username_missing"] in field_of(visit.shown(), "username")
        assert visit.page.forms["sign-up"].values["attributes.email"] == "ana@example.com"
        visit.say("sign_up", **{**NEW_ACCOUNT, "password": ""})
        assert TEXTS["notice.field_missing"] in field_of(visit.shown(), "password")
        assert visit.page.forms["sign-up"].values["username"] == "ana"
        assert "Correct-horse-1" not in visit.shown()
        assert transport.calls == []


def test_form_without_its_password_is_refused_at_the_password(framework: str) -> None:
    with visiting(framework, ways_in=SIGN_UP) as (visit, transport):
        visit.follow("New here? Create account")
        form = visit.page.forms["sign-up"]
        values = {**form.values, **NEW_ACCOUNT}
        del values["password"]
        answer = visit.post(form.action, values)
        assert answer.status_code == 422
        assert TEXTS["notice.field_missing"] in field_of(answer.text, "password")
        assert 'value="ana@example.com"' in answer.text
        assert transport.calls == []


@pytest.mark.parametrize(("typed", "sent"), [("", None), ("Correct-horse-1", "Correct-horse-1")])
def test_optional_password_may_be_left_empty(framework: str, typed: str, sent: str | None) -> None:
    ways_in = WaysIn(sign_up=SignUpForm(password="optional"))
    with visiting(framework, CONFIRMATION, ways_in=ways_in) as (visit, transport):
        visit.follow("New here? Create account")
        assert " required" not in field_of(visit.shown(), "password")
        state = visit.say("sign_up", username="ana", password=typed)
        assert state == "awaiting_confirmation"
        (call,) = transport.calls
        assert isinstance(call, CreateAccount)
        assert (call.password and call.password.get_secret_value()) == sent


def test_account_without_a_password_asks_for_none(framework: str) -> None:
    ways_in = WaysIn(sign_up=SignUpForm(attributes=("email",), password="none"))
    with visiting(framework, CONFIRMATION, ways_in=ways_in) as (visit, _):
        visit.follow("New here? Create account")
        assert 'name="password"' not in visit.shown()
        state = visit.say("sign_up", username="ana", **{"attributes.email": "ana@example.com"})
        assert state == "awaiting_confirmation"


def _sign_up_pages(framework: str, outcome: Any) -> list[str]:
    """Return the answers and pages of a sign-up, a reload and a wrong code, without their tokens."""
    wrong = Rejected(reason=RejectionReason.WRONG_CODE)
    with visiting(framework, outcome, wrong, ways_in=SIGN_UP) as (visit, _):
        visit.follow("New here? Create account")
        form = visit.page.forms["sign-up"]
        answer = visit.post(form.action, {**form.values, **NEW_ACCOUNT})
        headers = {
            name: value
            for name, value in answer.headers.items()
            if name not in {"set-cookie", "content-length"}
        }
        seen = [str(answer.status_code), repr(headers)]
        visit.open()
        seen.append(visit.shown())
        visit.open()
        seen.append(visit.shown())
        visit.say("submit_code", code="123456")
        seen.append(visit.shown())
        visit.say("request_new_code")
        seen.append(visit.shown())
    return [re.sub(r'name="(_token|csrf\w*)" value="[^"]*"', "", text) for text in seen]


def test_pages_of_a_taken_name_are_those_of_a_new_one(framework: str) -> None:
    new = _sign_up_pages(framework, _sent(CONFIRMATION))
    taken = _sign_up_pages(framework, Rejected(reason=RejectionReason.USERNAME_TAKEN))
    assert new == taken
    assert "Confirm your account" in new[2]


def test_taken_name_is_told_at_its_field_if_the_application_wants_it(framework: str) -> None:
    taken = Rejected(reason=RejectionReason.USERNAME_TAKEN)
    more: Any = {"reveal_existing_users": True, "identifier": "email"}
    ways_in = WaysIn(sign_up=SignUpForm())
    account = {name: NEW_ACCOUNT[name] for name in ("username", "password")}
    with visiting(framework, taken, ways_in=ways_in, **more) as (visit, _):
        visit.follow("New here? Create account")
        assert visit.say("sign_up", **account) == "signing_up"
        assert TEXTS["message.username_taken.email"] in field_of(visit.shown(), "username")
        assert visit.say("cancel") == "idle"


OWN_TERMS = """{% extends "oncegate/_page.html" %}
{% block before_submit %}{% if page.main.id == "sign-up" %}<label><input type="checkbox" name="terms"
 value="2026-11"> I accept the terms</label>{% endif %}{% endblock %}
"""


def test_field_of_the_application_reaches_the_pools_triggers(
    framework: str, tmp_path: Path
) -> None:
    own = tmp_path / "oncegate" / "page.html"
    own.parent.mkdir()
    own.write_text(OWN_TERMS)
    renderer: Callable[[str, Page], str] = JinjaRenderer(tmp_path)
    more: Any = {"renderer": renderer, "client_metadata_from_browser": ["terms"]}
    with visiting(framework, CONFIRMATION, ways_in=SIGN_UP, **more) as (visit, transport):
        assert "I accept the terms" not in visit.page.text
        visit.follow("New here? Create account")
        assert "I accept the terms" in visit.page.text
        # As the template says, it is posted only if it was checked.
        assert visit.say("sign_up", terms="2026-11", **NEW_ACCOUNT) == "awaiting_confirmation"
        assert transport.contexts[0].client_metadata == {"terms": "2026-11"}


# ── identity providers ──


def _chosen(visit: Visit, provider: str = "Google") -> str:
    """Press the button of a provider."""
    return visit.say("sign_in_with", **visit.page.choices[provider])


def test_button_of_a_provider_leads_to_its_page(framework: str) -> None:
    with visiting(framework, AT_PROVIDER, ways_in=GOOGLE) as (visit, transport):
        html = visit.shown()
        assert html.count("og-button-main") == 1
        assert re.search(r'<p class="og-or">or</p>\s*<form class="og-form og-others"', html)
        assert "Continue with Google" in visit.page.text
        assert "Continue with Apple" in visit.page.text
        for click in (_chosen, Visit.say_again):  # a double click
            assert click(visit) == "elsewhere"
            assert status(visit) == 200
            # Browsers compare every redirect in the answer to a form with form-action.
            escaped = AUTHORIZE.replace("&", "&amp;")
            assert f'content="0;url={escaped}"' in visit.shown()
            assert visit.page.links["Continue"] == AUTHORIZE
            policy = visit.response.headers["content-security-policy"]  # type: ignore[union-attr]
            assert "form-action 'self';" in policy
        (call,) = transport.calls
        assert isinstance(call, AuthorizeWith)
        assert call.provider == "Google"


def test_page_of_a_flow_at_a_provider_leads_there_or_back(framework: str) -> None:
    """The Back button, a reload, another tab."""
    with visiting(framework, AT_PROVIDER, ways_in=GOOGLE) as (visit, _):
        _chosen(visit)
        for _ in range(2):
            assert visit.open() == "awaiting_provider"
            assert visit.page.heading == "Finish signing in"
            assert visit.page.links["Continue"] == AUTHORIZE
            assert "http-equiv" not in visit.shown()
            assert list(visit.page.forms) == ["cancel"]
        assert visit.say("cancel") == "idle"
        assert visit.page.heading == "Sign in"


def test_late_form_of_another_tab_is_not_sent_to_the_provider(framework: str) -> None:
    with visiting(framework, AT_PROVIDER, ways_in=GOOGLE) as (visit, transport):
        form = visit.page.forms["submit-password"]
        _chosen(visit)
        answer = visit.post(form.action, {**form.values, "username": "ana", "password": "x"})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/auth/"
        assert len(transport.calls) == 1


@pytest.mark.parametrize("is_kept", [True, False])
def test_choice_to_stay_signed_in_holds_at_a_provider_too(framework: str, is_kept: bool) -> None:
    """page.js adds the box of the other form."""
    with visiting(framework, AT_PROVIDER, the_tokens(), ways_in=GOOGLE) as (visit, _):
        more = {"_keep_signed_in": "on"} if is_kept else {}
        visit.say("sign_in_with", **visit.page.choices["Google"], **more)
        visit.client.get(CALLBACK)
        (session,) = [one for one in visit.client.cookies.jar if "oncegate_session" in one.name]
        assert (session.expires is not None) is is_kept


def test_callback_signs_in_once_and_returns_to_the_page_that_was_asked_for(
    framework: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes = [AT_PROVIDER, the_tokens()]
    more: Any = {"ways_in": GOOGLE, "at": "/auth/?next=/orders", "listeners": [LogListener()]}
    with visiting(framework, *outcomes, **more) as (visit, transport):
        _chosen(visit)
        caplog.clear()
        answer = visit.client.get(CALLBACK, headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/orders"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        call = transport.calls[-1]
        assert isinstance(call, ExchangeCode)
        assert call.code.get_secret_value() == "the-authorization-code"
        assert visit.client.get("/orders").status_code == 200
        assert not flow_cookie(visit.client)
        assert "oncegate_next" not in visit.client.cookies
        for _ in range(2):  # a reload, or Back
            again = visit.client.get(CALLBACK)
            assert again.headers["location"] == "/auth/"
        assert visit.open() == "authenticated"
        assert visit.page.heading == "You’re signed in"
        assert len(transport.calls) == 2
    ours = "".join(one.getMessage() for one in caplog.records if one.name.startswith("oncegate"))
    assert "exchanging_code" in ours
    for secret in ("the-authorization-code", "the-state", "the-verifier"):
        assert secret not in ours


def test_session_of_a_provider_has_the_users_name(framework: str) -> None:
    service = TokenDouble()
    with visiting(framework, AT_PROVIDER, the_tokens(), ways_in=GOOGLE, service=service) as (
        visit,
        _,
    ):
        _chosen(visit)
        visit.client.get(CALLBACK)
        assert visit.client.get("/orders").json() == {"user": "ana"}


@pytest.mark.parametrize(
    "query",
    [
        "code=the-authorization-code&state=another-state",
        "error=access_denied&state=another-state",
        "code=the-authorization-code",
        "code=&state=the-state",
        "",
        "code=a&error=b&state=the-state",
        f"code={'x' * 5000}&state=the-state",
        "code=%ff&state=%ff",
    ],
)
def test_callback_that_is_not_this_sign_ins_changes_nothing(framework: str, query: str) -> None:
    with visiting(framework, AT_PROVIDER, the_tokens(), ways_in=GOOGLE) as (visit, transport):
        _chosen(visit)
        answer = visit.client.get(f"/auth/callback?{query}")
        assert answer.headers["location"] == "/auth/?notice=not_this_sign_in"
        assert len(transport.calls) == 1
        html = visit.client.get(answer.headers["location"]).text
        assert TEXTS["message.not_this_sign_in"] in html
        assert visit.client.get(CALLBACK).headers["location"] == "/"
        assert len(transport.calls) == 2


def test_callback_in_another_browser_shows_the_first_page_with_a_notice(framework: str) -> None:
    with visiting(framework, AT_PROVIDER, ways_in=GOOGLE) as (visit, transport):
        _chosen(visit)
        visit.client.cookies.clear()
        for _ in range(2):  # the first answer has set a cookie
            answer = visit.client.get(CALLBACK)
            assert answer.headers["location"] == "/auth/?notice=not_this_sign_in"
            visit._shown(answer)
            assert visit.page.heading == "Sign in"
            assert TEXTS["message.not_this_sign_in"] in visit.page.text
            assert "the-authorization-code" not in visit.shown()
        assert len(transport.calls) == 1


def test_refusal_by_the_user_leads_back_to_the_first_page(framework: str) -> None:
    with visiting(framework, AT_PROVIDER, AT_PROVIDER, ways_in=GOOGLE) as (visit, transport):
        _chosen(visit)
        denied = "/auth/callback?error=access_denied&error_description=%3Cb%3Eno&state=the-state"
        for _ in range(2):
            visit._shown(visit.client.get(denied))
            assert address(visit) == "/auth/"
            assert visit.page.state == "idle"
            assert TEXTS["message.provider_denied"] in visit.page.text
            assert "<b>no" not in visit.shown()
        assert _chosen(visit) == "elsewhere"
        assert len(transport.calls) == 2


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Rejected(reason=RejectionReason.WRONG_CREDENTIALS), "message.provider_failed"),
        (OutcomeUnknown(), "message.answer_outcome_unknown"),
    ],
)
def test_code_that_brings_no_tokens_is_not_sent_again(
    framework: str, outcome: Any, text: str
) -> None:
    with visiting(framework, AT_PROVIDER, outcome, ways_in=GOOGLE) as (visit, transport):
        _chosen(visit)
        for _ in range(3):
            visit._shown(visit.client.get(CALLBACK))
            assert visit.page.state == "idle"
            assert TEXTS[text] in visit.page.text
            assert "the-authorization-code" not in address(visit)
        assert calls_of(transport, ExchangeCode) == 1


def test_code_that_was_not_sent_can_be_sent_by_a_reload(framework: str) -> None:
    not_sent = NotSent(cause="unreachable")
    with visiting(framework, AT_PROVIDER, not_sent, the_tokens(), ways_in=GOOGLE) as (visit, _):
        _chosen(visit)
        assert visit._shown(visit.client.get(CALLBACK)) == "awaiting_provider"
        assert TEXTS["message.unreachable"] in visit.page.text
        assert visit.page.links["Continue"] == AUTHORIZE
        assert visit.client.get(CALLBACK).headers["location"] == "/"
        assert visit.client.get("/orders").status_code == 200


def test_head_request_uses_no_code_up(framework: str) -> None:
    with visiting(framework, AT_PROVIDER, the_tokens(), ways_in=GOOGLE) as (visit, transport):
        _chosen(visit)
        visit.client.head(CALLBACK)
        assert len(transport.calls) == 1


def test_page_to_return_to_is_never_on_another_site(framework: str) -> None:
    with visiting(framework, AT_PROVIDER, the_tokens(), ways_in=GOOGLE) as (visit, _):
        _chosen(visit)
        header = "; ".join(f"{one.name}={one.value}" for one in visit.client.cookies.jar)
        cookie = {"cookie": f"{header}; oncegate_next=//evil.example/"}
        visit.client.cookies.clear()
        assert visit.client.get(CALLBACK, headers=cookie).headers["location"] == "/"


def test_program_signs_in_with_a_provider(framework: str) -> None:
    transport = ScriptedTransport(AT_PROVIDER, the_tokens())
    transport.ways_in = GOOGLE
    with client_of(framework, web_for(transport)) as client:
        client.headers["accept"] = "application/json"
        program = Program(client)
        program.open()
        assert program.step["authorize_url"] is None
        summaries = {one["event"]: one["summary"] for one in program.step["actions"]}
        assert summaries["forgot_password"] == "Forgot password?"
        assert summaries["submit_password"] == ""
        assert program.say("sign_in_with", provider="Google") == "awaiting_provider"
        assert program.step["authorize_url"] == AUTHORIZE
        for secret in ("the-verifier", "the-nonce"):
            assert secret not in program.shown()
        answer = {"code": "the-authorization-code", "state": "the-state"}
        assert program.say("submit_authorization", **answer) == "authenticated"
        assert program.say_again() == "authenticated"
        assert calls_of(transport, ExchangeCode) == 1


# ── signing out at managed login ──


class WithLogout(TokenDouble):
    """A token service with a logout endpoint."""

    def logout_url(self, tokens: Tokens, return_to: str) -> str | None:
        if not tokens.by_managed_login:
            return None
        return f"https://login.example.com/logout?logout_uri={return_to}"


def by_managed_login() -> TokensIssued:
    return TokensIssued(tokens=the_tokens().tokens.model_copy(update={"by_managed_login": True}))


@pytest.mark.parametrize("sessions", ["server", "cookie"])
def test_sign_out_ends_the_session_at_managed_login(framework: str, sessions: str) -> None:
    outcomes = [AT_PROVIDER, by_managed_login()]
    more: Any = {"ways_in": GOOGLE, "service": WithLogout(), "sessions": sessions}
    with visiting(framework, *outcomes, **more) as (visit, _):
        _chosen(visit)
        visit.client.get(CALLBACK)
        visit.open()
        assert visit.say("sign_out") == "elsewhere"
        expected = "https://login.example.com/logout?logout_uri=http://shop.localhost/auth/"
        assert visit.page.links["Continue"] == expected
        assert visit.client.get("/orders").status_code == 303
        assert visit.open() == "idle"


def test_sign_out_of_another_session_stays_here(framework: str) -> None:
    with visiting(framework, the_tokens(), service=WithLogout()) as (visit, _):
        visit.say("submit_password", username="ana", password="Correct-horse-1")
        visit.open()
        form = visit.page.forms["sign-out"]
        answer = visit.post(form.action, form.values)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize("path", ["/auth/session", "/auth/sessions"])
def test_program_learns_where_to_sign_out(framework: str, path: str) -> None:
    outcomes = [AT_PROVIDER, by_managed_login()]
    with visiting(framework, *outcomes, ways_in=GOOGLE, service=WithLogout()) as (visit, _):
        _chosen(visit)
        visit.client.get(CALLBACK)
        answer = visit.client.delete(path, headers={"accept": "application/json"})
        url = "https://login.example.com/logout?logout_uri=http://shop.localhost/auth/"
        assert (answer.status_code, answer.json()) == (200, {"logout_url": url})
        assert visit.client.get("/orders").status_code == 303


# ── passkeys, and other factors ──


def test_passkey_is_a_second_button_of_the_first_page(framework: str) -> None:
    text = a_text(kind=Factor.EMAIL, is_first_factor=True)
    ways_in = WaysIn(passkey=True)
    with visiting(framework, text, ways_in=ways_in, is_passwordless=True) as (visit, transport):
        html = visit.shown()
        assert 'autocomplete="username webauthn"' in html
        (button,) = re.findall("<button[^>]*>Sign in with a passkey", html)
        assert "og-script" in button  # not without JavaScript
        assert "og-button-main" not in button
        assert html.index(">Continue</button>") < html.index(button)  # what Enter presses
        visit.say("submit_username", username="ana", **visit.page.choices["WEB_AUTHN"])
        (call,) = transport.calls
        assert isinstance(call, StartSignIn)
        assert call.preferred is Factor.PASSKEY


def test_main_button_beside_the_passkey_prefers_no_factor(framework: str) -> None:
    text = a_text(kind=Factor.EMAIL, is_first_factor=True)
    ways_in = WaysIn(passkey=True)
    with visiting(framework, text, ways_in=ways_in, is_passwordless=True) as (visit, transport):
        visit.say("submit_username", username="ana")
        (call,) = transport.calls
        assert isinstance(call, StartSignIn)
        assert call.preferred is None


def test_another_second_factor_asks_for_the_password_of_the_same_user(framework: str) -> None:
    mail = a_text(kind=Factor.EMAIL)
    with visiting(framework, CHOICE, a_text(), CHOICE, mail) as (visit, transport):
        visit.say("submit_password", username="ana", password="Correct-horse-1")
        assert visit.say("choose_factor", factor="SMS_MFA") == "awaiting_mfa"
        (details,) = re.findall("<details.*?</details>", visit.shown(), re.DOTALL)
        assert "Try another way" in details
        assert TEXTS["hint.new_code_needs_password"] in details
        other = re.findall('value="([A-Z_]+)" required', details)[0]
        assert visit.say("choose_factor", factor=other) == "idle"
        assert visit.page.heading == "Try another way"
        assert TEXTS["message.password_for_other_factor"] in visit.page.text
        assert list(visit.page.forms) == ["submit-password", "cancel"]
        assert visit.page.forms["submit-password"].button == "Continue"
        assert re.search('<input hidden readonly[^>]* value="ana">', visit.shown())
        assert visit.say("submit_password", password="Correct-horse-1") == "awaiting_mfa"
        names = [call.username for call in transport.calls if isinstance(call, CheckPassword)]
        assert names == ["ana", "ana"]


def test_hint_of_a_folded_form_is_read_before_its_choices() -> None:
    step = step_of("flow", FLOWS["second factor with another way"])
    hint = {"hint": "Your code stops working.", "hint_code": ""}
    actions = [
        action.model_copy(update=hint) if action.event == "choose_factor" else action
        for action in step.actions
    ]
    builder = PageBuilder(Translators().best(("en",)), action="/auth/", prefix="/auth", hidden={})
    page = builder.step(step.model_copy(update={"actions": tuple(actions)}))
    html = JinjaRenderer()("oncegate/page.html", page)
    (details,) = re.findall("<details.*?</details>", html, re.DOTALL)
    assert details.index("Your code stops working.") < details.index('type="radio"')


def test_query_of_a_request_is_not_shown_in_its_repr() -> None:
    from oncegate_web.http import Fields, Request

    request = Request("GET", "/callback", query=Fields({"code": "the-authorization-code"}))
    assert "the-authorization-code" not in f"{request!r} {request.query!r}"


# ── a whole life of an account, against the sandbox ──


def _twice(visit: Visit, event: str, **fields: str) -> str:
    """Double-click a button, then reload the page."""
    visit.say(event, **fields)
    visit.say_again()
    return visit.open()


def _back_from_provider(visit: Visit, email: str) -> str:
    """Sign in at the sandbox's page that stands for a provider, and return the callback."""
    with httpx.Client() as browser:
        page = browser.get(visit.page.links["Continue"]).text
        fields = dict(re.findall(r'type="hidden" name="(.*?)" value="(.*?)"', unescape(page)))
        action = unescape(re.findall(r'action="(.*?)"', page)[0])
        answer = browser.post(
            urljoin(visit.page.links["Continue"], action),
            data={**fields, "email": email, "action": "continue"},
        )
    return answer.headers["location"]


def test_new_user_comes_in_every_way_with_one_message_each(framework: str) -> None:
    seed = Seed(pool=PoolSeed(mfa="off"), users=())
    ways_in = WaysIn(
        sign_up=SignUpForm(attributes=("email",)), providers=(Provider(name="Google"),)
    )
    with Sandbox(seed) as sandbox:
        transport = CognitoTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            endpoint_url=sandbox.endpoint,
            managed_login=ManagedLogin(
                domain=sandbox.endpoint, redirect_uri="http://localhost/auth/callback"
            ),
            auth_flow="USER_AUTH",
            ways_in=ways_in,
        )
        web = web_for(transport, clock=SystemClock())
        with client_of(framework, web, "http://localhost") as client:
            visit = Visit(client)
            visit.open()
            visit.follow("New here? Create account")
            account = {"username": "nora", "attributes.email": "nora@example.com"}
            state = _twice(visit, "sign_up", password="Correct-horse-1", **account)
            assert state == "awaiting_confirmation"
            assert len(sandbox.messages()) == 1
            code = sandbox.messages()[-1].code
            assert _twice(visit, "submit_code", code=code) == "authenticated"
            assert client.get("/orders").json() == {"user": "nora"}
            assert visit.say("sign_out") == "idle"

            visit.follow("Forgot password?")
            assert _twice(visit, "forgot_password", username="nora") == "awaiting_reset"
            assert len(sandbox.messages()) == 2
            reset = {"code": sandbox.messages()[-1].code, "new_password": "Better-horse-2"}
            assert _twice(visit, "reset_password", **reset) == "authenticated"
            assert visit.say("sign_out") == "idle"

            # A double click on the provider's button, then Back and the button of that page.
            visit.say("sign_in_with", **visit.page.choices["Google"])
            visit.say_again()
            assert visit.open() == "awaiting_provider"
            callback = _back_from_provider(visit, "nora@gmail.example")
            for location in ("/", "/auth/"):  # and a reload
                assert client.get(callback).headers["location"] == location
            assert client.get("/orders").json()["user"].startswith("Google_")
            visit.open()
            assert visit.say("sign_out") == "elsewhere"
            logout = httpx.get(visit.page.links["Continue"])
            assert logout.headers["location"] == "http://localhost/auth/"
            assert visit.open() == "idle"
            assert len(sandbox.messages()) == 2
            calls = sandbox.calls()
            once = ("SignUp", "ConfirmSignUp", "ForgotPassword", "ConfirmForgotPassword")
            assert {name: calls[name] for name in once} == dict.fromkeys(once, 1)
