"""`Oncegate`: the extension."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Blueprint, Flask, current_app, render_template
from flask import Response as FlaskResponse
from flask import request as asked

from oncegate import Misconfigured
from oncegate_web._jinja import TEMPLATES
from oncegate_web._user import User
from oncegate_web._web import WebSignIn, checked_prefix
from oncegate_web.flask._guards import Guards
from oncegate_web.flask._mounted import (
    DEFAULT_NAME,
    EXTENSION,
    Mounted,
    forget_query_of_flask,
    lenient,
    limit_body,
    native,
)
from oncegate_web.flask._signals import deliver, forget_data_of_session
from oncegate_web.flask._wsgi import Perimeter
from oncegate_web.http import CALLBACK
from oncegate_web.pages import Page

if TYPE_CHECKING:
    from oncegate_web.flask._login_manager import Bridge

_Function = TypeVar("_Function", bound=Callable[..., Any])
_METHODS = ["GET", "POST", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE"]
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_PAGES = {
    "/": "login",
    "/sign-out": "logout",
    "/account": "account",
    CALLBACK: "callback",
    "/static/<path:filename>": "static",
    "/<path:path>": "page",
}
_API = {
    "/flows": "flows",
    "/flows/<path:path>": "flow",
    "/session": "session",
    "/sessions": "sessions",
    "/sessions/<path:path>": "named_session",
    "/status": "status",
    "/openapi.json": "openapi",
}
"""Endpoints by their paths below the mount point; the core answers all of them."""


class Oncegate(Guards):
    """A sign-in for Flask. It has no state of an application, so one object serves several.

    Args:
        web: the sign-in. None: it is made from the application's configuration, `init_app`.
        name: name of the sign-in: of its blueprint, and the beginning of its settings in capitals.
            Two sign-ins in one application need different names. Default: ``oncegate``.

    Attributes:
        name: its name.
        blueprint: the pages, such as for a rate limit; it contains `api`.
        api: the JSON API alone.

    Example:
        >>> oncegate = Oncegate()
        >>> def create_app():
        ...     app = Flask(__name__)
        ...     app.config.from_prefixed_env()
        ...     oncegate.init_app(app)
        ...     return app
    """

    def __init__(self, web: WebSignIn | None = None, name: str = DEFAULT_NAME) -> None:
        if isinstance(web, Flask):
            raise Misconfigured("write Oncegate().init_app(app)")
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise Misconfigured(
                'name: up to 32 small letters, digits, - and _, such as Oncegate(name="staff")'
            )
        super().__init__(name)
        self.name = name
        self._web = web
        self.load_user: Callable[[User], Any] | None = None
        self.handler_of_unauthorized: Callable[[], Any] | None = None
        self.handler_of_forbidden: Callable[[], Any] | None = None
        self.bridge: Bridge | None = None
        # Its templates follow those of the application.
        self.blueprint = Blueprint(name, __name__, template_folder=str(TEMPLATES))
        self.api = Blueprint("api", __name__)
        for blueprint, paths in ((self.blueprint, _PAGES), (self.api, _API)):
            blueprint.record(self._adding(paths))
        self.blueprint.url_value_preprocessor(limit_body)
        self.blueprint.register_error_handler(429, self._too_many_requests)
        self.blueprint.register_blueprint(self.api)

    def init_app(
        self,
        app: Flask,
        url_prefix: str = "/auth",
        *,
        web: WebSignIn | None = None,
        subdomain: str | None = None,
        host: str | None = None,
    ) -> None:
        """Mount the pages and the JSON API in an application.

        Call it in any order with other extensions, before the first request. Flask-WTF's
        ``CSRFProtect`` leaves the pages out: they have tokens of their own, bound to the flow.

        Args:
            app: the application.
            url_prefix: mount point; begins with a slash and does not end with one.
            web: the sign-in of this application. None: that of the object, or one that is made from
                ``ONCEGATE_POOL_ID``, ``ONCEGATE_CLIENT_ID``, ``ONCEGATE_STORE`` and so on in
                ``app.config``, with keys from ``SECRET_KEY``; see `oncegate_web.settings.Settings`.
            subdomain: subdomain of the pages. Default: all.
            host: host of the pages, if the application matches hosts.

        Raises:
            Misconfigured: a setting is missing or invalid, or the application cannot have this sign-in
                too.
        """
        if "<" in checked_prefix(url_prefix):
            raise Misconfigured(
                f"url_prefix: {url_prefix} has a variable; mount one Oncegate for each tenant"
            )
        _check_hosts(app, subdomain, host)
        web = web or self._web or self._of_config(app)
        others: dict[str, Mounted] = app.extensions.setdefault(EXTENSION, {})
        here = Mounted(self, web, url_prefix, host or subdomain or "")
        _check_others(here, others)
        try:
            app.before_request(lambda: self._exempt(app))  # if CSRFProtect is set up after this
        except AssertionError:
            raise Misconfigured(
                "the application has answered a request already: call init_app where it is made"
            ) from None
        others[self.name] = here
        app.register_blueprint(self.blueprint, url_prefix=url_prefix, subdomain=subdomain)
        app.context_processor(self._template_variables)
        self._exempt(app)
        web.use_renderer(_render)
        web.announce_sessions()
        app.wsgi_app = Perimeter(app.wsgi_app, web.name)  # type: ignore[method-assign]

    def user_loader(self, function: _Function) -> _Function:
        """Decorate the function that returns the application's own object for a user.

        It is called with Cognito's `oncegate_web.User`, at most once for each request; `current_user` is
        what it returns. None, or an object with ``is_active = False``: the application does not admit
        the user, and guards answer with 403.
        """
        self.load_user = function
        return function

    def unauthorized_handler(self, function: _Function) -> _Function:
        """Decorate the function whose response users get who are not signed in."""
        self.handler_of_unauthorized = function
        return function

    def forbidden_handler(self, function: _Function) -> _Function:
        """Decorate the function whose response users get who lack a group or a scope."""
        self.handler_of_forbidden = function
        return function

    def use_login_manager(self, login_manager: Any) -> None:
        """Let Flask-Login use our sessions; needs the package flask-login.

        Its ``current_user``, ``login_required``, ``fresh_login_required`` and ``logout_user()`` go on
        working. Users are loaded by `user_loader`; ``get_id()`` of what it returns is the ID that
        Flask-Login stores.

        Args:
            login_manager: the application's ``LoginManager``, without a ``user_loader``.
        """
        from oncegate_web.flask._login_manager import Bridge

        self.bridge = Bridge(self, login_manager)

    @property
    def web(self) -> WebSignIn:
        """The sign-in of the current application, such as for its `WebSignIn.check`."""
        return self._mounted().web

    @property
    def owns_request(self) -> bool:
        """Whether the current request is for the pages or the API.

        A ``before_request`` that requires a login for everything has to leave these out.
        """
        return self.name in asked.blueprints

    def _adding(self, paths: dict[str, str]) -> Callable[[Any], None]:
        def add(state: Any) -> None:
            app: Flask = state.app
            on_host = app.url_map.host_matching
            where = {"host": app.extensions[EXTENSION][self.name].host} if on_host else {}
            for path, endpoint in paths.items():
                state.add_url_rule(
                    path,
                    endpoint,
                    self._respond,
                    methods=_METHODS,
                    provide_automatic_options=False,
                    **where,
                )

        return add

    def _respond(self, **_: str) -> FlaskResponse:
        sign_in = self._mounted()
        request = sign_in.request_for_page()
        if request.path == CALLBACK:
            forget_query_of_flask()
        answer = sign_in.web.respond(request)
        deliver(sign_in, answer.signals)
        if answer.removes_session:
            forget_data_of_session()  # in each answer: the browser keeps the last one
        return native(answer)

    def _too_many_requests(self, _: Any) -> FlaskResponse:
        """Answer what a rate limit of the application refuses: with a page, or a problem."""
        sign_in = self._mounted()
        return native(sign_in.web.too_many_requests(sign_in.request_for_page()))

    def _exempt(self, app: Flask) -> None:
        if "csrf" in app.extensions:
            for blueprint in (self.blueprint, self.api):
                app.extensions["csrf"].exempt(blueprint)

    def _template_variables(self) -> dict[str, Any]:
        """Return ``current_user`` for templates, unless it is that of Flask-Login."""
        is_default = self.name == DEFAULT_NAME or len(current_app.extensions[EXTENSION]) == 1
        has_other = hasattr(current_app, "login_manager")
        return {"current_user": self.current_user} if is_default and not has_other else {}

    def _of_config(self, app: Flask) -> WebSignIn:
        """Return the sign-in that the application's configuration describes."""
        from oncegate_web.settings import keys_from, settings_from

        prefix = f"{self.name.upper().replace('-', '_')}_"
        given = {key: value for key, value in app.config.items() if key.startswith(prefix)}
        root = app.config["APPLICATION_ROOT"].rstrip("/")
        settings = settings_from(
            {f"{prefix}NAME": self.name, f"{prefix}LOGIN_REDIRECT": f"{root}/", **given},
            where="app.config",
            spelled=lambda name: f"{prefix}{name.upper()}",
        )
        if settings.keys:
            return settings.web_sign_in()
        secret, *fallbacks = (
            key.hex() if isinstance(key, bytes) else key
            for key in (app.secret_key, *(app.config.get("SECRET_KEY_FALLBACKS") or ()))
        )
        if not secret:
            raise Misconfigured(
                f"app.config: SECRET_KEY is missing, or {prefix}KEYS; set it before"
            )
        return settings.web_sign_in(default_keys=keys_from(secret, *fallbacks))


