"""FastAPI, Starlette: ``mount``, ``current_user``, ``login_required``. Extra: ``oncegate[fastapi]``."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import Annotated
from urllib.parse import parse_qsl

from oncegate import MissingExtra

try:
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi import Request as FastAPIRequest
    from fastapi.responses import Response as FastAPIResponse
    from starlette.types import Receive, Scope, Send
except ModuleNotFoundError as error:
    raise MissingExtra("fastapi") from error

from oncegate.adapters import THREADS
from oncegate_web._sessions import User
from oncegate_web._web import WebSignIn
from oncegate_web.http import MAX_BODY_BYTES, Request, Response

FORM = "application/x-www-form-urlencoded"


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
    app.state.oncegate, app.state.oncegate_prefix = web, prefix
    app.add_exception_handler(NotSignedIn, _sign_in_first)
    app.mount(prefix, _Pages(web), name="oncegate")


def current_user(request: FastAPIRequest) -> User | None:
    """A dependency that returns the user who is signed in, or None."""
    web: WebSignIn = request.app.state.oncegate
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


class _Pages:
    """An ASGI application. It answers each request on a thread, so the event loop is never blocked."""

    def __init__(self, web: WebSignIn) -> None:
        self._web = web
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="oncegate")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        asked = FastAPIRequest(scope, receive)
        body = b""
        async for chunk in asked.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                break
        root = scope.get("root_path", "")
        request = _translated(asked, prefix=root, body=body)
        loop = asyncio.get_running_loop()
        # The context variables of a middleware, such as the request ID, follow to the thread.
        run = copy_context().run
        answer = await loop.run_in_executor(self._threads, run, self._web.respond, request)
        await _native(answer)(scope, receive, send)


def _translated(asked: FastAPIRequest, prefix: str | None = None, body: bytes = b"") -> Request:
    is_form = asked.headers.get("content-type", "").startswith(FORM)
    path = asked.url.path
    return Request(
        method=asked.method,
        path=path.removeprefix(prefix) if prefix is not None else _with_query(asked),
        prefix=prefix or "",
        host=asked.headers.get("host", ""),
        is_secure=asked.url.scheme == "https",
        client=asked.client.host if asked.client else None,
        headers=dict(asked.headers),
        cookies=asked.cookies,
        query=dict(asked.query_params),
        form=_form(body) if is_form and len(body) <= MAX_BODY_BYTES else {},
        body=body,
    )


def _with_query(asked: FastAPIRequest) -> str:
    return asked.url.path + (f"?{asked.url.query}" if asked.url.query else "")


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return {}


def _native(answer: Response) -> FastAPIResponse:
    made = FastAPIResponse(answer.body, answer.status, answer.headers, answer.content_type)
    for cookie in answer.cookies:
        made.set_cookie(**cookie.arguments())
    return made


__all__ = ["CurrentUser", "NotSignedIn", "current_user", "login_required", "mount"]
