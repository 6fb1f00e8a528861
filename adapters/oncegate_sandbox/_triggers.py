"""Lambda triggers: Python functions that are called as a user pool calls its Lambda functions.

A hook gets the event of AWS's developer guide and returns it, with its ``response`` filled in. It
can also take a second argument, the Lambda context, so that a team's own handlers can be tested
unchanged. If a hook raises, is too slow, or returns something else, the call fails with Cognito's
own words.
"""

from __future__ import annotations

import inspect
import json
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from oncegate import InvalidInput
from oncegate_sandbox._rules import rule
from oncegate_sandbox.errors import CognitoError

if TYPE_CHECKING:
    from oncegate_sandbox._users import User

Event = dict[str, Any]
Hook = Callable[..., Any]

_TIMEOUT_SECONDS = 5.0
_ATTEMPTS = 3

rule(
    "trigger-event",
    "A hook gets version, triggerSource, region, userPoolId, userName, callerContext, request and "
    "response, and must return them, with the response filled in.",
    source="AWS developer guide, Lambda trigger common parameters",
)
rule(
    "trigger-raises",
    "If a hook raises, the call fails: UserLambdaValidationException, 'PreSignUp failed with error X.'.",
    source="amplify-flutter#1051; AWS developer guide, pre sign-up Lambda trigger",
)
rule(
    "trigger-times-out",
    "A hook has 5 seconds and three attempts. Then the call fails: UnexpectedLambdaException, 'X "
    "invocation failed due to error Socket timeout while invoking Lambda function.'.",
    source="AWS developer guide, Lambda triggers; amazon-cognito-identity-dart-2#204",
)
rule(
    "trigger-denied",
    "If a hook raises PermissionError, the call fails as if the pool may not invoke the function: "
    "UnexpectedLambdaException, 'X invocation failed due to error AccessDeniedException.'.",
    source="AWS knowledge centre, Lambda trigger errors",
)
rule(
    "trigger-invalid-response",
    "A hook that returns something else than its event fails the call: InvalidLambdaResponseException, "
    "'Unrecognizable lambda output'; nothing, or no JSON: 'Invalid lambda function output : Invalid "
    "JSON'.",
    source="amazon-cognito-identity-js#167; amplify-cli#4341",
)


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class _PreSignUp(_Response):
    autoConfirmUser: bool | None = None  # noqa: N815 - AWS's own names, also below
    autoVerifyEmail: bool | None = None  # noqa: N815
    autoVerifyPhone: bool | None = None  # noqa: N815


class _CustomMessage(_Response):
    smsMessage: str | None = None  # noqa: N815
    emailMessage: str | None = None  # noqa: N815
    emailSubject: str | None = None  # noqa: N815


class _UserMigration(_Response):
    userAttributes: dict[str, str] | None = None  # noqa: N815
    finalUserStatus: Literal["CONFIRMED", "RESET_REQUIRED"] | None = None  # noqa: N815
    messageAction: Literal["RESEND", "SUPPRESS"] | None = None  # noqa: N815
    desiredDeliveryMediums: list[Literal["EMAIL", "SMS"]] | None = None  # noqa: N815
    forceAliasCreation: bool | None = None  # noqa: N815
    enableSMSMFA: bool | None = None  # noqa: N815


class _DefineAuthChallenge(_Response):
    challengeName: str | None = None  # noqa: N815
    issueTokens: bool | None = None  # noqa: N815
    failAuthentication: bool | None = None  # noqa: N815


class _CreateAuthChallenge(_Response):
    publicChallengeParameters: dict[str, str] | None = None  # noqa: N815
    privateChallengeParameters: dict[str, str] | None = None  # noqa: N815
    challengeMetadata: str | None = None  # noqa: N815


class _VerifyAuthChallengeResponse(_Response):
    answerCorrect: bool | None = None  # noqa: N815


class _PreTokenGeneration(_Response):
    claimsOverrideDetails: dict[str, Any] | None = None  # noqa: N815
    claimsAndScopeOverrideDetails: dict[str, Any] | None = None  # noqa: N815


