"""`OncegateAuth`: a sign-in in an application of FastAPI or Starlette; `mount` in one line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, overload

from fastapi import APIRouter, Depends, FastAPI, Security, WebSocketException
from fastapi.security import APIKeyCookie, HTTPBearer, SecurityScopes
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import Response as NativeResponse
from starlette.routing import BaseRoute, Mount

from oncegate import InvalidToken, Misconfigured
from oncegate_web._user import User
from oncegate_web._web import UNAVAILABLE, WebSignIn, checked_prefix
from oncegate_web.fastapi._middleware import OncegateMiddleware, twice
from oncegate_web.fastapi._refusals import (
    CrossSite,
    Forbidden,
    NotSignedIn,
    Refused,
    answered,
    unavailable,
)
from oncegate_web.fastapi._routes import is_page, router_of, routes_of
from oncegate_web.fastapi._schemas import problem_responses
from oncegate_web.fastapi._scope import KEY, Installed, Seen, set_cookies, translated
from oncegate_web.fastapi._threads import Threads
from oncegate_web.http import Fields, Request, Response

_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
"""Methods that change nothing (RFC 9110, 9.2.1)."""

_BEARER = "bearer "


class _Needs(NamedTuple):
    """What a dependency asks of the user; `OncegateAuth.current_user` documents it."""

    optional: bool
    groups: tuple[str, ...]
    recent: float | None


class _NoDependency:
    """Stops FastAPI when it takes the method for a dependency: each request would have a user."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> NoReturn:
        raise Misconfigured("call it: Security(auth.current_user()), with parentheses")


_Groups = Annotated[Iterable[str], _NoDependency()]


