"""`current_user`: who is signed in at Cognito, with tokens and claims."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from oncegate import Misconfigured
from oncegate_web._user import User
from oncegate_web.django._aliases import DEFAULT, is_bridged
from oncegate_web.django._requests import seen_of


def current_user(request: HttpRequest, alias: str | None = None) -> User | None:
    """Return the user who is signed in at Cognito, or None. The store is read once per request.

    Args:
        request: the request.
        alias: alias of the pool. Default: that of ``request.user``; otherwise ``"default"``.

    Raises:
        StoreUnavailable: the store failed. `OncegateMiddleware` answers with 503.
        Unreachable: the tokens have expired, and Cognito did not answer. The same.
        Misconfigured: neither `OncegateMiddleware` nor `login_required` is there, so the page could be
            cached for all users.
    """
    if not hasattr(request, "oncegate"):
        raise Misconfigured('add "oncegate_web.django.middleware.OncegateMiddleware" to MIDDLEWARE')
    seen = seen_of(request)
    seen.mark(request)
    if alias is None and is_bridged():
        _ = request.user.is_authenticated  # determines who it is
        return seen.cognito
    session = seen.session(request, alias or DEFAULT)
    return session.user if session else None


async def acurrent_user(request: HttpRequest, alias: str | None = None) -> User | None:
    """Return `current_user`, for an async view."""
    return await sync_to_async(current_user)(request, alias)
