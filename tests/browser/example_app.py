"""A shop that is open, and what a person does on its pages."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Page, expect

from oncegate_sandbox import Sandbox


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
        """Go to the orders, be sent to the sign-in, and fill in the password."""
        page.goto(f"{self.url}/orders")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(password)

    def answer(self, page: Page) -> None:
        """Type the code that came by text message, and send it off."""
        page.get_by_label("Code from the text message").fill(self.code)
        page.get_by_role("button", name="Confirm").click()

    def shows_orders(self, page: Page, user: str = "ana") -> None:
        expect(page).to_have_url(f"{self.url}/orders", timeout=15_000)
        assert f'"user":"{user}"' in page.content().replace(" ", "").replace("&quot;", '"')


def state(page: Page) -> str:
    """The state that the page shows."""
    return page.locator("body").get_attribute("data-state") or ""


def wait_for(page: Page, wanted: str) -> None:
    page.locator(f'body[data-state="{wanted}"]').wait_for()
