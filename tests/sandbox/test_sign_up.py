"""New users: SignUp, ConfirmSignUp, ResendConfirmationCode and AdminConfirmSignUp, over boto3.

Sources: [moto] moto's tests marked aws_verified, which ran against AWS; [API] API reference; [dev]
AWS developer guide; repository#number is a public issue.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from tests.sandbox.user_pools import PASSWORD, UserPool, named, rejection

NewPool = Callable[..., UserPool]
VERIFIED_EMAIL: dict[str, Any] = {"AutoVerifiedAttributes": ["email"]}
EMAIL = named({"email": "ana@example.com"})


def sign_up(pool: UserPool, username: str = "ana", **request: Any) -> Any:
    return pool.app("sign_up", **{"Username": username, "Password": PASSWORD, **request})


def test_sign_up_without_auto_verification_sends_nothing(new_pool: NewPool) -> None:
    """[moto] test_sign_up, test_sign_up_with_unverified_email"""
    pool = new_pool()
    answer = sign_up(pool, UserAttributes=EMAIL)
    assert answer["UserConfirmed"] is False
    assert uuid.UUID(answer["UserSub"])
    assert "CodeDeliveryDetails" not in answer
    assert pool.sandbox.messages() == ()
    assert pool.status() == "UNCONFIRMED"
    assert rejection(pool.start) == ("UserNotConfirmedException", "User is not confirmed.")


def test_sign_up_sends_a_code_to_the_address_that_the_pool_verifies(new_pool: NewPool) -> None:
    """[moto] test_sign_up_with_verified_email, test_sign_up_with_verified_but_not_supplied_email"""
    pool = new_pool(**VERIFIED_EMAIL)
    assert "CodeDeliveryDetails" not in sign_up(pool, "bob")
    assert sign_up(pool, UserAttributes=EMAIL)["CodeDeliveryDetails"] == {
        "Destination": "a***@e***",
        "DeliveryMedium": "EMAIL",
        "AttributeName": "email",
    }
    assert pool.get()["email_verified"] == "false"
    pool.app("confirm_sign_up", Username="ana", ConfirmationCode=pool.code())
    assert pool.get()["email_verified"] == "true"
    assert pool.tokens()["AccessToken"]


def test_code_has_the_text_of_the_pool(new_pool: NewPool) -> None:
    """[API] CreateUserPool, EmailVerificationMessage, EmailVerificationSubject"""
    texts = {"EmailVerificationMessage": "Use {####}.", "EmailVerificationSubject": "Your code"}
    pool = new_pool(**VERIFIED_EMAIL, **texts)
    sign_up(pool, UserAttributes=EMAIL)
    (message,) = pool.sandbox.messages()
    assert (message.text, message.subject) == (f"Use {message.code}.", "Your code")


def test_code_of_a_pool_that_verifies_both_goes_to_the_phone_number(new_pool: NewPool) -> None:
    """[dev] verifying contact information"""
    pool = new_pool(AutoVerifiedAttributes=["email", "phone_number"])
    attributes = named({"email": "ana@example.com", "phone_number": "+15550001234"})
    details = sign_up(pool, UserAttributes=attributes)["CodeDeliveryDetails"]
    assert (details["DeliveryMedium"], details["Destination"]) == ("SMS", "+*******1234")


def test_session_of_a_sign_up_confirms_and_signs_in(new_pool: NewPool) -> None:
    """[API] ConfirmSignUp; aws-sdk-js-v3#6724"""
    pool = new_pool(**VERIFIED_EMAIL)
    session = sign_up(pool, UserAttributes=EMAIL)["Session"]
    confirmed = pool.app(
        "confirm_sign_up", Username="ana", ConfirmationCode=pool.code(), Session=session
    )
    signed_in = pool.app(
        "initiate_auth",
        AuthFlow="USER_AUTH",
        AuthParameters={"USERNAME": "ana"},
        Session=confirmed["Session"],
    )
    assert signed_in["AuthenticationResult"]["AccessToken"]


def test_expired_session_of_a_sign_up_confirms_without_signing_in(new_pool: NewPool) -> None:
    """The rule is inferred: a user may need longer than three minutes to find the code."""
    pool = new_pool(**VERIFIED_EMAIL)
    session = sign_up(pool, UserAttributes=EMAIL)["Session"]
    pool.sandbox.advance(600)
    code = pool.code()
    answer = pool.app("confirm_sign_up", Username="ana", ConfirmationCode=code, Session=session)
    assert ("Session" in answer, pool.status()) == (False, "CONFIRMED")


