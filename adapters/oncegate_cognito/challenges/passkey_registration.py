"""Adding a passkey: StartWebAuthnRegistration and CompleteWebAuthnRegistration."""

from __future__ import annotations

import json

from oncegate.adapters import (
    ChallengeIssued,
    Confirmed,
    Outcome,
    PasskeyRegistration,
    RegisterPasskey,
    StartPasskey,
)
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests


@performs(StartPasskey)
def start(call: StartPasskey, requests: Requests) -> Outcome:
    """Ask for the options with which the browser creates a passkey."""
    response = requests.send(
        "start_web_authn_registration", AccessToken=call.access_token.get_secret_value()
    )
    options = json.dumps(response["CredentialCreationOptions"])
    return ChallengeIssued(
        challenge=PasskeyRegistration(username=call.username, options=options, name=call.name)
    )


@performs(RegisterPasskey)
def register(call: RegisterPasskey, requests: Requests) -> Outcome:
    """Give Cognito the new passkey."""
    requests.send(
        "complete_web_authn_registration",
        AccessToken=call.access_token.get_secret_value(),
        Credential=json.loads(call.credential.get_secret_value()),
    )
    return Confirmed()
