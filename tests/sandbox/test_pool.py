"""The pool in Cognito's words. What each test relies on is marked in design and protocol terms:
[model] botocore's service model, [docs] AWS developer guide, [reports] public issue threads."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import pyotp
import pytest
from pydantic import SecretStr

from oncegate import Factor
from oncegate_sandbox import DEMO_SEED, PoolSeed, Seed, UserSeed
from oncegate_sandbox.clock import SandboxClock
from oncegate_sandbox.errors import CognitoError
from oncegate_sandbox.inbox import masked
from oncegate_sandbox.pool import Pool

DEMO_TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CLIENT = DEMO_SEED.pool.client_id


class Bench:
    """A pool, and the two operations that sign in."""

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

    def refused(self, *arguments: Any, **more: Any) -> tuple[str, str]:
        operation, *rest = arguments
        with pytest.raises(CognitoError) as error:
            operation(*rest, **more)
        return error.value.code, error.value.message


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_code_has_six_digits_by_text_and_eight_by_mail(bench: Bench) -> None:
    """[reports]"""
    bench.start("ana")
    assert (len(bench.code()), bench.code().isdigit()) == (6, True)
    bench.start("ben", "Correct-horse-2")
    assert (len(bench.code()), bench.code().isdigit()) == (8, True)


def test_masks() -> None:
    assert masked("+15550001234") == "+*******1234"
    assert masked("ana@example.com") == "a***@e***"


def test_a_session_is_good_once(bench: Bench) -> None:
    """[reports]"""
    session = bench.start("ana")["Session"]
    assert len(session) > 1400
    bench.answer("SMS_MFA", session, SMS_MFA_CODE=bench.code())
    assert bench.refused(bench.answer, "SMS_MFA", session, SMS_MFA_CODE=bench.code()) == (
        "NotAuthorizedException",
        "Invalid session for the user, session can only be used once.",
    )


def test_a_session_ends(bench: Bench) -> None:
    """[model] AuthSessionValidity, [reports] the words"""
    session = bench.start("ana")["Session"]
    bench.clock.advance(180)
    assert bench.refused(bench.answer, "SMS_MFA", session, SMS_MFA_CODE=bench.code()) == (
        "NotAuthorizedException",
        "Invalid session for the user, session is expired.",
    )


def test_a_foreign_session(bench: Bench) -> None:
    """[reports]"""
    words = ("NotAuthorizedException", "Invalid session for the user.")
    session = bench.start("ana")["Session"]
    bench.start("ben", "Correct-horse-2")
    assert bench.refused(bench.answer, "SMS_MFA", "x" * 50, SMS_MFA_CODE="1") == words
    assert bench.refused(bench.answer, "EMAIL_OTP", session, EMAIL_OTP_CODE="1") == words
    assert bench.refused(bench.answer, "SMS_MFA", session, "ben", SMS_MFA_CODE="1") == words


def test_a_new_sign_in_makes_older_codes_worthless(bench: Bench) -> None:
    """[reports] amplify-js#11069"""
    old, old_code = bench.start("ana")["Session"], bench.code()
    new = bench.start("ana")["Session"]
    assert bench.refused(bench.answer, "SMS_MFA", old, SMS_MFA_CODE=old_code)
    assert "AuthenticationResult" in bench.answer("SMS_MFA", new, SMS_MFA_CODE=bench.code())


def test_wrong_codes_have_no_limit(bench: Bench) -> None:
    """[reports] six wrong EMAIL_OTP codes, then a right one"""
    session = bench.start("ben", "Correct-horse-2")["Session"]
    for _ in range(6):
        assert bench.refused(bench.answer, "EMAIL_OTP", session, "ben", EMAIL_OTP_CODE="0") == (
            "CodeMismatchException",
            "Invalid code or auth state for the user.",
        )
    right = bench.answer("EMAIL_OTP", session, "ben", EMAIL_OTP_CODE=bench.code())
    assert right["AuthenticationResult"]["TokenType"] == "Bearer"