class OncegateAuth:
    """A sign-in in one application, or in several.

    Args:
        web: the sign-in.
        language: returns the language of a request (a BCP 47 tag), or None for the browser's own.

    Attributes:
        web: the sign-in.

    Example:
        >>> auth = OncegateAuth(web)
        >>> app = FastAPI()
        >>> auth.install(app)
        >>> app.include_router(auth.router, prefix="/auth")
    """

    def __init__(
        self,
        web: WebSignIn,
        *,
        language: Callable[[HTTPConnection], str | None] | None = None,
    ) -> None:
        if not isinstance(web, WebSignIn):
            raise Misconfigured("OncegateAuth needs a WebSignIn: OncegateSettings().web_sign_in()")
        self.web = web
        self.language = language
        self.threads = Threads()
        self._installed: list[Installed] = []
        self._dependencies: dict[_Needs, Callable[..., Awaitable[User | None]]] = {}
        self._schemes = (
            _CookieScheme(
                name=f"{web.name}_session",
                scheme_name=f"{web.name}Session",
                description=f"The session of a browser; by HTTPS it is `__Host-{web.name}_session`.",
                auto_error=False,
            ),
            _BearerScheme(
                scheme_name=f"{web.name}Bearer",
                bearerFormat="JWT",
                description="An access token of the user pool; not an ID token.",
                auto_error=False,
            ),
        )

    # ── set-up ──

    def install(self, app: Starlette) -> None:
        """Install the middleware and the handler for refusals. Call it once for each application.

        The middleware takes the sign-in's cookies out of each request, so that neither the application
        nor an error reporter has them, and keeps responses for one user out of shared caches.

        Args:
            app: application of FastAPI or Starlette, the one with the routes, or one outside of it.

        Raises:
            Misconfigured: the application already runs, or has another sign-in of this name.
        """
        for middleware in app.user_middleware:
            there = middleware.kwargs.get("installed")
            if isinstance(there, Installed):
                other = there.auth
                if other is self:
                    return
                if other.web.name == self.web.name:
                    raise Misconfigured(twice(self.web.name))
        if app.middleware_stack is not None:
            raise Misconfigured("install the sign-in before the application's first request")
        installed = Installed(self, app)
        self._installed.append(installed)
        # Innermost, so that a cache among the application's middleware sees the headers of a page that
        # depends on the user; outermost, so that none of them sees our cookies, or adds one to a static
        # file.
        app.user_middleware.append(Middleware(OncegateMiddleware, installed=installed))
        build = app.build_middleware_stack
        app.build_middleware_stack = lambda: OncegateMiddleware(build(), installed)  # type: ignore[method-assign]
        app.add_exception_handler(Refused, answered)

    @cached_property
    def router(self) -> APIRouter:
        """The pages and the JSON API, for ``app.include_router(auth.router, prefix="/auth")``.

        The API is in the application's own OpenAPI document. ``request.url_for`` has the names
        ``oncegate:login``, ``oncegate:logout``, ``oncegate:api-session`` and others, with the sign-in's
        own name before the colon. Dependencies of ``include_router`` are called for each of the routes,
        such as a limit of rates; those of this sign-in let them pass.
        """
        return router_of(self)

    @cached_property
    def routes(self) -> list[BaseRoute]:
        """The same routes for Starlette: ``Mount("/auth", routes=auth.routes)``."""
        return routes_of(self)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:  # noqa: ARG002
        """Check the set-up when the application starts, and end the sign-in's threads when it stops.

        ``include_router`` adds it to that of the application. An application of Starlette passes it, or
        enters it in a lifespan of its own: ``async with auth.lifespan(app)``. The store is closed by
        what opened it.

        Raises:
            Misconfigured: the sign-in is not installed, or has no routes.
        """
        if not self._installed:
            raise Misconfigured(_NOT_INSTALLED)
        for installed in self._installed:
            installed.prefix  # noqa: B018 - raises
        try:
            yield
        finally:
            await self.threads.close()

    @cached_property
    def responses(self) -> dict[int | str, dict[str, Any]]:
        """What refusals look like, for ``responses=`` of a route, a router or an application."""
        return problem_responses(401, 403, 503)

    # ── the user ──

    @overload
    def current_user(
        self,
        *,
        optional: Literal[False] = False,
        groups: _Groups = (),
        recent: float | None = None,
    ) -> Callable[..., Awaitable[User]]: ...
    @overload
    def current_user(
        self,
        *,
        optional: Literal[True],
        groups: _Groups = (),
        recent: float | None = None,
    ) -> Callable[..., Awaitable[User | None]]: ...
    def current_user(
        self, *, optional: bool = False, groups: _Groups = (), recent: float | None = None
    ) -> Callable[..., Awaitable[User | None]]:
        """Return a dependency that returns the user who is signed in, by a session or a bearer token.

        It is for routes, sub-applications and websockets, as ``Security(auth.current_user())``. Scopes
        are those of ``Security``: ``Security(auth.current_user(), scopes=["orders/write"])``; the access
        token needs all of them. The same arguments return the same dependency, so that
        ``app.dependency_overrides[auth.current_user()]`` finds it.

        What it refuses raises a `Refused`, and refuses the handshake of a websocket:

        - No user is signed in: a page in a browser redirects to sign-in, and back (303); otherwise 401.
        - A group or a scope is missing: 403.
        - The request has a session, changes something, and comes from a page of another origin: 403.
          A websocket from there has no user.
        - A bearer token is invalid or an ID token: 401, also if the user is optional.
        - It cannot be determined who is signed in: 503.

        Args:
            optional: whether to return None if no user is signed in.
            groups: the user has to be in one of these groups. Default: in any, or in none.
            recent: the user has to have signed in within so many seconds. Default: at any time.
        """
        if isinstance(groups, str):
            raise Misconfigured(f"groups is a list: [{groups!r}]")
        needs = _Needs(optional, tuple(groups), recent)
        if needs not in self._dependencies:
            self._dependencies[needs] = self._dependency(needs)
        return self._dependencies[needs]

    def _dependency(self, needs: _Needs) -> Callable[..., Awaitable[User | None]]:
        session, bearer = self._schemes

        # The schemes are in OpenAPI, as alternatives; they return nothing that an error could show.
        async def current_user(
            connection: HTTPConnection,
            security: SecurityScopes,
            session: None = Security(session),  # noqa: ARG001
            bearer: None = Security(bearer),  # noqa: ARG001
        ) -> User | None:
            return await self._guarded(connection, needs, security.scopes)

        return current_user

    async def _guarded(
        self, connection: HTTPConnection, needs: _Needs, scopes: list[str]
    ) -> User | None:
        if is_page(connection.scope):
            return None  # FastAPI(dependencies=[…]) guards all routes: no user could sign in
        user = await self.user_of(connection)
        if user is None:
            if needs.optional:
                return None
            raise self._not_signed_in(connection)
        lacks_group = needs.groups and not set(needs.groups) & set(user.groups)
        if lacks_group or not set(scopes) <= set(user.scopes):
            raise self._forbidden(connection, scopes)
        if needs.recent is not None and not self.web.is_recent(user, needs.recent):
            raise self._not_signed_in(connection, recent=needs.recent)
        return user

    async def user_of(self, connection: HTTPConnection) -> User | None:
        """Return the user of a request or a websocket, or None: for code that is no dependency.

        The store is read once for each request.

        Raises:
            Refused: as `current_user`, except that no user has to be signed in.
        """
        seen = self.seen(connection)
        seen.depends_on_user = True
        if seen.user is Seen.UNKNOWN:
            seen.user = await self._find(connection, seen)
        return seen.user  # type: ignore[return-value]

    async def _find(self, connection: HTTPConnection, seen: Seen) -> User | None:
        request = translated(connection, seen)
        is_socket = _is_socket(connection)
        by_token = request.headers.get("authorization", "").lower().startswith(_BEARER)
        if is_socket and not by_token and not self.web.is_same_origin(request):
            return None  # browsers let pages of every site open a websocket, with the cookies
        find = _user_of_token if by_token else WebSignIn.user_of
        user, failed = None, None
        try:
            user = await self.threads.run(lambda: find(self.web, request), can_wait=False)
        except (InvalidToken, *UNAVAILABLE) as error:
            failed = error
        # Raised here, without the error as its context, whose frames had the token.
        if isinstance(failed, InvalidToken):
            raise self._challenge(connection, _INVALID, self.web.sign_in_first(_as_script(request)))
        if failed is not None:
            if is_socket:
                raise WebSocketException(1013, "try again later")
            raise unavailable(self.web.unavailable(request), failed)
        changes_something = not (is_socket or by_token or request.method in _SAFE)
        if user and changes_something and not self.web.is_same_origin(request):
            raise CrossSite(self.web.cross_site(request))
        return user

    def _not_signed_in(
        self, connection: HTTPConnection, recent: float | None = None
    ) -> NotSignedIn | WebSocketException:
        """Return what sends a user to sign-in, or to sign in again."""
        request = translated(connection, self.seen(connection))
        if request.method not in {"GET", "HEAD"}:  # a redirect would lose what was sent
            answer = self.web.not_signed_in(request, again=recent is not None)
        elif recent is None:
            answer = self.web.sign_in_first(request)
        else:
            answer = self.web.sign_in_again(request)
        # RFC 6750, 3; RFC 9470, 3
        asks = (
            f'error="insufficient_user_authentication", max_age="{recent:.0f}"'
            if recent is not None
            else ""
        )
        return self._challenge(connection, asks, answer)

    def _challenge(
        self, connection: HTTPConnection, asks: str, answer: Response
    ) -> NotSignedIn | WebSocketException:
        if _is_socket(connection):
            return WebSocketException(1008, "sign in first")
        if answer.status == 401:
            answer.headers["WWW-Authenticate"] = f"Bearer {asks}".rstrip()
        return NotSignedIn(answer)

    def _forbidden(
        self, connection: HTTPConnection, scopes: list[str]
    ) -> Forbidden | WebSocketException:
        if _is_socket(connection):
            return WebSocketException(1008, "the user has not the right to do this")
        answer = self.web.forbidden(translated(connection, self.seen(connection)))
        asks = f', scope="{" ".join(scopes)}"' if scopes else ""
        answer.headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope"{asks}'
        return Forbidden(answer)

    async def same_origin(self, connection: HTTPConnection) -> None:
        """A dependency that refuses requests from pages of other origins (403), as the pages do.

        `current_user` does so for users with a session. This is for routes without a user that change
        something.

        Raises:
            CrossSite: the request comes from such a page.
        """
        request = translated(connection, self.seen(connection))
        if not self.web.is_same_origin(request):
            raise CrossSite(self.web.cross_site(request))

    async def end_session(self, connection: HTTPConnection, response: NativeResponse) -> str | None:
        """Sign the user out: for a log-out of the application's own.

        The session ends, its tokens are revoked, and the cookies are deleted. If no user is signed in,
        nothing happens.

        Args:
            connection: the request.
            response: the application's response, which gets the cookies.

        Returns:
            Where the browser has to go to end managed login's session too, or None.

        Raises:
            CrossSite: the request comes from a page of another origin.
            Unavailable: the store did not answer; the session goes on.
        """
        await self.same_origin(connection)
        seen = self.seen(connection)
        request = translated(connection, seen)
        failed = None
        try:
            answer = await self.threads.run(lambda: self.web.end_session(request), can_wait=True)
        except UNAVAILABLE as error:
            failed = error
        if failed is not None:
            raise unavailable(self.web.unavailable(request), failed)
        set_cookies(response, answer)
        seen.depends_on_user, seen.user = True, None
        return answer.headers.get("Location")

    def seen(self, connection: HTTPConnection) -> Seen:
        """Return what the middleware noted of a request; for this package."""
        seen: Seen | None = connection.scope.get(KEY, {}).get(self.web.name)
        if seen is None:
            raise Misconfigured(_NOT_INSTALLED)
        # Those of a sub-application are its own: without ours, its answers would have another format.
        handlers, _ = connection.scope.get("starlette.exception_handlers", ({}, {}))
        handlers.setdefault(Refused, answered)
        return seen


