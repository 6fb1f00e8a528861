"""Controls for tests: reset, users, the request log, HTTPS, addresses, and headers."""

from __future__ import annotations

import json
import math
import os
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from pydantic import SecretStr
from tests.sandbox.conftest import Call

from oncegate import InvalidInput, Misconfigured
from oncegate_sandbox import Fault, Sandbox, Seed, UserSeed
from oncegate_sandbox._tls import Certificate
from oncegate_sandbox.clock import SandboxClock


class TestReset:
    def test_reset_restores_users_messages_faults_calls_and_clock(
        self, shared: Sandbox, control: httpx.Client, sign_in: Call, call: Call
    ) -> None:
        sign_in()
        control.post("/clock", json={"advance_seconds": 5000})
        shared.order(Fault(kind="throttle", times=9))
        shared.pool.users.remove(next(user for user in shared.pool.users))
        assert control.post("/reset").json() == {"status": "ok"}
        assert control.get("/messages").json() == []
        assert control.get("/faults").json() == []
        assert control.get("/calls").json() == {}
        assert control.get("/requests").json() == []
        assert control.get("/users/ana").json()["status"] == "CONFIRMED"
        assert control.post("/clock", json={"advance_seconds": 0}).json()["now"] == pytest.approx(
            time.time(), abs=5
        )
        assert sign_in().status_code == 200

    def test_session_of_before_the_reset_is_unknown(
        self, shared: Sandbox, sign_in: Call, call: Call
    ) -> None:
        session = sign_in().json()["Session"]
        code = shared.messages()[-1].code
        shared.reset()
        answer = call(
            "RespondToAuthChallenge",
            ClientId=shared.client_id,
            ChallengeName="SMS_MFA",
            Session=session,
            ChallengeResponses={"USERNAME": "ana", "SMS_MFA_CODE": code},
        )
        assert answer.json()["__type"] == "NotAuthorizedException"


class TestUsers:
    def test_user_shows_state_factors_and_last_codes(
        self, control: httpx.Client, sign_in: Call
    ) -> None:
        sign_in()
        sign_in()
        ana = control.get("/users/ana").json()
        codes = [message["code"] for message in reversed(control.get("/messages").json())]
        assert (ana["username"], ana["status"], ana["enabled"]) == ("ana", "CONFIRMED", True)
        assert ana["attributes"]["email"] == "ana@example.com"
        assert (ana["mfa"], ana["preferred_mfa"], ana["totp_code"]) == (["SMS_MFA"], None, None)
        assert [message["code"] for message in ana["messages"]] == codes
        assert "password" not in json.dumps(ana)

    def test_alias_finds_the_user(self, control: httpx.Client) -> None:
        assert control.get("/users/ana@example.com").json()["username"] == "ana"

    def test_totp_code_signs_in_and_follows_the_clock(
        self, shared: Sandbox, sign_in: Call, call: Call
    ) -> None:
        session = sign_in("cleo", "Correct-horse-3").json()["Session"]
        first = shared.totp_code("cleo")
        shared.advance(60)
        answer = call(
            "RespondToAuthChallenge",
            ClientId=shared.client_id,
            ChallengeName="SOFTWARE_TOKEN_MFA",
            Session=session,
            ChallengeResponses={
                "USERNAME": "cleo",
                "SOFTWARE_TOKEN_MFA_CODE": shared.totp_code("cleo"),
            },
        )
        assert "AuthenticationResult" in answer.json()
        assert first != shared.totp_code("cleo")

    def test_users_are_listed(self, control: httpx.Client) -> None:
        listed = [user["username"] for user in control.get("/users").json()]
        assert listed == ["ana", "ben", "cleo", "dora", "emil", "fay"]

    def test_users_of_another_pool_are_listed_by_its_id(
        self, shared: Sandbox, control: httpx.Client
    ) -> None:
        client = boto3_client(shared)
        pool_id = client.create_user_pool(PoolName="other")["UserPool"]["Id"]
        client.admin_create_user(UserPoolId=pool_id, Username="zoe")
        users = control.get("/users", params={"pool_id": pool_id}).json()
        assert [user["username"] for user in users] == ["zoe"]
        zoe = control.get("/users/zoe", params={"pool_id": pool_id}).json()
        assert (zoe["status"], zoe["pool_id"]) == ("FORCE_CHANGE_PASSWORD", pool_id)
        assert shared.user("zoe", pool_id=pool_id).username == "zoe"
        assert pool_id in {pool["pool_id"] for pool in control.get("/").json()["pools"]}

    @pytest.mark.parametrize(
        ("path", "parameter"),
        [
            ("/users/nobody", "username"),
            ("/users?pool_id=us-east-1_Nothing", "pool_id"),
            ("/users/ana?pool_id=us-east-1_Nothing", "pool_id"),
        ],
    )
    def test_unknown_user_or_pool_is_404(
        self, control: httpx.Client, path: str, parameter: str
    ) -> None:
        response = control.get(path)
        assert response.status_code == 404
        assert response.json() == {"error": "unknown", "parameter": parameter}

    def test_unknown_user_is_invalid_input_in_python(self, shared: Sandbox) -> None:
        with pytest.raises(InvalidInput, match="no such user"):
            shared.user("nobody")
        with pytest.raises(InvalidInput, match="no such pool"):
            shared.user("ana", pool_id="us-east-1_Nothing")
        with pytest.raises(InvalidInput, match="authenticator"):
            shared.totp_code("ana")


