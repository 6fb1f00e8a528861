"""One app client of one user pool: its ids, its secret, and the boto3 client that speaks for it."""

from __future__ import annotations

import base64
import hmac
import re
from typing import TYPE_CHECKING

from pydantic import SecretStr

from oncegate import Misconfigured
from oncegate_cognito.client import check_client, make_client

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient

# UserPoolIdType and ClientIdType of botocore's service model.
_POOL_ID = re.compile(r"(?P<region>[\w-]+)_(?P<name>[0-9a-zA-Z]+)")
_CLIENT_ID = re.compile(r"[\w+]{1,128}")


class AppClient:
    """What every request needs to know. `CognitoTransport` says what the arguments are.

    Attributes:
        pool_name: the part of the pool id after the underscore, which SRP is about.
        issuer: the ``iss`` of the pool's tokens.

    Raises:
        Misconfigured: an id is malformed, or the client would repeat requests.
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
        signed: bool = False,
    ) -> None:
        pool = _POOL_ID.fullmatch(pool_id)
        if not pool:
            raise Misconfigured("pool_id has to look like eu-west-1_aBcDeFgHi")
        if not _CLIENT_ID.fullmatch(client_id):
            raise Misconfigured("client_id has to be letters and digits")
        self.pool_id = pool_id
        self.pool_name = pool["name"]
        self.client_id = client_id
        self.secret = SecretStr(client_secret) if isinstance(client_secret, str) else client_secret
        host = endpoint_url or f"https://cognito-idp.{pool['region']}.amazonaws.com"
        self.issuer = f"{host.rstrip('/')}/{pool_id}"
        if client is None:
            client = make_client(
                pool["region"],
                endpoint_url,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                signed=signed,
            )
        check_client(client)
        self.boto = client

    def secret_hash(self, username: str) -> str | None:
        """SECRET_HASH (AWS developer guide, "Computing secret hash values"); None without a secret."""
        if self.secret is None:
            return None
        key = self.secret.get_secret_value().encode()
        digest = hmac.digest(key, (username + self.client_id).encode(), "sha256")
        return base64.b64encode(digest).decode()
