"""What a test can see of a user: state, attributes, factors, current codes."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from pydantic import BaseModel, ConfigDict, Field

from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import User
from oncegate_sandbox.inbox import SentMessage


class UserState(BaseModel):
    """One user, as ``GET /_sandbox/users/{name}`` returns it.

    Attributes:
        username: the user's own name.
        pool_id: user pool ID.
        sub: unique ID.
        status: UserStatus of the service model.
        enabled: whether no administrator has disabled the user.
        attributes: attributes by name.
        mfa: second factors that are enabled.
        preferred_mfa: the preferred second factor, or None.
        totp_code: current code of the authenticator app, or None without one. Each code is accepted
            once; advance the clock by 30 seconds for the next.
        groups: names of the user's groups.
        devices: keys of the confirmed devices.
        passkeys: credential IDs.
        messages: messages to the user that are still in the inbox, newest first.
    """

    model_config = ConfigDict(frozen=True)

    username: str
    pool_id: str
    sub: str
    status: str
    enabled: bool
    attributes: dict[str, str]
    mfa: tuple[str, ...]
    preferred_mfa: str | None
    totp_code: str | None = Field(repr=False)
    groups: tuple[str, ...]
    devices: tuple[str, ...]
    passkeys: tuple[str, ...]
    messages: tuple[SentMessage, ...] = Field(repr=False)


def user_state(pool: PoolState, user: User) -> UserState:
    """Return the state of a user."""
    messages = [
        message
        for message in reversed(pool.inbox.messages())
        if message.username == user.username and message.pool_id in {"", pool.id}
    ]
    return UserState(
        username=user.username,
        pool_id=pool.id,
        sub=user.sub,
        status=user.status,
        enabled=user.is_enabled,
        attributes={"sub": user.sub, **user.attributes},
        mfa=tuple(factor.value for factor in user.factors),
        preferred_mfa=user.preferred.value if user.preferred else None,
        totp_code=totp_code(user.totp_secret, pool.clock.now()) if user.totp_secret else None,
        groups=tuple(group.name for group in user.groups),
        devices=tuple(device.key for device in pool.devices.confirmed(user)),
        passkeys=tuple(user.passkeys),
        messages=tuple(messages),
    )


def totp_code(secret: str, at: float) -> str:
    """Return a code of an authenticator app (RFC 6238).

    Args:
        secret: shared secret in base32.
        at: Unix time.
    """
    key = base64.b32decode(secret, casefold=True)
    totp = TOTP(key, 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 - RFC 6238's own
    return totp.generate(int(at)).decode()
