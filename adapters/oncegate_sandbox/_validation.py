"""The constraints of botocore's service model: required members, lengths, patterns, enums and ranges.

Cognito checks these before anything else, with the words of AWS's own framework. Each operation's
input is compiled to a check once, at its first use. The values of members that the model marks as
sensitive, such as passwords, never appear in a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import regex
from botocore.model import ListShape, MapShape, Shape, StructureShape

from oncegate_sandbox._model import service_model
from oncegate_sandbox._rules import rule
from oncegate_sandbox.errors import CognitoError, invalid_parameter

_Violation = tuple[str, str]
"""A value as a message quotes it, with its path, and the constraint that it breaks."""

_Check = Callable[[Any, str], Iterator[_Violation]]
"""Yields the violations of a value that is not null, given its path."""

_FOUND = "found where not expected."

rule(
    "constraints",
    "The service model's own patterns, lengths, enums and required members are checked first: "
    "InvalidParameterException, '1 validation error detected: Value … at … failed to satisfy "
    "constraint: …'. Values of sensitive members are not quoted.",
    source="amplify-js#869, anomalyco/guide#127; recorded pool for several violations at once",
)
rule(
    "constraints-of-lists",
    "A list of strings is quoted whole, with all constraints of its members: 'Member must satisfy "
    "constraint: […]'.",
    source="aws-solutions/media-insights-on-aws#199, aws-cli#2941",
)
rule(
    "password-pattern",
    "A password cannot begin or end with a blank: ^[\\S]+.*[\\S]+$, stricter than the service model's "
    "length and looser than its pattern.",
    source="amplify-js#869, #3723; AWS developer guide, password requirements",
)
rule(
    "serialization",
    "A member of another JSON type: SerializationException, 'NUMBER_VALUE can not be converted to a "
    "String'.",
    source="pmill/aws-cognito#10, amplify-js#13265, aws-cdk#27087",
)
rule(
    "invalid-unicode",
    "A string with a lone surrogate: SerializationException, as for a body that is no JSON.",
    inferred=True,
)

# The model says [\S]+, but Cognito has always answered with, and accepted by, this pattern.
_PATTERNS = {"PasswordType": r"^[\S]+.*[\S]+$"}

# In Java's regular expressions, which AWS uses, these classes are ASCII only and \p is Unicode.
_ASCII = {
    r"\w": "[A-Za-z0-9_]",
    r"\d": "[0-9]",
    r"\s": r"[ \t\n\x0b\f\r]",
    r"\S": r"[^ \t\n\x0b\f\r]",
}


def check_request(operation: str, request: Mapping[str, Any]) -> None:
    """Check a request against the service model. Operations that the model lacks are not checked.

    Raises:
        CognitoError: InvalidParameterException, or SerializationException for a wrong type.
    """
    _reject(list(_check_of(operation)(request, "")))


def check_value(shape: str, path: str, value: str) -> None:
    """Check one value that is not a member of its own in a request, such as NEW_PASSWORD.

    Args:
        shape: name of a shape of the service model, such as ``PasswordType``.
        path: the path that the message names, such as ``password``.
        value: the value.

    Raises:
        CognitoError: InvalidParameterException.
    """
    _reject(list(_check_of_shape(shape)(value, path)))


def _reject(violations: Sequence[_Violation]) -> None:
    if violations:
        count = len(violations)
        detected = f"{count} validation error{'s' if count > 1 else ''} detected: "
        raise invalid_parameter(
            detected
            + "; ".join(
                f"{value} failed to satisfy constraint: {text}" for value, text in violations
            )
        )


@cache
def _check_of(operation: str) -> _Check:
    if operation not in service_model().operation_names:
        return _accept
    shape = service_model().operation_model(operation).input_shape
    return _accept if shape is None else _compiled(shape)


@cache
def _check_of_shape(name: str) -> _Check:
    return _compiled(service_model().shape_for(name))


def _accept(_: Any, __: str) -> Iterator[_Violation]:
    return iter(())


def _compiled(shape: Shape) -> _Check:
    if shape.metadata.get("document"):
        return _accept
    if isinstance(shape, StructureShape):
        return _structure(shape)
    if isinstance(shape, MapShape):
        return _map(shape)
    if isinstance(shape, ListShape):
        return _list(shape)
    return _scalar(shape)


def _structure(shape: StructureShape) -> _Check:
    # Shapes are compiled at their first use: most members of large requests are never sent.
    checks: dict[str, _Check] = {}
    required = shape.required_members

    def check(value: Any, path: str) -> Iterator[_Violation]:
        if not isinstance(value, Mapping):
            raise _unexpected(value, "a structure or map")
        for name, member in shape.members.items():
            at = f"{path}.{_camel(name)}" if path else _camel(name)
            given = value.get(name)
            if given is None:
                if name in required:
                    yield _quoted(member, None, at), "Member must not be null"
                continue
            if name not in checks:
                checks[name] = _compiled(member)
            yield from checks[name](given, at)

    return check


def _map(shape: MapShape) -> _Check:
    check_value_, bounds = _compiled(shape.value), _bounds(shape)
    key_constraints = _constraints(shape.key)

    def check(value: Any, path: str) -> Iterator[_Violation]:
        if not isinstance(value, Mapping):
            raise _unexpected(value, "a structure or map")
        for text in _broken(bounds, value):
            yield _quoted(shape, value, path), text
        if any(list(_broken(key_constraints, key)) for key in value):
            # A key is quoted with its map: 'Map keys must satisfy constraint: […]'.
            constraints = ", ".join(text for _, text in reversed(key_constraints))
            yield _quoted(shape, value, path), f"Map keys must satisfy constraint: [{constraints}]"
        for key, one in value.items():
            if one is not None:
                yield from check_value_(one, f"{path}.{key}.member")

    return check


def _list(shape: ListShape) -> _Check:
    member, bounds = shape.member, _bounds(shape)
    is_plain = not isinstance(member, StructureShape | MapShape | ListShape)
    member_constraints = _constraints(member) if is_plain else []
    check_member = _compiled(member)

    def check(value: Any, path: str) -> Iterator[_Violation]:
        if not isinstance(value, list):
            raise _unexpected(value, "a list")
        for text in _broken(bounds, value):
            yield _quoted(shape, value, path), text
        if not is_plain:
            for index, one in enumerate(value, 1):
                yield from check_member(one, f"{path}.{index}.member")
            return
        violations = [found for one in value for found in check_member(one, path)]
        if violations:
            constraints = ", ".join(text for _, text in reversed(member_constraints))
            text = f"Member must satisfy constraint: [{constraints}]"
            yield _quoted(shape, value, path), text

    return check


def _scalar(shape: Shape) -> _Check:
    constraints, accepts = _constraints(shape), _TYPES.get(shape.type_name, _is_anything)

    def check(value: Any, path: str) -> Iterator[_Violation]:
        accepts(value)
        for text in _broken(constraints, value):
            yield _quoted(shape, value, path), text

    return check


# ── constraints: each is a predicate, and its words ──

_Constraint = tuple[Callable[[Any], bool], str]


def _constraints(shape: Shape) -> list[_Constraint]:
    """Return the constraints of a shape, in the order in which Cognito reports them."""
    found: list[_Constraint] = []
    metadata = shape.metadata
    if pattern := _PATTERNS.get(shape.name, metadata.get("pattern")):
        compiled = _java_pattern(pattern)
        text = f"Member must satisfy regular expression pattern: {pattern}"
        found.append((lambda value: compiled.fullmatch(value) is not None, text))
    found += _bounds(shape)
    if enum := metadata.get("enum"):
        allowed = frozenset(enum)
        text = f"Member must satisfy enum value set: [{', '.join(enum)}]"
        found.append((lambda value: value in allowed, text))
    return found


def _bounds(shape: Shape) -> list[_Constraint]:
    is_number = shape.type_name in {"integer", "long", "float", "double"}
    measure: Callable[[Any], float] = float if is_number else len
    what = "value" if is_number else "length"
    found: list[_Constraint] = []
    if (low := shape.metadata.get("min")) is not None:
        text = f"Member must have {what} greater than or equal to {low}"
        found.append((lambda value: measure(value) >= low, text))
    if (high := shape.metadata.get("max")) is not None:
        text = f"Member must have {what} less than or equal to {high}"
        found.append((lambda value: measure(value) <= high, text))
    return found


def _broken(constraints: Sequence[_Constraint], value: Any) -> Iterator[str]:
    return (text for holds, text in constraints if not holds(value))


@cache
def _java_pattern(pattern: str) -> regex.Pattern[str]:
    return regex.compile(regex.sub(r"\\[wdsS]", lambda match: _ASCII[match[0]], pattern), regex.V1)


# ── types ──


def _is_string(value: Any) -> None:
    if not isinstance(value, str):
        raise _unexpected(value, "a String")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CognitoError("SerializationException", "") from None


def _is_number(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unexpected(value, "an Integer")


def _is_boolean(value: Any) -> None:
    if not isinstance(value, bool):
        raise _unexpected(value, "a Boolean")


def _is_anything(_: Any) -> None:
    pass


_TYPES: dict[str, Callable[[Any], None]] = {
    "string": _is_string,
    "blob": _is_string,
    "integer": _is_number,
    "long": _is_number,
    "boolean": _is_boolean,
}


def _unexpected(value: Any, expected: str) -> CognitoError:
    """Return the error for a value of another JSON type."""
    if isinstance(value, Mapping):
        text = f"Start of structure or map {_FOUND}"
    elif isinstance(value, list):
        text = f"Start of list {_FOUND}"
    elif expected in {"a structure or map", "a list"}:
        text = f"Unexpected field type: {_token(value)}"
    else:
        text = f"{_token(value)} can not be converted to {expected}"
    return CognitoError("SerializationException", text)


def _token(value: Any) -> str:
    if value is None:
        return "NULL_VALUE"
    if isinstance(value, bool):
        return f"{str(value).upper()}_VALUE"
    return "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"


# ── words ──


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _quoted(shape: Shape, value: Any, path: str) -> str:
    """Return ``Value 'x' at 'path'``, without the value if the model marks a part as sensitive."""
    if _is_sensitive(shape):
        return f"Value at '{path}'"
    return f"Value null at '{path}'" if value is None else f"Value '{_text(value)}' at '{path}'"


def _is_sensitive(shape: Shape, above: tuple[str, ...] = ()) -> bool:
    if shape.metadata.get("sensitive"):
        return True
    if shape.name in above:
        return False
    parts: list[Shape] = []
    if isinstance(shape, StructureShape):
        parts = list(shape.members.values())
    elif isinstance(shape, MapShape):
        parts = [shape.key, shape.value]
    elif isinstance(shape, ListShape):
        parts = [shape.member]
    return any(_is_sensitive(part, (*above, shape.name)) for part in parts)


def _text(value: Any) -> str:
    """Return a value as Java prints it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}={_text(one)}' for key, one in value.items())}}}"
    return str(value).lower() if isinstance(value, bool) else str(value)
