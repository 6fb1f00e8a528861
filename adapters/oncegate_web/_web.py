"""`WebSignIn`: the pages and the JSON API, for any framework. The integrations only translate."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from inspect import signature
from ipaddress import IPv6Address
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote

from oncegate import (
    Misconfigured,
    OncegateError,
    RecordTooNew,
    RecordUnreadable,
    SealingKeys,
    SignIn,
    StoreUnavailable,
    Tokens,
    Unreachable,
)
from oncegate.account import OFFER_EVERY, RECENT_WITHIN, OfferedFactor
from oncegate.adapters import (
    AuditLog,
    Finding,
    RecordStore,
    Transport,
    WaysIn,
    check_flag,
    check_function,
    check_ports,
    check_seconds,
    logger,
)
from oncegate_web._about import about
from oncegate_web._account import AccountSite
from oncegate_web._account_api import AccountApi
from oncegate_web._account_pages import ACCOUNT, AccountHtml
from oncegate_web._config import meant, split_keys
from oncegate_web._context import Contexts, MetadataHook, context_of
from oncegate_web._csp import content_security_policy
from oncegate_web._quiet import Quiet
from oncegate_web._sessions import IDLE_LIFETIME, LIFETIME, RECHECK
from oncegate_web._signals import AccountChanged, CodeSent, Hooks, SignInFailed, collecting
from oncegate_web._static import static_file
from oncegate_web._translations import Identifier, Translators
from oncegate_web._user import Session, User
from oncegate_web.api import Api
from oncegate_web.html import Html
from oncegate_web.http import (
    CALLBACK,
    MAX_BODY_BYTES,
    ProblemCode,
    Request,
    Response,
    local_path,
    problem,
    redirect,
    translated_problem,
)
from oncegate_web.pages import Brand, Link, Look, Renderer
from oncegate_web.site import Site

_API = ("/flows", "/session", "/status", "/openapi.json")
"""Beginnings of the paths of the JSON API."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_REFUSED: dict[ProblemCode, int] = {
    "insecure_connection": 403,
    "cross_site": 403,
    "too_large": 413,
    "too_many_requests": 429,
}
"""Requests that are not processed: code and HTTP status."""
UNAVAILABLE = (StoreUnavailable, Unreachable, Misconfigured)
"""Errors after which it is not known who is signed in: answered with 503."""

RETRY_AFTER = 10
"""Seconds, in the header Retry-After."""

_IN_THE_LOG = "The server's log says why, and what to do."
"""For developers, in a problem."""

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://([a-z0-9._-]+|\[(?P<address>[0-9a-f:]+)\])(:(?P<port>[1-9][0-9]{0,4}))?"
)
_URL = re.compile(r"/(?![/\\])|https?://[^/]|mailto:|tel:|data:image/")
"""Beginnings of the URLs that a page may have."""

_MOST_HOSTS = 20
"""Hosts for which an insecure request is logged: the client chooses the Host header."""


class Readiness(NamedTuple):
    """Whether a worker can serve, for a readiness probe.

    Attributes:
        is_ready: whether the store answers, takes writes and has its settings.
        reason: the check that failed, such as ``"store saves"``, or the type of the error, such as
            ``"StoreUnavailable"``; empty if ready. The log has more.
    """

    is_ready: bool
    reason: str = ""

    @property
    def status(self) -> int:
        """HTTP status: 200, or 503."""
        return 200 if self.is_ready else 503


