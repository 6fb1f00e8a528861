"""A third party's adapters, without base classes, assigned to the ports."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

from oncegate import Factor, RequestContext, SignedOut, SignIn, Tokens, WaysIn
from oncegate.adapters import (
    Call,
    ChallengeIssued,
    CheckCode,
    CheckPassword,
    Clock,
    CodeChallenge,
    Device,
    DeviceVault,
    Finding,
    ListedDevice,
    Listener,
    Outcome,
    OutcomeUnknown,
    RecordStore,
    Rejected,
    RejectionReason,
    Secret,
    SessionKeeper,
    StoredRecord,
    TokenService,
    TokensIssued,
    Transition,
    Transport,
)


class OwnTokens:
    def renew(self, tokens: Tokens) -> Tokens:
        return Tokens(access_token="new", refresh_token=tokens.refresh_token)

    def check(self, tokens: Tokens) -> None:
        if not tokens.access_token:
            raise SignedOut

    def sign_out_everywhere(self, tokens: Tokens) -> None:
        self.revoke(tokens)

    def revoke(self, tokens: Tokens) -> None:
        print(tokens.expires_in)

    def verify(self, token: str, use: Literal["access", "id"] = "access") -> Mapping[str, Any]:
        return {"sub": token, "token_use": use}

    def devices(self, tokens: Tokens) -> list[ListedDevice]:
        return [ListedDevice("key", "Firefox", None)]

    def logout_url(self, tokens: Tokens, return_to: str) -> str | None:
        return None

    def forget_device(self, tokens: Tokens, key: str) -> None:
        print(key)


class OwnTransport:
    app_id = "pool/client"
    max_call_seconds = 12.0
    is_passwordless = False
    ways_in = WaysIn()

    def __init__(self) -> None:
        self._tokens = OwnTokens()

    @property
    def token_service(self) -> TokenService:
        return self._tokens

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        match call:
            case CheckPassword(username=username, password=password):
                if password.get_secret_value() == "wrong":
                    return Rejected(reason=RejectionReason.WRONG_CREDENTIALS)
                return ChallengeIssued(
                    challenge=CodeChallenge(
                        kind=Factor.SMS, session=own_secret("session"), username=username
                    )
                )
            case CheckCode():
                return TokensIssued(tokens=Tokens(access_token="access"))
            case _:
                return OutcomeUnknown(detail=context.user_agent)

    def check(self) -> list[Finding]:
        return [Finding("app client", "warning", "it has a secret", "rotate it")]


class OwnStore:
    def __init__(self) -> None:
        self._rows: dict[str, StoredRecord] = {}

    def load(self, key: str) -> StoredRecord | None:
        return self._rows.get(key)

    def swap(self, key: str, expected: int, row: StoredRecord) -> bool:
        stored = self._rows.get(key)
        if stored is not None and stored[:2] == row[:2]:
            return True
        if (stored.version if stored else 0) != expected:
            return False
        self._rows[key] = row
        return True

    def epoch(self, key: str) -> str:
        return "00000000"

    def now(self) -> float:
        return time.time()


class OwnVault:
    def __init__(self) -> None:
        self._devices: list[Device] = []

    def find(self, name: str) -> Device | None:
        return next((device for device in self._devices if device.is_of(name)), None)

    def store(self, device: Device) -> None:
        self._devices.append(device)

    def remove(self, device: Device) -> None:
        self._devices.remove(device)


class OwnKeeper:
    def create(self, tokens: Tokens) -> str:
        return str(tokens.expires_in)


class OwnClock:
    def now(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        print(seconds)


def own_secret(text: str) -> Secret:
    from pydantic import SecretStr

    return SecretStr(text)


def listen(transition: Transition) -> None:
    print(transition.flow, transition.source, transition.target, transition.suppressed)


transport: Transport = OwnTransport()
store: RecordStore = OwnStore()
tokens: TokenService = OwnTokens()
vault: DeviceVault = OwnVault()
keeper: SessionKeeper = OwnKeeper()
clock: Clock = OwnClock()
listener: Listener = listen

sign_in = SignIn(
    transport=transport,
    store=store,
    vault=vault,
    keeper=keeper,
    clock=clock,
    listeners=[listener],
)
