"""Every challenge of a user pool, through the public Python API, over real HTTP."""

from __future__ import annotations

from typing import Any

import pyotp
import pytest
from pydantic import SecretStr
from tests.walks.authenticator import Authenticator
from tests.walks.walker import EMAIL, EVERY, NEW_PASSWORD, PASSWORD, PHONE, TOTP, Walk, Walker, user

from oncegate import (
    ChooseFactor,
    ConfirmAccount,
    Factor,
    ForgotPassword,
    RequestNewCode,
    ResetPassword,
    SubmitAnswer,
    SubmitEmail,
    SubmitNewPassword,
    SubmitPasskey,
    SubmitPassword,
    SubmitUsername,
)
from oncegate_cognito import AdminCognitoTransport


@pytest.mark.parametrize("secret", [None, "aClientSecretOfTheApp"])
class TestSecondFactors:
    @pytest.mark.parametrize(("profile", "medium"), [(PHONE, "SMS"), (EMAIL, "EMAIL")])
    def test_code_factor_sends_one_code(
        self, walk: Walker, secret: str | None, profile: Any, medium: str
    ) -> None:
        w = walk(user(**profile), pool={"client_secret": secret})
        assert w.send_password().state == "awaiting_mfa"
        assert w.step.delivery is not None
        assert w.step.delivery.medium == medium
        w.send_code()
        w.assert_signed_in(codes=1)

    def test_authenticator_app_sends_no_code(self, walk: Walker, secret: str | None) -> None:
        w = walk(user(totp_secret=TOTP, mfa=[Factor.TOTP]), pool={"client_secret": secret})
        assert w.send_password().challenge == "SOFTWARE_TOKEN_MFA"
        assert "request_new_code" not in w.step.events
        w.send_code(pyotp.TOTP(TOTP).now())
        w.assert_signed_in(codes=0)

    @pytest.mark.parametrize("factor", [Factor.SMS, Factor.EMAIL])
    def test_several_factors_let_the_user_choose(
        self, walk: Walker, secret: str | None, factor: Factor
    ) -> None:
        w = walk(user(**EVERY), pool={"client_secret": secret})
        assert w.send_password().state == "password_verified"
        w.send(ChooseFactor(factor=factor))
        w.send_code()
        w.assert_signed_in(codes=1)

    def test_authenticator_setup_shows_the_secret_and_signs_in(
        self, walk: Walker, secret: str | None
    ) -> None:
        w = walk(user(), pool={"mfa": "on", "client_secret": secret}, totp_issuer="A shop")
        step = w.send_password()
        assert (step.state, step.challenge) == ("password_verified", "MFA_SETUP")
        step = w.send(ChooseFactor(factor=Factor.TOTP))
        assert step.state == "setting_up_totp"
        assert step.totp is not None
        assert step.totp.secret not in repr(step)
        app = pyotp.parse_uri(step.totp.uri)
        assert isinstance(app, pyotp.TOTP)
        assert (app.secret, app.name, app.issuer) == (step.totp.secret, "ana", "A shop")
        # A reload shows the same secret: it is requested once.
        assert w.sign_in.get(step.flow_id).totp == step.totp
        assert w.sandbox.calls()["AssociateSoftwareToken"] == 1
        wrong = f"{(int(app.now()) + 1) % 10**6:06d}"
        step = w.send_code(wrong)
        assert (step.state, step.attempts_left) == ("setting_up_totp", 4)
        assert step.message is not None
        assert step.message.code == "wrong_code"
        w.send_code(app.now())
        w.assert_signed_in(codes=0)

    def test_email_setup_sends_one_code(self, walk: Walker, secret: str | None) -> None:
        w = walk(user(), pool={"mfa": "on", "client_secret": secret})
        w.send_password()
        assert w.send(ChooseFactor(factor=Factor.EMAIL)).state == "setting_up_email"
        assert w.sandbox.messages() == ()
        assert w.send(SubmitEmail(email="ana@example.com")).state == "awaiting_mfa"
        w.send_code()
        w.assert_signed_in(codes=1)

    def test_temporary_password_requires_a_new_one(self, walk: Walker, secret: str | None) -> None:
        pool = {"client_secret": secret, "required_attributes": ["given_name"]}
        w = walk(user(**PHONE, status="FORCE_CHANGE_PASSWORD"), pool=pool)
        assert w.send_password().state == "awaiting_new_password"
        assert [field.name for field in w.step.fields] == ["new_password", "attributes.given_name"]
        event = SubmitNewPassword(
            new_password=SecretStr(NEW_PASSWORD), attributes={"given_name": "Ana"}
        )
        assert w.send(event).state == "awaiting_mfa"
        w.send_code()
        w.assert_signed_in(codes=1)


