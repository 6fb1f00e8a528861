"""A new address: which requests a change makes, and that no more than one of them sends a code."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from tests.cognito.conftest import DropsEverything
from tests.cognito.wire import RecordedClient, recorded

from oncegate import RequestContext
from oncegate.adapters import (
    AddressVerification,
    ChallengeIssued,
    ChangeAddress,
    ConfirmAddress,
    Confirmed,
    Delivery,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    RejectionReason,
    SendAddressCode,
)
from oncegate_cognito import CognitoTransport

PHONE = "+15550007777"
TOKEN = SecretStr("access")
SENT = {"DeliveryMedium": "SMS", "Destination": "+*******7777", "AttributeName": "phone_number"}
WISH = AddressVerification(username="fay", attribute="phone_number", address=PHONE)
CALL = ChangeAddress(challenge=WISH, access_token=TOKEN)


def perform(client: RecordedClient, call: Any = CALL) -> Outcome:
    transport = CognitoTransport(pool_id="us-east-1_Pool1", client_id="client1", client=client.boto)
    return transport.perform(call, RequestContext())


def operations(client: RecordedClient) -> list[str]:
    return [one.operation for one in client.sent]


def user(**attributes: str) -> dict[str, Any]:
    return {"UserAttributes": [{"Name": k, "Value": v} for k, v in attributes.items()]}


def test_code_that_the_change_sends_is_the_only_one() -> None:
    client = recorded(UpdateUserAttributes={"CodeDeliveryDetailsList": [SENT]})
    outcome = perform(client)
    assert isinstance(outcome, ChallengeIssued)
    assert outcome.challenge.delivery == Delivery(medium="SMS", destination="+*******7777")
    assert operations(client) == ["UpdateUserAttributes"]
    assert client.sent[0].body == {
        "AccessToken": "access",
        "UserAttributes": [{"Name": "phone_number", "Value": PHONE}],
    }


def test_address_that_is_there_unverified_is_sent_a_code() -> None:
    """Cognito sends none for a value that does not change."""
    client = recorded(
        UpdateUserAttributes={"CodeDeliveryDetailsList": []},
        GetUser=user(phone_number=PHONE, phone_number_verified="false"),
        GetUserAttributeVerificationCode={"CodeDeliveryDetails": SENT},
    )
    outcome = perform(client)
    assert isinstance(outcome, ChallengeIssued)
    assert outcome.challenge.delivery is not None
    assert operations(client) == [
        *("UpdateUserAttributes", "GetUser", "GetUserAttributeVerificationCode"),
    ]


def test_address_that_is_verified_is_sent_none() -> None:
    client = recorded(GetUser=user(phone_number=PHONE, phone_number_verified="true"))
    assert isinstance(perform(client), Confirmed)
    assert operations(client) == ["UpdateUserAttributes", "GetUser"]


def test_code_of_another_attribute_is_not_the_one() -> None:
    sent = {**SENT, "AttributeName": "email", "DeliveryMedium": "EMAIL"}
    client = recorded(
        UpdateUserAttributes={"CodeDeliveryDetailsList": [sent]},
        GetUser=user(phone_number_verified="true"),
    )
    assert isinstance(perform(client), Confirmed)


def test_further_code_and_its_check_are_one_request_each() -> None:
    client = recorded(GetUserAttributeVerificationCode={"CodeDeliveryDetails": SENT})
    assert isinstance(
        perform(client, SendAddressCode(challenge=WISH, access_token=TOKEN)), ChallengeIssued
    )
    check = ConfirmAddress(challenge=WISH, code=SecretStr("123456"), access_token=TOKEN)
    assert isinstance(perform(client, check), Confirmed)
    assert [(one.operation, one.body) for one in client.sent] == [
        (
            "GetUserAttributeVerificationCode",
            {"AccessToken": "access", "AttributeName": "phone_number"},
        ),
        (
            "VerifyUserAttribute",
            {"AccessToken": "access", "AttributeName": "phone_number", "Code": "123456"},
        ),
    ]


def test_change_whose_next_request_is_not_sent_has_had_its_effect() -> None:
    throttled = {"__type": "TooManyRequestsException", "message": "Rate exceeded"}
    assert isinstance(perform(recorded(GetUser=throttled)), OutcomeUnknown)
    unverified = user(phone_number_verified="false")
    client = recorded(GetUser=unverified, GetUserAttributeVerificationCode=throttled)
    assert isinstance(perform(client), OutcomeUnknown)


def test_address_of_somebody_else_is_told_as_such() -> None:
    client = recorded(UpdateUserAttributes={"__type": "AliasExistsException", "message": "taken"})
    outcome = perform(client)
    assert isinstance(outcome, Rejected)
    assert outcome.message == "address_taken"


def test_token_that_was_revoked_is_not_a_wrong_address() -> None:
    refused = {"__type": "NotAuthorizedException", "message": "Access Token has been revoked"}
    outcome = perform(recorded(UpdateUserAttributes=refused))
    assert isinstance(outcome, Rejected)
    assert outcome.reason is RejectionReason.SIGNED_OUT


def test_lost_answer_is_unknown_and_is_not_repeated(dropping: DropsEverything) -> None:
    transport = CognitoTransport(
        pool_id="us-east-1_Pool1", client_id="client1", endpoint_url=dropping.endpoint
    )
    outcome = transport.perform(CALL, RequestContext())
    assert isinstance(outcome, OutcomeUnknown)
    assert not isinstance(outcome, NotSent)
    assert dropping.requests == 1
