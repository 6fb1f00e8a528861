"""CUSTOM_CHALLENGE: a few lines of Python in the seed stand for the pool's Lambda triggers.

The seed's ``custom_auth`` is Python source that defines ``next_challenge(username, past)``. ``past``
lists the challenges of this sign-in so far, each as ``{"name": …, "right": True or False}``. A password
that was proven first is in it under the name ``PASSWORD_VERIFIER``. The function returns:

- True to sign the user in
- False to reject the sign-in
- the next challenge as ``{"public": {…}, "answer": "…"}``, with ``"text"`` for a message to send to the
  user's phone or email address

Source: AWS developer guide, "Custom authentication challenge Lambda triggers".
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oncegate import Factor, InvalidInput
from oncegate_sandbox._sessions import Session
from oncegate_sandbox._signing_in import Attempt, SigningIn
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.challenges._base import AuthFlow, Challenge
from oncegate_sandbox.challenges.password import Password
from oncegate_sandbox.errors import WRONG_PASSWORD, CognitoError, not_authorized

Past = list[dict[str, Any]]


class _Next(BaseModel):
    """A challenge that the trigger defines."""

    model_config = ConfigDict(extra="forbid")

    public: dict[str, str] = Field(default_factory=dict)
    answer: str
    text: str | None = None


class _Trigger:
    """The ``next_challenge`` function of a seed.

    Args:
        source: Python source.

    Raises:
        InvalidInput: the source cannot be run, or does not define ``next_challenge``.
    """

    def __init__(self, source: str) -> None:
        names: dict[str, Any] = {}
        try:
            # The seed is the developer's own file, like a conftest.py.
            exec(compile(source, "custom_auth", "exec"), names)  # noqa: S102
            self._next: Callable[[str, Past], Any] = names["next_challenge"]
        except Exception as error:  # noqa: BLE001 - the developer's code can raise anything
            raise InvalidInput(f"custom_auth: {type(error).__name__}: {error}") from None

    def next_challenge(self, username: str, past: Past) -> _Next | bool:
        """Return the next challenge, or whether the sign-in is accepted.

        Raises:
            CognitoError: the function raised, or returned something else, as a Lambda function can.
        """
        try:
            returned = self._next(username, past)
        except Exception as error:  # noqa: BLE001 - the developer's code can raise anything
            message = f"DefineAuthChallenge failed with error {error}."
            raise CognitoError("UserLambdaValidationException", message) from None
        if isinstance(returned, bool):
            return returned
        try:
            return _Next.model_validate(returned)
        except ValidationError:
            raise CognitoError(
                "InvalidLambdaResponseException", "Unrecognizable lambda output"
            ) from None


class Custom(Challenge):
    """Issues the trigger's challenges and checks their answers."""

    names = ("CUSTOM_CHALLENGE",)

    def __init__(self, sign_in: SigningIn) -> None:
        super().__init__(sign_in)
        source = self.pool.seed.custom_auth
        self._trigger = _Trigger(source) if source else None

    def auth_flows(self) -> Mapping[str, AuthFlow]:
        return {"CUSTOM_AUTH": self._begin} if self._trigger else {}

    def _begin(self, attempt: Attempt) -> Json:
        if attempt.given.get("CHALLENGE_NAME") == "SRP_A":
            return self.sign_in.challenge(Password).begin_srp(attempt, then=self._after_password)
        if attempt.user is None:
            # That the trigger does not see an unknown user is inferred.
            raise not_authorized(WRONG_PASSWORD)
        return self._proceed(attempt.user, [], attempt.device_key)

    def _after_password(self, user: User, device_key: str | None) -> Json:
        return self._proceed(user, [{"name": "PASSWORD_VERIFIER", "right": True}], device_key)

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        session.used = True
        given = required(request.responses, "ANSWER")
        is_right = hmac.compare_digest(session.notes["answer"].encode(), given.encode())
        past = [*session.notes["past"], {"name": request.challenge, "right": is_right}]
        return self._proceed(session.owner, past, session.device_key)

    def _proceed(self, user: User, past: Past, device_key: str | None) -> Json:
        """Sign the user in, reject the sign-in, or issue the next challenge."""
        assert self._trigger is not None
        following = self._trigger.next_challenge(user.username, past)
        if following is True:
            self.sign_in.check_status(user)
            return self.sign_in.complete(user, device_key)
        if not isinstance(following, _Next):
            raise not_authorized(WRONG_PASSWORD)
        if following.text:
            factor = Factor.SMS if "phone_number" in user.attributes else Factor.EMAIL
            self.pool.deliver(user, factor, following.text, "CUSTOM_CHALLENGE")
        notes = {"answer": following.answer, "past": past}
        return self.open(
            "CUSTOM_CHALLENGE", user, following.public, device_key=device_key, notes=notes
        )
