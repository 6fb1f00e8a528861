"""Sessions on the server: their records, renewals, checks and ends.

`StoreSessions` is the driver's session keeper (`oncegate.adapters.SessionKeeper`): it has the tokens
before the flow is final, so a double click on the last page returns the same session twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from threading import BoundedSemaphore
from typing import Any

from pydantic import Field

from oncegate import (
    InvalidInput,
    InvalidToken,
    Misconfigured,
    OncegateError,
    RecordUnreadable,
    RequestContext,
    SealingKeys,
    SignedOut,
    StoreUnavailable,
    Tokens,
    Unreachable,
)
from oncegate.adapters import (
    FROM_STORE,
    AuditLog,
    FlowId,
    RecordStore,
    StoredModel,
    StoredRecord,
    TokenService,
    Transport,
    logger,
)
from oncegate_web._calls import PATIENCE, Calls, NoCall
from oncegate_web._quiet import Quiet
from oncegate_web._session_list import ListedSession, SessionList, ended_elsewhere
from oncegate_web._user import User, username_of

EARLY_SECONDS = 60.0
"""How long before it expires an access token is renewed, if it lives for longer than twice that."""

LIFETIME = 30 * 86400.0
"""Seconds from the sign-in to the end of a session: NIST SP 800-63B-4, 2.1.3, for AAL1."""

IDLE_LIFETIME = 7 * 86400.0
"""Seconds without a request after which a session ends.

NIST SP 800-63B-4 leaves it to the application at AAL1 (2.1.3). At AAL2 it recommends one hour, and 24
hours from the sign-in (2.2.3).
"""

RECHECK = 300.0
"""Seconds after which Cognito is asked whether a session goes on."""

PENDING_SECONDS = 600.0
"""How long tokens are stored for a browser that has not received them in its cookies."""

LISTED_SECONDS = 300.0
"""How often the list of a user's sessions is told that one is in use."""

NO_REQUEST = RequestContext()

_LEASE_SECONDS = 30.0
"""When another worker may take over a stalled call to Cognito; longer than a call can take."""

_MOST_WAITING = 32
"""Requests of a process that wait at once for what another worker is renewing."""

_SAVE_PAUSES = (0.05, 0.1, 0.2, *[0.5] * 119)
"""Seconds between the tries to save renewed tokens, for a minute: a failover takes less."""


class _OfAnotherUser(InvalidToken):
    """Renewed tokens are those of another user."""


class SessionRecord(StoredModel):
    """What is stored of a session, sealed: in the store, or in cookies.

    Unknown fields, which a later release has added, are preserved and written back.

    Attributes:
        tokens: None in the store if they are in the browser's cookies.
        issued_at: time of issue, in seconds since the epoch.
        renewing_until: time at which a renewal under way counts as stalled.
        application: user pool, app client and name of the sign-in; empty in records of 0.1.
        begun_at: time of the sign-in; None in records of 0.1.
        seen_at: time of a recent request; None in records of 0.1.
        checked_at: time at which Cognito last confirmed the session.
        checking_until: time until which no other worker asks Cognito.
        listed_at: time at which it was last entered in the list of the user's sessions.
        ends_others: whether the user's other sessions are to end once it is known whose it is.
        ends_others_at: time at which they are to end, unless it is known by then that the password has
            not changed; None if no change of the password is under way.
        claims: verified claims; None if they are not verified yet.
        renewed_for: claim ``sub`` of the tokens before those that are not verified yet.
        session_id: in cookies, the ID of the row without which they are invalid.
        is_refused: whether the tokens were invalid when they were issued, so that there is no session.
        is_announced: whether the application was told of the session; None if it does not want to be.
    """

    tokens: Tokens | None = None
    issued_at: float
    renewing_until: float | None = None
    application: str = ""
    begun_at: float | None = None
    seen_at: float | None = None
    checked_at: float | None = None
    checking_until: float | None = None
    listed_at: float | None = None
    ends_others: bool | None = None
    ends_others_at: float | None = None
    claims: dict[str, Any] | None = Field(default=None, repr=False)
    renewed_for: str | None = None
    session_id: str | None = Field(default=None, repr=False)
    expires_in: int | None = None
    is_refused: bool | None = None
    is_announced: bool | None = None

    @property
    def began_at(self) -> float:
        """When the user signed in, in seconds since the epoch."""
        return self.issued_at if self.begun_at is None else self.begun_at

    @property
    def username(self) -> str:
        """The pool's own name for the user; empty while it is not verified."""
        return username_of(self.claims or {})

    @property
    def subject(self) -> str:
        """The user's unchanging ID (``sub``); empty while it is not verified."""
        return str((self.claims or {}).get("sub", ""))

    @property
    def lives_for(self) -> int:
        """Lifetime of the access token, in seconds."""
        return self.tokens.expires_in if self.tokens else self.expires_in or 0

    @property
    def ends_at(self) -> float:
        """When the access token expires, in seconds since the epoch."""
        return self.issued_at + self.lives_for

    @property
    def renew_at(self) -> float:
        """When to renew the tokens, in seconds since the epoch."""
        return self.ends_at - min(EARLY_SECONDS, self.lives_for / 2)

    def but(self, **changes: Any) -> SessionRecord:
        """Return the record with some fields changed."""
        return self.model_copy(update=changes)


