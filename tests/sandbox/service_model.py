"""Compares the sandbox's responses with botocore's service model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from oncegate_sandbox._model import service_model

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "blob": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "timestamp": (int, float),
}


def deviations(operation: str, response: Mapping[str, Any]) -> list[str]:
    """Return where a response has members that the model lacks, lacks some, or has other types."""
    if operation not in service_model().operation_names:
        return []
    output = service_model().operation_model(operation).output_shape
    if output is None:
        return [f"{operation}: {sorted(response)} in an empty response"] if response else []
    return list(_deviations(output, response, operation))


def _deviations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.metadata.get("document"):
        return
    if isinstance(shape, StructureShape):
        yield from _of_structure(shape, value, path)
    elif isinstance(shape, MapShape):
        for name, one in value.items():
            yield from _deviations(shape.value, one, f"{path}.{name}")
    elif isinstance(shape, ListShape):
        for one in value:
            yield from _deviations(shape.member, one, f"{path}[]")
    elif type(value) not in _TYPES[shape.type_name]:
        yield f"{path}: {type(value).__name__} for {shape.type_name}"
    elif shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        yield f"{path}: {value}"


def _of_structure(shape: StructureShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path}: {type(value).__name__}"
        return
    yield from (f"{path}.{name}: missing" for name in shape.required_members if name not in value)
    for name, one in value.items():
        if name in shape.members and one is not None:
            yield from _deviations(shape.members[name], one, f"{path}.{name}")
        else:
            yield f"{path}.{name}: {'null' if one is None else 'unknown'}"
