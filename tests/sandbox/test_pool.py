"""The pool's operations, with Cognito's messages.

Sources of what each test expects: [model] botocore's service model, [docs] AWS developer guide,
[reports] public issue threads.
"""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime
from typing import Any

import pyotp
import pytest
from pydantic import SecretStr

from oncegate import Factor
from oncegate_cognito.srp import ClientSrp
from oncegate_sandbox import DEMO_SEED, CognitoError, Pool, PoolSeed, SandboxClock, Seed, UserSeed
from oncegate_sandbox.inbox import masked

DEMO_TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CLIENT = DEMO_SEED.pool.client_id


class PoolClient:
    """Calls the two sign-in operations of a pool."""

    def __init__(self, **pool: Any) -> None:
        self.clock = SandboxClock()
        users = pool.pop("users", DEMO_SEED.users)
        self.pool = Pool(Seed(pool=PoolSeed(**pool), users=users), "http://issuer", self.clock)

    def start(self, username: str, password: str = "Correct-horse-1") -> Any:
        return self.pool.perform(
            "InitiateAuth",
            {
                "AuthFlow": "USER_PASSWORD_AUTH",
                "ClientId": CLIENT,
                "AuthParameters": {"USERNAME": username, "PASSWORD": password},
            },
        )

    def answer(self, challenge: str, session: str, username: str = "ana", **responses: str) -> Any:
        return self.pool.perform(
            "RespondToAuthChallenge",
            {
                "ClientId": CLIENT,
                "ChallengeName": challenge,
                "Session": session,
                "ChallengeResponses": {"USERNAME": username, **responses},
            },
        )

    def code(self) -> str:
        return self.pool.inbox.messages()[-1].code

    def rejection(self, *arguments: Any, **more: Any) -> tuple[str, str]:
        operation, *rest = arguments
        with pytest.raises(CognitoError) as error:
            operation(*rest, **more)
        return error.value.code, error.value.message


@pytest.fixture
def client() -> PoolClient:
    return PoolClient()


def test_code_of_mfa_has_six_digits(client: PoolClient) -> None:
    """[reports]"""
    for name, password in (("ana", "Correct-horse-1"), ("ben", "Correct-horse-2")):
        client.start(name, password)
        assert (len(client.code()), client.code().isdigit()) == (6, True)


def test_destination_is_masked_as_cognito_does() -> None:
    assert masked("+15550001234") == "+*******1234"
    assert masked("ana@example.com") == "a***@e***"


def test_session_used_twice_is_rejected(client: PoolClient) -> None:
    """[reports]"""
    session = client.start("ana")["Session"]
    assert len(session) > 1400
    client.answer("SMS_MFA", session, SMS_MFA_CODE=client.code())
    assert client.rejection(client.answer, "SMS_MFA", session, SMS_MFA_CODE=client.code()) == (
        "NotAuthorizedException",
        "Invalid session for the user, session can only be used once.",
    )


def test_session_after_its_lifetime_is_rejected(client: PoolClient) -> None:
    """[model] AuthSessionValidity, [reports] the message"""
    session = client.start("ana")["Session"]
    client.clock.advance(180)
    assert client.rejection(client.answer, "SMS_MFA", session, SMS_MFA_CODE=client.code()) == (
        "NotAuthorizedException",
        "Invalid session for the user, session is expired.",
    )


def test_session_of_another_challenge_or_user_is_rejected(client: PoolClient) -> None:
    """[reports]"""
    rejected = ("NotAuthorizedException", "Invalid session for the user.")
    session = client.start("ana")["Session"]
    client.start("ben", "Correct-horse-2")
    assert client.rejection(client.answer, "SMS_MFA", "x" * 50, SMS_MFA_CODE="1") == rejected
    assert client.rejection(client.answer, "EMAIL_OTP", session, EMAIL_OTP_CODE="1") == rejected
    assert client.rejection(client.answer, "SMS_MFA", session, "ben", SMS_MFA_CODE="1") == rejected


