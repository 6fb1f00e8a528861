"""The error table: every line of it, and everything that botocore's model says can come."""

from __future__ import annotations

import botocore.session
import pytest

from oncegate.adapters import NotSent, OutcomeUnknown, Rejected, RejectionReason
from oncegate_cognito.refusals import TABLE, THROTTLED, UNKNOWN, Row, outcome_of


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.code} {row.begins}")
def test_every_line(row: Row) -> None:
    outcome = outcome_of(row.code, f"{row.begins} and more", 400)
    if row.means == THROTTLED:
        assert isinstance(outcome, NotSent)
    elif row.means == UNKNOWN:
        assert isinstance(outcome, OutcomeUnknown)
    else:
        assert isinstance(outcome, Rejected)
        assert outcome.reason is row.means


def test_no_line_hides_another() -> None:
    for index, row in enumerate(TABLE):
        for earlier in TABLE[:index]:
            assert not (row.code == earlier.code and row.begins.startswith(earlier.begins)), row


def test_every_error_of_the_model_is_in_the_table() -> None:
    model = botocore.session.get_session().get_service_model("cognito-idp")
    known = {row.code for row in TABLE}
    for operation in ("InitiateAuth", "RespondToAuthChallenge"):
        shapes = {shape.name for shape in model.operation_model(operation).error_shapes}
        assert shapes <= known, operation


@pytest.mark.parametrize(
    ("code", "message", "refusal"),
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
def test_the_words_of_the_protocol_page(code: str, message: str, refusal: RejectionReason) -> None:
    outcome = outcome_of(code, message, 400)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is refusal


def test_what_is_not_in_the_table_goes_by_the_status() -> None:
    assert isinstance(outcome_of("NewException", "", 500), OutcomeUnknown)
    assert isinstance(outcome_of("ServiceUnavailable", "", 503), OutcomeUnknown)
    assert isinstance(outcome_of("SlowDown", "", 429), NotSent)
    unheard = outcome_of("BrandNewException", "x", 400)
    assert isinstance(unheard, Rejected)
    assert unheard.reason is RejectionReason.MISCONFIGURED
    assert "BrandNewException" in unheard.detail


def test_a_refusal_with_a_5xx_status_may_have_had_an_effect() -> None:
    assert isinstance(outcome_of("CodeMismatchException", "", 500), OutcomeUnknown)


def test_a_policys_words_are_for_the_user() -> None:
    outcome = outcome_of("InvalidPasswordException", "Password not long enough", 400)
    assert isinstance(outcome, Rejected)
    assert outcome.detail == "Password not long enough"
