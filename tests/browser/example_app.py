"""A running application, and what a user does on its pages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect

from oncegate.adapters import TEXTS
from oncegate_sandbox import Sandbox

SIGN_IN = TEXTS["action.submit_password"]
VERIFY = TEXTS["action.submit_code.awaiting_mfa"]
FINISH = TEXTS["action.submit_code.setting_up_totp"]
CONTINUE = TEXTS["action.choose_factor"]
SAVE_AND_SIGN_IN = TEXTS["action.submit_new_password"]
SAVE = TEXTS["action.reset_password"]
SEND_CODE = TEXTS["action.request_first_code"]
PASSKEY = TEXTS["action.submit_passkey"]
BACK = TEXTS["action.cancel"]
AGAIN = TEXTS["action.start"]
SIGN_OUT = TEXTS["action.sign_out"]
CODE = TEXTS["field.code"]
"""Labels of buttons and inputs."""

SCREENS = Path(os.environ.get("ONCEGATE_SCREENS", ""))
"""Folder for screenshots; ``diagrams/screens`` draws those of the README anew."""


@dataclass
class ExampleApp:
    """An application on a real server, and the Cognito behind it."""

    url: str
    sandbox: Sandbox

    @property
    def messages(self) -> int:
        return len(self.sandbox.messages())

    @property
    def code(self) -> str:
        return self.sandbox.messages()[-1].code

    def calls(self) -> int:
        return sum(self.sandbox.calls().values())

    def enter(
        self, page: Page, *, username: str = "ana", password: str = "Correct-horse-1"
    ) -> None:
        """Go to the orders, be redirected to sign-in, and fill in the password."""
        page.goto(f"{self.url}/orders")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(password)

    def answer(self, page: Page) -> None:
        """Type the code that was sent last, and submit it."""
        enter_code(page, self.code)

    def shows_orders(self, page: Page, user: str = "ana") -> None:
        expect(page).to_have_url(f"{self.url}/orders", timeout=15_000)
        assert f'"user":"{user}"' in page.content().replace(" ", "").replace("&quot;", '"')


def enter_code(page: Page, code: str, button: str = VERIFY) -> None:
    """Type a code, and submit it. What is filled in as a whole is submitted by the page itself."""
    page.get_by_role("textbox", name=CODE).press_sequentially(code)
    page.get_by_role("button", name=button).click()


def state(page: Page) -> str:
    """The state that the page shows."""
    return page.locator("body").get_attribute("data-state") or ""


def wait_for(page: Page, wanted: str) -> None:
    page.locator(f'body[data-state="{wanted}"]').wait_for()
