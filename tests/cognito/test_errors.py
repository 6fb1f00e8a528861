"""What an error means: by code, by operation and by Cognito's words, each with its source."""

from __future__ import annotations

from typing import NamedTuple

import botocore.exceptions as aws
import botocore.session
import pytest

from oncegate.adapters import NotSent, OutcomeUnknown, Rejected, RejectionReason
from oncegate.messages import TEXTS
from oncegate_cognito.errors import (
    ACCOUNT,
    ANSWER,
    CONFIRM,
    DEVICE,
    ENDED,
    ERRORS,
    FIRST_CODE,
    LIMIT_EXCEEDED,
    SEND_CODE,
    SIGN_IN,
    SIGN_UP,
    THROTTLED,
    TOKEN,
    UNKNOWN,
    ErrorRow,
    ends_tokens,
    had_no_effect,
    kind_of_call,
    outcome_of_error,
    outcome_of_exception,
)

_R = RejectionReason


class Words(NamedTuple):
    """Words of Cognito's, with what they mean and where they were found."""

    code: str
    message: str
    call: str
    means: RejectionReason | str
    source: str


NOT_AUTHORIZED = "NotAuthorizedException"
INVALID = "InvalidParameterException"
NOT_FOUND = "ResourceNotFoundException"
LONG_LOCK = "Too many invalid credentials attempts. User temporarily locked. Please try again after few seconds."
BLANK = "1 validation error detected: Value at 'password' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[\\S]+.*[\\S]+$"

