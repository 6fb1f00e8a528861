"""FastAPI, Starlette: a router, ``Security`` dependencies, a backend for ``AuthenticationMiddleware``.

Make an `OncegateAuth`, or call `mount`, which does it in one line. Extra: ``oncegate[fastapi]``. The
guide is ``README.md`` in this folder.
"""

from oncegate import MissingExtra

try:
    from oncegate_web.fastapi._auth import (
        CurrentUser,
        OncegateAuth,
        current_user,
        login_required,
        mount,
        same_origin,
    )
    from oncegate_web.fastapi._backend import OncegateBackend, SignedInUser
    from oncegate_web.fastapi._refusals import (
        CrossSite,
        Forbidden,
        NotSignedIn,
        Refused,
        Unavailable,
    )
except ModuleNotFoundError as error:
    raise MissingExtra("fastapi") from error

__all__ = [
    "CrossSite",
    "CurrentUser",
    "Forbidden",
    "NotSignedIn",
    "OncegateAuth",
    "OncegateBackend",
    "Refused",
    "SignedInUser",
    "Unavailable",
    "current_user",
    "login_required",
    "mount",
    "same_origin",
]
