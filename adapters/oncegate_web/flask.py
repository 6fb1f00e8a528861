"""Flask: ``mount``, ``current_user``, ``login_required``. Extra: ``oncegate[flask]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

from oncegate import MissingExtra

try:
    from flask import Blueprint, Flask, current_app, g
    from flask import Response as FlaskResponse
    from flask import request as asked
except ModuleNotFoundError as error:
    raise MissingExtra("flask") from error

from oncegate_web._sessions import User
from oncegate_web._web import WebSignIn
from oncegate_web.http import MAX_BODY_BYTES, Request, Response

METHODS = ["GET", "POST", "DELETE", "OPTIONS"]


def mount(app: Flask, web: WebSignIn, prefix: str = "/auth") -> None:
    """Mount the pages and the JSON API under a prefix, and set up the functions below.

    Args:
        app: application of Flask. If it uses Flask-WTF's ``CSRFProtect``, the pages post its token
            too.
        web: the sign-in.
        prefix: mount point; begins with a slash and does not end with one.
    """
    app.extensions["oncegate"] = (web, prefix)
    pages = Blueprint("oncegate", __name__, url_prefix=prefix)

    def page(path: str = "") -> FlaskResponse:
        return _native(web.respond(_with_body(_translated(prefix, f"/{path}"))))

    def api(path: str = "") -> FlaskResponse:
        return page(f"{asked.url_rule.endpoint.rpartition('.')[2]}{path and '/'}{path}")  # type: ignore[union-attr]

    pages.add_url_rule("/", "page", page, methods=METHODS, provide_automatic_options=False)
    pages.add_url_rule(
        "/<path:path>", "page", page, methods=METHODS, provide_automatic_options=False
    )
    for name in ("flows", "session"):
        for rule in (f"/{name}", f"/{name}/<path:path>"):
            pages.add_url_rule(rule, name, api, methods=METHODS, provide_automatic_options=False)
    if "csrf" in app.extensions:
        # The API accepts only JSON from this origin, which no form of another site can send.
        app.extensions["csrf"].exempt(api)
    app.register_blueprint(pages)


def current_user() -> User | None:
    """Return the user who is signed in, or None. The store is read once per request."""
    if "oncegate_user" not in g:
        web, prefix = _mounted()
        g.oncegate_user = web.user_of(_translated(prefix, asked.path))
    user: User | None = g.oncegate_user
    return user


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view: unauthenticated users sign in, then return to it."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if current_user() is not None:
            return current_app.ensure_sync(view)(*args, **kwargs)
        web, prefix = _mounted()
        path = asked.root_path.rstrip("/") + asked.full_path.rstrip("?")
        return _native(web.sign_in_first(_translated(prefix, path)))

    return guarded


def _mounted() -> tuple[WebSignIn, str]:
    mounted: tuple[WebSignIn, str] = current_app.extensions["oncegate"]
    return mounted


def _translated(prefix: str, path: str) -> Request:
    return Request(
        method=asked.method,
        path=path,
        prefix=asked.root_path.rstrip("/") + prefix,
        host=asked.host,
        is_secure=asked.is_secure,
        client=asked.remote_addr,
        headers={name.lower(): value for name, value in asked.headers.items()},
        cookies=asked.cookies,
        query=asked.args.to_dict(),
    )


def _with_body(request: Request) -> Request:
    """Add form and body. For our own pages only: the application reads what its views are posted."""
    if (asked.content_length or 0) > MAX_BODY_BYTES:
        return replace(request, body=b" " * (MAX_BODY_BYTES + 1))
    hidden = {}
    if "csrf" in current_app.extensions:
        hidden["csrf_token"] = current_app.jinja_env.globals["csrf_token"]()  # type: ignore[operator]
    return replace(request, form=asked.form.to_dict(), body=asked.get_data(), hidden=hidden)


def _native(answer: Response) -> FlaskResponse:
    made = FlaskResponse(
        answer.body, answer.status, answer.headers, content_type=answer.content_type
    )
    for cookie in answer.cookies:
        made.set_cookie(**cookie.arguments())
    return made


__all__ = ["current_user", "login_required", "mount"]
