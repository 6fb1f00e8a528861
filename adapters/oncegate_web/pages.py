"""Pages: a step as what a template draws. A new challenge needs no new page: its step has actions."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import segno

from oncegate import Action, Factor, Step
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
    "or": "hint.or",
}
"""Texts that the template has, by their names there."""

_LEADS = {
    "password_verified.SELECT_MFA_TYPE": "hint.choose",
    "password_verified.MFA_SETUP": "hint.choose_setup",
    "awaiting_mfa.SOFTWARE_TOKEN_MFA": "hint.totp_code",
    "awaiting_passkey": "hint.passkey",
    "awaiting_provider": "hint.provider",
    "awaiting_reset": "hint.reset",
    "offering_device": "hint.device",
}
"""What a page is about, by the state, or by state and challenge."""

_WITH_DETAIL = {"new_password_refused", "trigger_refused"}
_ABOUT_WHAT_WAS_TYPED = {"wrong_credentials", "username_refused", "wrong_answer", "not_accepted"}
"""Messages about what was typed, but not about one field: the one with the focus is marked."""

_SAID_BY_THE_LEAD = {"sign_up_sent"}
"""Messages that the page says as what to do."""

_ABOUT_FIELD = {
    "already_tried": "code",
    "password_missing": "password",
    "username_missing": "username",
}
"""Fields that notices are about, if the page has them."""

_LONGEST_MINUTES = 15
"""Minutes of a challenge whose end is told. A code for a reset is valid for an hour: no hurry."""

_FOR_NEW_CODE = "title.idle.password_for_new_code"
_FOR_OTHER_FACTOR = "title.idle.password_for_other_factor"

OPTIONAL = "_optional"
"""Name of the hidden field with the names of inputs that may be left empty."""

_SLOW_SECONDS = 10
_REFRESH_SECONDS = 2

_WITHOUT_ACCOUNT = {"failed", "signing_up"}
"""States whose page does not say who signs in: it has ended, or the name is in the form."""

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
    """One of several buttons of a form.

    Attributes:
        name: name of the field that it sets; empty for none.
        value: the field's value.
        label: text of the button.
        is_main: whether it is what the page is for.
        asks_passkey: whether the next page asks for a passkey, which needs JavaScript and WebAuthn.
    """

    name: str
    value: str
    label: str
    is_main: bool
    asks_passkey: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """One form, for one action.

    Attributes:
        kind: ``main`` for what the page is for, ``link`` for a button that looks like a link,
            ``details`` for a form that is folded up below its label, ``forgot`` for the link at the
            password, ``buttons`` for one that has buttons only.
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
        options: options for ``navigator.credentials.get`` or ``create``, as JSON.
        module: URL of the script that asks.
    """

    options: str
    module: str


class Row(NamedTuple):
    """One thing that an account has.

    Attributes:
        id: ID of the element, which describes the buttons.
        title: what it is.
        detail: more about it; empty for nothing.
        forms: its buttons.
        links: links to pages that change it.
    """

    id: str
    title: str
    detail: str = ""
    forms: tuple[Form, ...] = ()
    links: tuple[Link, ...] = ()


class Section(NamedTuple):
    """One section of the account's page.

    Attributes:
        heading: its heading.
        rows: what there is.
        forms: what can be done beside.
        links: links to pages on which something can be done beside.
    """

    heading: str
    rows: tuple[Row, ...] = ()
    forms: tuple[Form, ...] = ()
    links: tuple[Link, ...] = ()


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
        forgot_link: link at the password, to a page of its own; None for none.
        others: forms of buttons only, below the main form.
        more: what else can be done.
        pages: links to what else can be done on a page of its own, or back to the first page.
        link: link in place of a main form; None for none.
        refresh: seconds until the page reloads itself; empty for never.
        refresh_url: what it loads then.
        ends_in: seconds until the challenge expires; empty if it does not.
        ends_text: says so, if it helps.
        reference: name of the flow in the log, for the application's support.
        words: texts for the script, as JSON; empty for none.
        security_script: URL of AWS's script for threat protection; empty for none.
        app_id: user pool ID and app client ID for it, separated by a slash.
        sections: of the account's page, which has a template of its own.
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
    forgot_link: Link | None = None
    others: tuple[Form, ...] = ()
    more: tuple[Form, ...] = ()
    pages: tuple[Link, ...] = ()
    link: Link | None = None
    refresh: str = ""
    refresh_url: str = ""
    ends_in: str = ""
    ends_text: str = ""
    reference: str = ""
    words: str = ""
    security_script: str = ""
    app_id: str = ""
    sections: tuple[Section, ...] = ()


class Renderer(Protocol):
    """Renders a page to HTML: Jinja2, or the framework's own templates."""

    def __call__(self, template: str, page: Page) -> str: ...


