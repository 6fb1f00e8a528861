"""`Challenge`: what the files of this folder implement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from oncegate import Factor
from oncegate_sandbox._sessions import Caller, Session
from oncegate_sandbox._signing_in import Attempt, SigningIn
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, Operations, RespondToAuthChallenge

AuthFlow = Callable[[Attempt], Json]


class Challenge:
    """One challenge: issues it and checks its answer.

    Args:
        sign_in: the sign-in operations of the pool.

    Attributes:
        names: values of ``ChallengeName`` that this class answers.
        sets_up: the factor that an answer to MFA_SETUP can set up with this class, or None.
    """

    names: ClassVar[tuple[str, ...]] = ()
    sets_up: ClassVar[Factor | None] = None

    def __init__(self, sign_in: SigningIn) -> None:
        self.sign_in = sign_in
        self.pool = sign_in.pool

    def operations(self) -> Operations:
        """Return the operations of the API that belong to this challenge."""
        return {}

    def auth_flows(self) -> Mapping[str, AuthFlow]:
        """Return the values of ``AuthFlow`` that begin with this challenge."""
        return {}

    def first_factors(self, user: User | None) -> Sequence[str]:
        """Return the first factors of USER_AUTH that this class can begin for a user.

        Args:
            user: None for an unknown user, for whom it returns all that it imitates.
        """
        del user
        return ()

    def begin(self, factor: str, attempt: Attempt) -> Json:
        """Begin with a first factor that the user chose or preferred."""
        raise NotImplementedError

    def is_due(self, user: User, caller: Caller) -> bool:
        """Whether this challenge follows the first factor."""
        del user, caller
        return False

    def issue(self, user: User, caller: Caller) -> Json:
        """Issue the challenge if `is_due`."""
        raise NotImplementedError

    def accepts(self, request: RespondToAuthChallenge) -> bool:
        """Whether this class answers a request."""
        return request.challenge in self.names

    def respond(self, request: RespondToAuthChallenge) -> Json:
        """Answer RespondToAuthChallenge.

        Raises:
            CognitoError: the session or the answer is rejected.
        """
        return self.answer(self.sign_in.session_of(request), request)

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        """Check the answer to a challenge whose session was found.

        Raises:
            CognitoError: the answer is rejected.
        """
        raise NotImplementedError

    def open(
        self,
        name: str,
        user: User,
        parameters: Mapping[str, str],
        caller: Caller,
        **details: Any,
    ) -> Json:
        """Open a session for a challenge and return the response that issues it.

        Args:
            name: ``ChallengeName``.
            user: whom the challenge is for.
            parameters: ``ChallengeParameters`` beside USER_ID_FOR_SRP.
            caller: request that the challenge is issued to.
            details: further fields of the `Session`.
        """
        return self.open_plain(
            name, user, {"USER_ID_FOR_SRP": user.username, **parameters}, caller, **details
        )

    def open_first(
        self, name: str, attempt: Attempt, parameters: Mapping[str, str], **details: Any
    ) -> Json:
        """Open a session for a first factor, and return the response that issues it.

        No parameter names the user: the client answers with the name that was typed. All first factors
        of the user are listed beside.
        """
        available = self.sign_in.first_factors(attempt.user, attempt.name)
        response = self.open_plain(
            name,
            attempt.user,
            parameters,
            attempt.caller,
            name=attempt.name,
            is_first=True,
            **details,
        )
        return {**response, "AvailableChallenges": available}

    def open_plain(
        self,
        challenge: str,
        user: User | None,
        parameters: Mapping[str, str],
        caller: Caller,
        **details: Any,
    ) -> Json:
        """Open a session for a challenge with these parameters, and return the response.

        Args:
            challenge: ``ChallengeName``.
            user: None if the sandbox imitates the challenge for an unknown user.
            parameters: all of its ``ChallengeParameters``.
            caller: request that the challenge is issued to.
            details: further fields of the `Session`.
        """
        session = self.pool.sessions.open(
            challenge, user, self.pool.clock.now(), caller=caller, **details
        )
        return {
            "ChallengeName": challenge,
            "Session": session.text,
            "ChallengeParameters": dict(parameters),
        }
