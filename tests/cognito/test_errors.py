"""The error table: every row of it, and every error in botocore's service model."""

from __future__ import annotations

import botocore.session
import pytest

from oncegate.adapters import NotSent, OutcomeUnknown, Rejected, RejectionReason
from oncegate_cognito.errors import ERRORS, THROTTLED, UNKNOWN, ErrorRow, outcome_of_error


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: f"{row.code} {row.begins}")
def test_row_has_its_outcome(row: ErrorRow) -> None:
    outcome = outcome_of_error(row.code, f"{row.begins} and more", 400)
    if row.means == THROTTLED:
        assert isinstance(outcome, NotSent)
    elif row.means == UNKNOWN:
        assert isinstance(outcome, OutcomeUnknown)
    else:
        assert isinstance(outcome, Rejected)
        assert outcome.reason is row.means


def test_row_is_not_hidden_by_an_earlier_one() -> None:
    for index, row in enumerate(ERRORS):
        for earlier in ERRORS[:index]:
            assert not (row.code == earlier.code and row.begins.startswith(earlier.begins)), row


def test_error_of_the_service_model_is_in_the_table() -> None:
    model = botocore.session.get_session().get_service_model("cognito-idp")
    known = {row.code for row in ERRORS}
    for operation in ("InitiateAuth", "RespondToAuthChallenge"):
        shapes = {shape.name for shape in model.operation_model(operation).error_shapes}
        assert shapes <= known, operation


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        (
            "NotAuthorizedException",
            "Incorrect username or password.",
            RejectionReason.WRONG_CREDENTIALS,
        ),
        ("NotAuthorizedException", "User does not exist.", RejectionReason.WRONG_CREDENTIALS),
        ("UserNotFoundException", "User does not exist.", RejectionReason.WRONG_CREDENTIALS),
        ("NotAuthorizedException", "User is disabled.", RejectionReason.WRONG_CREDENTIALS),
        ("NotAuthorizedException", "Password attempts exceeded", RejectionReason.LOCKED),
        (
            "NotAuthorizedException",
            "Too many invalid credentials attempts. User temporarily locked. Please try again after "
            "few seconds.",
            RejectionReason.LOCKED,
        ),
        (
            "NotAuthorizedException",
            "SecretHash does not match for the client: abc",
            RejectionReason.MISCONFIGURED,
        ),
        (
            "NotAuthorizedException",
            "Unable to verify secret hash for client abc",
            RejectionReason.MISCONFIGURED,
        ),
        (
            "NotAuthorizedException",
            "Temporary password has expired and must be reset by an administrator.",
            RejectionReason.ADMINISTRATOR_MUST_ACT,
        ),
        (
            "NotAuthorizedException",
            "Invalid session for the user, session is expired.",
            RejectionReason.CHALLENGE_DEAD,
        ),
        (
            "CodeMismatchException",
            "Invalid code or auth state for the user.",
            RejectionReason.WRONG_CODE,
        ),
        (
            "ExpiredCodeException",
            "Your software token has already been used once.",
            RejectionReason.CODE_ALREADY_USED,
        ),
        ("ExpiredCodeException", "Invalid code provided", RejectionReason.CODE_EXPIRED),
    ],
)
def test_documented_message_has_its_reason(
    code: str, message: str, reason: RejectionReason
) -> None:
    outcome = outcome_of_error(code, message, 400)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is reason


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


def test_password_policy_detail_is_the_message_alone() -> None:
    outcome = outcome_of_error("InvalidPasswordException", "Password not long enough", 400)
    assert isinstance(outcome, Rejected)
    assert outcome.detail == "Password not long enough"
