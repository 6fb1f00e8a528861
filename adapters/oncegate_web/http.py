"""`Request` and `Response`: what all frameworks have in common, and all that the core uses of one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, ItemsView, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from ipaddress import ip_address
from typing import Any, Literal, Protocol, overload
from urllib.parse import parse_qsl, quote, urlsplit
from urllib.request import parse_http_list

from oncegate.adapters import TEXTS, FlowId

CALLBACK = "/callback"
"""Path below the mount point that identity providers lead back to."""

MAX_BODY_BYTES = 64 * 1024
"""The largest event, a passkey's answer, is far below."""

FORM, HTML, JSON, PROBLEM = (
    "application/x-www-form-urlencoded",
    "text/html",
    "application/json",
    "application/problem+json",
)

_REQUEST_ID = re.compile(r"[\x20-\x7e]{1,128}")
COOKIES = ("flow", "session", "device", "keep", "known", "next", "account")
"""What the names of a sign-in's cookies end with, after its own name; a dot and more may follow."""

_COOKIE_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OF_PROXIES = (
    *("forwarded", "via", "x-real-ip"),
    *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-ssl"),
)
"""Headers that a request has if a proxy has forwarded it."""
_URL_CHARACTERS = "/:?#[]@!$&'()*+,;=%-._~"
"""Reserved and unreserved characters, and the percent sign (RFC 3986, 2)."""


class Fields:
    """Text values by name: of a form, of headers, of cookies.

    Error reporters store the local variables of a traceback, and walk through mappings and strings. This
    is neither, and its repr has no names and no values.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a value, or the default."""
        return self._values.get(name, default)

    def items(self) -> ItemsView[str, str]:
        """Return names and values."""
        return self._values.items()

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __len__(self) -> int:
        return len(self.items())

    def __repr__(self) -> str:
        return f"<{len(self)} fields>"


class OwnHeaders(Protocol):
    """The headers of a request, as a framework has them: names in any case, the first value of each."""

    def get(self, name: str, /) -> str | None: ...
    def items(self) -> Iterable[tuple[str, str]]: ...


