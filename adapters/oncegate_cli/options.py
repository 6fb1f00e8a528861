"""What commands are told and how they end. Light: nothing here brings in the engine or an adapter."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple


class Exit(IntEnum):
    """What the command's exit code says."""

    SIGNED_IN = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


class Format(StrEnum):
    """How the machine can be shown."""

    MERMAID = "mermaid"
    TABLE = "table"
    SVG = "svg"


class DeviceAction(StrEnum):
    """What can be done with the devices that Cognito knows of a user."""

    LIST = "list"
    FORGET = "forget"


class Account(NamedTuple):
    """Who signs in, and where.

    Attributes:
        username: None where it is to be asked for.
    """

    pool_id: str
    client_id: str
    endpoint_url: str | None
    username: str | None
    auth_flow: str
