"""The sandbox over HTTP: Cognito's protocol at ``/``, managed login, and controls for tests.

Managed login has ``/oauth2/…``, ``/login``, ``/logout`` and ``/error``; the controls are below
``/_sandbox``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from oncegate import InvalidInput
from oncegate_sandbox._cognito import Cognito
from oncegate_sandbox._connections import NoResponse
from oncegate_sandbox._managed_login import ManagedLogin, openid_configuration
from oncegate_sandbox._managed_login_pages import error_page
from oncegate_sandbox._model import service_model
from oncegate_sandbox._oauth import EndpointRequest
from oncegate_sandbox._requests import LoggedRequest, RequestLog
from oncegate_sandbox._rules import Rule, rule, rules
from oncegate_sandbox._triggers import turn
from oncegate_sandbox._user_state import UserState, user_state
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import CognitoError
from oncegate_sandbox.faults import ENDPOINTS, Fault, Faults, Reply
from oncegate_sandbox.inbox import SentMessage
from oncegate_sandbox.pool import Pool

# Cognito's limit is not published. This one is far above the size of any real request.
_LARGEST_BODY = 256 * 1024
_TARGET = "AWSCognitoIdentityProviderService."
_JSON = "application/x-amz-json-1.1"
_LOG = logging.getLogger("oncegate.sandbox")
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date",
}

rule(
    "headers",
    "Each response has x-amzn-RequestId; errors have x-amzn-ErrorType with a trailing colon, and "
    "x-amzn-ErrorMessage.",
    source="amazon-cognito-identity-js#167, amplify-js#11034, #1580",
)
rule(
    "cors",
    "Browsers of any origin may POST, and read the request ID, error type, error message and Date; a "
    "preflight allows the headers that it asks for, for 172,800 seconds.",
    source="recorded responses of Cognito and of other AWS services; amplify-js#4346, #11034",
)
rule(
    "unknown-operation",
    "An operation that the service model lacks: 400, UnknownOperationException without a message.",
    source="measured for Athena, which speaks the same protocol",
)

_MESSAGES = TypeAdapter(tuple[SentMessage, ...])
_REQUESTS = TypeAdapter(tuple[LoggedRequest, ...])
_RULES = TypeAdapter(tuple[Rule, ...])
_USERS = TypeAdapter(tuple[UserState, ...])


class _Advance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    advance_seconds: float = Field(ge=0, le=10 * 365 * 86400)


class _Answer(NamedTuple):
    """What a client gets: Cognito's response or error, or something that is not Cognito's."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str]
    error: str | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any] | CognitoError | Reply) -> _Answer:
        if isinstance(answer, Reply):
            return cls(answer.status, answer.body, answer.media_type, answer.headers, answer.error)
        if not isinstance(answer, CognitoError):
            return cls(200, json.dumps(answer).encode(), _JSON, {})
        content = {"__type": answer.code, "message": answer.message}
        headers = {"x-amzn-ErrorType": f"{answer.code}:", "x-amzn-ErrorMessage": answer.message}
        if not answer.message:
            del content["message"], headers["x-amzn-ErrorMessage"]
        return cls(answer.status, json.dumps(content).encode(), _JSON, headers, answer.code)

    def response(self, request_id: str) -> Response:
        """Return the response. Headers carry ASCII on one line; Cognito's words can be any text."""
        headers = {
            name: " ".join(value.encode("ascii", "replace").decode().split())
            for name, value in self.headers.items()
        }
        headers |= {"x-amzn-RequestId": request_id} | _CORS
        if self.body:
            headers["Content-Type"] = self.media_type
        return Response(self.body, self.status, headers)


_Outcome = Mapping[str, Any] | CognitoError | Reply
"""The outcome of a call: Cognito's response or error, or a reply as it is."""

_METHODS = {
    "oauth2/authorize": ["GET"],
    "login": ["GET", "POST"],
    "oauth2/userInfo": ["GET", "POST"],
    "logout": ["GET"],
}
"""Methods of the endpoints of managed login, except those that take POST only."""

_WITHOUT_PAGES = {"oauth2/token", "oauth2/userInfo", "oauth2/revoke"}


