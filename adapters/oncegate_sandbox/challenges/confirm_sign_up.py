"""A sign-up to confirm: ResendConfirmationCode and ConfirmSignUp."""

from __future__ import annotations

from pydantic import Field

from oncegate_sandbox._attributes import check_alias
from oncegate_sandbox._codes import (
    CONFIRM_SIGN_UP,
    DAY,
    HourlyLimit,
    UsernameRequest,
    check_code,
    imitated_details,
    mismatch,
    send_code,
    user_of,
)
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller
from oncegate_sandbox._sign_up import (
    SIGNED_UP,
    address_to_verify,
    check_unconfirmed,
    post_confirmation,
)
from oncegate_sandbox._signing_in import SigningIn
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.challenges._base import Challenge
from oncegate_sandbox.errors import (
    SESSION_EXPIRED,
    SESSION_FOREIGN,
    CognitoError,
    invalid_parameter,
    not_authorized,
)

rule(
    "confirm-unknown",
    "For an unknown user, ResendConfirmationCode imitates a delivery, and ConfirmSignUp says "
    "CodeMismatchException.",
    source="AWS developer guide, managing user existence error responses",
)
rule(
    "confirm-verifies",
    "ConfirmSignUp verifies the address that the code was sent to.",
    source="AWS developer guide, verifying contact information",
)
rule(
    "confirm-alias-exists",
    "If another user signs in with the address, ConfirmSignUp says AliasExistsException, or takes "
    "the alias over with ForceAliasCreation. The code stays valid.",
    source="API reference, ConfirmSignUp; amazon-cognito-js#23; that the code stays valid is inferred",
    inferred=True,
)
rule(
    "confirm-session",
    "The session of ConfirmSignUp starts USER_AUTH.",
    source="API reference, ConfirmSignUp; aws-sdk-js-v3#6724",
)
rule(
    "confirm-session-expired",
    "If the session of the sign-up has expired, the user is confirmed all the same, but not signed in.",
    inferred=True,
)
rule(
    "resend-without-verification",
    "ResendConfirmationCode is rejected if the pool verifies no address of the user: 'Cannot resend "
    "codes. Auto verification not turned on.'.",
    source="public reports of these words",
)


class ConfirmSignUpRequest(UsernameRequest):
    """ConfirmSignUp."""

    code: str = Field(alias="ConfirmationCode")
    forces_alias: bool = Field(default=False, alias="ForceAliasCreation")


class ConfirmSignUp(Challenge):
    """Confirms users, and signs them in with the session of the confirmation."""

    def __init__(self, sign_in: SigningIn) -> None:
        super().__init__(sign_in)
        self._resends = HourlyLimit()
        self._attempts = HourlyLimit()

    def operations(self) -> Operations:
        return {
            "ResendConfirmationCode": (UsernameRequest, self._resend),
            "ConfirmSignUp": (ConfirmSignUpRequest, self._confirm),
        }

    def _resend(self, request: UsernameRequest) -> Json:
        user = user_of(self.pool, request)
        self._resends.count(user.username if user else request.username, self.pool.clock.now())
        if user is None:
            return {"CodeDeliveryDetails": imitated_details(request.username)}
        if user.status != "UNCONFIRMED":
            raise invalid_parameter("User is already confirmed.")
        attribute = address_to_verify(self.pool, user)
        if attribute is None:
            raise invalid_parameter("Cannot resend codes. Auto verification not turned on.")
        sent = send_code(
            self.pool,
            user,
            attribute,
            CONFIRM_SIGN_UP,
            DAY,
            source="CustomMessage_ResendCode",
            client_id=request.client_id,
            metadata=request.metadata,
        )
        return {"CodeDeliveryDetails": sent}

    def _confirm(self, request: ConfirmSignUpRequest) -> Json:
        pool, now = self.pool, self.pool.clock.now()
        user = user_of(pool, request)
        self._attempts.count(user.username if user else request.username, now)
        if user is None:
            raise mismatch()
        check_unconfirmed(user)
        can_sign_in = self._can_sign_in(user, request.session)
        sent = check_code(pool, user, CONFIRM_SIGN_UP, request.code)
        check_alias(
            pool,
            user,
            sent.attribute,
            user.attributes.get(sent.attribute, ""),
            takes_over=request.forces_alias,
        )
        del user.codes[CONFIRM_SIGN_UP]
        user.set_verified(sent.attribute, verified=True)
        user.status, user.modified_at = "CONFIRMED", now
        post_confirmation(pool, user, request.client_id, request.metadata)
        return {"Session": pool.sessions.open("CONFIRMED", user, now).text} if can_sign_in else {}

    def _can_sign_in(self, user: User, session: str | None) -> bool:
        """Whether the session of the sign-up, if the request has one, has not expired.

        Raises:
            CognitoError: the session is invalid or another user's.
        """
        try:
            found = session and self.pool.sessions.find(session, SIGNED_UP, self.pool.clock.now())
        except CognitoError as error:
            if error.message != SESSION_EXPIRED:
                raise
            return False
        if found and found.user is not user:
            raise not_authorized(SESSION_FOREIGN)
        return True

    def sign_in_with(self, user: User | None, session: str, caller: Caller) -> Json:
        """Sign in with the session of a confirmation in place of a first factor.

        Source: botocore's service model.

        Args:
            user: the user that the request names.
            session: ``Session`` of InitiateAuth.
            caller: where the request comes from.

        Raises:
            CognitoError: the session is invalid or another user's.
        """
        found = self.pool.sessions.find(session, "CONFIRMED", self.pool.clock.now())
        if user is None or found.user is not user:
            raise not_authorized(SESSION_FOREIGN)
        found.used = True
        return self.sign_in.complete(user, caller)
