"""`WebSignIn`: the pages and the JSON API, for any framework. The integrations only translate."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from oncegate import OncegateError, RecordTooNew, SealingKeys, StoreUnavailable, Unreachable
from oncegate.adapters import RecordStore, Transport, logger
from oncegate_web._sessions import User
from oncegate_web._translations import Translators
from oncegate_web.api import Api
from oncegate_web.html import Html
from oncegate_web.http import MAX_BODY_BYTES, Request, Response, problem, redirect
from oncegate_web.pages import Renderer
from oncegate_web.site import Site

_API = ("/flows", "/session", "/openapi.json")
_FILES = {
    path.name: path.read_bytes() for path in sorted(Path(__file__).with_name("static").glob("*.*"))
}


class WebSignIn:
    """A sign-in on the web. Make one for an application and mount it with your framework.

    Args:
        transport: performs the calls to Cognito.
        store: stores flows and sessions; share it between workers.
        keys: the application's keys, 16 characters or more each; they seal cookies and sessions, and
            have to be the same in all workers.
        home: URL after sign-out, and after sign-in without ``next``. Default: ``/``.
        sessions: ``"server"`` to store the tokens on the server (default), ``"cookie"`` to store them
            in sealed cookies.
        session_lifetime: lifetime of a session in seconds; that of the app client's refresh tokens.
            Default: 30 days.
        secure: whether cookies are for HTTPS only. None: if the request used HTTPS.
        origins: other origins whose scripts may use the JSON API, such as
            ``https://app.example.com``. They have to be of the same site.
        rate_limit: is called before a POST is processed; if it returns False, the answer is 429.
        renderer: renders a page to HTML. None: the framework's own templates in Django, otherwise
            Jinja2 with the bundled template.
        locales: folders with gettext catalogues of the application.
        frame_ancestors: ``frame-ancestors`` of the Content-Security-Policy. Default: no framing.
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
            translators=Translators(locales),
            driver=driver,
        )
        self._html = Html(self._site, home=home, renderer=renderer)
        self._api = Api(self._site)
        self._origins = frozenset(origins)
        self._rate_limit = rate_limit
        self._frame_ancestors = frame_ancestors
        self._log = logger()

    def use_renderer(self, renderer: Renderer) -> None:
        """Render with the framework's own templates, unless the application chose a renderer."""
        self._html.renderer = self._html.renderer or renderer

    def user_of(self, request: Request) -> User | None:
        """Return the user who is signed in in the browser of a request, or None.

        Raises:
            StoreUnavailable: the store did not answer.
            Unreachable: the tokens have expired, and Cognito did not answer.
        """
        return self._site.user_of(request)

    def sign_in_first(self, request: Request) -> Response:
        """Return a redirect to sign-in (HTML) or a 401 (JSON).

        Args:
            request: its path is the whole path, with the query.
        """
        if not request.wants_html:
            return problem(401, "not_signed_in", "Unauthorized")
        response = redirect(f"{request.prefix}/?next={quote(request.path, safe='/')}")
        response.headers["Cache-Control"] = "no-store"
        return response

    def respond(self, request: Request) -> Response:
        """Answer one request below the mount point. Raises no `oncegate.OncegateError`.

        What fails is answered with 503, or 500 if trying again cannot help, and logged with one line:
        the types of the error and of its cause.
        """
        try:
            response = self._refused(request) or self._routed(request)
        except OncegateError as error:
            response = self._failed(request, error)
        response.headers = {**self._headers(request), **response.headers}
        return response

    def _failed(self, request: Request, error: OncegateError) -> Response:
        # Only types: a message of a database driver may quote the connection's password.
        reason = type(error.__cause__ or error).__name__
        about = {
            "error": type(error).__name__,
            "reason": reason,
            "method": request.method,
            "request": request.request_id or "",
        }
        if isinstance(error, RecordTooNew):
            # A rolling deployment. The flow and its cookie stay for the workers of that release.
            self._log.warning("request not answered", status=503, **about)
            return self._error_page(request, 503, "updating", retry_after=10)
        is_temporary = isinstance(error, (StoreUnavailable, Unreachable))
        status = 503 if is_temporary else 500
        self._log.error("request failed", status=status, **about)
        wait = 10 if is_temporary else None
        return self._error_page(request, status, "store_unavailable", retry_after=wait)

    def _refused(self, request: Request) -> Response | None:
        """Return the answer to a request that is not processed, or None."""
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return Response(204, headers={"Access-Control-Max-Age": "600"})
        if request.method in {"POST", "DELETE"} and not self._is_same_origin(request):
            return problem(403, "cross_site", "This request came from another site.")
        if len(request.body) > MAX_BODY_BYTES:
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

    def _is_same_origin(self, request: Request) -> bool:
        """Return whether a request comes from this origin, or from one that is configured."""
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
            translate = self._site.translators.best(request.languages)
            response = problem(status, code, translate(f"notice.{code}"))
        else:
            response = self._html.error_page(request, status, code)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {
            "Cache-Control": "no-store",
            "Content-Language": self._site.translators.best(request.languages).language,
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
