"""User pools and app clients that are created and changed over boto3.

Sources: [model] botocore's service model, which is the API reference; [moto] tests of moto that are
marked as verified against AWS; public issue threads by number.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import jwt
import pytest
from tests.sandbox.conftest import Call
from tests.sandbox.user_pools import PASSWORD, UserPool, rejection

from oncegate_sandbox import DEMO_SEED, Fault, PoolSeed, Sandbox, SandboxClock, Seed, UserSeed
from oncegate_sandbox._cognito import Cognito
from oncegate_sandbox._model import service_model
from oncegate_sandbox.errors import CognitoError
from oncegate_sandbox.seed import PasswordPolicySeed

ROLE = {"SnsCallerArn": "arn:aws:iam::123456789012:role/sms"}
INVALID = "InvalidParameterException"
NewPool = Callable[..., UserPool]


def described(pool: UserPool) -> Any:
    return pool.admin("describe_user_pool")["UserPool"]


def described_client(pool: UserPool) -> Any:
    return pool.admin("describe_user_pool_client", ClientId=pool.client_id)["UserPoolClient"]


# ── pools ──


def test_new_pool_has_the_defaults_of_cognito(boto: Any, shared: Sandbox) -> None:
    """[model] UserPoolType; moto#5965 quotes a real DescribeUserPool."""
    pool = boto.create_user_pool(PoolName="team")["UserPool"]
    assert boto.describe_user_pool(UserPoolId=pool["Id"])["UserPool"] == pool
    region, _, name = pool["Id"].partition("_")
    assert (region, len(name), name.isalnum()) == ("us-east-1", 9, True)
    assert pool["Arn"] == f"arn:aws:cognito-idp:us-east-1:123456789012:userpool/{pool['Id']}"
    assert pool["CreationDate"].tzinfo is not None
    assert pool["CreationDate"] == pool["LastModifiedDate"]
    expected = {
        "Name": "team",
        "DeletionProtection": "INACTIVE",
        "LambdaConfig": {},
        "MfaConfiguration": "OFF",
        "EstimatedNumberOfUsers": 0,
        "EmailConfiguration": {"EmailSendingAccount": "COGNITO_DEFAULT"},
        "VerificationMessageTemplate": {"DefaultEmailOption": "CONFIRM_WITH_CODE"},
        "AdminCreateUserConfig": {
            "AllowAdminCreateUserOnly": False,
            "UnusedAccountValidityDays": 7,
        },
        "UserPoolTier": "ESSENTIALS",
    }
    assert {key: pool[key] for key in expected} == expected
    assert pool["Policies"] == {
        "PasswordPolicy": {
            "MinimumLength": 8,
            "RequireUppercase": True,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": True,
            "TemporaryPasswordValidityDays": 7,
        },
        "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD"]},
    }
    schema = {one["Name"]: one for one in pool["SchemaAttributes"]}
    assert len(schema) == 21
    assert schema["sub"] == {
        "Name": "sub",
        "AttributeDataType": "String",
        "DeveloperOnlyAttribute": False,
        "Mutable": False,
        "Required": True,
        "StringAttributeConstraints": {"MinLength": "1", "MaxLength": "2048"},
    }
    assert schema["updated_at"]["NumberAttributeConstraints"] == {"MinValue": "0"}


def test_schema_has_the_declared_attributes(boto: Any, shared: Sandbox) -> None:
    """[model] SchemaAttributeType"""
    pool = boto.create_user_pool(
        PoolName="team",
        Schema=[
            {"Name": "email", "Required": True, "Mutable": False},
            {
                "Name": "team",
                "AttributeDataType": "String",
                "Mutable": True,
                "StringAttributeConstraints": {"MinLength": "1", "MaxLength": "9"},
            },
            {"Name": "level", "AttributeDataType": "Number", "DeveloperOnlyAttribute": True},
        ],
    )["UserPool"]
    schema = {one["Name"]: one for one in pool["SchemaAttributes"]}
    assert (schema["email"]["Required"], schema["email"]["Mutable"]) == (True, False)
    assert schema["custom:team"]["StringAttributeConstraints"] == {
        "MinLength": "1",
        "MaxLength": "9",
    }
    assert schema["dev:custom:level"]["NumberAttributeConstraints"] == {}


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            {"Name": "a", "AttributeDataType": "String", "Required": True},
            "Required custom attributes are not supported currently.",
        ),
        (
            {"Name": "a"},
            "Invalid AttributeDataType input, consider using the provided AttributeDataType enum.",
        ),
        (
            {"Name": "email", "AttributeDataType": "Number"},
            "You can not change AttributeDataType or set developerOnlyAttribute for standard schema "
            "attribute email",
        ),
        (
            {
                "Name": "a",
                "AttributeDataType": "String",
                "StringAttributeConstraints": {"MaxLength": "2049"},
            },
            "user.custom:a: String attributes cannot have a length of more than 2048",
        ),
        (
            {
                "Name": "a",
                "AttributeDataType": "Number",
                "NumberAttributeConstraints": {"MinValue": "2", "MaxValue": "1"},
            },
            "user.custom:a: Max value cannot be less than min value.",
        ),
        (
            {
                "Name": "a",
                "AttributeDataType": "Number",
                "NumberAttributeConstraints": {"MinValue": "x"},
            },
            "Invalid NumberAttributeConstraints for schema attribute custom:a",
        ),
    ],
)
def test_invalid_attribute_is_rejected(
    boto: Any, shared: Sandbox, declared: dict[str, Any], message: str
) -> None:
    """boto3#2317, moto#4493"""
    assert rejection(boto.create_user_pool, PoolName="a", Schema=[declared]) == (INVALID, message)
    assert len(boto.list_user_pools(MaxResults=60)["UserPools"]) == 1


