"""Tokens: RS256 JWTs with the claims of a user pool, their JWKS, and refresh tokens.

Claims: AWS developer guide, "Understanding the identity (ID) token" and "… the access token".
"""

from __future__ import annotations

import base64
import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
from botocore.endpoint_provider import RuleSetStandardLibrary
from botocore.loaders import Loader
from cryptography.hazmat.primitives.asymmetric import rsa

from oncegate_sandbox._clients import AppClient
from oncegate_sandbox._pre_token_generation import Claims, generated
from oncegate_sandbox._rules import rule
from oncegate_sandbox._users import User
from oncegate_sandbox.errors import DISABLED, CognitoError, not_authorized

if TYPE_CHECKING:
    from oncegate_sandbox._state import PoolState

USER_SCOPE = "aws.cognito.signin.user.admin"

_GUIDE = "AWS developer guide, "
_INVALID = "Invalid Refresh Token."

rule(
    "token-headers",
    "The header of a token has kid and alg only. The kid is standard base64, with '=' and '/'.",
    source="a decoded token, amplify-swift#2588; " + _GUIDE + "understanding the access token",
)
rule(
    "two-signing-keys",
    "Access tokens and ID tokens are signed with different keys; the JWKS has both.",
    source=_GUIDE + "understanding the access token",
)
rule(
    "id-token-booleans",
    "email_verified and phone_number_verified are JSON booleans in ID tokens.",
    source="a decoded token, amplify-swift#2588",
)
rule(
    "id-token-readable-attributes",
    "An ID token has the attributes that the app client can read.",
    source=_GUIDE + "attribute permissions and scopes",
)
rule(
    "token-groups",
    "Both tokens have cognito:groups. The ID token has cognito:roles, and cognito:preferred_role "
    "unless groups of the same precedence have different roles.",
    source=_GUIDE + "adding groups to a user pool",
)
rule(
    "token-scopes",
    "Tokens of the API have the scope aws.cognito.signin.user.admin only; those of managed login the "
    "scopes that were granted, and no ID token without openid.",
    source=_GUIDE + "authorize endpoint, scope",
)
rule(
    "token-scope-attributes",
    "An ID token of managed login has the attributes of its scopes: email, phone, or all with profile, "
    "or with openid alone.",
    source=_GUIDE + "scopes, and the userInfo endpoint",
)
rule(
    "token-managed-login",
    "An ID token of managed login has at_hash and the nonce of the request; the access token has "
    "version 2.",
    source="decoded tokens of managed login: pmill/aws-cognito#34; that version is for these only is "
    "inferred",
    inferred=True,
)
rule(
    "token-identities",
    "The ID token of an identity provider's user has identities, whose values are strings.",
    source="decoded tokens of Google users, in public repositories",
)
rule(
    "token-lifetimes",
    "Each app client has its own lifetimes of access, ID and refresh tokens.",
    source="API reference, CreateUserPoolClient",
)
rule(
    "acr-amr",
    "After a sign-in with TARGET_ACR_VALUES, acr and amr say how the user signed in. They stay the same "
    "when the tokens are refreshed.",
    source=_GUIDE + "authentication levels with ACR and AMR claims",
)
rule(
    "origin-jti",
    "Tokens have origin_jti if the app client can revoke tokens (EnableTokenRevocation).",
    source=_GUIDE + "ending user sessions with token revocation",
)
rule(
    "refresh-invalid",
    "A refresh token that is unknown or of another app client is refused: 'Invalid Refresh Token.'",
    source="a recorded response, aws-sdk-cpp#1789",
)
rule(
    "refresh-device",
    "A refresh token of a tracked device is refused without the key of the device, or if the device "
    "was never confirmed: 'Invalid Refresh Token.'",
    source="amplify-android#2506, aws-sdk-java-v2#3418",
)
rule(
    "refresh-rotation",
    "With rotation, a refresh token is valid once, and again within the grace period.",
    source="API reference, RefreshTokenRotationType",
)
rule(
    "refresh-reuse",
    "A rotated refresh token that is used again revokes the whole sign-in.",
    inferred=True,
)
rule(
    "refresh-user",
    "A refresh for a disabled user fails with 'User is disabled.', for a deleted one with "
    "UserNotFoundException.",
    source="API reference, GetTokensFromRefreshToken, for the second",
    inferred=True,
)
rule(
    "refresh-keeps-auth-time",
    "A refresh changes neither auth_time nor the end of the refresh token.",
    source=_GUIDE + "authentication levels with ACR and AMR claims, for the first",
    inferred=True,
)
rule(
    "revoke-own-client",
    "RevokeToken revokes tokens of the app client that it names, and succeeds for unknown tokens.",
    source=_GUIDE + "ending user sessions with token revocation; RFC 7009, 2.2, for the second",
    inferred=True,
)
rule(
    "revocation-disabled",
    "RevokeToken is refused if the app client has EnableTokenRevocation off: "
    "UnsupportedOperationException. The message is inferred.",
    source="API reference, RevokeToken",
    inferred=True,
)
rule(
    "access-token-words",
    "Bad access tokens are refused in different words: malformed or an ID token, wrong signature, "
    "expired, revoked, without the scope aws.cognito.signin.user.admin.",
    source="public reports that quote the words",
)