WORDS = (
    Words(NOT_AUTHORIZED, "Incorrect username or password.", SIGN_IN, _R.WRONG_CREDENTIALS, "API reference"),
    Words(NOT_AUTHORIZED, "User does not exist.", SIGN_IN, _R.WRONG_CREDENTIALS, "developer guide"),
    Words("UserNotFoundException", "User does not exist.", SIGN_IN, _R.WRONG_CREDENTIALS, "developer guide"),
    Words(NOT_AUTHORIZED, "User is disabled.", SIGN_IN, _R.WRONG_CREDENTIALS, "P6"),
    Words(NOT_AUTHORIZED, "User is disabled.", FIRST_CODE, _R.WRONG_CODE, "P6"),
    Words(NOT_AUTHORIZED, "User is disabled.", CONFIRM, _R.WRONG_CODE, "P6"),
    Words("UserNotConfirmedException", "User is not confirmed.", CONFIRM, _R.WRONG_CODE, "P6"),
    Words(NOT_AUTHORIZED, "Access Token has expired", TOKEN, _R.REFUSED, "a clock that is behind"),
    Words(NOT_AUTHORIZED, "User is disabled.", ANSWER, _R.REFUSED, "aws-sdk-js#4323"),
    Words(NOT_AUTHORIZED, "Access Token has been revoked", ANSWER, _R.REFUSED, "aws-sdk-js#4323"),
    Words(NOT_AUTHORIZED, "Session is expired", ANSWER, _R.CHALLENGE_DEAD, "aws-sdk-js#4323"),
    Words(NOT_AUTHORIZED, "Something that no report quotes", SIGN_IN, _R.REFUSED, "none"),
    Words(NOT_AUTHORIZED, "Password attempts exceeded", SIGN_IN, _R.LOCKED, "developer guide"),
    Words(NOT_AUTHORIZED, LONG_LOCK, ANSWER, _R.LOCKED, "developer guide, MFA"),
    Words(NOT_AUTHORIZED, "Attempt limit exceeded, please try after some time.", SIGN_IN, LIMIT_EXCEEDED, "amplify-js#13225"),
    Words("LimitExceededException", "Attempt limit exceeded, please try after some time.", SEND_CODE, LIMIT_EXCEEDED, "amplify-js#13225"),
    Words("TooManyRequestsException", "Rate exceeded", SIGN_IN, THROTTLED, "API reference"),
    Words(NOT_AUTHORIZED, "Client abc is configured with secret but SECRET_HASH was not received", SIGN_IN, _R.MISCONFIGURED, "amplify-android#2504"),
    Words(NOT_AUTHORIZED, "Client abc is configured for secret but secret was not received", TOKEN, _R.MISCONFIGURED, "amplify-android#2504"),
    Words(INVALID, "App client abc is not configured for secret but secret hash was received", SIGN_IN, _R.MISCONFIGURED, "pmill/aws-cognito#23"),
    Words(NOT_AUTHORIZED, "SecretHash does not match for the client: abc", ANSWER, _R.MISCONFIGURED, "public reports"),
    Words(NOT_AUTHORIZED, "Unable to verify secret hash for client abc", SIGN_IN, _R.MISCONFIGURED, "public reports"),
    Words(NOT_AUTHORIZED, "Temporary password has expired and must be reset by an administrator.", SIGN_IN, _R.ADMINISTRATOR_MUST_ACT, "developer guide"),
    Words(NOT_AUTHORIZED, "User account has expired, it must be reset by an administrator.", SIGN_IN, _R.ADMINISTRATOR_MUST_ACT, "seven code bases"),
    Words(NOT_AUTHORIZED, "User password cannot be reset in the current state.", SEND_CODE, _R.ADMINISTRATOR_MUST_ACT, "developer guide"),
    Words(NOT_AUTHORIZED, "Contact administrator to reset password.", SEND_CODE, _R.ADMINISTRATOR_MUST_ACT, "moto's tests"),
    Words(INVALID, "Cannot reset password for the user as there is no registered/verified email or phone_number", SEND_CODE, _R.ADMINISTRATOR_MUST_ACT, "AWS knowledge centre"),
    Words(NOT_AUTHORIZED, "Unable to login because of security reasons.", SIGN_IN, _R.BLOCKED, "six code bases"),
    Words(NOT_AUTHORIZED, "Request not allowed due to security reasons.", SEND_CODE, _R.BLOCKED, "six code bases"),
    Words(NOT_AUTHORIZED, "PreAuthentication failed with error too early.", SIGN_IN, _R.TRIGGER_REFUSED, "floci#3851"),
    Words("UserLambdaValidationException", "PreAuthentication failed with error too early.", SIGN_IN, _R.TRIGGER_REFUSED, "amplify-js#9127"),
    Words("UnexpectedLambdaException", "PreSignUp invocation failed due to error AccessDeniedException.", SIGN_IN, _R.TRIGGER_REFUSED, "public reports"),
    Words(NOT_AUTHORIZED, "Invalid session for the user, session is expired.", ANSWER, _R.CHALLENGE_DEAD, "public reports"),
    Words("CodeMismatchException", "Invalid code or auth state for the user.", ANSWER, _R.WRONG_CODE, "public reports"),
    Words("EnableSoftwareTokenMFAException", "Code mismatch and fail enable Software Token MFA", ANSWER, _R.WRONG_CODE, "aws-amplify-auth-starters#15"),
    Words("ExpiredCodeException", "Your software token has already been used once.", ANSWER, _R.CODE_ALREADY_USED, "public reports"),
    Words("ExpiredCodeException", "Invalid code provided, please request a code again.", CONFIRM, _R.CODE_EXPIRED, "public reports"),
    Words(INVALID, "1 validation error detected: Value at 'userCode' failed to satisfy constraint: Member must have length less than or equal to 6", ANSWER, _R.WRONG_CODE, "service model"),
    Words("MFAMethodNotFoundException", "No MFA mechanism registerd in the account.", SIGN_IN, _R.SECOND_FACTOR_MISSING, "amplify-js#14013"),
    Words("MFAMethodNotFoundException", "", ANSWER, _R.FACTOR_UNUSABLE, "API reference"),
    Words("InvalidPasswordException", "Password did not conform with policy: Password not long enough", ANSWER, _R.NEW_PASSWORD_REFUSED, "developer guide"),
    Words(INVALID, BLANK, ANSWER, _R.NEW_PASSWORD_REFUSED, "amplify-js#869"),
    Words(INVALID, BLANK, CONFIRM, _R.NEW_PASSWORD_REFUSED, "amplify-js#3723"),
    Words(INVALID, "Invalid phone number format.", ANSWER, _R.INPUT_REFUSED, "amplify-js#13761"),
    Words(INVALID, "Invalid email address format.", ANSWER, _R.INPUT_REFUSED, "six code bases"),
    Words(INVALID, "Invalid attributes given, name is missing", ANSWER, _R.INPUT_REFUSED, "six code bases"),
    Words(INVALID, "Attributes did not conform to the schema: birthdate: Invalid date", ANSWER, _R.INPUT_REFUSED, "six code bases"),
    Words("AliasExistsException", "An account with the email already exists.", ANSWER, _R.INPUT_REFUSED, "API reference"),
    Words(NOT_FOUND, "Device does not exist.", SIGN_IN, _R.DEVICE_FORGOTTEN, "amplify-js#8895"),
    Words(NOT_FOUND, "Device not found.", DEVICE, _R.DEVICE_FORGOTTEN, "amplify-js#8895"),
    Words(NOT_FOUND, "Device with key K does not exist in device pool P", SIGN_IN, _R.DEVICE_FORGOTTEN, "aws-sdk-ios#5339"),
    Words(NOT_FOUND, "User pool client abc does not exist.", SIGN_IN, _R.MISCONFIGURED, "public reports"),
    Words(NOT_AUTHORIZED, "Incorrect username or password.", DEVICE, _R.WRONG_CREDENTIALS, "amplify-js, its retry"),
    Words(NOT_AUTHORIZED, "User is disabled.", DEVICE, _R.REFUSED, "aws-sdk-js#4323"),
    Words("ForbiddenException", "Request blocked", DEVICE, _R.FIREWALL, "API reference"),
    Words(INVALID, "USER_PASSWORD_AUTH flow not enabled for this client", SIGN_IN, _R.MISCONFIGURED, "many reports"),
    Words(INVALID, "USER_AUTH is not enabled for the client.", SIGN_IN, _R.MISCONFIGURED, "public reports"),
    Words(INVALID, "Initiate Auth method not supported", SIGN_IN, _R.MISCONFIGURED, "moto#4836"),
    Words(INVALID, "Custom auth lambda trigger is not configured for the user pool.", SIGN_IN, _R.MISCONFIGURED, "nine code bases"),
    Words("UserNotConfirmedException", "User is not confirmed.", SIGN_IN, _R.SIGN_UP_NOT_CONFIRMED, "amazon-cognito-identity-js#288"),
    Words("PasswordResetRequiredException", "Password reset required for the user", SIGN_IN, _R.PASSWORD_RESET_REQUIRED, "developer guide"),
    Words(NOT_AUTHORIZED, "Whatever the reason", SEND_CODE, _R.FACTOR_UNUSABLE, "none"),
    Words(NOT_AUTHORIZED, "Whatever the reason", CONFIRM, _R.REFUSED, "none"),
    Words(NOT_AUTHORIZED, "Invalid Refresh Token", TOKEN, ENDED, "franken-srp#13"),
    Words(NOT_AUTHORIZED, "Refresh Token has been revoked", TOKEN, ENDED, "developer guide"),
    Words(NOT_AUTHORIZED, "Could not verify signature for Access Token", TOKEN, ENDED, "many reports"),
    Words("RefreshTokenReuseException", "Refresh token has been invalidated.", TOKEN, ENDED, "service model"),
    Words("UserNotFoundException", "User does not exist.", TOKEN, ENDED, "franken-srp#13"),
    Words(NOT_AUTHORIZED, "Unable to verify client secret", TOKEN, _R.MISCONFIGURED, "service model"),
    Words(NOT_AUTHORIZED, "PreTokenGeneration failed with error x", TOKEN, _R.TRIGGER_REFUSED, "amplify-js#14130"),
    Words("UserNotFoundException", "User does not exist.", SEND_CODE, _R.WRONG_CREDENTIALS, "P6"),
    Words("UserNotFoundException", "User does not exist.", CONFIRM, _R.WRONG_CODE, "P6"),
    Words("UserNotFoundException", "User does not exist.", DEVICE, _R.REFUSED, "service model"),
    Words("PasswordResetRequiredException", "Password reset required for the user", TOKEN, ENDED, "amplify-js, its TokenOrchestrator"),
    Words("UserNotConfirmedException", "User is not confirmed.", TOKEN, ENDED, "amplify-js, its TokenOrchestrator"),
    Words(NOT_AUTHORIZED, "Invalid session for the user.", TOKEN, _R.REFUSED, "none"),
    Words(NOT_AUTHORIZED, "User does not exist.", DEVICE, _R.REFUSED, "none"),
    Words("SoftwareTokenMFANotFoundException", "", ANSWER, _R.FACTOR_UNUSABLE, "API reference"),
    Words("EnableSoftwareTokenMFAException", "Other words", ANSWER, _R.FACTOR_UNUSABLE, "none"),
    Words("TooManyFailedAttemptsException", "", CONFIRM, LIMIT_EXCEEDED, "service model"),
    Words(INVALID, BLANK.replace("password", "username"), SIGN_IN, _R.WRONG_CREDENTIALS, "service model"),
    Words(INVALID, BLANK.replace("password", "proposedPassword"), ANSWER, _R.NEW_PASSWORD_REFUSED, "service model"),
    Words(INVALID, BLANK.replace("password", "userAttributes.1.member.value"), ANSWER, _R.INPUT_REFUSED, "service model"),
    Words("InternalErrorException", "", SIGN_IN, UNKNOWN, "API reference"),
    Words("CodeDeliveryFailureException", "", SIGN_IN, UNKNOWN, "API reference"),
    Words("UsernameExistsException", "User already exists", SIGN_UP, _R.USERNAME_TAKEN, "API reference"),
    Words("UsernameExistsException", "An account with the given email already exists.", SIGN_UP, _R.USERNAME_TAKEN, "public reports"),
    Words("AliasExistsException", "An account with the email already exists.", SIGN_UP, _R.USERNAME_TAKEN, "public reports"),
    Words("AliasExistsException", "An account with the email already exists.", CONFIRM, _R.INPUT_REFUSED, "API reference"),
    Words(NOT_AUTHORIZED, "SignUp is not permitted for this user pool", SIGN_UP, _R.MISCONFIGURED, "public reports"),
    Words(NOT_AUTHORIZED, "A client attempted to write unauthorized attribute", SIGN_UP, _R.MISCONFIGURED, "public reports"),
    Words(INVALID, "Username should be an email.", SIGN_UP, _R.INPUT_REFUSED, "amplify-ui#6678"),
    Words(INVALID, "Username should be a phone number.", SIGN_UP, _R.INPUT_REFUSED, "public reports"),
    Words(INVALID, "Username should be either an email or a phone number.", SIGN_UP, _R.INPUT_REFUSED, "public reports"),
    Words(INVALID, "Username cannot be of email format, since user pool is configured for email alias.", SIGN_UP, _R.INPUT_REFUSED, "public reports"),
    Words(INVALID, BLANK.replace("password", "username"), SIGN_UP, _R.INPUT_REFUSED, "service model"),
    Words(INVALID, BLANK, SIGN_UP, _R.NEW_PASSWORD_REFUSED, "amplify-js#869"),
    Words("InvalidPasswordException", "Password did not conform with policy: Password not long enough", SIGN_UP, _R.NEW_PASSWORD_REFUSED, "developer guide"),
    Words(INVALID, "Auto verification not turned on.", SEND_CODE, _R.MISCONFIGURED, "public reports"),
    Words("UserLambdaValidationException", "PreSignUp failed with error no.", SIGN_UP, _R.TRIGGER_REFUSED, "API reference"),
    Words(NOT_AUTHORIZED, "Incorrect username or password.", ACCOUNT, _R.WRONG_CREDENTIALS, "API reference, ChangePassword"),
    Words(INVALID, "User does not have delivery config set to turn on SOFTWARE_TOKEN_MFA", ACCOUNT, _R.FACTOR_UNUSABLE, "moto's tests"),
    Words(INVALID, "User has not verified software token mfa", ACCOUNT, _R.FACTOR_UNUSABLE, "public reports"),
    Words("WebAuthnChallengeNotFoundException", "", ACCOUNT, _R.CHALLENGE_DEAD, "service model"),
    Words("WebAuthnCredentialNotSupportedException", "", ACCOUNT, _R.INPUT_REFUSED, "service model"),
    Words("WebAuthnClientMismatchException", "", ACCOUNT, _R.INPUT_REFUSED, "service model"),
    Words("WebAuthnNotEnabledException", "", ACCOUNT, _R.MISCONFIGURED, "service model"),
    Words("WebAuthnConfigurationMissingException", "", ACCOUNT, _R.MISCONFIGURED, "service model"),
    Words("WebAuthnOriginNotAllowedException", "", ACCOUNT, _R.MISCONFIGURED, "service model"),
    Words("WebAuthnRelyingPartyMismatchException", "", ACCOUNT, _R.MISCONFIGURED, "service model"),
    Words(NOT_AUTHORIZED, "Invalid session for the user.", CONFIRM, _R.CODE_EXPIRED, "none"),
    Words(NOT_AUTHORIZED, "Session is expired", CONFIRM, _R.CODE_EXPIRED, "none"),
    Words("invalid_grant", "", TOKEN, _R.CHALLENGE_DEAD, "developer guide, token endpoint"),
    Words("invalid_client", "", TOKEN, _R.MISCONFIGURED, "developer guide, token endpoint"),
    Words("unauthorized_client", "", TOKEN, _R.MISCONFIGURED, "developer guide, token endpoint"),
    Words("unsupported_grant_type", "", TOKEN, _R.MISCONFIGURED, "developer guide, token endpoint"),
    Words("invalid_request", "", TOKEN, _R.MISCONFIGURED, "developer guide, token endpoint"),
)  # fmt: skip


