"""The boto3 client: made so that it sends once, checked so that it does, and its failures sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import botocore
import botocore.exceptions as aws
from boto3.session import Session
from botocore.config import Config

from oncegate import Misconfigured
from oncegate.adapters import THREADS, NotSent, Outcome, OutcomeUnknown, Rejected, RejectionReason
from oncegate_cognito.refusals import outcome_of as outcome_of_error

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.client import CognitoIdentityProviderClient

# Raised before a request leaves: refused, unresolved or timed out while connecting. urllib3's
# NewConnectionError and ConnectTimeoutError are all that botocore makes these of.
NEVER_SENT = (aws.EndpointConnectionError, aws.ConnectTimeoutError, aws.ProxyConnectionError)


def make_client(
    region: str,
    endpoint_url: str | None,
    *,
    connect_timeout: float,
    read_timeout: float,
    signed: bool = False,
) -> CognitoIdentityProviderClient:
    """Make a client that sends every request once.

    ``total_max_attempts`` in the configuration holds against AWS_MAX_ATTEMPTS and AWS_RETRY_MODE in
    the environment.

    Args:
        region: such as ``eu-west-1``.
        endpoint_url: of something that stands in for Cognito; None for Cognito.
        connect_timeout: seconds.
        read_timeout: seconds.
        signed: with the credentials that boto3 finds; the public operations need none.
    """
    config = Config(
        signature_version=None if signed else botocore.UNSIGNED,
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        max_pool_connections=THREADS,  # each that waits for an answer has one
        tcp_keepalive=True,
        user_agent_extra="oncegate",
    )
    # A session of our own: boto3's default one is not safe to make clients from on many threads.
    return Session(region_name=region).client(
        "cognito-idp", region_name=region, endpoint_url=endpoint_url, config=config
    )


def check_client(client: CognitoIdentityProviderClient) -> None:
    """Refuse a client that would repeat a request.

    Raises:
        Misconfigured: it makes more than one attempt, so a lost response would send a second code.
    """
    retries = getattr(client.meta.config, "retries", None) or {}
    if retries.get("total_max_attempts") != 1:
        raise Misconfigured(
            "this client repeats requests, and each repetition can text another code; make it with "
            'Config(retries={"mode": "standard", "total_max_attempts": 1})'
        )


def outcome_of_failure(failure: Exception) -> Outcome:
    """What an exception out of boto3 says of the request: refused, never sent, or unknown.

    Whatever is not known to be one of the first two is unknown. Details name the exception's type
    only, because botocore's words can quote the request.
    """
    if isinstance(failure, aws.ClientError):
        error = failure.response.get("Error", {})
        status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return outcome_of_error(error.get("Code", ""), error.get("Message", ""), status)
    if isinstance(failure, aws.ParamValidationError):
        # botocore itself refused the request: it fits no shape of the service model.
        return Rejected(reason=RejectionReason.MISCONFIGURED, detail=type(failure).__name__)
    if isinstance(failure, NEVER_SENT):
        return NotSent(cause="unreachable", detail=type(failure).__name__)
    return OutcomeUnknown(detail=type(failure).__name__)
