"""`Html`: the pages over HTTP. A posted form is answered with a redirect: no reload posts it again."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from types import MappingProxyType
from urllib.parse import urlencode

from oncegate import (
    Event,
    InvalidInput,
    RememberDevice,
    SignInWith,
    Step,
    SubmitAuthorization,
)
from oncegate.adapters import EVENT_TYPES, InvalidEvent, parse_event
from oncegate_web._context import FRAMEWORK_FIELDS, BrowserContext
from oncegate_web._translations import Identifier
from oncegate_web._user import User
from oncegate_web.http import (
    CALLBACK,
    Fields,
    Request,
    Response,
    local_path,
    redirect,
    wrong_method,
)
from oncegate_web.pages import (
    OPTIONAL,
    Look,
    Page,
    PageBuilder,
    Renderer,
    action_of_own_page,
)
from oncegate_web.site import Site, begins_sign_in, misconfigured_step

_WITHOUT_NOTICE = {"stale", "in_flight", "signed_in", "finished"}
"""Reasons that no page shows: a double click is not an error, and the page is the answer."""

_AFTER_FAILURES = {"request_failed", "updating"}
"""Notices after a form whose request failed; see `Html.after_failure`."""

_OF_LOST_CALLS = {"outcome_unknown", "answer_outcome_unknown", "stalled", "confirm_answer"}
"""Messages of a step that say more than a notice after a failure."""

_AFTER_A_CANCEL = {"cancelled", "finished", "not_allowed", "page_outdated"}
"""Reasons why a second click on "Back to sign in" changes nothing."""

_ENDING = {kind.machine_event for kind in EVENT_TYPES if kind.ends_flow}
"""Events with which the user gives up. To do so twice is no mistake."""

_TYPED = {"username", "email"}
"""Fields that a page shows again after a mistake; attributes are too. Codes and passwords never are."""

_OWN_PAGE = "for"
"""Parameter of the URL: event of the action whose own page is shown."""

_AGAIN = "again"
"""Parameter of the URL: a user who is signed in is to sign in once more."""

_EVENT = re.compile(r"[a-z_]{1,40}")
_ANSWER = ("state", "code", "error", "error_description")
"""Parameters of an authorization response (RFC 6749, 4.1.2)."""

_REFERENCE = 12
"""Characters of the flow's name in the log that a page shows."""

_MISCONFIGURED = "misconfigured"
"""Notice after a sign-in whose tokens were invalid."""


