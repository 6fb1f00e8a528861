"""`WebSignIn`: the pages and the JSON API, for any framework. The rooms beside it only translate."""

from __future__ import annotations

import hashlib
import hmac
import mimetypes
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlencode

from oncegate import (
    FlowStore,
    InvalidInput,
    OncegateError,
    RecordUnreadable,
    SealingKeys,
    SignIn,
    Step,
    StoreUnavailable,
    SystemClock,
    Transport,
    Unreachable,
    parse_event,
)
from oncegate.events import Event
from oncegate.installed import installed
from oncegate.seal import FlowId
from oncegate_web.api import Api
from oncegate_web.exchange import (
    DEVICE,
    FLOW,
    LARGEST_BODY,
    SESSION,
    Cookie,
    Request,
    Response,
    local_path,
    problem,
    redirect,
)
from oncegate_web.pages import Drawing, Page, Renderer
from oncegate_web.sessions import CookieSessions, StoreSessions, User, revoke
from oncegate_web.words import SAID, Languages, Words

_YEAR = 365 * 86400
_PARKED = 600.0
"""Seconds for which a session that lives in cookies is kept for who clicks twice on the last page."""

_UNSAID = {"stale", "in_flight", "signed_in", "finished"}
"""Reasons that need no words on a page: a double click is no mistake, and the page is the answer."""

_STATIC = Path(__file__).with_name("static")
_API = ("/flows", "/session", "/openapi.json")


