"""AWS's script for threat protection on the bundled pages, as a stand-in of the same interface.

Its interface, ``AmazonCognitoAdvancedSecurityData.getData(username, userPoolId, clientId)``, is from the
AWS developer guide, "Adaptive authentication".
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Page
from tests.browser.example_app import SIGN_IN, ExampleApp, wait_for

Open = Callable[..., ExampleApp]
PATH = "/assets/aws.min.js"
WORKS = "var AmazonCognitoAdvancedSecurityData = {getData: (...given) => given.join(' ')};"
FAILS = "var AmazonCognitoAdvancedSecurityData = {getData() { throw new Error('blocked'); }};"


@pytest.mark.parametrize("script", [WORKS, FAILS, None], ids=["works", "fails", "missing"])
def test_page_sends_what_the_script_collects(
    script: str | None, open_app: Open, page: Page
) -> None:
    app = open_app("fastapi", threat_protection_script=PATH)
    if script is not None:
        page.route(
            f"**{PATH}", lambda route: route.fulfill(body=script, content_type="text/javascript")
        )
    app.enter(page)
    with page.expect_request(lambda request: request.method == "POST") as posted:
        page.get_by_role("button", name=SIGN_IN, exact=True).click()
    wait_for(page, "awaiting_mfa")
    sent = parse_qs(posted.value.post_data or "", keep_blank_values=True)["_encoded_data"]
    ids = f"{app.sandbox.pool_id} {app.sandbox.client_id}"
    assert sent == [f"ana {ids}" if script == WORKS else ""]
    assert app.messages == 1
