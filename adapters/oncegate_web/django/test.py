"""For a project's tests: a client that is signed in. Django's ``client.force_login`` works, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.test import Client

from oncegate_web import testing
from oncegate_web.django._aliases import DEFAULT, web_sign_in
from oncegate_web.django._requests import login_url


class _Json:
    """A client of Django's as `oncegate_web.testing.sign_in` takes it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def post(self, url: str, *, json: Any) -> Any:
        return self._client.post(url, json, content_type="application/json")


def sign_in(
    client: Client,
    username: str,
    password: str,
    code: str | Callable[[], str] | None = None,
    *,
    alias: str = DEFAULT,
) -> dict[str, Any]:
    """Sign a user in through the pages' API, at the local Cognito, and return the last step.

    Args:
        client: the client of the test.
        username: name of the user.
        password: the password.
        code: the code, or a function that returns it, such as ``lambda: inbox.code_for("ana")``.
        alias: alias of the pool.

    Raises:
        AssertionError: the sign-in did not end signed in.
    """
    prefix = login_url(alias).rstrip("/")
    return testing.sign_in(_Json(client), username, password, code, prefix=prefix)


def force_sign_in(
    client: Client, username: str = "ana", *, alias: str = DEFAULT, **more: Any
) -> None:
    """Sign a user in without any Cognito: for ``request.cognito``, groups and scopes.

    Args:
        client: the client of the test.
        username: name of the user in the pool.
        alias: alias of the pool.
        **more: further arguments of `oncegate_web.testing.session_cookies`: ``groups=["staff"]``.
    """
    for name, value in testing.session_cookies(web_sign_in(alias), username, **more).items():
        client.cookies[name] = value
