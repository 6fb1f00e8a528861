"""FastAPI, Starlette: ``mount``, ``current_user``, ``login_required``. Extra: ``oncegate[fastapi]``."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import Annotated

from oncegate import Misconfigured, MissingExtra

try:
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi import Request as FastAPIRequest
    from fastapi.responses import Response as FastAPIResponse
    from starlette.middleware import Middleware
    from starlette.requests import ClientDisconnect
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
    """What the middleware, the pages and the dependencies tell each other about one request."""

    def __init__(self, cookies: Fields) -> None:
        self.cookies = cookies
        self.depends_on_user = False
        self.is_shared = False


class NotSignedIn(HTTPException):
    """Raised if the user has to sign in first; ``mount`` registers its handler."""

    def __init__(self) -> None:
        super().__init__(status_code=401, detail="sign in first")


def mount(app: FastAPI, web: WebSignIn, prefix: str = "/auth") -> None:
    """Mount the pages and the JSON API under a prefix, and set up the dependencies below.

    Args:
        app: application of FastAPI or Starlette.
        web: the sign-in.
        prefix: mount point; begins with a slash and does not end with one.
    """
    if app.middleware_stack is not None:
        raise Misconfigured("mount the sign-in before the application's first request")
    app.state.oncegate, app.state.oncegate_prefix = web, prefix
    # Innermost, so that a cache among the application's middleware sees the headers of a page that
    # depends on the user; outermost, so that none of them adds a cookie to a static file.
    app.user_middleware.append(Middleware(_Middleware, name=web.name))
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: _Middleware(build(), name=web.name)  # type: ignore[method-assign]
    app.add_exception_handler(NotSignedIn, _sign_in_first)
    app.mount(prefix, _Pages(web), name="oncegate")


def current_user(request: FastAPIRequest) -> User | None:
    """A dependency that returns the user who is signed in, or None."""
    if not hasattr(request.app.state, "oncegate"):
        raise Misconfigured("call oncegate_web.fastapi.mount(app, web) first")
    web: WebSignIn = request.app.state.oncegate
    request.scope[_SEEN].depends_on_user = True
    return web.user_of(_translated(request))


def login_required(user: Annotated[User | None, Depends(current_user)]) -> User:
    """A dependency that returns the user who is signed in.

    Unauthenticated users sign in, then return to the page that they requested.
    """
    if user is None:
        raise NotSignedIn
    return user


CurrentUser = Annotated[User, Depends(login_required)]
"""For signatures: ``def orders(user: CurrentUser)``."""


def _sign_in_first(request: FastAPIRequest, _: Exception) -> FastAPIResponse:
    state, root = request.app.state, request.scope.get("root_path", "")
    web: WebSignIn = state.oncegate
    asked = replace(_translated(request), prefix=root + state.oncegate_prefix)
    return _native(web.sign_in_first(asked))


class _Middleware:
    """Takes the sign-in's cookies out of the request, and keeps users' pages out of shared caches."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _take_cookies(scope, self._name)
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


def _take_cookies(scope: Scope, name: str) -> None:
    """Move our cookies out of the scope, which error reporters store whole, into `_Seen`."""
    headers = scope["headers"]
    sent = b"; ".join(value for key, value in headers if key == b"cookie").decode("latin-1")
    scope.setdefault(_SEEN, _Seen(Fields({"cookie": sent})))
    others = without_cookies(sent, name)
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
    asked: FastAPIRequest, prefix: str | None = None, body: Body | None = None
) -> Request:
    path = asked.scope["path"]
    whole = encoded_path(path, asked.url.query)
    body = body or Body()
    return Request(
        method=asked.method,
        path=path.removeprefix(prefix) if prefix is not None else whole,
        prefix=prefix or "",
        host=asked.headers.get("host", ""),
        is_secure=asked.url.scheme == "https",
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


__all__ = ["CurrentUser", "NotSignedIn", "current_user", "login_required", "mount"]
