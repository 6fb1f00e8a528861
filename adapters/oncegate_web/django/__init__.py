"""Django: an app that signs users in. Extra: ``oncegate[django]``; its README.md is the guide.

With ``"oncegate_web.django"`` in ``INSTALLED_APPS``, Django's own users are signed in: ``request.user``,
``login_required``, permissions and the admin work as with any other backend. With ``"oncegate_web"``
instead, there is no user model and no database: `current_user` and `login_required` are all.
"""

from oncegate import MissingExtra

try:
    import django as _  # noqa: F401 - the first import that can fail
except ModuleNotFoundError as error:
    raise MissingExtra("django") from error

from oncegate_web.django._aliases import web_sign_in
from oncegate_web.django._current import acurrent_user, current_user
from oncegate_web.django.decorators import login_required
from oncegate_web.django.middleware import OncegateMiddleware
from oncegate_web.django.views import mount

__all__ = [
    "OncegateMiddleware",
    "acurrent_user",
    "current_user",
    "login_required",
    "mount",
    "web_sign_in",
]