class WebSignIn:
    """A sign-in on the web. Make one for an application and mount it with your framework.

    Args:
        transport: performs the calls to Cognito.
        store: stores flows and sessions; share it between workers.
        keys: the application's key, such as `oncegate key` prints, or `SealingKeys` to replace one. It
            seals cookies and sessions, and has to be the same in all workers.
        home: URL after sign-in without ``next``. Default: ``/``.
        after_sign_out: URL after sign-out without ``next``. Default: ``home``.
        redirect_authenticated_user: whether the first page redirects a user who is signed in at once.
            Then a page that this user may not see, and that leads to sign-in, redirects for ever.
            Default: False: the page says who is signed in, and has a link to go on and a button to sign
            out.
        sessions: ``"server"`` to store the tokens on the server (default), ``"cookie"`` to store them
            in sealed cookies.
        session_lifetime: seconds from the sign-in to the end of a session; at most that of the app
            client's refresh tokens. Default: 30 days (NIST SP 800-63B-4, 2.1.3, for AAL1; for AAL2 one
            day, 2.2.3).
        session_idle_lifetime: seconds without a request after which a session ends, 5% sooner or not;
            None for no limit. Default: 7 days (for AAL2 NIST recommends one hour).
        session_recheck: seconds after which Cognito is asked whether a session goes on, so that a
            disabled user or one who was signed out everywhere is signed out here; 0 for every
            request, None for never. Default: 300.
        name: name of this sign-in in the names of its cookies: letters, digits, ``-`` and ``_``. Two
            sign-ins on one host need different names. Default: ``oncegate``.
        secure: True if all requests use HTTPS, although the server cannot tell. None (default): what
            the server says of each request.
        allow_insecure: whether requests by plain HTTP are answered on other hosts than loopback ones.
            Then every user on the network can read passwords and sessions. Default: False.
        origins: other origins whose scripts may use the JSON API, such as
            ``["https://app.example.com"]``. They have to be of the same site, because browsers send the
            cookies nowhere else.
        allowed_headers: further request headers that those scripts may set, such as ``traceparent``.
        client_metadata: returns ClientMetadata for the pool's Lambda triggers, for the request of an
            event. It takes precedence over what the browser sends.
        client_metadata_from_browser: names of ClientMetadata that a browser may send with an event, such
            as ``["captcha"]``; others are left out. The triggers cannot tell who has sent a value, so
            name none that they trust. A form's field with such a name is ClientMetadata, too.
        threat_protection_script: path on this site at which the application serves AWS's script for
            threat protection, ``amazon-cognito-advanced-security-data.min.js``; the pages run it, and
            send what it collects (EncodedData). Default: none.
        rate_limit: is called before a POST is processed; if it returns False, the answer is 429.
        renderer: renders a page to HTML. None: the framework's own templates in Django, otherwise
            Jinja2 with the bundled template.
        locales: folders with gettext catalogues of the application.
        brand: name and logo of the application. Default: none. Logos and style sheets of another site
            need `csp` too.
        identifier: what users sign in with: ``username``, ``email`` or ``phone``, for the label and
            the keyboard of the first field, and in messages. Default: ``username``.
        links: links below the card, by their texts, such as ``{"Privacy": "/privacy"}``. The texts
            are looked up in the application's catalogues.
        css: URL of a style sheet of the application, or several. They follow ours, whose design tokens
            they can set.
        theme: ``light`` or ``dark`` to have one of them only. Default: the user's choice.
        csp: sources that the Content-Security-Policy allows in addition to the pages' own, by directive,
            such as ``{"font-src": ["https://fonts.example.com"]}``.
        frame_ancestors: ``frame-ancestors`` of the Content-Security-Policy. Default: no framing.
        on_signed_in: is called with the `User` and the `Request` when a user has signed in, once for
            each sign-in. ``request.native`` is the framework's own request. The hooks are called after
            the fact, in the thread of the request; what they raise is logged. Pass slow work to a
            queue: its time could tell a caller whether a code was sent.
        on_signed_out: is called with the `User` and the `Request` when a browser's session has ended:
            by a sign-out, or by another sign-in in the same browser; not if it ends elsewhere, or by
            time.
        on_sign_in_failed: is called with a `SignInFailed` and the `Request` when Cognito rejects what
            the user sent.
        on_code_sent: is called with a `CodeSent` and the `Request` when Cognito has sent a code.
        on_account_changed: is called with an `AccountChanged` and the `Request` when Cognito has
            accepted a change that a user made on the account's page: for a mail to the user.
        account: whether users change their accounts here: second factors, addresses, passkeys, devices,
            sessions and the password, on the page ``/account`` and by the JSON API. Default: False.
        offer: what a user without a second factor is offered after a sign-in: ``authenticator`` and
            ``passkey``, best first. It needs ``account``, and a pool whose MFA is optional. Default:
            nothing.
        offer_every: seconds between two offers to a user. Default: 30 days.
        mfa_required: whether the pool requires MFA (``ON``). Then a user's only second factor cannot be
            turned off on the account's page. It needs ``account``. Default: False.
        place_of: returns the place of an IP address in words, such as ``"Zurich"``, for the list of a
            user's sessions; empty if it is not known. It is called when a user looks at the list, once
            for each address. Default: the list has the address alone.
        audit: whether to write the audit log: each transition, session and refused request, to the
            standard library's logger ``oncegate.audit``. Default: False.
        driver: further arguments of `oncegate.SignIn`, such as ``retain_password``.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        store: RecordStore,
        keys: SealingKeys | str,
        home: str = "/",
        after_sign_out: str | None = None,
        redirect_authenticated_user: bool = False,
        sessions: Literal["server", "cookie"] = "server",
        session_lifetime: float = LIFETIME,
        session_idle_lifetime: float | None = IDLE_LIFETIME,
        session_recheck: float | None = RECHECK,
        name: str = "oncegate",
        secure: Literal[True] | None = None,
        allow_insecure: bool = False,
        origins: Iterable[str] = (),
        allowed_headers: Iterable[str] = (),
        client_metadata: MetadataHook | None = None,
        client_metadata_from_browser: Iterable[str] = (),
        threat_protection_script: str | None = None,
        rate_limit: Callable[[Request], bool] | None = None,
        renderer: Renderer | None = None,
        locales: Iterable[Path] = (),
        brand: Brand | None = None,
        identifier: Identifier = "username",
        links: Mapping[str, str] = MappingProxyType({}),
        css: str | Iterable[str] = (),
        theme: Literal["light", "dark"] | None = None,
        csp: Mapping[str, Iterable[str]] = MappingProxyType({}),
        frame_ancestors: str = "'none'",
        on_signed_in: Callable[[User, Request], object] | None = None,
        on_signed_out: Callable[[User, Request], object] | None = None,
        on_sign_in_failed: Callable[[SignInFailed, Request], object] | None = None,
        on_code_sent: Callable[[CodeSent, Request], object] | None = None,
        on_account_changed: Callable[[AccountChanged, Request], object] | None = None,
        account: bool = False,
        offer: Iterable[OfferedFactor] = (),
        offer_every: float = OFFER_EVERY,
        mfa_required: bool = False,
        place_of: Callable[[str], str] | None = None,
        audit: bool = False,
        **driver: Any,
    ) -> None:
        _check_arguments(driver)
        check_ports(transport, store, vault=driver.get("vault"), clock=driver.get("clock"))
        for setting, hook in (
            ("rate_limit", rate_limit),
            ("renderer", renderer),
            ("on_signed_in", on_signed_in),
            ("on_signed_out", on_signed_out),
            ("on_sign_in_failed", on_sign_in_failed),
            ("on_code_sent", on_code_sent),
            ("on_account_changed", on_account_changed),
            ("place_of", place_of),
        ):
            if hook is not None:
                check_function(setting, hook)
        if not _NAME.fullmatch(name):
            raise Misconfigured("name must be 1 to 32 letters, digits, - and _")
        if secure not in {None, True}:
            raise Misconfigured("secure is True or None; for plain HTTP, pass allow_insecure=True")
        after_sign_out = home if after_sign_out is None else after_sign_out
        for setting, url in (("home", home), ("after_sign_out", after_sign_out)):
            if not (isinstance(url, str) and url.startswith(("/", "https://", "http://"))):
                raise Misconfigured(f'{setting} is a URL, or a path that begins with "/"')
        _check_sessions(sessions, session_lifetime, session_idle_lifetime, session_recheck)
        for setting, flag in (
            ("redirect_authenticated_user", redirect_authenticated_user),
            ("allow_insecure", allow_insecure),
            ("account", account),
            ("mfa_required", mfa_required),
            ("audit", audit),
        ):
            check_flag(setting, flag)
        self.name = name
        self._secure = secure
        self._allow_insecure = allow_insecure
        self._insecure_hosts: set[str] = set()
        check_seconds("offer_every", offer_every)
        if (offer or on_account_changed or mfa_required) and not account:
            raise Misconfigured("offer, on_account_changed and mfa_required need account=True")
        self.has_account = account
        make_site = (
            partial(AccountSite, offer=offer, offer_every=offer_every, mfa_required=mfa_required)
            if account
            else Site
        )
        self._site = make_site(
            transport=transport,
            store=store,
            keys=_checked_keys(keys),
            sessions=sessions,
            session_lifetime=session_lifetime,
            session_idle_lifetime=session_idle_lifetime,
            session_recheck=session_recheck,
            name=name,
            secure=secure,
            translators=Translators(locales, _checked_identifier(identifier, transport.ways_in)),
            recent_within=RECENT_WITHIN,
            place_of=place_of,
            audit=audit,
            driver=driver,
            contexts=Contexts(client_metadata_from_browser, client_metadata),
        )
        self._html = (AccountHtml if account else Html)(
            self._site,
            home=home,
            after_sign_out=after_sign_out,
            redirect_authenticated_user=redirect_authenticated_user,
            renderer=renderer,
            look=_checked_look(brand, links, css, theme, csp),
            identifier=identifier,
            security_script=_checked_script(threat_protection_script),
        )
        self._api = (AccountApi if account else Api)(self._site)
        self._origins = _checked_origins(origins)
        self._allowed_headers = ", ".join(_checked_headers(allowed_headers))
        self._refused_origins: set[str] = set()
        self._rate_limit = rate_limit
        self._policy = content_security_policy(csp, frame_ancestors)
        self._hooks = Hooks(
            on_signed_in, on_signed_out, on_sign_in_failed, on_code_sent, on_account_changed
        )
        if on_signed_in is not None:
            self.announce_sessions()
        self._log = logger()
        self._unreadable = Quiet()
        self._unready = Quiet()
        self._was_ready = False

    @property
    def audit(self) -> AuditLog:
        """The audit log; `AuditLog.pseudonym` returns the name of a user in its lines."""
        return self._site.audit

    def use_renderer(self, renderer: Renderer) -> None:
        """Render with the framework's own templates, unless the application chose a renderer."""
        self._html.renderer = self._html.renderer or renderer

    def check(self) -> Readiness:
        """Return whether this worker can serve: for a readiness probe.

        At first, and after a failure, it checks the store with its settings
        (`oncegate.adapters.check_store`, which saves a row for a minute). Later it makes three requests
        to the store, and changes nothing. If the store is down, it takes as long as its timeouts.
        Cognito is not asked: its outage must not take every worker out of service.
        """
        was_ready, self._was_ready = self._was_ready, False
        failed = None if was_ready else _first_failed(self._site.check_store())
        if failed:
            if self._unready.was_quiet():
                self._log.error(
                    "not ready", check=failed.check, reason=failed.text, cure=failed.cure
                )
            return Readiness(False, failed.check)
        try:
            self._site.check()
        except Exception as error:  # noqa: BLE001 - whatever it is, requests fail too
            return Readiness(False, type(error).__name__)
        self._was_ready = True
        return Readiness(True)

    def announce_sessions(self) -> None:
        """Set `SessionBegan.is_first` of the session of each sign-in, once. For integrations.

        It costs a write to the store for each sign-in. Without it, ``is_first`` is False.
        """
        self._site.announce_sessions()

    def check_set_up(self) -> list[Finding]:
        """Check pool, app client, store and settings: for the start of an application.

        It takes seconds, makes no request that can send a code, and raises nothing. `oncegate check
        --app` prints the same.

        Returns:
            What was found: each with a status, ``"ok"``, ``"warning"`` or ``"failed"``, and the cure.

        Example:
            >>> failed = [one for one in web.check_set_up() if one.status == "failed"]
        """
        return [*self._site.check_set_up(), self._https_finding()]

    def _https_finding(self) -> Finding:
        if self._allow_insecure:
            text = "plain HTTP is answered: every user on the network can read passwords"
            return Finding("https", "warning", text, "allow_insecure=True is for development only")
        if self._secure:
            return Finding("https", "ok", "every request counts as HTTPS (secure=True)")
        return Finding("https", "ok", "plain HTTP is refused, except on this machine")

    def user_of(self, request: Request) -> User | None:
        """Return the user who is signed in in the browser of a request, or None; see `session`."""
        session = self.session(request)
        return session.user if session else None

    def session(self, request: Request) -> Session | None:
        """Return the session of the browser of a request, or None.

        Raises:
            StoreUnavailable: the store did not answer.
            Unreachable: the tokens have expired, and Cognito did not answer within a few seconds.
            Misconfigured: the store lacks a table, a right or a setting.
        """
        request = self._as_seen(request)
        if self._is_insecure(request):
            return None  # its cookies may come from another host
        try:
            return self._site.session(request)
        except Exception as error:  # noqa: BLE001 - raised again
            if not isinstance(error, OncegateError):
                self._log.error("session not read", **about(error))
            # Without the frames below, whose variables may hold the session's ID: error reporters store
            # the variables of every frame.
            raise error.with_traceback(None) from error.__cause__

    def end_session(self, request: Request) -> Response:
        """Sign out the browser of a request: for the sign-out of the host's own users.

        The session ends, its tokens are revoked, and the cookies are deleted.

        Args:
            request: the browser's request. Check its origin first, as `is_same_origin` does.

        Returns:
            A response without a body, whose cookies and signals the integration passes on. If managed
            login has a session too, ``Location`` is where the browser has to go to end it.

        Raises:
            StoreUnavailable: the store did not answer; the session goes on.
        """
        request = self._as_seen(request)
        response = Response(204, b"")
        if url := self._site.logout_url(request):
            response.headers["Location"] = url
        with collecting() as response.signals:
            self._site.end_session(request, response)
        self._hooks.call(request, response.signals)
        return response

    def bearer_user(self, token: str) -> User:
        """Return the user of an access token that a program has sent (``Authorization: Bearer``).

        Its signature, time, user pool and app client are checked, and that it is an access token.
        Whether it was revoked is not known here: it is valid until it expires.

        Raises:
            InvalidToken: it is forged, expired, or for another client or use.
            Unreachable: the pool's public keys could not be fetched.
        """
        found = self._site.bearer(token)
        del token  # error reporters store the local variables of a traceback
        if isinstance(found, OncegateError):
            raise found
        return found

    def is_recent(self, user: User, seconds: float) -> bool:
        """Return whether a user has typed a password or a code within so many seconds.

        Send the others to `sign_in_again`. Renewals of tokens do not count (``auth_time``).
        """
        time = user.auth_time
        return time is not None and self._site.now() - time.timestamp() <= seconds

    def cookies_for_test(
        self, tokens: Tokens, claims: Mapping[str, Any], kinds: Iterable[bool]
    ) -> dict[str, str]:
        """Return the cookies of a new session; for `oncegate_web.testing` only."""
        return self._site.cookies_for_test(tokens, claims, kinds)

    def end_sessions_of(self, sub: str) -> int:
        """End all web sessions of a user, such as after a change of the password elsewhere.

        Their refresh tokens are revoked as soon as their browsers return; for tokens that were passed
        on, call AdminUserGlobalSignOut too.

        Args:
            sub: the user's claim ``sub`` (``user.claims["sub"]``; AdminGetUser has it too), which is
                not the username.

        Returns:
            How many sessions were ended.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        return self._site.end_sessions_of(sub)

    def is_same_origin(self, request: Request) -> bool:
        """Return whether a request comes from a page of this origin, or of one of ``origins``.

        Programs that are no browsers, which send neither Origin nor Sec-Fetch-Site, pass: they have no
        user's cookies. The log says once for each other origin what to do if it is yours.
        """
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if origin in self._origins:
            is_same = site != "cross-site"  # browsers do not send the cookies there
        elif site is not None:
            is_same = site in {"same-origin", "none"}
        else:
            is_same = origin in {None, self._as_seen(request).origin}
        if not is_same:
            self._explain_cross_site(request)
        return is_same

    def cross_site(self, request: Request) -> Response:
        """Return the answer to a request that `is_same_origin` refuses: a problem (403)."""
        return self._finished(request, _cross_site())

    def sign_in_first(self, request: Request) -> Response:
        """Return a redirect to sign-in (HTML) or a 401 (JSON).

        Args:
            request: its path is the whole path, with the query.
        """
        return self._to_sign_in(request, "")

    def sign_in_again(self, request: Request) -> Response:
        """Return `sign_in_first` for a user who is signed in, but not recently; see `is_recent`.

        Args:
            request: its path is the whole path, with the query.
        """
        return self._to_sign_in(request, "again=1&")

    def not_signed_in(self, request: Request, *, again: bool = False) -> Response:
        """Return a 401: a page with a link to sign-in (HTML), or a problem (JSON).

        For a request that changes something: a redirect would leave the user in doubt whether it was
        done. The link leads back to the page that the form was on.

        Args:
            request: its path is the whole path, with the query.
            again: whether the user is signed in, but not recently; see `is_recent`.
        """
        if not request.wants_html:
            return self._to_sign_in(request, "")
        link = self._sign_in_url(request, "again=1&" if again else "")
        return self._finished(request, self._html.not_signed_in_page(self._as_seen(request), link))

    def _to_sign_in(self, request: Request, query: str) -> Response:
        if request.wants_html:
            return self._finished(request, redirect(self._sign_in_url(request, query)))
        return self._finished(request, problem(401, "not_signed_in", "Unauthorized"))

    def _sign_in_url(self, request: Request, query: str) -> str:
        onward = quote(self._onward(request), safe="/")
        query = f"{query}next={onward}" if onward else query.removesuffix("&")
        return f"{request.prefix}/" + (f"?{query}" if query else "")

    def _onward(self, request: Request) -> str:
        """Return where a user goes after the sign-in: of a form, the page that it was on."""
        if request.method in {"GET", "HEAD"}:
            return request.path
        origin, referer = self._as_seen(request).origin, request.headers.get("referer", "")
        return referer.removeprefix(origin) if referer.startswith(f"{origin}/") else ""

    def too_many_requests(self, request: Request) -> Response:
        """Return the answer of a host's own limit of rates: a 429, or for a form a redirect to a page.

        Args:
            request: for a page or the API of this sign-in, as `respond` takes it.
        """
        request = self._as_seen(request)
        answer = self._error_page(request, 429, "too_many_requests", retry_after=60)
        return self._finished(request, answer)

    def forbidden(self, request: Request) -> Response:
        """Return the answer to a user who lacks a group or a scope: a page (HTML) or a problem (403)."""
        request = self._as_seen(request)
        if request.wants_html:
            return self._finished(request, self._html.forbidden_page(request))
        return self._finished(request, problem(403, "forbidden", HTTPStatus(403).phrase))

    def _finished(self, request: Request, response: Response) -> Response:
        """Return a response in the user's language, with the security headers."""
        response = translated_problem(response, self._site.translators.best(request.languages))
        response.headers = {**self._headers(self._as_seen(request)), **response.headers}
        return response

    def unavailable(self, request: Request) -> Response:
        """Return a 503 in place of a page of the application: a page (HTML) or a problem (JSON).

        Args:
            request: one whose user could not be determined (`UNAVAILABLE`). Its path is the whole path,
                with the query.
        """
        request = self._as_seen(request)
        if request.wants_html:
            response = self._html.outage_page(request)
            response.status = 503
        else:
            response = problem(503, "store_unavailable", HTTPStatus(503).phrase)
        response.headers["Retry-After"] = str(RETRY_AFTER)
        return self._finished(request, response)

    def can_wait(self, request: Request) -> bool:
        """Return whether a request for the pages or the API may wait for a sign-in's call to Cognito."""
        is_for_account = self.has_account and request.path.startswith(ACCOUNT)
        is_slow = "wait" in request.query or request.path == CALLBACK or is_for_account
        return request.method == "POST" or is_slow

    def respond(self, request: Request) -> Response:
        """Answer one request below the mount point. Raises no `Exception`.

        What fails is answered with 503, or 500 if trying again cannot help; a form with a redirect to a
        page that says so. The log has the types of the error and of its cause, and where it was raised:
        what is unexpected for each request, an outage once. The error itself is not passed on, because
        error reporters store the variables of its frames: passwords and codes.
        """
        request = self._as_seen(request)
        with collecting() as signals:
            try:
                response = self._refused(request) or self._routed(request)
            except Exception as error:  # noqa: BLE001 - logged, without what it holds
                response = self._failed(request, error)
        response = self._finished(request, response)
        response.signals = signals
        self._hooks.call(request, signals)
        return response

    def _as_seen(self, request: Request) -> Request:
        """Return the request as the browser sent it."""
        return replace(request, is_secure=True) if self._secure else request

    def _is_insecure(self, request: Request) -> bool:
        """Return whether a request is to be refused because others can read it; log why, once."""
        if request.is_protected or self._allow_insecure:
            return False
        host = request.host[:100]
        if host not in self._insecure_hosts and len(self._insecure_hosts) < _MOST_HOSTS:
            self._insecure_hosts.add(host)
            self._log.error(
                "plain HTTP refused",
                host=host,
                advice="Serve the pages by HTTPS. If a proxy ends TLS, declare it: "
                f"{request.proxy_setting or 'set is_secure of each request'}. If every request uses "
                "HTTPS, WebSignIn(secure=True) serves too, also behind a development server (Vite, ng "
                "serve, Next) with a certificate. For a development server that other devices open by "
                "plain HTTP, and for tests, there is WebSignIn(allow_insecure=True): then every user "
                "on the network can read passwords.",
            )
        return True

    def _failed(self, request: Request, error: Exception) -> Response:
        found = {
            **about(error),
            "method": request.method,
            "request": context_of(request).request_id,
        }
        if isinstance(error, RecordTooNew):
            # A rolling deployment. The flow and its cookie stay for the workers of that release.
            self._log.warning("request not answered", status=503, **found)
            return self._error_page(request, 503, "updating", retry_after=10)
        is_temporary = isinstance(error, (*UNAVAILABLE, RecordUnreadable))
        status = 503 if is_temporary else 500
        if is_temporary:
            # Logged once for each outage: by `WatchedStore`, `Calls`, and here.
            self._log.info("request not answered", status=status, **found)
        else:
            self._log.error("request failed", status=status, **found)
        if isinstance(error, RecordUnreadable):
            self._note_unreadable(error)
        wait = RETRY_AFTER if is_temporary else None
        try:
            return self._error_page(request, status, "store_unavailable", retry_after=wait)
        except Exception as second:  # noqa: BLE001 - such as a mistake in the application's template
            self._log.error("error page failed", **about(second))
            return Response(status, b"Internal Server Error", "text/plain; charset=utf-8")

    def _note_unreadable(self, error: RecordUnreadable) -> None:
        """Log an unreadable record, unless others were logged shortly before."""
        if self._unreadable.was_quiet():
            self._log.error(
                "records of flows not readable",
                error=type(error).__name__,
                reason=str(error),
                cure="give all workers the same keys, and retired ones as further keys of SealingKeys",
            )

    def _refused(self, request: Request) -> Response | None:
        """Return the answer to a request that is not processed, or None."""
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return Response(204, headers={"Access-Control-Max-Age": "600"})
        code = self._why_refused(request)
        if code is None:
            return None
        status = _REFUSED[code]
        match code:
            case "cross_site":
                response = _cross_site()
            case "too_large":
                response = problem(status, code, "Content Too Large")
            case _:
                wait = 60 if status == 429 else None
                response = self._error_page(request, status, code, retry_after=wait)
        self._site.note_refusal(request, response.status, code)
        return response

    def _why_refused(self, request: Request) -> ProblemCode | None:
        if request.method in {"POST", "DELETE"} and not self.is_same_origin(request):
            return "cross_site"
        if not request.path.startswith("/static/") and self._is_insecure(request):
            return "insecure_connection"
        if len(request.body) > MAX_BODY_BYTES:
            return "too_large"
        if request.method == "POST" and self._rate_limit and not self._rate_limit(request):
            return "too_many_requests"
        return None

    def _routed(self, request: Request) -> Response:
        if request.path.startswith(_API) or self._is_for_account_api(request):
            return self._api.respond(request)
        if request.path.startswith("/static/"):
            answer = static_file(request)
        else:
            answer = self._html.respond(request)
        return answer or self._error_page(request, 404, "not_found")

    def _is_for_account_api(self, request: Request) -> bool:
        """Return whether a request is for the API of the account, which shares a path with the page."""
        is_form = request.method == "POST" and request.path == ACCOUNT
        is_below = request.path == ACCOUNT or request.path.startswith(f"{ACCOUNT}/")
        return self.has_account and is_below and not (request.wants_html or is_form)

    def _explain_cross_site(self, request: Request) -> None:
        """Tell the developer, once for each origin, why its scripts are refused."""
        origin = request.headers.get("origin", "")[:200]
        if origin in self._refused_origins or len(self._refused_origins) >= _MOST_HOSTS:
            return
        self._refused_origins.add(origin)
        if origin in self._origins:
            advice = (
                "This origin is of another site, and browsers do not send it SameSite cookies: serve "
                "both below one registrable domain, or forward the API from that origin."
            )
        elif origin == f"https://{request.host}":
            advice = (
                "The page was opened by HTTPS, so a proxy or development server ends TLS. Declare it: "
                f"{request.proxy_setting or 'set is_secure'}. If every request uses HTTPS, "
                "WebSignIn(secure=True) serves too."
            )
        else:
            advice = (
                "If it is yours and of the same site, add it to WebSignIn(origins=…). If it is this "
                "application behind a development server, let that keep the Host header: in Vite, "
                '{target: "http://…"} without changeOrigin, instead of a string; in Angular, '
                '"changeOrigin": false. If it is behind another proxy, let that keep the header, and '
                f"declare it: {request.proxy_setting or 'set is_secure and host'}."
            )
        self._log.warning(
            "cross-site request refused", origin=origin, host=request.host[:100], advice=advice
        )

    def _error_page(
        self, request: Request, status: int, code: ProblemCode, retry_after: int | None = None
    ) -> Response:
        if request.path.startswith(_API) or not request.wants_html:
            detail = _IN_THE_LOG if code == "insecure_connection" else ""
            response = problem(status, code, HTTPStatus(status).phrase, detail)
        elif request.method == "POST" and (status == 429 or status >= 500):
            notice = "request_failed" if code == "store_unavailable" else code
            return self._html.after_failure(request, notice)
        else:
            response = self._html.error_page(request, status, code)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {
            "Cache-Control": "no-store",
            "Content-Language": self._site.translators.best(request.languages).language,
            "Content-Security-Policy": self._policy,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "same-origin",
            "Vary": "Accept-Language, Cookie, Origin",
            "X-Content-Type-Options": "nosniff",
        }
        if request.is_trustworthy:  # browsers report it as an error elsewhere
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
        origin = request.headers.get("origin")
        if origin in self._origins and origin:
            headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Credentials": "true",
                "Access-Control-Allow-Headers": self._allowed_headers,
                "Access-Control-Allow-Methods": "GET, POST, DELETE",
                "Access-Control-Expose-Headers": "Location, Retry-After",
            }
        return headers


