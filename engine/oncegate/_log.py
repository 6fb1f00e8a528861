"""Logging with structlog: a listener that writes one line per transition, and a redacting processor.

The lines go to the standard library's logger ``oncegate``, so an application sees them only if it
configures that logger.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from oncegate._metrics import call_failed, reached_limit
from oncegate.ports import Transition

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

REDACTED = "[redacted]"

_SECRET_NAMES = re.compile(
    r"password|secret|(^|mfa_|otp_|user_)codes?$|session$|token|verifier|srp_a|signature|cookie"
    r"|authorization|flow_id",
    re.IGNORECASE,
)
# A JWT, or a run without blanks that is as long as a Cognito session. Nothing else in our log is.
_JWT_BEGINS: Final = "eyJ"
_LONG: Final = 200
_SECRET_LOOKS = re.compile(rf"{_JWT_BEGINS}[\w-]+\.[\w.-]+|[\w+/=.-]{{{_LONG},}}")


def redact_secrets(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Redact secrets, by their names and by their form. A structlog processor.

    Put it into your own chain, before the renderer. It also redacts within mappings and sequences.
    """
    return {key: _redacted(key, value) for key, value in event_dict.items()}


def _redacted(name: str, value: Any) -> Any:
    if isinstance(value, str):  # first: most values are
        return REDACTED if _is_secret_name(name) else _without_secrets(value)
    if value is None or isinstance(value, (bool, int, float)):
        return REDACTED if value and _is_secret_name(name) else value
    if isinstance(value, SecretStr):
        return REDACTED
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redacted(name, item) for item in value]
    return REDACTED if _is_secret_name(name) else _without_secrets(repr(value))


def _without_secrets(text: str) -> str:
    # Most values are short: the expression, which tries each position, cannot match them.
    if len(text) < _LONG and _JWT_BEGINS not in text:
        return text
    return _SECRET_LOOKS.sub(REDACTED, text)


@lru_cache(maxsize=512)
def _is_secret_name(name: str) -> bool:
    # A log has few names, each in every line.
    return _SECRET_NAMES.search(name) is not None


def logger(name: str = "oncegate") -> Any:
    """Return a logger of oncegate: structlog in front of the standard library's logger of that name."""
    # Imported here because structlog imports rich if it is installed, which most programs do not need.
    import structlog

    proxy = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return proxy.bind()  # the proxy itself would bind a new logger for each line


class LogListener:
    """Writes one line for each transition: flow, source, target and cause.

    At INFO. At WARNING if a limit was reached, if Cognito was not reached or throttled the call, if a
    firewall refused it, if its outcome is unknown, and if an identity provider failed. At ERROR if the
    set-up is wrong, with Cognito's words and what to do about them.
    """

    def __init__(self) -> None:
        self._log = logger()

    def __call__(self, transition: Transition, /) -> None:
        is_for_operators = reached_limit(transition) or call_failed(transition)
        level = logging.WARNING if is_for_operators else logging.INFO
        if transition.message == "misconfigured":
            level = logging.ERROR  # only the developer can do something about it
        if not self._log.isEnabledFor(level):
            return  # without the work for a line that is not written
        facts = transition._asdict()
        context = facts.pop("context")
        del facts["user"]  # a name in a log is personal data; the audit log has a pseudonym
        self._log.log(level, "transition", **facts, request=context.request_id if context else "")
