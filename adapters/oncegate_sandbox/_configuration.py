"""The configuration of a user pool: members of CreateUserPool, and the settings that they mean.

A pool keeps its configuration as DescribeUserPool and GetUserPoolMfaConfig return it. `settings_of`
alone says what it means; the seed is turned into a configuration first.
"""

from __future__ import annotations

from typing import Any

from oncegate import Factor
from oncegate_sandbox._rules import rule
from oncegate_sandbox._settings import Attribute, PasswordPolicy, PoolSettings, standard_schema
from oncegate_sandbox._wire import Json
from oncegate_sandbox.errors import invalid_parameter
from oncegate_sandbox.seed import Seed

_MFA = {"OFF": "off", "OPTIONAL": "optional", "ON": "on"}
_ROLE = {"SnsCallerArn": "arn:aws:iam::123456789012:role/sandbox"}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:sandbox"
"""ARN that stands for the seed's hooks in LambdaConfig."""
_LONGEST = 2048

rule(
    "schema",
    "A pool has the standard attributes of OpenID Connect; others get the prefix custom: or "
    "dev:custom:. A required custom attribute is an InvalidParameterException.",
    source="boto3#2317, moto#4493; OpenID Connect Core 1.0, 5.1",
)
rule(
    "device-configuration",
    "Any member of DeviceConfiguration turns device tracking on; DeviceOnlyRememberedOnUserPrompt lets "
    "the user choose; with ChallengeRequiredOnNewDevice a remembered device replaces the second factor.",
    source="API reference, DeviceConfigurationType",
)
rule(
    "lambda-config",
    "A pool runs the seed's hooks that its LambdaConfig names, whatever the ARN. UpdateUserPool "
    "without LambdaConfig turns them off.",
    source="API reference, UpdateUserPool; that the seed's hooks stand for any ARN is the sandbox's own",
    inferred=True,
)
rule(
    "sms-is-a-factor",
    "SMS is a second factor if the pool has an SmsConfiguration; others are what SetUserPoolMfaConfig "
    "turned on.",
    source="API reference, CreateUserPool; amplify-backend#1481",
)
rule(
    "relying-party-default",
    "Without a RelyingPartyId, passkeys belong to localhost.",
    inferred=True,
)


def configuration_of(seed: Seed) -> Json:
    """Return the configuration of a seed's pool."""
    pool = seed.pool
    policy = pool.password_policy
    custom = [*pool.custom_attributes, *(n for user in seed.users for n in user.attributes)]
    schema: list[Json] = [
        _custom_string(name)
        for name in dict.fromkeys(custom)
        if name not in standard_schema() and name not in pool.required_attributes
    ]
    # Cognito has no required custom attributes. Seeds could always have them.
    schema += [
        {"Name": name, "Required": True}
        if name in standard_schema()
        else {**_custom_string(name), "Required": True, "OfSeed": True}
        for name in pool.required_attributes
    ]
    configuration: Json = {
        "Name": "sandbox",
        "Policies": {
            "PasswordPolicy": {
                "MinimumLength": policy.minimum_length,
                "RequireUppercase": policy.require_uppercase,
                "RequireLowercase": policy.require_lowercase,
                "RequireNumbers": policy.require_numbers,
                "RequireSymbols": policy.require_symbols,
                "PasswordHistorySize": policy.history,
                "TemporaryPasswordValidityDays": policy.temporary_password_days,
            },
            "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", *pool.first_factors]},
        },
        "AutoVerifiedAttributes": ["email", "phone_number"],
        "MfaConfiguration": pool.mfa.upper(),
        "SmsConfiguration": _ROLE,
        "SoftwareTokenMfaConfiguration": {"Enabled": True},
        "EmailMfaConfiguration": {},
        "WebAuthnConfiguration": {
            "RelyingPartyId": pool.relying_party,
            "UserVerification": pool.passkey_user_verification,
            "FactorConfiguration": (
                "MULTI_FACTOR_WITH_USER_VERIFICATION"
                if pool.passkeys_satisfy_mfa
                else "SINGLE_FACTOR"
            ),
        },
        "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": not pool.sign_up},
        "UsernameConfiguration": {"CaseSensitive": pool.case_sensitive},
        "AccountRecoverySetting": {
            "RecoveryMechanisms": [
                {"Priority": 1, "Name": "verified_email"},
                {"Priority": 2, "Name": "verified_phone_number"},
            ]
        },
        "IssuerConfiguration": {"Type": pool.issuer_type},
        "LambdaConfig": {},
        "Schema": schema,
    }
    if pool.pre_token_version != "V1_0":
        trigger = {"LambdaVersion": pool.pre_token_version, "LambdaArn": FUNCTION}
        configuration["LambdaConfig"] = {"PreTokenGenerationConfig": trigger}
    if pool.username_attributes:
        configuration["UsernameAttributes"] = list(pool.username_attributes)
    else:
        configuration["AliasAttributes"] = ["email", "phone_number"]
    if pool.device_tracking != "off":
        configuration["DeviceConfiguration"] = {
            "ChallengeRequiredOnNewDevice": pool.remembered_devices_skip_mfa,
            "DeviceOnlyRememberedOnUserPrompt": pool.device_tracking == "opt_in",
        }
    return configuration