def write_session(record: SessionRecord) -> bytes:
    """Return a record as JSON, with its tokens. Only to be sealed."""
    return record.model_dump_json(exclude_none=True).encode()


def read_session(plain: bytes, *applications: str) -> SessionRecord:
    """Return the record that `write_session` wrote, of this or another release.

    Args:
        plain: the unsealed bytes.
        applications: values of `SessionRecord.application` to accept.

    Raises:
        ValueError: it is no session, or one of another user pool, app client or sign-in.
    """
    record = SessionRecord.model_validate_json(plain, context=FROM_STORE)
    if record.application not in applications:
        raise ValueError("a session of another user pool, app client or sign-in")
    return record


def user_of(claims: Mapping[str, Any], tokens: Tokens) -> User:
    """Return the user that tokens were issued to.

    Args:
        claims: verified claims of the tokens.
        tokens: the tokens.
    """
    return User(username=username_of(claims), claims=claims, tokens=tokens)


class StoreSessions:
    """Sessions in the store of the flows, sealed under a key that only the cookie has.

    Args:
        store: the store, shared by all workers.
        transport: issued the tokens. Its token service verifies, renews, checks and revokes them;
            without one, a session ends with its access token, and its user has no name and no claims.
        keys: the application's keys, which seal the records too; None for the cookie's key alone.
        name: name of the sign-in: its sessions are not those of another one.
        lifetime: seconds from the sign-in to the end of the session, renewals or not; at most that of
            the app client's refresh tokens.
        idle: seconds without a request after which a session ends; None for no limit.
        recheck: seconds after which Cognito is asked whether the session goes on; None for never.
            Until then, a session ended elsewhere goes on here.
        in_cookies: whether the tokens are in the browser's cookies. The row has them for
            `PENDING_SECONDS` at most, and none once the browser has them.
        as_in_0_1: whether workers of 0.1 share the store.
        audit: is told how sessions begin and end; None for no audit log.
        now: returns the seconds since the epoch. None: the store's clock.
        sleep: waits for so many seconds.

    Attributes:
        announces: whether the application is told of each new session, once; see `announce`.
    """

    def __init__(
        self,
        store: RecordStore,
        transport: Transport,
        keys: SealingKeys | None,
        *,
        name: str = "oncegate",
        lifetime: float = LIFETIME,
        idle: float | None = IDLE_LIFETIME,
        recheck: float | None = RECHECK,
        in_cookies: bool = False,
        as_in_0_1: bool = False,
        audit: AuditLog | None = None,
        now: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.application = f"{transport.app_id} {name}"
        self.accepts = (self.application, "") if as_in_0_1 else (self.application,)
        self._store = store
        self._tokens: TokenService | None = transport.token_service
        self._keys = keys
        self._lifetime = lifetime
        self._idle = idle
        self._recheck = recheck
        self._in_cookies = in_cookies
        self.announces = False
        self._now = now or store.now
        self._sleep = sleep
        self._log = logger()
        self._audit = audit
        self._list = SessionList(store, keys, self._now)
        # Together they hold fewer threads than `oncegate_web.fastapi` has for users who are signed in.
        self._renewals = Calls("renew tokens", most=8, waiting=32)
        self._checks = Calls("check sessions", most=4, waiting=0)
        self._verifications = Calls("verify tokens", most=8, waiting=8)
        self._ends = Calls("sign out", most=8, waiting=16)
        self._waiting = BoundedSemaphore(_MOST_WAITING)
        self._unreadable = Quiet()
        self._has_noted_foreign = False

    def create(self, tokens: Tokens) -> str:
        """See `oncegate.adapters.SessionKeeper`. Each sign-in gets a new ID.

        If the tokens are invalid, there is no session under the ID: see `is_refused`.
        """
        now = self._now()
        session = FlowId.new(now, self._keys)
        record = self._new_record(tokens, now)
        verified = self._verified_or_not_yet(session, record, tokens)
        if verified is not None:
            # By `enter`, at once, unless it is not known yet whose it is.
            is_listed = self._list.is_kept and verified.subject
            self._swap(session, 0, verified.but(listed_at=now if is_listed else None))
        else:
            refused = record.but(tokens=None, is_refused=True)
            self._save(session, 0, write_session(refused), now + PENDING_SECONDS)
        return session.text

    def create_verified(self, tokens: Tokens, claims: Mapping[str, Any]) -> str:
        """Store a session of tokens that were not verified: for the tests of applications only."""
        now = self._now()
        session = FlowId.new(now, self._keys)
        self._swap(session, 0, self._new_record(tokens, now).but(claims=dict(claims)))
        return session.text

    def _new_record(self, tokens: Tokens, now: float) -> SessionRecord:
        return SessionRecord(
            tokens=tokens,
            issued_at=now,
            begun_at=now,
            seen_at=now,
            checked_at=now,
            application=self.application,
            is_announced=False if self.announces else None,
        )

    def is_refused(self, session_id: str | None) -> bool:
        """Return whether there is no session because Cognito's new tokens were invalid.

        Then the set-up is wrong, such as the user pool ID: another sign-in would end in the same way.
        """
        session = self._parse(session_id)
        del session_id
        row = self._store.load(session.key) if session else None
        record = self._opened(session, row) if session and row else None
        return record is not None and record.is_refused is True

    def announce(self, session_id: str | None) -> bool:
        """Return whether the application is to be told of a session now: True once for each.

        If the worker is killed before it tells the application, it is not told at all.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        while True:
            found = self._found(session_id)
            if found is None or found[2].is_announced is not False:
                return False
            session, version, record = found
            if self._swap(session, version, record.but(is_announced=True)):
                return True

    def bearer(self, token: str) -> User | OncegateError:
        """Return the user of an access token, or why there is none; see `WebSignIn.bearer_user`.

        In the request's own thread: any caller can send such tokens, and would take the places of
        `Calls`. The token service limits how long the pool's keys are fetched.
        """
        if self._tokens is None:
            return InvalidToken("the transport has no token service to verify tokens")
        try:
            claims = self._tokens.verify(token, "access")
        except OncegateError as error:
            return error.with_traceback(None)  # its frames hold the token
        except Exception as error:  # noqa: BLE001 - whatever it is, it does not say "invalid"
            self._log.error("bearer token not verified", error=type(error).__name__)
            return Unreachable("the token could not be verified")
        seconds = max(0, int(claims.get("exp", 0) - self._now()))
        return user_of(claims, Tokens(access_token=token, expires_in=seconds))

    def get(self, session_id: str | None) -> SessionRecord | None:
        """Return what is stored of a session, or None; renews nothing."""
        session = self._parse(session_id)
        del session_id  # error reporters store the local variables of a traceback
        return self._load(session)[1] if session else None

    def find(
        self,
        session_id: str | None,
        tokens: Tokens | None = None,
        context: RequestContext = NO_REQUEST,
    ) -> User | None:
        """Return the user of a session, or None. Tokens about to expire are renewed, once.

        Args:
            session_id: the session's ID.
            tokens: the tokens in the browser's cookies, if they are there.
            context: the request, for the list of the user's sessions.

        Raises:
            StoreUnavailable: the store did not answer.
            Unreachable: the tokens have expired or are not verified yet, and Cognito did not answer.
        """
        session = self._parse(session_id)
        del session_id
        if session is None:
            return None
        has_tried, wait = False, _Wait()
        while True:
            version, record = self._load(session)
            if record is None:
                self._revoke_if_ended_elsewhere(session, tokens)
                return None
            held = record.tokens or tokens
            if held is None:
                return None
            now = self._now()
            is_valid = now < record.ends_at
            can_renew = bool(self._tokens and record.tokens and held.refresh_token)
            if now < record.renew_at or not can_renew or self._in_cookies or has_tried:
                if not is_valid:
                    if has_tried:
                        raise Unreachable("the new tokens have expired already")
                    return None
                current = self._upkept(session, version, record, held, context)
                return user_of(current.claims or {}, held) if current else None
            if not (record.renewing_until and now < record.renewing_until):
                # Once: tokens that Cognito issues expired would be renewed for ever.
                has_tried = self._renew(session, version, record, context, is_valid=is_valid)
            elif is_valid and record.claims is not None:
                return user_of(record.claims, held)  # another worker is renewing the tokens
            else:
                self._wait_for_renewal(wait)

    def _wait_for_renewal(self, wait: _Wait) -> None:
        """Wait a little for another worker, or raise `Unreachable` if that took too long."""
        self._renewals.check_not_paused()
        if wait.is_over() or not self._waiting.acquire(blocking=False):
            raise Unreachable("another worker is still renewing the tokens")
        try:
            self._sleep(wait.pause)
        finally:
            self._waiting.release()

    def _upkept(
        self,
        session: FlowId,
        version: int,
        record: SessionRecord,
        tokens: Tokens,
        context: RequestContext,
    ) -> SessionRecord | None:
        """Do what is due for a session in use: verify, ask Cognito, note the time.

        Returns:
            The record with verified claims; None if the session has ended.
        """
        now, current = self._now(), record
        if current.claims is None:
            verify = partial(self._with_claims, record, tokens)
            try:
                current = self._verifications.run(session.key, verify)
            except InvalidToken:
                self._end(session, version, record)
                return None
        if self._in_cookies and current.tokens:
            # The browser has them: it sent them.
            current = current.but(tokens=None, expires_in=current.tokens.expires_in)
        checked = self._checked(session, version, current, tokens, context)
        if checked is None:
            return None
        version, current = checked
        is_stale = self._idle is not None and now >= (record.seen_at or 0.0) + self._idle / 20
        is_unlisted = self._list.is_kept and now >= (record.listed_at or 0.0) + LISTED_SECONDS
        is_owing = record.ends_others_at is not None and now >= record.ends_others_at
        if current is not record or is_stale or is_unlisted or is_owing:
            listed_at = now if is_unlisted else current.listed_at
            if current.ends_others or is_owing:
                self._end_others(session, current, context)
            seen = current.but(seen_at=now, listed_at=listed_at, ends_others=None)
            seen = seen.but(ends_others_at=None) if is_owing else seen
            # A store that takes no writes for a while, such as on a full disk, ends no session: a later
            # request saves the same.
            with suppress(StoreUnavailable):
                if self._swap(session, version, seen) and is_unlisted:  # or another worker has
                    self._enter(session, seen, context)
        return current

    def _checked(
        self,
        session: FlowId,
        version: int,
        record: SessionRecord,
        tokens: Tokens,
        context: RequestContext,
    ) -> tuple[int, SessionRecord] | None:
        """Ask Cognito whether the session goes on, if that is due; one worker at a time asks.

        Returns:
            Version and record afterwards, of which the outcome is not saved yet; None if the session has
            ended.
        """
        now = self._now()
        is_due = self._recheck is not None and now >= (record.checked_at or 0.0) + self._recheck
        if self._tokens is None or not is_due or now < (record.checking_until or 0.0):
            return version, record
        asking = record.but(checking_until=now + _LEASE_SECONDS)
        try:
            if not self._swap(session, version, asking):
                return version, record  # another worker asks
        except StoreUnavailable:
            return version, record  # asked with a later request
        check = partial(self._check, session, record, tokens, context)
        try:
            if not self._checks.run(session.key, check):
                return None
        except StoreUnavailable:
            raise  # the session is to end, and could not be ended
        except Exception:  # noqa: BLE001 - logged; the session goes on until its tokens expire
            return version + 1, asking
        return version + 1, asking.but(checking_until=None, checked_at=self._now())

    def _check(
        self, session: FlowId, record: SessionRecord, tokens: Tokens, context: RequestContext
    ) -> bool:
        """Ask Cognito, and return whether the session goes on; end it here otherwise."""
        assert self._tokens is not None
        try:
            self._tokens.check(tokens)
        except SignedOut:
            self._end_newest(session)
            self._note("session_ended", session, record, context, reason="ended_at_cognito")
            return False
        return True

    def _verified_or_not_yet(
        self, session: FlowId, record: SessionRecord, fresh: Tokens
    ) -> SessionRecord | None:
        """Return a record with claims, or without them if the next request has to verify the tokens.

        Returns:
            None if the tokens are invalid.
        """
        verify = partial(self._with_claims, record, fresh)
        try:
            return self._verifications.run(session.key, verify)
        except InvalidToken:
            return None
        except Unreachable:
            return record.but(claims=None)

    def _with_claims(self, record: SessionRecord, fresh: Tokens) -> SessionRecord:
        """Return a record with the verified claims of its tokens.

        Args:
            record: what is known of the session.
            fresh: tokens that were not verified yet.

        Raises:
            InvalidToken: the tokens are invalid, or of another user (`_OfAnotherUser`).
            Unreachable: the pool's keys could not be fetched, or the token service is faulty.
        """
        if self._tokens is None:
            return record.but(claims={})
        before = record.claims or {}
        try:
            access = self._tokens.verify(fresh.access_token, "access")
            if fresh.id_token:
                claims = {**self._tokens.verify(fresh.id_token, "id")}
            elif record.tokens and record.tokens.id_token:
                claims = {**before}  # a renewal without an ID token: the one before goes on
            else:
                claims = {**access}  # nothing of before, or a group that was taken away would stay
            # A trigger can add such a claim to an ID token; rights are those of the access token.
            claims.pop("scope", None)
            claims |= {"scope": access["scope"]} if "scope" in access else {}
        except Unreachable:
            raise
        except InvalidToken as error:
            # The message says why and quotes no token.
            self._log.error("tokens not valid", reason=str(error))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it does not say "invalid"
            self._log.error("tokens not verified", error=type(error).__name__)
            raise Unreachable("the tokens could not be verified") from None
        expected = before.get("sub") or record.renewed_for
        if expected and not claims.get("sub"):
            self._log.error("tokens not verified", error="claims without sub")
            raise Unreachable("the tokens could not be verified")
        # OpenID Connect Core 12.2: a renewed ID token is for the same user.
        if expected and claims["sub"] != expected:
            self._log.error("tokens not valid", reason="for another user")
            raise _OfAnotherUser("the tokens are for another user")
        return record.but(claims=claims, renewed_for=None)

    def _renew(
        self,
        session: FlowId,
        version: int,
        record: SessionRecord,
        context: RequestContext,
        *,
        is_valid: bool,
    ) -> bool:
        """Renew the tokens, and return True; return False if another worker does.

        Only Cognito's own word ends the session. While the tokens are valid, no failure is an error.
        """
        renew = partial(self._renew_now, session, version, record, context, is_valid=is_valid)
        try:
            self._renewals.run(session.key, renew)
        except NoCall:
            return False
        except InvalidToken:
            if not is_valid:
                raise Unreachable("the new tokens are not valid") from None
        except (StoreUnavailable, Unreachable, Misconfigured):
            if not is_valid:
                raise
        return True

    def _renew_now(
        self,
        session: FlowId,
        version: int,
        record: SessionRecord,
        context: RequestContext,
        *,
        is_valid: bool,
    ) -> None:
        """Renew and save, on a thread of its own. The beginning is saved before Cognito is called.

        Raises:
            NoCall: another worker renews the tokens.
        """
        assert self._tokens is not None
        assert record.tokens is not None
        begun = record.but(renewing_until=self._now() + _LEASE_SECONDS)
        if not self._swap(session, version, begun):
            raise NoCall
        try:
            renewed = self._renewed(record, self._tokens.renew(record.tokens))
        except SignedOut as ended:
            if ended.reason == "reused":
                self._log.warning("refresh token reused", session_name=session.key[:12])
            self._end_unless_renewed(session, record)
            self._note("session_ended", session, record, context, reason=f"refresh_{ended.reason}")
            return
        except _OfAnotherUser:
            self._end(session, version + 1, record)
            return
        except Exception as error:  # noqa: BLE001 - raised below, without its frames
            failure = error
        else:
            self._save_renewed(session, version + 1, record, renewed)
            return
        if not is_valid:  # otherwise tried again when `renewing_until` has passed
            with suppress(StoreUnavailable):
                self._swap(session, version + 1, record)
        if isinstance(failure, OncegateError):
            raise failure.with_traceback(None)
        self._log.error("token renewal failed", error=type(failure).__name__)
        raise Unreachable("the tokens could not be renewed")

    def _end_unless_renewed(self, session: FlowId, old: SessionRecord) -> None:
        """End a session whose refresh token Cognito rejects, unless another worker has a newer one."""
        while True:
            version, current = self._load(session)
            if current is None or not _has_same_refresh_token(current, old):
                return
            if self._end(session, version, current):
                return

    def _save_renewed(
        self, session: FlowId, version: int, old: SessionRecord, renewed: SessionRecord
    ) -> None:
        """Save renewed tokens, if need be for a minute.

        With refresh token rotation they are the only ones: Cognito takes the old ones for up to a
        minute more, and then takes them for stolen.

        Raises:
            StoreUnavailable: the store did not take them.
        """
        for pause in _SAVE_PAUSES:
            try:
                self._save_over(session, version, old, renewed)
            except StoreUnavailable:
                self._sleep(pause)
            else:
                return
        self._save_over(session, version, old, renewed)

    def _save_over(
        self, session: FlowId, version: int, old: SessionRecord, renewed: SessionRecord
    ) -> None:
        while not self._swap(session, version, renewed):
            version, current = self._load(session)
            if current is None:
                self._revoke_now(renewed.tokens)  # the user has signed out meanwhile
                return
            if current.tokens != old.tokens:
                return  # another worker was faster, or an earlier try was applied
            renewed = renewed.but(
                listed_at=current.listed_at,
                ends_others=current.ends_others,
                ends_others_at=current.ends_others_at,
                is_announced=current.is_announced,
            )

    def _renewed(self, record: SessionRecord, fresh: Tokens) -> SessionRecord:
        """Return the record with new tokens. What Cognito left out stays as it was.

        Raises:
            InvalidToken: the tokens are invalid, or of another user (`_OfAnotherUser`).
            Unreachable: the token service returned no tokens.
        """
        assert record.tokens is not None
        if not isinstance(fresh, Tokens):
            self._log.error("token service returned no tokens", got=type(fresh).__name__)
            raise Unreachable("the token service returned no tokens")
        update = {name: value for name, value in fresh if value is not None}
        now = self._now()
        changed = record.but(
            tokens=record.tokens.model_copy(update=update),
            issued_at=now,
            begun_at=record.began_at,
            seen_at=now,
            checked_at=now,
            renewing_until=None,
        )
        try:
            return self._with_claims(changed, fresh)
        except Unreachable:
            # Verified with the next request.
            subject = record.subject or record.renewed_for
            return changed.but(claims=None, renewed_for=subject)

    def end(
        self,
        session_id: str | None,
        tokens: Tokens | None = None,
        context: RequestContext = NO_REQUEST,
    ) -> SessionRecord | None:
        """Sign out: end the session here, then revoke its tokens.

        Args:
            session_id: the session's ID.
            tokens: the tokens in the browser's cookies, if they are there.
            context: the request.

        Returns:
            What was stored of the session; None if it had ended before.

        Raises:
            StoreUnavailable: the store did not answer; the session goes on.
        """
        session = self._parse(session_id)
        del session_id
        record = self._end_newest(session) if session else None
        if session and record:
            self._note("signed_out", session, record, context)
        self.revoke((record.tokens if record else None) or tokens)
        return record

    def _end_newest(self, session: FlowId) -> SessionRecord | None:
        """End a session, and return its record with the newest tokens."""
        while True:
            version, record = self._load(session)
            # Another worker may have renewed the tokens meanwhile: then these are not the newest.
            if record is None or self._end(session, version, record):
                return record

    def _revoke_if_ended_elsewhere(self, session: FlowId, tokens: Tokens | None) -> None:
        """Revoke the tokens of a session that another browser has ended: its cookie opens them."""
        row = self._store.load(session.key)
        before = ended_elsewhere(row) if row else None
        if row is None or before is None:
            return
        record = self._opened(session, before)
        if self._save(session, row.version, b"", self._now()) and record:
            self.revoke(record.tokens or tokens)

    # ── the list of the user's sessions ──

    def enter(self, session_id: str | None, record: SessionRecord, context: RequestContext) -> None:
        """Enter a session in the list of its user's sessions, before the browser receives it.

        Args:
            session_id: the session's ID.
            record: what is stored of it.
            context: the request that receives it.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        session = self._parse(session_id)
        del session_id
        if session:
            self._enter(session, record, context)
            self._note("session_handed_over", session, record, context)

    def listed(self, session_id: str | None) -> list[ListedSession]:
        """Return the sessions of the user of a session, the one seen last first."""
        record = self.get(session_id)
        del session_id
        return self._list.of(record.subject) if record else []

    def end_listed(
        self, session_id: str | None, name: str, context: RequestContext = NO_REQUEST
    ) -> bool:
        """End another session of the same user.

        Args:
            session_id: the ID of the session that asks.
            name: `ListedSession.name` of the one to end.
            context: the request.

        Returns:
            Whether the user has such a session.
        """
        found = self._found(session_id)
        del session_id
        if found is None:
            return False
        session, _, record = found
        if not any(one.name == name for one in self._list.of(record.subject)):
            return False
        self._list.end(name)
        self._list.remove(record.subject, name)
        self._note("other_session_ended", session, record, context, ended=name[:12])
        return True

    def end_user(self, sub: str, *, but: str | None = None) -> list[ListedSession]:
        """End the sessions of a user, and return them.

        Args:
            sub: the user's claim ``sub``.
            but: `ListedSession.name` of one that goes on.
        """
        others = [one for one in self._list.of(sub) if one.name != but]
        for one in others:
            self._list.end(one.name)
            self._list.remove(sub, one.name)
        return others

    def end_others(self, session_id: str | None, context: RequestContext = NO_REQUEST) -> int:
        """End the other sessions of the user of a session, and return how many."""
        found = self._found(session_id)
        del session_id
        if found is None:
            return 0
        session, version, record = found
        if not record.subject:
            self._swap(session, version, record.but(ends_others=True))
            return 0
        return self._end_others(session, record, context)

    def _end_others(self, session: FlowId, record: SessionRecord, context: RequestContext) -> int:
        ended = len(self.end_user(record.subject, but=session.key))
        self._note("other_sessions_ended", session, record, context, number=ended)
        return ended

    def expect_end_of_others(self, session_id: str | None, seconds: float) -> bool:
        """Note that the user's other sessions are to end, before the password is changed.

        So they also end, with a later request of this session, if the worker is killed or the store
        fails before `end_others`.

        Args:
            session_id: the ID of the session that asks.
            seconds: time in which it will be known whether the password has changed.

        Returns:
            Whether this call has noted it: not if an earlier one did, whose change is under way.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        while True:
            found = self._found(session_id)
            if found is None or found[2].ends_others_at is not None:
                return False
            session, version, record = found
            if self._swap(session, version, record.but(ends_others_at=self._now() + seconds)):
                return True

    def expect_no_end_of_others(self, session_id: str | None) -> None:
        """Undo `expect_end_of_others`: the sessions have ended, or the password has not changed.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        while True:
            found = self._found(session_id)
            if found is None or found[2].ends_others_at is None:
                return
            session, version, record = found
            if self._swap(session, version, record.but(ends_others_at=None)):
                return

    def end_everywhere(
        self,
        session_id: str | None,
        tokens: Tokens | None = None,
        context: RequestContext = NO_REQUEST,
    ) -> SessionRecord | None:
        """End every session of the user: those here, and all that Cognito knows (GlobalSignOut).

        Args:
            session_id: the ID of the session that asks.
            tokens: the tokens in the browser's cookies, if they are there.
            context: the request.

        Returns:
            What was stored of the session that asks; None if it had ended before.

        Raises:
            Unreachable: Cognito did not answer. The other sessions here have ended; this one goes on,
                so that the user can try again.
        """
        found = self._found(session_id)
        del session_id
        if found is None:
            return None
        session, _, record = found
        failure = self._signed_out_everywhere(record.tokens or tokens)
        self.end_user(record.subject, but=session.key)
        if failure:
            raise failure
        self._end_newest(session)
        self._note("signed_out_everywhere", session, record, context)
        return record

    def _signed_out_everywhere(self, tokens: Tokens | None) -> OncegateError | None:
        if self._tokens is None or tokens is None:
            return None
        try:
            self._ends.run("", partial(self._tokens.sign_out_everywhere, tokens))
        except SignedOut:
            return None
        except Exception as error:  # noqa: BLE001 - raised without the frames that held the tokens
            self._log.error(
                "not signed out everywhere", error=type(error).__name__, reason=_reason(error)
            )
            return Unreachable("Cognito did not sign the user out everywhere")
        return None

    def _note(
        self,
        action: str,
        session: FlowId,
        record: SessionRecord,
        context: RequestContext,
        **facts: object,
    ) -> None:
        """Write a line to the audit log."""
        if self._audit:
            name = session.key[:12]
            self._audit.write(
                action, user=record.username, context=context, session_name=name, **facts
            )

    def _enter(self, session: FlowId, record: SessionRecord, context: RequestContext) -> None:
        listed = ListedSession(
            name=session.key,
            username=record.username,
            begun_at=record.began_at,
            seen_at=self._now(),
            ends_at=record.ends_at if self._in_cookies else record.began_at + self._lifetime,
        )
        if user := record.subject:
            self._list.note(user, listed.from_request(context))

    def revoke(self, tokens: Tokens | None) -> None:
        """Revoke tokens if possible: signing out never fails because Cognito does."""
        if self._tokens is None or tokens is None or not tokens.refresh_token:
            return
        try:
            self._ends.run("", partial(self._revoke_now, tokens))
        except Unreachable as error:
            self._log.error("token revocation not confirmed", error=type(error).__name__)

    def _revoke_now(self, tokens: Tokens | None) -> None:
        if self._tokens is None or tokens is None or not tokens.refresh_token:
            return
        try:
            self._tokens.revoke(tokens)
        except SignedOut:
            return  # there is nothing to revoke
        except Exception as error:  # noqa: BLE001 - the session has ended here in any case
            self._log.error(
                "token revocation failed", error=type(error).__name__, reason=_reason(error)
            )

    def _parse(self, session_id: str | None) -> FlowId | None:
        try:
            return FlowId.parse(session_id or "", self._keys)
        except InvalidInput:
            if session_id:
                self.note_foreign()
            return None

    def note_foreign(self) -> None:
        """Tell the developer, once, that a session's cookie is not of this sign-in."""
        if not self._has_noted_foreign:
            self._has_noted_foreign = True
            self._log.warning(
                "a session's cookie is not of this sign-in",
                effect="its user is not signed in here; a sign-in here signs the user out there",
                cure="if another application runs on this host, on any port, give each its own "
                "WebSignIn(name=...); after a change of keys, nothing",
            )

    def _found(self, session_id: str | None) -> tuple[FlowId, int, SessionRecord] | None:
        """Return a session with the version and the record that are stored, or None if it has ended."""
        session = self._parse(session_id)
        del session_id
        if session is None:
            return None
        version, record = self._load(session)
        return (session, version, record) if record else None

    def _load(self, session: FlowId) -> tuple[int, SessionRecord | None]:
        row = self._store.load(session.key)
        if row is None or row.expires_at <= self._now():
            return 0, None
        if ended_elsewhere(row):
            return row.version, None
        record = self._opened(session, row)
        # The row's own time is not sealed.
        is_live = record and not record.is_refused and self._now() < self._end_of(record)
        return row.version, record if is_live else None

    def _opened(self, session: FlowId, row: StoredRecord) -> SessionRecord | None:
        try:
            plain = session.unseal_bytes(row.sealed, row.version, self._keys)
            return read_session(plain, *self.accepts)
        except RecordUnreadable as error:
            if self._unreadable.was_quiet():
                cure = "give all workers the same keys"
                self._log.error("records of sessions not readable", reason=str(error), cure=cure)
            return None
        except ValueError:
            return None

    def _end_of(self, record: SessionRecord) -> float:
        ends = record.began_at + self._lifetime
        if self._idle is not None:
            ends = min(ends, (record.seen_at or record.issued_at) + self._idle)
        return min(ends, record.ends_at) if self._in_cookies else ends

    def _swap(self, session: FlowId, expected: int, record: SessionRecord) -> bool:
        return self._save(session, expected, write_session(record), self._end_of(record))

    def _end(self, session: FlowId, expected: int, record: SessionRecord) -> bool:
        if not self._save(session, expected, b"", self._now()):
            return False
        with suppress(StoreUnavailable):  # it has ended, listed or not
            self._list.remove(record.subject, session.key)
        return True

    def _save(self, session: FlowId, expected: int, plain: bytes, ends: float) -> bool:
        sealed = session.seal_bytes(plain, expected + 1, self._keys)
        return self._store.swap(session.key, expected, StoredRecord(expected + 1, sealed, ends))


class _Wait:
    """How long one request has waited for another worker.

    Attributes:
        pause: seconds until it looks again.
    """

    def __init__(self) -> None:
        self.pause = 0.05
        self._began = time.monotonic()
        self._waited = 0.0

    def is_over(self) -> bool:
        """Return whether it has waited for long enough; call it before each pause."""
        waited = max(self._waited, time.monotonic() - self._began)
        self._waited += self.pause
        return waited >= PATIENCE


def _reason(error: Exception) -> str:
    """Return the text of an error of ours, which quotes no token; empty for any other."""
    return str(error) if isinstance(error, OncegateError) else ""


def _has_same_refresh_token(one: SessionRecord, other: SessionRecord) -> bool:
    tokens, others = one.tokens, other.tokens
    return bool(tokens and others and tokens.refresh_token == others.refresh_token)
