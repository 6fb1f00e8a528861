"""`Challenge`: what the files of this folder implement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from oncegate import Factor
from oncegate_sandbox._sessions import Session
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
        """Return the first factors of USER_AUTH that this class can begin for a user."""
        del user
        return ()

    def begin(self, factor: str, attempt: Attempt) -> Json:
        """Begin with a first factor that the user chose or preferred."""
        raise NotImplementedError

    def is_due(self, user: User, device_key: str | None) -> bool:
        """Whether this challenge follows the first factor."""
        del user, device_key
        return False

    def issue(self, user: User, device_key: str | None) -> Json:
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
        self, name: str, user: User | None, parameters: Mapping[str, str], **details: Any
    ) -> Json:
        """Open a session for a challenge and return the response that issues it.

        Args:
            name: ``ChallengeName``.
            user: None if the sandbox imitates a challenge for an unknown user.
            parameters: ``ChallengeParameters``.
            details: further fields of the `Session`.
        """
        session = self.pool.sessions.open(name, user, self.pool.clock.now(), **details)
        own_name = user.username if user else session.notes["name"]
        return {
            "ChallengeName": name,
            "Session": session.text,
            "ChallengeParameters": {"USER_ID_FOR_SRP": own_name, **parameters},
        }
