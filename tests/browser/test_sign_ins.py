"""Every kind of sign-in, in a real browser, while the sandbox counts messages.

What depends on the framework is tried with each; tests/web answers every challenge in each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Page, expect
from tests.browser.example_app import (
    BACK,
    CODE,
    CONTINUE,
    FINISH,
    PASSKEY,
    SAVE,
    SAVE_AND_SIGN_IN,
    SEND_CODE,
    SIGN_IN,
    SIGN_OUT,
    VERIFY,
    ExampleApp,
    enter_code,
    state,
    wait_for,
)
from tests.browser.passkeys import add_passkey
from tests.servers import free_port
from tests.walks.authenticator import Authenticator
from tests.web.example_apps import web_for
from tests.web.servers import serving

from oncegate import Factor, Provider, WaysIn
from oncegate.adapters import TEXTS, SystemClock
from oncegate_cognito import CognitoTransport, ManagedLogin
from oncegate_sandbox import PoolSeed, Sandbox, Seed, UserSeed

Open = Callable[..., ExampleApp]
PHONE = {"phone_number": "+15550001234", "mfa": [Factor.SMS]}


def ana(**more: Any) -> UserSeed:
    return UserSeed.model_validate({"username": "ana", "password": "Correct-horse-1", **more})


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_code_by_sms_signs_in(
    framework: str, script: bool, open_app: Open, new_context: Any
) -> None:
    app, page = open_app(framework), new_context(java_script_enabled=script).new_page()
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    wait_for(page, "awaiting_mfa")
    assert "+*******1234" in page.locator("main").inner_text()
    app.answer(page)
    app.shows_orders(page)
    assert app.messages == 1


@pytest.mark.parametrize("framework", ["django"])
def test_keyboard_alone_signs_in(framework: str, open_app: Open, page: Page) -> None:
    """The first field has the focus on each page, and Enter submits it."""
    app = open_app(framework)
    page.goto(f"{app.url}/orders")
    _wait_for_focus(page, "username")
    page.keyboard.type("ana")
    page.keyboard.press("Tab")
    page.keyboard.type("Correct-horse-1")
    page.keyboard.press("Enter")
    wait_for(page, "awaiting_mfa")
    _wait_for_focus(page, "code")
    page.keyboard.type(app.code)
    page.keyboard.press("Enter")
    app.shows_orders(page)


def _wait_for_focus(page: Page, name: str) -> None:
    """Wait until a field has the focus, which browsers give it a moment after the page is loaded."""
    page.wait_for_function("name => document.activeElement.name === name", arg=name)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_double_click_on_every_button_sends_one_code(
    framework: str, script: bool, open_app: Open, new_context: Any
) -> None:
    """The browser shows the second response; only the first request sent a code."""
    app, page = open_app(framework), new_context(java_script_enabled=script).new_page()
    app.sandbox.slow_down(0.3)
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).dblclick(no_wait_after=True)
    wait_for(page, "awaiting_mfa")
    page.get_by_label(CODE).press_sequentially(app.code)
    page.get_by_role("button", name=VERIFY).dblclick(no_wait_after=True)
    app.shows_orders(page)
    assert app.messages == 1
    assert app.sandbox.calls()["RespondToAuthChallenge"] == 1


def test_reload_back_and_second_tab_send_nothing(
    framework: str, open_app: Open, page: Page
) -> None:
    app = open_app(framework)
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    wait_for(page, "awaiting_mfa")
    calls = app.calls()
    for _ in range(3):
        page.reload()
        assert state(page) == "awaiting_mfa"
    page.go_back()
    wait_for(page, "awaiting_mfa")
    other = page.context.new_page()
    other.goto(f"{app.url}/auth/")
    assert state(other) == "awaiting_mfa"
    assert (app.calls(), app.messages) == (calls, 1)
    enter_code(other, app.code)
    expect(other).to_have_url(f"{app.url}/")
    # The first tab is outdated; its form is submitted all the same.
    enter_code(page, "000000")
    page.goto(f"{app.url}/orders")
    app.shows_orders(page)
    assert (app.calls(), app.messages) == (calls + 1, 1)


@pytest.mark.parametrize("framework", ["flask"])
def test_code_pasted_with_spaces_is_accepted(framework: str, open_app: Open, page: Page) -> None:
    app = open_app(framework)
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    field = page.get_by_label(CODE)
    for name, value in {"autocomplete": "one-time-code", "inputmode": "numeric"}.items():
        assert field.get_attribute(name) == value
    field.fill(f" {app.code[:3]} {app.code[3:]} ")  # as a whole: the page submits it
    app.shows_orders(page)


@pytest.mark.parametrize("framework", ["django"])
def test_wrong_password_and_code_can_be_corrected(
    framework: str, open_app: Open, page: Page
) -> None:
    app = open_app(framework)
    app.enter(page, password="wrong-horse-1")
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    assert "Incorrect" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Username").input_value() == "ana"
    page.get_by_label("Password").fill("Correct-horse-1")
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    wait_for(page, "awaiting_mfa")
    wrong = f"{(int(app.code) + 1) % 10**6:06d}"
    enter_code(page, wrong)
    error = page.get_by_role("alert").inner_text()
    assert "incorrect" in error
    assert "You have 4 tries left." in error
    app.answer(page)
    app.shows_orders(page)
    assert app.messages == 1


@pytest.mark.parametrize("framework", ["fastapi"])
def test_new_code_is_sent_after_the_cooldown(framework: str, open_app: Open, page: Page) -> None:
    app = open_app(framework, retain_password=True, new_code_cooldown=8)
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    wait_for(page, "awaiting_mfa")
    again = page.get_by_role("button", name="Send a new code")
    assert again.get_attribute("aria-disabled") == "true"
    again.click(force=True)  # too early: the page does not submit it
    assert "Send a new code in 0:0" in page.locator("main").inner_text()
    page.locator("button[data-opens-in]:not([aria-disabled])").wait_for()
    again.dblclick(no_wait_after=True)
    page.locator("button[data-opens-in][aria-disabled]").wait_for()
    assert app.messages == 2
    app.answer(page)
    app.shows_orders(page)


@pytest.mark.parametrize("framework", ["flask"])
def test_chosen_factor_signs_in(framework: str, open_app: Open, page: Page) -> None:
    app = open_app(framework)
    app.enter(page, username="dora", password="Correct-horse-4")
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    wait_for(page, "password_verified")
    assert app.messages == 0
    page.get_by_label("Email").check()
    page.get_by_role("button", name=CONTINUE).dblclick(no_wait_after=True)
    wait_for(page, "awaiting_mfa")
    enter_code(page, app.code)
    app.shows_orders(page, "dora")
    assert app.messages == 1


@pytest.mark.parametrize("framework", ["django"])
def test_temporary_password_is_replaced(framework: str, open_app: Open, page: Page) -> None:
    app = open_app(framework)
    app.enter(page, username="emil", password="Correct-horse-5")
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    wait_for(page, "awaiting_new_password")
    page.get_by_label("New password").fill("weak")
    page.get_by_role("button", name=SAVE_AND_SIGN_IN).click()
    assert TEXTS["message.password_too_short"] in page.get_by_role("alert").inner_text()
    page.get_by_label("New password").fill("Better-horse-9")
    page.get_by_role("button", name=SAVE_AND_SIGN_IN).dblclick(no_wait_after=True)
    wait_for(page, "awaiting_mfa")
    app.answer(page)
    app.shows_orders(page, "emil")
    assert app.messages == 1


@pytest.mark.parametrize("framework", ["fastapi"])
def test_authenticator_app_is_set_up(framework: str, open_app: Open, page: Page) -> None:
    app = open_app(framework, ana(), pool={"mfa": "on"})
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    wait_for(page, "password_verified")
    page.get_by_label("Authenticator app").check()
    page.get_by_role("button", name=CONTINUE).click()
    wait_for(page, "setting_up_totp")
    drawn = page.locator(".og-qr").evaluate("image => [image.complete, image.naturalWidth > 20]")
    assert drawn == [True, True]
    page.get_by_text("Can’t scan it?").click()
    secret = page.locator(".og-key").inner_text().replace(" ", "")
    page.reload()
    page.get_by_text("Can’t scan it?").click()
    assert page.locator(".og-key").inner_text().replace(" ", "") == secret
    enter_code(page, pyotp.TOTP(secret).now(), FINISH)
    app.shows_orders(page)


@pytest.mark.parametrize("framework", ["flask"])
def test_remembered_device_signs_in_without_code(
    framework: str, open_app: Open, page: Page
) -> None:
    app = open_app(framework, pool={"device_tracking": "opt_in"})
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    page.get_by_label(CODE).press_sequentially(app.code)
    page.get_by_role("button", name=VERIFY).dblclick(no_wait_after=True)
    wait_for(page, "offering_device")
    page.get_by_role("button", name="Remember this device").dblclick(no_wait_after=True)
    app.shows_orders(page)
    page.goto(f"{app.url}/auth/")
    page.get_by_role("button", name=SIGN_OUT).click()
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    app.shows_orders(page)
    assert app.messages == 1


@pytest.mark.parametrize("framework", ["django"])
def test_reset_password_signs_in(framework: str, open_app: Open, page: Page) -> None:
    app = open_app(framework, ana(**PHONE, status="RESET_REQUIRED"))
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    # Cognito tells before it checks the password, so the page does not (P6).
    page.get_by_text("Incorrect username or password.").wait_for()
    page.get_by_role("link", name="Forgot password?").click()
    page.get_by_role("heading", name="Reset your password").wait_for()
    assert page.get_by_label("Username").input_value() == "ana"
    assert app.messages == 0
    page.get_by_role("button", name=SEND_CODE).dblclick(no_wait_after=True)
    wait_for(page, "awaiting_reset")
    page.get_by_text("If this account can receive a code").wait_for()
    page.get_by_label(CODE).fill(app.code)
    page.get_by_label("New password").fill("Better-horse-9")
    page.get_by_role("button", name=SAVE).click()
    wait_for(page, "awaiting_mfa")
    assert app.messages == 2  # the one for the reset, and the one for the sign-in
    app.answer(page)
    app.shows_orders(page)


@pytest.mark.parametrize("has_javascript", [True, False])
def test_provider_on_another_site_signs_in_and_out(has_javascript: bool, new_context: Any) -> None:
    """Browsers check the answer to a form, the cookies of a cross-site request, and the policies."""
    port = free_port()
    with Sandbox(Seed(pool=PoolSeed(mfa="off"), users=())) as sandbox:
        transport = CognitoTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            endpoint_url=sandbox.endpoint,
            managed_login=ManagedLogin(
                domain=sandbox.endpoint, redirect_uri=f"http://localhost:{port}/auth/callback"
            ),
            ways_in=WaysIn(providers=(Provider(name="Google"),)),
        )
        web = web_for(transport, clock=SystemClock())
        with serving("fastapi", web, port) as url:
            page = new_context(java_script_enabled=has_javascript).new_page()
            page.goto(f"{url}/orders")
            page.get_by_role("button", name="Continue with Google").click()
            page.get_by_label("Email").fill("gina@example.com")
            page.go_back()
            wait_for(page, "awaiting_provider")
            page.goto(f"{url}/auth/?next=/orders")
            page.get_by_role("link", name=CONTINUE).click()
            page.get_by_label("Email").fill("gina@example.com")
            page.get_by_role("button", name=CONTINUE).click()
            expect(page).to_have_url(f"{url}/orders", timeout=15_000)
            page.goto(f"{url}/auth/")
            page.get_by_role("button", name=SIGN_OUT).click()
            wait_for(page, "idle")
            expect(page).to_have_url(f"{url}/auth/")


@pytest.mark.parametrize("framework", ["django"])
def test_passkey_signs_in(framework: str, open_app: Open, page: Page) -> None:
    """Chromium's own authenticator signs, with a key that the pool knows."""
    passkey = Authenticator()
    app = open_app(framework, ana(passkeys=[passkey.seed()]), auth_flow="USER_AUTH")
    add_passkey(page, passkey, is_verified=True)
    page.goto(f"{app.url}/orders")
    page.get_by_label("Username").fill("ana")
    page.get_by_role("button", name=CONTINUE).click()
    wait_for(page, "choosing_first_factor")
    page.get_by_label("Passkey").check()
    page.get_by_role("button", name=CONTINUE).click()
    wait_for(page, "awaiting_passkey")
    page.get_by_role("button", name=PASSKEY).click()
    app.shows_orders(page)
    assert app.messages == 0