class TestRequestLog:
    SECRETS = ("Correct-horse", "AYABe", "eyJ")

    def test_log_names_operation_user_status_and_error(
        self, shared: Sandbox, sign_in: Call
    ) -> None:
        first, second = sign_in(), sign_in(password="wrong-horse-1")
        logged = shared.requests()
        assert [(one.operation, one.username) for one in logged] == [("InitiateAuth", "ana")] * 2
        assert [(one.status, one.error) for one in logged] == [
            (200, None),
            (400, "NotAuthorizedException"),
        ]
        ids = [response.headers["x-amzn-RequestId"] for response in (first, second)]
        assert [one.request_id for one in logged] == ids

    def test_secrets_are_hidden_and_the_rest_is_not(
        self, shared: Sandbox, sign_in: Call, call: Call, control: httpx.Client
    ) -> None:
        challenge = sign_in().json()
        code = shared.messages()[-1].code
        done = call(
            "RespondToAuthChallenge",
            ClientId=shared.client_id,
            ChallengeName="SMS_MFA",
            Session=challenge["Session"],
            ChallengeResponses={"USERNAME": "ana", "SMS_MFA_CODE": code},
            ClientMetadata={"locale": "de"},
        ).json()
        token = done["AuthenticationResult"]["AccessToken"]
        call("GetUser", AccessToken=token)
        call("ChangePassword", AccessToken=token, PreviousPassword="Correct-horse-1")
        written = control.get("/requests").text
        assert not any(secret in written for secret in (*self.SECRETS, code))
        first, second = control.get("/requests").json()[:2]
        assert first["members"]["AuthFlow"] == "USER_PASSWORD_AUTH"
        assert first["members"]["AuthParameters"] == {"USERNAME": "***", "PASSWORD": "***"}
        assert second["members"]["ChallengeName"] == "SMS_MFA"
        assert second["members"]["ClientMetadata"] == {"locale": "de"}

    @pytest.mark.parametrize(
        "body",
        [
            {"Unknown": "Correct-horse-1", "AuthParameters": {"PASSWORD": "Correct-horse-1"}},
            {"AuthParameters": ["Correct-horse-1"], "AuthFlow": {"x": "Correct-horse-1"}},
            {"ClientMetadata": "x", "UserContextData": {"EncodedData": "Correct-horse-1"}},
        ],
    )
    @pytest.mark.parametrize("operation", ["InitiateAuth", "NoSuchOperation", ""])
    def test_malformed_request_shows_no_secret(
        self, call: Call, control: httpx.Client, operation: str, body: dict[str, Any]
    ) -> None:
        call(operation, **body)
        assert "Correct-horse" not in control.get("/requests").text
        assert len(control.get("/requests").json()) == 1

    def test_fault_and_lost_response_are_logged(self, shared: Sandbox, sign_in: Call) -> None:
        shared.lose_next_response("InitiateAuth")
        with pytest.raises(httpx.TransportError):
            sign_in()
        (logged,) = shared.requests()
        assert (logged.fault, logged.status) == ("drop_response", None)

    def test_log_keeps_the_last_thousand(self, shared: Sandbox) -> None:
        from oncegate_sandbox._requests import RequestLog

        log = RequestLog()
        for number in range(1001):
            log.add("GetUser", {}, at=0, request_id=str(number), fault=None)
        assert len(log.requests()) == 1000
        assert log.requests()[0].request_id == "1"