def _meaning(code: str, message: str, call: str) -> RejectionReason | str:
    outcome = outcome_of_error(code, message, 400, call=call)
    if isinstance(outcome, NotSent):
        return outcome.cause
    if isinstance(outcome, OutcomeUnknown):
        return UNKNOWN
    assert isinstance(outcome, Rejected)
    return outcome.reason


@pytest.mark.parametrize("words", WORDS, ids=lambda words: f"{words.call} {words.message[:60]}")
def test_words_have_their_meaning(words: Words) -> None:
    expected = _R.REFUSED if words.means == ENDED else words.means
    assert _meaning(words.code, words.message, words.call) == expected
    error = aws.ClientError(
        {"Error": {"Code": words.code, "Message": words.message}}, "GetTokensFromRefreshToken"
    )
    if words.call == TOKEN:
        assert ends_tokens(error) == (words.means == ENDED)


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: f"{row.code} {row.words}")
def test_row_is_the_one_for_its_own_words(row: ErrorRow) -> None:
    """A row that an earlier one hides would never count."""
    message = row.words.replace("…", "something") or "of no row"
    calls = row.calls or {
        SIGN_IN,
        FIRST_CODE,
        ANSWER,
        SEND_CODE,
        SIGN_UP,
        CONFIRM,
        DEVICE,
        ACCOUNT,
        TOKEN,
    }
    first = [next(one for one in ERRORS if one.matches(row.code, message, call)) for call in calls]
    assert row in first
    assert not row.message or f"message.{row.message}" in TEXTS