def _custom_string(name: str) -> Json:
    """Return the declaration of a custom attribute, named with or without ``custom:``."""
    return {"Name": name.removeprefix("custom:"), "AttributeDataType": "String", "IsCustom": True}


def settings_of(configuration: Json) -> PoolSettings:
    """Return what a configuration means.

    Raises:
        CognitoError: the schema is invalid.
    """
    policies = configuration.get("Policies", {})
    passkeys = configuration.get("WebAuthnConfiguration", {})
    devices = configuration.get("DeviceConfiguration") or {}
    updates = configuration.get("UserAttributeUpdateSettings", {})
    mechanisms = configuration.get("AccountRecoverySetting", {}).get("RecoveryMechanisms", [])
    # "In the absence of this setting, Amazon Cognito uses the legacy behavior …, where SMS is
    # preferred over email": API reference, CreateUserPool.
    recovery = tuple(one["Name"] for one in sorted(mechanisms, key=lambda one: one["Priority"]))
    tracking = "opt_in" if devices.get("DeviceOnlyRememberedOnUserPrompt") else "always"
    triggers = configuration.get("LambdaConfig", {})
    settings = PoolSettings(
        mfa=_MFA[configuration.get("MfaConfiguration", "OFF")],
        second_factors=_second_factors(configuration),
        first_factors=tuple(
            factor
            for factor in policies.get("SignInPolicy", {}).get("AllowedFirstAuthFactors", [])
            if factor != "PASSWORD"
        ),
        relying_party=passkeys.get("RelyingPartyId", "localhost"),
        user_verification=passkeys.get("UserVerification", "preferred"),
        passkeys_satisfy_mfa=(
            passkeys.get("FactorConfiguration") == "MULTI_FACTOR_WITH_USER_VERIFICATION"
        ),
        device_tracking=tracking if devices else "off",
        remembered_devices_skip_mfa=bool(devices.get("ChallengeRequiredOnNewDevice")),
        password_policy=_password_policy(policies.get("PasswordPolicy")),
        username_attributes=tuple(configuration.get("UsernameAttributes", ())),
        alias_attributes=tuple(configuration.get("AliasAttributes", ())),
        is_case_sensitive=configuration.get("UsernameConfiguration", {}).get("CaseSensitive", True),
        auto_verified=tuple(configuration.get("AutoVerifiedAttributes", ())),
        verified_before_update=tuple(updates.get("AttributesRequireVerificationBeforeUpdate", ())),
        recovery=recovery or ("verified_phone_number", "verified_email"),
        pre_token_version=triggers.get("PreTokenGenerationConfig", {}).get("LambdaVersion", "V1_0"),
        issuer_type=configuration.get("IssuerConfiguration", {}).get("Type", "ORIGINAL"),
        admin_creates_users=bool(
            configuration.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly")
        ),
    )
    for declared in configuration.get("Schema", ()):
        add_attribute(settings.schema, declared, is_custom=declared.get("IsCustom", False))
    return settings


def triggers_of(configuration: Json) -> frozenset[str]:
    """Return the names of the triggers that a configuration turns on."""
    names = {name for name, function in configuration.get("LambdaConfig", {}).items() if function}
    if "PreTokenGenerationConfig" in names:
        names.add("PreTokenGeneration")
    return frozenset(names)


def _second_factors(configuration: Json) -> frozenset[Factor]:
    enabled = {
        Factor.SMS: bool(configuration.get("SmsConfiguration")),
        Factor.TOTP: bool(configuration.get("SoftwareTokenMfaConfiguration", {}).get("Enabled")),
        Factor.EMAIL: "EmailMfaConfiguration" in configuration,
    }
    return frozenset(factor for factor, is_enabled in enabled.items() if is_enabled)


def _password_policy(given: Json | None) -> PasswordPolicy:
    if given is None:
        return PasswordPolicy()
    return PasswordPolicy(
        minimum_length=given.get("MinimumLength", 8),
        requires_numbers=bool(given.get("RequireNumbers")),
        requires_uppercase=bool(given.get("RequireUppercase")),
        requires_lowercase=bool(given.get("RequireLowercase")),
        requires_symbols=bool(given.get("RequireSymbols")),
        # "If you submit a value of 0, Amazon Cognito treats it as a null value": API reference.
        temporary_days=given.get("TemporaryPasswordValidityDays") or 7,
        history=given.get("PasswordHistorySize", 0),
    )


