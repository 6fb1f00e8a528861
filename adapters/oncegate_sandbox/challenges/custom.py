"""CUSTOM_CHALLENGE: the pool's triggers ask, or a few lines of Python in the seed that stand for them.

With the triggers DefineAuthChallenge, CreateAuthChallenge and VerifyAuthChallengeResponse, each is
called as Cognito calls its Lambda function.

The seed's ``custom_auth`` is the short form: Python source that defines
``next_challenge(username, past)``. ``past`` lists the challenges of this sign-in so far, each as
``{"name": …, "right": True or False}``. A password that was proven first is in it under the name
``PASSWORD_VERIFIER``. The function returns:

- True to sign the user in
- False to reject the sign-in
- the next challenge as ``{"public": {…}, "answer": "…"}``, with ``"text"`` for a message to send to the
  user's phone or email address

Source: AWS developer guide, "Custom authentication challenge Lambda triggers".
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import CodeType
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oncegate import Factor, InvalidInput
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller, Session
from oncegate_sandbox._signing_in import Attempt, SigningIn
from oncegate_sandbox._triggers import Triggers
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.challenges._base import AuthFlow, Challenge
from oncegate_sandbox.challenges.password import Password
from oncegate_sandbox.errors import WRONG_PASSWORD, CognitoError, invalid_parameter, not_authorized

_TRIGGERS = ("DefineAuthChallenge", "CreateAuthChallenge", "VerifyAuthChallengeResponse")

rule(
    "custom-auth-unconfigured",
    "CUSTOM_AUTH without triggers is InvalidParameterException, 'Custom auth lambda trigger is not "
    "configured for the user pool.'",
    source="nine code bases that quote it",
)
rule(
    "custom-auth-unknown-user",
    "For an unknown user the triggers run with userNotFound. Tokens are never issued: 'Incorrect "
    "username or password.'",
    source="AWS developer guide, custom authentication challenge triggers; the words are inferred",
    inferred=True,
)
rule(
    "custom-auth-fails",
    "failAuthentication arrives as 'Incorrect username or password.'",
    source="amplify-swift#3695; amplify-js#5834",
)
rule(
    "custom-auth-metadata",
    "The three triggers get the ClientMetadata of RespondToAuthChallenge, not that of InitiateAuth.",
    source="API reference, InitiateAuth and RespondToAuthChallenge, ClientMetadata",
)
rule(
    "custom-challenge-shape",
    "CUSTOM_CHALLENGE has USERNAME beside the public parameters.",
    source="amplify-js#12887, a log",
)


@dataclass(frozen=True)
class _Past:
    """One challenge of the sign-in so far, and whether it was answered rightly."""

    name: str
    is_right: bool
    metadata: str | None = None


class _Next(BaseModel):
    """A challenge that the triggers define."""

    model_config = ConfigDict(extra="forbid")

    public: dict[str, str] = Field(default_factory=dict)
    answer: str
    text: str | None = None


@dataclass(frozen=True)
class _Asked:
    """A challenge to issue, or what is to be done instead.

    Attributes:
        name: ``ChallengeName``: CUSTOM_CHALLENGE, or PASSWORD_VERIFIER after SRP_A.
        public: public parameters.
        private: what the answer is checked with.
        metadata: ``challengeMetadata`` of the trigger.
        text: message to send to the user.
    """

    name: str = "CUSTOM_CHALLENGE"
    public: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict, repr=False)
    metadata: str | None = None
    text: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _SignIn:
    """A custom sign-in: who, from where, and what was asked so far."""

    user: User | None
    name: str
    caller: Caller
    past: tuple[_Past, ...] = ()

    @property
    def own_name(self) -> str:
        """The user's own name, or the name as given if the user is unknown."""
        return self.user.username if self.user else self.name


class _Script(Protocol):
    """What decides a custom sign-in."""

    def following(self, sign_in: _SignIn) -> _Asked | bool:
        """Return the next challenge, or whether the sign-in is accepted."""
        ...

    def is_right(self, sign_in: _SignIn, private: Mapping[str, str], answer: str) -> bool:
        """Return whether an answer is right."""
        ...


@cache
def _compiled(source: str) -> CodeType:
    return compile(source, "custom_auth", "exec")


class _ShortForm:
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
            exec(_compiled(source), names)  # noqa: S102
            self._next: Callable[[str, list[dict[str, Any]]], Any] = names["next_challenge"]
        except Exception as error:  # noqa: BLE001 - the developer's code can raise anything
            raise InvalidInput(f"custom_auth: {type(error).__name__}: {error}") from None

    def following(self, sign_in: _SignIn) -> _Asked | bool:
        past = [
            {"name": one.name, "right": one.is_right} for one in sign_in.past if one.name != "SRP_A"
        ]
        if sign_in.past and sign_in.past[-1].name == "SRP_A":
            return _Asked("PASSWORD_VERIFIER")
        try:
            returned = self._next(sign_in.own_name, past)
        except Exception as error:  # noqa: BLE001 - the developer's code can raise anything
            message = f"DefineAuthChallenge failed with error {error}."
            raise CognitoError("UserLambdaValidationException", message) from None
        if isinstance(returned, bool):
            return returned
        try:
            following = _Next.model_validate(returned)
        except ValidationError:
            raise _unrecognizable() from None
        private = {"answer": following.answer}
        return _Asked(public=following.public, private=private, text=following.text)

    def is_right(self, sign_in: _SignIn, private: Mapping[str, str], answer: str) -> bool:
        del sign_in
        return hmac.compare_digest(private["answer"].encode(), answer.encode())


