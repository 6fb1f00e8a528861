"""The messages that the sandbox has sent, instead of an SMS or email provider."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from hashlib import sha256

from pydantic import BaseModel, ConfigDict, Field

from oncegate import Factor


class SentMessage(BaseModel):
    """One SMS or email, as ``GET /_sandbox/messages`` returns it.

    Attributes:
        medium: ``SMS`` or ``EMAIL``.
        destination: phone number or email address, unmasked.
        purpose: the challenge that the code answers.
        sent_at: time by the sandbox's clock; ISO 8601 in JSON.
        text: text of the message, if the pool or its CustomMessage trigger has one. Default: None.
        subject: subject of the email, if the pool or the trigger has one. Default: None.
        pool_id: user pool ID. It is not part of the JSON.
    """

    model_config = ConfigDict(frozen=True)

    username: str
    medium: str
    destination: str
    code: str
    purpose: str
    sent_at: datetime
    text: str | None = None
    subject: str | None = None
    pool_id: str = Field(default="", exclude=True)


class Inbox:
    """All messages that were sent, oldest first."""

    def __init__(self) -> None:
        self._messages: list[SentMessage] = []

    def deliver(
        self,
        username: str,
        medium: str,
        destination: str,
        code: str,
        purpose: str,
        at: float,
        *,
        text: str | None = None,
        subject: str | None = None,
        pool_id: str = "",
    ) -> None:
        """Add a message. ``at`` is a Unix time; the rest is as in `SentMessage`."""
        self._messages.append(
            SentMessage(
                username=username,
                medium=medium,
                destination=destination,
                code=code,
                purpose=purpose,
                sent_at=datetime.fromtimestamp(at, UTC),
                text=text,
                subject=subject,
                pool_id=pool_id,
            )
        )

    def messages(self) -> tuple[SentMessage, ...]:
        """Return all messages, oldest first."""
        return tuple(self._messages)

    def clear(self) -> None:
        """Delete all messages."""
        self._messages.clear()


def masked(destination: str) -> str:
    """Mask a phone number or email address as Cognito does: ``+*******1234``, ``a***@e***``."""
    if "@" in destination:
        name, _, host = destination.partition("@")
        return f"{name[0]}***@{host[0]}***"
    return "+" + "*" * (len(destination) - 5) + destination[-4:]


def imitated(name: str, medium: str) -> str:
    """Return an imitated destination, masked, for an unknown user. It looks like a known one's."""
    if medium == "EMAIL":
        return masked(name if "@" in name else f"{name}@{name}")
    digits = int.from_bytes(sha256(name.encode()).digest()) % 10_000
    return masked(f"+1555000{digits:04d}")


def new_code(factor: Factor) -> str:
    """Return a random code: 6 digits for SMS, 8 for EMAIL_OTP (source: public reports)."""
    return "".join(secrets.choice(string.digits) for _ in range(8 if factor is Factor.EMAIL else 6))
