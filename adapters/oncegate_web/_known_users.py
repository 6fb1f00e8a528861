"""Which users have signed in in a browser before: a sealed, long-lived cookie.

Codes that need no password can be requested, and guessed at, by every caller who types a username.
What the user's own browsers request is counted apart, so that others cannot lock the user out
(OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
"""

from __future__ import annotations

import base64
import binascii
import json

from oncegate import RecordUnreadable, SealingKeys

_MOST_USERS = 8
_MOST_BYTES = 2500
"""In base64 and sealed, they are below the 4,096 bytes that browsers take (RFC 6265, 6.1)."""
_PLACE = b"known users"


def known_users(value: str | None, keys: SealingKeys) -> tuple[str, ...]:
    """Return the users in a cookie, the last one first; none if the application did not seal it."""
    if not value:
        return ()
    try:
        users = json.loads(keys.unseal(base64.urlsafe_b64decode(value), _PLACE))
        return tuple(map(str, users))
    except (RecordUnreadable, binascii.Error, ValueError, TypeError, RecursionError):
        return ()


def with_user(value: str | None, user: str, keys: SealingKeys) -> str:
    """Return the cookie's value with one more user.

    Args:
        value: the cookie that the browser sent, or None.
        user: the pool's own name for the user.
        keys: the application's keys, bound to the sign-in.
    """
    users = [user, *(other for other in known_users(value, keys) if other != user)][:_MOST_USERS]
    while len(users) > 1 and len(json.dumps(users, ensure_ascii=False).encode()) > _MOST_BYTES:
        users.pop()
    plain = json.dumps(users, ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(keys.seal(plain, _PLACE)).decode()
