"""Users of identity providers: made at their first sign-in, and linked to users of the pool."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256

from pydantic import BaseModel, Field

from oncegate_sandbox._attributes import ADDRESSES
from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._rules import rule
from oncegate_sandbox._sessions import Caller
from oncegate_sandbox._sign_up import known_user, post_confirmation
from oncegate_sandbox._signing_in import SigningIn
from oncegate_sandbox._state import PoolState
from oncegate_sandbox._users import EXTERNAL, Group, User
from oncegate_sandbox._wire import Json, Operations
from oncegate_sandbox.errors import CognitoError, invalid_parameter

rule(
    "federated-user",
    "The user of an identity provider has a username such as Google_123 (123 is the ID at the "
    "provider), the status EXTERNAL_PROVIDER, the attribute identities, and a group such as P_Google "
    "for the pool P. It has no alias: a user of the pool can have the same email address.",
    source="aws-sdk-js#3774; decoded tokens of Google users, in public repositories",
)
rule(
    "federated-username-case",
    "If the case of usernames does not count, the username is in lower case: google_123.",
    source="amplify-flutter#1716, for both forms; when each is used is inferred",
    inferred=True,
)
rule(
    "federated-attributes",
    "Each sign-in with a provider writes the mapped attributes. An email address is unverified unless "
    "email_verified is mapped; here the provider says that it is verified.",
    source="AWS developer guide, identity provider attribute mapping; recorded events, also of a linked "
    "user",
)
rule(
    "federated-immutable",
    "If a mapped attribute is immutable, each sign-in but the first fails: 'Invalid user attributes: "
    "email: Attribute cannot be updated.'.",
    source="amplify-js#3526, amazon-cognito-auth-js#159",
)
rule(
    "federated-required",
    "A required attribute that is not mapped fails the sign-in: 'attributes required: [email]'.",
    source="public code that matches these words",
)
rule(
    "federated-triggers",
    "The first sign-in with a provider runs PreSignUp (PreSignUp_ExternalProvider) and "
    "PostConfirmation; a later one PreAuthentication and PostAuthentication.",
    source="recorded events of the first two; that a later one differs is inferred",
    inferred=True,
)
rule(
    "federated-disabled",
    "A disabled user comes back with 'User is not enabled'.",
    source="public code that matches the callback's URL",
)
rule(
    "federated-linked",
    "AdminLinkProviderForUser makes sign-ins with a provider sign in the user whom it names. If "
    "PreSignUp does so, this sign-in fails once: 'Already found an entry for username Google_123'.",
    source="amplify-flutter#1716, amplify-swift#2226; API reference, AdminLinkProviderForUser",
)
rule(
    "federated-link-of-user",
    "A user of a provider who has signed in before cannot be linked: 'Merging is not currently "
    "supported, provide a SourceUser that has not been signed up in order to link'.",
    source="public reports of these words",
)

_SUBJECT = "Cognito_Subject"


class ProviderUser(BaseModel):
    """ProviderUserIdentifierType."""

    provider: str = Field(alias="ProviderName")
    attribute: str = Field(default="", alias="ProviderAttributeName")
    value: str = Field(alias="ProviderAttributeValue")


class AdminLinkProviderForUser(BaseModel):
    """AdminLinkProviderForUser."""

    destination: ProviderUser = Field(alias="DestinationUser")
    source: ProviderUser = Field(alias="SourceUser")


class Federation:
    """Signs in with identity providers.

    Args:
        pool: the pool of the users.
        sign_in: the sign-in operations of the pool, for their triggers.
    """

    def __init__(self, pool: PoolState, sign_in: SigningIn) -> None:
        self._pool = pool
        self._sign_in = sign_in

    def operations(self) -> Operations:
        """Return the operations by name."""
        return {"AdminLinkProviderForUser": (AdminLinkProviderForUser, self._link)}

    def sign_in(self, provider: Json, email: str, client: AppClient) -> User:
        """Return the user whom a provider has signed in. The first time, make the user.

        Args:
            provider: IdentityProviderType.
            email: the user's email address at the provider.
            client: the app client that sent the user.

        Raises:
            CognitoError: the user is disabled, an attribute cannot be set, or a trigger failed.
        """
        name, subject = provider["ProviderName"], subject_of(provider["ProviderName"], email)
        username = self._username(name, subject)
        user = self._linked(name, subject) or self._pool.users.find(username)
        attributes = _mapped(provider, email)
        if user is None:
            return self._new(provider, subject, attributes, client)
        if user.status != EXTERNAL and user is not self._linked(name, subject):
            raise _already_found(username)
        if not user.is_enabled:
            raise invalid_parameter("User is not enabled")
        self._sign_in.pre_authentication(client, {}, user, user.username)
        schema = self._pool.settings.schema
        immutable = [one for one in attributes if one in schema and not schema[one].is_mutable]
        if immutable:
            words = "".join(f"{one}: Attribute cannot be updated.\n" for one in immutable)
            raise invalid_parameter(f"Invalid user attributes: {words}")
        user.attributes |= attributes
        user.modified_at = self._pool.clock.now()
        caller = Caller(client, at_managed_login=True)
        self._sign_in.post_authentication(user, caller, is_new_device=True)
        return user

    def _new(
        self, provider: Json, subject: str, attributes: dict[str, str], client: AppClient
    ) -> User:
        pool, name = self._pool, provider["ProviderName"]
        username, now = self._username(name, subject), pool.clock.now()
        missing = [one for one in pool.settings.required_attributes if one not in attributes]
        if missing:
            raise invalid_parameter(f"attributes required: [{', '.join(missing)}]")
        user = User(username, "", EXTERNAL, attributes, created_at=now, modified_at=now)
        if pool.triggers.has("PreSignUp"):
            decided = pool.triggers.run(
                "PreSignUp",
                source="PreSignUp_ExternalProvider",
                user=None,
                username=username,
                client_id=client.id,
                request={
                    "userAttributes": {
                        "cognito:email_alias": "",
                        "cognito:phone_number_alias": "",
                        **attributes,
                    },
                    "validationData": {},
                },
                response={
                    "autoConfirmUser": False,
                    "autoVerifyEmail": False,
                    "autoVerifyPhone": False,
                },
            )
            for member, attribute in zip(
                ("autoVerifyEmail", "autoVerifyPhone"), ("email", "phone_number"), strict=True
            ):
                if decided.get(member) and user.attributes.get(attribute):
                    user.set_verified(attribute, verified=True)
            if self._linked(name, subject):
                raise _already_found(username)
        user.attributes["identities"] = json.dumps(
            [_identity(provider, subject, now, is_primary=True)]
        )
        group = f"{pool.id}_{name}"
        description = f"Autogenerated group for users who sign in using {name}"
        user.groups.append(
            pool.groups.setdefault(
                group, Group(group, description, created_at=now, modified_at=now)
            )
        )
        pool.users.add(user)
        post_confirmation(pool, user, client.id, None)
        return user

    def _username(self, provider: str, subject: str) -> str:
        name = f"{provider}_{subject}"
        return name if self._pool.settings.is_case_sensitive else name.lower()

    def _linked(self, provider: str, subject: str) -> User | None:
        """Return the user of the pool to whom a provider's user is linked, or None."""
        wanted = (provider, subject)
        return next(
            (
                user
                for user in self._pool.users
                if user.status != EXTERNAL
                and any((one["providerName"], one["userId"]) == wanted for one in identities(user))
            ),
            None,
        )

    def _link(self, request: AdminLinkProviderForUser) -> Json:
        pool, source = self._pool, request.source
        user = known_user(pool, request.destination.value)
        provider = pool.providers.get(source.provider)
        if provider is None or source.attribute != _SUBJECT:
            raise invalid_parameter(
                f"SourceUser must have an identity provider of the pool and {_SUBJECT}."
            )
        if self._linked(source.provider, source.value) or pool.users.find(
            self._username(source.provider, source.value)
        ):
            raise invalid_parameter(
                "Merging is not currently supported, provide a SourceUser that has not been signed up "
                "in order to link"
            )
        now = pool.clock.now()
        linked = [*identities(user), _identity(provider, source.value, now, is_primary=False)]
        user.attributes["identities"] = json.dumps(linked)
        return {}


