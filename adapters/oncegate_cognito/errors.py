"""What each error means for a flow: one table for Cognito's errors, and botocore's own exceptions.

Codes are those of botocore's service model. The messages that distinguish errors of one code are from
the AWS developer guide and from public reports, and are matched by their beginning.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import botocore.exceptions as aws

from oncegate.adapters import NotSent, Outcome, OutcomeUnknown, Rejected, RejectionReason


class ErrorRow(NamedTuple):
    """One row of the table.

    Attributes:
        code: name of Cognito's exception.
        begins: beginning of its message; empty for any message.
        means: rejection reason, or ``"throttled"`` (the request had no effect), or ``"unknown"`` (it
            may have had one).
    """

    code: str
    begins: str
    means: RejectionReason | str


THROTTLED: Final = "throttled"
UNKNOWN: Final = "unknown"

_R = RejectionReason
ERRORS: Final = (
    # The first factor. "User does not exist." and a wrong password have the same outcome:
    # a caller must not learn which users exist.
    ErrorRow("NotAuthorizedException", "Password attempts exceeded", _R.LOCKED),
    ErrorRow("NotAuthorizedException", "Too many invalid credentials attempts", _R.LOCKED),
    ErrorRow("NotAuthorizedException", "SecretHash does not match", _R.MISCONFIGURED),
    ErrorRow("NotAuthorizedException", "Unable to verify secret hash", _R.MISCONFIGURED),
    ErrorRow("NotAuthorizedException", "Temporary password has expired", _R.ADMINISTRATOR_MUST_ACT),
    ErrorRow("NotAuthorizedException", "Invalid session", _R.CHALLENGE_DEAD),
    ErrorRow("NotAuthorizedException", "", _R.WRONG_CREDENTIALS),
    ErrorRow("UserNotFoundException", "", _R.WRONG_CREDENTIALS),
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
    ErrorRow("SoftwareTokenMFANotFoundException", "", _R.FACTOR_UNUSABLE),
    ErrorRow("MFAMethodNotFoundException", "", _R.FACTOR_UNUSABLE),
    # New passwords.
    ErrorRow("InvalidPasswordException", "", _R.NEW_PASSWORD_REFUSED),
    ErrorRow("PasswordHistoryPolicyViolationException", "", _R.NEW_PASSWORD_REFUSED),
    # Throttled: the request had no effect.
    ErrorRow("TooManyRequestsException", "", THROTTLED),
    ErrorRow("LimitExceededException", "", THROTTLED),
    ErrorRow("TooManyFailedAttemptsException", "", THROTTLED),
    ErrorRow("ThrottlingException", "", THROTTLED),
    # The pool's own Lambda triggers, and a firewall in front of the pool.
    ErrorRow("UserLambdaValidationException", "", _R.TRIGGER_REFUSED),
    ErrorRow("UnexpectedLambdaException", "", _R.TRIGGER_REFUSED),
    ErrorRow("InvalidLambdaResponseException", "", _R.TRIGGER_REFUSED),
    ErrorRow("ForbiddenException", "", _R.FIREWALL),
    # A device that Cognito has forgotten (amplify-js, its retry without the device).
    ErrorRow("ResourceNotFoundException", "Device does not exist", _R.DEVICE_FORGOTTEN),
    # For the developer.
    ErrorRow("ResourceNotFoundException", "", _R.MISCONFIGURED),
    ErrorRow("InvalidParameterException", "", _R.MISCONFIGURED),
    ErrorRow("InvalidUserPoolConfigurationException", "", _R.MISCONFIGURED),
    ErrorRow("InvalidSmsRoleAccessPolicyException", "", _R.MISCONFIGURED),
    ErrorRow("InvalidSmsRoleTrustRelationshipException", "", _R.MISCONFIGURED),
    ErrorRow("InvalidEmailRoleAccessPolicyException", "", _R.MISCONFIGURED),
    ErrorRow("OperationNotEnabledException", "", _R.MISCONFIGURED),
    ErrorRow("FeatureUnavailableInTierException", "", _R.MISCONFIGURED),
    ErrorRow("UnsupportedOperationException", "", _R.MISCONFIGURED),
    ErrorRow("AliasExistsException", "", _R.MISCONFIGURED),
    # The request may have had its effect.
    ErrorRow("InternalErrorException", "", UNKNOWN),
    ErrorRow("CodeDeliveryFailureException", "", UNKNOWN),
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


def outcome_of_exception(failure: Exception) -> Outcome:
    """Return the outcome of a request that raised: rejected, not sent, or unknown.

    An exception that is in neither of the first two groups is unknown. Details name only the type of
    botocore's own exceptions, because their messages can quote the request.
    """
    if isinstance(failure, aws.ClientError):
        error = failure.response.get("Error", {})
        status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return outcome_of_error(error.get("Code", ""), error.get("Message", ""), status)
    if isinstance(failure, aws.ParamValidationError):
        # botocore did not send the request: it does not fit the service model.
        return Rejected(reason=RejectionReason.MISCONFIGURED, detail=type(failure).__name__)
    if isinstance(failure, NEVER_SENT):
        return NotSent(cause="unreachable", detail=name_of(failure))
    return OutcomeUnknown(detail=name_of(failure))


def name_of(failure: Exception) -> str:
    """Return the type of an exception, and of its cause if we wrapped it: nothing of a request."""
    kind = type(failure).__name__
    cause = failure.kwargs["cause"] if isinstance(failure, NeverSent | MalformedResponse) else ""
    return f"{kind}: {cause}" if cause else kind


def outcome_of_error(code: str, message: str, status: int) -> Outcome:
    """Look up an error of Cognito's.

    Args:
        code: name of the exception, such as ``CodeMismatchException``.
        message: Cognito's message.
        status: HTTP status. It decides for a code that is not in the table: 5xx may have had an
            effect, 429 had none, and any other status is for the developer.
    """
    means: RejectionReason | str
    for row in ERRORS:  # read from the top; the first match counts
        if row.code == code and message.startswith(row.begins):
            means = row.means
            break
    else:
        by_status = THROTTLED if status == 429 else UNKNOWN
        means = by_status if status >= 500 or status == 429 else _R.MISCONFIGURED
    detail = f"{code}: {message}"
    if means == THROTTLED:
        return NotSent(cause="throttled", detail=detail)
    if means == UNKNOWN or status >= 500:
        return OutcomeUnknown(detail=detail)
    reason = RejectionReason(means)
    return Rejected(reason=reason, detail=message if reason is _R.NEW_PASSWORD_REFUSED else detail)