def _first_failed(findings: Iterable[Finding]) -> Finding | None:
    return next((one for one in findings if one.status == "failed"), None)


def arguments() -> set[str]:
    """Return the names of the arguments of `WebSignIn`, with those that it passes to `SignIn`."""
    return {*signature(WebSignIn).parameters, *signature(SignIn).parameters} - {"driver", "keeper"}


def _check_arguments(driver: Mapping[str, Any]) -> None:
    """Raise TypeError, as Python does, for an argument that there is not."""
    known = arguments()
    for name in sorted(driver.keys() - known):
        hint = meant(name, known)
        raise TypeError(f"WebSignIn() got an unexpected keyword argument {name!r}{hint}")


def _checked_keys(keys: SealingKeys | str) -> SealingKeys:
    """Return the keys; raise `Misconfigured` if there is none, such as from an unset variable."""
    if not isinstance(keys, (SealingKeys, str)):
        raise Misconfigured("keys has to be a key, such as `oncegate key` prints, or SealingKeys")
    listed = split_keys(keys) if isinstance(keys, str) else []
    found = SealingKeys(*listed) if listed else keys
    if isinstance(found, str) or not found.has_keys:
        raise Misconfigured("keys: no key was given; `oncegate key` prints one")
    return found


def _check_sessions(
    kept: str, lifetime: float, idle_lifetime: float | None, recheck: float | None
) -> None:
    if kept not in {"server", "cookie"}:
        raise Misconfigured('sessions is "server" or "cookie"')
    check_seconds("session_lifetime", lifetime)
    if idle_lifetime is not None:
        check_seconds("session_idle_lifetime", idle_lifetime)
    if recheck is not None:
        check_seconds("session_recheck", recheck, or_none_at_all=True)


