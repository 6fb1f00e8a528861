"""Pages: a step as what a template draws. A new challenge needs no new page: its step has actions."""

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

from oncegate import Action, Step
from oncegate.adapters import TEXTS, Field
from oncegate_web._context import ENCODED_DATA
from oncegate_web._translations import Translator

_WITH_DETAIL = {"new_password_refused", "trigger_refused"}
_INFORMATION = {
    "confirmed",
    "cancelled",
    "password_for_new_code",
    "sign_up_not_confirmed",
    "password_reset_required",
}
"""Messages that report no error."""

_COUNTDOWNS = ("time_left", "new_code_in")
"""Hints that the script counts down."""

_MANY_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Option:
    """One of several values to choose from."""

    id: str
    value: str
    label: str
    is_first: bool


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a form: `oncegate.adapters.Field`, for the template.

    Attributes:
        kind: ``text``, ``choice``, ``passkey`` or ``checkbox``: selects the template's part.
        is_first: whether it gets the focus.
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
    """One form, for one action.

    Attributes:
        button: label of the button.
        is_main: whether the page is for this form.
        hidden: names and values of hidden fields.
        opens_in: seconds until the action is available; 0 for now.
        opens_text: says so.
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
    """All that the template draws. Every text is in the user's language.

    Attributes:
        language: BCP 47 tag.
        title: the document's title.
        heading: the page's heading.
        state: state of the flow.
        action: URL that the forms are posted to.
        static: URL of the style sheet and the script, without the file name.
        error: error for an alert.
        status: information for a live region.
        notes: further information.
        question: parameters of a custom challenge.
        qr: URL of a QR code.
        refresh: seconds until the page reloads itself; 0 for never.
        ends_in: seconds until the challenge expires; 0 if it does not.
        ends_text: says so.
        link: URL of a link to go on.
        words: texts of the countdowns, for the script, as JSON.
        security_script: URL of AWS's script for threat protection; empty for none.
        app_id: user pool ID and app client ID for it, separated by a slash.
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
    security_script: str = ""
    app_id: str = ""


class Renderer(Protocol):
    """Renders a page to HTML: Jinja2, or the framework's own templates."""

    def __call__(self, template: str, page: Page) -> str: ...


