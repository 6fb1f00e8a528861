"""The password, in the clear or proven by SRP.

USER_PASSWORD_AUTH, USER_SRP_AUTH, and PASSWORD, PASSWORD_SRP and PASSWORD_VERIFIER.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller, Session
from oncegate_sandbox._signing_in import Attempt, SigningIn
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, RespondToAuthChallenge, required
from oncegate_sandbox.challenges._base import AuthFlow, Challenge
from oncegate_sandbox.errors import WRONG_PASSWORD, not_authorized
from oncegate_sandbox.srp import N, Verifier

rule(
    "password-lock-out",
    "From the fifth wrong password on, the username is locked for 1 second, and for twice as long "
    "after each further one, up to 15 minutes: 'Password attempts exceeded'. The "
    "count is forgotten after 15 minutes without a try.",
    source="AWS developer guide, authentication, lockout for failed sign-in attempts",
)
rule(
    "srp-unknown-user",
    "An unknown user gets a UUID as USER_ID_FOR_SRP, and always the same salt.",
    source="ministack#1758, measured; AWS developer guide, managing errors",
)
rule("srp-alias", "PASSWORD_VERIFIER accepts an alias of the user as USERNAME.", inferred=True)


class Password(Challenge):
    """Checks passwords and counts wrong ones."""

    names = ("PASSWORD", "PASSWORD_SRP", "PASSWORD_VERIFIER")

    def __init__(self, sign_in: SigningIn) -> None:
        super().__init__(sign_in)
        self._unknown_user_key = secrets.token_bytes(32)

    def auth_flows(self) -> Mapping[str, AuthFlow]:
        return {
            "USER_SRP_AUTH": self.begin_srp,
            "USER_PASSWORD_AUTH": self._begin_plain,
            "ADMIN_USER_PASSWORD_AUTH": self._begin_plain,
            "ADMIN_NO_SRP_AUTH": self._begin_plain,
        }

    def first_factors(self, user: User | None) -> Sequence[str]:
        return ("PASSWORD_SRP", "PASSWORD") if user is None or user.has_password else ()

    def begin(self, factor: str, attempt: Attempt) -> Json:
        if factor == "PASSWORD_SRP" and attempt.given.get("SRP_A"):
            return self.begin_srp(attempt)
        if factor == "PASSWORD" and attempt.given.get("PASSWORD"):
            return self._begin_plain(attempt)
        return self.open_first(factor, attempt, {})

    def respond(self, request: RespondToAuthChallenge) -> Json:
        if request.challenge == "PASSWORD_VERIFIER":
            return self._verify(request)
        return super().respond(request)

    def answer(self, session: Session, request: RespondToAuthChallenge) -> Json:
        session.used = True
        required(request.responses, "SRP_A" if request.challenge == "PASSWORD_SRP" else "PASSWORD")
        attempt = Attempt(session.origin, session.user, session.name, request.responses)
        return self.begin(request.challenge, attempt)

    def _begin_plain(self, attempt: Attempt) -> Json:
        user, password = attempt.user, required(attempt.given, "PASSWORD")
        self.sign_in.check_status(user, attempt.client)
        is_right = user is not None and hmac.compare_digest(
            user.password.encode(), password.encode()
        )
        proven = self._count(user, attempt.name, is_right)
        return self.sign_in.first_factor_proven(proven, attempt.caller)

    def begin_srp(
        self, attempt: Attempt, then: Callable[[User, Caller], Json] | None = None
    ) -> Json:
        """Issue PASSWORD_VERIFIER.

        Args:
            attempt: with SRP_A among its parameters.
            then: called with the user and the caller after the proof. Default: the usual next step
                after the first factor.
        """
        user = attempt.user
        own_name = user.username if user else self._imitated_name(attempt.name)
        return self.sign_in.srp.issue(
            "PASSWORD_VERIFIER",
            user.verifier(self.pool.name) if user else self._imitated_verifier(attempt.name),
            attempt.given.get("SRP_A"),
            {"USERNAME": own_name, "USER_ID_FOR_SRP": own_name},
            has_session=attempt.has_session,
            user=user,
            name=attempt.name,
            group=self.pool.name,
            identity=own_name,
            caller=attempt.caller,
            then=then or self.sign_in.first_factor_proven,
        )

    def _imitated_name(self, name: str) -> str:
        """Return what stands for the unknown user's own name: the same UUID each time."""
        digest = hmac.digest(self._unknown_user_key, b"name" + name.encode(), "sha256")
        return str(uuid.UUID(bytes=digest[:16], version=4))

    def _imitated_verifier(self, name: str) -> Verifier:
        """Return a verifier for an unknown user: the same salt each time, and no known password."""
        salt = hmac.digest(self._unknown_user_key, b"salt" + name.encode(), "sha256")[:16]
        value = hmac.digest(self._unknown_user_key, b"value" + name.encode(), "sha256")
        return Verifier(int.from_bytes(salt, "big"), pow(2, int.from_bytes(value, "big"), N))

    def _verify(self, request: RespondToAuthChallenge) -> Json:
        exchange, is_right = self.sign_in.srp.check(request)
        # An alias as USERNAME is accepted (inferred), but only one of this very user.
        if request.responses["USERNAME"] not in {exchange.identity, exchange.name}:
            raise not_authorized(WRONG_PASSWORD)
        client = exchange.caller.client
        self.sign_in.check_status(exchange.user, client)
        user = self._count(exchange.user, exchange.name, is_right)
        key = request.responses.get("DEVICE_KEY") or exchange.caller.device_key
        caller = replace(exchange.caller, device_key=key, metadata=request.client_metadata)
        return exchange.then(user, caller)

    def _count(self, user: User | None, name: str, is_right: bool) -> User:
        """Count an attempt, and return the user if the password is right.

        Raises:
            CognitoError: the password is wrong, or the username is locked out.
        """
        now = self.pool.clock.now()
        lockout = self.pool.users.lockout(user, name)
        lockout.check(now)
        if user is None or not is_right:
            lockout.count_wrong(now)
            raise not_authorized(WRONG_PASSWORD)
        lockout.reset()
        return user
