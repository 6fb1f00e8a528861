"""What each error means for a flow: one table for Cognito's errors, and botocore's own exceptions.

Codes are those of botocore's service model. One code has many meanings, which depend on the operation
and on Cognito's words. The words are from the AWS developer guide and from public reports
(`tests/cognito/test_errors.py` names the source of each).
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

import botocore.exceptions as aws
from urllib3.exceptions import NameResolutionError

from oncegate.adapters import NotSent, Outcome, OutcomeUnknown, Rejected, RejectionReason

# ── kinds of calls ──

SIGN_IN: Final = "sign_in"
"""InitiateAuth, and the answers with which a first factor is chosen or proven."""
FIRST_CODE: Final = "first_code"
"""Answers with a code that is the first factor."""
ANSWER: Final = "answer"
"""Answers to any other challenge, whose user has proven a first factor."""
SEND_CODE: Final = "send_code"
"""ForgotPassword and ResendConfirmationCode."""
CONFIRM: Final = "confirm"
"""ConfirmForgotPassword and ConfirmSignUp."""
DEVICE: Final = "device"
"""The proof of a device, and its registration."""
SIGN_UP: Final = "sign_up"
"""SignUp."""
ACCOUNT: Final = "account"
"""Changes that a signed-in user makes to the account."""
TOKEN: Final = "token"
"""Other operations that a refresh token or an access token authorises."""

_BY_OPERATION: Final = {
    "InitiateAuth": SIGN_IN,
    "AssociateSoftwareToken": ANSWER,
    "VerifySoftwareToken": ANSWER,
    "SignUp": SIGN_UP,
    "ForgotPassword": SEND_CODE,
    "ResendConfirmationCode": SEND_CODE,
    "ConfirmForgotPassword": CONFIRM,
    "ConfirmSignUp": CONFIRM,
    "ConfirmDevice": DEVICE,
    "UpdateDeviceStatus": DEVICE,
    "UpdateUserAttributes": ACCOUNT,
    "GetUserAttributeVerificationCode": ACCOUNT,
    "VerifyUserAttribute": ACCOUNT,
    "SetUserMFAPreference": ACCOUNT,
    "ChangePassword": ACCOUNT,
    "StartWebAuthnRegistration": ACCOUNT,
    "CompleteWebAuthnRegistration": ACCOUNT,
    "DeleteWebAuthnCredential": ACCOUNT,
}
_FIRST_FACTORS: Final = frozenset(
    {"", "PASSWORD", "PASSWORD_SRP", "PASSWORD_VERIFIER", "SELECT_CHALLENGE"}
)


def kind_of_call(operation: str, challenge: str = "", *, is_first_factor: bool = False) -> str:
    """Return the kind of a call, which decides what an error means.

    Args:
        operation: name of the operation, such as ``RespondToAuthChallenge``.
        challenge: kind of the challenge that the call answers; empty if it answers none.
        is_first_factor: whether the challenge asks for a code as the first factor.
    """
    operation = operation.removeprefix("Admin")
    if operation == "RespondToAuthChallenge":
        if is_first_factor:
            return FIRST_CODE
        if challenge in _FIRST_FACTORS:
            return SIGN_IN
        return DEVICE if challenge.startswith("DEVICE_") else ANSWER
    return _BY_OPERATION.get(operation, TOKEN)


# ── the table ──


class ErrorRow(NamedTuple):
    """One row of the table.

    Attributes:
        code: name of Cognito's exception.
        words: beginning of its message, where ``…`` stands for anything; empty for any message.
        means: rejection reason, or ``"throttled"`` or ``"limit_exceeded"`` (the request had no
            effect), or ``"ended"`` (so have the tokens), or ``"unknown"`` (it may have had an effect).
        calls: kinds of calls that the row is for; empty for all.
        cure: what the developer should do.
        message: code of a text that tells the user more than the reason's own.
    """

    code: str
    words: str
    means: RejectionReason | str
    calls: frozenset[str] = frozenset()
    cure: str = ""
    message: str = ""

    def matches(self, code: str, message: str, call: str) -> bool:
        """Whether the row is for an error of a kind of call."""
        if self.code != code or (self.calls and call not in self.calls):
            return False
        return _pattern(self.words).match(message) is not None


@cache
def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(".*?".join(map(re.escape, words.split("…"))), re.DOTALL | re.IGNORECASE)


THROTTLED: Final = "throttled"
LIMIT_EXCEEDED: Final = "limit_exceeded"
ENDED: Final = "ended"
UNKNOWN: Final = "unknown"

_R = RejectionReason
_MISCONFIGURED: Final = _R.MISCONFIGURED
_NOT_AUTHORIZED: Final = "NotAuthorizedException"
_INVALID: Final = "InvalidParameterException"
_NOT_FOUND: Final = "ResourceNotFoundException"
_ANSWERS = frozenset({ANSWER, FIRST_CODE})
_UNPROVEN_CODE = frozenset({CONFIRM, FIRST_CODE})
_PERSON = frozenset({SIGN_IN, *_ANSWERS})
_USER = frozenset({*_PERSON, DEVICE})
_SIGN_UP = frozenset({SIGN_UP})
_TOKEN = frozenset({TOKEN})
_ACCOUNT = frozenset({ACCOUNT})
_ENDS_TOKENS = (
    "Invalid Refresh Token",
    "Refresh Token has",
    "Invalid Access Token",
    "Access Token has been revoked",
    "Could not verify signature for Access Token",
    "User is disabled",
    "User does not exist",
)

# "Password did not conform with policy: Password not long enough". Each operation begins it differently.
_PASSWORD_RULES = {
    "…not long enough": "password_too_short",
    "…numeric characters": "password_needs_number",
    "…symbol characters": "password_needs_symbol",
    "…uppercase characters": "password_needs_uppercase",
    "…lowercase characters": "password_needs_lowercase",
}

_PASS_SECRET = "this app client has a secret: pass client_secret=, or set ONCEGATE_CLIENT_SECRET"
_NO_SECRET = "this app client has no secret: leave client_secret= and ONCEGATE_CLIENT_SECRET out"
_WRONG_SECRET = "client_secret= (ONCEGATE_CLIENT_SECRET) is not the secret of this app client"
_WRONG_ID = "check pool_id=, client_id= and the region"
_WRONG_URL = "check the endpoint URL, or the domain of ManagedLogin"
_CREDENTIALS = "check the AWS credentials of this process and their IAM policy"
_TRIGGER = "see the log of the pool's Lambda trigger"
_BROKEN_TRIGGER = (
    "a Lambda trigger of the pool failed: see its log, and let cognito-idp.amazonaws.com invoke it"
)
_FLOW = "add the flow to the app client's ExplicitAuthFlows, or pass another auth_flow="
_TRIGGERS = "add the triggers of CUSTOM_AUTH to the pool, or pass another auth_flow="
_WRITABLE = "let the app client write the attributes that the pool requires"
_TRUST = "let cognito-idp.amazonaws.com assume the pool's SMS role"
_PUBLISH = "let the pool's SMS role publish to Amazon SNS"
_SEND_EMAILS = "let the pool send with Amazon SES"
_NO_SIGN_UP = "let users create accounts (AllowAdminCreateUserOnly), or leave WaysIn.sign_up out"
_NO_VERIFICATION = "let the pool verify an attribute of the form (AutoVerifiedAttributes)"
_OAUTH_CLIENT = "check client_id=, client_secret= and the domain of ManagedLogin"
_OAUTH_FLOW = "allow the code grant for the app client (AllowedOAuthFlows)"
_OAUTH_REQUEST = "check the redirect_uri of ManagedLogin against the app client's CallbackURLs"
_OAUTH_SCOPES = (
    "if each sign-in ends so, let the app client read all attributes of its scopes, such as "
    "email_verified"
)
_NO_DESTINATION = "give the user a verified email address or phone number"
_DELIVERY = (
    "see whether the pool can send at all: its SMS role, the sandbox and the spending limit of Amazon "
    "SNS, the verified senders of Amazon SES"
)
_EMAILS = "let the pool send with your own Amazon SES configuration: its own has 50 emails a day"
_PARAMETERS = (
    "compare these words with the settings of the user pool, the app client and the transport"
)
_POOL_SETTINGS = "complete the setting of the user pool that these words name"
_ENABLE = "enable for the app client what these words name, or do without it"
_PASSKEYS = (
    "turn passkeys on for the pool (AllowedFirstAuthFactors with WEB_AUTHN, SetUserPoolMfaConfig)"
)
_RELYING_PARTY = "set the pool's RelyingPartyId to the domain of your pages (SetUserPoolMfaConfig)"
_REVOCABLE = "only refresh tokens of this app client can be revoked: check client_id="
_NEW_ERROR = "this release does not know the error: see Cognito's API reference"
_UNFIT = "the request does not fit Cognito's API: check client_id=, client_secret= and the rest"
NOT_COGNITO: Final = (
    "the server does not answer as Cognito does: check the endpoint URL and the proxy"
)
UNKNOWN_HOST: Final = (
    "the host name is not known: check the region in pool_id=, the endpoint URL, the domain of "
    "ManagedLogin, and DNS"
)
UNTRUSTED: Final = (
    "trust the certificate's authority by AWS_CA_BUNDLE, or check the endpoint URL and proxy"
)
_PROXY = "check HTTPS_PROXY and NO_PROXY"

ERRORS: Final = (
    # The app client.
    ErrorRow(
        _NOT_AUTHORIZED, "Client … is configured with secret but", _MISCONFIGURED, cure=_PASS_SECRET
    ),
    ErrorRow(
        _NOT_AUTHORIZED, "Client … is configured for secret but", _MISCONFIGURED, cure=_PASS_SECRET
    ),
    ErrorRow(
        _NOT_AUTHORIZED, "Client … is not configured for secret", _MISCONFIGURED, cure=_NO_SECRET
    ),
    ErrorRow(
        _INVALID, "App client … is not configured for secret", _MISCONFIGURED, cure=_NO_SECRET
    ),
    ErrorRow(_INVALID, "Client … is not configured for secret", _MISCONFIGURED, cure=_NO_SECRET),
    ErrorRow(_NOT_AUTHORIZED, "SecretHash does not match", _MISCONFIGURED, cure=_WRONG_SECRET),
    ErrorRow(_NOT_AUTHORIZED, "Unable to verify secret", _MISCONFIGURED, cure=_WRONG_SECRET),
    ErrorRow(_NOT_AUTHORIZED, "Unable to verify client secret", _MISCONFIGURED, cure=_WRONG_SECRET),
    ErrorRow(
        _NOT_AUTHORIZED,
        "A client attempted to write unauthorized attribute",
        _MISCONFIGURED,
        cure=_WRITABLE,
    ),
    # A new account. That its name is taken is the engine's to tell.
    ErrorRow("UsernameExistsException", "", _R.USERNAME_TAKEN, _SIGN_UP),
    ErrorRow("AliasExistsException", "", _R.USERNAME_TAKEN, _SIGN_UP),
    ErrorRow(_NOT_AUTHORIZED, "SignUp is not permitted", _MISCONFIGURED, cure=_NO_SIGN_UP),
    # Before it is known that the caller is the user: no other user is told so (P6).
    *(
        ErrorRow(code, words, _R.ADMINISTRATOR_MUST_ACT, frozenset({SEND_CODE}), cure=cure)
        for code, words, cure in (
            (_INVALID, "Cannot resend codes", _NO_VERIFICATION),
            ("InvalidSmsRoleAccessPolicyException", "", _PUBLISH),
            ("InvalidSmsRoleTrustRelationshipException", "", _TRUST),
            ("InvalidEmailRoleAccessPolicyException", "", _SEND_EMAILS),
            ("CodeDeliveryFailureException", "", _DELIVERY),
        )
    ),
    ErrorRow(_INVALID, "Auto verification not turned on", _MISCONFIGURED, cure=_NO_VERIFICATION),
    # The session of SignUp ends sooner than its code. A new code comes without one.
    ErrorRow(_NOT_AUTHORIZED, "Invalid session", _R.CODE_EXPIRED, frozenset({CONFIRM})),
    ErrorRow(_NOT_AUTHORIZED, "Session is expired", _R.CODE_EXPIRED, frozenset({CONFIRM})),
    # The user, whose password was wrong, or is locked, blocked, expired.
    ErrorRow(_NOT_AUTHORIZED, "Password attempts exceeded", _R.LOCKED),
    ErrorRow(_NOT_AUTHORIZED, "Too many invalid credentials attempts", _R.LOCKED),
    ErrorRow(_NOT_AUTHORIZED, "Attempt limit exceeded", LIMIT_EXCEEDED),
    ErrorRow(_NOT_AUTHORIZED, "Temporary password has expired", _R.ADMINISTRATOR_MUST_ACT),
    ErrorRow(_NOT_AUTHORIZED, "User account has expired", _R.ADMINISTRATOR_MUST_ACT),
    ErrorRow(
        _NOT_AUTHORIZED,
        "User password cannot be reset in the current state",
        _R.ADMINISTRATOR_MUST_ACT,
    ),
    ErrorRow(_NOT_AUTHORIZED, "Contact administrator to reset", _R.ADMINISTRATOR_MUST_ACT),
    ErrorRow(_NOT_AUTHORIZED, "Unable to login because of security reasons", _R.BLOCKED),
    ErrorRow(_NOT_AUTHORIZED, "Request not allowed due to security reasons", _R.BLOCKED),
    ErrorRow(_NOT_AUTHORIZED, "… failed with error", _R.TRIGGER_REFUSED, cure=_TRIGGER),
    ErrorRow(_NOT_AUTHORIZED, "Invalid session", _R.CHALLENGE_DEAD, _USER),
    ErrorRow(_NOT_AUTHORIZED, "Session is expired", _R.CHALLENGE_DEAD, _USER),
    ErrorRow(
        _NOT_AUTHORIZED,
        "Incorrect username or password",
        _R.WRONG_CREDENTIALS,
        _ACCOUNT,
        message="wrong_password",
    ),
    # With a device, this is about its proof, and nothing else is.
    ErrorRow(_NOT_AUTHORIZED, "Incorrect username or password", _R.WRONG_CREDENTIALS, _USER),
    ErrorRow(_NOT_AUTHORIZED, "User does not exist", _R.WRONG_CREDENTIALS, _PERSON),
    # Before the password is proven, a caller must not learn that there is such a user (P6).
    ErrorRow(_NOT_AUTHORIZED, "User is disabled", _R.WRONG_CREDENTIALS, frozenset({SIGN_IN})),
    ErrorRow(_NOT_AUTHORIZED, "User is disabled", _R.WRONG_CODE, _UNPROVEN_CODE),
    ErrorRow("UserNotFoundException", "", _R.WRONG_CREDENTIALS, _PERSON),
    ErrorRow("UserNotFoundException", "", _R.REFUSED, frozenset({DEVICE})),
    ErrorRow(_NOT_AUTHORIZED, "", _R.FACTOR_UNUSABLE, frozenset({SEND_CODE})),
    # A caller who asks for a code must not learn that there is no such user (P6).
    ErrorRow("UserNotFoundException", "", _R.WRONG_CREDENTIALS, frozenset({SEND_CODE})),
    ErrorRow("UserNotFoundException", "", _R.WRONG_CODE, frozenset({CONFIRM})),
    ErrorRow("UserNotConfirmedException", "", _R.WRONG_CODE, frozenset({CONFIRM})),
    # Tokens. Whatever else is refused is not about them.
    *(ErrorRow(_NOT_AUTHORIZED, words, ENDED, _TOKEN) for words in _ENDS_TOKENS),
    ErrorRow("RefreshTokenReuseException", "", ENDED, _TOKEN),
    ErrorRow("UserNotFoundException", "", ENDED, _TOKEN),
    # amplify-js's TokenOrchestrator ends the session for these two, too.
    ErrorRow("PasswordResetRequiredException", "", ENDED, _TOKEN),
    ErrorRow("UserNotConfirmedException", "", ENDED, _TOKEN),
    ErrorRow(_NOT_AUTHORIZED, "", _R.REFUSED),
    ErrorRow("PasswordResetRequiredException", "", _R.PASSWORD_RESET_REQUIRED),
    ErrorRow("UserNotConfirmedException", "", _R.SIGN_UP_NOT_CONFIRMED),
    # Codes.
    ErrorRow("CodeMismatchException", "", _R.WRONG_CODE),
    ErrorRow(
        "ExpiredCodeException", "Your software token has already been used", _R.CODE_ALREADY_USED
    ),
    ErrorRow("ExpiredCodeException", "", _R.CODE_EXPIRED),
    # VerifySoftwareToken: the first code of an authenticator that is being set up was wrong.
    ErrorRow("EnableSoftwareTokenMFAException", "Code mismatch", _R.WRONG_CODE),
    ErrorRow("EnableSoftwareTokenMFAException", "", _R.FACTOR_UNUSABLE),
    ErrorRow(_INVALID, "… at 'userCode'", _R.WRONG_CODE),
    ErrorRow(_INVALID, "… at 'confirmationCode'", _R.WRONG_CODE),
    ErrorRow("SoftwareTokenMFANotFoundException", "", _R.FACTOR_UNUSABLE, _ANSWERS),
    ErrorRow("MFAMethodNotFoundException", "", _R.FACTOR_UNUSABLE, _ANSWERS),
    ErrorRow("SoftwareTokenMFANotFoundException", "", _R.SECOND_FACTOR_MISSING),
    ErrorRow("MFAMethodNotFoundException", "", _R.SECOND_FACTOR_MISSING, cure=_NO_DESTINATION),
    # SetUserMFAPreference: the user has no such address, or no authenticator.
    ErrorRow(
        _INVALID,
        "User does not have delivery config set to turn on",
        _R.FACTOR_UNUSABLE,
        _ACCOUNT,
        message="factor_not_set_up",
    ),
    ErrorRow(
        _INVALID,
        "User has not verified software token mfa",
        _R.FACTOR_UNUSABLE,
        _ACCOUNT,
        message="factor_not_set_up",
    ),
    # What the user mistyped.
    *(
        ErrorRow("InvalidPasswordException", words, _R.NEW_PASSWORD_REFUSED, message=message)
        for words, message in _PASSWORD_RULES.items()
    ),
    ErrorRow("InvalidPasswordException", "", _R.NEW_PASSWORD_REFUSED),
    ErrorRow(
        "PasswordHistoryPolicyViolationException",
        "",
        _R.NEW_PASSWORD_REFUSED,
        message="password_used_before",
    ),
    *(
        ErrorRow(_INVALID, f"… at {member}{words}", _R.NEW_PASSWORD_REFUSED, message=message)
        for member in ("'password'", "'proposedPassword'")
        for words, message in (
            ("…length greater than", "password_too_short"),
            ("", "new_password_spaces"),
        )
    ),
    ErrorRow(_INVALID, "… at 'username'", _R.WRONG_CREDENTIALS, frozenset({SIGN_IN})),
    ErrorRow(_INVALID, "… at 'username'", _R.INPUT_REFUSED, _SIGN_UP),
    ErrorRow(_INVALID, "Username cannot be of email format", _R.INPUT_REFUSED, _SIGN_UP),
    ErrorRow(
        _INVALID, "Username should be an email", _R.INPUT_REFUSED, _SIGN_UP, message="email_refused"
    ),
    ErrorRow(
        _INVALID,
        "Username should be a phone number",
        _R.INPUT_REFUSED,
        _SIGN_UP,
        message="phone_number_refused",
    ),
    ErrorRow(_INVALID, "Username should be", _R.INPUT_REFUSED, _SIGN_UP),
    ErrorRow(_INVALID, "Invalid phone number", _R.INPUT_REFUSED, message="phone_number_refused"),
    ErrorRow(_INVALID, "Invalid email address", _R.INPUT_REFUSED, message="email_refused"),
    ErrorRow(_INVALID, "Invalid attributes given", _R.INPUT_REFUSED, message="attribute_refused"),
    ErrorRow(
        _INVALID,
        "Attributes did not conform to the schema",
        _R.INPUT_REFUSED,
        message="attribute_refused",
    ),
    ErrorRow(_INVALID, "… at 'userAttributes", _R.INPUT_REFUSED, message="attribute_refused"),
    ErrorRow("AliasExistsException", "", _R.INPUT_REFUSED, message="address_taken"),
    # Passkeys: what the browser created, and what the pool has to be set up for.
    ErrorRow("WebAuthnChallengeNotFoundException", "", _R.CHALLENGE_DEAD),
    ErrorRow(
        "WebAuthnCredentialNotSupportedException", "", _R.INPUT_REFUSED, message="passkey_refused"
    ),
    ErrorRow("WebAuthnClientMismatchException", "", _R.INPUT_REFUSED, message="passkey_refused"),
    ErrorRow("WebAuthnNotEnabledException", "", _MISCONFIGURED, cure=_PASSKEYS),
    ErrorRow("WebAuthnConfigurationMissingException", "", _MISCONFIGURED, cure=_PASSKEYS),
    ErrorRow("WebAuthnOriginNotAllowedException", "", _MISCONFIGURED, cure=_RELYING_PARTY),
    ErrorRow("WebAuthnRelyingPartyMismatchException", "", _MISCONFIGURED, cure=_RELYING_PARTY),
    # What an administrator has to do for the user.
    ErrorRow(
        _INVALID,
        "Cannot reset password for the user",
        _R.ADMINISTRATOR_MUST_ACT,
        cure=_NO_DESTINATION,
    ),
    # Limits: the request had no effect. One of a second is repeated, one of an hour is not.
    ErrorRow("TooManyRequestsException", "", THROTTLED),
    ErrorRow("ThrottlingException", "", THROTTLED),
    ErrorRow("LimitExceededException", "Exceeded daily email limit", LIMIT_EXCEEDED, cure=_EMAILS),
    ErrorRow("LimitExceededException", "", LIMIT_EXCEEDED),
    ErrorRow("TooManyFailedAttemptsException", "", LIMIT_EXCEEDED),
    # The pool's own Lambda triggers, and a firewall in front of the pool.
    ErrorRow("UserLambdaValidationException", "", _R.TRIGGER_REFUSED, cure=_TRIGGER),
    ErrorRow("UnexpectedLambdaException", "", _R.TRIGGER_REFUSED, cure=_BROKEN_TRIGGER),
    ErrorRow("InvalidLambdaResponseException", "", _R.TRIGGER_REFUSED, cure=_BROKEN_TRIGGER),
    ErrorRow("ForbiddenException", "", _R.FIREWALL, cure="see the web ACL of AWS WAF"),
    # A device that Cognito has forgotten, in the words of three public reports (amplify-js#8895,
    # aws-sdk-ios#5339).
    ErrorRow(_NOT_FOUND, "Device", _R.DEVICE_FORGOTTEN),
    # For the developer.
    ErrorRow(_NOT_FOUND, "", _MISCONFIGURED, cure=_WRONG_ID),
    ErrorRow(_INVALID, "… flow not enabled for this client", _MISCONFIGURED, cure=_FLOW),
    ErrorRow(_INVALID, "… is not enabled for the client", _MISCONFIGURED, cure=_FLOW),
    ErrorRow(
        _INVALID,
        "Initiate Auth method not supported",
        _MISCONFIGURED,
        cure="use AdminCognitoTransport for ADMIN_ flows",
    ),
    ErrorRow(
        _INVALID, "Custom auth lambda trigger is not configured", _MISCONFIGURED, cure=_TRIGGERS
    ),
    ErrorRow(_INVALID, "", _MISCONFIGURED, cure=_PARAMETERS),
    ErrorRow("InvalidUserPoolConfigurationException", "", _MISCONFIGURED, cure=_POOL_SETTINGS),
    ErrorRow("InvalidSmsRoleAccessPolicyException", "", _MISCONFIGURED, cure=_PUBLISH),
    ErrorRow("InvalidSmsRoleTrustRelationshipException", "", _MISCONFIGURED, cure=_TRUST),
    ErrorRow("InvalidEmailRoleAccessPolicyException", "", _MISCONFIGURED, cure=_SEND_EMAILS),
    ErrorRow("OperationNotEnabledException", "", _MISCONFIGURED, cure=_POOL_SETTINGS),
    ErrorRow(
        "FeatureUnavailableInTierException",
        "",
        _MISCONFIGURED,
        cure="choose a feature plan for the pool that has this, or do without it",
    ),
    # API reference, RevokeToken; developer guide, "Ending user sessions with token revocation".
    ErrorRow(
        "UnsupportedOperationException",
        "",
        _MISCONFIGURED,
        _TOKEN,
        cure="turn on EnableTokenRevocation for the app client: until then, refresh tokens stay valid",
    ),
    ErrorRow("UnsupportedOperationException", "", _MISCONFIGURED, cure=_ENABLE),
    ErrorRow("UnauthorizedException", "", _MISCONFIGURED, cure=_WRONG_SECRET),
    ErrorRow("UnsupportedTokenTypeException", "", _MISCONFIGURED, cure=_REVOCABLE),
    ErrorRow("AccessDeniedException", "", _MISCONFIGURED, cure=_CREDENTIALS),
    ErrorRow("UnrecognizedClientException", "", _MISCONFIGURED, cure=_CREDENTIALS),
    ErrorRow("InvalidSignatureException", "", _MISCONFIGURED, cure=_CREDENTIALS),
    ErrorRow("IncompleteSignatureException", "", _MISCONFIGURED, cure=_CREDENTIALS),
    ErrorRow("MissingAuthenticationTokenException", "", _MISCONFIGURED, cure=_CREDENTIALS),
    ErrorRow("ExpiredTokenException", "", _MISCONFIGURED, cure=_CREDENTIALS),
    # The token endpoint of managed login (AWS developer guide, "The token issuer endpoint").
    ErrorRow("invalid_grant", "", _R.CHALLENGE_DEAD, cure=_OAUTH_SCOPES),
    ErrorRow("invalid_client", "", _MISCONFIGURED, cure=_OAUTH_CLIENT),
    ErrorRow("unauthorized_client", "", _MISCONFIGURED, cure=_OAUTH_FLOW),
    ErrorRow("unsupported_grant_type", "", _MISCONFIGURED, cure=_OAUTH_FLOW),
    ErrorRow("invalid_request", "", _MISCONFIGURED, cure=_OAUTH_REQUEST),
    # The request may have had its effect.
    ErrorRow("InternalErrorException", "", UNKNOWN),
    ErrorRow("CodeDeliveryFailureException", "", UNKNOWN, cure=_DELIVERY),
)
"""Read from the top; the first row that matches counts."""

CURES: Final = frozenset(
    {*(row.cure for row in ERRORS if row.cure), _WRONG_URL, _NEW_ERROR, _UNFIT, NOT_COGNITO}
    | {UNKNOWN_HOST, UNTRUSTED, _PROXY}
)
"""Every cure that a detail can end with."""

# Causes that only a developer or an operator can end, although the flow has another word for them.
_SET_UP: Final = frozenset(
    {_NO_VERIFICATION, _TRUST, _PUBLISH, _SEND_EMAILS, _DELIVERY, _EMAILS, _BROKEN_TRIGGER}
    | {UNKNOWN_HOST, UNTRUSTED, _PROXY, _CREDENTIALS}
)


class NeverSent(aws.BotoCoreError):
    """A request failed before its first byte left, such as in the TLS handshake."""

    fmt = "the request did not leave: {cause}"


class MalformedResponse(aws.BotoCoreError):
    """The response is none of Cognito's, such as the page of a proxy or of a firewall."""

    fmt = "the response is not Cognito's: {cause}"


