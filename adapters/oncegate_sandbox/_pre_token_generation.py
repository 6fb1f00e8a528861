"""The PreTokenGeneration trigger: what it is told, and what it changes in the tokens.

AWS developer guide, "Pre token generation Lambda trigger".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._rules import rule
from oncegate_sandbox._users import User

if TYPE_CHECKING:
    from oncegate_sandbox._state import PoolState

_SOURCE = "AWS developer guide, pre token generation Lambda trigger"

rule(
    "pre-token-versions",
    "PreTokenGeneration gets a V1_0 event, which customizes the ID token, or a V2_0 event, which "
    "also customizes the access token and its scopes. Groups are overridden in both tokens.",
    source=_SOURCE,
)
rule(
    "pre-token-reserved",
    "PreTokenGeneration cannot change the claims that say who issued a token to whom, and when, acr, "
    "amr, and those that begin with cognito:, aws: or dev:.",
    source=_SOURCE,
)
rule(
    "pre-token-suppress",
    "A claim that PreTokenGeneration both overrides and suppresses is suppressed.",
    source=_SOURCE,
)

_RESERVED = frozenset(
    {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "acr", "amr", "nonce", "at_hash"}
    | {"auth_time", "token_use", "origin_jti", "event_id", "identities"}
    | {"username", "client_id", "scope", "device_key", "version"}
)
_RESERVED_PREFIXES = ("cognito:", "aws:", "dev:")
_GROUP_CLAIMS = {
    "groupsToOverride": "cognito:groups",
    "iamRolesToOverride": "cognito:roles",
    "preferredRole": "cognito:preferred_role",
}


@dataclass(frozen=True)
class Claims:
    """The claims of both tokens, before they are signed."""

    access: dict[str, Any]
    identity: dict[str, Any]


def generated(
    pool: PoolState,
    user: User,
    client: AppClient,
    source: str,
    metadata: Mapping[str, str] | None,
    claims: Claims,
) -> Claims:
    """Return the claims as the trigger changes them.

    Args:
        pool: the pool, which has the trigger.
        user: the user of the tokens.
        client: the app client of the request.
        source: ``triggerSource``.
        metadata: ``ClientMetadata`` of the request.
        claims: claims of the tokens before.

    Raises:
        CognitoError: the trigger failed.
    """
    is_first = pool.settings.pre_token_version == "V1_0"
    key = "claimsOverrideDetails" if is_first else "claimsAndScopeOverrideDetails"
    scopes = claims.access["scope"].split()
    response = pool.triggers.run(
        "PreTokenGeneration",
        source=source,
        user=user,
        username=user.username,
        client_id=client.id,
        version=pool.settings.pre_token_version[1],
        request={
            "groupConfiguration": {
                "groupsToOverride": claims.identity.get("cognito:groups", []),
                "iamRolesToOverride": claims.identity.get("cognito:roles", []),
                "preferredRole": claims.identity.get("cognito:preferred_role"),
            },
            "scopes": None if is_first else scopes,
            "clientMetadata": dict(metadata) if metadata else None,
        },
        response={key: None},
    )
    details = response.get(key) or {}
    groups = details.get("groupOverrideDetails") or {}
    identity = details if is_first else details.get("idTokenGeneration") or {}
    access = {} if is_first else details.get("accessTokenGeneration") or {}
    suppressed = set(access.get("scopesToSuppress") or ())
    scopes = [*scopes, *(access.get("scopesToAdd") or ())]
    scope = " ".join(one for one in dict.fromkeys(scopes) if one not in suppressed)
    return Claims(
        access={**_changed(claims.access, access, groups), "scope": scope},
        identity=_changed(claims.identity, identity, groups),
    )


def _changed(
    claims: dict[str, Any], changes: Mapping[str, Any], groups: Mapping[str, Any]
) -> dict[str, Any]:
    changed = dict(claims)
    for member, name in _GROUP_CLAIMS.items():
        is_of_both = name == "cognito:groups"
        if member in groups and (is_of_both or claims["token_use"] == "id"):
            changed.pop(name, None)
            if groups[member]:
                changed[name] = groups[member]
    added = changes.get("claimsToAddOrOverride") or {}
    changed |= {name: value for name, value in added.items() if not _is_reserved(name)}
    for name in changes.get("claimsToSuppress") or ():
        if not _is_reserved(name):
            changed.pop(name, None)
    return changed


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name.startswith(_RESERVED_PREFIXES)