@dataclass(frozen=True)
class Authorization:
    """What a user granted to an app client at managed login.

    Attributes:
        scopes: scopes of the access token.
        signed_in_at: Unix time of the sign-in.
        nonce: ``nonce`` of the request, for the first ID token. Default: none.
    """

    scopes: tuple[str, ...]
    signed_in_at: float
    nonce: str | None = field(default=None, repr=False)


@dataclass
class Grant:
    """What one refresh token grants.

    Attributes:
        user: the user who signed in.
        client: the app client of the sign-in.
        event_id: ID of the sign-in that the token comes from. Revocation uses it.
        origin: ``origin_jti`` of the tokens.
        auth_time: Unix time of the sign-in.
        ends: Unix time at which the token expires.
        device_key: key of the device of the sign-in, if any.
        methods: values of ``amr``.
        active_at: Unix time of the sign-in, or of the last refresh.
        session_id: ``SessionId`` of the sign-in.
        rotated_at: Unix time at which another token replaced this one; None if none has.
        authorization: what was granted at managed login; None for a sign-in of the API.
    """

    user: User
    client: AppClient
    event_id: str
    origin: str
    auth_time: int
    ends: float
    device_key: str | None
    methods: tuple[str, ...] = ()
    active_at: float = 0.0
    session_id: str = field(default_factory=lambda: _session_id())
    rotated_at: float | None = None
    authorization: Authorization | None = None


