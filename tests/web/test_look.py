"""What an application changes of the pages without a template, and what the pages say beside a step."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from tests.doubles import a_text, the_tokens
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Visit

from oncegate import FlowState, LogListener, Misconfigured, SignUpForm, WaysIn
from oncegate.adapters import (
    TEXTS,
    ChallengeIssued,
    CustomChallenge,
    NewPasswordChallenge,
    NotSent,
    OutcomeUnknown,
    PasswordChallenge,
    Rejected,
    RejectionReason,
    UnknownChallenge,
)
from oncegate.testing import ScriptedTransport
from oncegate_web import Brand
from oncegate_web._translations import Identifier

ANA = {"username": "ana", "password": "Correct-horse-1"}
FONTS = "https://fonts.example.com"


def shown(framework: str, *outcomes: Any, **look: Any) -> str:
    """Return the first page, or the one after a password if there are outcomes."""
    with client_of(framework, web_for(ScriptedTransport(*outcomes), **look)) as client:
        visit = Visit(client)
        visit.open()
        if outcomes:
            visit.say("submit_password", **ANA)
        return visit.shown()


def title_of(html: str) -> str:
    return html.partition("<title>")[2].partition("</title>")[0]


def test_brand_and_links_are_on_each_page(framework: str) -> None:
    look = {
        "brand": Brand(name="Corner & Shop", logo="/logo.svg", home="/home"),
        "links": {"Create an account": "/join", "Privacy": "https://example.com/privacy"},
    }
    for outcomes in ([], [a_text()]):
        html = shown(framework, *outcomes, **look)
        assert title_of(html).endswith(" · Corner &amp; Shop")
        assert re.search(r'<a class="og-home" href="/home">.*alt="Corner &amp; Shop"', html)
        assert re.search('href="/join">Create an account</a>', html)
        assert re.search('href="https://example.com/privacy">Privacy</a>', html)


def test_text_of_a_link_is_translated(tmp_path: Path) -> None:
    path = tmp_path / "de" / "LC_MESSAGES" / "oncegate.mo"
    path.parent.mkdir(parents=True)
    catalogue = Catalog(locale="de")
    catalogue.add("Privacy", "Datenschutz")
    with path.open("wb") as file:
        write_mo(file, catalogue)
    web = web_for(ScriptedTransport(), links={"Privacy": "/privacy"}, locales=[tmp_path])
    with client_of("flask", web) as client:
        html = client.get("/auth/", headers={"accept-language": "de"}).text
    assert ">Datenschutz</a>" in html


@pytest.mark.parametrize("css", ["/own.css", ["/own.css", "/more.css"]])
def test_style_sheet_of_the_application_follows_ours(framework: str, css: str | list[str]) -> None:
    sheets = re.findall(r'rel="stylesheet" href="([^"?]*)', shown(framework, css=css))
    assert sheets == ["/auth/static/page.css", *([css] if isinstance(css, str) else css)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_one_theme_can_be_chosen(framework: str, theme: str) -> None:
    brand = Brand(name="Shop", logo="/light.svg", logo_dark="/dark.svg")
    html = shown(framework, theme=theme, brand=brand)
    assert f'data-theme="{theme}"' in html
    assert f'src="/{theme}.svg"' in html
    assert "<source" not in html


def test_logo_follows_the_users_theme(framework: str) -> None:
    html = shown(framework, brand=Brand(name="Shop", logo="/light.svg", logo_dark="/dark.svg"))
    assert "data-theme" not in html
    assert re.search(r'<source srcset="/dark.svg" media="\(prefers-color-scheme: dark\)">', html)


@pytest.mark.parametrize(
    ("identifier", "label", "type_", "wrong"),
    [
        ("username", "Username", "text", "Incorrect username or password."),
        ("email", "Email", "text", "Incorrect email or password."),
        ("phone", "Phone number", "tel", "Incorrect phone number or password."),
    ],
)
def test_first_field_says_what_users_sign_in_with(
    framework: str, identifier: Any, label: str, type_: str, wrong: str
) -> None:
    rejected = Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
    html = shown(framework, rejected, identifier=identifier)
    assert f">{label}</label>" in html
    field = next(one for one in re.findall("<input[^>]*>", html) if 'name="username"' in one)
    assert f'type="{type_}"' in field
    assert 'autocomplete="username"' in field
    assert wrong in html
    assert title_of(html) == "Error: Sign in"


def test_policy_allows_what_the_application_adds() -> None:
    added = {"font-src": [FONTS], "img-src": ["https://cdn.example.com"], "style-src": [FONTS]}
    with client_of("fastapi", web_for(ScriptedTransport(), csp=added)) as client:
        policy = client.get("/auth/").headers["content-security-policy"].split("; ")
    assert f"font-src 'self' {FONTS}" in policy
    assert "img-src 'self' data: https://cdn.example.com" in policy
    assert f"style-src 'self' {FONTS}" in policy
    assert "script-src 'self'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    "source", ["https://challenges.example.com", "https://*.example.com:8443/x.js", "'sha256-abc='"]
)
def test_policy_allows_a_script_of_a_host_or_with_a_hash(source: str) -> None:
    with client_of("flask", web_for(ScriptedTransport(), csp={"script-src": [source]})) as client:
        policy = client.get("/auth/").headers["content-security-policy"]
    assert f"script-src 'self' {source};" in policy


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"csp": {"default-src": ["https://x.example"]}}, "default-src"),
    ({"csp": {"base-uri": ["'self'"]}}, "base-uri"),
    ({"csp": {"fonts": [FONTS]}}, "font-src"),
    ({"csp": {"font-src": FONTS}}, "is a list"),
    ({"csp": {"font-src": [f"{FONTS}; script-src *"]}}, "no source"),
    ({"csp": {"font-src": [f"{FONTS},https://b.example"]}}, "no source"),
    ({"csp": {"font-src": [""]}}, "no source"),
    ({"csp": {"font-src": [7]}}, "no source"),
    ({"csp": {"script-src": ["'unsafe-inline'"]}}, "passwords"),
    ({"csp": {"script-src": ["*"]}}, "passwords"),
    ({"csp": {"script-src": ["data:"]}}, "passwords"),
    ({"csp": {"script-src": ["*:*"]}}, "passwords"),
    ({"csp": {"script-src": ["https://*"]}}, "passwords"),
    ({"csp": {"script-src": ["'strict-dynamic'"]}}, "passwords"),
    ({"csp": {"img-src": ["https://bücher.example"]}}, "no source"),
    ({"csp": {"img-src": None}}, "is a list"),
    ({"frame_ancestors": "'self'; script-src *"}, "frame_ancestors"),
    ({"frame_ancestors": "'self'\r\nX-Evil: 1"}, "frame_ancestors"),
    ({"frame_ancestors": None}, "frame_ancestors"),
    ({"frame_ancestors": ""}, "frame_ancestors"),
    ({"css": None}, "is a list"),
    ({"css": "/\\evil.example/own.css"}, 'begin with "/"'),
    ({"identifier": ["email"]}, '"email"'),
    ({"csp": ["font-src"]}, "by directive"),
    ({"css": "own.css"}, 'begin with "/"'),
    ({"css": "//evil.example/own.css"}, 'begin with "/"'),
    ({"links": {"Privacy": "javascript:alert(1)"}}, 'begin with "/"'),
    ({"links": ["/privacy"]}, "by their texts"),
    ({"brand": "Shop"}, "Brand"),
    (
        {"brand": Brand(logo="https://cdn.example.com/l.svg")},
        '"img-src": ["https://cdn.example.com"]',
    ),
    ({"css": "https://cdn.example.com/s.css"}, '"style-src": ["https://cdn.example.com"]'),
    ({"brand": Brand(logo="javascript:alert(1)")}, 'begin with "/"'),
    ({"brand": Brand(home="shop")}, 'begin with "/"'),
    ({"theme": "blue"}, "light"),
    ({"identifier": "mail"}, '"email"'),
]


@pytest.mark.parametrize(("setting", "advice"), WRONG, ids=range(len(WRONG)))
def test_look_that_cannot_work_is_refused(setting: dict[str, Any], advice: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(advice)):
        web_for(ScriptedTransport(), **setting)


# ── what a page says ──


def _labels(html: str, error: str) -> Iterable[str]:
    """Yield the labels of the fields that have an error."""
    for field in re.split('<div class="og-field">|<label class="og-check">', html)[1:]:
        if error in field:
            yield from re.findall("<label[^>]*>(.*?)</label>", field)


def test_missing_values_are_named_at_their_fields_and_what_was_typed_stays(framework: str) -> None:
    transport = ScriptedTransport()
    with client_of(framework, web_for(transport)) as client:
        visit = Visit(client)
        visit.open()
        assert visit.say("submit_password", username="ana", password="") == "idle"
        assert visit.response is not None
        assert visit.response.status_code == 422
        assert list(_labels(visit.shown(), TEXTS["notice.field_missing"])) == ["Password"]
        assert visit.page.forms["submit-password"].values["username"] == "ana"
        assert "Correct" not in visit.shown()
        visit.say("submit_password", username="", password="Correct-horse-1")
        assert "Correct-horse-1" not in visit.shown()
        assert not transport.calls


def test_name_that_is_no_unicode_is_asked_for_again(framework: str) -> None:
    with client_of(framework, web_for(ScriptedTransport())) as client:
        visit = Visit(client)
        visit.open()
        form = visit.page.forms["submit-password"]
        origin = str(client.base_url).rstrip("/")
        answer = client.post(
            form.action,
            content=f"{urlencode(form.values)}&username=%ff&password=x",
            headers={"origin": origin, "content-type": "application/x-www-form-urlencoded"},
        )
    assert answer.status_code == 422
    assert list(_labels(answer.text, TEXTS["notice.field_invalid"])) == ["Username"]


def test_mistake_in_a_form_that_is_folded_up_is_shown(framework: str) -> None:
    not_sent = NotSent(cause="throttled")
    with client_of(framework, web_for(ScriptedTransport(not_sent))) as client:
        visit = Visit(client)
        visit.open()
        visit.follow("Forgot password?")
        assert visit.say("forgot_password", username="ana") == "awaiting_reset"
        assert "<details" in visit.shown()
        assert "<details" + ' class="og-wide" open' not in visit.shown()
        assert visit.say("reset_password", code="", new_password="") == "awaiting_reset"
        html = visit.shown()
        assert '<details class="og-wide" open>' in html
        assert len(re.findall(" autofocus", html)) == 1
        assert re.search('name="code"[^>]* autofocus', html)


def test_code_is_not_submitted_by_the_page_after_a_wrong_one(framework: str) -> None:
    wrong = Rejected(reason=RejectionReason.WRONG_CODE)
    with client_of(framework, web_for(ScriptedTransport(a_text(), wrong))) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        assert "data-untried" in visit.shown()
        visit.say("submit_code", code="123456")
        assert "data-untried" not in visit.shown()
        visit.say("request_new_code")  # too soon, which the page says instead
        assert TEXTS["message.too_soon"] in visit.page.text
        assert "data-untried" not in visit.shown()


def test_fingerprint_goes_with_a_password_for_a_new_code(framework: str) -> None:
    script = "/amazon-cognito-advanced-security-data.min.js"
    web = web_for(ScriptedTransport(a_text()), new_code_cooldown=0, threat_protection_script=script)
    with client_of(framework, web) as client:
        visit = Visit(client)
        visit.open()
        assert "_encoded_data" in visit.page.forms["submit-password"].values
        visit.say("submit_password", **ANA)
        visit.say("request_new_code")
        assert visit.page.heading == "Send a new code"
        assert "_encoded_data" in visit.page.forms["submit-password"].values


def test_seconds_are_not_written_as_the_user_writes_numbers() -> None:
    not_sent = NotSent(cause="throttled")
    with client_of("django", web_for(ScriptedTransport(not_sent))) as client:
        from django.test import override_settings

        visit = Visit(client)
        with override_settings(USE_THOUSAND_SEPARATOR=True, USE_I18N=True):
            visit.open()
            visit.follow("Forgot password?")
            assert visit.say("forgot_password", username="ana") == "awaiting_reset"
            assert re.search(r'data-ends-in="3[56]\d\d"', visit.shown())


def test_sign_in_again_in_another_tab_keeps_the_flow_that_has_begun_since(framework: str) -> None:
    unknown = UnknownChallenge.model_validate({"session": "s", "username": "u", "name": "MAGIC"})
    transport = ScriptedTransport(ChallengeIssued(challenge=unknown), a_text(), the_tokens())
    with client_of(framework, web_for(transport)) as client:
        first, second = Visit(client), Visit(client)
        first.open()
        assert first.say("submit_password", **ANA) == "failed"
        second.open()
        assert first.say("start") == "idle"
        assert first.say("submit_password", **ANA) == "awaiting_mfa"
        assert second.say("start") == "awaiting_mfa"
        assert first.say("submit_code", code="123456") == "authenticated"
        assert len(transport.calls) == 3


def test_every_input_has_an_id_of_its_own() -> None:
    names = ("custom:size", "custom:Size", "custom:s-ize", "custom:größe", "custom:gr-e")
    asked = NewPasswordChallenge.model_validate(
        {"session": "s", "username": "u", "required_attributes": names}
    )
    html = shown("flask", ChallengeIssued(challenge=asked))
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    described = {
        one for text in re.findall('aria-describedby="([^"]*)"', html) for one in text.split()
    }
    assert described <= set(ids)


def test_account_is_shown_after_the_first_page(framework: str) -> None:
    assert "Not you?" not in shown(framework, OutcomeUnknown())
    html = shown(framework, a_text())
    assert '<bdi class="og-value">ana</bdi>' in html
    assert 'form="cancel">Not you?</button>' in html


def test_page_for_a_password_tells_password_managers_the_name(framework: str) -> None:
    with client_of(
        framework, web_for(ScriptedTransport(a_text(), a_text()), new_code_cooldown=0)
    ) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        assert "You’ll enter your password again." in visit.page.text
        assert visit.say("request_new_code") == "idle"
        assert visit.page.heading == "Send a new code"
        assert visit.page.forms["submit-password"].button == "Send a new code"
        assert re.search(
            '<input hidden readonly[^>]* autocomplete="username" value="ana">', visit.shown()
        )
        assert visit.say("submit_password", password="Correct-horse-1") == "awaiting_mfa"


def test_sign_in_that_began_with_the_name_begins_with_it_again(framework: str) -> None:
    """A new code needs the password, which Cognito asks for after the name (USER_AUTH)."""
    asked = ChallengeIssued(
        challenge=PasswordChallenge.model_validate({"session": "s", "username": "u"})
    )
    transport = ScriptedTransport(asked, a_text(), asked, a_text())
    transport.is_passwordless = True
    with client_of(framework, web_for(transport, new_code_cooldown=0)) as client:
        visit = Visit(client)
        visit.open()
        for _ in range(2):
            assert visit.say("submit_username", username="ana") == "awaiting_password"
            assert visit.say("submit_password", password="x") == "awaiting_mfa"
            assert visit.say("request_new_code") == "idle"
            form = visit.page.forms["submit-username"]
            assert (form.values["username"], form.button) == ("ana", "Continue")
            visit.say_again()  # a double click


def test_question_of_the_pool_is_the_heading(framework: str) -> None:
    parameters = {"hint": "It is blue.", "question": "Which <bird>?"}
    asked = CustomChallenge(session="s", username="ana", parameters=parameters)
    html = shown(framework, ChallengeIssued(challenge=asked))
    assert ">Which &lt;bird&gt;?</h1>" in html
    assert html.count("Which &lt;bird&gt;?") == 2  # with the title of the document
    assert "It is blue." in html
    assert "question" not in html


def test_other_parameter_of_the_pool_is_no_heading(framework: str) -> None:
    parameters = {"captchaSiteKey": "6Lc_aX0"}
    asked = CustomChallenge(session="s", username="ana", parameters=parameters)
    html = shown(framework, ChallengeIssued(challenge=asked))
    assert ">One more question</h1>" in html
    assert "6Lc_aX0" not in title_of(html)


def test_page_of_a_failure_has_the_flows_name_in_the_log(framework: str, caplog: Any) -> None:
    caplog.set_level("INFO", logger="oncegate")
    unknown = UnknownChallenge.model_validate({"session": "s", "username": "u", "name": "MAGIC"})
    html = shown(framework, ChallengeIssued(challenge=unknown), listeners=[LogListener()])
    reference = re.findall("Reference: ([0-9a-f]+)", html)[0]
    assert len(reference) == 12
    assert f'"flow": "{reference}' in caplog.text


def test_page_that_waits_for_long_says_so(framework: str) -> None:
    from tests.flows import IN_FLIGHT_FLOWS

    from oncegate.step import step_of
    from oncegate_web import JinjaRenderer
    from oncegate_web._translations import Translators
    from oncegate_web.pages import PageBuilder

    step = step_of("flow", IN_FLIGHT_FLOWS[FlowState.CHECKING_ANSWER])
    for waited, text in ((0, "hint.waiting"), (8, "hint.waiting"), (10, "hint.slow")):
        builder = PageBuilder(
            Translators().best(("en",)), action="/auth/", prefix="/auth", hidden={}, waited=waited
        )
        html = JinjaRenderer()("oncegate/page.html", builder.step(step))
        assert TEXTS[text] in html
        assert f"url=/auth/?waited={waited + 2}" in html


@pytest.mark.parametrize("page", ["/auth/nothing", "/auth/nothing/at/all"])
def test_page_that_does_not_exist_is_no_failed_sign_in(framework: str, page: str) -> None:
    with client_of(framework, web_for(ScriptedTransport())) as client:
        answer = client.get(page, headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert ">Page not found</h1>" in answer.text
    assert "og-note-error" not in answer.text
    assert title_of(answer.text) == "Page not found"


def test_wrong_password_is_marked_and_described_by_the_notice(framework: str) -> None:
    html = shown(framework, Rejected(reason=RejectionReason.WRONG_CREDENTIALS))
    field = next(one for one in re.findall("<input[^>]*>", html) if 'name="password"' in one)
    assert 'aria-invalid="true"' in field
    assert 'aria-describedby="note"' in field
    assert 'id="note" role="alert"' in html


def test_words_of_cognito_are_shown_on_english_pages_only(framework: str) -> None:
    refused = Rejected(
        reason=RejectionReason.NEW_PASSWORD_REFUSED, for_user="Password is in a list of ours"
    )
    asked = NewPasswordChallenge.model_validate({"session": "s", "username": "u"})
    for language, is_shown in (("en-GB", True), ("de", False)):
        transport = ScriptedTransport(ChallengeIssued(challenge=asked), refused)
        with client_of(framework, web_for(transport)) as client:
            client.headers["accept-language"] = language
            visit = Visit(client)
            visit.open()
            visit.say("submit_password", **ANA)
            visit.say("submit_new_password", new_password="password")
            assert ("in a list of ours" in visit.page.text) is is_shown


def test_sources_of_one_sign_in_are_not_those_of_another() -> None:
    web_for(ScriptedTransport(), csp={"img-src": ["https://cdn.example.com"]})
    with client_of("flask", web_for(ScriptedTransport())) as client:
        assert "cdn.example.com" not in client.get("/auth/").headers["content-security-policy"]


def test_choice_to_stay_signed_in_survives_a_mistake(framework: str) -> None:
    rejected = Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
    with client_of(framework, web_for(ScriptedTransport(rejected))) as client:
        visit = Visit(client)
        visit.open()
        assert "_keep_signed_in" not in visit.page.forms["submit-password"].values
        visit.say("submit_password", username="ana", password="", _keep_signed_in="on")
        assert visit.page.forms["submit-password"].values["_keep_signed_in"] == "on"
        visit.say("submit_password", **ANA)
        assert "Incorrect" in visit.page.text
        assert visit.page.forms["submit-password"].values["_keep_signed_in"] == "on"


def test_mistake_in_one_attribute_is_shown_there(framework: str) -> None:
    asked = NewPasswordChallenge.model_validate(
        {"session": "s", "username": "u", "required_attributes": ("email", "given_name")}
    )
    with client_of(
        framework, web_for(ScriptedTransport(ChallengeIssued(challenge=asked)))
    ) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        typed = {"attributes.email": "x" * 3000, "attributes.given_name": "Ana"}
        visit.say("submit_new_password", new_password="Better-horse-2", **typed)
        assert list(_labels(visit.shown(), TEXTS["notice.field_invalid"])) == ["Email"]
        assert 'value="Ana"' in visit.shown()


def test_mistake_after_a_wrong_password_is_described_by_what_is_on_the_page(framework: str) -> None:
    rejected = Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
    with client_of(framework, web_for(ScriptedTransport(rejected))) as client:
        visit = Visit(client)
        visit.open()
        visit.say("submit_password", **ANA)
        visit.say("submit_password", username="ana", password="")
        html = visit.shown()
    described = {
        one for ids in re.findall('aria-describedby="([^"]*)"', html) for one in ids.split()
    }
    assert described == {"field-password-error", "field-password-label"}
    assert 'id="note"' not in html


@pytest.mark.parametrize(
    ("identifier", "attribute"), [("email", "email"), ("phone", "phone_number")]
)
def test_address_that_is_the_username_is_not_asked_for_twice(
    identifier: Identifier, attribute: str
) -> None:
    transport = ScriptedTransport()
    transport.ways_in = WaysIn(sign_up=SignUpForm(attributes=(attribute,)))
    with pytest.raises(Misconfigured, match=f"Leave {attribute} out of SignUpForm"):
        web_for(transport, identifier=identifier)
    assert web_for(transport, identifier="username")
