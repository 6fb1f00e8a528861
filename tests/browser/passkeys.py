"""Passkeys in Chromium's own virtual authenticator."""

from __future__ import annotations

from playwright.sync_api import CDPSession, Page
from tests.walks.authenticator import Authenticator


def add_passkey(
    page: Page, passkey: Authenticator, *, is_verified: bool
) -> tuple[CDPSession, dict[str, str]]:
    """Give a page's browser an authenticator with a passkey.

    Args:
        page: the page.
        passkey: the passkey, which the pool knows.
        is_verified: whether the authenticator recognises its user.

    Returns:
        The session of the developer tools, and what names the authenticator in its commands.
    """
    devtools, authenticator = add_authenticator(page, is_verified=is_verified)
    devtools.send("WebAuthn.addCredential", {**authenticator, "credential": passkey.for_devtools()})
    return devtools, authenticator


def add_authenticator(page: Page, *, is_verified: bool) -> tuple[CDPSession, dict[str, str]]:
    """Give a page's browser an authenticator without a passkey; see `add_passkey`."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    about = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": is_verified,
        "automaticPresenceSimulation": True,
    }
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": about})
    return devtools, {"authenticatorId": made["authenticatorId"]}
