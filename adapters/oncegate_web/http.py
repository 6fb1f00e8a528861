"""`Request` and `Response`: what all frameworks have in common, and all that the core uses of one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

MAX_BODY_BYTES = 64 * 1024
"""The largest event, a passkey's answer, is far below."""

FLOW, SESSION, DEVICE = "oncegate_flow", "oncegate_session", "oncegate_device"
"""Names of our cookies."""

HTML, JSON, PROBLEM = "text/html", "application/json", "application/problem+json"

_REQUEST_ID = re.compile(r"[\x20-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Request:
    """One request below the mount point.

    Attributes:
        method: HTTP method, in capitals.
        path: path below the prefix; begins with a slash.
        prefix: mount point as the browser sees it, without a slash at the end.
        host: host as the browser sees it, with the port unless it is the scheme's default.
        is_secure: whether the browser used HTTPS.
        client: the browser's address, for budgets and rate limits.
        headers: values by name, names in lower case.
        cookies: values by name.
        query: values by name.
        form: fields of a posted form, by name.
        body: body of the request.
        hidden: fields that the framework adds to each form, by name: its CSRF token.
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
        """Whether the client accepts HTML, so that a page serves it better than JSON."""
        return HTML in self.headers.get("accept", "")

    @property
    def languages(self) -> tuple[str, ...]:
        """Language tags that the user accepts, best first (RFC 9110, 12.5.4)."""
        weighed = []
        for part in self.headers.get("accept-language", "")[:200].split(","):
            name, _, weight = part.strip().partition(";q=")
            try:
                quality = float(weight or 1)
            except ValueError:
                continue
            if name and quality > 0:
                weighed.append((-quality, name.lower()))
        return tuple(name for _, name in sorted(weighed, key=lambda one: one[0]))

    @property
    def request_id(self) -> str | None:
        """X-Request-ID, or None unless it is 1 to 128 printable ASCII characters."""
        value = self.headers.get("x-request-id", "")
        return value if _REQUEST_ID.fullmatch(value) else None


class Cookie(NamedTuple):
    """A cookie to set. All cookies are HttpOnly and SameSite=Lax.

    With Strict, a user who returns by a link in an email would have lost the flow.

    Attributes:
        value: None deletes the cookie.
        max_age: lifetime in seconds; None for as long as the browser is open.
    """

    name: str
    value: str | None
    path: str
    secure: bool
    max_age: int | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``set_cookie``, which are the same in each framework."""
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
    """The answer to a request. `oncegate_web.WebSignIn.respond` adds the security headers.

    Attributes:
        cookies: cookies to set, in order.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = HTML + "; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[Cookie] = field(default_factory=list)


def redirect(location: str, response: Response | None = None) -> Response:
    """Return a 303 (See Other), so that a reload of the next page posts nothing."""
    response = response or Response()
    response.status, response.headers["Location"] = 303, location
    return response


def as_json(value: Any, status: int = 200, content_type: str = JSON) -> Response:
    """Return a value as JSON."""
    return Response(status, json.dumps(value).encode(), content_type)


def problem(status: int, code: str, title: str, detail: str = "") -> Response:
    """Return a problem (RFC 9457), with a stable code as an extension member."""
    body = {"type": "about:blank", "title": title, "status": status, "code": code}
    if detail:
        body["detail"] = detail
    return as_json(body, status, PROBLEM)


def local_path(target: str | None) -> str | None:
    """Return a path on this site, or None if the target is on another one.

    Browsers treat a backslash as a slash, and drop tabs and line ends (WHATWG URL, 4.4).
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