def test_wrong_credentials_are_the_two_texts_that_mean_them() -> None:
    """Any other NotAuthorizedException is a refusal: "wrong password" is the worst answer to it."""
    wrong = {
        (row.code, row.words)
        for row in ERRORS
        if row.means is _R.WRONG_CREDENTIALS and row.code != "InvalidParameterException"
    }
    assert wrong == {
        (NOT_AUTHORIZED, "Incorrect username or password"),
        (NOT_AUTHORIZED, "User does not exist"),
        ("UserNotFoundException", ""),
        (NOT_AUTHORIZED, "User is disabled"),  # until the password is proven, for P6
    }


@pytest.mark.parametrize(
    ("operation", "challenge", "kind"),
    [
        ("InitiateAuth", "", SIGN_IN),
        ("AdminInitiateAuth", "", SIGN_IN),
        ("RespondToAuthChallenge", "", SIGN_IN),
        ("RespondToAuthChallenge", "SELECT_CHALLENGE", SIGN_IN),
        ("RespondToAuthChallenge", "PASSWORD", SIGN_IN),
        ("RespondToAuthChallenge", "PASSWORD_SRP", SIGN_IN),
        ("RespondToAuthChallenge", "PASSWORD_VERIFIER", SIGN_IN),
        ("AdminRespondToAuthChallenge", "SMS_MFA", ANSWER),
        ("RespondToAuthChallenge", "CUSTOM_CHALLENGE", ANSWER),
        ("RespondToAuthChallenge", "DEVICE_SRP_AUTH", DEVICE),
        ("VerifySoftwareToken", "TOTP_SETUP", ANSWER),
        ("AssociateSoftwareToken", "MFA_SETUP", ANSWER),
        ("SignUp", "SIGN_UP", SIGN_UP),
        ("ForgotPassword", "RESET_PASSWORD", SEND_CODE),
        ("ResendConfirmationCode", "CONFIRM_SIGN_UP", SEND_CODE),
        ("ConfirmForgotPassword", "RESET_PASSWORD", CONFIRM),
        ("ConfirmSignUp", "CONFIRM_SIGN_UP", CONFIRM),
        ("ConfirmDevice", "", DEVICE),
        ("UpdateDeviceStatus", "", DEVICE),
        ("GetTokensFromRefreshToken", "", TOKEN),
        ("GetUser", "", TOKEN),
        ("UpdateUserAttributes", "VERIFY_ADDRESS", ACCOUNT),
        ("GetUserAttributeVerificationCode", "VERIFY_ADDRESS", ACCOUNT),
        ("VerifyUserAttribute", "VERIFY_ADDRESS", ACCOUNT),
        ("SetUserMFAPreference", "", ACCOUNT),
        ("ChangePassword", "", ACCOUNT),
        ("StartWebAuthnRegistration", "", ACCOUNT),
        ("CompleteWebAuthnRegistration", "PASSKEY_REGISTRATION", ACCOUNT),
        ("DeleteWebAuthnCredential", "", ACCOUNT),
    ],
)
def test_operation_and_challenge_decide_the_kind_of_call(
    operation: str, challenge: str, kind: str
) -> None:
    assert kind_of_call(operation, challenge) == kind