class Html:
    """The pages of one sign-in.

    Args:
        site: the sign-in.
        home: URL after sign-in without ``next``.
        after_sign_out: URL after sign-out without ``next``.
        redirect_authenticated_user: whether a user who is signed in is redirected at once.
        renderer: renders a page to HTML. None: Jinja2 with the bundled template.
        look: the application's part of each page.
        identifier: what users sign in with.
        security_script: path of AWS's script for threat protection; empty for none.
    """

    _builds: type[PageBuilder] = PageBuilder

    def __init__(
        self,
        site: Site,
        *,
        home: str,
        after_sign_out: str,
        redirect_authenticated_user: bool,
        renderer: Renderer | None,
        look: Look,
        identifier: Identifier = "username",
        security_script: str = "",
    ) -> None:
        self._site = site
        self._look = look
        self._identifier = identifier
        self._security_script = security_script
        self._home = home
        self._after_sign_out = after_sign_out
        self._redirects_authenticated_user = redirect_authenticated_user
        self.renderer = renderer

    def respond(self, request: Request) -> Response | None:
        """Answer a request for a page; return None if there is no such page."""
        methods = self._pages().get(request.path)
        if methods is None:
            return None
        method = "GET" if request.method == "HEAD" else request.method
        if request.method == "HEAD" and request.path == CALLBACK:
            return redirect(f"{request.prefix}/")  # it would use the code up
        if method not in methods:
            return wrong_method(methods)
        return methods[method](request)

    def _pages(self) -> dict[str, dict[str, Callable[[Request], Response]]]:
        """Return what answers the requests for each page, by path and method."""
        return {
            "/": {"GET": self._show, "POST": self._post},
            "/sign-out": {"GET": self._ask_sign_out, "POST": self._sign_out},
            CALLBACK: {"GET": self._come_back},
        }

    def error_page(self, request: Request, status: int, code: str) -> Response:
        """Return an error page.

        Args:
            request: the request that failed.
            status: HTTP status.
            code: code of the notice to show.
        """
        link = _with_query(request) if status >= 500 else ""
        response = self._rendered(self._builder(request, {}).error(code, link=link))
        response.status = status
        return response

    def forbidden_page(self, request: Request) -> Response:
        """Return the page in place of one of the application that the user may not see."""
        response = self._rendered(self._builder(request, {}).forbidden())
        response.status = 403
        return response

    def not_signed_in_page(self, request: Request, link: str) -> Response:
        """Return the page in place of the answer to a form whose user has to sign in.

        Args:
            request: the form's.
            link: URL of the sign-in.
        """
        response = self._rendered(self._builder(request, {}).not_signed_in(link))
        response.status = 401
        return response

    def outage_page(self, request: Request) -> Response:
        """Return the page in place of one of the application, if its user cannot be determined.

        Args:
            request: its path is the whole path, with the query.
        """
        link = local_path(request.path) or ""
        builder = self._builder(request, {})
        return self._rendered(builder.error("store_unavailable", link=link, can_start=False))

    def after_failure(self, request: Request, code: str) -> Response:
        """Return the answer to a form that could not be processed: the page of the current step.

        A page in the answer to a POST would be posted again by a reload.

        Args:
            request: the request that failed.
            code: code of the notice to show.
        """
        return self._back(request, Response(), code, request.query.get(_OWN_PAGE, ""))

    def _show(self, request: Request) -> Response:
        own, notice = self._site.own_flow(request), request.query.get("notice", "")
        step = self._site.step(request)
        is_cancelled = step is not None and _is_cancelled(step)
        if is_cancelled:
            step = None  # a choice of the user, and no news
        is_again = _AGAIN in request.query
        if step is None and not is_again and (user := self._site.user_of(request)):
            response = self._signed_in(request, user, notice)
            if own:
                self._site.set_flow(request, response, None)
            return response
        if step is None and notice == _MISCONFIGURED:
            # No form to sign in with: it would end in the same way, after another code.
            builder = self._builder(request, {})
            return self._rendered(builder.step(misconfigured_step()))
        is_new = step is None
        step = step or self._site.new_step()
        after_failure = notice in _AFTER_FAILURES
        if is_cancelled:
            notice = "" if notice in _AFTER_A_CANCEL else notice
        elif own and is_new and (after_failure or not notice):
            notice = "flow_expired"
        elif after_failure and (
            not step.actions or (step.message and step.message.code in _OF_LOST_CALLS)
        ):
            notice = ""  # the step says what happened, or that a call is still under way
        page = self._builder(request, step=step).step(
            step, own=request.query.get(_OWN_PAGE, ""), notice=notice
        )
        response = self._rendered(page)
        if is_new:
            self._site.set_flow(request, response, step)
        return response

    def _post(self, request: Request) -> Response:
        response, form = Response(), request.form
        if form.get("_event") == "start":
            # Another tab may have begun anew, and be waiting for its code.
            self._site.live_or_new(request, response)
            return self._back(request, response)
        flows = self._site.flows(request)
        is_late = form.get("_event") in _ENDING  # if this browser's flow has ended meanwhile
        if not flows:
            # The other tab has signed in already, or the browser has lost its cookies.
            notice = "" if is_late or self._site.user_of(request) else "page_outdated"
            return self._back(request, response, notice)
        # Of any flow that the browser has: two first pages at once are of one flow each. The event is
        # for the browser's own flow, whose version says whether it is late.
        if not any(_has_token(form, flow.digest("csrf")) for flow in flows):
            self._site.note_refusal(request, 303, "page_outdated")
            return self._back(request, response, "" if is_late else "page_outdated")
        try:
            event, version = _event_of(form, self._site.contexts.not_of_event(form))
            if begins_sign_in(event):
                kept = form.get("_keep_signed_in") == "on"
                self._site.keep_signed_in(request, response, kept)
            browser = self._site.contexts.of_form(form)
            step = self._site.send(request, response, event, version, browser)
        except InvalidInput as error:
            return self._invalid(request, form, error)
        if step.authorize_url and _is_chosen(event, step):
            self._site.keep_next(request, response, request.onward)
            page = self._builder(request).elsewhere(step.authorize_url)
            return self._rendered(page, response)
        if self._is_refused_here(request, step):
            return self._refused_here(request, response, step)
        return self._answered(request, response, event, step)

    def _answered(self, request: Request, response: Response, event: Event, step: Step) -> Response:
        """Return the answer to an event: a redirect to what comes next."""
        # Only the request that carried the accepted answer receives the session.
        if step.session_id and not self._site.begin_session(request, response, step):
            self._site.set_flow(request, response, None)
            is_refused = self._site.is_refused(step)  # otherwise signed out meanwhile
            return self._back(request, response, _MISCONFIGURED if is_refused else "flow_expired")
        if step.state == "authenticated" and (step.session_id or _is_about_device(event)):
            return self._onward(request, response)
        reason = step.reason.code if step.reason else ""
        notice = "" if reason in _WITHOUT_NOTICE else reason
        own = request.query.get(_OWN_PAGE, "")
        if action_of_own_page(step, own) is None:
            return self._back(request, response, notice)
        # The action was tried on its own page, and failed: it can be tried again there.
        if step.message and not reason:
            notice = step.message.code
        return self._back(request, response, notice, own)

    def _is_refused_here(self, request: Request, step: Step) -> bool:
        """Return whether an event of an action's own page was refused, for a reason that is shown."""
        reason = step.reason.code if step.reason else ""
        is_shown = reason not in {"", *_WITHOUT_NOTICE}
        own = request.query.get(_OWN_PAGE, "")
        return is_shown and (
            action_of_own_page(step, own) is not None or step.state == "signing_up"
        )

    def _refused_here(self, request: Request, response: Response, step: Step) -> Response:
        """Return an action's page after its event was refused, with what was typed.

        It is no redirect: nothing was done, so a reload may post it again.
        """
        assert step.reason is not None
        own = request.query.get(_OWN_PAGE, "")
        fields = (action_of_own_page(step, own) or step.actions[0]).fields
        empty = {f.name: "missing" for f in fields if f.required and not request.form.get(f.name)}
        page = self._builder(request, step=step).step(
            step,
            own=own,
            notice=step.reason.code,
            typed=_typed(request.form),
            problems=empty if step.reason.code.endswith("_missing") else {},
        )
        response = self._rendered(page, response)
        response.status = 422
        return response

    def _come_back(self, request: Request) -> Response:
        """Take what the browser brings back from an identity provider (RFC 6749, 4.1.2).

        Code and state stay in no address that is shown, and no page has them as its referrer. A reload,
        another browser, or a callback for another sign-in shows where the user is, and sends nothing.
        """
        response = Response(headers={"Referrer-Policy": "no-referrer"})
        step = self._site.step(request)
        onward = self._site.kept_next(request)
        page = replace(request, path="/", query=Fields({"next": onward} if onward else {}))
        if step is None or SubmitAuthorization.machine_event not in step.events:
            is_new = step is not None and step.state == "idle" and step.message is None
            has_none = step is None and self._site.own_flow(request) is None
            if is_new or (has_none and self._site.user_of(request) is None):
                return self._not_this_sign_in(page, response)
            return self._back(page, response)  # a reload, or Back
        try:
            event = _authorization_of(request.query)
            step = self._site.send(request, response, event, step.version, BrowserContext())
        except InvalidInput:
            return self._not_this_sign_in(page, response)
        if step.state == "authenticated":
            self._site.keep_next(request, response, None)
        return self._answered(page, response, event, step)

    def _not_this_sign_in(self, page: Request, response: Response) -> Response:
        """Answer what another browser, or another site, asked a provider for."""
        self._site.note_refusal(page, 303, "not_this_sign_in")
        return self._back(page, response, "not_this_sign_in")

    def _invalid(self, request: Request, form: Fields, error: InvalidInput) -> Response:
        """Return the page of a form that cannot be an event, with what was typed.

        It is no redirect: nothing was done, so a reload may post it again.
        """
        step = self._site.step(request)
        problems = error.fields if isinstance(error, InvalidEvent) else {}
        if step is None or not problems.keys() & _names_of_fields(step):
            own = request.query.get(_OWN_PAGE, "")
            return self._back(request, Response(), "invalid_input", own)
        # A form has every field of its page, so a missing one is an empty one.
        problems = {name: why if form.get(name) else "missing" for name, why in problems.items()}
        page = self._builder(request, step=step).step(
            step,
            own=request.query.get(_OWN_PAGE, ""),
            typed=_typed(form),
            problems=problems,
        )
        response = self._rendered(page)
        response.status = 422
        return response

    def _ask_sign_out(self, request: Request) -> Response:
        """Return the page with the button: a link must not sign out, because other sites have links."""
        user = self._site.user_of(request)
        if user is None:
            return redirect(request.onward or self._after_sign_out)
        builder = self._builder_of_user(request)
        query = urlencode({"next": request.onward}, safe="/") if request.onward else ""
        page = builder.signed_in(
            user.display_name,
            self._home,
            sign_out=f"{request.prefix}/sign-out" + (f"?{query}" if query else ""),
        )
        return self._rendered(page)

    def _sign_out(self, request: Request) -> Response:
        response = Response()
        # A form of the application has no token of ours. Browsers say where it was (Fetch, 3.2; Fetch
        # Metadata), and what other sites post has been refused.
        is_from_here = "origin" in request.headers or "sec-fetch-site" in request.headers
        if not (is_from_here or _has_token(request.form, self._site.sign_out_token(request))):
            self._site.note_refusal(request, 303, "page_outdated")
            return self._back(request, response, "page_outdated")
        elsewhere = self._site.logout_url(request)
        self._site.end_session(request, response)
        if elsewhere:
            return self._rendered(self._builder(request).elsewhere(elsewhere), response)
        return redirect(request.onward or self._after_sign_out, response)

    def _onward(self, request: Request, response: Response) -> Response:
        """Redirect a user who has signed in to where the sign-in was requested."""
        self._site.set_flow(request, response, None)
        return redirect(request.onward or self._home, response)

    def _signed_in(self, request: Request, user: User, notice: str) -> Response:
        """Return the page of a user who is signed in.

        By default it does not redirect: a page that this user may not see would lead back here.
        """
        onward = request.onward or self._home
        if self._redirects_authenticated_user:
            return redirect(onward)
        shown = notice if notice in _AFTER_FAILURES else ""
        builder = self._builder_of_user(request)
        return self._rendered(builder.signed_in(user.display_name, onward, notice=shown))

    def _builder_of_user(self, request: Request) -> PageBuilder:
        return self._builder(request, {"_token": self._site.sign_out_token(request)})

    def _back(
        self, request: Request, response: Response, notice: str = "", own: str = ""
    ) -> Response:
        """Redirect to the page of the current step, or to an action's own page."""
        return redirect(_with_query(request, notice=notice, own=own), response)

    def _builder(
        self,
        request: Request,
        hidden: Mapping[str, str] = MappingProxyType({}),
        *,
        step: Step | None = None,
    ) -> PageBuilder:
        text, reference = self._site.translators.best(request.languages), ""
        if step is not None:
            own = request.flow_id(step.flow_id)
            hidden = {"_token": own.digest("csrf")}
            reference = text("hint.reference", reference=own.key[:_REFERENCE])
        waited = request.query.get("waited", "")
        is_kept = "_keep_signed_in" in request.form or self._site.is_kept(request, Response())
        return self._builds(
            text,
            action=_with_query(request, own=request.query.get(_OWN_PAGE, "")),
            prefix=request.prefix,
            own_page=partial(_own_page, request),
            hidden=hidden,
            look=self._look,
            identifier=self._identifier,
            reference=reference,
            is_kept=is_kept,
            waited=int(waited) if waited.isascii() and waited.isdigit() and len(waited) < 4 else 0,
            security_script=self._security_script,
            app_id=self._site.app_id,
            now=datetime.fromtimestamp(self._site.now(), UTC),
        )

    def _rendered(self, page: Page, response: Response | None = None) -> Response:
        response = response or Response()
        render = self.renderer or self._jinja
        response.body = render("oncegate/page.html", page).encode()
        return response

    @cached_property
    def _jinja(self) -> Renderer:
        from oncegate_web._jinja import default_renderer

        return default_renderer()