_NOT_INSTALLED = (
    "the sign-in is not installed: call auth.install(app), or oncegate_web.fastapi.mount(app, web)"
)

_INVALID = 'error="invalid_token"'


class _CookieScheme(APIKeyCookie):
    """Describes the cookie. The middleware has taken it out of the request."""

    # HTTPConnection, not Request: also for websockets.
    async def __call__(self, request: HTTPConnection) -> None:  # noqa: ARG002
        return None


class _BearerScheme(HTTPBearer):
    """Describes the header, which `OncegateAuth.user_of` reads."""

    async def __call__(self, request: HTTPConnection) -> None:  # noqa: ARG002
        return None


def _user_of_token(web: WebSignIn, request: Request) -> User:
    # No variable holds the token: error reporters store the local variables of a traceback.
    return web.bearer_user(request.headers["authorization"][len(_BEARER) :].strip())


def _as_script(request: Request) -> Request:
    """Return the request of a client that wants no page."""
    return replace(request, headers=Fields({**dict(request.headers.items()), "accept": ""}))


def _is_socket(connection: HTTPConnection) -> bool:
    return bool(connection.scope["type"] == "websocket")


def mount(app: Starlette, web: WebSignIn, prefix: str = "/auth") -> OncegateAuth:
    """Install a sign-in, and include its pages and its API under a prefix.

    Args:
        app: application of FastAPI or Starlette.
        web: the sign-in.
        prefix: mount point; begins with a slash and does not end with one.

    Returns:
        The sign-in's dependencies, for more than `CurrentUser`.

    Raises:
        Misconfigured: see `OncegateAuth.install`.
    """
    checked_prefix(prefix)
    auth = OncegateAuth(web)
    auth.install(app)
    if isinstance(app, FastAPI):
        app.include_router(auth.router, prefix=prefix)
    else:
        app.router.routes.append(Mount(prefix, routes=auth.routes))
    return auth


