"""App clients of a user pool: their configuration, what it means, and their secrets."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from oncegate_sandbox._rules import rule
from oncegate_sandbox._wire import Json
from oncegate_sandbox.errors import invalid_parameter
from oncegate_sandbox.seed import PoolSeed

_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
_DEFAULT_FLOWS = frozenset({"ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH"})
_HOUR, _DAY = 3600.0, 86400.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}

rule(
    "token-validity",
    "Access and ID tokens are valid for 5 minutes to a day, and no longer than the refresh token; "
    "refresh tokens for an hour to ten years: else InvalidParameterException, 'Invalid range for token "
    "validity.'.",
    source="API reference, CreateUserPoolClient; terraform-provider-aws#32504, "
    "aws-cloudformation-user-guide#828",
)
rule(
    "default-auth-flows",
    "A client without ExplicitAuthFlows has SRP, custom authentication and refresh tokens.",
    source="API reference, CreateUserPoolClient",
)
rule(
    "mixed-auth-flows",
    "Older values of ExplicitAuthFlows together with ALLOW_ ones are an InvalidParameterException.",
    source="API reference, CreateUserPoolClient; its words are inferred",
    inferred=True,
)
rule(
    "callback-any-port",
    "If the seed names no callback and sign-out URLs, those of localhost and 127.0.0.1 are allowed, "
    "with any port and path, unlike in Cognito.",
    source="a convenience of the sandbox",
)
rule(
    "two-secrets",
    "A client has up to two live secrets, and each is accepted. The ID of a secret is "
    "<client-id>--<epoch-create-time>; only a generated value is returned, and only once.",
    source="API reference, AddUserPoolClientSecret, ClientSecretDescriptorType",
)


@dataclass(frozen=True)
class ClientSecret:
    """One secret of an app client.

    Attributes:
        value: the secret itself.
        id: ID of the secret, by which it is deleted.
        created_at: Unix time.
    """

    value: str = field(repr=False)
    id: str
    created_at: float


@dataclass
class AppClient:
    """One app client.

    Attributes:
        id: app client ID.
        name: name of the client.
        created_at: Unix time.
        modified_at: Unix time.
        secrets: the live secrets, oldest first; none for a public client.
        configuration: settings as DescribeUserPoolClient returns them.
        auth_flows: ExplicitAuthFlows of the client; None if the client can use every flow.
        access_token_seconds: lifetime of access tokens in seconds.
        id_token_seconds: lifetime of ID tokens in seconds.
        refresh_token_seconds: lifetime of refresh tokens in seconds.
        auth_session_seconds: lifetime of a challenge's session in seconds.
        prevents_user_existence_errors: whether responses hide that a user is unknown.
        rotation: seconds for which a replaced refresh token stays valid; None if refresh tokens do
            not rotate.
        revokes_tokens: whether RevokeToken works, and access tokens carry ``origin_jti``.
        read_attributes: attributes that the client can read; None for all.
        write_attributes: attributes that the client can write; None for all.
        uses_managed_login: whether the client can use managed login's endpoints
            (AllowedOAuthFlowsUserPoolClient).
        oauth_flows: AllowedOAuthFlows.
        oauth_scopes: AllowedOAuthScopes.
        providers: SupportedIdentityProviders; ``COGNITO`` is the pool itself.
        callback_urls: CallbackURLs; None for every URL of a loopback host.
        logout_urls: LogoutURLs; None for every URL of a loopback host.
    """

    id: str
    name: str = ""
    created_at: float = 0.0
    modified_at: float = 0.0
    secrets: list[ClientSecret] = field(default_factory=list)
    configuration: Json = field(default_factory=dict)
    auth_flows: frozenset[str] | None = None
    access_token_seconds: float = _HOUR
    id_token_seconds: float = _HOUR
    refresh_token_seconds: float = 30 * _DAY
    auth_session_seconds: float = 180.0
    prevents_user_existence_errors: bool = True
    rotation: float | None = None
    revokes_tokens: bool = True
    read_attributes: frozenset[str] | None = None
    write_attributes: frozenset[str] | None = None
    uses_managed_login: bool = False
    oauth_flows: tuple[str, ...] = ()
    oauth_scopes: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    callback_urls: tuple[str, ...] | None = ()
    logout_urls: tuple[str, ...] | None = ()

    @classmethod
    def of(cls, seed: PoolSeed, now: float) -> AppClient:
        """Return the app client of a seed."""
        client = cls(seed.client_id, created_at=now)
        existence = "ENABLED" if seed.prevent_user_existence_errors else "LEGACY"
        configuration: Json = {
            "ClientName": "sandbox",
            "PreventUserExistenceErrors": existence,
            "RefreshTokenRotation": {
                "Feature": "ENABLED" if seed.refresh_rotation else "DISABLED",
                "RetryGracePeriodSeconds": _number(seed.rotation_grace_seconds),
            },
            "AuthSessionValidity": _number(seed.auth_session_minutes),
            "AllowedOAuthFlowsUserPoolClient": True,
            "AllowedOAuthFlows": ["code"],
            "AllowedOAuthScopes": list(seed.oauth_scopes),
            "SupportedIdentityProviders": ["COGNITO", *seed.providers],
        }
        if seed.callback_urls is not None:
            configuration["CallbackURLs"] = list(seed.callback_urls)
        if seed.logout_urls is not None:
            configuration["LogoutURLs"] = list(seed.logout_urls)
        if seed.auth_flows is not None:
            configuration["ExplicitAuthFlows"] = list(seed.auth_flows)
        client.configure(configuration, now)
        if seed.auth_flows is None:
            client.auth_flows = None
        if seed.callback_urls is None:
            client.callback_urls = None
        if seed.logout_urls is None:
            client.logout_urls = None
        if seed.client_secret:
            client.add_secret(seed.client_secret.get_secret_value(), now)
        return client

    @property
    def has_secret(self) -> bool:
        """Whether the client has a secret."""
        return bool(self.secrets)

    def add_secret(self, value: str, now: float) -> ClientSecret:
        """Add a secret that is accepted from now on."""
        created = int(now)
        while any(secret.id == f"{self.id}--{created}" for secret in self.secrets):
            created += 1
        secret = ClientSecret(value, f"{self.id}--{created}", now)
        self.secrets.append(secret)
        return secret

    def configure(self, configuration: Json, now: float) -> None:
        """Set the client's configuration. What it lacks gets Cognito's defaults.

        Args:
            configuration: members of CreateUserPoolClient.
            now: Unix time.

        Raises:
            CognitoError: a lifetime is out of range, or the flows do not fit together.
        """
        access = _seconds(configuration, "AccessToken", 1, "hours")
        identity = _seconds(configuration, "IdToken", 1, "hours")
        refresh = _seconds(configuration, "RefreshToken", 30, "days")
        is_valid = (
            min(access, identity) >= 300
            and max(access, identity) <= min(_DAY, refresh)
            and _HOUR <= refresh <= 3650 * _DAY
        )
        if not is_valid:
            raise invalid_parameter("Invalid range for token validity.")
        self.auth_flows = _flows(configuration.get("ExplicitAuthFlows"))
        self.access_token_seconds, self.id_token_seconds = access, identity
        self.refresh_token_seconds = refresh
        self.auth_session_seconds = configuration.get("AuthSessionValidity", 3) * 60.0
        existence = configuration.get("PreventUserExistenceErrors", "LEGACY")
        self.prevents_user_existence_errors = existence == "ENABLED"
        rotation = configuration.get("RefreshTokenRotation", {})
        is_rotating = rotation.get("Feature") == "ENABLED"
        self.rotation = rotation.get("RetryGracePeriodSeconds", 0) if is_rotating else None
        self.revokes_tokens = configuration.get("EnableTokenRevocation", True)
        self.read_attributes = _names(configuration.get("ReadAttributes"))
        self.write_attributes = _names(configuration.get("WriteAttributes"))
        self.uses_managed_login = configuration.get("AllowedOAuthFlowsUserPoolClient", False)
        self.oauth_flows = tuple(configuration.get("AllowedOAuthFlows", ()))
        self.oauth_scopes = tuple(configuration.get("AllowedOAuthScopes", ()))
        self.providers = tuple(configuration.get("SupportedIdentityProviders", ()))
        self.callback_urls = tuple(configuration.get("CallbackURLs", ()))
        self.logout_urls = tuple(configuration.get("LogoutURLs", ()))
        self.name = configuration["ClientName"]
        self.configuration, self.modified_at = configuration, now


def is_registered(url: str, registered: tuple[str, ...] | None) -> bool:
    """Whether a URL is among the registered ones, character by character.

    Args:
        url: URL that a request names.
        registered: URLs of the app client; None for every URL of a loopback host.
    """
    if registered is not None:
        return url in registered
    try:
        parts = urlsplit(url)
        is_loopback, _ = parts.hostname in _LOOPBACK, parts.port
    except ValueError:
        return False
    return is_loopback and parts.scheme in {"http", "https"}


def new_secret() -> str:
    """Return a random secret of 51 characters, as Cognito's are."""
    return secrets.token_hex(26)[:51]


def _number(value: float) -> float:
    """Return a whole number as an integer, as the service model has it. Seeds allow fractions."""
    return int(value) if value == int(value) else value


def _seconds(configuration: Json, token: str, default: int, default_unit: str) -> float:
    """Return the lifetime of a token in seconds. Zero means the default."""
    unit = configuration.get("TokenValidityUnits", {}).get(token, default_unit)
    given = configuration.get(f"{token}Validity")
    return float(given * _UNITS[unit] if given else default * _UNITS[default_unit])


def _flows(given: list[str] | None) -> frozenset[str]:
    if not given:
        return _DEFAULT_FLOWS
    if len({flow.startswith("ALLOW_") for flow in given}) > 1:
        raise invalid_parameter(
            "Explicit auth flows with the prefix ALLOW_ cannot be combined with older ones."
        )
    return frozenset(given)


def _names(given: list[str] | None) -> frozenset[str] | None:
    return frozenset(given) if given else None
