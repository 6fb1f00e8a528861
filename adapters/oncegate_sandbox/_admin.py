"""Operations for servers with IAM credentials on users. Signatures are not checked."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import BaseModel, Field

from oncegate_sandbox._account import delete_user
from oncegate_sandbox._attributes import as_list
from oncegate_sandbox._codes import HOUR, RESET_PASSWORD, send_code
from oncegate_sandbox._mfa_preference import (
    MfaOptions,
    MfaPreference,
    mfa_settings,
    set_mfa_preference,
)
from oncegate_sandbox._pages import Page, page_of
from oncegate_sandbox._password_policy import check_new_password
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sign_up import known_user, user_type
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.challenges.reset_password import no_address, not_resettable, recovery_address
from oncegate_sandbox.errors import DISABLED, invalid_parameter, not_authorized

_FILTER = re.compile(r'\s*([\w:]+)\s*(\^?=)\s*"((?:[^"\\]|\\.)*)"\s*')

rule(
    "list-users-filter",
    "ListUsers filters by one standard attribute, '=' or '^=': 'Error while parsing filter', 'Invalid "
    "search attribute: X'.",
    source="API reference, ListUsers; moto's tests",
)
rule(
    "list-users-attributes",
    "AttributesToGet of an attribute that the pool does not have is rejected: 'One or more requested "
    "attributes do not exist.'.",
    source="public code that matches these words",
)
rule(
    "admin-password",
    "AdminSetUserPassword confirms the user with a permanent password, and demands a new one after a "
    "temporary one. Tokens stay valid.",
    source="API reference, AdminSetUserPassword; public reports",
)
rule(
    "admin-reset",
    "AdminResetUserPassword sends a code and makes the user RESET_REQUIRED; it is rejected for a "
    "disabled user, in another state than CONFIRMED, or without a verified address.",
    source="moto's tests; API reference, AdminResetUserPassword",
)
rule(
    "disable-revokes",
    "AdminDisableUser revokes all tokens.",
    source="API reference, AdminDisableUser",
)


class AdminUserRequest(BaseModel):
    """A request that names a user."""

    username: str = Field(alias="Username")
    metadata: dict[str, str] | None = Field(default=None, alias="ClientMetadata")


class AdminSetUserPassword(AdminUserRequest):
    """AdminSetUserPassword."""

    password: str = Field(alias="Password")
    permanent: bool = Field(default=False, alias="Permanent")


class AdminSetUserMFAPreference(AdminUserRequest, MfaPreference):
    """AdminSetUserMFAPreference."""


class AdminSetUserSettings(AdminUserRequest, MfaOptions):
    """AdminSetUserSettings."""


class ListUsers(BaseModel):
    """ListUsers."""

    names: list[str] | None = Field(default=None, alias="AttributesToGet")
    limit: int | None = Field(default=None, alias="Limit")
    token: str | None = Field(default=None, alias="PaginationToken")
    filter: str = Field(default="", alias="Filter")


class Admin:
    """The operations.

    Args:
        pool: the pool of the users.
    """

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {
            "AdminDeleteUser": (AdminUserRequest, self._delete),
            "AdminDisableUser": (AdminUserRequest, self._disable),
            "AdminEnableUser": (AdminUserRequest, self._enable),
            "AdminGetUser": (AdminUserRequest, self._get),
            "AdminResetUserPassword": (AdminUserRequest, self._reset),
            "AdminSetUserMFAPreference": (AdminSetUserMFAPreference, self._set_preference),
            "AdminSetUserPassword": (AdminSetUserPassword, self._set_password),
            "AdminSetUserSettings": (AdminSetUserSettings, self._set_settings),
            "AdminUserGlobalSignOut": (AdminUserRequest, self._sign_out),
            "ListUsers": (ListUsers, self._list),
        }

    def _get(self, request: AdminUserRequest) -> Json:
        user = self._user(request)
        return {
            "Username": user.username,
            "UserAttributes": as_list(user),
            "UserCreateDate": user.created_at,
            "UserLastModifiedDate": user.modified_at,
            "Enabled": user.is_enabled,
            "UserStatus": user.status,
            **mfa_settings(user),
        }

    def _list(self, request: ListUsers) -> Json:
        pool = self._pool
        if request.names and not set(request.names) <= pool.settings.schema.keys():
            raise invalid_parameter("One or more requested attributes do not exist.")
        matches = _filter_of(request.filter)
        found = [user for user in pool.users if matches(user)]
        page: Page[User] = page_of(found, request.limit, request.token)
        users = [user_type(user, request.names) for user in page.items]
        return page.answer("Users", users, "PaginationToken")

    def _delete(self, request: AdminUserRequest) -> Json:
        delete_user(self._pool, self._user(request))
        return {}

    def _disable(self, request: AdminUserRequest) -> Json:
        user = self._user(request)
        user.is_enabled, user.modified_at = False, self._pool.clock.now()
        self._pool.tokens.revoke_all(user)
        return {}

    def _enable(self, request: AdminUserRequest) -> Json:
        user = self._user(request)
        user.is_enabled, user.modified_at = True, self._pool.clock.now()
        return {}

    def _set_password(self, request: AdminSetUserPassword) -> Json:
        user, policy = self._user(request), self._pool.settings.password_policy
        now = self._pool.clock.now()
        check_new_password(policy, request.password, user=user)
        ends = None if request.permanent else policy.temporary_until(now)
        user.set_password(request.password, temporary_until=ends)
        user.modified_at = now
        return {}

    def _reset(self, request: AdminUserRequest) -> Json:
        pool, user = self._pool, self._user(request)
        if not user.is_enabled:
            raise not_authorized(DISABLED)
        if user.status not in {"CONFIRMED", "RESET_REQUIRED"}:
            raise not_resettable()
        attribute = recovery_address(pool, user)
        if attribute is None:
            raise no_address()
        user.status, user.modified_at = "RESET_REQUIRED", pool.clock.now()
        send_code(
            pool,
            user,
            attribute,
            RESET_PASSWORD,
            HOUR,
            source="CustomMessage_ForgotPassword",
            metadata=request.metadata,
        )
        return {}

    def _set_preference(self, request: AdminSetUserMFAPreference) -> Json:
        set_mfa_preference(self._pool, self._user(request), request)
        return {}

    def _set_settings(self, request: AdminSetUserSettings) -> Json:
        set_mfa_preference(self._pool, self._user(request), request.preference())
        return {}

    def _sign_out(self, request: AdminUserRequest) -> Json:
        self._pool.tokens.revoke_all(self._user(request))
        return {}

    def _user(self, request: AdminUserRequest) -> User:
        return known_user(self._pool, request.username)


def _of_attribute(name: str) -> Callable[[User], str]:
    return lambda user: user.attributes.get(name, "")


# What can be searched for: API reference, ListUsers.
_SEARCHABLE: dict[str, Callable[[User], str]] = {
    "username": lambda user: user.username,
    "sub": lambda user: user.sub,
    "cognito:user_status": lambda user: user.status,
    "status": lambda user: "Enabled" if user.is_enabled else "Disabled",
    **{
        name: _of_attribute(name)
        for name in (
            "email",
            "phone_number",
            "name",
            "given_name",
            "family_name",
            "preferred_username",
        )
    },
}


def _filter_of(text: str) -> Callable[[User], bool]:
    """Return whether a user matches a filter of ListUsers.

    Raises:
        CognitoError: the filter is malformed, or its attribute cannot be searched for.
    """
    if not text.strip():
        return lambda _: True
    parsed = _FILTER.fullmatch(text)
    if parsed is None:
        raise invalid_parameter("Error while parsing filter")
    name, operator, quoted = parsed.groups()
    wanted = re.sub(r"\\(.)", r"\1", quoted)
    if name not in _SEARCHABLE:
        raise invalid_parameter(f"Invalid search attribute: {name}")
    value = _SEARCHABLE[name]
    if name == "cognito:user_status":
        wanted = wanted.upper()
    if operator == "=":
        return lambda user: value(user) == wanted
    return lambda user: value(user).startswith(wanted)