def test_session_of_another_sign_up_does_not_confirm(new_pool: NewPool) -> None:
    pool = new_pool(**VERIFIED_EMAIL)
    other = sign_up(pool, "bob")["Session"]
    sign_up(pool, UserAttributes=EMAIL)
    request = {"Username": "ana", "ConfirmationCode": pool.code(), "Session": other}
    assert rejection(pool.app, "confirm_sign_up", **request)[0] == "NotAuthorizedException"


def test_client_without_user_auth_gets_no_session(new_pool: NewPool) -> None:
    """[API] SignUp: the session is for USER_AUTH"""
    pool = new_pool(app_client={"ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"]})
    assert "Session" not in sign_up(pool)


def test_username_that_is_taken_is_rejected(new_pool: NewPool) -> None:
    """localstack#4465; [dev] managing user existence error responses: also if ENABLED"""
    pool = new_pool(app_client={"PreventUserExistenceErrors": "ENABLED"})
    sign_up(pool)
    assert rejection(sign_up, pool) == ("UsernameExistsException", "User already exists")


def test_case_counts_unless_the_pool_says_otherwise(new_pool: NewPool) -> None:
    """[API] UsernameConfigurationType: CaseSensitive is true by default"""
    pool = new_pool()
    sign_up(pool)
    sign_up(pool, "ANA")
    insensitive = new_pool(UsernameConfiguration={"CaseSensitive": False})
    sign_up(insensitive)
    assert rejection(sign_up, insensitive, "ANA")[0] == "UsernameExistsException"
    insensitive.admin("admin_confirm_sign_up", Username="aNa")
    assert insensitive.tokens("Ana")["AccessToken"]


def test_pool_of_administrators_rejects_a_sign_up(new_pool: NewPool) -> None:
    """Public reports of these words."""
    pool = new_pool(AdminCreateUserConfig={"AllowAdminCreateUserOnly": True})
    assert rejection(sign_up, pool) == (
        "NotAuthorizedException",
        "SignUp is not permitted for this user pool",
    )


class TestUsernameAttributes:
    """Email addresses that stand for the username: [moto], [dev] customizing sign-in attributes."""

    def test_username_is_the_sub(self, new_pool: NewPool) -> None:
        pool = new_pool(UsernameAttributes=["email"])
        sub = sign_up(pool, "ana@example.com")["UserSub"]
        pool.admin("admin_confirm_sign_up", Username="ana@example.com")
        found = pool.admin("admin_get_user", Username="ana@example.com")
        assert found["Username"] == sub
        assert pool.get(sub)["email"] == "ana@example.com"
        for name in ("ana@example.com", sub):
            assert pool.tokens(name)["AccessToken"]

    @pytest.mark.parametrize(
        ("attributes", "words"),
        [
            (["email"], "Username should be an email."),
            (["phone_number"], "Username should be a phone number."),
            (["email", "phone_number"], "Username should be either an email or a phone number."),
        ],
    )
    def test_other_username_is_rejected(
        self, new_pool: NewPool, attributes: list[str], words: str
    ) -> None:
        pool = new_pool(UsernameAttributes=attributes)
        assert rejection(sign_up, pool) == ("InvalidParameterException", words)

    def test_address_of_another_user_is_rejected(self, new_pool: NewPool) -> None:
        """Public code that matches these words."""
        pool = new_pool(UsernameAttributes=["email"])
        sign_up(pool, "ana@example.com")
        assert rejection(sign_up, pool, "ana@example.com") == (
            "UsernameExistsException",
            "An account with the given email already exists.",
        )


