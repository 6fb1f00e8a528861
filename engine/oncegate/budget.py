"""The budget of codes: how many one user, and one source address, may cause over all flows.

SMS messages cost money, and fraud exploits that. The counts are in the record store, under keys of
their own, so that all workers share them. A budget is a soft limit in addition to the machine's hard
ones: it is charged after the code was sent, and a worker that dies in between charges nothing.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import NamedTuple

from oncegate.ports import StoredRecord


class CodeBudget(NamedTuple):
    """Limits over all flows.

    Attributes:
        per_user: codes within the window for one user, by the pool's own name once it is known.
        per_source: codes within the window for one source address, if the application passes it.
        window: seconds.
    """

    per_user: int = 10
    per_source: int = 30
    window: float = 3600.0

    def accounts(self, *, user: str = "", source: str | None = None) -> tuple[Account, ...]:
        """Return the budgets that a code counts against."""
        limits = (("user", user, self.per_user), ("source", source, self.per_source))
        return tuple(
            Account(_key(kind, name), limit, self.window) for kind, name, limit in limits if name
        )


class Account(NamedTuple):
    """The budget of one user or one source.

    Attributes:
        key: the row's key in the store; a digest, so that the store does not list who signs in.
    """

    key: str
    limit: int
    window: float

    def times(self, row: StoredRecord | None, now: float) -> list[float]:
        """Return when codes were sent within the window. An unreadable row counts as empty."""
        try:
            times = json.loads(row.sealed) if row else []
            return [float(time) for time in times if now - self.window < time <= now + self.window]
        except (ValueError, TypeError):
            return []

    def remains(self, row: StoredRecord | None, now: float) -> bool:
        """Return whether another code may be sent."""
        return len(self.times(row, now)) < self.limit

    def charged(self, row: StoredRecord | None, now: float) -> StoredRecord:
        """Return the row with one more code."""
        times = [*self.times(row, now)[-self.limit :], now]
        version = (row.version if row else 0) + 1
        return StoredRecord(version, json.dumps(times).encode(), now + self.window, durable=False)


DEFAULT_BUDGET = CodeBudget()


def _key(kind: str, name: str) -> str:
    return sha256(f"oncegate budget\0{kind}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[
        :32
    ]
