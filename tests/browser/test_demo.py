"""``oncegate demo --web``: the shop, its sign-in and the phone, in one browser window."""

from __future__ import annotations

import json
import subprocess
import sys

from playwright.sync_api import Page
from tests.browser.example_app import CODE, SCREENS, SIGN_IN, VERIFY


def test_user_signs_in_beside_the_phone(page: Page) -> None:
    command = [sys.executable, "-m", "oncegate_cli", "demo", "--web", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            _signs_in(page, url)
            _signs_in_with_google(page, url)
        finally:
            process.terminate()


def _signs_in(page: Page, url: str) -> None:
    page.set_viewport_size({"width": 1000, "height": 760})
    page.goto(url)
    shop = page.frame_locator("iframe.shop")
    phone = page.frame_locator("iframe.phone")
    assert phone.get_by_text("0 messages").inner_text()
    shop.get_by_label("Username").fill("ana")
    shop.get_by_label("Password").fill("Correct-horse-1")
    shop.get_by_role("button", name=SIGN_IN, exact=True).dblclick(no_wait_after=True)
    code = phone.locator("li b").first.inner_text()
    shop.get_by_label(CODE).press_sequentially(code)
    if SCREENS.name:
        page.screenshot(path=SCREENS / "demo.png")
    shop.get_by_role("button", name=VERIFY).dblclick(no_wait_after=True)
    shop.get_by_text("Welcome to the shop, ana").wait_for()
    assert phone.locator("#count").inner_text() == "1 message"


def _signs_in_with_google(page: Page, url: str) -> None:
    page.context.clear_cookies()
    page.goto(url)
    shop = page.frame_locator("iframe.shop")
    shop.get_by_role("button", name="Continue with Google").dblclick(no_wait_after=True)
    shop.get_by_label("Email").fill("gina@example.com")
    shop.get_by_role("button", name="Continue").click()
    shop.get_by_text("Welcome to the shop").wait_for()
    count = page.frame_locator("iframe.phone").locator("#count")
    assert count.inner_text() == "1 message", "none for a user of a provider"