class PageBuilder:
    """Builds the pages of one request.

    Args:
        translate: returns texts in the user's language.
        action: URL that the forms are posted to.
        prefix: mount point of the pages.
        own_page: returns the URL of an action's own page, by the action's event; of the step's page
            for an empty one. None: URLs without the rest of the request's query.
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
        own_page: Callable[[str], str] | None = None,
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
        self._own_page = own_page or f"{prefix}/?for={{}}".format
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
        own: str = "",
        notice: str = "",
        typed: Mapping[str, str] = MappingProxyType({}),
        problems: Mapping[str, str] = MappingProxyType({}),
    ) -> Page:
        """Return the page of a step.

        Args:
            step: the step to show.
            own: event of an action to show the own page of, instead of that of the step. If the step
                has no such action, the step's page is shown.
            notice: code of a notice or message to show in place of the step's message.
            typed: what was typed on this page, by field; secrets are left out.
            problems: for each field that is invalid, ``missing`` or another word.
        """
        step = step.translated(self._translate)
        action = action_of_own_page(step, own)
        if action is not None:
            # The step's message is about what was done on another page.
            update = {"title": action.title, "title_code": action.title_code, "message": None}
            main = action.model_copy(update={"is_main": True})
            step = step.model_copy(update={**update, "actions": (main,)})
        # What is wrong with the fields comes later than the step's message, and takes its place.
        said = (None, "", "") if problems else self._note(step, notice)
        feedback = _Feedback(*said, typed=typed, problems=problems)
        note = None if feedback.about else feedback.note
        waits = not step.actions and step.state not in {"authenticated", "failed"}
        forms = self._forms(step, feedback)
        is_first = step.state == "idle" and not _is_repeated(step)
        links = self._links(step)
        if action is not None:
            links["back"] = Link(self._translate("action.cancel"), self._own_page(""))
        has_rules = any(one.rules for form in forms for one in form.inputs)
        return self._page(
            state=step.state,
            heading=_question_of(step) or step.title,
            is_error=bool(problems)
            or (feedback.note is not None and feedback.note.kind == "error"),
            scripts=("page.js",) if is_first and not has_rules else ("page.js", "step.js"),
            lead=(Part(action.hint),)
            if action is not None and action.hint
            else self._lead(step, waits=waits),
            account="" if is_first or step.state in _WITHOUT_ACCOUNT else step.username,
            leave=next((_form_id(one.event) for one in step.actions if one.ends_flow), ""),
            notice=note,
            question=tuple(_further_words(step)),
            totp=self._totp(step),
            passkey=self._passkey(step),
            main=next((form for form in forms if form.kind == "main"), None),
            forgot=next((form for form in forms if form.kind == "forgot"), None),
            forgot_link=links.pop("beside", None),
            others=tuple(form for form in forms if form.kind == "buttons"),
            more=tuple(form for form in forms if form.kind in {"link", "details"}),
            pages=tuple(links.values()),
            link=self._link(step),
            refresh=str(_REFRESH_SECONDS) if waits else "",
            refresh_url=self._refresh_url() if waits else "",
            ends_in=_in_digits(self._seconds_until(step.expires_at)),
            ends_text=self._ends_text(step),
            reference=self._reference if step.state == "failed" else "",
            words=self._words(step),
            security_script=self._security_script,
            app_id=self._app_id,
        )

    def elsewhere(self, url: str) -> Page:
        """Return a page that goes on to another site by itself, at once.

        A redirect in the answer to a form would not do: browsers compare it, and each redirect that the
        other site answers with, with the policy's ``form-action`` (CSP Level 3, 6.4.2; Chromium), and
        identity providers redirect to hosts that are not known here.

        Args:
            url: where to go.
        """
        text = self._translate
        return self._page(
            state="elsewhere",
            heading=text("title.waiting"),
            scripts=("page.js", "step.js"),
            link=Link(text("action.continue"), url),
            refresh="0",
            refresh_url=url,
        )

    def signed_in(self, name: str, link: str, *, notice: str = "", sign_out: str = "") -> Page:
        """Return the page of a user who is signed in.

        Args:
            name: the user's name.
            link: URL to go on to.
            notice: code of a notice to show.
            sign_out: URL that the button posts to. Default: ``/sign-out`` below the prefix.
        """
        text = self._translate
        code = f"notice.{notice}"
        return self._page(
            state="authenticated",
            heading=text("title.authenticated"),
            action=sign_out or f"{self._prefix}/sign-out",
            lead=text.parts("hint.signed_in_as", name=name) if name else (),
            notice=Note(kind_of(code), text(code)) if code in TEXTS else None,
            link=Link(text("action.continue"), link),
            more=(self._form("sign_out", text("action.sign_out"), kind="link"),),
        )

    def forbidden(self) -> Page:
        """Return the page of a user who lacks a group or a scope."""
        text = self._translate
        return self._page(
            state="failed",
            heading=text("title.forbidden"),
            lead=text.parts("notice.forbidden"),
            link=Link(text("action.not_you"), f"{self._prefix}/"),
        )

    def not_signed_in(self, link: str) -> Page:
        """Return the page in place of an answer to a form, if its user has to sign in.

        Args:
            link: URL of the sign-in.
        """
        text = self._translate
        return self._page(
            state="failed",
            heading=text("title.idle"),
            lead=text.parts("notice.not_signed_in"),
            link=Link(text("action.submit_password"), link),
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
        if step.passkey_creation:
            words["passkey_cancelled"] = text("notice.passkey_not_created")
            words["passkey_unsupported"] = text("notice.passkey_unsupported")
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
                about = _ABOUT_FIELD.get(notice, "")
                about = about if any(one.name == about for one in step.fields) else ""
                return Note(kind_of(code), text(code)), notice, about
        told = step.message
        if told is None or told.code in _SAID_BY_THE_LEAD:
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
            code = f"hint.sent.{step.state}"
            return (Part(text(code if code in TEXTS else "hint.sent")),)
        code = _LEADS.get(f"{step.state}.{step.challenge}", _LEADS.get(step.state, ""))
        return (Part(text(code)),) if code else ()

    def _totp(self, step: Step) -> Totp | None:
        if step.totp is None:
            return None
        secret = step.totp.secret
        return Totp(_qr(step.totp.uri), step.totp.uri, _in_groups(secret), secret)

    def _passkey(self, step: Step) -> Passkey | None:
        options = step.passkey_options or step.passkey_creation
        if options is None:
            return None
        return Passkey(options, static_url(self._prefix, "passkey.js"))

    def _link(self, step: Step) -> Link | None:
        """Return the link to an identity provider, unless the user is back from there."""
        if step.authorize_url is None or not step.actions:
            return None
        return Link(self._translate("action.authorize"), step.authorize_url)

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
        if self._security_script and any(one.autocomplete.startswith("username") for one in inputs):
            own[ENCODED_DATA] = ""  # page.js fills it in
        if optional := " ".join(one.name for one in inputs if one.name and not one.required):
            own[OPTIONAL] = optional
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
        event, label, version = action.event, action.label, step.version
        match _kind_of_main(step) if action.is_main else _kind_of_other(action, step):
            case "main":
                yield self._main_form(action, step, feedback)
            case "forgot":
                yield self._form(event, action.summary or label, kind="forgot", version=version)
            case "buttons":
                buttons = _buttons(action)
                yield self._form(event, label, kind="buttons", version=version, buttons=buttons)
            case "link":
                yield self._link_form(action, step)
            case "details":
                inputs = self._inputs(action, step, feedback)
                yield self._form(
                    event,
                    label if action.summary else self._translate("action.continue"),
                    kind="details",
                    version=version,
                    summary=action.summary or label,
                    hint=action.hint,
                    inputs=inputs,
                    is_open=any(one.is_wrong for one in inputs),
                )

    def _main_form(self, action: Action, step: Step, feedback: _Feedback) -> Form:
        label, is_for_new_code = action.label, _is_for_new_code(step)
        if _is_repeated(step):
            label = step.title if is_for_new_code else self._translate("action.continue")
        return self._form(
            action.event,
            label,
            kind="main",
            version=step.version,
            busy="busy.request_new_code" if is_for_new_code else "",
            inputs=self._inputs(action, step, feedback),
            buttons=_buttons(action),
        )

    def _link_form(self, action: Action, step: Step) -> Form:
        text, opens_in = self._translate, self._seconds_until(action.available_at)
        return self._form(
            action.event,
            action.label,
            kind="link",
            version=step.version,
            hint=action.hint,
            opens_in=_in_digits(opens_in),
            opens_text=text("hint.new_code_in", time=text.time(opens_in)) if opens_in else "",
        )

    def _links(self, step: Step) -> dict[str, Link]:
        """Return the links to the own pages of a step's actions, by event; ``beside`` is at a field."""
        found: dict[str, Link] = {}
        for action in step.actions:
            if action.is_main or not _has_own_page(action):
                continue
            is_beside = _is_beside(action, step)
            # While the user signs in again for a code, only what belongs to a field is offered.
            if is_beside or not _is_repeated(step):
                link = Link(action.summary, self._own_page(action.event))
                found["beside" if is_beside else action.event] = link
        return found

    def _inputs(self, action: Action, step: Step, feedback: _Feedback) -> tuple[Input, ...]:
        """Return the inputs of a form. The first one that is wrong or empty has the focus."""
        fields = [one for one in action.fields if one.style != "buttons"]
        if _is_repeated(step):
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
        if "username" in names:
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