_RESPONSES: dict[str, type[_Response]] = {
    "PreSignUp": _PreSignUp,
    "PostConfirmation": _Response,
    "PreAuthentication": _Response,
    "PostAuthentication": _Response,
    "PreTokenGeneration": _PreTokenGeneration,
    "CustomMessage": _CustomMessage,
    "UserMigration": _UserMigration,
    "DefineAuthChallenge": _DefineAuthChallenge,
    "CreateAuthChallenge": _CreateAuthChallenge,
    "VerifyAuthChallengeResponse": _VerifyAuthChallengeResponse,
}

TRIGGERS = tuple(_RESPONSES)
"""The triggers that the sandbox calls, by their names in ``LambdaConfig``."""


def function_name(trigger: str) -> str:
    """Return the name of a trigger's function in a seed file: ``pre_sign_up`` for PreSignUp."""
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in trigger).lstrip("_")


class Triggers:
    """The hooks of one pool.

    Args:
        hooks: functions by trigger name, or Python source that defines functions such as
            ``pre_sign_up(event)``. Default: none.
        pool_id: user pool ID.
        timeout_seconds: seconds until an attempt counts as timed out. Default: 5, as in Cognito.

    Attributes:
        names: triggers that the pool runs, as its LambdaConfig names them. Default: all hooks.

    Raises:
        InvalidInput: the source cannot be run, or a name is no trigger's.
    """

    def __init__(
        self,
        hooks: str | Mapping[str, Hook] | None = None,
        *,
        pool_id: str,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._hooks = _defined(hooks) if isinstance(hooks, str) else dict(hooks or {})
        unknown = sorted(self._hooks.keys() - set(TRIGGERS))
        if unknown:
            raise InvalidInput(
                f"triggers: unknown: {', '.join(unknown)}; use {', '.join(TRIGGERS)}"
            )
        self.names: Collection[str] = tuple(self._hooks)
        self._pool_id = pool_id
        self._timeout_seconds = timeout_seconds

    def has(self, name: str) -> bool:
        """Return whether the pool has a hook for a trigger."""
        return name in self._hooks and name in self.names

    def __bool__(self) -> bool:
        return any(map(self.has, self._hooks))

    def run(
        self,
        name: str,
        *,
        source: str,
        user: User | None,
        username: str,
        client_id: str,
        request: dict[str, Any],
        response: dict[str, Any],
        version: str = "1",
    ) -> dict[str, Any]:
        """Call a hook and return its ``response``.

        Args:
            name: trigger, such as ``PreSignUp``.
            source: ``triggerSource``, such as ``PreSignUp_AdminCreateUser``.
            user: the user, whose attributes become ``request.userAttributes`` unless ``request`` has
                them; None for an unknown or new user.
            username: ``userName``.
            client_id: app client ID; ``CLIENT_ID_NOT_APPLICABLE`` for an administrator's call.
            request: further members of ``request``. None values are left out.
            response: members of ``response`` as the hook finds them.
            version: ``version`` of the event.

        Raises:
            CognitoError: the hook raised, timed out three times, or returned something else.
        """
        attributes = user.attributes | {"sub": user.sub} if user else {}
        if user:
            attributes["cognito:user_status"] = user.status
        event: Event = {
            "version": version,
            "triggerSource": source,
            "region": self._pool_id.partition("_")[0],
            "userPoolId": self._pool_id,
            "userName": username,
            "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": client_id},
            "request": {"userAttributes": attributes}
            | {member: value for member, value in request.items() if value is not None},
            "response": response,
        }
        hook = self._hooks[name]
        for _ in range(_ATTEMPTS):
            try:
                returned = self._call(name, hook, json.loads(json.dumps(event)))
            except TimeoutError:
                continue
            except PermissionError:
                raise _not_invoked(name, "AccessDeniedException") from None
            except Exception as error:  # noqa: BLE001 - the developer's code can raise anything
                message = f"{name} failed with error {error}."
                raise CognitoError("UserLambdaValidationException", message) from None
            return _response_of(name, returned, event)
        raise _not_invoked(name, "Socket timeout while invoking Lambda function")

    def _call(self, name: str, hook: Hook, event: Event) -> Any:
        """Call a hook in a thread of its own, and stop to wait for it after the timeout."""
        answer: list[Any] = []
        failure: list[BaseException] = []
        arguments = (event, self._context(name)) if _takes_context(hook) else (event,)

        def call() -> None:
            try:
                answer.append(hook(*arguments))
            except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
                failure.append(error)

        thread = threading.Thread(target=call, name=f"trigger-{name}", daemon=True)
        with _turn_given_up():
            thread.start()
            thread.join(self._timeout_seconds)
        if failure:
            raise failure[0] if isinstance(failure[0], Exception) else RuntimeError(failure[0])
        if not answer:
            raise TimeoutError
        return answer[0]

    def _context(self, name: str) -> SimpleNamespace:
        """Return what the Lambda runtime passes as the second argument."""
        ends, function = time.monotonic() + self._timeout_seconds, function_name(name)
        region = self._pool_id.partition("_")[0]
        return SimpleNamespace(
            function_name=function,
            function_version="$LATEST",
            invoked_function_arn=f"arn:aws:lambda:{region}:000000000000:function:{function}",
            memory_limit_in_mb="128",
            aws_request_id=str(uuid.uuid4()),
            log_group_name=f"/aws/lambda/{function}",
            log_stream_name="sandbox",
            identity=None,
            client_context=None,
            get_remaining_time_in_millis=lambda: max(0, int((ends - time.monotonic()) * 1000)),
        )


