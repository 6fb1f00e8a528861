"""Pages: a step as what a template draws. A new challenge needs no new page: a step has its fields."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import segno

from oncegate import Step
from oncegate.adapters import TEXTS, Field
from oncegate_web.words import BUTTONS, HEADINGS, NOTICES, PARTS, WAITING, Words

PLAIN_EVENTS = ("request_new_code", "cancel")
"""Events without a field, that have a button of their own beside the form."""


_NEWS = {
    "confirmed",
    "cancelled",
    "password_for_new_code",
    "sign_up_not_confirmed",
    "password_reset_required",
}
"""Messages about which nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Option:
    """One of several to choose from."""

    id: str
    value: str
    label: str
    is_first: bool


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to fill in: `oncegate.step.Field`, with words in the person's language.

    Attributes:
        kind: ``text``, ``choice`` or ``passkey``; which part of the template draws it.
        is_wrong: whether the page's error is about it.
    """

    id: str
    kind: str
    name: str
    label: str
    type: str
    autocomplete: str
    inputmode: str
    pattern: str
    value: str
    required: bool
    is_first: bool
    is_wrong: bool
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """One form, for one event.

    Attributes:
        hidden: names and values to post besides.
        opens_in: seconds until the event may be sent; 0 for now.
        is_main: whether the page is for this one.
    """

    id: str
    event: str
    button: str
    is_main: bool
    hidden: tuple[tuple[str, str], ...]
    inputs: tuple[Input, ...] = ()
    opens_in: int = 0
    opens_text: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template draws. Every text is in the person's language.

    Attributes:
        action: where the forms are posted.
        static: where style sheet and script are.
        error: what went wrong, for an alert.
        status: what has happened, for a live region.
        refresh: seconds after which the page loads itself again; 0 for never.
        ends_in: seconds for which an answer is taken; 0 where there is no end.
        words: for the script: what stands before a countdown.
    """

    language: str
    title: str
    heading: str
    state: str
    action: str
    static: str
    error: str = ""
    status: str = ""
    notes: tuple[str, ...] = ()
    question: tuple[tuple[str, str], ...] = ()
    qr: str = ""
    qr_text: str = ""
    secret_text: str = ""
    passkey_options: str = ""
    no_script: str = ""
    ends_in: int = 0
    ends_text: str = ""
    refresh: int = 0
    forms: tuple[Form, ...] = ()
    link: str = ""
    link_text: str = ""
    words: str = "{}"


class Renderer(Protocol):
    """Makes HTML of a page: Jinja2, or the framework's own engine."""

    def __call__(self, template: str, page: Page) -> str: ...


