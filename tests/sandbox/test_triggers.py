"""Lambda triggers as Python functions: the event, the response, and every way to fail."""

from __future__ import annotations

import threading
import time
from typing import Any

import boto3
import httpx
import pytest

from oncegate import InvalidInput
from oncegate_sandbox import CognitoError, PoolSeed, Sandbox, Seed, UserSeed
from oncegate_sandbox._triggers import TRIGGERS, Triggers, function_name

POOL_ID = "eu-west-1_aBcDeFgHi"


def run(
    hooks: Any, name: str = "PreSignUp", *, timeout: float = 5.0, **given: Any
) -> dict[str, Any]:
    triggers = Triggers(hooks, pool_id=POOL_ID, timeout_seconds=timeout)
    keys: dict[str, Any] = {
        "source": f"{name}_SignUp",
        "user": None,
        "username": "ana",
        "client_id": "1example23456789",
        "request": {"userAttributes": {"email": "ana@example.com"}, "clientMetadata": None},
        "response": {"autoConfirmUser": False} if name == "PreSignUp" else {},
    }
    return triggers.run(name, **(keys | given))


def failure(hooks: Any, name: str = "PreSignUp", **given: Any) -> tuple[str, str]:
    with pytest.raises(CognitoError) as raised:
        run(hooks, name, **given)
    return raised.value.code, raised.value.message


def test_hook_gets_the_common_parameters_of_the_developer_guide() -> None:
    """Source: AWS developer guide, Lambda trigger common parameters."""
    seen: list[dict[str, Any]] = []

    def pre_sign_up(event: dict[str, Any]) -> dict[str, Any]:
        seen.append(event)
        return event

    run({"PreSignUp": pre_sign_up}, request={"validationData": {"a": "b"}, "clientMetadata": None})
    assert seen == [
        {
            "version": "1",
            "triggerSource": "PreSignUp_SignUp",
            "region": "eu-west-1",
            "userPoolId": POOL_ID,
            "userName": "ana",
            "callerContext": {
                "awsSdkVersion": "aws-sdk-unknown-unknown",
                "clientId": "1example23456789",
            },
            "request": {"userAttributes": {}, "validationData": {"a": "b"}},
            "response": {"autoConfirmUser": False},
        }
    ]


def test_response_of_the_hook_is_returned() -> None:
    def pre_sign_up(event: dict[str, Any]) -> dict[str, Any]:
        event["response"]["autoConfirmUser"] = event["request"]["userAttributes"]["email"] != ""
        return event

    assert run({"PreSignUp": pre_sign_up}) == {"autoConfirmUser": True}


def test_handler_with_a_context_is_called_as_by_lambda() -> None:
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        assert 0 < context.get_remaining_time_in_millis() <= 5000
        assert context.function_name == "pre_sign_up"
        assert context.aws_request_id
        return event

    assert run({"PreSignUp": handler}) == {"autoConfirmUser": False}