@pytest.mark.parametrize("framework", ["flask"])
def test_custom_challenge_signs_in(framework: str, open_app: Open, page: Page) -> None:
    riddle = (
        "def next_challenge(username, past):\n"
        "    if past and past[-1]['right']:\n        return True\n"
        "    return len(past) < 3 and {'answer': 'heron', 'public': {'question': 'Which bird?'}}\n"
    )
    app = open_app(framework, pool={"custom_auth": riddle}, auth_flow="CUSTOM_AUTH")
    page.goto(f"{app.url}/orders")
    page.get_by_label("Username").fill("ana")
    page.get_by_role("button", name=CONTINUE).click()
    wait_for(page, "awaiting_answer")
    assert "Which bird?" in page.locator("main").inner_text()
    page.get_by_label("Answer").fill("heron")
    page.get_by_role("button", name=CONTINUE).dblclick(no_wait_after=True)
    app.shows_orders(page)


def test_back_to_sign_in_shows_the_first_page_without_a_word(
    framework: str, open_app: Open, page: Page
) -> None:
    app = open_app(framework)
    app.enter(page)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    page.get_by_role("button", name=BACK).dblclick(no_wait_after=True)
    wait_for(page, "idle")
    assert page.locator(".og-note").count() == 0
    assert page.get_by_label("Username").input_value() == ""