def _checked_script(path: str | None) -> str:
    """Return the path of a script, or an empty one; the pages run no scripts of other sites."""
    if path is None:
        return ""
    found = local_path(path) if isinstance(path, str) else None
    if found is None:
        raise Misconfigured('threat_protection_script is a path on this site that begins with "/"')
    return found


_ATTRIBUTES_OF: Final = {"username": "", "email": "email", "phone": "phone_number"}


def _checked_identifier(identifier: Identifier, ways_in: WaysIn) -> Identifier:
    if identifier not in tuple(_ATTRIBUTES_OF):  # whatever was passed
        raise Misconfigured('identifier is "username", "email" or "phone"')
    asked = ways_in.sign_up.attributes if ways_in.sign_up else ()
    if (attribute := _ATTRIBUTES_OF[identifier]) in asked:
        raise Misconfigured(
            f'identifier="{identifier}": the username of a new account is the address. Leave '
            f'{attribute} out of SignUpForm, or pass identifier="username" if it is only an alias'
        )
    return identifier


def _checked_look(
    brand: Brand | None,
    links: Mapping[str, str],
    css: str | Iterable[str],
    theme: Literal["light", "dark"] | None,
    csp: Mapping[str, Iterable[str]],
) -> Look:
    if not (brand is None or isinstance(brand, Brand)):
        raise Misconfigured('brand is a Brand, such as Brand(name="Corner Shop")')
    if theme not in {None, "light", "dark"}:
        raise Misconfigured('theme is "light", "dark" or None')
    if not isinstance(links, Mapping):
        raise Misconfigured('links are URLs by their texts, such as {"Privacy": "/privacy"}')
    sheets = [css] if isinstance(css, str) else _checked_list("css", css)
    logos = [url for url in (brand.logo, brand.logo_dark) if url] if brand else []
    homes = [brand.home] if brand and brand.home else []
    for url in (*links.values(), *sheets, *logos, *homes):
        if not (isinstance(url, str) and _URL.match(url)):
            raise Misconfigured(f'{url!r} is no URL: begin with "/" or "https://"')
    for directive, urls in (("style-src", sheets), ("img-src", logos)):
        for url in urls:
            if url.startswith("http") and directive not in csp:
                origin = "/".join(url.split("/")[:3])
                raise Misconfigured(
                    f'browsers would not load {url}: pass csp={{"{directive}": ["{origin}"]}} too'
                )
    return Look(
        brand=brand or Brand(),
        links=tuple(Link(text, url) for text, url in links.items()),
        css=tuple(sheets),
        theme=theme or "",
    )


