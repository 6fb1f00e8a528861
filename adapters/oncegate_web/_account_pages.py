"""`AccountHtml`: the pages of the account (``/account``), beside those of the sign-in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, get_args
from urllib.parse import urlencode

from oncegate import Factor, InvalidInput, InvalidToken, Step
from oncegate.account import (
    AccountEvent,
    AccountOverview,
    AccountState,
)
from oncegate.adapters import (
    TEXTS,
    AccountChange,
    Action,
    FlowId,
    InvalidEvent,
    kind_of,
    message,
    parse_account_event,
)
from oncegate_web._account import AccountSite
from oncegate_web._context import FRAMEWORK_FIELDS
from oncegate_web._session_list import ListedSession
from oncegate_web._static import static_url
from oncegate_web._user import User
from oncegate_web.html import Html, _has_token
from oncegate_web.http import Fields, Request, Response, redirect
from oncegate_web.pages import OPTIONAL, Form, Link, Page, PageBuilder, Row, Section

ACCOUNT = "/account"
"""Path of the page below the mount point."""

_WITH_OWN_PAGE = (
    *("add_authenticator", "submit_address", "add_passkey"),
    *("change_password", "delete_account"),
)
"""Events with a form, or a question, on a page of its own. Each needs a recent sign-in."""

_ADDRESSES: Final = {"email": (Factor.EMAIL, "email"), "phone_number": (Factor.SMS, "tel")}
"""For each address: the factor that uses it, and the value of ``autocomplete``."""

_NEWS_OF_TIME = {"setup_expired", "setup_ended", "change_outcome_unknown"}
"""Messages that are told without a form: time has brought them about."""

_OTHER = "other"
"""Browser or platform of a session that has none of the known ones (`oncegate.adapters.browser_of`)."""

_WITHOUT_NOTICE = {"in_flight", "finished"}
_NAMES = {name for kind in get_args(AccountEvent) for name in kind.model_fields}
_DONE: Final = {
    kind.machine_event: kind.done
    for kind in get_args(AccountEvent)
    if issubclass(kind, AccountChange)
}
"""What is told once a change was made, by its event."""

_FIELDS = {
    "wrong_password": "password",
    **dict.fromkeys(
        ("address_refused", "phone_number_refused", "email_refused", "address_taken"), "address"
    ),
    **dict.fromkeys(
        (
            *("new_password_refused", "new_password_spaces", "password_too_short"),
            *("password_needs_number", "password_needs_symbol", "password_needs_uppercase"),
            *("password_needs_lowercase", "password_used_before"),
        ),
        "new_password",
    ),
}
"""Fields of the own pages that messages are about."""


class AccountPages(PageBuilder):
    """Builds the pages of the account of one request; see `PageBuilder`.

    Args:
        mfa_required: whether the pool requires MFA.
        **more: those of `PageBuilder`.
    """

    def __init__(self, *given: Any, mfa_required: bool = False, **more: Any) -> None:
        super().__init__(*given, **more)
        self._mfa_required = mfa_required

    def account(
        self,
        step: Step,
        has: AccountOverview,
        sessions: tuple[str, list[ListedSession]],
        *,
        name: str,
        notice: str,
    ) -> Page:
        """Return the page with all that an account has.

        Args:
            step: the step at which a change is chosen.
            has: what the account has.
            sessions: name of this browser's session, and all sessions of the user.
            name: what the user is called.
            notice: code of the message or notice to show; empty for none.
        """
        text = self._translate
        said = self._note(step.model_copy(update={"message": None}), notice)[0]
        page = self._page(
            state=step.state,
            heading=text(step.title_code),
            account=name,
            is_error=said is not None and said.kind == "error",
            notice=said,
        )
        parts = (
            self._factors(step, has),
            self._addresses(step, has),
            self._passkeys(step, has),
            self._password(step),
            self._devices(step, has),
            self._sessions(step, *sessions),
            self._ending(step),
        )
        sections = tuple(part for part in parts if part is not None)
        return self._with_sections(page, *sections)

    def change(
        self,
        step: Step,
        event: str,
        *,
        username: str = "",
        attribute: str = "",
        address: str = "",
        has_password: bool | None = True,
        notice: str = "",
        typed: Mapping[str, str] = MappingProxyType({}),
        problems: Mapping[str, str] = MappingProxyType({}),
    ) -> Page:
        """Return the page of one change.

        Args:
            step: the step at which it is chosen.
            event: event of the change.
            username: what the user signs in with, for password managers; empty if it needs none.
            attribute: which address is changed.
            address: the address before.
            has_password: whether the account has a password.
            notice: code of what to tell.
            typed: what was typed, by field.
            problems: what is wrong, by field.
        """
        action = next(one for one in step.actions if one.event == event)
        if event == "submit_address":
            action = _for_address(action, attribute, address)
        if event == "change_password" and has_password is False:
            kept = tuple(one for one in action.fields if one.name != "password")
            action = action.model_copy(update={"fields": kept})
        title = f"title.change_{attribute}" if attribute else f"action.{event}"
        names = {one.name for one in action.fields}
        told = step.message if step.message and step.message.code == notice else None
        if told is None and f"message.{notice}" in TEXTS:
            told = message(notice)
        if told is not None:
            field = _FIELDS.get(told.code, "")
            told = told.model_copy(update={"field": field if field in names else None})
        shown = step.model_copy(
            update={
                "title_code": title,
                "username": username,
                "actions": (action.model_copy(update={"is_main": True}),),
                "message": told,
            }
        )
        page = self.step(shown, notice="" if told else notice, typed=typed, problems=problems)
        lead = self._translate.parts(f"hint.{event}") if f"hint.{event}" in TEXTS else page.lead
        main = page.main
        if main and event == "delete_account":
            # Enter, held down on the link to this page, would confirm it.
            main = replace(main, is_first=False)
        return replace(page, main=main, lead=lead, pages=(self._back_link(),))

    def signed_in(self, name: str, link: str, *, notice: str = "", sign_out: str = "") -> Page:
        """Return the page of a user who is signed in, with a link to the account."""
        page = super().signed_in(name, link, notice=notice, sign_out=sign_out)
        own = Link(self._translate("title.managing"), f"{self._prefix}{ACCOUNT}")
        return replace(page, pages=(*page.pages, own))

    def setup(self, step: Step, *, notice: str) -> Page:
        """Return the page of what has to be confirmed."""
        page = self.step(step, notice=notice)
        if step.state is AccountState.REGISTERING_PASSKEY:
            page = replace(page, lead=self._translate.parts("hint.passkey_creation"))
        return page

    def offer(self, step: Step) -> Page:
        """Return the page that offers a second factor."""
        text = self._translate
        forms = tuple(
            self._button(
                step,
                one.event,
                {},
                label=text(one.label_code),
                kind="main" if one.is_main else "link" if one.ends_flow else "buttons",
            )
            for one in step.actions
        )
        page = self._page(
            state=str(step.state), heading=text(step.title_code), lead=text.parts("hint.offer")
        )
        return self._with_sections(page, Section("", forms=forms))

    def _with_sections(self, page: Page, *sections: Section) -> Page:
        ours, *of_application = page.styles
        own = static_url(self._prefix, "account.css")
        return replace(page, sections=sections, styles=(ours, own, *of_application))

    # ── sections ──

    def _factors(self, step: Step, has: AccountOverview) -> Section:
        text = self._translate
        factors = [
            factor
            for factor, name in _FACTORS
            if factor in has.second_factors or name in has.verified
        ]
        rows: list[Row] = []
        for factor in factors:
            is_used, is_first = factor in has.second_factors, factor == has.preferred
            state = "preferred" if is_first else "enabled" if is_used else "off"
            # Cognito asks for the only one of a user, preferred or not.
            hint = "only" if has.second_factors == (factor,) and not is_first else state
            uses = [use for use in ("preferred", "off") if use != state]
            if has.second_factors == (factor,) and self._mfa_required:
                uses = [use for use in uses if use != "off"]
            if state == "off":
                uses = ["enabled"] if has.second_factors else ["preferred"]
            forms = tuple(
                self._button(
                    step,
                    "use_factor",
                    {"factor": str(factor), "use": use},
                    label=text(f"action.use_factor.{'enabled' if state == 'off' else use}"),
                )
                for use in uses
                if "use_factor" in step.events
            )
            name = text(f"factor.{factor}")
            rows.append(Row(f"factor-{len(rows)}", name, text(f"hint.factor_{hint}"), forms))
        has_app = Factor.TOTP in has.second_factors  # a user has one at most
        label = text("action.replace_authenticator") if has_app else ""
        return Section(
            text("title.account_factors"),
            tuple(rows),
            links=self._own(step, "add_authenticator", label),
        )

    def _addresses(self, step: Step, has: AccountOverview) -> Section:
        text = self._translate
        rows: list[Row] = []
        for name in _ADDRESSES:
            address = has.addresses.get(name, "")
            detail = address
            if address and name not in has.verified:
                detail = f"{address} · {text('hint.not_confirmed')}"
            links = self._own(
                step,
                "submit_address",
                text("action.change" if address else "action.add"),
                attribute=name,
            )
            rows.append(Row(f"address-{len(rows)}", text(f"attribute.{name}"), detail, links=links))
        return Section(text("title.account_addresses"), tuple(rows))

    def _passkeys(self, step: Step, has: AccountOverview) -> Section:
        text = self._translate
        rows = [
            Row(
                f"passkey-{number}",
                one.name or text("field.passkey"),
                self._on("hint.added_on", one.created_at),
                (self._button(step, "remove_passkey", {"key": one.key}),),
            )
            for number, one in enumerate(has.passkeys)
        ]
        return Section(
            text("title.account_passkeys"), tuple(rows), links=self._own(step, "add_passkey")
        )

    def _password(self, step: Step) -> Section:
        return Section(self._translate("field.password"), links=self._own(step, "change_password"))

    def _devices(self, step: Step, has: AccountOverview) -> Section | None:
        rows = [
            Row(
                f"device-{number}",
                one.name or self._translate("field.device"),
                self._on("hint.last_used_on", one.last_signed_in_at),
                (self._button(step, "forget_device", {"key": one.key}),),
            )
            for number, one in enumerate(has.devices)
        ]
        if not rows:
            return None
        return Section(self._translate("title.account_devices"), tuple(rows))

    def _sessions(self, step: Step, own: str, sessions: list[ListedSession]) -> Section:
        text = self._translate
        rows = []
        for number, one in enumerate(sessions):
            begun, seen = (datetime.fromtimestamp(at, UTC) for at in (one.begun_at, one.seen_at))
            details = (
                text("hint.this_browser") if one.name == own else "",
                one.place,
                one.address,
                self._on("hint.signed_in_on", begun),
                self._on("hint.last_used_on", seen),
            )
            detail = " · ".join(part for part in details if part)
            form = self._button(
                step, "end_session", {"_session": one.name}, label=text("action.sign_out")
            )
            rows.append(Row(f"session-{number}", self._browser(one), detail, (form,)))
        everywhere: tuple[Form, ...] = ()
        if "sign_out_everywhere" in step.events:
            everywhere = (self._button(step, "sign_out_everywhere", {}),)
        return Section(text("title.account_sessions"), tuple(rows), forms=everywhere)

    def _browser(self, session: ListedSession) -> str:
        """Return the browser of a session, in words."""
        text, browser = self._translate, session.browser
        if not browser:
            return text("field.device")
        browser = text("hint.unknown_browser") if browser == _OTHER else browser
        if session.platform in {"", _OTHER}:
            return browser
        return text("hint.browser_on", browser=browser, platform=session.platform)

    def _ending(self, step: Step) -> Section:
        return Section("", links=self._own(step, "delete_account"))

    # ── parts ──

    def _button(
        self,
        step: Step,
        event: str,
        values: Mapping[str, str],
        *,
        label: str = "",
        kind: str = "link",
    ) -> Form:
        """Return a form of one button; its ID tells it from others of the same event."""
        label = label or self._translate(f"action.{event}")
        form = self._form(event, label, kind=kind, version=step.version)
        suffix = "".join(f"-{value}" for value in values.values()) if values else ""
        return replace(form, id=f"{form.id}{suffix}", hidden=(*form.hidden, *values.items()))

    def _own(self, step: Step, event: str, label: str = "", **more: str) -> tuple[Link, ...]:
        if event not in step.events:
            return ()
        url = f"{self._prefix}{ACCOUNT}?{urlencode({'for': event, **more})}"
        return (Link(label or self._translate(f"action.{event}"), url),)

    def _back_link(self) -> Link:
        return Link(self._translate("action.back_to_account"), f"{self._prefix}{ACCOUNT}")

    def _on(self, code: str, time: datetime | None) -> str:
        if time is None:
            return ""
        date = f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        # A date is not broken into two lines.
        return self._translate(code, date=date.replace("-", "\u2011").replace(" ", "\u00a0"))


_FACTORS: Final = (
    (Factor.TOTP, ""),
    *((factor, name) for name, (factor, _) in reversed(_ADDRESSES.items())),
)


class AccountHtml(Html):
    """The pages of a sign-in whose users change their accounts; see `Html`."""

    _site: AccountSite
    _builds = AccountPages

    def _pages(self) -> dict[str, dict[str, Callable[[Request], Response]]]:
        return {
            **super()._pages(),
            ACCOUNT: {"GET": self._show_account, "POST": self._post_account},
            f"{ACCOUNT}/offer": {"GET": self._show_offer},
        }

    # ── pages ──

    def _show_account(self, request: Request) -> Response:
        response = Response()
        user = self._site.user_of(request)
        if user is None:
            return self._sign_in_first(request, response)
        step = self._site.account_step(request, response, user)
        builder = self._account_builder(request, step)
        own, notice = _own(request), request.query.get("notice", "")
        if f"message.{notice}" in TEXTS and kind_of(f"message.{notice}") == "good":
            # Another site's link must not tell the user of a change that was not made.
            is_told = step.message is not None and step.message.code == notice
            notice = notice if is_told else ""
        if step.state is AccountState.OFFERING_FACTOR:
            return self._rendered(builder.offer(step), response)
        if step.state is not AccountState.MANAGING:
            return self._rendered(builder.setup(step, notice=notice), response)
        if step.message and (step.message.code in _NEWS_OF_TIME or "waited" in request.query):
            notice = notice or step.message.code
        if own in step.events:
            return self._show_change(request, response, user, step, own, notice)
        has = self._site.overview(request, response, user)
        if has is None:
            return self._sign_in_first(request, response, "signed_out_elsewhere")
        page = builder.account(
            step,
            has,
            self._site.sessions(request) or ("", []),
            name=_name(user, has),
            notice=notice,
        )
        return self._rendered(page, response)

    def _show_change(
        self,
        request: Request,
        response: Response,
        user: User,
        step: Step,
        own: str,
        notice: str,
        *,
        typed: Mapping[str, str] = MappingProxyType({}),
        problems: Mapping[str, str] = MappingProxyType({}),
    ) -> Response:
        """Return the page of one change; first the sign-in, if it is too long ago."""
        if not self._site.is_recent(user):
            return self._sign_in_again(request, response)
        attribute, address, has_password = _attribute(request), "", True
        if attribute or own == "change_password":
            has = self._site.overview(request, response, user)
            if has is None:
                return self._sign_in_first(request, response, "signed_out_elsewhere")
            address = has.addresses.get(attribute, "")
            has_password = has.has_password is not False
        page = self._account_builder(request, step).change(
            step,
            own,
            username=self._name_for_managers(user) if own == "change_password" else "",
            attribute=attribute,
            address=address,
            has_password=has_password,
            notice=notice,
            typed=typed,
            problems=problems,
        )
        return self._rendered(page, response)

    def _name_for_managers(self, user: User) -> str:
        """Return what the user signs in with, as a password manager has stored it."""
        claim = {"email": "email", "phone": "phone_number"}.get(self._identifier, "")
        return str(user.claims.get(claim) or user.username)

    def _show_offer(self, request: Request) -> Response:
        """Offer a second factor, and lead the user to the offer, or on if there is none."""
        onward, response = request.onward or self._home, Response()
        user = self._site.user_of(request)
        if user is None or self._site.offered(request, response, user) is None:
            return redirect(onward, response)
        return redirect(_account_url(request, then=onward), response)

    # ── forms ──

    def _post_account(self, request: Request) -> Response:
        response, form = Response(), request.form
        user = self._site.user_of(request)
        if user is None:
            closed = self._site.closed_step(request)
            if closed and closed.message:
                told = urlencode({"notice": closed.message.code})
                return redirect(f"{request.prefix}/?{told}", response)
            return self._sign_in_first(request, response)
        tokens = self._site.account_tokens(request, user)
        if not any(_has_token(form, token) for token in tokens):
            self._site.note_refusal(request, 303, "page_outdated")
            return redirect(_account_url(request, notice="page_outdated"), response)
        if form.get("_event") == "end_session":
            return self._end_session(request, response, user)
        try:
            event, version = self._account_event_of(form)
            browser = self._site.contexts.of_form(form)
            step = self._site.change_account(request, response, user, event, version, browser)
        except InvalidToken:
            return self._sign_in_again(request, response)
        except InvalidInput as error:
            return self._invalid_change(request, response, user, error)
        return self._changed(request, response, event, step)

    def _changed(
        self, request: Request, response: Response, event: AccountEvent, step: Step
    ) -> Response:
        """Return the answer to an event: a redirect to what comes next."""
        told = step.message.code if step.message else ""
        reason = step.reason.code if step.reason else ""
        if step.state is AccountState.CLOSED:
            if told == "signed_out_elsewhere":
                return self._sign_in_first(request, response, told)
            return redirect(f"{request.prefix}/?{urlencode({'notice': told})}", response)
        if reason == "sign_in_again":
            return self._sign_in_again(request, response, event.machine_event)
        if step.state is not AccountState.MANAGING:
            notice = "" if reason in {*_WITHOUT_NOTICE, "stale"} else reason
            return redirect(_account_url(request, notice=notice, then=_then(request)), response)
        if reason in {"stale", "not_allowed", "already_tried"}:
            # A double click finds what the first one has done. Another change was not made.
            is_done = told == _DONE.get(event.machine_event, told)
            notice = told if is_done and told else "page_outdated"
            is_failure = step.message is not None and step.message.kind == "error"
            notice = told if is_failure else notice
        else:
            notice = "" if reason in _WITHOUT_NOTICE else reason or told
        is_error = bool(reason) or (step.message is not None and step.message.kind == "error")
        own = _own(request)
        if is_error and own == event.machine_event and notice != "page_outdated":
            attribute = _attribute(request)
            return redirect(
                _account_url(request, own=own, attribute=attribute, notice=notice), response
            )
        if then := _then(request):
            return redirect(then, response)
        return redirect(_account_url(request, notice=notice), response)

    def _end_session(self, request: Request, response: Response, user: User) -> Response:
        name = request.form.get("_session", "")
        if self._site.end_named_session(request, response, user, name) == "sign_in_again":
            return self._sign_in_again(request, response)
        if response.removes_session:
            return redirect(self._after_sign_out, response)
        return redirect(_account_url(request), response)

    def _account_event_of(self, form: Fields) -> tuple[AccountEvent, int]:
        """Return the event of a form, and the version of the page that it was on."""
        fields: dict[str, object] = {"type": form.get("_event", "")}
        optional = form.get(OPTIONAL, "").split()
        for name, value in form.items():
            is_own = name in _NAMES and name not in FRAMEWORK_FIELDS and name != "type"
            if is_own and (value or name not in optional):
                fields[name] = value
        version = form.get("_version", "")
        if not (version.isascii() and version.isdigit() and len(version) < 9):
            raise InvalidInput("a form without the version of its page")
        return parse_account_event(fields), int(version)

    def _invalid_change(
        self, request: Request, response: Response, user: User, error: InvalidInput
    ) -> Response:
        """Return the page of a form that cannot be an event, with what was typed."""
        step, form = self._site.account_step(request, response, user), request.form
        problems = error.fields if isinstance(error, InvalidEvent) else {}
        problems = {name: why if form.get(name) else "missing" for name, why in problems.items()}
        own = _own(request)
        if step.state is AccountState.MANAGING and own in step.events and problems:
            typed = {"address": form.get("address", "").encode(errors="replace").decode()}
            response = self._show_change(
                request, response, user, step, own, "", typed=typed, problems=problems
            )
        elif problems.keys() & {one.name for one in step.fields} and step.state in _CONFIRMING:
            page = self._account_builder(request, step).step(step, problems=problems)
            response = self._rendered(page, response)
        else:
            return redirect(_account_url(request, notice="invalid_input"), response)
        if response.status == 200:
            response.status = 422
        return response

    # ── where else ──

    def _sign_in_first(self, request: Request, response: Response, notice: str = "") -> Response:
        query = {"next": _account_url(request, own=_own(request), attribute=_attribute(request))}
        query |= {"notice": notice} if notice else {}
        return redirect(f"{request.prefix}/?{urlencode(query, safe='/')}", response)

    def _sign_in_again(self, request: Request, response: Response, event: str = "") -> Response:
        """Redirect to the sign-in, which leads back to where the user is."""
        own = _own(request) or (event if event in _WITH_OWN_PAGE else "")
        back = _account_url(request, own=own, attribute=_attribute(request), then=_then(request))
        query = urlencode({"again": "1", "notice": "sign_in_again", "next": back}, safe="/")
        return redirect(f"{request.prefix}/?{query}", response)

    def _onward(self, request: Request, response: Response) -> Response:
        onward = super()._onward(request, response)
        if self._site.offer:
            query = urlencode({"next": request.onward}, safe="/") if request.onward else ""
            offer = f"{request.prefix}{ACCOUNT}/offer"
            return redirect(f"{offer}?{query}" if query else offer, onward)
        return onward

    def _account_builder(self, request: Request, step: Step) -> AccountPages:
        own = FlowId.parse(step.flow_id)
        hidden = {"_token": own.digest("csrf")}
        attribute = _attribute(request)
        if attribute:
            hidden["attribute"] = attribute
        waited = request.query.get("waited", "")
        return AccountPages(
            self._site.translators.best(request.languages),
            action=_account_url(
                request, own=_own(request), attribute=attribute, then=_then(request)
            ),
            prefix=request.prefix,
            hidden=hidden,
            mfa_required=self._site.mfa_required,
            look=self._look,
            identifier=self._identifier,
            waited=int(waited) if waited.isascii() and waited.isdigit() and len(waited) < 4 else 0,
            now=datetime.fromtimestamp(self._site.now(), UTC),
        )

    def _rendered(self, page: Page, response: Response | None = None) -> Response:
        if not page.sections:
            return super()._rendered(page, response)
        response = response or Response()
        render = self.renderer or self._jinja
        response.body = render("oncegate/account.html", page).encode()
        return response


_CONFIRMING = {AccountState.CONFIRMING_ADDRESS, AccountState.CONFIRMING_AUTHENTICATOR}


def _name(user: User, has: AccountOverview) -> str:
    """Return what the user is called. The claims have the old email address until a renewal."""
    name, email = user.display_name, has.addresses.get("email")
    return email if email and "email" in has.verified and name == user.claims.get("email") else name


def _own(request: Request) -> str:
    """Return the event whose own page a request is for; empty if it is for none."""
    own = request.query.get("for", "")
    if own == "submit_address" and not _attribute(request):
        return ""
    return own if own in _WITH_OWN_PAGE else ""


def _attribute(request: Request) -> str:
    found = request.query.get("attribute", "")
    return found if found in _ADDRESSES else ""


def _then(request: Request) -> str:
    """Return where the user goes on to after an offer; empty if nothing was offered."""
    return request.onward or ""


def _account_url(
    request: Request, *, own: str = "", attribute: str = "", notice: str = "", then: str = ""
) -> str:
    values = {"for": own, "attribute": attribute, "next": then, "notice": notice}
    query = urlencode({name: value for name, value in values.items() if value}, safe="/")
    return f"{request.prefix}{ACCOUNT}" + (f"?{query}" if query else "")


def _for_address(action: Action, attribute: str, before: str) -> Action:
    """Return the action with a field for the address of one kind, in which the one before is."""
    _, autocomplete = _ADDRESSES[attribute]
    (field,) = (one for one in action.fields if one.name == "address")
    update: dict[str, Any] = {
        "label_code": f"attribute.{attribute}",
        "autocomplete": autocomplete,
        "inputmode": autocomplete,
        "value": before,
    }
    return action.model_copy(update={"fields": (field.model_copy(update=update),)})
