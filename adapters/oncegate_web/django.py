"""Django: ``mount``, ``current_user``, ``login_required``. Extra: ``oncegate[django]``.

The setting ``ONCEGATE`` names the `WebSignIn`, such as ``"shop.signin.web"``. If ``oncegate_web`` is in
``INSTALLED_APPS``, pages are rendered by Django's own templates, so that a project's
``templates/oncegate/page.html`` replaces ours. Add ``"oncegate_web.django.OncegateMiddleware"`` to
``MIDDLEWARE``, after the cache's and before all that reads cookies. The pages have CSRF tokens of their
own, bound to the flow, and check Origin and Sec-Fetch-Site.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from http.cookies import SimpleCookie
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from oncegate import Misconfigured, MissingExtra

try:
    from django.apps import apps
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse, HttpResponseBase
    from django.template.loader import render_to_string
    from django.urls import include, path, reverse
    from django.utils.module_loading import import_string
    from django.views.decorators.csrf import csrf_exempt
    from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
except ModuleNotFoundError as error:
    raise MissingExtra("django") from error

from oncegate_web._user import User
from oncegate_web._web import UNAVAILABLE, WebSignIn
from oncegate_web.http import (
    CALLBACK,
    MAX_BODY_BYTES,
    Body,
    Fields,
    Request,
    Response,
    forget_query,
    private_headers,
    without_cookies,
)
from oncegate_web.pages import Page

View = Callable[..., HttpResponseBase]

_PROXY = (
    'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https"), and USE_X_FORWARDED_HOST = True'
    " if the proxy sets X-Forwarded-Host"
)


class _Seen:
    """What the middleware and the functions below know about one request."""

    def __init__(self, cookies: Fields) -> None:
        self.cookies = cookies
        self.depends_on_user = False
        self.user: User | None = None
        self.failure: Exception | None = None


def mount() -> Any:
    """Return the URL patterns of the pages and the JSON API, to be mounted under a prefix.

    Example:
        >>> urlpatterns = [path("auth/", mount())]
    """
    # Exempt, because Django's check reads a body of any length. The pages have tokens of their own.
    page = csrf_exempt(_page)
    patterns = [path("", page, name="page"), path("<path:below>", page)]
    return include((patterns, "oncegate"))


class OncegateMiddleware:
    """Keeps pages that depend on the user out of shared caches, and our cookies out of the request.

    If it cannot be determined who is signed in, it answers a view that asks for it with 503.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        seen = _seen(request)
        if self._is_async:
            return self._answer(request, seen)
        return _as_private(self._get_response(request), seen)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Answer with 503 if `current_user` raised this exception in the view."""
        return _unavailable(request) if exception is _seen(request).failure else None

    async def _answer(self, request: HttpRequest, seen: _Seen) -> HttpResponseBase:
        return _as_private(await self._get_response(request), seen)


def current_user(request: HttpRequest) -> User | None:
    """Return the user who is signed in, or None. The store is read once per request.

    Raises:
        StoreUnavailable: the store failed. `OncegateMiddleware` answers with 503.
        Unreachable: the tokens have expired, and Cognito did not answer. The same.
        Misconfigured: neither `OncegateMiddleware` nor `login_required` is there, so the page could be
            cached for all users.
    """
    if not hasattr(request, "oncegate"):
        raise Misconfigured('add "oncegate_web.django.OncegateMiddleware" to MIDDLEWARE')
    seen = _seen(request)
    if not seen.depends_on_user:
        seen.depends_on_user = True
        # Also for a cache outside the middleware, such as `cache_page` around the view.
        request._cache_update_cache = False
        try:
            seen.user = _web().user_of(_translated(request, ""))
        except UNAVAILABLE as error:
            seen.failure = error
    if seen.failure is not None:
        raise seen.failure
    return seen.user


def login_required(view: View) -> View:
    """Decorate a view: unauthenticated users sign in, then return to it."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        seen = _seen(request)
        try:
            user = current_user(request)
        except UNAVAILABLE:
            return _as_private(_unavailable(request), seen)
        if user is not None:
            return _as_private(view(request, *args, **kwargs), seen)
        answer = _web().sign_in_first(_translated(request, request.get_full_path()))
        return _as_private(_native(answer), seen)

    return guarded