class TokenIssuer:
    """Issues, renews and checks the tokens of one pool.

    Args:
        pool: the pool.
        endpoint_issuer: ``iss`` of the tokens, unless the seed wants AWS's.
        signing_key: RSA key that signs access tokens. Default: the one of this process, made at first
            use. Another one signs ID tokens.

    Attributes:
        most_sessions: sign-ins that a user can have at a time, if the pool tracks sessions; else None.
    """

    def __init__(
        self, pool: PoolState, endpoint_issuer: str, signing_key: rsa.RSAPrivateKey | None = None
    ) -> None:
        self._pool = pool
        self._endpoint_issuer = endpoint_issuer
        self._access_key = signing_key
        self._id_key: rsa.RSAPrivateKey | None = None
        self._access_kid, self._id_kid = _key_id(), _key_id()
        self._grants: dict[str, Grant] = {}
        self._revoked: set[str] = set()
        self.most_sessions: int | None = None

    @property
    def issuer(self) -> str:
        """``iss`` of the tokens."""
        pool = self._pool
        if pool.seed.issuer == "aws":
            return _issuer_at_aws(pool.id, pool.region, pool.settings.issuer_type)
        return self._endpoint_issuer

    def take_keys(self, other: TokenIssuer) -> None:
        """Sign with the keys of another issuer, such as the one of the pool before a reset."""
        self._access_key, self._id_key = other._access_key, other._id_key
        self._access_kid, self._id_kid = other._access_kid, other._id_kid

    def jwks(self) -> dict[str, Any]:
        """Return the public keys in the format of ``/.well-known/jwks.json``."""
        return {"keys": [_public(kid, key) for kid, key in (self._for_id(), self._for_access())]}

    def issue(
        self,
        user: User,
        client: AppClient,
        now: float,
        device_key: str | None = None,
        *,
        source: str = "TokenGeneration_Authentication",
        metadata: Mapping[str, str] | None = None,
        methods: Sequence[str] = (),
        authorization: Authorization | None = None,
    ) -> dict[str, Any]:
        """Return the AuthenticationResult of a new sign-in.

        Args:
            user: the user who signed in.
            client: the app client of the sign-in.
            now: Unix time.
            device_key: key of the user's device, if it is tracked.
            source: ``triggerSource`` of the PreTokenGeneration trigger.
            metadata: ``ClientMetadata`` of the request.
            methods: values of ``amr``, such as ``pwd``, without ``mfa``. Default: none, and then the
                tokens have neither ``amr`` nor ``acr``.
            authorization: what was granted at managed login. Default: none, a sign-in of the API.

        Raises:
            CognitoError: the trigger failed.
        """
        grant = Grant(
            user,
            client,
            event_id=str(uuid.uuid4()),
            origin=str(uuid.uuid4()),
            auth_time=int(authorization.signed_in_at if authorization else now),
            ends=now + client.refresh_token_seconds,
            device_key=device_key,
            methods=tuple(methods),
            active_at=now,
            authorization=authorization,
        )
        self._make_room(user, now)
        nonce = authorization.nonce if authorization else None
        tokens = self._tokens(grant, now, source, metadata, nonce=nonce)
        return {**tokens, "RefreshToken": self._store(grant)}

    def refresh(
        self,
        client: AppClient,
        token: str,
        device_key: str | None,
        now: float,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return the AuthenticationResult of a refresh.

        Args:
            client: the app client of the request.
            token: the refresh token.
            device_key: key of the device that the client named, or None.
            now: Unix time.
            metadata: ``ClientMetadata`` of the request.

        Raises:
            CognitoError: the token is unknown, expired, revoked or replaced, its device or user is
                unusable, or the trigger failed.
        """
        grant = self.grant_of(client, token)
        if grant is None or not self._is_usable(grant, device_key):
            raise not_authorized(_INVALID)
        if self._pool.users.find(grant.user.username) is not grant.user:
            raise CognitoError("UserNotFoundException", "User does not exist.")
        if not grant.user.is_enabled:
            raise not_authorized(DISABLED)
        if grant.event_id in self._revoked:
            raise not_authorized("Refresh Token has been revoked")
        if now >= grant.ends:
            raise not_authorized("Refresh Token has expired")
        grace, rotated_at = client.rotation, grant.rotated_at
        if grace is not None and rotated_at is not None and now > rotated_at + grace:
            self._revoked.add(grant.event_id)
            raise CognitoError("RefreshTokenReuseException", "Refresh token has been invalidated.")
        result = self._tokens(grant, now, "TokenGeneration_RefreshTokens", metadata)
        grant.active_at = now
        if grace is None:
            return result
        grant.rotated_at = now if rotated_at is None else rotated_at
        return {**result, "RefreshToken": self._store(replace(grant, rotated_at=None))}

    def grant_of(self, client: AppClient, token: str) -> Grant | None:
        """Return what a refresh token of an app client grants, valid or not, or None."""
        grant = self._grants.get(token)
        return grant if grant is not None and grant.client is client else None

    def revoke(self, client: AppClient, token: str) -> None:
        """Revoke the sign-in that a refresh token comes from. An unknown token is not an error.

        Raises:
            CognitoError: the app client has EnableTokenRevocation off, or the token is an access or
                ID token.
        """
        if not client.revokes_tokens:
            raise CognitoError(
                "UnsupportedOperationException", "Token revocation is not enabled for this client."
            )
        if token.count(".") == 2:
            raise CognitoError("UnsupportedTokenTypeException", "Unsupported token type.")
        if grant := self.grant_of(client, token):
            self._revoked.add(grant.event_id)

    def sign_ins_of(self, user: User, now: float) -> list[Grant]:
        """Return the sign-ins of a user that go on, each with its newest grant."""
        found: dict[str, Grant] = {}
        for grant in self._grants.values():
            goes_on = grant.event_id not in self._revoked and now < grant.ends
            if goes_on and grant.user is user:
                found[grant.event_id] = grant
        return list(found.values())

    def revoke_sign_in(self, grant: Grant) -> None:
        """Revoke all tokens of a sign-in."""
        self._revoked.add(grant.event_id)

    def _make_room(self, user: User, now: float) -> None:
        """End the sign-in that was used least recently, if the user may have no further one."""
        sign_ins = self.sign_ins_of(user, now) if self.most_sessions else []
        if self.most_sessions and len(sign_ins) >= self.most_sessions:
            self.revoke_sign_in(min(sign_ins, key=lambda grant: grant.active_at))

    def revoke_all(self, user: User) -> None:
        """Revoke every sign-in of a user."""
        self._revoked |= {grant.event_id for grant in self._grants.values() if grant.user is user}

    def claims_of(
        self, access_token: str, now: float, *, scope: str = USER_SCOPE
    ) -> dict[str, Any]:
        """Return the claims of an access token, after checking it.

        Args:
            access_token: the token.
            now: Unix time.
            scope: scope that it must have. Default: that of the API's operations.

        Raises:
            CognitoError: the token is invalid, expired, revoked, or lacks the scope.
        """
        kid, key = self._for_access()
        try:
            token = jwt.decode_complete(access_token, options={"verify_signature": False})
            claims: dict[str, Any] = token["payload"]
            is_ours = token["header"].get("kid") == kid and claims.get("iss") == self.issuer
            if not is_ours or claims.get("token_use") != "access":
                raise jwt.InvalidTokenError
            jwt.decode(
                access_token,
                key.public_key(),
                algorithms=["RS256"],
                # PyJWT compares with the system clock; the sandbox's clock can be ahead of it.
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.InvalidSignatureError:
            raise not_authorized("Could not verify signature for Access Token") from None
        except jwt.InvalidTokenError:
            raise not_authorized("Invalid Access Token") from None
        if claims["exp"] <= now:
            raise not_authorized("Access Token has expired")
        if claims["event_id"] in self._revoked:
            raise not_authorized("Access Token has been revoked")
        if scope not in claims.get("scope", "").split():
            raise not_authorized("Access Token does not have required scopes")
        return claims

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a JWT of any claims, with a new ``jti``: with the key for their ``token_use``."""
        kid, key = self._for_id() if claims.get("token_use") == "id" else self._for_access()
        claims = {**claims, "jti": str(uuid.uuid4())}
        # PyJWT adds "typ" unless it is empty.
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid, "typ": ""})

    def _for_access(self) -> tuple[str, rsa.RSAPrivateKey]:
        return self._access_kid, self._access_key or _keys_of_process()[0]

    def _for_id(self) -> tuple[str, rsa.RSAPrivateKey]:
        return self._id_kid, self._id_key or _keys_of_process()[1]

    def _is_usable(self, grant: Grant, device_key: str | None) -> bool:
        if not grant.device_key:
            return True
        device = self._pool.devices.get(grant.device_key, grant.user)
        return grant.device_key == device_key and bool(device and device.verifier)

    def _store(self, grant: Grant) -> str:
        token = secrets.token_urlsafe(1100)
        self._grants[token] = grant
        return token

    def _tokens(
        self,
        grant: Grant,
        now: float,
        source: str,
        metadata: Mapping[str, str] | None,
        *,
        nonce: str | None = None,
    ) -> dict[str, Any]:
        at, user, client, granted = int(now), grant.user, grant.client, grant.authorization
        scopes = granted.scopes if granted else (USER_SCOPE,)
        common = {
            "sub": user.sub,
            "iss": self.issuer,
            "event_id": grant.event_id,
            "auth_time": grant.auth_time,
            "iat": at,
        }
        if client.revokes_tokens:
            common["origin_jti"] = grant.origin
        if grant.methods:
            common |= _levels(grant.methods)
        groups = sorted(user.groups, key=lambda group: group.rank)
        if groups:
            common["cognito:groups"] = [group.name for group in groups]
        access = {
            **common,
            "exp": at + int(client.access_token_seconds),
            "client_id": client.id,
            "token_use": "access",
            "scope": " ".join(scopes),
            **({"version": 2} if granted else {}),
            "username": user.username,
            **({"device_key": grant.device_key} if grant.device_key else {}),
        }
        identity = {
            **_attributes(user, client, scopes if granted else ()),
            **common,
            **_roles(user),
            "exp": at + int(client.id_token_seconds),
            "aud": client.id,
            "token_use": "id",
            "cognito:username": user.username,
            **({"nonce": nonce} if nonce else {}),
        }
        claims = Claims(access=access, identity=identity)
        if self._pool.triggers.has("PreTokenGeneration"):
            claims = generated(self._pool, user, client, source, metadata, claims)
        access_token = self.sign(claims.access)
        if granted:
            claims.identity["at_hash"] = _half_hash(access_token)
        has_id_token = granted is None or "openid" in granted.scopes
        return {
            "AccessToken": access_token,
            **({"IdToken": self.sign(claims.identity)} if has_id_token else {}),
            "ExpiresIn": int(client.access_token_seconds),
            "TokenType": "Bearer",
        }