# Raised before a request leaves: refused, unresolved or timed out while connecting, or without
# credentials to sign it. botocore raises the first three for urllib3's NewConnectionError and
# ConnectTimeoutError only.
NEVER_SENT: Final = (
    aws.EndpointConnectionError,
    aws.ConnectTimeoutError,
    aws.ProxyConnectionError,
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    NeverSent,
)
# No later request would have any either.
_WITHOUT_CREDENTIALS: Final = (aws.NoCredentialsError, aws.PartialCredentialsError)
_MOST_DETAIL = 500
_QUOTED = re.compile(r"Value '.*?' at ('[^\s']+' failed to satisfy constraint)", re.DOTALL)


def outcome_of_exception(
    failure: Exception, challenge: str = "", *, is_first_factor: bool = False
) -> Outcome:
    """Return the outcome of a request that raised: rejected, not sent, or unknown.

    An exception that is in neither of the first two groups is unknown. Details name only the type of
    botocore's own exceptions, because their messages can quote the request.

    Args:
        failure: what the call of boto3 raised.
        challenge: kind of the challenge that the call answers; empty if it answers none.
        is_first_factor: whether the challenge asks for a code as the first factor.
    """
    if isinstance(failure, aws.ClientError):
        error = failure.response.get("Error", {})
        return outcome_of_error(
            error.get("Code", ""),
            error.get("Message", ""),
            failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0),
            call=kind_of_call(failure.operation_name, challenge, is_first_factor=is_first_factor),
        )
    if isinstance(failure, aws.ParamValidationError):
        # botocore did not send the request: it does not fit the service model. A code can be shorter.
        is_code = "UserCode" in str(failure)
        reason = _R.WRONG_CODE if is_code else _R.MISCONFIGURED
        detail = type(failure).__name__ if is_code else f"{type(failure).__name__} ({_UNFIT})"
        return Rejected(reason=reason, detail=detail)
    if isinstance(failure, _WITHOUT_CREDENTIALS):
        return Rejected(reason=_R.MISCONFIGURED, detail=f"{name_of(failure)} ({_CREDENTIALS})")
    if isinstance(failure, NEVER_SENT):
        cure = _cure_of(failure)
        detail = name_of(failure) + (f" ({cure})" if cure else "")
        return NotSent(cause="unreachable", detail=detail)
    return OutcomeUnknown(detail=name_of(failure))


