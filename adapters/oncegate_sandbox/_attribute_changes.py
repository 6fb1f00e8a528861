"""Operations on the attributes of one user, by the user or by an administrator."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field

from oncegate_sandbox._account import client_of_token
from oncegate_sandbox._attributes import (
    ADDRESSES,
    AttributeType,
    as_dict,
    check_alias,
    check_change,
    check_writable,
)
from oncegate_sandbox._codes import CONFIRM_SIGN_UP, DAY, VERIFY, HourlyLimit, check_code, send_code
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sign_up import known_user
from oncegate_sandbox._state import NO_CLIENT, PoolState
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import AccessTokenRequest, Json, Operations
from oncegate_sandbox.errors import invalid_parameter

rule(
    "address-unverified",
    "A new email address or phone number is unverified. If the pool verifies it, a code is sent, "
    "unless an administrator marks it as verified in the same request.",
    source="AWS developer guide, verifying updates to email addresses and phone numbers",
)
rule(
    "address-pending",
    "An address of AttributesRequireVerificationBeforeUpdate changes when its code is confirmed.",
    source="API reference, UserAttributeUpdateSettingsType",
)
rule(
    "attribute-blank-deletes",
    "A blank value deletes an attribute.",
    source="API reference, UpdateUserAttributes",
)
rule(
    "verify-without-address",
    "Only an email address or a phone number that the user has can be verified. The words are "
    "inferred.",
    inferred=True,
)


class UpdateUserAttributes(AccessTokenRequest):
    """UpdateUserAttributes."""

    attributes: list[AttributeType] = Field(alias="UserAttributes")
    metadata: dict[str, str] | None = Field(default=None, alias="ClientMetadata")


class DeleteUserAttributes(AccessTokenRequest):
    """DeleteUserAttributes."""

    names: list[str] = Field(alias="UserAttributeNames")


class AdminUpdateUserAttributes(BaseModel):
    """AdminUpdateUserAttributes."""

    username: str = Field(alias="Username")
    attributes: list[AttributeType] = Field(alias="UserAttributes")
    metadata: dict[str, str] | None = Field(default=None, alias="ClientMetadata")


class AdminDeleteUserAttributes(BaseModel):
    """AdminDeleteUserAttributes."""

    username: str = Field(alias="Username")
    names: list[str] = Field(alias="UserAttributeNames")


class GetUserAttributeVerificationCode(AccessTokenRequest):
    """GetUserAttributeVerificationCode."""

    name: str = Field(alias="AttributeName")
    metadata: dict[str, str] | None = Field(default=None, alias="ClientMetadata")


class VerifyUserAttribute(AccessTokenRequest):
    """VerifyUserAttribute."""

    name: str = Field(alias="AttributeName")
    code: str = Field(alias="Code")


class AttributeChanges:
    """The operations.

    Args:
        pool: the pool of the users.
    """

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool
        self._requests = HourlyLimit()
        self._attempts = HourlyLimit()

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {
            "UpdateUserAttributes": (UpdateUserAttributes, self._update),
            "DeleteUserAttributes": (DeleteUserAttributes, self._delete),
            "GetUserAttributeVerificationCode": (GetUserAttributeVerificationCode, self._send),
            "VerifyUserAttribute": (VerifyUserAttribute, self._verify),
            "AdminUpdateUserAttributes": (AdminUpdateUserAttributes, self._admin_update),
            "AdminDeleteUserAttributes": (AdminDeleteUserAttributes, self._admin_delete),
        }

    def _update(self, request: UpdateUserAttributes) -> Json:
        pool, user = self._pool, self._pool.bearer(request.access_token)
        client, given = client_of_token(pool, request.access_token), as_dict(request.attributes)
        check_writable(client, pool.settings, given)
        sent = self._change(user, given, client.id, request.metadata)
        return {"CodeDeliveryDetailsList": sent}

    def _admin_update(self, request: AdminUpdateUserAttributes) -> Json:
        user = known_user(self._pool, request.username)
        self._change(user, as_dict(request.attributes), NO_CLIENT, request.metadata)
        return {}

    def _delete(self, request: DeleteUserAttributes) -> Json:
        pool, user = self._pool, self._pool.bearer(request.access_token)
        check_writable(client_of_token(pool, request.access_token), pool.settings, request.names)
        return self._delete_from(user, request.names)

    def _admin_delete(self, request: AdminDeleteUserAttributes) -> Json:
        user = known_user(self._pool, request.username)
        return self._delete_from(user, request.names)

    def _delete_from(self, user: User, names: list[str]) -> Json:
        words = "Invalid user attributes: "  # moto's tests
        self._change(user, dict.fromkeys(names, ""), NO_CLIENT, None, words)
        return {}

    def _change(
        self,
        user: User,
        given: Mapping[str, str],
        client_id: str,
        metadata: Mapping[str, str] | None,
        words: str = "",
    ) -> list[Json]:
        """Change attributes, and return CodeDeliveryDetails of the codes that were sent."""
        pool, settings = self._pool, self._pool.settings
        check_change(settings, user, given, words=words)
        new = [
            name for name in ADDRESSES if given.get(name) not in {None, user.attributes.get(name)}
        ]
        verified = {name for name in ADDRESSES if given.get(f"{name}_verified") == "true"}
        for name in ADDRESSES:
            value = given.get(name) or user.attributes.get(name, "")
            if name in verified or (name in new and name in settings.username_attributes):
                check_alias(pool, user, name, value, takes_over=name in verified)
        check_alias(pool, user, "preferred_username", given.get("preferred_username", ""))
        waiting = {
            name
            for name in new
            if given[name] and name in settings.verified_before_update and name not in verified
        }
        for name, value in given.items():
            if name in waiting:
                user.pending[name] = value
            elif value:
                user.attributes[name] = value
            else:
                user.attributes.pop(name, None)
        for name in set(new) - waiting:
            _forget_older_address(user, name, is_flagged=f"{name}_verified" in given)
        user.modified_at = pool.clock.now()
        to_verify = waiting | (set(new) & set(settings.auto_verified) - verified)
        return [
            self._send_code(user, name, "CustomMessage_UpdateUserAttribute", client_id, metadata)
            for name in ADDRESSES
            if name in to_verify and given[name]
        ]

    def _send(self, request: GetUserAttributeVerificationCode) -> Json:
        pool, user = self._pool, self._pool.bearer(request.access_token)
        self._requests.count(user.username, pool.clock.now())
        name = request.name
        if name not in VERIFY or not (user.attributes.get(name) or user.pending.get(name)):
            raise invalid_parameter(f"User has no {name} to verify")
        client = client_of_token(pool, request.access_token)
        source = "CustomMessage_VerifyUserAttribute"
        sent = self._send_code(user, name, source, client.id, request.metadata)
        return {"CodeDeliveryDetails": sent}

    def _verify(self, request: VerifyUserAttribute) -> Json:
        pool, user = self._pool, self._pool.bearer(request.access_token)
        self._attempts.count(user.username, pool.clock.now())
        name = request.name
        if name not in VERIFY:
            raise invalid_parameter(f"User has no {name} to verify")
        check_code(pool, user, VERIFY[name], request.code)
        value = user.pending.get(name) or user.attributes.get(name, "")
        check_alias(pool, user, name, value)
        del user.codes[VERIFY[name]]
        user.pending.pop(name, None)
        user.attributes[name] = value
        user.set_verified(name, verified=True)
        user.modified_at = pool.clock.now()
        return {}

    def _send_code(
        self,
        user: User,
        name: str,
        source: str,
        client_id: str,
        metadata: Mapping[str, str] | None,
    ) -> Json:
        return send_code(
            self._pool,
            user,
            name,
            VERIFY[name],
            DAY,
            source=source,
            client_id=client_id,
            metadata=metadata,
        )


def _forget_older_address(user: User, name: str, *, is_flagged: bool) -> None:
    """Remove what belongs to an address that has changed.

    Args:
        user: the user.
        name: ``email`` or ``phone_number``.
        is_flagged: whether the change says itself if the new address is verified.
    """
    user.pending.pop(name, None)
    # A code that was sent to the older address must not verify the new one.
    for purpose in (VERIFY[name], CONFIRM_SIGN_UP):
        if purpose in user.codes and user.codes[purpose].attribute == name:
            del user.codes[purpose]
    if not user.attributes.get(name):
        user.attributes.pop(f"{name}_verified", None)
    elif not is_flagged:
        user.set_verified(name, verified=False)
