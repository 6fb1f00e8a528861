"""Adding an authenticator app: AssociateSoftwareToken and VerifySoftwareToken, with an access token."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from oncegate.adapters import (
    AuthenticatorSetup,
    ChallengeIssued,
    ConfirmAuthenticator,
    Confirmed,
    Outcome,
    Rejected,
    RejectionReason,
    StartAuthenticator,
)
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests
from oncegate_cognito.challenges.totp_setup import otpauth_uri
from oncegate_cognito.errors import outcome_after_effect


@performs(StartAuthenticator)
def start(call: StartAuthenticator, requests: Requests) -> Outcome:
    """Have Cognito generate the secret."""
    response = requests.send(
        "associate_software_token", AccessToken=call.access_token.get_secret_value()
    )
    secret = response["SecretCode"]
    return ChallengeIssued(
        challenge=AuthenticatorSetup(
            username=call.username,
            secret=secret,
            uri=SecretStr(otpauth_uri(secret, requests.totp_issuer, call.username)),
            name=call.name,
        )
    )


@performs(ConfirmAuthenticator)
def confirm(call: ConfirmAuthenticator, requests: Requests) -> Outcome:
    """Verify the first code, and then let the app be asked for (SetUserMFAPreference)."""
    token = call.access_token.get_secret_value()
    verified = requests.send(
        "verify_software_token",
        AccessToken=token,
        UserCode=call.code.get_secret_value(),
        FriendlyDeviceName=call.challenge.name or requests.totp_issuer,
    )
    if verified.get("Status") != "SUCCESS":
        return Rejected(reason=RejectionReason.WRONG_CODE)
    try:
        requests.send(
            "set_user_mfa_preference",
            AccessToken=token,
            SoftwareTokenMfaSettings={"Enabled": True},
        )
    except (ClientError, BotoCoreError) as failure:
        return outcome_after_effect(failure)  # the code is used up
    return Confirmed()