class Headers(Fields):
    """The headers of a request, looked up in the framework's own object, of which it makes no copy.

    Args:
        own: the framework's object, such as ``request.headers``.
        cookie: the header Cookie as received, which the framework's object has no longer.
    """

    __slots__ = ("_own",)

    def __init__(self, own: OwnHeaders, cookie: Fields) -> None:
        self._own = own
        self._values = {"cookie": cookie["cookie"]}

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a value, or the default.

        Args:
            name: in lower case.
            default: returned if there is no such header.
        """
        found = self._values.get(name) if name in self._values else self._own.get(name)
        return default if found is None else found

    def items(self) -> ItemsView[str, str]:
        """Return names, in lower case, and values: a copy of all of them."""
        return {
            **{name.lower(): value for name, value in self._own.items()},
            **self._values,
        }.items()

    def __getitem__(self, name: str) -> str:
        if (found := self.get(name)) is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None


class Body:
    """The body of a request. Its repr does not show it, and it is not bytes, as with `Fields`.

    Attributes:
        bytes: what was received.
    """

    __slots__ = ("bytes",)

    def __init__(self, received: bytes = b"") -> None:
        self.bytes = received

    def __len__(self) -> int:
        return len(self.bytes)

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    def form(self, content_type: str) -> Fields:
        """Return the fields of a form.

        Args:
            content_type: the header; any other than that of a form has no fields.
        """
        if not content_type.startswith(FORM) or len(self) > MAX_BODY_BYTES:
            return Fields()
        try:
            text = self.bytes.decode()
            # Escaped bytes that are no UTF-8 stay what they are, so that the engine refuses them: a
            # password in which they are replaced would be another one.
            return Fields(
                dict(
                    parse_qsl(
                        text, keep_blank_values=True, max_num_fields=100, errors="surrogateescape"
                    )
                )
            )
        except ValueError:
            return Fields()


def cookies_of(header: str) -> Fields:
    """Return the cookies of a Cookie header, by their exact names (RFC 6265, 5.4).

    The cookie parsers of some frameworks drop Unicode blanks and quotes. Then a cookie of a sibling
    domain, such as ``\u2000__Host-oncegate_flow``, would pass for ours. A name that occurs twice is
    ignored, because one of the two may come from a sibling domain.

    Args:
        header: as received, decoded as Latin-1.
    """
    found: dict[str, str] = {}
    repeated = set()
    for part in header.split(";"):
        name, equals, value = part.removeprefix(" ").partition("=")
        if not equals or not _COOKIE_NAME.fullmatch(name):
            continue
        if name in found:
            repeated.add(name)
        found[name] = value
    return Fields({name: value for name, value in found.items() if name not in repeated})


def without_cookies(header: str, name: str) -> str:
    """Return a Cookie header without the cookies of a sign-in.

    The application has no use for them, and what it does not have, it does not log.

    Args:
        header: as received.
        name: name of the sign-in.
    """
    is_ours = _pattern_of(name).match
    others = [part for part in header.split(";") if not is_ours(part.strip())]
    return ";".join(others).removeprefix(" ")


@cache
def _pattern_of(name: str) -> re.Pattern[str]:
    # By their whole names: another sign-in's name may begin like this one's.
    return re.compile(rf"(__Host-)?{re.escape(name)}_({'|'.join(COOKIES)})(\.[^=]*)?=")


@dataclass(frozen=True)
class Request:
    """One request below the mount point. Its repr has no values that may be secret.

    Attributes:
        method: HTTP method, in capitals.
        path: path below the prefix; begins with a slash.
        prefix: mount point as the browser sees it, without a slash at the end.
        host: host as the browser sees it, with the port unless it is the scheme's default.
        is_secure: whether the browser used HTTPS.
        client: the browser's address, for budgets and rate limits.
        headers: values by name, names in lower case. ``cookie`` is the header as received.
        query: values by name.
        form: fields of a posted form, by name.
        body: body of the request.
        proxy_setting: how to declare a TLS proxy to this framework, for the log.
        language: BCP 47 tag of the language that the host has chosen; None for the browser's own.
        native: the framework's own request, for the application's hooks.
    """

    method: str
    path: str
    prefix: str = ""
    host: str = ""
    is_secure: bool = False
    client: str | None = None
    headers: Fields = field(default_factory=Fields, repr=False)
    query: Fields = field(default_factory=Fields, repr=False)
    form: Fields = field(default_factory=Fields, repr=False)
    body: Body = field(default_factory=Body, repr=False)
    proxy_setting: str = field(default="", repr=False)
    language: str | None = None
    native: Any = field(default=None, repr=False)

    # What is parsed is parsed once for each request.

    @cached_property
    def cookies(self) -> Fields:
        """Cookies by their exact names; see `cookies_of`."""
        return cookies_of(self.headers.get("cookie", ""))

    def flow_id(self, text: str) -> FlowId:
        """Return a flow ID of this request, or of its answer, parsed.

        Raises:
            InvalidInput: the text is no flow ID.
        """
        found = self._flow_ids.get(text)
        if found is None:
            found = self._flow_ids[text] = FlowId.parse(text)
        return found

    @cached_property
    def _flow_ids(self) -> dict[str, FlowId]:
        return {}

    @property
    def origin(self) -> str:
        return f"{'https' if self.is_secure else 'http'}://{self.host}"

    @property
    def is_trustworthy(self) -> bool:
        """Whether browsers treat the origin as secure (W3C Secure Contexts, 3.1)."""
        return self.is_secure or _is_loopback(self.host)

    @property
    def is_protected(self) -> bool:
        """Whether the request was unreadable between the browser and the server.

        It used HTTPS, or never left the computer. Browsers treat loopback hosts as secure too (W3C
        Secure Contexts, 3.1). If a proxy has forwarded a request to a loopback address, the server has
        to be told, except by a development server that says that the browser used plain HTTP, or a
        loopback host and nothing else (Next).
        """
        if self.is_secure:
            return True
        schemes = self.headers.get("x-forwarded-proto", "").lower().split(",")
        of_proxy = [name for name in _OF_PROXIES if name in self.headers]
        is_local = of_proxy == ["x-forwarded-host"] and _is_loopback(self.headers[of_proxy[0]])
        if of_proxy and schemes != ["http"] and not is_local:
            return False
        origin = self.headers.get("origin", "")
        if origin.startswith("https://"):
            page_host = origin.removeprefix("https://")
            if page_host == self.host or not _is_loopback(page_host):
                return False  # a proxy has changed scheme or host
        return _is_loopback(self.host)

    @property
    def wants_html(self) -> bool:
        """Whether the client accepts HTML, so that a page serves it better than JSON."""
        return HTML in self.headers.get("accept", "")

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Language tags, best first: the host's choice, then the browser's (RFC 9110, 12.5.4)."""
        weighed = [(-2.0, self.language)] if self.language else []
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
    def onward(self) -> str | None:
        """The path that the user asked for (``next``); None if there is none, or on another site.

        Some frameworks send the whole address, such as Starlette's ``requires(redirect=)``.
        """
        target = self.query.get("next", "")
        own = self.origin
        return local_path(target.removeprefix(own) if target.startswith(f"{own}/") else target)

    @property
    def request_id(self) -> str | None:
        """X-Request-ID, or None unless it is 1 to 128 printable ASCII characters."""
        value = self.headers.get("x-request-id", "")
        return value if _REQUEST_ID.fullmatch(value) else None


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set. All cookies are HttpOnly and SameSite=Lax.

    With Strict, a user who returns by a link in an email would have lost the flow.

    Attributes:
        value: None deletes the cookie.
        max_age: lifetime in seconds; None for as long as the browser is open.
    """

    name: str
    value: str | None = field(repr=False)
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
        problem: members of the body if it is a problem (RFC 9457), before it is translated.
        is_shared: whether it is the same for all users, so that caches may store it. The application's
            cookies must not go with it.
        signals: what happened, for the host's own sign-in; see `oncegate_web.SessionBegan`.
        removes_session: whether the browser had a session's cookie, and signs out with this response:
            also a repeated click, of which no signal tells.
    """

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    content_type: str = HTML + "; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[Cookie] = field(default_factory=list)
    is_shared: bool = False
    problem: dict[str, Any] | None = field(default=None, repr=False)
    signals: list[Any] = field(default_factory=list, repr=False)
    removes_session: bool = False