class TestUserAuth:
    """USER_AUTH: the user chooses the first factor."""

    @pytest.mark.parametrize("factor", [Factor.EMAIL, Factor.SMS_OTP])
    @pytest.mark.parametrize("is_preferred", [True, False], ids=["preferred", "chosen"])
    def test_code_as_first_factor_signs_in(
        self, walk: Walker, factor: Factor, is_preferred: bool
    ) -> None:
        w = walk(user(**EVERY), auth_flow="USER_AUTH")
        assert [field.name for field in w.step.fields] == ["username"]
        if is_preferred:
            w.send(SubmitUsername(username="ana", preferred=factor))
        else:
            step = w.send(SubmitUsername(username="ana"))
            assert step.state == "choosing_first_factor"
            offered = {choice.value for choice in step.fields[0].choices}
            assert offered == {"EMAIL_OTP", "SMS_OTP", "PASSWORD"}
            w.send(ChooseFactor(factor=factor))
        assert (w.step.state, w.step.challenge) == ("awaiting_mfa", factor)
        w.send_code()
        w.assert_signed_in(codes=1)

    def test_new_code_as_first_factor_needs_no_password(self, walk: Walker) -> None:
        w = walk(user(**EVERY), auth_flow="USER_AUTH", sign_in={"new_code_cooldown": 0})
        w.send(SubmitUsername(username="ana"))
        w.send(ChooseFactor(factor=Factor.EMAIL))
        old = w.newest_code()
        step = w.send(RequestNewCode())
        assert (step.state, len(w.sandbox.messages())) == ("awaiting_mfa", 2)
        assert old != w.newest_code()
        w.send_code()
        w.assert_signed_in(codes=2)

    @pytest.mark.parametrize("is_preferred", [True, False], ids=["with-username", "chosen"])
    def test_password_as_first_factor_signs_in(self, walk: Walker, is_preferred: bool) -> None:
        w = walk(user(**PHONE), auth_flow="USER_AUTH")
        if is_preferred:
            w.send_password()
        else:
            w.send(SubmitUsername(username="ana"))
            assert w.send(ChooseFactor(factor=Factor.PASSWORD)).state == "awaiting_password"
            assert [field.name for field in w.step.fields] == ["password"]
            w.send(SubmitPassword(password=SecretStr(PASSWORD)))
        w.send_code()
        w.assert_signed_in(codes=1)

    def test_preferred_password_waits_for_the_password(self, walk: Walker) -> None:
        w = walk(user(), auth_flow="USER_AUTH")
        step = w.send(SubmitUsername(username="ana", preferred=Factor.PASSWORD))
        assert step.state == "choosing_first_factor"
        w.send(ChooseFactor(factor=Factor.PASSWORD))
        w.send(SubmitPassword(password=SecretStr(PASSWORD)))
        w.assert_signed_in(codes=0)

    @pytest.mark.parametrize("is_preferred", [True, False], ids=["preferred", "chosen"])
    def test_passkey_signs_in(self, walk: Walker, is_preferred: bool) -> None:
        passkey = Authenticator()
        w = walk(user(passkeys=[passkey.seed()]), auth_flow="USER_AUTH")
        if is_preferred:
            w.send(SubmitUsername(username="ana", preferred=Factor.PASSKEY))
        else:
            w.send(SubmitUsername(username="ana"))
            w.send(ChooseFactor(factor=Factor.PASSKEY))
        assert w.step.state == "awaiting_passkey"
        assert w.step.passkey_options is not None
        answer = passkey.answer(w.step.passkey_options)
        w.send(SubmitPasskey.model_validate({"credential": answer}))
        w.assert_signed_in(codes=0)

    @pytest.mark.parametrize("satisfies", [True, False])
    def test_passkey_can_stand_for_both_factors(self, walk: Walker, satisfies: bool) -> None:
        """[API] WebAuthnConfigurationType.FactorConfiguration; MFA required"""
        passkey = Authenticator()
        pool = {"mfa": "on", "passkeys_satisfy_mfa": satisfies}
        w = walk(user(**PHONE, passkeys=[passkey.seed()]), pool=pool, auth_flow="USER_AUTH")
        w.send(SubmitUsername(username="ana", preferred=Factor.PASSKEY))
        if not satisfies:
            assert w.step.state in {"choosing_first_factor", "awaiting_password"}
            assert Factor.PASSKEY not in {c.value for f in w.step.fields for c in f.choices}
            return
        assert w.step.passkey_options is not None
        answer = passkey.answer(w.step.passkey_options)
        w.send(SubmitPasskey.model_validate({"credential": answer}))
        w.assert_signed_in(codes=0)

    def test_passkey_of_another_user_starts_over(self, walk: Walker) -> None:
        w = walk(user(passkeys=[Authenticator().seed()]), auth_flow="USER_AUTH")
        w.send(SubmitUsername(username="ana", preferred=Factor.PASSKEY))
        assert w.step.passkey_options is not None
        answer = Authenticator().answer(w.step.passkey_options)
        step = w.send(SubmitPasskey.model_validate({"credential": answer}))
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "answer_refused")

    def test_unknown_user_sees_the_same_code_step(self, walk: Walker) -> None:
        w = walk(user(**EMAIL), auth_flow="USER_AUTH")
        step = w.send(SubmitUsername(username="nemo@example.com", preferred=Factor.EMAIL))
        assert (step.state, w.sandbox.messages()) == ("awaiting_mfa", ())
        assert step.delivery is not None
        assert step.delivery.destination == "n***@e***"
        assert w.send_code("00000000").attempts_left == 4

    def test_step_up_with_access_token_signs_in_again(self, walk: Walker) -> None:
        w = walk(user(**EVERY), auth_flow="USER_AUTH", acr_values="urn:acr:mfa", max_age=300)
        w.send(SubmitUsername(username="ana", preferred=Factor.EMAIL))
        w.send_code()
        assert w.step.tokens is not None
        token = w.step.tokens.access_token
        again = Walk(w.sandbox, w.sign_in)
        again.send(
            SubmitUsername(username="ana", preferred=Factor.SMS_OTP, access_token=SecretStr(token))
        )
        again.send_code()
        again.assert_signed_in(codes=2)


