"""Django: ``mount``, ``current_user``, ``login_required``. Extra: ``oncegate[django]``.

The setting ``ONCEGATE`` names the `WebSignIn`, such as ``"shop.signin.web"``. If ``oncegate_web`` is in
``INSTALLED_APPS``, pages are rendered by Django's own templates, so that a project's
``templates/oncegate/page.html`` replaces ours. Django's CSRF middleware protects the forms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

from oncegate import MissingExtra

try:
    from django.apps import apps
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse, HttpResponseBase
    from django.http.request import RawPostDataException
    from django.middleware.csrf import get_token
    from django.template.loader import render_to_string
    from django.urls import include, path, re_path, reverse
    from django.utils.module_loading import import_string
    from django.views.decorators.csrf import csrf_exempt
except ModuleNotFoundError as error:
    raise MissingExtra("django") from error

from oncegate_web._sessions import User
from oncegate_web._web import WebSignIn
from oncegate_web.http import MAX_BODY_BYTES, Request, Response
from oncegate_web.pages import Page

View = Callable[..., HttpResponseBase]


def mount() -> Any:
    """Return the URL patterns of the pages and the JSON API, to be mounted under a prefix.

    Example:
        >>> urlpatterns = [path("auth/", mount())]
    """
    patterns = [
        path("", _page, name="page"),
        # It accepts only JSON from this origin, which no form of another site can send.
        re_path(r"^(?P<below>(?:flows|session)\b.*)$", csrf_exempt(_page)),
        path("<path:below>", _page),
    ]
    return include((patterns, "oncegate"))


def current_user(request: HttpRequest) -> User | None:
    """Return the user who is signed in, or None. The store is read once per request."""
    if not hasattr(request, "oncegate_user"):
        request.oncegate_user = _web().user_of(_translated(request, ""))
    user: User | None = request.oncegate_user
    return user


def login_required(view: View) -> View:
    """Decorate a view: unauthenticated users sign in, then return to it."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if current_user(request) is not None:
            return view(request, *args, **kwargs)
        return _native(_web().sign_in_first(_translated(request, request.get_full_path())))

    return guarded


def _page(request: HttpRequest, below: str = "") -> HttpResponse:
    return _native(_web().respond(_with_body(_translated(request, f"/{below}"), request)))


def _web() -> WebSignIn:
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
        headers={name.lower(): value for name, value in request.headers.items()},
        cookies=request.COOKIES,
        query=request.GET.dict(),
    )


def _with_body(asked: Request, request: HttpRequest) -> Request:
    """Add form and body. For our own pages only: the application reads what its views are posted."""
    try:
        body = request.body  # before the form, which Django then parses from it
    except RawPostDataException:
        body = b""  # Django's CSRF check has read a multipart form already
    form = request.POST if len(body) <= MAX_BODY_BYTES else {}
    return replace(
        asked,
        body=body,
        form={name: str(form[name]) for name in form},
        hidden={"csrfmiddlewaretoken": get_token(request)},
    )


def _native(answer: Response) -> HttpResponse:
    made = HttpResponse(
        answer.body,
        status=answer.status,
        headers=answer.headers,
        content_type=answer.content_type,
    )
    for cookie in answer.cookies:
        made.set_cookie(**cookie.arguments())
    return made


__all__ = ["current_user", "login_required", "mount"]