class PageBuilder:
    """Builds the pages of one request.

    Args:
        translate: returns texts in the user's language.
        action: URL that the forms are posted to.
        sign_out: URL that the sign-out form is posted to.
        static: URL of the style sheet, without the file name.
        hidden: hidden fields of every form, by name.
        security_script: path of AWS's script for threat protection; empty for none.
        app_id: user pool ID and app client ID, separated by a slash.
        now: the time, with a time zone.
    """

    def __init__(
        self,
        translate: Translator,
        *,
        action: str,
        sign_out: str,
        static: str,
        hidden: Mapping[str, str],
        security_script: str = "",
        app_id: str = "",
        now: datetime | None = None,
    ) -> None:
        self._translate = translate
        self._action = action
        self._sign_out = sign_out
        self._static = static
        self._hidden = tuple(hidden.items())
        self._security_script = security_script
        self._app_id = app_id if security_script else ""
        self._now = now or datetime.now(UTC)

    def step(self, step: Step, *, notice: str = "") -> Page:
        """Return the page of a step.

        Args:
            step: the step to show.
            notice: code of a notice or message to show in place of the step's message.
        """
        text = self._translate
        step = step.translated(text)
        error, status = self._messages(step, notice)
        waits = not step.actions and step.state not in {"authenticated", "failed"}
        ends_in = self._seconds_until(step.expires_at)
        secret = _in_groups(step.totp.secret) if step.totp else ""
        return Page(
            language=text.language,
            title=f"{text('hint.error')}: {step.title}" if error else step.title,
            heading=step.title,
            state=step.state,
            action=self._action,
            static=self._static,
            error=error,
            status=status,
            notes=self._notes(step, waits=waits),
            question=tuple((step.parameters or {}).items()),
            qr=_qr(step.totp.uri) if step.totp else "",
            qr_text=text("hint.totp") if step.totp else "",
            secret_text=text("hint.totp_secret", secret=secret) if secret else "",
            passkey_options=step.passkey_options or "",
            no_script=text("hint.no_script") if step.passkey_options else "",
            ends_in=ends_in,
            ends_text=text("hint.time_left", time=text.time(ends_in)) if ends_in else "",
            refresh=2 if waits else 0,
            forms=self._forms(step, is_wrong=bool(error)),
            words=json.dumps({name: text(f"hint.{name}") for name in _COUNTDOWNS}),
            security_script=self._security_script,
            app_id=self._app_id,
        )

    def signed_in(self, name: str, link: str, *, notice: str = "") -> Page:
        """Return the page of a user who is signed in.

        Args:
            name: the user's name.
            link: URL to go on to.
            notice: code of a notice to show.
        """
        text = self._translate
        heading = text("title.authenticated")
        return Page(
            language=text.language,
            title=heading,
            heading=heading,
            state="authenticated",
            action=self._sign_out,
            static=self._static,
            error=text(f"notice.{notice}") if f"notice.{notice}" in TEXTS else "",
            status=text("hint.signed_in_as", name=name) if name else "",
            forms=(self._form("sign_out", text("action.sign_out"), is_main=True),),
            link=link,
            link_text=text("action.continue"),
        )

    def error(self, notice: str, *, link: str = "", can_start: bool = True) -> Page:
        """Return an error page, for a request that has no step.

        Args:
            notice: code of the notice to show.
            link: URL at which the user tries again; empty for no link.
            can_start: whether the user can start a new sign-in.
        """
        text = self._translate
        own = f"title.{notice}"
        heading = text(own if own in TEXTS else "title.failed")
        return Page(
            language=text.language,
            title=heading,
            heading=heading,
            state="failed",
            action=self._action,
            static=self._static,
            error=text(f"notice.{notice}"),
            forms=(self._start_form(),) if can_start else (),
            link=link,
            link_text=text("action.continue") if link else "",
        )

    # ── parts ──

    def _messages(self, step: Step, notice: str) -> tuple[str, str]:
        """Return the error and the information to show."""
        for code in (f"notice.{notice}", f"message.{notice}"):
            if code in TEXTS:
                return self._translate(code), ""
        if step.message is None:
            return "", ""
        text = step.message.text
        if step.message.detail and step.message.code in _WITH_DETAIL:
            text = f"{text} {step.message.detail}"
        return ("", text) if step.message.code in _INFORMATION else (text, "")

    def _notes(self, step: Step, *, waits: bool) -> tuple[str, ...]:
        text = self._translate
        notes = []
        if waits:
            notes.append(text("hint.waiting"))
        if step.delivery:
            code = f"hint.sent_{step.delivery.medium.lower()}"
            sent = code if code in TEXTS else "hint.sent"
            notes.append(text(sent, destination=step.delivery.destination))
        left = step.attempts_left
        if left is not None and step.message and left < _MANY_ATTEMPTS:
            notes.append(text("hint.attempts", count=left))
        if step.passkey_options:
            notes.append(text("hint.passkey"))
        return tuple(notes)

    def _forms(self, step: Step, *, is_wrong: bool) -> tuple[Form, ...]:
        """Return a form for the main action, and one for each other action that needs no typing."""
        forms = [
            self._form(
                action.event,
                action.label,
                is_main=action.is_main,
                version=step.version,
                inputs=self._inputs(
                    action,
                    is_wrong=is_wrong,
                    wrong_field=step.message.field if step.message else None,
                    begins=step.state == "idle",
                ),
                opens_in=self._seconds_until(action.available_at),
            )
            for action in step.actions
            if action.is_main or _is_beside(action, step)
        ]
        if step.state == "failed":
            forms.append(self._start_form())
        return tuple(forms)

    def _start_form(self) -> Form:
        return self._form("start", self._translate("action.start"), is_main=True)

    def _form(
        self,
        event: str,
        button: str,
        *,
        is_main: bool,
        version: int | None = None,
        inputs: tuple[Input, ...] = (),
        opens_in: int = 0,
    ) -> Form:
        text = self._translate
        own = {"_event": event} if version is None else {"_event": event, "_version": str(version)}
        if self._security_script and any(one.name == "username" for one in inputs):
            own[ENCODED_DATA] = ""  # page.js fills it in
        return Form(
            id=event.replace("_", "-"),
            event=event,
            button=button,
            is_main=is_main,
            hidden=(*self._hidden, *own.items()),
            inputs=inputs,
            opens_in=opens_in,
            opens_text=text("hint.new_code_in", time=text.time(opens_in)) if opens_in else "",
        )

    def _inputs(
        self, action: Action, *, is_wrong: bool, wrong_field: str | None, begins: bool
    ) -> tuple[Input, ...]:
        # After a wrong password the focus is on the password; the username is filled in.
        fields = action.fields
        wrong = [number for number, one in enumerate(fields) if one.name == wrong_field]
        empty = [number for number, one in enumerate(fields) if one.secret or not one.value]
        first = (*wrong, *empty, 0)[0]
        inputs = [
            self._input(one, is_first=number == first, is_wrong=is_wrong)
            for number, one in enumerate(fields)
        ]
        if begins and any(one.name == "username" for one in fields):
            inputs.append(self._keep_signed_in())
        return tuple(inputs)

    def _keep_signed_in(self) -> Input:
        return Input(
            id="field-keep-signed-in",
            kind="checkbox",
            name="_keep_signed_in",
            label=self._translate("field.keep_signed_in"),
            type="checkbox",
            autocomplete="off",
            inputmode="",
            pattern="",
            value="on",
            required=False,
            is_first=False,
            is_wrong=False,
        )

    def _input(self, one: Field, *, is_first: bool, is_wrong: bool) -> Input:
        identity = "field-" + re.sub(r"[^a-z0-9]+", "-", one.name.lower()).strip("-")
        kind = one.type if one.type in {"choice", "passkey"} else "text"
        return Input(
            id=identity,
            kind=kind,
            name=one.name,
            label=one.label,
            type=one.type,
            autocomplete=one.autocomplete,
            inputmode=one.inputmode,
            pattern=_lenient(one.pattern) if one.pattern else "",
            value="" if one.secret else one.value,
            required=one.required,
            is_first=is_first,
            is_wrong=is_first and is_wrong,
            options=tuple(
                Option(
                    id=f"{identity}-{number}",
                    value=choice.value,
                    label=choice.label,
                    is_first=number == 0,
                )
                for number, choice in enumerate(one.choices)
            ),
        )

    def _seconds_until(self, moment: datetime | None) -> int:
        # Rounded up, so that a countdown never ends early.
        return max(0, math.ceil((moment - self._now).total_seconds())) if moment else 0


