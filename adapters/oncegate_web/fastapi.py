"""FastAPI, Starlette: ``mount``, and dependencies for routes, sub-applications and websockets.

Extra: ``oncegate[fastapi]``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import Annotated, TypeVar

from oncegate import Misconfigured, MissingExtra, StoreUnavailable, Unreachable

try:
    from fastapi import Depends, FastAPI, HTTPException, WebSocketException
    from fastapi import Request as FastAPIRequest
    from fastapi.responses import Response as FastAPIResponse
    from starlette.middleware import Middleware
    from starlette.requests import ClientDisconnect, HTTPConnection
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
except ModuleNotFoundError as error:
    raise MissingExtra("fastapi") from error

from oncegate.adapters import THREADS
from oncegate_web._user import User
from oncegate_web._web import UNAVAILABLE, WebSignIn, checked_prefix
from oncegate_web.http import (
    CALLBACK,
    MAX_BODY_BYTES,
    Body,
    Fields,
    Request,
    Response,
    encoded_path,
    private_headers,
    without_cookies,
)

_PROXY = "run uvicorn with --proxy-headers --forwarded-allow-ips=ADDRESS-OF-THE-PROXY"
_SEEN = "oncegate"
"""Key of the `_Seen` of a request in its ASGI scope."""

_USER_THREADS = 128
"""Requests that call no sign-in and are answered at once: more than the limits of `Calls` hold."""

_Result = TypeVar("_Result")


class _Threads:
    """Threads of one application. Sign-ins that hang never hold those that say who is signed in."""

    def __init__(self) -> None:
        self._sign_ins = ThreadPoolExecutor(THREADS, thread_name_prefix="oncegate")
        self._users = ThreadPoolExecutor(_USER_THREADS, thread_name_prefix="oncegate-user")

    async def run(
        self, answer: Callable[[Request], _Result], request: Request, *, can_wait: bool
    ) -> _Result:
        """Return the answer to a request, which is made on a thread: the event loop is never blocked.

        Args:
            answer: makes it.
            request: the request.
            can_wait: whether it may wait for a sign-in's call to Cognito.
        """
        threads = self._sign_ins if can_wait else self._users
        # The context variables of a middleware, such as the request ID, follow to the thread.
        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(threads, run, answer, request)


class _Seen:
    """What the middleware, the pages and the dependencies tell each other about one request.

    It is in the scope, which sub-applications share; the application's state is not.
    """

    def __init__(self, web: WebSignIn, threads: _Threads, prefix: str, cookies: Fields) -> None:
        self.web = web
        self.threads = threads
        self.prefix = prefix
        self.cookies = cookies
        self.depends_on_user = False
        self.is_shared = False


class NotSignedIn(HTTPException):
    """Raised if the user has to sign in first. Applications and sub-applications have its handler."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status, "sign in first", answer.headers)
        self.answer = answer


class Unavailable(HTTPException):
    """Raised if it cannot be determined who is signed in: 503, with Retry-After.

    It also is the error that is its cause, so that an application's own handlers for
    `oncegate.StoreUnavailable` and `oncegate.Unreachable` come first. Applications and sub-applications
    have its handler.
    """

    def __init__(self, answer: Response) -> None:
        headers = {"Retry-After": answer.headers["Retry-After"], "Cache-Control": "no-store"}
        super().__init__(answer.status, "try again later", headers)
        self.answer = answer


