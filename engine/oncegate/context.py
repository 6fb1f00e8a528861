"""What a user interface passes with each event: the step that the user saw, and the request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oncegate._seal import FlowId
    from oncegate.challenges import SignedIn
    from oncegate.ports import DeviceVault

_request_id: ContextVar[str] = ContextVar("oncegate request", default="")


def _may_send(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class StepRef:
    """A step, by the two things that identify it: for a user interface that did not keep the step.

    Attributes:
        flow_id: opens the stored record, so treat it as a password; it is not in the repr. Text, or
            parsed (`oncegate.adapters.FlowId.parse`).
        version: version of the step that the user saw.
    """

    flow_id: str | FlowId = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The request that brought an event. It goes to budgets, listeners and the transport.

    Attributes:
        source_address: the client's IP address, for its budget of codes.
        user_agent: User-Agent header.
        language: BCP 47 tag of the user's language.
        client_metadata: ClientMetadata for the pool's Lambda triggers, such as a CAPTCHA token. It goes
            with this event's requests only, is not stored, and is not in the repr.
        encoded_data: what AWS's script for threat protection collected in the user's browser
            (EncodedData). The same holds for it.
        server_name: host that received the request, for threat protection (ServerName).
        server_path: path of the request (ServerPath).
        request_id: the application's name for the request, such as X-Request-ID; by default that of
            the enclosing `request_id` block.
        device_vault: the devices of this browser or program; by default the driver's own vault.
        known_users: users who have signed in before in this browser, by the pool's own names, of which
            the browser has proof that it cannot make up. Codes that need no password are counted apart
            for them, so that others cannot use them up.
        may_send: asked by a transport that learns the user's own name within a call, before the request
            that can send a code: whether this user may be sent another one. The driver sets it.
        deadline: seconds since the Unix epoch, by this machine's clock, after which the transport lets
            no request leave. The driver sets it.
        patience: seconds that a repeated event waits for the step of the first one; by default the
            driver's own.
        signed_in: the user who changes the account. `oncegate.account.Account` sets it.
    """

    source_address: str | None = None
    user_agent: str = ""
    language: str = ""
    client_metadata: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    encoded_data: str = field(default="", repr=False)
    server_name: str = ""
    server_path: str = ""
    request_id: str = field(default_factory=_request_id.get)
    device_vault: DeviceVault | None = field(default=None, repr=False)
    known_users: frozenset[str] = field(default=frozenset(), repr=False)
    may_send: Callable[[str], bool] = field(default=_may_send, repr=False, compare=False)
    deadline: float | None = None
    patience: float | None = None
    signed_in: SignedIn | None = field(default=None, repr=False, compare=False)


@contextmanager
def request_id(name: str) -> Iterator[None]:
    """Use a request ID for every `RequestContext` made within the block.

    Args:
        name: such as an X-Request-ID. It follows the context into threads that asyncio starts.
    """
    token = _request_id.set(name)
    try:
        yield
    finally:
        _request_id.reset(token)
