"""A store, a token service and a browser for the tests of outages: each fails or hangs on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx

from oncegate import InvalidToken, StoreUnavailable, Tokens, Unreachable
from oncegate.adapters import StoredRecord
from oncegate.testing import ScriptedTransport
from oncegate_stores import MemoryStore
from oncegate_web import WebSignIn

TOKENS = Tokens(access_token="first", id_token="id", refresh_token="refresh")
EXPIRED = TOKENS.model_copy(update={"expires_in": 0})


class FaultyStore(MemoryStore):
    """A store that fails on demand, as one does whose database is away.

    Attributes:
        fails_to_load: raised by each `load`.
        fails_to_swap: raised by each `swap`.
        loses_answers: number of swaps that are applied although they fail.
        garbles: whether rows are loaded as a worker with other keys sees them.
        saved: all rows that were saved.
        ahead: seconds by which the store's clock is ahead of this machine's.
    """

    fails_to_load: Exception | None = None
    fails_to_swap: Exception | None = None
    loses_answers = 0
    garbles = False
    ahead = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[StoredRecord] = []

    def load(self, key: str) -> StoredRecord | None:
        if self.fails_to_load:
            raise self.fails_to_load
        row = super().load(key)
        return row._replace(sealed=row.sealed[::-1]) if row and self.garbles else row

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        if self.fails_to_swap:
            raise self.fails_to_swap
        is_saved = super().swap(key, expected, row)
        if is_saved:
            self.saved.append(row)
        if self.loses_answers:
            self.loses_answers -= 1
            raise StoreUnavailable("timed out")
        return is_saved

    def now(self) -> float:
        return super().now() + self.ahead

    def goes_down(self, error: Exception | None = None) -> None:
        self.fails_to_load = self.fails_to_swap = error or StoreUnavailable("connection refused")

    def comes_back(self) -> None:
        self.fails_to_load = self.fails_to_swap = None


class TokenDouble:
    """A token service whose calls hang, fail or answer as a test says.

    Attributes:
        renews: returns the new tokens, or raises.
        go_on: what a hanging call waits for.
        hanging: number of calls that hang.
    """

    def __init__(self, renews: Callable[[Tokens], Any] | None = None) -> None:
        self.renews = renews or self.hang
        self.verifies: Callable[[str], Any] = lambda _: {"sub": "1", "username": "ana"}
        self.checks: Callable[[Tokens], None] = lambda _: None
        self.go_on = threading.Event()
        self.renewals = 0
        self.revoked: list[Tokens] = []
        self._lock = threading.Lock()
        self.hanging = 0

    def hang(self, _: Tokens) -> Any:
        with self._lock:
            self.hanging += 1
        self.go_on.wait(60)
        raise Unreachable("timed out")

    def renew(self, tokens: Tokens) -> Any:
        with self._lock:
            self.renewals += 1
        return self.renews(tokens)

    def check(self, tokens: Tokens) -> None:
        self.checks(tokens)

    def verify(self, token: str, use: str = "access") -> Any:
        return self.verifies(token)

    def revoke(self, tokens: Tokens) -> None:
        self.revoked.append(tokens)

    def sign_out_everywhere(self, tokens: Tokens) -> None: ...

    def devices(self, tokens: Tokens) -> list[Any]:
        return []

    def logout_url(self, tokens: Tokens, return_to: str) -> str | None:
        return None

    def forget_device(self, tokens: Tokens, key: str) -> None: ...


def transport_with(service: Any, *outcomes: Any) -> ScriptedTransport:
    """Return a scripted transport that has a token service."""
    transport: Any = ScriptedTransport(*outcomes)
    transport.token_service = service
    return transport  # type: ignore[no-any-return]


def session_of(web: WebSignIn, tokens: Tokens = TOKENS) -> dict[str, str]:
    """Return the cookie of a new session, as after a sign-in."""
    return {"cookie": f"oncegate_session={web._site._sessions.create(tokens)}"}


def invalid(_: str) -> Any:
    """Verify no token."""
    raise InvalidToken("not a valid token")


def seconds_of(answer: httpx.Response) -> float:
    """Return how long a request took."""
    return answer.elapsed.total_seconds()