def _is_chosen(event: Event, step: Step) -> bool:
    """Return whether the user has just chosen the provider that a flow waits for, or did so twice."""
    reason = step.reason.code if step.reason else ""
    return isinstance(event, SignInWith) and reason in {"", *_WITHOUT_NOTICE}


def _is_about_device(event: Event) -> bool:
    """Return whether an event can only follow the answer that received the session."""
    return isinstance(event, RememberDevice)


def _with_query(request: Request, notice: str = "", own: str = "") -> str:
    """Return the URL of the page, with the ``next`` of the request.

    Args:
        request: the request.
        notice: code of a notice to show.
        own: event of the action whose own page it is; empty for that of the step.
    """
    onward = request.onward or ""
    values = {_OWN_PAGE: own if _EVENT.fullmatch(own) else "", "next": onward, "notice": notice}
    query = urlencode({name: value for name, value in values.items() if value}, safe="/")
    return f"{request.prefix}/" + (f"?{query}" if query else "")


def _own_page(request: Request, event: str) -> str:
    return _with_query(request, own=event)


def _is_cancelled(step: Step) -> bool:
    return step.state == "failed" and step.message is not None and step.message.code == "cancelled"


def _names_of_fields(step: Step) -> set[str]:
    return {one.name for action in step.actions for one in action.fields}


