"""New users: SignUp, AdminCreateUser and AdminConfirmSignUp."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping

from pydantic import BaseModel, Field

from oncegate import Factor
from oncegate_sandbox._attributes import (
    ADDRESSES,
    AttributeType,
    already_exists,
    as_dict,
    as_list,
    check_alias,
    check_new,
    check_writable,
    is_email,
    is_phone,
    owner_of,
)
from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._codes import CONFIRM_SIGN_UP, DAY, UsernameRequest, client_of, send_code
from oncegate_sandbox._password_policy import ON_CREATION, ON_SIGN_UP, check_new_password
from oncegate_sandbox._rules import rule
from oncegate_sandbox._state import NO_CLIENT, PoolState
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.errors import CognitoError, invalid_parameter, not_authorized

SIGNED_UP = "SIGN_UP"
"""Challenge of the session that SignUp returns. ConfirmSignUp takes it."""

rule(
    "username-of-address",
    "If addresses stand for the username, a new user's username is the sub, and signing up needs an "
    "address: 'Username should be an email.'.",
    source="moto's tests marked aws_verified; AWS developer guide, customizing sign-in attributes",
)
rule(
    "username-not-an-alias",
    "If email addresses or phone numbers are aliases, a username cannot have their format.",
    source="public reports of 'Username cannot be of email format, since user pool is configured "
    "for email alias.'; the words for phone numbers are inferred",
    inferred=True,
)
rule(
    "username-exists",
    "A username that is taken is rejected, also if PreventUserExistenceErrors is ENABLED.",
    source="AWS developer guide, managing user existence error responses; localstack#4465",
)
rule(
    "sign-up-code",
    "SignUp sends a code if the pool verifies an address that the user gave: to the phone number if "
    "it verifies both.",
    source="moto's tests marked aws_verified; AWS developer guide, verifying contact information",
)
rule(
    "sign-up-forbidden",
    "SignUp is rejected if only administrators create users.",
    source="public reports of 'SignUp is not permitted for this user pool'",
)
rule(
    "passwordless-user",
    "A user can be created without a password if the pool offers a one-time code as first factor "
    "and the user has an address for it. The words for others are inferred.",
    source="API reference, SignUp, AdminCreateUser",
    inferred=True,
)
rule(
    "pre-sign-up-verifies",
    "A PreSignUp trigger can confirm the user and verify addresses. Verifying one that the user did "
    "not give is an error, whose words are inferred.",
    source="AWS developer guide, pre sign-up Lambda trigger",
    inferred=True,
)
rule(
    "invitation",
    "AdminCreateUser sends the temporary password by SMS, or to the media that the request names. "
    "That it falls back to email for users without a phone number is inferred.",
    source="API reference, AdminCreateUser",
    inferred=True,
)
rule(
    "invitation-resent",
    "RESEND sets a new temporary password for users who have not changed theirs: "
    "UnsupportedUserStateException for others, UserNotFoundException for unknown ones.",
    source="API reference, AdminCreateUser; moto#2741",
)


class SignUpRequest(UsernameRequest):
    """SignUp."""

    password: str = Field(default="", alias="Password")
    attributes: list[AttributeType] = Field(default_factory=list, alias="UserAttributes")
    validation: list[AttributeType] = Field(default_factory=list, alias="ValidationData")


class AdminCreateUser(BaseModel):
    """AdminCreateUser."""

    username: str = Field(alias="Username")
    attributes: list[AttributeType] = Field(default_factory=list, alias="UserAttributes")
    validation: list[AttributeType] = Field(default_factory=list, alias="ValidationData")
    password: str = Field(default="", alias="TemporaryPassword")
    forces_alias: bool = Field(default=False, alias="ForceAliasCreation")
    action: str | None = Field(default=None, alias="MessageAction")
    mediums: list[str] = Field(default_factory=list, alias="DesiredDeliveryMediums")
    metadata: dict[str, str] | None = Field(default=None, alias="ClientMetadata")


class AdminConfirmSignUp(BaseModel):
    """AdminConfirmSignUp."""

    username: str = Field(alias="Username")
    metadata: dict[str, str] | None = Field(default=None, alias="ClientMetadata")


class SignUp:
    """The operations.

    Args:
        pool: the pool of the new users.
    """

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {
            "SignUp": (SignUpRequest, self._sign_up),
            "AdminCreateUser": (AdminCreateUser, self._create),
            "AdminConfirmSignUp": (AdminConfirmSignUp, self._confirm),
        }

    def _sign_up(self, request: SignUpRequest) -> Json:
        pool, client = self._pool, client_of(self._pool, request)
        if pool.settings.admin_creates_users:
            raise not_authorized("SignUp is not permitted for this user pool")
        attributes = as_dict(request.attributes)
        check_writable(client, pool.settings, attributes)
        user = self._new(request.username, attributes, "User already exists")
        check_new(pool.settings, user.attributes, all_required=True)
        self._check_first_password(user, request.password, ON_SIGN_UP)
        user.password = request.password
        decided = self._pre_sign_up(
            user, "PreSignUp_SignUp", as_dict(request.validation), client.id, request.metadata
        )
        for name in ADDRESSES:
            if user.attributes.get(name):
                user.attributes.setdefault(f"{name}_verified", "false")
        user.status = "CONFIRMED" if decided.get("autoConfirmUser") else "UNCONFIRMED"
        pool.users.add(user)
        answer: Json = {"UserConfirmed": user.status == "CONFIRMED", "UserSub": user.sub}
        if user.status == "CONFIRMED":
            post_confirmation(pool, user, client.id, request.metadata)
            return answer
        if attribute := address_to_verify(pool, user):
            answer["CodeDeliveryDetails"] = send_code(
                pool,
                user,
                attribute,
                CONFIRM_SIGN_UP,
                DAY,
                source="CustomMessage_SignUp",
                client_id=client.id,
                metadata=request.metadata,
            )
        if offers_user_auth(client):
            answer["Session"] = pool.sessions.open(SIGNED_UP, user, pool.clock.now()).text
        return answer

    def _create(self, request: AdminCreateUser) -> Json:
        pool, now = self._pool, self._pool.clock.now()
        if request.action == "RESEND":
            return self._resend(request)
        attributes = as_dict(request.attributes)
        user = self._new(request.username, attributes, "User account already exists")
        check_new(pool.settings, user.attributes, all_required=False)
        for name in ADDRESSES:
            if user.attributes.get(f"{name}_verified") == "true" and not user.attributes.get(name):
                raise invalid_parameter(f"{name} is required to verify it")
        password = request.password
        if not password and not self._can_be_passwordless(user):
            password = temporary_password(pool.settings.password_policy.minimum_length)
        if password:
            self._check_first_password(user, password, ON_CREATION, member="temporaryPassword")
            user.set_password(
                password, temporary_until=pool.settings.password_policy.temporary_until(now)
            )
        media = self._media(user, request)
        self._pre_sign_up(
            user,
            "PreSignUp_AdminCreateUser",
            as_dict(request.validation),
            NO_CLIENT,
            request.metadata,
        )
        for name in ADDRESSES:
            if user.is_verified(name):
                check_alias(
                    pool, user, name, user.attributes[name], takes_over=request.forces_alias
                )
        pool.users.add(user)
        if request.action != "SUPPRESS":
            self._invite(user, media, request.metadata)
        return {"User": user_type(user)}

    def _resend(self, request: AdminCreateUser) -> Json:
        pool, now = self._pool, self._pool.clock.now()
        user = known_user(pool, request.username)
        if user.status != "FORCE_CHANGE_PASSWORD":
            raise CognitoError(
                "UnsupportedUserStateException",
                f"Resend not possible. {user.username} status is not FORCE_CHANGE_PASSWORD",
            )
        policy = pool.settings.password_policy
        password = request.password or temporary_password(policy.minimum_length)
        check_new_password(policy, password, words=ON_CREATION, member="temporaryPassword")
        user.set_password(password, temporary_until=policy.temporary_until(now))
        self._invite(user, self._media(user, request), request.metadata)
        return {"User": user_type(user)}

    def _confirm(self, request: AdminConfirmSignUp) -> Json:
        user = known_user(self._pool, request.username)
        check_unconfirmed(user)
        user.status, user.modified_at = "CONFIRMED", self._pool.clock.now()
        post_confirmation(self._pool, user, NO_CLIENT, request.metadata)
        return {}

    # ── parts ──

    def _new(self, name: str, attributes: dict[str, str], exists: str) -> User:
        """Return a new user, who is not added yet.

        Raises:
            CognitoError: the name has the wrong format or is taken.
        """
        pool, settings, now = self._pool, self._pool.settings, self._pool.clock.now()
        user = User(name, "", "CONFIRMED", attributes, created_at=now, modified_at=now)
        if settings.username_attributes:
            attribute = self._attribute_of(name)
            user.username = user.sub
            user.attributes = {**attributes, attribute: name}
            if owner_of(pool, attribute, name, but=None):
                raise CognitoError("UsernameExistsException", already_exists(settings, attribute))
            return user
        for attribute, has_format, format_name in (
            ("email", is_email, "email"),
            ("phone_number", is_phone, "phone number"),
        ):
            if attribute in settings.alias_attributes and has_format(name):
                raise invalid_parameter(
                    f"Username cannot be of {format_name} format, since user pool is configured "
                    f"for {format_name} alias."
                )
        if pool.users.find(name):
            raise CognitoError("UsernameExistsException", exists)
        check_alias(pool, user, "preferred_username", attributes.get("preferred_username", ""))
        return user

    def _attribute_of(self, name: str) -> str:
        """Return the attribute that stands for the username and has the format of a name."""
        allowed = self._pool.settings.username_attributes
        if "email" in allowed and is_email(name):
            return "email"
        if "phone_number" in allowed and is_phone(name):
            return "phone_number"
        wanted = "either an email or a phone number"
        if len(allowed) == 1:
            wanted = "an email" if "email" in allowed else "a phone number"
        raise invalid_parameter(f"Username should be {wanted}.")

    def _can_be_passwordless(self, user: User) -> bool:
        offered = self._pool.settings.first_factors
        return ("EMAIL_OTP" in offered and bool(user.attributes.get("email"))) or (
            "SMS_OTP" in offered and bool(user.attributes.get("phone_number"))
        )

    def _check_first_password(
        self, user: User, password: str, words: str, *, member: str = "password"
    ) -> None:
        if password:
            policy = self._pool.settings.password_policy
            check_new_password(policy, password, words=words, member=member)
        elif not self._can_be_passwordless(user):
            raise invalid_parameter("Password is required.")

    def _pre_sign_up(
        self,
        user: User,
        source: str,
        validation: Mapping[str, str],
        client_id: str,
        metadata: Mapping[str, str] | None,
    ) -> Json:
        """Run the PreSignUp trigger, and verify the addresses that it names."""
        pool = self._pool
        if not pool.triggers.has("PreSignUp"):
            return {}
        decided = pool.triggers.run(
            "PreSignUp",
            source=source,
            user=None,
            username=user.username,
            client_id=client_id,
            request={
                "userAttributes": dict(user.attributes),
                "validationData": dict(validation) or None,
                "clientMetadata": dict(metadata) if metadata else None,
            },
            response={"autoConfirmUser": False, "autoVerifyEmail": False, "autoVerifyPhone": False},
        )
        members = {"autoVerifyEmail": "email", "autoVerifyPhone": "phone_number"}
        verified = {member: name for member, name in members.items() if decided.get(member)}
        for member, name in verified.items():
            if not user.attributes.get(name):
                raise CognitoError(
                    "InvalidLambdaResponseException", f"{member} requires a value of {name}"
                )
        for name in verified.values():
            # "The alias is moved to the newest user": AWS developer guide, on this trigger.
            check_alias(pool, user, name, user.attributes[name], takes_over=True)
            user.set_verified(name, verified=True)
        return decided

    def _media(self, user: User, request: AdminCreateUser) -> list[Factor]:
        """Return the factors whose address gets the invitation.

        Raises:
            CognitoError: the request names a medium that the user has no address for.
        """
        factors = {"SMS": Factor.SMS, "EMAIL": Factor.EMAIL}
        wanted = [factors[medium] for medium in request.mediums]
        for factor in wanted:
            if not user.destination(factor) and request.action != "SUPPRESS":
                raise invalid_parameter(
                    f"{factor.value} is not possible: the user has no address for it"
                )
        usual = [one for one in (Factor.SMS, Factor.EMAIL) if user.destination(one)]
        return wanted or usual[:1]

    def _invite(self, user: User, media: list[Factor], metadata: Mapping[str, str] | None) -> None:
        """Send the temporary password; nothing but the invitation to a user without one."""
        for factor in media:
            self._pool.deliver(
                user,
                factor,
                user.password,
                "INVITATION",
                source="CustomMessage_AdminCreateUser",
                metadata=metadata,
            )


# ── shared with the other operations on users ──


def known_user(pool: PoolState, name: str) -> User:
    """Return a user.

    Raises:
        CognitoError: there is none of this name.
    """
    user = pool.users.find(name)
    if user is None:
        raise CognitoError("UserNotFoundException", "User does not exist.")
    return user


def user_type(user: User, names: list[str] | None = None) -> Json:
    """Return a UserType.

    Args:
        user: the user.
        names: names of the attributes to return. Default: None, all.
    """
    return {
        "Username": user.username,
        "Attributes": [one for one in as_list(user) if names is None or one["Name"] in names],
        "UserCreateDate": user.created_at,
        "UserLastModifiedDate": user.modified_at,
        "Enabled": user.is_enabled,
        "UserStatus": user.status,
    }


def check_unconfirmed(user: User) -> None:
    """Check that a sign-up is to be confirmed.

    Raises:
        CognitoError: it is not.
    """
    if user.status != "UNCONFIRMED":
        raise not_authorized(f"User cannot be confirmed. Current status is {user.status}")


def address_to_verify(pool: PoolState, user: User) -> str | None:
    """Return the attribute that a confirmation code is sent to, or None."""
    for attribute in ("phone_number", "email"):
        if attribute in pool.settings.auto_verified and user.attributes.get(attribute):
            return attribute
    return None


def offers_user_auth(client: AppClient) -> bool:
    """Whether an app client can use USER_AUTH, and so the session of a sign-up."""
    return client.auth_flows is None or "ALLOW_USER_AUTH" in client.auth_flows


def post_confirmation(
    pool: PoolState,
    user: User,
    client_id: str,
    metadata: Mapping[str, str] | None,
    source: str = "PostConfirmation_ConfirmSignUp",
) -> None:
    """Run the PostConfirmation trigger.

    Raises:
        CognitoError: the trigger failed.
    """
    if pool.triggers.has("PostConfirmation"):
        pool.triggers.run(
            "PostConfirmation",
            source=source,
            user=user,
            username=user.username,
            client_id=client_id,
            request={"clientMetadata": dict(metadata) if metadata else None},
            response={},
        )


def temporary_password(length: int) -> str:
    """Return a random password that meets every policy."""
    kinds = (string.ascii_uppercase, string.ascii_lowercase, string.digits, "!@#%&*")
    characters = [secrets.choice(kind) for kind in kinds]
    characters += [secrets.choice(string.ascii_letters) for _ in range(max(length - 4, 4))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)
