"""What JavaScript adds to the pages: busy buttons, shown passwords, pasted codes, passkeys that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.viewer import Viewer

from oncegate.adapters import TEXTS

SHOW, HIDE = TEXTS["action.show"], TEXTS["action.hide"]

NewViewer = Callable[..., Viewer]

REFUSES = """navigator.credentials.get = () =>
    Promise.reject(new DOMException("The user declined.", "NotAllowedError"));"""
LACKS_PASSKEYS = "delete window.PublicKeyCredential;"
LACKS_CREDENTIALS = """Object.defineProperty(Navigator.prototype, "credentials", {
    get: () => undefined });"""


@pytest.fixture
def new_viewer(chromium: Browser) -> Iterator[NewViewer]:
    with ExitStack() as opened:

        def make(**options: Any) -> Viewer:
            viewer = Viewer(chromium, **options)
            opened.callback(viewer.close)
            return viewer

        yield make


@pytest.fixture
def viewer(new_viewer: NewViewer) -> Viewer:
    return new_viewer()


# ── busy ──


@pytest.mark.parametrize(
    ("name", "fields", "busy"),
    [
        ("sign-in", {"username": "ana@example.com", "password": "a password"}, "submit_password"),
        ("code", {"code": "123456"}, "submit_code"),
        ("reset-password", {}, "request_new_code"),
        ("remember-device", {}, "other"),
    ],
)
def test_pressed_button_says_so_within_100_ms(
    name: str, fields: dict[str, str], busy: str, viewer: Viewer
) -> None:
    page = viewer.show(name)
    for field, value in fields.items():
        page.locator(f"form [name={field}]").first.press_sequentially(value)
    said = page.evaluate(
        """async () => {
            const button = document.querySelector(".og-button-main");
            button.click();
            await new Promise((done) => setTimeout(done, 100));
            return [button.textContent, button.ariaDisabled, document.getElementById("said").textContent];
        }"""
    )
    text = TEXTS[f"busy.{busy}"]
    assert said == [text, "true", text]


def test_second_click_posts_nothing(viewer: Viewer) -> None:
    page = viewer.show("code")
    page.locator("#field-code").press_sequentially("123456")
    page.evaluate(
        "for (let n = 0; n < 3; n += 1) document.querySelector('.og-button-main').click()"
    )
    _has_posted(viewer, 1)


def test_page_from_the_history_has_its_button_back(viewer: Viewer) -> None:
    page = viewer.show("code")
    page.locator("#field-code").press_sequentially("123456")
    button = page.locator(".og-button-main")
    label = button.inner_text()
    button.click()
    expect(button).to_have_attribute("aria-disabled", "true")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(button).to_have_text(label)
    assert button.get_attribute("aria-disabled") is None


def test_link_that_waits_does_nothing(viewer: Viewer) -> None:
    """The server would answer that it is too soon."""
    page = viewer.show("code")
    page.locator(".og-resend").evaluate("button => button.click()")
    page.wait_for_timeout(100)
    assert viewer.posted == []


# ── passwords ──


def test_show_button_shows_and_hides_the_password(viewer: Viewer) -> None:
    page = viewer.show("sign-in")
    password, button = page.locator("#field-password"), page.locator(".og-show")
    password.fill("a password")
    for kind, label in (("text", HIDE), ("password", SHOW)):
        button.click()
        expect(password).to_have_attribute("type", kind)
        expect(button).to_have_text(label)
        assert button.get_attribute("title") == TEXTS[f"action.{label.lower()}_password"]
    assert viewer.posted == []


def test_shown_password_is_hidden_when_it_is_submitted(viewer: Viewer) -> None:
    """Otherwise browsers would keep it as text to suggest later."""
    page = viewer.show("password")
    page.locator("#field-password").fill("a password")
    page.locator(".og-show").click()
    page.locator(".og-button-main").click()
    expect(page.locator("#field-password")).to_have_attribute("type", "password")


def test_choice_to_stay_signed_in_goes_with_the_button_of_a_provider(viewer: Viewer) -> None:
    for is_kept in (True, False):
        page = viewer.show("ways-in")
        page.locator("#field-keep-signed-in").set_checked(is_kept)
        page.get_by_role("button", name="Continue with Google").click()
        page.wait_for_load_state()
        (form,) = viewer.posted
        assert (form["_event"], form.get("_keep_signed_in")) == (
            "sign_in_with",
            "on" if is_kept else None,
        )


def test_caps_lock_is_told_while_it_is_on(viewer: Viewer) -> None:
    page = viewer.show("password")
    hint = page.locator("[data-caps]")
    for is_on, text in ((True, TEXTS["notice.caps_lock"]), (False, "")):
        page.locator("#field-password").evaluate(
            """(field, isOn) => field.dispatchEvent(
                new KeyboardEvent("keyup", { key: "A", modifierCapsLock: isOn, bubbles: true }))""",
            is_on,
        )
        expect(hint).to_have_text(text)


def test_rules_of_a_new_password_are_checked_as_it_is_typed(viewer: Viewer) -> None:
    page = viewer.show("new-password")
    rules = page.locator(".og-rule")
    met = page.locator(".og-rule-met")
    assert rules.count() == 5
    expect(met).to_have_count(0)
    for typed, count in (("a", 1), ("aB", 2), ("aB3", 3), ("aB3!", 4), ("aB3!aB3!", 5)):
        page.locator("#field-new-password").fill(typed)
        expect(met).to_have_count(count)
    page.locator("#field-new-password").fill("")
    expect(met).to_have_count(0)


# ── codes ──


@pytest.mark.parametrize("pasted", ["123456", "123 456", "1234", "123456789012"])
def test_pasted_code_is_submitted_once(pasted: str, new_viewer: NewViewer) -> None:
    viewer = new_viewer(permissions=["clipboard-read", "clipboard-write"])
    page = viewer.show("code")
    _paste(page, pasted)
    _has_posted(viewer, 1)
    assert viewer.posted[0]["code"] == pasted
    assert viewer.posted[0]["_event"] == "submit_code"
    expect(page.locator(".og-button-main")).to_have_text(TEXTS["busy.submit_code"])
    _paste(page, pasted)
    page.wait_for_timeout(100)
    assert len(viewer.posted) == 1


def test_filled_in_code_is_submitted(viewer: Viewer) -> None:
    """As phones fill in a code from a message: all of it at once."""
    page = viewer.show("code")
    page.locator("#field-code").fill("123456")  # one event, without an input type
    _has_posted(viewer, 1)


def test_typed_code_is_not_submitted(viewer: Viewer) -> None:
    """WCAG 2.2, 3.2.2: typing into a field must not change the page."""
    page = viewer.show("code")
    page.locator("#field-code").press_sequentially("12345678")
    page.wait_for_timeout(100)
    assert viewer.posted == []


@pytest.mark.parametrize("pasted", ["12", "no code", "1234567890123"])
def test_pasted_text_that_is_no_code_is_not_submitted(pasted: str, new_viewer: NewViewer) -> None:
    viewer = new_viewer(permissions=["clipboard-read", "clipboard-write"])
    page = viewer.show("code")
    _paste(page, pasted)
    page.wait_for_timeout(100)
    assert viewer.posted == []


@pytest.mark.parametrize("name", ["wrong-code", "last-try"])
def test_code_is_not_submitted_by_itself_after_a_wrong_one(
    name: str, new_viewer: NewViewer
) -> None:
    """Tries are counted."""
    viewer = new_viewer(permissions=["clipboard-read", "clipboard-write"])
    page = viewer.show(name)
    _paste(page, "123456")
    page.wait_for_timeout(100)
    assert viewer.posted == []


def test_code_beside_a_password_is_not_submitted_by_itself(new_viewer: NewViewer) -> None:
    viewer = new_viewer(permissions=["clipboard-read", "clipboard-write"])
    page = viewer.show("reset-password-sent")
    _paste(page, "123456")
    page.wait_for_timeout(100)
    assert viewer.posted == []


def test_end_of_the_time_is_announced_once(viewer: Viewer) -> None:
    page = viewer.page
    page.clock.install()
    viewer.show("code")
    ends, said = page.locator("#ends"), page.locator("#said")
    expect(ends).to_have_text("Enter it within 3 minutes.")
    page.clock.run_for(65_000)
    expect(ends).to_have_text("Enter it within 1 minute.")
    expect(said).to_have_text("")
    page.clock.run_for(60_000)
    last = TEXTS["hint.time_left.last"]
    expect(ends).to_have_text(last)
    expect(said).to_have_text(last)


# ── passkeys ──


@pytest.mark.parametrize(
    ("browser", "code"),
    [
        (REFUSES, "passkey_cancelled"),
        (LACKS_PASSKEYS, "passkey_unsupported"),
        (LACKS_CREDENTIALS, "passkey_unsupported"),
    ],
)
def test_passkey_that_fails_says_so_and_can_be_tried_again(
    browser: str, code: str, viewer: Viewer
) -> None:
    viewer.page.add_init_script(browser)
    page = viewer.show("passkey")
    button, note = page.locator(".og-button-main"), page.locator("#passkey-failed")
    expect(note).to_be_hidden()
    for _ in range(2):
        button.click()
        expect(note).to_be_visible()
        expect(note).to_have_text(TEXTS[f"notice.{code}"])
        expect(button).to_be_focused()
    assert viewer.posted == []
    assert viewer.errors == []
    assert page.locator("#cancel button").is_visible()


def test_passkey_of_the_browser_is_posted_once(viewer: Viewer) -> None:
    viewer.page.add_init_script(
        "navigator.credentials.get = async () => ({ toJSON: () => ({ id: 'made' }) });"
    )
    page = viewer.show("passkey")
    page.evaluate(
        "for (let n = 0; n < 3; n += 1) document.querySelector('.og-button-main').click()"
    )
    _has_posted(viewer, 1)
    assert viewer.posted[0]["credential"] == '{"id":"made"}'


# ── others ──


def test_notice_leaves_the_address(viewer: Viewer) -> None:
    """So that a reload does not show it again."""
    page = viewer.show("timed-out", query="?next=/orders&notice=flow_expired")
    expect(page).to_have_url(f"{viewer.site}/auth/?next=/orders")
    assert page.locator("#note").is_visible()


def test_copied_key_says_so(new_viewer: NewViewer) -> None:
    viewer = new_viewer(permissions=["clipboard-read", "clipboard-write"])
    page = viewer.show("authenticator")
    page.locator("summary").click()
    page.locator("[data-copy]").click()
    expect(page.locator("#said")).to_have_text(TEXTS["hint.copied"])
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "".join(page.locator(".og-key").inner_text().split()) == copied
    assert viewer.posted == []


def _paste(page: Page, text: str) -> None:
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.locator("#field-code").press("Control+v")


def _has_posted(viewer: Viewer, count: int) -> None:
    for _ in range(20):
        viewer.page.wait_for_timeout(20)
    assert len(viewer.posted) == count