class _Lambdas:
    """The three triggers of a pool."""

    def __init__(self, triggers: Triggers) -> None:
        self._triggers = triggers

    def following(self, sign_in: _SignIn) -> _Asked | bool:
        defined = self._run(
            "DefineAuthChallenge",
            sign_in,
            {"session": _session(sign_in)},
            {"challengeName": None, "issueTokens": None, "failAuthentication": None},
        )
        if defined.get("failAuthentication"):
            return False
        if defined.get("issueTokens"):
            return True
        name = defined.get("challengeName")
        if name == "PASSWORD_VERIFIER" and sign_in.past and sign_in.past[-1].name == "SRP_A":
            return _Asked(name)
        if name != "CUSTOM_CHALLENGE":
            raise _unrecognizable()
        created = self._run(
            "CreateAuthChallenge",
            sign_in,
            {"challengeName": name, "session": _session(sign_in)},
            {
                "publicChallengeParameters": None,
                "privateChallengeParameters": None,
                "challengeMetadata": None,
            },
        )
        return _Asked(
            public=created.get("publicChallengeParameters") or {},
            private=created.get("privateChallengeParameters") or {},
            metadata=created.get("challengeMetadata"),
        )

    def is_right(self, sign_in: _SignIn, private: Mapping[str, str], answer: str) -> bool:
        verified = self._run(
            "VerifyAuthChallengeResponse",
            sign_in,
            {"privateChallengeParameters": dict(private), "challengeAnswer": answer},
            {"answerCorrect": None},
        )
        return bool(verified.get("answerCorrect"))

    def _run(
        self, name: str, sign_in: _SignIn, request: dict[str, Any], response: dict[str, Any]
    ) -> dict[str, Any]:
        client = sign_in.caller.client
        hides = client.prevents_user_existence_errors
        return self._triggers.run(
            name,
            source=f"{name}_Authentication",
            user=sign_in.user,
            username=sign_in.own_name,
            client_id=client.id,
            request={
                **request,
                "clientMetadata": dict(sign_in.caller.metadata) or None,
                "userNotFound": sign_in.user is None if hides else None,
            },
            response=response,
        )


def _session(sign_in: _SignIn) -> list[dict[str, Any]]:
    """Return ``session`` of a trigger's request."""
    return [
        {
            "challengeName": one.name,
            "challengeResult": one.is_right,
            "challengeMetadata": one.metadata,
        }
        for one in sign_in.past
    ]


def _unrecognizable() -> CognitoError:
    return CognitoError("InvalidLambdaResponseException", "Unrecognizable lambda output")


class Custom(Challenge):
    """Issues the challenges that the triggers define, and has their answers checked."""

    names = ("CUSTOM_CHALLENGE",)

    def __init__(self, sign_in: SigningIn) -> None:
        super().__init__(sign_in)
        source = self.pool.seed.custom_auth
        self._lambdas = _Lambdas(self.pool.triggers)
        self._short_form = _ShortForm(source) if source else None

    def _script(self) -> _Script:
        """Return what decides a custom sign-in. CreateUserPool and UpdateUserPool change it.

        Raises:
            CognitoError: the pool has neither the triggers nor the short form.
        """
        if all(self.pool.triggers.has(name) for name in _TRIGGERS):
            return self._lambdas
        if self._short_form is None:
            raise invalid_parameter(
                "Custom auth lambda trigger is not configured for the user pool."
            )
        return self._short_form

    def auth_flows(self) -> Mapping[str, AuthFlow]:
        return {"CUSTOM_AUTH": self._begin}

    def _begin(self, attempt: Attempt) -> Json:
        script = self._script()
        started = _SignIn(attempt.user, attempt.name, attempt.caller)
        if attempt.given.get("CHALLENGE_NAME") != "SRP_A":
            return self._proceed(started)
        past = (_Past("SRP_A", is_right=True),)
        following = script.following(replace(started, past=past))
        if not isinstance(following, _Asked) or following.name != "PASSWORD_VERIFIER":
            raise not_authorized(WRONG_PASSWORD)

        def after_password(user: User, caller: Caller) -> Json:
            proven = (*past, _Past("PASSWORD_VERIFIER", is_right=True))
            return self._proceed(_SignIn(user, attempt.name, caller, proven))

        return self.sign_in.challenge(Password).begin_srp(attempt, then=after_password)

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        session.used = True
        given = required(request.responses, "ANSWER")
        before = _SignIn(session.user, session.name, session.origin, session.notes["past"])
        is_right = self._script().is_right(before, session.notes["private"], given)
        answered = _Past(request.challenge, is_right, session.notes["metadata"])
        return self._proceed(replace(before, past=(*before.past, answered)))

    def _proceed(self, sign_in: _SignIn) -> Json:
        """Sign the user in, reject the sign-in, or issue the next challenge."""
        user, caller = sign_in.user, sign_in.caller
        following = self._script().following(sign_in)
        if following is True and user is not None:
            self.sign_in.check_status(user, caller.client)
            self.sign_in.check_enabled(user, caller.client)
            return self.sign_in.complete(user, caller)
        if not isinstance(following, _Asked) or following.name != "CUSTOM_CHALLENGE":
            raise not_authorized(WRONG_PASSWORD)
        if following.text and user is not None:
            factor = Factor.SMS if "phone_number" in user.attributes else Factor.EMAIL
            self.pool.deliver(user, factor, following.text, "CUSTOM_CHALLENGE")
        return self.open_plain(
            "CUSTOM_CHALLENGE",
            user,
            {"USERNAME": sign_in.own_name, **following.public},
            caller,
            name=sign_in.name,
            notes={
                "private": following.private,
                "metadata": following.metadata,
                "past": sign_in.past,
            },
        )
