"""Every challenge that a user pool can ask, through the Python contract, over real HTTP."""

from __future__ import annotations

from typing import Any

import pyotp
import pytest
from pydantic import SecretStr
from tests.walks.authenticator import Authenticator
from tests.walks.walker import EVERY, MAIL, NEW_PASSWORD, PASSWORD, PHONE, TOTP, Walk, Walker, user

from oncegate import (
    ChooseFactor,
    Factor,
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


@pytest.mark.parametrize("secret", [None, "a-client-secret-of-the-app"])
class TestSecondFactors:
    @pytest.mark.parametrize(("how", "medium"), [(PHONE, "SMS"), (MAIL, "EMAIL")])
    def test_a_code_that_is_sent(
        self, walk: Walker, secret: str | None, how: Any, medium: str
    ) -> None:
        w = walk(user(**how), pool={"client_secret": secret})
        assert w.password().state == "awaiting_mfa"
        assert w.step.delivery is not None
        assert w.step.delivery.medium == medium
        w.code()
        w.is_signed_in(texts=1)

    def test_an_authenticator(self, walk: Walker, secret: str | None) -> None:
        w = walk(user(totp_secret=TOTP, mfa=[Factor.TOTP]), pool={"client_secret": secret})
        assert w.password().challenge == "SOFTWARE_TOKEN_MFA"
        assert "request_new_code" not in w.step.events
        w.code(pyotp.TOTP(TOTP).now())
        w.is_signed_in(texts=0)

    @pytest.mark.parametrize("factor", [Factor.SMS, Factor.EMAIL])
    def test_a_choice(self, walk: Walker, secret: str | None, factor: Factor) -> None:
        w = walk(user(**EVERY), pool={"client_secret": secret})
        assert w.password().state == "password_verified"
        w.does(ChooseFactor(factor=factor))
        w.code()
        w.is_signed_in(texts=1)

    def test_setting_an_authenticator_up(self, walk: Walker, secret: str | None) -> None:
        w = walk(user(), pool={"mfa": "on", "client_secret": secret}, totp_issuer="A shop")
        step = w.password()
        assert (step.state, step.challenge) == ("password_verified", "MFA_SETUP")
        step = w.does(ChooseFactor(factor=Factor.TOTP))
        assert step.state == "setting_up_totp"
        assert step.totp is not None
        assert step.totp.secret not in repr(step)
        app = pyotp.parse_uri(step.totp.uri)
        assert isinstance(app, pyotp.TOTP)
        assert (app.secret, app.name, app.issuer) == (step.totp.secret, "ana", "A shop")
        # A reload shows the same secret: it is asked for once.
        assert w.sign_in.get(step.flow_id).totp == step.totp
        assert w.sandbox.calls()["AssociateSoftwareToken"] == 1
        wrong = f"{(int(app.now()) + 1) % 10**6:06d}"
        step = w.code(wrong)
        assert (step.state, step.attempts_left) == ("setting_up_totp", 4)
        assert step.message is not None
        assert step.message.code == "wrong_code"
        w.code(app.now())
        w.is_signed_in(texts=0)

    def test_setting_a_mailbox_up(self, walk: Walker, secret: str | None) -> None:
        w = walk(user(), pool={"mfa": "on", "client_secret": secret})
        w.password()
        assert w.does(ChooseFactor(factor=Factor.EMAIL)).state == "setting_up_email"
        assert w.sandbox.messages() == ()
        assert w.does(SubmitEmail(email="ana@example.com")).state == "awaiting_mfa"
        w.code()
        w.is_signed_in(texts=1)

    def test_a_new_password(self, walk: Walker, secret: str | None) -> None:
        pool = {"client_secret": secret, "required_attributes": ["given_name"]}
        w = walk(user(**PHONE, status="FORCE_CHANGE_PASSWORD"), pool=pool)
        assert w.password().state == "awaiting_new_password"
        assert [field.name for field in w.step.fields] == ["new_password", "attributes.given_name"]
        event = SubmitNewPassword(
            new_password=SecretStr(NEW_PASSWORD), attributes={"given_name": "Ana"}
        )
        assert w.does(event).state == "awaiting_mfa"
        w.code()
        w.is_signed_in(texts=1)


class TestByChoice:
    """USER_AUTH."""

    @pytest.mark.parametrize("factor", [Factor.EMAIL, Factor.SMS_OTP])
    @pytest.mark.parametrize("ahead", [True, False], ids=["preferred", "chosen"])
    def test_a_code_as_the_first_factor(self, walk: Walker, factor: Factor, ahead: bool) -> None:
        w = walk(user(**EVERY), auth_flow="USER_AUTH")
        assert [field.name for field in w.step.fields] == ["username"]
        if ahead:
            w.does(SubmitUsername(username="ana", preferred=factor))
        else:
            step = w.does(SubmitUsername(username="ana"))
            assert step.state == "choosing_first_factor"
            offered = {choice.value for choice in step.fields[0].choices}
            assert offered == {"EMAIL_OTP", "SMS_OTP", "PASSWORD"}
            w.does(ChooseFactor(factor=factor))
        assert (w.step.state, w.step.challenge) == ("awaiting_mfa", factor)
        w.code()
        w.is_signed_in(texts=1)

    def test_a_new_code_needs_no_password(self, walk: Walker) -> None:
        w = walk(user(**EVERY), auth_flow="USER_AUTH", sign_in={"new_code_cooldown": 0})
        w.does(SubmitUsername(username="ana"))
        w.does(ChooseFactor(factor=Factor.EMAIL))
        old = w.newest_code()
        step = w.does(RequestNewCode())
        assert (step.state, len(w.sandbox.messages())) == ("awaiting_mfa", 2)
        assert old != w.newest_code()
        w.code()
        w.is_signed_in(texts=2)

    @pytest.mark.parametrize("ahead", [True, False], ids=["with the name", "chosen"])
    def test_the_password(self, walk: Walker, ahead: bool) -> None:
        w = walk(user(**PHONE), auth_flow="USER_AUTH")
        if ahead:
            w.password()
        else:
            w.does(SubmitUsername(username="ana"))
            assert w.does(ChooseFactor(factor=Factor.PASSWORD)).state == "awaiting_password"
            assert [field.name for field in w.step.fields] == ["password"]
            w.does(SubmitPassword(password=SecretStr(PASSWORD)))
        w.code()
        w.is_signed_in(texts=1)

    def test_the_password_asked_for_by_itself(self, walk: Walker) -> None:
        w = walk(user(), auth_flow="USER_AUTH")
        step = w.does(SubmitUsername(username="ana", preferred=Factor.PASSWORD))
        assert (step.state, step.challenge) == ("awaiting_password", "PASSWORD")
        w.does(SubmitPassword(password=SecretStr(PASSWORD)))
        w.is_signed_in(texts=0)

    @pytest.mark.parametrize("ahead", [True, False], ids=["preferred", "chosen"])
    def test_a_passkey(self, walk: Walker, ahead: bool) -> None:
        passkey = Authenticator()
        w = walk(user(passkeys=[passkey.seed()]), auth_flow="USER_AUTH")
        if ahead:
            w.does(SubmitUsername(username="ana", preferred=Factor.PASSKEY))
        else:
            w.does(SubmitUsername(username="ana"))
            w.does(ChooseFactor(factor=Factor.PASSKEY))
        assert w.step.state == "awaiting_passkey"
        assert w.step.passkey_options is not None
        answer = passkey.answer(w.step.passkey_options)
        w.does(SubmitPasskey.model_validate({"credential": answer}))
        w.is_signed_in(texts=0)

    def test_somebody_elses_passkey(self, walk: Walker) -> None:
        w = walk(user(passkeys=[Authenticator().seed()]), auth_flow="USER_AUTH")
        w.does(SubmitUsername(username="ana", preferred=Factor.PASSKEY))
        assert w.step.passkey_options is not None
        answer = Authenticator().answer(w.step.passkey_options)
        step = w.does(SubmitPasskey.model_validate({"credential": answer}))
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "wrong_credentials")

    def test_nobody_is_asked_for_a_code_like_anybody(self, walk: Walker) -> None:
        w = walk(user(**MAIL), auth_flow="USER_AUTH")
        step = w.does(SubmitUsername(username="nobody@example.com", preferred=Factor.EMAIL))
        assert (step.state, w.sandbox.messages()) == ("awaiting_mfa", ())
        assert step.delivery is not None
        assert step.delivery.destination == "n***@e***"
        assert w.code("00000000").attempts_left == 4

    def test_stepping_up(self, walk: Walker) -> None:
        w = walk(user(**EVERY), auth_flow="USER_AUTH", acr_values="urn:acr:mfa", max_age=300)
        w.does(SubmitUsername(username="ana", preferred=Factor.EMAIL))
        w.code()
        assert w.step.tokens is not None
        token = w.step.tokens.access_token
        again = Walk(w.sandbox, w.sign_in)
        again.does(
            SubmitUsername(username="ana", preferred=Factor.SMS_OTP, access_token=SecretStr(token))
        )
        again.code()
        again.is_signed_in(texts=2)