# ── the schema ──


def add_attribute(schema: dict[str, Attribute], declared: Json, *, is_custom: bool = False) -> None:
    """Add an attribute to a schema, or change a standard one.

    Args:
        schema: attributes by full name.
        declared: SchemaAttributeType of the service model.
        is_custom: whether a standard name means a new custom attribute. Default: False.

    Raises:
        CognitoError: the attribute is invalid, or its name is taken.
    """
    name = declared["Name"]
    if name in standard_schema() and not is_custom:
        schema.pop(name, None)  # keeps the order of the declarations
        schema[name] = _changed_standard(standard_schema()[name], declared)
        return
    attribute = _custom(declared)
    if attribute.name in schema:
        raise invalid_parameter(
            f"custom:{name}: Existing attribute already has name {attribute.name}."
        )
    schema[attribute.name] = attribute


def _changed_standard(known: Attribute, declared: Json) -> Attribute:
    type_ = declared.get("AttributeDataType", known.type)
    if type_ != known.type or declared.get("DeveloperOnlyAttribute"):
        raise invalid_parameter(
            "You can not change AttributeDataType or set developerOnlyAttribute for standard schema "
            f"attribute {known.name}"
        )
    minimum, maximum = _bounds(known.name, known.type, declared, (known.minimum, known.maximum))
    return Attribute(
        name=known.name,
        type=known.type,
        is_mutable=declared.get("Mutable", known.is_mutable),
        is_required=declared.get("Required", known.is_required),
        minimum=minimum,
        maximum=maximum,
    )


def _custom(declared: Json) -> Attribute:
    is_developer_only = bool(declared.get("DeveloperOnlyAttribute"))
    name = f"{'dev:' if is_developer_only else ''}custom:{declared['Name']}"
    if "AttributeDataType" not in declared:
        raise invalid_parameter(
            "Invalid AttributeDataType input, consider using the provided AttributeDataType enum."
        )
    if declared.get("Required") and not declared.get("OfSeed"):
        raise invalid_parameter("Required custom attributes are not supported currently.")
    minimum, maximum = _bounds(name, declared["AttributeDataType"], declared, (None, None))
    return Attribute(
        name=name,
        type=declared["AttributeDataType"],
        # "Mutable: false" is the default of custom attributes that a developer declares without it:
        # no source says so; moto#4493 has true.
        is_mutable=declared.get("Mutable", True),
        is_required=bool(declared.get("Required")),
        is_developer_only=is_developer_only,
        minimum=minimum,
        maximum=maximum,
    )


_CONSTRAINTS = {
    "String": ("StringAttributeConstraints", "MinLength", "MaxLength", "length"),
    "Number": ("NumberAttributeConstraints", "MinValue", "MaxValue", "value"),
}


def _bounds(
    name: str, type_: str, declared: Json, default: tuple[int | None, int | None]
) -> tuple[int | None, int | None]:
    """Return the smallest and the greatest length or value of an attribute."""
    if type_ not in _CONSTRAINTS or not declared.get(_CONSTRAINTS[type_][0]):
        return default
    member, low, high, what = _CONSTRAINTS[type_]
    given = declared[member]
    try:
        minimum, maximum = (int(given[key]) if key in given else None for key in (low, high))
    except ValueError:
        raise invalid_parameter(f"Invalid {member} for schema attribute {name}") from None
    lengths = [bound for bound in (minimum, maximum) if bound is not None and type_ == "String"]
    if any(bound < 0 for bound in lengths):
        raise invalid_parameter(f"Invalid {member} for schema attribute {name}")
    if any(bound > _LONGEST for bound in lengths):
        raise invalid_parameter(
            f"user.{name}: String attributes cannot have a length of more than {_LONGEST}"
        )
    if minimum is not None and maximum is not None and minimum > maximum:
        raise invalid_parameter(f"user.{name}: Max {what} cannot be less than min {what}.")
    return minimum, maximum


def described(attribute: Attribute) -> Json:
    """Return an attribute as SchemaAttributeType of the service model."""
    result: Json = {
        "Name": attribute.name,
        "AttributeDataType": attribute.type,
        "DeveloperOnlyAttribute": attribute.is_developer_only,
        "Mutable": attribute.is_mutable,
        "Required": attribute.is_required,
    }
    if attribute.type in _CONSTRAINTS:
        member, low, high, _ = _CONSTRAINTS[attribute.type]
        bounds: dict[str, Any] = {low: attribute.minimum, high: attribute.maximum}
        result[member] = {key: str(bound) for key, bound in bounds.items() if bound is not None}
    return result
