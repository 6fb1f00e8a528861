"""InitiateAuth and RespondToAuthChallenge: what all challenges share.

The challenges themselves are in `oncegate_sandbox.challenges`. This module checks the client and the
user, passes each request to its challenge, decides what follows a proven factor, and issues tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from oncegate_sandbox._sessions import Session
from oncegate_sandbox._srp_exchange import SrpExchanges
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import (
    InitiateAuth,
    Json,
    Operations,
    RespondToAuthChallenge,
    required,
)
from oncegate_sandbox.errors import (
    DISABLED,
    SESSION_FOREIGN,
    WRONG_PASSWORD,
    CognitoError,
    invalid_parameter,
    not_authorized,
)

if TYPE_CHECKING:
    from oncegate_sandbox.challenges._base import Challenge

    _ChallengeT = TypeVar("_ChallengeT", bound=Challenge)

_REFRESH = {"REFRESH_TOKEN_AUTH", "REFRESH_TOKEN"}


@dataclass(frozen=True)
class Attempt:
    """The beginning of a sign-in: an InitiateAuth, or a first factor chosen afterwards.

    Attributes:
        user: the user of this name; None for an unknown user.
        name: the username as given. It can be an alias.
        given: AuthParameters of InitiateAuth, or ChallengeResponses of the choice.
        device_key: key of the device that the client named. Default: none.
        session: ``Session`` of InitiateAuth. Default: none.
    """

    user: User | None
    name: str
    given: Mapping[str, str | None]
    device_key: str | None = None
    session: str | None = None


class SigningIn:
    """The two operations.

    Args:
        pool: the pool that users sign in to.
        challenges: all challenges. After the first factor, the first one that is due is issued.

    Attributes:
        srp: the SRP exchanges that have begun.
    """

    def __init__(self, pool: PoolState, challenges: Sequence[type[Challenge]]) -> None:
        self.pool = pool
        self.srp = SrpExchanges(pool.clock)
        self.challenges = [challenge(self) for challenge in challenges]
        self._auth_flows = {
            name: begin
            for challenge in self.challenges
            for name, begin in challenge.auth_flows().items()
        }

    def operations(self) -> Operations:
        """Return the two operations, and those that belong to challenges."""
        operations: Operations = {
            "InitiateAuth": (InitiateAuth, self._initiate),
            "RespondToAuthChallenge": (RespondToAuthChallenge, self._respond),
        }
        for challenge in self.challenges:
            operations.update(challenge.operations())
        return operations

    def challenge(self, kind: type[_ChallengeT]) -> _ChallengeT:
        """Return the challenge of a class."""
        return next(found for found in self.challenges if isinstance(found, kind))

    # ── InitiateAuth ──

    def _initiate(self, request: InitiateAuth) -> Json:
        pool, given = self.pool, request.parameters
        pool.check_client(request.client_id)
        if request.auth_flow in _REFRESH:
            return self._refresh(request)
        name = given.get("USERNAME")
        if not name:
            raise invalid_parameter("Missing required parameter USERNAME")
        pool.check_secret_hash(
            given.get("SECRET_HASH"), name, "Unable to verify secret hash for client"
        )
        user = pool.users.find(name)
        if user is None and not pool.seed.prevent_user_existence_errors:
            raise CognitoError("UserNotFoundException", "User does not exist.")
        begin = self._auth_flows.get(request.auth_flow)
        if begin is None:
            raise invalid_parameter(f"{request.auth_flow} is not enabled for the client")
        return begin(Attempt(user, name, given, given.get("DEVICE_KEY"), request.session))

    def _refresh(self, request: InitiateAuth) -> Json:
        pool, token = self.pool, required(request.parameters, "REFRESH_TOKEN")
        if pool.tokens.rotation is not None:
            # The service model says that this is rejected if tokens rotate. The message is inferred.
            raise not_authorized("Refresh token rotation requires GetTokensFromRefreshToken")
        key = request.parameters.get("DEVICE_KEY")
        return {"AuthenticationResult": pool.tokens.refresh(token, key, pool.clock.now())}

    # ── RespondToAuthChallenge ──

    def _respond(self, request: RespondToAuthChallenge) -> Json:
        pool, answer = self.pool, request.responses
        pool.check_client(request.client_id)
        name = required(answer, "USERNAME")
        pool.check_secret_hash(
            answer.get("SECRET_HASH"), name, "SecretHash does not match for the client:"
        )
        for challenge in self.challenges:
            if challenge.accepts(request):
                return challenge.respond(request)
        self.session_of(request)
        raise invalid_parameter(f"{request.challenge} cannot be answered")

    def session_of(self, request: RespondToAuthChallenge) -> Session:
        """Return the session of an answer, after checking its user and device.

        Raises:
            CognitoError: the session is missing, invalid or another user's, or the device is
                unknown.
        """
        if not request.session:
            raise invalid_parameter("Missing required parameter Session")
        pool, name = self.pool, request.responses["USERNAME"] or ""
        session = pool.sessions.find(request.session, request.challenge, pool.clock.now())
        # An alias is accepted too. It only makes the new device unconfirmable (amplify-js#7615).
        if pool.users.find(name) is not session.user:
            raise not_authorized(SESSION_FOREIGN)
        if session.user and not session.user.is_enabled:
            raise not_authorized(DISABLED)
        if pool.has_secret and session.user and name != session.user.username:
            raise not_authorized(f"SecretHash does not match for the client: {request.client_id}")
        key = request.responses.get("DEVICE_KEY")
        if session.user:
            pool.devices.check(key, session.user)
        session.device_key = key or session.device_key
        return session

    # ── what follows a proven factor ──

    def first_factor_proven(self, user: User, device_key: str | None) -> Json:
        """Check the user's status and device, and return the next step.

        Raises:
            CognitoError: the status forbids the sign-in, or the device is unknown.
        """
        self.check_status(user)
        # After the password, so that only the user learns about a device. This is inferred.
        self.pool.devices.check(device_key, user)
        return self.next_step(user, device_key)

    def check_status(self, user: User) -> None:
        """Check that the user's status allows a sign-in.

        That Cognito checks this only after the right password is inferred.

        Raises:
            CognitoError: the user is disabled, the sign-up is unconfirmed, or the password is to be
                reset.
        """
        if not user.is_enabled:
            hides = self.pool.seed.prevent_user_existence_errors
            raise not_authorized(WRONG_PASSWORD if hides else DISABLED)
        if user.status == "UNCONFIRMED":
            raise CognitoError("UserNotConfirmedException", "User is not confirmed.")
        if user.status == "RESET_REQUIRED":
            raise CognitoError(
                "PasswordResetRequiredException", "Password reset required for the user"
            )

    def next_step(self, user: User, device_key: str | None) -> Json:
        """Issue the first challenge that is due, or tokens if none is."""
        for challenge in self.challenges:
            if challenge.is_due(user, device_key):
                return challenge.issue(user, device_key)
        return self.complete(user, device_key)

    def complete(
        self, user: User, device_key: str | None, *, answered_as: str | None = None
    ) -> Json:
        """Issue tokens.

        Args:
            user: the user who signed in.
            device_key: key of the device that the client named; None for a new one.
            answered_as: USERNAME of the last answer. Default: the user's own name.
        """
        now = self.pool.clock.now()
        devices = self.pool.devices
        # A device that was forgotten during the sign-in counts as new. This is inferred.
        key = device_key if devices.knows(device_key, user) else None
        is_confirmable = answered_as in {None, user.username}
        new = None if key else devices.track(user, now, is_confirmable=is_confirmable)
        result = self.pool.tokens.issue(user, now, new.key if new else key)
        if new:
            metadata = {"DeviceKey": new.key, "DeviceGroupKey": new.group_key}
            result = {**result, "NewDeviceMetadata": metadata}
        return {"AuthenticationResult": result, "ChallengeParameters": {}}