def outcome_after_effect(failure: Exception, challenge: str = "") -> Outcome:
    """Return the outcome of a call whose first request had an effect, and whose next one raised.

    If the next one was not sent, the call as a whole had an effect all the same.

    Args:
        failure: what the call of boto3 raised.
        challenge: kind of the challenge that the call answers; empty if it answers none.
    """
    outcome = outcome_of_exception(failure, challenge)
    return OutcomeUnknown(detail=outcome.detail) if isinstance(outcome, NotSent) else outcome


def _cure_of(failure: Exception) -> str:
    """Return what to do about a request that did not leave; empty if waiting is all there is."""
    known = getattr(failure, "kwargs", {})
    if isinstance(known.get("error"), NameResolutionError):
        return UNKNOWN_HOST
    if isinstance(failure, aws.ProxyConnectionError):
        return _PROXY
    cause = known.get("cause", "") if isinstance(failure, NeverSent) else ""
    if isinstance(failure, aws.CredentialRetrievalError) or cause.startswith("no credentials"):
        return _CREDENTIALS
    return UNTRUSTED if cause == "SSLCertVerificationError" else ""


def words_and_cure(detail: str) -> tuple[str, str]:
    """Return the two parts of an outcome's detail; the cure is empty if it has none."""
    cure = next((one for one in CURES if detail.endswith(f" ({one})")), "")
    return (detail.removesuffix(f" ({cure})") if cure else detail), cure


