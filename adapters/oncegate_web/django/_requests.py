"""What all of the app knows of one request, and the translation between Django and `WebSignIn`."""

from __future__ import annotations

import re
from dataclasses import replace
from http.cookies import SimpleCookie
from itertools import combinations
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.asyncio import async_unsafe
from django.utils.translation import get_language

from oncegate import Misconfigured
from oncegate_web._user import Session, User
from oncegate_web._web import UNAVAILABLE
from oncegate_web.django._aliases import (
    DEFAULT,
    aliases,
    cookie_name,
    trusted_proxies,
    web_sign_in,
)
from oncegate_web.http import (
    MAX_BODY_BYTES,
    Body,
    Cookie,
    Fields,
    Headers,
    Request,
    Response,
    forget_query,
    without_cookies,
)

_PROXY = (
    'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https"), and USE_X_FORWARDED_HOST = True'
    " if the proxy sets X-Forwarded-Host"
)

_IN_A_LOOP = (
    "the store would block the event loop: use await request.auser() or acurrent_user(request)"
)


class Seen:
    """What the app knows of one request.

    Attributes:
        depends_on_user: whether the response depends on who is signed in.
        cognito: the user of a pool who is Django's user, once that was determined.
        alias: alias of that pool.
        failure: why it could not be determined who is signed in.
        cookies_to_set: cookies for the response.
        logout_url: where the browser has to go after a sign-out, to end managed login's own session.
        is_following: whether Django's session is being brought into line with ours.
    """

    def __init__(self, cookies: Fields) -> None:
        self._cookies = cookies
        self._sessions: dict[str, Session | None] = {}
        self._failures: dict[str, Exception] = {}
        self.depends_on_user = False
        self.cognito: User | None = None
        self.alias = DEFAULT
        self.failure: Exception | None = None
        self.cookies_to_set: list[Cookie] = []
        self.logout_url: str | None = None
        self.is_following = False

    @property
    def header(self) -> Fields:
        """The header Cookie as received. No variable holds it: error pages show variables."""
        return self._cookies

    def has_cookie(self, alias: str) -> bool:
        """Return whether the browser may have a session of this alias.

        An empty value is that of a deleted cookie, which Django's test client goes on sending.
        """
        with_value = rf'{re.escape(cookie_name(alias))}_session[.0-9]*=(?!(?:"")?(?:;|$))'
        return re.search(with_value, self._cookies["cookie"]) is not None

    def session(self, request: HttpRequest, alias: str) -> Session | None:
        """Return the browser's session of an alias. The store is read once for each request.

        Raises:
            StoreUnavailable, Unreachable, Misconfigured: it could not be determined. The middleware
                answers with 503.
        """
        if not self.has_cookie(alias):
            return self._sessions.get(alias)
        if alias not in self._sessions and alias not in self._failures:
            try:
                self._sessions[alias] = _read(request, alias)
            except UNAVAILABLE as error:
                self._failures[alias] = error
        if alias in self._failures:
            self.failure = self._failures[alias]
            raise self.failure
        return self._sessions[alias]

    def note(self, alias: str, session: Session | None) -> None:
        """Note that a session of the browser has begun or ended with this request."""
        self._sessions[alias] = session

    def mark(self, request: HttpRequest) -> None:
        """Note that the response depends on the user, for caches."""
        self.depends_on_user = True
        # Also for a cache outside the middleware, such as `cache_page` around the view.
        request._cache_update_cache = False


@async_unsafe(_IN_A_LOOP)  # type: ignore[untyped-decorator]
def _read(request: HttpRequest, alias: str) -> Session | None:
    return web_sign_in(alias).session(translated(request, alias))


def seen_of(request: HttpRequest) -> Seen:
    """Move our cookies out of a request, which error pages show, and return what is known of it."""
    if not hasattr(request, "oncegate"):
        request.oncegate = Seen(Fields({"cookie": request.META.get("HTTP_COOKIE", "")}))
        if "HTTP_COOKIE" in request.META:
            _remove_cookies(request)
    return cast("Seen", request.oncegate)


def _remove_cookies(request: HttpRequest) -> None:
    others = sent = request.META["HTTP_COOKIE"]
    for alias in aliases():
        others = without_cookies(others, cookie_name(alias))
    if others == sent:
        return
    request.META["HTTP_COOKIE"] = others
    for parsed in ("COOKIES", "headers"):  # parsed again from what is left
        vars(request).pop(parsed, None)
    if hasattr(request, "scope"):  # ASGI
        kept = [one for one in request.scope["headers"] if one[0] != b"cookie"]
        request.scope["headers"] = [*kept, (b"cookie", others.encode("latin-1", "replace"))]