def test_code_as_the_first_factor_is_a_kind_of_its_own() -> None:
    kind = kind_of_call("RespondToAuthChallenge", "EMAIL_OTP", is_first_factor=True)
    assert kind == FIRST_CODE
    assert kind_of_call("RespondToAuthChallenge", "EMAIL_OTP") == ANSWER


def test_error_of_the_service_model_is_in_the_table() -> None:
    """Each operation that a sign-in uses, so that a new error of the model is noticed."""
    model = botocore.session.get_session().get_service_model("cognito-idp")
    known = {row.code for row in ERRORS}
    for operation in (
        "InitiateAuth",
        "RespondToAuthChallenge",
        "AdminInitiateAuth",
        "AdminRespondToAuthChallenge",
        "SignUp",
        "ForgotPassword",
        "ConfirmForgotPassword",
        "ConfirmSignUp",
        "ResendConfirmationCode",
        "AssociateSoftwareToken",
        "VerifySoftwareToken",
        "GetTokensFromRefreshToken",
        "RevokeToken",
        "GlobalSignOut",
        "UpdateUserAttributes",
        "GetUserAttributeVerificationCode",
        "VerifyUserAttribute",
        "SetUserMFAPreference",
        "ChangePassword",
        "StartWebAuthnRegistration",
        "CompleteWebAuthnRegistration",
        "ListWebAuthnCredentials",
        "DeleteWebAuthnCredential",
        "ListDevices",
        "ForgetDevice",
        "DeleteUser",
    ):
        shapes = {shape.name for shape in model.operation_model(operation).error_shapes}
        assert shapes - {"ConcurrentModificationException"} <= known, (operation, shapes - known)