class WebSignIn:
    """A sign-in on the web: make one for an application and hand it to the framework's room.

    Args:
        transport: to Cognito.
        store: of flows and sessions, shared by all workers.
        keys: seal cookies and sessions; the same in all workers. 16 characters or more.
        home: where to go after a sign-in that was not asked for by a page, and after signing out.
        sessions: whether the tokens stay on the server, or go into sealed cookies.
        session_lifetime: seconds; that of the app client's refresh tokens.
        secure: whether cookies are for HTTPS only; as the request came where None.
        origins: other origins whose scripts may use the JSON API, such as
            ``https://app.example.com``. They have to be of the same site.
        rate_limit: asked before anything is done with a POST; False answers 429.
        renderer: makes HTML of a page; Jinja2 with our template where None.
        locales: folders with gettext catalogues of your own.
        frame_ancestors: of the Content-Security-Policy; nobody may frame the pages as it is.
        driver: further arguments of `oncegate.SignIn`, such as ``keep_password``.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        store: FlowStore,
        keys: SealingKeys | str,
        home: str = "/",
        sessions: Literal["server", "cookie"] = "server",
        session_lifetime: float = 30 * 86400.0,
        secure: bool | None = None,
        origins: Iterable[str] = (),
        rate_limit: Callable[[Request], bool] | None = None,
        renderer: Renderer | None = None,
        locales: Iterable[Path] = (),
        frame_ancestors: str = "'none'",
        **driver: Any,
    ) -> None:
        self.keys = keys if isinstance(keys, SealingKeys) else SealingKeys(keys)
        self.home = home
        self.origins = frozenset(origins)
        self.languages = Languages(locales)
        self.renderer = renderer
        self.secure = secure
        self._transport = transport
        self._rate_limit = rate_limit
        self._frame_ancestors = frame_ancestors
        clock = driver.setdefault("clock", SystemClock())
        self._now = clock.now
        self._in_cookies = (
            CookieSessions(self.keys, now=clock.now) if sessions == "cookie" else None
        )
        self._sessions = StoreSessions(
            store,
            transport,
            self.keys,
            lifetime=_PARKED if self._in_cookies else session_lifetime,
            now=clock.now,
            sleep=clock.sleep,
        )
        self._session_lifetime = int(session_lifetime)
        self.sign_in = SignIn(
            transport=transport, store=store, keeper=self._sessions, keys=self.keys, **driver
        )
        self._vault = installed("vaults", "cookie", "web")
        self._app = getattr(getattr(transport, "app", None), "client_id", "")
        self._api = Api(self)

    # ── for the application ──

    def user_of(self, request: Request) -> User | None:
        """Who is signed in where a request comes from, if anybody.

        Raises:
            StoreUnavailable: the store did not answer.
            Unreachable: the tokens are to be renewed, and Cognito did not answer.
        """
        if self._in_cookies:
            return self._in_cookies.find(self._pieces(request))
        return self._sessions.find(request.cookies.get(self._name(SESSION, request)))

    def login_url(self, request: Request, prefix: str) -> str:
        """Where to send somebody who has to sign in first, and comes back to this request after."""
        return f"{prefix}/?next={quote(request.path, safe='/')}"

    def respond(self, request: Request) -> Response:
        """Answer one request below the mount point. Never raises what oncegate raises."""
        words = self.languages.words(request.languages)
        try:
            response = self._cross_origin(request) or self._limited(request) or self._route(request)
        except (StoreUnavailable, Unreachable):
            response = self._apology(request, 503, "store_unavailable")
            response.headers["Retry-After"] = "10"
        except OncegateError:
            response = self._apology(request, 500, "store_unavailable")
        response.headers = {**self._headers(request, words), **response.headers}
        return response

    # ── which request is for what ──

    def _route(self, request: Request) -> Response:
        if len(request.body) > LARGEST_BODY:
            return problem(413, "too_large", "Content Too Large")
        if request.path.startswith(_API):
            return self._api.respond(request)
        if request.path.startswith("/static/"):
            return self._static_file(request)
        ways = {
            "/": {"GET": self._show, "POST": self._act},
            "/sign-out": {"POST": self._sign_out},
        }.get(request.path)
        if ways is None:
            return self._apology(request, 404, "not_found")
        method = "GET" if request.method == "HEAD" else request.method
        if method not in ways:
            response = problem(405, "wrong_method", "Method Not Allowed")
            response.headers["Allow"] = ", ".join(ways)
            return response
        return ways[method](request)

    def _limited(self, request: Request) -> Response | None:
        if request.method != "POST" or self._rate_limit is None or self._rate_limit(request):
            return None
        response = self._apology(request, 429, "too_many_requests")
        response.headers["Retry-After"] = "60"
        return response

    # ── pages ──

    def _show(self, request: Request) -> Response:
        flow_id, said = (
            request.cookies.get(self._name(FLOW, request)),
            request.query.get("said", ""),
        )
        if not flow_id and (user := self.user_of(request)):
            onward = local_path(request.query.get("next"))
            return redirect(onward) if onward else self._signed_in_page(request, user)
        step = self.current(flow_id)
        if step.state == "authenticated":
            return self.signed_in(request, step)
        if flow_id and step.flow_id != flow_id and not said:
            said = "flow_expired"
        response = self._html(self._drawing(request, step).step(step, said=said))
        if step.flow_id != flow_id:
            response.cookies.append(self.cookie(FLOW, step.flow_id, request))
        return response

    def _act(self, request: Request) -> Response:
        flow_id, form = request.cookies.get(self._name(FLOW, request), ""), request.form
        if form.get("_event") == "start":
            response = self._back(request)
            response.cookies.append(self.cookie(FLOW, self.sign_in.start().flow_id, request))
            return response
        try:
            token = FlowId.parse(flow_id).digest("csrf")
        except InvalidInput:
            # The other tab has signed in already, or the browser has lost its cookies.
            return self._back(request, "" if self.user_of(request) else "page_outdated")
        if not hmac.compare_digest(token.encode(), form.get("_token", "").encode()):
            return self._back(request, "page_outdated")
        try:
            event, version = _event_of(form)
        except InvalidInput:
            return self._back(request, "invalid_input")
        vault = self.vault(request)
        try:
            step = self.sign_in.send(
                flow_id, event, version=version, vault=vault, source=request.client
            )
        except RecordUnreadable:
            return self._back(request)  # the page that is shown then starts a new flow
        reason = step.reason.code if step.reason else ""
        said = "" if reason in _UNSAID else reason
        is_done = step.state == "authenticated"
        response = self.signed_in(request, step) if is_done else self._back(request, said)
        self.keep_device(response, request, vault)
        return response

    def _sign_out(self, request: Request) -> Response:
        if not hmac.compare_digest(
            self._sign_out_token(request).encode(), request.form.get("_token", "").encode()
        ):
            return self._back(request, "page_outdated")
        response = redirect(self.home)
        self.sign_out(request, response)
        return response

    def sign_out(self, request: Request, response: Response) -> None:
        """End the session a request belongs to, and delete its cookies."""
        if self._in_cookies and (user := self.user_of(request)):
            revoke(self._transport, user.tokens)
        self._sessions.drop(request.cookies.get(self._name(SESSION, request)))
        names = [FLOW, *(name for name in self._session_names() if name)]
        response.cookies += [self.cookie(name, None, request) for name in names]

    def _signed_in_page(self, request: Request, user: User) -> Response:
        hidden = {"_token": self._sign_out_token(request), **request.hidden}
        drawing = self._drawing(request, None, hidden)
        page = drawing.plain("authenticated", name=_name_for(user), link=self.home)
        return self._html(page)

    def _apology(self, request: Request, status: int, code: str) -> Response:
        words = self.languages.words(request.languages)
        if request.path.startswith(_API) or not request.wants_html:
            return problem(status, code, words(SAID[code]))
        page = self._drawing(request, None, request.hidden).plain("failed", said=code)
        response = self._html(page)
        response.status = status
        return response

    def _back(self, request: Request, said: str = "") -> Response:
        """To the page of the current step, which is a GET: a reload of it posts nothing."""
        onward = local_path(request.query.get("next"))
        asked = {"next": onward or "", "said": said}
        query = urlencode({name: value for name, value in asked.items() if value}, safe="/")
        return redirect(f"{request.prefix}/" + (f"?{query}" if query else ""))

    def _drawing(
        self, request: Request, step: Step | None, hidden: Mapping[str, str] | None = None
    ) -> Drawing:
        if hidden is None:
            token = FlowId.parse(step.flow_id).digest("csrf") if step else ""
            hidden = {"_token": token, **request.hidden}
        onward = local_path(request.query.get("next"))
        query = f"?{urlencode({'next': onward}, safe='/')}" if onward else ""
        return Drawing(
            self.languages.words(request.languages),
            action=f"{request.prefix}/{query}",
            static=f"{request.prefix}/static",
            hidden=hidden,
            now=datetime.fromtimestamp(self._now(), UTC),
        )

    def _html(self, page: Page) -> Response:
        render = self.renderer or self._jinja
        return Response(body=render("oncegate/page.html", page).encode())

    @cached_property
    def _jinja(self) -> Renderer:
        from oncegate_web.jinja import JinjaRenderer

        return JinjaRenderer()

    # ── what pages and API share ──

    def current(self, flow_id: str | None) -> Step:
        """The step of a flow that a browser has a cookie of; of a new one where that is over or bad."""
        if flow_id:
            try:
                step = self.sign_in.get(flow_id)
            except (InvalidInput, RecordUnreadable):
                return self.sign_in.start()
            is_gone = step.state == "failed" and step.version == 0
            has_ended = step.state == "authenticated" and not self._sessions.find(step.session_name)
            if not (is_gone or has_ended):
                return step
        return self.sign_in.start()

    def signed_in(self, request: Request, step: Step) -> Response:
        """Send somebody who is signed in where they wanted to go."""
        response = redirect(local_path(request.query.get("next")) or self.home)
        self.begin_session(response, request, step)
        response.cookies.append(self.cookie(FLOW, None, request))
        return response

    def begin_session(self, response: Response, request: Request, step: Step) -> None:
        """Give the browser its session: the same one for whoever clicks twice on the last page."""
        if self._in_cookies:
            parked = self._sessions.find(step.session_name)
            pieces = self._in_cookies.pieces(parked.tokens) if parked else []
            for name, value in zip(self._session_names(), [*pieces, *[None] * 9], strict=False):
                response.cookies.append(self.cookie(name, value, request))
        else:
            age = self._session_lifetime
            response.cookies.append(self.cookie(SESSION, step.session_name, request, age))

    def vault(self, request: Request) -> Any:
        """The devices of the browser that a request comes from."""
        value = request.cookies.get(self._name(DEVICE, request))
        return self._vault(value, self.keys, bound_to=self._app)

    def keep_device(self, response: Response, request: Request, vault: Any) -> None:
        """Write the devices back to their cookie, where they have changed."""
        if vault.is_changed:
            response.cookies.append(self.cookie(DEVICE, vault.value, request, _YEAR))

    def flow_cookie(self, request: Request) -> str:
        """The flow id that the browser has, or nothing."""
        return request.cookies.get(self._name(FLOW, request), "")

    def cookie(
        self, name: str, value: str | None, request: Request, max_age: int | None = None
    ) -> Cookie:
        """A cookie for the whole site, which scripts cannot read."""
        return Cookie(
            self._name(name, request), value, "/", self._is_secure(request), max_age if value else 0
        )

    def is_ours(self, request: Request) -> bool:
        """Whether a request comes from a page of this origin, or of one that the application names."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if origin in self.origins:
            return True
        if site is not None:
            return site in {"same-origin", "none"}
        return origin in {None, request.origin}

    # ── cookies, headers, files ──

    def _is_secure(self, request: Request) -> bool:
        return request.is_secure if self.secure is None else self.secure

    def _name(self, name: str, request: Request) -> str:
        # The prefix keeps other hosts of the domain from planting one (RFC 6265bis, 4.1.3.2).
        return f"__Host-{name}" if self._is_secure(request) else name

    def _session_names(self) -> list[str]:
        if not self._in_cookies:
            return [SESSION]
        return [f"{SESSION}.{number}" for number in range(CookieSessions.MOST)]

    def _pieces(self, request: Request) -> list[str]:
        pieces = []
        for name in self._session_names():
            piece = request.cookies.get(self._name(name, request))
            if not piece:
                break
            pieces.append(piece)
        return pieces

    def _sign_out_token(self, request: Request) -> str:
        name = self._session_names()[0]
        value = request.cookies.get(self._name(name, request), "")
        return hashlib.sha256(f"sign out {value}".encode()).hexdigest()

    def _cross_origin(self, request: Request) -> Response | None:
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return Response(204, b"", headers={"Access-Control-Max-Age": "600"})
        if request.method in {"POST", "DELETE"} and not self.is_ours(request):
            return problem(403, "cross_site", "This request came from another site.")
        return None

    def _headers(self, request: Request, words: Words) -> dict[str, str]:
        headers = {
            "Cache-Control": "no-store",
            "Content-Language": words.language,
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                "connect-src 'self'; form-action 'self'; base-uri 'none'; "
                f"frame-ancestors {self._frame_ancestors}"
            ),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "same-origin",
            "Vary": "Accept-Language, Cookie, Origin",
            "X-Content-Type-Options": "nosniff",
        }
        origin = request.headers.get("origin")
        if origin in self.origins and origin:
            headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Credentials": "true",
                "Access-Control-Allow-Headers": "content-type",
                "Access-Control-Allow-Methods": "GET, POST, DELETE",
                "Access-Control-Expose-Headers": "Location",
            }
        return headers

    def _static_file(self, request: Request) -> Response:
        found = _FILES.get(request.path.removeprefix("/static/"))
        if found is None:
            return self._apology(request, 404, "not_found")
        kind = mimetypes.guess_type(request.path)[0] or "text/plain"
        return Response(
            body=found,
            content_type=f"{kind}; charset=utf-8",
            headers={"Cache-Control": "public, max-age=3600", "Vary": "Accept-Encoding"},
        )


_FILES = {path.name: path.read_bytes() for path in sorted(_STATIC.glob("*.*"))}


def _event_of(form: Mapping[str, str]) -> tuple[Event, int | None]:
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


_FRAMEWORKS = {"csrf_token", "csrfmiddlewaretoken"}
"""What Flask-WTF and Django post besides, for themselves."""


def _name_for(user: User) -> str:
    return str(user.claims.get("name") or user.claims.get("email") or user.username)
