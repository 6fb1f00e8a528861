"""The account by the script module in chromium: without the pages, at a sandbox that counts messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.browser.example_app import SIGN_IN, ExampleApp, wait_for
from tests.browser.passkeys import add_authenticator
from tests.guides import block

from oncegate.adapters import SystemClock
from oncegate_sandbox import UserSeed

Open = Callable[..., ExampleApp]
PASSWORD = "Correct-horse-1"
ANA = UserSeed.model_validate({"username": "ana", "password": PASSWORD})
SIGNS_IN = """
const { Account, SignIn, createOncegate } = await import("/auth/static/oncegate.js");
const own = new Account("/auth");
const signIn = new SignIn("/auth");
const password = { type: "submit_password", username: "ana", password: "Correct-horse-1" };
"""
ADDRESS = '{ type: "submit_address", attribute: "email", address: "ana@example.com" }'


class Later(SystemClock):
    """The system's clock, and as much later as a test needs."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


def errors_of(page: Page) -> list[str]:
    found: list[str] = []
    page.on("console", lambda one: found.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def run(page: Page, program: str) -> Any:
    """Run a program in the page, with a sign-in and the account of its user."""
    return page.evaluate(f"async () => {{ {SIGNS_IN} {program} }}")


def signed_in(app: ExampleApp, page: Page) -> None:
    page.goto(app.url)
    assert run(page, "await signIn.start(); return (await signIn.send(password)).state") == (
        "authenticated"
    )


def guide() -> list[str]:
    """Return what is between the comments of the guide's program."""
    name = "test_script_of_the_guide_changes_the_account_once"
    text = block("adapters/oncegate_web/README.md", f"tests/browser/test_account_module.py::{name}")
    parts = re.split(r"^//.*\n", re.sub(r"^import .*\n", "", text), flags=re.MULTILINE)
    assert len(parts) == 3
    return [part.replace('const own = new Account("/auth");', "") for part in parts]


@pytest.mark.parametrize("delay", [0, 80])
def test_script_of_the_guide_changes_the_account_once(
    delay: int, open_app: Open, new_context: Any
) -> None:
    """Each part runs twice, as in a handler that is clicked twice."""
    app = open_app("fastapi", ANA, pool={"passkey_user_verification": "required"}, account=True)
    page = new_context().new_page()
    errors = errors_of(page)
    add_authenticator(page, is_verified=True)
    signed_in(app, page)
    address, code, passkey = guide()

    def clicked_twice(part: str, delay: int = delay) -> Any:
        twice = f"""
            let step = null;
            const address = "+15550007777", code = "{app.code if app.messages else ""}";
            const click = async () => {{ {part}; return [step.state, step.reason, step.message?.code]; }};
            const first = click();
            await new Promise((resolve) => setTimeout(resolve, {delay}));
            return Promise.all([first, click()]);
        """
        return run(page, twice)

    assert clicked_twice(address) == [["confirming_address", None, None]] * 2
    assert clicked_twice(code) == [["managing", None, "address_verified"]] * 2
    # At once: a real dialog is open for longer than this one.
    assert clicked_twice(passkey, 0) == [["managing", None, "passkey_added"]] * 2
    assert app.messages == 1
    calls = app.sandbox.calls()
    for operation in ("UpdateUserAttributes", "CompleteWebAuthnRegistration"):
        assert calls[operation] == 1
    has = run(page, "return (await own.status()).account")
    assert has["addresses"] == {"phone_number": "+15550007777"}
    assert len(has["passkeys"]) == 1
    assert errors == []


def test_passkey_that_the_user_declines_is_a_problem_and_can_be_tried_again(
    open_app: Open, new_context: Any
) -> None:
    app = open_app("fastapi", ANA, pool={"passkey_user_verification": "required"}, account=True)
    page = new_context().new_page()
    devtools, device = add_authenticator(page, is_verified=False)
    signed_in(app, page)
    submits = """
        const { step } = await own.status();
        const action = step.actions.find(({ event }) => event === "submit_passkey");
        return own.submit(action, {}).then(({ state }) => state, ({ code, message }) => [code, message]);
    """
    assert run(page, 'return (await own.send({ type: "add_passkey" })).state') == (
        "registering_passkey"
    )
    code, message = run(page, submits)
    assert code == "no_new_passkey"
    assert "create a passkey" in message
    devtools.send("WebAuthn.setUserVerified", {**device, "isUserVerified": True})
    assert run(page, submits) == "managing"
    assert app.sandbox.calls()["CompleteWebAuthnRegistration"] == 1


def test_answer_that_is_lost_on_its_way_to_the_browser_sends_one_code(
    open_app: Open, page: Page
) -> None:
    app = open_app("fastapi", ANA, account=True)
    signed_in(app, page)
    lost: list[Any] = []

    def lose(route: Any) -> None:
        lost.append(route.request.post_data)
        if len(lost) > 1:
            route.continue_()
        else:
            route.fetch()
            route.abort()

    page.route("**/auth/account/events", lose)
    assert run(page, f"return (await own.send({ADDRESS})).state") == "confirming_address"
    assert (len(lost), app.messages) == (2, 1)
    assert lost[0] == lost[1]


def test_old_sign_in_is_done_again_by_the_page_or_by_the_module(open_app: Open, page: Page) -> None:
    clock = Later()
    app = open_app("fastapi", ANA, account=True, clock=clock)
    signed_in(app, page)

    def grow_old() -> None:
        clock.ahead += 400
        app.sandbox.advance(400)
        refused = f"const step = await own.send({ADDRESS}); return [step.state, step.reason.code]"
        assert run(page, refused) == ["managing", "sign_in_again"]

    grow_old()
    run(page, "location.assign(own.signInAgainUrl('/login?tab=2'))")
    wait_for(page, "idle")
    expect(page.get_by_text("Sign in again to make this change.")).to_be_visible()
    page.get_by_label("Username").fill("ana")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name=SIGN_IN, exact=True).click()
    page.wait_for_url(f"{app.url}/login?tab=2")

    grow_old()
    again = f"await signIn.start(); await signIn.send(password); return (await own.send({ADDRESS})).state"
    assert run(page, again) == "confirming_address"
    assert app.messages == 1


def test_other_tab_follows_when_the_account_is_deleted(open_app: Open, new_context: Any) -> None:
    app = open_app("fastapi", ANA, account=True)
    context = new_context()
    one, other = context.new_page(), context.new_page()
    signed_in(app, one)
    other.goto(app.url)
    follows = """
        const auth = createOncegate({ prefix: "/auth" });
        window.heard = [];
        auth.subscribe(({ type, from }) => window.heard.push(`${type} ${from}`));
        await auth.resume();
        window.auth = auth;
        return auth.getSnapshot().status;
    """
    for tab in (one, other):
        assert run(tab, follows) == "authenticated"
    step = run(one, 'await own.status(); return own.send({ type: "delete_account" })')
    assert (step["state"], step["message"]["code"]) == ("closed", "account_deleted")
    other.wait_for_function("window.auth.getSnapshot().status === 'unauthenticated'")
    assert one.evaluate("window.auth.getSnapshot().user") is None
    assert "signed_out here" in one.evaluate("window.heard")
    assert "signed_out elsewhere" in other.evaluate("window.heard")
    assert app.sandbox.calls()["DeleteUser"] == 1
