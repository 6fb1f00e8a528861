"""One app client of one user pool: its IDs, its secret, and a boto3 client for it."""

from __future__ import annotations

import base64
import hmac
import re
from typing import TYPE_CHECKING

from pydantic import SecretStr

from oncegate import Misconfigured
from oncegate.adapters import check_flag, check_seconds
from oncegate_cognito._boto import check_client, check_endpoint, make_client, unlogged
from oncegate_cognito._connections import limit_connections
from oncegate_cognito._context import ContextSettings, SentContext
from oncegate_cognito._oauth import ManagedLoginClient
from oncegate_cognito._set_up_log import SetUpLog
from oncegate_cognito.managed_login import ManagedLogin

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient

# UserPoolIdType and ClientIdType of botocore's service model.
_POOL_ID = re.compile(r"(?P<region>[\w-]+)_(?P<name>[0-9a-zA-Z]+)")
_CLIENT_ID = re.compile(r"[\w+]{1,128}")
_REGION = re.compile(r"local|[a-z]{2,8}(-[a-z]+){1,4}-[0-9]{1,2}")  # cognito-local has "local"


class AppClient:
    """An app client with its boto3 client.

    Args:
        pool_id: user pool ID, such as ``eu-west-1_aBcDeFgHi``.
        client_id: app client ID.
        client_secret: app client secret; None for a client without one.
        endpoint_url: URL of a local Cognito. None: Cognito itself.
        connect_timeout: limit for opening a connection, in seconds.
        read_timeout: limit for the wait between two packets of a response, in seconds.
        client: boto3 client to use instead of a new one.
        allow_insecure_endpoint: whether the endpoint may be http on another host.
        signed: whether a new client signs its requests.
        region: AWS region. None: the one in the pool ID.
        context: what is sent beside the operations' own arguments.
        managed_login: the pool's domain, if users sign in there.

    Attributes:
        pool_name: part of the pool ID after the underscore; SRP hashes it.
        boto: boto3 client whose calls keep to the limit in force, and leave no DEBUG lines.
        sent_context: makes what is sent beside the operations' own arguments.
        managed_login: this app client at the pool's domain; None if users do not sign in there.
        read_timeout: limit for the wait for a response, in seconds.
        set_up_log: logs wrong set-ups that a flow or a session tells in other words.

    Raises:
        Misconfigured: an ID, the secret or the region is missing or malformed, the client would repeat
            requests or cannot be given a limit, or the endpoint is not a URL, or http on another host
            and that is not allowed.
        MissingExtra: managed login needs Authlib, and it is not installed.
    """

    def __init__(
        self,
        *,
        pool_id: str,
        client_id: str,
        client_secret: str | SecretStr | None,
        endpoint_url: str | None,
        connect_timeout: float,
        read_timeout: float,
        client: CognitoIdentityProviderClient | None,
        allow_insecure_endpoint: bool = False,
        signed: bool = False,
        region: str | None = None,
        context: ContextSettings | None = None,
        managed_login: ManagedLogin | None = None,
    ) -> None:
        own_region, self.pool_name = parse_pool_id(pool_id)
        check_client_id(client_id)
        self.pool_id = pool_id
        self.client_id = client_id
        self.secret = checked_secret(client_secret)
        if region is None and not _REGION.fullmatch(own_region):
            raise Misconfigured(
                "pool_id has to begin with an AWS region, as in eu-west-1_aBcDeFgHi"
            )
        self.region = checked_region(region) or own_region
        self.endpoint_url = endpoint_url
        self.allow_insecure_endpoint = allow_insecure_endpoint
        self.read_timeout = read_timeout
        self.set_up_log = SetUpLog()
        check_flag("allow_insecure_endpoint", allow_insecure_endpoint)
        if endpoint_url is not None:
            check_endpoint(endpoint_url, allow_insecure=allow_insecure_endpoint)
        check_seconds("connect_timeout", connect_timeout)
        check_seconds("read_timeout", read_timeout)
        if client is None:
            client = make_client(
                self.region,
                endpoint_url,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                signed=signed,
            )
        check_client(client)
        # Where requests go: a client that was given, or AWS_ENDPOINT_URL, can have its own endpoint.
        effective = getattr(client.meta, "endpoint_url", None)  # a double may have none
        if effective:
            check_endpoint(effective, allow_insecure=allow_insecure_endpoint)
        limit_connections(client)
        self.sent_context = SentContext(client, context or ContextSettings())
        self.boto = unlogged(client)
        self.managed_login: ManagedLoginClient | None = None
        if managed_login is not None:
            self.managed_login = ManagedLoginClient(
                managed_login,
                client_id=client_id,
                secret=self.secret,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                proxies=getattr(client.meta.config, "proxies", None),
                allow_insecure=allow_insecure_endpoint,
            )

    def secret_hash(self, username: str) -> str | None:
        """Return the SECRET_HASH for a username; None for a client without a secret.

        AWS developer guide, "Computing secret hash values".
        """
        if self.secret is None:
            return None
        key = self.secret.get_secret_value().encode()
        digest = hmac.digest(key, (username + self.client_id).encode(), "sha256")
        return base64.b64encode(digest).decode()


def parse_pool_id(pool_id: str) -> tuple[str, str]:
    """Return the region and the name in a user pool ID.

    Raises:
        Misconfigured: it is missing or malformed.
    """
    pool = _POOL_ID.fullmatch(pool_id) if isinstance(pool_id, str) else None
    if not pool:
        raise Misconfigured(f"pool_id has to look like eu-west-1_aBcDeFgHi{_if_unset(pool_id)}")
    return pool["region"], pool["name"]


def check_client_id(client_id: str) -> None:
    """Raise `Misconfigured` if an app client ID is missing or malformed."""
    if not (isinstance(client_id, str) and _CLIENT_ID.fullmatch(client_id)):
        raise Misconfigured(f"client_id has to be letters and digits{_if_unset(client_id)}")


def checked_secret(secret: str | SecretStr | None) -> SecretStr | None:
    """Return an app client secret; None for a client without one.

    Raises:
        Misconfigured: it is empty, as from a variable that is not set, or has blanks around it, as
            from a file. Cognito would refuse each hash with it.
    """
    if secret is None:
        return None
    if not isinstance(secret, (str, SecretStr)):
        raise Misconfigured("client_secret has to be text, or None for an app client without one")
    text = secret if isinstance(secret, str) else secret.get_secret_value()
    if not text:
        raise Misconfigured(
            "client_secret is empty: set the variable that it comes from, or pass None for an app "
            "client without a secret"
        )
    if text != text.strip():
        raise Misconfigured("client_secret has blanks or a line end around it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Misconfigured("client_secret is not valid Unicode") from None
    return SecretStr(text)


def checked_region(region: str | None) -> str | None:
    """Return an AWS region, or None; raise `Misconfigured` if it is none."""
    if region is None or (isinstance(region, str) and _REGION.fullmatch(region)):
        return region
    raise Misconfigured(f"region has to look like eu-west-1{_if_unset(region)}")


def _if_unset(value: object) -> str:
    return "" if value else ": is the variable set that it comes from?"