def redirect(location: str, response: Response | None = None) -> Response:
    """Return a 303 (See Other), so that a reload of the next page posts nothing.

    Every Location is made here. What a URL cannot have, such as letters outside ASCII, is
    percent-encoded as UTF-8 (RFC 9110, 10.2.2; RFC 3987, 3.1): headers are Latin-1.
    """
    response = response or Response()
    response.status, response.headers["Location"] = 303, _encoded(location)
    return response


def encoded_path(path: str, query: str = "") -> str:
    """Return path and query of a URL.

    Args:
        path: decoded; a ``?``, ``#`` or ``%`` in it is part of a name.
        query: as received, without its question mark.
    """
    encoded = quote(path, safe="/:@!$&'()*+,;=~", errors="replace")
    return encoded + (f"?{_encoded(query)}" if query else "")


def _encoded(url: str) -> str:
    return quote(url, safe=_URL_CHARACTERS, errors="replace")


def private_headers(cache_control: str | None, vary: str | None) -> dict[str, str]:
    """Return the headers of a response that depends on the user.

    Stricter directives, such as ``no-store``, stay. What lets shared caches store it goes: ``public``
    and ``s-maxage`` (RFC 9111, 5.2.2).

    Args:
        cache_control: the response's own Cache-Control.
        vary: the response's own Vary.
    """
    kept = [
        one
        for one in parse_http_list(cache_control or "")
        if one.partition("=")[0].strip().lower() not in {"public", "private", "s-maxage"}
    ]
    names = parse_http_list(vary or "")
    is_there = {name.lower() for name in names} & {"*", "cookie"}
    return {
        "Cache-Control": ", ".join([*kept, "private"]),
        "Vary": ", ".join(names if is_there else [*names, "Cookie"]),
    }


