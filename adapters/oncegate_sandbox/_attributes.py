"""Attributes of users: what the schema and the app client allow, and whose address it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, Field

from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._rules import rule
from oncegate_sandbox._settings import Attribute, PoolSettings
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import User
from oncegate_sandbox._wire import Json
from oncegate_sandbox.errors import CognitoError, invalid_parameter, not_authorized

ADDRESSES = ("email", "phone_number")
"""Attributes that codes are sent to."""
_FLAGS = {f"{name}_verified" for name in ADDRESSES}
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_PHONE = re.compile(r"\+[0-9]{5,15}")
_SCHEMA = "Attributes did not conform to the schema: "

rule(
    "attribute-schema",
    "An attribute that the pool does not have is rejected: 'X: Attribute does not exist in the "
    "schema.'.",
    source="amplify-flutter#509, amplify-js#2167; amplify-flutter#1531 for a change",
)
rule(
    "attribute-required",
    "SignUp must give every required attribute: 'X: The attribute is required'. AdminCreateUser "
    "need not.",
    source="API reference, AdminCreateUser; public code that quotes the words",
)
rule(
    "attribute-bounds",
    "A value outside the schema's bounds, or of another type, is rejected. The words are inferred.",
    source="API reference, SchemaAttributeType",
    inferred=True,
)
rule(
    "attribute-immutable",
    "An immutable attribute can be set for a new user only: 'user.X: Attribute cannot be updated.'.",
    source="API reference, SchemaAttributeType; recorded answers of AdminUpdateUserAttributes",
)
rule(
    "attribute-format",
    "'Invalid email address format.' and 'Invalid phone number format.' (E.164). What counts as an "
    "email address is inferred.",
    source="amplify-js#13761",
    inferred=True,
)
rule(
    "attribute-not-writable",
    "A client cannot write attributes outside its WriteAttributes, nor email_verified and "
    "phone_number_verified: 'A client attempted to write unauthorized attribute'.",
    source="AWS developer guide, attribute permissions and scopes",
)
rule(
    "attribute-readable",
    "GetUser returns the attributes of the client's ReadAttributes, and sub.",
    source="AWS developer guide, attribute permissions and scopes",
)
rule(
    "alias-verified",
    "An email address or a phone number that is an alias signs in after it was verified; one that "
    "stands for the username signs in at once.",
    source="AWS developer guide, customizing sign-in attributes; amazon-cognito-identity-js#148",
)
rule(
    "alias-taken-over",
    "If an administrator marks an address as verified that is another user's alias, it becomes "
    "unverified there.",
    source="boto3#3213",
)


class AttributeType(BaseModel):
    """One attribute on the wire."""

    name: str = Field(alias="Name")
    value: str = Field(default="", alias="Value")


def as_dict(attributes: Iterable[AttributeType]) -> dict[str, str]:
    """Return attributes by name. Flags are in lower case, as Cognito stores them."""
    return {one.name: one.value.lower() if one.name in _FLAGS else one.value for one in attributes}


def as_list(user: User, readable: frozenset[str] | None = None) -> list[Json]:
    """Return a user's attributes on the wire.

    Args:
        user: the user.
        readable: names that an app client can read. Default: None, all.
    """
    attributes = {"sub": user.sub, **user.attributes}
    return [
        {"Name": name, "Value": value}
        for name, value in attributes.items()
        if readable is None or name == "sub" or name in readable
    ]


# ── what is allowed ──


def check_writable(client: AppClient, settings: PoolSettings, names: Iterable[str]) -> None:
    """Check that an app client can write attributes.

    Raises:
        CognitoError: it cannot.
    """
    for name in names:
        known = settings.schema.get(name)
        if (
            name in _FLAGS
            or (known and known.is_developer_only)
            or (client.write_attributes is not None and name not in client.write_attributes)
        ):
            raise not_authorized("A client attempted to write unauthorized attribute")


def check_new(settings: PoolSettings, attributes: Mapping[str, str], *, all_required: bool) -> None:
    """Check the attributes of a new user.

    Args:
        settings: settings of the pool.
        attributes: the attributes.
        all_required: whether every required attribute must be among them.

    Raises:
        CognitoError: an attribute is unknown, missing or malformed.
    """
    required = settings.required_attributes if all_required else ()
    problems = [
        f"{name}: The attribute is required" for name in required if not attributes.get(name)
    ]
    problems += _problems(settings, attributes)
    if problems:
        raise invalid_parameter(_SCHEMA + "".join(f"{one}\n" for one in problems))
    check_formats(attributes)


def check_change(
    settings: PoolSettings, user: User, attributes: Mapping[str, str], *, words: str = ""
) -> None:
    """Check new values of a user's attributes. A blank value deletes.

    Args:
        settings: settings of the pool.
        user: the user.
        attributes: the new values.
        words: beginning of the message about unknown and immutable attributes. Default: empty.

    Raises:
        CognitoError: an attribute is unknown, immutable or malformed.
    """
    problems = []
    for name, value in attributes.items():
        known = settings.schema.get(name)
        if known is None:
            problems.append(f"user.{name}: Attribute does not exist in the schema.\n")
        elif not known.is_mutable and value != user.attributes.get(name):
            problems.append(f"user.{name}: Attribute cannot be updated.\n")
    if problems:
        raise invalid_parameter(words + "".join(problems))
    given = {name: value for name, value in attributes.items() if value}
    if problems := _problems(settings, given):
        raise invalid_parameter(_SCHEMA + "".join(f"{one}\n" for one in problems))
    check_formats(given)


def check_formats(attributes: Mapping[str, str]) -> None:
    """Check the email address and the phone number among attributes.

    Raises:
        CognitoError: one is malformed.
    """
    if attributes.get("email") and not is_email(attributes["email"]):
        raise invalid_parameter("Invalid email address format.")
    if attributes.get("phone_number") and not is_phone(attributes["phone_number"]):
        raise invalid_parameter("Invalid phone number format.")


def is_email(text: str) -> bool:
    """Whether a text has the format of an email address."""
    return _EMAIL.fullmatch(text) is not None


def is_phone(text: str) -> bool:
    """Whether a text is a phone number in E.164 format."""
    return _PHONE.fullmatch(text) is not None


def _problems(settings: PoolSettings, attributes: Mapping[str, str]) -> list[str]:
    problems = []
    for name, value in attributes.items():
        known = settings.schema.get(name)
        if known is None:
            problems.append(f"{name}: Attribute does not exist in the schema.")
        elif problem := _problem(known, value):
            problems.append(f"{name}: {problem}")
    return problems


def _problem(known: Attribute, value: str) -> str | None:
    """Return what is wrong with a value, or None. The words are inferred."""
    size = len(value)
    if known.type == "Boolean" and value not in {"true", "false"}:
        return "Attribute value must be true or false"
    if known.type in {"Number", "DateTime"}:
        if not re.fullmatch(r"-?[0-9]+", value):
            return "Attribute value must be a number"
        size = int(value)
    if known.type in {"String", "Number"}:
        if known.minimum is not None and size < known.minimum:
            return f"Attribute value must not be less than {known.minimum}"
        if known.maximum is not None and size > known.maximum:
            return f"Attribute value must not be greater than {known.maximum}"
    return None


# ── whose address it is ──


def already_exists(settings: PoolSettings, attribute: str) -> str:
    """Return Cognito's words for an address that another user has."""
    # "given" where addresses stand for usernames: public reports of both.
    given = "given " if attribute in settings.username_attributes else ""
    return f"An account with the {given}{attribute} already exists."


def owner_of(pool: PoolState, attribute: str, value: str, *, but: User | None) -> User | None:
    """Return the other user whom an address signs in, or None."""
    settings = pool.settings
    if attribute not in (*settings.username_attributes, *settings.alias_attributes) or not value:
        return None
    owner = pool.users.by_alias(value)
    return None if owner is but else owner


def check_alias(
    pool: PoolState, user: User, attribute: str, value: str, *, takes_over: bool = False
) -> None:
    """Check that no other user signs in with an address, or take it over.

    Args:
        pool: the pool.
        user: whose address it becomes.
        attribute: ``email``, ``phone_number`` or ``preferred_username``.
        value: the new value. An empty one is no alias.
        takes_over: whether an alias becomes unverified at the other user instead
            (ForceAliasCreation). An address that stands for the username cannot be taken over.

    Raises:
        CognitoError: AliasExistsException.
    """
    owner = owner_of(pool, attribute, value, but=user)
    if owner is None:
        return
    if not takes_over or attribute in pool.settings.username_attributes:
        raise CognitoError("AliasExistsException", already_exists(pool.settings, attribute))
    owner.set_verified(attribute, verified=False)
