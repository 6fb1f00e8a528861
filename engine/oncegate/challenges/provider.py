"""Signing in with an identity provider, on pages of the user pool's domain (OAuth 2.0, RFC 6749, 7636).

The browser goes to the pool's authorization endpoint, and comes back with a code for the tokens.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field as ModelField
from pydantic import SecretStr, StringConstraints, model_validator

from oncegate._secret import Secret
from oncegate.challenges._base import (
    CallBase,
    ChallengeBase,
    Choice,
    EventBase,
    Field,
    _Encodable,
    field,
)
from oncegate.messages import TEXTS
from oncegate.states import FlowState

if TYPE_CHECKING:
    from oncegate.challenges import InMemory
    from oncegate.record import Flow
    from oncegate.ways_in import WaysIn

_ParameterText = Annotated[SecretStr, ModelField(min_length=1, max_length=4096), _Encodable]
# RFC 6749, 4.1.2.1; Apple's own name for it (amplify-flutter#7350).
_DENIALS = frozenset({"access_denied", "user_cancelled_authorize"})
# Cognito passes the words of the pool's pre sign-up trigger on, which refuses such users.
_ADDRESS_IN_USE = re.compile(
    r"\b(account|user|email)\b.*\balready (exists|in use|taken|registered|used)", re.IGNORECASE
)
_ErrorText = Annotated[str, StringConstraints(max_length=1024), _Encodable]


class ProviderChallenge(ChallengeBase):
    """The user signs in at an identity provider.

    Attributes:
        provider: Cognito's name of it.
        url: where the browser goes.
        state: what the answer has to repeat, so that it is this flow's (RFC 6749, 10.12).
        verifier: proves that the code is this flow's (PKCE, RFC 7636).
        nonce: what the ID token has to repeat (OpenID Connect Core, 3.1.2.1).
    """

    kind: Literal["PROVIDER"] = "PROVIDER"
    session: Secret = SecretStr("")
    username: str = ""
    provider: str
    url: str = ModelField(max_length=8192, repr=False)
    state: Secret
    verifier: Secret
    nonce: Secret

    @property
    def waits_in(self) -> FlowState:
        return FlowState.AWAITING_PROVIDER

    @property
    def messages(self) -> Mapping[str, str]:
        refused = ("wrong_credentials", "challenge_dead", "code_expired")
        return {**super().messages, **dict.fromkeys(refused, "provider_failed")}

    def call(self, flow: Flow, memory: InMemory) -> ExchangeCode:
        event = memory.event
        assert isinstance(event, SubmitAuthorization)
        assert event.code is not None
        return ExchangeCode(challenge=self, code=event.code)

    def is_answered_by(self, event: SubmitAuthorization) -> bool:
        """Return whether an answer repeats this challenge's state."""
        expected, state = self.state.get_secret_value(), event.state.get_secret_value()
        return hmac.compare_digest(expected.encode(), state.encode())


class SignInWith(EventBase):
    """Sign in with an identity provider.

    Attributes:
        provider: Cognito's name of it (`oncegate.Provider.name`).
    """

    machine_event: ClassVar[str] = "sign_in_with"
    type: Literal["sign_in_with"] = "sign_in_with"
    provider: Annotated[str, StringConstraints(min_length=1, max_length=32)]

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        code = "choice.provider"
        choices = tuple(
            Choice(
                value=one.name,
                label=TEXTS[code].format(provider=one.display_name),
                label_code=code,
                values={"provider": one.display_name},
            )
            for one in ways_in.providers
        )
        return (field("provider", "provider", type="choice", choices=choices, style="buttons"),)


class SubmitAuthorization(EventBase):
    """What the browser brings back from the identity provider: a code, or an error (RFC 6749, 4.1.2).

    Attributes:
        state: repeats the state of the request.
        code: code for the tokens; None after an error.
        error: the error's name, such as ``"access_denied"``; empty if there is a code.
        error_description: the provider's words, for the log.
    """

    machine_event: ClassVar[str] = "submit_authorization"
    can_be_repeated: ClassVar[bool] = False  # the provider issues each code once
    type: Literal["submit_authorization"] = "submit_authorization"
    state: _ParameterText
    code: _ParameterText | None = None
    error: _ErrorText = ""
    error_description: _ErrorText = ""

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            state: str | SecretStr,
            code: str | SecretStr | None = None,
            error: str = "",
            error_description: str = "",
        ) -> None: ...

    @model_validator(mode="after")
    def _has_one_answer(self) -> SubmitAuthorization:
        if (self.code is None) is not bool(self.error):
            raise ValueError("either a code or an error")
        return self

    @property
    def answered_with(self) -> tuple[str, ...]:
        return () if self.code is None else (self.code.get_secret_value(),)

    @classmethod
    def fields(cls, flow: Flow, ways_in: WaysIn) -> tuple[Field, ...]:
        return tuple(
            field(name, "authorization", type="authorization", secret=True)
            for name in ("state", "code")
        )

    @property
    def message(self) -> str:
        """Code of what the user is told of the error."""
        if self.error in _DENIALS:
            return "provider_denied"
        is_taken = _ADDRESS_IN_USE.search(self.error_description)
        return "provider_address_taken" if is_taken else "provider_failed"

    @property
    def detail(self) -> str:
        return f"{self.error}: {self.error_description}" if self.error else ""


class AuthorizeWith(CallBase):
    """Prepare the request to an identity provider. Nothing is sent: the browser goes there."""

    provider: str


class ExchangeCode(CallBase):
    """Exchange the code of an identity provider for tokens."""

    challenge: ProviderChallenge
    code: SecretStr
