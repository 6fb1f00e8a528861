"""`Seen`: what the middleware, the pages and the dependencies tell each other about one request.

It is in the ASGI scope, which sub-applications share; the application's state is not, and stays the
application's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection
from starlette.responses import Response as NativeResponse
from starlette.routing import NoMatchFound
from starlette.types import Scope

from oncegate import Misconfigured
from oncegate_web._user import User
from oncegate_web.http import Body, Fields, Headers, Request, Response, encoded_path

if TYPE_CHECKING:
    from oncegate_web.fastapi._auth import OncegateAuth

KEY = "oncegate"
"""Key in the scope: the `Seen` of each sign-in, by its name."""

_PROXY = "run uvicorn with --proxy-headers --forwarded-allow-ips=ADDRESS-OF-THE-PROXY"

_INCLUDE = 'app.include_router(auth.router, prefix="/auth")'


class Installed:
    """An application in which a sign-in is installed.

    Args:
        auth: the sign-in.
        app: application of FastAPI or Starlette.
    """

    def __init__(self, auth: OncegateAuth, app: Any) -> None:
        self.auth = auth
        self.app = app
        self._prefix = ""

    @property
    def prefix(self) -> str:
        """Mount point of the pages in the application, such as ``/auth``.

        Raises:
            Misconfigured: the application has no routes of the sign-in, or has them without a prefix.
        """
        if not self._prefix:
            try:
                first_page = str(self.app.url_path_for(f"{self.auth.web.name}:login"))
            except NoMatchFound:
                raise Misconfigured(
                    f"the application has no routes of the sign-in {self.auth.web.name!r}: "
                    f"call {_INCLUDE}"
                ) from None
            if first_page == "/":
                raise Misconfigured(f"the routes of the sign-in need a prefix: {_INCLUDE}")
            self._prefix = first_page.removesuffix("/")
        return self._prefix


class Seen:
    """One request, as a sign-in sees it.

    Args:
        installed: where the sign-in is installed.
        scope: the ASGI scope, as the application received it.
        cookies: the Cookie header, as received.

    Attributes:
        root: path below which the application is served, as the browser sees it.
        path: path in the application, decoded.
        depends_on_user: whether the response depends on who is signed in.
        is_shared: whether the response is the same for all users.
        refusal: the answer in place of that of the application.
        body: body of a request for the pages.
        user: who is signed in; `UNKNOWN` until it is determined.
    """

    UNKNOWN = object()

    def __init__(self, installed: Installed, scope: Scope, cookies: Fields) -> None:
        self.installed = installed
        self.root: str = scope.get("root_path", "").rstrip("/")
        path: str = scope["path"]
        # The path has the root path (ASGI, HTTP connection scope), unless a proxy strips it and only
        # `FastAPI(root_path=)` knows of it.
        below = path.removeprefix(self.root)
        self.path = below if below[:1] in {"", "/"} else path
        self.cookies = cookies
        self.body = Body()
        self.depends_on_user = False
        self.is_shared = False
        self.refusal: Response | None = None
        self.user: User | object | None = Seen.UNKNOWN

    @property
    def below(self) -> str:
        """Path below the mount point of the pages; begins with a slash."""
        return self.path.removeprefix(self.installed.prefix)

    @property
    def is_own(self) -> bool:
        """Whether the path is below the mount point of the pages."""
        return self.path.startswith(f"{self.installed.prefix}/")

    @property
    def is_static(self) -> bool:
        """Whether a file of the pages was requested, which is the same for all users."""
        return self.is_own and self.below.startswith("/static/")


def translated(connection: HTTPConnection, seen: Seen, *, path: str | None = None) -> Request:
    """Return the core's request.

    Args:
        connection: the framework's request, or websocket.
        seen: the request, as the sign-in sees it.
        path: path below the mount point. Default: the whole path, with the query.
    """
    scope, query = connection.scope, connection.scope.get("query_string", b"")
    if path is None:
        path = encoded_path(seen.root + seen.path, query.decode("latin-1"))
    choose = seen.installed.auth.language
    return Request(
        method=scope.get("method", "GET"),
        path=path,
        prefix=seen.root + seen.installed.prefix,
        host=connection.headers.get("host", ""),
        # Not from `connection.url`, which is put together, and parsed again.
        is_secure=scope.get("scheme") in {"https", "wss"},
        client=connection.client.host if connection.client else None,
        headers=Headers(connection.headers, seen.cookies),
        query=Fields(dict(connection.query_params) if query else None),
        form=seen.body.form(connection.headers.get("content-type", "")),
        body=seen.body,
        proxy_setting=_PROXY,
        language=choose(connection) if choose else None,
        native=connection,
    )


def native(answer: Response) -> NativeResponse:
    """Return the framework's response."""
    made = NativeResponse(answer.body, answer.status, answer.headers, answer.content_type)
    set_cookies(made, answer)
    return made


def set_cookies(response: NativeResponse, answer: Response) -> None:
    """Set the cookies of an answer in a response of the framework."""
    for cookie in answer.cookies:
        response.set_cookie(**cookie.arguments())