def readable_attributes(user: User, client: AppClient, scopes: Sequence[str]) -> dict[str, str]:
    """Return the attributes that an app client can read, except ``identities``.

    Args:
        user: the user.
        client: the app client.
        scopes: scopes that were granted at managed login; none for the API, which returns all.
    """
    limited = {name for scope in scopes for name in _SCOPE_ATTRIBUTES.get(scope, ())}
    allows_all = "profile" in scopes or not limited
    can_read = client.read_attributes
    return {
        name: value
        for name, value in user.attributes.items()
        if name != "identities"
        and (can_read is None or name in can_read)
        and (allows_all or name in limited)
    }


_SCOPE_ATTRIBUTES = {
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
}


def _attributes(user: User, client: AppClient, scopes: Sequence[str]) -> dict[str, Any]:
    """Return the attributes that an ID token has."""
    found: dict[str, Any] = dict(readable_attributes(user, client, scopes))
    for name in ("email_verified", "phone_number_verified"):
        if name in found:
            found[name] = found[name] == "true"
    if "identities" in user.attributes:
        found["identities"] = [
            {name: value if value is None else _as_text(value) for name, value in one.items()}
            for one in json.loads(user.attributes["identities"])
        ]
    return found


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _half_hash(access_token: str) -> str:
    """Return ``at_hash``: OpenID Connect Core 1.0, 3.1.3.6."""
    algorithm = jwt.get_algorithm_by_name("RS256")
    digest = algorithm.compute_hash_digest(access_token.encode())
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _roles(user: User) -> dict[str, Any]:
    """Return the claims about the IAM roles of a user's groups."""
    ranked = sorted((g for g in user.groups if g.role_arn), key=lambda group: group.rank)
    if not ranked:
        return {}
    claims: dict[str, Any] = {"cognito:roles": list(dict.fromkeys(g.role_arn for g in ranked))}
    first = {g.role_arn for g in ranked if g.precedence == ranked[0].precedence}
    if len(first) == 1:
        claims["cognito:preferred_role"] = ranked[0].role_arn
    return claims


