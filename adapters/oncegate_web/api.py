"""The JSON API: ``/flows``, ``/flows/{id}``, ``/flows/{id}/events``, ``/session``, ``/sessions``.

The flow is bound to the browser by an HttpOnly cookie with its ID. The ID in JSON and in URLs is
another one, which opens nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from oncegate import Event, InvalidInput, RecordTooNew, RecordUnreadable, Step
from oncegate.adapters import FlowId, parse_event
from oncegate_web._openapi import document
from oncegate_web._session_list import ListedSession
from oncegate_web.http import JSON, Request, Response, as_json, problem
from oncegate_web.site import Site

_ONLY_IN_COOKIES = {"flow_id", "session_id"}

_MAX_VERSION = (1 << 31) - 1


class Api:
    """The routes of the JSON API of one sign-in."""

    def __init__(self, site: Site) -> None:
        self._site = site
        # By the first part of the path and the number of parts. A second part is an argument.
        self._routes: dict[tuple[str, int], dict[str, Callable[..., Response]]] = {
            ("openapi.json", 1): {"GET": _openapi},
            ("flows", 1): {"POST": self._start},
            ("flows", 2): {"GET": self._get},
            ("flows", 3): {"POST": self._send},
            ("session", 1): {"GET": self._user, "DELETE": self._sign_out},
            ("sessions", 1): {"GET": self._list_sessions, "DELETE": self._sign_out_everywhere},
            ("sessions", 2): {"DELETE": self._end_session},
        }

    def respond(self, request: Request) -> Response:
        """Answer one request. Errors are problems (RFC 9457)."""
        parts = request.path.strip("/").split("/")
        methods = self._routes.get((parts[0], len(parts)))
        if methods is None or parts[2:] not in ([], ["events"]):
            return problem(404, "not_found", "Not Found")
        respond = methods.get("GET" if request.method == "HEAD" else request.method)
        if respond is None:
            response = problem(405, "wrong_method", "Method Not Allowed")
            response.headers["Allow"] = ", ".join(methods)
            return response
        return respond(request, *parts[1:2])

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
        except RecordTooNew:
            raise
        except RecordUnreadable:
            return _no_such_flow()

    def _send(self, request: Request, name: str) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            return problem(415, "not_json", "Unsupported Media Type", f"send {JSON}")
        if self._own(request, name) is None:
            return _no_such_flow()
        try:
            event, version, kept = _event_of(request.body.bytes)
        except InvalidInput as error:
            return problem(422, "invalid_event", "Unprocessable Content", str(error))
        sent = Response()
        if kept is not None or "username" in event.model_fields_set:
            self._site.keep_signed_in(request, sent, bool(kept))
        try:
            step = self._site.send(request, sent, event, version)
        except RecordTooNew:
            raise
        except RecordUnreadable:
            return _no_such_flow()
        if step.session_id:
            self._site.begin_session(request, sent, step)
        response = self._step(request, step)
        response.cookies = sent.cookies
        return response

    def _user(self, request: Request) -> Response:
        user = self._site.user_of(request)
        if user is None:
            return _not_signed_in()
        return as_json({"username": user.username, "claims": dict(user.claims)})

    def _sign_out(self, request: Request) -> Response:
        response = Response(204, b"")
        self._site.end_session(request, response)
        return response

    def _list_sessions(self, request: Request) -> Response:
        found = self._site.sessions(request)
        if found is None:
            return _not_signed_in()
        own, listed = found
        return as_json({"sessions": [_listed(one, own) for one in listed]})

    def _end_session(self, request: Request, name: str) -> Response:
        if self._site.user_of(request) is None:
            return _not_signed_in()
        response = Response(204, b"")
        if self._site.end_named_session(request, response, name):
            return response
        return problem(404, "no_such_session", "Not Found", "the user has no such session")

    def _sign_out_everywhere(self, request: Request) -> Response:
        if self._site.user_of(request) is None:
            return _not_signed_in()
        response = Response(204, b"")
        self._site.end_all_sessions(request, response)
        return response

    def _own(self, request: Request, name: str) -> str | None:
        """Return the ID of this browser's flow, if the name in the URL is its name."""
        flow_id = self._site.flow_id(request)
        try:
            key = FlowId.parse(flow_id).key
        except InvalidInput:
            return None
        return flow_id if name in {key, "current"} else None

    def _step(self, request: Request, step: Step, status: int = 200) -> Response:
        translated = step.translated(self._site.translators.best(request.languages))
        body: dict[str, Any] = translated.model_dump(mode="json", exclude=_ONLY_IN_COOKIES)
        body["flow_id"] = FlowId.parse(step.flow_id).key
        return as_json(body, status)


def _event_of(body: bytes) -> tuple[Event, int, bool | None]:
    """Return the event, the version of its step, and the choice to stay signed in if it is made."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInput("not JSON") from None
    if not isinstance(data, dict):
        raise InvalidInput("an event is a JSON object")
    version = data.pop("version", None)
    if not (type(version) is int and 0 <= version <= _MAX_VERSION):
        raise InvalidInput(
            "version: an integer is required, that of the step which the event answers"
        )
    kept = data.pop("keep_signed_in", None)
    if not (kept is None or isinstance(kept, bool)):
        raise InvalidInput("keep_signed_in: true or false")
    return parse_event(data), version, kept


def _openapi(request: Request) -> Response:
    return as_json(document(request.prefix))


def _listed(session: ListedSession, own: str) -> dict[str, Any]:
    return {
        "name": session.name,
        "is_current": session.name == own,
        "begun_at": _iso(session.begun_at),
        "seen_at": _iso(session.seen_at),
        "address": session.address,
        "browser": session.browser,
        "platform": session.platform,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _not_signed_in() -> Response:
    return problem(401, "not_signed_in", "Unauthorized")


def _no_such_flow() -> Response:
    return problem(404, "no_such_flow", "Not Found", "this browser has no such flow; start one")
