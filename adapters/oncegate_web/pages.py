"""Pages: a step as what a template draws. A new challenge needs no new page: its step has actions."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol

import segno

from oncegate import Action, Step
from oncegate.adapters import ATTEMPTS_PER_CHALLENGE, TEXTS, Field, Kind, kind_of
from oncegate_web._context import ENCODED_DATA
from oncegate_web._static import static_url
from oncegate_web._translations import Identifier, Part, Translator

_OF_THE_TEMPLATE = {
    "not_you": "action.not_you",
    "show": "action.show",
    "show_password": "action.show_password",
    "hide": "action.hide",
    "hide_password": "action.hide_password",
    "caps_lock": "notice.caps_lock",
    "open_app": "action.open_app",
    "copy_key": "action.copy",
    "no_script": "hint.no_script",
    "totp_open": "hint.totp_open",
    "totp_here": "hint.totp_here",
    "totp_scan": "hint.totp_scan",
    "totp_alt": "hint.totp_alt",
    "totp_secret": "hint.totp_secret",
    "totp_enter": "hint.totp_enter",
}
"""Texts that the template has, by their names there."""

_LEADS = {
    "password_verified.SELECT_MFA_TYPE": "hint.choose",
    "password_verified.MFA_SETUP": "hint.choose_setup",
    "awaiting_mfa.SOFTWARE_TOKEN_MFA": "hint.totp_code",
    "awaiting_passkey": "hint.passkey",
    "awaiting_reset": "hint.reset",
    "offering_device": "hint.device",
}
"""What a page is about, by the state, or by state and challenge."""

_WITH_DETAIL = {"new_password_refused", "trigger_refused"}
_ABOUT_WHAT_WAS_TYPED = {"wrong_credentials", "username_refused", "wrong_answer", "not_accepted"}
"""Messages about what was typed, but not about one field: the one with the focus is marked."""

_ABOUT_THE_CODE = {"already_tried"}
"""Notices about the code."""

_LONGEST_MINUTES = 15
"""Minutes of a challenge whose end is told. A code for a reset is valid for an hour: no hurry."""

_SLOW_SECONDS = 10
_REFRESH_SECONDS = 2

_QUESTIONS = ("question", "title", "prompt")
"""Names of a Lambda's public challenge parameters that are the question itself."""


