"""Codes: SMS_MFA, EMAIL_OTP, SMS_OTP and SOFTWARE_TOKEN_MFA."""

from __future__ import annotations

from oncegate import Factor
from oncegate.adapters import CheckCode, CodeChallenge, Delivery, Outcome
from oncegate_cognito._registry import ReceivedChallenge, others_than, parses, performs
from oncegate_cognito._requests import Requests

# The name of the code in ChallengeResponses (AWS API reference, RespondToAuthChallenge).
_RESPONSES = {
    Factor.SMS: "SMS_MFA_CODE",
    Factor.EMAIL: "EMAIL_OTP_CODE",
    Factor.TOTP: "SOFTWARE_TOKEN_MFA_CODE",
    Factor.SMS_OTP: "SMS_OTP_CODE",
}


@parses(*_RESPONSES)
def parse(received: ReceivedChallenge) -> CodeChallenge:
    """Return the challenge, with where the code was sent.

    AvailableChallenges is beside a first factor only (AWS API reference, InitiateAuth, example 2).
    """
    medium = received.parameters.get("CODE_DELIVERY_DELIVERY_MEDIUM")
    destination = received.parameters.get("CODE_DELIVERY_DESTINATION", "")
    is_first = received.replaces_password or bool(received.available)
    return CodeChallenge(
        kind=Factor(received.name),
        delivery=Delivery(medium=medium, destination=destination) if medium else None,
        is_first_factor=is_first or received.name == Factor.SMS_OTP,
        available=others_than(received),
        **received.common,
    )


@performs(CheckCode)
def check(call: CheckCode, requests: Requests) -> Outcome:
    """Answer the challenge with the code."""
    name = _RESPONSES[Factor(call.challenge.kind)]
    return requests.answer(call, {name: call.code.get_secret_value()})
