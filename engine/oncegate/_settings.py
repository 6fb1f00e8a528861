"""Checks of what an application passes: a wrong setting fails at start, not at the first user."""

from __future__ import annotations

import math
from typing import Any

from oncegate.errors import Misconfigured


def check_seconds(
    name: str, value: Any, *, most: float = math.inf, or_none_at_all: bool = False
) -> None:
    """Raise `Misconfigured` unless a setting is a number of seconds.

    Args:
        name: name of the setting.
        value: its value: more than 0.
        most: the most that it may be.
        or_none_at_all: whether it may be 0.
    """
    if not (_is_number(value) and 0 <= value < math.inf and value <= most) or (
        value == 0 and not or_none_at_all
    ):
        least = "0 or more" if or_none_at_all else "above 0"
        limit = "" if most == math.inf else f", and at most {most:g}"
        raise Misconfigured(f"{name} has to be a number of seconds, {least}{limit}")


def check_count(name: str, value: Any, *, least: int = 0) -> None:
    """Raise `Misconfigured` unless a setting is a whole number.

    Args:
        name: name of the setting.
        value: its value.
        least: the least that it may be.
    """
    if not (type(value) is int and value >= least):
        raise Misconfigured(f"{name} has to be a whole number, {least} or more")


def check_flag(name: str, value: Any) -> None:
    """Raise `Misconfigured` unless a setting is True or False, such as the text of a variable."""
    if not isinstance(value, bool):
        raise Misconfigured(f"{name} has to be True or False")


def check_text(name: str, value: Any, *, most: int | None = None) -> None:
    """Raise `Misconfigured` unless a setting is text that is not empty, and not too long."""
    if not (isinstance(value, str) and value and (most is None or len(value) <= most)):
        limit = "" if most is None else f", of at most {most} characters"
        raise Misconfigured(f"{name} has to be text{limit}")


def check_port(name: str, value: Any, port: type, *, instead: str) -> None:
    """Raise `Misconfigured` unless a setting is an object with what a port declares.

    Args:
        name: name of the setting.
        value: its value.
        port: the protocol.
        instead: what it has to be, in words.
    """
    declared = [one for one in dir(port) if not one.startswith("_")]
    missing = [one for one in declared if not hasattr(value, one)]
    if missing or isinstance(value, type):
        # An object that has some of it is meant to be one.
        lacks = f" without {', '.join(missing)}" if 0 < len(missing) < len(declared) else ""
        raise Misconfigured(f"{name} has to be {instead}, not {_kind(value)}{lacks}")


def check_function(name: str, value: Any) -> None:
    """Raise `Misconfigured` unless a setting is a function, or something else that can be called."""
    if not callable(value):
        raise Misconfigured(f"{name} has to be a function, not {_kind(value)}")


def _kind(value: Any) -> str:
    """Return what a value is, without the value: it may have a password in it."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