def test_python_source_defines_hooks_by_snake_case_names() -> None:
    source = (
        "def pre_sign_up(event):\n    event['response']['autoConfirmUser'] = True\n    return event"
    )
    triggers = Triggers(source, pool_id=POOL_ID)
    assert triggers.has("PreSignUp")
    assert not triggers.has("PostConfirmation")
    assert run(source) == {"autoConfirmUser": True}
    assert function_name("VerifyAuthChallengeResponse") == "verify_auth_challenge_response"


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ("def pre_sign_up(", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("def sign_up(event): ...", "pre_sign_up"),
        ({"PreSignup": lambda event: event}, "PreSignup"),
    ],
)
def test_unusable_hooks_are_invalid_input(hooks: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Triggers(hooks, pool_id=POOL_ID)


class TestFailure:
    @pytest.mark.parametrize("name", TRIGGERS)
    def test_raised_error_is_told_in_the_words_of_cognito(self, name: str) -> None:
        """Source: amplify-flutter#1051."""

        def hook(event: dict[str, Any]) -> dict[str, Any]:
            raise ValueError("This email is not invited")

        assert failure({name: hook}, name) == (
            "UserLambdaValidationException",
            f"{name} failed with error This email is not invited.",
        )

    def test_slow_hook_times_out_after_three_attempts(self) -> None:
        """Source: AWS developer guide, Lambda triggers; amazon-cognito-identity-dart-2#204."""
        begun: list[float] = []
        done = threading.Event()

        def hook(event: dict[str, Any]) -> dict[str, Any]:
            begun.append(time.monotonic())
            done.wait(5)
            return event

        assert failure({"PostAuthentication": hook}, "PostAuthentication", timeout=0.02) == (
            "UnexpectedLambdaException",
            "PostAuthentication invocation failed due to error Socket timeout while invoking Lambda "
            "function.",
        )
        done.set()
        assert len(begun) == 3

    def test_second_attempt_can_succeed(self) -> None:
        attempts: list[int] = []

        def hook(event: dict[str, Any]) -> dict[str, Any]:
            attempts.append(1)
            if len(attempts) == 1:
                raise TimeoutError
            return event

        assert run({"PreSignUp": hook}) == {"autoConfirmUser": False}
        assert len(attempts) == 2

    def test_permission_error_is_told_as_access_denied(self) -> None:
        """Source: AWS knowledge centre, Lambda trigger errors."""

        def hook(event: dict[str, Any]) -> dict[str, Any]:
            raise PermissionError

        assert failure({"PreSignUp": hook}) == (
            "UnexpectedLambdaException",
            "PreSignUp invocation failed due to error AccessDeniedException.",
        )

    @pytest.mark.parametrize("returned", [None, {1, 2}, float, ...])
    def test_response_that_is_no_json_is_rejected(self, returned: Any) -> None:
        """Source: amplify-cli#4341: an async handler that also takes a callback returns nothing."""
        assert failure({"PreSignUp": lambda event: returned}) == (
            "InvalidLambdaResponseException",
            "Invalid lambda function output : Invalid JSON",
        )

    @pytest.mark.parametrize(
        "change",
        [
            lambda event: "approved",
            lambda event: {"statusCode": 200},
            lambda event: event["response"],
            lambda event: event | {"response": None},
            lambda event: event | {"response": {"failAuthentication": True}},
            lambda event: event | {"response": {"autoConfirmUser": "yes"}},
            lambda event: {key: event[key] for key in event if key != "callerContext"},
        ],
    )
    def test_response_of_another_shape_is_unrecognizable(self, change: Any) -> None:
        """Source: amazon-cognito-identity-js#167, #297."""
        assert failure({"PreSignUp": change}) == (
            "InvalidLambdaResponseException",
            "Unrecognizable lambda output",
        )

    def test_hook_that_exits_fails_only_its_call(self) -> None:
        def hook(event: dict[str, Any]) -> dict[str, Any]:
            raise SystemExit(3)

        assert failure({"PreSignUp": hook})[0] == "UserLambdaValidationException"


@pytest.mark.parametrize(
    ("name", "response"),
    [
        ("CustomMessage", {"smsMessage": "Your code is {####}", "emailSubject": "Hello"}),
        ("UserMigration", {"userAttributes": {"email": "a@b.c"}, "finalUserStatus": "CONFIRMED"}),
        ("DefineAuthChallenge", {"challengeName": "CUSTOM_CHALLENGE", "issueTokens": False}),
        (
            "CreateAuthChallenge",
            {"publicChallengeParameters": {"q": "?"}, "privateChallengeParameters": {"a": "!"}},
        ),
        ("VerifyAuthChallengeResponse", {"answerCorrect": True}),
        ("PreTokenGeneration", {"claimsOverrideDetails": {"claimsToSuppress": ["email"]}}),
        ("PostConfirmation", {}),
    ],
)
def test_response_of_each_trigger_is_accepted(name: str, response: dict[str, Any]) -> None:
    assert run({name: lambda event: event | {"response": response}}, name) == response


class TestServer:
    """Hooks that are slow, or call the pool themselves, do not stop the server."""

    def test_hook_can_call_the_pool_that_called_it(self) -> None:
        """As in amplify-js#14201: a PreSignUp function that lists users."""
        found: list[str] = []

        def pre_authentication(event: dict[str, Any]) -> dict[str, Any]:
            client = boto3.session.Session().client(
                "cognito-idp",
                endpoint_url=sandbox.endpoint,
                region_name=event["region"],
                aws_access_key_id="x",
                aws_secret_access_key="x",
            )
            users = client.list_users(UserPoolId=event["userPoolId"])["Users"]
            found.extend(user["Username"] for user in users)
            return event

        with Sandbox(seed_with(PreAuthentication=pre_authentication)) as sandbox:
            assert "AuthenticationResult" in sign_in(sandbox).json()
        assert found == ["ana"]

    def test_waiting_for_a_hook_does_not_block_other_requests(self) -> None:
        begun, release = threading.Event(), threading.Event()

        def pre_authentication(event: dict[str, Any]) -> dict[str, Any]:
            begun.set()
            release.wait(5)
            return event

        with Sandbox(seed_with(PreAuthentication=pre_authentication)) as sandbox:
            slow = threading.Thread(target=sign_in, args=(sandbox,))
            slow.start()
            assert begun.wait(5)
            started = time.monotonic()
            calls = httpx.get(f"{sandbox.endpoint}/_sandbox/calls", timeout=4).json()
            answered = post(sandbox, "DescribeUserPool", UserPoolId=sandbox.pool_id)
            took = time.monotonic() - started
            release.set()
            slow.join()
        assert calls == {"InitiateAuth": 1}
        assert answered.status_code == 200
        assert took < 3

    def test_words_of_a_hook_are_header_safe(self) -> None:
        def pre_authentication(event: dict[str, Any]) -> dict[str, Any]:
            raise ValueError("Zutritt für „Gäste“\nverboten")

        with Sandbox(seed_with(PreAuthentication=pre_authentication)) as sandbox:
            response = sign_in(sandbox)
        message = response.json()["message"]
        assert message == "PreAuthentication failed with error Zutritt für „Gäste“\nverboten."
        assert response.headers["x-amzn-ErrorMessage"].endswith("G?ste? verboten.")


def seed_with(**hooks: Any) -> Seed:
    user = UserSeed.model_validate({"username": "ana", "password": "Correct-horse-1"})
    return Seed(pool=PoolSeed(triggers=hooks), users=(user,))


def sign_in(sandbox: Sandbox) -> httpx.Response:
    return post(
        sandbox,
        "InitiateAuth",
        ClientId=sandbox.client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ana", "PASSWORD": "Correct-horse-1"},
    )


def post(sandbox: Sandbox, operation: str, **request: Any) -> httpx.Response:
    return httpx.post(
        sandbox.endpoint,
        json=request,
        headers={"X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}"},
        timeout=4,
        verify=False,
    )