class TestHeaders:
    def test_every_response_has_a_request_id_and_a_date(
        self, shared: Sandbox, sign_in: Call
    ) -> None:
        shared.order(Fault(kind="waf"))
        responses = [sign_in(), sign_in(), sign_in(password="wrong-horse-1")]
        ids = {response.headers["x-amzn-RequestId"] for response in responses}
        assert len(ids) == 3
        assert all(response.headers["date"] for response in responses)
        assert not any("server" in response.headers for response in responses)

    def test_error_type_has_a_trailing_colon(self, sign_in: Call) -> None:
        """Source: amazon-cognito-identity-js#167, amplify-js#11034."""
        refused = sign_in(password="wrong-horse-1")
        assert refused.headers["x-amzn-ErrorType"] == "NotAuthorizedException:"
        assert refused.headers["x-amzn-ErrorMessage"] == "Incorrect username or password."

    EXPOSED = "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date"

    def test_browser_can_read_the_headers_of_errors(self, shared: Sandbox) -> None:
        """Source: amplify-js#11034, #1580; amazon-cognito-identity-dart-2#10."""
        response = httpx.post(shared.endpoint, json={}, headers={"Origin": "http://localhost:4200"})
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["access-control-expose-headers"] == self.EXPOSED

    def test_preflight_has_the_headers_of_aws(self, shared: Sandbox) -> None:
        """Source: a recorded preflight of AWS Certificate Manager; amplify-js#4346."""
        wanted = "cache-control,content-type,x-amz-target,x-amz-user-agent"
        preflight = httpx.options(
            shared.endpoint,
            headers={
                "Origin": "http://localhost:4200",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": wanted,
            },
        )
        assert (preflight.status_code, preflight.content) == (200, b"")
        assert preflight.headers["x-amzn-RequestId"]
        found = {k: v for k, v in preflight.headers.items() if k.startswith("access-control")}
        assert found == {
            "access-control-allow-origin": "*",
            "access-control-allow-headers": wanted,
            "access-control-allow-methods": "POST",
            "access-control-expose-headers": self.EXPOSED,
            "access-control-max-age": "172800",
        }

    @pytest.mark.parametrize("operation", ["NoSuchOperation", ""])
    def test_unknown_operation_has_the_shape_of_aws(self, call: Call, operation: str) -> None:
        response = call(operation, ClientId="x")
        assert (response.status_code, response.json()) == (
            400,
            {"__type": "UnknownOperationException"},
        )

    def test_operation_that_the_sandbox_lacks_is_named(self, call: Call, shared: Sandbox) -> None:
        response = call(
            "CreateUserImportJob",
            UserPoolId=shared.pool_id,
            JobName="j",
            CloudWatchLogsRoleArn="arn:aws:iam::123456789012:role/logs",
        )
        assert response.status_code == 400
        assert "CreateUserImportJob" in response.json()["message"]