def test_cure_is_for_the_log() -> None:
    outcome = outcome_of_error(
        NOT_AUTHORIZED, "Client abc is configured with secret but SECRET_HASH was not received", 400
    )
    assert isinstance(outcome, Rejected)
    assert "pass client_secret=" in outcome.detail
    assert not outcome.for_user


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("PreAuthentication failed with error Only on weekdays.", "Only on weekdays"),
        ("PreSignUp failed with error a. b.", "a. b"),
        ("PreSignUp invocation failed due to error AccessDeniedException.", ""),
    ],
)
def test_words_of_a_trigger_are_found(message: str, said: str) -> None:
    outcome = outcome_of_error("UserLambdaValidationException", message, 400)
    assert isinstance(outcome, Rejected)
    assert outcome.for_user == said


def test_values_that_a_validation_error_quotes_are_not_logged() -> None:
    """Cognito's words: "Value 'x' at 'confirmationCode' failed to satisfy constraint: …"."""
    message = (
        "2 validation errors detected: Value '12 34' at 'confirmationCode' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [\\S]+; Value 'it's ana@example.com' at 'username' "
        "failed to satisfy constraint: Member must not be null"
    )
    outcome = outcome_of_error(INVALID, message, 400, call=CONFIRM)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is _R.WRONG_CODE
    assert "12 34" not in outcome.detail
    assert "ana@example.com" not in outcome.detail


