"""The routes of one sign-in: pages and JSON API, for a router of FastAPI and for one of Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from fastapi import Request as NativeRequest
from fastapi import Response as NativeResponse
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from oncegate import Misconfigured
from oncegate_web._openapi import operations
from oncegate_web.fastapi._schemas import described
from oncegate_web.fastapi._scope import native, translated
from oncegate_web.http import CALLBACK, MAX_BODY_BYTES

if TYPE_CHECKING:
    from oncegate_web.fastapi._auth import OncegateAuth

_METHODS = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE"]
"""All of them: the core answers those that a path has not, and preflights."""

_PAGES = {"/": "login", "/sign-out": "logout", "/{path:path}": "page"}
"""Names of the routes that are no operations of the API, by path."""


class Pages:
    """The endpoint of every route: the core does the routing.

    Args:
        auth: the sign-in.
    """

    def __init__(self, auth: OncegateAuth) -> None:
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the endpoint of a route of Starlette, which error reporters do not look into."""
        if await self.take_body(scope, receive):
            answer = await self.answer(NativeRequest(scope))
            await answer(scope, receive, send)

    async def take_body(self, scope: Scope, receive: Receive) -> bool:
        """Read the body, or its beginning if it is too large; return False if the client has gone."""
        seen = self._auth.seen(NativeRequest(scope))
        try:
            async for chunk in NativeRequest(scope, receive).stream():
                seen.body.bytes += chunk
                if len(seen.body) > MAX_BODY_BYTES:
                    break
        except ClientDisconnect:
            return False  # its traceback would hold what was received
        return True

    async def answer(self, request: NativeRequest) -> NativeResponse:
        """Answer a request for a page, a file, or the JSON API, once its body was taken."""
        auth = self._auth
        seen = auth.seen(request)
        asked = translated(request, seen, path=seen.below)
        if asked.path == CALLBACK:
            # Error reporters and access logs store it; see `oncegate_web.http.forget_query`.
            request.scope["query_string"] = b""
        can_wait = auth.web.can_wait(asked)
        answer = await auth.threads.run(lambda: auth.web.respond(asked), can_wait=can_wait)
        seen.is_shared = answer.is_shared
        return native(answer)


class _PageRoute(APIRoute):
    """A route of FastAPI without a body, which error reporters read before the endpoint does."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not isinstance(scope["app"], FastAPI):
            raise Misconfigured('in Starlette, the routes are Mount("/auth", routes=auth.routes)')
        pages: Pages = self.endpoint.__self__  # type: ignore[attr-defined]
        if await pages.take_body(scope, receive):
            await super().handle(scope, _no_body(), send)


def _no_body() -> Receive:
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        return next(messages, {"type": "http.disconnect"})

    return receive


def is_page(scope: Scope) -> bool:
    """Return whether a request has reached a route of a sign-in, which guards itself."""
    endpoint = scope.get("endpoint")
    return isinstance(endpoint, Pages) or isinstance(getattr(endpoint, "__self__", None), Pages)


def router_of(auth: OncegateAuth) -> APIRouter:
    """Return the routes for FastAPI: the API with its schemas, the pages outside the document."""
    router = APIRouter(tags=[auth.web.name], lifespan=auth.lifespan, route_class=_PageRoute)
    answer = Pages(auth).answer
    for operation in operations(account=auth.web.has_account):
        router.add_api_route(
            operation.path,
            answer,
            methods=[operation.method],
            name=f"{auth.web.name}:api-{operation.name}",
            **described(operation, auth.web.name),
        )
    for path, name in _PAGES.items():
        router.add_api_route(
            path,
            answer,
            methods=_METHODS,
            name=f"{auth.web.name}:{name}",
            include_in_schema=False,
            response_model=None,
        )
    return router


def routes_of(auth: OncegateAuth) -> list[BaseRoute]:
    """Return the routes for Starlette."""
    pages = Pages(auth)
    of_api = operations(account=auth.web.has_account)
    paths = {operation.path: f"api-{operation.name}" for operation in of_api} | _PAGES
    return [Route(path, pages, name=f"{auth.web.name}:{name}") for path, name in paths.items()]
