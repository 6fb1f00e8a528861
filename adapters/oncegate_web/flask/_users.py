"""Who is signed in: `Visitor`, the proxy ``current_user``, and the error if it is not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

from flask import Response as FlaskResponse
from flask import current_app, g, has_request_context
from flask import request as asked
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.local import LocalProxy

from oncegate import Misconfigured, StoreUnavailable, Unreachable
from oncegate_web._user import User
from oncegate_web._web import UNAVAILABLE
from oncegate_web.flask._mounted import Mounted, is_lenient, mounted, native
from oncegate_web.flask._wsgi import IS_PRIVATE


class Unavailable(ServiceUnavailable):
    """Raised if it cannot be determined who is signed in: 503, with Retry-After.

    It also is the error that is its cause, so that an application's own handlers for 503,
    `oncegate.StoreUnavailable` and `oncegate.Unreachable` come first.
    """

    def __init__(self, answer: FlaskResponse) -> None:
        super().__init__("try again later", answer)


class _StoreUnavailable(StoreUnavailable, Unavailable): ...


class _Unreachable(Unreachable, Unavailable): ...


class _Misconfigured(Misconfigured, Unavailable): ...


class Anonymous:
    """`current_user` if no user is signed in. It is false in conditions."""

    username = sub = display_name = ""
    claims: Mapping[str, Any] = MappingProxyType({})
    groups: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    auth_time = tokens = None
    is_authenticated = is_active = False
    is_anonymous = True

    def get_id(self) -> None:
        """Return None."""

    def __bool__(self) -> bool:
        return False


class Visitor:
    """Who sent the current request.

    Args:
        sign_in: the sign-in that was asked.
        user: Cognito's user; None if none is signed in.
        by_token: whether the request has an access token instead of a session.
    """

    def __init__(self, sign_in: Mounted, user: User | None, *, by_token: bool = False) -> None:
        self.sign_in = sign_in
        self.user = user
        self.by_token = by_token

    @cached_property
    def account(self) -> Any:
        """The application's own object for the user; None if it does not admit the user."""
        loader = self.sign_in.extension.load_user
        if self.user is None or loader is None:
            return self.user
        account = current_app.ensure_sync(loader)(self.user)
        is_active = account is not None and getattr(account, "is_active", True)
        return account if is_active else None


def visitor(name: str | None) -> Visitor:
    """Return who sent the current request; the store is read once for each request.

    Raises:
        Unavailable: the store failed, or the tokens have expired and Cognito did not answer (503).
    """
    sign_in = mounted(name)
    known = _known()
    if sign_in.extension.name not in known:
        asked.environ[IS_PRIVATE] = True
        try:
            user = sign_in.web.user_of(sign_in.request())
        except UNAVAILABLE as error:
            failed = error
        else:
            return be(Visitor(sign_in, user))
        if is_lenient():
            return Visitor(sign_in, None)
        raise unavailable(sign_in, failed)
    return known[sign_in.extension.name]


def be(found: Visitor) -> Visitor:
    """Set who sent the current request, for the rest of it."""
    _known()[found.sign_in.extension.name] = found
    return found


def unavailable(
    sign_in: Mounted, failed: BaseException, *, as_program: bool = False
) -> Unavailable:
    """Return the error in place of one of `UNAVAILABLE`, with the answer to the browser."""
    answer = native(sign_in.web.unavailable(sign_in.guarded_request(as_program=as_program)))
    if isinstance(failed, StoreUnavailable):
        return _StoreUnavailable(answer)
    return (_Unreachable if isinstance(failed, Unreachable) else _Misconfigured)(answer)


class CurrentUser(LocalProxy[Any]):
    """Who is signed in: the application's own object, Cognito's `User`, or an anonymous one.

    A call returns Cognito's user, or None if none is signed in.
    """

    __slots__ = ("_oncegate_user",)

    def __init__(self, name: str | None) -> None:
        def account() -> Any:
            # Outside of a request, such as in a command, no user is signed in.
            found = visitor(name).account if has_request_context() else None
            return Anonymous() if found is None else found

        def user() -> User | None:
            return visitor(name).user if has_request_context() else None

        super().__init__(account)
        object.__setattr__(self, "_oncegate_user", user)

    def __call__(self) -> User | None:
        found: Callable[[], User | None] = object.__getattribute__(self, "_oncegate_user")
        return found()


def _known() -> dict[str, Visitor]:
    if "oncegate_visitors" not in g:
        g.oncegate_visitors = {}
    found: dict[str, Visitor] = g.oncegate_visitors
    return found
