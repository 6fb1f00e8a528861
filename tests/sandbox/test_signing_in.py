"""Sign-in as real Cognito answers it, with the source of each fact.

Strength of the sources: a recorded or measured pool, AWS's own documents, or public reports, which are
named as repository#number.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.walks.authenticator import Authenticator

import oncegate_cognito.srp as srp_module
from oncegate import Factor
from oncegate_cognito.srp import ClientSrp, DeviceSecret
from oncegate_sandbox import CognitoError, Pool, PoolSeed, SandboxClock, Seed, UserSeed
from oncegate_sandbox._clients import AppClient

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PASSWORD = "Correct-horse-1"
EMAIL: dict[str, Any] = {"email": "ana@example.com"}
PHONE: dict[str, Any] = {"phone_number": "+15550001234"}
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
LOCKED = (
    "NotAuthorizedException",
    "Too many invalid credentials attempts. User temporarily locked. Please try again after few "
    "seconds.",
)
WRONG_PASSWORD = ("NotAuthorizedException", "Incorrect username or password.")


class Client:
    """Sends the requests of a sign-in to a pool with one user, ana."""

    def __init__(self, pool: dict[str, Any] | None = None, **user: Any) -> None:
        self.clock = SandboxClock()
        ana = UserSeed.model_validate({"username": "ana", "password": PASSWORD, **user})
        seed = Seed(pool=PoolSeed(**(pool or {})), users=(ana,))
        self.pool = Pool(seed, "http://issuer", self.clock, signing_key=KEY)
        self.client = self.pool.client(seed.pool.client_id)

    def start(
        self,
        flow: str = "USER_PASSWORD_AUTH",
        name: str = "ana",
        *,
        admin: bool = False,
        **given: Any,
    ) -> Any:
        more = {"UserPoolId": self.pool.id} if admin else {}
        metadata = given.pop("metadata", None)
        if flow.endswith("PASSWORD_AUTH"):
            given.setdefault("PASSWORD", PASSWORD)
        return self.pool.perform(
            "AdminInitiateAuth" if admin else "InitiateAuth",
            {
                **more,
                "AuthFlow": flow,
                "ClientId": self.client.id,
                "AuthParameters": {"USERNAME": name, **given},
                **({"ClientMetadata": metadata} if metadata else {}),
            },
        )

    def answer(self, issued: Any, name: str = "ana", **responses: Any) -> Any:
        metadata = responses.pop("metadata", None)
        return self.pool.perform(
            "RespondToAuthChallenge",
            {
                "ClientId": self.client.id,
                "ChallengeName": issued["ChallengeName"],
                "Session": issued.get("Session"),
                "ChallengeResponses": {"USERNAME": name, **responses},
                **({"ClientMetadata": metadata} if metadata else {}),
            },
        )

    def prove(self, srp: ClientSrp, issued: Any, password: str = PASSWORD, **changed: str) -> Any:
        """Answer PASSWORD_VERIFIER."""
        parameters = issued["ChallengeParameters"]
        claim = srp.claim(
            group=self.pool.name,
            user=parameters["USER_ID_FOR_SRP"],
            password=password,
            salt=parameters["SALT"],
            server_public=parameters["SRP_B"],
            secret_block=parameters["SECRET_BLOCK"],
            now=changed.pop("now", datetime.now(UTC)),  # type: ignore[arg-type]
        )
        answer = {
            "PASSWORD_CLAIM_SIGNATURE": claim.signature,
            "PASSWORD_CLAIM_SECRET_BLOCK": claim.secret_block,
            "TIMESTAMP": claim.timestamp,
            **changed,
        }
        return self.answer(issued, parameters["USER_ID_FOR_SRP"], **answer)

    @property
    def code(self) -> str:
        return self.pool.inbox.messages()[-1].code


def refusal(call: Callable[..., Any], *arguments: Any, **more: Any) -> tuple[str, str]:
    """Return the code and the message of the error that a call raises."""
    with pytest.raises(CognitoError) as error:
        call(*arguments, **more)
    return error.value.code, error.value.message


class TestCodes:
    @pytest.mark.parametrize("factor", ["EMAIL_OTP", "SMS_OTP"])
    def test_first_factor_code_has_eight_digits(self, factor: str) -> None:
        """amplify-js#14428 (maintainer); API reference, InitiateAuth, example 2"""
        client = Client(**EMAIL, **PHONE)
        client.start("USER_AUTH", PREFERRED_CHALLENGE=factor)
        assert (len(client.code), client.code.isdigit()) == (8, True)

    @pytest.mark.parametrize("factor", ["EMAIL_OTP", "SMS_MFA"])
    def test_second_factor_code_has_six_digits(self, factor: str) -> None:
        """a recorded pool"""
        client = Client(**EMAIL, **PHONE, mfa=[factor])
        client.start()
        assert (len(client.code), client.code.isdigit()) == (6, True)


