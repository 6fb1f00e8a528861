"""`Html`: the pages over HTTP. A form that was taken is answered with a redirect: no reload posts."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from urllib.parse import urlencode

from oncegate import Event, InvalidInput, RecordUnreadable, Step
from oncegate.adapters import FlowId, parse_event
from oncegate_web.http import Request, Response, local_path, problem, redirect
from oncegate_web.pages import Page, PageBuilder, Renderer
from oncegate_web.sessions import User
from oncegate_web.site import Site

_UNSAID = {"stale", "in_flight", "signed_in", "finished"}
"""Reasons that need no words on a page: a double click is no mistake, and the page is the answer."""

_FRAMEWORKS = {"csrf_token", "csrfmiddlewaretoken"}
"""What Flask-WTF and Django post besides, for themselves."""


class Html:
    """The pages of one sign-in.

    Args:
        site: what they show.
        home: where to go after a sign-in that no page asked for, and after signing out.

    Attributes:
        renderer: makes HTML of a page; Jinja2 with our template where None.
    """

    def __init__(self, site: Site, *, home: str, renderer: Renderer | None) -> None:
        self._site = site
        self._home = home
        self.renderer = renderer

    def respond(self, request: Request) -> Response | None:
        """Answer a request for a page; None where there is no such page."""
        ways = {
            "/": {"GET": self._show, "POST": self._act},
            "/sign-out": {"POST": self._sign_out},
        }.get(request.path)
        if ways is None:
            return None
        method = "GET" if request.method == "HEAD" else request.method
        if method not in ways:
            response = problem(405, "wrong_method", "Method Not Allowed")
            response.headers["Allow"] = ", ".join(ways)
            return response
        return ways[method](request)

    def error_page(self, request: Request, status: int, code: str) -> Response:
        """A page that says what went wrong."""
        page = self._drawing(request, request.hidden).plain("failed", said=code)
        response = self._drawn(page)
        response.status = status
        return response

    def _show(self, request: Request) -> Response:
        flow_id, said = self._site.flow_id(request), request.query.get("said", "")
        if not flow_id and (user := self._site.user_of(request)):
            onward = local_path(request.query.get("next"))
            return redirect(onward) if onward else self._signed_in_page(request, user)
        step = self._site.current(flow_id)
        if step.state == "authenticated":
            return self._signed_in(request, Response(), step)
        is_new = step.flow_id != flow_id
        if flow_id and is_new and not said:
            said = "flow_expired"
        hidden = {"_token": FlowId.parse(step.flow_id).digest("csrf"), **request.hidden}
        response = self._drawn(self._drawing(request, hidden).step(step, said=said))
        if is_new:
            self._site.set_flow(request, response, step)
        return response

    def _act(self, request: Request) -> Response:
        response, form = Response(), request.form
        if form.get("_event") == "start":
            self._site.start(request, response)
            return self._back(request, response)
        try:
            token = FlowId.parse(self._site.flow_id(request)).digest("csrf")
        except InvalidInput:
            # The other tab has signed in already, or the browser has lost its cookies.
            said = "" if self._site.user_of(request) else "page_outdated"
            return self._back(request, response, said)
        if not _same(token, form):
            return self._back(request, response, "page_outdated")
        try:
            event, version = _event_of(form)
            step = self._site.send(request, response, event, version)
        except InvalidInput:
            return self._back(request, response, "invalid_input")
        except RecordUnreadable:
            return self._back(request, response)  # the page that is shown then starts a new flow
        if step.state == "authenticated":
            return self._signed_in(request, response, step)
        reason = step.reason.code if step.reason else ""
        return self._back(request, response, "" if reason in _UNSAID else reason)

    def _sign_out(self, request: Request) -> Response:
        response = Response()
        if not _same(self._site.sign_out_token(request), request.form):
            return self._back(request, response, "page_outdated")
        self._site.end_session(request, response)
        return redirect(self._home, response)

    def _signed_in(self, request: Request, response: Response, step: Step) -> Response:
        """Send somebody who is signed in where they wanted to go."""
        self._site.begin_session(request, response, step)
        self._site.set_flow(request, response, None)
        return redirect(local_path(request.query.get("next")) or self._home, response)

    def _signed_in_page(self, request: Request, user: User) -> Response:
        hidden = {"_token": self._site.sign_out_token(request), **request.hidden}
        name = str(user.claims.get("name") or user.claims.get("email") or user.username)
        page = self._drawing(request, hidden).plain("authenticated", name=name, link=self._home)
        return self._drawn(page)

    def _back(self, request: Request, response: Response, said: str = "") -> Response:
        """To the page of the current step."""
        return redirect(_with_query(request, said=said), response)

    def _drawing(self, request: Request, hidden: Mapping[str, str]) -> PageBuilder:
        return PageBuilder(
            self._site.languages.words(request.languages),
            action=_with_query(request),
            sign_out=f"{request.prefix}/sign-out",
            static=f"{request.prefix}/static",
            hidden=hidden,
            now=datetime.fromtimestamp(self._site.now(), UTC),
        )

    def _drawn(self, page: Page) -> Response:
        render = self.renderer or self._jinja
        return Response(body=render("oncegate/page.html", page).encode())

    @cached_property
    def _jinja(self) -> Renderer:
        from oncegate_web.jinja import JinjaRenderer

        return JinjaRenderer()


def _with_query(request: Request, said: str = "") -> str:
    """The address of the page, with the way onward that was asked for."""
    asked = {"next": local_path(request.query.get("next")) or "", "said": said}
    query = urlencode({name: value for name, value in asked.items() if value}, safe="/")
    return f"{request.prefix}/" + (f"?{query}" if query else "")


def _same(token: str, form: Mapping[str, str]) -> bool:
    return hmac.compare_digest(token.encode(), form.get("_token", "").encode())


def _event_of(form: Mapping[str, str]) -> tuple[Event, int]:
    """The event in a form, and the version of the page that it was on."""
    fields: dict[str, object] = {"type": form.get("_event", "")}
    attributes = {}
    for name, value in form.items():
        if name.startswith("attributes."):
            attributes[name.removeprefix("attributes.")] = value
        elif not name.startswith("_") and name not in _FRAMEWORKS:
            fields[name] = value
    if attributes:
        fields["attributes"] = attributes
    version = form.get("_version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 9):
        raise InvalidInput("a form without the version of its page")
    return parse_event(fields), int(version)
