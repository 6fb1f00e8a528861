"""Sign-in pages and a JSON API for web applications. Extras: ``fastapi``, ``flask``, ``django``.

Make a `WebSignIn`, and hand it to the room of your framework: `oncegate_web.fastapi`,
`oncegate_web.flask` or `oncegate_web.django`. They have the same names: ``mount``, ``current_user``,
``login_required``.
"""

from oncegate import MissingExtra

try:
    from oncegate_web.http import Cookie, Request, Response
    from oncegate_web.jinja import JinjaRenderer
    from oncegate_web.pages import Page, Renderer
    from oncegate_web.sessions import User
    from oncegate_web.web import WebSignIn
except ModuleNotFoundError as error:
    raise MissingExtra("web") from error

__all__ = [
    "Cookie",
    "JinjaRenderer",
    "Page",
    "Renderer",
    "Request",
    "Response",
    "User",
    "WebSignIn",
]
