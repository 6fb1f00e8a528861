"""The pages of a real server: the focus, the countdown, the page that waits; and their pictures.

`tests.browser.test_states` looks at every state more closely, without a server.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.browser.example_app import SCREENS, SIGN_IN, ExampleApp, wait_for
from tests.browser.states import ACCOUNT, NAMES, page_of, template_of
from tests.browser.viewer import Viewer
from tests.doubles import ManualClock, ScriptedTransport, a_text
from tests.flows import CHOICE, rejected
from tests.web.example_apps import APPS, web_for
from tests.web.servers import serving

from oncegate.adapters import Outcome, RejectionReason
from oncegate_web import JinjaRenderer

Show = Callable[..., Page]

LARGEST_SHEET = 1_500_000


@pytest.fixture
def show(page: Page) -> Iterator[Show]:
    """Sign in on a real server, and show the page that an outcome leads to."""
    with ExitStack() as opened:

        def make(*outcomes: Outcome) -> Page:
            web = web_for(ScriptedTransport(*outcomes), clock=ManualClock())
            url = opened.enter_context(serving("fastapi", web))
            page.goto(f"{url}/auth/")
            if outcomes:
                page.get_by_label("Username").fill("ana")
                page.get_by_label("Password").fill("Correct-horse-1")
                page.get_by_role("button", name=SIGN_IN, exact=True).click()
            return page

        yield make


@pytest.mark.parametrize(
    ("outcomes", "state", "focused"),
    [
        ([], "idle", "username"),
        ([rejected(RejectionReason.WRONG_CREDENTIALS)], "idle", "password"),
        ([a_text()], "awaiting_mfa", "code"),
        ([CHOICE], "password_verified", "factor"),
    ],
)
def test_first_field_to_fill_in_has_the_focus(
    outcomes: list[Outcome], state: str, focused: str, show: Show
) -> None:
    page = show(*outcomes)
    wait_for(page, state)
    assert page.evaluate("document.activeElement.name") == focused


def test_countdown_counts_down(show: Show) -> None:
    page = show(a_text())
    wait_for(page, "awaiting_mfa")
    resend = page.locator(".og-resend")
    first = resend.inner_text()
    page.wait_for_function(
        "text => document.querySelector('.og-resend').innerText !== text", arg=first
    )
    assert resend.inner_text() < first


@pytest.mark.parametrize("has_javascript", [True, False])
def test_waiting_page_moves_on_by_itself(
    has_javascript: bool, open_app: Callable[..., ExampleApp], new_context: Any
) -> None:
    """A second tab while the call is under way: it waits, then shows the next step."""
    app = open_app(patience=0.1)
    page = new_context(java_script_enabled=has_javascript).new_page()
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


def test_django_renders_what_jinja_renders(page: Page) -> None:
    """One template, two engines: the same elements, attributes and texts in every state."""
    APPS["django"](web_for(ScriptedTransport()))  # configures Django
    from django.template.loader import render_to_string

    jinja = JinjaRenderer()
    for name in NAMES:
        shown = page_of(name)
        drawn = [
            render_to_string(template_of(shown), {"page": shown}),
            jinja(template_of(shown), shown),
        ]
        parsed = page.evaluate(_PARSED, drawn)
        assert parsed[0] == parsed[1], name


_PARSED = """(pages) => pages.map((html) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll("*").forEach((one) => one.normalize());
    return page.documentElement.outerHTML.split(/\\s+/).join("");
})"""


def test_no_two_states_look_alike(chromium: Browser) -> None:
    """Every state shows what happened. With ``ONCEGATE_SCREENS`` the pictures are kept."""
    seen: dict[bytes, str] = {}
    for name, picture in _pictures(chromium, "light").items():
        assert picture not in seen, f"{name} looks like {seen[picture]}"
        seen[picture] = name
        if SCREENS.name:
            SCREENS.mkdir(parents=True, exist_ok=True)
            (SCREENS / f"{name}.png").write_bytes(picture)
    if SCREENS.name:
        of_sign_in = [name for name in NAMES if name not in ACCOUNT]
        for sheet, names in (("all", of_sign_in), ("account-all", [*ACCOUNT])):
            drawn = _contact_sheet(chromium, names)
            assert len(drawn) <= LARGEST_SHEET
            (SCREENS / f"{sheet}.png").write_bytes(drawn)


def _pictures(
    browser: Browser, scheme: str, width: int = 560, names: Sequence[str] = NAMES
) -> dict[str, bytes]:
    viewer = Viewer(browser, color_scheme=scheme, viewport={"width": width, "height": 640})
    pictures = {name: viewer.show(name).screenshot(full_page=True) for name in names}
    viewer.close()
    return pictures


def _contact_sheet(browser: Browser, names: Sequence[str]) -> bytes:
    """Return one picture of some states, each in light and dark."""
    both = [_pictures(browser, scheme, 400, names) for scheme in ("light", "dark")]
    figures = []
    for name in names:
        images = "".join(
            f'<img width="200" src="data:image/png;base64,{base64.b64encode(one[name]).decode()}">'
            for one in both
        )
        figures.append(f"<figure>{images}<figcaption>{name}</figcaption></figure>")
    page = browser.new_page(viewport={"width": 1728, "height": 400})
    page.set_content(f"<style>{_SHEET_STYLE}</style>{''.join(figures)}")
    sheet: Any = page.screenshot(full_page=True)
    page.close()
    return bytes(sheet)


_SHEET_STYLE = """
    body { display: flex; flex-wrap: wrap; align-items: start; gap: 16px; margin: 16px; background: #ccc }
    figure { margin: 0; font: 12px sans-serif }
    img { vertical-align: top }
"""