def test_custom_attribute_is_added_once(new_pool: NewPool) -> None:
    """serverless-cognito-add-custom-attributes#3; aws-cloudformation-user-guide#932"""
    pool = new_pool()
    added = [
        {"Name": "team", "AttributeDataType": "String"},
        {"Name": "sub", "AttributeDataType": "String"},
    ]
    pool.admin("add_custom_attributes", CustomAttributes=added)
    names = [one["Name"] for one in described(pool)["SchemaAttributes"]]
    assert names[-2:] == ["custom:team", "custom:sub"]
    pool.add("ana", **{"custom:team": "red"})
    assert pool.get("ana")["custom:team"] == "red"
    assert rejection(pool.admin, "add_custom_attributes", CustomAttributes=added[:1]) == (
        INVALID,
        "custom:team: Existing attribute already has name custom:team.",
    )


def test_pools_are_listed_in_pages(boto: Any, shared: Sandbox) -> None:
    """[model] ListUserPools"""
    made = [boto.create_user_pool(PoolName=f"p{i}")["UserPool"]["Id"] for i in range(3)]
    first = boto.list_user_pools(MaxResults=2)
    second = boto.list_user_pools(MaxResults=2, NextToken=first["NextToken"])
    assert [one["Id"] for one in [*first["UserPools"], *second["UserPools"]]] == [
        shared.pool_id,
        *made,
    ]
    assert "NextToken" not in second
    assert set(second["UserPools"][0]) == {
        "Id",
        "Name",
        "LambdaConfig",
        "LastModifiedDate",
        "CreationDate",
    }
    assert rejection(boto.list_user_pools, MaxResults=2, NextToken="x")[0] == INVALID


def test_unknown_pool_is_named(boto: Any, shared: Sandbox) -> None:
    unknown = "us-east-1_Nowhere12"
    for call in (boto.describe_user_pool, boto.update_user_pool, boto.get_user_pool_mfa_config):
        assert rejection(call, UserPoolId=unknown) == (
            "ResourceNotFoundException",
            f"User pool {unknown} does not exist.",
        )


def test_protected_pool_and_pool_with_a_domain_cannot_be_deleted(new_pool: NewPool) -> None:
    """localstack#11947; API reference, DeleteUserPool"""
    pool = new_pool(DeletionProtection="ACTIVE")
    assert rejection(pool.admin, "delete_user_pool") == (
        INVALID,
        "The user pool cannot be deleted because deletion protection is activated. Deletion protection "
        "must be inactivated first.",
    )
    pool.admin("update_user_pool", DeletionProtection="INACTIVE")
    pool.admin("create_user_pool_domain", Domain="team")
    assert described(pool)["Domain"] == "team"
    assert rejection(pool.admin, "delete_user_pool") == (
        INVALID,
        "User pool cannot be deleted. It has a domain configured that should be deleted first.",
    )
    pool.admin("delete_user_pool_domain", Domain="team")
    pool.admin("delete_user_pool")
    assert rejection(pool.start)[0] == "ResourceNotFoundException"


def test_update_resets_what_is_not_given(new_pool: NewPool) -> None:
    """[model] UpdateUserPool; aws-nuke#477 for UserAttributeUpdateSettings, which stays."""
    pool = new_pool(
        Policies={"PasswordPolicy": {"MinimumLength": 12}},
        AutoVerifiedAttributes=["email"],
        UserAttributeUpdateSettings={"AttributesRequireVerificationBeforeUpdate": ["email"]},
        UserPoolTags={"team": "red"},
        UsernameConfiguration={"CaseSensitive": False},
        Schema=[{"Name": "team", "AttributeDataType": "String"}],
        LambdaConfig={"PreSignUp": "arn:aws:lambda:us-east-1:123456789012:function:f"},
    )
    assert rejection(pool.admin, "update_user_pool", DeletionProtection="INACTIVE") == (
        INVALID,
        "All attributes in AttributesRequireVerificationBeforeUpdate must exist in "
        "AutoVerifiedAttributes",
    )
    pool.admin("update_user_pool", AutoVerifiedAttributes=["email"])
    after = described(pool)
    assert after["Policies"]["PasswordPolicy"]["MinimumLength"] == 8
    assert after["LambdaConfig"] == {}
    assert after["UserPoolTags"] == {"team": "red"}
    assert after["UsernameConfiguration"] == {"CaseSensitive": False}
    assert after["Name"] == "test"
    assert "custom:team" in [one["Name"] for one in after["SchemaAttributes"]]
    assert after["LastModifiedDate"] >= after["CreationDate"]


def test_verification_messages_are_mirrored_in_the_template(boto: Any, shared: Sandbox) -> None:
    """terraform-provider-aws, user_pool.go; moto#4493"""
    template = {"EmailMessage": "Code {####}", "SmsMessage": "{####}"}
    made = boto.create_user_pool(
        PoolName="a", VerificationMessageTemplate=template, EmailVerificationSubject="Yours"
    )["UserPool"]
    assert made["EmailVerificationMessage"] == "Code {####}"
    assert made["SmsVerificationMessage"] == "{####}"
    assert made["VerificationMessageTemplate"] == {
        **template,
        "EmailSubject": "Yours",
        "DefaultEmailOption": "CONFIRM_WITH_CODE",
    }


def test_aliases_and_username_attributes_exclude_each_other(boto: Any, shared: Sandbox) -> None:
    both = {"AliasAttributes": ["email"], "UsernameAttributes": ["email"]}
    code, message = rejection(boto.create_user_pool, PoolName="a", **both)
    assert (code, "aliasAttributes or usernameAttributes" in message) == (INVALID, True)


