"""The service model's constraints, in AWS's words.

Sources: [model] botocore's service model, [recorded] answers of real pools that other projects' tests
quote, and public issue threads by number.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.sandbox.conftest import Call
from tests.sandbox.service_model import deviations

from oncegate_sandbox import DEMO_SEED, CognitoError
from oncegate_sandbox._model import service_model
from oncegate_sandbox._validation import check_request, check_value

CLIENT = DEMO_SEED.pool.client_id
POOL = DEMO_SEED.pool.id
NAME = r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+"


def rejection(operation: str, **request: Any) -> str:
    with pytest.raises(CognitoError) as error:
        check_request(operation, request)
    return f"{error.value.code}: {error.value.message}"


def violation(at: str, constraint: str) -> str:
    return (
        f"InvalidParameterException: 1 validation error detected: {at} failed to satisfy constraint: "
        f"{constraint}"
    )


# ── patterns and lengths ──


@pytest.mark.parametrize("password", [" Correct-horse-9", "Correct-horse-9 ", "x "])
def test_password_with_a_blank_at_an_end_breaks_the_pattern(password: str) -> None:
    """amplify-js#869, #3723"""
    sent = {"ClientId": CLIENT, "Username": "ana", "ConfirmationCode": "1", "Password": password}
    assert rejection("ConfirmForgotPassword", **sent) == violation(
        "Value at 'password'",
        r"Member must satisfy regular expression pattern: ^[\S]+.*[\S]+$",
    )


def test_password_with_a_blank_inside_is_accepted() -> None:
    """AWS developer guide, password requirements: blanks inside count as special characters."""
    check_request("SignUp", {"ClientId": CLIENT, "Username": "ana", "Password": "Correct horse 9"})


def test_two_broken_constraints_are_both_reported() -> None:
    """[recorded] ForgotPassword of an empty username"""
    assert rejection("ForgotPassword", ClientId=CLIENT, Username="") == (
        "InvalidParameterException: 2 validation errors detected: Value at 'username' failed to "
        f"satisfy constraint: Member must satisfy regular expression pattern: {NAME}; Value at "
        "'username' failed to satisfy constraint: Member must have length greater than or equal to 1"
    )


def test_value_that_is_not_sensitive_is_quoted() -> None:
    """anomalyco/guide#127; [recorded] for the confirmation code"""
    assert rejection("AdminConfirmSignUp", UserPoolId="YOUR POOL", Username="ana") == violation(
        "Value 'YOUR POOL' at 'userPoolId'",
        r"Member must satisfy regular expression pattern: [\w-]+_[0-9a-zA-Z]+",
    )
    sent = {"ClientId": CLIENT, "Username": "ana", "ConfirmationCode": ""}
    assert rejection("ConfirmSignUp", **sent) == (
        "InvalidParameterException: 2 validation errors detected: Value '' at 'confirmationCode' "
        r"failed to satisfy constraint: Member must satisfy regular expression pattern: [\S]+; Value '' "
        "at 'confirmationCode' failed to satisfy constraint: Member must have length greater than or "
        "equal to 1"
    )


def test_too_long_value_is_rejected_without_the_value() -> None:
    """[recorded] Value at 'username' … length less than or equal to 128"""
    sent = {"ClientId": CLIENT, "Username": "n" * 129}
    assert rejection("ForgotPassword", **sent) == violation(
        "Value at 'username'", "Member must have length less than or equal to 128"
    )


def test_letters_of_every_script_and_symbols_are_in_names() -> None:
    r"""[model] \p{L}\p{M}\p{S}\p{N}\p{P} is Unicode"""
    check_request("ForgotPassword", {"ClientId": CLIENT, "Username": "Ñandú名😀+@例え"})
    with pytest.raises(CognitoError):
        check_request("ForgotPassword", {"ClientId": CLIENT, "Username": "two words"})


