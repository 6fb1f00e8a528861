"""Faults: every error of the service model, firewalls, lock-outs, limits, and garbled responses."""

from __future__ import annotations

from typing import Any

import boto3
import httpx
import pytest
from pydantic import ValidationError
from tests.sandbox.conftest import Call

from oncegate_sandbox import Fault, Sandbox
from oncegate_sandbox._model import errors, errors_of, service_model
from oncegate_sandbox.faults import words


class TestModelledErrors:
    @pytest.mark.parametrize("code", sorted(errors()))
    def test_fault_answers_with_each_error_of_the_model(
        self, shared: Sandbox, sign_in: Call, code: str
    ) -> None:
        shared.order(Fault(kind="error", code=code))
        response = sign_in()
        assert response.status_code == errors()[code]
        assert response.json()["__type"] == code
        assert response.headers["x-amzn-ErrorType"] == f"{code}:"
        assert response.json()["message"] == response.headers["x-amzn-ErrorMessage"]
        assert "<" not in response.json()["message"]
        assert shared.messages() == ()

    def test_status_of_an_internal_error_is_500(self) -> None:
        """Source: botocore's service model marks it as a fault."""
        assert errors()["InternalErrorException"] == 500
        assert errors()["NotAuthorizedException"] == 400

    @pytest.mark.parametrize(
        ("operation", "code", "message"),
        [
            # amplify-flutter#95
            (
                "RespondToAuthChallenge",
                "MFAMethodNotFoundException",
                "No MFA mechanism registerd in the account.",
            ),
            # aws-amplify-auth-starters#15
            (
                "VerifySoftwareToken",
                "EnableSoftwareTokenMFAException",
                "Code mismatch and fail enable Software Token MFA",
            ),
            # amplify-js#8895
            ("ConfirmDevice", "ResourceNotFoundException", "Device does not exist."),
            # AWS developer guide, managing errors
            (
                "ForgotPassword",
                "NotAuthorizedException",
                "User password cannot be reset in the current state.",
            ),
            # amplify-js#13225
            (
                "ForgotPassword",
                "LimitExceededException",
                "Attempt limit exceeded, please try after some time.",
            ),
            ("InitiateAuth", "NotAuthorizedException", "Incorrect username or password."),
        ],
    )
    def test_error_has_the_words_of_cognito(self, operation: str, code: str, message: str) -> None:
        assert words(operation, code) == message

    def test_words_name_codes_and_operations_of_the_model(self) -> None:
        from oncegate_sandbox.faults import _WORDS

        for key in _WORDS:
            operation, code = key if isinstance(key, tuple) else (None, key)
            assert code in (errors_of(operation) if operation else errors())

    def test_error_has_the_words_and_the_status_of_the_order(
        self, control: httpx.Client, sign_in: Call
    ) -> None:
        order = {"operation": "InitiateAuth", "kind": "error", "code": "ForbiddenException"}
        control.post("/faults", json={**order, "message": "Not today.", "status": 403})
        response = sign_in()
        assert (response.status_code, response.json()["message"]) == (403, "Not today.")

    @pytest.mark.parametrize(
        ("operation", "code"),
        [
            ("*", "NoSuchException"),
            ("*", None),
            ("InitiateAuth", "UsernameExistsException"),
            ("NoSuchOperation", "NotAuthorizedException"),
        ],
    )
    def test_error_that_the_operation_lacks_is_refused(
        self, control: httpx.Client, operation: str, code: str | None
    ) -> None:
        order = {"operation": operation, "kind": "error", "code": code}
        response = control.post("/faults", json=order)
        assert response.status_code == 400
        assert control.get("/faults").json() == []

    def test_refusal_lists_the_errors_of_the_operation(self) -> None:
        with pytest.raises(ValidationError) as refused:
            Fault(operation="InitiateAuth", kind="error", code="UsernameExistsException")
        for code in errors_of("InitiateAuth"):
            assert code in str(refused.value)

    @pytest.mark.parametrize(
        "order",
        [
            {"kind": "throttle", "code": "NotAuthorizedException"},
            {"kind": "throttle", "message": "x"},
            {"kind": "limit", "status": 403},
            {"kind": "waf", "status": 404},
            {"kind": "unknown"},
        ],
    )
    def test_attribute_of_another_kind_is_refused(self, order: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            Fault.model_validate(order)

    def test_boto3_raises_the_modelled_exception(self, shared: Sandbox) -> None:
        client = boto3_client(shared)
        shared.order(
            Fault(operation="ForgotPassword", kind="error", code="CodeDeliveryFailureException")
        )
        with pytest.raises(client.exceptions.CodeDeliveryFailureException):
            client.forgot_password(ClientId=shared.client_id, Username="ana")

    def test_error_can_follow_a_call_that_was_performed(
        self, shared: Sandbox, sign_in: Call
    ) -> None:
        shared.order(Fault(kind="error", code="InternalErrorException", performed=True))
        assert sign_in().status_code == 500
        assert len(shared.messages()) == 1


class TestFirewall:
    """Source: aws-sdk-js-v3#7255, franken-srp#13; AWS WAF API reference, CaptchaAction."""

    @pytest.mark.parametrize(("body", "content"), [("html", b"<html>"), ("empty", b"")])
    def test_block_answers_403_without_json(
        self, shared: Sandbox, sign_in: Call, body: str, content: bytes
    ) -> None:
        shared.order(Fault.model_validate({"kind": "waf", "body": body}))
        response = sign_in()
        assert response.status_code == 403
        assert response.content.startswith(content)
        assert "x-amzn-ErrorType" not in response.headers
        assert shared.messages() == ()

    def test_block_can_be_the_forbidden_exception(self, shared: Sandbox, sign_in: Call) -> None:
        """Source: franken-srp#13."""
        shared.order(Fault(kind="waf", body="json"))
        response = sign_in()
        assert response.status_code == 403
        assert response.json() == {
            "__type": "ForbiddenException",
            "message": "Request not allowed due to WAF block.",
        }

    @pytest.mark.parametrize(("status", "action"), [(405, "captcha"), (202, "challenge")])
    def test_captcha_and_challenge_have_their_header(
        self, shared: Sandbox, sign_in: Call, status: int, action: str
    ) -> None:
        shared.order(Fault(kind="waf", status=status))
        response = sign_in()
        assert (response.status_code, response.content) == (status, b"")
        assert response.headers["x-amzn-waf-action"] == action


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        (
            "mfa_lockout",
            "NotAuthorizedException",
            "Too many invalid credentials attempts. User temporarily locked. Please try again after "
            "few seconds.",
        ),
        ("threat_block", "NotAuthorizedException", "Unable to login because of security reasons."),
        (
            "limit",
            "LimitExceededException",
            "Attempt limit exceeded, please try after some time.",
        ),
        ("throttle", "TooManyRequestsException", "Rate exceeded"),
    ],
)
def test_lockout_block_and_limit_have_the_words_of_cognito(
    shared: Sandbox, sign_in: Call, kind: str, code: str, message: str
) -> None:
    """Source: AWS developer guide, MFA; public reports; amplify-js#13225."""
    shared.order(Fault.model_validate({"kind": kind}))
    response = sign_in()
    assert response.status_code == 400
    assert response.json() == {"__type": code, "message": message}
    assert shared.messages() == ()
    assert sign_in().status_code == 200


