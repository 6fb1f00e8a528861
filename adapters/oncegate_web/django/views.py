"""The view of all pages and of the JSON API."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import include
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from oncegate_web.django._aliases import is_bridged, web_sign_in
from oncegate_web.django._rendering import rendering_for
from oncegate_web.django._requests import (
    alias_of,
    native,
    own_prefix,
    translated,
    with_body,
    without_query,
)
from oncegate_web.http import CALLBACK


@sensitive_post_parameters()  # type: ignore[untyped-decorator]
@sensitive_variables()  # type: ignore[untyped-decorator]
def _page(request: HttpRequest, below: str = "", **_: Any) -> HttpResponse:
    alias = alias_of(request)
    asked = with_body(translated(request, alias, f"/{below}", own_prefix(request)), request)
    if asked.path == CALLBACK:
        without_query(request)
    with rendering_for(request):
        answer = web_sign_in(alias).respond(asked)
        if is_bridged():
            from oncegate_web.django import _bridge

            answer = _bridge.follow(request, alias, asked, answer)
    return native(answer)


# Exempt, because Django's check reads a body of any length, and a sign-in changes its token. The pages
# have tokens of their own. Not atomic: a call to Cognito must not hold a transaction open.
page = transaction.non_atomic_requests(csrf_exempt(_page))
page.login_required = False  # as `login_not_required` sets it
page.is_oncegate = True  # for the middleware and the checks


def mount() -> Any:
    """Return the URL patterns of the pages and the JSON API, to be mounted under a prefix.

    It is ``include("oncegate_web.django.urls")``.

    Example:
        >>> urlpatterns = [path("auth/", mount())]
    """
    return include("oncegate_web.django.urls")