@dataclass(frozen=True, slots=True)
class Brand:
    """What the pages show of the application.

    Attributes:
        name: its name, on each page and in each title.
        logo: URL of its logo, shown instead of the name. Of another site, `csp` has to allow it.
        logo_dark: URL of its logo on dark ground; empty for the same.
        home: URL that name and logo lead to; empty for none.
    """

    name: str = ""
    logo: str = ""
    logo_dark: str = ""
    home: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A link. Its text is translated by the application's catalogues."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Look:
    """The application's part of each page.

    Attributes:
        brand: name and logo.
        links: links below the card.
        css: URLs of style sheets, after ours.
        theme: ``light`` or ``dark`` to have one of them only; empty for the user's choice.
    """

    brand: Brand = Brand()
    links: tuple[Link, ...] = ()
    css: tuple[str, ...] = ()
    theme: Literal["", "light", "dark"] = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A notice: what happened.

    Attributes:
        kind: ``error``, ``info`` or ``good``.
        text: says it.
    """

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class _Feedback:
    """What a page tells the user beside the step.

    Attributes:
        note: the notice, which may be about a field.
        code: its code; empty for none.
        about: name of the field that it is about; empty for none.
        typed: what was typed, by field.
        problems: what is wrong, by field.
    """

    note: Note | None
    code: str
    about: str
    typed: Mapping[str, str]
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Option:
    """One of several values to choose from."""

    id: str
    value: str
    label: str
    hint: str
    is_first: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a new password.

    Attributes:
        text: says it.
        pattern: regular expression that is found in a password that follows it.
    """

    text: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a form: `oncegate.adapters.Field`, for the template.

    Attributes:
        kind: ``text``, ``code``, ``password``, ``choice``, ``passkey``, ``checkbox`` or ``hidden``
            (for password managers): selects the template's part.
        enter: label of the enter key on phones (HTML's enterkeyhint).
        capitals: letters that phones begin with a capital (HTML's autocapitalize).
        hint: further information.
        error: what is wrong with the value.
        rules: rules of a new password.
        described_by: IDs of the elements that describe it, separated by blanks.
        is_first: whether it gets the focus.
        is_wrong: whether the page's error is about it.
        is_untried: whether it is a code, and none was tried: if it is filled in as a whole, the script
            submits it.
    """

    id: str
    kind: str
    name: str
    label: str = ""
    type: str = "text"
    autocomplete: str = "off"
    inputmode: str = ""
    pattern: str = ""
    enter: str = "go"
    capitals: str = "none"
    value: str = ""
    required: bool = True
    hint: str = ""
    error: str = ""
    rules: tuple[Rule, ...] = ()
    described_by: str = ""
    is_first: bool = False
    is_wrong: bool = False
    is_untried: bool = False
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class Button:
    """One of several buttons of a form, with the value that it stands for."""

    name: str
    value: str
    label: str
    is_main: bool


@dataclass(frozen=True, slots=True)
class Form:
    """One form, for one action.

    Attributes:
        kind: ``main`` for what the page is for, ``link`` for a button that looks like a link,
            ``details`` for a form that is folded up below its label, ``forgot`` for the link at the
            password.
        summary: label of a form that is folded up.
        button: label of the button.
        busy: label of the button while the server works.
        buttons: the buttons, if there are several.
        hint: to be read before the button is pressed.
        hidden: names and values of hidden fields.
        is_first: whether its button gets the focus.
        is_open: whether a form that is folded up is shown, because something in it is wrong.
        opens_in: seconds until the action is available; empty for now. Numbers are texts: Django's
            templates would write them as the user's language does, such as ``3,600``.
        opens_text: label of the button until then.
    """

    id: str
    kind: str
    button: str
    busy: str
    hidden: tuple[tuple[str, str], ...]
    inputs: tuple[Input, ...] = ()
    summary: str = ""
    buttons: tuple[Button, ...] = ()
    hint: str = ""
    is_first: bool = False
    is_open: bool = False
    opens_in: str = ""
    opens_text: str = ""


@dataclass(frozen=True, slots=True)
class Totp:
    """The set-up of an authenticator app.

    Attributes:
        qr: URL of a QR code.
        uri: ``otpauth:`` address, for an app on the same device.
        secret: the key, in groups of four.
        key: the key as it is copied.
    """

    qr: str
    uri: str
    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey that the page asks for.

    Attributes:
        options: options for ``navigator.credentials.get``, as JSON.
        module: URL of the script that asks.
    """

    options: str
    module: str


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template draws. Every text is in the user's language.

    Attributes:
        language: BCP 47 tag.
        direction: ``ltr`` or ``rtl``.
        text: texts of the template's own, by the ends of their codes, such as ``show``.
        title: the document's title.
        heading: the page's heading.
        state: state of the flow.
        action: URL that the forms are posted to.
        look: the application's part.
        styles: URLs of the style sheets.
        scripts: URLs of the scripts, which are modules.
        lead: what the page is about, below the heading.
        account: the name that was typed.
        leave: ID of the form that leads back to the first page, for "Not you?"; empty for none.
        notice: what happened; None for nothing.
        question: what a custom challenge says.
        totp: set-up of an authenticator app; None for none.
        passkey: passkey to ask for; None for none.
        main: what the page is for; None for nothing.
        forgot: form of the link at the password; None for none.
        more: what else can be done.
        link: link in place of a main form; None for none.
        refresh: seconds until the page reloads itself; empty for never.
        refresh_url: what it loads then.
        ends_in: seconds until the challenge expires; empty if it does not.
        ends_text: says so, if it helps.
        reference: name of the flow in the log, for the application's support.
        words: texts for the script, as JSON; empty for none.
        security_script: URL of AWS's script for threat protection; empty for none.
        app_id: user pool ID and app client ID for it, separated by a slash.
    """

    language: str
    direction: str
    text: Mapping[str, str]
    title: str
    heading: str
    state: str
    action: str
    look: Look
    styles: tuple[str, ...]
    scripts: tuple[str, ...]
    lead: tuple[Part, ...] = ()
    account: str = ""
    leave: str = ""
    notice: Note | None = None
    question: tuple[str, ...] = ()
    totp: Totp | None = None
    passkey: Passkey | None = None
    main: Form | None = None
    forgot: Form | None = None
    more: tuple[Form, ...] = ()
    link: Link | None = None
    refresh: str = ""
    refresh_url: str = ""
    ends_in: str = ""
    ends_text: str = ""
    reference: str = ""
    words: str = ""
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
        prefix: mount point of the pages.
        hidden: hidden fields of every form, by name.
        look: the application's part of each page.
        identifier: what users sign in with.
        reference: name of the flow in the log; empty for none.
        is_kept: whether the user has chosen to stay signed in.
        waited: seconds for which the user has seen the page that waits.
        security_script: path of AWS's script for threat protection; empty for none.
        app_id: user pool ID and app client ID, separated by a slash.
        now: the time, with a time zone.
    """

    def __init__(
        self,
        translate: Translator,
        *,
        action: str,
        prefix: str,
        hidden: Mapping[str, str],
        look: Look = Look(),
        identifier: Identifier = "username",
        reference: str = "",
        is_kept: bool = False,
        waited: int = 0,
        security_script: str = "",
        app_id: str = "",
        now: datetime | None = None,
    ) -> None:
        self._translate = translate
        self._action = action
        self._prefix = prefix
        self._hidden = tuple(hidden.items())
        self._look = look
        self._identifier = identifier
        self._reference = reference
        self._is_kept = is_kept
        self._waited = waited
        self._security_script = security_script
        self._app_id = app_id if security_script else ""
        self._now = now or datetime.now(UTC)

    def step(
        self,
        step: Step,
        *,
        notice: str = "",
        typed: Mapping[str, str] = MappingProxyType({}),
        problems: Mapping[str, str] = MappingProxyType({}),
    ) -> Page:
        """Return the page of a step.

        Args:
            step: the step to show.
            notice: code of a notice or message to show in place of the step's message.
            typed: what was typed on this page, by field; secrets are left out.
            problems: for each field that is invalid, ``missing`` or another word.
        """
        step = step.translated(self._translate)
        # What is wrong with the fields comes later than the step's message, and takes its place.
        said = (None, "", "") if problems else self._note(step, notice)
        feedback = _Feedback(*said, typed=typed, problems=problems)
        note = None if feedback.about else feedback.note
        waits = not step.actions and step.state not in {"authenticated", "failed"}
        forms = self._forms(step, feedback)
        is_first = step.state == "idle" and not _is_for_new_code(step)
        return self._page(
            state=step.state,
            heading=_question_of(step) or step.title,
            is_error=bool(problems)
            or (feedback.note is not None and feedback.note.kind == "error"),
            scripts=("page.js",) if is_first else ("page.js", "step.js"),
            lead=self._lead(step, waits=waits),
            account="" if is_first or step.state == "failed" else step.username,
            leave=next((_form_id(one.event) for one in step.actions if one.ends_flow), ""),
            notice=note,
            question=tuple(_further_words(step)),
            totp=self._totp(step),
            passkey=self._passkey(step),
            main=next((form for form in forms if form.kind == "main"), None),
            forgot=next((form for form in forms if form.kind == "forgot"), None),
            more=tuple(form for form in forms if form.kind in {"link", "details"}),
            refresh=str(_REFRESH_SECONDS) if waits else "",
            refresh_url=self._refresh_url() if waits else "",
            ends_in=_in_digits(self._seconds_until(step.expires_at)),
            ends_text=self._ends_text(step),
            reference=self._reference if step.state == "failed" else "",
            words=self._words(step),
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
        code = f"notice.{notice}"
        return self._page(
            state="authenticated",
            heading=text("title.authenticated"),
            action=f"{self._prefix}/sign-out",
            lead=text.parts("hint.signed_in_as", name=name) if name else (),
            notice=Note(kind_of(code), text(code)) if code in TEXTS else None,
            link=Link(text("action.continue"), link),
            more=(self._form("sign_out", text("action.sign_out"), kind="link"),),
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
        has_title = own in TEXTS  # such as "Page not found", which is no failed sign-in
        code = f"notice.{notice}"
        onward = Link(text("action.try_again"), link) if link else None
        if can_start and not onward:
            onward = Link(text("action.cancel"), f"{self._prefix}/")
        start = self._form("start", text("action.start"), kind="link")
        return self._page(
            state="failed",
            heading=text(own if has_title else "title.failed"),
            is_error=not has_title,
            notice=None if has_title else Note(kind_of(code), text(code)),
            link=onward,
            more=(start,) if can_start and link else (),
        )

    # ── parts ──

    def _page(
        self,
        *,
        state: str,
        heading: str,
        is_error: bool = False,
        scripts: tuple[str, ...] = ("page.js",),
        action: str = "",
        words: Mapping[str, object] = MappingProxyType({}),
        **more: Any,
    ) -> Page:
        text = self._translate
        title = f"{text('hint.error')}: {heading}" if is_error else heading
        brand = self._look.brand.name
        return Page(
            language=text.language,
            direction=text.direction,
            text={name: text(code) for name, code in _OF_THE_TEMPLATE.items()},
            title=f"{title} · {brand}" if brand else title,
            heading=heading,
            state=state,
            action=action or self._action,
            look=self._translated_look(),
            styles=(static_url(self._prefix, "page.css"), *self._look.css),
            scripts=tuple(static_url(self._prefix, name) for name in scripts),
            words=json.dumps(words, ensure_ascii=False) if words else "",
            **more,
        )

    def _translated_look(self) -> Look:
        look, text = self._look, self._translate
        links = tuple(Link(text(link.text), link.url) for link in look.links)
        brand = look.brand
        if look.theme:  # the template chooses between the logos by the user's setting
            is_dark = look.theme == "dark" and bool(brand.logo_dark)
            logo = brand.logo_dark if is_dark else brand.logo
            brand = replace(brand, logo=logo, logo_dark="")
        return replace(look, brand=brand, links=links)

    def _words(self, step: Step) -> dict[str, object]:
        """Return the texts that the scripts show on the page of a step."""
        text = self._translate
        words: dict[str, object] = {}
        if any(one.available_at for one in step.actions):
            words["new_code_in"] = text("hint.new_code_in")
        if (minutes := self._minutes(step)) is not None:
            counted = [text.count("hint.time_left", number) for number in range(1, minutes + 1)]
            words["time_left"] = [text("hint.time_left.last"), *counted]
        if step.totp:
            words["copied"] = text("hint.copied")
        if step.passkey_options:
            for name in ("passkey_cancelled", "passkey_unsupported"):
                words[name] = text(f"notice.{name}")
        return words

    def _minutes(self, step: Step) -> int | None:
        """Return the whole minutes that the user has for a code that was sent; None to tell nothing."""
        if not (step.delivery and any(one.name == "code" for one in step.fields)):
            return None
        minutes = self._seconds_until(step.expires_at) // 60
        return minutes if minutes <= _LONGEST_MINUTES else None

    def _ends_text(self, step: Step) -> str:
        text, minutes = self._translate, self._minutes(step)
        if minutes is None:
            return ""
        return text.count("hint.time_left", minutes) if minutes else text("hint.time_left.last")

    def _note(self, step: Step, notice: str) -> tuple[Note | None, str, str]:
        """Return what happened, by the notice or by the message, its code, and its field."""
        text = self._translate
        for code in (f"notice.{notice}", f"message.{notice}"):
            if code in TEXTS:
                has_code = any(one.name == "code" for one in step.fields)
                about = "code" if has_code and notice in _ABOUT_THE_CODE else ""
                return Note(kind_of(code), text(code)), notice, about
        told = step.message
        if told is None:
            return None, "", ""
        words = [told.text]
        if told.detail and told.code in _WITH_DETAIL and self._can_show(told.code):
            words.append(told.detail)
        left = step.attempts_left
        is_about_answer = told.field == "code" or told.code in _ABOUT_WHAT_WAS_TYPED
        if left is not None and left < ATTEMPTS_PER_CHALLENGE and is_about_answer:
            words.append(text.count("hint.attempts", left))
        return Note(told.kind, " ".join(words)), told.code, told.field or ""

    def _can_show(self, code: str) -> bool:
        """Return whether the page may show the details of a message: Cognito's own words are English."""
        return code == "trigger_refused" or self._translate.language.partition("-")[0] == "en"

    def _lead(self, step: Step, *, waits: bool) -> tuple[Part, ...]:
        text = self._translate
        if waits:
            is_slow = self._waited >= _SLOW_SECONDS
            return (Part(text("hint.slow" if is_slow else "hint.waiting")),)
        if step.delivery:
            code = f"hint.sent_{step.delivery.medium.lower()}"
            if code in TEXTS and step.delivery.destination:
                return text.parts(code, destination=step.delivery.destination)
            return (Part(text("hint.sent")),)
        code = _LEADS.get(f"{step.state}.{step.challenge}", _LEADS.get(step.state, ""))
        return (Part(text(code)),) if code else ()

    def _totp(self, step: Step) -> Totp | None:
        if step.totp is None:
            return None
        secret = step.totp.secret
        return Totp(_qr(step.totp.uri), step.totp.uri, _in_groups(secret), secret)

    def _passkey(self, step: Step) -> Passkey | None:
        if step.passkey_options is None:
            return None
        return Passkey(step.passkey_options, static_url(self._prefix, "passkey.js"))

    def _refresh_url(self) -> str:
        between = "&" if "?" in self._action else "?"
        return f"{self._action}{between}waited={self._waited + _REFRESH_SECONDS}"

    def _form(
        self,
        event: str,
        button: str,
        *,
        kind: str,
        version: int | None = None,
        busy: str = "",
        inputs: tuple[Input, ...] = (),
        **more: Any,
    ) -> Form:
        """Return a form for an event."""
        text = self._translate
        own = {"_event": event} if version is None else {"_event": event, "_version": str(version)}
        if self._security_script and any(one.autocomplete == "username" for one in inputs):
            own[ENCODED_DATA] = ""  # page.js fills it in
        busy = busy or f"busy.{event}"
        return Form(
            id=_form_id(event),
            kind=kind,
            button=button,
            busy=text(busy if busy in TEXTS else "busy.other"),
            hidden=(*self._hidden, *own.items()),
            inputs=inputs,
            **more,
        )

    def _seconds_until(self, moment: datetime | None) -> int:
        """Return the seconds until a moment, rounded up, so that a countdown never ends early."""
        return max(0, math.ceil((moment - self._now).total_seconds())) if moment else 0

    # ── forms ──

    def _forms(self, step: Step, feedback: _Feedback) -> list[Form]:
        forms = [form for action in step.actions for form in self._forms_of(action, step, feedback)]
        if step.state == "failed":
            forms.append(self._form("start", self._translate("action.start"), kind="main"))
        is_elsewhere = any(form.is_open for form in forms)  # where something is wrong
        return [
            replace(
                form, is_first=form.kind == "main" and not is_elsewhere and not _has_focus(form)
            )
            for form in forms
        ]

    def _forms_of(self, action: Action, step: Step, feedback: _Feedback) -> Iterator[Form]:
        """Yield the form of an action, unless the page does not offer it."""
        text = self._translate
        event, label, version = action.event, action.label, step.version
        is_for_new_code = _is_for_new_code(step)
        if action.is_main:
            label = step.title if is_for_new_code else label
            yield self._form(
                event,
                label,
                kind="main",
                version=version,
                busy="busy.request_new_code" if is_for_new_code else "",
                inputs=self._inputs(action, step, feedback),
                buttons=_buttons(action),
            )
        elif action.ends_flow:
            # On the first page there is nothing to give up.
            if step.state != "idle" or is_for_new_code:
                yield self._form(event, label, kind="link", version=version)
        elif action.beside and any(one.name == action.beside for one in step.fields):
            yield self._form(event, label, kind="forgot", version=version)
        elif not action.fields:
            opens_in = self._seconds_until(action.available_at)
            time = text.time(opens_in)
            yield self._form(
                event,
                label,
                kind="link",
                version=version,
                hint=action.hint,
                opens_in=_in_digits(opens_in),
                opens_text=text("hint.new_code_in", time=time) if opens_in else "",
            )
        elif action.summary or all(one.type == "choice" for one in action.fields):
            inputs = self._inputs(action, step, feedback)
            yield self._form(
                event,
                label if action.summary else text("action.continue"),
                kind="details",
                version=version,
                summary=action.summary or label,
                inputs=inputs,
                is_open=any(one.is_wrong for one in inputs),
            )

    def _inputs(self, action: Action, step: Step, feedback: _Feedback) -> tuple[Input, ...]:
        """Return the inputs of a form. The first one that is wrong or empty has the focus."""
        fields = [one for one in action.fields if one.style != "buttons"]
        is_for_new_code = _is_for_new_code(step)
        if is_for_new_code:
            fields = [one for one in fields if one.name != "username"]
        names = [one.name for one in fields]
        wrong = [
            name for name in names if name == feedback.about or feedback.problems.get(name, "")
        ]
        empty = [
            one.name
            for one in fields
            if one.secret or not (one.value or one.name in feedback.typed)
        ]
        first = next(iter((*wrong, *empty, *names) if action.is_main else wrong), "")
        marked = first if feedback.code in _ABOUT_WHAT_WAS_TYPED else ""
        has_end = bool(self._ends_text(step))
        left = step.attempts_left
        is_untried = left is None or left >= ATTEMPTS_PER_CHALLENGE
        inputs = [
            self._input(
                one,
                feedback,
                number,
                is_first=one.name == first,
                is_marked=one.name == marked,
                has_end=has_end and one.name == "code",
                is_untried=is_untried and one.name == "code",
            )
            for number, one in enumerate(fields)
        ]
        if inputs and inputs[-1].enter == "next":
            inputs[-1] = replace(inputs[-1], enter="go")
        has_password = any(one.type == "password" for one in fields)
        if has_password and "username" not in names and step.username:
            hidden = Input(
                "field-username", "hidden", "", autocomplete="username", value=step.username
            )
            inputs.insert(0, hidden)
        if step.state == "idle" and "username" in names:
            label = self._translate("field.keep_signed_in")
            value = "on" if self._is_kept else ""
            inputs.append(
                Input("field-keep-signed-in", "checkbox", "_keep_signed_in", label, value=value)
            )
        return tuple(inputs)

    def _input(
        self,
        one: Field,
        feedback: _Feedback,
        number: int,
        *,
        is_first: bool,
        is_marked: bool,
        has_end: bool,
        is_untried: bool,
    ) -> Input:
        identity = _field_id(one.name, number)
        kind = one.type if one.type in {"choice", "passkey", "password"} else "text"
        error = self._error_of(one.name, feedback)
        rules = tuple(Rule(rule.label, rule.pattern) for rule in one.rules)
        described = {
            "note": is_marked,
            f"{identity}-error": bool(error),
            f"{identity}-hint": bool(one.hint),
            f"{identity}-rules": bool(rules),
            "ends": has_end,
        }
        is_typed_back = one.name in feedback.typed and not one.secret
        is_email = one.name == "username" and self._identifier == "email"
        is_phone = one.name == "username" and self._identifier == "phone"
        return Input(
            id=identity,
            kind="code" if one.name == "code" else kind,
            name=one.name,
            label=one.label,
            # Not "email": browsers change what is typed there, such as an address with an umlaut.
            type="tel" if is_phone else one.type,
            autocomplete=one.autocomplete,
            inputmode="email" if is_email else "tel" if is_phone else one.inputmode,
            pattern=_lenient(one.pattern) if one.pattern else "",
            enter="next",
            capitals="words" if one.name.startswith("attributes.") else "none",
            value=feedback.typed[one.name] if is_typed_back else "" if one.secret else one.value,
            required=one.required,
            hint=one.hint,
            error=error,
            rules=rules,
            described_by=" ".join(name for name, is_there in described.items() if is_there),
            is_first=is_first,
            is_wrong=is_marked or bool(error),
            is_untried=is_untried,
            options=tuple(
                Option(f"{identity}-{number}", each.value, each.label, each.hint, number == 0)
                for number, each in enumerate(one.choices)
            ),
        )

    def _error_of(self, name: str, feedback: _Feedback) -> str:
        text, problem = self._translate, feedback.problems.get(name, "")
        if problem and name == "code":
            return text("notice.code_invalid")
        if problem == "missing" and name == "username":
            return text("message.username_missing")
        if problem:
            return text(f"notice.field_{'missing' if problem == 'missing' else 'invalid'}")
        return feedback.note.text if feedback.note and name == feedback.about else ""


def _field_id(name: str, number: int) -> str:
    """Return the ID of an input. Names of attributes can differ in what an ID does not have."""
    identity = "field-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"{identity}-{number}" if name.startswith("attributes.") else identity


def _has_focus(form: Form) -> bool:
    return any(one.is_first and one.kind != "passkey" for one in form.inputs)


def _in_digits(seconds: int) -> str:
    return str(seconds) if seconds else ""


def _form_id(event: str) -> str:
    return event.replace("_", "-")


def _is_for_new_code(step: Step) -> bool:
    """Return whether the password is asked for again, to send a new code."""
    asks_password = any(one.type == "password" for one in step.fields)
    return asks_password and step.title_code == "title.idle.password_for_new_code"


def _buttons(action: Action) -> tuple[Button, ...]:
    """Return a button for each choice of a field that is drawn as buttons."""
    return tuple(
        Button(one.name, each.value, each.label, is_main=number == 0)
        for one in action.fields
        if one.style == "buttons"
        for number, each in enumerate(one.choices)
    )


def _question_of(step: Step) -> str:
    """Return the question of a custom challenge, for the heading; empty if there is none."""
    words = step.parameters or {}
    named = [value for name, value in words.items() if name.lower() in _QUESTIONS]
    return next((value for value in named if value.strip()), "")


def _further_words(step: Step) -> Iterator[str]:
    """Yield the public parameters of a custom challenge that are not its question."""
    question = _question_of(step)
    return (value for value in (step.parameters or {}).values() if value != question)


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
    segno.make(uri, error="m").save(drawn, kind="svg", border=4, light="#fff", xmldecl=False)
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.getvalue()).decode()


def _in_groups(secret: str) -> str:
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
