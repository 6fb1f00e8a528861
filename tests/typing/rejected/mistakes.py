"""Mistakes that a type checker has to find: each line marked `# wrong`, and no other."""

from __future__ import annotations

from oncegate import (
    ChooseFactor,
    PasswordPolicy,
    RequestContext,
    ResetPassword,
    SignIn,
    Step,
    StepRef,
    SubmitCode,
    SubmitNewPassword,
    SubmitPassword,
    Tokens,
    WaysIn,
)
from oncegate.adapters import (
    Call,
    Finding,
    Outcome,
    RecordStore,
    StoredRecord,
    TokenService,
    Transport,
)


def calls_without_a_version(sign_in: SignIn, step: Step) -> None:
    event = SubmitCode(code="123456")
    sign_in.send(step.flow_id, event)  # wrong
    sign_in.send(event)  # wrong
    sign_in.send(StepRef(step.flow_id), event)  # wrong
    sign_in.send(step, "submit_code")  # wrong
    sign_in.send(step, event, "192.0.2.1")  # wrong
    sign_in.send(step, event, context="192.0.2.1")  # wrong
    sign_in.get(step)  # wrong


def misspelt_fields() -> None:
    SubmitPassword(username="ana", pasword="…")  # wrong
    SubmitPassword(username="ana")  # wrong
    SubmitPassword("ana", "…")  # wrong
    SubmitCode(code=123456)  # wrong
    SubmitNewPassword(password="…")  # wrong
    ResetPassword(code="123456")  # wrong
    ChooseFactor(factor="SMS_MFA")  # wrong
    RequestContext(source="192.0.2.1")  # wrong
    PasswordPolicy(min_length=12)  # wrong


def unchecked_results(step: Step) -> None:
    print(step.tokens.access_token)  # wrong
    print(step.delivery.medium)  # wrong
    print(step.event)  # wrong


class TransportWithoutTokens:
    app_id = "pool/client"
    max_call_seconds = 12.0
    is_passwordless = False
    ways_in = WaysIn()

    def perform(self, call: Call, context: RequestContext) -> Outcome:
        raise NotImplementedError

    def check(self) -> list[Finding]:
        raise NotImplementedError


class StoreWithoutVersions:
    def load(self, key: str) -> StoredRecord | None:
        return None

    def swap(self, key: str, row: StoredRecord) -> bool:
        return True

    def epoch(self, key: str) -> float:
        return 0.0

    def now(self) -> float:
        return 0.0


class TokensWithoutRevoking:
    def renew(self, tokens: Tokens) -> Tokens:
        return tokens


transport: Transport = TransportWithoutTokens()  # wrong
store: RecordStore = StoreWithoutVersions()  # wrong
service: TokenService = TokensWithoutRevoking()  # wrong
