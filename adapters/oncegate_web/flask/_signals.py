"""Signals of blinker. The sender is the application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from blinker import Namespace
from flask import current_app, session

from oncegate.adapters import logger
from oncegate_web._about import about
from oncegate_web._signals import (
    AccountChanged,
    CodeSent,
    SessionBegan,
    SessionEnded,
    Signal,
    SignInFailed,
)
from oncegate_web.flask._mounted import Mounted
from oncegate_web.flask._users import Visitor, be

_ALL = Namespace()
user_logged_in = _ALL.signal("user-logged-in", "Sent once for each sign-in, with ``user``.")
user_logged_out = _ALL.signal(
    "user-logged-out",
    "Sent with ``user`` after a sign-out, or if another user has signed in in the same browser.",
)
user_login_failed = _ALL.signal(
    "user-login-failed",
    "Sent if Cognito rejects what the user sent, with ``username`` and ``code`` of the message.",
)
code_sent = _ALL.signal(
    "code-sent", "Sent if Cognito has sent a code, with ``username`` and ``medium``, such as SMS."
)
account_changed = _ALL.signal(
    "account-changed",
    "Sent if Cognito has accepted a change that a user made on the account's page, with ``user`` (an "
    "`oncegate_web.User`) and ``change``, such as ``password_was_changed``.",
)

_OF_FLASK_LOGIN = {"_user_id", "_fresh", "_id", "_remember", "_remember_seconds"}


By = Literal["pages", "view", "flask_login"]
"""Who has signed the user out: our pages or API, a view of the application, or Flask-Login in one."""


def deliver(sign_in: Mounted, signals: list[Signal], *, by: By = "pages") -> None:
    """Tell the application, and Flask-Login, what has happened in the current request.

    Args:
        sign_in: the sign-in.
        signals: what has happened.
        by: who has signed the user out.
    """
    began = next((signal for signal in signals if isinstance(signal, SessionBegan)), None)
    for signal in signals:
        match signal:
            case SessionEnded():
                if began is None or began.user.get_id() != signal.user.get_id():
                    _ended(sign_in, signal, by)
            case SessionBegan():
                _began(sign_in, signal)
            case SignInFailed(username=username, code=code):
                _send(user_login_failed, sign_in, username=username, code=code)
            case CodeSent(username=username, medium=medium):
                _send(code_sent, sign_in, username=username, medium=medium)
            case AccountChanged(user=user, change=change):
                _send(account_changed, sign_in, user=user, change=change)


def _ended(sign_in: Mounted, signal: SessionEnded, by: By) -> None:
    bridge = sign_in.extension.bridge
    left = be(Visitor(sign_in, signal.user))  # whom receivers find as the current user
    if by == "pages":
        forget_data_of_session()
    if bridge and by != "flask_login":
        with _told("flask_login.logout_user"):
            bridge.leave()
    with _told("user_logged_out"):
        if left.account is not None:
            user_logged_out.send(_app(), user=left.account, oncegate=sign_in.extension.name)
    be(Visitor(sign_in, None))


def _began(sign_in: Mounted, signal: SessionBegan) -> None:
    came, bridge = be(Visitor(sign_in, signal.user)), sign_in.extension.bridge
    with _told("user_logged_in"):
        if came.account is None:
            return  # the application does not admit this user
        if bridge:
            bridge.enter(came.account, is_first=signal.is_first)
        if signal.is_first:
            user_logged_in.send(_app(), user=came.account, oncegate=sign_in.extension.name)


def forget_data_of_session() -> None:
    """Remove what the application has stored in Flask's session: it was of the user who has left.

    What Flask-Login has there signs no user in, and says that its own cookie is to be deleted.
    """
    for key in set(session) - _OF_FLASK_LOGIN:
        session.pop(key)


def _send(signal: Any, sign_in: Mounted, **more: Any) -> None:
    with _told(signal.name):
        signal.send(_app(), oncegate=sign_in.extension.name, **more)


def _app() -> Any:
    return current_app._get_current_object()  # type: ignore[attr-defined]


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Log what a receiver raises. It is too late: an error would lose the session's cookie."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever an application's function raises
        logger().error("hook failed", hook=what, effect="the sign-in goes on", **about(error))
