"""`Bridge`: Flask-Login's ``current_user``, guards and ``logout_user()`` use our sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask_login
from flask import Flask, current_app, g, request_started, session
from flask import request as asked

from oncegate import Misconfigured
from oncegate_web.flask._guards import end_session
from oncegate_web.flask._mounted import EXTENSION, Mounted, lenient
from oncegate_web.flask._users import visitor
from oncegate_web.flask._wsgi import received_cookies

if TYPE_CHECKING:
    from oncegate_web.flask._extension import Oncegate


class Bridge:
    """Ties a `LoginManager` to a sign-in.

    Flask-Login stores an ID in Flask's session. It counts only while our own session, which is in
    another cookie and known to the store, is of the same user.

    Args:
        extension: the sign-in.
        manager: the application's login manager.
    """

    def __init__(self, extension: Oncegate, manager: Any) -> None:
        self._manager: Any = manager
        if manager.user_callback is not None:
            raise Misconfigured(_TWO_LOADERS)
        self._extension = extension
        manager.user_loader(self._load)
        manager.login_view = manager.refresh_view = f"{extension.name}.login"
        # Not Flask-Login's own answers: they flash a message that appears after the sign-in.
        if manager.unauthorized_callback is None:
            manager.unauthorized_handler(extension.unauthorized)
        if manager.needs_refresh_callback is None:
            manager.needs_refresh_handler(extension.reauthenticate)
        request_started.connect(self._before)
        flask_login.user_logged_out.connect(self._after_sign_out)
        flask_login.session_protected.connect(self._after_protection)

    def enter(self, account: Any, *, is_first: bool) -> None:
        """Sign a user in at Flask-Login.

        Args:
            account: the application's object for the user.
            is_first: whether receivers of Flask-Login's signal are to be told.
        """
        if session.get("_user_id", self._id(account)) != self._id(account):
            session.clear()  # of another user, whose session had ended by itself
        if is_first:
            flask_login.login_user(account)
        else:
            self._adopt(account, is_fresh=True)
        if current_app.config.get("REMEMBER_COOKIE_NAME", "remember_token") in asked.cookies:
            session["_remember"] = "clear"  # of the time before: it opens nothing

    def be(self, account: Any) -> None:
        """Set Flask-Login's ``current_user`` for this request, which has a token and no session."""
        self._manager._update_request_context_with_user(account)

    def leave(self) -> None:
        """Sign the user out at Flask-Login."""
        g.oncegate_leaves = True
        try:
            flask_login.logout_user()
        finally:
            g.oncegate_leaves = False

    def _before(self, app: Flask, **_: Any) -> None:
        """Sign a user in at Flask-Login whose browser has our session and not that of Flask.

        The session of Flask ends with the browser, ours need not.
        """
        sign_in = self._of(app)
        if sign_in is None:
            return
        if vars(app).get("login_manager") != self._manager:
            raise Misconfigured("use_login_manager: call login_manager.init_app(app) too")
        if self._manager.user_callback != self._load:
            raise Misconfigured(_TWO_LOADERS)
        is_static = (asked.endpoint or "static").rpartition(".")[2] == "static"
        if (
            is_static
            or f"{sign_in.web.name}_session" not in received_cookies(asked.environ)["cookie"]
        ):
            return
        g.oncegate_host_user = session.get("_user_id")
        if g.oncegate_host_user is None:
            with lenient():
                account = visitor(self._extension.name).account
            if account is not None:
                self._adopt(account, is_fresh=session.get("_fresh", False))

    def _load(self, user_id: str) -> Any:
        """Return the user of our session: Flask-Login's ``user_loader``."""
        account = visitor(self._extension.name).account
        if account is not None and self._id(account) != user_id:
            session.clear()  # of another user
            self._adopt(account, is_fresh=False)
        return account

    def _after_sign_out(self, app: Flask, **_: Any) -> None:
        """End our session if the application has called Flask-Login's ``logout_user()``."""
        sign_in = self._of(app)
        if sign_in is not None and not g.get("oncegate_leaves", False):
            end_session(sign_in, "flask_login")

    def _after_protection(self, app: Flask, **_: Any) -> None:
        """End our session if Flask-Login has dropped its own: ``session_protection = "strong"``."""
        sign_in = self._of(app)
        had_user = g.get("oncegate_host_user") is not None
        if sign_in is not None and had_user and "_user_id" not in session:
            end_session(sign_in, "flask_login")

    def _adopt(self, account: Any, *, is_fresh: bool) -> None:
        """Do as `flask_login.login_user`, without its signal."""
        session["_user_id"] = self._id(account)
        session["_fresh"] = is_fresh
        session["_id"] = self._manager._session_identifier_generator()
        g.pop("_login_user", None)

    def _id(self, account: Any) -> str:
        found: str = getattr(account, self._manager.id_attribute)()
        return found

    def _of(self, app: Flask) -> Mounted | None:
        """Return our sign-in in an application, if it has it."""
        found = app.extensions.get(EXTENSION, {}).get(self._extension.name)
        return found if found is not None and found.extension is self._extension else None


_TWO_LOADERS = (
    "use_login_manager: this LoginManager has a user_loader. Replace @login_manager.user_loader by "
    "@oncegate.user_loader, which is called with Cognito's user instead of an ID"
)