def test_defect_of_the_sandbox_is_an_internal_error_and_logged(
    shared: Sandbox,
    sign_in: Call,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(shared.pool, "perform", lambda operation, request: 1 / 0)
    response = sign_in()
    assert (response.status_code, response.json()["__type"]) == (500, "InternalErrorException")
    assert "InitiateAuth failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


class TestWellKnown:
    def test_openid_configuration_names_issuer_and_keys(self, shared: Sandbox) -> None:
        base = f"{shared.endpoint}/{shared.pool_id}/.well-known"
        about = httpx.get(f"{base}/openid-configuration").json()
        assert about["issuer"] == shared.pool.tokens.issuer
        assert about["jwks_uri"] == f"{base}/jwks.json"
        assert httpx.get(about["jwks_uri"]).json() == shared.pool.tokens.jwks()

    @pytest.mark.parametrize("name", ["jwks.json", "openid-configuration"])
    def test_unknown_pool_is_404(self, shared: Sandbox, name: str) -> None:
        url = f"{shared.endpoint}/us-east-1_Nothing/.well-known/{name}"
        assert httpx.get(url).status_code == 404


@pytest.mark.parametrize("path", ["/", "/_sandbox", "/_sandbox/"])
def test_health_check_describes_the_sandbox(shared: Sandbox, path: str) -> None:
    about = httpx.get(f"{shared.endpoint}{path}", follow_redirects=True).json()
    assert about == {
        "status": "ok",
        "endpoint": shared.endpoint,
        "pools": [{"pool_id": shared.pool_id, "client_ids": [shared.client_id]}],
    }


class TestAddress:
    def test_endpoint_can_be_another_than_the_address(self) -> None:
        with Sandbox(host="0.0.0.0", endpoint="http://cognito:9300/") as sandbox:
            assert sandbox.endpoint == "http://cognito:9300"
            assert sandbox.pool.tokens.issuer == f"http://cognito:9300/{sandbox.pool_id}"

    def test_endpoint_of_all_addresses_can_be_called(self) -> None:
        with Sandbox(host="0.0.0.0") as sandbox:
            assert sandbox.endpoint.startswith("http://localhost:")
            assert httpx.get(sandbox.endpoint).status_code == 200

    @pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
    def test_ipv6_address_is_written_in_brackets(self) -> None:
        with Sandbox(host="::1") as sandbox:
            assert sandbox.endpoint.startswith("http://[::1]:")
            assert httpx.get(sandbox.endpoint).status_code == 200


class TestHTTPS:
    def test_made_certificate_is_trusted_by_its_authority(self) -> None:
        with Sandbox(Seed(), tls=True) as sandbox:
            assert sandbox.endpoint.startswith("https://127.0.0.1:")
            assert sandbox.ca_file is not None
            assert sandbox.description()["ca_file"] == str(sandbox.ca_file)
            trusted = ssl.create_default_context(cafile=str(sandbox.ca_file))
            trusted.verify_flags |= ssl.VERIFY_X509_STRICT  # Python 3.13's default
            assert httpx.get(sandbox.endpoint, verify=trusted).status_code == 200
            by_name = sandbox.endpoint.replace("127.0.0.1", "localhost")
            assert httpx.get(by_name, verify=trusted).status_code == 200
            with pytest.raises(httpx.ConnectError):
                httpx.get(sandbox.endpoint)

    def test_boto3_trusts_the_authority_by_its_bundle(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = UserSeed(username="ana", password=SecretStr("Correct-horse-1"))
        with Sandbox(Seed(users=(user,)), tls=True) as sandbox:
            monkeypatch.setenv("AWS_CA_BUNDLE", str(sandbox.ca_file))
            done = boto3_client(sandbox).initiate_auth(
                ClientId=sandbox.client_id,
                AuthFlow="USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": "ana", "PASSWORD": "Correct-horse-1"},
            )
            assert done["AuthenticationResult"]["AccessToken"]

    def test_lost_response_closes_an_https_connection(self) -> None:
        with Sandbox(Seed(), tls=True) as sandbox:
            trusted = ssl.create_default_context(cafile=str(sandbox.ca_file))
            sandbox.order(Fault(kind="refuse"))
            with pytest.raises(httpx.TransportError):
                httpx.post(sandbox.endpoint, json={}, verify=trusted, timeout=3)

    def test_own_certificate_is_used(self) -> None:
        made = Certificate(["127.0.0.1"])
        with Sandbox(Seed(), cert_file=made.cert_file, key_file=made.key_file) as sandbox:
            assert sandbox.ca_file is None
            assert sandbox.description().keys() == {"endpoint", "pool_id", "client_id"}
            trusted = ssl.create_default_context(cafile=str(made.ca_file))
            assert httpx.get(sandbox.endpoint, verify=trusted).status_code == 200

    def test_unusable_certificate_is_misconfigured(self, tmp_path: Path) -> None:
        (tmp_path / "cert.pem").write_text("no certificate", "utf-8")
        for name in ("cert.pem", "missing.pem"):
            with pytest.raises(Misconfigured, match="certificate"):
                Sandbox(cert_file=tmp_path / name)

    def test_files_of_a_certificate_are_private_and_temporary(self) -> None:
        made = Certificate(["localhost"])
        path = made.key_file
        assert path.stat().st_mode & 0o077 == 0
        del made
        assert not path.parent.exists()


def boto3_client(sandbox: Sandbox) -> Any:
    return boto3.session.Session().client(
        "cognito-idp",
        endpoint_url=sandbox.endpoint,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


@pytest.mark.parametrize("endpoint", ["cognito:9300", "cognito", "//cognito:9300", "http://", ""])
def test_endpoint_without_a_scheme_is_misconfigured_with_an_example(endpoint: str) -> None:
    with pytest.raises(Misconfigured, match="http://cognito:9300"):
        Sandbox(endpoint=endpoint)


def test_clock_that_would_go_back_is_refused() -> None:
    clock = SandboxClock()
    for seconds in (-1, math.nan):
        with pytest.raises(InvalidInput, match="forward only"):
            clock.advance(seconds)
    assert clock.now() == pytest.approx(time.time(), abs=5)


def test_stopped_command_leaves_no_private_key(tmp_path: Path) -> None:
    """uvicorn raises SIGTERM again, which ends the process without any more Python code."""
    command = [sys.executable, "-m", "oncegate_cli", "sandbox", "--port", "0", "--tls", "--json"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            endpoint = json.loads(process.stdout.readline())["endpoint"]
            trusted = ssl.create_default_context(cafile=str(next(tmp_path.glob("*/ca.pem"))))
            assert httpx.get(endpoint, verify=trusted).status_code == 200
            keys = list(tmp_path.rglob("key.pem"))
            process.terminate()
            process.wait(10)
        finally:
            process.kill()
    assert keys == []  # also if the process is killed
    assert list(tmp_path.rglob("*.pem")) == []
