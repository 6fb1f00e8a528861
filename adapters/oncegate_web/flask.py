"""Flask: ``mount``, ``current_user``, ``login_required``. Extra: ``oncegate[flask]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

from oncegate import Misconfigured, MissingExtra, StoreUnavailable, Unreachable

try:
    from flask import Blueprint, Flask, current_app, g
    from flask import Response as FlaskResponse
    from flask import request as asked
    from werkzeug.datastructures import Headers, ImmutableMultiDict
    from werkzeug.exceptions import ServiceUnavailable
    from werkzeug.wsgi import LimitedStream
except ModuleNotFoundError as error:
    raise MissingExtra("flask") from error

from oncegate_web._user import User
from oncegate_web._web import UNAVAILABLE, WebSignIn, checked_prefix
from oncegate_web.http import (
    CALLBACK,
    MAX_BODY_BYTES,
    Body,
    Fields,
    Request,
    Response,
    encoded_path,
    forget_query,
    private_headers,
    without_cookies,
)

METHODS = ["GET", "POST", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE"]

_PROXY = "app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)"
_COOKIE = "oncegate.cookie"
"""Key of the Cookie header, as received, in the WSGI environment."""


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


def mount(app: Flask, web: WebSignIn, prefix: str = "/auth") -> None:
    """Mount the pages and the JSON API under a prefix, and set up the functions below.

    Args:
        app: application of Flask. Flask-WTF's ``CSRFProtect`` leaves the pages out: they have tokens of
            their own, bound to the flow, and it would read a body of any length.
        web: the sign-in.
        prefix: mount point; begins with a slash and does not end with one.
    """
    app.extensions["oncegate"] = (web, checked_prefix(prefix))
    app.wsgi_app = _Wsgi(app.wsgi_app, web.name, prefix)  # type: ignore[method-assign]
    app.after_request(_as_private)
    pages = Blueprint("oncegate", __name__, url_prefix=prefix)

    def page(path: str = "") -> FlaskResponse:
        request = _with_body(_translated(prefix, f"/{path}"))
        if request.path == CALLBACK:
            _forget_query()
        return _native(web.respond(request))

    def exempt() -> None:
        if "csrf" in app.extensions:
            app.extensions["csrf"].exempt(pages)

    for rule in ("/", "/<path:path>"):
        pages.add_url_rule(rule, "page", page, methods=METHODS, provide_automatic_options=False)
    exempt()
    app.before_request(exempt)  # if CSRFProtect is set up after this
    app.register_blueprint(pages)


def current_user() -> User | None:
    """Return the user who is signed in, or None. The store is read once per request.

    Raises:
        Unavailable: the store failed, or the tokens have expired and Cognito did not answer (503).
    """
    if "oncegate_user" not in g:
        web, prefix = _mounted()
        g.oncegate_failed = True  # unless it returns
        try:
            g.oncegate_user = web.user_of(_translated(prefix, asked.path))
        except UNAVAILABLE as error:
            failed = error
        else:
            return g.oncegate_user  # type: ignore[no-any-return]
        answer = _native(web.unavailable(_translated(prefix, _whole_path())))
        if isinstance(failed, StoreUnavailable):
            raise _StoreUnavailable(answer)
        raise (_Unreachable if isinstance(failed, Unreachable) else _Misconfigured)(answer)
    user: User | None = g.oncegate_user
    return user


def login_required(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view: unauthenticated users sign in, then return to it."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if current_user() is not None:
            return current_app.ensure_sync(view)(*args, **kwargs)
        web, prefix = _mounted()
        return _native(web.sign_in_first(_translated(prefix, _whole_path())))

    return guarded


def same_origin(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view: requests from pages of other origins are refused (403), as the pages do.

    For the application's own views that change something on behalf of the user.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        web, prefix = _mounted()
        request = _translated(prefix, asked.path)
        if not web.is_same_origin(request):
            return _native(web.cross_site(request))
        return current_app.ensure_sync(view)(*args, **kwargs)

    return guarded


def _whole_path() -> str:
    query = asked.query_string.decode("latin-1")
    return encoded_path(asked.root_path.rstrip("/") + asked.path, query)


def _mounted() -> tuple[WebSignIn, str]:
    if "oncegate" not in current_app.extensions:
        raise Misconfigured("call oncegate_web.flask.mount(app, web) first")
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
        headers=Fields(
            {
                **{name.lower(): value for name, value in asked.headers.items()},
                "cookie": _cookie(asked.environ)["cookie"],
            }
        ),
        query=Fields(asked.args.to_dict()),
        proxy_setting=_PROXY,
    )


def _with_body(request: Request) -> Request:
    """Add form and body. For our own pages only: the application reads what its views are posted."""
    if (asked.content_length or 0) > MAX_BODY_BYTES:
        return replace(request, body=Body(b" " * (MAX_BODY_BYTES + 1)))
    if "form" in vars(asked):  # the application has read it
        form, body = Fields(asked.form.to_dict()), Body()
    else:
        # Not by Flask, which replaces bytes that are no UTF-8: a password would be another one.
        body = Body(asked.get_data(cache=False))
        form = body.form(asked.content_type or "")
    # Error reporters read the form again from the request.
    asked.form = ImmutableMultiDict()
    return replace(request, form=form, body=body)


def _forget_query() -> None:
    """Remove the query from Flask's request, whose repr has it."""
    forget_query(asked.environ)
    asked.query_string = b""
    for derived in ("args", "full_path", "url"):
        vars(asked).pop(derived, None)


class _Wsgi:
    """Takes the sign-in's cookies out of the request, and limits bodies for its pages.

    It does so before Flask: a body without a length is read by the first who asks for the form.
    """

    def __init__(self, app: Callable[..., Any], name: str, prefix: str) -> None:
        self._app = app
        self._name = name
        self._prefix = prefix + "/"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        _cookie(environ)
        others = without_cookies(environ.get("HTTP_COOKIE", ""), self._name)
        if others:
            environ["HTTP_COOKIE"] = others
        else:
            environ.pop("HTTP_COOKIE", None)
        if f"{environ.get('PATH_INFO', '')}/".startswith(self._prefix):
            limit = MAX_BODY_BYTES + 1
            environ["wsgi.input"] = LimitedStream(environ["wsgi.input"], limit, is_max=True)
        return self._app(environ, start_response)


def _cookie(environ: dict[str, Any]) -> Fields:
    """Return the Cookie header as received."""
    if _COOKIE not in environ:
        environ[_COOKIE] = Fields({"cookie": environ.get("HTTP_COOKIE", "")})
    received: Fields = environ[_COOKIE]
    return received


def _as_private(response: FlaskResponse) -> FlaskResponse:
    """Keep a response that depends on the user out of shared caches."""
    if "oncegate_user" in g or g.get("oncegate_failed"):
        headers = response.headers
        vary = ", ".join(headers.getlist("Vary"))
        headers.update(private_headers(headers.get("Cache-Control"), vary))
    return response


class _SharedResponse(FlaskResponse):
    """A response without cookies, such as that of Flask's session, for all users."""

    def get_wsgi_headers(self, environ: Any) -> Headers:
        headers = super().get_wsgi_headers(environ)
        headers.remove("Set-Cookie")
        return headers


def _native(answer: Response) -> FlaskResponse:
    kind = _SharedResponse if answer.is_shared else FlaskResponse
    made = kind(answer.body, answer.status, answer.headers, content_type=answer.content_type)
    for cookie in answer.cookies:
        made.set_cookie(**cookie.arguments())
    return made


__all__ = ["Unavailable", "current_user", "login_required", "mount", "same_origin"]