RIDDLE = """
def next_challenge(username, past):
    if len(past) and past[-1]["name"] == "CUSTOM_CHALLENGE" and past[-1]["right"]:
        return True
    if sum(one["name"] == "CUSTOM_CHALLENGE" for one in past) >= 3:
        return False
    return {"public": {"question": "the answer?"}, "answer": "forty-two", "text": "4242"}
"""


class TestCustom:
    """CUSTOM_AUTH."""

    @pytest.mark.parametrize("after_password", [True, False])
    def test_a_riddle(self, walk: Walker, after_password: bool) -> None:
        w = walk(user(**PHONE), pool={"custom_auth": RIDDLE}, auth_flow="CUSTOM_AUTH")
        w.password() if after_password else w.does(SubmitUsername(username="ana"))
        assert w.step.state == "awaiting_answer"
        assert w.step.parameters == {"question": "the answer?"}
        first = w.step.challenge_id
        w.does(SubmitAnswer(answer=SecretStr("forty-one")))
        assert w.step.state == "awaiting_answer"
        assert w.step.challenge_id != first, "two challenges of one kind are never equal"
        w.does(SubmitAnswer(answer=SecretStr("forty-two")))
        w.is_signed_in(texts=2)

    def test_three_wrong_answers(self, walk: Walker) -> None:
        w = walk(user(**PHONE), pool={"custom_auth": RIDDLE}, auth_flow="CUSTOM_AUTH")
        w.does(SubmitUsername(username="ana"))
        for wrong in ("1", "2", "3"):
            w.does(SubmitAnswer(answer=SecretStr(wrong)))
        assert w.step.message is not None
        assert (w.step.state, w.step.message.code) == ("idle", "wrong_credentials")


