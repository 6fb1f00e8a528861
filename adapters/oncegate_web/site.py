"""`Site`: what the pages and the JSON API have in common: the driver, the sessions, and the cookies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Literal

from oncegate import Event, InvalidInput, RecordUnreadable, SealingKeys, SignIn, Step
from oncegate._entry_points import load_entry_point
from oncegate.adapters import RecordStore, SystemClock, Transport
from oncegate_web.devices import PARKED, BrowserVault
from oncegate_web.http import DEVICE, FLOW, SESSION, Cookie, Request, Response
from oncegate_web.sessions import CookieSessions, StoreSessions, User, revoke
from oncegate_web.words import Languages

_YEAR = 365 * 86400
_AFTER_A_DEVICE = {"offering_device", "authenticated"}
"""Where a flow can be once a device was registered, maybe by an earlier click."""


class Site:
    """One sign-in on the web; `oncegate_web.WebSignIn` says what its arguments are."""

    def __init__(
        self,
        *,
        transport: Transport,
        store: RecordStore,
        keys: SealingKeys,
        sessions: Literal["server", "cookie"],
        session_lifetime: float,
        secure: bool | None,
        languages: Languages,
        driver: dict[str, Any],
    ) -> None:
        clock = driver.setdefault("clock", SystemClock())
        self.now: Callable[[], float] = clock.now
        self.languages = languages
        self._keys = keys
        self._store = store
        self._transport = transport
        self._secure = secure
        self._lifetime = int(session_lifetime)
        self._in_cookies = CookieSessions(keys, now=clock.now) if sessions == "cookie" else None
        self._sessions = StoreSessions(
            store,
            transport,
            keys,
            lifetime=PARKED if self._in_cookies else session_lifetime,
            now=clock.now,
            sleep=clock.sleep,
        )
        self._driver = SignIn(
            transport=transport, store=store, keeper=self._sessions, keys=keys, **driver
        )
        self._vault = load_entry_point("vaults", "cookie", "web")
        self._app = getattr(getattr(transport, "app", None), "client_id", "")

    # ── flows ──

    def start(self, request: Request, response: Response) -> Step:
        """Begin a flow, and give the browser its cookie."""
        step = self._driver.start()
        self.set_flow(request, response, step)
        return step

    def set_flow(self, request: Request, response: Response, step: Step | None) -> None:
        """Bind a flow to the browser, or take it off."""
        value = step.flow_id if step else None
        response.cookies.append(self._cookie(FLOW, value, request))

    def flow_id(self, request: Request) -> str:
        """The flow id that the browser has, or nothing."""
        return request.cookies.get(self._name(FLOW, request), "")

    def get(self, flow_id: str) -> Step:
        """See `oncegate.SignIn.get`."""
        return self._driver.get(flow_id)

    def current(self, flow_id: str) -> Step:
        """The step of a browser's flow; of a new one where that is over, or cannot be read."""
        if flow_id:
            try:
                step = self._driver.get(flow_id)
            except (InvalidInput, RecordUnreadable):
                return self._driver.start()
            is_gone = step.message is not None and step.message.code == "flow_expired"
            has_ended = step.state == "authenticated" and not self._sessions.find(step.session_id)
            if not (is_gone or has_ended):
                return step
        return self._driver.start()

    def send(self, request: Request, response: Response, event: Event, version: int | None) -> Step:
        """Send an event to the browser's flow, with the devices of that browser at hand.

        Raises:
            RecordUnreadable: the flow's record is corrupt or foreign.
        """
        had, flow_id = request.cookies.get(self._name(DEVICE, request)), self.flow_id(request)
        cookies = self._vault(had, self._keys, bound_to=self._app)
        vault = BrowserVault(cookies, self._store, flow_id, self.now)
        step = self._driver.send(
            flow_id, event, version=version, vault=vault, source=request.client
        )
        value = vault.parked(had) if step.state in _AFTER_A_DEVICE else vault.changed
        if value:
            response.cookies.append(self._cookie(DEVICE, value, request, _YEAR))
        return step

    # ── sessions ──

    def user_of(self, request: Request) -> User | None:
        """Who is signed in where a request comes from."""
        if self._in_cookies:
            return self._in_cookies.find(self._pieces(request))
        return self._sessions.find(request.cookies.get(self._name(SESSION, request)))

    def begin_session(self, request: Request, response: Response, step: Step) -> None:
        """Give the browser its session: the same one for whoever clicks twice on the last page."""
        if not self._in_cookies:
            made = self._cookie(SESSION, step.session_id, request, self._lifetime)
            response.cookies.append(made)
            return
        parked = self._sessions.kept(step.session_id)
        if parked is None:
            return  # the browser has had it for long
        values = [*self._in_cookies.pieces(parked), *[None] * CookieSessions.MOST]
        for name, value in zip(self._session_names(), values, strict=False):
            response.cookies.append(self._cookie(name, value, request))

    def end_session(self, request: Request, response: Response) -> None:
        """Sign out: the tokens are revoked, and the cookies go."""
        if self._in_cookies and (user := self.user_of(request)):
            revoke(self._transport, user.tokens)
        self._sessions.drop(request.cookies.get(self._name(SESSION, request)))
        for name in (FLOW, *self._session_names()):
            response.cookies.append(self._cookie(name, None, request))

    def sign_out_token(self, request: Request) -> str:
        """What a form that signs out has to bring: bound to the session."""
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
        # The prefix keeps other hosts of the domain from planting one (RFC 6265bis, 4.1.3.2).
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