def is_set_up(outcome: Outcome) -> bool:
    """Whether an outcome, other than `RejectionReason.MISCONFIGURED`, has its cause in the set-up."""
    return words_and_cure(str(getattr(outcome, "detail", "")))[1] in _SET_UP


def is_logged_as_error(row: ErrorRow) -> bool:
    """Whether an error of a row is for the developer alone, whatever the user is told."""
    return row.means is _R.MISCONFIGURED or row.cure in _SET_UP


def had_no_effect(failure: BaseException) -> bool:
    """Whether a request had no effect and may succeed in a moment, so that it can be repeated."""
    if not isinstance(failure, Exception):
        return False
    outcome = outcome_of_exception(failure)
    return isinstance(outcome, NotSent) and outcome.cause != LIMIT_EXCEEDED


def name_of(failure: Exception) -> str:
    """Return the type of an exception, its cause if we wrapped it, or the endpoint: no request."""
    kind = type(failure).__name__
    known = getattr(failure, "kwargs", {})
    ours = isinstance(failure, NeverSent | MalformedResponse)
    cause = known.get("cause", "") if ours else known.get("endpoint_url", "")
    return f"{kind}: {cause}" if cause else kind


def outcome_of_error(code: str, message: str, status: int, *, call: str = SIGN_IN) -> Outcome:
    """Return what an error response means.

    Args:
        code: name of the exception, such as ``CodeMismatchException``. For a response that is not
            Cognito's, botocore has the status here.
        message: Cognito's message.
        status: HTTP status. It decides for a code that is not in the table: 5xx may have had an
            effect, 429 had none, and any other status is for the developer.
        call: kind of the call, from `kind_of_call`.
    """
    if code.isdecimal():
        return _outcome_of_page(int(code))
    # A validation error quotes what was sent, such as a code or an email address.
    message = _QUOTED.sub(r"Value at \1", message)
    row = row_of(code, message, status, call)
    detail = f"{code}: {message}"[:_MOST_DETAIL] + (f" ({row.cure})" if row.cure else "")
    if row.means == THROTTLED:
        return NotSent(cause="throttled", detail=detail)
    if row.means == LIMIT_EXCEEDED:
        return NotSent(cause="limit_exceeded", detail=detail)
    if row.means == UNKNOWN or status >= 500:
        return OutcomeUnknown(detail=detail)
    reason = RejectionReason.REFUSED if row.means == ENDED else RejectionReason(row.means)
    for_user = ""
    if reason is _R.NEW_PASSWORD_REFUSED and not row.message:
        for_user = message
    elif reason is _R.TRIGGER_REFUSED:
        for_user = _words_of_trigger(message)
    elif row.message == "attribute_refused":
        for_user = _attribute_in(message)
    return Rejected(reason=reason, detail=detail, message=row.message, for_user=for_user)


