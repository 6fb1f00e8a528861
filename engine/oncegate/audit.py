"""The audit log: who did what, from where, without a name that identifies the user.

Each line has a keyed pseudonym of the user, the source address, the family of the user agent and the
request's ID. The pseudonym is the same for every spelling of a name, and only the holder of the
application's key can compute it for a name: to find the lines of one user, use `AuditLog.pseudonym`.
"""

from __future__ import annotations

import logging
from typing import Any

from oncegate._log import logger
from oncegate._seal import SealingKeys
from oncegate._user_agent import browser_of
from oncegate.budget import same_name
from oncegate.context import RequestContext
from oncegate.ports import Transition


class AuditLog:
    """A listener that writes one JSON line for each transition and each suppressed event.

    The lines go to the standard library's logger ``oncegate.audit``, at INFO.

    Args:
        keys: the application's keys.

    Example:
        >>> SignIn(..., keys=keys, listeners=[LogListener(), AuditLog(keys)])
    """

    def __init__(self, keys: SealingKeys) -> None:
        self._keys = keys
        self._log = logger("oncegate.audit")

    def __call__(self, transition: Transition, /) -> None:
        self.write(
            transition.cause,
            user=transition.user,
            context=transition.context,
            flow=transition.flow,
            source=transition.source,
            target=transition.target,
            reason=transition.suppressed or transition.message or "",
            delivered=transition.delivered,
        )

    def write(
        self,
        action: str,
        *,
        user: str = "",
        context: RequestContext | None = None,
        **facts: Any,
    ) -> None:
        """Write one line.

        Args:
            action: what was done, such as the type of an event or of an outcome.
            user: name of the user, which is replaced by the pseudonym; empty if it is not known.
            context: the request; None if time or a job did it.
            **facts: further facts. Secrets are redacted.
        """
        if not logging.getLogger("oncegate.audit").isEnabledFor(logging.INFO):
            return
        self._log.info(
            action,
            user=self.pseudonym(user) if user else "",
            address=(context.source_address or "") if context else "",
            agent=browser_of(context.user_agent) if context else "",
            request=context.request_id if context else "",
            **facts,
        )

    def pseudonym(self, user: str) -> str:
        """Return the name of a user in the log, 16 hexadecimal digits."""
        return self.pseudonyms(user)[0]

    def pseudonyms(self, user: str) -> list[str]:
        """Return `pseudonym`, and the names of the user in lines that were written with other keys."""
        return [key[:16] for key in self._keys.row_keys("audit", same_name(user))]
