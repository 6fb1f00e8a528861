"""Walks: flows through the public Python API, over real HTTP, as a user goes through them."""

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
EMAIL = {"email": "ana@example.com", "mfa": [Factor.EMAIL]}
EVERY = {
    "phone_number": "+15550001234",
    "email": "ana@example.com",
    "totp_secret": TOTP,
    "mfa": [Factor.SMS, Factor.EMAIL, Factor.TOTP],
}


class Walk:
    """One flow at a time, and the step that its user sees.

    Attributes:
        step: the current step.
    """

    def __init__(self, sandbox: Sandbox, sign_in: SignIn) -> None:
        self.sandbox = sandbox
        self.sign_in = sign_in
        self.step = sign_in.start()

    def start(self) -> None:
        """Start another flow."""
        self.step = self.sign_in.start()

    def send(self, event: Event) -> Step:
        """Send an event from the current step; it must be accepted, and `get` must agree."""
        self.step = self.sign_in.send(self.step, event)
        assert self.step.reason is None, self.step.reason
        if self.step.session_id is None:  # otherwise `get` asks for the answer once more
            seen = self.step.model_copy(update={"tokens": None})
            assert self.sign_in.get(self.step.flow_id) == seen
        return self.step

    def send_password(self, username: str = "ana") -> Step:
        return self.send(SubmitPassword(username=username, password=SecretStr(PASSWORD)))

    def newest_code(self) -> str:
        return self.sandbox.messages()[-1].code

    def send_code(self, code: str | None = None) -> Step:
        return self.send(SubmitCode(code=SecretStr(code or self.newest_code())))

    def assert_signed_in(self, *, codes: int) -> None:
        """Assert that the tokens were issued, and how many codes Cognito sent until now."""
        assert self.step.state == "authenticated", (self.step.state, self.step.message)
        assert self.step.tokens is not None
        assert self.step.tokens.access_token.startswith("eyJ")
        assert len(self.sandbox.messages()) == codes


Walker = Callable[..., Walk]


def user(**more: Any) -> UserSeed:
    return UserSeed.model_validate({"username": "ana", "password": PASSWORD, **more})
