"""What the user is told of Cognito's refusals, and what the developer: the cases of public reports.

The sandbox answers in the words that were reported; see `tests/cognito/test_errors.py` for the sources.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from oncegate import (
    Event,
    Factor,
    ForgotPassword,
    RememberDevice,
    ResetPassword,
    SignIn,
    Step,
    SubmitAnswer,
    SubmitCode,
    SubmitNewPassword,
    SubmitPassword,
    SubmitUsername,
)
from oncegate.adapters import Device
from oncegate.messages import TEXTS
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import Fault, PoolSeed, Sandbox, Seed, UserSeed
from oncegate_stores import MemoryStore
from oncegate_vaults import MemoryVault

PASSWORD = "Correct-horse-9"
BLANK = (
    "1 validation error detected: Value at 'password' failed to satisfy constraint: Member must "
    r"satisfy regular expression pattern: ^[\S]+.*[\S]+$"
)
QUESTION = """
def next_challenge(username, past):
    if len(past) == 3:
        return False
    return {"public": {}, "answer": "42"}
"""


class People:
    """A sandbox with a user for each way, and a sign-in for each.

    Args:
        pool: settings of the pool.
        settings: arguments of `SignIn`.
    """

    def __init__(
        self, auth_flow: Any = "USER_SRP_AUTH", *, pool: Any = None, **settings: Any
    ) -> None:
        users = (
            _user("ana", mfa=(Factor.SMS,), phone_number="+15550001234"),
            _user("emil", status="FORCE_CHANGE_PASSWORD"),
            _user("rosa", status="RESET_REQUIRED", email="rosa@example.com"),
        )
        required = {"required_attributes": ("phone_number", "email")}
        self.sandbox = Sandbox(
            Seed(pool=PoolSeed.model_validate({**required, **(pool or {})}), users=users)
        )
        self._auth_flow = auth_flow
        self._settings = settings

    def __enter__(self) -> People:
        self.sandbox.__enter__()
        transport = CognitoTransport(
            pool_id=self.sandbox.pool_id,
            client_id=self.sandbox.client_id,
            endpoint_url=self.sandbox.endpoint,
            auth_flow=self._auth_flow,
        )
        self.sign_in = SignIn(transport=transport, store=MemoryStore(), **self._settings)
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.__exit__(None, None, None)

    def sent(self, *events: Event, step: Step | None = None) -> Step:
        step = step or self.sign_in.start()
        for event in events:
            step = self.sign_in.send(step, event)
        return step

    def refuse(self, operation: str, code: str, message: str, **more: Any) -> None:
        """Have the next call of an operation refused in these words."""
        self.sandbox.order(
            Fault(operation=operation, kind="error", code=code, message=message, **more)
        )


def _user(name: str, **more: Any) -> UserSeed:
    return UserSeed(username=name, password=SecretStr(PASSWORD), **more)


def password(name: str) -> SubmitPassword:
    return SubmitPassword(username=name, password=PASSWORD)


@pytest.fixture(scope="module")
def people() -> Iterator[People]:
    with People(
        budget=None, guess_limit=None, pool={"prevent_user_existence_errors": False}
    ) as all_:
        yield all_


@pytest.fixture(autouse=True)
def no_fault_remains(people: People) -> Iterator[None]:
    yield
    left = people.sandbox._app._faults.pending()
    people.sandbox._app._faults.clear()
    assert not left, "the call that was to be refused was not made"


# ── at the first factor ──

NEUTRAL = "We couldn’t sign you in. Contact support if this keeps happening."


@pytest.mark.parametrize(
    ("code", "message", "state", "told"),
    [
        (
            "NotAuthorizedException",
            "Client abc is configured with secret but SECRET_HASH was not received",
            "failed",
            "misconfigured",
        ),
        (
            "NotAuthorizedException",
            "User account has expired, it must be reset by an administrator.",
            "failed",
            "administrator_must_act",
        ),
        (
            "NotAuthorizedException",
            "Unable to login because of security reasons.",
            "failed",
            "blocked",
        ),
        (
            "NotAuthorizedException",
            "PreAuthentication failed with error x",
            "failed",
            "trigger_refused",
        ),
        ("NotAuthorizedException", "Words that no report quotes", "failed", "refused"),
        (
            "NotAuthorizedException",
            "Attempt limit exceeded, please try after some time.",
            "idle",
            "limit_exceeded",
        ),
        (
            "MFAMethodNotFoundException",
            "No MFA mechanism registerd in the account.",
            "failed",
            "second_factor_missing",
        ),
    ],
    ids=lambda value: value[:40],
)
def test_refusal_at_the_password_is_told_for_what_it_is(
    people: People, code: str, message: str, state: str, told: str
) -> None:
    # The service model knows it for the second half of SRP only.
    is_late = code == "MFAMethodNotFoundException"
    people.refuse("RespondToAuthChallenge" if is_late else "InitiateAuth", code, message)
    step = people.sent(password("ana"))
    assert step.message is not None
    assert (step.state, step.message.code) == (state, told)
    assert "password" not in step.message.text.lower() or told == "administrator_must_act"
    assert step.message.detail == ""


def test_wrong_set_up_is_an_error_in_the_log_with_its_cure(
    people: People, caplog: pytest.LogCaptureFixture
) -> None:
    words = "Client abc is configured with secret but SECRET_HASH was not received"
    people.refuse("InitiateAuth", "NotAuthorizedException", words)
    with caplog.at_level(logging.INFO, logger="oncegate"):
        step = people.sent(password("ana"))
    lines = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(lines) == 1
    assert words in lines[0].getMessage()
    assert "pass client_secret=" in lines[0].getMessage()
    assert step.message is not None
    assert step.message.text == "Sign-in isn’t working right now. Try again in a few minutes."


@pytest.mark.parametrize("kind", ["waf", "empty", "http_408"])
def test_page_of_a_firewall_or_proxy_is_never_a_wrong_password(people: People, kind: Any) -> None:
    people.sandbox.order(Fault(operation="InitiateAuth", kind=kind))
    step = people.sent(password("ana"))
    assert step.message is not None
    assert step.message.code in {"firewall", "answer_outcome_unknown", "outcome_unknown"}
    assert (step.message.code == "firewall") == (kind == "waf")


# ── the words of a trigger ──


def test_words_of_a_trigger_are_shown_if_the_application_opts_in(people: People) -> None:
    with People(show_trigger_words=True) as open_:
        open_.refuse(
            "InitiateAuth",
            "UserLambdaValidationException",
            "PreAuthentication failed with error Closed.",
        )
        step = open_.sent(password("ana"))
    assert step.message is not None
    assert (step.message.code, step.message.detail) == ("trigger_refused", "Closed")


# ── at the code ──


def test_lock_keeps_the_challenge_and_its_code(people: People) -> None:
    step = people.sent(password("ana"))
    code = people.sandbox.messages()[-1].code
    texts = len(people.sandbox.messages())
    people.refuse(
        "RespondToAuthChallenge",
        "NotAuthorizedException",
        "Too many invalid credentials attempts. User temporarily locked. Please try again after few "
        "seconds.",
    )
    locked = people.sent(SubmitCode(code=code), step=step)
    assert locked.message is not None
    assert (locked.state, locked.message.code) == ("awaiting_mfa", "locked")
    assert (locked.challenge_id, locked.attempts_left) == (step.challenge_id, step.attempts_left)
    assert people.sent(SubmitCode(code=code), step=locked).state == "authenticated"
    assert len(people.sandbox.messages()) == texts


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("User is disabled.", "refused"),
        ("Access Token has been revoked", "refused"),
        ("Session is expired", "challenge_dead"),
        ("Incorrect username or password.", "answer_refused"),
    ],
)
def test_refusal_at_the_code_never_speaks_of_the_password(
    people: People, message: str, told: str
) -> None:
    step = people.sent(password("ana"))
    people.refuse("RespondToAuthChallenge", "NotAuthorizedException", message)
    step = people.sent(SubmitCode(code=people.sandbox.messages()[-1].code), step=step)
    assert step.message is not None
    assert step.message.code == told
    assert "password" not in step.message.text.lower()


# ── custom challenges ──


def test_wrong_answer_is_never_told_as_a_wrong_password() -> None:
    """A Lambda's failAuthentication arrives as "Incorrect username or password."."""
    with People("CUSTOM_AUTH", pool={"custom_auth": QUESTION}) as people:
        step = people.sent(SubmitUsername(username="ana"))
        for answer in ("1", "2", "3"):
            step = people.sent(SubmitAnswer(answer=answer), step=step)
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "answer_failed")
        people.refuse("InitiateAuth", "NotAuthorizedException", "Incorrect username or password.")
        step = people.sent(SubmitUsername(username="ana"), step=step)
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "username_refused")


