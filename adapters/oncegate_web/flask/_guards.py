"""`Guards`: the decorators and functions of one sign-in, for the application's views."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final, Literal

from flask import Response as FlaskResponse
from flask import current_app
from flask import request as asked

from oncegate import InvalidToken, Misconfigured
from oncegate_web._web import UNAVAILABLE
from oncegate_web.flask._mounted import Mounted, mounted, native, pass_on
from oncegate_web.flask._signals import By, deliver
from oncegate_web.flask._users import CurrentUser, Visitor, be, unavailable, visitor
from oncegate_web.flask._wsgi import IS_PRIVATE

View = Callable[..., Any]
_SAFE: Final = {"GET", "HEAD", "OPTIONS"}


class Guards:
    """The functions that views need.

    Args:
        name: name of the sign-in; None for the application's only one, or ``oncegate``.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name
        self.current_user: Any = CurrentUser(name)
        """Who is signed in. Never None: `Anonymous` if no user is, or if the application does not admit
        the user. A call returns Cognito's own `oncegate_web.User`, or None."""

    def login_required(self, view: View) -> View:
        """Decorate a view: users who are not signed in do so, then return to it.

        Programs, which do not accept HTML, get a problem (401). If it is not known who is signed in,
        `Unavailable` is raised (503). The same holds for the other decorators.
        """
        return self._guarding(view, self._refuse_anonymous)

    def groups_required(self, *groups: str) -> Callable[[View], View]:
        """Decorate a view: the user is in one of these groups of the pool. Others get a 403.

        Args:
            *groups: names of groups (the claim ``cognito:groups``).
        """
        wanted = _checked("groups_required", "staff", groups)
        return lambda view: self._guarding(
            view,
            lambda: (
                self._refuse_anonymous()
                or (None if wanted & set(self._user().groups) else self.forbidden())
            ),
        )

    def scopes_required(self, *scopes: str) -> Callable[[View], View]:
        """Decorate a view: the access token has all of these scopes. Others get a 403.

        Args:
            *scopes: scopes, such as ``orders/write``.
        """
        wanted = _checked("scopes_required", "orders/write", scopes)

        def refuse() -> Any:
            if (refused := self._refuse_anonymous()) is not None:
                return refused
            if wanted <= set(self._user().scopes):
                return None
            if not visitor(self._name).by_token:
                return self.forbidden()
            response = self._forbidden_program()
            names = " ".join(scopes)  # RFC 6750, 3.1
            _challenge(response, f'error="insufficient_scope", scope="{names}"')
            return response

        return lambda view: self._guarding(view, refuse)

    def fresh_login_required(self, max_age: float) -> Callable[[View], View]:
        """Decorate a view: the user has typed a password or a code lately, or does so once more.

        Args:
            max_age: seconds since then.
        """
        if not isinstance(max_age, (int, float)):
            raise Misconfigured("write @fresh_login_required(300): seconds since the sign-in")

        def refuse() -> Any:
            if (refused := self._refuse_anonymous()) is not None:
                return refused
            found, web = visitor(self._name), self._mounted().web
            if found.user is not None and web.is_recent(found.user, max_age):
                return None
            if not found.by_token:
                return self.reauthenticate()
            error = f'error="insufficient_user_authentication", max_age="{max_age:.0f}"'
            return self._refused_token(error)  # RFC 9470, 3

        return lambda view: self._guarding(view, refuse)

    def auth_required(self, *ways: Literal["session", "token"]) -> Callable[[View], View]:
        """Decorate a view for browsers, for programs, or for both. The outermost of our decorators.

        With a session, requests that change something have to come from a page of this origin: tokens
        need no other protection, so exempt the view from that of the framework.

        Args:
            *ways: ``session`` for the browser's session, ``token`` for an access token in
                ``Authorization: Bearer``. If a request has a token, it decides.
        """
        if not ways or set(ways) - {"session", "token"}:
            raise Misconfigured('write @auth_required("session", "token"), or one of them')
        return lambda view: self._guarding(view, lambda: self._refuse_other_ways(ways))

    def same_origin(self, view: View) -> View:
        """Decorate a view: requests from pages of other origins are refused (403), as the pages do.

        For the application's own views that change something on behalf of the user.
        """
        return self._guarding(view, self._refuse_other_origins)

    def unauthorized(self) -> Any:
        """Return the answer to a request without a user: such as from a ``before_request``.

        It is that of `Oncegate.unauthorized_handler`, or leads to sign-in (HTML) or is a 401. If the
        user is signed in, but the application does not admit this user, it is `forbidden`.
        """
        if visitor(self._name).user is not None:
            return self.forbidden()
        sign_in = self._mounted()
        if handler := sign_in.extension.handler_of_unauthorized:
            return current_app.ensure_sync(handler)()
        return native(sign_in.web.sign_in_first(sign_in.guarded_request()))

    def forbidden(self) -> Any:
        """Return the answer to a user who may not see a view: a 403, or `forbidden_handler`'s."""
        sign_in = self._mounted()
        if handler := sign_in.extension.handler_of_forbidden:
            return current_app.ensure_sync(handler)()
        return native(sign_in.web.forbidden(sign_in.guarded_request()))

    def reauthenticate(self) -> Any:
        """Return an answer with which the user signs in once more, then returns."""
        sign_in = self._mounted()
        return native(sign_in.web.sign_in_again(sign_in.guarded_request()))

    def logout_user(self) -> str | None:
        """Sign out the browser of the current request: for a view of the application.

        The session ends, its tokens are revoked at Cognito, and the view's response deletes the
        cookies. If the user signed in at managed login, a redirect of the view leads there, to end its
        session too. What the application has in Flask's session stays. Nothing happens if no user is
        signed in.

        Returns:
            Where a script has to send the browser, which no redirect of the view does; usually None.

        Raises:
            Unavailable: the store failed; the session goes on.
        """
        return end_session(self._mounted())

    def _mounted(self) -> Mounted:
        return mounted(self._name)

    def _user(self) -> Any:
        return visitor(self._name).user

    def _guarding(self, view: View, refuse: Callable[[], Any]) -> View:
        if not callable(view):
            raise Misconfigured(f"a decorator of views was called with {type(view).__name__}")

        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            refused = refuse()
            return (
                refused if refused is not None else current_app.ensure_sync(view)(*args, **kwargs)
            )

        return guarded

    def _refuse_anonymous(self) -> Any:
        return None if visitor(self._name).account is not None else self.unauthorized()

    def _refuse_other_origins(self) -> Any:
        sign_in = self._mounted()
        request = sign_in.guarded_request()
        return (
            None if sign_in.web.is_same_origin(request) else native(sign_in.web.cross_site(request))
        )

    def _refuse_other_ways(self, ways: tuple[str, ...]) -> Any:
        if "token" in ways and _has_token():
            return self._refuse_token()
        if "session" not in ways:
            return self._refused_token("")
        if asked.method not in _SAFE and (refused := self._refuse_other_origins()) is not None:
            return refused
        refused = self._refuse_anonymous()
        if "token" in ways and getattr(refused, "status_code", 0) == 401:
            _challenge(refused, "")
        return refused

    def _refuse_token(self) -> Any:
        """Return the answer to a request whose token is not accepted; otherwise note its user."""
        sign_in, failed = self._mounted(), None
        try:
            # No variable holds the token: error reporters store the local variables of a traceback.
            user = sign_in.web.bearer_user(_token())
        except InvalidToken:
            return self._refused_token('error="invalid_token"')
        except UNAVAILABLE as error:
            failed = error
        if failed is not None:
            raise unavailable(sign_in, failed, as_program=True)
        asked.environ[IS_PRIVATE] = True
        found = be(Visitor(sign_in, user, by_token=True))
        if found.account is None:
            return self._forbidden_program()
        if sign_in.extension.bridge:
            sign_in.extension.bridge.be(found.account)
        return None

    def _forbidden_program(self) -> FlaskResponse:
        sign_in = self._mounted()
        return native(sign_in.web.forbidden(sign_in.guarded_request(as_program=True)))

    def _refused_token(self, error: str) -> FlaskResponse:
        sign_in = self._mounted()
        response = native(sign_in.web.sign_in_first(sign_in.guarded_request(as_program=True)))
        _challenge(response, error)
        return response


def end_session(sign_in: Mounted, by: By = "view") -> str | None:
    """Sign out the browser of the current request; see `Guards.logout_user`."""
    request = sign_in.guarded_request()
    try:
        ended = sign_in.web.end_session(request)
    except UNAVAILABLE as error:
        failed = error
    else:
        pass_on(ended)
        deliver(sign_in, ended.signals, by=by)
        return ended.headers.get("Location")
    raise unavailable(sign_in, failed)


def _checked(decorator: str, example: str, names: Iterable[str]) -> set[str]:
    found = set(names)
    if not found or not all(isinstance(name, str) for name in found):
        raise Misconfigured(f'write @{decorator}("{example}"): names, at least one')
    return found


def _challenge(response: FlaskResponse, error: str) -> None:
    """Say how to authenticate (RFC 6750, 3)."""
    response.headers["WWW-Authenticate"] = f"Bearer {error}".strip()


def _has_token() -> bool:
    found = asked.authorization
    return found is not None and found.type == "bearer" and bool(found.token)


def _token() -> str:
    found = asked.authorization
    return found.token or "" if found else ""
