"""The budget of codes: how many one user, and one source address, may cause over all flows.

Text messages cost money, and there is fraud that lives on it. The counts live in the flow store,
under keys of their own, so that all workers share them and no further port is needed. A budget is a
soft limit beside the machine's hard ones: it is charged after the code went out, and a worker that
dies in between charges nothing.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import NamedTuple

from oncegate.ports import StoredFlow


class CodeBudget(NamedTuple):
    """Limits over all flows.

    Attributes:
        per_user: codes within the window for one user; by the pool's own name, once that is known.
        per_source: codes within the window for one source address, where the application gives it.
        window: seconds.
    """

    per_user: int = 10
    per_source: int = 30
    window: float = 3600.0

    def accounts(self, *, user: str = "", source: str | None = None) -> tuple[Account, ...]:
        """Whose budgets a code is on."""
        limits = (("user", user, self.per_user), ("source", source, self.per_source))
        return tuple(
            Account(_key(kind, name), limit, self.window) for kind, name, limit in limits if name
        )


class Account(NamedTuple):
    """The budget of one user or one source.

    Attributes:
        key: in the store; a digest, so that the store does not list who signs in.
    """

    key: str
    limit: int
    window: float

    def times(self, row: StoredFlow | None, now: float) -> list[float]:
        """When codes went out within the window. A row that cannot be read counts for nothing."""
        try:
            times = json.loads(row.sealed) if row else []
            return [float(time) for time in times if now - self.window < time <= now + self.window]
        except (ValueError, TypeError):
            return []

    def remains(self, row: StoredFlow | None, now: float) -> bool:
        """Whether another code may go out."""
        return len(self.times(row, now)) < self.limit

    def charged(self, row: StoredFlow | None, now: float) -> StoredFlow:
        """The row with one more code on it."""
        times = [*self.times(row, now)[-self.limit :], now]
        version = (row.version if row else 0) + 1
        return StoredFlow(version, json.dumps(times).encode(), now + self.window, lasting=False)


DEFAULT_BUDGET = CodeBudget()


def _key(kind: str, name: str) -> str:
    return sha256(f"oncegate budget\0{kind}\0{name}".encode()).hexdigest()[:32]
