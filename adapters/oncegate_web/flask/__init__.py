"""Flask: `Oncegate`, `current_user`, guards, signals. Extra: ``oncegate[flask]``.

The functions of this module are those of the application's only sign-in, or of the one that is named
``oncegate``. Those of another one are methods of its `Oncegate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncegate import MissingExtra

try:
    from oncegate_web.flask._extension import Oncegate
    from oncegate_web.flask._guards import Guards
    from oncegate_web.flask._signals import (
        account_changed,
        code_sent,
        user_logged_in,
        user_logged_out,
        user_login_failed,
    )
    from oncegate_web.flask._users import Anonymous, Unavailable
except ModuleNotFoundError as error:
    raise MissingExtra("flask") from error

if TYPE_CHECKING:
    from flask import Flask

    from oncegate_web._web import WebSignIn

_guards = Guards(None)
current_user = _guards.current_user
auth_required = _guards.auth_required
fresh_login_required = _guards.fresh_login_required
groups_required = _guards.groups_required
login_required = _guards.login_required
logout_user = _guards.logout_user
same_origin = _guards.same_origin
scopes_required = _guards.scopes_required


def mount(app: Flask, web: WebSignIn, prefix: str = "/auth") -> Oncegate:
    """Mount the pages and the JSON API under a prefix: `Oncegate.init_app` in one call.

    Args:
        app: the application.
        web: the sign-in.
        prefix: mount point; begins with a slash and does not end with one.

    Returns:
        The extension, for its hooks.
    """
    extension = Oncegate(web)
    extension.init_app(app, url_prefix=prefix)
    return extension


__all__ = [
    "Anonymous",
    "Guards",
    "Oncegate",
    "Unavailable",
    "account_changed",
    "auth_required",
    "code_sent",
    "current_user",
    "fresh_login_required",
    "groups_required",
    "login_required",
    "logout_user",
    "mount",
    "same_origin",
    "scopes_required",
    "user_logged_in",
    "user_logged_out",
    "user_login_failed",
]
