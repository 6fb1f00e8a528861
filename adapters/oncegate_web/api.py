"""The JSON API: ``POST /flows``, ``GET /flows/{id}``, ``POST /flows/{id}/events``, ``/session``.

The flow is bound to the browser by an HttpOnly cookie that has its id. The id in JSON and in addresses
is another one, which opens nothing.
"""

from __future__ import annotations

import json
from typing import Any

from oncegate import InvalidInput, RecordUnreadable, Step
from oncegate.adapters import FlowId, parse_event
from oncegate_web.http import JSON, Request, Response, as_json, problem
from oncegate_web.openapi import document
from oncegate_web.site import Site

_HIDDEN = {"flow_id", "session_id"}
"""What only the HttpOnly cookies have."""


class Api:
    """The routes of the JSON API, around one sign-in."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def respond(self, request: Request) -> Response:
        """Answer one request; everything that is wrong is a problem (RFC 9457)."""
        parts = request.path.strip("/").split("/")
        method = "GET" if request.method == "HEAD" else request.method
        match method, *parts:
            case "GET", "openapi.json":
                return as_json(document(request.prefix))
            case "POST", "flows":
                return self._start(request)
            case "GET", "flows", name:
                return self._get(request, name)
            case "POST", "flows", name, "events":
                return self._send(request, name)
            case "GET", "session":
                return self._who(request)
            case "DELETE", "session":
                return self._leave(request)
        known = {"openapi.json": "GET", "flows": "POST", "session": "GET, DELETE"}
        if len(parts) == 1 and parts[0] in known:
            allow = known[parts[0]]
        elif parts[0] == "flows" and len(parts) in {2, 3}:
            allow = "GET" if len(parts) == 2 else "POST"
        else:
            return problem(404, "not_found", "Not Found")
        response = problem(405, "wrong_method", "Method Not Allowed")
        response.headers["Allow"] = allow
        return response

    def _start(self, request: Request) -> Response:
        made = Response()
        step = self._site.start(request, made)
        response = self._step(request, step, 201)
        response.cookies = made.cookies
        response.headers["Location"] = f"{request.prefix}/flows/{FlowId.parse(step.flow_id).key}"
        return response

    def _get(self, request: Request, name: str) -> Response:
        flow_id = self._own(request, name)
        if flow_id is None:
            return _no_such_flow()
        try:
            return self._step(request, self._site.get(flow_id))
        except RecordUnreadable:
            return _no_such_flow()

    def _send(self, request: Request, name: str) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            return problem(415, "not_json", "Unsupported Media Type", f"send {JSON}")
        if self._own(request, name) is None:
            return _no_such_flow()
        try:
            event, version = _event_of(request.body)
        except InvalidInput as error:
            return problem(422, "invalid_event", "Unprocessable Content", str(error))
        sent = Response()
        try:
            step = self._site.send(request, sent, event, version)
        except RecordUnreadable:
            return _no_such_flow()
        response = self._step(request, step)
        response.cookies += sent.cookies
        return response

    def _who(self, request: Request) -> Response:
        user = self._site.user_of(request)
        if user is None:
            return problem(401, "not_signed_in", "Unauthorized")
        return as_json({"username": user.username, "claims": dict(user.claims)})

    def _leave(self, request: Request) -> Response:
        response = Response(204, b"")
        self._site.end_session(request, response)
        return response

    def _own(self, request: Request, name: str) -> str | None:
        """The id of the flow of this browser, where it goes by that name."""
        flow_id = self._site.flow_id(request)
        try:
            key = FlowId.parse(flow_id).key
        except InvalidInput:
            return None
        return flow_id if name in {key, "current"} else None

    def _step(self, request: Request, step: Step, status: int = 200) -> Response:
        words = self._site.languages.words(request.languages)
        body: dict[str, Any] = step.model_dump(mode="json", exclude=_HIDDEN)
        body["flow_id"] = FlowId.parse(step.flow_id).key
        for told in (body["message"], body["reason"]):
            if told:
                told["text"] = words(told["text"])
        for field in body["fields"]:
            field["label"] = words(field["label"])
            for choice in field["choices"]:
                choice["label"] = words(choice["label"])
        response = as_json(body, status)
        if step.state == "authenticated":
            self._site.begin_session(request, response, step)
        return response


def _event_of(body: bytes) -> tuple[Any, int | None]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInput("not JSON") from None
    if not isinstance(data, dict):
        raise InvalidInput("an event is a JSON object")
    version = data.pop("version", None)
    if version is not None and not (type(version) is int and 0 <= version < 1 << 31):
        raise InvalidInput("version: a whole number, of the step that the event answers")
    return parse_event(data), version


def _no_such_flow() -> Response:
    return problem(404, "no_such_flow", "Not Found", "this browser has no such flow; start one")