CUSTOM_LAMBDA = """
def next_challenge(username, past):
    if len(past) and past[-1]["name"] == "CUSTOM_CHALLENGE" and past[-1]["right"]:
        return True
    if sum(one["name"] == "CUSTOM_CHALLENGE" for one in past) >= 3:
        return False
    return {"public": {"question": "the answer?"}, "answer": "forty-two", "text": "4242"}
"""


class TestCustomAuth:
    """CUSTOM_AUTH."""

    @pytest.mark.parametrize("after_password", [True, False])
    def test_custom_challenge_answered_correctly_signs_in(
        self, walk: Walker, after_password: bool
    ) -> None:
        w = walk(user(**PHONE), pool={"custom_auth": CUSTOM_LAMBDA}, auth_flow="CUSTOM_AUTH")
        w.send_password() if after_password else w.send(SubmitUsername(username="ana"))
        assert w.step.state == "awaiting_answer"
        assert w.step.parameters == {"question": "the answer?"}
        first = w.step.challenge_id
        w.send(SubmitAnswer(answer=SecretStr("forty-one")))
        assert w.step.state == "awaiting_answer"
        assert w.step.challenge_id != first, "two challenges of one kind are never equal"
        w.send(SubmitAnswer(answer=SecretStr("forty-two")))
        w.assert_signed_in(codes=2)

    def test_three_wrong_custom_answers_start_over(self, walk: Walker) -> None:
        w = walk(user(**PHONE), pool={"custom_auth": CUSTOM_LAMBDA}, auth_flow="CUSTOM_AUTH")
        w.send(SubmitUsername(username="ana"))
        for wrong in ("1", "2", "3"):
            w.send(SubmitAnswer(answer=SecretStr(wrong)))
        assert w.step.message is not None
        assert (w.step.state, w.step.message.code) == ("idle", "answer_failed")


