"""The boto3 client sends each request once, and other clients are refused."""

from __future__ import annotations

from typing import Any

import boto3
import botocore
import pytest
from botocore.config import Config

from oncegate import Misconfigured
from oncegate_cognito import CognitoTransport
from oncegate_cognito._boto import check_client, make_client


@pytest.mark.parametrize(
    "retries", [None, {"mode": "standard"}, {"total_max_attempts": 2}, {"max_attempts": 1}], ids=str
)
def test_client_that_repeats_requests_is_refused(retries: Any) -> None:
    config = Config(signature_version=botocore.UNSIGNED, retries=retries)
    client = boto3.client("cognito-idp", region_name="us-east-1", config=config)
    with pytest.raises(Misconfigured, match="total_max_attempts"):
        CognitoTransport(pool_id="us-east-1_Pool1", client_id="client1", client=client)


def test_client_that_sends_once_is_accepted() -> None:
    config = Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
    client = boto3.client("cognito-idp", region_name="us-east-1", config=config)
    CognitoTransport(pool_id="us-east-1_Pool1", client_id="client1", client=client)


def test_new_client_is_unsigned_and_needs_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    client = make_client("eu-west-1", None, connect_timeout=1, read_timeout=1)
    config: Any = client.meta.config
    assert config.signature_version is botocore.UNSIGNED
    assert client.meta.region_name == "eu-west-1"
    check_client(client)