def test_new_sign_in_invalidates_older_codes(client: PoolClient) -> None:
    """[reports] amplify-js#11069"""
    old, old_code = client.start("ana")["Session"], client.code()
    new = client.start("ana")["Session"]
    assert client.rejection(client.answer, "SMS_MFA", old, SMS_MFA_CODE=old_code)
    assert "AuthenticationResult" in client.answer("SMS_MFA", new, SMS_MFA_CODE=client.code())


def test_right_code_after_four_wrong_ones_is_accepted(client: PoolClient) -> None:
    """[reports]"""
    session = client.start("ben", "Correct-horse-2")["Session"]
    for _ in range(4):
        assert client.rejection(client.answer, "EMAIL_OTP", session, "ben", EMAIL_OTP_CODE="0") == (
            "CodeMismatchException",
            "Invalid code or auth state for the user.",
        )
    right = client.answer("EMAIL_OTP", session, "ben", EMAIL_OTP_CODE=client.code())
    assert right["AuthenticationResult"]["TokenType"] == "Bearer"


def test_totp_code_is_accepted_once_in_its_window(client: PoolClient) -> None:
    """[reports] the messages; each code is accepted once in its window, and the challenge stays open"""
    totp = pyotp.TOTP(DEMO_TOTP)
    first = client.start("cleo", "Correct-horse-3")["Session"]
    second = client.start("cleo", "Correct-horse-3")["Session"]
    code = totp.at(int(client.clock.now()))
    wrong = f"{(int(code) + 1) % 10**6:06d}"

    def answer(session: str, code: str) -> Any:
        return client.answer("SOFTWARE_TOKEN_MFA", session, "cleo", SOFTWARE_TOKEN_MFA_CODE=code)

    assert client.rejection(answer, first, wrong) == (
        "CodeMismatchException",
        "Invalid code received for user",
    )
    assert "AuthenticationResult" in answer(first, code)
    assert client.rejection(answer, second, code) == (
        "ExpiredCodeException",
        "Your software token has already been used once.",
    )
    client.clock.advance(30)
    assert "AuthenticationResult" in answer(second, totp.at(int(client.clock.now())))