class TestRecoveries:
    def test_unconfirmed_sign_up_sends_a_code_only_on_request(self, walk: Walker) -> None:
        w = walk(user(**PHONE, status="UNCONFIRMED"))
        w.send_password()
        step = w.send(ConfirmAccount())
        assert step.state == "awaiting_confirmation"
        assert w.sandbox.messages() == (), "a code is sent only on request"
        step = w.send(RequestNewCode())
        assert (step.state, len(w.sandbox.messages())) == ("awaiting_confirmation", 1)
        assert step.delivery is not None
        wrong = f"{(int(w.newest_code()) + 1) % 10**6:06d}"
        assert w.send_code(wrong).attempts_left == 4
        step = w.send_code()
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "confirmed")
        assert step.fields[0].value == "ana"
        w.send_password()
        w.send_code()
        w.assert_signed_in(codes=2)

    def test_confirmed_sign_up_in_user_auth_asks_for_the_password(self, walk: Walker) -> None:
        w = walk(user(**EMAIL, status="UNCONFIRMED"), auth_flow="USER_AUTH")
        w.send_password()
        w.send(ConfirmAccount())
        w.send(RequestNewCode())
        step = w.send_code()
        # Another caller may have created the account: the password has to be proven.
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "confirmed")
        w.send_password()
        w.send_code()
        w.assert_signed_in(codes=2)

    def test_password_reset_continues_to_sign_in(self, walk: Walker) -> None:
        w = walk(user(**PHONE, status="RESET_REQUIRED"))
        w.send_password()
        step = w.send(ForgotPassword())
        assert (step.state, len(w.sandbox.messages())) == ("awaiting_reset", 1)
        code = SecretStr(w.newest_code())
        step = w.send(ResetPassword(code=code, new_password=SecretStr("weak")))
        assert step.message is not None
        assert (step.state, step.message.code) == ("awaiting_reset", "password_too_short")
        step = w.send(ResetPassword(code=code, new_password=SecretStr(NEW_PASSWORD)))
        assert step.state == "awaiting_mfa", "continues to the sign-in with the new password"
        w.send_code()
        w.assert_signed_in(codes=2)

    def test_wrong_reset_code_offers_a_new_code(self, walk: Walker) -> None:
        w = walk(user(**PHONE, status="RESET_REQUIRED"), sign_in={"new_code_cooldown": 0})
        w.send_password()
        w.send(ForgotPassword())
        step = w.send(ResetPassword(code=SecretStr("123456"), new_password=SecretStr(NEW_PASSWORD)))
        assert step.message is not None
        assert (step.state, step.message.code) == ("awaiting_reset", "recovery_refused")
        assert "request_new_code" in step.events


class TestAdminTransport:
    @pytest.mark.parametrize("auth_flow", ["USER_PASSWORD_AUTH", "USER_SRP_AUTH"])
    def test_iam_credentials_use_the_admin_operations(
        self, walk: Walker, auth_flow: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "unchecked")
        w = walk(user(**PHONE), transport_type=AdminCognitoTransport, auth_flow=auth_flow)
        w.send_password()
        w.send_code()
        w.assert_signed_in(codes=1)
        assert set(w.sandbox.calls()) == {"AdminInitiateAuth", "AdminRespondToAuthChallenge"}
