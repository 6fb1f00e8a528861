"""Logging with structlog: a listener that writes one line per transition, and a redacting processor.

The lines go to the standard library's logger ``oncegate``, so an application that has not asked for
them sees none.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from oncegate.ports import Transition

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

REDACTED = "[redacted]"

_SECRET_NAMES = re.compile(
    r"password|secret|(^|mfa_|otp_|user_)codes?$|session$|token|verifier|srp_a|signature|cookie"
    r"|authorization|flow_id",
    re.IGNORECASE,
)
# A JWT, or an unbroken run of the length of a Cognito session. Nothing we mean to log is like that.
_SECRET_LOOKS = re.compile(r"eyJ[\w-]+\.[\w.-]+|[\w+/=.-]{200,}")


def redact_secrets(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """A structlog processor that takes secrets out, by their names and by their looks.

    Put it into your own chain before the renderer. It goes into mappings and sequences.
    """
    return {key: _redacted(key, value) for key, value in event_dict.items()}


def _redacted(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return REDACTED
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redacted(name, item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return REDACTED if value and _SECRET_NAMES.search(name) else value
    if _SECRET_NAMES.search(name):
        return REDACTED
    text = value if isinstance(value, str) else repr(value)
    return _SECRET_LOOKS.sub(REDACTED, text)


def logger() -> Any:
    """The logger that oncegate writes to: structlog in front of ``logging.getLogger("oncegate")``."""
    # Imported here because structlog brings in rich wherever rich is installed, which is of no use
    # to a program that embeds us.
    import structlog

    return structlog.wrap_logger(
        logging.getLogger("oncegate"),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


class LogListener:
    """Writes one line for each transition: the flow, where from, where to, and why."""

    def __init__(self) -> None:
        self._log = logger()

    def __call__(self, transition: Transition, /) -> None:
        facts = transition._asdict()
        context = facts.pop("context")
        self._log.info("transition", **facts, request=context.request_id if context else "")
