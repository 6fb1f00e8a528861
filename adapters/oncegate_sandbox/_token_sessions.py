"""Sessions of users: one for each sign-in, listed and revoked, if the pool tracks them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from oncegate_sandbox._rules import rule
from oncegate_sandbox._sign_up import known_user
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._tokens import Grant
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import AccessTokenRequest, Json, Operations
from oncegate_sandbox.errors import CognitoError, invalid_parameter

rule(
    "session-tracking",
    "A pool tracks sessions once SetUserPoolSessionConfiguration turns that on; the default is off, and "
    "20 sessions for each user. A further sign-in ends the session that was used least recently.",
    source="API reference, SetUserPoolSessionConfiguration and UserPoolTokenSessionConfigType",
)
rule(
    "session-tracking-off",
    "Sessions of a pool that does not track them are an OperationNotEnabledException.",
    source="botocore's service model, for the error",
    inferred=True,
)
rule(
    "session-of-api",
    "Each sign-in is one TOKEN session, which ends with its refresh token. It has no SSO session, so "
    "RevokeAssociatedSessions changes nothing.",
    source="API reference, SessionDescriptionType",
)
rule(
    "session-revoked",
    "Revoking a session revokes its tokens. Users cannot revoke the session of the access token that "
    "they use: InvalidParameterException. An unknown one is a ResourceNotFoundException.",
    source="API reference, RevokeUserSession; the errors and their words are inferred",
    inferred=True,
)


class TokenSessionLimit(BaseModel):
    """Member of SetUserPoolSessionConfiguration."""

    most: int = Field(alias="MaxPerUser")


class SetUserPoolSessionConfiguration(BaseModel):
    """SetUserPoolSessionConfiguration."""

    tracking: Literal["ENABLED", "DISABLED"] = Field(alias="UserSessionTracking")
    limit: TokenSessionLimit = Field(alias="TokenSession")


class PoolRequest(BaseModel):
    """A request that names a pool only."""


class AdminListUserSessions(BaseModel):
    """AdminListUserSessions."""

    username: str = Field(alias="Username")


class AdminRevokeUserSession(AdminListUserSessions):
    """AdminRevokeUserSession."""

    session_id: str = Field(alias="SessionId")


class RevokeUserSession(AccessTokenRequest):
    """RevokeUserSession."""

    session_id: str = Field(alias="SessionId")


class TokenSessions:
    """The operations.

    Args:
        pool: the pool of the users.
    """

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {
            "AdminListUserSessions": (AdminListUserSessions, self._list_as_admin),
            "AdminRevokeUserSession": (AdminRevokeUserSession, self._revoke_as_admin),
            "GetUserPoolSessionConfiguration": (PoolRequest, self._configuration),
            "ListUserSessions": (AccessTokenRequest, self._list),
            "RevokeUserSession": (RevokeUserSession, self._revoke),
            "SetUserPoolSessionConfiguration": (SetUserPoolSessionConfiguration, self._configure),
        }

    def _configure(self, request: SetUserPoolSessionConfiguration) -> Json:
        is_on = request.tracking == "ENABLED"
        self._pool.tokens.most_sessions = request.limit.most if is_on else None
        return self._configuration(PoolRequest())

    def _configuration(self, _: PoolRequest) -> Json:
        most = self._pool.tokens.most_sessions
        return {
            "UserPoolId": self._pool.id,
            "UserSessionTracking": "DISABLED" if most is None else "ENABLED",
            "TokenSession": {"MaxPerUser": 20 if most is None else most},
        }

    def _list(self, request: AccessTokenRequest) -> Json:
        user = self._pool.bearer(request.access_token)
        return self._listed(user, self._current(request.access_token))

    def _list_as_admin(self, request: AdminListUserSessions) -> Json:
        return self._listed(known_user(self._pool, request.username), None)

    def _listed(self, user: User, current: str | None) -> Json:
        return {
            "Sessions": [
                {
                    "SessionId": grant.session_id,
                    "SessionType": "TOKEN",
                    "ClientId": grant.client.id,
                    "CreateDate": grant.auth_time,
                    "LastActiveDate": grant.active_at,
                    "DeviceType": "unknown",
                    "IsCurrentSession": grant.event_id == current,
                }
                for grant in self._sessions(user)
            ]
        }

    def _revoke(self, request: RevokeUserSession) -> Json:
        user = self._pool.bearer(request.access_token)
        grant = self._session(user, request.session_id)
        if grant.event_id == self._current(request.access_token):
            raise invalid_parameter("The current session cannot be revoked.")
        self._pool.tokens.revoke_sign_in(grant)
        return {}

    def _revoke_as_admin(self, request: AdminRevokeUserSession) -> Json:
        user = known_user(self._pool, request.username)
        self._pool.tokens.revoke_sign_in(self._session(user, request.session_id))
        return {}

    def _session(self, user: User, session_id: str) -> Grant:
        for grant in self._sessions(user):
            if grant.session_id == session_id:
                return grant
        raise CognitoError("ResourceNotFoundException", "Session does not exist.")

    def _sessions(self, user: User) -> list[Grant]:
        if self._pool.tokens.most_sessions is None:
            raise CognitoError("OperationNotEnabledException", "Session tracking is not enabled.")
        return self._pool.tokens.sign_ins_of(user, self._pool.clock.now())

    def _current(self, access_token: str) -> str:
        claims = self._pool.tokens.claims_of(access_token, self._pool.clock.now())
        return str(claims["event_id"])