def row_of(code: str, message: str, status: int, call: str) -> ErrorRow:
    """Return the row for an error, or one by its status if the table has none."""
    for row in ERRORS:
        if row.matches(code, message, call):
            return row
    by_status = THROTTLED if status == 429 else UNKNOWN
    means = by_status if status >= 500 or status == 429 else _R.MISCONFIGURED
    return ErrorRow(code, "", means, cure=_NEW_ERROR if means is _R.MISCONFIGURED else "")


def ends_tokens(failure: Exception) -> bool:
    """Whether a request with a token failed because the token, its session or its user has ended."""
    if not isinstance(failure, aws.ClientError):
        return False
    error = failure.response.get("Error", {})
    status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return row_of(error.get("Code", ""), error.get("Message", ""), status, TOKEN).means == ENDED


def _outcome_of_page(status: int) -> Outcome:
    """The outcome of a response that has no error of Cognito's, such as a page in HTML.

    AWS WAF answers 403, and 405 with a CAPTCHA (AWS WAF developer guide, "CAPTCHA and Challenge").
    """
    detail = f"HTTP status {status}, without an error of Cognito's"
    if status == 429:
        return NotSent(cause="throttled", detail=detail)
    if status in {403, 405}:
        return Rejected(reason=_R.FIREWALL, detail=f"{detail} (see the web ACL of AWS WAF)")
    if status >= 500 or status == 408:
        return OutcomeUnknown(detail=detail)
    return Rejected(reason=_R.MISCONFIGURED, detail=f"{detail} ({_WRONG_URL})")


def _words_of_trigger(message: str) -> str:
    """What the pool's own Lambda said: "PreSignUp failed with error {words}."."""
    found = re.match(r"\w+ failed with error (.+?)\.?$", message, re.DOTALL)
    return found[1].strip()[:_MOST_DETAIL] if found else ""


def _attribute_in(message: str) -> str:
    """The attribute that Cognito names: "Attributes did not conform to the schema: birthdate: …"."""
    found = re.search(r"(?:schema|given)[:,] *((?:custom:)?\w+)", message)
    return found[1] if found else ""