class TestAliases:
    """Email addresses that can sign in beside the username."""

    def pool(self, new_pool: NewPool) -> UserPool:
        return new_pool(AliasAttributes=["email"], **VERIFIED_EMAIL)

    def test_username_in_the_format_of_an_alias_is_rejected(self, new_pool: NewPool) -> None:
        """Public code that matches these words."""
        pool = self.pool(new_pool)
        assert rejection(sign_up, pool, "ana@example.com") == (
            "InvalidParameterException",
            "Username cannot be of email format, since user pool is configured for email alias.",
        )

    def test_alias_signs_in_only_after_it_was_verified(self, new_pool: NewPool) -> None:
        """amazon-cognito-identity-js#148"""
        pool = self.pool(new_pool)
        sign_up(pool, UserAttributes=EMAIL)
        pool.admin("admin_confirm_sign_up", Username="ana")
        assert rejection(pool.start, "ana@example.com")[0] == "UserNotFoundException"
        pool.admin(
            "admin_update_user_attributes",
            Username="ana",
            UserAttributes=named({"email_verified": "true"}),
        )
        assert pool.tokens("ana@example.com")["AccessToken"]

    def test_second_user_of_an_alias_cannot_confirm_unless_it_is_forced(
        self, new_pool: NewPool
    ) -> None:
        """[API] ConfirmSignUp, ForceAliasCreation; amazon-cognito-js#23"""
        pool = self.pool(new_pool)
        for name in ("ana", "bob"):
            sign_up(pool, name, UserAttributes=EMAIL)
            request = {"Username": name, "ConfirmationCode": pool.code()}
            if name == "ana":
                pool.app("confirm_sign_up", **request)
        assert rejection(pool.app, "confirm_sign_up", **request) == (
            "AliasExistsException",
            "An account with the email already exists.",
        )
        assert pool.status("bob") == "UNCONFIRMED"
        pool.app("confirm_sign_up", ForceAliasCreation=True, **request)
        assert pool.get("ana")["email_verified"] == "false"
        assert pool.admin("admin_get_user", Username="ana@example.com")["Username"] == "bob"


class TestAttributes:
    """What the schema and the app client allow."""

    def test_required_attributes_must_be_given(self, new_pool: NewPool) -> None:
        """Public code that quotes these words."""
        schema = [{"Name": name, "Required": True} for name in ("name", "email")]
        pool = new_pool(Schema=schema)
        assert rejection(sign_up, pool) == (
            "InvalidParameterException",
            "Attributes did not conform to the schema: name: The attribute is required\n"
            "email: The attribute is required\n",
        )

    def test_unknown_attribute_is_rejected(self, new_pool: NewPool) -> None:
        """amplify-flutter#509"""
        pool = new_pool()
        attributes = named({"custom:team": "red"})
        assert rejection(sign_up, pool, UserAttributes=attributes) == (
            "InvalidParameterException",
            "Attributes did not conform to the schema: custom:team: Attribute does not exist in the "
            "schema.\n",
        )

    @pytest.mark.parametrize("value", ["x" * 4, "x"])
    def test_value_outside_its_bounds_is_rejected(self, new_pool: NewPool, value: str) -> None:
        """[API] SchemaAttributeType"""
        bounds = {"MinLength": "2", "MaxLength": "3"}
        pool = new_pool(
            Schema=[
                {
                    "Name": "team",
                    "AttributeDataType": "String",
                    "StringAttributeConstraints": bounds,
                }
            ]
        )
        sign_up(pool, "bob", UserAttributes=named({"custom:team": "red"}))
        code, message = rejection(sign_up, pool, UserAttributes=named({"custom:team": value}))
        assert code == "InvalidParameterException"
        assert message.startswith("Attributes did not conform to the schema: custom:team: ")

    @pytest.mark.parametrize(
        ("attribute", "value", "words"),
        [
            ("email", "ana", "Invalid email address format."),
            ("email", "ana@ example.com", "Invalid email address format."),
            ("phone_number", "5550001234", "Invalid phone number format."),
            ("phone_number", "+1555 0001234", "Invalid phone number format."),
        ],
    )
    def test_malformed_address_is_rejected(
        self, new_pool: NewPool, attribute: str, value: str, words: str
    ) -> None:
        """amplify-js#13761"""
        pool = new_pool()
        assert rejection(sign_up, pool, UserAttributes=named({attribute: value})) == (
            "InvalidParameterException",
            words,
        )

    @pytest.mark.parametrize("name", ["email_verified", "family_name"])
    def test_attribute_that_the_client_cannot_write_is_rejected(
        self, new_pool: NewPool, name: str
    ) -> None:
        """[dev] attribute permissions and scopes; public recordings of these words"""
        pool = new_pool(app_client={"WriteAttributes": ["email", "given_name"]})
        sign_up(pool, "bob", UserAttributes=named({"given_name": "Bob"}))
        assert rejection(sign_up, pool, UserAttributes=named({name: "true"})) == (
            "NotAuthorizedException",
            "A client attempted to write unauthorized attribute",
        )


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("Short-1", "Password not long enough"),
        ("no-capitals-1", "Password must have uppercase characters"),
        ("NO-SMALL-1", "Password must have lowercase characters"),
        ("No-numbers", "Password must have numeric characters"),
        ("Nosymbols1", "Password must have symbol characters"),
    ],
)
def test_each_operation_has_its_words_for_a_weak_password(
    new_pool: NewPool, password: str, problem: str
) -> None:
    """data-dot-all/dataall#690 and public code that matches the others"""
    pool = new_pool()
    assert rejection(sign_up, pool, Password=password) == (
        "InvalidPasswordException",
        f"Password did not conform with policy: {problem}",
    )
    created = {"Username": "ana", "TemporaryPassword": password}
    assert rejection(pool.admin, "admin_create_user", **created) == (
        "InvalidPasswordException",
        f"Password did not conform with password policy: {problem}",
    )
    pool.add()
    changed = {"Username": "ana", "Password": password}
    assert rejection(pool.admin, "admin_set_user_password", **changed) == (
        "InvalidPasswordException",
        f"Password does not conform to policy: {problem}",
    )


