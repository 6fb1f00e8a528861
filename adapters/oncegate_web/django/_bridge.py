"""The bridge to ``django.contrib.auth``: Django's session follows that of Cognito.

Django's session stores the name of ours, which opens nothing. The user of a request is Django's if both
sessions belong together. If ours has ended, Django's ends; if Django's is not connected yet, because a
response was lost or a user clicked twice, it is connected. Sessions of other backends are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import auth
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    user_logged_in,
    user_logged_out,
    user_login_failed,
)
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.middleware.csrf import rotate_token
from django.utils.functional import SimpleLazyObject

from oncegate_web._signals import AccountChanged, CodeSent, SessionBegan, SessionEnded, SignInFailed
from oncegate_web._user import Session, User
from oncegate_web._web import UNAVAILABLE, WebSignIn
from oncegate_web.django._aliases import aliases, web_sign_in
from oncegate_web.django._current import current_user
from oncegate_web.django._requests import Seen, guarding, seen_of
from oncegate_web.django.signals import account_changed, code_sent, session_ended
from oncegate_web.http import Fields, Request, Response

LINK = "_oncegate_session"
"""Key in Django's session: alias and name of our session."""


def connect() -> None:
    """Connect the receivers of Django's signals."""
    user_logged_in.connect(_on_logged_in, dispatch_uid="oncegate")
    user_logged_out.connect(_on_logged_out, dispatch_uid="oncegate")


def prepare(request: HttpRequest) -> None:
    """Let ``request.user``, ``request.auser`` and ``request.cognito`` follow our session."""
    if not hasattr(request, "user"):
        raise ImproperlyConfigured(
            'put "oncegate_web.django.middleware.OncegateMiddleware" after '
            '"django.contrib.auth.middleware.AuthenticationMiddleware" in MIDDLEWARE'
        )
    request.user = SimpleLazyObject(lambda: _user_of(request))
    request.cognito = SimpleLazyObject(lambda: current_user(request))
    _let_auser_follow(request)


def _let_auser_follow(request: HttpRequest) -> None:
    """Let ``request.auser`` return ``request.user``.

    ``login`` and ``logout`` of Django 6.1 replace ``request.auser``, too.
    """

    async def auser() -> Any:
        return await sync_to_async(_determined)(request)

    request.auser = auser


def _determined(request: HttpRequest) -> Any:
    """Return the user of a request, after reading the sessions."""
    user = request.user
    _ = user.is_authenticated
    return user


def _user_of(request: HttpRequest) -> Any:
    """Return Django's user, or an AnonymousUser; see above."""
    seen = seen_of(request)
    seen.mark(request)
    user = auth.get_user(request)
    link = request.session.get(LINK)
    if link is None:
        return user if user.is_authenticated else _joined(request, seen, user, list(aliases()))
    alias, name = link
    session = seen.session(request, alias) if alias in aliases() else None
    if session is None:
        return _joined(request, seen, _log_out(request, seen, user), list(aliases()))
    if session.name == name and user.is_authenticated:
        seen.alias, seen.cognito = alias, session.user
        return user
    return _joined(request, seen, user, [alias])


def _joined(request: HttpRequest, seen: Seen, user: Any, among: list[str]) -> Any:
    """Connect Django's session with the first of our sessions, and return its user.

    Args:
        request: the request.
        seen: what is known of it.
        user: the user to return if the browser has no session of ours.
        among: aliases of the sessions.
    """
    for alias in among:
        session = seen.session(request, alias)
        if session is None:
            continue
        found = _authenticated(request, session.user)
        if found is None:
            _end(request, seen, alias)
            return _log_out(request, seen, user)
        _connect(request, seen, alias, session, found)
        return found
    return user


def _authenticated(request: HttpRequest, user: User) -> Any | None:
    """Return Django's user. A receiver of ``user_login_failed`` finds the name of one who is refused."""
    return auth.authenticate(request, cognito_user=user, username=user.username)


def _connect(request: HttpRequest, seen: Seen, alias: str, session: Session, user: Any) -> None:
    """Do what Django's ``login`` does, except for the signal: the user has signed in before."""
    key = user._meta.pk.value_to_string(user)
    if SESSION_KEY not in request.session:
        _leave_visitor(request)
        request.session.cycle_key()
    elif request.session[SESSION_KEY] != key:
        request.session.flush()
    request.session[SESSION_KEY] = key
    request.session[BACKEND_SESSION_KEY] = user.backend
    request.session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    rotate_token(request)
    _connected(request, seen, alias, session, user)


def _connected(request: HttpRequest, seen: Seen, alias: str, session: Session, user: Any) -> None:
    request.session[LINK] = [alias, session.name]
    request.user = user
    _let_auser_follow(request)
    seen.note(alias, session)
    seen.alias, seen.cognito = alias, session.user


def _leave_visitor(request: HttpRequest) -> None:
    """Give the request a new session with a visitor's data, such as a cart, and leave the old one.

    A second click on the last page may be under way with the old key. Its answer may be the one that the
    browser keeps, and has to have the visitor's data too. No user is signed in with the old key.
    """
    visitor = request.session
    if visitor.session_key and SESSION_KEY not in visitor and not visitor.is_empty():
        request.session = type(visitor)()
        request.session.update(dict(visitor.items()))