def as_private(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return all headers of a response, with `private_headers` in place of its own two."""
    replaced: dict[str, list[str]] = {"cache-control": [], "vary": []}
    others = []
    for name, value in headers:
        if name.lower() in replaced:
            replaced[name.lower()].append(value)
        else:
            others.append((name, value))
    cache_control, vary = (", ".join(values) for values in replaced.values())
    return [*others, *private_headers(cache_control, vary).items()]


def as_json(value: Any, status: int = 200, content_type: str = JSON) -> Response:
    """Return a value as JSON."""
    return Response(status, json.dumps(value).encode(), content_type)


ProblemCode = Literal[
    "cross_site",
    "forbidden",
    "insecure_connection",
    "invalid_event",
    "no_such_flow",
    "no_such_session",
    "not_found",
    "not_json",
    "not_signed_in",
    "sign_in_again",
    "store_unavailable",
    "too_large",
    "too_many_requests",
    "updating",
    "wrong_method",
]
"""Stable codes of problems, for programs."""

_NOTICES = {
    "no_such_flow": "message.flow_expired",
    "invalid_event": "notice.invalid_input",
    "sign_in_again": "message.sign_in_again",
}
"""Codes of problems whose text has another name."""


def problem(
    status: int,
    code: ProblemCode,
    title: str,
    detail: str = "",
    fields: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem (RFC 9457), with a stable code as an extension member.

    Args:
        status: HTTP status.
        code: for programs.
        title: for developers, in English.
        detail: what to do about it, for developers.
        fields: for each field in error, the code of a text.
    """
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        **({"detail": detail} if detail else {}),
        **({"fields": dict(fields)} if fields else {}),
    }
    response = as_json(body, status, PROBLEM)
    response.problem = body
    return response


def wrong_method(methods: Iterable[str]) -> Response:
    """Return the problem of a method that a path does not have."""
    response = problem(405, "wrong_method", "Method Not Allowed")
    response.headers["Allow"] = ", ".join(methods)
    return response


def has_json(request: Request) -> bool:
    """Return whether a request says that its body is JSON, which no form of another site can."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON


def not_json() -> Response:
    """Return the problem of a body that is not JSON."""
    return problem(415, "not_json", "Unsupported Media Type", f"send {JSON}")


def translated_problem(response: Response, translate: Callable[[str], str]) -> Response:
    """Add texts for the user to a problem: what happened, and one for each field.

    Args:
        response: any response.
        translate: returns the text of a code of `oncegate.messages.TEXTS`.
    """
    if response.problem is None:
        return response
    body = dict(response.problem)
    code = _NOTICES.get(body["code"], f"notice.{body['code']}")
    body["message"] = translate(code if code in TEXTS else "notice.request_failed")
    if "fields" in body:
        body["fields"] = {name: translate(code) for name, code in body["fields"].items()}
    return replace(response, body=json.dumps(body).encode())


def forget_query(environ: dict[str, Any]) -> None:
    """Remove the query from a WSGI environment, which error reporters and access logs store.

    That of `CALLBACK` has a code, which opens nothing without the flow's verifier, and its state.
    """
    environ["QUERY_STRING"] = ""
    for name in ("RAW_URI", "REQUEST_URI"):  # of servers, such as gunicorn
        if name in environ:
            environ[name] = environ[name].partition("?")[0]


def local_path(target: str | None) -> str | None:
    """Return a path on this site, or None if the target is on another one.

    Browsers treat a backslash as a slash, and drop tabs and line ends (WHATWG URL, 4.4).
    """
    if not target or not target.startswith("/") or len(target) > 2048:
        return None
    if target.startswith(("//", "/\\")) or any(ord(char) < 32 or char == "\\" for char in target):
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return None if parts.scheme or parts.netloc else target


def _is_loopback(host: str) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        return name == "localhost" or name.endswith(".localhost") or ip_address(name).is_loopback
    except ValueError:
        return False
