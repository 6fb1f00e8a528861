"""Sessions: each connects one challenge with its answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._rules import rule
from oncegate_sandbox._users import User
from oncegate_sandbox.errors import SESSION_EXPIRED, SESSION_FOREIGN, SESSION_USED, not_authorized

_KEPT_SECONDS = 3600

rule(
    "session-once",
    "A session takes one answer, but wrong codes do not use it up; it ends after AuthSessionValidity.",
    source="botocore's service model; public reports of the three messages",
)
rule(
    "session-superseded",
    "A new code makes the user's older ones invalid.",
    source="amplify-js#11069",
)


@dataclass(frozen=True)
class Caller:
    """Where a request of a sign-in comes from.

    Attributes:
        client: the app client.
        device_key: key of the device that the client named. Default: none.
        metadata: ``ClientMetadata``, as far as the operation passes it to the triggers that follow.
            Default: none.
        methods: values of ``amr`` for the factors that were proven so far. Default: none.
        has_target_level: whether InitiateAuth had TARGET_ACR_VALUES, so that tokens say how the user
            signed in. Default: False.
        token_source: ``triggerSource`` of PreTokenGeneration. Default: that of most sign-ins.
        at_managed_login: whether the user signs in at managed login, which issues tokens later.
            Default: False.
    """

    client: AppClient
    device_key: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    methods: tuple[str, ...] = ()
    has_target_level: bool = False
    token_source: str = "TokenGeneration_Authentication"
    at_managed_login: bool = False

    def proving(self, method: str) -> Caller:
        """Return the same after one more factor, by its value in ``amr``, was proven."""
        return replace(self, methods=(*self.methods, method))


@dataclass
class Session:
    """One challenge that was issued to one user.

    Attributes:
        challenge: ``ChallengeName``.
        user: None if the sandbox imitates the challenge for an unknown user.
        expires_at: Unix time.
        code: the code that was sent, if any.
        caller: request that the challenge was issued to; None for the session of a confirmation.
        name: username as it was given, if answers may repeat it; otherwise empty.
        is_first: whether the answer is the first factor.
        notes: further data of the challenge.
        superseded: whether a newer code has made this one invalid.
        text: ``Session`` on the wire, about 1,500 characters long, as Cognito's are.
    """

    challenge: str
    user: User | None
    expires_at: float
    code: str | None = field(default=None, repr=False)
    caller: Caller | None = None
    name: str = ""
    is_first: bool = False
    notes: dict[str, Any] = field(default_factory=dict, repr=False)
    used: bool = False
    superseded: bool = False
    text: str = field(default_factory=lambda: "AYABe" + secrets.token_urlsafe(1100), repr=False)

    @property
    def owner(self) -> User:
        """The user, for challenges that are never imitated."""
        assert self.user is not None
        return self.user

    @property
    def origin(self) -> Caller:
        """The caller, for challenges of a sign-in."""
        assert self.caller is not None
        return self.caller

    @property
    def client(self) -> AppClient:
        """The app client that the challenge was issued to."""
        return self.origin.client

    def answered_from(self, device_key: str | None, metadata: Mapping[str, str]) -> None:
        """Note the device and the ClientMetadata of the answer."""
        key = device_key or self.origin.device_key
        self.caller = replace(self.origin, device_key=key, metadata=metadata)


class Sessions:
    """All sessions of the pool.

    Args:
        valid_for: lifetime of a session in seconds, if no app client says otherwise.
    """

    def __init__(self, valid_for: float) -> None:
        self._valid_for = valid_for
        self._by_text: dict[str, Session] = {}

    def open(
        self,
        challenge: str,
        user: User | None,
        now: float,
        code: str | None = None,
        *,
        caller: Caller | None = None,
        **details: Any,
    ) -> Session:
        """Open a session. A new code makes the user's older ones invalid."""
        self._by_text = {
            text: session
            for text, session in self._by_text.items()
            # Expired sessions are kept for an hour, so that a late answer is rejected as expired.
            if session.expires_at + _KEPT_SECONDS > now
        }
        if code is not None:
            for session in self._by_text.values():
                same = session.user is user and session.user is not None
                session.superseded |= same and session.code is not None
        valid_for = caller.client.auth_session_seconds if caller else self._valid_for
        session = Session(challenge, user, now + valid_for, code, caller, **details)
        self._by_text[session.text] = session
        return session

    def texts(self) -> frozenset[str]:
        """Return the ``Session`` values of all sessions, including expired ones of the last hour."""
        return frozenset(self._by_text)

    def newest(self, challenge: str, user: User | None, now: float) -> Session | None:
        """Return the newest open session of a challenge, for clients that send no session."""
        for session in reversed(self._by_text.values()):
            if session.challenge == challenge and session.user is user and not session.used:
                return session if now < session.expires_at else None
        return None

    def find(self, text: str, challenge: str, now: float) -> Session:
        """Return the session that an answer belongs to.

        Raises:
            CognitoError: the session is invalid, was used, or has expired. Public reports quote the
                three messages.
        """
        session = self._by_text.get(text)
        if session is None or session.challenge != challenge or session.superseded:
            raise not_authorized(SESSION_FOREIGN)
        if session.used:
            raise not_authorized(SESSION_USED)
        if now >= session.expires_at:
            raise not_authorized(SESSION_EXPIRED)
        return session