class TestUserAuth:
    @pytest.mark.parametrize("factor", ["EMAIL_OTP", "SMS_OTP"])
    def test_code_challenge_names_its_delivery_only(self, factor: str) -> None:
        """a recorded pool; API reference, InitiateAuth, examples 1 and 2"""
        client = Client(**EMAIL, **PHONE)
        issued = client.start("USER_AUTH", PREFERRED_CHALLENGE=factor)
        medium, masked = (
            ("EMAIL", "a***@e***") if factor == "EMAIL_OTP" else ("SMS", "+*******1234")
        )
        assert issued["ChallengeParameters"] == {
            "CODE_DELIVERY_DELIVERY_MEDIUM": medium,
            "CODE_DELIVERY_DESTINATION": masked,
        }
        # All factors of the user, also beside a challenge that was issued at once.
        assert issued["AvailableChallenges"] == ["PASSWORD_SRP", "PASSWORD", "EMAIL_OTP", "SMS_OTP"]

    def test_passkey_challenge_has_options_only(self) -> None:
        """a recorded pool"""
        client = Client(passkeys=[Authenticator().seed()])
        issued = client.start("USER_AUTH", PREFERRED_CHALLENGE="WEB_AUTHN")
        assert [*issued["ChallengeParameters"]] == ["CREDENTIAL_REQUEST_OPTIONS"]
        assert issued["AvailableChallenges"] == ["PASSWORD_SRP", "PASSWORD", "WEB_AUTHN"]

    def test_choice_has_no_parameters(self) -> None:
        """API reference, InitiateAuth, example 1"""
        issued = Client(**EMAIL).start("USER_AUTH")
        assert issued["ChallengeName"] == "SELECT_CHALLENGE"
        assert issued["ChallengeParameters"] == {}
        assert issued["AvailableChallenges"] == ["PASSWORD_SRP", "PASSWORD", "EMAIL_OTP"]

    def test_answer_has_the_name_that_was_typed_and_its_hash(self) -> None:
        """a recorded pool"""
        client = Client({"client_secret": "the-secret"}, **EMAIL)
        typed = EMAIL["email"]
        covered = hmac.digest(b"the-secret", (typed + client.client.id).encode(), "sha256")
        hashed = base64.b64encode(covered).decode()
        issued = client.start(
            "USER_AUTH", typed, PREFERRED_CHALLENGE="EMAIL_OTP", SECRET_HASH=hashed
        )
        done = client.answer(issued, typed, EMAIL_OTP_CODE=client.code, SECRET_HASH=hashed)
        assert "AccessToken" in done["AuthenticationResult"]

    def test_user_without_a_password_gets_the_only_factor_at_once(self) -> None:
        """a transcript of the AWS CLI"""
        client = Client(password="", **EMAIL)
        issued = client.start("USER_AUTH")
        assert issued["ChallengeName"] == "EMAIL_OTP"
        assert issued["AvailableChallenges"] == ["EMAIL_OTP"]
        assert (
            "AccessToken"
            in client.answer(issued, EMAIL_OTP_CODE=client.code)["AuthenticationResult"]
        )

    def test_required_mfa_offers_passwords_only(self) -> None:
        """AWS developer guide, authentication"""
        client = Client({"mfa": "on"}, **EMAIL, **PHONE, passkeys=[Authenticator().seed()])
        issued = client.start("USER_AUTH", PREFERRED_CHALLENGE="EMAIL_OTP")
        assert (issued["ChallengeName"], client.pool.inbox.messages()) == ("SELECT_CHALLENGE", ())
        assert issued["AvailableChallenges"] == ["PASSWORD_SRP", "PASSWORD"]

    @pytest.mark.parametrize("verified", [True, False])
    def test_passkey_that_verifies_the_user_can_satisfy_mfa(self, verified: bool) -> None:
        """botocore's service model, WebAuthnConfigurationType: FactorConfiguration"""
        passkey = Authenticator()
        client = Client({"mfa": "on"}, **PHONE, passkeys=[passkey.seed()])
        client.pool.settings.passkeys_satisfy_mfa = True
        issued = client.start("USER_AUTH", PREFERRED_CHALLENGE="WEB_AUTHN")
        options = issued["ChallengeParameters"]["CREDENTIAL_REQUEST_OPTIONS"]
        assert json.loads(options)["userVerification"] == "required"
        credential = passkey.answer(options, user_verified=verified)
        if verified:
            assert "AuthenticationResult" in client.answer(
                issued, CREDENTIAL=json.dumps(credential)
            )
        else:
            assert (
                refusal(client.answer, issued, CREDENTIAL=json.dumps(credential)) == WRONG_PASSWORD
            )

    def test_unknown_user_is_offered_the_same_selection_each_time(self) -> None:
        """AWS developer guide, managing errors"""
        client = Client()

        def offered(name: str) -> tuple[str, ...]:
            return tuple(client.start("USER_AUTH", name)["AvailableChallenges"])

        names = [f"unknown-{number}" for number in range(40)]
        selections = {name: offered(name) for name in names}
        assert {name: offered(name) for name in names} == selections
        assert len(set(selections.values())) > 5
        pools = {"PASSWORD_SRP", "PASSWORD", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"}
        assert {one for selection in selections.values() for one in selection} == pools
        assert client.pool.inbox.messages() == ()

    @pytest.mark.parametrize("factor", ["EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"])
    def test_factor_of_an_unknown_user_is_imitated(self, factor: str) -> None:
        """AWS developer guide, managing errors"""
        client = Client(**EMAIL, **PHONE, passkeys=[Authenticator().seed()])
        known = client.start("USER_AUTH", PREFERRED_CHALLENGE=factor)
        unknown = client.start("USER_AUTH", "nobody", PREFERRED_CHALLENGE=factor)
        assert unknown["ChallengeParameters"].keys() == known["ChallengeParameters"].keys()
        again = client.start("USER_AUTH", "nobody", PREFERRED_CHALLENGE=factor)
        if factor == "WEB_AUTHN":
            credentials = [
                json.loads(one["ChallengeParameters"]["CREDENTIAL_REQUEST_OPTIONS"])[
                    "allowCredentials"
                ]
                for one in (unknown, again)
            ]
            assert credentials[0] == credentials[1]
        else:
            assert again["ChallengeParameters"] == unknown["ChallengeParameters"]
            shape = r"\w\*{3}@\w\*{3}" if factor == "EMAIL_OTP" else r"\+\*{7}\d{4}"
            for one in (known, unknown):
                destination = one["ChallengeParameters"]["CODE_DELIVERY_DESTINATION"]
                assert re.fullmatch(shape, destination)
            code = {f"{factor}_CODE": "12345678"}
            assert refusal(client.answer, unknown, "nobody", **code)[0] == "CodeMismatchException"


class TestLockOut:
    """AWS developer guide, MFA; two public products for the words"""

    def wrong(self, client: Client, issued: Any, times: int) -> list[str]:
        name = "SMS_MFA" if issued["ChallengeName"] == "SMS_MFA" else "SOFTWARE_TOKEN_MFA"
        return [
            refusal(client.answer, issued, **{f"{name}_CODE": "000000"})[0] for _ in range(times)
        ]

    def test_sixth_try_is_locked_and_the_challenge_stays(self) -> None:
        client = Client(**PHONE, mfa=["SMS_MFA"])
        issued = client.start()
        assert self.wrong(client, issued, 5) == ["CodeMismatchException"] * 5
        assert refusal(client.answer, issued, SMS_MFA_CODE=client.code) == LOCKED
        client.clock.advance(1)
        assert "AuthenticationResult" in client.answer(issued, SMS_MFA_CODE=client.code)

    def test_lock_doubles_with_each_further_wrong_code(self) -> None:
        client = Client(**PHONE, mfa=["SMS_MFA"])
        issued = client.start()
        self.wrong(client, issued, 5)
        for seconds in (1, 2, 4, 8):
            client.clock.advance(seconds - 0.1)
            assert refusal(client.answer, issued, SMS_MFA_CODE="000000") == LOCKED
            client.clock.advance(0.2)
            assert self.wrong(client, issued, 1) == ["CodeMismatchException"]

    def test_count_outlives_the_challenge_and_is_forgotten_after_15_minutes(self) -> None:
        client = Client({"auth_session_minutes": 15}, **PHONE, mfa=["SMS_MFA"])
        self.wrong(client, client.start(), 5)
        assert refusal(client.answer, client.start(), SMS_MFA_CODE="000000") == LOCKED
        client.clock.advance(900)
        assert self.wrong(client, client.start(), 5) == ["CodeMismatchException"] * 5

    def test_right_code_forgets_the_count(self) -> None:
        client = Client(**PHONE, mfa=["SMS_MFA"])
        for _ in range(3):
            issued = client.start()
            self.wrong(client, issued, 4)
            client.answer(issued, SMS_MFA_CODE=client.code)

    def test_used_authenticator_code_is_no_wrong_one(self) -> None:
        client = Client(mfa=["SOFTWARE_TOKEN_MFA"], totp_secret=TOTP_SECRET)
        code = pyotp.TOTP(TOTP_SECRET).at(int(client.clock.now()))
        client.answer(client.start(), SOFTWARE_TOKEN_MFA_CODE=code)
        issued = client.start()
        for _ in range(6):
            found = refusal(client.answer, issued, SOFTWARE_TOKEN_MFA_CODE=code)
            assert found[0] == "ExpiredCodeException"

    def test_wrong_first_factor_codes_lock_nobody_out(self) -> None:
        """a recorded pool: six wrong EMAIL_OTP codes"""
        client = Client(**EMAIL)
        issued = client.start("USER_AUTH", PREFERRED_CHALLENGE="EMAIL_OTP")
        for _ in range(6):
            found = refusal(client.answer, issued, EMAIL_OTP_CODE="00000000")
            assert found[0] == "CodeMismatchException"
        assert "AuthenticationResult" in client.answer(issued, EMAIL_OTP_CODE=client.code)

    @pytest.mark.parametrize("ends", [True, False])
    def test_wrong_authenticator_code_uses_up_the_session_if_the_seed_says_so(
        self, ends: bool
    ) -> None:
        """two clients say that it does, one that it does not"""
        client = Client(
            {"wrong_totp_ends_session": ends}, totp_secret=TOTP_SECRET, mfa=["SOFTWARE_TOKEN_MFA"]
        )
        issued = client.start()
        self.wrong(client, issued, 1)
        right = pyotp.TOTP(TOTP_SECRET).at(int(client.clock.now()))
        if ends:
            assert "used once" in refusal(client.answer, issued, SOFTWARE_TOKEN_MFA_CODE=right)[1]
        else:
            assert "AuthenticationResult" in client.answer(issued, SOFTWARE_TOKEN_MFA_CODE=right)


class TestSetUp:
    def test_set_up_lists_the_factors_of_the_pool_without_blanks(self) -> None:
        """amplify-flutter#95"""
        client = Client({"mfa": "on"})
        client.pool.settings.second_factors = frozenset({Factor.SMS, Factor.TOTP})
        issued = client.start()
        assert issued["ChallengeName"] == "MFA_SETUP"
        assert issued["ChallengeParameters"]["MFAS_CAN_SETUP"] == '["SMS_MFA","SOFTWARE_TOKEN_MFA"]'

    def test_sms_only_without_a_phone_number_is_refused(self) -> None:
        """amplify-js#14013, with Cognito's spelling"""
        client = Client({"mfa": "on"})
        client.pool.settings.second_factors = frozenset({Factor.SMS})
        assert refusal(client.start) == (
            "MFAMethodNotFoundException",
            "No MFA mechanism registerd in the account.",
        )

    def test_wrong_first_code_has_cognitos_words(self) -> None:
        """aws-amplify-auth-starters#15"""
        client = Client({"mfa": "on"})
        associated = client.pool.perform(
            "AssociateSoftwareToken", {"Session": client.start()["Session"]}
        )
        request = {"Session": associated["Session"], "UserCode": "000000"}
        assert refusal(client.pool.perform, "VerifySoftwareToken", request) == (
            "EnableSoftwareTokenMFAException",
            "Code mismatch and fail enable Software Token MFA",
        )


class TestSrp:
    """measured on a real pool: ministack#1758"""

    def test_response_carries_no_session(self) -> None:
        client, srp = Client(), ClientSrp()
        issued = client.start("USER_SRP_AUTH", SRP_A=srp.public_hex)
        assert issued["ChallengeName"] == "PASSWORD_VERIFIER"
        assert "Session" not in issued
        assert "AuthenticationResult" in client.prove(srp, issued)

    def test_user_auth_response_carries_a_session(self) -> None:
        srp = ClientSrp()
        issued = Client().start(
            "USER_AUTH", PREFERRED_CHALLENGE="PASSWORD_SRP", SRP_A=srp.public_hex
        )
        assert issued["Session"]

    @pytest.mark.parametrize("days", [366, -366])
    def test_timestamp_of_another_year_is_refused(self, days: int) -> None:
        client, srp = Client(), ClientSrp()
        issued = client.start("USER_SRP_AUTH", SRP_A=srp.public_hex)
        now: Any = datetime.now(UTC) + timedelta(days=days)
        assert refusal(client.prove, srp, issued, now=now) == WRONG_PASSWORD

    def test_wrong_weekday_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client, srp = Client(), ClientSrp()
        issued = client.start("USER_SRP_AUTH", SRP_A=srp.public_hex)
        days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
        right = srp_module.timestamp

        def wrong(now: datetime) -> str:
            stamp = right(now)
            return days[(days.index(stamp[:3]) + 1) % 7] + stamp[3:]

        monkeypatch.setattr(srp_module, "timestamp", wrong)
        assert refusal(client.prove, srp, issued) == WRONG_PASSWORD

    def test_unknown_secret_block_is_a_wrong_password(self) -> None:
        client, srp = Client(), ClientSrp()
        issued = client.start("USER_SRP_AUTH", SRP_A=srp.public_hex)
        block = base64.b64encode(b"another").decode()
        found = refusal(client.prove, srp, issued, PASSWORD_CLAIM_SECRET_BLOCK=block)
        assert found == WRONG_PASSWORD

    def test_unknown_user_gets_a_uuid_and_always_the_same_salt(self) -> None:
        client = Client()

        def parameters(name: str) -> Any:
            issued = client.start("USER_SRP_AUTH", name, SRP_A=ClientSrp().public_hex)
            return issued["ChallengeParameters"]

        first, again, other = parameters("nobody"), parameters("nobody"), parameters("someone")
        assert len(first["USER_ID_FOR_SRP"]) == 36
        assert first["USER_ID_FOR_SRP"] == again["USER_ID_FOR_SRP"] != other["USER_ID_FOR_SRP"]
        assert first["SALT"] == again["SALT"]

    def test_proof_of_an_unknown_user_is_a_wrong_password(self) -> None:
        client, srp = Client(), ClientSrp()
        issued = client.start("USER_SRP_AUTH", "nobody", SRP_A=srp.public_hex)
        assert refusal(client.prove, srp, issued) == WRONG_PASSWORD


class TestStatus:
    @pytest.mark.parametrize("password", [PASSWORD, "wrong"])
    @pytest.mark.parametrize("legacy", [True, False])
    def test_unconfirmed_user_is_told_before_the_password(
        self, password: str, legacy: bool
    ) -> None:
        """amazon-cognito-identity-js#288 ("intended behavior"); measured"""
        client = Client({"prevent_user_existence_errors": not legacy}, status="UNCONFIRMED")
        expected = ("UserNotConfirmedException", "User is not confirmed.")
        assert refusal(client.start, PASSWORD=password) == expected
        srp = ClientSrp()
        issued = client.start("USER_SRP_AUTH", SRP_A=srp.public_hex)
        assert refusal(client.prove, srp, issued, password) == expected
        assert refusal(client.start, "USER_AUTH") == expected

    @pytest.mark.parametrize("password", [PASSWORD, "wrong"])
    def test_password_to_reset_is_a_generic_refusal(self, password: str) -> None:
        """AWS developer guide, importing users, and managing errors"""
        client = Client(status="RESET_REQUIRED")
        assert refusal(client.start, PASSWORD=password) == WRONG_PASSWORD

    @pytest.mark.parametrize("password", [PASSWORD, "wrong"])
    def test_legacy_client_is_told_of_a_password_to_reset(self, password: str) -> None:
        """AWS developer guide, managing errors"""
        client = Client({"prevent_user_existence_errors": False}, status="RESET_REQUIRED")
        found = refusal(client.start, PASSWORD=password)
        assert found == ("PasswordResetRequiredException", "Password reset required for the user")

    def test_sub_signs_in(self) -> None:
        """AWS developer guide: the sub works as USERNAME"""
        client = Client()
        user = client.pool.users.find("ana")
        assert user is not None
        assert "AuthenticationResult" in client.start(name=user.sub)


class TestFlows:
    @pytest.mark.parametrize(
        ("flow", "words"),
        [
            ("USER_PASSWORD_AUTH", "USER_PASSWORD_AUTH flow not enabled for this client"),
            ("USER_SRP_AUTH", "USER_SRP_AUTH is not enabled for the client."),
            ("USER_AUTH", "USER_AUTH is not enabled for the client."),
        ],
    )
    def test_flow_that_the_client_may_not_use_is_refused(self, flow: str, words: str) -> None:
        """public reports"""
        client = Client()
        client.client.auth_flows = frozenset({"ALLOW_REFRESH_TOKEN_AUTH"})
        assert refusal(client.start, flow) == ("InvalidParameterException", words)
        client.client.auth_flows = frozenset({f"ALLOW_{flow}"})
        assert client.start(flow, SRP_A="2")

    def test_administrators_flow_needs_its_own_permission(self) -> None:
        """public reports"""
        client = Client()
        client.client.auth_flows = frozenset({"ALLOW_USER_PASSWORD_AUTH"})
        found = refusal(client.start, "ADMIN_USER_PASSWORD_AUTH", admin=True)
        assert found == ("InvalidParameterException", "Auth flow not enabled for this client")
        client.client.auth_flows = frozenset({"ALLOW_ADMIN_USER_PASSWORD_AUTH"})
        assert client.start("ADMIN_USER_PASSWORD_AUTH", admin=True)

    @pytest.mark.parametrize(
        ("flow", "admin"),
        [
            ("ADMIN_USER_PASSWORD_AUTH", False),
            ("ADMIN_NO_SRP_AUTH", False),
            ("USER_PASSWORD_AUTH", True),
        ],
    )
    def test_flow_of_the_other_operation_is_refused(self, flow: str, admin: bool) -> None:
        """moto#4836, AWS's answer"""
        found = refusal(Client().start, flow, admin=admin)
        assert found == ("InvalidParameterException", "Initiate Auth method not supported")

    def test_custom_auth_without_triggers_is_refused(self) -> None:
        """nine code bases that quote it"""
        assert refusal(Client().start, "CUSTOM_AUTH") == (
            "InvalidParameterException",
            "Custom auth lambda trigger is not configured for the user pool.",
        )


class TestStateOfTheUser:
    """The user's state, and the session, at the code."""

    def first(self, **user: Any) -> tuple[Client, Any]:
        client = Client(**EMAIL, **user)
        return client, client.start("USER_AUTH", PREFERRED_CHALLENGE="EMAIL_OTP")

    def test_unconfirmed_user_gets_no_first_factor_code(self) -> None:
        """amazon-cognito-identity-js#288"""
        with pytest.raises(CognitoError, match="UserNotConfirmedException"):
            self.first(status="UNCONFIRMED")

    def test_wrong_first_factor_code_of_a_disabled_user_is_that_of_an_unknown_one(self) -> None:
        """AWS developer guide, managing errors"""
        client, issued = self.first(enabled=False)
        unknown = client.start("USER_AUTH", "nobody", PREFERRED_CHALLENGE="EMAIL_OTP")
        wrong = {"EMAIL_OTP_CODE": "00000000"}
        assert refusal(client.answer, issued, **wrong) == refusal(
            client.answer, unknown, "nobody", **wrong
        )
        assert refusal(client.answer, issued, EMAIL_OTP_CODE=client.code) == WRONG_PASSWORD

    def test_right_first_factor_code_needs_a_password_that_is_not_to_be_reset(self) -> None:
        client, issued = self.first()
        user = client.pool.users.find("ana")
        assert user
        user.status = "RESET_REQUIRED"
        assert refusal(client.answer, issued, EMAIL_OTP_CODE=client.code) == WRONG_PASSWORD

    def test_disabled_user_is_told_at_the_second_factor(self) -> None:
        """aws-sdk-js#4323"""
        client = Client(**PHONE, mfa=["SMS_MFA"])
        issued = client.start()
        client.pool.perform("AdminDisableUser", {"UserPoolId": client.pool.id, "Username": "ana"})
        found = refusal(client.answer, issued, SMS_MFA_CODE=client.code)
        assert found == ("NotAuthorizedException", "User is disabled.")

    def test_session_of_another_app_client_is_rejected(self) -> None:
        client, issued = self.first()
        client.client = client.pool.clients["other"] = AppClient("other")
        found = refusal(client.answer, issued, EMAIL_OTP_CODE=client.code)
        assert found == ("NotAuthorizedException", "Invalid session for the user.")

    def test_new_code_ends_older_codes_only(self) -> None:
        """amplify-js#11069"""
        client = Client(**EMAIL)
        choice = client.start("USER_AUTH")
        client.start("USER_AUTH", PREFERRED_CHALLENGE="EMAIL_OTP")
        assert client.answer(choice, ANSWER="EMAIL_OTP")["ChallengeName"] == "EMAIL_OTP"


class TestDevices:
    TRACKING = {"device_tracking": "opt_in"}  # noqa: RUF012 - never changed

    def new_device(self, client: Client) -> tuple[Any, Any]:
        result = client.start()["AuthenticationResult"]
        return result, result["NewDeviceMetadata"]

    def confirm(self, client: Client, result: Any, key: str, salt: str, verifier: str) -> Any:
        return client.pool.perform(
            "ConfirmDevice",
            {
                "AccessToken": result["AccessToken"],
                "DeviceKey": key,
                "DeviceSecretVerifierConfig": {"PasswordVerifier": verifier, "Salt": salt},
            },
        )

    @pytest.mark.parametrize("negative", ["salt", "verifier"])
    def test_negative_salt_or_verifier_is_refused(self, negative: str) -> None:
        """net-extensions#46"""
        client = Client(self.TRACKING)
        result, device = self.new_device(client)
        numbers = {
            "salt": b"\x01" * 16,
            "verifier": b"\x01" * 384,
            negative: b"\x81" + b"\x01" * 15,
        }
        texts = {name: base64.b64encode(value).decode() for name, value in numbers.items()}
        found = refusal(self.confirm, client, result, device["DeviceKey"], **texts)
        words = "Found negative value for salt or password verifier"
        assert found == ("InvalidParameterException", words)

    def test_our_own_verifier_is_never_negative(self) -> None:
        for _ in range(40):
            secret = DeviceSecret.new("-group", "key")
            for number in (secret.salt, secret.verifier):
                assert base64.b64decode(number)[0] < 0x80

    def test_challenge_has_username_only_and_needs_no_session(self) -> None:
        """amplify-js#12887, a log"""
        client = Client({"device_tracking": "always"}, **PHONE, mfa=["SMS_MFA"])
        issued = client.start()
        result = client.answer(issued, SMS_MFA_CODE=client.code)["AuthenticationResult"]
        device = result["NewDeviceMetadata"]
        secret = DeviceSecret.new(device["DeviceGroupKey"], device["DeviceKey"])
        self.confirm(client, result, device["DeviceKey"], secret.salt, secret.verifier)
        issued = client.start(DEVICE_KEY=device["DeviceKey"])
        assert issued["ChallengeName"] == "DEVICE_SRP_AUTH"
        assert issued["ChallengeParameters"] == {"USERNAME": "ana"}
        del issued["Session"]
        verifier = client.answer(
            issued, SRP_A=ClientSrp().public_hex, DEVICE_KEY=device["DeviceKey"]
        )
        assert verifier["ChallengeName"] == "DEVICE_PASSWORD_VERIFIER"


class Recorder:
    """Triggers that record their events, and answer as they are told."""

    def __init__(self, **answers: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self._answers = answers

    def hook(self, name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def run(event: dict[str, Any]) -> dict[str, Any]:
            self.events.append(event)
            answer = self._answers.get(name)
            event["response"] |= answer(event) if callable(answer) else answer or {}
            return event

        return run

    def hooks(self, *names: str) -> dict[str, Any]:
        return {name: self.hook(name) for name in names}

    def requests(self, name: str) -> list[dict[str, Any]]:
        return [e["request"] for e in self.events if e["triggerSource"].startswith(f"{name}_")]


METADATA = {"captcha": "1"}


class TestTriggers:
    """AWS developer guide, Lambda triggers; API reference, ClientMetadata of each operation"""

    def test_pre_authentication_gets_validation_data_and_can_refuse(self) -> None:
        recorder = Recorder()
        client = Client({"triggers": recorder.hooks("PreAuthentication")})
        client.start(metadata=METADATA)
        (request,) = recorder.requests("PreAuthentication")
        assert request["validationData"] == METADATA
        assert request["userNotFound"] is False
        assert refusal(client.start, name="nobody") == WRONG_PASSWORD
        assert recorder.requests("PreAuthentication")[1]["userNotFound"] is True

        def refuse(event: dict[str, Any]) -> dict[str, Any]:
            raise ValueError("No robots")

        client = Client({"triggers": {"PreAuthentication": refuse}}, **PHONE, mfa=["SMS_MFA"])
        assert refusal(client.start) == (
            "UserLambdaValidationException",
            "PreAuthentication failed with error No robots.",
        )
        assert client.pool.inbox.messages() == ()

    def test_post_authentication_gets_metadata_of_the_answer_only(self) -> None:
        recorder = Recorder()
        triggers = recorder.hooks("PostAuthentication")
        Client({"triggers": triggers}).start(metadata=METADATA)
        assert "clientMetadata" not in recorder.requests("PostAuthentication")[0]
        client = Client({"triggers": triggers}, **PHONE, mfa=["SMS_MFA"])
        client.answer(client.start(), SMS_MFA_CODE=client.code, metadata=METADATA)
        assert recorder.requests("PostAuthentication")[1]["clientMetadata"] == METADATA

    @pytest.mark.parametrize("status", ["CONFIRMED", None])
    def test_unknown_user_is_migrated_with_the_password(self, status: str | None) -> None:
        recorder = Recorder(
            UserMigration={
                "userAttributes": {"email": "eve@example.com", "email_verified": "true"},
                "finalUserStatus": status,
                "messageAction": "SUPPRESS",
            }
        )
        client = Client({"triggers": recorder.hooks("UserMigration")})
        if status:
            assert "AuthenticationResult" in client.start(name="eve", metadata=METADATA)
            assert "AuthenticationResult" in client.start(name="eve")
        else:
            assert refusal(client.start, name="eve", metadata=METADATA) == WRONG_PASSWORD
        (request,) = recorder.requests("UserMigration")
        assert (request["password"], request["validationData"]) == (PASSWORD, METADATA)
        eve = client.pool.users.find("eve")
        assert eve is not None
        assert eve.status == (status or "RESET_REQUIRED")

    def test_user_whom_the_trigger_does_not_know_stays_unknown(self) -> None:
        client = Client({"triggers": Recorder().hooks("UserMigration")})
        assert refusal(client.start, name="eve") == WRONG_PASSWORD
        assert client.pool.users.find("eve") is None

    def custom(self, **pool: Any) -> tuple[Client, Recorder]:
        def define(event: dict[str, Any]) -> dict[str, Any]:
            session = event["request"]["session"]
            if session and session[-1]["challengeResult"]:
                return {"issueTokens": True, "failAuthentication": False}
            if len(session) >= 3:
                return {"issueTokens": False, "failAuthentication": True}
            return {"challengeName": "CUSTOM_CHALLENGE", "issueTokens": False}

        recorder = Recorder(
            DefineAuthChallenge=define,
            CreateAuthChallenge={
                "publicChallengeParameters": {"question": "Which bird?"},
                "privateChallengeParameters": {"answer": "wren"},
                "challengeMetadata": "BIRD",
            },
            VerifyAuthChallengeResponse=lambda event: {
                "answerCorrect": event["request"]["challengeAnswer"]
                == event["request"]["privateChallengeParameters"]["answer"]
            },
        )
        names = ("DefineAuthChallenge", "CreateAuthChallenge", "VerifyAuthChallengeResponse")
        return Client({"triggers": recorder.hooks(*names), **pool}), recorder

    def test_three_functions_ask_and_verify(self) -> None:
        client, recorder = self.custom()
        issued = client.start("CUSTOM_AUTH", metadata=METADATA)
        assert issued["ChallengeName"] == "CUSTOM_CHALLENGE"
        assert issued["ChallengeParameters"] == {"USERNAME": "ana", "question": "Which bird?"}
        issued = client.answer(issued, ANSWER="owl", metadata=METADATA)
        assert "AuthenticationResult" in client.answer(issued, ANSWER="wren")
        assert "clientMetadata" not in recorder.requests("DefineAuthChallenge")[0]
        verified = recorder.requests("VerifyAuthChallengeResponse")[0]
        assert (verified["challengeAnswer"], verified["clientMetadata"]) == ("owl", METADATA)
        assert recorder.requests("DefineAuthChallenge")[2]["session"] == [
            {
                "challengeName": "CUSTOM_CHALLENGE",
                "challengeResult": right,
                "challengeMetadata": "BIRD",
            }
            for right in (False, True)
        ]

    def test_failed_authentication_arrives_as_a_wrong_password(self) -> None:
        """amplify-swift#3695, amplify-js#5834"""
        client, _ = self.custom()
        issued = client.start("CUSTOM_AUTH")
        for _ in range(2):
            issued = client.answer(issued, ANSWER="owl")
        assert refusal(client.answer, issued, ANSWER="owl") == WRONG_PASSWORD

    def test_unknown_user_runs_the_triggers_and_gets_no_tokens(self) -> None:
        client, recorder = self.custom()
        issued = client.start("CUSTOM_AUTH", "nobody")
        assert issued["ChallengeName"] == "CUSTOM_CHALLENGE"
        assert recorder.requests("DefineAuthChallenge")[0]["userNotFound"] is True
        assert refusal(client.answer, issued, "nobody", ANSWER="wren") == WRONG_PASSWORD

    def test_password_can_be_proven_first(self) -> None:
        client, recorder = self.custom()

        def define(event: dict[str, Any]) -> dict[str, Any]:
            session = event["request"]["session"]
            last = session[-1]["challengeName"]
            following = {"SRP_A": "PASSWORD_VERIFIER", "PASSWORD_VERIFIER": "CUSTOM_CHALLENGE"}
            if last in following:
                return {"challengeName": following[last], "issueTokens": False}
            return {"issueTokens": session[-1]["challengeResult"]}

        recorder._answers["DefineAuthChallenge"] = define
        srp = ClientSrp()
        issued = client.start("CUSTOM_AUTH", CHALLENGE_NAME="SRP_A", SRP_A=srp.public_hex)
        assert issued["ChallengeName"] == "PASSWORD_VERIFIER"
        asked = client.prove(srp, issued)
        assert asked["ChallengeName"] == "CUSTOM_CHALLENGE"
        assert "AuthenticationResult" in client.answer(asked, ANSWER="wren")
