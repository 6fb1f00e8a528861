"""`User`: who is signed in, for views, guards and the host framework's own user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from oncegate import Tokens


@dataclass(frozen=True)
class User:
    """The user of a session, or of a bearer token.

    It has the members that Flask-Login expects of a user.

    Attributes:
        username: the pool's own name; empty if the transport has no token service to verify it.
        claims: verified claims of the ID token, and ``scope`` of the access token; those of the access
            token if there is no ID token; empty if the transport has no token service.
        tokens: tokens for calls to other services; the repr hides them.
    """

    username: str
    claims: Mapping[str, Any] = field(repr=False)
    tokens: Tokens

    is_authenticated = True
    is_active = True
    is_anonymous = False

    @property
    def sub(self) -> str:
        """The user's unchanging ID in the pool (``sub``); empty if nothing was verified."""
        return str(self.claims.get("sub", ""))

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the user's groups in the pool (``cognito:groups``), by precedence."""
        return _texts(self.claims.get("cognito:groups"))

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes of the access token (``scope``), such as ``aws.cognito.signin.user.admin``.

        ID tokens have none (AWS, "Understanding the access token"), so this claim is from the other one.
        """
        return tuple(str(self.claims.get("scope", "")).split())

    @property
    def auth_time(self) -> datetime | None:
        """When the user signed in, in UTC; renewals do not change it. None if it is not known."""
        seconds = self.claims.get("auth_time")
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, (int, float)) else None

    @property
    def display_name(self) -> str:
        """What pages call the user: the name, the email address, or the username."""
        return str(self.claims.get("name") or self.claims.get("email") or self.username)

    def __hash__(self) -> int:
        return hash(self.get_id())

    def get_id(self) -> str:
        """Return the user's unchanging ID, or the username if there is none."""
        return self.sub or self.username


class Session(NamedTuple):
    """The session of a browser.

    Attributes:
        name: identifies it, as in ``GET /sessions``; it opens nothing, so the host may store it.
        user: who is signed in.
    """

    name: str
    user: User


def username_of(claims: Mapping[str, Any]) -> str:
    """Return the pool's own name for a user; empty if the claims have none."""
    return str(claims.get("cognito:username") or claims.get("username") or claims.get("sub") or "")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else ()