def _log_out(request: HttpRequest, seen: Seen, user: Any) -> Any:
    """End Django's session, which is no longer that of our session, and return an AnonymousUser."""
    if not user.is_authenticated:
        request.session.pop(LINK, None)
        seen.cognito = None
        return user
    request.user = user  # `logout` asks for it, and tells its receivers
    was, seen.is_following = seen.is_following, True
    try:
        auth.logout(request)
    finally:
        seen.is_following = was
    seen.cognito = None
    return request.user


def _end(request: HttpRequest, seen: Seen, alias: str) -> None:
    """End our session of an alias, and delete its cookies with the response."""
    ended = _ended(request, seen, alias, guarding(request, alias))
    seen.note(alias, None)
    seen.cookies_to_set += ended.cookies
    seen.logout_url = ended.headers.get("Location") or seen.logout_url


def _ended(request: HttpRequest, seen: Seen, alias: str, asked: Request) -> Response:
    try:
        ended = web_sign_in(alias).end_session(asked)
    except UNAVAILABLE as error:
        seen.failure = error  # answered with 503
        raise
    for signal in ended.signals:
        if isinstance(signal, SessionEnded):
            session_ended.send(sender=WebSignIn, request=request, user=signal.user)
    return ended


# ── after our own pages ──


def follow(request: HttpRequest, alias: str, asked: Request, answer: Response) -> Response:
    """Let Django's session follow an answer of our pages or the JSON API, and send the signals."""
    seen = seen_of(request)
    began: SessionBegan | None = None
    ended: SessionEnded | None = None
    _let_receivers_find_the_user(request, seen, alias, answer.signals)
    for signal in answer.signals:
        match signal:
            case SessionBegan():
                began = signal
            case SessionEnded():
                ended = signal
                session_ended.send(sender=WebSignIn, request=request, user=signal.user)
            case SignInFailed():
                credentials = {"username": signal.username}
                user_login_failed.send(sender=WebSignIn, credentials=credentials, request=request)
            case CodeSent():
                code_sent.send(
                    sender=WebSignIn,
                    request=request,
                    username=signal.username,
                    medium=signal.medium,
                )
            case AccountChanged():
                account_changed.send(
                    sender=WebSignIn, request=request, user=signal.user, change=signal.change
                )
    if began is not None:
        return _begun(request, seen, alias, asked, answer, began)
    if ended is not None:
        seen.note(alias, None)
        if request.session.get(LINK) == [alias, ended.name]:
            _log_out(request, seen, auth.get_user(request))
    return answer


def _let_receivers_find_the_user(
    request: HttpRequest, seen: Seen, alias: str, signals: Iterable[Any]
) -> None:
    """Let ``request.user`` be the user of Django's session, although ours may have ended just now.

    Otherwise it depends on the project's middleware whether the user was determined before.
    """
    for signal in signals:
        is_of_session = isinstance(signal, SessionEnded | AccountChanged)
        if is_of_session and request.session.get(LINK) == [alias, signal.name]:
            request.user = SimpleLazyObject(lambda: auth.get_user(request))
            seen.alias, seen.cognito = alias, signal.user


def _begun(
    request: HttpRequest,
    seen: Seen,
    alias: str,
    asked: Request,
    answer: Response,
    began: SessionBegan,
) -> Response:
    """Sign Django's user in with a session that the browser receives with this answer."""
    user = _authenticated(request, began.user)
    before = auth.get_user(request)
    if before.is_authenticated and (user is None or before.pk != user.pk):
        _log_out(request, seen, before)
    if user is None:
        return _refused(request, seen, alias, asked, answer)
    session = Session(began.name, began.user)
    if began.is_first:
        _leave_visitor(request)
        was, seen.is_following = seen.is_following, True
        try:
            auth.login(request, user)
        finally:
            seen.is_following = was
        _connected(request, seen, alias, session, user)
    else:
        _connect(request, seen, alias, session, user)
    return answer


def _refused(
    request: HttpRequest, seen: Seen, alias: str, asked: Request, answer: Response
) -> Response:
    """End a session whose user no backend accepts, and return a 403."""
    ended = _ended(request, seen, alias, _with_cookies(asked, answer))
    seen.note(alias, None)
    refusal = web_sign_in(alias).forbidden(asked)
    refusal.cookies = [*answer.cookies, *ended.cookies]
    return refusal


def _with_cookies(asked: Request, answer: Response) -> Request:
    """Return the request that a browser would send next, with the cookies of an answer.

    No variable holds a cookie: error reporters store variables.
    """
    changed = {cookie.name for cookie in answer.cookies}
    return replace(
        asked,
        headers=Fields(
            {
                **dict(asked.headers.items()),
                "cookie": "; ".join(
                    [
                        *(f"{n}={v}" for n, v in asked.cookies.items() if n not in changed),
                        *(f"{one.name}={one.value}" for one in answer.cookies if one.value),
                    ]
                ),
            }
        ),
    )


# ── after the host's own sign-in and sign-out ──


def _on_logged_out(*, request: HttpRequest | None, **_: Any) -> None:
    """End the browser's sessions at Cognito: a view of the project has called ``logout``."""
    if request is not None and hasattr(request, "session"):
        _end_all(request)


def _on_logged_in(*, request: HttpRequest | None, **_: Any) -> None:
    """End the browser's sessions at Cognito: another backend has signed another user in."""
    if request is not None and hasattr(request, "session"):
        _end_all(request)
        if not seen_of(request).is_following:
            request.session.pop(LINK, None)


def _end_all(request: HttpRequest) -> None:
    seen = seen_of(request)
    if seen.is_following:
        return
    for alias in aliases():
        if seen.has_cookie(alias):
            _end(request, seen, alias)
    seen.cognito = None
