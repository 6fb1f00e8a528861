"""Every state of the pages, as browsers compute it: colours, sizes, places, words and accessibility.

No server: a state is drawn from a flow (`tests.browser.states`). ``checklist.js`` looks at the
result. All of axe-core's rules run in English and light; in other colours and languages
those run whose result can differ.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize
from tests.browser.states import NAMES, page_of, template_of
from tests.browser.viewer import STATIC, Viewer, write_arabic

from oncegate_web import JinjaRenderer
from oncegate_web.pages import Look

CHECKLIST = Path(__file__).with_name("checklist.js").read_text()
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 360, "height": 740}
SMALL: list[ViewportSize] = [
    {"width": 320, "height": 568},
    {"width": 640, "height": 400},  # a laptop of 1280 x 800 at 200 %
]
KIB = 1024
FIRST_VIEW = 12 * KIB

OF_COLOURS = ("color-contrast",)
OF_WORDS = (
    *("html-has-lang", "html-lang-valid", "document-title", "empty-heading", "image-alt"),
    *("label", "button-name", "link-name", "summary-name", "aria-input-field-name"),
    *("meta-refresh", "page-has-heading-one", "landmark-one-main", "region"),
)
"""Rules of axe-core whose result can depend on colours, or on the language."""

USUAL_HTML = 3 * KIB
LARGE_HTML = {  # with the reason
    "authenticator": 9 * KIB,  # the QR code
    "new-password-attributes": 5 * KIB,  # six inputs
    "too-soon": 4 * KIB,  # a notice, and a countdown
    "code-other-way": 4 * KIB,  # a second form, with choices
    "other-factor": 4 * KIB,  # a second form, with choices
    "sign-up": 4 * KIB,  # four inputs, and the rules of a password
    "sign-up-nothing-typed": 4 * KIB,
    "sign-up-taken": 4 * KIB,
    "reset-password": 4 * KIB,  # a second form, with the rules of a password
    "reset-password-sent": 4 * KIB,  # two inputs, and the rules
    "account": 9 * KIB,  # nine forms of one button, with a token each
    "account-changed": 9 * KIB,
    "account-new": 5 * KIB,
    "account-authenticator-code": 9 * KIB,  # the QR code
    "account-password": 4 * KIB,  # two inputs, and the rules
    "account-password-wrong": 4 * KIB,
    "account-password-missing": 4 * KIB,
}

Open = Callable[..., Viewer]


@pytest.fixture(scope="module")
def viewers(chromium: Browser) -> Iterator[Open]:
    """Return the viewer of a mode, by the options of its context."""
    with ExitStack() as opened:
        made: dict[str, Viewer] = {}

        def viewer(**options: Any) -> Viewer:
            key = repr(options)
            if key not in made:
                made[key] = Viewer(chromium, **options)
                opened.callback(made[key].close)
            return made[key]

        yield viewer


@pytest.fixture(scope="module")
def arabic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_arabic(tmp_path_factory.mktemp("locale"))


@pytest.fixture(scope="module")
def heading_tops(viewers: Open) -> dict[str, float]:
    """The place of the first page's heading, by the width of the window."""
    page = _opened(viewers(), "sign-in")
    return {str(size["width"]): _top(page, size) for size in (DESKTOP, PHONE)}


def _opened(viewer: Viewer, name: str, language: str = "en", **more: Any) -> Page:
    page = viewer.page
    page.set_viewport_size(DESKTOP)
    page.emulate_media(color_scheme="light", forced_colors="none")
    viewer.show(name, language, **more)
    # The browser focuses what the page asks for when it first draws it.
    for _ in range(100):
        if page.evaluate(
            "document.activeElement !== document.body || !document.querySelector('[autofocus]')"
        ):
            break
        page.wait_for_timeout(50)
    page.evaluate(CHECKLIST)
    return page


def _top(page: Page, size: ViewportSize) -> float:
    page.set_viewport_size(size)
    return float(page.evaluate("checklist.top()"))


def _finds(page: Page, part: str) -> list[str]:
    return list(page.evaluate("part => checklist.run(part)", part))