def action_of_own_page(step: Step | None, event: str) -> Action | None:
    """Return the action of a step that has an own page, by its event; None if there is no such one."""
    found = (one for one in step.actions if one.event == event) if step and event else iter(())
    return next((one for one in found if not one.is_main and _has_own_page(one)), None)


def _has_own_page(action: Action) -> bool:
    """Return whether an action that is not the step's main one is shown on a page of its own."""
    return bool(action.title and action.fields)


def _kind_of_main(step: Step) -> str:
    """Return the kind of the main action's form; empty if it is done elsewhere: the page has a link."""
    return "" if step.authorize_url else "main"


def _kind_of_other(action: Action, step: Step) -> str:
    """Return the kind of another action's form; empty if the page has none for it."""
    is_first = step.state == "idle" and not _is_repeated(step)
    if action.ends_flow:
        return "" if is_first else "link"  # on the first page there is nothing to give up
    if _has_own_page(action):
        return ""  # a link leads to it
    if _is_beside(action, step):
        return "forgot"
    if not action.fields:
        return "link"
    if all(one.style == "buttons" for one in action.fields):
        return "" if _is_repeated(step) else "buttons"
    is_foldable = action.summary or all(one.type == "choice" for one in action.fields)
    return "details" if is_foldable else ""


def _is_beside(action: Action, step: Step) -> bool:
    """Return whether an action belongs to a field of the page."""
    return bool(action.beside) and any(one.name == action.beside for one in step.fields)


def _is_repeated(step: Step) -> bool:
    """Return whether the password is asked for again, for another code or another factor."""
    asks_password = any(one.type == "password" for one in step.fields)
    return asks_password and step.title_code in {_FOR_NEW_CODE, _FOR_OTHER_FACTOR}


def _is_for_new_code(step: Step) -> bool:
    """Return whether the password is asked for again, to send a new code."""
    return _is_repeated(step) and step.title_code == _FOR_NEW_CODE


def _buttons(action: Action) -> tuple[Button, ...]:
    """Return a button for each choice of a field that is drawn as buttons.

    If one of them has to be chosen, the first one is the main one of the page's own action.
    """
    found = [
        Button(one.name, each.value, each.label, False, each.value == Factor.PASSKEY)
        for one in action.fields
        if one.style == "buttons"
        for each in one.choices
    ]
    if not (found and action.is_main):
        return tuple(found)
    if all(one.required for one in action.fields if one.style == "buttons"):
        return (replace(found[0], is_main=True), *found[1:])
    return (Button("", "", action.label, is_main=True), *found)


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