def test_words_in_the_log_are_limited() -> None:
    outcome = outcome_of_error("UserLambdaValidationException", "x" * 10_000, 400)
    assert isinstance(outcome, Rejected)
    assert len(outcome.detail) < 600


def test_custom_attribute_is_named_with_its_prefix() -> None:
    message = "Attributes did not conform to the schema: custom:plan: The attribute is required"
    outcome = outcome_of_error(INVALID, message, 400, call=ANSWER)
    assert isinstance(outcome, Rejected)
    assert (outcome.message, outcome.for_user) == ("attribute_refused", "custom:plan")


def test_limit_of_an_hour_is_not_repeated() -> None:
    def error(code: str) -> aws.ClientError:
        metadata = {
            "HTTPStatusCode": 400,
            "HTTPHeaders": {},
            "HostId": "",
            "RequestId": "",
            "RetryAttempts": 0,
        }
        return aws.ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": metadata}, "ForgotPassword")  # type: ignore[typeddict-item]  # fmt: skip

    assert had_no_effect(error("TooManyRequestsException"))
    assert not had_no_effect(error("LimitExceededException"))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("403", _R.FIREWALL),
        ("405", _R.FIREWALL),
        ("404", _R.MISCONFIGURED),
        ("302", _R.MISCONFIGURED),
    ],
)
def test_page_is_no_error_of_cognito(status: str, expected: RejectionReason) -> None:
    """AWS WAF answers 403 or 405 with a page (aws-sdk-js-v3#7255, franken-srp#13)."""
    outcome = outcome_of_error(status, "<html>something with a secret</html>", int(status))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is expected
    assert "html" not in outcome.detail


