"""What others request does not count against a user's own browsers (P8)."""

from __future__ import annotations

from typing import Any

import httpx
from tests.doubles import ScriptedTransport, a_text, the_tokens
from tests.web.example_apps import KEY, client_of, web_for
from tests.web.pages import flow_cookie
from tests.web.test_sessions import ScriptedTokens

from oncegate import SealingKeys
from oncegate.adapters import CheckCode
from oncegate_web._known_users import known_users, with_user

KEYS = SealingKeys(KEY)


def _web() -> Any:
    """A pool that sends a code to each typed username, and takes any code."""

    def perform(call: Any) -> Any:
        if isinstance(call, CheckCode):
            return the_tokens()
        return a_text(kind="EMAIL_OTP", is_first_factor=True, username="ana")

    transport = ScriptedTransport(*[perform] * 200)
    transport.is_passwordless = True
    transport.token_service = ScriptedTokens()
    return web_for(transport)


def _browser(client: httpx.Client) -> httpx.Client:
    headers = {"accept": "application/json"}
    return httpx.Client(transport=client._transport, base_url=client.base_url, headers=headers)


def _begin(browser: httpx.Client) -> Any:
    if name := flow_cookie(browser):
        browser.cookies.delete(name)
    browser.post("/auth/flows")
    return _send(browser, 0, "submit_username", username="ana")


def _send(browser: httpx.Client, version: int, event: str, **fields: str) -> Any:
    body = {"type": event, "version": version, **fields}
    return browser.post("/auth/flows/current/events", json=body).json()


def _reason(step: Any) -> Any:
    return step["reason"] and step["reason"]["code"]


def test_user_signs_in_from_the_own_browser_whatever_strangers_request(framework: str) -> None:
    with client_of(framework, _web()) as client:
        own, stranger = _browser(client), _browser(client)
        step = _begin(own)
        assert "oncegate_known" not in own.cookies
        assert _send(own, step["version"], "submit_code", code="123456")["state"] == "authenticated"
        assert "ana" not in own.cookies["oncegate_known"]
        own.delete("/auth/session")
        for _ in range(12):
            refused = _begin(stranger)
        assert _reason(refused) == "too_many_codes"
        step = _begin(own)
        assert (step["state"], _reason(step)) == ("awaiting_mfa", None)
        assert _send(own, step["version"], "submit_code", code="654321")["state"] == "authenticated"


def test_cookie_that_the_sign_in_did_not_seal_counts_for_nothing() -> None:
    value = with_user(None, "ana", KEYS)
    assert known_users(value, KEYS) == ("ana",)
    for other in (
        KEYS.bound_to("staff"),
        SealingKeys("Wk7sPz0RbT4mYcE9vNqL2xHdG6uJfA1oSi8KrQe5MwU"),
    ):
        assert known_users(value, other) == ()
    for forged in (None, "", "ana", '["ana"]', value[:-4], "B" + value[1:], "é"):
        assert known_users(forged, KEYS) == ()


def test_cookie_fits_into_a_browser_whatever_the_names_are() -> None:
    value = None
    for number in range(8):
        value = with_user(value, f"{number}" + "用" * 127, KEYS)
    assert len(value or "") < 3900
    assert known_users(value, KEYS)[0].startswith("7")


def test_cookie_has_the_last_eight_users_of_a_browser() -> None:
    value = None
    for number in range(12):
        value = with_user(value, f"user {number}", KEYS)
    value = with_user(value, "user 7", KEYS)
    assert known_users(value, KEYS) == tuple(f"user {n}" for n in (7, 11, 10, 9, 8, 6, 5, 4))