def test_word_characters_are_ascii_as_in_java() -> None:
    """[model] AWS's patterns are Java's, where \\w and \\S are ASCII."""
    assert "[\\w+]+" in rejection("ForgotPassword", ClientId="ñ", Username="ana")
    check_request(
        "ConfirmSignUp", {"ClientId": CLIENT, "Username": "ana", "ConfirmationCode": "1\u00a02"}
    )


def test_member_of_a_list_has_its_place_in_the_path() -> None:
    """[recorded] userAttributes.1.member.name"""
    sent = {"ClientId": CLIENT, "Username": "ana", "UserAttributes": [{"Name": "a"}, {"Name": ""}]}
    message = rejection("SignUp", **sent)
    assert message.startswith("InvalidParameterException: 2 validation errors detected: ")
    assert "Value '' at 'userAttributes.2.member.name' failed to satisfy" in message


def test_number_out_of_range_is_rejected() -> None:
    """[model] PasswordPolicyType"""
    policies = {"PasswordPolicy": {"MinimumLength": 5}}
    assert rejection("CreateUserPool", PoolName="a", Policies=policies) == violation(
        "Value '5' at 'policies.passwordPolicy.minimumLength'",
        "Member must have value greater than or equal to 6",
    )


# ── required members and enums ──


def test_missing_members_are_null() -> None:
    """[model]; the words: other AWS services, amazon-cognito-auth-js#65"""
    assert rejection("AdminGetUser") == (
        "InvalidParameterException: 2 validation errors detected: Value null at 'userPoolId' failed to "
        "satisfy constraint: Member must not be null; Value at 'username' failed to satisfy constraint: "
        "Member must not be null"
    )
    assert rejection("AdminGetUser", UserPoolId=None, Username="ana") == violation(
        "Value null at 'userPoolId'", "Member must not be null"
    )


def test_unknown_enum_value_is_answered_with_the_set() -> None:
    """[model] ChallengeNameType"""
    message = rejection("RespondToAuthChallenge", ClientId=CLIENT, ChallengeName="SMS")
    assert message.startswith(
        violation("Value 'SMS' at 'challengeName'", "Member must satisfy enum value set: [")
    )
    assert "SMS_MFA, " in message


def test_list_of_enum_values_is_quoted_whole() -> None:
    """aws-solutions/media-insights-on-aws#199"""
    message = rejection(
        "CreateUserPoolClient",
        UserPoolId=POOL,
        ClientName="a",
        ExplicitAuthFlows=["ADMIN_USER_PASSWORD_AUTH"],
    )
    assert message.startswith(
        violation(
            "Value '[ADMIN_USER_PASSWORD_AUTH]' at 'explicitAuthFlows'",
            "Member must satisfy constraint: [Member must satisfy enum value set: [ADMIN_NO_SRP_AUTH, ",
        )
    )
    assert message.endswith("]]")


def test_list_of_strings_names_all_constraints_of_its_members() -> None:
    """aws-cli#2941"""
    message = rejection(
        "CreateUserPoolClient", UserPoolId=POOL, ClientName="a", CallbackURLs=["https://a", ""]
    )
    assert message == violation(
        "Value '[https://a, ]' at 'callbackURLs'",
        "Member must satisfy constraint: [Member must have length less than or equal to 1024, Member "
        "must have length greater than or equal to 1, Member must satisfy regular expression pattern: "
        f"{NAME}]",
    )


# ── types ──


