"""`Site`: what the pages and the JSON API share: the driver, the sessions and the cookies."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import quote, unquote

from oncegate import (
    Event,
    FlowState,
    InvalidInput,
    LogListener,
    Misconfigured,
    OncegateError,
    RecordTooNew,
    RecordUnreadable,
    SealingKeys,
    SignIn,
    Step,
    StepRef,
    Tokens,
)
from oncegate.account import RECENT_WITHIN
from oncegate.adapters import (
    TEXTS,
    AuditLog,
    Finding,
    FlowId,
    RecordStore,
    StoreClock,
    StoredRecord,
    Transport,
    WatchedStore,
    check_store,
    checked_listeners,
    logger,
    mark_of,
    message,
    signed_in_step,
)
from oncegate_web._about import about
from oncegate_web._browser_vault import BrowserVault, pending_key
from oncegate_web._context import BrowserContext, Contexts, context_of
from oncegate_web._cookie_sessions import CookieSessions
from oncegate_web._cookie_vault import CookieVault
from oncegate_web._known_users import known_users, with_user
from oncegate_web._quiet import Quiet
from oncegate_web._session_list import ListedSession
from oncegate_web._sessions import (
    IDLE_LIFETIME,
    RECHECK,
    SessionRecord,
    StoreSessions,
    user_of,
)
from oncegate_web._signals import SessionBegan, SessionEnded, collect, note
from oncegate_web._translations import Translators
from oncegate_web._user import Session, User
from oncegate_web._waiting import Waiting
from oncegate_web.http import COOKIES, Cookie, Request, Response, local_path

_YEAR = 365 * 86400
_NAMES = {"username", "provider"}
_AFTER_A_DEVICE = {"offering_device", "authenticated"}
"""States of a flow that may have registered a device, perhaps by an earlier click."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CURE = (
    "check that the store runs, can be reached, and takes writes; requests get 503 until it does"
)

_NO_KEY = "0" * 32
"""A key under which nothing is stored."""

_FLOW_NAME = re.compile(r"[0-9a-f]{32}")

_LONGEST_PLACE = 100
"""Characters of a place that the application has for an address."""

EndedSession = Literal["ended", "no_such_session", "sign_in_again"]
"""The result of a request to end one session."""


