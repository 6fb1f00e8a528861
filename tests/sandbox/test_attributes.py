"""Attributes of users: changes, verification, and what app clients can read, over boto3.

Sources: [API] API reference; [dev] AWS developer guide; repository#number is a public issue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.sandbox.user_pools import UserPool, named, rejection

NewPool = Callable[..., UserPool]
NEW = "new@example.com"


class SignedIn:
    """A user with an access token.

    Args:
        pool: the pool.
        attributes: attributes of the user.
    """

    def __init__(self, pool: UserPool, **attributes: str) -> None:
        self.pool = pool
        self.name = pool.add(**attributes)
        self.token = pool.tokens()["AccessToken"]

    def call(self, operation: str, **request: Any) -> Any:
        return getattr(self.pool.boto, operation)(AccessToken=self.token, **request)

    def update(self, **attributes: str) -> Any:
        return self.call("update_user_attributes", UserAttributes=named(attributes))

    def verify(self, code: str, name: str = "email") -> Any:
        return self.call("verify_user_attribute", AttributeName=name, Code=code)


def ana(pool: UserPool) -> SignedIn:
    return SignedIn(pool, email="ana@example.com", email_verified="true")


def test_changed_email_is_unverified_until_its_code_is_confirmed(new_pool: NewPool) -> None:
    """[dev] verifying updates to email addresses and phone numbers"""
    user = ana(new_pool(AutoVerifiedAttributes=["email"]))
    assert user.update(email=NEW)["CodeDeliveryDetailsList"] == [
        {"Destination": "n***@e***", "DeliveryMedium": "EMAIL", "AttributeName": "email"}
    ]
    assert (user.pool.get()["email"], user.pool.get()["email_verified"]) == (NEW, "false")
    assert rejection(user.verify, "x") == (
        "CodeMismatchException",
        "Invalid verification code provided, please try again.",
    )
    user.verify(user.pool.code())
    assert user.pool.get()["email_verified"] == "true"


def test_change_of_other_attributes_sends_nothing(new_pool: NewPool) -> None:
    user = ana(new_pool(AutoVerifiedAttributes=["email"]))
    assert user.update(given_name="Ana", email="ana@example.com")["CodeDeliveryDetailsList"] == []
    assert user.pool.get()["email_verified"] == "true"


def test_address_changes_only_after_verification_where_the_pool_says_so(
    new_pool: NewPool,
) -> None:
    """[API] UserAttributeUpdateSettingsType"""
    pool = new_pool(
        AliasAttributes=["email"],
        AutoVerifiedAttributes=["email"],
        UserAttributeUpdateSettings={"AttributesRequireVerificationBeforeUpdate": ["email"]},
    )
    user = ana(pool)
    user.update(email=NEW)
    assert pool.sandbox.messages()[-1].destination == NEW
    assert (pool.get()["email"], pool.get()["email_verified"]) == ("ana@example.com", "true")
    assert pool.tokens("ana@example.com")["AccessToken"]
    user.verify(pool.code())
    assert (pool.get()["email"], pool.get()["email_verified"]) == (NEW, "true")


def test_code_on_request_verifies(new_pool: NewPool) -> None:
    """[API] GetUserAttributeVerificationCode"""
    user = SignedIn(new_pool(), phone_number="+15550001234")
    details = user.call("get_user_attribute_verification_code", AttributeName="phone_number")
    assert details["CodeDeliveryDetails"]["Destination"] == "+*******1234"
    user.verify(user.pool.code(), "phone_number")
    assert user.pool.get()["phone_number_verified"] == "true"
    missing = {"AttributeName": "email"}
    rejected = rejection(user.call, "get_user_attribute_verification_code", **missing)
    assert rejected[0] == "InvalidParameterException"


def test_code_for_an_older_address_does_not_verify_a_newer_one(new_pool: NewPool) -> None:
    user = ana(new_pool())
    user.call("get_user_attribute_verification_code", AttributeName="email")
    user.update(email=NEW)
    assert rejection(user.verify, user.pool.code())[0] == "ExpiredCodeException"


def test_blank_value_deletes(new_pool: NewPool) -> None:
    """[API] UpdateUserAttributes"""
    user = ana(new_pool())
    user.update(email="", given_name="Ana")
    assert user.pool.get().keys() == {"sub", "given_name"}
    user.call("delete_user_attributes", UserAttributeNames=["given_name"])
    assert user.pool.get().keys() == {"sub"}


def test_administrator_changes_verifies_and_deletes(new_pool: NewPool) -> None:
    """[API] AdminUpdateUserAttributes, AdminDeleteUserAttributes"""
    pool = new_pool(AutoVerifiedAttributes=["email"])
    pool.add()

    def update(**attributes: str) -> None:
        changed = named(attributes)
        pool.admin("admin_update_user_attributes", Username="ana", UserAttributes=changed)

    update(email=NEW, email_verified="true")
    assert pool.sandbox.messages() == ()
    assert pool.get()["email_verified"] == "true"
    update(email="newer@example.com")
    assert pool.sandbox.messages()[-1].destination == "newer@example.com"
    assert pool.get()["email_verified"] == "false"
    pool.admin("admin_delete_user_attributes", Username="ana", UserAttributeNames=["email"])
    assert pool.get().keys() == {"sub"}


def test_administrator_takes_an_alias_over(new_pool: NewPool) -> None:
    """boto3#3213"""
    pool = new_pool(AliasAttributes=["email"])
    verified = {"email": "ana@example.com", "email_verified": "true"}
    pool.add(**verified)
    pool.add("bob")
    pool.admin("admin_update_user_attributes", Username="bob", UserAttributes=named(verified))
    assert pool.get("ana")["email_verified"] == "false"
    assert pool.admin("admin_get_user", Username="ana@example.com")["Username"] == "bob"


