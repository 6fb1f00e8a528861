"""Around the application: what it must not see of a request, and which responses are private."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oncegate_web.http import Fields, as_private, without_cookies

IS_PRIVATE = "oncegate.is_private"
"""Key in the WSGI environment: whether the response depends on the user."""

_COOKIE = "oncegate.cookie"
"""Key of the Cookie header, as received, in the WSGI environment."""


class Perimeter:
    """Takes a sign-in's cookies out of requests, and keeps private responses out of shared caches.

    It is outside Flask, so that no function of the application runs before or after it.

    Args:
        app: the application.
        name: name of the sign-in, with which its cookies begin.
    """

    def __init__(self, app: Callable[..., Any], name: str) -> None:
        self._app = app
        self._name = name

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        received_cookies(environ)
        others = without_cookies(environ.get("HTTP_COOKIE", ""), self._name)
        if others:
            environ["HTTP_COOKIE"] = others
        else:
            environ.pop("HTTP_COOKIE", None)

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            found = as_private(headers) if environ.pop(IS_PRIVATE, False) else headers
            return start_response(status, found, *more)

        return self._app(environ, start)


def received_cookies(environ: dict[str, Any]) -> Fields:
    """Return the Cookie header as received, as the field ``cookie``."""
    if _COOKIE not in environ:
        environ[_COOKIE] = Fields({"cookie": environ.get("HTTP_COOKIE", "")})
    received: Fields = environ[_COOKIE]
    return received