def test_totp_code_of_short_secret_is_accepted() -> None:
    """The secret of the seed file in the design has 80 bits; pyotp requires 112."""
    user = UserSeed(
        username="ana",
        password=SecretStr("Correct-horse-1"),
        mfa=(Factor.TOTP,),
        totp_secret=SecretStr("JBSWY3DPEHPK3PXP"),
    )
    client = PoolClient(users=(user,))
    session = client.start("ana")["Session"]
    at = int(client.clock.now())
    key = base64.b32decode("JBSWY3DPEHPK3PXP")
    digest = hmac.digest(key, (at // 30).to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    code = f"{number % 10**6:06d}"  # RFC 4226, section 5.3
    answer = client.answer("SOFTWARE_TOKEN_MFA", session, SOFTWARE_TOKEN_MFA_CODE=code)
    assert "AuthenticationResult" in answer


def test_lockout_after_five_wrong_passwords_doubles_with_each_more(client: PoolClient) -> None:
    """[docs]"""
    wrong = ("NotAuthorizedException", "Incorrect username or password.")
    locked = ("NotAuthorizedException", "Password attempts exceeded")
    for name in ("ana", "unknown"):
        for _ in range(5):
            assert client.rejection(client.start, name, "wrong") == wrong
        for lock in (1, 2, 4, 8):
            assert client.rejection(client.start, name, "wrong") == locked
            client.clock.advance(lock - 0.5)
            assert client.rejection(client.start, name) == locked
            client.clock.advance(0.5)
            assert client.rejection(client.start, name, "wrong") == wrong
    client.clock.advance(16)
    assert client.start("ana")["ChallengeName"] == "SMS_MFA"


def test_count_of_wrong_passwords_is_forgotten_after_15_minutes(client: PoolClient) -> None:
    """AWS developer guide, lockout for failed sign-in attempts; no lock is longer, therefore."""
    wrong = ("NotAuthorizedException", "Incorrect username or password.")
    locked = ("NotAuthorizedException", "Password attempts exceeded")
    for name in ("ana", "unknown"):
        for _ in range(4):
            client.rejection(client.start, name, "wrong")
        client.clock.advance(900)
        for _ in range(5):
            assert client.rejection(client.start, name, "wrong") == wrong
        assert client.rejection(client.start, name) == locked
        for seconds in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
            client.clock.advance(seconds)
            assert client.rejection(client.start, name, "wrong") == wrong
        client.clock.advance(899)
        assert client.rejection(client.start, name) == locked
        client.clock.advance(1)
        assert client.rejection(client.start, name, "wrong") == wrong


@pytest.mark.parametrize(
    ("prevent", "code", "message"),
    [
        (True, "NotAuthorizedException", "Incorrect username or password."),
        (False, "UserNotFoundException", "User does not exist."),
    ],
)
def test_unknown_user_is_rejected_as_the_pool_is_set(
    prevent: bool, code: str, message: str
) -> None:
    client = PoolClient(prevent_user_existence_errors=prevent)
    assert client.rejection(client.start, "unknown") == (code, message)


def test_salt_of_unknown_user_stays_the_same(client: PoolClient) -> None:
    def salt(name: str) -> str:
        response = client.pool.perform(
            "InitiateAuth",
            {
                "AuthFlow": "USER_SRP_AUTH",
                "ClientId": CLIENT,
                "AuthParameters": {"USERNAME": name, "SRP_A": "2"},
            },
        )
        assert response["ChallengeName"] == "PASSWORD_VERIFIER"
        return str(response["ChallengeParameters"]["SALT"])

    assert salt("unknown") == salt("unknown") != salt("no-one")
    assert salt("ana") == salt("ana")


def test_second_factor_follows_pool_and_preference() -> None:
    assert "AuthenticationResult" in PoolClient(mfa="off").start("ana")
    with_phone = UserSeed(
        username="ana", password=SecretStr("Correct-horse-1"), phone_number="+15550001234"
    )
    assert PoolClient(mfa="on", users=(with_phone,)).start("ana")["ChallengeName"] == "SMS_MFA"
    prefers = DEMO_SEED.users[3].model_copy(update={"preferred_mfa": Factor.EMAIL})
    client = PoolClient(users=(prefers,))
    assert client.start("dora", "Correct-horse-4")["ChallengeName"] == "EMAIL_OTP"


def test_choice_of_factor_sends_one_code(client: PoolClient) -> None:
    session = client.start("dora", "Correct-horse-4")["Session"]
    assert client.pool.inbox.messages() == ()
    assert client.rejection(client.answer, "SELECT_MFA_TYPE", session, "dora", ANSWER="PIGEON")
    answer = client.answer("SELECT_MFA_TYPE", session, "dora", ANSWER="SMS_MFA")
    assert answer["ChallengeParameters"]["CODE_DELIVERY_DELIVERY_MEDIUM"] == "SMS"
    assert client.rejection(client.answer, "SELECT_MFA_TYPE", session, "dora", ANSWER="SMS_MFA")
    assert len(client.pool.inbox.messages()) == 1


def test_new_password_requires_policy_and_missing_attributes() -> None:
    client = PoolClient(required_attributes=("email", "name"))
    response = client.start("emil", "Correct-horse-5")
    assert response["ChallengeParameters"]["requiredAttributes"] == (
        '["userAttributes.email", "userAttributes.name"]'
    )
    answer = {"NEW_PASSWORD": "Better-horse-5", "userAttributes.email": "emil@example.com"}

    def set_password(**responses: str) -> Any:
        return client.answer("NEW_PASSWORD_REQUIRED", response["Session"], "emil", **responses)

    assert client.rejection(set_password, **answer)[0] == "InvalidParameterException"
    weak = {**answer, "userAttributes.name": "Emil", "NEW_PASSWORD": "weak"}
    assert client.rejection(set_password, **weak)[0] == "InvalidPasswordException"
    named = {**answer, "userAttributes.name": "Emil"}
    assert set_password(**named)["ChallengeName"] == "SMS_MFA"
    assert client.start("emil", "Better-horse-5")["ChallengeName"] == "SMS_MFA"


def test_get_user_accepts_only_a_current_access_token(client: PoolClient) -> None:
    tokens = client.start("fay", "Correct-horse-6")["AuthenticationResult"]
    user = client.pool.perform("GetUser", {"AccessToken": tokens["AccessToken"]})
    assert user["Username"] == "fay"
    for other in (tokens["IdToken"], tokens["RefreshToken"], "rubbish"):
        code, _ = client.rejection(client.pool.perform, "GetUser", {"AccessToken": other})
        assert code == "NotAuthorizedException"
    client.clock.advance(3600)
    assert client.rejection(
        client.pool.perform, "GetUser", {"AccessToken": tokens["AccessToken"]}
    ) == (
        "NotAuthorizedException",
        "Access Token has expired",
    )


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"ClientId": CLIENT},
        {"ClientId": CLIENT, "AuthFlow": "USER_SRP_AUTH", "AuthParameters": {}},
        {"ClientId": CLIENT, "AuthFlow": "USER_SRP_AUTH", "AuthParameters": {"USERNAME": "ana"}},
        {"ClientId": CLIENT, "AuthFlow": "PIGEON", "AuthParameters": {"USERNAME": "ana"}},
        {"ClientId": CLIENT, "AuthFlow": "USER_SRP_AUTH", "AuthParameters": ["USERNAME"]},
        {
            "ClientId": CLIENT,
            "AuthFlow": "USER_SRP_AUTH",
            "AuthParameters": {"USERNAME": "ana", "SRP_A": "0"},
        },
        {
            "ClientId": CLIENT,
            "AuthFlow": "USER_SRP_AUTH",
            "AuthParameters": {"USERNAME": "ana", "SRP_A": "xyz"},
        },
    ],
    ids=range(8),
)
def test_malformed_request_is_rejected(client: PoolClient, request_: dict[str, Any]) -> None:
    code, _ = client.rejection(client.pool.perform, "InitiateAuth", request_)
    assert code == "InvalidParameterException"


