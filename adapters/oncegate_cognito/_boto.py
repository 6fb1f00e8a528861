"""The boto3 client: it sends each request once, over TLS, and no log shows what it sends."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from ipaddress import ip_address
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import botocore
from boto3.session import Session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session as BotoSession
from urllib3.exceptions import SSLError as TLSError

from oncegate import Misconfigured
from oncegate.adapters import THREADS
from oncegate_cognito._deadlines import CallLimit, current_limit, run_in_time
from oncegate_cognito.errors import NEVER_SENT, MalformedResponse, NeverSent

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient

_IS_OUR_CALL: Final = ContextVar("_IS_OUR_CALL", default=False)
# Their DEBUG lines have the request's and the response's body, and the URL.
_LOGGERS: Final = ("botocore", "urllib3")
_NO_ENDPOINT: Final = (
    "the endpoint has no scheme or no host: it has to be a URL such as https://cognito.example or "
    "http://localhost:9300. It comes from endpoint_url=, from the client, or from AWS_ENDPOINT_URL and "
    "the AWS configuration"
)
_FILES: Final = ("config_file", "credentials_file")
"""Variables of a session of botocore's."""


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
            need none, so a profile that does not exist or cannot be read does not matter to them.

    Raises:
        Misconfigured: the AWS configuration or the environment has a profile that does not exist, an
            endpoint that is no URL, or the like.
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
    arguments: Any = {"region_name": region, "endpoint_url": endpoint_url, "config": config}
    try:
        try:
            # A session of our own: boto3's is not safe to make clients from on many threads.
            return Session(region_name=region).client("cognito-idp", **arguments)
        except BotoCoreError:  # such as ProfileNotFound
            if signed:
                raise
            return _without_files(region).client("cognito-idp", **arguments)
    except (BotoCoreError, OSError) as error:  # an OSError: there is no such credential_process
        problem = f"the AWS configuration cannot be used: {error}"
    except ValueError as error:  # its message quotes the endpoint, which may have a password
        is_endpoint = str(error).startswith("Invalid endpoint")
        problem = _NO_ENDPOINT if is_endpoint else "the AWS configuration cannot be used"
    raise Misconfigured(problem)


def _without_files(region: str) -> Session:
    """Return a session that reads no profile and no file of the AWS configuration."""
    nothing = dict.fromkeys(_FILES, (None, None, os.devnull, None))
    without = {**nothing, "profile": (None, None, None, None)}
    return Session(region_name=region, botocore_session=BotoSession(session_vars=without))


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


def check_endpoint(url: str, *, allow_insecure: bool = False) -> None:
    """Check that passwords, codes and tokens reach an endpoint over TLS, or stay on this machine.

    OWASP ASVS 5.0, 12.3.1.

    Args:
        url: URL of a Cognito.
        allow_insecure: whether it may be http on any host.

    Raises:
        Misconfigured: it is neither https, nor http on a loopback address.
    """
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise Misconfigured("endpoint_url is not a URL") from None
    if not host or parts.scheme not in {"http", "https"}:
        raise Misconfigured(_NO_ENDPOINT)
    if parts.scheme == "http" and not allow_insecure and not is_loopback(host):
        raise Misconfigured(
            "the endpoint has to be https, and is http: passwords, codes and tokens would cross the "
            "network in plain. It comes from endpoint_url=, from the client, or from AWS_ENDPOINT_URL "
            "and the AWS configuration. For a local Cognito on another host of a trusted network, pass "
            "allow_insecure_endpoint=True, or set ALLOW_INSECURE_ENDPOINT if you use settings"
        )


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def unlogged(client: CognitoIdentityProviderClient) -> CognitoIdentityProviderClient:
    """Return a client whose calls keep to the call's limit, and leave no line below WARNING in a log.

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
        return partial(self._call, found) if callable(found) else found

    def _call(self, operation: Callable[..., Any], **request: Any) -> Any:
        limit = current_limit()
        if limit is not None:
            limit.begin_request()
            self._fetch_credentials(limit)
            if limit.remaining() <= 0:
                raise NeverSent(cause="the call takes too long")
        _QUIET.update()
        before = _IS_OUR_CALL.set(True)
        try:
            response = operation(**request)
        except (ClientError, *NEVER_SENT):
            raise
        except ResponseParserError:
            error: Exception = MalformedResponse(cause="not understood")
        except Exception as failure:
            if limit is None or limit.has_left is not False:
                if limit is not None and limit.was_reused:
                    # Something on the way has dropped it, and with it all that were idle for as long.
                    self._client.close()
                raise
            error = NeverSent(cause=_cause_of(failure))
        else:
            _check_origin(response)
            return response
        finally:
            _IS_OUR_CALL.reset(before)
        raise error  # not within `except`: the frames of its context hold the request

    def _fetch_credentials(self, limit: CallLimit) -> None:
        """Renew credentials that are about to expire, now, and no longer than the call may take.

        botocore renews them while it signs, with requests of its own to STS or to the instance's
        metadata, which no limit of ours reaches.
        """
        signer = getattr(self._client, "_request_signer", None)
        credentials = getattr(signer, "_credentials", None)
        if not isinstance(credentials, RefreshableCredentials):
            return
        try:
            run_in_time(id(credentials), credentials.get_frozen_credentials, limit.remaining())
        except (TimeoutError, BotoCoreError) as error:
            raise NeverSent(cause=f"no credentials: {type(error).__name__}") from None


def _cause_of(failure: Exception) -> str:
    """Return the name of what failed: a certificate that is not trusted, or the exception's own."""
    wrapped = getattr(failure, "kwargs", {}).get("error")
    reason = next(iter(wrapped.args), None) if isinstance(wrapped, TLSError) else None
    known = reason if isinstance(reason, SSLCertVerificationError) else failure
    return type(known).__name__


def _check_origin(response: Any) -> None:
    """Check that a response is Cognito's: some of its operations return nothing else to check.

    Raises:
        MalformedResponse: it is a page, such as of a proxy that asks for a sign-in.
    """
    if isinstance(response, dict):
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        if "html" in headers.get("content-type", ""):
            raise MalformedResponse(cause="a page in HTML")


class _OnlyWarnings(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or not _IS_OUR_CALL.get()


class _QuietLoggers:
    """Adds the filter to the loggers of botocore and urllib3: one is not inherited, so each needs it.

    They are looked through when there can be new ones, because botocore makes some late: if there are
    more names than before, or one that was only a placeholder, for loggers below it, has its own now.
    """

    def __init__(self) -> None:
        self._filter = _OnlyWarnings()
        self._seen = 0
        self._placeholders: Sequence[str] = ()

    def update(self) -> None:
        loggers = logging.root.manager.loggerDict
        number = len(loggers)
        if number == self._seen and not any(
            isinstance(loggers[name], logging.Logger) for name in self._placeholders
        ):
            return
        # `list`: another thread can make a logger meanwhile.
        ours = [one for one in list(loggers.items()) if one[0].startswith(_LOGGERS)]
        for _, made in ours:
            if isinstance(made, logging.Logger):
                made.addFilter(self._filter)  # does nothing if it is there
        self._placeholders = [name for name, made in ours if not isinstance(made, logging.Logger)]
        self._seen = number


_QUIET: Final = _QuietLoggers()
