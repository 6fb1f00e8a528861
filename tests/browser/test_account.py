"""The account in a real browser: a new user adds every factor, signs in with each, loses one, and leaves.

Texts and mails are counted, every button is double-clicked, and every page reloaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Page, expect
from tests.browser.example_app import CONTINUE, PASSKEY, SIGN_OUT, ExampleApp, wait_for
from tests.browser.passkeys import add_authenticator

from oncegate.adapters import TEXTS
from oncegate_sandbox import UserSeed

Open = Callable[..., ExampleApp]
OLD, NEW = "Correct-horse-1", "Better-horse-22"
ANA = UserSeed.model_validate({"username": "ana", "password": OLD})


class Walk:
    """What a user does in one browser."""

    def __init__(self, app: ExampleApp, page: Page) -> None:
        self.app, self.page = app, page

    def click(self, name: str, state: str) -> None:
        """Double-click a button, wait for the page that it leads to, and reload that."""
        button = self.page.get_by_role("button", name=name, exact=True)
        button.last.dblclick(no_wait_after=True)
        wait_for(self.page, state)
        self.page.wait_for_load_state()
        self.page.reload()
        wait_for(self.page, state)

    def account(self) -> None:
        self.page.goto(f"{self.app.url}/auth/account")

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).click()

    def choose(self, label: str) -> None:
        """Sign in by a first factor, from the first page."""
        self.page.goto(f"{self.app.url}/auth/?next=/auth/account")
        self.page.get_by_label("Username").fill("ana")
        self.page.get_by_role("button", name=CONTINUE).dblclick(no_wait_after=True)
        factor = self.page.get_by_role("radio", name=re.compile(f"^{label}"))
        wait_for(self.page, "choosing_first_factor")
        factor.check()
        self.page.get_by_role("button", name=CONTINUE).dblclick(no_wait_after=True)

    def password(self, password: str = OLD) -> None:
        self.page.locator("#field-password").fill(password)
        self.page.locator("button.og-button-main").dblclick(no_wait_after=True)

    def code(self, code: str, state: str) -> None:
        self.page.locator("#field-code").fill(code)
        wait_for(self.page, state)
        self.page.reload()
        wait_for(self.page, state)

    def sign_out(self) -> None:
        self.account()
        self.page.get_by_role("button", name=SIGN_OUT).first.dblclick(no_wait_after=True)
        self.page.wait_for_url(lambda url: "/auth/account" not in url)

    @property
    def secret(self) -> str:
        link = self.page.get_by_role("link", name=TEXTS["action.open_app"])
        (found,) = re.findall(r"secret=([A-Z2-7]+)", link.get_attribute("href") or "")
        return str(found)


@pytest.mark.parametrize("framework", ["fastapi"])
def test_user_adds_factors_signs_in_with_each_loses_one_and_leaves(
    framework: str, open_app: Open, new_context: Any
) -> None:
    changes: list[str] = []
    app = open_app(
        framework,
        ANA,
        pool={"passkeys_satisfy_mfa": True, "passkey_user_verification": "required"},
        auth_flow="USER_AUTH",
        account=True,
        on_account_changed=lambda changed, request: changes.append(changed.change),
    )
    walk = Walk(app, new_context().new_page())
    page = walk.page
    add_authenticator(page, is_verified=True)

    walk.choose("Password")
    wait_for(page, "awaiting_password")
    walk.password()
    wait_for(page, "managing")
    assert app.messages == 0

    walk.follow("Add an authenticator app")
    walk.click("Add an authenticator app", "confirming_authenticator")
    secret = walk.secret
    walk.code(pyotp.TOTP(secret).now(), "managing")
    assert "Authenticator app" in page.locator("main").inner_text()

    page.goto(f"{app.url}/auth/account?for=submit_address&attribute=phone_number")
    page.get_by_label("Phone number").fill("+1 555 000 7777")
    walk.click("Send code", "confirming_address")
    assert app.messages == 1
    walk.code(app.code, "managing")
    row = page.locator(".og-row", has_text="Text message")
    row.get_by_role("button").first.dblclick(no_wait_after=True)
    expect(row.get_by_text(re.compile("Asked for first|Another choice|In use"))).to_be_visible()
    assert app.messages == 1

    walk.follow("Add a passkey")
    page.get_by_label("Name of the passkey").fill("Work laptop")
    walk.click("Add a passkey", "registering_passkey")
    page.get_by_role("button", name="Create a passkey").dblclick(no_wait_after=True)
    wait_for(page, "managing")
    expect(page.get_by_role("button", name="Remove")).to_be_visible()
    expect(page.get_by_text("Work laptop")).to_be_visible()
    assert changes == ["authenticator_added", "address_verified", "factor_changed", "passkey_added"]

    walk.sign_out()
    walk.choose("Passkey")
    wait_for(page, "awaiting_passkey")
    page.get_by_role("button", name=PASSKEY).dblclick(no_wait_after=True)
    wait_for(page, "managing")
    assert app.messages == 1

    for factor in ("Authenticator app", "Text message"):
        walk.sign_out()
        walk.choose("Password")
        wait_for(page, "awaiting_password")
        before = app.messages
        walk.password()
        _to_factor(page, factor)
        is_text = factor == "Text message"
        assert app.messages == before + is_text
        app.sandbox.advance(31)  # an authenticator's code is taken once
        walk.code(app.code if is_text else _code(app, secret), "managing")

    row = page.locator(".og-row", has_text="Text message")
    row.get_by_role("button", name="Turn off").dblclick(no_wait_after=True)
    expect(row.get_by_text("Not used")).to_be_visible()
    assert app.sandbox.calls()["SetUserMFAPreference"] >= 2

    other = Walk(app, new_context().new_page())
    other.choose("Password")
    wait_for(other.page, "awaiting_password")
    other.password()
    wait_for(other.page, "awaiting_mfa")
    app.sandbox.advance(31)
    other.code(_code(app, secret), "managing")
    walk.account()
    walk.follow("Change password")
    page.get_by_label("Current password", exact=True).fill(OLD)
    page.get_by_label("New password", exact=True).fill(NEW)
    walk.click("Change password", "managing")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    other.account()
    wait_for(other.page, "idle")

    sent = app.messages
    walk.follow("Delete account")
    page.get_by_role("button", name="Delete account").dblclick(no_wait_after=True)
    wait_for(page, "idle")
    expect(page.get_by_text("Your account and its data were deleted.")).to_be_visible()
    page.reload()
    wait_for(page, "idle")
    assert app.messages == sent == 2
    assert changes[-3:] == ["factor_changed", "password_was_changed", "account_deleted"]
    assert app.sandbox.calls()["DeleteUser"] == 1


def _code(app: ExampleApp, secret: str) -> str:
    return pyotp.TOTP(secret).at(int(app.sandbox.pool.clock.now()))


def _to_factor(page: Page, factor: str) -> None:
    """Choose a second factor, if the page asks for another one, or for a choice."""
    page.locator("body[data-state=awaiting_mfa], body[data-state=password_verified]").wait_for()
    if page.locator("body[data-state=password_verified]").count():
        page.get_by_role("radio", name=re.compile(f"^{factor}")).check()
        page.get_by_role("button", name=CONTINUE).dblclick(no_wait_after=True)
        wait_for(page, "awaiting_mfa")
