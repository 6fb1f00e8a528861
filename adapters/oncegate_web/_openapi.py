"""The OpenAPI document of the JSON API, built from the models that the API itself uses."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, get_args

from pydantic.json_schema import models_json_schema

from oncegate import FlowState, Step
from oncegate.adapters import MESSAGE_CODES, Challenge, event_adapter
from oncegate_web import _openapi_account
from oncegate_web._context import MAX_ENCODED_CHARACTERS, MAX_METADATA_CHARACTERS
from oncegate_web.http import ProblemCode

_CHALLENGES = get_args(Challenge)[0]
"""The union, without its discriminator."""

_REF = "#/components/schemas/{model}"

_NAMES = {
    "/status": "status",
    "/flows": "flows",
    "/flows/{id}": "flow",
    "/flows/{id}/events": "events",
    "/session": "session",
    "/sessions": "sessions",
    "/sessions/{name}": "one-session",
}


class Operation(NamedTuple):
    """One operation of the API, for a framework that describes it in its own document.

    Attributes:
        method: HTTP method, in capitals.
        path: path below the mount point, with parameters in braces.
        name: name of the path, for the framework's routes.
        described: the operation, as in `document`.
    """

    method: str
    path: str
    name: str
    described: dict[str, Any]


def operations(*, account: bool = False) -> list[Operation]:
    """Return the operations of the API, with those on the account if the sign-in has them."""
    return [
        Operation(method.upper(), path, {**_NAMES, **_openapi_account.PATHS}[path], described)
        for path, methods in _paths(account=account).items()
        for method, described in methods.items()
    ]


@cache
def document(prefix: str, *, account: bool = False) -> dict[str, Any]:
    """Return the document of an API.

    Args:
        prefix: where it is mounted.
        account: whether users change their accounts there.
    """
    _, steps = models_json_schema([(Step, "serialization")], ref_template=_REF)
    events = event_adapter().json_schema(ref_template=_REF)
    of_account = _openapi_account.event_schemas(_REF) if account else {}
    step = steps["$defs"].pop("Step")
    step["properties"]["state"] = _ref("FlowState")
    del steps["$defs"]["AccountState"]
    step["description"] = "The current step of a sign-in, and its actions."
    # Empty: the user is signed in and has no flow.
    step["properties"]["flow_id"] = {"type": "string", "pattern": "^([0-9a-f]{32})?$"}
    for model, time in (
        (step, "expires"),
        (step, "new_code"),
        (steps["$defs"]["Action"], "available"),
    ):
        model["properties"][f"{time}_in"] = {
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}],
            "description": f"Whole seconds until {time}_at: the clock of a browser may be wrong.",
        }
    steps["$defs"]["Action"]["properties"]["summary"] = {
        "type": "string",
        "description": "Text of a link or button that shows the form of the action, if it is not the "
        "main one; empty if its label says enough.",
    }
    # The models have any text where these are known: a later Cognito may have others.
    kinds = [get_args(one.model_fields["kind"].annotation) for one in get_args(_CHALLENGES)]
    step["properties"]["challenge"] = {"enum": [*sorted({*sum(kinds, ())}), None]}
    media = steps["$defs"]["Delivery"]["properties"]
    media["medium"] = {"type": "string", "enum": ["SMS", "EMAIL", ""]}
    codes = {"type": "string", "enum": list(MESSAGE_CODES)}
    steps["$defs"]["Message"]["properties"]["code"] = codes
    for model in (step, *steps["$defs"].values()):
        if "properties" in model:
            model["required"] = list(model["properties"])  # the API sends all of them
    steps["$defs"]["FlowState"]["enum"].remove(FlowState.DECIDING)  # never stored, so never shown
    models = {**of_account.pop("$defs", {}), **events.pop("$defs")}
    for model in models.values():
        if "type" in model.get("properties", {}):
            model["properties"]["version"] = {
                "type": "integer",
                "minimum": 0,
                "maximum": 2**31 - 1,
                "description": "Version of the step that the event answers.",
            }
            model["properties"]["context"] = _ref("EventContext")
            if {"username", "provider"} & model["properties"].keys():
                model["properties"]["keep_signed_in"] = {
                    "type": "boolean",
                    "description": "Whether the user stays signed in when the browser closes. "
                    "Forgotten when another username is sent.",
                }
            model["required"] = sorted({*model.get("required", ()), "type", "version"})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "oncegate",
            "version": "1",
            "description": "Sign-in for Amazon Cognito. A code is only ever sent once per challenge.",
        },
        "servers": [{"url": prefix or "/"}],
        "paths": _paths(account=account),
        "components": {
            "schemas": {
                **steps["$defs"],
                **models,
                "Step": step,
                "Event": events,
                **(_openapi_account.schemas(step, of_account) if account else {}),
                "EventContext": {
                    "type": "object",
                    "description": "What goes with one event, and is not stored: for the pool's "
                    "Lambda triggers, and for threat protection.",
                    "properties": {
                        "client_metadata": {
                            "type": "object",
                            "description": "Text by name, such as a CAPTCHA token. Left out: names "
                            "that the application does not allow (client_metadata_from_browser), and "
                            f"text of more than {MAX_METADATA_CHARACTERS} characters.",
                            "additionalProperties": {"type": "string"},
                        },
                        "encoded_data": {
                            "type": "string",
                            "description": "What AWS's script for threat protection collected, up "
                            f"to {MAX_ENCODED_CHARACTERS} characters; more is left out.",
                        },
                    },
                    "additionalProperties": False,
                },
                "Status": {
                    "type": "object",
                    "description": "The user, and the step that a page would show.",
                    "properties": {
                        "user": {"anyOf": [_ref("User"), {"type": "null"}]},
                        "step": _ref("Step"),
                    },
                    "required": ["user", "step"],
                },
                "User": {
                    "type": "object",
                    "properties": {
                        "username": {"type": "string"},
                        "claims": {"type": "object", "additionalProperties": True},
                    },
                    "required": ["username", "claims"],
                },
                "ListedSession": {
                    "type": "object",
                    "description": "One session of a user. Browser and platform may be made up.",
                    "properties": {
                        "name": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                        "is_current": {"type": "boolean"},
                        "begun_at": {"type": "string", "format": "date-time"},
                        "seen_at": {"type": "string", "format": "date-time"},
                        "address": {"type": "string"},
                        "browser": {"type": "string"},
                        "platform": {"type": "string"},
                        "place": {
                            "type": "string",
                            "description": "What the application calls the place of the address.",
                        },
                    },
                    "required": [
                        *("name", "is_current", "begun_at", "seen_at"),
                        *("address", "browser", "platform", "place"),
                    ],
                },
                "Sessions": {
                    "type": "object",
                    "properties": {
                        "sessions": {"type": "array", "items": _ref("ListedSession")},
                    },
                    "required": ["sessions"],
                },
                "SignedOut": {
                    "type": "object",
                    "description": "The user is signed out here, but not yet at managed login, on "
                    "whose pages the user has signed in.",
                    "properties": {
                        "logout_url": {
                            "type": "string",
                            "description": "Where the browser goes to end that session, too.",
                        }
                    },
                    "required": ["logout_url"],
                },
                "Problem": {
                    "type": "object",
                    "description": "RFC 9457",
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "code": {"type": "string", "enum": sorted(get_args(ProblemCode))},
                        "detail": {"type": "string", "description": "For developers."},
                        "message": {"type": "string", "description": "For the user, translated."},
                        "fields": {
                            "type": "object",
                            "description": "For the user: what is wrong with each field, translated.",
                            "additionalProperties": {"type": "string"},
                        },
                    },
                    "required": ["type", "title", "status", "code"],
                },
            }
        },
    }


_SIGNED_OUT = {
    "200": {
        "description": "Signed out here; the browser has to go to another address.",
        "content": {"application/json": {"schema": {"$ref": _REF.format(model="SignedOut")}}},
    },
    "204": {"description": "Signed out."},
}


def _paths(*, account: bool) -> dict[str, Any]:
    name = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The step's flow_id, or ``current`` for the flow of this browser.",
        "schema": {"type": "string", "pattern": "^([0-9a-f]{32}|current)$"},
    }
    wait = {
        "name": "wait",
        "in": "query",
        "description": "Seconds to wait while a call to Cognito is under way, up to 20.",
        "schema": {"type": "integer", "minimum": 0},
    }
    return {
        "/status": {
            "get": {
                "operationId": "getStatus",
                "summary": "The user, and the step that a page would show. Sends nothing.",
                "parameters": [wait],
                "responses": {
                    "200": _answer("Status", "The user, or null, and the step."),
                    **_problems(403, 503),
                },
            }
        },
        "/flows": {
            "post": {
                "operationId": "startFlow",
                "summary": "Start a sign-in, or return the one of this browser. Nothing is sent.",
                "responses": {
                    "200": _answer("Step", "The step of the browser's sign-in, which is not over."),
                    "201": _answer("Step", "The first step of a new one."),
                    **_problems(403, 429, 503),
                },
            }
        },
        "/flows/{id}": {
            "get": {
                "operationId": "getFlow",
                "summary": "The current step. Never calls Cognito.",
                "parameters": [name, wait],
                "responses": {"200": _answer("Step", "The step."), **_problems(403, 404, 503)},
            }
        },
        "/flows/{id}/events": {
            "post": {
                "operationId": "sendEvent",
                "summary": "Send an event. If it is late or repeated: the current step, with a reason.",
                "parameters": [name],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _ref("Event")}},
                },
                "responses": {
                    "200": _answer("Step", "The step after it."),
                    **_problems(403, 404, 413, 415, 422, 429, 503),
                },
            }
        },
        "/session": {
            "get": {
                "operationId": "getSession",
                "summary": "The user who is signed in.",
                "responses": {"200": _answer("User", "The user."), **_problems(401, 403, 503)},
            },
            "delete": {
                "operationId": "endSession",
                "summary": "Sign out.",
                "responses": {**_SIGNED_OUT, **_problems(403, 503)},
            },
        },
        "/sessions": {
            "get": {
                "operationId": "listSessions",
                "summary": "The sessions of the user, the one seen last first.",
                "responses": {
                    "200": _answer("Sessions", "The sessions."),
                    **_problems(401, 403, 503),
                },
            },
            "delete": {
                "operationId": "signOutEverywhere",
                "summary": "End all sessions of the user, here and at Cognito (GlobalSignOut).",
                "responses": {**_SIGNED_OUT, **_problems(401, 403, 503)},
            },
        },
        "/sessions/{name}": {
            "delete": {
                "operationId": "endOneSession",
                "summary": "End one session of the user; another browser's after a recent sign-in.",
                "parameters": [
                    {
                        "name": "name",
                        "in": "path",
                        "required": True,
                        "description": "Name of the session in the list.",
                        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                    }
                ],
                "responses": {"204": {"description": "Ended."}, **_problems(401, 403, 404, 503)},
            }
        },
        **(_openapi_account.paths(wait, _answer, _problems) if account else {}),
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(name: str, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(name)}}}


def _problems(*statuses: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _ref("Problem")}}
    problem = {"description": "A problem.", "content": content}
    wait = {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 0},
    }
    with_wait = {**problem, "headers": {"Retry-After": wait}}
    return {str(one): with_wait if one in {429, 503} else problem for one in statuses}
