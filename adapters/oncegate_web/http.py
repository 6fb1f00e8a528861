"""`Request` and `Response`: what every framework has in common, and all that the core knows of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

LARGEST_BODY = 64 * 1024
"""Bytes. A passkey's answer is the largest event, and far below."""

FLOW, SESSION, DEVICE = "oncegate_flow", "oncegate_session", "oncegate_device"
"""The names of our cookies."""

HTML, JSON, PROBLEM = "text/html", "application/json", "application/problem+json"


@dataclass(frozen=True, slots=True)
class Request:
    """One request below the mount point.

    Attributes:
        method: in capitals.
        path: below the prefix, beginning with a slash.
        prefix: where the pages are mounted, as the browser sees it; no slash at the end.
        host: as the browser sees it, with the port where it is not the scheme's own.
        is_secure: whether the browser came by HTTPS.
        client: the browser's address, for budgets and rate limits.
        headers: with names in lower case.
        cookies: by name.
        query: by name.
        form: of a form that was posted.
        body: of anything else.
        hidden: what the framework itself wants posted with a form, by name: its CSRF token.
    """

    method: str
    path: str
    prefix: str = ""
    host: str = ""
    is_secure: bool = False
    client: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hidden: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"{'https' if self.is_secure else 'http'}://{self.host}"

    @property
    def wants_html(self) -> bool:
        """Whether a person is at the other end, who is better off with a page than with JSON."""
        return HTML in self.headers.get("accept", "")

    @property
    def languages(self) -> tuple[str, ...]:
        """The person's languages, best first (RFC 9110, 12.5.4)."""
        weighed = []
        for part in self.headers.get("accept-language", "")[:200].split(","):
            name, _, weight = part.strip().partition(";q=")
            try:
                weighed.append((-float(weight or 1), name.lower()))
            except ValueError:
                continue
        return tuple(name for _, name in sorted(weighed, key=lambda one: one[0]) if name)


class Cookie(NamedTuple):
    """A cookie to set. All are HttpOnly and SameSite=Lax.

    With Strict, somebody who comes back by a link in a mail would have lost the flow.

    Attributes:
        value: None deletes it.
        max_age: seconds; None for as long as the browser is open.
    """

    name: str
    value: str | None
    path: str
    secure: bool
    max_age: int | None = None

    def arguments(self) -> dict[str, Any]:
        """For ``set_cookie``, which takes the same in each framework."""
        return {
            "key": self.name,
            "value": self.value or "",
            "max_age": self.max_age,
            "path": self.path,
            "secure": self.secure,
            "httponly": True,
            "samesite": "lax",
        }


@dataclass(slots=True)
class Response:
    """What to answer. The security headers are on every one.

    Attributes:
        cookies: to set, in order.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = HTML + "; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[Cookie] = field(default_factory=list)


def redirect(location: str, response: Response | None = None) -> Response:
    """See Other: the browser gets the location, so a reload of what follows posts nothing."""
    response = response or Response()
    response.status, response.headers["Location"] = 303, location
    return response


def as_json(value: Any, status: int = 200, content_type: str = JSON) -> Response:
    """JSON."""
    return Response(status, json.dumps(value).encode(), content_type)


def problem(status: int, code: str, title: str, detail: str = "") -> Response:
    """A problem (RFC 9457), with a stable code as extension member."""
    about = {"type": "about:blank", "title": title, "status": status, "code": code}
    if detail:
        about["detail"] = detail
    return as_json(about, status, PROBLEM)


def local_path(target: str | None) -> str | None:
    """A place on this site, or None: nobody is sent to another one.

    Browsers take a backslash for a slash, and drop tabs and line ends (WHATWG URL, 4.4).
    """
    if not target or not target.startswith("/") or len(target) > 2048:
        return None
    if target.startswith(("//", "/\\")) or any(ord(char) <= 32 or char == "\\" for char in target):
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return None if parts.scheme or parts.netloc else target