def test_totp(bench: Bench) -> None:
    """[reports] the words; a code is good once in its window, and the challenge lives on"""
    totp = pyotp.TOTP(DEMO_TOTP)
    first = bench.start("cleo", "Correct-horse-3")["Session"]
    second = bench.start("cleo", "Correct-horse-3")["Session"]
    code = totp.at(int(bench.clock.now()))
    wrong = f"{(int(code) + 1) % 10**6:06d}"

    def answer(session: str, code: str) -> Any:
        return bench.answer("SOFTWARE_TOKEN_MFA", session, "cleo", SOFTWARE_TOKEN_MFA_CODE=code)

    assert bench.refused(answer, first, wrong) == (
        "CodeMismatchException",
        "Invalid code received for user",
    )
    assert "AuthenticationResult" in answer(first, code)
    assert bench.refused(answer, second, code) == (
        "ExpiredCodeException",
        "Your software token has already been used once.",
    )
    bench.clock.advance(30)
    assert "AuthenticationResult" in answer(second, totp.at(int(bench.clock.now())))


def test_a_short_totp_secret_works_too() -> None:
    """The secret of the contract's seed file has 80 bits; pyotp takes no less than 112."""
    user = UserSeed(
        username="ana",
        password=SecretStr("Correct-horse-1"),
        mfa=(Factor.TOTP,),
        totp_secret=SecretStr("JBSWY3DPEHPK3PXP"),
    )
    bench = Bench(users=(user,))
    session = bench.start("ana")["Session"]
    at = int(bench.clock.now())
    key = base64.b32decode("JBSWY3DPEHPK3PXP")
    digest = hmac.digest(key, (at // 30).to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    code = f"{number % 10**6:06d}"  # RFC 4226, section 5.3, by hand
    answer = bench.answer("SOFTWARE_TOKEN_MFA", session, SOFTWARE_TOKEN_MFA_CODE=code)
    assert "AuthenticationResult" in answer


def test_five_wrong_passwords_lock_and_each_more_doubles(bench: Bench) -> None:
    """[docs]"""
    wrong = ("NotAuthorizedException", "Incorrect username or password.")
    locked = ("NotAuthorizedException", "Password attempts exceeded")
    for name in ("ana", "nobody"):
        for _ in range(5):
            assert bench.refused(bench.start, name, "wrong") == wrong
        for lock in (1, 2, 4, 8):
            assert bench.refused(bench.start, name, "wrong") == locked
            bench.clock.advance(lock - 0.5)
            assert bench.refused(bench.start, name) == locked
            bench.clock.advance(0.5)
            assert bench.refused(bench.start, name, "wrong") == wrong
    bench.clock.advance(16)
    assert bench.start("ana")["ChallengeName"] == "SMS_MFA"


@pytest.mark.parametrize(
    ("prevent", "code", "message"),
    [
        (True, "NotAuthorizedException", "Incorrect username or password."),
        (False, "UserNotFoundException", "User does not exist."),
    ],
)
def test_unknown_users(prevent: bool, code: str, message: str) -> None:
    bench = Bench(prevent_user_existence_errors=prevent)
    assert bench.refused(bench.start, "nobody") == (code, message)


def test_an_unknown_users_salt_stays_the_same(bench: Bench) -> None:
    def salt(name: str) -> str:
        response = bench.pool.perform(
            "InitiateAuth",
            {
                "AuthFlow": "USER_SRP_AUTH",
                "ClientId": CLIENT,
                "AuthParameters": {"USERNAME": name, "SRP_A": "2"},
            },
        )
        assert response["ChallengeName"] == "PASSWORD_VERIFIER"
        return str(response["ChallengeParameters"]["SALT"])

    assert salt("nobody") == salt("nobody") != salt("no-one")
    assert salt("ana") == salt("ana")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        ("UNCONFIRMED", "UserNotConfirmedException", "User is not confirmed."),
        (
            "RESET_REQUIRED",
            "PasswordResetRequiredException",
            "Password reset required for the user",
        ),
    ],
)
def test_statuses(status: Any, code: str, message: str) -> None:
    user = UserSeed(username="ana", password=SecretStr("Correct-horse-1"), status=status)
    bench = Bench(users=(user,))
    assert bench.refused(bench.start, "ana") == (code, message)
    assert bench.refused(bench.start, "ana", "wrong")[0] == "NotAuthorizedException"