@pytest.mark.parametrize(
    ("username", "message"),
    [
        (True, "TRUE_VALUE can not be converted to a String"),
        (5, "NUMBER_VALUE can not be converted to a String"),
        ({}, "Start of structure or map found where not expected."),
        ([], "Start of list found where not expected."),
        ("\ud83d", ""),
    ],
)
def test_member_of_another_type_cannot_be_read(username: Any, message: str) -> None:
    """pmill/aws-cognito#10, amplify-js#13265, amazon-cognito-identity-js#485"""
    assert rejection("ForgotPassword", ClientId=CLIENT, Username=username) == (
        f"SerializationException: {message}"
    )


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"AuthParameters": "x"}, "Unexpected field type: STRING_VALUE"),
        ({"AuthParameters": {"USERNAME": 1}}, "NUMBER_VALUE can not be converted to a String"),
        ({"AuthParameters": {"USERNAME": None}}, None),
        ({"ClientMetadata": {"a": ["b"]}}, "Start of list found where not expected."),
    ],
)
def test_maps_are_checked_by_their_values(request_: dict[str, Any], expected: str | None) -> None:
    """[model] AuthParametersType, ClientMetadataType"""
    sent = {"ClientId": CLIENT, "AuthFlow": "USER_AUTH", **request_}
    if expected is None:
        check_request("InitiateAuth", sent)
    else:
        assert rejection("InitiateAuth", **sent) == f"SerializationException: {expected}"


# ── all operations ──


def test_every_operation_is_checked() -> None:
    """[model] The check of each operation compiles, and misses each required member."""
    for operation in service_model().operation_names:
        shape = service_model().operation_model(operation).input_shape
        required = getattr(shape, "required_members", [])
        if not required:
            check_request(operation, {})
            continue
        message = rejection(operation)
        assert message.count("Member must not be null") == len(required), operation


def test_no_message_quotes_a_sensitive_value() -> None:
    """P5; the service model marks passwords, tokens, codes of apps, sessions and user data."""
    secret = "s3cret word"  # a blank: against most patterns
    sensitive = 0
    for operation in service_model().operation_names:
        shape = service_model().operation_model(operation).input_shape
        for name, member in getattr(shape, "members", {}).items():
            if not member.metadata.get("sensitive"):
                continue
            sensitive += 1
            for value in (secret, secret * 9999, {secret: 1}, [secret], 5):
                with pytest.raises(CognitoError) as error:
                    check_request(operation, {name: value})
                assert secret not in f"{error.value}", (operation, name)
    assert sensitive > 90


def test_unknown_members_and_operations_are_ignored() -> None:
    check_request("ForgotPassword", {"ClientId": CLIENT, "Username": "ana", "Colour": 1})
    check_request("DropTable", {"a": 1})


def test_value_of_a_shape_is_checked_like_a_member() -> None:
    """NEW_PASSWORD is in a map that the model does not constrain."""
    check_value("PasswordType", "password", "Correct horse 9")
    with pytest.raises(CognitoError, match=r"Value at 'password' failed"):
        check_value("PasswordType", "password", "Correct-horse-9 ")


# ── over the wire ──


def test_boto3_gets_the_constraint(boto: Any) -> None:
    with pytest.raises(ClientError) as error:
        boto.sign_up(ClientId=CLIENT, Username="zoe", Password=" Correct-horse-9")
    assert error.value.response["Error"] == {
        "Code": "InvalidParameterException",
        "Message": "1 validation error detected: Value at 'password' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: ^[\S]+.*[\S]+$",
    }


def test_raw_request_of_another_type_is_a_serialization_exception(call: Call) -> None:
    response = call("ForgotPassword", ClientId=CLIENT, Username=5)
    assert response.status_code == 400
    assert response.json() == {
        "__type": "SerializationException",
        "message": "NUMBER_VALUE can not be converted to a String",
    }


def test_deviations_of_a_response_are_found() -> None:
    """What each test of the sandbox is checked with."""
    assert deviations("DeleteUser", {"Deleted": True}) == [
        "DeleteUser: ['Deleted'] in an empty response"
    ]
    users = [{"Username": 5, "Enabled": "yes", "UserStatus": "HAPPY", "Colour": "red"}]
    assert deviations("ListUsers", {"Users": users, "PaginationToken": None}) == [
        "ListUsers.Users[].Username: int for string",
        "ListUsers.Users[].Enabled: str for boolean",
        "ListUsers.Users[].UserStatus: HAPPY",
        "ListUsers.Users[].Colour: unknown",
        "ListUsers.PaginationToken: null",
    ]
    assert deviations("GetUser", {"Username": "ana"}) == ["GetUser.UserAttributes: missing"]