def test_tags_are_changed_by_the_arn(new_pool: NewPool) -> None:
    """Terraform's way: terraform-provider-aws, cognitoidp/tags_gen.go"""
    pool = new_pool(UserPoolTags={"a": "1", "b": "2"})
    arn = described(pool)["Arn"]
    pool.boto.tag_resource(ResourceArn=arn, Tags={"b": "3", "c": "4"})
    pool.boto.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert pool.boto.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"b": "3", "c": "4"}
    assert described(pool)["UserPoolTags"] == {"b": "3", "c": "4"}


def test_pools_do_not_share_users_clients_or_tokens(new_pool: NewPool, shared: Sandbox) -> None:
    one, other = new_pool(), new_pool()
    one.add("ana")
    one.add("bob")
    assert rejection(other.admin, "admin_get_user", Username="bob")[0] == "UserNotFoundException"
    tokens = one.tokens("bob")
    assert one.boto.get_user(AccessToken=tokens["AccessToken"])["Username"] == "bob"
    assert described(one)["EstimatedNumberOfUsers"] == 2
    assert rejection(
        one.boto.admin_initiate_auth,
        UserPoolId=other.id,
        ClientId=one.client_id,
        AuthFlow="USER_SRP_AUTH",
        AuthParameters={"USERNAME": "bob", "SRP_A": "2"},
    ) == ("ResourceNotFoundException", f"User pool client {one.client_id} does not exist.")
    claims = jwt.decode(tokens["AccessToken"], options={"verify_signature": False})
    assert claims["iss"] == f"{shared.endpoint}/{one.id}"


def test_reset_restores_the_seed(new_pool: NewPool, boto: Any) -> None:
    pool = new_pool()
    pool.sandbox.order(Fault(kind="throttle"))
    boto_before = pool.sandbox.pool_id
    pool.sandbox.reset()
    assert [one["Id"] for one in boto.list_user_pools(MaxResults=9)["UserPools"]] == [boto_before]


# ── app clients ──


def test_new_client_has_the_defaults_of_cognito(boto: Any, shared: Sandbox) -> None:
    """[model] UserPoolClientType"""
    pool = boto.create_user_pool(PoolName="team")["UserPool"]["Id"]
    client = boto.create_user_pool_client(UserPoolId=pool, ClientName="web")["UserPoolClient"]
    asked = {"UserPoolId": pool, "ClientId": client["ClientId"]}
    assert boto.describe_user_pool_client(**asked)["UserPoolClient"] == client
    assert len(client["ClientId"]) == 26
    expected = {
        "UserPoolId": pool,
        "ClientName": "web",
        "RefreshTokenValidity": 30,
        "TokenValidityUnits": {},
        "AllowedOAuthFlowsUserPoolClient": False,
        "EnableTokenRevocation": True,
        "EnablePropagateAdditionalUserContextData": False,
        "AuthSessionValidity": 3,
    }
    assert {key: client[key] for key in expected} == expected
    assert not {"ClientSecret", "ExplicitAuthFlows", "ReadAttributes"} & set(client)
    assert rejection(boto.describe_user_pool_client, UserPoolId=pool, ClientId="x") == (
        "ResourceNotFoundException",
        "User pool client x does not exist.",
    )


def test_clients_are_listed_updated_and_deleted(new_pool: NewPool) -> None:
    """[model] UpdateUserPoolClient sets what is not given to its default."""
    pool = new_pool(app_client={"AccessTokenValidity": 10, "AuthSessionValidity": 5})
    pool.admin("create_user_pool_client", ClientName="second")
    first = pool.admin("list_user_pool_clients", MaxResults=1)
    (one,) = first["UserPoolClients"]
    assert one == {"ClientId": pool.client_id, "UserPoolId": pool.id, "ClientName": "app"}
    rest = pool.admin("list_user_pool_clients", MaxResults=9, NextToken=first["NextToken"])
    assert [client["ClientName"] for client in rest["UserPoolClients"]] == ["second"]
    updated = pool.admin("update_user_pool_client", ClientId=pool.client_id, ClientName="new")
    assert updated["UserPoolClient"]["ClientName"] == "new"
    assert updated["UserPoolClient"]["AuthSessionValidity"] == 3
    assert not {"AccessTokenValidity", "ExplicitAuthFlows"} & set(updated["UserPoolClient"])
    pool.admin("delete_user_pool_client", ClientId=pool.client_id)
    assert rejection(pool.start) == (
        "ResourceNotFoundException",
        f"User pool client {pool.client_id} does not exist.",
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"AccessTokenValidity": 25},
        {"IdTokenValidity": 4, "TokenValidityUnits": {"IdToken": "minutes"}},
        {"RefreshTokenValidity": 59, "TokenValidityUnits": {"RefreshToken": "minutes"}},
        {"RefreshTokenValidity": 3651},
        {
            "AccessTokenValidity": 2,
            "RefreshTokenValidity": 1,
            "TokenValidityUnits": {"RefreshToken": "hours"},
        },
    ],
)
def test_token_validity_out_of_range_is_rejected(
    new_pool: NewPool, settings: dict[str, Any]
) -> None:
    """terraform-provider-aws#32504, aws-cloudformation-user-guide#828; [model] for the ranges"""
    pool = new_pool()
    assert rejection(pool.admin, "create_user_pool_client", ClientName="a", **settings) == (
        INVALID,
        "Invalid range for token validity.",
    )