def _response_of(name: str, returned: Any, sent: Event) -> dict[str, Any]:
    """Check what a hook returned, and return its ``response``."""
    try:
        event = json.loads(json.dumps(returned))
    except (TypeError, ValueError, RecursionError):
        event = None
    if event is None:
        raise CognitoError(
            "InvalidLambdaResponseException", "Invalid lambda function output : Invalid JSON"
        )
    try:
        if not isinstance(event, dict) or any(event.get(key) is None for key in sent):
            raise ValueError
        _RESPONSES[name].model_validate(event["response"])
    except ValueError:  # pydantic's ValidationError is one
        raise CognitoError(
            "InvalidLambdaResponseException", "Unrecognizable lambda output"
        ) from None
    response: dict[str, Any] = event["response"]
    return response


def _not_invoked(name: str, reason: str) -> CognitoError:
    return CognitoError(
        "UnexpectedLambdaException", f"{name} invocation failed due to error {reason}."
    )


def _defined(source: str) -> dict[str, Hook]:
    """Return the hooks that Python source defines."""
    names: dict[str, Any] = {}
    try:
        # The seed is the developer's own file, like a conftest.py.
        exec(compile(source, "triggers", "exec"), names)  # noqa: S102
    except Exception as error:  # noqa: BLE001 - the developer's code can raise anything
        raise InvalidInput(f"triggers: {type(error).__name__}: {error}") from None
    functions = {function_name(trigger): trigger for trigger in TRIGGERS}
    hooks = {functions[name]: value for name, value in names.items() if name in functions}
    if not hooks:
        raise InvalidInput(f"triggers: define at least one of {', '.join(functions)}")
    return hooks


def _takes_context(hook: Hook) -> bool:
    try:
        inspect.signature(hook).bind(None, None)
    except TypeError:
        return False
    return True


# ── turns: the server performs one request at a time, but not while it waits for a hook ──

_TURN: ContextVar[threading.Lock | None] = ContextVar("oncegate_sandbox_turn", default=None)


@contextmanager
def turn(lock: threading.Lock) -> Iterator[None]:
    """Perform a request in turn. A hook that itself calls the sandbox gets a turn while it runs."""
    with lock:
        token = _TURN.set(lock)
        try:
            yield
        finally:
            _TURN.reset(token)


@contextmanager
def _turn_given_up() -> Iterator[None]:
    lock = _TURN.get()
    if lock is None:
        yield
        return
    lock.release()
    try:
        yield
    finally:
        lock.acquire()