class SandboxApp:
    """The routes.

    Args:
        cognito: the pools.
        clock: the clock of the pools.
        endpoint: URL by which clients reach the sandbox.

    Attributes:
        asgi: the ASGI application.
    """

    def __init__(self, cognito: Cognito, clock: SandboxClock, endpoint: str) -> None:
        self._cognito = cognito
        self._clock = clock
        self._endpoint = endpoint
        self._faults = Faults()
        self._calls: Counter[str] = Counter()
        self._log = RequestLog()
        self._managed_login = ManagedLogin(
            cognito, clock, is_secure=urlsplit(endpoint).scheme == "https"
        )
        self._turn = threading.Lock()
        below_pool, everyone = "/{pool_id}/.well-known", ["*"]
        for_tests = Middleware(
            CORSMiddleware, allow_origins=everyone, allow_methods=everyone, allow_headers=everyone
        )
        controls = [
            Route("/", self.about),
            Route("/messages", self.messages, methods=["GET", "DELETE"]),
            Route("/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/calls", self.calls),
            Route("/clock", self.advance, methods=["POST"]),
            Route("/reset", self.start_again, methods=["POST"]),
            Route("/users", self.users),
            Route("/users/{name:path}", self.user),
            Route("/requests", self.requests),
            Route("/rules", self.rules),
        ]
        self.asgi = Starlette(
            routes=[
                Route("/", self.cognito, methods=["POST"]),
                Route("/", self.preflight, methods=["OPTIONS"]),
                Route("/", self.about, methods=["GET"]),
                Route(f"{below_pool}/jwks.json", self.jwks, middleware=[for_tests]),
                Route(
                    f"{below_pool}/openid-configuration",
                    self.openid_configuration,
                    middleware=[for_tests],
                ),
                Route(
                    "/.well-known/openid-configuration",
                    self.openid_configuration,
                    middleware=[for_tests],
                ),
                Route("/error", self.error),
                *(
                    Route(
                        f"/{endpoint}",
                        self.managed_login,
                        methods=_METHODS.get(endpoint, ["POST"]),
                        # Browsers call the endpoints for tokens from other origins.
                        middleware=[for_tests] if endpoint in _WITHOUT_PAGES else None,
                    )
                    for endpoint in ENDPOINTS
                ),
                Mount("/_sandbox", routes=controls, middleware=[for_tests]),
            ]
        )

    # ── controls, also for Python ──

    def order(self, fault: Fault) -> None:
        """Order a fault for the next calls."""
        self._faults.order(fault)

    def count(self) -> dict[str, int]:
        """Return the number of calls by operation."""
        return dict(self._calls)

    def logged(self) -> tuple[LoggedRequest, ...]:
        """Return the requests, oldest first."""
        return self._log.requests()

    def return_from_provider(self, url: str, email: str | None) -> str:
        """Answer the page that stands for a provider; see `Sandbox.return_from_provider`."""
        query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        form = {"action": "deny"} if email is None else {"action": "continue", "email": email}
        request = EndpointRequest("POST", query, form, headers={}, cookies={})
        with turn(self._turn):
            reply = self._managed_login.perform("oauth2/idpresponse", request)
        target = reply.headers.get("Location", "")
        if not target or target.startswith("/"):
            reason = parse_qs(urlsplit(target).query).get("error", ["no email address"])[0]
            raise InvalidInput(f"the browser does not return to the application: {reason}")
        return target

    def reset(self) -> None:
        """Restore the seed and the system clock, and forget calls, requests and faults."""
        with turn(self._turn):
            self._clock.reset()
            self._cognito.reset()
            self._managed_login.reset()
            self._faults.clear()
            self._calls.clear()
            self._log.clear()

    # ── Cognito ──

    async def cognito(self, request: Request) -> Response:
        request_id = str(uuid.uuid4())
        target = request.headers.get("x-amz-target", "")
        operation = target.removeprefix(_TARGET)
        try:
            body = json.loads(await _bounded_body(request))
            if not isinstance(body, dict):
                raise ValueError
        except (ValueError, RecursionError):
            malformed = CognitoError("SerializationException", "The body is not a JSON object.")
            return _Answer.of(malformed).response(request_id)

        def perform() -> Mapping[str, Any] | CognitoError:
            return self._perform(operation, body)

        return await self._receive(operation, body, request_id, perform, _Answer.of)

    async def _receive(
        self,
        operation: str,
        members: Mapping[str, Any],
        request_id: str,
        perform: Callable[[], _Outcome],
        answer_of: Callable[[_Outcome], _Answer],
    ) -> Response:
        """Count and log a call, and perform it unless its fault forbids that.

        Args:
            operation: name of the operation or endpoint.
            members: members of the request.
            request_id: ``x-amzn-RequestId``.
            perform: performs the call.
            answer_of: makes what the client gets of what was performed, or of the fault.
        """
        self._calls[operation] += 1
        fault = self._faults.take(operation)
        entry = self._log.add(
            operation,
            members,
            at=self._clock.now(),
            request_id=request_id,
            fault=fault.kind if fault else None,
        )
        outcome = await self._outcome(operation, fault, perform)
        if outcome is None:
            return NoResponse()
        answer = answer_of(outcome)
        entry.status, entry.error = answer.status, answer.error
        return answer.response(request_id)

    async def preflight(self, request: Request) -> Response:
        wanted = request.headers.get("access-control-request-headers", "")
        return Response(
            headers=_CORS
            | {
                "Access-Control-Allow-Headers": wanted,
                "Access-Control-Allow-Methods": "POST",
                "Access-Control-Max-Age": "172800",
                "x-amzn-RequestId": str(uuid.uuid4()),
            }
        )

    async def _outcome(
        self, operation: str, fault: Fault | None, perform: Callable[[], _Outcome]
    ) -> _Outcome | None:
        """Perform a call unless its fault forbids it; None if the client gets no response."""
        outcome: _Outcome = {}
        if fault is None or fault.is_performed:
            # Only a hook can take its time. Without one, a thread would just cost time.
            slow = any(pool.triggers for pool in self._cognito.pools.values())
            outcome = await asyncio.to_thread(perform) if slow else perform()
        if fault is None:
            return outcome
        if fault.kind in {"drop_response", "refuse"}:
            return None
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        return fault.answer(operation) or outcome

    def _perform(self, operation: str, body: dict[str, Any]) -> Mapping[str, Any] | CognitoError:
        if operation not in service_model().operation_names:
            return CognitoError("UnknownOperationException", "")
        try:
            with turn(self._turn):
                return self._cognito.perform(operation, body)
        except CognitoError as error:
            return error
        except Exception:  # noqa: BLE001 - a client expects an answer
            _LOG.exception("%s failed: please report this defect of the sandbox", operation)
            return CognitoError("InternalErrorException", "Something went wrong", 500)

    # ── managed login ──

    async def managed_login(self, request: Request) -> Response:
        endpoint = request.url.path.lstrip("/")
        body = await _bounded_body(request)
        given = EndpointRequest(
            request.method,
            query=dict(request.query_params),
            form=dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)),
            headers=request.headers,
            cookies=request.cookies,
        )

        def perform() -> Reply:
            try:
                with turn(self._turn):
                    return self._managed_login.perform(endpoint, given)
            except Exception:  # noqa: BLE001 - a client expects an answer
                _LOG.exception("%s failed: please report this defect of the sandbox", endpoint)
                return Reply(500, b"", error="server_error")

        def answer_of(outcome: _Outcome) -> _Answer:
            if isinstance(outcome, CognitoError):
                outcome = self._managed_login.refuse(endpoint, given, outcome)
            return _Answer.of(outcome)

        return await self._receive(
            endpoint, {**given.query, **given.form}, str(uuid.uuid4()), perform, answer_of
        )

    async def error(self, request: Request) -> Response:
        reply = error_page(request.query_params.get("error", ""))
        return _Answer.of(reply).response(str(uuid.uuid4()))

    async def jwks(self, request: Request) -> Response:
        pool = self._cognito.pools.get(request.path_params["pool_id"])
        if pool is None:
            return Response(status_code=404)
        return JSONResponse(pool.tokens.jwks())

    async def openid_configuration(self, request: Request) -> Response:
        pools = self._cognito.pools
        # A domain belongs to one pool; the sandbox's address stands for it if there is no other.
        only = self._cognito.default.id if len(pools) == 1 else ""
        pool = pools.get(request.path_params.get("pool_id", only))
        if pool is None:
            return Response(status_code=404)
        return JSONResponse(openid_configuration(pool, self._endpoint))

    # ── controls over HTTP ──

    async def about(self, _: Request) -> Response:
        pools = [
            {"pool_id": pool.id, "client_ids": list(pool.clients)}
            for pool in self._cognito.pools.values()
        ]
        return JSONResponse({"status": "ok", "endpoint": self._endpoint, "pools": pools})

    async def messages(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._cognito.inbox.clear()
        messages = self._cognito.inbox.messages()
        return JSONResponse(_MESSAGES.dump_python(messages, mode="json", exclude_none=True))

    async def faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._faults.clear()
        elif request.method == "POST":
            try:
                self._faults.order(Fault.model_validate_json(await _bounded_body(request)))
            except ValidationError as error:
                return _malformed(error)
        pending = self._faults.pending()
        return JSONResponse([fault.model_dump(exclude_none=True) for fault in pending])

    async def calls(self, _: Request) -> Response:
        return JSONResponse(self._calls)

    async def advance(self, request: Request) -> Response:
        try:
            order = _Advance.model_validate_json(await _bounded_body(request))
        except ValidationError as error:
            return _malformed(error)
        self._clock.advance(order.advance_seconds)
        return JSONResponse({"now": self._clock.now()})

    async def start_again(self, _: Request) -> Response:
        self.reset()
        return JSONResponse({"status": "ok"})

    async def users(self, request: Request) -> Response:
        pool = self._pool_of(request)
        if pool is None:
            return _unknown("pool_id")
        return _listed(_USERS, tuple(user_state(pool, user) for user in pool.users))

    async def user(self, request: Request) -> Response:
        pool = self._pool_of(request)
        user = pool.users.find(request.path_params["name"]) if pool else None
        if pool is None or user is None:
            return _unknown("username" if pool else "pool_id")
        return JSONResponse(user_state(pool, user).model_dump(mode="json"))

    def _pool_of(self, request: Request) -> Pool | None:
        default = self._cognito.default.id
        return self._cognito.pools.get(request.query_params.get("pool_id", default))

    async def requests(self, _: Request) -> Response:
        return _listed(_REQUESTS, self.logged())

    async def rules(self, _: Request) -> Response:
        return _listed(_RULES, rules())


def _listed(adapter: TypeAdapter[Any], values: tuple[Any, ...]) -> Response:
    return JSONResponse(adapter.dump_python(values, mode="json"))


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            return b""
    return bytes(body)


def _unknown(name: str) -> Response:
    return JSONResponse({"error": "unknown", "parameter": name}, status_code=404)


def _malformed(error: ValidationError) -> Response:
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return JSONResponse({"error": "malformed", "problems": problems}, status_code=400)
