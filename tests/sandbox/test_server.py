"""The sandbox over HTTP: the wire format, the controls, CORS, and the tokens' keys."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import Any

import httpx
import jwt
import pytest

from oncegate import Misconfigured
from oncegate_sandbox import Sandbox


def call(sandbox: Sandbox, operation: str, **request: Any) -> httpx.Response:
    return httpx.post(
        sandbox.endpoint,
        json={"ClientId": sandbox.client_id, **request},
        headers={"X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}"},
        timeout=5,
    )


def start(
    sandbox: Sandbox, username: str = "ana", password: str = "Correct-horse-1"
) -> httpx.Response:
    return call(
        sandbox,
        "InitiateAuth",
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": password},
    )


def test_response_has_content_type_status_and_error_type_of_the_json_protocol(
    sandbox: Sandbox,
) -> None:
    """Source: botocore's JSON protocol."""
    response = start(sandbox)
    assert response.headers["content-type"] == "application/x-amz-json-1.1"
    assert response.json()["ChallengeName"] == "SMS_MFA"
    refused = start(sandbox, password="wrong")
    assert refused.status_code == 400
    assert refused.json() == {
        "__type": "NotAuthorizedException",
        "message": "Incorrect username or password.",
    }


def test_message_has_the_members_of_the_contract(sandbox: Sandbox, controls: httpx.Client) -> None:
    start(sandbox)
    (message,) = controls.get("/messages").json()
    assert list(message) == ["username", "medium", "destination", "code", "purpose", "sent_at"]
    assert (message["username"], message["medium"]) == ("ana", "SMS")
    assert (message["destination"], message["purpose"]) == ("+15550001234", "SMS_MFA")
    assert datetime.fromisoformat(message["sent_at"]).tzinfo is not None
    assert controls.delete("/messages").json() == []
    assert controls.get("/messages").json() == []


def test_failed_calls_are_counted_too(sandbox: Sandbox, controls: httpx.Client) -> None:
    start(sandbox)
    start(sandbox, password="wrong")
    controls.post("/faults", json={"operation": "InitiateAuth", "kind": "throttle"})
    start(sandbox)
    assert controls.get("/calls").json() == {"InitiateAuth": 3}


def test_fault_applies_to_its_operation_and_counts_down(
    sandbox: Sandbox, controls: httpx.Client
) -> None:
    controls.post("/faults", json={"operation": "Other", "kind": "http_500"})
    controls.post("/faults", json={"operation": "InitiateAuth", "kind": "http_500", "times": 2})
    statuses = [start(sandbox).status_code for _ in range(3)]
    assert statuses == [500, 500, 200]
    assert len(controls.get("/faults").json()) == 1
    assert controls.delete("/faults").json() == []


@pytest.mark.parametrize(("kind", "sent"), [("drop_response", 1), ("refuse", 0)])
def test_connection_closes_without_a_response(
    sandbox: Sandbox, controls: httpx.Client, kind: str, sent: int
) -> None:
    controls.post("/faults", json={"operation": "InitiateAuth", "kind": kind})
    with pytest.raises(httpx.TransportError):
        start(sandbox)
    assert len(sandbox.messages()) == sent
    assert start(sandbox).status_code == 200


def test_delayed_call_does_not_delay_others(sandbox: Sandbox, controls: httpx.Client) -> None:
    controls.post("/faults", json={"operation": "InitiateAuth", "kind": "delay", "seconds": 3})
    started = time.monotonic()
    slow = threading.Thread(target=start, args=(sandbox,))
    slow.start()
    while not sandbox.messages():
        time.sleep(0.005)
    assert start(sandbox).status_code == 200
    assert time.monotonic() - started < 2.7
    slow.join()
    assert time.monotonic() - started >= 3


def test_advanced_clock_expires_sessions(sandbox: Sandbox, controls: httpx.Client) -> None:
    session = start(sandbox).json()["Session"]
    now = controls.post("/clock", json={"advance_seconds": 200}).json()["now"]
    assert now == pytest.approx(time.time() + 200, abs=5)
    late = call(
        sandbox,
        "RespondToAuthChallenge",
        ChallengeName="SMS_MFA",
        Session=session,
        ChallengeResponses={"USERNAME": "ana", "SMS_MFA_CODE": sandbox.messages()[0].code},
    )
    assert late.json()["message"] == "Invalid session for the user, session is expired."


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"kind": "unknown"}),
        ("/faults", {"kind": "delay", "seconds": -1}),
        ("/faults", []),
        ("/clock", {"advance_seconds": -5}),
        ("/clock", {}),
    ],
)
def test_malformed_control_request_is_rejected(
    controls: httpx.Client, path: str, body: Any
) -> None:
    response = controls.post(path, json=body)
    assert (response.status_code, response.json()["error"]) == (400, "malformed")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b"x" * 300_000, b'"\xff"'])
def test_malformed_body_is_rejected(sandbox: Sandbox, body: bytes) -> None:
    response = httpx.post(sandbox.endpoint, content=body, timeout=5)
    assert response.status_code == 400
    assert response.json()["__type"] == "SerializationException"


def test_cors_preflight_is_allowed_for_any_origin(sandbox: Sandbox) -> None:
    preflight = httpx.options(
        sandbox.endpoint,
        headers={
            "Origin": "http://localhost:4200",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-amz-target,content-type,x-amz-user-agent",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "x-amz-target" in preflight.headers["access-control-allow-headers"]


def test_tokens_verify_with_the_jwks_below_the_issuer(sandbox: Sandbox) -> None:
    """[docs] RS256 with a JWKS below the issuer; exp, iss, token_use, aud or client_id."""
    tokens = start(sandbox, "fay", "Correct-horse-6").json()["AuthenticationResult"]
    issuer = f"{sandbox.endpoint}/{sandbox.pool_id}"
    keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json")
    identity, access = (
        jwt.decode(
            tokens[name],
            keys.get_signing_key_from_jwt(tokens[name]).key,
            algorithms=["RS256"],
            issuer=issuer,
            audience=audience,
            options={"require": ["exp", "iat", "iss", "jti", "sub"]},
        )
        for name, audience in (("IdToken", sandbox.client_id), ("AccessToken", None))
    )
    assert (identity["token_use"], identity["cognito:username"]) == ("id", "fay")
    assert (access["token_use"], access["client_id"]) == ("access", sandbox.client_id)
    assert access["username"] == "fay"
    assert identity["sub"] == access["sub"]


def test_port_in_use_is_misconfigured(sandbox: Sandbox) -> None:
    with pytest.raises(Misconfigured, match="cannot listen"):
        Sandbox(port=int(sandbox.endpoint.rpartition(":")[2]))