def test_mfa_off_on_and_preferred() -> None:
    assert "AuthenticationResult" in Bench(mfa="off").start("ana")
    with_phone = UserSeed(
        username="ana", password=SecretStr("Correct-horse-1"), phone_number="+15550001234"
    )
    assert Bench(mfa="on", users=(with_phone,)).start("ana")["ChallengeName"] == "SMS_MFA"
    prefers = DEMO_SEED.users[3].model_copy(update={"preferred_mfa": Factor.EMAIL})
    bench = Bench(users=(prefers,))
    assert bench.start("dora", "Correct-horse-4")["ChallengeName"] == "EMAIL_OTP"


def test_a_choice_sends_once(bench: Bench) -> None:
    session = bench.start("dora", "Correct-horse-4")["Session"]
    assert bench.pool.inbox.messages() == ()
    assert bench.refused(bench.answer, "SELECT_MFA_TYPE", session, "dora", ANSWER="PIGEON")
    answer = bench.answer("SELECT_MFA_TYPE", session, "dora", ANSWER="SMS_MFA")
    assert answer["ChallengeParameters"]["CODE_DELIVERY_DELIVERY_MEDIUM"] == "SMS"
    assert bench.refused(bench.answer, "SELECT_MFA_TYPE", session, "dora", ANSWER="SMS_MFA")
    assert len(bench.pool.inbox.messages()) == 1


def test_a_new_password_with_what_the_pool_requires() -> None:
    bench = Bench(required_attributes=("email", "name"))
    response = bench.start("emil", "Correct-horse-5")
    assert response["ChallengeParameters"]["requiredAttributes"] == (
        '["userAttributes.email", "userAttributes.name"]'
    )
    answer = {"NEW_PASSWORD": "Better-horse-5", "userAttributes.email": "emil@example.com"}

    def set_password(**responses: str) -> Any:
        return bench.answer("NEW_PASSWORD_REQUIRED", response["Session"], "emil", **responses)

    assert bench.refused(set_password, **answer)[0] == "InvalidParameterException"
    weak = {**answer, "userAttributes.name": "Emil", "NEW_PASSWORD": "weak"}
    assert bench.refused(set_password, **weak)[0] == "InvalidPasswordException"
    named = {**answer, "userAttributes.name": "Emil"}
    assert set_password(**named)["ChallengeName"] == "SMS_MFA"
    assert bench.start("emil", "Better-horse-5")["ChallengeName"] == "SMS_MFA"


def test_who_an_access_token_is_of(bench: Bench) -> None:
    tokens = bench.start("fay", "Correct-horse-6")["AuthenticationResult"]
    user = bench.pool.perform("GetUser", {"AccessToken": tokens["AccessToken"]})
    assert user["Username"] == "fay"
    for other in (tokens["IdToken"], tokens["RefreshToken"], "rubbish"):
        code, _ = bench.refused(bench.pool.perform, "GetUser", {"AccessToken": other})
        assert code == "NotAuthorizedException"
    bench.clock.advance(3600)
    assert bench.refused(bench.pool.perform, "GetUser", {"AccessToken": tokens["AccessToken"]}) == (
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
def test_requests_that_are_none(bench: Bench, request_: dict[str, Any]) -> None:
    code, _ = bench.refused(bench.pool.perform, "InitiateAuth", request_)
    assert code == "InvalidParameterException"


def test_another_client_and_another_operation(bench: Bench) -> None:
    request = {"ClientId": "other", "AuthFlow": "USER_SRP_AUTH"}
    code, _ = bench.refused(bench.pool.perform, "InitiateAuth", request)
    assert code == "ResourceNotFoundException"
    assert bench.refused(bench.pool.perform, "DropTable", {})[0] == "UnknownOperationException"
