"""Groups, over boto3, and the claims that tokens get from them.

Sources: [moto] moto's tests marked aws_verified, which ran against AWS; [API] API reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from tests.sandbox.user_pools import UserPool, rejection

NewPool = Callable[..., UserPool]
ROLE = "arn:aws:iam::000000000000:role/"


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


@pytest.fixture
def pool(new_pool: NewPool) -> UserPool:
    pool = new_pool()
    pool.add()
    return pool


def join(pool: UserPool, group: str, **settings: Any) -> None:
    pool.admin("create_group", GroupName=group, **settings)
    pool.admin("admin_add_user_to_group", Username="ana", GroupName=group)


def test_group_is_created_changed_and_deleted(pool: UserPool) -> None:
    """[API] CreateGroup, GetGroup, UpdateGroup, DeleteGroup"""
    created = pool.admin("create_group", GroupName="admins", Description="They can.", Precedence=1)
    assert created["Group"]["UserPoolId"] == pool.id
    pool.admin("update_group", GroupName="admins", Precedence=2)
    group = pool.admin("get_group", GroupName="admins")["Group"]
    assert (group["Description"], group["Precedence"], "RoleArn" in group) == (
        "They can.",
        2,
        False,
    )
    assert rejection(pool.admin, "create_group", GroupName="admins")[0] == "GroupExistsException"
    pool.admin("delete_group", GroupName="admins")
    for operation in ("get_group", "update_group", "delete_group"):
        rejected = rejection(pool.admin, operation, GroupName="admins")
        assert rejected[0] == "ResourceNotFoundException"


def test_groups_are_in_both_tokens(pool: UserPool) -> None:
    """[moto] test_group_in_access_token"""
    join(pool, "admins")
    tokens = pool.tokens()
    for token in (tokens["AccessToken"], tokens["IdToken"]):
        assert claims(token)["cognito:groups"] == ["admins"]
    pool.admin("admin_remove_user_from_group", Username="ana", GroupName="admins")
    assert "cognito:groups" not in claims(pool.tokens()["AccessToken"])


def test_smallest_precedence_determines_the_preferred_role(pool: UserPool) -> None:
    """[API] CreateGroup, Precedence"""
    join(pool, "none", RoleArn=f"{ROLE}none")
    join(pool, "second", RoleArn=f"{ROLE}second", Precedence=2)
    join(pool, "first", RoleArn=f"{ROLE}first", Precedence=0)
    identity, access = (claims(pool.tokens()[name]) for name in ("IdToken", "AccessToken"))
    assert identity["cognito:groups"] == ["first", "second", "none"]
    assert set(identity["cognito:roles"]) == {
        f"{ROLE}{name}" for name in ("first", "second", "none")
    }
    assert identity["cognito:preferred_role"] == f"{ROLE}first"
    assert access.keys() & {"cognito:roles", "cognito:preferred_role"} == set()


@pytest.mark.parametrize(("role", "is_preferred"), [("a", True), ("b", False)])
def test_equal_precedence_prefers_only_an_equal_role(
    pool: UserPool, role: str, *, is_preferred: bool
) -> None:
    """[API] CreateGroup, Precedence"""
    join(pool, "one", RoleArn=f"{ROLE}a", Precedence=1)
    join(pool, "two", RoleArn=f"{ROLE}{role}", Precedence=1)
    identity = claims(pool.tokens()["IdToken"])
    assert ("cognito:preferred_role" in identity) is is_preferred


def test_members_and_groups_are_listed_in_pages(pool: UserPool) -> None:
    """[API] ListUsersInGroup, AdminListGroupsForUser, ListGroups"""
    pool.add("bob")
    for name in ("a", "b", "c"):
        join(pool, name)
    pool.admin("admin_add_user_to_group", Username="bob", GroupName="a")
    members = pool.boto.get_paginator("list_users_in_group").paginate(
        UserPoolId=pool.id, GroupName="a", PaginationConfig={"PageSize": 1}
    )
    assert [user["Username"] for page in members for user in page["Users"]] == ["ana", "bob"]
    groups = pool.boto.get_paginator("admin_list_groups_for_user").paginate(
        UserPoolId=pool.id, Username="ana", PaginationConfig={"PageSize": 2}
    )
    assert [one["GroupName"] for page in groups for one in page["Groups"]] == ["a", "b", "c"]
    first = pool.admin("list_groups", Limit=2)
    assert len(first["Groups"]) == 2
    assert len(pool.admin("list_groups", NextToken=first["NextToken"])["Groups"]) == 1


def test_deleted_group_and_deleted_user_leave_no_membership(pool: UserPool) -> None:
    join(pool, "admins")
    join(pool, "staff")
    pool.admin("delete_group", GroupName="admins")
    groups = pool.admin("admin_list_groups_for_user", Username="ana")["Groups"]
    assert [group["GroupName"] for group in groups] == ["staff"]
    pool.admin("admin_delete_user", Username="ana")
    assert pool.admin("list_users_in_group", GroupName="staff")["Users"] == []


@pytest.mark.parametrize("operation", ["admin_add_user_to_group", "admin_remove_user_from_group"])
def test_membership_needs_a_user_and_a_group(pool: UserPool, operation: str) -> None:
    """[API] AdminAddUserToGroup, AdminRemoveUserFromGroup"""
    pool.admin("create_group", GroupName="admins")
    no_group = rejection(pool.admin, operation, Username="ana", GroupName="nothing")
    assert no_group[0] == "ResourceNotFoundException"
    no_user = rejection(pool.admin, operation, Username="nobody", GroupName="admins")
    assert no_user[0] == "UserNotFoundException"