def subject_of(provider: str, email: str) -> str:
    """Return a user's ID at a provider: 21 digits as at Google, the same each time.

    Args:
        provider: name of the provider.
        email: the user's email address there.
    """
    digest = sha256(f"{provider} {email.casefold()}".encode()).digest()
    return str(10**20 + int.from_bytes(digest) % (9 * 10**20))


def identities(user: User) -> Iterator[Json]:
    """Return the identities of a user at providers."""
    found: list[Json] = json.loads(user.attributes.get("identities", "[]"))
    return iter(found)


def _identity(provider: Json, subject: str, now: float, *, is_primary: bool) -> Json:
    return {
        "userId": subject,
        "providerName": provider["ProviderName"],
        "providerType": provider["ProviderType"],
        "issuer": None,
        "primary": is_primary,
        "dateCreated": int(now * 1000),
    }


def _mapped(provider: Json, email: str) -> dict[str, str]:
    """Return the attributes that a provider's mapping fills, whatever it calls them."""
    known = {"email": email, "email_verified": "true", "name": email.partition("@")[0]}
    mapping = provider["AttributeMapping"]
    attributes = {name: value for name, value in known.items() if name in mapping}
    for name in ADDRESSES:
        if name in attributes:
            attributes.setdefault(f"{name}_verified", "false")
    return attributes


def _already_found(username: str) -> CognitoError:
    return invalid_parameter(f"Already found an entry for username {username}")