def test_timeout_of_a_server_in_between_is_unknown() -> None:
    assert isinstance(outcome_of_error("408", "", 408), OutcomeUnknown)
    assert isinstance(outcome_of_error("429", "", 429), NotSent)


def test_code_too_short_for_the_service_model_is_wrong() -> None:
    """UserCode has six digits; other codes have 4 to 12, so botocore can refuse one."""
    report = "Invalid length for parameter UserCode, value: 4, valid min length: 6"
    outcome = outcome_of_exception(aws.ParamValidationError(report=report))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is _R.WRONG_CODE


def test_missing_credentials_are_for_the_developer() -> None:
    outcome = outcome_of_exception(aws.NoCredentialsError())
    assert isinstance(outcome, Rejected)
    assert outcome.reason is _R.MISCONFIGURED
    assert "credentials" in outcome.detail


def test_error_outside_the_table_is_classified_by_status() -> None:
    assert isinstance(outcome_of_error("NewException", "", 500), OutcomeUnknown)
    assert isinstance(outcome_of_error("ServiceUnavailable", "", 503), OutcomeUnknown)
    assert isinstance(outcome_of_error("SlowDown", "", 429), NotSent)
    unknown = outcome_of_error("BrandNewException", "x", 400)
    assert isinstance(unknown, Rejected)
    assert unknown.reason is RejectionReason.MISCONFIGURED
    assert "BrandNewException" in unknown.detail


def test_rejection_with_a_5xx_status_is_unknown() -> None:
    assert isinstance(outcome_of_error("CodeMismatchException", "", 500), OutcomeUnknown)


@pytest.mark.parametrize(
    "beginning",
    [
        "Password did not conform with policy",  # SignUp
        "Password did not conform with password policy",  # AdminCreateUser
        "Password does not conform to policy",  # the others
    ],
)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("Password not long enough", "password_too_short"),
        ("Password must have numeric characters", "password_needs_number"),
        ("Password must have symbol characters", "password_needs_symbol"),
        ("Password must have uppercase characters", "password_needs_uppercase"),
        ("Password must have lowercase characters", "password_needs_lowercase"),
    ],
)
def test_rule_of_the_password_policy_has_a_message_of_its_own(
    beginning: str, words: str, message: str
) -> None:
    outcome = outcome_of_error("InvalidPasswordException", f"{beginning}: {words}", 400)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is RejectionReason.NEW_PASSWORD_REFUSED
    assert (outcome.message, outcome.for_user) == (message, "")


def test_password_used_before_has_a_message_of_its_own() -> None:
    code = "PasswordHistoryPolicyViolationException"
    outcome = outcome_of_error(code, "Password has previously been used", 400)
    assert isinstance(outcome, Rejected)
    assert (outcome.message, outcome.for_user) == ("password_used_before", "")


@pytest.mark.parametrize("member", ["password", "proposedPassword"])
@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        # amazon-cognito-identity-js#311
        ("Member must have length greater than or equal to 6", "password_too_short"),
        # amplify-js#3723
        (
            r"Member must satisfy regular expression pattern: ^[\S]+.*[\S]+$",
            "new_password_spaces",
        ),
    ],
)
def test_constraint_of_a_password_says_which_it_is(
    member: str, constraint: str, message: str
) -> None:
    words = f"1 validation error detected: Value at '{member}' failed to satisfy constraint: "
    outcome = outcome_of_error("InvalidParameterException", words + constraint, 400, call=CONFIRM)
    assert isinstance(outcome, Rejected)
    assert (outcome.message, outcome.for_user) == (message, "")


def test_unknown_words_on_a_password_are_for_the_user() -> None:
    words = "Provided password cannot be used for security reasons."
    outcome = outcome_of_error("InvalidPasswordException", words, 400)
    assert isinstance(outcome, Rejected)
    assert (outcome.message, outcome.for_user) == ("", words)
