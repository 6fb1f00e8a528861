"""The username alone: InitiateAuth without a password (USER_AUTH, CUSTOM_AUTH)."""

from __future__ import annotations

from oncegate import Factor
from oncegate.adapters import Outcome, StartSignIn
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests


@performs(StartSignIn)
def start(call: StartSignIn, requests: Requests) -> Outcome:
    """Begin a sign-in. A code that Cognito sends at once replaces the password.

    A password cannot be preferred without the password or SRP_A, which Cognito requires beside it (AWS
    API reference, InitiateAuth): without a preference, Cognito offers it.
    """
    parameters = dict(requests.levels) if requests.auth_flow == "USER_AUTH" else {}
    if call.preferred and call.preferred is not Factor.PASSWORD:
        parameters["PREFERRED_CHALLENGE"] = call.preferred.value
    if call.access_token:
        parameters["ACCESS_TOKEN"] = call.access_token.get_secret_value()
    session = call.session.get_secret_value() if call.session else None
    response = requests.initiate(call.username, parameters, call.device_key, session)
    return requests.outcome(response, call.username, replaces_password=True)