class CrossSite(HTTPException):
    """Raised if a request comes from a page of another origin: 403. Its handler is there as well."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status, "this request came from another site")
        self.answer = answer


class _StoreUnavailable(StoreUnavailable, Unavailable): ...


class _Unreachable(Unreachable, Unavailable): ...


class _Misconfigured(Misconfigured, Unavailable): ...


def mount(app: FastAPI, web: WebSignIn, prefix: str = "/auth") -> None:
    """Mount the pages and the JSON API under a prefix, and set up the dependencies below.

    Args:
        app: application of FastAPI or Starlette.
        web: the sign-in.
        prefix: mount point; begins with a slash and does not end with one.
    """
    checked_prefix(prefix)
    if app.middleware_stack is not None:
        raise Misconfigured("mount the sign-in before the application's first request")
    # Innermost, so that a cache among the application's middleware sees the headers of a page that
    # depends on the user; outermost, so that none of them adds a cookie to a static file.
    threads = _Threads()
    app.user_middleware.append(Middleware(_Middleware, web=web, threads=threads, prefix=prefix))
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: _Middleware(build(), web, threads, prefix)  # type: ignore[method-assign]
    for error in _ANSWERED:
        app.add_exception_handler(error, _answered)
    app.mount(prefix, _Pages(web, threads), name="oncegate")


async def current_user(connection: HTTPConnection) -> User | None:
    """A dependency that returns the user who is signed in, or None.

    It works in routes, in mounted sub-applications, and in websockets. Browsers let pages of every site
    open a websocket with the cookies; one of another origin has no user here. It runs on threads of its
    own, so that neither sign-ins nor the application's own routes delay it.

    Raises:
        Unavailable: the store failed, or the tokens have expired and Cognito did not answer (503). The
            handshake of a websocket is refused.
    """
    seen = _seen(connection)
    seen.depends_on_user = True
    request = _translated(connection)
    if connection.scope["type"] == "websocket" and not seen.web.is_same_origin(request):
        return None
    try:
        return await seen.threads.run(seen.web.user_of, request, can_wait=False)
    except UNAVAILABLE as error:
        failed = error
    if connection.scope["type"] == "websocket":
        raise WebSocketException(1013, "try again later")
    answer = seen.web.unavailable(replace(request, prefix=_root(connection) + seen.prefix))
    if isinstance(failed, StoreUnavailable):
        raise _StoreUnavailable(answer)
    raise (_Unreachable if isinstance(failed, Unreachable) else _Misconfigured)(answer)


async def login_required(
    connection: HTTPConnection, user: Annotated[User | None, Depends(current_user)]
) -> User:
    """A dependency that returns the user who is signed in.

    Unauthenticated users sign in, then return to the page that they requested. The handshake of a
    websocket is refused: servers answer it with 403, and a script sees the close code 1006.
    """
    if user is not None:
        return user
    if connection.scope["type"] == "websocket":
        raise WebSocketException(1008, "sign in first")
    seen = _seen(connection)
    request = replace(_translated(connection), prefix=_root(connection) + seen.prefix)
    raise NotSignedIn(seen.web.sign_in_first(request))


async def same_origin(connection: HTTPConnection) -> None:
    """A dependency that refuses requests from pages of other origins (403), as the pages do.

    For the application's own routes that change something on behalf of the user.
    """
    web, request = _seen(connection).web, _translated(connection)
    if not web.is_same_origin(request):
        raise CrossSite(web.cross_site(request))


CurrentUser = Annotated[User, Depends(login_required)]
"""For signatures: ``def orders(user: CurrentUser)``."""


def _seen(connection: HTTPConnection) -> _Seen:
    if _SEEN not in connection.scope:
        raise Misconfigured("call oncegate_web.fastapi.mount(app, web) first")
    # Those of a sub-application are its own: without ours, its answers would have another format.
    handlers, _ = connection.scope.get("starlette.exception_handlers", ({}, {}))
    for error in _ANSWERED:
        handlers.setdefault(error, _answered)
    seen: _Seen = connection.scope[_SEEN]
    return seen


def _root(connection: HTTPConnection) -> str:
    """Return the root path of the application, also in a sub-application."""
    return str(connection.scope.get("app_root_path", connection.scope.get("root_path", "")))


_ANSWERED = (NotSignedIn, Unavailable, CrossSite)


async def _answered(_: FastAPIRequest, error: Exception) -> FastAPIResponse:
    assert isinstance(error, _ANSWERED)
    return _native(error.answer)


class _Middleware:
    """Takes the sign-in's cookies out of the request, and keeps users' pages out of shared caches."""

    def __init__(self, app: ASGIApp, web: WebSignIn, threads: _Threads, prefix: str) -> None:
        self._app = app
        self._web = web
        self._threads = threads
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            _take_cookies(scope, self._web, self._threads, self._prefix)
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen: _Seen = scope[_SEEN]

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if seen.is_shared:
                    headers = [one for one in headers if one[0].lower() != b"set-cookie"]
                elif seen.depends_on_user:
                    headers = _as_private(headers)
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_guarded)


def _take_cookies(scope: Scope, web: WebSignIn, threads: _Threads, prefix: str) -> None:
    """Move our cookies out of the scope, which error reporters store whole, into `_Seen`."""
    headers = scope["headers"]
    sent = b"; ".join(value for key, value in headers if key == b"cookie").decode("latin-1")
    scope.setdefault(_SEEN, _Seen(web, threads, prefix, Fields({"cookie": sent})))
    others = without_cookies(sent, web.name)
    if others != sent:
        kept = [(key, value) for key, value in headers if key != b"cookie"]
        scope["headers"] = [*kept, (b"cookie", others.encode("latin-1"))] if others else kept


def _as_private(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    values: dict[bytes, str] = {b"cache-control": "", b"vary": ""}
    others = []
    for name, value in headers:
        if (lower := name.lower()) in values:
            values[lower] = ", ".join(filter(None, (values[lower], value.decode("latin-1"))))
        else:
            others.append((name, value))
    private = private_headers(values[b"cache-control"], values[b"vary"])
    added = [(name.lower().encode(), value.encode("latin-1")) for name, value in private.items()]
    return [*others, *added]


class _Pages:
    """The pages and the JSON API: an ASGI application."""

    def __init__(self, web: WebSignIn, threads: _Threads) -> None:
        self._web = web
        self._threads = threads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        asked = FastAPIRequest(scope, receive)
        try:
            body = await _body(asked)
        except ClientDisconnect:
            return  # its traceback would hold what was received
        root = scope.get("root_path", "")
        request = _translated(asked, prefix=root, body=body)
        if request.path == CALLBACK:
            # Error reporters and access logs store it; see `oncegate_web.http.forget_query`.
            scope["query_string"] = b""
        can_wait = self._web.can_wait(request)
        answer = await self._threads.run(self._web.respond, request, can_wait=can_wait)
        scope[_SEEN].is_shared = answer.is_shared
        await _native(answer)(scope, receive, send)


async def _body(asked: FastAPIRequest) -> Body:
    """Return the body, or its beginning if it is too large."""
    body = Body()
    async for chunk in asked.stream():
        body.bytes += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return body


def _translated(
    asked: HTTPConnection, prefix: str | None = None, body: Body | None = None
) -> Request:
    path = asked.scope["path"]
    whole = encoded_path(path, asked.url.query)
    body = body or Body()
    return Request(
        method=asked.scope.get("method", "GET"),
        path=path.removeprefix(prefix) if prefix is not None else whole,
        prefix=prefix or "",
        host=asked.headers.get("host", ""),
        is_secure=asked.url.scheme in {"https", "wss"},
        client=asked.client.host if asked.client else None,
        headers=Fields({**asked.headers, "cookie": asked.scope[_SEEN].cookies["cookie"]}),
        query=Fields(dict(asked.query_params)),
        form=body.form(asked.headers.get("content-type", "")),
        body=body,
        proxy_setting=_PROXY,
    )


def _native(answer: Response) -> FastAPIResponse:
    made = FastAPIResponse(answer.body, answer.status, answer.headers, answer.content_type)
    for cookie in answer.cookies:
        made.set_cookie(**cookie.arguments())
    return made


__all__ = [
    "CrossSite",
    "CurrentUser",
    "NotSignedIn",
    "Unavailable",
    "current_user",
    "login_required",
    "mount",
    "same_origin",
]
