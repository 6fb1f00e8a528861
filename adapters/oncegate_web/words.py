"""What the pages say, by state and by event, in the person's language.

English is the text itself; other languages are gettext catalogues in ``locale/`` (domain ``oncegate``),
and an application may put catalogues of its own before them. The messages of a step are translated by
their English text too (`oncegate.messages`).
"""

from __future__ import annotations

import gettext
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from oncegate.adapters import TEXTS

LOCALE = Path(__file__).with_name("locale")
DOMAIN = "oncegate"


def _(text: str) -> str:
    """Marks a text for the catalogues."""
    return text


HEADINGS = {
    "idle": _("Sign in"),
    "password_verified": _("Confirm that it is you"),
    "choosing_first_factor": _("How do you want to sign in?"),
    "awaiting_password": _("Enter your password"),
    "awaiting_mfa": _("Enter your code"),
    "setting_up_totp": _("Set up your authenticator app"),
    "setting_up_email": _("Set up codes by email"),
    "awaiting_passkey": _("Use your passkey"),
    "awaiting_answer": _("One more question"),
    "awaiting_confirmation": _("Confirm your sign-up"),
    "awaiting_new_password": _("Choose a new password"),
    "awaiting_reset": _("Reset your password"),
    "offering_device": _("Remember this device?"),
    "authenticated": _("You are signed in"),
    "failed": _("That did not work"),
}
WAITING = _("One moment")

BUTTONS = {
    "submit_username": _("Continue"),
    "submit_password": _("Sign in"),
    "choose_factor": _("Continue"),
    "submit_email": _("Send a code"),
    "submit_code": _("Confirm"),
    "submit_passkey": _("Use a passkey"),
    "submit_answer": _("Continue"),
    "submit_new_password": _("Save the password"),
    "reset_password": _("Save the password"),
    "remember_device": _("Continue"),
    "request_new_code": _("Send a new code"),
    "cancel": _("Cancel"),
    "start": _("Start again"),
    "sign_out": _("Sign out"),
    "go_on": _("Continue"),
}

PARTS = {
    "error": _("Error"),
    "sent_sms": _("We sent a code by text message to {destination}."),
    "sent_email": _("We sent a code by email to {destination}."),
    "sent": _("We sent you a code."),
    "attempts": _("Tries left: {count}"),
    "time_left": _("Time left: {time}"),
    "new_code_in": _("A new code can be sent in {time}."),
    "totp": _("Scan this with your authenticator app, then enter the code that it shows."),
    "totp_secret": _("Or type in this key: {secret}"),
    "passkey": _("Your browser will ask you to confirm with your passkey."),
    "no_script": _("A passkey needs JavaScript. Cancel to sign in another way."),
    "waiting": _("Your answer is being checked. This page goes on by itself."),
    "signed_in_as": _("You are signed in as {name}."),
}

NOTICES = {
    "invalid_input": _("That cannot be right. Check what you entered."),
    "page_outdated": _("That page was out of date. This is where you are."),
    "too_many_requests": _("Too many tries. Wait a little, then try again."),
    "store_unavailable": _("Sign-in does not work at the moment. Try again in a minute."),
    "not_found": _("There is nothing here."),
}

LABELS = (
    _("Username"),
    _("Password"),
    _("New password"),
    _("Email"),
    _("Answer"),
    _("Code"),
    _("Code from the text message"),
    _("Code from the email"),
    _("Code from your authenticator app"),
    _("How to confirm it is you"),
    _("Remember this device?"),
    _("Yes"),
    _("No"),
    _("Text message"),
    _("Authenticator app"),
    _("Passkey"),
)
"""What `oncegate.step` calls fields and choices, for the catalogues."""


def all_texts() -> tuple[str, ...]:
    """Every text that a page can show, for whoever translates; each once."""
    spoken = (HEADINGS, BUTTONS, PARTS, NOTICES, TEXTS)
    texts = [text for words in spoken for text in words.values()]
    return tuple(dict.fromkeys([*texts, WAITING, *LABELS]))


class Words:
    """The words of one language.

    Attributes:
        language: its tag, for the page.
    """

    def __init__(self, language: str, catalogue: gettext.NullTranslations) -> None:
        self.language = language
        self._catalogue = catalogue

    def __call__(self, text: str, **values: object) -> str:
        said = self._catalogue.gettext(text) if text else ""
        return said.format(**values) if values else said

    def time(self, seconds: float) -> str:
        """A stretch of time, as minutes and seconds."""
        minutes, rest = divmod(max(0, int(seconds)), 60)
        return f"{minutes}:{rest:02}"


class Languages:
    """The catalogues there are.

    Args:
        folders: with catalogues of an application's own, in gettext's layout; the first that has a text
            wins.
    """

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders = [*folders, LOCALE]

    def words(self, wanted: tuple[str, ...]) -> Words:
        """The words of the first wanted language that there is a catalogue for; English otherwise."""
        return self._words(wanted[:8])

    @lru_cache(maxsize=64)  # noqa: B019 - an application has one of these, for as long as it runs
    def _words(self, wanted: tuple[str, ...]) -> Words:
        for tag in wanted:
            name = tag.partition("-")[0]
            if name == "en" or not name.isalpha():
                break
            found = None
            for folder in reversed(self._folders):
                if gettext.find(DOMAIN, folder, [name]):
                    catalogue = gettext.translation(DOMAIN, folder, [name])
                    if found:
                        catalogue.add_fallback(found)
                    found = catalogue
            if found:
                return Words(name, found)
        return Words("en", gettext.NullTranslations())
