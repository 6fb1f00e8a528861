"""One flow after another through the Python contract, over real HTTP, as a person would go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from oncegate import Event, Factor, SignIn, Step, SubmitCode, SubmitPassword
from oncegate_sandbox import Sandbox, UserSeed

PASSWORD = "Correct-horse-1"
NEW_PASSWORD = "Better-horse-2"
TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PHONE = {"phone_number": "+15550001234", "mfa": [Factor.SMS]}
MAIL = {"email": "ana@example.com", "mfa": [Factor.EMAIL]}
EVERY = {
    "phone_number": "+15550001234",
    "email": "ana@example.com",
    "totp_secret": TOTP,
    "mfa": [Factor.SMS, Factor.EMAIL, Factor.TOTP],
}


class Walk:
    """One flow, told what to do."""

    def __init__(self, sandbox: Sandbox, sign_in: SignIn) -> None:
        self.sandbox = sandbox
        self.sign_in = sign_in
        self.step = sign_in.start()

    def begins_again(self) -> None:
        self.step = self.sign_in.start()

    def does(self, event: Event) -> Step:
        self.step = self.sign_in.send(self.step, event)
        assert self.step.reason is None, self.step.reason
        assert self.sign_in.get(self.step.flow_id) == self.step.model_copy(update={"tokens": None})
        return self.step

    def password(self, username: str = "ana") -> Step:
        return self.does(SubmitPassword(username=username, password=SecretStr(PASSWORD)))

    def newest_code(self) -> str:
        return self.sandbox.messages()[-1].code

    def code(self, code: str | None = None) -> Step:
        return self.does(SubmitCode(code=SecretStr(code or self.newest_code())))

    def is_signed_in(self, *, texts: int) -> None:
        assert self.step.state == "authenticated", (self.step.state, self.step.message)
        assert self.step.tokens is not None
        assert self.step.tokens.access_token.startswith("eyJ")
        assert len(self.sandbox.messages()) == texts


Walker = Callable[..., Walk]


def user(**more: Any) -> UserSeed:
    return UserSeed.model_validate({"username": "ana", "password": PASSWORD, **more})
