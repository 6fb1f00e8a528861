"""The log of the requests that the sandbox received, without their secrets."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from oncegate_sandbox._model import redacted

# A test that needs more has other problems, and a sandbox that runs for weeks must not grow.
_KEPT = 1000


class LoggedRequest(BaseModel):
    """One request, as ``GET /_sandbox/requests`` returns it.

    Attributes:
        operation: name of the operation.
        username: ``Username`` or ``USERNAME`` of the request, or None.
        received_at: time by the sandbox's clock; ISO 8601 in JSON.
        request_id: ``x-amzn-RequestId`` of the response.
        status: status code; None if the client got no response, or none yet.
        error: name of the error, or None.
        fault: kind of the fault that was ordered for the call, or None.
        members: members of the request. Passwords, codes, sessions, tokens and all others that the
            service model marks as sensitive are ``***``.
    """

    model_config = ConfigDict(frozen=True)

    operation: str
    username: str | None
    received_at: datetime
    request_id: str
    status: int | None
    error: str | None
    fault: str | None
    members: dict[str, Any]


@dataclass
class _Entry:
    """A request and its outcome so far."""

    operation: str
    body: Mapping[str, Any] = field(repr=False)
    at: float
    request_id: str
    fault: str | None
    status: int | None = None
    error: str | None = None

    def view(self) -> LoggedRequest:
        return LoggedRequest(
            operation=self.operation,
            username=_username(self.body),
            received_at=datetime.fromtimestamp(self.at, UTC),
            request_id=self.request_id,
            status=self.status,
            error=self.error,
            fault=self.fault,
            members=redacted(self.operation, self.body),
        )


class RequestLog:
    """The last 1,000 requests, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque(maxlen=_KEPT)

    def add(
        self,
        operation: str,
        body: Mapping[str, Any],
        *,
        at: float,
        request_id: str,
        fault: str | None,
    ) -> _Entry:
        """Add a request. Its status and error are set when they are known."""
        entry = _Entry(operation, body, at, request_id, fault)
        self._entries.append(entry)
        return entry

    def requests(self) -> tuple[LoggedRequest, ...]:
        """Return the requests, oldest first."""
        return tuple(entry.view() for entry in list(self._entries))

    def clear(self) -> None:
        """Delete all requests."""
        self._entries.clear()


def _username(body: Mapping[str, Any]) -> str | None:
    parts = (body, body.get("AuthParameters"), body.get("ChallengeResponses"))
    names = (
        part.get(key)
        for part in parts
        if isinstance(part, Mapping)
        for key in ("Username", "USERNAME")
    )
    return next((name for name in names if isinstance(name, str)), None)