_LEVELS = (
    (4, frozenset({"pwd", "otp"})),
    (3, frozenset({"hwk"})),
    (3, frozenset({"swk"})),
    (3, frozenset({"pwd", "sms"})),
    (3, frozenset({"pwd", "email_otp"})),
    (2, frozenset({"sms"})),
    (2, frozenset({"email_otp"})),
    (1, frozenset({"pwd"})),
)
"""Levels and the methods that reach them, the highest first (see the rule ``acr-amr``)."""


def _levels(methods: Sequence[str]) -> dict[str, Any]:
    """Return ``acr`` and ``amr``."""
    level = next((number for number, needed in _LEVELS if needed <= set(methods)), None)
    more = ["mfa"] if len(set(methods)) > 1 else []
    claims: dict[str, Any] = {"amr": [*methods, *more]}
    return claims | ({"acr": f"urn:cognito:loa:{level}"} if level else {})


def _issuer_at_aws(pool_id: str, region: str, issuer_type: str) -> str:
    """Return ``iss`` of a pool at AWS: IssuerConfigurationType of the service model."""
    partition = RuleSetStandardLibrary(Loader().load_data("partitions")).aws_partition(region)
    service = "issuer-cognito-idp" if issuer_type == "UPDATED" else "cognito-idp"
    return f"https://{service}.{region}.{partition['dnsSuffix']}/{pool_id}"


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _keys_of_process() -> tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]:
    """Return the keys of all pools of this process: making two for each would take 0.2 seconds."""
    return _new_key(), _new_key()


def _session_id() -> str:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return "tkn" + "".join(secrets.choice(letters) for _ in range(25))


def _key_id() -> str:
    while "/" not in (kid := base64.b64encode(secrets.token_bytes(32)).decode()):
        pass
    return kid


def _public(kid: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {
        "alg": "RS256",
        "e": public["e"],
        "kid": kid,
        "kty": "RSA",
        "n": public["n"],
        "use": "sig",
    }