def test_validity_of_tokens_and_sessions_has_effect(new_pool: NewPool) -> None:
    """[model] TokenValidityUnitsType, AuthSessionValidity"""
    pool = new_pool(
        MfaConfiguration="ON",
        SmsConfiguration=ROLE,
        app_client={
            "AccessTokenValidity": 10,
            "IdTokenValidity": 20,
            "RefreshTokenValidity": 2,
            "TokenValidityUnits": {
                "AccessToken": "minutes",
                "IdToken": "minutes",
                "RefreshToken": "hours",
            },
            "AuthSessionValidity": 5,
            "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        },
    )
    pool.add("ana", phone_number="+15550001234", phone_number_verified="true")
    session = pool.start()["Session"]

    def answer(session: str) -> Any:
        return pool.app(
            "respond_to_auth_challenge",
            ChallengeName="SMS_MFA",
            Session=session,
            ChallengeResponses={"USERNAME": "ana", "SMS_MFA_CODE": pool.code()},
        )

    pool.sandbox.advance(290)
    tokens = answer(session)["AuthenticationResult"]
    lifetimes = [
        claims["exp"] - claims["iat"]
        for claims in (
            jwt.decode(tokens[name], options={"verify_signature": False})
            for name in ("AccessToken", "IdToken")
        )
    ]
    assert (tokens["ExpiresIn"], lifetimes) == (600, [600, 1200])
    session = pool.start()["Session"]
    pool.sandbox.advance(301)
    assert rejection(answer, session)[1] == "Invalid session for the user, session is expired."

    def refresh() -> Any:
        return pool.app(
            "initiate_auth",
            AuthFlow="REFRESH_TOKEN_AUTH",
            AuthParameters={"REFRESH_TOKEN": tokens["RefreshToken"]},
        )

    pool.sandbox.advance(6000)
    assert refresh()["AuthenticationResult"]["AccessToken"]
    pool.sandbox.advance(1000)
    assert rejection(refresh) == ("NotAuthorizedException", "Refresh Token has expired")


def test_rotation_and_revocation_have_effect(new_pool: NewPool) -> None:
    """[model] RefreshTokenRotationType, EnableTokenRevocation"""
    pool = new_pool(
        app_client={
            "RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 9},
            "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"],
        }
    )
    pool.add("ana")
    tokens = pool.tokens()
    claims = jwt.decode(tokens["AccessToken"], options={"verify_signature": False})
    assert claims["origin_jti"]

    def renew() -> Any:
        given = {"RefreshToken": tokens["RefreshToken"]}
        return pool.app("get_tokens_from_refresh_token", **given)["AuthenticationResult"]

    assert renew()["RefreshToken"] != tokens["RefreshToken"]
    pool.sandbox.advance(10)
    assert rejection(renew)[0] == "RefreshTokenReuseException"
    pool.admin(
        "update_user_pool_client",
        ClientId=pool.client_id,
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"],
        EnableTokenRevocation=False,
    )
    tokens = pool.tokens()
    claims = jwt.decode(tokens["AccessToken"], options={"verify_signature": False})
    assert "origin_jti" not in claims
    assert "RefreshToken" not in renew()
    assert rejection(pool.app, "revoke_token", Token=tokens["RefreshToken"])[0] == (
        "UnsupportedOperationException"
    )


@pytest.mark.parametrize(
    ("flows", "flow", "message"),
    [
        (
            ["ALLOW_USER_SRP_AUTH"],
            "USER_PASSWORD_AUTH",
            "USER_PASSWORD_AUTH flow not enabled for this client",
        ),
        ([], "USER_PASSWORD_AUTH", "USER_PASSWORD_AUTH flow not enabled for this client"),
        (
            ["ALLOW_USER_PASSWORD_AUTH"],
            "USER_SRP_AUTH",
            "USER_SRP_AUTH is not enabled for the client.",
        ),
        (["ALLOW_USER_PASSWORD_AUTH"], "USER_PASSWORD_AUTH", None),
        (["USER_PASSWORD_AUTH"], "USER_PASSWORD_AUTH", None),
        (["USER_PASSWORD_AUTH"], "USER_SRP_AUTH", None),
        ([], "USER_SRP_AUTH", None),
        (["ALLOW_USER_SRP_AUTH"], "ADMIN_USER_PASSWORD_AUTH", "Initiate Auth method not supported"),
    ],
)
def test_explicit_auth_flows_have_effect(
    new_pool: NewPool, flows: list[str], flow: str, message: str | None
) -> None:
    """Many reports for the words; [moto] for SRP beside an older value; moto#4836"""
    pool = new_pool(app_client={"ExplicitAuthFlows": flows})
    pool.add("ana")

    def start() -> Any:
        given = {"USERNAME": "ana", "PASSWORD": PASSWORD, "SRP_A": "2"}
        return pool.app("initiate_auth", AuthFlow=flow, AuthParameters=given)

    if message is None:
        assert start()
    else:
        assert rejection(start) == (INVALID, message)


def test_older_and_newer_flows_cannot_be_mixed(new_pool: NewPool) -> None:
    """[model] ExplicitAuthFlows; the words are inferred."""
    mixed = ["ADMIN_NO_SRP_AUTH", "ALLOW_USER_SRP_AUTH"]
    pool = new_pool()
    code, _ = rejection(
        pool.admin, "create_user_pool_client", ClientName="a", ExplicitAuthFlows=mixed
    )
    assert code == INVALID


@pytest.mark.parametrize(("setting", "code"), [("LEGACY", "UserNotFound"), ("ENABLED", "NotAuth")])
def test_user_existence_errors_have_effect(new_pool: NewPool, setting: str, code: str) -> None:
    """[model] PreventUserExistenceErrors, LEGACY by default"""
    pool = new_pool(
        app_client={
            "PreventUserExistenceErrors": setting,
            "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"],
        }
    )
    assert rejection(pool.start, "nobody")[0].startswith(code)
    assert described_client(pool)["PreventUserExistenceErrors"] == setting
    pool.admin(
        "update_user_pool_client",
        ClientId=pool.client_id,
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"],
    )
    assert rejection(pool.start, "nobody")[0] == "UserNotFoundException"


