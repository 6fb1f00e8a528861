"""Every page: accessibility (axe-core), focus, zoom, small screens, and screenshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from tests.browser.example_app import (
    CODE,
    SCREENS,
    SIGN_IN,
    VERIFY,
    ExampleApp,
    wait_for,
)
from tests.doubles import ManualClock, a_text, the_tokens
from tests.web.example_apps import client_of, web_for
from tests.web.servers import serving

from oncegate import Factor
from oncegate.adapters import (
    ChallengeIssued,
    CustomChallenge,
    Device,
    DeviceRegistered,
    FactorChoice,
    NewDevice,
    NewPasswordChallenge,
    Outcome,
    OutcomeUnknown,
    PasskeyChallenge,
    PasswordChallenge,
    Rejected,
    RejectionReason,
    TokensIssued,
    TotpSetup,
    UnknownChallenge,
)
from oncegate.testing import ScriptedTransport

DEVICE = NewDevice(key="device-key", group_key="group-key")
NEW_DEVICE = TokensIssued(tokens=the_tokens().tokens, new_device=DEVICE, username="ana")
REGISTERED = DeviceRegistered(
    device=Device.model_validate(
        {"username": "ana", "key": "device-key", "group_key": "group-key", "password": "secret"}
    ),
    ask_user=True,
)


def asks(challenge: type[Any], **more: Any) -> ChallengeIssued:
    """Return the outcome that brings a challenge."""
    fields = {"session": "s" * 40, "username": "ana", **more}
    return ChallengeIssued(challenge=challenge.model_validate(fields))


WRONG = Rejected(reason=RejectionReason.WRONG_CODE)
SECRET = "JBSWY3DPEHPK3PXP"
URI = f"otpauth://totp/Shop:ana?secret={SECRET}&issuer=Shop"
FACTORS = (Factor.SMS, Factor.EMAIL, Factor.TOTP)
FIRST = (Factor.PASSWORD, Factor.PASSKEY, Factor.SMS_OTP)

PAGES: dict[str, tuple[list[Outcome], str]] = {
    "sign-in": ([], "idle"),
    "wrong-password": ([Rejected(reason=RejectionReason.WRONG_CREDENTIALS)], "idle"),
    "unknown-outcome": ([OutcomeUnknown()], "idle"),
    "code": ([a_text()], "awaiting_mfa"),
    "wrong-code": ([a_text(), WRONG], "awaiting_mfa"),
    "choice": ([asks(FactorChoice, factors=FACTORS)], "password_verified"),
    "first-factor": (
        [asks(FactorChoice, kind="SELECT_CHALLENGE", factors=FIRST)],
        "choosing_first_factor",
    ),
    "password": ([asks(PasswordChallenge)], "awaiting_password"),
    "authenticator": ([asks(TotpSetup, secret=SECRET, uri=URI)], "setting_up_totp"),
    "new-password": (
        [asks(NewPasswordChallenge, required_attributes=("email", "given_name"))],
        "awaiting_new_password",
    ),
    "passkey": ([asks(PasskeyChallenge, options='{"challenge": "AAAA"}')], "awaiting_passkey"),
    "question": (
        [asks(CustomChallenge, parameters={"question": "Which bird?"})],
        "awaiting_answer",
    ),
    "confirm-sign-up": (
        [a_text(), Rejected(reason=RejectionReason.SIGN_UP_NOT_CONFIRMED)],
        "awaiting_confirmation",
    ),
    "reset-password": (
        [a_text(), Rejected(reason=RejectionReason.PASSWORD_RESET_REQUIRED)],
        "awaiting_reset",
    ),
    "remember-device": ([a_text(), NEW_DEVICE, REGISTERED], "offering_device"),
    "failed": ([asks(UnknownChallenge, name="TELEPATHY")], "failed"),
    "signed-in": ([a_text(), the_tokens()], "authenticated"),
}

Show = Callable[..., Page]


@pytest.fixture
def show(new_context: Any) -> Iterator[Show]:
    """Open a page in a browser, by the outcomes that lead to it."""
    with ExitStack() as opened:

        def make(name: str, framework: str = "fastapi", **options: Any) -> Page:
            outcomes, state = PAGES[name]
            transport = ScriptedTransport(*outcomes)
            url = opened.enter_context(serving(framework, web_for(transport, clock=ManualClock())))
            page: Page = new_context(**options).new_page()
            page.goto(f"{url}/auth/")
            if outcomes:
                page.get_by_label("Username").fill("ana")
                page.get_by_label("Password").fill("Correct-horse-1")
                page.get_by_role("button", name=SIGN_IN, exact=True).click()
            if len(outcomes) > 1:
                page.get_by_label(CODE).fill("123456")
                page.get_by_role("button", name=VERIFY).click()
            if name == "signed-in":
                page.goto(f"{url}/auth/")
            wait_for(page, state)
            return page

        yield make


SIZES = {"200 % zoom of a small laptop": (640, 400), "small phone": (320, 568)}


@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible_and_fits_small_screens(name: str, show: Show) -> None:
    page = show(name)
    _has_the_focus(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44  # WCAG 2.2, 2.5.5
    if SCREENS.name:
        SCREENS.mkdir(parents=True, exist_ok=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 560, "height": 640})
        page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


def _has_the_focus(page: Page) -> None:
    """The first empty input of the main form has the focus, or the first one if all are filled in."""
    fields = page.locator("form.main input:not([type=hidden])")
    if not fields.count():
        return
    empty = page.locator("form.main input:not([type=hidden]):not([value])")
    wanted = empty if empty.count() else fields  # of a choice, the first value
    assert wanted.first.evaluate("field => field === document.activeElement")
    assert page.locator("label").count() >= fields.count()


def test_django_renders_what_jinja_renders(new_context: Any) -> None:
    """One template, two engines: the same elements, attributes and texts."""
    drawn = []
    for framework in ("flask", "django"):
        with client_of(framework, web_for(ScriptedTransport(a_text()))) as client:
            html = client.get("/auth/").text
        page = new_context(java_script_enabled=True).new_page()
        page.set_content(html)
        page.evaluate("document.querySelectorAll('[type=hidden]').forEach((one) => one.remove())")
        page.evaluate("document.querySelectorAll('form *').forEach((one) => one.normalize())")
        drawn.append("".join(page.locator("html").evaluate("e => e.outerHTML").split()))
    assert drawn[0] == drawn[1]


def test_countdown_counts_down(show: Show) -> None:
    page = show("code")
    first = page.locator("p.ends").inner_text()
    page.wait_for_function(
        "text => document.querySelector('p.ends').textContent !== text", arg=first
    )
    assert page.locator("p.ends").inner_text() < first


def test_waiting_page_moves_on_by_itself(open_app: Callable[..., ExampleApp], page: Page) -> None:
    """A second tab while the call is under way: it waits, then shows the next step."""
    app = open_app(patience=0.1)
    app.enter(page)
    other = page.context.new_page()
    app.sandbox.slow_down(3)
    page.get_by_role("button", name=SIGN_IN, exact=True).click(no_wait_after=True)
    page.wait_for_timeout(500)
    other.goto(f"{app.url}/auth/")
    wait_for(other, "checking_password")
    assert "moves on by itself" in other.locator("main").inner_text()
    wait_for(other, "awaiting_mfa")
    assert app.messages == 1
