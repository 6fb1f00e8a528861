"""Types of the command line: exit codes, formats, the account. Imports no engine and no adapter."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final, Literal, NamedTuple

AuthFlow = Literal["USER_SRP_AUTH", "USER_PASSWORD_AUTH", "USER_AUTH", "CUSTOM_AUTH"]
"""Cognito's AuthFlow values for users."""


class Exit(IntEnum):
    """The command's exit codes.

    REFUSED: Cognito refused the sign-in, or input ended. USAGE: an option, or the set-up, is wrong.
    SIGN_IN_FIRST: there is no session, or it has ended.
    """

    SIGNED_IN = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    SIGN_IN_FIRST = 4
    INTERRUPTED = 130


class Format(StrEnum):
    """A format in which ``oncegate diagram`` shows a machine."""

    MERMAID = "mermaid"
    TABLE = "table"
    SVG = "svg"


class Machine(StrEnum):
    """A state machine that ``oncegate diagram`` shows."""

    SIGN_IN = "sign_in"
    ACCOUNT = "account"


class DeviceAction(StrEnum):
    """What to do with the devices that Cognito knows of a user."""

    LIST = "list"
    FORGET = "forget"


class FactorName(StrEnum):
    """A second factor, as the command calls it."""

    TOTP = "totp"
    SMS = "sms"
    EMAIL = "email"


class FactorUse(StrEnum):
    """How a second factor is used from now on."""

    PREFERRED = "preferred"
    ENABLED = "enabled"
    OFF = "off"


def printable(text: str) -> str:
    """Return text without what controls a terminal: names and Cognito's words are not ours."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


DEFAULT_PROFILE: Final = "default"

DEFAULT_CALLBACK_PORT: Final = 8765


class Account(NamedTuple):
    """The app client to sign in to, the user, and how: what options, environment and profile say.

    Attributes:
        pool_id: user pool ID.
        client_id: app client ID.
        endpoint_url: URL of a Cognito replacement; None for Cognito.
        username: None to prompt for it.
        auth_flow: how the sign-in begins.
        client_metadata: ClientMetadata for the pool's Lambda triggers, by name.
        reads_pool: whether the user pool's settings are read, with AWS credentials.
        profile: name of the profile, which keeps a session of its own.
        remember_device: whether the device is to be remembered. None: the user is asked.
        provider: identity provider to sign in with, by Cognito's name. None: a password.
        domain: URL of the user pool's domain. None: there is none.
        callback_port: TCP port that the browser comes back to; 0 for any free one.
    """

    pool_id: str
    client_id: str
    endpoint_url: str | None
    username: str | None
    auth_flow: AuthFlow
    client_metadata: Mapping[str, str] = {}
    reads_pool: bool = False
    profile: str = DEFAULT_PROFILE
    remember_device: bool | None = None
    provider: str | None = None
    domain: str | None = None
    callback_port: int = DEFAULT_CALLBACK_PORT