def _violations(page: Page, *rules: str) -> list[str]:
    """Return what axe-core finds: by all of its rules, or by some."""
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = list(rules)
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(url="/axe.js?v=1")  # the browser keeps it, compiled
    found = page.evaluate("options => axe.run(options)", options)
    return [
        f"{rule['id']}: {node['html']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("name", NAMES)
def test_state_holds_the_checklist(
    name: str, viewers: Open, heading_tops: dict[str, float]
) -> None:
    viewer = viewers()
    page = _opened(viewer, name)
    assert page.evaluate("scrollY") == 0, "the focus has moved the heading out of sight"
    until = time.monotonic() + 2
    while (found := _finds(page, "structure")) and time.monotonic() < until:
        page.wait_for_timeout(50)  # the script sets the focus when it has loaded
    assert found == []
    assert _violations(page) == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert _finds(page, "colours") == [], scheme
    assert _violations(page, *OF_COLOURS) == []
    for scheme in ("light", "dark"):
        # Without axe-core, which compares the page's own colours with those that are forced.
        page.emulate_media(color_scheme=scheme, forced_colors="active")  # type: ignore[arg-type]
        assert page.evaluate("matchMedia('(forced-colors: active)').matches")
        assert _finds(page, "forced") == [], scheme
    page.emulate_media(color_scheme="light", forced_colors="none")
    for size in (DESKTOP, PHONE):
        assert _top(page, size) == pytest.approx(heading_tops[str(size["width"])], abs=1)
        assert _finds(page, "place") == [], size
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for size in SMALL:
        page.set_viewport_size(size)
        assert _finds(page, "place") == [], size
    assert _finds(page, "colours") == []
    assert viewer.errors == []


@pytest.mark.parametrize("name", NAMES)
def test_state_in_german_fits_a_phone(name: str, viewers: Open) -> None:
    page = _opened(viewers(), name, "de")
    assert page.locator("html").get_attribute("lang") == "de"
    assert _finds(page, "structure") == []
    assert _violations(page, *OF_WORDS) == []
    for size in (PHONE, *SMALL):
        page.set_viewport_size(size)
        assert _finds(page, "place") == [], size
    page.set_viewport_size(PHONE)
    assert page.evaluate("checklist.headingLines()") <= 2


@pytest.mark.parametrize("name", NAMES)
def test_state_in_arabic_runs_from_right_to_left(name: str, viewers: Open, arabic: Path) -> None:
    page = _opened(viewers(), name, "ar", locales=(arabic,))
    root = page.locator("html")
    assert (root.get_attribute("lang"), root.get_attribute("dir")) == ("ar", "rtl")
    assert _finds(page, "structure") == []
    assert _violations(page, *OF_WORDS) == []
    for size in (PHONE, SMALL[0]):
        page.set_viewport_size(size)
        assert _finds(page, "place") == [], size
    shown = page_of(name, "ar", locales=(arabic,))
    values = [part.text for part in shown.lead if part.is_value]
    isolated = page.locator("bdi").all_inner_texts()
    assert set(isolated) == {text for text in (*values, shown.account) if text}


@pytest.mark.parametrize("name", NAMES)
def test_state_without_javascript_shows_only_what_works(name: str, viewers: Open) -> None:
    page = _opened(viewers(java_script_enabled=False), name)
    assert page.evaluate("matchMedia('(scripting: none)').matches")
    assert _finds(page, "withoutScript") == []


@pytest.mark.parametrize("name", ["sign-in", "wrong-code", "choice", "confirmed", "signed-in"])
def test_theme_of_five_lines_keeps_the_contrast(name: str, viewers: Open) -> None:
    viewer = viewers()
    page = _opened(viewer, name, look=Look(css=("/theme.css",)))
    assert "/theme.css" in [path for path, _ in viewer.requests]
    for scheme, accent in (("light", "rgb(11, 122, 75)"), ("dark", "rgb(111, 211, 164)")):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        main = page.locator(".og-button-main")
        assert main.evaluate("one => getComputedStyle(one).backgroundColor") == accent
        assert main.evaluate("one => getComputedStyle(one).borderTopLeftRadius") == "0px"
        assert _finds(page, "colours") == [], scheme
        main.hover()
        assert _finds(page, "colours") == [], scheme
        page.mouse.move(0, 0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pinned_theme_ignores_the_setting_of_the_user(theme: Any, viewers: Open) -> None:
    page = _opened(viewers(), "sign-in", look=Look(theme=theme))
    grounds = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == {"rgb(244, 245, 247)" if theme == "light" else "rgb(18, 21, 25)"}


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("width", [1280, 360])
def test_end_of_countdown_moves_nothing(language: str, width: int, chromium: Browser) -> None:
    viewer = Viewer(chromium, viewport={"width": width, "height": 740})
    page = viewer.page
    page.clock.install()
    viewer.show("code", language)
    resend = page.locator(".og-resend")
    assert re.search(r"\d:\d\d", resend.inner_text())
    assert resend.get_attribute("aria-disabled") == "true"
    before = page.evaluate(_BOXES)
    page.evaluate(_WATCH_SHIFTS)
    page.clock.run_for(40_000)
    assert not re.search(r"\d:\d\d", resend.inner_text())
    assert resend.get_attribute("aria-disabled") is None
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    assert page.evaluate("shifts") == []
    assert page.evaluate(_BOXES) == before
    viewer.close()


_BOXES = """() => [...document.querySelectorAll("main *")]
    .filter((one) => one.checkVisibility() && !one.classList.contains("og-resend"))
    .map((one) => { const { x, y } = one.getBoundingClientRect(); return [one.localName, one.id, one.className, x, y]; })"""
_WATCH_SHIFTS = """() => {
    window.shifts = [];
    new PerformanceObserver((list) => shifts.push(...list.getEntries().map((one) => one.value)))
        .observe({ type: "layout-shift", buffered: true });
}"""


def test_first_view_is_small(chromium: Browser) -> None:
    viewer = Viewer(chromium)
    viewer.show("sign-in")
    assert sum(size for _, size in viewer.requests) <= FIRST_VIEW
    assert len(viewer.requests) == 3
    viewer.close()
    assert (STATIC / "page.css").stat().st_size <= 8 * KIB


@pytest.mark.parametrize("name", NAMES)
def test_html_is_small(name: str) -> None:
    """A name and links of the application come on top of it."""
    page = page_of(name, look=Look())
    html = JinjaRenderer()(template_of(page), page)
    assert len(html.encode()) <= LARGE_HTML.get(name, USUAL_HTML)


@pytest.mark.parametrize(
    ("name", "mistake", "part", "found"),
    [
        ("wrong-code", ".og-input { border: 1px solid var(--og-line) !important }", "colours", "errors"),
        ("wrong-code", ".og-input { border-color: #eee !important }", "colours", "borderContrast"),
        ("code", ".og-lead { color: #999 }", "colours", "textContrast"),
        ("code", ".oncegate :focus-visible { outline-color: #eee }", "colours", "focus"),
        ("code", ".og-code { font-size: 1rem }", "structure", "inputs"),
        ("code", ".og-button-main { min-block-size: 2rem }", "place", "targets"),
        ("code", ".og-link { padding: 0; line-height: 1 }", "place", "targets"),
        ("code", ".og-input { min-inline-size: 100rem }", "place", "fits"),
        ("sign-in", ".og-show { inset: 1px auto 1px 1px }", "place", "showButtons"),
        ("sign-in", ".og-button-main { display: none }", "structure", "actions"),
        ("wrong-password", ".og-note { border: 0 }", "forced", "forced"),
        ("account", ".og-what { min-inline-size: 100rem }", "place", "fits"),
        ("account", ".og-row { justify-content: flex-start !important } .og-what { flex-grow: 0 }", "place", "rows"),
    ],
)  # fmt: skip
def test_checklist_finds_a_mistake(
    name: str, mistake: str, part: str, found: str, viewers: Open
) -> None:
    page = _opened(viewers(), name)
    page.evaluate(
        """(text) => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(text);
            document.adoptedStyleSheets = [sheet];
        }""",
        mistake,
    )
    assert found in {one.partition(":")[0] for one in _finds(page, part)}


@pytest.mark.parametrize(
    ("name", "script", "found"),
    [
        ("sign-in", "document.querySelector('label').textContent = document.querySelector('h1').textContent", "repetitions"),
        ("password", "document.querySelector('[autocomplete=username]').remove()", "passwordForms"),
        ("wrong-password", "document.getElementById('note').remove()", "references"),
        ("sign-in", "document.querySelector('label').remove()", "inputs"),
        ("signed-in", "document.querySelector('#sign-out button').className = 'og-button'", "actions"),
        ("account", "document.querySelectorAll('.og-row button').forEach((one) => one.removeAttribute('aria-describedby'))", "repetitions"),
        ("account-password", "document.querySelectorAll('.og-show').forEach((one) => one.removeAttribute('aria-describedby'))", "repetitions"),
        ("account-password", "document.querySelector('[autocomplete=username]').remove()", "passwordForms"),
        ("account-delete", "document.querySelector('.og-button-main').focus()", "focusedAtFirst"),
    ],
)  # fmt: skip
def test_checklist_finds_a_mistake_of_a_page(
    name: str, script: str, found: str, viewers: Open
) -> None:
    page = _opened(viewers(), name)
    page.evaluate(script)
    assert found in {one.partition(":")[0] for one in _finds(page, "structure")}