def test_locked_out_challenge_can_be_answered_later(
    shared: Sandbox, call: Call, sign_in: Call
) -> None:
    """Source: AWS developer guide, MFA: the session survives the lock-out."""
    session = sign_in().json()["Session"]
    answer = {
        "ClientId": shared.client_id,
        "ChallengeName": "SMS_MFA",
        "Session": session,
        "ChallengeResponses": {"USERNAME": "ana", "SMS_MFA_CODE": shared.messages()[-1].code},
    }
    shared.order(Fault(operation="RespondToAuthChallenge", kind="mfa_lockout"))
    assert call("RespondToAuthChallenge", **answer).status_code == 400
    assert "AuthenticationResult" in call("RespondToAuthChallenge", **answer).json()


@pytest.mark.parametrize(
    ("kind", "status", "sent"),
    [("malformed", 200, 1), ("html", 200, 0), ("empty", 200, 1), ("http_408", 408, 0)],
)
def test_garbled_response_is_no_json(
    shared: Sandbox, sign_in: Call, kind: str, status: int, sent: int
) -> None:
    shared.order(Fault.model_validate({"operation": "InitiateAuth", "kind": kind}))
    response = sign_in()
    assert response.status_code == status
    with pytest.raises(ValueError):
        response.json()
    assert len(shared.messages()) == sent


@pytest.mark.parametrize("kind", ["malformed", "html", "empty"])
def test_garbled_response_is_empty_to_boto3(shared: Sandbox, kind: str) -> None:
    """botocore takes a 200 that is no JSON as a response without members."""
    shared.order(Fault.model_validate({"operation": "ForgotPassword", "kind": kind}))
    given = boto3_client(shared).forgot_password(ClientId=shared.client_id, Username="ana")
    assert given.keys() == {"ResponseMetadata"}


def test_every_error_of_the_model_has_words() -> None:
    for operation in service_model().operation_names:
        for code in errors_of(operation):
            assert len(words(operation, code)) > 5


def boto3_client(sandbox: Sandbox) -> Any:
    return boto3.session.Session().client(
        "cognito-idp",
        endpoint_url=sandbox.endpoint,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