# ── what the user mistyped ──


@pytest.mark.parametrize(
    ("code", "message", "told", "field"),
    [
        ("InvalidParameterException", BLANK, "new_password_spaces", "new_password"),
        (
            "InvalidParameterException",
            "Invalid phone number format.",
            "phone_number_refused",
            "attributes.phone_number",
        ),
        (
            "InvalidParameterException",
            "Invalid email address format.",
            "email_refused",
            "attributes.email",
        ),
        (
            "InvalidParameterException",
            "Attributes did not conform to the schema: phone_number: The attribute is required",
            "attribute_refused",
            "attributes.phone_number",
        ),
        (
            "AliasExistsException",
            "An account with the email already exists.",
            "address_taken",
            None,
        ),
        (
            "InvalidPasswordException",
            "Password did not conform with policy: Password not long enough",
            "password_too_short",
            "new_password",
        ),
        (
            "InvalidPasswordException",
            "Provided password cannot be used for security reasons.",
            "new_password_refused",
            "new_password",
        ),
        (
            "PasswordHistoryPolicyViolationException",
            "Password has previously been used",
            "password_used_before",
            "new_password",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_mistyped_input_is_asked_again_in_place(
    people: People, code: str, message: str, told: str, field: str | None
) -> None:
    step = people.sent(password("emil"))
    assert step.state == "awaiting_new_password"
    people.refuse("RespondToAuthChallenge", code, message)
    event = SubmitNewPassword(
        new_password="Better-horse-1",
        attributes={"phone_number": "+15550001111", "email": "emil@example.com"},
    )
    again = people.sent(event, step=step)
    assert again.message is not None
    assert (again.state, again.message.code) == ("awaiting_new_password", told)
    assert again.message.field == field
    # The session takes another answer.
    assert again.challenge_id == step.challenge_id


@pytest.mark.parametrize("typed", [" Correct-horse-8", "Correct-horse-8 "])
def test_blank_at_an_end_of_a_new_password_is_told(people: People, typed: str) -> None:
    """The sandbox refuses it as Cognito does: by the service model's own pattern."""
    step = people.sent(password("emil"))
    attributes = {"phone_number": "+15550001111", "email": "emil@example.com"}
    step = people.sent(SubmitNewPassword(new_password=typed, attributes=attributes), step=step)
    assert step.message is not None
    assert (step.state, step.message.code) == ("awaiting_new_password", "new_password_spaces")


# ── resetting a password ──


@pytest.fixture
def resetting(people: People) -> Callable[[], Step]:
    def begin() -> Step:
        step = people.sent(ForgotPassword(), step=people.sent(password("rosa")))
        assert step.state == "awaiting_reset"
        return step

    return begin


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("NotAuthorizedException", "User password cannot be reset in the current state."),
        (
            "InvalidParameterException",
            "Cannot reset password for the user as there is no registered/verified email or "
            "phone_number",
        ),
        ("NotAuthorizedException", "Contact administrator to reset password."),
        ("NotAuthorizedException", "Words of no report"),
        ("UserNotFoundException", "User does not exist."),
    ],
    ids=lambda value: value[:40],
)
def test_refused_request_of_a_reset_code_looks_like_one_that_was_sent(
    people: People,
    resetting: Callable[[], Step],
    caplog: pytest.LogCaptureFixture,
    code: str,
    message: str,
) -> None:
    """The user has proven nothing, so what is special about this user is told to the log alone (P6)."""
    before = people.sandbox.calls().get("ForgotPassword", 0)
    people.refuse("ForgotPassword", code, message)
    with caplog.at_level(logging.INFO, logger="oncegate"):
        step = resetting()
    assert (step.state, step.message) == ("awaiting_reset", None)
    assert step.delivery is not None
    assert not step.delivery.destination
    assert "contact support" in TEXTS["hint.sent"]
    assert message in caplog.text
    assert people.sandbox.calls()["ForgotPassword"] == before + 1


def test_limit_of_an_hour_is_told_and_not_tried_again(
    people: People, resetting: Callable[[], Step]
) -> None:
    before = people.sandbox.calls().get("ForgotPassword", 0)
    words = "Attempt limit exceeded, please try after some time."
    people.refuse("ForgotPassword", "LimitExceededException", words)
    step = resetting()
    assert step.message is not None
    assert (step.state, step.message.code) == ("awaiting_reset", "limit_exceeded")
    assert "an hour" in step.message.text
    assert people.sandbox.calls()["ForgotPassword"] == before + 1


def test_second_limit_is_repeated_once(people: People, resetting: Callable[[], Step]) -> None:
    before = people.sandbox.calls().get("ForgotPassword", 0)
    people.sandbox.order(Fault(operation="ForgotPassword", kind="throttle"))
    assert resetting().delivery is not None
    assert people.sandbox.calls()["ForgotPassword"] == before + 2


def test_blank_in_a_reset_password_is_asked_again(
    people: People, resetting: Callable[[], Step]
) -> None:
    people.refuse("ConfirmForgotPassword", "InvalidParameterException", BLANK)
    step = people.sent(ResetPassword(code="123456", new_password="x "), step=resetting())
    assert step.message is not None
    assert (step.state, step.message.code) == ("awaiting_reset", "new_password_spaces")


# ── devices ──


def remembered(**settings: Any) -> tuple[People, MemoryVault]:
    vault = MemoryVault()
    people = People(pool={"device_tracking": "opt_in"}, vault=vault, **settings)
    people.__enter__()
    step = people.sent(password("ana"))
    step = people.sent(SubmitCode(code=people.sandbox.messages()[-1].code), step=step)
    people.sent(RememberDevice(remember=True), step=step)
    assert vault.find("ana") is not None
    return people, vault


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("ForbiddenException", "Request blocked", "firewall"),
        (
            "UserLambdaValidationException",
            "PreAuthentication failed with error x",
            "trigger_refused",
        ),
        ("NotAuthorizedException", "User is disabled.", "refused"),
        ("NotAuthorizedException", "Unable to login because of security reasons.", "blocked"),
        ("InvalidParameterException", "Missing required parameter SRP_A", "misconfigured"),
    ],
)
def test_device_is_kept_if_the_refusal_is_not_about_it(code: str, message: str, told: str) -> None:
    people, vault = remembered()
    try:
        before, texts = people.sandbox.calls()["InitiateAuth"], len(people.sandbox.messages())
        # PASSWORD_VERIFIER is answered as usual; then the device proves itself.
        people.sandbox.order(Fault(operation="RespondToAuthChallenge", kind="delay", seconds=0))
        people.refuse("RespondToAuthChallenge", code, message)
        step = people.sent(password("ana"))
        assert step.message is not None
        assert (step.state, step.message.code) == ("failed", told)
        assert isinstance(vault.find("ana"), Device)
        # No second call, and no text.
        assert people.sandbox.calls()["InitiateAuth"] == before + 1
        assert len(people.sandbox.messages()) == texts
    finally:
        people.__exit__()


@pytest.mark.parametrize(
    "message",
    [
        "Device does not exist.",
        "Device not found.",
        "Device with key K does not exist in device pool P",
    ],
)
def test_device_that_cognito_does_not_know_is_dropped_and_one_code_sent(message: str) -> None:
    people, vault = remembered()
    try:
        texts = len(people.sandbox.messages())
        people.refuse("InitiateAuth", "ResourceNotFoundException", message)
        step = people.sent(password("ana"))
        assert step.state == "awaiting_mfa"
        assert vault.find("ana") is None
        assert len(people.sandbox.messages()) == texts + 1
    finally:
        people.__exit__()
