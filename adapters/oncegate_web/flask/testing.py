"""For the tests of Flask applications: a test client in which a user is signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

from flask.testing import FlaskClient

from oncegate_web.flask._mounted import mounted
from oncegate_web.testing import session_cookies, sign_in


class OncegateClient(FlaskClient):
    """A test client of Flask that is signed in from the beginning, without Cognito.

    Args:
        *args: those of Flask.
        user: username; need not exist. None: no user is signed in.
        groups: the user's groups.
        scopes: scopes of the access token.
        claims: further claims, such as ``email``. Default ``sub``: ``sub-`` and the username.
        oncegate: name of the sign-in. Default: ``oncegate``, or the only one.
        fresh_login: whether Flask-Login counts the login as fresh. Default: True.
        **kwargs: those of Flask.

    Example:
        >>> app.test_client_class = OncegateClient
        >>> client = app.test_client(user="ana", groups=["staff"])
    """

    def __init__(
        self,
        *args: Any,
        user: str | None = None,
        groups: Iterable[str] = (),
        scopes: Iterable[str] = (),
        claims: Mapping[str, Any] = MappingProxyType({}),
        oncegate: str | None = None,
        fresh_login: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if user is None:
            return
        app = self.application
        with app.app_context():
            sign_in = mounted(oncegate)
        host = app.config["SERVER_NAME"] or "localhost"
        # With and without the prefix of cookies for HTTPS, which a test may use too.
        for is_secure in (False, True):
            cookies = session_cookies(
                sign_in.web, user, groups=groups, scopes=scopes, claims=claims, is_secure=is_secure
            )
            for name, value in cookies.items():
                self.set_cookie(name, value, domain=host.partition(":")[0])
        if sign_in.extension.bridge and fresh_login:
            with self.session_transaction() as session:
                session["_fresh"] = True

    def sign_in(
        self,
        username: str,
        password: str,
        code: str | Callable[[], str] | None = None,
        *,
        prefix: str = "/auth",
    ) -> dict[str, Any]:
        """Sign a user in at a local Cognito, and return the last step.

        See `oncegate_web.testing.sign_in`.
        """
        return sign_in(_JsonClient(self), username, password, code, prefix=prefix)


class _JsonClient:
    """A test client whose responses have the method ``json()``, as those of others have."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client

    def post(self, url: str, *, json: Any) -> Any:
        answer = self._client.post(url, json=json)
        return SimpleNamespace(json=lambda: answer.json)
