"""InitiateAuth and RespondToAuthChallenge: what all challenges share.

The challenges themselves are in `oncegate_sandbox.challenges`. This module checks the client and the
user, passes each request to its challenge, decides what follows a proven factor, and issues tokens.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller, Session
from oncegate_sandbox._srp_exchange import SrpExchanges
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._token_operations import refresh_by_flow
from oncegate_sandbox._users import EXTERNAL, User
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

_REFRESH: Final = {"REFRESH_TOKEN_AUTH", "REFRESH_TOKEN"}
_PASSWORDS: Final = {"PASSWORD_SRP", "PASSWORD"}
_ADMIN_FLOWS: Final = {"ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"}
# The values of ExplicitAuthFlows that allow a flow: botocore's service model, ExplicitAuthFlowsType.
_ALLOWED_BY: Final = {
    "USER_SRP_AUTH": {"ALLOW_USER_SRP_AUTH"},
    "USER_PASSWORD_AUTH": {"ALLOW_USER_PASSWORD_AUTH", "USER_PASSWORD_AUTH"},
    "ADMIN_USER_PASSWORD_AUTH": {"ALLOW_ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"},
    "ADMIN_NO_SRP_AUTH": {"ALLOW_ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"},
    "USER_AUTH": {"ALLOW_USER_AUTH"},
    "CUSTOM_AUTH": {"ALLOW_CUSTOM_AUTH", "CUSTOM_AUTH_FLOW_ONLY"},
    "REFRESH_TOKEN_AUTH": {"ALLOW_REFRESH_TOKEN_AUTH"},
    "REFRESH_TOKEN": {"ALLOW_REFRESH_TOKEN_AUTH"},
}
# A client with one of the older values can use SRP and refresh as well.
_OLDER: Final = {"ADMIN_NO_SRP_AUTH", "USER_PASSWORD_AUTH", "CUSTOM_AUTH_FLOW_ONLY"}

rule(
    "first-factors",
    "AvailableChallenges lists all first factors of a user, also beside a challenge that is issued at "
    "once. With MFA required, or a temporary password, only passwords are offered; and passkeys, if "
    "they satisfy MFA.",
    source="API reference, InitiateAuth, examples 1 and 2; AWS developer guide, authentication",
)
rule(
    "first-factors-unknown",
    "For an unknown user, USER_AUTH offers a random selection of the pool's challenges, the same each "
    "time.",
    source="AWS developer guide, managing errors; that it is the same each time is inferred",
    inferred=True,
)
rule(
    "auth-flow-of-client",
    "A flow that ExplicitAuthFlows does not allow is an InvalidParameterException: "
    "'USER_PASSWORD_AUTH flow not enabled for this client', 'USER_SRP_AUTH is not enabled for the "
    "client.', and 'Auth flow not enabled for this client' for administrators.",
    source="public reports of each of the three; botocore's service model for the values",
)
rule(
    "auth-flow-of-operation",
    "InitiateAuth with an ADMIN_ flow, and AdminInitiateAuth with USER_PASSWORD_AUTH, are an "
    "InvalidParameterException: 'Initiate Auth method not supported'.",
    source="moto#4836, AWS's own answer",
)
rule(
    "unconfirmed-before-password",
    "An unconfirmed user gets UserNotConfirmedException before the password is checked; with SRP at "
    "the second request.",
    source="amazon-cognito-identity-js#288; that SRP has it at the second request is inferred",
    inferred=True,
)
rule(
    "reset-required",
    "A user whose password is to be reset gets 'Incorrect username or password.' for any password, or "
    "PasswordResetRequiredException if the client reveals who exists (LEGACY).",
    source="AWS developer guide, importing users, and managing user existence error responses",
)
rule(
    "disabled-after-password",
    "A disabled user gets 'User is disabled.' (LEGACY) or 'Incorrect username or password.' after the "
    "right password or first-factor code, and 'User is disabled.' at a code of MFA.",
    inferred=True,
)
rule(
    "external-user",
    "The user of an identity provider has no first factor: the API answers 'Incorrect username or "
    "password.'.",
    inferred=True,
)
rule(
    "device-after-password",
    "An unknown device is reported after the password, so that only the user learns of it.",
    inferred=True,
)
rule(
    "pre-authentication",
    "PreAuthentication runs before the first factor is checked, for unknown users with userNotFound; "
    "ClientMetadata of InitiateAuth is its validationData.",
    source="AWS developer guide, pre authentication Lambda trigger; API reference, InitiateAuth",
)
rule(
    "post-authentication",
    "PostAuthentication runs before tokens are issued, with the ClientMetadata of "
    "RespondToAuthChallenge, and without that of InitiateAuth.",
    source="API reference, InitiateAuth and RespondToAuthChallenge, ClientMetadata",
)
rule(
    "user-migration",
    "With USER_PASSWORD_AUTH, an unknown user is offered to UserMigration with the password. The user "
    "is RESET_REQUIRED unless finalUserStatus is CONFIRMED.",
    source="AWS developer guide, migrate user Lambda trigger",
)
rule(
    "user-migration-fails",
    "If UserMigration raises or returns no attributes, the user stays unknown.",
    inferred=True,
)


@dataclass(frozen=True)
class Attempt:
    """The beginning of a sign-in: an InitiateAuth, or a first factor chosen afterwards.

    Attributes:
        caller: app client, device and ClientMetadata of the request.
        user: the user of this name; None for an unknown user.
        name: the username as given. It can be an alias.
        given: AuthParameters of InitiateAuth, or ChallengeResponses of the choice.
        session: ``Session`` of InitiateAuth. Default: none.
        has_session: whether the challenge of an SRP exchange carries a session.
    """

    caller: Caller
    user: User | None
    name: str
    given: Mapping[str, str | None] = field(repr=False)
    session: str | None = field(default=None, repr=False)
    has_session: bool = True

    @property
    def client(self) -> AppClient:
        """The app client."""
        return self.caller.client


class SigningIn:
    """The operations that sign in.

    Args:
        pool: the pool that users sign in to.
        challenges: all challenges. After the first factor, the first one that is due is issued.

    Attributes:
        srp: the SRP exchanges that have begun.
    """

    def __init__(self, pool: PoolState, challenges: Sequence[type[Challenge]]) -> None:
        self.pool = pool
        self.srp = SrpExchanges(pool.clock)
        self._selection_key = secrets.token_bytes(32)
        self.challenges = [challenge(self) for challenge in challenges]
        self._auth_flows = {
            name: begin
            for challenge in self.challenges
            for name, begin in challenge.auth_flows().items()
        }

    def operations(self) -> Operations:
        """Return the operations, and those that belong to challenges."""
        operations: Operations = {
            "InitiateAuth": (InitiateAuth, self._initiate),
            "AdminInitiateAuth": (InitiateAuth, self._initiate_as_admin),
            "RespondToAuthChallenge": (RespondToAuthChallenge, self._respond),
            "AdminRespondToAuthChallenge": (RespondToAuthChallenge, self._respond),
        }
        for challenge in self.challenges:
            operations.update(challenge.operations())
        return operations

    def challenge(self, kind: type[_ChallengeT]) -> _ChallengeT:
        """Return the challenge of a class."""
        return next(found for found in self.challenges if isinstance(found, kind))

    # ── InitiateAuth ──

    def _initiate(self, request: InitiateAuth) -> Json:
        if request.auth_flow in _ADMIN_FLOWS:
            raise invalid_parameter("Initiate Auth method not supported")
        return self._begin(request)

    def _initiate_as_admin(self, request: InitiateAuth) -> Json:
        if request.auth_flow == "USER_PASSWORD_AUTH":
            raise invalid_parameter("Initiate Auth method not supported")
        return self._begin(request)

    def _begin(self, request: InitiateAuth) -> Json:
        pool, given, flow = self.pool, request.parameters, request.auth_flow
        client = pool.client(request.client_id)
        _check_flow(client, flow)
        if flow in _REFRESH:
            return refresh_by_flow(pool, client, request)
        name = given.get("USERNAME")
        if not name:
            raise invalid_parameter("Missing required parameter USERNAME")
        pool.check_secret_hash(
            client, given.get("SECRET_HASH"), name, "Unable to verify secret hash for client"
        )
        has_level = bool(given.get("TARGET_ACR_VALUES"))
        caller = Caller(client, given.get("DEVICE_KEY"), has_target_level=has_level)
        return self._begin_for(caller, request, name)

    def begin_at_managed_login(self, client: AppClient, name: str, password: str) -> Json:
        """Begin a sign-in at managed login, which needs no flow and no secret of the app client.

        Args:
            client: the app client that sent the user.
            name: username or alias.
            password: the password.

        Returns:
            A challenge as InitiateAuth returns it, or the user as ``SignedIn``.

        Raises:
            CognitoError: the name or the password is wrong, or the user cannot sign in.
        """
        parameters = {"USERNAME": name, "PASSWORD": password}
        required(parameters, "USERNAME")
        request = InitiateAuth(
            ClientId=client.id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters
        )
        return self._begin_for(Caller(client, at_managed_login=True), request, name)

    def _begin_for(self, caller: Caller, request: InitiateAuth, name: str) -> Json:
        pool, given, flow, client = self.pool, request.parameters, request.auth_flow, caller.client
        begin = self._auth_flows[flow]
        user = pool.users.find(name)
        if user is None and flow == "USER_PASSWORD_AUTH":
            user = self._migrated(client, request, name)
        self.pre_authentication(client, request.client_metadata, user, name)
        if user is None and not client.prevents_user_existence_errors and flow != "CUSTOM_AUTH":
            raise CognitoError("UserNotFoundException", "User does not exist.")
        return begin(
            Attempt(
                caller,
                user,
                name,
                given,
                request.session,
                has_session=flow != "USER_SRP_AUTH",
            )
        )

    def pre_authentication(
        self, client: AppClient, metadata: Mapping[str, str], user: User | None, name: str
    ) -> None:
        """Run the PreAuthentication trigger.

        Args:
            client: the app client of the sign-in.
            metadata: ``ClientMetadata`` of InitiateAuth.
            user: the user; None for an unknown one.
            name: the username as given.

        Raises:
            CognitoError: the trigger failed.
        """
        if not self.pool.triggers.has("PreAuthentication"):
            return
        self.pool.triggers.run(
            "PreAuthentication",
            source="PreAuthentication_Authentication",
            user=user,
            username=user.username if user else name,
            client_id=client.id,
            request={
                "validationData": dict(metadata),
                "userNotFound": user is None if client.prevents_user_existence_errors else None,
            },
            response={},
        )

    def _migrated(self, client: AppClient, request: InitiateAuth, name: str) -> User | None:
        """Return the user whom the UserMigration trigger knows, after adding them; else None."""
        if not self.pool.triggers.has("UserMigration"):
            return None
        password = required(request.parameters, "PASSWORD")
        try:
            response = self.pool.triggers.run(
                "UserMigration",
                source="UserMigration_Authentication",
                user=None,
                username=name,
                client_id=client.id,
                request={
                    "password": password,
                    "validationData": dict(request.client_metadata),
                    "userAttributes": None,
                },
                response={
                    "userAttributes": None,
                    "forceAliasCreation": None,
                    "enableSMSMFA": None,
                    "finalUserStatus": None,
                    "messageAction": None,
                    "desiredDeliveryMediums": None,
                },
            )
        except CognitoError as error:
            if error.code != "UserLambdaValidationException":
                raise
            return None
        attributes = response.get("userAttributes")
        if not attributes:
            return None
        user = User(
            username=attributes.pop("username", name),
            password=password,
            status=response.get("finalUserStatus") or "RESET_REQUIRED",
            attributes=attributes,
            created_at=self.pool.clock.now(),
            modified_at=self.pool.clock.now(),
        )
        self.pool.users.add(user)
        return user

    # ── RespondToAuthChallenge ──

    def _respond(self, request: RespondToAuthChallenge) -> Json:
        pool, answer = self.pool, request.responses
        client = pool.client(request.client_id)
        name = required(answer, "USERNAME")
        pool.check_secret_hash(
            client, answer.get("SECRET_HASH"), name, "SecretHash does not match for the client:"
        )
        return self.respond(request)

    def respond(self, request: RespondToAuthChallenge) -> Json:
        """Answer a challenge, whose app client was authenticated before.

        Raises:
            CognitoError: the answer or the session is rejected.
        """
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
        is_named = name == session.name if session.user is None else False
        if not is_named and (session.user is None or pool.users.find(name) is not session.user):
            raise not_authorized(SESSION_FOREIGN)
        client = pool.client(request.client_id)
        if client is not session.client:
            raise not_authorized(SESSION_FOREIGN)
        # A first factor is checked before: an unknown caller must not learn that the user is disabled.
        if session.user and not session.is_first and not session.user.is_enabled:
            raise not_authorized(DISABLED)
        # After USER_AUTH no response names the user, so the hash covers the name that was typed.
        if client.has_secret and session.user and name not in {session.user.username, session.name}:
            raise not_authorized(f"SecretHash does not match for the client: {request.client_id}")
        key = request.responses.get("DEVICE_KEY")
        if session.user:
            pool.devices.check(key, session.user)
        session.answered_from(key, request.client_metadata)
        return session

    # ── first factors of USER_AUTH ──

    def first_factors(self, user: User | None, name: str) -> list[str]:
        """Return AvailableChallenges: the first factors of a user, or a selection for an unknown one."""
        settings = self.pool.settings
        offered = [factor for one in self.challenges for factor in one.first_factors(user)]
        passwords = [factor for factor in offered if factor in _PASSWORDS]
        if user is not None and user.status == EXTERNAL:
            return []
        if user is not None and user.status == "FORCE_CHANGE_PASSWORD":
            return passwords  # public reports
        others = [factor for factor in settings.first_factors if factor in offered]
        if settings.mfa == "on":
            passkeys = {"WEB_AUTHN"} if settings.passkeys_satisfy_mfa else set()
            others = [factor for factor in others if factor in passkeys]
        if user is None:
            kinds = [passwords, *([factor] for factor in others)]
            digest = hmac.digest(self._selection_key, name.encode(), "sha256")
            chosen = [kind for kind, byte in zip(kinds, digest, strict=False) if byte % 2]
            return [factor for kind in chosen or kinds[:1] for factor in kind]
        return [*passwords, *others]

    # ── what follows a proven factor ──

    def first_factor_proven(self, user: User, caller: Caller) -> Json:
        """Check the user's status and device, and return the next step.

        Raises:
            CognitoError: the status forbids the sign-in, or the device is unknown.
        """
        self.check_enabled(user, caller.client)
        self.pool.devices.check(caller.device_key, user)
        return self.next_step(user, caller.proving("pwd"))

    def check_status(self, user: User | None, client: AppClient) -> None:
        """Check that the user's status allows a sign-in, before any factor is checked.

        Raises:
            CognitoError: the sign-up is unconfirmed, the password is to be reset, or the user signs in
                with an identity provider.
        """
        if user is not None and user.status == EXTERNAL:
            raise not_authorized(WRONG_PASSWORD)
        if user is not None and user.status == "UNCONFIRMED":
            raise CognitoError("UserNotConfirmedException", "User is not confirmed.")
        if user is not None and user.status == "RESET_REQUIRED":
            if client.prevents_user_existence_errors:
                raise not_authorized(WRONG_PASSWORD)
            raise CognitoError(
                "PasswordResetRequiredException", "Password reset required for the user"
            )

    def check_enabled(self, user: User, client: AppClient) -> None:
        """Check that no administrator has disabled the user.

        Raises:
            CognitoError: the user is disabled.
        """
        if not user.is_enabled:
            hides = client.prevents_user_existence_errors
            raise not_authorized(WRONG_PASSWORD if hides else DISABLED)

    def next_step(self, user: User, caller: Caller) -> Json:
        """Issue the first challenge that is due, or tokens if none is."""
        for challenge in self.challenges:
            if challenge.is_due(user, caller):
                return challenge.issue(user, caller)
        return self.complete(user, caller)

    def complete(self, user: User, caller: Caller, *, answered_as: str | None = None) -> Json:
        """Issue tokens; at managed login, return the user as ``SignedIn``.

        Args:
            user: the user who signed in.
            caller: request that completes the sign-in.
            answered_as: USERNAME of the last answer. Default: the user's own name.
        """
        now = self.pool.clock.now()
        devices = self.pool.devices
        # A device that was forgotten during the sign-in counts as new. This is inferred.
        key = caller.device_key if devices.knows(caller.device_key, user) else None
        is_confirmable = answered_as in {None, user.username}
        self.post_authentication(user, caller, is_new_device=key is None)
        if caller.at_managed_login:
            return {"SignedIn": user}
        new = None if key else devices.track(user, now, is_confirmable=is_confirmable)
        result = self.pool.tokens.issue(
            user,
            caller.client,
            now,
            new.key if new else key,
            source=caller.token_source,
            metadata=caller.metadata,
            methods=caller.methods if caller.has_target_level else (),
        )
        if new:
            metadata = {"DeviceKey": new.key, "DeviceGroupKey": new.group_key}
            result = {**result, "NewDeviceMetadata": metadata}
        return {"AuthenticationResult": result, "ChallengeParameters": {}}

    def post_authentication(self, user: User, caller: Caller, *, is_new_device: bool) -> None:
        """Run the PostAuthentication trigger.

        Raises:
            CognitoError: the trigger failed.
        """
        if self.pool.triggers.has("PostAuthentication"):
            self.pool.triggers.run(
                "PostAuthentication",
                source="PostAuthentication_Authentication",
                user=user,
                username=user.username,
                client_id=caller.client.id,
                request={
                    "newDeviceUsed": is_new_device and self.pool.devices.are_tracked,
                    "clientMetadata": dict(caller.metadata) or None,
                },
                response={},
            )


def _check_flow(client: AppClient, flow: str) -> None:
    """Check that the app client may use a flow.

    Raises:
        CognitoError: it may not, or there is no such flow.
    """
    if flow not in _ALLOWED_BY:
        raise invalid_parameter("Initiate Auth method not supported")
    allowed = client.auth_flows
    if allowed is None or allowed & _ALLOWED_BY[flow]:
        return
    if allowed & _OLDER and (flow == "USER_SRP_AUTH" or flow in _REFRESH):
        return
    if flow == "USER_PASSWORD_AUTH":
        raise invalid_parameter("USER_PASSWORD_AUTH flow not enabled for this client")
    if flow in _ADMIN_FLOWS:
        raise invalid_parameter("Auth flow not enabled for this client")
    raise invalid_parameter(f"{flow} is not enabled for the client.")
