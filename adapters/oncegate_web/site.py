"""`Site`: what the pages and the JSON API share: the driver, the sessions and the cookies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from oncegate import (
    Event,
    InvalidInput,
    Misconfigured,
    RecordTooNew,
    RecordUnreadable,
    RequestContext,
    SealingKeys,
    SignIn,
    Step,
    StepRef,
)
from oncegate.adapters import RecordStore, SystemClock, Transport
from oncegate_web._browser_vault import PENDING_SECONDS, BrowserVault
from oncegate_web._cookie_vault import CookieVault
from oncegate_web._sessions import CookieSessions, StoreSessions, User
from oncegate_web._translations import Translators
from oncegate_web.http import DEVICE, FLOW, SESSION, Cookie, Request, Response

_YEAR = 365 * 86400
_AFTER_A_DEVICE = {"offering_device", "authenticated"}
"""States of a flow that may have registered a device, perhaps by an earlier click."""


class Site:
    """One sign-in on the web; `oncegate_web.WebSignIn` documents the arguments."""

    def __init__(
        self,
        *,
        transport: Transport,
        store: RecordStore,
        keys: SealingKeys,
        sessions: Literal["server", "cookie"],
        session_lifetime: float,
        secure: bool | None,
        translators: Translators,
        driver: dict[str, Any],
    ) -> None:
        if sessions == "cookie" and not keys.can_seal:
            raise Misconfigured("sessions in cookies need a key that seals")
        clock = driver.setdefault("clock", SystemClock())
        self.now: Callable[[], float] = clock.now
        self.translators = translators
        self._keys = keys
        self._store = store
        self._app_id = transport.app_id
        # To the app client alone, as in 0.1: workers of both releases read each other's cookies.
        self._devices_bound_to = transport.app_id.rpartition("/")[2]
        self._secure = secure
        self._lifetime = int(session_lifetime)
        self._in_cookies = (
            CookieSessions(keys, self._app_id, now=clock.now) if sessions == "cookie" else None
        )
        self._sessions = StoreSessions(
            store,
            transport,
            keys,
            lifetime=PENDING_SECONDS if self._in_cookies else session_lifetime,
            now=clock.now,
            sleep=clock.sleep,
        )
        self._driver = SignIn(
            transport=transport, store=store, keeper=self._sessions, keys=keys, **driver
        )

    # ── flows ──

    def start(self, request: Request, response: Response) -> Step:
        """Begin a flow, and set the browser's cookie to it."""
        step = self._driver.start()
        self.set_flow(request, response, step)
        return step

    def set_flow(self, request: Request, response: Response, step: Step | None) -> None:
        """Bind a flow to the browser; None removes it."""
        value = step.flow_id if step else None
        response.cookies.append(self._cookie(FLOW, value, request))

    def flow_id(self, request: Request) -> str:
        """Return the flow ID in the browser's cookie, or an empty string."""
        return request.cookies.get(self._name(FLOW, request), "")

    def get(self, flow_id: str) -> Step:
        """See `oncegate.SignIn.get`."""
        return self._driver.get(flow_id)

    def current(self, flow_id: str) -> Step:
        """Return the step of a browser's flow, or of a new one if it has ended or is unreadable.

        Raises:
            RecordTooNew: a later release wrote the flow.
        """
        if flow_id:
            try:
                step = self._driver.get(flow_id)
            except RecordTooNew:
                raise
            except (InvalidInput, RecordUnreadable):
                return self._driver.start()
            is_gone = step.message is not None and step.message.code == "flow_expired"
            has_ended = step.state == "authenticated" and not self._sessions.find(step.session_id)
            if not (is_gone or has_ended):
                return step
        return self._driver.start()

    def send(self, request: Request, response: Response, event: Event, version: int) -> Step:
        """Send an event to the browser's flow, with the devices of that browser.

        Args:
            request: brought the event.
            response: gets the cookie of a new device.
            event: the user's event.
            version: version of the step that the user saw.

        Raises:
            RecordTooNew: a later release wrote the flow.
            RecordUnreadable: the flow's record is corrupt, or sealed with other keys.
        """
        sent, flow_id = request.cookies.get(self._name(DEVICE, request)), self.flow_id(request)
        cookies = CookieVault(sent, self._keys, bound_to=self._devices_bound_to)
        vault = BrowserVault(cookies, self._store, flow_id, self.now)
        context = RequestContext(
            source_address=request.client,
            user_agent=request.headers.get("user-agent", ""),
            language=next(iter(request.languages), ""),
            device_vault=vault if self._keys.can_seal else None,
        )
        if request.request_id:
            context = replace(context, request_id=request.request_id)
        step = self._driver.send(StepRef(flow_id, version), event, context=context)
        value = vault.pending(sent) if step.state in _AFTER_A_DEVICE else vault.changed
        if value:
            response.cookies.append(self._cookie(DEVICE, value, request, _YEAR))
        return step

    # ── sessions ──

    def user_of(self, request: Request) -> User | None:
        """Return the user who is signed in in the browser of a request, or None."""
        if self._in_cookies:
            return self._in_cookies.find(self._pieces(request))
        return self._sessions.find(request.cookies.get(self._name(SESSION, request)))

    def begin_session(self, request: Request, response: Response, step: Step) -> None:
        """Set the session's cookies: the same session after a double click on the last page."""
        if not self._in_cookies:
            made = self._cookie(SESSION, step.session_id, request, self._lifetime)
            response.cookies.append(made)
            return
        pending = self._sessions.get(step.session_id)
        if pending is None:
            return  # the browser received it long ago
        values = [*self._in_cookies.pieces(pending), *[None] * CookieSessions.MOST]
        for name, value in zip(self._session_names(), values, strict=False):
            response.cookies.append(self._cookie(name, value, request))

    def end_session(self, request: Request, response: Response) -> None:
        """Sign out: revoke the tokens and delete the cookies."""
        if self._in_cookies and (user := self.user_of(request)):
            self._sessions.revoke(user.tokens)
        self._sessions.end(request.cookies.get(self._name(SESSION, request)))
        for name in (FLOW, *self._session_names()):
            response.cookies.append(self._cookie(name, None, request))

    def sign_out_token(self, request: Request) -> str:
        """Return what a form that signs out has to post: bound to the session."""
        name = self._session_names()[0]
        value = request.cookies.get(self._name(name, request), "")
        return hashlib.sha256(f"sign out {value}".encode()).hexdigest()

    # ── cookies ──

    def _cookie(
        self, name: str, value: str | None, request: Request, max_age: int | None = None
    ) -> Cookie:
        secure = self._is_secure(request)
        return Cookie(self._name(name, request), value, "/", secure, max_age if value else 0)

    def _is_secure(self, request: Request) -> bool:
        return request.is_secure if self._secure is None else self._secure

    def _name(self, name: str, request: Request) -> str:
        # The prefix keeps other hosts of the domain from setting the cookie (RFC 6265bis, 4.1.3.2).
        return f"__Host-{name}" if self._is_secure(request) else name

    def _session_names(self) -> list[str]:
        if not self._in_cookies:
            return [SESSION]
        return [f"{SESSION}.{number}" for number in range(CookieSessions.MOST)]

    def _pieces(self, request: Request) -> list[str]:
        pieces = []
        for name in self._session_names():
            piece = request.cookies.get(self._name(name, request))
            if not piece:
                break
            pieces.append(piece)
        return pieces
