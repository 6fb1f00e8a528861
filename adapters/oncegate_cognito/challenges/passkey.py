"""Passkeys: WEB_AUTHN."""

from __future__ import annotations

from oncegate import Factor
from oncegate.adapters import CheckPasskey, Outcome, PasskeyChallenge
from oncegate_cognito._registry import ReceivedChallenge, others_than, parses, performs
from oncegate_cognito._requests import Requests


@parses(Factor.PASSKEY)
def parse(received: ReceivedChallenge) -> PasskeyChallenge:
    """Return the challenge, with the options for the browser."""
    options = received.parameters["CREDENTIAL_REQUEST_OPTIONS"]
    return PasskeyChallenge(options=options, available=others_than(received), **received.common)


@performs(CheckPasskey)
def check(call: CheckPasskey, requests: Requests) -> Outcome:
    """Answer the challenge with what the browser's authenticator signed."""
    return requests.answer(call, {"CREDENTIAL": call.credential.get_secret_value()})
