"""For the tests of applications: a browser that is signed in, with and without a Cognito."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from oncegate import SubmitCode, SubmitPassword, Tokens
from oncegate_web._web import WebSignIn


def session_cookies(
    web: WebSignIn,
    username: str = "ana",
    *,
    groups: Iterable[str] = (),
    scopes: Iterable[str] = (),
    claims: Mapping[str, Any] = MappingProxyType({}),
    is_secure: bool | None = None,
) -> dict[str, str]:
    """Return the cookies of a browser in which a user is signed in. Cognito is not asked.

    Tokens are made up and pass no verification; the session is a real one, in the application's store.

    Args:
        web: the application's sign-in.
        username: name of the user; need not exist.
        groups: the user's groups.
        scopes: scopes of the access token.
        claims: further claims, such as ``email``. Default ``sub``: ``sub-`` and the username.
        is_secure: whether the test uses https, where cookies have another name. Default: both names.

    Example:
        >>> client.cookies.update(session_cookies(web, "ana", groups=["staff"]))
    """
    now = int(time.time())
    found = {
        "sub": f"sub-{username}",
        "cognito:username": username,
        "auth_time": now,
        "cognito:groups": list(groups),
        "scope": " ".join(scopes),
        **claims,
    }
    access = _unsigned({"sub": found["sub"], "username": username, "scope": " ".join(scopes)})
    tokens = Tokens(access_token=access, id_token=_unsigned(found))
    kinds = [is_secure] if is_secure is not None else [False, True]
    return web.cookies_for_test(tokens, found, kinds)


def _unsigned(claims: Mapping[str, Any]) -> str:
    """Return a token that no verification accepts (RFC 7519, 6.1)."""
    parts = ({"alg": "none"}, claims)
    return ".".join(
        [
            *(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts),
            "",
        ]
    )


class Client(Protocol):
    """What `sign_in` needs of an HTTP client: that of httpx, requests, Starlette or FastAPI."""

    def post(self, url: str, *, json: Any) -> Any: ...


def sign_in(
    client: Client,
    username: str,
    password: str,
    code: str | Callable[[], str] | None = None,
    *,
    prefix: str = "/auth",
) -> dict[str, Any]:
    """Sign a user in by the JSON API, as a script in the browser does, and return the last step.

    Args:
        client: an HTTP client with cookies.
        username: name of the user.
        password: the password.
        code: the code, or a function that returns it once it was sent, such as
            ``lambda: sandbox.messages()[-1].code``; None if no code is asked for.
        prefix: mount point of the sign-in.

    Raises:
        AssertionError: the sign-in did not end signed in. It says how it ended.

    Example:
        >>> sign_in(client, "ana", "Correct-horse-1", lambda: sandbox.messages()[-1].code)
    """
    step = client.post(f"{prefix}/flows", json={}).json()
    events: list[Callable[[], dict[str, Any]]] = [
        lambda: {"type": SubmitPassword.machine_event, "username": username, "password": password}
    ]
    if code is not None:
        typed = code if callable(code) else lambda: code
        events.append(lambda: {"type": SubmitCode.machine_event, "code": typed()})
    for event in events:
        body = {**event(), "version": step["version"]}
        step = client.post(f"{prefix}/flows/current/events", json=body).json()
    if step.get("state") != "authenticated":
        raise AssertionError(
            f"not signed in: {step.get('state', step.get('code'))}, {step.get('message')}"
        )
    found: dict[str, Any] = step
    return found
