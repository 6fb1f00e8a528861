"""The boto3 client: configured to send each request once, and checked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import botocore
from boto3.session import Session
from botocore.config import Config

from oncegate import Misconfigured
from oncegate.adapters import THREADS

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient


def make_client(
    region: str,
    endpoint_url: str | None,
    *,
    connect_timeout: float,
    read_timeout: float,
    signed: bool = False,
) -> CognitoIdentityProviderClient:
    """Make a client that sends every request once.

    ``total_max_attempts`` in the configuration overrides AWS_MAX_ATTEMPTS and AWS_RETRY_MODE in the
    environment.

    Args:
        region: AWS region, such as ``eu-west-1``.
        endpoint_url: URL of a local Cognito. None: Cognito itself.
        connect_timeout: limit for opening a connection, in seconds.
        read_timeout: limit for the wait between two packets of a response, in seconds.
        signed: whether to sign requests with the credentials that boto3 finds. The public operations
            need none.
    """
    config = Config(
        signature_version=None if signed else botocore.UNSIGNED,
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        max_pool_connections=THREADS,  # one for each thread that waits for a response
        tcp_keepalive=True,
        user_agent_extra="oncegate",
    )
    # A session of our own: boto3's default session is not safe to make clients from on many threads.
    return Session(region_name=region).client(
        "cognito-idp", region_name=region, endpoint_url=endpoint_url, config=config
    )


def check_client(client: CognitoIdentityProviderClient) -> None:
    """Check that a client sends every request once.

    Raises:
        Misconfigured: it makes more than one attempt, so a lost response would send a second code.
    """
    retries = getattr(client.meta.config, "retries", None) or {}
    if retries.get("total_max_attempts") != 1:
        raise Misconfigured(
            "this client repeats requests, and each repetition can send another code; make it with "
            'Config(retries={"mode": "standard", "total_max_attempts": 1})'
        )
