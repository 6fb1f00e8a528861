"""Transports that implement the declared ports, and nothing more, work through each framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import httpx
import pytest
from tests.doubles import ManualClock
from tests.web.example_apps import client_of, web_for
from tests.web.pages import Visit

from oncegate import InvalidToken, RequestContext, SignedOut, Tokens, WaysIn
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    CheckCode,
    CheckPassword,
    CodeChallenge,
    Finding,
    ListedDevice,
    Outcome,
    TokenService,
    TokensIssued,
    Transport,
)

ANA = {"username": "ana", "password": "Correct-horse-1"}


class MinimalTokenService:
    """`TokenService`, with refresh tokens that it can revoke."""

    def __init__(self) -> None:
        self.renewed = 0
        self.revoked: list[str | None] = []

    def renew(self, tokens: Tokens) -> Tokens:
        if tokens.refresh_token in self.revoked:
            raise SignedOut
        self.renewed += 1
        return Tokens(access_token=f"access-{self.renewed}")

    def revoke(self, tokens: Tokens) -> None:
        self.revoked.append(tokens.refresh_token)

    def check(self, tokens: Tokens) -> None:
        pass

    def sign_out_everywhere(self, tokens: Tokens) -> None:
        pass

    def verify(self, token: str, use: Literal["access", "id"] = "access") -> Mapping[str, Any]:
        if not token.startswith(use):
            raise InvalidToken
        return {"sub": "1", "username": "ana"}

    def devices(self, tokens: Tokens) -> list[ListedDevice]:
        return []

    def logout_url(self, tokens: Tokens, return_to: str) -> str | None:
        return None

    def forget_device(self, tokens: Tokens, key: str) -> None:
        pass


class MinimalTransport:
    """`Transport`, and nothing more."""

    app_id = "a pool/a client"
    max_call_seconds = 5.0
    is_passwordless = False
    ways_in = WaysIn()

    def __init__(self, token_service: TokenService | None) -> None:
        self._token_service = token_service

    @property
    def token_service(self) -> TokenService | None:
        return self._token_service

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        match call:
            case CheckPassword():
                challenge = CodeChallenge.model_validate(
                    {"kind": "SMS_MFA", "session": "s" * 40, "username": "ana"}
                )
                return ChallengeIssued(challenge=challenge)
            case CheckCode():
                tokens = Tokens(access_token="access-0", refresh_token="refresh")
                return TokensIssued(tokens=tokens)
        raise NotImplementedError

    def check(self) -> list[Finding]:
        return []


def _sign_in(client: httpx.Client) -> Visit:
    visit = Visit(client)
    visit.open()
    assert visit.say("submit_password", **ANA) == "awaiting_mfa"
    assert visit.say("submit_code", code="123456") == "authenticated"
    return visit


def test_transport_with_token_service_renews_and_revokes(framework: str) -> None:
    service, clock = MinimalTokenService(), ManualClock()
    transport: Transport = MinimalTransport(service)
    with client_of(framework, web_for(transport, clock=clock)) as client:
        visit = _sign_in(client)
        for renewals in (1, 2):
            clock.advance(3600)
            assert client.get("/orders").status_code == 200
            assert client.get("/auth/session").status_code == 200
            assert service.renewed == renewals
        visit.open()
        assert visit.say("sign_out") == "idle"
        assert service.revoked == ["refresh"]
        assert client.get("/orders").status_code == 303


def test_session_revoked_elsewhere_ends_at_its_renewal(framework: str) -> None:
    service, clock = MinimalTokenService(), ManualClock()
    with client_of(framework, web_for(MinimalTransport(service), clock=clock)) as client:
        _sign_in(client)
        service.revoked.append("refresh")
        clock.advance(3600)
        assert client.get("/orders").status_code == 303


@pytest.mark.parametrize("kind", ["server", "cookie"])
def test_session_without_token_service_ends_with_its_access_token(
    framework: str, kind: str
) -> None:
    clock = ManualClock()
    web = web_for(MinimalTransport(None), clock=clock, sessions=kind)
    with client_of(framework, web) as client:
        _sign_in(client)
        clock.advance(3599)
        assert client.get("/orders").status_code == 200
        clock.advance(1)
        assert client.get("/orders").status_code == 303
        visit = _sign_in(client)
        visit.open()
        assert visit.say("sign_out") == "idle"
        assert client.get("/orders").status_code == 303
