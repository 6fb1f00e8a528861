"""Signing in with an identity provider: the browser leaves, and comes back with a code."""

from __future__ import annotations

import pytest
from tests.challenges.helpers import action, assert_hidden, call_of, messages, refusal, step
from tests.flows import AT_REST, AUTHORIZATION, FLOWS, IN_FLIGHT_FLOWS, PROVIDER, walk

from oncegate import (
    FlowState,
    InvalidInput,
    Provider,
    SignInWith,
    SubmitAuthorization,
)
from oncegate.adapters import AuthorizeWith, ExchangeCode, ProviderChallenge, parse_event
from oncegate.machine.advance import NotAllowed

FLOW = AT_REST[FlowState.AWAITING_PROVIDER]
SECRET = "the-authorization-code"


def test_events_are_parsed_from_json() -> None:
    assert parse_event({"type": "sign_in_with", "provider": "Google"}) == SignInWith(
        provider="Google"
    )
    event = parse_event({"type": "submit_authorization", "code": SECRET, "state": "s"})
    assert isinstance(event, SubmitAuthorization)
    assert event.answered_with == (SECRET,)
    assert_hidden(SECRET, event)


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "s"},
        {"state": "s", "code": "c", "error": "access_denied"},
        {"code": "c"},
        {"state": "", "code": "c"},
        {"state": "s", "code": ""},
    ],
)
def test_answer_without_exactly_one_of_code_and_error_is_refused(fields: dict[str, str]) -> None:
    assert "submit_authorization" in refusal("submit_authorization", **fields)


def test_first_step_has_a_button_for_each_provider() -> None:
    (buttons,) = action(FLOWS["idle"], "sign_in_with").fields
    assert (buttons.name, buttons.style) == ("provider", "buttons")
    assert [(one.value, one.label) for one in buttons.choices] == [
        ("Google", "Continue with Google")
    ]


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("Google", "", "Google"),
        ("SignInWithApple", "", "Apple"),
        ("acme-saml", "", "acme-saml"),
        ("acme-saml", "Acme", "Acme"),
    ],
)
def test_provider_is_called_by_its_brand(name: str, label: str, expected: str) -> None:
    assert Provider(name=name, label=label).display_name == expected


def test_request_sends_nothing() -> None:
    event = SignInWith(provider="Google")
    call = call_of(FLOWS["asking a provider"], event)
    assert call == AuthorizeWith(provider="Google")
    assert not AuthorizeWith.can_send


def test_step_says_where_the_browser_goes_and_keeps_the_secrets() -> None:
    shown = step(FLOW)
    assert shown.authorize_url == "https://a.test/"
    assert shown.events == ("submit_authorization", "cancel")
    assert {(field.name, field.type) for field in shown.fields} == {
        ("state", "authorization"),
        ("code", "authorization"),
    }
    assert isinstance(FLOW.challenge, ProviderChallenge)
    for secret in (FLOW.challenge.state, FLOW.challenge.verifier, FLOW.challenge.nonce):
        assert f"'{secret.get_secret_value()}'" not in f"{shown!r} {FLOW!r} {shown.model_dump()}"


def test_code_is_exchanged_for_the_tokens() -> None:
    call = call_of(IN_FLIGHT_FLOWS[FlowState.EXCHANGING_CODE], AUTHORIZATION)
    assert isinstance(call, ExchangeCode)
    assert call.challenge == FLOW.challenge
    assert call.code.get_secret_value() == "authorization code"
    assert not ExchangeCode.can_send
    assert_hidden("authorization code", call)


def test_answer_of_another_sign_in_changes_nothing() -> None:
    with pytest.raises(NotAllowed, match="not_this_sign_in"):
        walk(SubmitAuthorization(state="another", code=SECRET), flow=FLOW)


def test_error_of_the_provider_is_for_the_log() -> None:
    denied = SubmitAuthorization(
        state="s", error="access_denied", error_description="User cancelled"
    )
    assert denied.detail == "access_denied: User cancelled"
    assert walk(denied, flow=FLOW).detail == ""
    assert AUTHORIZATION.detail == ""


@pytest.mark.parametrize(
    ("error", "words", "message"),
    [
        ("access_denied", "", "provider_denied"),
        ("user_cancelled_authorize", "", "provider_denied"),
        ("invalid_request", "Already found an entry for username Google_1", "provider_failed"),
        (
            "invalid_request",
            "PreSignUp failed: this email is already in use.",
            "provider_address_taken",
        ),
        ("invalid_request", "An account with the email already exists", "provider_address_taken"),
        ("server_error", "", "provider_failed"),
    ],
)
def test_error_of_the_provider_is_told_in_our_own_words(
    error: str, words: str, message: str
) -> None:
    event = SubmitAuthorization(state="s", error=error, error_description=words)
    assert walk(event, flow=FLOW).message == message


def test_answer_cannot_be_given_again_by_hand() -> None:
    assert not SubmitAuthorization.can_be_repeated


def test_refusals_have_words_of_their_own() -> None:
    assert messages(IN_FLIGHT_FLOWS[FlowState.EXCHANGING_CODE]) == {
        "wrong_credentials": "provider_failed",
        "code_expired": "provider_failed",
    }


def test_challenge_needs_its_secrets() -> None:
    with pytest.raises((InvalidInput, ValueError), match="verifier"):
        ProviderChallenge.model_validate({"provider": "Google", "url": "u", "state": "s"})
    assert isinstance(PROVIDER.challenge, ProviderChallenge)