def checked_prefix(prefix: str) -> str:
    """Return the mount point; raise `Misconfigured` if it cannot be one."""
    if not (isinstance(prefix, str) and re.fullmatch(r"(/[^/?#\s]+)+", prefix)):
        raise Misconfigured(
            f'prefix: {prefix!r} is not a path such as "/auth", without a slash at the end'
        )
    return prefix


def _checked_origins(origins: Iterable[str]) -> frozenset[str]:
    """Return the origins; raise `Misconfigured` for what no browser would send as Origin."""
    found = _checked_list("origins", origins)
    for origin in found:
        if not _is_origin(origin):
            raise Misconfigured(
                f"origins: {origin!r} is not an origin such as 'https://app.example.com': scheme, host "
                "in small letters (xn--… for other scripts) and a port unless it is the scheme's "
                "default, without a path or a slash at the end, and no *"
            )
    return frozenset(found)


def _is_origin(value: object) -> bool:
    """Return whether browsers serialise an origin like this (RFC 6454, 6.2)."""
    parts = _ORIGIN.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        return False
    scheme, address, port = parts["scheme"], parts["address"], parts["port"]
    if address:
        try:
            if str(IPv6Address(address)) != address:
                return False
        except ValueError:
            return False
    return port is None or (int(port) < 65536 and port != {"http": "80", "https": "443"}[scheme])


def _checked_headers(names: Iterable[str]) -> list[str]:
    found = _checked_list("allowed_headers", names)
    for name in found:
        if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9-]+", name)):
            raise Misconfigured(f"allowed_headers: {name!r} is not the name of a header")
    return ["content-type", *(name.lower() for name in found)]


def _checked_list(setting: str, values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise Misconfigured(f"{setting} is a list: [{values!r}]")
    if not isinstance(values, Iterable):
        raise Misconfigured(f"{setting} is a list, not {values!r}")
    return list(values)


def _cross_site() -> Response:
    return problem(403, "cross_site", "This request came from another site.", _IN_THE_LOG)
