"""Every challenge of Cognito's has a parser, and every call a function that performs it."""

from __future__ import annotations

from typing import Any, get_args

import botocore.session
import pytest
from pydantic import SecretStr

import oncegate_cognito.transport  # noqa: F401 - registers all challenges
from oncegate.adapters import (
    Call,
    CheckCode,
    CodeChallenge,
    PasswordReset,
    SendCode,
    SignUpConfirmation,
    TotpSetup,
)
from oncegate_cognito._registry import parser_of, parses, performer_of, performs

# Answered by the transport itself (SRP), or not a challenge in any response (ADMIN_NO_SRP_AUTH).
INTERNAL = {"PASSWORD_VERIFIER", "DEVICE_PASSWORD_VERIFIER", "ADMIN_NO_SRP_AUTH"}
SESSION = SecretStr("s" * 40)


def challenge_names() -> list[str]:
    model = botocore.session.get_session().get_service_model("cognito-idp")
    shape: Any = model.shape_for("ChallengeNameType")
    return sorted(set(shape.enum) - INTERNAL)


@pytest.mark.parametrize("name", challenge_names())
def test_challenge_name_of_the_service_model_has_a_parser(name: str) -> None:
    assert parser_of(name)


def test_challenge_name_outside_the_model_has_no_parser() -> None:
    assert parser_of("MAGIC_LINK") is None


@pytest.mark.parametrize("call", get_args(Call), ids=lambda call: call.__name__)
def test_call_has_a_performer(call: Any) -> None:
    challenges: tuple[Any, ...] = (None,)
    if call is SendCode:
        challenges = (PasswordReset(username="u"), SignUpConfirmation(username="u"))
    for challenge in challenges:
        assert callable(performer_of(call.model_construct(challenge=challenge)))


def test_calls_of_one_type_are_performed_as_their_challenge_requires() -> None:
    code = CodeChallenge.model_validate({"kind": "SMS_MFA", "session": SESSION, "username": "u"})
    setup = TotpSetup(session=SESSION, username="u", secret=SESSION, uri=SESSION)
    performers = {
        performer_of(call)
        for call in (
            CheckCode(challenge=code, code=SecretStr("123456")),
            CheckCode(challenge=setup, code=SecretStr("123456")),
            SendCode(challenge=PasswordReset(username="u")),
            SendCode(challenge=SignUpConfirmation(username="u")),
        )
    }
    assert len(performers) == 4


def test_second_registration_of_a_name_is_refused() -> None:
    with pytest.raises(AssertionError):
        parses("SMS_MFA")(lambda received: CodeChallenge(**received.common))
    with pytest.raises(AssertionError):
        performs(CheckCode)(lambda call, requests: requests.answer(call, {}))
