"""The boto3 client sends each request once, over TLS, and other clients are refused."""

from __future__ import annotations

from typing import Any

import boto3
import botocore
import pytest
from botocore.config import Config

from oncegate import Misconfigured
from oncegate_cognito import AdminCognitoTransport, CognitoTransport
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


INSECURE = [
    "http://cognito.example",
    "http://10.0.0.7:9300",
    "http://127.0.0.1.example:9300",
    "http://localhost@cognito.example",
    "http://[2001:db8::1]:9300",
    "HTTP://cognito.example",
]
SECURE = [
    "https://cognito.example",
    "https://10.0.0.7:9300",
    "http://127.0.0.1:9300",
    "http://127.8.9.10",
    "http://localhost:9300",
    "http://LOCALHOST",
    "http://[::1]:9300",
]


def at(url: str | None, **more: Any) -> CognitoTransport:
    return CognitoTransport(
        pool_id="us-east-1_Pool1", client_id="client1", endpoint_url=url, **more
    )


@pytest.mark.parametrize("url", [*INSECURE, "cognito.example", "ftp://localhost", "http://[", ""])
def test_endpoint_without_tls_on_another_host_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="endpoint"):
        at(url)
    with pytest.raises(Misconfigured, match="endpoint"):
        AdminCognitoTransport(pool_id="us-east-1_Pool1", client_id="client1", endpoint_url=url)


@pytest.mark.parametrize("url", [None, *SECURE])
def test_endpoint_with_tls_or_on_this_machine_is_accepted(url: str | None) -> None:
    at(url)


@pytest.mark.parametrize("url", INSECURE)
def test_endpoint_without_tls_is_accepted_if_the_application_allows_it(url: str) -> None:
    at(url, allow_insecure_endpoint=True)


def test_password_in_a_refused_endpoint_is_not_quoted() -> None:
    with pytest.raises(Misconfigured) as error:
        at("http://user:hunter2@cognito.example")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER"])
def test_endpoint_without_tls_in_the_environment_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://cognito.example")
    with pytest.raises(Misconfigured, match="AWS_ENDPOINT_URL"):
        at(None)
    at(None, allow_insecure_endpoint=True)


@pytest.mark.parametrize("settings", [{"endpoint_url": INSECURE[0]}, {"use_ssl": False}], ids=str)
def test_client_without_tls_is_refused(settings: dict[str, Any]) -> None:
    config = Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
    client = boto3.client("cognito-idp", region_name="us-east-1", config=config, **settings)
    with pytest.raises(Misconfigured, match="endpoint"):
        at(None, client=client)
    at(None, client=client, allow_insecure_endpoint=True)
