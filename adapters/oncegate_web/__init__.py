"""Sign-in pages and a JSON API for web applications. Extras: ``fastapi``, ``flask``, ``django``.

Make a `WebSignIn`, and mount it with the integration of your framework: `oncegate_web.fastapi`,
`oncegate_web.flask` or `oncegate_web.django`. They have the same functions: ``mount``,
``current_user``, ``login_required``.
"""

from oncegate import MissingExtra

try:
    from oncegate_web._cookie_vault import CookieVault
    from oncegate_web._jinja import JinjaRenderer
    from oncegate_web._signals import (
        AccountChanged,
        CodeSent,
        SessionBegan,
        SessionEnded,
        SignInFailed,
    )
    from oncegate_web._user import Session, User
    from oncegate_web._web import Readiness, WebSignIn
    from oncegate_web.http import Cookie, Request, Response
    from oncegate_web.pages import Brand, Page, Renderer
except ModuleNotFoundError as error:
    raise MissingExtra("web") from error

__all__ = [
    "AccountChanged",
    "Brand",
    "CodeSent",
    "Cookie",
    "CookieVault",
    "JinjaRenderer",
    "Page",
    "Readiness",
    "Renderer",
    "Request",
    "Response",
    "Session",
    "SessionBegan",
    "SessionEnded",
    "SignInFailed",
    "User",
    "WebSignIn",
]
