"""`MeteredTransport`: a transport whose latency is measured."""

from __future__ import annotations

import re

from opentelemetry.metrics import MeterProvider

from oncegate import RequestContext, Tokens
from oncegate.adapters import (
    Call,
    Finding,
    ListedDevice,
    NotSent,
    Outcome,
    Rejected,
    TokenService,
    Transport,
    WaysIn,
)
from oncegate_otel._durations import Durations

_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 15, 30)


class MeteredTransport:
    """Passes everything on to a transport, and records ``oncegate.call.duration``.

    The attribute ``operation`` is the call, such as ``check_password``, or what the token service
    does, such as ``renew``; ``outcome`` is such as ``challenge_issued``, ``tokens_issued``,
    ``rejected``, ``not_sent`` or ``outcome_unknown``; ``reason`` says why a call was rejected or not
    made.

    Args:
        transport: the transport.
        provider: OpenTelemetry meter provider. Default: the global one.
    """

    def __init__(self, transport: Transport, provider: MeterProvider | None = None) -> None:
        self._transport = transport
        self._durations = Durations(
            "oncegate.call.duration", "Seconds that a call to Cognito takes", _SECONDS, provider
        )
        service = transport.token_service
        self._service = service and _MeteredTokenService(service, self._durations)

    @property
    def app_id(self) -> str:
        """See `oncegate.adapters.Transport.app_id`."""
        return self._transport.app_id

    @property
    def max_call_seconds(self) -> float:
        """See `oncegate.adapters.Transport.max_call_seconds`."""
        return self._transport.max_call_seconds

    @property
    def is_passwordless(self) -> bool:
        """See `oncegate.adapters.Transport.is_passwordless`."""
        return self._transport.is_passwordless

    @property
    def ways_in(self) -> WaysIn:
        """See `oncegate.adapters.Transport.ways_in`."""
        return self._transport.ways_in

    @property
    def token_service(self) -> TokenService | None:
        """The transport's token service, measured as well."""
        return self._service

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        """See `oncegate.adapters.Transport.perform`."""
        return self._durations.measure(
            _snake_case(type(call).__name__),
            lambda: self._transport.perform(call, context),
            _attributes,
        )

    def check(self) -> list[Finding]:
        """See `oncegate.adapters.Transport.check`. Nothing is measured."""
        return self._transport.check()


class _MeteredTokenService:
    def __init__(self, service: TokenService, durations: Durations) -> None:
        self._service = service
        self._durations = durations
        # Not measured: the public keys are fetched once an hour. Not a method either: error reporters
        # store the local variables of each frame, and the token would be one.
        self.verify = service.verify
        self.logout_url = service.logout_url  # no request

    def renew(self, tokens: Tokens) -> Tokens:
        return self._durations.measure("renew", lambda: self._service.renew(tokens))

    def revoke(self, tokens: Tokens) -> None:
        self._durations.measure("revoke", lambda: self._service.revoke(tokens))

    def check(self, tokens: Tokens) -> None:
        self._durations.measure("check", lambda: self._service.check(tokens))

    def sign_out_everywhere(self, tokens: Tokens) -> None:
        self._durations.measure(
            "sign_out_everywhere", lambda: self._service.sign_out_everywhere(tokens)
        )

    def devices(self, tokens: Tokens) -> list[ListedDevice]:
        return self._durations.measure("devices", lambda: self._service.devices(tokens))

    def forget_device(self, tokens: Tokens, key: str) -> None:
        self._durations.measure("forget_device", lambda: self._service.forget_device(tokens, key))


def _attributes(outcome: Outcome) -> dict[str, str]:
    match outcome:
        case Rejected():
            return {"outcome": outcome.type, "reason": str(outcome.reason)}
        case NotSent():
            return {"outcome": outcome.type, "reason": outcome.cause}
    return {"outcome": outcome.type}


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