def translated(request: HttpRequest, alias: str, path: str = "", prefix: str = "") -> Request:
    """Return a request of Django's as `WebSignIn` takes it, without its body.

    Args:
        request: the request.
        alias: alias of the sign-in.
        path: path below the prefix, or for guards the whole path.
        prefix: mount point.
    """
    return Request(
        method=request.method or "GET",
        path=path,
        prefix=prefix,
        host=request.get_host(),
        is_secure=request.is_secure(),
        client=_client(request, alias),
        headers=Headers(request.headers, seen_of(request).header),
        query=Fields(request.GET.dict() if request.META.get("QUERY_STRING") else None),
        proxy_setting=_PROXY,
        language=_language(request),
        native=request,
    )


def guarding(request: HttpRequest, alias: str) -> Request:
    """Return the request of a view of the application, for the guards of `WebSignIn`."""
    return translated(request, alias, request.get_full_path(), prefix(request, alias))


def with_body(asked: Request, request: HttpRequest) -> Request:
    """Add form and body. For our own pages only: the application reads what its views are posted.

    They are not read by ``request.POST`` and ``request.body``, which would keep them for error pages.
    """
    body = Body(request.read(MAX_BODY_BYTES + 1))
    return replace(asked, body=body, form=body.form(asked.headers.get("content-type", "")))


def without_query(request: HttpRequest) -> None:
    """Remove the query from Django's request, whose repr has it."""
    forget_query(request.META)
    vars(request).pop("GET", None)
    if hasattr(request, "scope"):  # ASGI
        request.scope["query_string"] = b""


def alias_of(request: HttpRequest) -> str:
    """Return the alias of a request for our own pages: their instance namespace."""
    namespace: str = request.resolver_match.namespaces[-1]
    return DEFAULT if namespace == "oncegate" else namespace


def own_prefix(request: HttpRequest) -> str:
    """Return the mount point of a request for our own pages, also below an argument of the URL."""
    match = request.resolver_match
    kwargs = {name: value for name, value in match.kwargs.items() if name != "below"}
    return str(reverse(f"{match.namespace}:login", kwargs=kwargs)).rstrip("/")


def prefix(request: HttpRequest, alias: str) -> str:
    """Return the mount point of an alias, for a request for a view of the application.

    Below an argument of the URL, such as ``<slug:tenant>/``, it is that of this request.

    Raises:
        Misconfigured: the pages of this alias are not mounted.
    """
    match = request.resolver_match
    given = {} if match is None else match.kwargs
    for number in range(len(given) + 1):
        for names in combinations(given, number):
            try:
                kwargs = {name: given[name] for name in names}
                return login_url(alias, kwargs).rstrip("/")
            except NoReverseMatch:
                continue
    raise Misconfigured(_not_mounted(alias))


def login_url(alias: str, kwargs: dict[str, Any] | None = None) -> str:
    """Return the URL of the first page of an alias; raises NoReverseMatch."""
    if alias == DEFAULT:
        return str(reverse("oncegate:login", kwargs=kwargs))
    return str(reverse(f"{alias}:login", kwargs=kwargs))


def _not_mounted(alias: str) -> str:
    how = 'include("oncegate_web.django.urls"' + (
        ")" if alias == DEFAULT else f', namespace="{alias}")'
    )
    return f'the pages of {alias!r} are not mounted: add path("accounts/", {how}) to the URLs'


def _client(request: HttpRequest, alias: str) -> str | None:
    """Return the browser's address: the last one that a trusted proxy has noted."""
    number = trusted_proxies(alias)
    noted = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if number else [""]
    address: str | None = noted[-min(number or 1, len(noted))].strip()
    return address or request.META.get("REMOTE_ADDR")


def _language(request: HttpRequest) -> str | None:
    """Return the language that the project has chosen, or None to use the browser's."""
    is_chosen = hasattr(request, "LANGUAGE_CODE") or settings.is_overridden("LANGUAGE_CODE")
    return get_language() if is_chosen else None


class _SharedResponse(HttpResponse):  # type: ignore[misc]
    """A response for all users, to which no middleware can add a cookie."""

    @property
    def cookies(self) -> SimpleCookie:
        return SimpleCookie()

    @cookies.setter
    def cookies(self, _: SimpleCookie) -> None:
        pass

    def set_cookie(self, *_: Any, **__: Any) -> None:
        pass


def native(answer: Response) -> HttpResponse:
    """Return a response as Django has it."""
    made = (_SharedResponse if answer.is_shared else HttpResponse)(
        answer.body,
        status=answer.status,
        headers=answer.headers,
        content_type=answer.content_type,
    )
    set_cookies(made, answer.cookies)
    return made


def set_cookies(response: Any, cookies: list[Cookie]) -> None:
    """Add cookies to a response of Django's."""
    for cookie in cookies:
        response.set_cookie(**cookie.arguments())


def unavailable(request: HttpRequest) -> HttpResponse:
    """Return the 503 of a view whose user could not be determined."""
    return native(web_sign_in(DEFAULT).unavailable(guarding(request, DEFAULT)))
