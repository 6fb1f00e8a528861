"""The JSON API: ``/flows``, ``/flows/{id}``, ``/flows/{id}/events``, ``/session``, ``/sessions``.

The flow is bound to the browser by an HttpOnly cookie with its ID. The ID in JSON and in URLs is
another one, which opens nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from oncegate import Event, InvalidInput, Step
from oncegate.adapters import FlowId, InvalidEvent, message, parse_event, signed_in_step
from oncegate_web._context import BrowserContext
from oncegate_web._openapi import document
from oncegate_web._session_list import ListedSession
from oncegate_web._user import User
from oncegate_web.http import (
    JSON,
    Request,
    Response,
    as_json,
    has_json,
    not_json,
    problem,
    wrong_method,
)
from oncegate_web.site import Site, begins_sign_in, is_over, misconfigured_step

_AGAIN = "the sign-in is too long ago: go to <mount>/?again=1&next=…"
"""For developers, in a problem."""

_ONLY_IN_COOKIES = {"flow_id", "session_id"}

_MOST_PATIENCE = 20.0
"""Seconds. Proxies end requests that wait for longer than 30 to 60."""

_MAX_VERSION = (1 << 31) - 1


def event_data(body: bytes) -> tuple[dict[str, Any], int]:
    """Return the fields of an event in a request's body, and the version of its step.

    Raises:
        InvalidInput: it is not a JSON object, or has no version.
    """
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
    return data, version


def invalid_event(error: InvalidInput) -> Response:
    """Return the problem of an event whose fields are invalid, with a text for each."""
    fields = error.fields if isinstance(error, InvalidEvent) else {}
    texts = {
        name: f"notice.field_{'missing' if why == 'missing' else 'invalid'}"
        for name, why in fields.items()
    }
    return problem(422, "invalid_event", "Unprocessable Content", str(error), texts)


def is_mistyped_code(error: InvalidInput) -> bool:
    """Return whether an event is invalid only because its code, which is text, cannot be one."""
    return isinstance(error, InvalidEvent) and error.fields == {"code": "value_error"}


class Api:
    """The routes of the JSON API of one sign-in."""

    def __init__(self, site: Site) -> None:
        self._site = site
        # By the first part of the path and the number of parts. A second part is an argument.
        self._routes: dict[tuple[str, int], dict[str, Callable[..., Response]]] = {
            ("openapi.json", 1): {"GET": self._openapi},
            ("flows", 1): {"POST": self._start},
            ("status", 1): {"GET": self._status},
            ("flows", 2): {"GET": self._get},
            ("flows", 3): {"POST": self._send},
            ("session", 1): {"GET": self._user, "DELETE": self._sign_out},
            ("sessions", 1): {"GET": self._list_sessions, "DELETE": self._sign_out_everywhere},
            ("sessions", 2): {"DELETE": self._end_session},
        }

    def respond(self, request: Request) -> Response:
        """Answer one request. Errors are problems (RFC 9457)."""
        parts = request.path.removeprefix("/").split("/")
        methods = self._routes.get((parts[0], len(parts)))
        if methods is None or parts[2:] not in ([], ["events"]):
            return problem(404, "not_found", "Not Found")
        respond = methods.get("GET" if request.method == "HEAD" else request.method)
        if respond is None:
            return wrong_method(methods)
        return respond(request, *parts[1:2])

    def _openapi(self, request: Request) -> Response:
        return as_json(document(request.prefix))

    def _start(self, request: Request) -> Response:
        made = Response()
        step, is_new = self._site.live_or_new(request, made)
        response = self._step(request, step, 201 if is_new else 200)
        response.cookies = made.cookies
        response.headers["Location"] = f"{request.prefix}/flows/{request.flow_id(step.flow_id).key}"
        return response

    def _get(self, request: Request, name: str) -> Response:
        flows = self._site.flows(request)
        if not flows or name not in {"current", *(flow.key for flow in flows)}:
            return _no_such_flow()
        try:
            step = self._site.get(flows[0].text, _patience(request))
        except InvalidInput:
            return _no_such_flow()
        return self._step(request, self._site.shown(request, step))

    def _send(self, request: Request, name: str) -> Response:
        if not has_json(request):
            return not_json()
        own = self._site.own_flow(request)
        is_named = own is not None and name in {own.key, "current"}
        if own is None or not (is_named or self._site.is_not_stored(name)):
            return _no_such_flow()
        try:
            event, version, kept, browser = self._event_of(request.body.bytes)
        except InvalidInput as error:
            return self._invalid(request, own if is_named else None, error)
        if not (is_named or version == 0):
            return _no_such_flow()
        # The first step of another flow that is not stored counts as that of the browser's own one: two
        # tabs have started at once. A later step is of a flow that has ended.
        sent = Response()
        if kept is not None or begins_sign_in(event):
            self._site.keep_signed_in(request, sent, bool(kept))
        try:
            step = self._site.send(request, sent, event, version, browser)
        except InvalidInput:
            return _no_such_flow()
        if step.session_id:
            has_begun = self._site.begin_session(request, sent, step)
            if not has_begun and self._site.is_refused(step):
                self._site.set_flow(request, sent, None)
                step = misconfigured_step()
        else:
            step = self._site.shown(request, step)
        response = self._step(request, step)
        response.cookies = sent.cookies
        return response

    def _event_of(self, body: bytes) -> tuple[Event, int, bool | None, BrowserContext]:
        """Return the event, its step's version, whether to stay signed in, and what came with it."""
        data, version = event_data(body)
        kept = data.pop("keep_signed_in", None)
        if not (kept is None or isinstance(kept, bool)):
            raise InvalidInput("keep_signed_in: true or false")
        browser = self._site.contexts.of_json(data.pop("context", None))
        return parse_event(data), version, kept, browser

    def _invalid(self, request: Request, own: FlowId | None, error: InvalidInput) -> Response:
        """Answer an event that cannot be sent: a mistyped code is a step with a reason."""
        if own is not None and is_mistyped_code(error):
            step = self._site.shown(request, self._site.get(own.text))
            reason = message("invalid_input", field="code")
            return self._step(request, step.model_copy(update={"reason": reason}))
        return invalid_event(error)

    def _status(self, request: Request) -> Response:
        """Answer with the user, and with the step that a page would show."""
        made = Response()
        step = self._site.step(request, _patience(request))
        user = self._site.user_of(request)
        if step is None and user is not None:
            step = signed_in_step()
        elif step is None or is_over(step):
            # The first step says why it begins anew.
            if step is not None:
                why = step.message
            else:
                why = message("flow_expired") if self._site.own_flow(request) else None
            step = self._site.start(request, made).model_copy(update={"message": why})
        body = {"user": _user(user) if user else None, "step": self._as_json(request, step)}
        response = as_json(body)
        response.cookies = made.cookies
        return response

    def _user(self, request: Request) -> Response:
        user = self._site.user_of(request)
        if user is None:
            return _not_signed_in()
        return as_json(_user(user))

    def _sign_out(self, request: Request) -> Response:
        response = self._ended(request)
        self._site.end_session(request, response)
        return response

    def _ended(self, request: Request) -> Response:
        """Return the answer to a sign-out: where managed login ends its own session, if it has one."""
        url = self._site.logout_url(request)
        return as_json({"logout_url": url}) if url else Response(204, b"")

    def _list_sessions(self, request: Request) -> Response:
        found = self._site.sessions(request)
        if found is None:
            return _not_signed_in()
        own, listed = found
        return as_json({"sessions": [_listed(one, own) for one in listed]})

    def _end_session(self, request: Request, name: str) -> Response:
        user = self._site.user_of(request)
        if user is None:
            return _not_signed_in()
        response = Response(204, b"")
        match self._site.end_named_session(request, response, user, name):
            case "ended":
                return response
            case "sign_in_again":
                # Not 401: the user is signed in, and a script must not take it for signed out.
                return problem(403, "sign_in_again", "Forbidden", _AGAIN)
        return problem(404, "no_such_session", "Not Found", "the user has no such session")

    def _sign_out_everywhere(self, request: Request) -> Response:
        if self._site.user_of(request) is None:
            return _not_signed_in()
        response = self._ended(request)
        self._site.end_all_sessions(request, response)
        return response

    def _step(self, request: Request, step: Step, status: int = 200) -> Response:
        # Three times as fast as the standard library, and the step's texts are valid Unicode.
        return Response(status, to_json(self._as_json(request, step)), JSON)

    def _as_json(self, request: Request, step: Step) -> dict[str, Any]:
        translated = step.translated(self._site.translators.best(request.languages))
        body: dict[str, Any] = translated.model_dump(mode="json", exclude=_ONLY_IN_COOKIES)
        body["flow_id"] = request.flow_id(step.flow_id).key if step.flow_id else ""
        now = self._site.now()
        body["expires_in"] = _seconds_until(step.expires_at, now)
        body["new_code_in"] = _seconds_until(step.new_code_at, now)
        for action, shown in zip(translated.actions, body["actions"], strict=True):
            shown["available_in"] = _seconds_until(action.available_at, now)
            shown["summary"] = action.summary
        return body


def _user(user: User) -> dict[str, Any]:
    return {"username": user.username, "claims": dict(user.claims)}


def _seconds_until(time: datetime | None, now: float) -> int | None:
    """Return whole seconds from now: the browser's own clock may be wrong."""
    return None if time is None else max(0, math.ceil(time.timestamp() - now))


def _patience(request: Request) -> float:
    """Return how long a request waits for a call under way, in seconds."""
    asked = request.query.get("wait", "")
    return min(float(asked), _MOST_PATIENCE) if asked.isascii() and asked.isdigit() else 0.0


def _listed(session: ListedSession, own: str) -> dict[str, Any]:
    return {
        "name": session.name,
        "is_current": session.name == own,
        "begun_at": _iso(session.begun_at),
        "seen_at": _iso(session.seen_at),
        "address": session.address,
        "browser": session.browser,
        "platform": session.platform,
        "place": session.place,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _not_signed_in() -> Response:
    return problem(401, "not_signed_in", "Unauthorized")


def _no_such_flow() -> Response:
    return problem(404, "no_such_flow", "Not Found", "this browser has no such flow; start one")
