"""Operations that create and change user pools and app clients, for boto3, Terraform and the CDK.

Signatures are not checked. Requests have passed the constraints of the service model.
"""

from __future__ import annotations

import secrets
import string
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oncegate_sandbox._clients import AppClient, new_secret
from oncegate_sandbox._configuration import add_attribute, described, settings_of
from oncegate_sandbox._identity_providers import IdentityProviders
from oncegate_sandbox._pages import page_of
from oncegate_sandbox._rules import rule
from oncegate_sandbox._wire import Json
from oncegate_sandbox.errors import CognitoError, invalid_parameter

if TYPE_CHECKING:
    from oncegate_sandbox._cognito import Cognito
    from oncegate_sandbox.pool import Pool

Request = Mapping[str, Any]

ACCOUNT = "123456789012"
_ALPHANUMERIC = string.ascii_letters + string.digits
_FACTORS = ("SmsMfaConfiguration", "SoftwareTokenMfaConfiguration", "EmailMfaConfiguration")

# Members of CreateUserPool that UpdateUserPool lacks, and those that it keeps if they are not given.
_LASTING = (
    "Schema",
    "AliasAttributes",
    "UsernameAttributes",
    "UsernameConfiguration",
    "UserAttributeUpdateSettings",
    "UserPoolTags",
    "SoftwareTokenMfaConfiguration",
    "EmailMfaConfiguration",
    "WebAuthnConfiguration",
    "Name",
)
_NOT_OF_POOL = ("Schema", *_FACTORS[1:], "WebAuthnConfiguration")
_MESSAGES = {
    "EmailVerificationMessage": "EmailMessage",
    "EmailVerificationSubject": "EmailSubject",
    "SmsVerificationMessage": "SmsMessage",
}
_READ_ONLY = ("sub", "email_verified", "phone_number_verified")
_LISTED = ("Id", "Name", "LambdaConfig", "LastModifiedDate", "CreationDate")

rule(
    "update-resets",
    "UpdateUserPool and UpdateUserPoolClient set what is not given to its default; "
    "UserAttributeUpdateSettings, tags, the schema and sign-in attributes stay.",
    source="API reference; aws-nuke#477 for UserAttributeUpdateSettings",
)
rule(
    "deletion-protection",
    "DeleteUserPool of a protected pool, or of one with a domain, is an InvalidParameterException.",
    source="localstack#11947; API reference, DeleteUserPool",
)
rule(
    "mfa-of-new-pools",
    "CreateUserPool with MFA needs an SmsConfiguration. SetUserPoolMfaConfig rejects a factor with "
    "OFF, and ON or OPTIONAL without one; passkeys do not count.",
    source="API reference, CreateUserPool; cdkd#1923, aws-sdk-js#4186",
)
rule(
    "verification-messages",
    "A message of VerificationMessageTemplate is also the pool's EmailVerificationMessage and so on, "
    "and the other way round; the template has precedence.",
    source="terraform-provider-aws, user_pool.go; moto#4493",
)
rule(
    "client-attributes",
    "A client that names an attribute which the pool lacks, writes one that only Cognito can, or does "
    "not write a required one, is an InvalidParameterException: 'Invalid write attributes specified "
    "while creating a client'.",
    source="aws-cdk#20760, aws-sdk-java#1395, terraform-provider-aws#4476",
)
rule(
    "client-oauth",
    "A client that may use managed login needs flows and scopes: 'AllowedOAuthFlows and "
    "AllowedOAuthScopes are required if user pool client is allowed to use OAuth flows.'.",
    source="public reports of these words, from Terraform and CloudFormation",
)
rule(
    "client-providers",
    "A client that names an identity provider which the pool lacks is an InvalidParameterException: "
    "'The provider Google does not exist for User Pool P.'.",
    source="aws-cdk#15692",
)
rule(
    "one-secret-stays",
    "A third secret is a LimitExceededException, and the last one cannot be deleted. The words are "
    "inferred.",
    source="API reference, AddUserPoolClientSecret, DeleteUserPoolClientSecret",
    inferred=True,
)
rule(
    "described-secret",
    "DescribeUserPoolClient of a client with two secrets has the older one.",
    inferred=True,
)
rule(
    "no-secrets-manager",
    "PublishSecretsInAWSSecretsManager is rejected: the sandbox has no Secrets Manager.",
    inferred=True,
)


