"""Users: what administrators and users do with accounts, over boto3.

Sources: [moto] moto's tests marked aws_verified, which ran against AWS; [API] API reference; [dev]
AWS developer guide; repository#number is a public issue.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.sandbox.user_pools import PASSWORD, UserPool, named, rejection

NewPool = Callable[..., UserPool]
OTHER = "Better-horse-2"
DAY = 86400
NOT_FOUND = ("UserNotFoundException", "User does not exist.")


def create(pool: UserPool, username: str = "ana", **request: Any) -> Any:
    return pool.admin("admin_create_user", Username=username, **request)["User"]


class TestCreation:
    """AdminCreateUser."""

    def test_user_has_a_temporary_password_to_change(self, new_pool: NewPool) -> None:
        """[moto] test_authorize_user_with_force_password_change_status: the old one again is taken"""
        pool = new_pool()
        user = create(pool, TemporaryPassword=PASSWORD)
        assert (user["UserStatus"], user["Enabled"]) == ("FORCE_CHANGE_PASSWORD", True)
        assert isinstance(user["UserCreateDate"], datetime)
        challenge = pool.start()
        assert challenge["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
        signed_in = pool.app(
            "respond_to_auth_challenge",
            ChallengeName="NEW_PASSWORD_REQUIRED",
            Session=challenge["Session"],
            ChallengeResponses={"USERNAME": "ana", "NEW_PASSWORD": PASSWORD},
        )
        assert signed_in["AuthenticationResult"]["AccessToken"]
        assert pool.status() == "CONFIRMED"

    def test_username_that_is_taken_is_rejected(self, new_pool: NewPool) -> None:
        """localstack#4465"""
        pool = new_pool()
        create(pool)
        assert rejection(create, pool) == (
            "UsernameExistsException",
            "User account already exists",
        )

    @pytest.mark.parametrize(
        ("mediums", "sent"),
        [([], ["SMS"]), (["EMAIL"], ["EMAIL"]), (["EMAIL", "SMS"], ["EMAIL", "SMS"])],
    )
    def test_invitation_carries_the_password(
        self, new_pool: NewPool, mediums: list[str], sent: list[str]
    ) -> None:
        """[API] AdminCreateUser, DesiredDeliveryMediums: SMS by default"""
        pool = new_pool()
        addresses = named({"email": "ana@example.com", "phone_number": "+15550001234"})
        create(pool, UserAttributes=addresses, DesiredDeliveryMediums=mediums)
        messages = pool.sandbox.messages()
        assert [message.medium for message in messages] == sent
        assert {message.purpose for message in messages} == {"INVITATION"}
        assert pool.start(password=pool.code())["ChallengeName"] == "NEW_PASSWORD_REQUIRED"

    def test_invitation_has_the_text_of_the_pool(self, new_pool: NewPool) -> None:
        """[API] AdminCreateUserConfigType, InviteMessageTemplate"""
        template = {"EmailMessage": "{username}: {####}", "EmailSubject": "Welcome"}
        pool = new_pool(AdminCreateUserConfig={"InviteMessageTemplate": template})
        create(
            pool,
            TemporaryPassword=PASSWORD,
            UserAttributes=named({"email": "ana@example.com"}),
            DesiredDeliveryMediums=["EMAIL"],
        )
        (message,) = pool.sandbox.messages()
        assert (message.text, message.subject) == (f"ana: {PASSWORD}", "Welcome")

    def test_suppressed_invitation_is_not_sent(self, new_pool: NewPool) -> None:
        """[API] AdminCreateUser, MessageAction"""
        pool = new_pool()
        create(pool, UserAttributes=named({"email": "a@example.com"}), MessageAction="SUPPRESS")
        assert pool.sandbox.messages() == ()

    def test_resent_invitation_has_a_new_password(self, new_pool: NewPool) -> None:
        """[API] AdminCreateUser, MessageAction; moto#2741"""
        pool = new_pool()
        assert rejection(create, pool, MessageAction="RESEND") == NOT_FOUND
        create(pool, UserAttributes=named({"email": "ana@example.com"}))
        first = pool.code()
        create(pool, MessageAction="RESEND")
        assert first != pool.code()
        assert rejection(pool.start, password=first)[0] == "NotAuthorizedException"
        assert pool.start(password=pool.code())["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
        pool.admin("admin_set_user_password", Username="ana", Password=OTHER, Permanent=True)
        assert rejection(create, pool, MessageAction="RESEND") == (
            "UnsupportedUserStateException",
            "Resend not possible. ana status is not FORCE_CHANGE_PASSWORD",
        )

    def test_temporary_password_expires(self, new_pool: NewPool) -> None:
        """[API] PasswordPolicyType, TemporaryPasswordValidityDays: 7 by default"""
        pool = new_pool()
        create(pool, TemporaryPassword=PASSWORD)
        pool.sandbox.advance(7 * DAY)
        assert rejection(pool.start) == (
            "NotAuthorizedException",
            "Temporary password has expired and must be reset by an administrator.",
        )
        create(pool, TemporaryPassword=OTHER, MessageAction="RESEND")
        assert pool.start(password=OTHER)["ChallengeName"] == "NEW_PASSWORD_REQUIRED"

    def test_user_without_password_is_confirmed(self, new_pool: NewPool) -> None:
        """[API] AdminCreateUser, TemporaryPassword, and AdminCreateUserConfigType: still invited"""
        factors = {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}
        pool = new_pool(Policies={"SignInPolicy": factors})
        user = create(pool, UserAttributes=named({"email": "ana@example.com"}))
        assert user["UserStatus"] == "CONFIRMED"
        (invitation,) = pool.sandbox.messages()
        assert (invitation.purpose, invitation.code) == ("INVITATION", "")
        pool.admin("admin_set_user_password", Username="ana", Password=OTHER, Permanent=True)
        assert pool.tokens(password=OTHER)["AccessToken"]

    def test_alias_of_another_user_is_rejected_unless_it_is_forced(self, new_pool: NewPool) -> None:
        """[API] AdminCreateUser, ForceAliasCreation"""
        pool = new_pool(AliasAttributes=["email"])
        verified = named({"email": "ana@example.com", "email_verified": "true"})
        create(pool, UserAttributes=verified)
        assert rejection(create, pool, "bob", UserAttributes=verified) == (
            "AliasExistsException",
            "An account with the email already exists.",
        )
        create(pool, "bob", UserAttributes=verified, ForceAliasCreation=True)
        assert pool.get("ana")["email_verified"] == "false"
        assert pool.admin("admin_get_user", Username="ana@example.com")["Username"] == "bob"


class TestNewPassword:
    """Attributes of NEW_PASSWORD_REQUIRED."""

    def answer(self, pool: UserPool, **attributes: str) -> Any:
        return pool.app(
            "respond_to_auth_challenge",
            ChallengeName="NEW_PASSWORD_REQUIRED",
            Session=pool.start()["Session"],
            ChallengeResponses={
                "USERNAME": "ana",
                "NEW_PASSWORD": OTHER,
                **{f"userAttributes.{name}": value for name, value in attributes.items()},
            },
        )

    def test_missing_attributes_are_asked_for(self, new_pool: NewPool) -> None:
        """pmill/aws-cognito#25"""
        pool = new_pool(Schema=[{"Name": "name", "Required": True}])
        create(pool, TemporaryPassword=PASSWORD)
        assert '"userAttributes.name"' in pool.start()["ChallengeParameters"]["requiredAttributes"]
        assert rejection(self.answer, pool) == (
            "InvalidParameterException",
            "Invalid attributes given, name is missing",
        )
        assert self.answer(pool, name="Ana")["AuthenticationResult"]

    def test_email_that_the_user_has_is_rejected(self, new_pool: NewPool) -> None:
        """A recorded answer of AdminRespondToAuthChallenge."""
        pool = new_pool()
        email = "ana@example.com"
        create(pool, TemporaryPassword=PASSWORD, UserAttributes=named({"email": email}))
        assert rejection(self.answer, pool, email=email) == (
            "NotAuthorizedException",
            "Cannot modify an already provided email",
        )
        assert self.answer(pool, phone_number="+15550001234")["AuthenticationResult"]

    def test_malformed_phone_number_is_rejected(self, new_pool: NewPool) -> None:
        """amplify-js#13761"""
        pool = new_pool()
        create(pool, TemporaryPassword=PASSWORD)
        assert rejection(self.answer, pool, phone_number="5550001234") == (
            "InvalidParameterException",
            "Invalid phone number format.",
        )


class TestPasswords:
    """AdminSetUserPassword and ChangePassword."""

    def test_temporary_password_of_an_administrator_must_be_changed(
        self, new_pool: NewPool
    ) -> None:
        """[API] AdminSetUserPassword"""
        pool = new_pool()
        pool.add()
        pool.admin("admin_set_user_password", Username="ana", Password=OTHER)
        assert pool.status() == "FORCE_CHANGE_PASSWORD"
        assert pool.start(password=OTHER)["ChallengeName"] == "NEW_PASSWORD_REQUIRED"

    def test_permanent_password_confirms_a_sign_up(self, new_pool: NewPool) -> None:
        """[API] AdminSetUserPassword: the status becomes CONFIRMED"""
        pool = new_pool()
        pool.app("sign_up", Username="ana", Password=PASSWORD)
        pool.admin("admin_set_user_password", Username="ana", Password=OTHER, Permanent=True)
        assert pool.tokens(password=OTHER)["AccessToken"]

    def test_changed_password_replaces_the_old_one_and_keeps_tokens(
        self, new_pool: NewPool
    ) -> None:
        """[API] ChangePassword; public reports"""
        pool = new_pool()
        pool.add()
        token = pool.tokens()["AccessToken"]
        change = {"AccessToken": token, "PreviousPassword": PASSWORD, "ProposedPassword": OTHER}
        pool.boto.change_password(**change)
        assert rejection(pool.boto.change_password, **change) == (
            "NotAuthorizedException",
            "Incorrect username or password.",
        )
        assert pool.boto.get_user(AccessToken=token)["Username"] == "ana"
        assert pool.tokens(password=OTHER)["AccessToken"]

    def test_former_password_is_rejected(self, new_pool: NewPool) -> None:
        """[API] PasswordPolicyType, PasswordHistorySize"""
        pool = new_pool(Policies={"PasswordPolicy": {"PasswordHistorySize": 2}})
        pool.add()

        def change(password: str) -> None:
            pool.admin("admin_set_user_password", Username="ana", Password=password, Permanent=True)

        change(OTHER)
        for former in (PASSWORD, OTHER):
            assert rejection(change, former)[0] == "PasswordHistoryPolicyViolationException"
        change("Third-horse-3")
        change(PASSWORD)

    def test_wrong_previous_passwords_are_limited(self, new_pool: NewPool) -> None:
        """[dev] quotas; amplify-js#13225 for the words"""
        pool = new_pool()
        pool.add()
        request = {
            "AccessToken": pool.tokens()["AccessToken"],
            "PreviousPassword": OTHER,
            "ProposedPassword": OTHER,
        }
        for _ in range(20):
            assert rejection(pool.boto.change_password, **request)[0] == "NotAuthorizedException"
        assert rejection(pool.boto.change_password, **request)[0] == "LimitExceededException"


class TestStates:
    """AdminGetUser, AdminDisableUser, AdminEnableUser, AdminDeleteUser, DeleteUser, sign-out."""

    def test_disabled_user_is_signed_out_and_cannot_sign_in(self, new_pool: NewPool) -> None:
        """[API] AdminDisableUser"""
        pool = new_pool()
        pool.add()
        token = pool.tokens()["AccessToken"]
        pool.admin("admin_disable_user", Username="ana")
        assert pool.admin("admin_get_user", Username="ana")["Enabled"] is False
        assert rejection(pool.start) == ("NotAuthorizedException", "User is disabled.")
        assert rejection(pool.boto.get_user, AccessToken=token)[0] == "NotAuthorizedException"
        pool.admin("admin_enable_user", Username="ana")
        assert pool.tokens()["AccessToken"]

    def test_signed_out_user_needs_to_sign_in_again(self, new_pool: NewPool) -> None:
        """aws-sdk-js#4323 for the words"""
        pool = new_pool()
        pool.add()
        token = pool.tokens()["AccessToken"]
        pool.admin("admin_user_global_sign_out", Username="ana")
        assert rejection(pool.boto.get_user, AccessToken=token) == (
            "NotAuthorizedException",
            "Access Token has been revoked",
        )

    @pytest.mark.parametrize("by", ["administrator", "user"])
    def test_deleted_user_is_unknown(self, new_pool: NewPool, by: str) -> None:
        """[API] AdminDeleteUser, DeleteUser"""
        pool = new_pool()
        pool.add()
        token = pool.tokens()["AccessToken"]
        if by == "user":
            pool.boto.delete_user(AccessToken=token)
        else:
            pool.admin("admin_delete_user", Username="ana")
        assert rejection(pool.admin, "admin_get_user", Username="ana") == NOT_FOUND
        pool.add()
        with pytest.raises(ClientError):
            pool.boto.get_user(AccessToken=token)

    @pytest.mark.parametrize(
        "operation",
        [
            "admin_confirm_sign_up",
            "admin_delete_user",
            "admin_disable_user",
            "admin_enable_user",
            "admin_get_user",
            "admin_list_groups_for_user",
            "admin_reset_user_password",
            "admin_set_user_mfa_preference",
            "admin_user_global_sign_out",
        ],
    )
    def test_unknown_user_is_named_so(self, new_pool: NewPool, operation: str) -> None:
        """moto's tests"""
        assert rejection(new_pool().admin, operation, Username="nobody") == NOT_FOUND

    def test_sub_and_alias_name_the_user(self, new_pool: NewPool) -> None:
        """[API] AdminGetUser, Username"""
        pool = new_pool(AliasAttributes=["email"])
        pool.add(email="ana@example.com", email_verified="true")
        for name in ("ana@example.com", pool.get()["sub"]):
            assert pool.admin("admin_get_user", Username=name)["Username"] == "ana"


class TestMfaPreference:
    """SetUserMFAPreference, AdminSetUserMFAPreference and GetUserAuthFactors."""

    def test_user_without_factors_has_no_settings(self, new_pool: NewPool) -> None:
        """[moto] test_initiate_auth_USER_PASSWORD_AUTH"""
        pool = new_pool()
        pool.add()
        off = {"Enabled": False, "PreferredMfa": False}
        pool.admin("admin_set_user_mfa_preference", Username="ana", SoftwareTokenMfaSettings=off)
        found = pool.admin("admin_get_user", Username="ana")
        assert "UserMFASettingList" not in found
        assert "PreferredMfaSetting" not in found

    @pytest.mark.parametrize(
        ("member", "factor"),
        [
            ("SoftwareTokenMfaSettings", "SOFTWARE_TOKEN_MFA"),
            ("SMSMfaSettings", "SMS_MFA"),
            ("EmailMfaSettings", "EMAIL_OTP"),
        ],
    )
    def test_factor_that_the_user_cannot_use_is_rejected(
        self, new_pool: NewPool, member: str, factor: str
    ) -> None:
        """Public recordings of these words."""
        pool = new_pool()
        pool.add()
        token = pool.tokens()["AccessToken"]
        words = f"User does not have delivery config set to turn on {factor}"
        wanted: dict[str, Any] = {member: {"Enabled": True}}
        by_user = rejection(pool.boto.set_user_mfa_preference, AccessToken=token, **wanted)
        by_admin = rejection(pool.admin, "admin_set_user_mfa_preference", Username="ana", **wanted)
        assert by_user == by_admin == ("InvalidParameterException", words)

    def test_preference_shows_in_the_user(self, new_pool: NewPool) -> None:
        """[API] GetUser"""
        pool = new_pool()
        pool.add(phone_number="+15550001234", email="ana@example.com")
        token = pool.tokens()["AccessToken"]
        pool.boto.set_user_mfa_preference(
            AccessToken=token,
            SMSMfaSettings={"Enabled": True, "PreferredMfa": True},
            EmailMfaSettings={"Enabled": True},
        )
        found = pool.boto.get_user(AccessToken=token)
        assert found["PreferredMfaSetting"] == "SMS_MFA"
        assert set(found["UserMFASettingList"]) == {"SMS_MFA", "EMAIL_OTP"}
        pool.boto.set_user_mfa_preference(AccessToken=token, SMSMfaSettings={"Enabled": False})
        assert pool.boto.get_user(AccessToken=token)["UserMFASettingList"] == ["EMAIL_OTP"]

    def test_settings_of_older_sdks_enable_sms(self, new_pool: NewPool) -> None:
        """[API] SetUserSettings, AdminSetUserSettings; amazon-cognito-identity-js"""
        pool = new_pool()
        pool.add(phone_number="+15550001234")
        token = pool.tokens()["AccessToken"]
        options = [{"DeliveryMedium": "SMS", "AttributeName": "phone_number"}]
        pool.boto.set_user_settings(AccessToken=token, MFAOptions=options)
        found = pool.boto.get_user(AccessToken=token)
        assert (found["MFAOptions"], found["UserMFASettingList"]) == (options, ["SMS_MFA"])
        pool.admin("admin_set_user_settings", Username="ana", MFAOptions=[])
        assert "MFAOptions" not in pool.boto.get_user(AccessToken=token)

    def test_factors_of_user_auth_are_listed(self, new_pool: NewPool) -> None:
        """[API] GetUserAuthFactors"""
        factors = {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"]}
        pool = new_pool(Policies={"SignInPolicy": factors})
        pool.add(email="a@example.com", email_verified="true", phone_number="+15550001234")
        token = pool.tokens()["AccessToken"]
        listed = pool.boto.get_user_auth_factors(AccessToken=token)
        assert listed["ConfiguredUserAuthFactors"] == ["PASSWORD", "EMAIL_OTP"]


class TestListUsers:
    """ListUsers."""

    @pytest.fixture
    def pool(self, new_pool: NewPool) -> UserPool:
        pool = new_pool()
        for name in ("ana", "anton", "bob"):
            attributes = {"email": f"{name}@example.com", "given_name": name.title()}
            create(pool, name, UserAttributes=named(attributes), MessageAction="SUPPRESS")
        pool.admin("admin_disable_user", Username="bob")
        pool.admin("admin_set_user_password", Username="bob", Password=OTHER, Permanent=True)
        return pool

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("", ["ana", "anton", "bob"]),
            ('username = "ana"', ["ana"]),
            ('username ^= "an"', ["ana", "anton"]),
            ('email="bob@example.com"', ["bob"]),
            ('given_name ^= "A"', ["ana", "anton"]),
            ('status = "Disabled"', ["bob"]),
            ('cognito:user_status = "force_change_password"', ["ana", "anton"]),
            ('name = "Ana"', []),
        ],
    )
    def test_filter_selects_users(self, pool: UserPool, text: str, found: list[str]) -> None:
        """[API] ListUsers, Filter"""
        users = pool.admin("list_users", Filter=text)["Users"]
        assert [user["Username"] for user in users] == found

    def test_sub_finds_one_user(self, pool: UserPool) -> None:
        """floci#233"""
        users = pool.admin("list_users", Filter=f'sub = "{pool.get("bob")["sub"]}"')["Users"]
        assert [user["Username"] for user in users] == ["bob"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("username", "Error while parsing filter"),
            ("username = ana", "Error while parsing filter"),
            ('username > "ana"', "Error while parsing filter"),
            ('custom:team = "red"', "Invalid search attribute: custom:team"),
            ('family = "Reddy"', "Invalid search attribute: family"),
        ],
    )
    def test_malformed_filter_is_rejected(self, pool: UserPool, text: str, words: str) -> None:
        """moto's tests, moto#4389"""
        rejected = rejection(pool.admin, "list_users", Filter=text)
        assert rejected == ("InvalidParameterException", words)

    def test_pages_have_a_token_until_the_last(self, pool: UserPool) -> None:
        """[API] ListUsers, Limit, PaginationToken; botocore's paginator"""
        first = pool.admin("list_users", Limit=2)
        assert [user["Username"] for user in first["Users"]] == ["ana", "anton"]
        last = pool.admin("list_users", Limit=2, PaginationToken=first["PaginationToken"])
        assert [user["Username"] for user in last["Users"]] == ["bob"]
        assert "PaginationToken" not in last
        pages = pool.boto.get_paginator("list_users").paginate(
            UserPoolId=pool.id, PaginationConfig={"PageSize": 1}
        )
        assert sum(len(page["Users"]) for page in pages) == 3
        forged = rejection(pool.admin, "list_users", PaginationToken="forged")
        assert forged[0] == "InvalidParameterException"

    def test_attributes_to_get_select(self, pool: UserPool) -> None:
        """[API] ListUsers, AttributesToGet; public code that matches the words"""
        users = pool.admin("list_users", AttributesToGet=["email"])["Users"]
        assert {one["Name"] for user in users for one in user["Attributes"]} == {"email"}
        assert rejection(pool.admin, "list_users", AttributesToGet=["custom:team"]) == (
            "InvalidParameterException",
            "One or more requested attributes do not exist.",
        )