def begins_sign_in(event: Event) -> bool:
    """Return whether an event says who signs in, with which the choice to stay signed in is made."""
    return bool(_NAMES & event.model_fields_set)


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
        contexts: Contexts | None = None,
        name: str = "oncegate",
        session_idle_lifetime: float | None = IDLE_LIFETIME,
        session_recheck: float | None = RECHECK,
        recent_within: float = RECENT_WITHIN,
        place_of: Callable[[str], str] | None = None,
        audit: bool = False,
    ) -> None:
        if sessions == "cookie" and not keys.can_seal:
            raise Misconfigured("sessions in cookies need a key that seals")
        if not _NAME.fullmatch(name):
            raise Misconfigured("name: 1 to 64 letters, digits, hyphens and underscores")
        # Times that workers compare are the store's, which is one clock for all of them.
        clock = driver.get("clock") or StoreClock(store)
        driver["clock"] = clock
        as_in_0_1 = driver.get("record_schema") == 1
        self._as_in_0_1 = as_in_0_1
        self.now: Callable[[], float] = clock.now
        self.translators = translators
        self.contexts = contexts or Contexts((), None)
        # Nothing of this sign-in opens in another one that has the same key and store.
        self.app_id = transport.app_id
        self._keys = keys.bound_to(f"{transport.app_id} {name}", as_in_0_1=as_in_0_1)
        self._store = WatchedStore(store, "the store of the sessions", _CURE)
        self._bare_store = store
        self._check_transport = transport.check
        self._token_service = transport.token_service
        # Named after the app client alone, as in 0.1, whose workers read these cookies while
        # `record_schema` is 1. Otherwise the keys bind them to this sign-in.
        self._devices_bound_to = transport.app_id.rpartition("/")[2]
        self._secure = secure
        self._lifetime = int(session_lifetime)
        self.recent_within = recent_within
        self._place_of = place_of
        self._without_place = Quiet()
        names = {what: f"{name}_{what}" for what in COOKIES}
        self._flow, self._session, self._device = names["flow"], names["session"], names["device"]
        self._keep, self._known, self._next = names["keep"], names["known"], names["next"]
        self._account_cookie = names["account"]
        self.audit = AuditLog(self._keys)
        """Written to if the application wants it; `AuditLog.pseudonym` in any case."""
        self._is_audited = audit
        listeners = checked_listeners(driver.get("listeners"))
        driver["listeners"] = [
            *([LogListener()] if listeners is None else listeners),
            *([self.audit] if audit else []),
            collect,
        ]
        self._sessions = StoreSessions(
            self._store,
            transport,
            self._keys,
            name=name,
            lifetime=session_lifetime,
            idle=session_idle_lifetime,
            recheck=session_recheck,
            in_cookies=sessions == "cookie",
            as_in_0_1=as_in_0_1,
            audit=self.audit if audit else None,
            now=clock.now,
            sleep=clock.sleep,
        )
        self._in_cookies = (
            CookieSessions(self._keys, self._sessions, as_in_0_1=as_in_0_1, now=clock.now)
            if sessions == "cookie"
            else None
        )
        self._waiting = Waiting()
        self._driver = SignIn(
            transport=transport, store=store, keeper=self._sessions, keys=self._keys, **driver
        )

    def note_refusal(self, request: Request, status: int, code: str) -> None:
        """Write a refused request to the audit log."""
        if self._is_audited:
            self.audit.write(
                "refused",
                context=context_of(request),
                reason=code,
                status=status,
                method=request.method,
            )

    def check_store(self) -> list[Finding]:
        """Check the store and its settings (`oncegate.adapters.check_store`). It saves a row."""
        return check_store(self._bare_store)

    def check_set_up(self) -> list[Finding]:
        """See `oncegate_web.WebSignIn.check_set_up`."""
        try:
            of_transport = self._check_transport()
        except Exception as error:  # noqa: BLE001 - the start of an application must not fail by a check
            text = f"its check raised {type(error).__name__}"
            of_transport = [Finding("transport", "failed", text, "mend the transport's check()")]
        return [*self.check_store(), *of_transport, self._keys_finding()]

    def _keys_finding(self) -> Finding:
        if self._keys.can_seal:
            return Finding("keys", "ok", "flows, sessions and cookies are sealed")
        text = "no key seals yet: devices are not remembered, and sessions are not listed"
        return Finding("keys", "warning", text, "when all workers have the key, let it seal")

    def check(self) -> None:
        """Use the store as a sign-in does, and change nothing.

        Raises:
            StoreUnavailable: it does not answer, or takes no writes.
            Misconfigured: it lacks a table, a right or a setting.
        """
        self._store.load(_NO_KEY)
        self._store.epoch(_NO_KEY)
        # No such version is stored, so nothing is written; but what is not writable refuses it.
        self._store.swap(_NO_KEY, 1, StoredRecord(2, b"", self.now()))

    # ── flows ──

    def start(self, request: Request, response: Response) -> Step:
        """Begin a flow, and set the browser's cookie to it."""
        step = self.new_step()
        self.set_flow(request, response, step)
        return step

    def set_flow(self, request: Request, response: Response, step: Step | None) -> None:
        """Bind a flow to the browser, in place of those that it had; None removes them.

        Each flow has a cookie of its own name. If two tabs without a flow get one each, the later
        cookie would otherwise replace that of a flow which has sent a code; see `flows`.
        """
        made = ""
        if step is not None:
            # Workers of 0.1 read one name.
            suffix = "" if self._as_in_0_1 else f".{request.flow_id(step.flow_id).key[:8]}"
            made = f"{self._flow}{suffix}"
            response.cookies.append(self._cookie(made, step.flow_id, request))
        for name in self._flow_names(request):
            if name != made:
                response.cookies.append(self._cookie(name, None, request))

    def flows(self, request: Request) -> list[FlowId]:
        """Return the flows that the browser was given, its own one first.

        Browsers send cookies in the order in which they received them (RFC 6265, 5.4). So the first one
        is the same for all requests, also for one that left before the others arrived.
        """
        found = []
        for name in self._flow_names(request):
            with suppress(InvalidInput):
                found.append(request.flow_id(request.cookies[self._name(name, request)]))
        return found

    def own_flow(self, request: Request) -> FlowId | None:
        """Return the flow of the browser, or None."""
        return next(iter(self.flows(request)), None)

    def _flow_names(self, request: Request) -> list[str]:
        """Return the names of the flows' cookies, in the order of the request."""
        own = self._name(self._flow, request)
        return [
            f"{self._flow}{name.removeprefix(own)}"
            for name, _ in request.cookies.items()
            if name == own or name.startswith(f"{own}.")
        ]

    def keep_signed_in(self, request: Request, response: Response, chosen: bool) -> None:
        """Remember for the browser's flow whether the user stays signed in when the browser closes."""
        value = self._kept_value(request) if chosen else None
        if value or self._name(self._keep, request) in request.cookies:
            response.cookies.append(self._cookie(self._keep, value, request))

    def is_kept(self, request: Request, response: Response) -> bool:
        """Return whether the user stays signed in, by this request or an earlier one of the flow."""
        name = self._name(self._keep, request)
        now = [cookie.value for cookie in response.cookies if cookie.name == name]
        value = now[-1] if now else request.cookies.get(name)
        return value is not None and value == self._kept_value(request)

    def _kept_value(self, request: Request) -> str | None:
        # Of this flow only: what one person chose is not for the next one at the same browser.
        own = self.own_flow(request)
        return own.digest("keep signed in") if own else None

    def keep_next(self, request: Request, response: Response, path: str | None) -> None:
        """Remember the page to return to after an identity provider; None forgets it."""
        if path or self._name(self._next, request) in request.cookies:
            value = quote(path, safe="") if path else None
            response.cookies.append(self._cookie(self._next, value, request))

    def kept_next(self, request: Request) -> str | None:
        """Return the page to return to after an identity provider, or None."""
        return local_path(unquote(request.cookies.get(self._name(self._next, request), "")))

    def get(self, flow_id: str, patience: float = 0.0) -> Step:
        """See `oncegate.SignIn.get`."""
        with self._waiting.place(pending_key(flow_id, self._keys)) as has_place:
            return self._driver.get(flow_id, patience=patience if has_place else 0.0)

    def step(self, request: Request, patience: float = 0.0) -> Step | None:
        """Return the step of the browser's flow; None if it has none, or only one that has ended.

        Args:
            request: the browser's request.
            patience: seconds to wait while a call to Cognito is under way.

        Raises:
            RecordUnreadable: the flow's record is corrupt, of a later release, or sealed with other
                keys. A worker with other keys must not replace the flow: a second code would be sent.
        """
        own = self.own_flow(request)
        if own is None:
            return None
        try:
            step = self.get(own.text, patience)
        except InvalidInput:
            return None
        if step.message is not None and step.message.code == "flow_expired":
            return None
        is_signed_in = step.state == "authenticated" and not step.actions
        return None if is_signed_in or self._has_received(request, step) else step

    def shown(self, request: Request, step: Step) -> Step:
        """Return what a browser sees of its flow's step: one that has the session is signed in."""
        return signed_in_step() if self._has_received(request, step) else step

    def _has_received(self, request: Request, step: Step) -> bool:
        """Return whether the browser has received the flow's session, even if it has ended since."""
        mark = mark_of(self._session_id(request) or "")
        return step.state == "authenticated" and step.session_mark == mark

    def new_step(self) -> Step:
        """Return the first step of a new flow; see `set_flow`."""
        return self._driver.start()

    def live_or_new(self, request: Request, response: Response) -> tuple[Step, bool]:
        """Return the step of the browser's flow, or begin one; and whether it is new.

        A browser has one flow: however often its scripts start one, they get the same, until it
        has ended.
        """
        try:
            step = self.step(request)
        except RecordTooNew:
            raise
        except RecordUnreadable:
            step = None  # the user asks for another one
        if step is not None and not is_over(step):
            return step, False
        return self.start(request, response), True

    def is_not_stored(self, name: str) -> bool:
        """Return whether no flow is stored under a name that a step had as its `flow_id`.

        It may never have been, or have expired.
        """
        return _FLOW_NAME.fullmatch(name) is not None and self._store.load(name) is None

    def send(
        self,
        request: Request,
        response: Response,
        event: Event,
        version: int,
        browser: BrowserContext,
    ) -> Step:
        """Send an event to the browser's flow, with the devices of that browser.

        Args:
            request: brought the event.
            response: gets the cookie of a new device.
            event: the user's event.
            version: version of the step that the user saw.
            browser: what came with the event.

        Raises:
            RecordTooNew: a later release wrote the flow.
            RecordUnreadable: the flow's record is corrupt, or sealed with other keys.
        """
        # No variable holds an ID: error reporters store the local variables of a traceback.
        cookies = CookieVault(
            request.cookies.get(self._name(self._device, request)),
            self._keys,
            bound_to=self._devices_bound_to,
        )
        own = self.own_flow(request)
        if own is None:
            raise InvalidInput("this browser has no flow")
        key = pending_key(own.text, self._keys)
        vault = BrowserVault(cookies, self._store, key, self.now)
        more: dict[str, Any] = {}
        if self._keys.can_seal:
            users = known_users(self._known_cookie(request), self._keys)
            more = {"device_vault": vault, "known_users": frozenset(users)}
        with self._waiting.place(key) as has_place:
            if not has_place:
                more["patience"] = 0.0
            context = self.contexts.of(request, browser, **more)
            step = self._driver.send(StepRef(own, version), event, context=context)
        value = vault.changed
        if step.state in _AFTER_A_DEVICE:
            value = vault.pending(to_owner=step.session_id is not None)
        if value:
            response.cookies.append(self._cookie(self._device, value, request, _YEAR))
        return step

    # ── sessions ──

    def user_of(self, request: Request) -> User | None:
        """Return the user who is signed in in the browser of a request, or None."""
        context = context_of(request)
        if self._in_cookies:
            return self._in_cookies.find(self._in_browser(request), context)
        return self._sessions.find(self._session_id(request), context=context)

    def session(self, request: Request) -> Session | None:
        """Return the session of the browser of a request, or None."""
        user = self.user_of(request)
        return Session(self._session_name(request), user) if user else None

    def announce_sessions(self) -> None:
        """Tell the application of each new session once, which costs a write to the store."""
        self._sessions.announces = True

    def bearer(self, token: str) -> User | OncegateError:
        """See `StoreSessions.bearer`."""
        return self._sessions.bearer(token)

    def begin_session(self, request: Request, response: Response, step: Step) -> bool:
        """Set the session's cookies: the same session after a double click on the last page.

        The browser's session before it ends, and its tokens are revoked.

        Returns:
            Whether the browser has the session: not if it has ended since.

        Raises:
            Misconfigured: the tokens are too large for cookies.
            StoreUnavailable: the store did not answer.
        """
        record = self._sessions.get(step.session_id)
        if record is not None:
            self._sessions.enter(step.session_id, record, context_of(request))
            self._remember_user(request, response, record.username)
        if step.password_changed:
            self._sessions.end_others(step.session_id, context_of(request))
        has_it = self._session_id(request) == step.session_id
        if not has_it:
            self._end(request)
        hand_over = self._hand_over_in_cookies if self._in_cookies else self._hand_over
        if not hand_over(request, response, step.session_id, record):
            # The browser may have had it in its cookies.
            return bool(self._in_cookies) and has_it and self.user_of(request) is not None
        if not has_it:
            self._note_began(step.session_id, record)
        return True

    def _hand_over(
        self,
        request: Request,
        response: Response,
        session_id: str | None,
        record: SessionRecord | None,
    ) -> bool:
        """Set the cookie of a session, and return whether the session is there."""
        if record is None:
            return False
        max_age = self._lifetime if self.is_kept(request, response) else None
        if max_age:
            max_age = max(1, int(record.began_at + max_age - self.now()))
        response.cookies.append(self._cookie(self._session, session_id, request, max_age))
        return True

    def _hand_over_in_cookies(
        self, request: Request, response: Response, session_id: str | None, _: SessionRecord | None
    ) -> bool:
        """Set the cookies of a session with its tokens; return False if the browser has had them."""
        assert self._in_cookies is not None
        pieces = self._in_cookies.pieces(session_id or "")
        if pieces is None:
            return False
        max_age = self._lifetime if self.is_kept(request, response) else None
        values = [*pieces, *[None] * CookieSessions.MOST]
        for name, value in zip(self._session_names(), values, strict=False):
            response.cookies.append(self._cookie(name, value, request, max_age))
        return True

    def _note_began(self, session_id: str | None, record: SessionRecord | None) -> None:
        """Note for the application that a browser has received a session."""
        if record is not None and record.tokens is not None and record.claims is not None:
            session = FlowId.parse(session_id or "", self._keys)
            user = user_of(record.claims, record.tokens)
            is_first = self._sessions.announce(session_id)
            note(SessionBegan(session.key, user, is_first))

    def cookies_for_test(
        self, tokens: Tokens, claims: Mapping[str, Any], kinds: Iterable[bool]
    ) -> dict[str, str]:
        """See `oncegate_web.testing.session_cookies`."""
        session_id = self._sessions.create_verified(tokens, claims)
        response = Response()
        for is_secure in kinds:
            request = Request("POST", "/", is_secure=is_secure)
            if self._in_cookies:
                self._hand_over_in_cookies(request, response, session_id, None)
            else:
                self._hand_over(request, response, session_id, self._sessions.get(session_id))
        return {one.name: one.value for one in response.cookies if one.value}

    def is_refused(self, step: Step) -> bool:
        """Return whether `begin_session` returned False because Cognito's new tokens were invalid."""
        return self._sessions.is_refused(step.session_id)

    def _remember_user(self, request: Request, response: Response, user: str) -> None:
        """Add the user to those whose browser this is; signing out does not remove it."""
        if user and self._keys.can_seal:
            value = with_user(self._known_cookie(request), user, self._keys)
            response.cookies.append(self._cookie(self._known, value, request, _YEAR))

    def _known_cookie(self, request: Request) -> str | None:
        return request.cookies.get(self._name(self._known, request))

    def end_session(self, request: Request, response: Response) -> None:
        """Sign out: end the session, revoke its tokens, and delete the cookies."""
        self._end(request)
        name = self._name(self._session_names()[0], request)
        response.removes_session = bool(request.cookies.get(name))
        self.set_flow(request, response, None)
        for name in (self._keep, *self._session_names()):
            response.cookies.append(self._cookie(name, None, request))

    def logout_url(self, request: Request) -> str | None:
        """Return where the browser goes after a sign-out, to end managed login's own session, or None.

        It leads back to the first page, unless the transport has another setting. To be asked for before
        `end_session`.
        """
        if self._in_cookies:
            record = self._in_browser(request)
        else:
            record = self._sessions.get(self._session_id(request))
        if self._token_service is None or record is None or record.tokens is None:
            return None
        first_page = f"{request.origin}{request.prefix}/"
        return self._token_service.logout_url(record.tokens, first_page)

    def sessions(self, request: Request) -> tuple[str, list[ListedSession]] | None:
        """Return the name of this browser's session, and all sessions of its user, or None."""
        if self.user_of(request) is None:
            return None
        listed = self._sessions.listed(self._session_id(request))
        places = {address: self._place(address) for address in {one.address for one in listed}}
        return self._session_name(request), [
            one.model_copy(update={"place": places[one.address]}) for one in listed
        ]

    def _place(self, address: str) -> str:
        """Return what the application calls the place of an address; empty if it has no name for it."""
        if self._place_of is None or not address:
            return ""
        try:
            found = self._place_of(address)
        except Exception as error:  # noqa: BLE001 - a list without places is better than none
            if self._without_place.was_quiet():
                logger().error("place_of failed", **about(error))
            return ""
        return found[:_LONGEST_PLACE] if isinstance(found, str) else ""

    def is_recent(self, user: User) -> bool:
        """Return whether the sign-in is recent enough to change a credential."""
        time = user.auth_time
        return time is not None and self.now() - time.timestamp() <= self.recent_within

    def end_named_session(
        self, request: Request, response: Response, user: User, name: str
    ) -> EndedSession:
        """End one session of a user.

        Args:
            request: of the user's browser.
            response: loses the session's cookies if it is this browser's.
            user: who is signed in.
            name: `ListedSession.name` of the session to end.

        Returns:
            ``"sign_in_again"`` if the session is another browser's, and the sign-in too long ago (OWASP
            ASVS 5.0, 7.5.2).
        """
        if name == self._session_name(request):
            # At any time: who leaves a browser has to be able to sign out, and gains nothing by it.
            self.end_session(request, response)
            return "ended"
        if not self.is_recent(user):
            return "sign_in_again"
        session_id = self._session_id(request)
        is_ended = self._sessions.end_listed(session_id, name, context_of(request))
        return "ended" if is_ended else "no_such_session"

    def end_all_sessions(self, request: Request, response: Response) -> None:
        """Sign the user out everywhere; raises what `StoreSessions.end_everywhere` raises.

        However long ago the sign-in was: a user who fears a thief must not be held up, and a thief of
        this browser's cookie would end the own access with it.
        """
        held = self._held_tokens(request)
        ended = self._sessions.end_everywhere(self._session_id(request), held, context_of(request))
        self._note_ended(request, ended, held)
        self.end_session(request, response)

    def end_sessions_of(self, sub: str) -> int:
        """End all sessions of a user, by the claim ``sub``, and return how many."""
        if not self._keys.can_seal:
            raise Misconfigured("sessions are listed, and can be ended, with a key that seals only")
        ended = self._sessions.end_user(sub)
        if self._is_audited and ended:
            self.audit.write("sessions_ended", user=ended[0].username, number=len(ended))
        return len(ended)

    def _end(self, request: Request) -> None:
        """End the session of the browser, if it has one."""
        held = self._held_tokens(request)
        ended = self._sessions.end(self._session_id(request), held, context_of(request))
        self._note_ended(request, ended, held)

    def _note_ended(
        self, request: Request, ended: SessionRecord | None, held: Tokens | None
    ) -> None:
        """Note for the application that the browser's session has ended."""
        tokens = (ended.tokens or held) if ended else None
        if ended and tokens:
            user = user_of(ended.claims or {}, tokens)
            note(SessionEnded(self._session_name(request), user))

    def _held_tokens(self, request: Request) -> Tokens | None:
        """Return the tokens in the browser's cookies."""
        record = self._in_browser(request) if self._in_cookies else None
        return record.tokens if record else None

    def _session_id(self, request: Request) -> str | None:
        if not self._in_cookies:
            return request.cookies.get(self._name(self._session, request))
        record = self._in_browser(request)
        return record.session_id if record else None

    def _session_name(self, request: Request) -> str:
        """Return the name of the browser's session in the list of its user's sessions."""
        try:
            return FlowId.parse(self._session_id(request) or "", self._keys).key
        except InvalidInput:
            return ""

    def _in_browser(self, request: Request) -> SessionRecord | None:
        """Return the session in the browser's cookies."""
        assert self._in_cookies is not None
        return self._in_cookies.read(self._pieces(request))

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
            return [self._session]
        return [f"{self._session}.{number}" for number in range(CookieSessions.MOST)]

    def _pieces(self, request: Request) -> list[str]:
        pieces = []
        for name in self._session_names():
            piece = request.cookies.get(self._name(name, request))
            if not piece:
                break
            pieces.append(piece)
        return pieces


def misconfigured_step() -> Step:
    """Return a step for a user who cannot sign in because of the set-up, and has no flow."""
    title_code = f"title.{FlowState.FAILED}"
    return signed_in_step().model_copy(
        update={
            "state": FlowState.FAILED,
            "title": TEXTS[title_code],
            "title_code": title_code,
            "message": message("misconfigured"),
        }
    )


def is_over(step: Step | None) -> bool:
    """Return whether a sign-in begins anew, if `Site.step` returned this."""
    return step is None or step.state == "failed"
