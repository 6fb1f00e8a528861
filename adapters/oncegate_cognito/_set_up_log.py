"""`SetUpLog`: what only a developer or an operator can end is logged at ERROR, with the cure."""

from __future__ import annotations

import threading
import time
from typing import Final

from oncegate.adapters import Outcome, Rejected, RejectionReason, logger
from oncegate_cognito.errors import is_set_up, words_and_cure

_QUIET_SECONDS: Final = 60.0


class SetUpLog:
    """Logs wrong set-ups that a flow tells in other words, such as an SMS role or a host name.

    One line for each cause a minute: while a host name is not known, each sign-in fails by it. An
    outcome that is ``misconfigured`` is not logged here, since the flow's own line is an ERROR.
    """

    def __init__(self) -> None:
        self._log = logger()
        self._lock = threading.Lock()
        self._logged_at: dict[str, float] = {}

    def report(self, operation: str, outcome: Outcome) -> None:
        """Log the outcome of a call if its cause is the set-up.

        Args:
            operation: name of the call or operation.
            outcome: what it came to.
        """
        is_told = isinstance(outcome, Rejected) and outcome.reason is RejectionReason.MISCONFIGURED
        if is_told or not is_set_up(outcome):
            return
        detail = str(getattr(outcome, "detail", ""))
        # Cognito's words may differ each time, such as those of a trigger.
        cause = words_and_cure(detail)[1]
        now = time.monotonic()
        with self._lock:
            if now - self._logged_at.get(cause, -_QUIET_SECONDS) < _QUIET_SECONDS:
                return
            self._logged_at[cause] = now
        self._log.error("wrong set-up", operation=operation, detail=detail)
