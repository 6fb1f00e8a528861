"""`Mounted`: a sign-in in an application, and the translation of requests and responses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flask import Response as FlaskResponse
from flask import after_this_request, current_app, g
from flask import request as asked
from werkzeug.datastructures import Headers as FlaskHeaders
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import RequestEntityTooLarge

from oncegate import Misconfigured
from oncegate_web._web import WebSignIn
from oncegate_web.flask._wsgi import IS_PRIVATE, received_cookies
from oncegate_web.http import (
    MAX_BODY_BYTES,
    Body,
    Fields,
    Headers,
    Request,
    Response,
    encoded_path,
    forget_query,
)

if TYPE_CHECKING:
    from oncegate_web.flask._extension import Oncegate

EXTENSION = "oncegate"
"""Key in ``app.extensions``."""

DEFAULT_NAME = "oncegate"

_PROXY = "app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)"
_OURS = ("Content-Security-Policy", "Cache-Control")
"""Headers of our responses that functions of the application do not replace.

With another policy a page would not show its QR code, or would run what others have written.
"""


@dataclass(frozen=True)
class Mounted:
    """A sign-in in an application.

    Attributes:
        extension: has the application's functions.
        web: the sign-in.
        prefix: mount point.
        host: host or subdomain that the pages are limited to; empty for all.
    """

    extension: Oncegate
    web: WebSignIn
    prefix: str
    host: str = ""

    def request(self, path: str = "", **more: Any) -> Request:
        """Return the current request for our core, without its body.

        Args:
            path: path below the mount point. Default: the path itself, which is for no page.
            more: further attributes of the `Request`.
        """
        return Request(
            method=asked.method,
            path=path or asked.path,
            prefix=asked.root_path.rstrip("/") + self.prefix,
            host=asked.host,
            is_secure=asked.is_secure,
            client=asked.remote_addr,
            headers=Headers(asked.headers, received_cookies(asked.environ)),
            query=Fields(asked.args.to_dict() if asked.query_string else None),
            proxy_setting=_PROXY,
            native=asked._get_current_object(),  # type: ignore[attr-defined]
            **more,
        )

    def guarded_request(self, *, as_program: bool = False) -> Request:
        """Return the current request, for an answer in place of a view: with the whole path.

        Args:
            as_program: whether to answer as a program, which wants no HTML.
        """
        query = asked.query_string.decode("latin-1")
        whole = encoded_path(asked.root_path.rstrip("/") + asked.path, query)
        request = self.request(whole, language=language())
        if as_program:
            headers = Fields({**dict(request.headers.items()), "accept": ""})
            request = replace(request, headers=headers)
        return request

    def request_for_page(self) -> Request:
        """Return the current request for one of our pages, with its body."""
        below, chosen = asked.path.removeprefix(self.prefix), language()
        form, body = _form_and_body()  # after the application's functions, which may read the form
        return self.request(below, language=chosen, form=form, body=body)


def mounted(name: str | None) -> Mounted:
    """Return a sign-in of the current application.

    Args:
        name: name of the extension; None for ``oncegate``, or the only one.

    Raises:
        Misconfigured: there is none, or more than one.
    """
    found: dict[str, Mounted] = current_app.extensions.get(EXTENSION, {})
    if name is None and DEFAULT_NAME not in found and len(found) == 1:
        return next(iter(found.values()))
    if (name or DEFAULT_NAME) in found:
        return found[name or DEFAULT_NAME]
    if found:
        names = ", ".join(sorted(found))
        raise Misconfigured(
            f"this application has the sign-ins {names}: use the functions of one of these Oncegate "
            "objects, such as @staff.login_required, instead of those of the module"
        )
    raise Misconfigured(
        "no sign-in in this application: call Oncegate().init_app(app), or mount(app, web)"
    )


def native(answer: Response) -> FlaskResponse:
    """Return a response of our core as one of Flask."""
    made = _Answer(answer.body, answer.status, answer.headers, content_type=answer.content_type)
    made.answer = answer
    for cookie in answer.cookies:
        made.set_cookie(**cookie.arguments())
    return made


def pass_on(answer: Response) -> None:
    """Set the cookies of an answer with the response of the application's view.

    If the browser has to go on to managed login, to end its session too, a redirect leads there.
    """
    elsewhere = answer.headers.get("Location")
    asked.environ[IS_PRIVATE] = True

    def add(response: FlaskResponse) -> FlaskResponse:
        for cookie in answer.cookies:
            response.set_cookie(**cookie.arguments())
        if elsewhere and response.location:
            response.location = elsewhere
        return response

    after_this_request(add)


class _Answer(FlaskResponse):
    """A response of ours, whose headers functions of the application do not weaken."""

    answer: Response

    def get_wsgi_headers(self, environ: Any) -> FlaskHeaders:
        headers = super().get_wsgi_headers(environ)
        for name in _OURS:
            if name in self.answer.headers:
                headers[name] = self.answer.headers[name]
        if self.answer.is_shared:
            # Without cookies, such as that of Flask's session: it is for all users.
            headers.remove("Set-Cookie")
            environ.pop(IS_PRIVATE, None)
        return headers


def language() -> str | None:
    """Return the language that Flask-Babel has chosen, as a BCP 47 tag; None without Flask-Babel."""
    if "babel" not in current_app.extensions:
        return None
    from flask_babel import get_locale

    with lenient():
        locale = get_locale()
    return str(locale).replace("_", "-") if locale else None


@contextmanager
def lenient() -> Iterator[None]:
    """For functions of the application that we call: if it is not known who is signed in, none is.

    Otherwise, its template or choice of language would fail on the page that says what is wrong.
    """
    before = is_lenient()
    g.oncegate_is_lenient = True
    try:
        yield
    finally:
        g.oncegate_is_lenient = before


def is_lenient() -> bool:
    """Return whether `lenient` is in force."""
    found: bool = g.get("oncegate_is_lenient", False)
    return found


def limit_body(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Limit the body of a request for a page, before any function of the application reads it."""
    asked.max_content_length = MAX_BODY_BYTES + 1  # one more, which the core refuses


def forget_query_of_flask() -> None:
    """Remove the query from Flask's request, whose repr has it."""
    forget_query(asked.environ)
    asked.query_string = b""
    for derived in ("args", "full_path", "url"):
        vars(asked).pop(derived, None)


def _form_and_body() -> tuple[Fields, Body]:
    """Read form and body. For our own pages only: the application reads what its views are posted."""
    if "form" in vars(asked):  # the application has read it
        form, body = Fields(asked.form.to_dict()), Body()
    else:
        try:
            # Not by Flask, which replaces bytes that are no UTF-8: a password would be another one.
            body = Body(asked.get_data(cache=False))
        except RequestEntityTooLarge:
            return Fields(), Body(b" " * (MAX_BODY_BYTES + 1))
        form = body.form(asked.content_type or "")
    # Error reporters read the form again from the request.
    asked.form = ImmutableMultiDict()
    return form, body
