"""The sandbox over HTTP: Cognito's JSON protocol at ``/``, controls for tests below ``/_sandbox``."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from oncegate_sandbox._connections import NoResponse
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import CognitoError
from oncegate_sandbox.faults import Fault, Faults
from oncegate_sandbox.inbox import SentMessage
from oncegate_sandbox.pool import Pool

# Cognito's limit is not published. This one is far above the size of any real request.
_LARGEST_BODY = 256 * 1024
_TARGET = "AWSCognitoIdentityProviderService."
_MESSAGES = TypeAdapter(tuple[SentMessage, ...])


class _Advance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    advance_seconds: float = Field(ge=0, le=10 * 365 * 86400)


class _AmzJson(JSONResponse):
    media_type = "application/x-amz-json-1.1"


class SandboxApp:
    """The routes.

    Args:
        pool_id: user pool ID.
        pool: the pool.
        clock: the clock of the pool.

    Attributes:
        asgi: the ASGI application.
    """

    def __init__(self, pool_id: str, pool: Pool, clock: SandboxClock) -> None:
        self._pool = pool
        self._clock = clock
        self._faults = Faults()
        self._calls: Counter[str] = Counter()
        self.asgi = Starlette(
            routes=[
                Route("/", self.cognito, methods=["POST"]),
                Route(f"/{pool_id}/.well-known/jwks.json", self.jwks),
                Route("/_sandbox/messages", self.messages, methods=["GET", "DELETE"]),
                Route("/_sandbox/faults", self.faults, methods=["GET", "POST", "DELETE"]),
                Route("/_sandbox/calls", self.calls),
                Route("/_sandbox/clock", self.advance, methods=["POST"]),
            ],
            middleware=[
                Middleware(
                    CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"]
                )
            ],
        )

    def order(self, fault: Fault) -> None:
        """Order a fault for the next calls."""
        self._faults.order(fault)

    def count(self) -> dict[str, int]:
        """Return the number of calls by operation."""
        return dict(self._calls)

    async def cognito(self, request: Request) -> Response:
        operation = request.headers.get("x-amz-target", "").removeprefix(_TARGET)
        try:
            body = json.loads(await _bounded_body(request))
            if not isinstance(body, dict):
                raise ValueError
        except (ValueError, RecursionError):
            return _error(CognitoError("SerializationException", "The body is not a JSON object."))
        self._calls[operation] += 1
        fault = self._faults.take(operation)
        if fault and fault.kind == "refuse":
            return NoResponse()
        if fault and fault.kind == "throttle":
            return _error(CognitoError("TooManyRequestsException", "Rate exceeded"))
        response = self._perform(operation, body)
        match fault.kind if fault else None:
            case "drop_response":
                return NoResponse()
            case "http_500":
                return _error(CognitoError("InternalErrorException", "Something went wrong", 500))
            case "delay":
                await asyncio.sleep(fault.seconds if fault else 0)
        return response

    def _perform(self, operation: str, body: dict[str, Any]) -> Response:
        try:
            return _AmzJson(self._pool.perform(operation, body))
        except CognitoError as error:
            return _error(error)

    async def jwks(self, _: Request) -> Response:
        return JSONResponse(self._pool.tokens.jwks())

    async def messages(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._pool.inbox.clear()
        return JSONResponse(_MESSAGES.dump_python(self._pool.inbox.messages(), mode="json"))

    async def faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._faults.clear()
        elif request.method == "POST":
            try:
                self._faults.order(Fault.model_validate_json(await _bounded_body(request)))
            except ValidationError as error:
                return _malformed(error)
        return JSONResponse([fault.model_dump() for fault in self._faults.pending()])

    async def calls(self, _: Request) -> Response:
        return JSONResponse(self._calls)

    async def advance(self, request: Request) -> Response:
        try:
            order = _Advance.model_validate_json(await _bounded_body(request))
        except ValidationError as error:
            return _malformed(error)
        self._clock.advance(order.advance_seconds)
        return JSONResponse({"now": self._clock.now()})


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            return b""
    return bytes(body)


def _error(error: CognitoError) -> Response:
    return _AmzJson(
        {"__type": error.code, "message": error.message},
        status_code=error.status,
        headers={"x-amzn-ErrorType": error.code, "x-amzn-ErrorMessage": error.message},
    )


def _malformed(error: ValidationError) -> Response:
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return JSONResponse({"error": "malformed", "problems": problems}, status_code=400)