def _typed(form: Fields) -> dict[str, str]:
    """Return what a page shows again after a mistake, as valid Unicode."""
    return {
        name: value.encode(errors="replace").decode()
        for name, value in form.items()
        if name in _TYPED or name.startswith("attributes.")
    }


def _has_token(form: Fields, token: str) -> bool:
    return hmac.compare_digest(token.encode(), form.get("_token", "").encode(errors="replace"))


def _authorization_of(query: Fields) -> Event:
    """Return the event of an authorization response. No frame that stays holds its values."""
    found = {name: query.get(name) for name in _ANSWER}
    fields: dict[str, object] = {name: value for name, value in found.items() if value}
    return parse_event({"type": SubmitAuthorization.machine_event, **fields})


def _event_of(form: Fields, not_of_event: frozenset[str]) -> tuple[Event, int]:
    """Return the event of a form, and the version of the page that it was on.

    Args:
        form: the posted fields.
        not_of_event: names of fields that are client metadata.
    """
    fields: dict[str, object] = {"type": form.get("_event", "")}
    attributes = {}
    optional = form.get(OPTIONAL, "").split()
    for name, value in form.items():
        if not value and name in optional:
            continue  # forms have every input, also those that were left empty
        if name.startswith("attributes."):
            attributes[name.removeprefix("attributes.")] = value
        elif not name.startswith("_") and name not in FRAMEWORK_FIELDS | not_of_event:
            fields[name] = value
    if attributes:
        fields["attributes"] = attributes
    version = form.get("_version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 9):
        raise InvalidInput("a form without the version of its page")
    return parse_event(fields), int(version)
