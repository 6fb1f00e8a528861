"""`OncegateMiddleware`: after Django's ``AuthenticationMiddleware``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseBase

from oncegate_web.django._aliases import check_bridge, is_bridged
from oncegate_web.django._requests import Seen, seen_of, set_cookies, unavailable
from oncegate_web.http import private_headers

_SERVER_ERROR = 500


class OncegateMiddleware:
    """Makes ``request.user`` follow the session, and keeps what depends on it out of shared caches.

    It takes our cookies out of the request, so that views, logs and error reporters do not have them. If
    it cannot be determined who is signed in, it answers a view that asks for it with 503.

    Raises:
        Misconfigured: the backend is configured, and the app ``oncegate_web.django`` is not.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        check_bridge()
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        seen = self._seen(request)
        if self._is_async:
            return self._answer(request, seen)
        return _finished(request, self._get_response(request), seen)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _: Any, kwargs: dict[str, Any]
    ) -> None:
        """Determine no user for a static file, although ``LoginRequiredMiddleware`` asks for it."""
        is_static = getattr(view, "is_oncegate", False) and str(kwargs.get("below", "")).startswith(
            "static/"
        )
        if is_static and is_bridged():
            from django.contrib.auth.models import AnonymousUser

            request.user = AnonymousUser()

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Answer with 503 if it could not be determined who is signed in."""
        return unavailable(request) if exception is seen_of(request).failure else None

    def _seen(self, request: HttpRequest) -> Seen:
        seen = seen_of(request)
        if is_bridged():
            from oncegate_web.django import _bridge

            _bridge.prepare(request)
        return seen

    async def _answer(self, request: HttpRequest, seen: Seen) -> HttpResponseBase:
        response = await self._get_response(request)
        if _is_outage(response, seen):
            return await sync_to_async(_finished)(request, response, seen)
        return _finished(request, response, seen)


def _is_outage(response: HttpResponseBase, seen: Seen) -> bool:
    """Return whether a middleware could not determine the user: Django makes a 500 of that at once."""
    return seen.failure is not None and response.status_code == _SERVER_ERROR


def _finished(request: HttpRequest, response: HttpResponseBase, seen: Seen) -> HttpResponseBase:
    if _is_outage(response, seen):
        response = unavailable(request)
    set_cookies(response, seen.cookies_to_set)
    return as_private(response, seen)


def as_private(response: HttpResponseBase, seen: Seen) -> HttpResponseBase:
    """Return a response that caches keep for one user, if it depends on the user."""
    if seen.depends_on_user:
        headers = response.headers
        for name, value in private_headers(
            headers.get("Cache-Control"), headers.get("Vary")
        ).items():
            headers[name] = value
    return response
