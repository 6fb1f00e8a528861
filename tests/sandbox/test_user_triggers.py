"""PreSignUp, PostConfirmation and CustomMessage: what each operation on users passes to them.

Sources: [dev] AWS developer guide, the page of each trigger.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from oncegate_sandbox import CognitoError, Pool, PoolSeed, SandboxClock, Seed, UserSeed

Event = dict[str, Any]
PASSWORD = "Correct-horse-1"
EMAIL = [{"Name": "email", "Value": "ana@example.com"}]
METADATA = {"campaign": "spring"}
CLIENT = PoolSeed().client_id
NO_CLIENT = "CLIENT_ID_NOT_APPLICABLE"
TEXT = {"emailMessage": "{username}: {####}", "emailSubject": "Hello"}


class Recorder:
    """Hooks that note their events and fill in a response.

    Args:
        responses: members of ``response`` by trigger.
    """

    def __init__(self, **responses: dict[str, Any]) -> None:
        self.events: list[Event] = []
        self._responses = responses

    def hooks(self) -> dict[str, Callable[[Event], Event]]:
        return {name: self._hook(name) for name in self._responses}

    def _hook(self, name: str) -> Callable[[Event], Event]:
        def hook(event: Event) -> Event:
            self.events.append(event)
            return {**event, "response": {**event["response"], **self._responses[name]}}

        return hook

    @property
    def sources(self) -> list[str]:
        return [event["triggerSource"] for event in self.events]


def pool_with(recorder: Recorder, *users: UserSeed) -> Pool:
    seed = Seed(pool=PoolSeed(triggers=recorder.hooks()), users=users)
    return Pool(seed, "http://issuer", SandboxClock())


def app(pool: Pool, operation: str, **request: Any) -> Any:
    return pool.perform(operation, {"ClientId": CLIENT, "ClientMetadata": METADATA, **request})


def admin(pool: Pool, operation: str, **request: Any) -> Any:
    return pool.perform(operation, {"UserPoolId": pool.id, "ClientMetadata": METADATA, **request})


def sign_up(pool: Pool, **request: Any) -> Any:
    return app(
        pool,
        "SignUp",
        **{"Username": "ana", "Password": PASSWORD, "UserAttributes": EMAIL, **request},
    )


def ana(**keys: Any) -> UserSeed:
    return UserSeed.model_validate(
        {"username": "ana", "password": PASSWORD, "email": "ana@example.com", **keys}
    )


class TestPreSignUp:
    """PreSignUp."""

    def test_event_has_attributes_validation_data_and_metadata(self) -> None:
        """[dev] pre sign-up: no sub yet"""
        recorder = Recorder(PreSignUp={})
        sign_up(pool_with(recorder), ValidationData=[{"Name": "captcha", "Value": "ok"}])
        (event,) = recorder.events
        assert event["triggerSource"] == "PreSignUp_SignUp"
        assert event["callerContext"]["clientId"] == CLIENT
        assert event["request"] == {
            "userAttributes": {"email": "ana@example.com"},
            "validationData": {"captcha": "ok"},
            "clientMetadata": METADATA,
        }

    def test_trigger_confirms_and_verifies(self) -> None:
        """[dev] pre sign-up: autoConfirmUser, autoVerifyEmail"""
        recorder = Recorder(
            PreSignUp={"autoConfirmUser": True, "autoVerifyEmail": True}, PostConfirmation={}
        )
        pool = pool_with(recorder)
        answer = sign_up(pool)
        assert (answer["UserConfirmed"], "CodeDeliveryDetails" in answer) == (True, False)
        assert recorder.sources == ["PreSignUp_SignUp", "PostConfirmation_ConfirmSignUp"]
        confirmed = recorder.events[-1]["request"]
        assert confirmed["userAttributes"]["email_verified"] == "true"
        assert confirmed["clientMetadata"] == METADATA
        assert pool.inbox.messages() == ()

    def test_verified_alias_moves_to_the_newest_user(self) -> None:
        """[dev] pre sign-up"""
        other = ana(username="bob")
        pool = pool_with(Recorder(PreSignUp={"autoVerifyEmail": True}), other)
        sign_up(pool)
        found = pool.users.find("ana@example.com")
        assert found is not None
        assert found.username == "ana"

    def test_missing_address_cannot_be_verified(self) -> None:
        """[dev] pre sign-up: an error, and no user"""
        pool = pool_with(Recorder(PreSignUp={"autoVerifyPhone": True}))
        with pytest.raises(CognitoError, match="phone_number"):
            sign_up(pool)
        assert pool.users.find("ana") is None

    def test_refusal_creates_no_user(self) -> None:
        """[dev] pre sign-up; amplify-flutter#1051 for the words"""

        def refuse(event: Event) -> Event:
            raise ValueError("only staff")

        seed = Seed(pool=PoolSeed(triggers={"PreSignUp": refuse}))
        pool = Pool(seed, "http://issuer", SandboxClock())
        with pytest.raises(CognitoError) as error:
            sign_up(pool)
        assert error.value.code == "UserLambdaValidationException"
        assert error.value.message == "PreSignUp failed with error only staff."
        assert pool.users.find("ana") is None

    def test_administrators_users_have_a_source_of_their_own(self) -> None:
        """[dev] pre sign-up: PreSignUp_AdminCreateUser"""
        recorder = Recorder(PreSignUp={})
        admin(pool_with(recorder), "AdminCreateUser", Username="ana")
        (event,) = recorder.events
        assert event["triggerSource"] == "PreSignUp_AdminCreateUser"
        assert event["callerContext"]["clientId"] == NO_CLIENT


