"""Creating an account, and confirming it with the session that it brought."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr
from tests.cognito.conftest import DropsEverything, Perform
from tests.cognito.wire import RecordedClient, recorded

from oncegate import Misconfigured, RequestContext, SignUpForm, WaysIn
from oncegate.adapters import (
    ChallengeIssued,
    Confirmed,
    ConfirmSignUp,
    CreateAccount,
    Delivery,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    SendCode,
    SignUpConfirmation,
    SignUpRequest,
    StartSignIn,
    TokensIssued,
)
from oncegate_cognito import CognitoTransport
from oncegate_sandbox import PoolSeed, Sandbox, Seed

_R = RejectionReason
PASSWORD = "Correct-horse-1"
SECRET = "aClientSecretOfTheUsualLength0123456789"
SENT = {"DeliveryMedium": "EMAIL", "Destination": "n***@e***", "AttributeName": "email"}
SESSION = "s" * 40
WANTED = SignUpRequest(username="nora", attributes={"email": "nora@example.com"})
CALL = CreateAccount(challenge=WANTED, password=SecretStr(PASSWORD))


def transport_of(client: RecordedClient, **settings: Any) -> CognitoTransport:
    return CognitoTransport(
        pool_id="us-east-1_Pool1", client_id="client1", client=client.boto, **settings
    )


def answered(answer: dict[str, Any], call: CreateAccount = CALL, **settings: Any) -> Outcome:
    """Return the outcome of SignUp's answer."""
    transport = transport_of(recorded(SignUp=answer), **settings)
    return transport.perform(call, RequestContext())


def refused(code: str, message: str = "") -> Outcome:
    return answered({"__type": code, "message": message})


def challenge_of(outcome: Outcome) -> SignUpConfirmation:
    assert isinstance(outcome, ChallengeIssued)
    assert isinstance(outcome.challenge, SignUpConfirmation)
    return outcome.challenge


def test_request_has_the_password_the_attributes_and_what_triggers_need() -> None:
    client = recorded(SignUp={"UserConfirmed": False, "CodeDeliveryDetails": SENT})
    transport = transport_of(client, client_secret=SECRET)
    transport.perform(CALL, RequestContext(client_metadata={"captcha": "a token"}, language="de"))
    (sent,) = client.sent
    assert sent.operation == "SignUp"
    assert len(sent.body.pop("SecretHash")) == 44
    assert sent.body == {
        "ClientId": "client1",
        "Username": "nora",
        "Password": PASSWORD,
        "UserAttributes": [{"Name": "email", "Value": "nora@example.com"}],
        "ClientMetadata": {"captcha": "a token", "language": "de"},
    }


def test_account_without_a_password_sends_none() -> None:
    client = recorded(SignUp={"UserConfirmed": False})
    transport_of(client, auth_flow="USER_AUTH").perform(
        CreateAccount(challenge=WANTED), RequestContext()
    )
    assert "Password" not in client.sent[0].body


def test_sent_code_is_issued_with_its_destination_and_no_repr_of_the_session() -> None:
    answer = {"UserConfirmed": False, "CodeDeliveryDetails": SENT, "Session": SESSION}
    outcome = answered(answer, auth_flow="USER_AUTH")
    challenge = challenge_of(outcome)
    assert challenge.username == "nora"
    assert challenge.delivery == Delivery(medium="EMAIL", destination="n***@e***")
    assert challenge.session.get_secret_value() == SESSION
    assert SESSION not in repr(outcome)


def test_session_is_dropped_if_the_flow_cannot_begin_with_it() -> None:
    """It ends sooner than the code, and with it ConfirmSignUp would be refused."""
    answer = {"UserConfirmed": False, "CodeDeliveryDetails": SENT, "Session": SESSION}
    assert challenge_of(answered(answer)).session.get_secret_value() == ""


@pytest.mark.parametrize(("auth_flow", "session"), [("USER_AUTH", SESSION), ("USER_SRP_AUTH", "")])
def test_user_whom_a_trigger_confirms_is_confirmed(auth_flow: Any, session: str) -> None:
    outcome = answered({"UserConfirmed": True, "Session": SESSION}, auth_flow=auth_flow)
    assert isinstance(outcome, Confirmed)
    assert (outcome.session.get_secret_value() if outcome.session else "") == session


@pytest.mark.parametrize("code", ["LimitExceededException", "CodeDeliveryFailureException"])
def test_account_whose_code_was_not_sent_can_request_one(code: str) -> None:
    """API reference, SignUp: the user is created all the same."""
    client = recorded(SignUp={"__type": code, "message": "Exceeded daily email limit"})
    outcome = transport_of(client).perform(CALL, RequestContext())
    assert challenge_of(outcome).delivery is None
    assert len(client.sent) == 1


ATTRIBUTE = "Attributes did not conform to the schema: birthdate: Invalid date"