def _only(connection: HTTPConnection) -> OncegateAuth:
    """Return the one sign-in of the application."""
    found: dict[str, Seen] = connection.scope.get(KEY, {})
    if not found:
        raise Misconfigured(_NOT_INSTALLED)
    if len(found) > 1:
        raise Misconfigured(
            f"the application has several sign-ins, {', '.join(sorted(found))}: use the dependencies of "
            "the one that is meant, such as auth.current_user()"
        )
    (seen,) = found.values()
    return seen.installed.auth


async def current_user(connection: HTTPConnection) -> User | None:
    """A dependency that returns the user who is signed in, or None, if there is one sign-in.

    See `OncegateAuth.current_user`, which is in OpenAPI, and asks for groups and scopes.
    """
    auth = _only(connection)
    return await auth.current_user(optional=True)(connection, SecurityScopes())


async def login_required(
    connection: HTTPConnection, user: Annotated[User | None, Depends(current_user)]
) -> User:
    """A dependency that returns the user who is signed in, if there is one sign-in.

    Unauthenticated users sign in, then return to the page that they requested. The handshake of a
    websocket is refused: servers answer it with 403, and a script sees the close code 1006.
    """
    if user is None:
        return await _only(connection).current_user()(connection, SecurityScopes())
    return user


async def same_origin(connection: HTTPConnection) -> None:
    """A dependency that refuses requests from pages of other origins; see `OncegateAuth.same_origin`."""
    await _only(connection).same_origin(connection)


CurrentUser = Annotated[User, Depends(login_required)]
"""For signatures: ``def orders(user: CurrentUser)``."""