def test_unknown_client_and_unknown_operation_are_rejected(client: PoolClient) -> None:
    request = {"ClientId": "other", "AuthFlow": "USER_SRP_AUTH"}
    code, _ = client.rejection(client.pool.perform, "InitiateAuth", request)
    assert code == "ResourceNotFoundException"
    assert client.rejection(client.pool.perform, "DropTable", {})[0] == "UnknownOperationException"


@pytest.mark.parametrize("answered_as", ["PASSWORD_VERIFIER", "DEVICE_PASSWORD_VERIFIER"])
def test_srp_exchange_of_a_password_is_no_proof_of_a_device(
    client: PoolClient, answered_as: str
) -> None:
    srp = ClientSrp()
    issued = client.pool.perform(
        "InitiateAuth",
        {
            "AuthFlow": "USER_SRP_AUTH",
            "ClientId": CLIENT,
            "AuthParameters": {"USERNAME": "ana", "SRP_A": srp.public_hex},
        },
    )
    parameters = issued["ChallengeParameters"]
    claim = srp.claim(
        group=DEMO_SEED.pool.id.partition("_")[2],
        user=parameters["USER_ID_FOR_SRP"],
        password="Correct-horse-1",
        salt=parameters["SALT"],
        server_public=parameters["SRP_B"],
        secret_block=parameters["SECRET_BLOCK"],
        now=datetime.now(UTC),
    )
    proof = {
        "PASSWORD_CLAIM_SIGNATURE": claim.signature,
        "PASSWORD_CLAIM_SECRET_BLOCK": claim.secret_block,
        "TIMESTAMP": claim.timestamp,
    }
    if answered_as == "PASSWORD_VERIFIER":
        assert client.answer(answered_as, "", **proof)["ChallengeName"] == "SMS_MFA"
        return
    code, message = client.rejection(client.answer, answered_as, "", **proof)
    assert (code, message) == ("NotAuthorizedException", "Invalid session for the user.")
