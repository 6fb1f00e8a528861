"""Setting up an authenticator app: AssociateSoftwareToken, VerifySoftwareToken and MFA_SETUP."""

from __future__ import annotations

from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from oncegate.adapters import (
    ChallengeIssued,
    CheckCode,
    Outcome,
    Rejected,
    RejectionReason,
    RequestCode,
    TotpSetup,
)
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests
from oncegate_cognito.errors import outcome_after_effect


def otpauth_uri(secret: str, issuer: str, account: str) -> str:
    """Return the URI of a secret for authenticator apps (Key Uri Format, Google Authenticator wiki)."""
    issuer, account = quote(issuer, safe=""), quote(account, safe="")
    return f"otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}"


def request_secret(call: RequestCode, requests: Requests) -> Outcome:
    """Have Cognito generate the secret for the user's authenticator app."""
    session = call.challenge.session.get_secret_value()
    response = requests.send("associate_software_token", Session=session)
    secret, user = response["SecretCode"], call.challenge.username
    # The name that the user typed: with UsernameAttributes the pool's own name is a UUID.
    uri = otpauth_uri(secret, requests.totp_issuer, call.typed or user)
    return ChallengeIssued(
        challenge=TotpSetup(
            session=response.get("Session") or session,
            username=user,
            valid_for=requests.valid_for,
            secret=secret,
            uri=SecretStr(uri),
        )
    )


@performs(CheckCode, TotpSetup)
def verify(call: CheckCode, requests: Requests) -> Outcome:
    """Verify the first code, and then answer MFA_SETUP with the verified session."""
    challenge = call.challenge
    verified = requests.send(
        "verify_software_token",
        Session=challenge.session.get_secret_value(),
        UserCode=call.code.get_secret_value(),
        FriendlyDeviceName=requests.totp_issuer,
    )
    if verified.get("Status") != "SUCCESS":
        return Rejected(reason=RejectionReason.WRONG_CODE)
    try:
        response = requests.respond(
            "MFA_SETUP", verified.get("Session"), challenge.username, {}, call.device_key
        )
    except (ClientError, BotoCoreError) as failure:
        # The code is used up: the user has to begin again.
        return outcome_after_effect(failure, "MFA_SETUP")
    return requests.outcome(response, challenge.username)
