"""Sessions: what stands between a challenge and its answer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from oncegate_sandbox.errors import SESSION_EXPIRED, SESSION_FOREIGN, SESSION_USED, not_authorized
from oncegate_sandbox.users import User


@dataclass
class Session:
    """One challenge that was issued to one user.

    Attributes:
        text: as it goes over the wire; about 1,500 characters, as Cognito's are.
        user: None where the challenge only plays that there is one.
        code: what was delivered, where something was.
        device_key: that the sign-in named.
        is_first: whether the answer is the first factor.
        notes: what the challenge has to remember besides.
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


class Sessions:
    """All sessions of the pool.

    Args:
        valid_for: seconds.
    """

    def __init__(self, valid_for: float) -> None:
        self._valid_for = valid_for
        self._by_text: dict[str, Session] = {}

    def open(
        self, challenge: str, user: User | None, now: float, code: str | None = None, **more: Any
    ) -> Session:
        """Start a challenge. A new code makes the user's older ones worthless (amplify-js#11069)."""
        self._by_text = {
            text: session
            for text, session in self._by_text.items()
            # SessionRecord for a while after their end, so that a late answer hears "expired".
            if session.expires_at + 3600 > now
        }
        if code is not None:
            for session in self._by_text.values():
                same = session.user is user and session.user is not None
                session.superseded |= same and session.code is not None
        session = Session(challenge, user, now + self._valid_for, code, **more)
        self._by_text[session.text] = session
        return session

    def newest(self, challenge: str, user: User | None, now: float) -> Session | None:
        """The newest open session of a kind: for clients that send none back."""
        for session in reversed(self._by_text.values()):
            if session.challenge == challenge and session.user is user and not session.used:
                return session if now < session.expires_at else None
        return None

    def find(self, text: str, challenge: str, now: float) -> Session:
        """The session that an answer belongs to.

        Raises:
            CognitoError: in the three ways in which public reports quote it.
        """
        session = self._by_text.get(text)
        if session is None or session.challenge != challenge or session.superseded:
            raise not_authorized(SESSION_FOREIGN)
        if session.used:
            raise not_authorized(SESSION_USED)
        if now >= session.expires_at:
            raise not_authorized(SESSION_EXPIRED)
        return session
