"""One app client of one user pool: its IDs, its secret, and a boto3 client for it."""

from __future__ import annotations

import base64
import hmac
import re
from typing import TYPE_CHECKING

from pydantic import SecretStr

from oncegate import Misconfigured
from oncegate_cognito._boto import check_client, check_endpoint, make_client, unlogged
from oncegate_cognito._connections import limit_connections

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient

# UserPoolIdType and ClientIdType of botocore's service model.
_POOL_ID = re.compile(r"(?P<region>[\w-]+)_(?P<name>[0-9a-zA-Z]+)")
_CLIENT_ID = re.compile(r"[\w+]{1,128}")


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

    Attributes:
        pool_name: part of the pool ID after the underscore; SRP hashes it.
        boto: boto3 client whose calls keep to the limit in force, and leave no DEBUG lines.

    Raises:
        Misconfigured: an ID is malformed, the client would repeat requests or cannot be given a
            limit, or the endpoint is http on another host and that is not allowed.
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
    ) -> None:
        region, self.pool_name = parse_pool_id(pool_id)
        if not _CLIENT_ID.fullmatch(client_id):
            raise Misconfigured("client_id has to be letters and digits")
        self.pool_id = pool_id
        self.client_id = client_id
        self.secret = SecretStr(client_secret) if isinstance(client_secret, str) else client_secret
        self.endpoint_url = endpoint_url
        self.allow_insecure_endpoint = allow_insecure_endpoint
        if endpoint_url is not None and not allow_insecure_endpoint:
            check_endpoint(endpoint_url)
        if client is None:
            client = make_client(
                region,
                endpoint_url,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                signed=signed,
            )
        check_client(client)
        # Where requests go: a client that was given, or AWS_ENDPOINT_URL, can have its own endpoint.
        effective = getattr(client.meta, "endpoint_url", None)  # a double may have none
        if effective and not allow_insecure_endpoint:
            check_endpoint(effective)
        limit_connections(client)
        self.boto = unlogged(client)

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
        Misconfigured: it is malformed.
    """
    pool = _POOL_ID.fullmatch(pool_id)
    if not pool:
        raise Misconfigured("pool_id has to look like eu-west-1_aBcDeFgHi")
    return pool["region"], pool["name"]


def issuer_of(pool_id: str, endpoint_url: str | None) -> str:
    """Return the ``iss`` of a pool's tokens; raises what `parse_pool_id` raises.

    Args:
        pool_id: user pool ID.
        endpoint_url: URL of a local Cognito. None: Cognito itself.
    """
    region, _ = parse_pool_id(pool_id)
    host = endpoint_url or f"https://cognito-idp.{region}.amazonaws.com"
    return f"{host.rstrip('/')}/{pool_id}"
