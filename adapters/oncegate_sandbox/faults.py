"""Faults: failures that tests order for the next calls."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from oncegate_sandbox._model import errors, errors_of, meaning
from oncegate_sandbox._rules import rule
from oncegate_sandbox.errors import MFA_LOCKED, CognitoError

Kind = Literal[
    "drop_response",
    "delay",
    "http_500",
    "throttle",
    "refuse",
    "error",
    "waf",
    "mfa_lockout",
    "threat_block",
    "limit",
    "malformed",
    "html",
    "empty",
    "http_408",
]

_PERFORMED = frozenset({"drop_response", "delay", "http_500", "malformed", "empty"})

THREAT_BLOCKED = "Unable to login because of security reasons."
LIMIT_EXCEEDED = "Attempt limit exceeded, please try after some time."
WAF_BLOCKED = "Request not allowed due to WAF block."

# Words of errors as public reports and AWS documents quote them: by code, and by operation and code
# if they differ. For the rest, the service model's own description of the error stands in.
_WORDS: dict[str | tuple[str, str], str] = {
    "AliasExistsException": "An account with the given email already exists.",
    "CodeDeliveryFailureException": "Unable to deliver message.",
    "CodeMismatchException": "Invalid verification code provided, please try again.",
    ("RespondToAuthChallenge", "CodeMismatchException"): (
        "Invalid code or auth state for the user."
    ),
    ("VerifySoftwareToken", "CodeMismatchException"): "Code mismatch",
    "EnableSoftwareTokenMFAException": "Code mismatch and fail enable Software Token MFA",
    "ExpiredCodeException": "Invalid code provided, please request a code again.",
    "ForbiddenException": WAF_BLOCKED,
    "InternalErrorException": "Something went wrong",
    "InvalidLambdaResponseException": "Unrecognizable lambda output",
    "InvalidPasswordException": "Password did not conform with policy: Password not long enough",
    "LimitExceededException": LIMIT_EXCEEDED,
    "MFAMethodNotFoundException": "No MFA mechanism registerd in the account.",
    "NotAuthorizedException": "Incorrect username or password.",
    ("ConfirmSignUp", "NotAuthorizedException"): (
        "User cannot be confirmed. Current status is CONFIRMED"
    ),
    ("ForgotPassword", "NotAuthorizedException"): (
        "User password cannot be reset in the current state."
    ),
    ("GetTokensFromRefreshToken", "NotAuthorizedException"): "Invalid Refresh Token",
    ("GetUser", "NotAuthorizedException"): "Access Token has been revoked",
    ("RespondToAuthChallenge", "NotAuthorizedException"): "Invalid session for the user.",
    "PasswordResetRequiredException": "Password reset required for the user",
    "ResourceNotFoundException": "User pool client does not exist.",
    ("ConfirmDevice", "ResourceNotFoundException"): "Device does not exist.",
    ("ForgetDevice", "ResourceNotFoundException"): "Device does not exist.",
    ("GetDevice", "ResourceNotFoundException"): "Device does not exist.",
    ("UpdateDeviceStatus", "ResourceNotFoundException"): "Device does not exist.",
    "TooManyFailedAttemptsException": "Attempt limit exceeded, please try after some time.",
    "TooManyRequestsException": "Rate exceeded",
    "UnexpectedLambdaException": (
        "PreAuthentication invocation failed due to error Socket timeout while invoking Lambda "
        "function."
    ),
    "UserLambdaValidationException": "PreAuthentication failed with error Denied by the sandbox.",
    ("SignUp", "UserLambdaValidationException"): (
        "PreSignUp failed with error Denied by the sandbox."
    ),
    "UserNotConfirmedException": "User is not confirmed.",
    "UserNotFoundException": "User does not exist.",
    "UsernameExistsException": "User already exists",
}

rule(
    "fault-mfa-lockout",
    f"The fault mfa_lockout answers NotAuthorizedException, '{MFA_LOCKED}'.",
    source="AWS developer guide, MFA: lockout after five wrong codes",
)
rule(
    "fault-threat-block",
    f"The fault threat_block answers NotAuthorizedException, '{THREAT_BLOCKED}'.",
    source="public reports of threat protection, in six code bases",
)
rule(
    "fault-limit",
    f"The fault limit answers LimitExceededException, '{LIMIT_EXCEEDED}'.",
    source="amplify-js#13225",
)
rule(
    "fault-waf-block",
    f"The fault waf answers 403: HTML, an empty body, or ForbiddenException, '{WAF_BLOCKED}'.",
    source="franken-srp#13, aws-sdk-js-v3#7255",
)
rule(
    "fault-waf-captcha",
    "The fault waf with status 405 has the header x-amzn-waf-action: captcha; with status 202, "
    "challenge. A client that does not accept text/html gets no body.",
    source="AWS WAF API reference, CaptchaAction and ChallengeAction",
)


@dataclass(frozen=True)
class Reply:
    """A response as it is: one of managed login, or one that is not Cognito's.

    Attributes:
        status: status code.
        body: content.
        media_type: value of ``Content-Type``.
        headers: further headers.
        error: name of the error that it reports, or None.
    """

    status: int
    body: bytes
    media_type: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)
    error: str | None = None


_ERRORS: dict[str, tuple[str, str, int]] = {
    "http_500": ("InternalErrorException", "Something went wrong", 500),
    "throttle": ("TooManyRequestsException", "Rate exceeded", 400),
    "mfa_lockout": ("NotAuthorizedException", MFA_LOCKED, 400),
    "threat_block": ("NotAuthorizedException", THREAT_BLOCKED, 400),
    "limit": ("LimitExceededException", LIMIT_EXCEEDED, 400),
}
_GARBLED: dict[str, Reply] = {
    "malformed": Reply(200, b'{"ChallengeName":"SMS_M', "application/x-amz-json-1.1"),
    "html": Reply(200, b"<html><body>Sign in to the Wi-Fi of this hotel.</body></html>"),
    "empty": Reply(200, b""),
    "http_408": Reply(408, b""),
}


ENDPOINTS = (
    "oauth2/authorize",
    "login",
    "oauth2/idpresponse",
    "oauth2/token",
    "oauth2/userInfo",
    "oauth2/revoke",
    "logout",
)
"""Endpoints of managed login, by the names that faults, calls and requests have for them."""

OAUTH_ERRORS = frozenset(
    # RFC 6749, 4.1.2.1 and 5.2; OpenID Connect Core 1.0, 3.1.2.6; RFC 6750, 3.1; RFC 7009, 2.2.1.
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_token",
        "login_required",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
        "unsupported_token_type",
        # Cognito passes on what a provider says (amplify-flutter#7350); this one is Apple's.
        "user_cancelled_authorize",
    }
)


class Fault(BaseModel):
    """One order, as ``POST /_sandbox/faults`` accepts it.

    Attributes:
        operation: name of the operation, such as ``RespondToAuthChallenge``, or of an endpoint of
            managed login, such as ``oauth2/token``. Default: ``*``, any.
        kind: what happens to the call. See the table "Faults" of this package's README.
        times: number of calls. Default: 1.
        seconds: duration of a delay, at most 600. Default: 0.
        code: name of an error of the service model, or of OAuth 2.0 for an endpoint of managed login,
            for the kind ``error``.
        message: text of the error. Default: the words that Cognito uses.
        status: status code, for the kinds ``error`` and ``waf``. Default: the service model's, or 403.
            A firewall can also answer 405 (CAPTCHA) or 202 (challenge).
        body: what a firewall's 403 contains: ``html``, ``json`` or ``empty``. Default: ``html``.
        performed: whether the call is performed before the client gets its answer. Default: True for
            ``drop_response``, ``http_500``, ``delay``, ``malformed`` and ``empty``.
    """

    model_config = ConfigDict(extra="forbid")

    operation: str = Field(default="*", min_length=1)
    kind: Kind
    times: int = Field(default=1, ge=1)
    seconds: float = Field(default=0.0, ge=0, le=600)
    code: str | None = None
    message: str | None = Field(default=None, max_length=2000)
    status: int | None = Field(default=None, ge=200, le=599)
    body: Literal["html", "json", "empty"] = "html"
    performed: bool | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "error":
            self._check_code()
        elif self.code or self.message:
            raise ValueError("code and message are for the kind error")
        if self.status and self.kind not in {"error", "waf"}:
            raise ValueError("status is for the kinds error and waf")
        if self.kind == "waf" and self.status not in {None, 202, 403, 405}:
            raise ValueError("a firewall's status is 403, 405 or 202")
        return self

    def _check_code(self) -> None:
        allowed: Collection[str] = errors_of(self.operation)
        if self.operation == "*":
            allowed = errors().keys()
        elif self.operation in ENDPOINTS:
            allowed = OAUTH_ERRORS
        if not allowed:
            raise ValueError(f"the service model has no operation {self.operation}")
        if self.code not in allowed:
            names = ", ".join(sorted(allowed))
            raise ValueError(f"code must be an error of {self.operation}: {names}")

    @property
    def is_performed(self) -> bool:
        """Whether the call is performed before the client gets its answer."""
        return self.kind in _PERFORMED if self.performed is None else self.performed

    def answer(self, operation: str) -> CognitoError | Reply | None:
        """Return what the client gets instead of Cognito's answer; None if it gets that.

        Args:
            operation: operation of the call.
        """
        if self.kind == "error":
            code = self.code or ""
            if code in OAUTH_ERRORS:
                return CognitoError(code, self.message or "", self.status or 400)
            return CognitoError(
                code, self.message or words(operation, code), self.status or errors()[code]
            )
        if self.kind == "waf":
            return self._firewall()
        if self.kind in _GARBLED:
            return _GARBLED[self.kind]
        return CognitoError(*_ERRORS[self.kind]) if self.kind in _ERRORS else None

    def _firewall(self) -> CognitoError | Reply:
        status = self.status or 403
        if status != 403:
            action = "captcha" if status == 405 else "challenge"
            return Reply(status, b"", headers={"x-amzn-waf-action": action})
        if self.body == "json":
            return CognitoError("ForbiddenException", WAF_BLOCKED, 403)
        page = b"<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body>"
        return Reply(status, page + b"</html>" if self.body == "html" else b"")


def words(operation: str, code: str) -> str:
    """Return the words of an error: Cognito's own if a source quotes them."""
    return _WORDS.get((operation, code)) or _WORDS.get(code) or meaning(code)


class Faults:
    """The pending orders, oldest first."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Add an order."""
        self._orders.append(fault)

    def take(self, operation: str) -> Fault | None:
        """Return the fault of a call and count it down; None if no order matches."""
        for index, fault in enumerate(self._orders):
            if fault.operation in {"*", operation}:
                if fault.times > 1:
                    self._orders[index] = fault.model_copy(update={"times": fault.times - 1})
                else:
                    del self._orders[index]
                return fault
        return None

    def pending(self) -> list[Fault]:
        """Return the pending orders."""
        return list(self._orders)

    def clear(self) -> None:
        """Delete all orders."""
        self._orders.clear()
