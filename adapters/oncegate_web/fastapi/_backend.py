"""`OncegateBackend`: the user for Starlette's ``AuthenticationMiddleware`` and ``@requires``."""

from __future__ import annotations

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
)
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection

from oncegate_web._user import User
from oncegate_web.fastapi._auth import OncegateAuth
from oncegate_web.fastapi._refusals import CrossSite, NotSignedIn, Unavailable


class SignedInUser(User, BaseUser):
    """``request.user`` of a user who is signed in: `oncegate_web.User` and Starlette's ``BaseUser``."""

    @property
    def identity(self) -> str:
        """The user's unchanging ID in the pool."""
        return self.get_id()


class OncegateBackend(AuthenticationBackend):
    """Says who is signed in, by a session or a bearer token, for ``AuthenticationMiddleware``.

    ``request.auth.scopes`` has ``authenticated``, the user's groups, and the scopes of the access token.
    Requests with an invalid token, and those from pages of other origins that change something, have
    no user. If it cannot be determined who is signed in, they are answered with 503.

    Args:
        auth: the sign-in, which is installed in the same application, or in one outside of it.

    Example:
        >>> app.add_middleware(AuthenticationMiddleware, backend=OncegateBackend(auth))
    """

    def __init__(self, auth: OncegateAuth) -> None:
        self._auth = auth

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Return the credentials and the user of a request or a websocket, or None."""
        seen = self._auth.seen(conn)
        if seen.is_static:
            return None
        try:
            user = await self._auth.user_of(conn)
        except (NotSignedIn, CrossSite, WebSocketException):
            return None
        except Unavailable as error:
            if seen.is_own:
                return None  # the pages say so themselves
            # The middleware answers in plain text with 400, and handlers of exceptions are inside of it.
            seen.refusal = error.answer
        if seen.refusal is not None:
            raise AuthenticationError("try again later")
        if user is None:
            return None
        scopes = ["authenticated", *user.groups, *user.scopes]
        return AuthCredentials(scopes), SignedInUser(user.username, user.claims, user.tokens)