def _is_beside(action: Action, step: Step) -> bool:
    """Whether a page shows an action beside its main one: it needs no typing, and leads somewhere."""
    # On the first page there is nothing to give up.
    is_needless = step.state == "idle" and action.ends_flow
    return not is_needless and all(one.type == "choice" for one in action.fields)


def _lenient(pattern: str) -> str:
    """Return a pattern of digits that lets pass what the engine normalises: HTML tests the whole value.

    Digits of any script, with blanks, dashes and invisible marks, as in a pasted "123 456". Browsers
    compile it with the flag `v`, or `u` if they are older (HTML Living Standard, 4.10.5.3.7).
    """
    counted = re.fullmatch(r"\[0-9\](\{\d+(?:,\d+)?\})", pattern)
    separators = r"[\s\p{Cf}\p{Zs}\p{Pd}\u2212\uFE0E\uFE0F]*"
    return rf"(?:{separators}\p{{Nd}}){counted[1]}{separators}" if counted else pattern


def _qr(uri: str) -> str:
    """Return a QR code as an image that needs no request: it holds a secret."""
    drawn = io.BytesIO()
    segno.make(uri, error="m").save(drawn, kind="svg", scale=4, border=4, light="#fff")
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.getvalue()).decode()


def _in_groups(secret: str) -> str:
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