class PageBuilder:
    """Draws steps for one request.

    Args:
        words: in the person's language.
        action: where the forms are posted.
        sign_out: where the form that signs out is posted.
        static: where the style sheet is.
        hidden: what every form is to post besides.
        now: with a time zone.
    """

    def __init__(
        self,
        words: Words,
        *,
        action: str,
        sign_out: str,
        static: str,
        hidden: Mapping[str, str],
        now: datetime | None = None,
    ) -> None:
        self._words = words
        self._action = action
        self._sign_out = sign_out
        self._static = static
        self._hidden = tuple(hidden.items())
        self._now = now or datetime.now(UTC)

    def step(self, step: Step, *, said: str = "") -> Page:
        """The page of a step.

        Args:
            step: what to draw.
            said: a code of what is to be said besides, such as ``invalid_input``.
        """
        words = self._words
        error, status = self._told(step, said)
        waits = not step.events and step.state not in {"authenticated", "failed"}
        heading = words(WAITING if waits else HEADINGS.get(step.state, HEADINGS["idle"]))
        ends_in = self._until(step.expires_at)
        return Page(
            language=words.language,
            title=f"{words(PARTS['error'])}: {heading}" if error else heading,
            heading=heading,
            state=step.state,
            action=self._action,
            static=self._static,
            error=error,
            status=status,
            notes=self._notes(step, waits=waits),
            question=tuple((step.parameters or {}).items()),
            qr=_qr(step.totp.uri) if step.totp else "",
            qr_text=words(PARTS["totp"]) if step.totp else "",
            secret_text=words(PARTS["totp_secret"], secret=_in_groups(step.totp.secret))
            if step.totp
            else "",
            passkey_options=step.passkey_options or "",
            no_script=words(PARTS["no_script"]) if step.passkey_options else "",
            ends_in=ends_in,
            ends_text=words(PARTS["time_left"], time=words.time(ends_in)) if ends_in else "",
            refresh=2 if waits else 0,
            forms=self._forms(step, is_wrong=bool(error)),
            words=json.dumps({name: words(PARTS[name]) for name in ("time_left", "new_code_in")}),
        )

    def plain(self, state: str, *, said: str = "", **more: str) -> Page:
        """A page without a step: signed in, or nothing to be done."""
        words = self._words
        heading = words(HEADINGS[state])
        button = {"authenticated": "sign_out", "failed": "start"}[state]
        return Page(
            language=words.language,
            title=heading,
            heading=heading,
            state=state,
            action=self._sign_out if button == "sign_out" else self._action,
            static=self._static,
            error=words(NOTICES.get(said, "")) if state == "failed" else "",
            status=words(PARTS["signed_in_as"], name=more["name"]) if more.get("name") else "",
            forms=(self._form(button, is_main=True),),
            link=more.get("link", ""),
            link_text=words(BUTTONS["go_on"]),
        )

    # ── parts ──

    def _told(self, step: Step, said: str) -> tuple[str, str]:
        """What went wrong, and what is merely to be known."""
        words = self._words
        if said in NOTICES:
            return words(NOTICES[said]), ""
        if said in TEXTS:
            return words(TEXTS[said]), ""
        if step.message is None:
            return "", ""
        text = words(step.message.text)
        if step.message.detail and step.message.code == "new_password_refused":
            text = f"{text} {step.message.detail}"
        is_news = step.message.code in _NEWS
        return ("", text) if is_news else (text, "")

    def _notes(self, step: Step, *, waits: bool) -> tuple[str, ...]:
        words = self._words
        notes = []
        if waits:
            notes.append(words(PARTS["waiting"]))
        if step.delivery:
            sent = {"SMS": "sent_sms", "EMAIL": "sent_email"}.get(step.delivery.medium, "sent")
            notes.append(words(PARTS[sent], destination=step.delivery.destination))
        if step.attempts_left is not None and step.message and step.attempts_left < 5:
            notes.append(words(PARTS["attempts"], count=step.attempts_left))
        if step.passkey_options:
            notes.append(words(PARTS["passkey"]))
        return tuple(notes)

    def _forms(self, step: Step, *, is_wrong: bool) -> tuple[Form, ...]:
        forms = []
        if step.events and step.events[0] not in PLAIN_EVENTS:
            main = step.events[0]
            inputs = self._inputs(step, is_wrong=is_wrong)
            forms.append(self._form(main, is_main=True, version=step.version, inputs=inputs))
        if "request_new_code" in step.events:
            opens_in = self._until(step.new_code_at)
            forms.append(
                self._form(
                    "request_new_code",
                    is_main=not forms,
                    version=step.version,
                    opens_in=opens_in,
                    button="" if step.delivery else BUTTONS["submit_email"],
                )
            )
        if "cancel" in step.events and step.state != "idle":
            forms.append(self._form("cancel", is_main=not forms, version=step.version))
        if step.state == "failed":
            forms.append(self._form("start", is_main=True))
        return tuple(forms)

    def _form(
        self,
        event: str,
        *,
        is_main: bool,
        version: int | None = None,
        inputs: tuple[Input, ...] = (),
        opens_in: int = 0,
        button: str = "",
    ) -> Form:
        words = self._words
        own = {"_event": event} if version is None else {"_event": event, "_version": str(version)}
        return Form(
            id=event.replace("_", "-"),
            event=event,
            button=words(button or BUTTONS.get(event, BUTTONS["go_on"])),
            is_main=is_main,
            hidden=(*self._hidden, *own.items()),
            inputs=inputs,
            opens_in=opens_in,
            opens_text=words(PARTS["new_code_in"], time=words.time(opens_in)) if opens_in else "",
        )

    def _inputs(self, step: Step, *, is_wrong: bool) -> tuple[Input, ...]:
        # Whoever mistyped the password does not want to go past the username again.
        empty = [number for number, one in enumerate(step.fields) if one.secret or not one.value]
        return tuple(
            self._input(one, is_first=number == empty[0], is_wrong=is_wrong)
            for number, one in enumerate(step.fields)
        )

    def _input(self, one: Field, *, is_first: bool, is_wrong: bool) -> Input:
        words = self._words
        identity = "field-" + re.sub(r"[^a-z0-9]+", "-", one.name.lower()).strip("-")
        kind = one.type if one.type in {"choice", "passkey"} else "text"
        return Input(
            id=identity,
            kind=kind,
            name=one.name,
            label=words(one.label),
            type=one.type,
            autocomplete=one.autocomplete,
            inputmode=one.inputmode,
            # Somebody pastes "123 456": the engine takes the spaces out, so the page must let them be.
            pattern=_with_spaces(one.pattern) if one.pattern else "",
            value="" if one.secret else one.value,
            required=one.required,
            is_first=is_first,
            is_wrong=is_first and is_wrong,
            options=tuple(
                Option(
                    id=f"{identity}-{number}",
                    value=choice.value,
                    label=words(choice.label),
                    is_first=number == 0,
                )
                for number, choice in enumerate(one.choices)
            ),
        )

    def _until(self, moment: datetime | None) -> int:
        # Up, so that nobody is told that it is time before it is.
        return max(0, math.ceil((moment - self._now).total_seconds())) if moment else 0


def _with_spaces(pattern: str) -> str:
    """The same digits with spaces and hyphens anywhere; HTML tests the whole value."""
    counted = re.fullmatch(r"\[0-9\]\{(\d+)\}", pattern)
    return rf"(?:[\s\-]*[0-9]){{{counted[1]}}}[\s\-]*" if counted else pattern


def _qr(uri: str) -> str:
    """A QR code as an image that needs no request: it holds a secret."""
    drawn = io.BytesIO()
    segno.make(uri, error="m").save(drawn, kind="svg", scale=4, border=4, light="#fff")
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.getvalue()).decode()


def _in_groups(secret: str) -> str:
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
