"""The account's part of the OpenAPI document; see `oncegate_web._openapi`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from oncegate.account import AccountEvent, AccountState

PATHS = {
    "/account": "account",
    "/account/events": "account-events",
}
"""Names of the paths."""


def event_schemas(ref_template: str) -> dict[str, Any]:
    """Return the schema of the account's events, with those of each under ``$defs``."""
    events: TypeAdapter[AccountEvent] = TypeAdapter(
        Annotated[AccountEvent, Field(discriminator="type")]
    )
    return events.json_schema(ref_template=ref_template)


def schemas(step: dict[str, Any], events: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas that only the account needs.

    Args:
        step: schema of the step of a sign-in.
        events: schema of the account's events.
    """
    states = [state.value for state in AccountState if state is not AccountState.SETTLING]
    text, time = {"type": "string"}, {"anyOf": [_TIME, {"type": "null"}]}
    attribute = {"type": "string", "enum": ["email", "phone_number"]}
    factor = {"type": "string", "enum": ["SMS_MFA", "EMAIL_OTP", "SOFTWARE_TOKEN_MFA"]}
    return {
        "AccountState": {"type": "string", "enum": states},
        "AccountStep": {
            **step,
            "title": "AccountStep",
            "description": "The current step of a change of the account, and its actions.",
            "properties": {**step["properties"], "state": _ref("AccountState")},
        },
        "AccountEvent": events,
        "AccountPasskey": _object(key=text, name=text, created_at=time),
        "AccountDevice": _object(key=text, name=text, last_signed_in_at=time),
        "AccountOverview": _object(
            username=text,
            addresses={
                "type": "object",
                "description": "By attribute: those that the app client may read.",
                "additionalProperties": text,
            },
            verified={"type": "array", "items": attribute},
            second_factors={"type": "array", "items": factor},
            preferred={"anyOf": [factor, {"type": "null"}]},
            passkeys={"type": "array", "items": _ref("AccountPasskey")},
            devices={"type": "array", "items": _ref("AccountDevice")},
            has_password={"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        ),
        "Account": _object(account=_ref("AccountOverview"), step=_ref("AccountStep")),
    }


def paths(wait: dict[str, Any], answer: Any, problems: Any) -> dict[str, Any]:
    """Return the operations on the account.

    Args:
        wait: the parameter with the seconds to wait.
        answer: returns an answer with a schema and a description.
        problems: returns the problems of some statuses.
    """
    return {
        "/account": {
            "get": {
                "operationId": "getAccount",
                "summary": "What the account has, and the step of its change. Sends nothing.",
                "parameters": [wait],
                "responses": {
                    "200": answer("Account", "The account, and the step."),
                    **problems(401, 403, 503),
                },
            }
        },
        "/account/events": {
            "post": {
                "operationId": "changeAccount",
                "summary": "Send an event. If it is late or repeated: the current step, with a reason.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _ref("AccountEvent")}},
                },
                "responses": {
                    "200": answer("AccountStep", "The step after it."),
                    **problems(401, 403, 404, 413, 415, 422, 429, 503),
                },
            }
        },
    }


_TIME = {"type": "string", "format": "date-time"}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
