"""The settings of a user pool, as its operations read them. `_configuration` derives them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from oncegate import Factor


@dataclass(frozen=True)
class PasswordPolicy:
    """The password policy, by default the one of a new pool.

    Source: AWS developer guide, "Adding user pool password requirements".

    Attributes:
        minimum_length: number of characters.
        requires_numbers: whether a digit is required.
        requires_uppercase: whether an upper-case letter is required.
        requires_lowercase: whether a lower-case letter is required.
        requires_symbols: whether a special character is required.
        temporary_days: days for which a temporary password is valid.
        history: number of former passwords that cannot be used again.
    """

    minimum_length: int = 8
    requires_numbers: bool = True
    requires_uppercase: bool = True
    requires_lowercase: bool = True
    requires_symbols: bool = True
    temporary_days: int = 7
    history: int = 0

    def temporary_until(self, now: float) -> float:
        """Return the Unix time until which a temporary password that is set now is valid."""
        return now + self.temporary_days * 86400.0


@dataclass(frozen=True)
class Attribute:
    """One attribute of the schema.

    Attributes:
        name: full name, such as ``email`` or ``custom:team``.
        type: ``String``, ``Number``, ``DateTime`` or ``Boolean``.
        is_mutable: whether the value can change.
        is_required: whether a user must have it.
        is_developer_only: whether only administrators can write it.
        minimum: smallest length of a string, or value of a number; None for no limit.
        maximum: greatest length of a string, or value of a number; None for no limit.
    """

    name: str
    type: str = "String"
    is_mutable: bool = True
    is_required: bool = False
    is_developer_only: bool = False
    minimum: int | None = None
    maximum: int | None = None


# Standard attributes of every pool: OpenID Connect Core 1.0, 5.1; bounds as DescribeUserPool reports
# them.
_STANDARD = {
    "sub": Attribute("sub", is_mutable=False, is_required=True, minimum=1, maximum=2048),
    **{
        name: Attribute(name, minimum=0, maximum=2048)
        for name in (
            "name",
            "given_name",
            "family_name",
            "middle_name",
            "nickname",
            "preferred_username",
            "profile",
            "picture",
            "website",
            "email",
        )
    },
    "email_verified": Attribute("email_verified", "Boolean"),
    "gender": Attribute("gender", minimum=0, maximum=2048),
    "birthdate": Attribute("birthdate", minimum=10, maximum=10),
    "zoneinfo": Attribute("zoneinfo", minimum=0, maximum=2048),
    "locale": Attribute("locale", minimum=0, maximum=2048),
    "phone_number": Attribute("phone_number", minimum=0, maximum=2048),
    "phone_number_verified": Attribute("phone_number_verified", "Boolean"),
    "address": Attribute("address", minimum=0, maximum=2048),
    "updated_at": Attribute("updated_at", "Number", minimum=0),
    "identities": Attribute("identities"),
}


def standard_schema() -> dict[str, Attribute]:
    """Return the standard attributes, by name."""
    return dict(_STANDARD)


@dataclass
class PoolSettings:
    """The settings.

    Attributes:
        mfa: whether second factors are ``off``, ``optional`` for each user, or ``on``, required.
        second_factors: second factors that the pool allows.
        first_factors: first factors that USER_AUTH can offer beside the password.
        relying_party: host name for passkeys.
        user_verification: ``preferred`` or ``required``, for passkeys.
        passkeys_satisfy_mfa: whether a passkey with user verification counts as two factors
            (FactorConfiguration MULTI_FACTOR_WITH_USER_VERIFICATION).
        device_tracking: whether devices are tracked ``always``, if the user agrees (``opt_in``), or
            not (``off``).
        remembered_devices_skip_mfa: whether a remembered device replaces the second factor.
        password_policy: what new passwords must meet.
        username_attributes: attributes that stand for the username at sign-up.
        alias_attributes: attributes that can sign in beside the username.
        is_case_sensitive: whether the case of usernames and aliases counts.
        schema: attributes of users, by name.
        auto_verified: attributes that Cognito verifies itself.
        verified_before_update: attributes that change only after the new value was verified.
        recovery: ways to reset a password, the preferred one first: ``verified_email``,
            ``verified_phone_number`` or ``admin_only``.
        admin_creates_users: whether only an administrator can create users.
        pre_token_version: LambdaVersion of the PreTokenGeneration trigger.
        issuer_type: IssuerType, which changes ``iss`` if the sandbox issues tokens as AWS does.
    """

    mfa: str = "off"
    second_factors: frozenset[Factor] = frozenset()
    first_factors: tuple[str, ...] = ()
    relying_party: str = "localhost"
    user_verification: str = "preferred"
    passkeys_satisfy_mfa: bool = False
    device_tracking: str = "off"
    remembered_devices_skip_mfa: bool = False
    password_policy: PasswordPolicy = PasswordPolicy()
    username_attributes: tuple[str, ...] = ()
    alias_attributes: tuple[str, ...] = ()
    is_case_sensitive: bool = True
    schema: dict[str, Attribute] = field(default_factory=standard_schema)
    auto_verified: tuple[str, ...] = ()
    verified_before_update: tuple[str, ...] = ()
    recovery: tuple[str, ...] = ()
    admin_creates_users: bool = False
    pre_token_version: str = "V1_0"
    issuer_type: str = "ORIGINAL"

    def replace(self, other: PoolSettings) -> None:
        """Take over all settings of another object. The users and devices of the pool see them."""
        for one in fields(self):
            setattr(self, one.name, getattr(other, one.name))

    @property
    def required_attributes(self) -> tuple[str, ...]:
        """Attributes that a user must have, except ``sub``."""
        return tuple(a.name for a in self.schema.values() if a.is_required and a.name != "sub")
