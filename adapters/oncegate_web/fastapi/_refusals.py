"""What the dependencies raise, and the handler that answers it."""

from __future__ import annotations

import inspect

from fastapi import HTTPException
from fastapi.exception_handlers import http_exception_handler
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request as NativeRequest
from starlette.responses import Response as NativeResponse

from oncegate import Misconfigured, StoreUnavailable, Unreachable
from oncegate_web.fastapi._scope import native
from oncegate_web.http import Response

_PASSED_ON = ("Cache-Control", "Location", "Retry-After", "Vary", "WWW-Authenticate")
"""Headers that an application's own handler needs, too."""


class Refused(HTTPException):
    """Raised by the dependencies. An application's own handler for ``HTTPException`` comes first.

    Attributes:
        answer: the answer without such a handler: a page, a redirect or a problem (RFC 9457).
    """

    def __init__(self, answer: Response, detail: str) -> None:
        headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
        super().__init__(answer.status, detail, headers)
        self.answer = answer


class NotSignedIn(Refused):
    """The user has to sign in first: 303 for a page in a browser, otherwise 401."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer, "sign in first")


class Forbidden(Refused):
    """The user lacks a group or a scope: 403."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer, "the user has not the right to do this")


class CrossSite(Refused):
    """The request comes from a page of another origin: 403."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer, "this request came from another site")


class Unavailable(Refused):
    """It cannot be determined who is signed in: 503, with Retry-After.

    It also is the error that is its cause, so that an application's own handlers for
    `oncegate.StoreUnavailable` and `oncegate.Unreachable` come first.
    """

    def __init__(self, answer: Response) -> None:
        super().__init__(answer, "try again later")


class _StoreUnavailable(StoreUnavailable, Unavailable): ...


class _Unreachable(Unreachable, Unavailable): ...


class _Misconfigured(Misconfigured, Unavailable): ...


def unavailable(answer: Response, cause: Exception) -> Unavailable:
    """Return the `Unavailable` that also is its cause."""
    if isinstance(cause, StoreUnavailable):
        return _StoreUnavailable(answer)
    return (_Unreachable if isinstance(cause, Unreachable) else _Misconfigured)(answer)


async def answered(request: NativeRequest, error: Exception) -> NativeResponse:
    """Answer a `Refused`: by the application's own handler for ``HTTPException``, if it has one."""
    assert isinstance(error, Refused)
    # The application's registry; those in the scope may have been wrapped, such as by Sentry.
    handlers = request.app.exception_handlers
    own = handlers.get(HTTPException) or handlers.get(StarletteHTTPException)
    if own in {None, http_exception_handler}:  # FastAPI's own has nothing but the status
        return native(error.answer)
    if inspect.iscoroutinefunction(own):
        response: NativeResponse = await own(request, error)
    else:
        response = await run_in_threadpool(own, request, error)
    return response
