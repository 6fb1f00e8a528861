"""What each of Cognito's errors means for a flow: one table, read from the top, first match counts.

Codes are those of botocore's service model. The messages that tell errors of one code apart are from
the AWS developer guide and from public reports, and are matched by their beginning.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from oncegate.adapters import NotSent, Outcome, OutcomeUnknown, Rejected, RejectionReason


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        code: the exception's name.
        begins: how its message begins; empty for any message.
        means: a refusal, ``"throttled"`` (no effect) or ``"unknown"`` (it may have had one).
    """

    code: str
    begins: str
    means: RejectionReason | str


THROTTLED: Final = "throttled"
UNKNOWN: Final = "unknown"

_R = RejectionReason
TABLE: Final = (
    # The first factor. "User does not exist." and a wrong password mean the same to a stranger.
    Row("NotAuthorizedException", "Password attempts exceeded", _R.LOCKED),
    Row("NotAuthorizedException", "Too many invalid credentials attempts", _R.LOCKED),
    Row("NotAuthorizedException", "SecretHash does not match", _R.MISCONFIGURED),
    Row("NotAuthorizedException", "Unable to verify secret hash", _R.MISCONFIGURED),
    Row("NotAuthorizedException", "Temporary password has expired", _R.ADMINISTRATOR_MUST_ACT),
    Row("NotAuthorizedException", "Invalid session", _R.CHALLENGE_DEAD),
    Row("NotAuthorizedException", "", _R.WRONG_CREDENTIALS),
    Row("UserNotFoundException", "", _R.WRONG_CREDENTIALS),
    Row("PasswordResetRequiredException", "", _R.PASSWORD_RESET_REQUIRED),
    Row("UserNotConfirmedException", "", _R.SIGN_UP_NOT_CONFIRMED),
    # Codes.
    Row("CodeMismatchException", "", _R.WRONG_CODE),
    Row("ExpiredCodeException", "Your software token has already been used", _R.CODE_ALREADY_USED),
    Row("ExpiredCodeException", "", _R.CODE_EXPIRED),
    # VerifySoftwareToken: the first code of an authenticator that is being set up was wrong.
    Row("EnableSoftwareTokenMFAException", "Code mismatch", _R.WRONG_CODE),
    Row("EnableSoftwareTokenMFAException", "", _R.FACTOR_UNUSABLE),
    Row("SoftwareTokenMFANotFoundException", "", _R.FACTOR_UNUSABLE),
    Row("MFAMethodNotFoundException", "", _R.FACTOR_UNUSABLE),
    # New passwords.
    Row("InvalidPasswordException", "", _R.NEW_PASSWORD_REFUSED),
    Row("PasswordHistoryPolicyViolationException", "", _R.NEW_PASSWORD_REFUSED),
    # No effect: Cognito says so by its throttles.
    Row("TooManyRequestsException", "", THROTTLED),
    Row("LimitExceededException", "", THROTTLED),
    Row("TooManyFailedAttemptsException", "", THROTTLED),
    Row("ThrottlingException", "", THROTTLED),
    # The pool's own Lambda triggers, and a firewall before the pool.
    Row("UserLambdaValidationException", "", _R.TRIGGER_REFUSED),
    Row("UnexpectedLambdaException", "", _R.TRIGGER_REFUSED),
    Row("InvalidLambdaResponseException", "", _R.TRIGGER_REFUSED),
    Row("ForbiddenException", "", _R.FIREWALL),
    # A device that Cognito has forgotten (amplify-js, its retry without the device).
    Row("ResourceNotFoundException", "Device does not exist", _R.DEVICE_FORGOTTEN),
    # For the developer.
    Row("ResourceNotFoundException", "", _R.MISCONFIGURED),
    Row("InvalidParameterException", "", _R.MISCONFIGURED),
    Row("InvalidUserPoolConfigurationException", "", _R.MISCONFIGURED),
    Row("InvalidSmsRoleAccessPolicyException", "", _R.MISCONFIGURED),
    Row("InvalidSmsRoleTrustRelationshipException", "", _R.MISCONFIGURED),
    Row("InvalidEmailRoleAccessPolicyException", "", _R.MISCONFIGURED),
    Row("OperationNotEnabledException", "", _R.MISCONFIGURED),
    Row("FeatureUnavailableInTierException", "", _R.MISCONFIGURED),
    Row("UnsupportedOperationException", "", _R.MISCONFIGURED),
    Row("AliasExistsException", "", _R.MISCONFIGURED),
    # It may have happened all the same.
    Row("InternalErrorException", "", UNKNOWN),
    Row("CodeDeliveryFailureException", "", UNKNOWN),
)


def outcome_of(code: str, message: str, status: int) -> Outcome:
    """Look an error up.

    Args:
        code: the exception's name, such as ``CodeMismatchException``.
        message: Cognito's words.
        status: of the HTTP response. A code that is not in the table goes by it: 5xx may have had
            an effect, 429 had none, anything else is the developer's to look at.
    """
    means: RejectionReason | str
    for row in TABLE:
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
    refusal = RejectionReason(means)
    return Rejected(
        reason=refusal, detail=message if refusal is _R.NEW_PASSWORD_REFUSED else detail
    )
