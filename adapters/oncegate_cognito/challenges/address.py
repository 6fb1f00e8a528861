"""A new address: UpdateUserAttributes, GetUserAttributeVerificationCode and VerifyUserAttribute."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from oncegate.adapters import (
    ChallengeIssued,
    ChangeAddress,
    ConfirmAddress,
    Confirmed,
    Outcome,
    Rejected,
    SendAddressCode,
)
from oncegate_cognito._registry import performs
from oncegate_cognito._requests import Requests
from oncegate_cognito.challenges._recovery import delivery_of
from oncegate_cognito.errors import outcome_after_effect


@performs(ChangeAddress)
def change(call: ChangeAddress, requests: Requests) -> Outcome:
    """Change the address. Cognito sends a code to it, at once or when it is asked to.

    It sends none at once if the user has this address already, verified or not, or if the pool does not
    verify such addresses by itself.
    """
    challenge = call.challenge
    response = requests.send(
        "update_user_attributes",
        AccessToken=call.access_token.get_secret_value(),
        UserAttributes=[{"Name": challenge.attribute, "Value": challenge.address}],
    )
    for sent in response.get("CodeDeliveryDetailsList") or []:
        if sent.get("AttributeName", challenge.attribute) == challenge.attribute:
            delivery = delivery_of({"CodeDeliveryDetails": sent})
            return ChallengeIssued(challenge=challenge.model_copy(update={"delivery": delivery}))
    try:
        user = requests.send("get_user", AccessToken=call.access_token.get_secret_value())
        attributes = {one["Name"]: one.get("Value", "") for one in user.get("UserAttributes", [])}
        if attributes.get(f"{challenge.attribute}_verified") == "true":
            return Confirmed()
        return _sent(call, requests)
    except (ClientError, BotoCoreError) as failure:
        outcome = outcome_after_effect(failure)  # the address has changed
        if isinstance(outcome, Rejected):
            raise
        return outcome


@performs(SendAddressCode)
def send_code(call: SendAddressCode, requests: Requests) -> Outcome:
    """Have Cognito send another code."""
    return _sent(call, requests)


def _sent(call: ChangeAddress | SendAddressCode, requests: Requests) -> Outcome:
    response = requests.send(
        "get_user_attribute_verification_code",
        AccessToken=call.access_token.get_secret_value(),
        AttributeName=call.challenge.attribute,
    )
    changed = {"delivery": delivery_of(response)}
    return ChallengeIssued(challenge=call.challenge.model_copy(update=changed))


@performs(ConfirmAddress)
def confirm(call: ConfirmAddress, requests: Requests) -> Outcome:
    """Verify the address."""
    requests.send(
        "verify_user_attribute",
        AccessToken=call.access_token.get_secret_value(),
        AttributeName=call.challenge.attribute,
        Code=call.code.get_secret_value(),
    )
    return Confirmed()