class TestPostConfirmation:
    """PostConfirmation."""

    def test_confirmations_of_sign_ups_and_passwords_call_it(self) -> None:
        """[dev] post confirmation"""
        recorder = Recorder(PostConfirmation={})
        pool = pool_with(recorder, ana(status="UNCONFIRMED"))
        app(pool, "ResendConfirmationCode", Username="ana")
        code = pool.inbox.messages()[-1].code
        app(pool, "ConfirmSignUp", Username="ana", ConfirmationCode=code)
        app(pool, "ForgotPassword", Username="ana")
        code = pool.inbox.messages()[-1].code
        app(
            pool,
            "ConfirmForgotPassword",
            Username="ana",
            ConfirmationCode=code,
            Password="Better-horse-2",
        )
        assert recorder.sources == [
            "PostConfirmation_ConfirmSignUp",
            "PostConfirmation_ConfirmForgotPassword",
        ]
        assert {event["request"]["clientMetadata"]["campaign"] for event in recorder.events} == {
            "spring"
        }

    def test_administrators_confirmation_calls_it(self) -> None:
        """[API] AdminConfirmSignUp, ClientMetadata"""
        recorder = Recorder(PostConfirmation={})
        pool = pool_with(recorder, ana(status="UNCONFIRMED"))
        admin(pool, "AdminConfirmSignUp", Username="ana")
        assert recorder.sources == ["PostConfirmation_ConfirmSignUp"]


class TestCustomMessage:
    """CustomMessage."""

    @pytest.mark.parametrize(
        ("operation", "status", "source"),
        [
            ("ResendConfirmationCode", "UNCONFIRMED", "CustomMessage_ResendCode"),
            ("ForgotPassword", "CONFIRMED", "CustomMessage_ForgotPassword"),
        ],
    )
    def test_text_and_subject_reach_the_inbox(
        self, operation: str, status: str, source: str
    ) -> None:
        """[dev] custom message: codeParameter"""
        recorder = Recorder(CustomMessage=TEXT)
        pool = pool_with(recorder, ana(status=status))
        app(pool, operation, Username="ana")
        (event,), (message,) = recorder.events, pool.inbox.messages()
        assert (message.text, message.subject) == (f"ana: {message.code}", "Hello")
        assert (event["triggerSource"], event["callerContext"]["clientId"]) == (source, CLIENT)
        assert event["request"]["codeParameter"] == "{####}"
        assert event["request"]["clientMetadata"] == METADATA
        assert "usernameParameter" not in event["request"]

    def test_sign_up_and_invitation_have_sources_of_their_own(self) -> None:
        """[dev] custom message: CustomMessage_SignUp, CustomMessage_AdminCreateUser"""
        recorder = Recorder(CustomMessage=TEXT)
        pool = pool_with(recorder)
        sign_up(pool)
        admin(
            pool,
            "AdminCreateUser",
            Username="bob",
            UserAttributes=EMAIL,
            TemporaryPassword=PASSWORD,
        )
        assert recorder.sources == ["CustomMessage_SignUp", "CustomMessage_AdminCreateUser"]
        assert recorder.events[-1]["request"]["usernameParameter"] == "{username}"
        invitation = pool.inbox.messages()[-1]
        assert invitation.text == f"bob: {PASSWORD}"

    def test_changed_and_verified_attributes_have_sources_of_their_own(self) -> None:
        """[dev] custom message: CustomMessage_UpdateUserAttribute, …_VerifyUserAttribute"""
        recorder = Recorder(CustomMessage=TEXT)
        pool = pool_with(recorder, ana())
        begun = app(
            pool,
            "InitiateAuth",
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "ana", "PASSWORD": PASSWORD},
        )
        token = {"AccessToken": begun["AuthenticationResult"]["AccessToken"]}
        changed = [{"Name": "email", "Value": "new@example.com"}]
        app(pool, "UpdateUserAttributes", UserAttributes=changed, **token)
        app(pool, "GetUserAttributeVerificationCode", AttributeName="email", **token)
        assert recorder.sources == [
            "CustomMessage_UpdateUserAttribute",
            "CustomMessage_VerifyUserAttribute",
        ]
        assert pool.inbox.messages()[0].destination == "new@example.com"

    def test_response_without_text_leaves_the_default_message(self) -> None:
        recorder = Recorder(CustomMessage={})
        pool = pool_with(recorder, ana())
        app(pool, "ForgotPassword", Username="ana")
        assert pool.inbox.messages()[-1].text is None