def test_client_cannot_name_attributes_that_the_pool_lacks(new_pool: NewPool) -> None:
    """aws-cdk#20760, aws-sdk-java#1395; aws-cdk#2608 and terraform-provider-aws#4476 for required ones"""
    pool = new_pool(Schema=[{"Name": "email", "Required": True}])
    for settings, words in (
        (
            {"WriteAttributes": ["custom:nothing", "email"]},
            "write attributes specified while creating",
        ),
        ({"WriteAttributes": ["given_name"]}, "write attributes specified while creating"),
        (
            {"WriteAttributes": ["email", "email_verified"]},
            "write attributes specified while creating",
        ),
        ({"ReadAttributes": ["custom:nothing"]}, "read attributes specified while creating"),
    ):
        assert rejection(pool.admin, "create_user_pool_client", ClientName="a", **settings) == (
            INVALID,
            f"Invalid {words} a client",
        )
    assert rejection(
        pool.admin,
        "update_user_pool_client",
        ClientId=pool.client_id,
        WriteAttributes=["custom:nothing", "email"],
    ) == (INVALID, "Invalid write attributes specified while updating a client")


# ── secrets ──


def secret_hash(secret: str, client_id: str, name: str = "ana") -> str:
    digest = hmac.new(secret.encode(), (name + client_id).encode(), sha256).digest()
    return base64.b64encode(digest).decode()


def test_two_live_secrets_are_accepted_until_one_is_deleted(new_pool: NewPool) -> None:
    """[model] AddUserPoolClientSecret, ClientSecretDescriptorType"""
    pool = new_pool(app_client={"GenerateSecret": True})
    pool.add("ana")
    old = described_client(pool)["ClientSecret"]
    assert len(old) == 51
    added = pool.admin("add_user_pool_client_secret", ClientId=pool.client_id)
    new = added["ClientSecretDescriptor"]["ClientSecretValue"]

    def start(hashed: str | None) -> Any:
        given = {"USERNAME": "ana", "PASSWORD": PASSWORD}
        if hashed:
            given["SECRET_HASH"] = hashed
        return pool.app("initiate_auth", AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)

    for secret in (old, new):
        assert start(secret_hash(secret, pool.client_id))["AuthenticationResult"]
    listed = pool.admin("list_user_pool_client_secrets", ClientId=pool.client_id)["ClientSecrets"]
    assert [one["ClientSecretId"].partition("--")[0] for one in listed] == [pool.client_id] * 2
    assert not any("ClientSecretValue" in one for one in listed)
    first, second = (one["ClientSecretId"] for one in listed)
    assert rejection(pool.admin, "add_user_pool_client_secret", ClientId=pool.client_id)[0] == (
        "LimitExceededException"
    )
    delete = {"ClientId": pool.client_id, "ClientSecretId": first}
    pool.admin("delete_user_pool_client_secret", **delete)
    assert rejection(pool.admin, "delete_user_pool_client_secret", **delete)[0] == (
        "ResourceNotFoundException"
    )
    last = {"ClientId": pool.client_id, "ClientSecretId": second}
    assert rejection(pool.admin, "delete_user_pool_client_secret", **last)[0] == INVALID
    assert rejection(start, secret_hash(old, pool.client_id)) == (
        "NotAuthorizedException",
        f"Unable to verify secret hash for client {pool.client_id}",
    )
    assert start(secret_hash(new, pool.client_id))["AuthenticationResult"]
    assert described_client(pool)["ClientSecret"] == new
    # amplify-android#2504
    assert rejection(start, None) == (
        "NotAuthorizedException",
        f"Client {pool.client_id} is configured with secret but SECRET_HASH was not received",
    )


def test_secret_that_the_caller_chooses_is_not_returned(new_pool: NewPool) -> None:
    """[model] ClientSecretDescriptorType"""
    own = "my0own0secret0of0thirty0characters"
    pool = new_pool(app_client={"ClientSecret": own})
    assert described_client(pool)["ClientSecret"] == own
    added = pool.admin(
        "add_user_pool_client_secret", ClientId=pool.client_id, ClientSecret=own[::-1]
    )
    assert "ClientSecretValue" not in added["ClientSecretDescriptor"]
    both = {"ClientName": "a", "GenerateSecret": True, "ClientSecret": own}
    assert rejection(pool.admin, "create_user_pool_client", **both)[0] == INVALID


def test_public_client_rejects_a_secret_hash(new_pool: NewPool) -> None:
    """pmill/aws-cognito#23"""
    pool = new_pool()
    assert rejection(
        pool.app, "forgot_password", Username="ana", SecretHash=secret_hash("x", "y")
    ) == (
        INVALID,
        f"App client {pool.client_id} is not configured for secret but secret hash was received",
    )
    assert rejection(pool.admin, "add_user_pool_client_secret", ClientId=pool.client_id)[0] == (
        INVALID
    )


# ── MFA ──


def test_mfa_of_a_new_pool_needs_sms(boto: Any, shared: Sandbox) -> None:
    """[model] CreateUserPool; public reports for the words"""
    assert rejection(boto.create_user_pool, PoolName="a", MfaConfiguration="ON") == (
        INVALID,
        "SMS configuration and Auto verification for phone_number are required when MFA is "
        "required/optional",
    )


