"""botocore's service model of Cognito: its errors, and the members that it marks as sensitive."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

HIDDEN = "***"


@cache
def service_model() -> ServiceModel:
    """Return the service model. Loading it takes a fifth of a second, once."""
    return ServiceModel(_description(), "cognito-idp")


@cache
def _description() -> Mapping[str, Any]:
    return Loader().load_service_model("cognito-idp", "service-2")


@cache
def errors() -> Mapping[str, int]:
    """Return the status code of each modelled error, by its name."""
    return {
        name: 500 if shape.get("fault") else 400
        for name, shape in _description()["shapes"].items()
        if shape.get("exception")
    }


def errors_of(operation: str) -> frozenset[str]:
    """Return the errors that the model lists for an operation; none for an unknown one."""
    if operation not in service_model().operation_names:
        return frozenset()
    return frozenset(
        shape.name for shape in service_model().operation_model(operation).error_shapes
    )


def meaning(code: str) -> str:
    """Return what the model says about an error, as one sentence without markup."""
    text = re.sub(r"<[^>]+>", "", service_model().shape_for(code).documentation)
    return " ".join(text.split()).partition(". ")[0].removesuffix(".") + "."


def redacted(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with every sensitive and every unknown member hidden."""
    shape: Shape | None = None
    if operation in service_model().operation_names:
        shape = service_model().operation_model(operation).input_shape
    hidden: dict[str, Any] = _redacted(shape, request)
    return hidden


def _redacted(shape: Shape | None, value: Any) -> Any:
    """Return a value without its sensitive parts. Names of members are kept."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {name: _redacted(shape.members.get(name), one) for name, one in value.items()}
    if isinstance(value, Mapping) and (shape is None or shape.metadata.get("sensitive")):
        return dict.fromkeys(value, HIDDEN)
    if shape is None or shape.metadata.get("sensitive"):
        return HIDDEN
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {name: _redacted(shape.value, one) for name, one in value.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_redacted(shape.member, one) for one in value]
    return HIDDEN if isinstance(value, Mapping | list) else value