class Provisioning:
    """The operations.

    Args:
        cognito: all pools.
    """

    def __init__(self, cognito: Cognito) -> None:
        self._cognito = cognito
        self.domains: dict[str, Json] = {}
        self._operations: dict[str, Callable[[Request], Json]] = {
            "CreateUserPool": self._create_pool,
            "ListUserPools": self._list_pools,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
            "DescribeUserPoolDomain": self._describe_domain,
        }
        self._of_pool: dict[str, Callable[[Pool, Request], Json]] = {
            "DescribeUserPool": self._describe_pool,
            "UpdateUserPool": self._update_pool,
            "DeleteUserPool": self._delete_pool,
            "SetUserPoolMfaConfig": self._set_mfa,
            "GetUserPoolMfaConfig": self._get_mfa,
            "AddCustomAttributes": self._add_attributes,
            "CreateUserPoolClient": self._create_client,
            "DescribeUserPoolClient": self._describe_client,
            "UpdateUserPoolClient": self._update_client,
            "DeleteUserPoolClient": self._delete_client,
            "ListUserPoolClients": self._list_clients,
            "AddUserPoolClientSecret": self._add_secret,
            "DeleteUserPoolClientSecret": self._delete_secret,
            "ListUserPoolClientSecrets": self._list_secrets,
            "CreateUserPoolDomain": self._create_domain,
            "UpdateUserPoolDomain": self._update_domain,
            "DeleteUserPoolDomain": self._delete_domain,
            **IdentityProviders().operations(),
        }

    @property
    def operations(self) -> frozenset[str]:
        """Names of the operations."""
        return frozenset(self._operations) | frozenset(self._of_pool)

    def perform(self, operation: str, request: Request) -> Json | None:
        """Perform an operation and return its response, or None if it is not one of these.

        Raises:
            CognitoError: Cognito would reject the request.
        """
        if operation in self._operations:
            return self._operations[operation](request)
        if operation in self._of_pool:
            return self._of_pool[operation](self._cognito.pool(request["UserPoolId"]), request)
        return None

    # ── pools ──

    def _create_pool(self, request: Request) -> Json:
        configuration = {name: value for name, value in request.items() if value is not None}
        configuration["Name"] = configuration.pop("PoolName")
        configuration = _checked(configuration)
        region = self._cognito.default.region
        id_ = f"{region}_{''.join(secrets.choice(_ALPHANUMERIC) for _ in range(9))}"
        return {"UserPool": self._described(self._cognito.add_pool(id_, configuration))}

    def _describe_pool(self, pool: Pool, _: Request) -> Json:
        return {"UserPool": self._described(pool)}

    def _update_pool(self, pool: Pool, request: Request) -> Json:
        given = {name: value for name, value in request.items() if value is not None}
        del given["UserPoolId"]
        if "PoolName" in given:
            given["Name"] = given.pop("PoolName")
        kept = {name: pool.configuration[name] for name in _LASTING if name in pool.configuration}
        pool.configure(_checked({**kept, **given}))
        return {}

    def _delete_pool(self, pool: Pool, _: Request) -> Json:
        if pool.configuration.get("DeletionProtection") == "ACTIVE":
            raise invalid_parameter(
                "The user pool cannot be deleted because deletion protection is activated. Deletion "
                "protection must be inactivated first."
            )
        if self._domain_of(pool):
            raise invalid_parameter(
                "User pool cannot be deleted. It has a domain configured that should be deleted first."
            )
        del self._cognito.pools[pool.id]
        return {}

    def _list_pools(self, request: Request) -> Json:
        pools = [self._described(pool) for pool in self._cognito.pools.values()]
        page = page_of(pools, request["MaxResults"], request.get("NextToken"))
        listed = [{name: pool[name] for name in _LISTED} for pool in page.items]
        return page.answer("UserPools", listed, "NextToken")

    def _described(self, pool: Pool) -> Json:
        """Return UserPoolType of the service model."""
        configuration = pool.configuration
        policy = pool.settings.password_policy
        factors = ["PASSWORD", *pool.settings.first_factors]
        given = {name: value for name, value in configuration.items() if name not in _NOT_OF_POOL}
        template = {"DefaultEmailOption": "CONFIRM_WITH_CODE"}
        invitations = {"AllowAdminCreateUserOnly": False, "UnusedAccountValidityDays": 7}
        domain = self._domain_of(pool)
        return {
            "DeletionProtection": "INACTIVE",
            "LambdaConfig": {},
            "MfaConfiguration": "OFF",
            "EmailConfiguration": {"EmailSendingAccount": "COGNITO_DEFAULT"},
            "UserPoolTags": {},
            "UserPoolTier": "ESSENTIALS",
            **given,
            "Id": pool.id,
            "Arn": arn_of(pool),
            "CreationDate": round(pool.created_at, 3),
            "LastModifiedDate": round(pool.modified_at, 3),
            "EstimatedNumberOfUsers": len(pool.users),
            "Policies": {
                "PasswordPolicy": {
                    "MinimumLength": policy.minimum_length,
                    "RequireUppercase": policy.requires_uppercase,
                    "RequireLowercase": policy.requires_lowercase,
                    "RequireNumbers": policy.requires_numbers,
                    "RequireSymbols": policy.requires_symbols,
                    **({"PasswordHistorySize": policy.history} if policy.history else {}),
                    "TemporaryPasswordValidityDays": policy.temporary_days,
                },
                "SignInPolicy": {"AllowedFirstAuthFactors": factors},
            },
            "SchemaAttributes": [described(one) for one in pool.settings.schema.values()],
            "VerificationMessageTemplate": {
                **template,
                **configuration.get("VerificationMessageTemplate", {}),
            },
            "AdminCreateUserConfig": {
                **invitations,
                **configuration.get("AdminCreateUserConfig", {}),
            },
            **({"Domain": domain} if domain else {}),
        }

    # ── MFA ──

    def _set_mfa(self, pool: Pool, request: Request) -> Json:
        given = {name: value for name, value in request.items() if value is not None}
        configuration = dict(pool.configuration)
        mode = given.get("MfaConfiguration", configuration.get("MfaConfiguration", "OFF"))
        factors = {name: given[name] for name in _FACTORS if name in given}
        if mode == "OFF" and factors:
            raise invalid_parameter(
                "Invalid MFA configuration given, can't turn off MFA and configure an MFA together."
            )
        is_changed = "MfaConfiguration" in given or bool(factors)
        if is_changed and mode != "OFF" and not _enable_any(factors, configuration):
            raise invalid_parameter(
                "Invalid MFA configuration given, can't disable all MFAs with a required or optional "
                "configuration."
            )
        if is_changed:
            for name in _FACTORS[1:]:
                configuration.pop(name, None)
            configuration |= {name: value for name, value in factors.items() if name != _FACTORS[0]}
        sms = factors.get("SmsMfaConfiguration", {})
        configuration |= {name: value for name, value in sms.items() if value is not None}
        configuration["MfaConfiguration"] = mode
        if "WebAuthnConfiguration" in given:
            configuration["WebAuthnConfiguration"] = {
                "UserVerification": "preferred",
                "FactorConfiguration": "SINGLE_FACTOR",
                **given["WebAuthnConfiguration"],
            }
        pool.configure(configuration)
        return self._get_mfa(pool, request)

    def _get_mfa(self, pool: Pool, _: Request) -> Json:
        configuration = pool.configuration
        result = {
            name: configuration[name]
            for name in (*_FACTORS[1:], "WebAuthnConfiguration")
            if name in configuration
        }
        sms = {
            name: configuration[name]
            for name in ("SmsAuthenticationMessage", "SmsConfiguration")
            if name in configuration
        }
        if "SmsConfiguration" in sms:
            result["SmsMfaConfiguration"] = sms
        return {**result, "MfaConfiguration": configuration.get("MfaConfiguration", "OFF")}

    # ── the schema ──

    def _add_attributes(self, pool: Pool, request: Request) -> Json:
        schema = dict(pool.settings.schema)
        added: Sequence[Json] = request["CustomAttributes"]
        for declared in added:
            # Here a standard name is custom too: aws-cloudformation-user-guide#932.
            add_attribute(schema, declared, is_custom=True)
        before = pool.configuration.get("Schema", [])
        declarations = [{**declared, "IsCustom": True} for declared in added]
        pool.configure({**pool.configuration, "Schema": [*before, *declarations]})
        return {}

    # ── app clients ──

    def _create_client(self, pool: Pool, request: Request) -> Json:
        now = pool.clock.now()
        client = AppClient(uuid.uuid4().hex[:26], created_at=now)
        generates = request.get("GenerateSecret")
        if generates and request.get("ClientSecret"):
            raise invalid_parameter("GenerateSecret and ClientSecret cannot be used together.")
        self._configure_client(pool, client, request, "creating")
        if generates:
            client.add_secret(new_secret(), now)
        elif request.get("ClientSecret"):
            client.add_secret(request["ClientSecret"], now)
        pool.clients[client.id] = client
        return {"UserPoolClient": _described_client(pool, client)}

    def _describe_client(self, pool: Pool, request: Request) -> Json:
        return {"UserPoolClient": _described_client(pool, pool.client(request["ClientId"]))}

    def _update_client(self, pool: Pool, request: Request) -> Json:
        client = pool.client(request["ClientId"])
        self._configure_client(pool, client, {"ClientName": client.name, **request}, "updating")
        return {"UserPoolClient": _described_client(pool, client)}

    def _configure_client(
        self, pool: Pool, client: AppClient, request: Request, doing: str
    ) -> None:
        if request.get("PublishSecretsInAWSSecretsManager"):
            raise invalid_parameter("The sandbox has no AWS Secrets Manager.")
        known = pool.settings.schema
        for kind in ("Read", "Write"):
            names = request.get(f"{kind}Attributes") or []
            unknown = [name for name in names if name not in known]
            if kind == "Write" and names:
                unknown += [name for name in names if name in _READ_ONLY]
                unknown += [one for one in pool.settings.required_attributes if one not in names]
            if unknown:
                raise invalid_parameter(
                    f"Invalid {kind.lower()} attributes specified while {doing} a client"
                )
        allows_oauth = request.get("AllowedOAuthFlows") and request.get("AllowedOAuthScopes")
        if request.get("AllowedOAuthFlowsUserPoolClient") and not allows_oauth:
            raise invalid_parameter(
                "AllowedOAuthFlows and AllowedOAuthScopes are required if user pool client is allowed "
                "to use OAuth flows."
            )
        for name in request.get("SupportedIdentityProviders") or []:
            if name != "COGNITO" and name not in pool.providers:
                raise invalid_parameter(
                    f"The provider {name} does not exist for User Pool {pool.id}."
                )
        client.configure(_client_configuration(request), pool.clock.now())

    def _delete_client(self, pool: Pool, request: Request) -> Json:
        del pool.clients[pool.client(request["ClientId"]).id]
        return {}

    def _list_clients(self, pool: Pool, request: Request) -> Json:
        clients = [
            {"ClientId": client.id, "UserPoolId": pool.id, "ClientName": client.name}
            for client in pool.clients.values()
        ]
        page = page_of(clients, request.get("MaxResults"), request.get("NextToken"))
        return page.answer("UserPoolClients", page.items, "NextToken")

    def _add_secret(self, pool: Pool, request: Request) -> Json:
        client = pool.client(request["ClientId"])
        if not client.secrets:
            raise invalid_parameter("The app client is a public client: it has no secret.")
        if len(client.secrets) > 1:
            raise CognitoError(
                "LimitExceededException", "The app client has the maximum number of secrets."
            )
        given = request.get("ClientSecret")
        secret = client.add_secret(given or new_secret(), pool.clock.now())
        value = {} if given else {"ClientSecretValue": secret.value}
        return {"ClientSecretDescriptor": {**_descriptor(secret.id, secret.created_at), **value}}

    def _delete_secret(self, pool: Pool, request: Request) -> Json:
        client, id_ = pool.client(request["ClientId"]), request["ClientSecretId"]
        remaining = [secret for secret in client.secrets if secret.id != id_]
        if len(remaining) == len(client.secrets):
            raise CognitoError("ResourceNotFoundException", f"Client secret {id_} does not exist.")
        if not remaining:
            raise invalid_parameter("The last secret of an app client cannot be deleted.")
        client.secrets = remaining
        return {}

    def _list_secrets(self, pool: Pool, request: Request) -> Json:
        client = pool.client(request["ClientId"])
        return {"ClientSecrets": [_descriptor(one.id, one.created_at) for one in client.secrets]}

    # ── tags ──

    def _tag(self, request: Request) -> Json:
        pool = self._tagged(request)
        tags = {**pool.configuration.get("UserPoolTags", {}), **request["Tags"]}
        pool.configuration["UserPoolTags"] = tags
        return {}

    def _untag(self, request: Request) -> Json:
        pool = self._tagged(request)
        tags = pool.configuration.get("UserPoolTags", {})
        removed = request["TagKeys"]
        pool.configuration["UserPoolTags"] = {k: v for k, v in tags.items() if k not in removed}
        return {}

    def _list_tags(self, request: Request) -> Json:
        return {"Tags": self._tagged(request).configuration.get("UserPoolTags", {})}

    def _tagged(self, request: Request) -> Pool:
        return self._cognito.pool(request["ResourceArn"].rpartition("/")[2])

    # ── domains: kept and described, not served ──

    def _create_domain(self, pool: Pool, request: Request) -> Json:
        name = request["Domain"]
        if name in self.domains:
            raise invalid_parameter("Domain already exists.")
        self.domains[name] = {
            "UserPoolId": pool.id,
            "AWSAccountId": ACCOUNT,
            "Domain": name,
            "Status": "ACTIVE",
        }
        return self._update_domain(pool, request)

    def _update_domain(self, pool: Pool, request: Request) -> Json:
        domain = self._own_domain(pool, request)
        custom = request.get("CustomDomainConfig")
        domain["ManagedLoginVersion"] = request.get("ManagedLoginVersion", 1)
        domain["CustomDomainConfig"] = custom or {}
        cloud_front = {"CloudFrontDomain": "sandbox.cloudfront.net"} if custom else {}
        return {"ManagedLoginVersion": domain["ManagedLoginVersion"], **cloud_front}

    def _describe_domain(self, request: Request) -> Json:
        return {"DomainDescription": self.domains.get(request["Domain"], {})}

    def _delete_domain(self, pool: Pool, request: Request) -> Json:
        del self.domains[self._own_domain(pool, request)["Domain"]]
        return {}

    def _own_domain(self, pool: Pool, request: Request) -> Json:
        found = self.domains.get(request["Domain"], {})
        if found.get("UserPoolId") != pool.id:
            raise invalid_parameter("No such domain or user pool exists.")
        return found

    def _domain_of(self, pool: Pool) -> str | None:
        return next((n for n, one in self.domains.items() if one["UserPoolId"] == pool.id), None)


