"""Decorators for views. For all else, Django's own work: ``django.contrib.auth.decorators``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

from oncegate_web._web import UNAVAILABLE
from oncegate_web.django._aliases import DEFAULT, web_sign_in
from oncegate_web.django._current import current_user
from oncegate_web.django._requests import guarding, native, seen_of, unavailable
from oncegate_web.django.middleware import as_private

View = Callable[..., Any]
_Guard = Callable[[HttpRequest], HttpResponseBase | None]


def login_required(view: View) -> View:
    """Decorate a view: unauthenticated users sign in, then return to it.

    For projects without ``django.contrib.auth``; others have Django's ``login_required``.
    """

    def guard(request: HttpRequest) -> HttpResponseBase | None:
        if current_user(request) is not None:
            return None
        return native(web_sign_in(DEFAULT).sign_in_first(guarding(request, DEFAULT)))

    return _guarded(view, guard)


def group_required(*groups: str) -> Callable[[View], View]:
    """Return a decorator: only users in one of these groups of the pool see the view, others a 403.

    Args:
        *groups: names of groups (the claim ``cognito:groups``).
    """

    def guard(request: HttpRequest) -> HttpResponseBase | None:
        check_groups(request, groups)
        return None if request.user.is_authenticated else to_login(request)

    return lambda view: _guarded(view, guard)


def reauthentication_required(max_age: float) -> Callable[[View], View]:
    """Return a decorator: users sign in once more if their sign-in is older.

    Args:
        max_age: seconds since the user has typed a password or a code.
    """

    def guard(request: HttpRequest) -> HttpResponseBase | None:
        user = current_user(request)
        alias = seen_of(request).alias
        if user is not None and web_sign_in(alias).is_recent(user, max_age):
            return None
        return native(web_sign_in(alias).sign_in_again(guarding(request, alias)))

    return lambda view: _guarded(view, guard)


def secure_admin_login(view: View) -> View:
    """Return the admin's log-in view, which leads to the pages.

    A user who is signed in and is no member of the staff sees a 403.

    Example:
        >>> admin.site.login = secure_admin_login(admin.site.login)
    """

    def guard(request: HttpRequest) -> HttpResponseBase | None:
        if not request.user.is_authenticated:
            return to_login(request)
        if not (request.user.is_active and request.user.is_staff):
            raise PermissionDenied
        return None

    return _guarded(view, guard)


def check_groups(request: HttpRequest, groups: tuple[str, ...]) -> None:
    """Raise PermissionDenied for an authenticated user who is in none of the groups."""
    user = current_user(request)
    if request.user.is_authenticated and not set(groups) & set(user.groups if user else ()):
        raise PermissionDenied


def to_login(request: HttpRequest) -> HttpResponseBase:
    """Return a redirect to ``LOGIN_URL``, which leads back."""
    from django.contrib.auth.views import redirect_to_login  # needs the app

    response: HttpResponseBase = redirect_to_login(request.get_full_path())
    return response


def _guarded(view: View, guard: _Guard) -> View:
    """Return a view, sync or async, that is reached if the guard returns None."""

    def guarded_by(request: HttpRequest) -> HttpResponseBase | None:
        try:
            return guard(request)
        except UNAVAILABLE:
            return unavailable(request)

    if iscoroutinefunction(view):

        @wraps(view)
        async def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            seen = seen_of(request)
            refusal = await sync_to_async(guarded_by)(request)
            return as_private(refusal or await view(request, *args, **kwargs), seen)

    else:

        @wraps(view)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            seen = seen_of(request)
            refusal = guarded_by(request)
            return as_private(refusal or view(request, *args, **kwargs), seen)

    return answered
