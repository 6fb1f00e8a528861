"""Identity providers, which the sandbox keeps and describes.

Sources: [API] API reference; public issue threads by number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.sandbox.user_pools import UserPool, rejection

NewPool = Callable[..., UserPool]
DETAILS = {"client_id": "1", "client_secret": "2", "authorize_scopes": "openid"}


@pytest.fixture
def pool(new_pool: NewPool) -> UserPool:
    return new_pool()


def create(pool: UserPool, name: str, kind: str = "OIDC", **more: Any) -> Any:
    given = {"ProviderName": name, "ProviderType": kind, "ProviderDetails": DETAILS, **more}
    return pool.admin("create_identity_provider", **given)["IdentityProvider"]


def described(pool: UserPool, name: str) -> Any:
    return pool.admin("describe_identity_provider", ProviderName=name)["IdentityProvider"]


def test_provider_is_created_changed_and_deleted(pool: UserPool) -> None:
    """[API] CreateIdentityProvider, UpdateIdentityProvider, DeleteIdentityProvider"""
    made = create(pool, "corp", AttributeMapping={"email": "mail"}, IdpIdentifiers=["corp.example"])
    assert made == described(pool, "corp")
    assert made["AttributeMapping"] == {"email": "mail", "username": "sub"}
    named: Any = {"ProviderName": "corp"}
    pool.admin(
        "update_identity_provider", ProviderDetails={**DETAILS, "client_id": "other"}, **named
    )
    changed = described(pool, "corp")
    assert changed["ProviderDetails"]["client_id"] == "other"
    assert changed["AttributeMapping"] == made["AttributeMapping"]
    found = pool.admin("get_identity_provider_by_identifier", IdpIdentifier="corp.example")
    assert found["IdentityProvider"] == changed
    pool.admin("delete_identity_provider", **named)
    assert pool.admin("list_identity_providers")["Providers"] == []


def test_providers_are_listed_page_by_page(pool: UserPool) -> None:
    """[API] ListIdentityProviders"""
    for name in ("one", "two", "three"):
        create(pool, name, "SAML")
    first = pool.admin("list_identity_providers", MaxResults=2)
    second = pool.admin("list_identity_providers", MaxResults=2, NextToken=first["NextToken"])
    pages = [[one["ProviderName"] for one in page["Providers"]] for page in (first, second)]
    assert pages == [["one", "two"], ["three"]]
    assert "NextToken" not in second
    assert "ProviderDetails" not in first["Providers"][0]


def test_second_provider_of_a_name_is_rejected(pool: UserPool) -> None:
    """cloudformation-coverage-roadmap#1287"""
    create(pool, "corp")
    assert rejection(create, pool, "corp") == (
        "DuplicateProviderException",
        f"corp already exists in user pool {pool.id}",
    )


def test_social_provider_of_another_name_is_rejected(pool: UserPool) -> None:
    """terraform-provider-aws#4822, aws-cli#3179"""
    assert rejection(create, pool, "example", "Google") == (
        "InvalidParameterException",
        "Provider example cannot be of type Google.",
    )
    assert create(pool, "Google", "Google")["AttributeMapping"] == {"username": "sub"}


def test_mapping_of_an_unknown_attribute_is_rejected(pool: UserPool) -> None:
    """aws-cli#9729"""
    mapping = {"email": "email", "custom:groups": "groups"}
    assert rejection(create, pool, "corp", AttributeMapping=mapping) == (
        "InvalidParameterException",
        "AttributeMapping contains invalid mapping: [custom:groups]",
    )


@pytest.mark.parametrize("operation", ["describe", "update", "delete"])
def test_unknown_provider_is_not_found(pool: UserPool, operation: str) -> None:
    """[API] DescribeIdentityProvider; the words are inferred"""
    call = f"{operation}_identity_provider"
    assert rejection(pool.admin, call, ProviderName="none")[0] == "ResourceNotFoundException"