def _check_hosts(app: Flask, subdomain: str | None, host: str | None) -> None:
    """Raise `Misconfigured` if no request would reach the pages."""
    if app.url_map.host_matching and not host:
        raise Misconfigured('the application matches hosts: init_app(app, host="app.example.com")')
    if host and not app.url_map.host_matching:
        raise Misconfigured("host: for an application with Flask(host_matching=True)")
    if subdomain and not app.subdomain_matching:
        raise Misconfigured(
            "subdomain: for an application with Flask(subdomain_matching=True) and SERVER_NAME"
        )


def _check_others(here: Mounted, others: dict[str, Mounted]) -> None:
    """Raise `Misconfigured` if a sign-in and another one of the application are in each other's way."""
    name = here.extension.name
    if name in others:
        raise Misconfigured(
            f'the application has a sign-in "{name}" already; give the second one another name: '
            'Oncegate(name="staff")'
        )
    for other in others.values():
        if other.web.name == here.web.name:
            raise Misconfigured(
                f'the cookies of "{name}" and "{other.extension.name}" would have the same names, and '
                'each would sign the other out: WebSignIn(name="staff")'
            )
        if (other.prefix, other.host) == (here.prefix, here.host):
            raise Misconfigured(
                f'url_prefix: {here.prefix} has "{other.extension.name}" already; choose another one'
            )


def _render(template: str, page: Page) -> str:
    """Render a page as the application renders its own; see `oncegate_web.pages.Renderer`."""
    with lenient():
        return render_template(template, page=page)
