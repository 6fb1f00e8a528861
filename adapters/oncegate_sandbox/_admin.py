"""Operations for servers with IAM credentials on one user. Signatures are not checked."""

from __future__ import annotations

from pydantic import BaseModel, Field

from oncegate_sandbox._password_policy import check_policy
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.errors import CognitoError


class AdminUserRequest(BaseModel):
    """A request that names a pool and one of its users."""

    pool_id: str = Field(alias="UserPoolId")
    username: str = Field(alias="Username")


class AdminSetUserPassword(AdminUserRequest):
    """AdminSetUserPassword."""

    password: str = Field(alias="Password")
    permanent: bool = Field(default=False, alias="Permanent")


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
            "AdminDisableUser": (AdminUserRequest, self._disable),
            "AdminEnableUser": (AdminUserRequest, self._enable),
            "AdminSetUserPassword": (AdminSetUserPassword, self._set_password),
            "AdminUserGlobalSignOut": (AdminUserRequest, self._sign_out),
        }

    def _disable(self, request: AdminUserRequest) -> Json:
        # "Deactivates a user profile and revokes all access tokens": API reference.
        user = self._user(request)
        user.is_enabled = False
        self._pool.tokens.revoke_all(user)
        return {}

    def _enable(self, request: AdminUserRequest) -> Json:
        self._user(request).is_enabled = True
        return {}

    def _set_password(self, request: AdminSetUserPassword) -> Json:
        # Tokens stay valid: public reports say so of every change of a password.
        user = self._user(request)
        check_policy(request.password)
        user.set_password(request.password)
        if not request.permanent:
            user.status = "FORCE_CHANGE_PASSWORD"
        return {}

    def _sign_out(self, request: AdminUserRequest) -> Json:
        self._pool.tokens.revoke_all(self._user(request))
        return {}

    def _user(self, request: AdminUserRequest) -> User:
        if request.pool_id != self._pool.seed.id:
            raise CognitoError("ResourceNotFoundException", "User pool does not exist.")
        user = self._pool.users.find(request.username)
        if user is None:
            raise CognitoError("UserNotFoundException", "User does not exist.")
        return user
