"""What the endpoints of managed login share: their requests, how one ends, and replies in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from oncegate_sandbox._wire import Json
from oncegate_sandbox.faults import Reply


@dataclass(frozen=True)
class EndpointRequest:
    """One request to an endpoint.

    Attributes:
        method: ``GET`` or ``POST``.
        query: parameters of the URL.
        form: fields of the body.
        headers: headers, by their names in lower case.
        cookies: cookies.
    """

    method: str
    query: Mapping[str, str]
    form: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    cookies: Mapping[str, str] = field(repr=False)


class Refused(Exception):
    """Ends a request with a reply.

    Args:
        reply: what the client gets.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.error)
        self.reply = reply


def json_reply(content: Json, status: int = 200) -> Reply:
    """Return a reply in JSON."""
    return Reply(
        status,
        json.dumps(content).encode(),
        "application/json;charset=UTF-8",
        {"Cache-Control": "no-store"},
        content.get("error"),
    )


def json_error(error: str, description: str = "", status: int = 400) -> Reply:
    """Return an error as RFC 6749, 5.2, describes it."""
    return json_reply({"error": error, **described(description)}, status)


def described(description: str) -> dict[str, str]:
    """Return ``error_description``, unless it is empty."""
    return {"error_description": description} if description else {}