@pytest.mark.parametrize("password", [" Correct-horse-1", "Correct-horse-1 "])
def test_password_with_a_blank_at_an_end_is_rejected(new_pool: NewPool, password: str) -> None:
    """amplify-js#869, amplify-js#3723"""
    code, message = rejection(sign_up, new_pool(), Password=password)
    assert code == "InvalidParameterException"
    assert message == (
        "1 validation error detected: Value at 'password' failed to satisfy constraint: Member must "
        r"satisfy regular expression pattern: ^[\S]+.*[\S]+$"
    )


def test_pool_with_its_own_policy_enforces_it(new_pool: NewPool) -> None:
    """[API] PasswordPolicyType"""
    policy = {"MinimumLength": 20, "RequireUppercase": False, "RequireSymbols": False}
    pool = new_pool(Policies={"PasswordPolicy": policy})
    assert rejection(sign_up, pool)[1].endswith("Password not long enough")
    sign_up(pool, Password="a-long-phrase-is-enough-1")


def test_passwordless_sign_up_needs_a_one_time_code(new_pool: NewPool) -> None:
    """[API] SignUp, Password: optional if the pool has one-time codes as first factors"""
    factors = {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}
    pool = new_pool(Policies={"SignInPolicy": factors}, **VERIFIED_EMAIL)
    pool.app("sign_up", Username="ana", UserAttributes=EMAIL)
    pool.app("confirm_sign_up", Username="ana", ConfirmationCode=pool.code())
    begun = pool.app("initiate_auth", AuthFlow="USER_AUTH", AuthParameters={"USERNAME": "ana"})
    assert begun["ChallengeName"] == "EMAIL_OTP"
    assert rejection(pool.app, "sign_up", Username="bob")[0] == "InvalidParameterException"
    assert rejection(pool.start, "ana", "anything")[0] == "NotAuthorizedException"


def test_passwordless_sign_up_signs_in_with_one_code(new_pool: NewPool) -> None:
    """[API] SignUp, ConfirmSignUp and InitiateAuth: the session goes on from one to the next"""
    factors = {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}
    pool = new_pool(Policies={"SignInPolicy": factors}, **VERIFIED_EMAIL)
    session = pool.app("sign_up", Username="ana", UserAttributes=EMAIL)["Session"]
    confirmed = pool.app(
        "confirm_sign_up", Username="ana", ConfirmationCode=pool.code(), Session=session
    )
    signed_in = pool.app(
        "initiate_auth",
        AuthFlow="USER_AUTH",
        AuthParameters={"USERNAME": "ana"},
        Session=confirmed["Session"],
    )
    assert signed_in["AuthenticationResult"]["AccessToken"]
    assert len(pool.sandbox.messages()) == 1


