"""`WebSignIn`: the pages and the JSON API, for any framework. The rooms beside it only translate."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from oncegate import OncegateError, SealingKeys, StoreUnavailable, Unreachable
from oncegate.adapters import RecordStore, Transport
from oncegate_web.api import Api
from oncegate_web.html import Html
from oncegate_web.http import LARGEST_BODY, Request, Response, problem, redirect
from oncegate_web.pages import Renderer
from oncegate_web.sessions import User
from oncegate_web.site import Site
from oncegate_web.words import NOTICES, Languages

_API = ("/flows", "/session", "/openapi.json")
_FILES = {
    path.name: path.read_bytes() for path in sorted(Path(__file__).with_name("static").glob("*.*"))
}


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
        driver: further arguments of `oncegate.SignIn`, such as ``retain_password``.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        store: RecordStore,
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
        self._site = Site(
            transport=transport,
            store=store,
            keys=keys if isinstance(keys, SealingKeys) else SealingKeys(keys),
            sessions=sessions,
            session_lifetime=session_lifetime,
            secure=secure,
            languages=Languages(locales),
            driver=driver,
        )
        self._html = Html(self._site, home=home, renderer=renderer)
        self._api = Api(self._site)
        self._origins = frozenset(origins)
        self._rate_limit = rate_limit
        self._frame_ancestors = frame_ancestors

    def use_renderer(self, renderer: Renderer) -> None:
        """Draw with the framework's own templates, where the application has not said with what."""
        self._html.renderer = self._html.renderer or renderer

    def user_of(self, request: Request) -> User | None:
        """Who is signed in where a request comes from, if anybody.

        Raises:
            StoreUnavailable: the store did not answer.
            Unreachable: the tokens are to be renewed, and Cognito did not answer.
        """
        return self._site.user_of(request)

    def sign_in_first(self, request: Request) -> Response:
        """What to answer somebody who is not signed in: the way to the pages, and back after.

        Args:
            request: its path is the whole one, with the query.
        """
        if not request.wants_html:
            return problem(401, "not_signed_in", "Unauthorized")
        response = redirect(f"{request.prefix}/?next={quote(request.path, safe='/')}")
        response.headers["Cache-Control"] = "no-store"
        return response

    def respond(self, request: Request) -> Response:
        """Answer one request below the mount point. Never raises what oncegate raises."""
        try:
            response = self._refused(request) or self._routed(request)
        except (StoreUnavailable, Unreachable):
            response = self._error_page(request, 503, "store_unavailable", retry_after=10)
        except OncegateError:
            response = self._error_page(request, 500, "store_unavailable")
        response.headers = {**self._headers(request), **response.headers}
        return response

    def _refused(self, request: Request) -> Response | None:
        """What is answered before anything is done."""
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return Response(204, headers={"Access-Control-Max-Age": "600"})
        if request.method in {"POST", "DELETE"} and not self._is_ours(request):
            return problem(403, "cross_site", "This request came from another site.")
        if len(request.body) > LARGEST_BODY:
            return problem(413, "too_large", "Content Too Large")
        if request.method == "POST" and self._rate_limit and not self._rate_limit(request):
            return self._error_page(request, 429, "too_many_requests", retry_after=60)
        return None

    def _routed(self, request: Request) -> Response:
        if request.path.startswith(_API):
            return self._api.respond(request)
        if request.path.startswith("/static/"):
            answer = _static_file(request)
        else:
            answer = self._html.respond(request)
        return answer or self._error_page(request, 404, "not_found")

    def _is_ours(self, request: Request) -> bool:
        """Whether a request comes from a page of this origin, or of one that the application names."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if origin in self._origins:
            return True
        if site is not None:
            return site in {"same-origin", "none"}
        return origin in {None, request.origin}

    def _error_page(
        self, request: Request, status: int, code: str, retry_after: int | None = None
    ) -> Response:
        if request.path.startswith(_API) or not request.wants_html:
            words = self._site.languages.words(request.languages)
            response = problem(status, code, words(NOTICES[code]))
        else:
            response = self._html.error_page(request, status, code)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {
            "Cache-Control": "no-store",
            "Content-Language": self._site.languages.words(request.languages).language,
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
        if origin in self._origins and origin:
            headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Credentials": "true",
                "Access-Control-Allow-Headers": "content-type",
                "Access-Control-Allow-Methods": "GET, POST, DELETE",
                "Access-Control-Expose-Headers": "Location",
            }
        return headers


def _static_file(request: Request) -> Response | None:
    found = _FILES.get(request.path.removeprefix("/static/"))
    if found is None:
        return None
    kind = mimetypes.guess_type(request.path)[0] or "text/plain"
    return Response(
        body=found,
        content_type=f"{kind}; charset=utf-8",
        headers={"Cache-Control": "public, max-age=3600", "Vary": "Accept-Encoding"},
    )
