"""The boto3 client: it sends each request once, over TLS, and no log shows what it sends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import botocore
from boto3.session import Session
from botocore.config import Config

from oncegate import Misconfigured
from oncegate.adapters import THREADS

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient

_IS_OUR_CALL: Final = ContextVar("_IS_OUR_CALL", default=False)
# Their DEBUG lines have the request's and the response's body, and the URL.
_LOGGERS: Final = ("botocore", "urllib3")


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


def check_endpoint(url: str) -> None:
    """Check that passwords, codes and tokens reach an endpoint over TLS, or stay on this machine.

    OWASP ASVS 5.0, 12.3.1.

    Args:
        url: URL of a Cognito.

    Raises:
        Misconfigured: it is neither https, nor http on a loopback address.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise Misconfigured("endpoint_url is not a URL") from None
    if host and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        return
    raise Misconfigured(
        f"the endpoint has to be https, and is {parts.scheme or 'without a scheme'}: passwords, codes "
        "and tokens would cross the network in plain. It comes from endpoint_url=, from the client, or "
        "from AWS_ENDPOINT_URL and the AWS configuration. For a local Cognito on another host of a "
        "trusted network, pass allow_insecure_endpoint=True"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def unlogged(client: CognitoIdentityProviderClient) -> CognitoIdentityProviderClient:
    """Return a client whose calls leave no line below WARNING in a log, whatever the log's level.

    At DEBUG, botocore logs passwords, codes and tokens. Other boto3 calls of the application are
    logged as before. OWASP ASVS 5.0, 16.2.5.

    Args:
        client: client that performs the calls.
    """
    return cast("CognitoIdentityProviderClient", _Unlogged(client))


class _Unlogged:
    def __init__(self, client: CognitoIdentityProviderClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return partial(_call, found) if callable(found) else found


def _call(operation: Callable[..., Any], **request: Any) -> Any:
    _add_filter()
    before = _IS_OUR_CALL.set(True)
    try:
        return operation(**request)
    finally:
        _IS_OUR_CALL.reset(before)


class _OnlyWarnings(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or not _IS_OUR_CALL.get()


_ONLY_WARNINGS: Final = _OnlyWarnings()


def _add_filter() -> None:
    # A filter is not inherited, so each logger needs it. For each call, because botocore makes some
    # loggers late; it takes about 10 µs. `list`: another thread can make a logger meanwhile.
    for name, made in list(logging.root.manager.loggerDict.items()):
        if name.partition(".")[0] in _LOGGERS and isinstance(made, logging.Logger):
            made.addFilter(_ONLY_WARNINGS)  # does nothing if it is there
