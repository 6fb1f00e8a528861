"""Sessions: each connects one challenge with its answer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from oncegate_sandbox._users import User
from oncegate_sandbox.errors import SESSION_EXPIRED, SESSION_FOREIGN, SESSION_USED, not_authorized

_KEPT_SECONDS = 3600


@dataclass
class Session:
    """One challenge that was issued to one user.

    Attributes:
        challenge: ``ChallengeName``.
        user: None if the sandbox imitates the challenge for an unknown user.
        expires_at: Unix time.
        code: the code that was sent, if any.
        device_key: key of the device that the client named, if any.
        is_first: whether the answer is the first factor.
        notes: further data of the challenge.
        superseded: whether a newer code has made this one invalid.
        text: ``Session`` on the wire, about 1,500 characters long, as Cognito's are.
    """

    challenge: str
    user: User | None
    expires_at: float
    code: str | None = field(default=None, repr=False)
    device_key: str | None = None
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


class Sessions:
    """All sessions of the pool.

    Args:
        valid_for: lifetime of a session in seconds.
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
        **details: Any,
    ) -> Session:
        """Open a session. A new code makes the user's older ones invalid (amplify-js#11069)."""
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
        session = Session(challenge, user, now + self._valid_for, code, **details)
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