@pytest.mark.parametrize("framework", ["fastapi"])
def test_lost_response_is_reported_and_sends_one_code(
    framework: str, open_app: Open, page: Page
) -> None:
    app = open_app(framework)
    app.enter(page)
    app.sandbox.lose_next_response("InitiateAuth")
    page.get_by_role("button", name=SIGN_IN, exact=True).dblclick(no_wait_after=True)
    page.get_by_role("alert").get_by_text("connection broke off").wait_for()
    assert state(page) == "idle"
    assert app.messages == 1


def test_own_page_on_the_json_api_signs_in(open_app: Open, page: Page) -> None:
    """The password on one route, the code on another, as in a single-page application; and a reload."""
    app = open_app()
    page.goto(f"{app.url}/login")
    page.evaluate(
        """async () => {
          const { SignIn } = await import("/auth/static/oncegate.js");
          const signIn = new SignIn("/auth");
          await signIn.resume();
          const password = { type: "submit_password", username: "ana", password: "Correct-horse-1" };
          await Promise.all([signIn.send(password), signIn.send(password)]);
        }"""
    )
    seen = []
    for _ in range(2):
        page.goto(f"{app.url}/code")
        seen.append(
            page.evaluate(
                """async () => {
                  const { SignIn } = await import("/auth/static/oncegate.js");
                  return (await new SignIn("/auth").resume()).state;
                }"""
            )
        )
    assert seen == ["awaiting_mfa"] * 2
    result = page.evaluate(
        """async (code) => {
          const { SignIn } = await import("/auth/static/oncegate.js");
          const signIn = new SignIn("/auth");
          await signIn.resume();
          const answer = { type: "submit_code", code };
          const steps = await Promise.all([signIn.send(answer), signIn.send(answer)]);
          return JSON.stringify([steps.map((step) => step.state), (await signIn.session()).username,
            document.cookie]);
        }""",
        app.code,
    )
    assert json.loads(result) == [["authenticated"] * 2, "ana", ""]
    assert app.messages == 1
    page.goto(f"{app.url}/orders")
    app.shows_orders(page)