def test_mfa_config_is_set_and_read(new_pool: NewPool) -> None:
    """[model] SetUserPoolMfaConfig; cdkd#1923 for what OFF rejects; aws-sdk-js#4186"""
    pool = new_pool()
    assert pool.admin("get_user_pool_mfa_config")["MfaConfiguration"] == "OFF"
    token = {"SoftwareTokenMfaConfiguration": {"Enabled": True}}
    email = {"EmailMfaConfiguration": {"Message": "Your code: {####}", "Subject": "Code"}}
    for factor in (token, email):
        assert rejection(
            pool.admin, "set_user_pool_mfa_config", MfaConfiguration="OFF", **factor
        ) == (
            INVALID,
            "Invalid MFA configuration given, can't turn off MFA and configure an MFA together.",
        )
    for factors in ({}, {"SoftwareTokenMfaConfiguration": {"Enabled": False}}):
        assert rejection(
            pool.admin, "set_user_pool_mfa_config", MfaConfiguration="OPTIONAL", **factors
        ) == (
            INVALID,
            "Invalid MFA configuration given, can't disable all MFAs with a required or optional "
            "configuration.",
        )
    sms = {"SmsMfaConfiguration": {"SmsConfiguration": ROLE}}
    set_ = pool.admin(
        "set_user_pool_mfa_config", MfaConfiguration="OPTIONAL", **token, **email, **sms
    )
    del set_["ResponseMetadata"]
    assert set_ == {"MfaConfiguration": "OPTIONAL", **token, **email, **sms}
    assert described(pool)["MfaConfiguration"] == "OPTIONAL"
    assert described(pool)["SmsConfiguration"] == ROLE
    passkeys = {"RelyingPartyId": "example.com", "UserVerification": "required"}
    pool.admin("set_user_pool_mfa_config", WebAuthnConfiguration=passkeys)
    read = pool.admin("get_user_pool_mfa_config")
    assert read["WebAuthnConfiguration"] == {**passkeys, "FactorConfiguration": "SINGLE_FACTOR"}
    assert (read["MfaConfiguration"], read["SmsMfaConfiguration"]) == (
        "OPTIONAL",
        sms["SmsMfaConfiguration"],
    )
    off = pool.admin("set_user_pool_mfa_config", MfaConfiguration="OFF")
    assert not {"SoftwareTokenMfaConfiguration", "EmailMfaConfiguration"} & set(off)


def test_mfa_has_effect(new_pool: NewPool) -> None:
    """[moto] test_user_authentication_flow_mfa_on"""
    pool = new_pool()
    pool.add("ana")
    assert pool.tokens()["AccessToken"]
    pool.admin(
        "set_user_pool_mfa_config",
        MfaConfiguration="ON",
        SoftwareTokenMfaConfiguration={"Enabled": True},
    )
    challenge = pool.start()
    assert challenge["ChallengeName"] == "MFA_SETUP"
    assert challenge["ChallengeParameters"]["MFAS_CAN_SETUP"] == '["SOFTWARE_TOKEN_MFA"]'
    pool.admin("set_user_pool_mfa_config", MfaConfiguration="OFF")
    assert pool.tokens()["AccessToken"]


def test_required_mfa_uses_the_phone_number_if_the_pool_has_sms(new_pool: NewPool) -> None:
    """AWS developer guide, MFA: users with a phone number get texts without choosing a factor."""
    pool = new_pool(MfaConfiguration="ON", SmsConfiguration=ROLE)
    pool.add("ana", phone_number="+15550001234", phone_number_verified="true")
    pool.add("bob")
    assert pool.start("ana")["ChallengeName"] == "SMS_MFA"
    # amplify-flutter#95
    assert rejection(pool.start, "bob")[0] == "MFAMethodNotFoundException"
    token = {"SoftwareTokenMfaConfiguration": {"Enabled": True}}
    pool.admin("update_user_pool")
    pool.admin("set_user_pool_mfa_config", MfaConfiguration="ON", **token)
    assert pool.start("ana")["ChallengeName"] == "MFA_SETUP"


def test_preferred_factor_that_the_pool_lost_is_not_used(new_pool: NewPool) -> None:
    """[model] SetUserPoolMfaConfig: factors that are not given are turned off."""
    pool = new_pool(SmsConfiguration=ROLE)
    token = {"SoftwareTokenMfaConfiguration": {"Enabled": True}}
    email: dict[str, Any] = {"EmailMfaConfiguration": {}}
    both = {"email": "ana@example.com", "phone_number": "+15550001234"}
    pool.add("ana", **both, email_verified="true", phone_number_verified="true")
    pool.admin("set_user_pool_mfa_config", MfaConfiguration="OPTIONAL", **token, **email)
    pool.admin(
        "admin_set_user_mfa_preference",
        Username="ana",
        EmailMfaSettings={"Enabled": True, "PreferredMfa": True},
        SMSMfaSettings={"Enabled": True},
    )
    assert pool.start()["ChallengeName"] == "EMAIL_OTP"
    pool.admin("set_user_pool_mfa_config", MfaConfiguration="OPTIONAL", **token)
    assert pool.start()["ChallengeName"] == "SMS_MFA"


