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
    loaded: Mapping[str, Any] = Loader().load_service_model("cognito-idp", "service-2")
    return loaded


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
    return {name: _redacted(shape and _member(shape, name), one) for name, one in request.items()}


def _redacted(shape: Shape | None, value: Any) -> Any:
    """Return a value without its sensitive and unknown parts. Names of members are kept."""
    if shape is None or shape.metadata.get("sensitive"):
        return dict.fromkeys(value, HIDDEN) if isinstance(value, Mapping) else HIDDEN
    if isinstance(value, Mapping):
        return {name: _redacted(_member(shape, name), one) for name, one in value.items()}
    if isinstance(value, list):
        member = shape.member if isinstance(shape, ListShape) else None
        return [_redacted(member, one) for one in value]
    return value


def _member(shape: Shape, name: str) -> Shape | None:
    if isinstance(shape, StructureShape):
        return shape.members.get(name)
    return shape.value if isinstance(shape, MapShape) else None
