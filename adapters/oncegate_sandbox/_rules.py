"""The table of rules: what the sandbox plays, each with its source, and which rules are inferred.

A rule stands beside the code that plays it, as a decorator or as a call::

    @rule("totp-once", "An authenticator code is accepted once.", source="RFC 6238, section 5.2")
    def use_totp_code(…): …

    rule("device-after-password", "An unknown device is reported after the password.", inferred=True)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True)
class Rule:
    """One rule, as ``GET /_sandbox/rules`` returns it.

    Attributes:
        id: short unique name.
        what: one sentence.
        source: document, recording or public report that states the rule. Empty if it is inferred.
        inferred: whether no source states the rule.
        module: module that plays it.
    """

    id: str
    what: str
    source: str
    inferred: bool
    module: str


_RULES: dict[str, Rule] = {}


def rule(
    id: str,  # noqa: A002 - the name in the table
    what: str,
    *,
    source: str = "",
    inferred: bool = False,
) -> Callable[[_T], _T]:
    """Register a rule of the calling module.

    Args:
        id: short unique name, such as ``session-used-once``.
        what: one sentence that says what the sandbox does.
        source: where this is stated, such as ``amplify-js#7615`` or ``API reference, InitiateAuth``.
            Default: none, for inferred rules only.
        inferred: whether no source states the rule. ``source`` can then say what it was inferred from.

    Returns:
        A decorator that returns its argument unchanged; a plain call can ignore it.

    Raises:
        ValueError: the ID is taken by another module, or a rule has no source.
    """
    module = sys._getframe(1).f_globals["__name__"]
    if not source and not inferred:
        raise ValueError(f"rule {id}: name its source, or mark it inferred")
    if id in _RULES and _RULES[id].module != module:
        raise ValueError(f"rule {id}: {_RULES[id].module} has a rule of this name")
    _RULES[id] = Rule(id, what, source, inferred, module)
    return _unchanged


def _unchanged(decorated: _T) -> _T:
    return decorated


def rules() -> tuple[Rule, ...]:
    """Return all rules of the modules that were imported, in the order of their modules and IDs."""
    return tuple(sorted(_RULES.values(), key=lambda one: (one.module, one.id)))