def test_first_factors_are_those_of_the_sign_in_policy(new_pool: NewPool) -> None:
    """[model] SignInPolicyType"""
    pool = new_pool(
        Policies={"SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}}
    )
    pool.add("ana", email="ana@example.com", email_verified="true", phone_number="+15550001234")

    def available() -> Any:
        given = {"USERNAME": "ana"}
        return pool.app("initiate_auth", AuthFlow="USER_AUTH", AuthParameters=given)

    assert set(available()["AvailableChallenges"]) == {"PASSWORD", "PASSWORD_SRP", "EMAIL_OTP"}
    pool.admin("update_user_pool")
    assert set(available()["AvailableChallenges"]) == {"PASSWORD", "PASSWORD_SRP"}


# ── devices, passwords, usernames, sign-up ──


@pytest.mark.parametrize(
    ("configuration", "necessary"),
    [
        ({"ChallengeRequiredOnNewDevice": False, "DeviceOnlyRememberedOnUserPrompt": True}, True),
        ({"DeviceOnlyRememberedOnUserPrompt": False}, False),
    ],
)
def test_device_configuration_has_effect(
    new_pool: NewPool, configuration: dict[str, bool], necessary: bool
) -> None:
    """[model] DeviceConfigurationType: any member activates the tracking of devices."""
    pool = new_pool(DeviceConfiguration=configuration)
    pool.add("ana")
    tokens = pool.tokens()
    secret = base64.b64encode(b"1" * 16).decode()
    confirmed = pool.boto.confirm_device(
        AccessToken=tokens["AccessToken"],
        DeviceKey=tokens["NewDeviceMetadata"]["DeviceKey"],
        DeviceSecretVerifierConfig={"PasswordVerifier": secret, "Salt": secret},
    )
    assert confirmed["UserConfirmationNecessary"] is necessary
    pool.admin("update_user_pool")
    assert "NewDeviceMetadata" not in pool.tokens()


def test_password_policy_has_effect(new_pool: NewPool) -> None:
    """[model] PasswordPolicyType"""
    pool = new_pool(Policies={"PasswordPolicy": {"MinimumLength": 12, "RequireNumbers": True}})
    short = rejection(pool.app, "sign_up", Username="ana", Password="shortlower1")
    assert (short[0], short[1].endswith("Password not long enough")) == (
        "InvalidPasswordException",
        True,
    )
    without = rejection(pool.app, "sign_up", Username="ana", Password="longlowercase")
    assert without[1].endswith("Password must have numeric characters")
    pool.app("sign_up", Username="ana", Password="longlowercase1")


def test_username_attributes_and_case_have_effect(new_pool: NewPool) -> None:
    """[moto] test_initiate_auth_USER_PASSWORD_AUTH_with_email; [model] UsernameConfigurationType"""
    pool = new_pool(UsernameAttributes=["email"], UsernameConfiguration={"CaseSensitive": False})
    name = pool.add("Ana@example.com")
    assert name == pool.get("ana@EXAMPLE.com")["sub"]
    sensitive = new_pool()
    sensitive.add("ana")
    assert rejection(sensitive.admin, "admin_get_user", Username="ANA")[0] == (
        "UserNotFoundException"
    )


def test_sign_up_can_be_left_to_administrators(new_pool: NewPool) -> None:
    """[model] AllowAdminCreateUserOnly"""
    pool = new_pool(AdminCreateUserConfig={"AllowAdminCreateUserOnly": True})
    sign_up = {"Username": "ana", "Password": PASSWORD}
    assert rejection(pool.app, "sign_up", **sign_up)[0] == "NotAuthorizedException"
    pool.admin("update_user_pool")
    assert pool.app("sign_up", **sign_up)["UserSub"]


# ── the seed's pool ──


def test_seed_is_described_as_it_is_meant() -> None:
    """Each key of the seed is a setting that DescribeUserPool and the MFA configuration show."""
    seed = Seed(
        pool=PoolSeed(
            mfa="on",
            device_tracking="opt_in",
            case_sensitive=False,
            username_attributes=("email",),
            custom_attributes=("team", "custom:level"),
            password_policy=PasswordPolicySeed(minimum_length=12, require_symbols=False),
            sign_up=False,
            passkeys_satisfy_mfa=True,
            relying_party="example.com",
            first_factors=("WEB_AUTHN",),
            required_attributes=("name", "email"),
            auth_flows=("ALLOW_USER_SRP_AUTH",),
        ),
        users=(UserSeed(username="ana", password="x", attributes={"custom:city": "Rome"}),),
    )
    cognito = Cognito(seed, lambda pool_id: f"http://issuer/{pool_id}", SandboxClock())
    named = {"UserPoolId": seed.pool.id}
    pool = cognito.perform("DescribeUserPool", named)["UserPool"]
    assert pool["MfaConfiguration"] == "ON"
    assert pool["DeviceConfiguration"]["DeviceOnlyRememberedOnUserPrompt"] is True
    assert pool["UsernameConfiguration"] == {"CaseSensitive": False}
    assert (pool["UsernameAttributes"], "AliasAttributes" in pool) == (["email"], False)
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 12
    assert pool["Policies"]["PasswordPolicy"]["RequireSymbols"] is False
    assert pool["Policies"]["SignInPolicy"]["AllowedFirstAuthFactors"] == ["PASSWORD", "WEB_AUTHN"]
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    names = {one["Name"]: one for one in pool["SchemaAttributes"]}
    assert {"custom:team", "custom:level", "custom:city"} <= set(names)
    assert (names["email"]["Required"], names["name"]["Required"]) == (True, True)
    mfa = cognito.perform("GetUserPoolMfaConfig", named)
    assert mfa["WebAuthnConfiguration"] == {
        "RelyingPartyId": "example.com",
        "UserVerification": "preferred",
        "FactorConfiguration": "MULTI_FACTOR_WITH_USER_VERIFICATION",
    }
    client = {**named, "ClientId": seed.pool.client_id}
    app = cognito.perform("DescribeUserPoolClient", client)["UserPoolClient"]
    assert app["ExplicitAuthFlows"] == ["ALLOW_USER_SRP_AUTH"]
    assert app["SupportedIdentityProviders"] == ["COGNITO", "Google"]
    assert (app["AllowedOAuthFlows"], app["AllowedOAuthFlowsUserPoolClient"]) == (["code"], True)
    assert app["AllowedOAuthScopes"] == [
        "openid",
        "email",
        "phone",
        "profile",
        "aws.cognito.signin.user.admin",
    ]
    recovery = pool["AccountRecoverySetting"]["RecoveryMechanisms"]
    assert [one["Name"] for one in recovery] == ["verified_email", "verified_phone_number"]


def test_seed_can_require_custom_attributes() -> None:
    """Cognito cannot; seeds of earlier releases could."""
    seed = Seed(pool=PoolSeed(required_attributes=("custom:team", "email"), auth_session_minutes=5))
    cognito = Cognito(seed, lambda pool_id: f"http://issuer/{pool_id}", SandboxClock())
    assert cognito.default.settings.required_attributes == ("custom:team", "email")
    client = {"UserPoolId": seed.pool.id, "ClientId": seed.pool.client_id}
    found = cognito.perform("DescribeUserPoolClient", client)["UserPoolClient"]
    assert found["AuthSessionValidity"] == 5


def test_demo_pool_can_be_read_by_terraform(boto: Any, shared: Sandbox) -> None:
    """terraform-provider-aws, user_pool.go: what its resource reads, and then sends back."""
    pool = boto.describe_user_pool(UserPoolId=shared.pool_id)["UserPool"]
    assert pool["Policies"]["PasswordPolicy"]
    assert (
        boto.get_user_pool_mfa_config(UserPoolId=shared.pool_id)["MfaConfiguration"] == "OPTIONAL"
    )
    request = service_model().operation_model("UpdateUserPool").input_shape
    assert request is not None
    again = {name: value for name, value in pool.items() if name in request.members}
    boto.update_user_pool(UserPoolId=shared.pool_id, **again)
    after = boto.describe_user_pool(UserPoolId=shared.pool_id)["UserPool"]
    assert {**after, "LastModifiedDate": 0} == {**pool, "LastModifiedDate": 0}
    assert boto.list_user_pools(MaxResults=1)["UserPools"][0]["Name"] == "sandbox"
    assert DEMO_SEED.pool.id == shared.pool_id


def test_lambda_config_turns_the_hooks_of_the_seed_on() -> None:
    """API reference, UpdateUserPool: without LambdaConfig, the triggers are gone."""
    called: list[str] = []

    def pre_sign_up(event: dict[str, Any]) -> dict[str, Any]:
        called.append(event["userPoolId"])
        return event

    seed = Seed(pool=PoolSeed(triggers={"PreSignUp": pre_sign_up}))
    cognito = Cognito(seed, lambda pool_id: f"http://issuer/{pool_id}", SandboxClock())
    function = "arn:aws:lambda:us-east-1:123456789012:function:mine"
    for configuration in ({}, {"PreSignUp": function}):
        sent = {"PoolName": "a", "LambdaConfig": configuration}
        pool = cognito.perform("CreateUserPool", sent)["UserPool"]["Id"]
        named = {"UserPoolId": pool, "ClientName": "web"}
        client = cognito.perform("CreateUserPoolClient", named)["UserPoolClient"]["ClientId"]
        sign_up = {"ClientId": client, "Username": "ana", "Password": PASSWORD}
        cognito.perform("SignUp", sign_up)
        assert called == ([pool] if configuration else [])
    own = {"UserPoolId": seed.pool.id}
    assert list(cognito.perform("DescribeUserPool", own)["UserPool"]["LambdaConfig"]) == [
        "PreSignUp"
    ]
    cognito.perform("UpdateUserPool", own)
    sign_up = {"ClientId": seed.pool.client_id, "Username": "zoe", "Password": PASSWORD}
    cognito.perform("SignUp", sign_up)
    assert called == [pool]


def test_lambda_config_decides_whether_custom_authentication_is_configured() -> None:
    """API reference, UpdateUserPool: without LambdaConfig, the triggers are gone."""

    def define(event: dict[str, Any]) -> dict[str, Any]:
        event["response"]["challengeName"] = "CUSTOM_CHALLENGE"
        return event

    def same(event: dict[str, Any]) -> dict[str, Any]:
        return event

    names = ("DefineAuthChallenge", "CreateAuthChallenge", "VerifyAuthChallengeResponse")
    seed = Seed(pool=PoolSeed(triggers=dict(zip(names, (define, same, same), strict=True))))
    cognito = Cognito(seed, lambda pool_id: f"http://issuer/{pool_id}", SandboxClock())
    pool = cognito.perform("CreateUserPool", {"PoolName": "a"})["UserPool"]["Id"]
    named = {"UserPoolId": pool, "ClientName": "web", "ExplicitAuthFlows": ["ALLOW_CUSTOM_AUTH"]}
    client = cognito.perform("CreateUserPoolClient", named)["UserPoolClient"]["ClientId"]
    begin = {
        "ClientId": client,
        "AuthFlow": "CUSTOM_AUTH",
        "AuthParameters": {"USERNAME": "nobody"},
    }
    function = "arn:aws:lambda:us-east-1:123456789012:function:mine"
    for configuration in ({}, dict.fromkeys(names, function), {}):
        cognito.perform("UpdateUserPool", {"UserPoolId": pool, "LambdaConfig": configuration})
        if configuration:
            issued = cognito.perform("InitiateAuth", begin)
            assert issued["ChallengeName"] == "CUSTOM_CHALLENGE"
            continue
        with pytest.raises(CognitoError, match="Custom auth lambda trigger is not configured"):
            cognito.perform("InitiateAuth", begin)


# ── routing ──


def test_session_alone_finds_its_pool(new_pool: NewPool) -> None:
    """AssociateSoftwareToken during MFA_SETUP names neither a pool nor a client."""
    pool = new_pool()
    pool.add("ana")
    pool.admin(
        "set_user_pool_mfa_config",
        MfaConfiguration="ON",
        SoftwareTokenMfaConfiguration={"Enabled": True},
    )
    assert pool.boto.associate_software_token(Session=pool.start()["Session"])["SecretCode"]


def test_dates_are_epoch_numbers_on_the_wire(call: Call) -> None:
    """AWS JSON protocol"""
    pool = call("CreateUserPool", PoolName="a").json()["UserPool"]
    assert isinstance(pool["CreationDate"], float)
    assert call("DescribeUserPool", UserPoolId="nothing").json() == {
        "__type": INVALID,
        "message": "1 validation error detected: Value 'nothing' at 'userPoolId' failed to satisfy "
        r"constraint: Member must satisfy regular expression pattern: [\w-]+_[0-9a-zA-Z]+",
    }


@pytest.mark.parametrize("token", ["x", "a.b.c", "a.e30.c", "a.W10.c"])
def test_malformed_access_token_is_rejected(call: Call, token: str) -> None:
    response = call("GetUser", AccessToken=token)
    assert (response.status_code, response.json()["__type"]) == (400, "NotAuthorizedException")
