"""Phones and mailboxes: where the sandbox delivers its codes."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from oncegate import Factor


class SentMessage(BaseModel):
    """One text or mail, as ``GET /_sandbox/messages`` shows it.

    Attributes:
        destination: the whole phone number or address: this is the phone.
        purpose: the challenge that the code answers.
        sent_at: ISO 8601, by the sandbox's clock.
    """

    model_config = ConfigDict(frozen=True)

    username: str
    medium: str
    destination: str
    code: str
    purpose: str
    sent_at: datetime


class Inbox:
    """All that was delivered, oldest first."""

    def __init__(self) -> None:
        self._messages: list[SentMessage] = []

    def deliver(
        self, username: str, medium: str, destination: str, code: str, purpose: str, at: float
    ) -> None:
        self._messages.append(
            SentMessage(
                username=username,
                medium=medium,
                destination=destination,
                code=code,
                purpose=purpose,
                sent_at=datetime.fromtimestamp(at, UTC),
            )
        )

    def messages(self) -> tuple[SentMessage, ...]:
        return tuple(self._messages)

    def clear(self) -> None:
        self._messages.clear()


def masked(destination: str) -> str:
    """A phone number or address as Cognito shows it: ``+*******1234``, ``a***@e***``."""
    if "@" in destination:
        name, _, host = destination.partition("@")
        return f"{name[0]}***@{host[0]}***"
    return "+" + "*" * (len(destination) - 5) + destination[-4:]


def new_code(factor: Factor) -> str:
    """SMS codes have 6 digits, EMAIL_OTP codes 8 (public reports)."""
    return "".join(secrets.choice(string.digits) for _ in range(8 if factor is Factor.EMAIL else 6))
