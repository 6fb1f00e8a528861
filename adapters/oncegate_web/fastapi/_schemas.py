"""The schemas of the JSON API in the application's own OpenAPI document, under names of their own.

FastAPI collects schemas from pydantic models. Those of the API are more exact than its models say, so
each is a model without fields that stands for one schema of `oncegate_web._openapi`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, GetJsonSchemaHandler, create_model
from pydantic_core import CoreSchema

from oncegate_web._openapi import Operation, document
from oncegate_web.http import JSON, PROBLEM

_REF = "#/components/schemas/"

_ALONGSIDE = {"Step": ("Event", "Problem"), "AccountStep": ("AccountEvent",)}
"""Schemas that no response in JSON has. They are in the document if something there refers to them."""


_PREFIX = "Oncegate"


class _Schema(BaseModel):
    """One schema of the API. Its fields are the schemas that it refers to, by their names."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        name = cls.__name__.removeprefix(_PREFIX)
        fields = handler.resolve_ref_schema(handler(core)).get("properties", {})
        schema: dict[str, Any] = _renamed(_schemas()[name])
        return schema | {f"x-{one.lower()}": fields[one] for one in _ALONGSIDE.get(name, ())}


@cache
def _schemas() -> dict[str, Any]:
    found: dict[str, Any] = document("", account=True)["components"]["schemas"]
    return found


@cache
def _model(name: str) -> Any:
    refers_to = _references(_schemas()[name]) | set(_ALONGSIDE.get(name, ()))
    fields: dict[str, Any] = {one: (_model(one), ...) for one in sorted(refers_to)}
    return create_model(f"{_PREFIX}{name}", __base__=_Schema, **fields)


def _references(schema: Any) -> set[str]:
    """Return the names of the schemas that a part of a document refers to."""
    if isinstance(schema, dict):
        own = {schema["$ref"].removeprefix(_REF)} if "$ref" in schema else set()
        return own.union(*map(_references, schema.values()))
    return set().union(*map(_references, schema)) if isinstance(schema, list) else set()


def _renamed(schema: Any) -> Any:
    """Return a part of a document whose references have our names."""
    if isinstance(schema, list):
        return [_renamed(one) for one in schema]
    if isinstance(schema, dict):
        return {name: _renamed(one) for name, one in schema.items()}
    is_reference = isinstance(schema, str) and schema.startswith(_REF)
    return schema.replace(_REF, f"{_REF}{_PREFIX}") if is_reference else schema


def described(operation: Operation, name: str) -> dict[str, Any]:
    """Return the arguments of ``add_api_route`` that describe an operation.

    Args:
        operation: the operation.
        name: name of the sign-in, which makes the operation's ID its own.
    """
    about = dict(operation.described)
    responses = about.pop("responses")
    success = "200" if "200" in responses else "204"
    extra = {key: about[key] for key in ("parameters", "requestBody") if key in about}
    return {
        "operation_id": f"{name}_{about['operationId']}",
        "summary": about["summary"],
        "description": about["summary"],
        "response_model": None,
        "response_class": JSONResponse,
        "status_code": int(success),
        "response_description": responses[success]["description"],
        "responses": {int(status): _response(one) for status, one in responses.items()},
        "openapi_extra": _renamed(extra),
    }


def _response(response: dict[str, Any]) -> dict[str, Any]:
    """Return a response with the model of its schema in place of a reference."""
    content = response.get("content", {})
    if JSON not in content:
        renamed: dict[str, Any] = _renamed(response)
        return renamed
    model = _model(content[JSON]["schema"]["$ref"].removeprefix(_REF))
    return {"description": response["description"], "model": model}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what ``responses=`` of a route says of refusals, for any application's document."""
    problem = _schemas()["Problem"]
    return {
        status: {"description": text, "content": {PROBLEM: {"schema": problem}}}
        for status, text in _REFUSALS.items()
        if status in statuses
    }


_REFUSALS = {
    401: "Sign in first. For a page in a browser: 303, to the sign-in.",
    403: "The user lacks a group or a scope, or the request came from another site.",
    503: "It cannot be determined who is signed in: try again after the seconds of Retry-After.",
}