@pytest.mark.parametrize(
    ("code", "words", "reason", "message", "for_user"),
    [
        ("UsernameExistsException", "User already exists", _R.USERNAME_TAKEN, "", ""),
        ("AliasExistsException", "An account with the email", _R.USERNAME_TAKEN, "", ""),
        (
            "InvalidPasswordException",
            "Password did not conform with policy: Password not long enough",
            _R.NEW_PASSWORD_REFUSED,
            "password_too_short",
            "",
        ),
        (
            "InvalidParameterException",
            ATTRIBUTE,
            _R.INPUT_REFUSED,
            "attribute_refused",
            "birthdate",
        ),
        (
            "InvalidParameterException",
            "Invalid phone number format.",
            _R.INPUT_REFUSED,
            "phone_number_refused",
            "",
        ),
        (
            "InvalidParameterException",
            "Username should be an email.",
            _R.INPUT_REFUSED,
            "email_refused",
            "",
        ),
        (
            "UserLambdaValidationException",
            "PreSignUp failed with error No more seats.",
            _R.TRIGGER_REFUSED,
            "",
            "No more seats",
        ),
    ],
)
def test_refused_account_says_what_to_correct(
    code: str, words: str, reason: RejectionReason, message: str, for_user: str
) -> None:
    outcome = refused(code, words)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.message, outcome.for_user) == (reason, message, for_user)


def test_pool_without_sign_up_is_misconfigured_and_says_what_to_do() -> None:
    outcome = refused("NotAuthorizedException", "SignUp is not permitted for this user pool")
    assert isinstance(outcome, Rejected)
    assert outcome.reason is _R.MISCONFIGURED
    assert "AllowAdminCreateUserOnly" in outcome.detail


def test_lost_answer_is_unknown_and_not_repeated(
    dropping: DropsEverything, perform: Perform
) -> None:
    transport = CognitoTransport(
        pool_id="us-east-1_Pool1", client_id="client1", endpoint_url=dropping.endpoint
    )
    assert isinstance(perform(transport, CALL), OutcomeUnknown)
    assert dropping.requests == 1


def test_throttled_account_was_not_created() -> None:
    outcome = refused("TooManyRequestsException", "Rate exceeded")
    assert isinstance(outcome, NotSent)
    assert outcome.cause == "throttled"


# ── confirming ──


def confirmed_with(session: str, answer: dict[str, Any]) -> tuple[Outcome, dict[str, Any]]:
    client = recorded(ConfirmSignUp=answer)
    call = ConfirmSignUp(
        challenge=SignUpConfirmation(username="nora"),
        code=SecretStr("123456"),
        session=SecretStr(session) if session else None,
    )
    transport = transport_of(client, auth_flow="USER_AUTH")
    outcome = transport.perform(call, RequestContext())
    return outcome, client.sent[0].body


@pytest.mark.parametrize("session", ["", SESSION])
def test_confirmation_repeats_the_session_if_there_is_one(session: str) -> None:
    _, body = confirmed_with(session, {"Session": "t" * 40})
    assert body.get("Session", "") == session


@pytest.mark.parametrize("words", ["Invalid session for the user.", "Session is expired"])
def test_session_that_has_ended_asks_for_a_new_code(words: str) -> None:
    """The new code comes without a session, so that the user is not refused for ever."""
    outcome, _ = confirmed_with(SESSION, {"__type": "NotAuthorizedException", "message": words})
    assert isinstance(outcome, Rejected)
    assert outcome.reason is _R.CODE_EXPIRED
    client = recorded(ResendConfirmationCode={"CodeDeliveryDetails": SENT})
    challenge = SignUpConfirmation(username="nora", session=SecretStr(SESSION))
    resent = transport_of(client).perform(SendCode(challenge=challenge), RequestContext())
    assert challenge_of(resent).session.get_secret_value() == ""
    assert challenge_of(resent).delivery is not None


# ── a pool ──


@pytest.mark.parametrize("password", [None, SecretStr(PASSWORD)], ids=["passwordless", "password"])
def test_new_user_is_signed_in_by_the_sessions_with_one_code(
    password: SecretStr | None, perform: Perform
) -> None:
    with Sandbox(Seed(pool=PoolSeed(mfa="off"))) as sandbox:
        transport = CognitoTransport(
            pool_id=sandbox.pool_id,
            client_id=sandbox.client_id,
            endpoint_url=sandbox.endpoint,
            auth_flow="USER_AUTH",
        )
        created = perform(transport, CreateAccount(challenge=WANTED, password=password))
        (message,) = sandbox.messages()
        code = SecretStr(message.code)
        challenge = challenge_of(created)
        call = ConfirmSignUp(challenge=challenge, code=code, session=challenge.session)
        confirmed = perform(transport, call)
        assert isinstance(confirmed, Confirmed)
        assert confirmed.session is not None
        begin = StartSignIn(username="nora", session=confirmed.session)
        assert isinstance(perform(transport, begin), TokensIssued)
        assert len(sandbox.messages()) == 1


def test_name_that_is_taken_is_told_to_the_engine(
    sandbox: Sandbox, either: CognitoTransport, perform: Perform
) -> None:
    taken = CALL.model_copy(update={"challenge": WANTED.model_copy(update={"username": "ana"})})
    outcome = perform(either, taken)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is _R.USERNAME_TAKEN
    assert not sandbox.messages()


# ── settings ──


def test_account_without_a_password_needs_a_flow_that_signs_it_in() -> None:
    ways_in = WaysIn(sign_up=SignUpForm(password="none"))
    with pytest.raises(Misconfigured, match="USER_AUTH"):
        transport_of(recorded(), ways_in=ways_in)
    assert transport_of(recorded(), ways_in=ways_in, auth_flow="USER_AUTH").ways_in == ways_in


def test_passkey_of_the_first_page_needs_a_flow_that_takes_one() -> None:
    ways_in = WaysIn(passkey=True)
    with pytest.raises(Misconfigured, match=r"passkey.*USER_AUTH"):
        transport_of(recorded(), ways_in=ways_in)
    assert transport_of(recorded(), ways_in=ways_in, auth_flow="USER_AUTH").ways_in == ways_in
