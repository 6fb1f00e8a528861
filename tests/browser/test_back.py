"""Back, where the browser keeps whole pages. Playwright turns that off, unless it is told not to."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, sync_playwright
from tests.browser.conftest import CHROMIUM, QUIET
from tests.browser.example_app import SIGN_IN, ExampleApp, enter_code, wait_for

KEEPS_NO_PAGES = "--disable-back-forward-cache"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which(CHROMIUM),
            args=QUIET,
            ignore_default_args=[KEEPS_NO_PAGES],
        )
        made = browser.new_page(locale="en-GB")
        made.set_default_timeout(10_000)
        yield made
        browser.close()


def _goes_back(page: Page) -> None:
    """Go back, and wait for the page that its script has loaded again, if the browser had kept it."""
    page.go_back()
    page.wait_for_function("() => !window.isOld && document.readyState === 'complete'")


def test_right_answers_after_back_are_accepted(
    page: Page, open_app: Callable[..., ExampleApp]
) -> None:
    app = open_app()
    app.enter(page, password="Wrong-horse-1")
    page.evaluate("window.isOld = true")
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    page.get_by_role("alert").wait_for()
    _goes_back(page)
    page.get_by_label("Username").fill("ana")
    page.get_by_label("Password").fill("Correct-horse-1")
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    wait_for(page, "awaiting_mfa")
    wrong = f"{(int(app.code) + 1) % 10**6:06d}"
    page.evaluate("window.isOld = true")
    enter_code(page, wrong)
    page.get_by_role("alert").wait_for()
    _goes_back(page)
    wait_for(page, "awaiting_mfa")
    enter_code(page, app.code)
    app.shows_orders(page)
    assert app.messages == 1
