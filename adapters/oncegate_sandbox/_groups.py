"""Groups of users."""

from __future__ import annotations

from pydantic import BaseModel, Field

from oncegate_sandbox._pages import Page, page_of
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sign_up import known_user, user_type
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import Group, User
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.errors import CognitoError

rule(
    "group-unknown",
    "A group that does not exist is ResourceNotFoundException, one that exists already "
    "GroupExistsException. The words are inferred.",
    source="API reference, GetGroup, CreateGroup",
    inferred=True,
)
rule(
    "group-claims",
    "Tokens list the user's groups; the ID token also their roles, and the role of the group of the "
    "smallest precedence as the preferred one. That groups are sorted by precedence is inferred.",
    source="API reference, CreateGroup",
    inferred=True,
)


class GroupRequest(BaseModel):
    """A request that names a group, or describes it."""

    name: str = Field(alias="GroupName")
    description: str | None = Field(default=None, alias="Description")
    role_arn: str | None = Field(default=None, alias="RoleArn")
    precedence: int | None = Field(default=None, alias="Precedence")


class ListRequest(BaseModel):
    """ListGroups."""

    limit: int | None = Field(default=None, alias="Limit")
    token: str | None = Field(default=None, alias="NextToken")


class ListUsersInGroup(ListRequest):
    """ListUsersInGroup."""

    name: str = Field(alias="GroupName")


class AdminListGroupsForUser(ListRequest):
    """AdminListGroupsForUser."""

    username: str = Field(alias="Username")


class MembershipRequest(BaseModel):
    """AdminAddUserToGroup and AdminRemoveUserFromGroup."""

    name: str = Field(alias="GroupName")
    username: str = Field(alias="Username")


class Groups:
    """The operations.

    Args:
        pool: the pool of the groups.
    """

    def __init__(self, pool: PoolState) -> None:
        self._pool = pool

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {
            "CreateGroup": (GroupRequest, self._create),
            "GetGroup": (GroupRequest, self._get),
            "UpdateGroup": (GroupRequest, self._update),
            "DeleteGroup": (GroupRequest, self._delete),
            "ListGroups": (ListRequest, self._list),
            "AdminAddUserToGroup": (MembershipRequest, self._add),
            "AdminRemoveUserFromGroup": (MembershipRequest, self._remove),
            "AdminListGroupsForUser": (AdminListGroupsForUser, self._groups_of),
            "ListUsersInGroup": (ListUsersInGroup, self._members),
        }

    def _create(self, request: GroupRequest) -> Json:
        if request.name in self._pool.groups:
            raise CognitoError("GroupExistsException", "A group with the name already exists.")
        now = self._pool.clock.now()
        group = Group(
            request.name, request.description, request.role_arn, request.precedence, now, now
        )
        self._pool.groups[group.name] = group
        return {"Group": self._type(group)}

    def _get(self, request: GroupRequest) -> Json:
        return {"Group": self._type(self._find(request.name))}

    def _update(self, request: GroupRequest) -> Json:
        group = self._find(request.name)
        for name in request.model_fields_set - {"name"}:
            setattr(group, name, getattr(request, name))
        group.modified_at = self._pool.clock.now()
        return {"Group": self._type(group)}

    def _delete(self, request: GroupRequest) -> Json:
        group = self._find(request.name)
        for user in self._pool.users:
            user.groups = [one for one in user.groups if one is not group]
        del self._pool.groups[group.name]
        return {}

    def _list(self, request: ListRequest) -> Json:
        return self._page(list(self._pool.groups.values()), request)

    def _add(self, request: MembershipRequest) -> Json:
        user, group = known_user(self._pool, request.username), self._find(request.name)
        if group not in user.groups:
            user.groups.append(group)
        return {}

    def _remove(self, request: MembershipRequest) -> Json:
        user, group = known_user(self._pool, request.username), self._find(request.name)
        user.groups = [one for one in user.groups if one is not group]
        return {}

    def _groups_of(self, request: AdminListGroupsForUser) -> Json:
        user = known_user(self._pool, request.username)
        return self._page(sorted(user.groups, key=lambda group: group.rank), request)

    def _members(self, request: ListUsersInGroup) -> Json:
        group = self._find(request.name)
        members = [user for user in self._pool.users if group in user.groups]
        page: Page[User] = page_of(members, request.limit, request.token)
        return page.answer("Users", [user_type(user) for user in page.items], "NextToken")

    def _page(self, groups: list[Group], request: ListRequest) -> Json:
        page: Page[Group] = page_of(groups, request.limit, request.token)
        return page.answer("Groups", [self._type(group) for group in page.items], "NextToken")

    def _find(self, name: str) -> Group:
        group = self._pool.groups.get(name)
        if group is None:
            raise CognitoError("ResourceNotFoundException", "Group not found.")
        return group

    def _type(self, group: Group) -> Json:
        """Return a GroupType."""
        optional = {
            "Description": group.description,
            "RoleArn": group.role_arn,
            "Precedence": group.precedence,
        }
        return {
            "GroupName": group.name,
            "UserPoolId": self._pool.id,
            "LastModifiedDate": group.modified_at,
            "CreationDate": group.created_at,
            **{name: value for name, value in optional.items() if value is not None},
        }