def test_alias_of_another_user_cannot_be_verified(new_pool: NewPool) -> None:
    """[API] VerifyUserAttribute, AliasExistsException"""
    pool = new_pool(AliasAttributes=["email"], AutoVerifiedAttributes=["email"])
    pool.add("bob", email=NEW, email_verified="true")
    user = ana(pool)
    user.update(email=NEW)
    assert rejection(user.verify, pool.code()) == (
        "AliasExistsException",
        "An account with the email already exists.",
    )


def test_preferred_username_signs_in_and_is_unique(new_pool: NewPool) -> None:
    """[dev] customizing sign-in attributes"""
    pool = new_pool(AliasAttributes=["preferred_username"])
    pool.add("bob", preferred_username="boss")
    user = ana(pool)
    assert rejection(user.update, preferred_username="boss")[0] == "AliasExistsException"
    user.update(preferred_username="ann")
    assert pool.tokens("ann")["AccessToken"]


def test_address_that_stands_for_another_username_is_rejected(new_pool: NewPool) -> None:
    """[dev] customizing sign-in attributes; [API] UpdateUserAttributes, AliasExistsException"""
    pool = new_pool(UsernameAttributes=["email"])
    pool.add("bob@example.com")
    name = pool.add("ana@example.com")
    token = pool.tokens(name)["AccessToken"]
    changed = {"AccessToken": token, "UserAttributes": named({"email": "bob@example.com"})}
    assert rejection(pool.boto.update_user_attributes, **changed) == (
        "AliasExistsException",
        "An account with the given email already exists.",
    )


class TestSchema:
    """Custom attributes."""

    @pytest.fixture
    def user(self, new_pool: NewPool) -> SignedIn:
        schema = [
            {"Name": "team", "AttributeDataType": "String", "Mutable": True},
            {"Name": "tenant", "AttributeDataType": "String", "Mutable": False},
            {
                "Name": "age",
                "AttributeDataType": "Number",
                "Mutable": True,
                "NumberAttributeConstraints": {"MinValue": "18"},
            },
        ]
        return SignedIn(new_pool(Schema=schema), **{"custom:tenant": "a"})

    def test_custom_attribute_changes(self, user: SignedIn) -> None:
        """[API] SchemaAttributeType"""
        user.update(**{"custom:team": "red", "custom:age": "18"})
        assert user.pool.get()["custom:team"] == "red"

    @pytest.mark.parametrize("value", ["17", "many"])
    def test_number_outside_its_bounds_is_rejected(self, user: SignedIn, value: str) -> None:
        """[API] NumberAttributeConstraintsType"""
        code, message = rejection(user.update, **{"custom:age": value})
        assert code == "InvalidParameterException"
        assert message.startswith("Attributes did not conform to the schema: custom:age: ")

    def test_immutable_attribute_is_rejected(self, user: SignedIn) -> None:
        """Public reports of these words."""
        assert rejection(user.update, **{"custom:tenant": "b"}) == (
            "InvalidParameterException",
            "user.custom:tenant: Attribute cannot be updated.\n",
        )

    def test_unknown_attributes_are_rejected(self, user: SignedIn) -> None:
        """amplify-flutter#1531; moto's tests for the deletion"""
        words = "".join(
            f"user.custom:{name}: Attribute does not exist in the schema.\n" for name in "ab"
        )
        assert rejection(user.update, **{"custom:a": "1", "custom:b": "2"}) == (
            "InvalidParameterException",
            words,
        )
        names = {"UserAttributeNames": ["custom:a", "custom:b"]}
        assert rejection(user.call, "delete_user_attributes", **names) == (
            "InvalidParameterException",
            f"Invalid user attributes: {words}",
        )

    @pytest.mark.parametrize("attributes", [{"email": "ana"}, {"phone_number": "555"}])
    def test_malformed_address_is_rejected(
        self, user: SignedIn, attributes: dict[str, str]
    ) -> None:
        """amplify-js#13761"""
        code, message = rejection(user.update, **attributes)
        assert (code, message.startswith("Invalid ")) == ("InvalidParameterException", True)


def test_client_reads_and_writes_only_its_attributes(new_pool: NewPool) -> None:
    """[dev] attribute permissions and scopes"""
    allowed = {"ReadAttributes": ["given_name"], "WriteAttributes": ["family_name"]}
    pool = new_pool(app_client=allowed)
    user = SignedIn(pool, given_name="Ana", email="ana@example.com")
    read = {one["Name"] for one in user.call("get_user")["UserAttributes"]}
    assert read == {"sub", "given_name"}
    user.update(family_name="Lee")
    unauthorized = (
        "NotAuthorizedException",
        "A client attempted to write unauthorized attribute",
    )
    assert rejection(user.update, given_name="Bea") == unauthorized
    deleted = {"UserAttributeNames": ["email"]}
    assert rejection(user.call, "delete_user_attributes", **deleted) == unauthorized


def test_user_cannot_verify_an_address_by_writing_the_flag(new_pool: NewPool) -> None:
    """[dev] attribute permissions and scopes"""
    user = SignedIn(new_pool(), email="ana@example.com")
    assert rejection(user.update, email_verified="true")[0] == "NotAuthorizedException"
