"""FastAPI, Starlette: ``mount``, and dependencies for routes, sub-applications and websockets.

Extra: ``oncegate[fastapi]``.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import Annotated

from oncegate import Misconfigured, MissingExtra

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
from oncegate_web._sessions import User
from oncegate_web._web import WebSignIn
from oncegate_web.http import (
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


class _Seen:
    """What the middleware, the pages and the dependencies tell each other about one request.

    It is in the scope, which sub-applications share; the application's state is not.
    """

    def __init__(self, web: WebSignIn, prefix: str, cookies: Fields) -> None:
        self.web = web
        self.prefix = prefix
        self.cookies = cookies
        self.depends_on_user = False
        self.is_shared = False


class NotSignedIn(HTTPException):
    """Raised if the user has to sign in first.

    ``mount`` registers its handler. Where that does not reach, as in a sub-application, status and
    headers say the same.
    """

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status, "sign in first", answer.headers)
        self.answer = answer


def mount(app: FastAPI, web: WebSignIn, prefix: str = "/auth") -> None:
    """Mount the pages and the JSON API under a prefix, and set up the dependencies below.

    Args:
        app: application of FastAPI or Starlette.
        web: the sign-in.
        prefix: mount point; begins with a slash and does not end with one.
    """
    if app.middleware_stack is not None:
        raise Misconfigured("mount the sign-in before the application's first request")
    # Innermost, so that a cache among the application's middleware sees the headers of a page that
    # depends on the user; outermost, so that none of them adds a cookie to a static file.
    app.user_middleware.append(Middleware(_Middleware, web=web, prefix=prefix))
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: _Middleware(build(), web, prefix)  # type: ignore[method-assign]
    app.add_exception_handler(NotSignedIn, _sign_in_first)
    app.mount(prefix, _Pages(web), name="oncegate")


def current_user(connection: HTTPConnection) -> User | None:
    """A dependency that returns the user who is signed in, or None.

    It works in routes, in mounted sub-applications, and in websockets. Browsers let pages of every site
    open a websocket with the cookies; one of another origin has no user here.
    """
    seen = _seen(connection)
    seen.depends_on_user = True
    request = _translated(connection)
    if connection.scope["type"] == "websocket" and not seen.web.is_same_origin(request):
        return None
    return seen.web.user_of(request)


def login_required(
    connection: HTTPConnection, user: Annotated[User | None, Depends(current_user)]
) -> User:
    """A dependency that returns the user who is signed in.

    Unauthenticated users sign in, then return to the page that they requested. A websocket is refused
    (code 1008).
    """
    if user is not None:
        return user
    if connection.scope["type"] == "websocket":
        raise WebSocketException(1008, "sign in first")
    seen = _seen(connection)
    root = connection.scope.get("app_root_path", connection.scope.get("root_path", ""))
    raise NotSignedIn(
        seen.web.sign_in_first(replace(_translated(connection), prefix=root + seen.prefix))
    )


def same_origin(connection: HTTPConnection) -> None:
    """A dependency that refuses requests from pages of other origins (403), as the pages do.

    For the application's own routes that change something on behalf of the user.
    """
    if not _seen(connection).web.is_same_origin(_translated(connection)):
        raise HTTPException(403, "this request came from another site")


CurrentUser = Annotated[User, Depends(login_required)]
"""For signatures: ``def orders(user: CurrentUser)``."""


def _seen(connection: HTTPConnection) -> _Seen:
    if _SEEN not in connection.scope:
        raise Misconfigured("call oncegate_web.fastapi.mount(app, web) first")
    seen: _Seen = connection.scope[_SEEN]
    return seen


def _sign_in_first(_: FastAPIRequest, error: Exception) -> FastAPIResponse:
    assert isinstance(error, NotSignedIn)
    return _native(error.answer)


class _Middleware:
    """Takes the sign-in's cookies out of the request, and keeps users' pages out of shared caches."""

    def __init__(self, app: ASGIApp, web: WebSignIn, prefix: str) -> None:
        self._app = app
        self._web = web
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            _take_cookies(scope, self._web, self._prefix)
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


def _take_cookies(scope: Scope, web: WebSignIn, prefix: str) -> None:
    """Move our cookies out of the scope, which error reporters store whole, into `_Seen`."""
    headers = scope["headers"]
    sent = b"; ".join(value for key, value in headers if key == b"cookie").decode("latin-1")
    scope.setdefault(_SEEN, _Seen(web, prefix, Fields({"cookie": sent})))
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
    """An ASGI application. It answers each request on a thread, so the event loop is never blocked."""

    def __init__(self, web: WebSignIn) -> None:
        self._web = web
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="oncegate")

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
        loop = asyncio.get_running_loop()
        # The context variables of a middleware, such as the request ID, follow to the thread.
        run = copy_context().run
        answer = await loop.run_in_executor(self._threads, run, self._web.respond, request)
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
        query=dict(asked.query_params),
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
    "CurrentUser",
    "NotSignedIn",
    "current_user",
    "login_required",
    "mount",
    "same_origin",
]
