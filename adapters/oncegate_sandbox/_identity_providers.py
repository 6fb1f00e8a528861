"""Identity providers of a user pool: their operations, and those that a seed names.

Users sign in through them at managed login, where a page of the sandbox stands for the provider.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from oncegate_sandbox._pages import Page, page_of
from oncegate_sandbox._rules import rule
from oncegate_sandbox._wire import Json
from oncegate_sandbox.errors import CognitoError, invalid_parameter

if TYPE_CHECKING:
    from oncegate_sandbox._state import PoolState
    from oncegate_sandbox.pool import Pool

Request = Mapping[str, Any]

# The attribute of a provider's user that the username is made from, which a mapping always has.
# Source: AWS developer guide, "Mapping identity provider attributes to user pool attributes".
_USERNAMES = {
    "Google": "sub",
    "OIDC": "sub",
    "SignInWithApple": "sub",
    "Facebook": "id",
    "LoginWithAmazon": "user_id",
}
_NAMED_FREELY = ("SAML", "OIDC")
_DESCRIBED = ("ProviderName", "ProviderType", "LastModifiedDate", "CreationDate")
_CHANGEABLE = ("ProviderDetails", "AttributeMapping", "IdpIdentifiers", "AcrMapping")

rule(
    "provider-exists",
    "A second provider of a name is a DuplicateProviderException, 'X already exists in user pool P'; "
    "a social provider has the name of its type: 'Provider X cannot be of type Google.'",
    source="cloudformation-coverage-roadmap#1287; terraform-provider-aws#4822, aws-cli#3179",
)
rule(
    "provider-mapping",
    "A mapping of an attribute that the pool lacks is an InvalidParameterException: 'AttributeMapping "
    "contains invalid mapping: [custom:x]'. Social and OIDC providers always map the username.",
    source="aws-cli#9729; AWS developer guide, identity provider attributes",
)
rule(
    "provider-unknown",
    "A provider that does not exist is a ResourceNotFoundException, whose words are inferred.",
    source="API reference, DescribeIdentityProvider",
    inferred=True,
)


class IdentityProviders:
    """The operations. Each pool has its own providers."""

    def operations(self) -> dict[str, Callable[[Pool, Request], Json]]:
        """Return the operations."""
        return {
            "CreateIdentityProvider": self._create,
            "DescribeIdentityProvider": self._describe,
            "GetIdentityProviderByIdentifier": self._by_identifier,
            "UpdateIdentityProvider": self._update,
            "DeleteIdentityProvider": self._delete,
            "ListIdentityProviders": self._list,
        }

    def _create(self, pool: Pool, request: Request) -> Json:
        name, kind = request["ProviderName"], request["ProviderType"]
        if name in pool.providers:
            message = f"{name} already exists in user pool {pool.id}"
            raise CognitoError("DuplicateProviderException", message)
        if kind not in _NAMED_FREELY and name != kind:
            raise invalid_parameter(f"Provider {name} cannot be of type {kind}.")
        provider = new_provider(dict(request), pool.clock.now())
        provider["AttributeMapping"] = _mapping(pool, provider)
        pool.providers[name] = provider
        return {"IdentityProvider": provider}

    def _update(self, pool: Pool, request: Request) -> Json:
        provider = self._find(pool, request["ProviderName"])
        changed = provider | {name: request[name] for name in _CHANGEABLE if name in request}
        changed["AttributeMapping"] = _mapping(pool, changed)
        changed["LastModifiedDate"] = round(pool.clock.now(), 3)
        pool.providers[provider["ProviderName"]] = changed
        return {"IdentityProvider": changed}

    def _describe(self, pool: Pool, request: Request) -> Json:
        return {"IdentityProvider": self._find(pool, request["ProviderName"])}

    def _by_identifier(self, pool: Pool, request: Request) -> Json:
        wanted = request["IdpIdentifier"]
        provider = provider_of_identifier(pool, wanted)
        if provider is None:
            raise _unknown(wanted)
        return {"IdentityProvider": provider}

    def _delete(self, pool: Pool, request: Request) -> Json:
        del pool.providers[self._find(pool, request["ProviderName"])["ProviderName"]]
        return {}

    def _list(self, pool: Pool, request: Request) -> Json:
        providers = list(pool.providers.values())
        page: Page[Json] = page_of(providers, request.get("MaxResults"), request.get("NextToken"))
        described = [{name: one[name] for name in _DESCRIBED} for one in page.items]
        return page.answer("Providers", described, "NextToken")

    def _find(self, pool: Pool, name: str) -> Json:
        if name not in pool.providers:
            raise _unknown(name)
        return pool.providers[name]


def new_provider(members: Json, now: float) -> Json:
    """Return a new IdentityProviderType, made at a Unix time."""
    made = dict.fromkeys(("CreationDate", "LastModifiedDate"), round(now, 3))
    return {"AttributeMapping": {}, "IdpIdentifiers": [], **members, **made}


def providers_of(pool_id: str, names: Iterable[str], now: float) -> dict[str, Json]:
    """Return the identity providers that a seed names, by name.

    A name that is no social provider's is that of an OIDC provider. All map the email address.
    """
    return {
        name: new_provider(
            {
                "UserPoolId": pool_id,
                "ProviderName": name,
                "ProviderType": (kind := name if name in _USERNAMES else "OIDC"),
                "ProviderDetails": {"client_id": "sandbox", "authorize_scopes": "openid email"},
                "AttributeMapping": {"email": "email", "username": _USERNAMES[kind]},
            },
            now,
        )
        for name in names
    }


def provider_of_identifier(pool: PoolState, identifier: str) -> Json | None:
    """Return the provider that has an identifier (IdpIdentifiers), or None."""
    return next(
        (one for one in pool.providers.values() if identifier in one["IdpIdentifiers"]), None
    )


def _mapping(pool: Pool, provider: Json) -> dict[str, str]:
    """Return an attribute mapping, completed.

    Raises:
        CognitoError: it maps an attribute that the pool lacks.
    """
    given: dict[str, str] = provider["AttributeMapping"]
    unknown = [name for name in given if name not in {*pool.settings.schema, "username"}]
    if unknown:
        raise invalid_parameter(
            f"AttributeMapping contains invalid mapping: [{', '.join(unknown)}]"
        )
    username = _USERNAMES.get(provider["ProviderType"])
    return given | ({"username": username} if username else {})


def _unknown(name: str) -> CognitoError:
    return CognitoError("ResourceNotFoundException", f"Identity provider {name} does not exist.")