class TestConfirmation:
    """ConfirmSignUp and ResendConfirmationCode."""

    @pytest.fixture
    def pool(self, new_pool: NewPool) -> UserPool:
        pool = new_pool(
            app_client={"PreventUserExistenceErrors": "ENABLED"},
            **VERIFIED_EMAIL,
        )
        sign_up(pool, UserAttributes=EMAIL)
        return pool

    def confirm(self, pool: UserPool, code: str, username: str = "ana") -> Any:
        return pool.app("confirm_sign_up", Username=username, ConfirmationCode=code)

    def test_wrong_code_is_rejected_and_the_right_one_works_afterwards(
        self, pool: UserPool
    ) -> None:
        """Public code that matches these words."""
        wrong = f"{(int(pool.code()) + 1) % 10**6:06d}"
        assert rejection(self.confirm, pool, wrong) == (
            "CodeMismatchException",
            "Invalid verification code provided, please try again.",
        )
        self.confirm(pool, pool.code())

    def test_code_expires_after_a_day(self, pool: UserPool) -> None:
        """[dev] verifying contact information"""
        pool.sandbox.advance(24 * 3600)
        assert rejection(self.confirm, pool, pool.code()) == (
            "ExpiredCodeException",
            "Invalid code provided, please request a code again.",
        )

    def test_new_code_replaces_the_old_one(self, pool: UserPool) -> None:
        old = pool.code()
        details = pool.app("resend_confirmation_code", Username="ana")["CodeDeliveryDetails"]
        assert details["AttributeName"] == "email"
        if pool.code() != old:
            assert rejection(self.confirm, pool, old)[0] == "CodeMismatchException"
        self.confirm(pool, pool.code())

    def test_confirmed_user_cannot_be_confirmed_again(self, pool: UserPool) -> None:
        """Public code that matches these words."""
        pool.admin("admin_confirm_sign_up", Username="ana")
        words = "User cannot be confirmed. Current status is CONFIRMED"
        assert rejection(self.confirm, pool, pool.code()) == ("NotAuthorizedException", words)
        admin = rejection(pool.admin, "admin_confirm_sign_up", Username="ana")
        assert admin == ("NotAuthorizedException", words)
        assert rejection(pool.app, "resend_confirmation_code", Username="ana") == (
            "InvalidParameterException",
            "User is already confirmed.",
        )

    def test_code_for_an_older_address_does_not_confirm(self, pool: UserPool) -> None:
        old = pool.code()
        changed = named({"email": "new@example.com"})
        pool.admin("admin_update_user_attributes", Username="ana", UserAttributes=changed)
        assert rejection(self.confirm, pool, old)[0] == "ExpiredCodeException"

    def test_unknown_user_is_not_revealed(self, pool: UserPool) -> None:
        """[dev] managing user existence error responses"""
        details = pool.app("resend_confirmation_code", Username="nobody")["CodeDeliveryDetails"]
        assert details["DeliveryMedium"] == "EMAIL"
        assert rejection(self.confirm, pool, "123456", "nobody")[0] == "CodeMismatchException"
        assert len(pool.sandbox.messages()) == 1

    def test_client_that_reveals_users_says_so(self, new_pool: NewPool) -> None:
        """[dev] managing user existence error responses: LEGACY is the default"""
        for call in ("resend_confirmation_code", "forgot_password"):
            assert rejection(new_pool().app, call, Username="nobody") == (
                "UserNotFoundException",
                "Username/client id combination not found.",
            )

    def test_codes_cannot_be_resent_if_the_pool_verifies_nothing(self, new_pool: NewPool) -> None:
        """Public reports of these words."""
        pool = new_pool()
        sign_up(pool, UserAttributes=EMAIL)
        assert rejection(pool.app, "resend_confirmation_code", Username="ana") == (
            "InvalidParameterException",
            "Cannot resend codes. Auto verification not turned on.",
        )

    def test_twenty_resends_in_an_hour_are_the_limit(self, pool: UserPool) -> None:
        """[dev] quotas: 5 to 20 an hour; amplify-js#13225 for the words"""
        for _ in range(20):
            pool.app("resend_confirmation_code", Username="ana")
        assert rejection(pool.app, "resend_confirmation_code", Username="ana") == (
            "LimitExceededException",
            "Attempt limit exceeded, please try after some time.",
        )
        pool.sandbox.advance(3600)
        pool.app("resend_confirmation_code", Username="ana")
