"""What an account has: read from Cognito, never stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from oncegate.challenges import Factor


class ListedDevice(NamedTuple):
    """One device that Cognito knows of a user.

    Attributes:
        key: DeviceKey.
        name: given when it was registered.
        last_signed_in_at: time zone aware; None if Cognito does not say.
    """

    key: str
    name: str
    last_signed_in_at: datetime | None


class ListedPasskey(NamedTuple):
    """One passkey of a user.

    Attributes:
        key: CredentialId.
        name: what the user calls it, or FriendlyCredentialName, such as that of the password manager.
        created_at: time zone aware; None if Cognito does not say.
    """

    key: str
    name: str
    created_at: datetime | None


class AccountOverview(NamedTuple):
    """What an account has.

    Attributes:
        username: the pool's own name for the user.
        addresses: email address and phone number, by attribute, if the app client may read them.
        verified: attributes of the addresses that are verified.
        second_factors: those in use.
        preferred: the one that is asked for first; None for none.
        passkeys: the user's passkeys.
        devices: the user's devices.
        has_password: whether there is a password; None if the app client cannot tell.
    """

    username: str
    addresses: Mapping[str, str]
    verified: frozenset[str]
    second_factors: tuple[Factor, ...]
    preferred: Factor | None
    passkeys: tuple[ListedPasskey, ...]
    devices: tuple[ListedDevice, ...]
    has_password: bool | None