def _unavailable(request: HttpRequest) -> HttpResponse:
    return _native(_web().unavailable(_translated(request, request.get_full_path())))


def _seen(request: HttpRequest) -> _Seen:
    """Move our cookies out of a request, which error pages show, and return what is known of it."""
    if not hasattr(request, "oncegate"):
        sent = request.META.get("HTTP_COOKIE", "")
        request.oncegate = _Seen(Fields({"cookie": sent}))
        others = without_cookies(sent, _web().name)
        if others != sent:
            request.META["HTTP_COOKIE"] = others
            for parsed in ("COOKIES", "headers"):  # parsed again from what is left
                vars(request).pop(parsed, None)
            if hasattr(request, "scope"):  # ASGI
                kept = [one for one in request.scope["headers"] if one[0] != b"cookie"]
                request.scope["headers"] = [*kept, (b"cookie", others.encode("latin-1", "replace"))]
    return cast("_Seen", request.oncegate)


def _as_private(response: HttpResponseBase, seen: _Seen) -> HttpResponseBase:
    if seen.depends_on_user:
        headers = response.headers
        for name, value in private_headers(
            headers.get("Cache-Control"), headers.get("Vary")
        ).items():
            headers[name] = value
    return response


@sensitive_post_parameters()  # type: ignore[untyped-decorator]
@sensitive_variables()  # type: ignore[untyped-decorator]
def _page(request: HttpRequest, below: str = "") -> HttpResponse:
    asked = _with_body(_translated(request, f"/{below}"), request)
    if asked.path == CALLBACK:
        _forget_query(request)
    return _native(_web().respond(asked))


def _forget_query(request: HttpRequest) -> None:
    """Remove the query from Django's request, whose repr has it."""
    forget_query(request.META)
    vars(request).pop("GET", None)
    if hasattr(request, "scope"):  # ASGI
        request.scope["query_string"] = b""


def _web() -> WebSignIn:
    if not hasattr(settings, "ONCEGATE"):
        raise Misconfigured('set ONCEGATE to the name of your WebSignIn, such as "shop.signin.web"')
    web: WebSignIn = import_string(settings.ONCEGATE)
    if apps.is_installed("oncegate_web"):
        web.use_renderer(_with_django)
    return web


def _with_django(template: str, page: Page) -> str:
    return str(render_to_string(template, {"page": page}))


def _prefix() -> str:
    return str(reverse("oncegate:page")).rstrip("/")


def _translated(request: HttpRequest, path: str) -> Request:
    return Request(
        method=request.method or "GET",
        path=path,
        prefix=_prefix(),
        host=request.get_host(),
        is_secure=request.is_secure(),
        client=request.META.get("REMOTE_ADDR"),
        headers=Fields(
            {
                **{name.lower(): value for name, value in request.headers.items()},
                "cookie": _seen(request).cookies["cookie"],
            }
        ),
        query=Fields(request.GET.dict()),
        proxy_setting=_PROXY,
    )


def _with_body(asked: Request, request: HttpRequest) -> Request:
    """Add form and body. For our own pages only: the application reads what its views are posted.

    They are not read by ``request.POST`` and ``request.body``, which would keep them for error pages.
    """
    body = Body(request.read(MAX_BODY_BYTES + 1))
    return replace(asked, body=body, form=body.form(asked.headers.get("content-type", "")))


class _SharedResponse(HttpResponse):  # type: ignore[misc]
    """A response for all users, to which no middleware can add a cookie."""

    @property
    def cookies(self) -> SimpleCookie:
        return SimpleCookie()

    @cookies.setter
    def cookies(self, _: SimpleCookie) -> None:
        pass

    def set_cookie(self, *_: Any, **__: Any) -> None:
        pass


def _native(answer: Response) -> HttpResponse:
    made = (_SharedResponse if answer.is_shared else HttpResponse)(
        answer.body,
        status=answer.status,
        headers=answer.headers,
        content_type=answer.content_type,
    )
    for cookie in answer.cookies:
        made.set_cookie(**cookie.arguments())
    return made


__all__ = ["OncegateMiddleware", "current_user", "login_required", "mount"]