class TestOtherJourneys:
    def test_a_sign_up_to_confirm(self, walk: Walker) -> None:
        w = walk(user(**PHONE, status="UNCONFIRMED"))
        step = w.password()
        assert step.state == "awaiting_confirmation"
        assert w.sandbox.messages() == (), "a code goes out only when it is asked for"
        step = w.does(RequestNewCode())
        assert (step.state, len(w.sandbox.messages())) == ("awaiting_confirmation", 1)
        assert step.delivery is not None
        wrong = f"{(int(w.newest_code()) + 1) % 10**6:06d}"
        assert w.code(wrong).attempts_left == 4
        step = w.code()
        assert step.message is not None
        assert (step.state, step.message.code) == ("idle", "confirmed")
        assert step.fields[0].value == "ana"
        w.password()
        w.code()
        w.is_signed_in(texts=2)

    def test_a_sign_up_to_confirm_with_the_password_kept(self, walk: Walker) -> None:
        w = walk(user(**PHONE, status="UNCONFIRMED"), sign_in={"retain_password": True})
        w.password()
        w.does(RequestNewCode())
        assert w.code().state == "awaiting_mfa", "straight on to the sign-in"
        w.code()
        w.is_signed_in(texts=2)

    def test_a_sign_up_confirmed_is_enough_where_the_user_chooses(self, walk: Walker) -> None:
        w = walk(user(**MAIL, status="UNCONFIRMED"), auth_flow="USER_AUTH")
        w.password()
        w.does(RequestNewCode())
        w.code()
        w.is_signed_in(texts=1)

    def test_a_password_to_reset(self, walk: Walker) -> None:
        w = walk(user(**PHONE, status="RESET_REQUIRED"))
        assert w.password().state == "awaiting_reset"
        assert w.sandbox.messages() == ()
        step = w.does(RequestNewCode())
        assert (step.state, len(w.sandbox.messages())) == ("awaiting_reset", 1)
        code = SecretStr(w.newest_code())
        step = w.does(ResetPassword(code=code, new_password=SecretStr("weak")))
        assert step.message is not None
        assert (step.state, step.message.code) == ("awaiting_reset", "new_password_refused")
        step = w.does(ResetPassword(code=code, new_password=SecretStr(NEW_PASSWORD)))
        assert step.state == "awaiting_mfa", "straight on to the sign-in, with the new password"
        w.code()
        w.is_signed_in(texts=2)

    def test_a_code_that_is_too_old_can_be_asked_for_anew(self, walk: Walker) -> None:
        w = walk(user(**PHONE, status="RESET_REQUIRED"), sign_in={"new_code_cooldown": 0})
        w.password()
        step = w.does(ResetPassword(code=SecretStr("123456"), new_password=SecretStr(NEW_PASSWORD)))
        assert step.message is not None
        assert (step.state, step.message.code) == ("awaiting_reset", "code_expired")
        assert "request_new_code" in step.events


class TestAsAServer:
    @pytest.mark.parametrize("auth_flow", ["USER_PASSWORD_AUTH", "USER_SRP_AUTH"])
    def test_with_iam_credentials(
        self, walk: Walker, auth_flow: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "a-key-that-nobody-looks-at")
        w = walk(user(**PHONE), kind=AdminCognitoTransport, auth_flow=auth_flow)
        w.password()
        w.code()
        w.is_signed_in(texts=1)
        assert set(w.sandbox.calls()) == {"AdminInitiateAuth", "AdminRespondToAuthChallenge"}