def arn_of(pool: Pool) -> str:
    """Return the ARN of a pool."""
    return f"arn:aws:cognito-idp:{pool.region}:{ACCOUNT}:userpool/{pool.id}"


def _checked(configuration: Json) -> Json:
    """Return a configuration after checking what the service model does not state.

    Raises:
        CognitoError: settings do not fit together, or the schema is invalid.
    """
    if configuration.get("AliasAttributes") and configuration.get("UsernameAttributes"):
        raise invalid_parameter(
            "Only one of the aliasAttributes or usernameAttributes can be set in a user pool."
        )
    settings = settings_of(configuration)
    if settings.mfa != "off" and not settings.second_factors:
        raise invalid_parameter(
            "SMS configuration and Auto verification for phone_number are required when MFA is "
            "required/optional"
        )
    if not set(settings.verified_before_update) <= set(settings.auto_verified):
        raise invalid_parameter(
            "All attributes in AttributesRequireVerificationBeforeUpdate must exist in "
            "AutoVerifiedAttributes"
        )
    template = dict(configuration.get("VerificationMessageTemplate", {}))
    messages = {}
    for name, of_template in _MESSAGES.items():
        if text := template.get(of_template, configuration.get(name)):
            messages[name] = template[of_template] = text
    return {**configuration, **messages, "VerificationMessageTemplate": template}


def _enable_any(factors: Json, configuration: Json) -> bool:
    """Whether a request enables a factor in a pool of this configuration."""
    sms = factors.get("SmsMfaConfiguration")
    return (
        "EmailMfaConfiguration" in factors
        or bool(factors.get("SoftwareTokenMfaConfiguration", {}).get("Enabled"))
        or (sms is not None and bool({**configuration, **sms}.get("SmsConfiguration")))
    )


_NOT_OF_CLIENT = {"UserPoolId", "ClientId", "GenerateSecret", "ClientSecret"}


def _client_configuration(request: Request) -> Json:
    return {n: v for n, v in request.items() if v is not None and n not in _NOT_OF_CLIENT}


def _described_client(pool: Pool, client: AppClient) -> Json:
    """Return UserPoolClientType of the service model."""
    # With two live secrets, the older one. This is inferred.
    secret = {"ClientSecret": client.secrets[0].value} if client.secrets else {}
    return {
        "RefreshTokenValidity": 30,
        "TokenValidityUnits": {},
        "AllowedOAuthFlowsUserPoolClient": False,
        "EnableTokenRevocation": True,
        "EnablePropagateAdditionalUserContextData": False,
        "AuthSessionValidity": 3,
        **client.configuration,
        "UserPoolId": pool.id,
        "ClientId": client.id,
        "ClientName": client.name,
        "CreationDate": round(client.created_at, 3),
        "LastModifiedDate": round(client.modified_at, 3),
        **secret,
    }


def _descriptor(id_: str, created_at: float) -> Json:
    return {"ClientSecretId": id_, "ClientSecretCreateDate": round(created_at, 3)}
